#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `berthctl doctor` says of the machine and of the rack. The unmodified program looks at a machine whose users, rules, bus policy
and disks are set up by binding files over the real ones in the simulator's own namespace."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import BUILD, SRC, Process  # noqa: E402

POLICY = "/usr/share/dbus-1/system.d/org.berth.Dock1.conf"
MODULE = "/sys/module/usbcore/parameters/usbfs_memory_mb"
DAEMON_UID, UPLINK_UID, NOBODY = 61001, 61002, 65534


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Machine:
    """As the installation leaves it, in its own files, until a test breaks something. The simulator's nodes belong to group 0, so that is
    what the group berth is here, as long as udev did its work."""

    def __init__(self, folder):
        self.folder = folder
        self.mounts = []
        for place in ["/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/etc/dbus-1/system.d", "/usr/share/dbus-1/system.d"]:
            self.bind(place, self.path(place))
        self.users()
        for rules in (f"{SRC}/udev-rules", f"{BUILD}/udev-rules"):
            for name in os.listdir(rules):
                if name.endswith(".rules"):
                    shutil.copy(os.path.join(rules, name), "/usr/lib/udev/rules.d/")
        shutil.copy(f"{SRC}/systemd/dbus-policy/org.berth.Dock1.conf", POLICY)
        self.state = self.path("state")
        os.makedirs(self.state)
        mount("-t", "tmpfs", "-o", "size=4g", "machine", self.state)
        self.mounts.append(self.state)
        st = os.stat(self.state)
        self.disk = f"/sys/devices/disk-{os.path.basename(folder)}"
        os.makedirs(self.disk + "/sda/sda1")
        os.makedirs("/sys/dev/block", exist_ok=True)
        self.link = f"/sys/dev/block/{os.major(st.st_dev)}:{os.minor(st.st_dev)}"
        os.symlink(self.disk + "/sda/sda1", self.link)
        write(self.disk + "/sda/sda1/partition", "1\n")
        write(self.disk + "/sda/device/state", "running\n")
        write(MODULE, "128\n")

    def path(self, name):
        return os.path.join(self.folder, "machine", name.lstrip("/"))

    def bind(self, place, other):
        os.makedirs(other, exist_ok=True)
        mount("--bind", other, place)
        self.mounts.append(place)

    def users(self, group=0, members="", passwd=None):
        """Nobody but Berth's users; over those of the real machine."""
        passwd = passwd or f"berth:x:{DAEMON_UID}:{group}::/:/bin/false\nberth-uplink:x:{UPLINK_UID}:{UPLINK_UID}::/:/bin/false\n"
        for place, text in {"/etc/passwd": passwd, "/etc/group": f"berth:x:{group}:{members}\nberth-uplink:x:{UPLINK_UID}:\n"}.items():
            write(self.path(place), text)
            if place not in self.mounts:
                mount("--bind", self.path(place), place)
                self.mounts.append(place)

    def close(self):
        for place in reversed(self.mounts):
            subprocess.run(["umount", "--lazy", place], check=True)
        os.unlink(self.link)
        shutil.rmtree(self.disk)
        shutil.rmtree("/sys/fs/ext4", ignore_errors=True)


def doctor(*words, **more):
    return subprocess.run([f"{BUILD}/berthctl", "doctor", *words], capture_output=True, text=True, timeout=120, check=False, **more)


@contextlib.contextmanager
def machine(d):
    m = Machine(d.folder)
    try:
        yield m
    finally:
        m.close()


def points(m, *words, **more):
    """(exit code, {name: [(verdict, text), …]})"""
    done = doctor(*words, "--json", f"--state-dir={m.state}", **more)
    assert done.stdout, done
    found = {}
    for point in json.loads(done.stdout)["points"]:
        found.setdefault(point["name"], []).append((point["verdict"], point["text"]))
    return done.returncode, found


def one(found, name):
    assert len(found.get(name, [])) == 1, f"{name}: {found}"
    return found[name][0]


