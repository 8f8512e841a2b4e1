#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A rack on host controllers of its own: with the shipped udev rules, a real udevd, and berthd as the user that it is installed
as. The rack's hubs work, a camera that matches is authorised, pulled and flashed, and nothing else ever gets a driver."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

SRC, BUILD = os.environ["BERTH_SRC"], os.environ["BERTH_BUILD"]
sys.path.insert(0, os.path.join(SRC, "tests"))
sys.path.insert(0, os.path.join(SRC, "tests", "lib"))
import tap  # noqa: E402

DEVICES = "/sys/bus/usb/devices"
UDEVD = next((p for p in ["/lib/systemd/systemd-udevd", "/usr/lib/systemd/systemd-udevd", "/usr/bin/udevadm"] if os.path.exists(p)), None)
LOCAL_RULES = """
SUBSYSTEM=="usb", KERNELS=="0000:00:14.0", ENV{BERTH_RACK}="1"
SUBSYSTEM=="usb", KERNEL=="1-1:1.0|1-1.4:1.0", ENV{BERTH_RACK_HUB}="1"
# A camera of this site's, and the loader that it becomes.
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="1209", ATTR{idProduct}=="bc11|bc12", ENV{BERTH_CAMERA}="1"
"""
# udev gives away device nodes alone, and the simulator's are plain files.
NODE_RULE = 'ENV{BERTH_CAMERA}=="1", ENV{DEVTYPE}=="usb_device", RUN+="/bin/chgrp berth $devnode", RUN+="/bin/chmod 0660 $devnode"\n'
KEYBOARD = [{"class": 3, "subclass": 1, "protocol": 1}]


