#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The power of ports on the kernel's own hub driver, switched by the daemon as its own user under its unit: a hub of QEMU's that switches,
one that only takes the device off the bus, and the root hub of dummy_hcd. uhubctl, which knows nothing of Berth, looks at them."""

import hashlib
import os
import re
import sys
import time

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from cards import FatCard  # noqa: E402
from guest_dock import MIB  # noqa: E402

HUB_PORT, PLAIN_HUB_PORT = 3, 6
ONE, TWO, LYING, GADGET = 1, 2, 3, 4
PORTS = {ONE: f"1-{HUB_PORT}.1", TWO: f"1-{HUB_PORT}.2", LYING: f"1-{PLAIN_HUB_PORT}.1", GADGET: "3-1"}
# For the camera whose port does not switch and one other; none is looked for, or asked for its battery, in between.
PLAN = "[rack]\nbudget = 1200\n[charging]\nlook_every = 24h\ngauge_every = 24h\n"

GADGET_CAMERA = """
set -e
modprobe dummy_hcd num=1 is_high_speed=Y is_super_speed=N
modprobe libcomposite
truncate -s 16M /run/card.img
mkfs.fat -F 16 /run/card.img > /dev/null
gadget=/sys/kernel/config/usb_gadget/camera
mkdir -p $gadget/strings/0x409 $gadget/configs/c.1/strings/0x409 $gadget/functions/mass_storage.0
mkdir -p /run/card
mount -o loop /run/card.img /run/card
mkdir -p /run/card/DCIM/100BERTH
umount /run/card
cd $gadget
echo 0x1209 > idVendor
echo 0xb001 > idProduct
echo GADGET-1 > strings/0x409/serialnumber
echo 1 > functions/mass_storage.0/lun.0/removable
echo /run/card.img > functions/mass_storage.0/lun.0/file
ln -s $gadget/functions/mass_storage.0 configs/c.1/
echo dummy_udc.0 > UDC
"""


def prepare(dock):
    dock.guest.plug("usb-hub", "hub", HUB_PORT, **{"port-power": True})
    dock.guest.plug("usb-hub", "plain", PLAIN_HUB_PORT, **{"port-power": False})
    for port in HUB_PORT, PLAIN_HUB_PORT:
        # The kernel makes it, and udev gives it to the group a moment later.
        file = f"/sys/bus/usb/devices/1-{port}:1.0/1-{port}-port1/disable"
        dock.guest.wait(f"[ $(stat -c %G {file}) = berth ]", "the hub's ports to be the group's")


def plug(dock, number, name):
    dock.guest.plug("usb-storage", name, PORTS[number][2:], drive=name, serial=name.upper(), removable=True)
    dock.wait_state(number, "ready")


def put_in(dock, number, name, *clips):
    """A disk with footage, in a bay behind one of QEMU's hubs."""
    card = FatCard(dock.guest.folder, f"{name}.img").fill(*clips)
    dock.guest.qmp("blockdev-add", **{"node-name": name, "driver": "raw", "file": {"driver": "file", "filename": card.image}})
    plug(dock, number, name)
    return {path: hashlib.sha256(data).hexdigest() for path, data in card.files.items()}


def uhubctl(dock, port_path):
    """What uhubctl reads from the hub of the port itself: "off" or "power", and whether it sees a device."""
    hub, port = (port_path.split("-")[0], port_path.split("-")[1]) if "." not in port_path else port_path.rsplit(".", 1)
    text = dock.guest.run(f"uhubctl -f -l {hub} -p {port}")
    [flags] = re.findall(rf"^  Port {port}: [0-9a-f]{{4}} (.*)$", text, re.M)
    return ("off" if "off" in flags.split() else "power"), "connect" in flags.split()


def calibrate(dock, number):
    return dock.guest.run(f"berthctl bay calibrate {number}", 240)


def one_at_a_time(bays):
    chosen = [bays[n] for n in (ONE, TWO, GADGET)]
    return all(bay["state"] == "ready" for bay in chosen) \
        and sorted((bay["charge"], bay["power"]) for bay in chosen) == [("charging", True), ("waiting", False), ("waiting", False)]