def check(m, name, verdict, *words):
    """The point has this verdict, and its sentence has these words."""
    code, found = points(m, "machine")
    said, text = one(found, name)
    assert said == verdict, f"{name} is {said}, not {verdict}: {text}"
    for word in words:
        assert word in text, f"{name}: no {word!r} in {text!r}"
    # The daemon of a test runs as root, which is a warning.
    assert code == (1 if any(v == "failed" for said in found.values() for v, _ in said) else 5), (code, found)


MACHINE = ["users", "bus-policy", "udev-rules", "udev-active", "clock", "disk-spool", "disk-health"]


def test_machine_that_is_as_it_should_be(sim, dock):
    d = dock(["1-1.1"]).start()
    with machine(d) as m:
        code, found = points(m, "machine")
        assert {name: one(found, name)[0] for name in found} == {"daemon": "warning", **dict.fromkeys(MACHINE, "ok")}, found
        assert code == 5 and "as root" in one(found, "daemon")[1], found
        said = doctor("machine", f"--state-dir={m.state}")
        assert said.returncode == 5 and len(said.stdout.splitlines()) == len(found), said
        wrong = doctor("moon")
        assert wrong.returncode == 2 and "machine, rack or store" in wrong.stderr, wrong


def test_the_manual_page_has_every_point(sim, dock):
    def found(pattern, *files):
        return {name for file in files for name in re.findall(pattern, read(f"{SRC}/daemon/{file}"))}

    parts = [f"ctl/doctor{part}.c" for part in ("", "_machine", "_bays", "_disk")]
    said = found(r'(?:doctor_add|look_at_room|say_refusal)\(d, "([a-z-]+)"', *parts)
    said |= found(r'add\(to, "([a-z-]+)"', "service/examine_rack.c") | found(r'"(erase-policy|fleet-list)"', "service/examine.c")
    said |= found(r'WIRE_POINT_\w+ "([a-z-]+)"', "base/wire_uplink.h") | {"rack"}
    page = read(f"{SRC}/man/berthctl.1").split(".Ss doctor")[1].split(".Ss ")[0]
    listed = {name for line in re.findall(r"^\.It ([a-z, -]+)$", page, re.M) for name in line.split(" , ")}
    assert said - {"daemon", "rack"} == listed, said ^ listed


def test_machine_is_looked_at_when_the_daemon_does_not_run(sim, dock):
    d = dock(["1-1.1"])
    with machine(d) as m:
        code, found = points(m)
        assert code == 3, found
        assert one(found, "daemon")[0] == "failed" and "systemctl status berthd" in one(found, "daemon")[1], found
        assert {name: one(found, name)[0] for name in MACHINE} == dict.fromkeys(MACHINE, "ok"), found
        env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nowhere")
        code, found = points(m, env=env)
        assert code == 3 and "no system bus" in one(found, "daemon")[1] and one(found, "users")[0] == "ok", found


def test_users_and_their_groups(sim, dock):
    d = dock(["1-1.1"]).start()
    with machine(d) as m:
        m.users(passwd=f"berth:x:{DAEMON_UID}:0::/:/bin/false\n")
        check(m, "users", "failed", "no user berth-uplink", "systemd-sysusers")
        m.users(passwd=f"berth:x:{DAEMON_UID}:{NOBODY}::/:/bin/false\nberth-uplink:x:{UPLINK_UID}:{UPLINK_UID}::/:/bin/false\n")
        check(m, "users", "failed", "berth is not in the group berth", "usermod")
        m.users(members="berth-uplink")
        check(m, "users", "warning", "berth-uplink is in the group berth", "gpasswd --delete")
        m.users(passwd=f"berth:x:{DAEMON_UID}:0::/:/bin/false\nberth-uplink:x:{DAEMON_UID}:{UPLINK_UID}::/:/bin/false\n")
        check(m, "users", "failed", "must be two")
        m.users(passwd="root:x:0:0::/:/bin/sh\n")
        check(m, "users", "failed", "no user berth:")
        m.users()
        check(m, "users", "ok")