def make_users(folder):
    for name in ["passwd", "group"]:
        with open("/etc/" + name, encoding="utf-8") as theirs, open(os.path.join(folder, name), "w", encoding="utf-8") as ours:
            ours.writelines(line for line in theirs if not line.startswith("berth"))
    os.makedirs(os.path.join(folder, "root/etc"))
    for name in ["passwd", "group"]:
        os.rename(os.path.join(folder, name), os.path.join(folder, "root/etc", name))
    os.makedirs(os.path.join(folder, "root/usr/lib/sysusers.d"))
    with open(os.path.join(SRC, "systemd/sysusers.d/berth.conf"), encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(folder, "root/usr/lib/sysusers.d/berth.conf"), "w", encoding="utf-8") as f:
        f.write(text)
    subprocess.run(["systemd-sysusers", "--root=" + os.path.join(folder, "root"), "berth.conf"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(folder, "root/etc/passwd"), encoding="utf-8") as f:
        user = next(line.split(":") for line in f if line.startswith("berth:"))
    for name in ["passwd", "group"]:
        subprocess.run(["mount", "--bind", os.path.join(folder, "root/etc", name), "/etc/" + name], check=True)
    return int(user[2]), int(user[3])


def copy_programs(folder):
    """Where the user berth can read them: the tree may lie in somebody's own folder."""
    programs = os.path.join(folder, "programs")
    shutil.copytree(os.path.join(BUILD, "plugins"), os.path.join(programs, "plugins"), ignore=shutil.ignore_patterns("*.o", "*.d"))
    shutil.copytree(os.path.join(SRC, "cameras.d"), os.path.join(programs, "cameras.d"))
    for name in ["berthd", "berth-uplink", "berth-bay"]:
        shutil.copy(os.path.join(BUILD, name), programs)
    return programs


def read(path):
    with open(os.path.join(DEVICES, path), encoding="ascii") as f:
        return f.read().strip()


def driver_of(interface):
    try:
        return os.path.basename(os.readlink(os.path.join(DEVICES, interface, "driver")))
    except FileNotFoundError:
        return None


class Rack:
    """The inside of the simulator: udevd with the rack's rules, users, and a dock that runs as berth."""

    def __init__(self, folder):
        import firmware_world  # noqa: PLC0415  these need the simulator's namespace
        import flash_world  # noqa: PLC0415
        import rack  # noqa: PLC0415

        self.rack = rack
        self.uid, self.gid = make_users(folder)
        os.makedirs("/run/udev/rules.d")
        rules = os.path.join(SRC, "udev-rules")
        for name in os.listdir(rules):
            with open(os.path.join(rules, name), encoding="utf-8") as f, open("/run/udev/rules.d/" + name, "w", encoding="utf-8") as to:
                to.write(f.read())
        with open("/run/udev/rules.d/67-berth-rack.rules", "w", encoding="utf-8") as f:
            f.write(LOCAL_RULES)
        with open("/run/udev/rules.d/73-nodes.rules", "w", encoding="utf-8") as f:
            f.write(NODE_RULE)
        self.sim = rack.Sim()
        self.log = open(os.path.join(folder, "udevd.log"), "wb")
        # By this name it is the daemon, whichever program it is a part of.
        self.udevd = subprocess.Popen([UDEVD, "--debug"], executable=UDEVD, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        dock_folder = os.path.join(folder, "dock")
        os.makedirs(dock_folder)
        self.programs = copy_programs(folder)
        self.dock = rack.Dock(dock_folder, ["1-1.1", "1-1.2", "1-1.4.1", "1-1.3"], worker=os.path.join(self.programs, "berth-bay"),
                              plugin_dir=os.path.join(self.programs, "plugins"), models_dir=os.path.join(self.programs, "cameras.d"))
        self.admin = firmware_world.Admin(self.dock)
        flash_world.write_models(self.dock)
        self.dock.write_config("[rack]\nauthorise = yes\n" + flash_world.settings(self.admin))
        self.dock.wait(lambda: os.path.exists("/run/udev/control"), "udevd")
        self.sim("trigger")
        self.dock.wait(lambda: read("usb1/interface_authorized_default") == "0", "the rule for the controller")

    def start(self):
        dock = self.dock
        for path in [dock.folder, dock.state, dock.store]:
            os.chown(path, self.uid, self.gid)
        os.chmod(os.path.dirname(dock.folder), 0o755)
        as_berth = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        dock.uplink = self.rack.Process([*as_berth, f"{self.programs}/berth-uplink", "--config", dock.path("uplink.conf")],
                                        dock.path("uplink.log"))
        dock.daemon = self.rack.Process([*as_berth, f"{self.programs}/berthd", "--config", dock.path("berthd.conf")],
                                        dock.path("berthd.log"))
        dock.wait(lambda: dock.owned(self.rack.NAME) or not dock.daemon.running(), "berthd on the bus")

    def settle(self):
        """Until udevd has dealt with all events so far."""
        subprocess.run(["udevadm", "settle", "--timeout=120"], check=True)

    def close(self):
        self.dock.close()
        self.udevd.terminate()
        self.udevd.wait()
        self.log.close()


def inside(rack):
    sim, dock = rack.sim, rack.dock
    # A hub that sits there since before udev: taken from its driver, unless it is the rack's own.
    dock.wait(lambda: driver_of("1-2:1.0") is None, "the foreign hub to lose its driver")
    assert driver_of("1-1:1.0") == "hub" and read("1-1:1.0/authorized") == "1"
    # The rack's inner hub comes back by the rules alone.
    sim("port", port="1-1", power="off")
    sim("port", port="1-1", power="on")
    dock.wait(lambda: driver_of("1-1.4:1.0") == "hub", "the rack's hubs to be found by the rules")

    rack.start()
    sim("camera", name="k", type="stranger", vid=0x046D, pid=0xC31C, product="Keyboard", interfaces=KEYBOARD)
    sim("plug", camera="k", port="1-1.1")
    sim("camera", name="c", type="ptp", vid=0x1209, pid=0xBC01, serial="A1", manufacturer="Acme", model="BC-1",
        clips=[{"path": "DCIM/100/A.MP4", "size": 3000000, "seed": 7, "mtime": 1700000000}])
    sim("plug", camera="c", port="1-1.4.1")
    sim("camera", name="behind", type="stranger", vid=1, pid=2, interfaces=KEYBOARD)
    sim("plug", camera="behind", port="1-2.1")
    # A hub's class in a bay: a device of its own, which the rules do not know at this port.
    sim("camera", name="h", type="stranger", vid=0x05E3, pid=0x0608, product="Hub", interfaces=[{"class": 9, "subclass": 0, "protocol": 1}])
    sim("plug", camera="h", port="1-1.2")

    dock.wait_state(3, "ready")
    dock.wait_state(1, "refused")
    dock.wait_state(2, "refused")
    rack.settle()
    assert [clips for (_, path), clips in dock.stored().items() if path == "DCIM/100/A.MP4"], dock.stored()
    assert not sim("state", camera="c")["clips"], "the camera was not emptied"

    # Only what was needed, and only for the group.
    assert read("1-1.4.1:1.0/authorized") == "1"
    found = os.stat(os.path.join(DEVICES, "1-1.4.1:1.0/authorized"))
    assert (found.st_gid, found.st_mode & 0o777) == (rack.gid, 0o664), found
    for interface in ["1-1.1:1.0", "1-1.2:1.0"]:
        assert read(interface + "/authorized") == "0" and driver_of(interface) is None, interface
        assert os.stat(os.path.join(DEVICES, interface, "authorized")).st_gid != rack.gid
    for name in ["k", "h"]:
        state = sim("state", camera=name)
        assert (state["opens"], state["claims"], state["requests"]) == (0, 0, 0), state
    # A hub at a port that is not the rack's stays dead: what is behind it is never seen.
    assert not sim("state", camera="behind")["docked"]
    flash(rack)
    assert not dock.events("fault"), dock.events("fault")


def flash(rack):
    """Each device that a camera becomes at its port is a new one to the kernel, and nothing of it may be used before berthd says so."""
    import flash_world  # noqa: PLC0415
    sim, dock = rack.sim, rack.dock
    new = flash_world.image("2.1", 40000)
    camera = flash_world.Camera(sim, dock, poll_msec=200)
    camera.plug("1-1.3")
    dock.wait_state(4, "ready")
    flash_world.put_catalog(dock, rack.admin, {"2.1": new})
    ctl = [os.path.join(BUILD, "berthctl"), "firmware"]
    dock.wait(lambda: json.loads(subprocess.run([*ctl, "--json"], capture_output=True, text=True, check=True).stdout)["version"] == 1,
              "the catalog")
    dock.wait(lambda: not dock.workers(), "the camera to be let go of")
    order = subprocess.Popen([*ctl, "flash", "CAM-1", "2.1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    dock.wait(lambda: camera.loader()["blocks"] >= 3, "the sending")
    # Its loader, at the same port: one interface, authorised, the group's to authorise, and the worker's alone.
    assert read("1-1.3/idProduct") == "bc12" and read("1-1.3:1.0/bInterfaceClass") == "fe"
    assert read("1-1.3:1.0/authorized") == "1" and driver_of("1-1.3:1.0") == "usbfs"
    found = os.stat(os.path.join(DEVICES, "1-1.3:1.0/authorized"))
    assert (found.st_gid, found.st_mode & 0o777) == (rack.gid, 0o664), found
    camera.set(poll_msec=2)
    out = order.communicate(timeout=120)[0]
    assert order.returncode == 0 and "ok: it tells the version 2.1" in out, out
    dock.wait_state(4, "ready")
    assert camera.has() == new and read("1-1.3/idProduct") == "bc11" and read("1-1.3:1.0/authorized") == "1"
    # A loader that this dock knows, in which nobody began anything: it is never authorised.
    camera.write(new[:999])
    sim("unplug", camera=camera.name)
    dock.wait_state(4, "empty")
    camera.plug("1-1.3")
    dock.wait_state(4, "refused")
    rack.settle()
    assert read("1-1.3/idProduct") == "bc12" and read("1-1.3:1.0/authorized") == "0", "a loader that nobody flashes was authorised"


def test_on_a_dedicated_rack_only_the_racks_hubs_and_matching_cameras_come_alive():
    if os.getuid() != 0:
        raise tap.Skip("only root can run udevd and be other users")
    if not UDEVD:
        raise tap.Skip("no systemd-udevd here")
    done = subprocess.run([os.path.join(BUILD, "berth-sim"), "--kernel-events", "--hubs", "1-1:4,1-1.4:4,1-2:2", "--", "/usr/bin/python3",
                           os.path.abspath(__file__), "inside"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-20000:]


def main_inside():
    with tempfile.TemporaryDirectory(prefix="berth-") as folder:
        rack = Rack(folder)
        try:
            inside(rack)
        except BaseException:
            print(rack.dock.logs())
            with open(os.path.join(folder, "udevd.log"), encoding="utf-8", errors="replace") as f:
                print("".join(line for line in f if re.search("berth|Failed|rror", line))[-8000:])
            raise
        finally:
            rack.close()
            for name in ["passwd", "group"]:
                subprocess.run(["umount", "/etc/" + name], check=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        main_inside()
    else:
        tap.main()
