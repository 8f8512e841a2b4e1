#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A rack on host controllers of its own, on the kernel's own USB stack and under the shipped unit: the rack's hub works, a camera that
matches is authorised and pulled, and what else is put into a bay or behind a hub of its own never meets a driver of the kernel's."""

import hashlib
import os
import random
import re
import sys
import tempfile

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from cards import FatCard  # noqa: E402
from guest_dock import MIB  # noqa: E402

HUB_PORT, FOREIGN_HUB_PORT = 3, 6
CAMERA, KEYBOARD, DIRECT, FOREIGN_HUB = 1, 2, 3, 4
PORTS = {CAMERA: f"1-{HUB_PORT}.1", KEYBOARD: f"1-{HUB_PORT}.2", DIRECT: "1-4", FOREIGN_HUB: f"1-{FOREIGN_HUB_PORT}"}
LOCAL_RULES = "/etc/udev/rules.d/67-berth-rack.rules"
EVENTS = "/run/kernel-events"
QEMU_MTP_SERIAL = "0123456789abcdef0123456789abcdef"


def local_rules(dock):
    """What 68-berth-rack.rules tells the admin to copy, with the places of this machine."""
    with open(os.path.join(SRC, "udev-rules", "68-berth-rack.rules"), encoding="utf-8") as f:
        told = [line.lstrip("# ") for line in f if line.startswith("#   SUBSYSTEM")]
    assert len(told) == 2, told
    where = dock.guest.run("udevadm info -q path /sys/bus/usb/devices/usb1")
    controller = re.findall(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]", where)[-1]
    rules = told[0].replace("0000:03:00.0", controller) + told[1].replace("3-1:1.0|3-1.4:1.0|3-2:1.0", f"1-{HUB_PORT}:1.0")
    assert controller in rules and f'"1-{HUB_PORT}:1.0"' in rules, rules
    return rules


def driver_of(dock, interface):
    return dock.guest.run(f"cd /sys/bus/usb/devices/{interface} && [ ! -e driver ] || basename $(readlink driver)").strip()


def authorised(dock, interface):
    return dock.guest.run(f"cat /sys/bus/usb/devices/{interface}/authorized").strip()


def inputs(dock):
    """Input devices that come from USB."""
    return dock.guest.run("grep -l . $(find /sys/devices -path '*usb*/input*/name') 2>/dev/null", check=False).split()


def prepare(dock):
    """A keyboard is there before the rules are, and works: what the tests then find missing, this kernel does have."""
    dock.guest.plug("usb-kbd", "early", 4)
    dock.guest.wait("[ $(basename $(readlink /sys/bus/usb/devices/1-4:1.0/driver)) = usbhid ]", "the kernel to take the keyboard")
    # The driver is named before it has begun.
    dock.wait_asking(lambda: inputs(dock), "the keyboard to be an input device")
    dock.put(LOCAL_RULES, local_rules(dock))
    dock.guest.run("udevadm control --reload && udevadm trigger --action=add --subsystem-match=usb --settle")
    # The kernel's own account of who got a driver, from here on.
    dock.guest.run(f"systemd-run --quiet --unit=events --property=StandardOutput=file:{EVENTS} "
                   "udevadm monitor --kernel --subsystem-match=usb --subsystem-match=input")
    dock.guest.wait(f"grep -q 'kernel uevent' {EVENTS}", "the monitor of the kernel's events")


def events(dock, action, what):
    """The kernel's events of this action about devices whose path ends so."""
    lines = dock.guest.run(f"cat {EVENTS}").splitlines()
    return [line for line in lines if re.match(rf"KERNEL\[[0-9.]+\] {action} +\S*{what} ", line)]


def never_met_a_driver(dock, interface):
    assert driver_of(dock, interface) == "" and authorised(dock, interface) == "0", interface
    assert not events(dock, "bind", "/" + re.escape(interface)), f"{interface} had a driver in the meantime"
    assert not events(dock, "add", r"/input/input\d+"), "there was an input device"
    assert not inputs(dock), inputs(dock)


def refused(dock, bay):
    [entry] = [e for e in dock.ctl("refused")["refused"] if e["bay"] == bay]
    return entry


def test_what_was_there_before_udev_is_taken_from_its_driver(dock):
    assert driver_of(dock, "1-4:1.0") == "" and authorised(dock, "1-4:1.0") == "0"
    assert not inputs(dock), f"the keyboard is still an input device: {inputs(dock)}"
    dock.wait_state(DIRECT, "refused")
    dock.guest.unplug("early")
    dock.wait_state(DIRECT, "empty")