def wait_one_at_a_time(dock):
    """One of the cameras at ports that switch has power, by the daemon's word, which it returns, and by the hub's own."""
    until = time.monotonic() + 300
    dock.wait(lambda: one_at_a_time(dock.bays), "one camera to have power", 300)
    while True:
        bays = {bay["number"]: bay for bay in dock.ctl("status")["bays"]}
        hubs = {n: uhubctl(dock, PORTS[n]) for n in (ONE, TWO, GADGET)}
        if one_at_a_time(bays) and all(hubs[n] == (("power", True) if bays[n]["power"] else ("off", False)) for n in hubs):
            return bays
        assert time.monotonic() < until, (bays, hubs)
        # It may keep a plan for a minute, and asking costs an emulated machine much.
        time.sleep(2)


def test_port_files_are_the_groups_and_the_daemon_is_not_root(dock):
    for number in ONE, LYING:
        hub, port = PORTS[number].rsplit(".", 1)
        told = dock.guest.run(f"stat -c '%U %G %a' /sys/bus/usb/devices/{hub}:1.0/{hub}-port{port}/disable").strip()
        assert told == "root berth 664", told
    assert dock.guest.run("ps -o user= -p $(systemctl show -P MainPID berthd)").strip() == "berth"


def test_hub_that_switches_is_measured_as_one(dock):
    digests = put_in(dock, ONE, "one", 2 * MIB + 5, 1000)
    assert "it switches, by the kernel's 'disable' file" in calibrate(dock, ONE)
    [event] = dock.events("port-calibrated")
    assert (event["bay"], event["switches"], event["returns"]) == (PORTS[ONE], True, True), event
    assert uhubctl(dock, PORTS[ONE]) == ("power", True)
    dock.judge("ONE", digests)


def test_hub_that_only_takes_the_device_off_the_bus_is_found_out(dock):
    """The kernel forgets the device, the hub goes on to feed it: what is charged there cannot be chosen."""
    put_in(dock, LYING, "lying")
    said = calibrate(dock, LYING)
    assert "it does not switch" in said and "the hub still sees the camera" in said, said
    assert not dock.events("port-calibrated")[-1]["switches"]
    # This hub does not tell when a port has power again: the kernel finds the device there only if the hub has slept in between.
    dock.guest.unplug("lying")
    dock.wait_state(LYING, "empty")
    dock.guest.wait_gone("lying")
    plug(dock, LYING, "lying")


def test_port_of_dummy_hcd_is_measured(dock):
    dock.guest.run(GADGET_CAMERA, 120)
    dock.wait_state(GADGET, "ready")
    assert "it switches, by the kernel's 'disable' file" in calibrate(dock, GADGET)
    dock.wait_state(GADGET, "ready")
    assert uhubctl(dock, PORTS[GADGET]) == ("power", True)


def test_plan_cuts_ports_and_the_hub_agrees(dock):
    put_in(dock, TWO, "two", 1000)
    assert "it switches" in calibrate(dock, TWO)
    dock.configure(dock.ports, PLAN)
    dock.restart()
    wait_one_at_a_time(dock)
    # What was found out about the other hub is remembered.
    dock.wait(lambda: dock.bays[LYING]["power"] and dock.bays[LYING]["charge"] == "fixed", "the plan to leave that port alone")


def test_plan_outlives_a_reset_of_the_hub_and_its_driver(dock):
    returned = len(dock.events("returned"))
    dock.guest.run(f"usbreset $(printf '%03d/%03d' 1 $(cat /sys/bus/usb/devices/1-{HUB_PORT}/devnum))")
    bays = wait_one_at_a_time(dock)
    off = [n for n in (ONE, TWO) if not bays[n]["power"]]
    # The hub's driver, when it comes anew, gives all ports their power.
    dock.guest.run(f"cd /sys/bus/usb/drivers/hub && echo 1-{HUB_PORT}:1.0 > unbind && echo 1-{HUB_PORT}:1.0 > bind")
    dock.wait(lambda: all(dock.bays[n]["power"] for n in off), "the ports to have power", 240)
    wait_one_at_a_time(dock)
    dock.wait_asking(lambda: len(dock.events("returned")) > returned, "a camera to be back")


if __name__ == "__main__":
    guest_dock.main([PORTS[n] for n in sorted(PORTS)], prepare=prepare)