def test_rules_that_udev_does_not_have_or_does_not_go_by(sim, dock):
    d = dock(["1-1.1"]).start()
    with machine(d) as m:
        os.unlink("/usr/lib/udev/rules.d/68-berth.rules")
        check(m, "udev-rules", "failed", "68-berth.rules", "udevadm control --reload")
        shutil.copy(f"{SRC}/udev-rules/68-berth.rules", "/etc/udev/rules.d/")
        check(m, "udev-rules", "ok")
        write("/etc/udev/rules.d/68-berth.rules", "")
        check(m, "udev-rules", "failed", "empty 68-berth.rules", "remove it")
        os.unlink("/etc/udev/rules.d/68-berth.rules")
        shutil.copy(f"{SRC}/udev-rules/68-berth.rules", "/usr/lib/udev/rules.d/")
        # A site may close the ports' files.
        write("/etc/udev/rules.d/68-berth-hubport.rules", "")
        check(m, "udev-rules", "note", "68-berth-hubport.rules")
        assert "udev-active" not in points(m, "machine")[1]
        os.unlink("/etc/udev/rules.d/68-berth-hubport.rules")
        # The nodes are those of another group: installed, and not loaded.
        m.users(group=61005, passwd=f"berth:x:{DAEMON_UID}:61005::/:/bin/false\nberth-uplink:x:{UPLINK_UID}:{UPLINK_UID}::/:/bin/false\n")
        check(m, "udev-active", "failed", "did not give hub", "udevadm trigger")
        m.users()
        os.rename("/run/udev/control", "/run/udev/control.away")
        check(m, "udev-active", "failed", "udev does not run")
        os.rename("/run/udev/control.away", "/run/udev/control")
        check(m, "udev-active", "ok")


def test_bus_that_has_no_policy_or_lets_anybody_be_the_dock(sim, dock):
    d = dock(["1-1.1"]).start()
    with machine(d) as m:
        # Whoever is not the daemon's own user must not get its name. The bus of these tests lets everybody.
        os.chmod(d.folder, 0o755)
        done = doctor("machine", "--json", f"--state-dir={m.state}", user=NOBODY)
        said = [(p["verdict"], p["text"]) for p in json.loads(done.stdout)["points"] if p["name"] == "bus-policy"]
        assert len(said) == 1 and said[0][0] == "failed" and "be the dock" in said[0][1], done
        write(d.path("bus.conf"), rack.BUS_CONFIG.format(socket=d.path("bus")).replace('<allow own="*"/>', "").replace(
            "</busconfig>", '<policy user="root"><allow own="*"/></policy></busconfig>'))
        d.conn.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig", None, None, 0, 60000,
                         None)
        done = doctor("machine", "--json", f"--state-dir={m.state}", user=NOBODY)
        said = [(p["verdict"], p["text"]) for p in json.loads(done.stdout)["points"] if p["name"] == "bus-policy"]
        assert len(said) == 1 and said[0][0] == "ok", done
        os.unlink(POLICY)
        check(m, "bus-policy", "failed", "org.berth.Dock1.conf", "systemctl reload dbus")


def test_clock(sim, dock):
    d = dock(["1-1.1"], synchronised=False).start()
    with machine(d) as m:
        check(m, "clock", "warning", "not synchronised", "timedatectl set-ntp true")
        d.timedated.end()
        check(m, "clock", "failed", "systemd-timedated does not say")


def test_room(sim, dock):
    d = dock(["1-1.1"]).start()
    with machine(d) as m:
        check(m, "disk-spool", "ok")
        mount("-o", "remount,size=1100m", m.state)
        with open(os.path.join(m.state, "clip"), "wb") as f:
            f.truncate(0)
            os.posix_fallocate(f.fileno(), 0, 300 << 20)
        check(m, "disk-spool", "failed", "left", "larger disk")
        os.unlink(os.path.join(m.state, "clip"))
        mount("-o", "remount,size=40g", m.state)
        mount("-o", "remount,nr_inodes=40", m.state)
        for n in range(38):
            write(os.path.join(m.state, str(n)), "")
        check(m, "disk-spool", "warning", "more files")
        mount("-o", "remount,ro", m.state)
        check(m, "disk-spool", "failed", "only be read", "journalctl -k")
        mount("-o", "remount,rw", m.state)
        done = doctor("machine", "--json", "--state-dir=/nowhere/berth")
        said = [p for p in json.loads(done.stdout)["points"] if p["name"] == "disk-spool"]
        assert done.returncode == 1 and said[0]["verdict"] == "failed" and "/nowhere/berth" in said[0]["text"], done


