#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The dock's place in the system: who it is to the kernel, what it may, and that no kernel driver meets a stranger's device."""

import hashlib
import os
import random
import sys
import tempfile

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from guest_dock import MIB  # noqa: E402

QEMU_SERIAL = "0123456789abcdef0123456789abcdef"


def with_qemu_camera(dock, port, use):
    """Plugs a small MTP camera in, and takes it out when it was used."""
    with tempfile.TemporaryDirectory(prefix="berth-mtp-") as folder:
        data = random.randbytes(2 * MIB + 5)
        with open(os.path.join(folder, "A.MP4"), "wb") as f:
            f.write(data)
        dock.guest.plug("usb-mtp", "mtp", port, rootdir=folder, readonly=False)
        try:
            use({"A.MP4": hashlib.sha256(data).hexdigest()})
        finally:
            dock.guest.unplug("mtp")


def test_daemon_is_its_own_user_and_has_no_power(dock):
    """What the unit promises, as the kernel sees it."""
    pid = dock.guest.run("systemctl show -P MainPID berthd").strip()
    status = dict(line.split(":", 1) for line in dock.guest.run(f"cat /proc/{pid}/status").splitlines())
    berth = dock.guest.run("id -u berth").strip()
    assert berth != "0" and status["Uid"].split() == [berth] * 4, status["Uid"]
    for kind in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, f"{kind} is {status[kind]}"
    assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2", status


def test_limit_of_usb_memory_is_raised_unless_somebody_chose_one(dock):
    limit = "/sys/module/usbcore/parameters/usbfs_memory_mb"
    trigger = "udevadm trigger --type=all --action=add --subsystem-match=module --settle"
    assert dock.guest.run(f"cat {limit}") == "128\n"
    assert dock.guest.run(f"echo 40 > {limit} && {trigger} && cat {limit}") == "40\n"
    assert dock.guest.run(f"echo 16 > {limit} && {trigger} && cat {limit}") == "128\n"


TAKE_USB_AWAY = r"""
systemctl stop berthd
for n in $(seq 600); do
        for module in xhci_pci xhci_hcd usbcore; do
                [ ! -d /sys/module/$module ] || refusal=$(rmmod $module 2>&1) || break
        done
        [ -d /sys/module/usbcore ] || exit 0
        sleep 0.1
done
echo "the kernel does not let go of its USB core: $refusal"
lsmod
ls -l /proc/[0-9]*/fd | grep /dev/bus/usb
exit 1
"""


def test_daemon_that_started_before_the_kernel_had_usb_gets_its_cameras(dock):
    """As at boot, where usbcore is loaded when udev finds a controller."""
    dock.guest.run(TAKE_USB_AWAY)
    dock.guest.run("systemctl start berthd")
    assert dock.guest.holds("[ ! -d /sys/bus/usb ]"), "something has loaded the USB core before its turn: this tests nothing"
    dock.guest.run("modprobe xhci_pci")
    dock.guest.wait("[ $(cat /sys/module/usbcore/parameters/usbfs_memory_mb) = 128 ]", "udev to raise the limit of USB memory")

    def use(_digests):
        dock.wait_state(1, "ready")
    with_qemu_camera(dock, 3, use)
    dock.wait_state(1, "empty")


LAMP_RULE = 'SUBSYSTEM=="leds", KERNEL=="*::scrolllock", ENV{BERTH_LED}="1"'


def test_lamp_of_the_kernel_shows_how_the_bay_is(dock):
    """A keyboard's LED is of the kernel's LED class like any other. Its name is not Berth's, so udev needs the line that the rule's head
    tells."""
    lamp = dock.guest.run("echo /sys/class/leds/*::scrolllock").strip()
    assert dock.guest.run(f"stat -c '%U %G %a' {lamp}/brightness").strip() == "root root 644"
    assert "[none]" not in dock.guest.run(f"cat {lamp}/trigger"), "nothing else would have written to it"
    dock.put("/etc/udev/rules.d/70-rack-lamps.rules", LAMP_RULE)
    dock.guest.run("udevadm control --reload && udevadm trigger --action=change --subsystem-match=leds --settle")
    assert dock.guest.run(f"stat -c '%U %G %a' {lamp}/brightness").strip() == "root berth 664"
    assert "[none]" in dock.guest.run(f"cat {lamp}/trigger")
    dock.guest.run(f"sed -i '/^number = 1$/a led = {os.path.basename(lamp)}' /etc/berth/berthd.conf")
    dock.restart()
    assert dock.guest.run("ps -o user= -p $(systemctl show -P MainPID berthd)").strip() == "berth"

    def wait_lamp(lit, what):
        dock.guest.wait(f"[ $(cat {lamp}/brightness) = {int(lit)} ]", what)

    def use(_digests):
        dock.wait_state(1, "ready")
        wait_lamp(True, "the lamp to be lit")
    wait_lamp(False, "the lamp of an empty bay to be dark")
    with_qemu_camera(dock, 3, use)
    dock.wait_state(1, "empty")
    wait_lamp(False, "the lamp to go out")
    dock.guest.run("berthctl bay locate 1 600")
    for lit in (True, False, True):
        wait_lamp(lit, "the lamp to blink")
    dock.guest.run("berthctl bay locate 1 0")
    assert "cannot be used" not in dock.journal(), dock.journal()


if __name__ == "__main__":
    guest_dock.main(["1-3", "1-4"])
