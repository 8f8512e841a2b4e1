#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""On the kernel's own USB stack, the installed Berth does the main job on storage that others made: QEMU's disks and a gadget of the
kernel's, with file systems that the guest's own mkfs and kernel wrote, and without the kernel's driver."""

import errno
import os
import sys

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from guest import disk  # noqa: E402
from guest_dock import MIB, slow_after  # noqa: E402

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

MARK = "here is the sector that will not be read"
OVERWRITE = r"""
set -e
card=/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_SERIAL-0:0
timeout 60 sh -c "until [ -b $card ]; do sleep 0.1; done"
mount $card /run/card
printf '%-512s' 'MARK' | dd of=/run/card/CLIP bs=512 seek=SECTOR conv=notrunc status=none
{ head -c $((SECTOR * 512)) /run/card/CLIP; head -c 512 /dev/zero; tail -c +$(((SECTOR + 1) * 512 + 1)) /run/card/CLIP; } | sha256sum
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


def worker_facts(dock, port):
    """What the kernel knows of the one worker, and of the interface that it holds."""
    text = dock.guest.run(f"""
    worker=$(pgrep -x berth-bay)
    echo berth $(id -u berth)
    sed -n 's/^Uid:\\t\\([0-9]*\\).*/uid \\1/p; s/^Seccomp:/seccomp/p; s/^NoNewPrivs:/no_new_privs/p; s/^CapEff:/capabilities/p' \
            /proc/$worker/status
    echo driver $(basename $(readlink /sys/bus/usb/devices/1-{port}:1.0/driver))
    echo disks $(ls -d /sys/bus/usb/devices/1-{port}:1.0/host* 2>/dev/null)
    """)
    return {line.split()[0]: "".join(line.split()[1:]) for line in text.splitlines()}


def test_unplugged_in_the_middle_it_goes_on_at_the_next_docking(dock):
    bay = list(BAYS).index("unplugged") + 1
    card = fat32(dock, "unplugged")
    digests = card.fill(24 * MIB, 70_000)
    dock.guest.qmp("object-add", **{"qom-type": "throttle-group", "id": "slow", "limits": slow_after(14 * MIB)})
    card.plug(BAYS["unplugged"], {"driver": "throttle", "throttle-group": "slow", "file": {"driver": "raw", "file": card.file()}})
    dock.wait(lambda: dock.bays[bay]["bytes_copied"] > 10 * MIB, "10 MiB to be copied")
    worker = worker_facts(dock, BAYS["unplugged"])
    card.unplug()
    dock.wait_state(bay, "empty")
    assert worker["driver"] == "usbfs" and not worker["disks"], f"the kernel has the card beside the worker: {worker}"
    assert worker["uid"] == worker["berth"] != "0" and worker["seccomp"] == "2" and worker["no_new_privs"] == "1", worker
    assert int(worker["capabilities"], 16) == 0, worker
    dock.wait_asking(lambda: dock.events("pull-interrupted", card.serial), "the log to tell that the pull was broken off")
    card.plug(BAYS["unplugged"])
    dock.wait_state(bay, "ready")
    dock.judge(card.serial, digests)
    offsets = [e["offset_bytes"] for e in dock.events("pull-begun", card.serial)]
    assert max(offsets) >= 8 * MIB, f"it began again from the first byte: {offsets}"
    card.unplug()
    dock.wait_state(bay, "empty")


def test_clip_on_a_bad_sector_is_reported_and_the_others_go_on(dock):
    bay = list(BAYS).index("broken") + 1
    card = exfat(dock, "broken")
    digests = card.fill(3 * MIB, 4 * MIB, 500_000)
    victim, offset = "DCIM/100BERTH/CLIP0002.MP4", 2 * MIB
    with_zeros = card.on_workbench(OVERWRITE.replace("CLIP", victim).replace("SECTOR", str(offset // 512)).replace("MARK", MARK)).split()[0]
    with open(card.path, "rb") as f:
        at = f.read().index(MARK.encode())
    # ENODATA is what QEMU makes the sense "medium error, unrecovered read error" of.
    card.plug(BAYS["broken"], {"driver": "blkdebug", "image": {"driver": "raw", "file": card.file()}, "inject-error": [
        {"event": "none", "iotype": "read", "errno": errno.ENODATA, "sector": at // 512, "once": False}]})
    shown = dock.wait_state(bay, "quarantined")
    assert victim in shown["reason"] and f"bytes {offset} to {offset + 511}" in shown["reason"], shown
    del digests[victim]
    dock.wait(lambda: dock.bays[bay]["clips_erased"] == len(digests), "the others to be erased")
    dock.judge(card.serial, digests)
    dock.wait_asking(lambda: dock.kept_in_part(card.serial), "what can be read of the clip to be stored")
    assert dock.kept_in_part(card.serial) == {victim: (with_zeros, [[offset, 512]])}, (dock.kept_in_part(card.serial), with_zeros)
    told = [e for e in dock.events("pull-unreadable", card.serial) if "partial" not in e["reason"]]
    assert [e["ranges"] for e in told] == [[[offset, 512]]] * 4 and {e["path"] for e in told} == {victim}, told
    assert not dock.events("fault", card.serial), "the medium's fault is not the camera's"
    card.unplug()
    dock.wait_state(bay, "empty")
    assert card.left() == {"SYSTEM/camera.cfg", victim}


if __name__ == "__main__":
    guest_dock.main([f"1-{port}" for port in BAYS.values()])