def test_folder_of_the_uploader(sim, dock):
    d = dock(["1-1.1"]).start()
    with machine(d):
        mount("-t", "tmpfs", "-o", "size=4g", "lib", "/var/lib")

        def said():
            done = doctor("machine", "--json")
            return next((p["verdict"], p["text"]) for p in json.loads(done.stdout)["points"] if p["name"] == "disk-uplink")
        try:
            verdict, text = said()
            assert verdict == "failed" and "/var/lib/berth-uplink" in text and "systemctl start" in text, text
            os.makedirs("/var/lib/berth-uplink")
            assert said()[0] == "ok", said()
            mount("-o", "remount,ro", "/var/lib")
            assert said()[0] == "failed" and "only be read" in said()[1], said()
        finally:
            subprocess.run(["umount", "--lazy", "/var/lib"], check=True)


def test_ports_that_the_daemon_may_not_switch(sim, dock):
    dock(["1-1.1", "1-1.2"]).start()
    assert one(points(Nothing, "rack")[1], "port-access")[0] == "ok"
    # As root may not, either.
    closed = ["/sys", "/dev/bus/usb"]
    for place in closed:
        mount("--bind", place, place)
        mount("-o", "remount,ro,bind", place)
    try:
        verdict, text = one(points(Nothing, "rack")[1], "port-access")
        assert verdict == "warning" and "bay 1-2" in text and "68-berth-hubport.rules" in text, text
    finally:
        for place in closed:
            subprocess.run(["umount", "--lazy", place], check=True)


def test_health_of_the_disk(sim, dock):
    d = dock(["1-1.1"]).start()
    with machine(d) as m:
        check(m, "disk-health", "ok", "udisks2")
        write(m.disk + "/sda/device/state", "offline\n")
        check(m, "disk-health", "failed", "sda", "offline", "replace")
        write(m.disk + "/sda/device/state", "running\n")
        write("/sys/fs/ext4/sda1/errors_count", "3\n")
        check(m, "disk-health", "failed", "sda1", "3 errors", "e2fsck")
        write("/sys/fs/ext4/sda1/errors_count", "0\n")
        check(m, "disk-health", "ok")
        # A file system on an array, one of whose disks was taken out.
        os.makedirs(m.disk + "/md0/slaves")
        write(m.disk + "/md0/md/degraded", "1\n")
        os.symlink(m.disk + "/sda/sda1", m.disk + "/md0/slaves/sda1")
        os.unlink(m.link)
        os.symlink(m.disk + "/md0", m.link)
        check(m, "disk-health", "warning", "md0", "lacks 1", "mdadm --detail")
        write(m.disk + "/md0/md/degraded", "0\n")
        check(m, "disk-health", "ok")
        write(m.disk + "/sda/device/state", "offline\n")
        check(m, "disk-health", "failed", "sda")


UDISKS = "/org/freedesktop/UDisks2"


def test_disk_that_says_that_it_will_fail(sim, dock):
    d = dock(["1-1.1"]).start()
    stub = Process(["/usr/bin/python3", "-m", "dbusmock", "--system", "-m", "org.freedesktop.UDisks2", UDISKS, "org.freedesktop.UDisks2"],
                   d.path("udisks.log"))
    try:
        d.wait(lambda: d.owned("org.freedesktop.UDisks2"), "the stand-in for UDisks")

        def add(name, failing):
            d.conn.call_sync("org.freedesktop.UDisks2", UDISKS, "org.freedesktop.DBus.Mock", "AddObject", rack.GLib.Variant(
                "(ssa{sv}a(ssss))", (f"{UDISKS}/drives/{name}", "org.freedesktop.UDisks2.Drive.Ata", {
                    "SmartTemperature": rack.GLib.Variant("d", 310.0), "SmartFailing": rack.GLib.Variant("b", failing)}, [])),
                None, 0, 60000, None)

        with machine(d) as m:
            add("GOOD_1", False)
            check(m, "disk-health", "ok", "no disk says")
            add("BAD_2", True)
            check(m, "disk-health", "failed", "BAD_2", "SMART", "replace")
    finally:
        stub.end()


