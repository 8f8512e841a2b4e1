#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""On the kernel's own USB stack, the installed Berth does the main job on storage that others made: QEMU's disks and a gadget of the
kernel's, with file systems that the guest's own mkfs and kernel wrote, and without the kernel's driver."""

import os
import sys

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from guest import disk  # noqa: E402
from guest_dock import MIB  # noqa: E402

# No bay: here the guest's kernel has the card, to fill it and to judge what is left on it.
WORKBENCH = "10"
BAYS = {"exfat": 3, "fat32": 4, "unplugged": 5, "broken": 6}

MAKE_CARD = r"""
set -e
card=/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_SERIAL-0:0
timeout 60 sh -c "until [ -b $card ]; do sleep 0.1; done"
MKFS
mkdir -p /run/card
mount -o iocharset=utf8 $card /run/card
mkdir -p /run/card/DCIM/100BERTH /run/card/DCIM/101BERTH /run/card/SYSTEM
cd /run/card/DCIM
i=0
for size in SIZES; do
        i=$((i + 1))
        head -c $size /dev/urandom > 10$((i % 2))BERTH/CLIP000$i.MP4
done
cp 100BERTH/CLIP0002.MP4 "101BERTH/A long name with ümlauts, and blanks.mp4"
: > 100BERTH/EMPTY.MP4
echo settings > ../SYSTEM/camera.cfg
cd /run/card
find DCIM -type f -exec sha256sum {} +
cd /
umount /run/card
"""

JUDGE_CARD = r"""
set -e
card=/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_SERIAL-0:0
timeout 60 sh -c "until [ -b $card ]; do sleep 0.1; done"
FSCK
mount -o ro,iocharset=utf8 $card /run/card
cd /run/card
find . -type f
cd /
umount /run/card
"""


class Card:
    """A disk image that is a card of a QEMU camera, or lies on the workbench."""

    def __init__(self, dock, name, mkfs, fsck, size_mib):
        self.guest, self.name, self.serial = dock.guest, name, f"CAM-{name.upper()}"
        self.fsck = fsck
        self.mkfs = mkfs
        self.path = disk(dock.guest.path(f"card-{name}"), size_mib * MIB)
        self.plugged = 0

    def file(self):
        """A block node over the image. QEMU lets go of the last device's only some time after its unplugging, hence no locks."""
        return {"driver": "file", "filename": self.path, "locking": "off"}

    def plug(self, port, node=None):
        """`node` takes the place of the image as it is."""
        self.plugged += 1
        name = f"{self.name}-{self.plugged}"
        self.guest.qmp("blockdev-add", **{"node-name": name, **(node or {"driver": "raw", "file": self.file()})})
        self.guest.plug("usb-storage", f"dev-{self.name}", port, drive=name, serial=self.serial, removable=True)

    def unplug(self):
        self.guest.unplug(f"dev-{self.name}")

    def on_workbench(self, script):
        self.plug(WORKBENCH)
        try:
            return self.guest.run(script.replace("SERIAL", self.serial), 240)
        finally:
            self.unplug()

    def fill(self, *sizes):
        """Makes the file system and footage on it, by the guest's kernel; {path: sha256}."""
        script = MAKE_CARD.replace("MKFS", self.mkfs).replace("SIZES", " ".join(map(str, sizes)))
        sums = self.on_workbench(script)
        return {path: digest for digest, path in (line.split("  ", 1) for line in sums.splitlines() if "  DCIM" in line)}

    def left(self):
        """What files the guest's kernel finds on it, once its fsck has found nothing to complain about."""
        text = self.on_workbench(JUDGE_CARD.replace("FSCK", self.fsck))
        return {line.removeprefix("./") for line in text.splitlines() if line.startswith("./")}


def exfat(dock, name, size_mib=128):
    return Card(dock, name, "mkfs.exfat $card > /dev/null", "fsck.exfat -n $card", size_mib)


def fat32(dock, name, size_mib=128):
    """On a partition, as cameras make them."""
    mkfs = ("echo 'start=2048, type=c' | sfdisk -q $card\nudevadm settle\ncard=$card-part1\n"
            "timeout 60 sh -c \"until [ -b $card ]; do sleep 0.1; done\"\nmkfs.fat -F 32 $card > /dev/null")
    fsck = "card=$card-part1\ntimeout 60 sh -c \"until [ -b $card ]; do sleep 0.1; done\"\nfsck.fat -n $card"
    return Card(dock, name, mkfs, fsck, size_mib)


def main_job(dock, card, port):
    bay = list(BAYS.values()).index(port) + 1
    digests = card.fill(1, 3 * MIB + 77, 32768, 6 * MIB, 100_000)
    assert len(digests) == 7, digests
    card.plug(port)
    shown = dock.wait_state(bay, "ready")
    assert (shown["clips_total"], shown["clips_erased"]) == (len(digests), len(digests)), shown
    dock.judge(card.serial, digests)
    card.unplug()
    dock.wait_state(bay, "empty")
    left = card.left()
    assert left == {"SYSTEM/camera.cfg"}, f"the kernel finds on the card: {left}"


def test_main_job_on_exfat(dock):
    main_job(dock, exfat(dock, "exfat"), BAYS["exfat"])


def test_main_job_on_fat32(dock):
    main_job(dock, fat32(dock, "fat32"), BAYS["fat32"])


if __name__ == "__main__":
    guest_dock.main([f"1-{port}" for port in BAYS.values()])
