#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make install` puts everything under DESTDIR and nothing else, and `make uninstall` takes it away again."""

import os
import re
import subprocess
import sys
import tempfile

SRC = os.environ["BERTH_SRC"]
sys.path.insert(0, os.path.join(SRC, "tests"))
import tap  # noqa: E402


def make(target, root):
    done = subprocess.run(["make", "-C", SRC, "BUILD=" + os.environ["BERTH_BUILD"], "DESTDIR=" + root, target],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def files(root):
    return {os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names}


def mode(root, path):
    return os.stat(os.path.join(root, path)).st_mode & 0o7777


def test_what_a_dock_needs_is_installed():
    with tempfile.TemporaryDirectory() as root:
        make("install-files", root)
        there = files(root)
        for path in ["usr/local/sbin/berthd", "usr/local/sbin/berth-uplink", "usr/local/bin/berthctl", "usr/local/lib/berth/berth-bay",
                     "usr/local/lib/berth/plugins/mtp.so", "usr/local/share/berth/cameras.d/generic-mtp.conf",
                     "usr/local/include/berth/plugin.h", "usr/local/lib/systemd/system/berthd.service",
                     "usr/local/lib/systemd/system/berth-uplink.service", "usr/local/lib/systemd/system/berth-uplink.socket",
                     "usr/local/lib/sysusers.d/berth.conf", "usr/local/lib/tmpfiles.d/berth.conf",
                     "usr/local/lib/udev/rules.d/68-berth.rules", "usr/local/lib/udev/rules.d/72-berth.rules",
                     "usr/local/share/berth/network-store.conf", "etc/dbus-1/system.d/org.berth.Dock1.conf",
                     "usr/local/share/dbus-1/system-services/org.berth.Dock1.service", "etc/berth/berthd.conf",
                     "etc/berth/uplink.conf", "usr/local/share/man/man8/berthd.8", "usr/local/share/man/man5/berthd.conf.5"]:
            assert path in there, (path, sorted(there))
        assert not [path for path in there if path.endswith(".in") or "test" in path], sorted(there)
        for path in there:
            program = "/sbin/" in path or "/bin/" in path or path.endswith("/berth-bay")
            assert mode(root, path) == (0o755 if program else 0o600 if path.endswith(".secret") else 0o644), path


def test_units_name_the_programs_where_they_are():
    with tempfile.TemporaryDirectory() as root:
        make("install-files", root)
        units = os.path.join(root, "usr/local/lib/systemd/system")
        for name in os.listdir(units):
            with open(os.path.join(units, name), encoding="utf-8") as f:
                text = f.read()
            assert not re.search(r"@\w+@", text), (name, text)
            for line in text.splitlines():
                if line.startswith("ExecStart="):
                    program = line.removeprefix("ExecStart=").split()[0]
                    assert os.access(root + program, os.X_OK), line


def test_uninstall_leaves_nothing_behind():
    with tempfile.TemporaryDirectory() as root:
        make("install-files", root)
        make("uninstall", root)
        assert not files(root), sorted(files(root))


def test_a_setting_that_someone_changed_survives_install_and_uninstall():
    with tempfile.TemporaryDirectory() as root:
        make("install-files", root)
        path = os.path.join(root, "etc/berth/berthd.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write("mine\n")
        make("install-files", root)
        make("uninstall", root)
        assert files(root) == {"etc/berth/berthd.conf"}
        with open(path, encoding="utf-8") as f:
            assert f.read() == "mine\n"


if __name__ == "__main__":
    tap.main()
