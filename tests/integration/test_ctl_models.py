#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""berthctl about camera models: what the daemon has loaded, whether a file is good, and what a refused device would need."""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager

SRC = os.environ.get("BERTH_SRC", os.getcwd())
sys.path.insert(0, os.path.join(SRC, "tests"))
sys.path.insert(0, os.path.join(SRC, "tests", "lib"))
import tap  # noqa: E402
from ctl_world import CTL, HOSTILE, world  # noqa: E402

GENERIC = "[model generic]\nmatch = any\ninterface = 06/01/01\nplugin = mtp\n"
GOOD = "[model acme]\nmatch = 1234:5678\nmatch = 1234:5679\ninterface = 06/01/01\nplugin = mtp\n"


class Folders:
    def __init__(self, root):
        self.root = root
        for name in ("shipped", "local", "rules"):
            os.mkdir(self.path(name))
        self.write("shipped/generic.conf", GENERIC)

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def check(self, *files, code=0):
        done = subprocess.run([CTL, "model", "check", "--models-dir", self.path("shipped"), "--local-models-dir", self.path("local"),
                               "--rules-dir", self.path("rules"), *files], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              # No bus is there: it must not matter.
                              env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent"), timeout=120, check=False)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done


@contextmanager
def folders():
    with tempfile.TemporaryDirectory(prefix="berth-models-") as root:
        yield Folders(root)


def test_a_good_file_is_good_without_a_daemon():
    with folders() as f:
        path = f.write("new.conf", GOOD)
        done = f.check(path)
        assert done.stdout == f"{path}: 1 model, nothing wrong\n" and not done.stderr, done


def test_a_name_that_the_daemon_passes_over_is_a_warning():
    with folders() as f:
        done = f.check(f.write("new.txt", GOOD))
        assert "nothing wrong" in done.stdout and "new.txt: warning: " in done.stderr and ".conf" in done.stderr, done


def test_a_mistake_is_named_with_its_line():
    with folders() as f:
        path = f.write("new.conf", GOOD + "\n# more\nwings = 2\n")
        assert f"{path}:8: [model acme] wings: unknown key" in f.check(path, code=1).stderr
        path = f.write("new.conf", "nonsense\n")
        assert f"{path}:1: " in f.check(path, code=1).stderr
        assert "cannot be read" in f.check(f.path("absent.conf"), code=1).stderr
        # All files are looked at.
        second = f.write("other.conf", "[model]\n")
        done = f.check(path, second, code=1)
        assert f"{path}:1: " in done.stderr and f"{second}:1: " in done.stderr, done.stderr


def test_a_model_that_could_be_taken_for_another_is_a_mistake():
    with folders() as f:
        f.write("local/site.conf", GOOD)
        path = f.write("new.conf", GOOD.replace("acme", "other"))
        done = f.check(path, code=1)
        assert f"{path}:1: [model other] and [model acme]" in done.stderr, done.stderr
        assert "[model acme] is described twice" not in done.stderr
        # The same id in another of the site's files.
        assert "described twice" in f.check(f.write("new.conf", GOOD), code=1).stderr


def test_a_file_may_take_its_own_place_and_a_shipped_models():
    with folders() as f:
        f.write("local/site.conf", GOOD)
        f.check(f.path("local/site.conf"))
        f.check(f.write("site.conf", GOOD + "footage = *.mp4\n"))
        f.check(f.write("mine.conf", GENERIC + "footage = *.mp4\n"))
        # Even when the one that it replaces is broken.
        f.write("local/site.conf", "wings\n")
        f.check(f.write("site.conf", GOOD))


def test_a_broken_neighbour_is_told_too():
    with folders() as f:
        f.write("local/site.conf", "wings\n")
        assert "local/site.conf:1: " in f.check(f.write("new.conf", GOOD), code=1).stderr


def test_a_missing_udev_rule_is_a_warning():
    with folders() as f:
        path = f.write("new.conf", GOOD)
        line = 'SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="1234", ATTR{idProduct}=="%s", ENV{BERTH_CAMERA}="1"\n'
        f.write("rules/68-berth.rules", "#" + line % "5679" + line % "5678")
        done = f.check(path)
        assert "nothing wrong" in done.stdout
        assert "warning" in done.stderr and "1234:5679" in done.stderr and "1234:5678" not in done.stderr, done.stderr
        f.write("rules/67-local.rules", line % "5600|5679")
        assert not f.check(path).stderr
        f.write("rules/67-local.rules", 'ENV{ID_USB_INTERFACES}==":060101:", ENV{BERTH_CAMERA}="1"\n')
        assert not f.check(path).stderr
        f.write("rules/67-local.rules", 'ENV{ID_USB_INTERFACES}==":080650:", ENV{BERTH_CAMERA}="1"\n')
        assert "1234:5679" in f.check(path).stderr


def test_hostile_bytes_of_a_file_do_not_reach_the_terminal():
    with folders() as f:
        path = f.write("new.conf", f"[model x]\nmatch_product = {HOSTILE[:8]}\n")
        done = f.check(path, code=1)
        assert "\x1b" not in done.stderr, done.stderr


def test_without_a_file_the_command_line_is_wrong():
    with folders() as f:
        assert "takes the model files" in f.check(code=2).stderr


def test_models_are_those_of_the_daemon():
    with world() as w:
        head, row = w.run("model").stdout.splitlines()
        assert head.split()[:3] == ["MODEL", "PLUGIN", "MATCH"], head
        assert row.split()[:4] == ["acme", "mtp", "1234:5678", "1234:5679"] and "not at all" in row, row
        d = w.json("model", "list")
        assert d["schema"] == "org.berth.ctl.models/1", d
        assert d["models"] == [{
            "id": "acme", "description": "Acme 1", "tested": "not at all", "file": "/etc/berth/cameras.d/acme.conf", "local": True,
            "plugin": "mtp", "options": [], "returns_as": [],
            "match": ["1234:5678", "1234:5679"], "match_manufacturer": None, "match_product": "Cam*",
            "match_serial": None, "interfaces": [], "other_interfaces": [], "footage": [], "priority": [], "companions_taken": [],
            "companions_ignored": [], "file_times": "local", "erase": "never", "charge_ma": 900, "battery_mah": 0,
            "battery_floor_percent": 0, "charge_curve": [], "firmware": "none"}], d
        w.dock.end()
        assert "org.berth.Dock1 is not on the bus" in w.run("model", "list", code=3).stderr


def test_refused_shows_what_a_model_would_need():
    with world() as w:
        w.dock.bay(2, State="refused", Reason="no camera model fits")
        text = w.run("refused").stdout
        assert "Bay 2: if that is a camera" in text and "  match = 046d:c31c\n" in text, text
        assert text.count("  interface = 03/01/01\n") == 1 and "  interface = 03/00/00\n" in text, text
        assert "\x1b" not in text
        refused = w.json("refused")["refused"][0]
        assert refused["usb_id"] == "046d:c31c" and refused["interfaces"] == ["03/01/01", "03/01/01", "03/00/00"], refused


def test_a_wrong_option_is_told():
    with world() as w:
        w.run("status", "--models-dir=/x", code=2)


if __name__ == "__main__":
    tap.main()
