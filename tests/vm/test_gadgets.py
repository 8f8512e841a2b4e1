#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A rack of mass-storage gadgets of the guest's kernel, each on a bus of its own: one alone, all at once, and all at once where the
kernel grants next to no memory for USB transfers."""

import os
import sys

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402

GADGETS = 16
FIRST_BUS = 3

# Cards in memory, one folder of footage each, and the gadgets' descriptors; nothing is plugged in yet.
BUILD_RACK = f"""
set -e
modprobe dummy_hcd num={GADGETS} is_high_speed=Y is_super_speed=N
modprobe libcomposite
mkdir -p /run/cards /run/card
mount -t tmpfs -o size=400m cards /run/cards
for n in $(seq {GADGETS}); do
        truncate -s 16M /run/cards/$n
        mkfs.fat -F 16 /run/cards/$n > /dev/null
        gadget=/sys/kernel/config/usb_gadget/camera$n
        mkdir -p $gadget/strings/0x409 $gadget/configs/c.1/strings/0x409 $gadget/functions/mass_storage.0
        cd $gadget
        echo 0x1209 > idVendor
        printf '0x%04x\\n' $((0xb000 + n)) > idProduct
        echo Acme > strings/0x409/manufacturer
        echo "Body camera" > strings/0x409/product
        echo GADGET-$n > strings/0x409/serialnumber
        echo 1 > functions/mass_storage.0/lun.0/removable
        ln -s $gadget/functions/mass_storage.0 configs/c.1/
done
"""

# FROM TO: new footage on these cards; all of them are plugged in when the last one is ready.
PLUG = r"""
set -e
mkdir -p /run/card
for n in $(seq FROM TO); do
        mount -o loop /run/cards/$n /run/card
        mkdir -p /run/card/DCIM/100BERTH
        head -c $((SIZE + n * 1111)) /dev/urandom > /run/card/DCIM/100BERTH/ROUND.MP4
        head -c $((n * 3000)) /dev/urandom > /run/card/DCIM/100BERTH/ROUND-2.MP4
        (cd /run/card && sha256sum DCIM/100BERTH/ROUND*) | sed "s/^/$n /"
        umount /run/card
        echo /run/cards/$n > /sys/kernel/config/usb_gadget/camera$n/functions/mass_storage.0/lun.0/file
done
for n in $(seq FROM TO); do
        echo dummy_udc.$((n - 1)) > /sys/kernel/config/usb_gadget/camera$n/UDC
done
"""

UNPLUG = r"""
for n in $(seq FROM TO); do
        cd /sys/kernel/config/usb_gadget/camera$n
        echo > UDC
        echo > functions/mass_storage.0/lun.0/file
        fsck.fat -n /run/cards/$n
done
"""


def prepare(dock):
    dock.guest.run(BUILD_RACK, 180)


def fill_in(script, first, last, name="", size=0):
    return script.replace("FROM", str(first)).replace("TO", str(last)).replace("ROUND", name).replace("SIZE", str(size))


def main_job(dock, first, last, name, size):
    text = dock.guest.run(fill_in(PLUG, first, last, name, size), 240)
    digests = {}
    for line in text.splitlines():
        n, digest, path = line.split()
        digests.setdefault(int(n), {})[path] = digest
    numbers = range(first, last + 1)
    assert sorted(digests) == list(numbers), text
    dock.wait(lambda: all(dock.bays[n]["state"] == "ready" and dock.bays[n]["clips_erased"] == 2 for n in numbers),
              f"bays {first} to {last} to be ready", 300)
    stored = dock.stored_of_each([f"GADGET-{n}" for n in numbers])
    for n in numbers:
        new = {path: digest for path, digest in stored[f"GADGET-{n}"].items() if name in path}
        assert new == digests[n], f"of GADGET-{n} the store has {new}, the camera had {digests[n]}"
    text = dock.guest.run(fill_in(UNPLUG, first, last), 120)
    dock.wait(lambda: all(dock.bays[n]["state"] == "empty" for n in numbers), f"bays {first} to {last} to be empty")


def test_main_job_on_a_gadget_of_the_kernel(dock):
    main_job(dock, 3, 3, "ALONE", 5_000_000)
    [docked] = dock.events("docked")
    assert (docked["vid"], docked["pid"], docked["usb_serial"], docked["bay"]) == ("1209", "b003", "GADGET-3", "5-1"), docked


def test_sixteen_cameras_at_once(dock):
    main_job(dock, 1, GADGETS, "CROWD", 1_000_000)
    assert not dock.events("fault"), dock.events("fault")


def test_transfers_make_do_with_little_kernel_memory(dock):
    """A worker asks for 1 MiB. For a single URB of its smallest size of all 16 there is just room."""
    dock.guest.run("echo 1 > /sys/module/usbcore/parameters/usbfs_memory_mb")
    main_job(dock, 1, GADGETS, "POOR", 1_000_000)
    assert not dock.events("fault"), dock.events("fault")


if __name__ == "__main__":
    # The one after it has as many at once, in a tighter place.
    if "VM_LONG" not in os.environ:
        del test_sixteen_cameras_at_once
    guest_dock.main([f"{FIRST_BUS + n}-1" for n in range(GADGETS)], prepare=prepare)