def test_camera_behind_the_racks_hub_is_authorised_and_pulled(dock):
    dock.guest.plug("usb-hub", "hub", HUB_PORT)
    dock.guest.wait(f"[ $(basename $(readlink /sys/bus/usb/devices/1-{HUB_PORT}:1.0/driver)) = hub ]", "the rack's hub to be found")
    card = FatCard(dock.guest.folder).fill(3 * MIB + 5, 100_000, 1)
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in card.files.items()}
    dock.guest.qmp("blockdev-add", **{"node-name": "card", "driver": "raw", "file": {"driver": "file", "filename": card.image}})
    dock.guest.plug("usb-storage", "camera", f"{HUB_PORT}.1", drive="card", serial="RACK-1", removable=True)
    dock.wait_state(CAMERA, "ready")
    dock.judge("RACK-1", digests)
    interface = PORTS[CAMERA] + ":1.0"
    assert authorised(dock, interface) == "1"
    owner = dock.guest.run(f"stat -c '%G %a' /sys/bus/usb/devices/{interface}/authorized").strip()
    assert owner == "berth 664", owner
    # The kernel tells of each driver that it binds, and not of who claims an interface through usbfs.
    assert events(dock, "bind", f"/1-{HUB_PORT}:1.0"), "the kernel's account lacks the hub's driver"
    assert not events(dock, "bind", "/" + re.escape(interface)), "the kernel had a driver for the camera"
    modules = dock.guest.run("cut -d' ' -f1 /proc/modules").split()
    assert "usb_storage" not in modules, "a driver for the camera was loaded, which would be bound to it by a race"
    disks = dock.guest.run(f"ls -d /sys/bus/usb/devices/{interface}/host*", check=False)
    assert "No such file" in disks, f"the kernel took the camera for a disk of its own: {disks}"


def test_keyboard_in_a_bay_never_gets_a_driver_and_is_recorded(dock):
    dock.guest.plug("usb-kbd", "keyboard", f"{HUB_PORT}.2")
    dock.wait_state(KEYBOARD, "refused")
    dock.guest.run("udevadm settle")
    never_met_a_driver(dock, PORTS[KEYBOARD] + ":1.0")
    entry = refused(dock, KEYBOARD)
    assert (entry["port_path"], entry["usb_id"], entry["product"]) == (PORTS[KEYBOARD], "0627:0001", "QEMU USB Keyboard"), entry
    assert entry["interfaces"] == ["03/01/01"] and entry["descriptors"], entry
    node = f"bus/usb/001/$(printf %03d $(cat /sys/bus/usb/devices/{PORTS[KEYBOARD]}/devnum))"
    holders = dock.guest.run(f"ls -l /proc/[0-9]*/fd 2>/dev/null | grep {node}", check=False)
    assert not holders, f"somebody has the keyboard's node open: {holders}"
    dock.guest.unplug("keyboard")
    dock.wait_state(KEYBOARD, "empty")


def test_hub_in_a_bay_stays_dead_and_so_does_what_is_behind_it(dock):
    dock.guest.plug("usb-hub", "foreign", FOREIGN_HUB_PORT)
    dock.guest.plug("usb-kbd", "behind", f"{FOREIGN_HUB_PORT}.1")
    dock.wait_state(FOREIGN_HUB, "refused")
    dock.guest.run("udevadm settle")
    never_met_a_driver(dock, PORTS[FOREIGN_HUB] + ":1.0")
    assert not events(dock, "add", rf"/1-{FOREIGN_HUB_PORT}\.1"), "the kernel has seen what is behind the hub"
    dock.guest.unplug("behind")
    dock.guest.unplug("foreign")
    dock.wait_state(FOREIGN_HUB, "empty")


def test_camera_of_another_protocol_straight_at_the_controller(dock):
    with tempfile.TemporaryDirectory(prefix="berth-mtp-") as folder:
        data = random.randbytes(2 * MIB + 5)
        with open(os.path.join(folder, "A.MP4"), "wb") as f:
            f.write(data)
        dock.guest.plug("usb-mtp", "mtp", 4, rootdir=folder, readonly=False)
        dock.wait_state(DIRECT, "ready")
        dock.judge(QEMU_MTP_SERIAL, {"A.MP4": hashlib.sha256(data).hexdigest()})
        dock.guest.unplug("mtp")
        dock.wait_state(DIRECT, "empty")
    assert not dock.events("fault"), dock.events("fault")


def test_dock_that_was_not_told_of_its_rack_says_so(dock):
    """A claim of an unauthorised interface is answered as if the camera had been unplugged."""
    dock.configure(dock.ports, "[rack]\nauthorise = no\n")
    dock.guest.run(f"echo 0 >/sys/bus/usb/devices/{PORTS[CAMERA]}:1.0/authorized")
    dock.restart()
    dock.wait(lambda: "authorise is off in [rack]" in dock.bays[CAMERA]["reason"], "the reason why the camera in bay 1 is not touched")
    dock.configure(dock.ports, "[rack]\nauthorise = yes\n")
    dock.restart()
    dock.wait_state(CAMERA, "ready")


if __name__ == "__main__":
    guest_dock.main([PORTS[bay] for bay in sorted(PORTS)], "[rack]\nauthorise = yes\n", prepare=prepare)