def test_rack(sim, dock):
    d = dock(["1-1.1", "1-1.2", "1-1.3", "1-2.1"]).start()
    code, found = points(Nothing, "rack")
    assert one(found, "hubs")[0] == one(found, "usb-memory")[0] == one(found, "port-access")[0] == "ok", found
    verdict, text = one(found, "port-switching")
    assert verdict == "note" and "bay 1-4" in text and "berthctl bay calibrate" in text and code == 5, found
    write(MODULE, "2\n")
    _, found = points(Nothing, "rack")
    assert one(found, "usb-memory")[0] == "warning" and "want 4" in one(found, "usb-memory")[1], found
    write(MODULE, "0\n")
    assert one(points(Nothing, "rack")[1], "usb-memory")[0] == "ok"


def test_bays_whose_numbers_udev_does_not_know(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    with machine(d) as m:
        assert one(points(m, "rack")[1], "bay-links")[0] == "ok", "nothing lies in them"
        sim("camera", name="c", type="ptp", serial="SN-1", manufacturer="Acme", model="BC-1", clips=[])
        sim("plug", camera="c", port="1-1.1")
        d.wait_state(1, "ready")
        bus, number = (int(read(f"/sys/bus/usb/devices/1-1.1/{name}")) for name in ("busnum", "devnum"))
        os.makedirs("/dev/berth")
        os.symlink(f"../bus/usb/{bus:03}/{number:03}", "/dev/berth/bay11")
        verdict, text = one(points(m, "rack")[1], "bay-links")
        assert verdict == "warning" and "bay 1 (1-1.1)" in text and "udevadm trigger --subsystem-match=usb" in text, text
        os.symlink(f"../bus/usb/{bus:03}/{number - 1:03}", "/dev/berth/bay1")
        assert one(points(m, "rack")[1], "bay-links")[0] == "warning"
        os.rename("/dev/berth/bay11", "/dev/berth/bay1")
        assert one(points(m, "rack")[1], "bay-links")[0] == "ok"
        write("/etc/udev/rules.d/73-berth-bays.rules", "")
        assert "bay-links" not in points(m, "rack")[1], "the site wants no links"
    shutil.rmtree("/dev/berth")


class Nothing:
    state = "/"


def test_rack_without_its_hub(sim, dock):
    dock(["1-1.1", "3-1.1", "3-1.2"]).start()
    code, found = points(Nothing, "rack")
    verdict, text = one(found, "hubs")
    assert code == 1 and verdict == "failed" and "bay 2-3" in text and "udevadm monitor" in text, found


def test_ports_of_which_calibration_found_out(sim, dock):
    """A budget depends on it: then what is not known, or does not switch, is more than a note."""
    d = dock(["1-1.1", "1-1.2"])
    d.write_config("[rack]\nbudget = 900\n")
    d.start()
    code, found = points(Nothing, "rack")
    assert one(found, "port-switching")[0] == "warning" and code == 5, found
    sim("camera", name="c", type="ptp", serial="SN-1", manufacturer="Acme", model="BC-1", clips=[])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    done = subprocess.run([f"{BUILD}/berthctl", "bay", "calibrate", "1"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done
    d.wait(lambda: d.events("port-calibrated"), "the measurement")
    _, found = points(Nothing, "rack")
    said = found["port-switching"]
    assert len(said) == 1 and said[0][0] == "warning" and "bay 2 " in said[0][1], found


if __name__ == "__main__":
    rack.run([test_machine_that_is_as_it_should_be, test_the_manual_page_has_every_point,
              test_machine_is_looked_at_when_the_daemon_does_not_run, test_users_and_their_groups,
              test_rules_that_udev_does_not_have_or_does_not_go_by, test_bus_that_has_no_policy_or_lets_anybody_be_the_dock, test_clock,
              test_room, test_folder_of_the_uploader, test_ports_that_the_daemon_may_not_switch, test_health_of_the_disk,
              test_disk_that_says_that_it_will_fail, test_rack, test_rack_without_its_hub,
              test_ports_of_which_calibration_found_out, test_bays_whose_numbers_udev_does_not_know])
