#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The dock's disks break under the kernel's own file system, by device-mapper: writes are refused, everything is, it becomes read-only, it
is full, it says that it has written and has not, it forgets the end of what it was given. Each time it is said in words, nothing is erased
that is not stored, and nothing is lost; and when the disk is repaired as an admin does it (stopped, unmounted, checked, mounted) all comes
to its end.
"""

import contextlib
import os
import sys

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from card_camera import PHASES, PORT, CardCamera, lost  # noqa: E402
from guest_dock import MIB, STATE, STORE  # noqa: E402

BAY = 1
# So much that the end of it is not there before the disk fails.
SIZES = [700_001, 1, 6 * MIB + 17, 12 * MIB]
FOLDERS = {"state": STATE, "store": STORE}

PULLING = PHASES["pulling"]


def pulled(bay):
    return bay["clips_copied"] == len(SIZES)


# How a disk fails from now on, without a word to the file system above it.
TABLES = {
    "fails": "error",
    "refuses writes": "flakey $device 0 0 3600 1 error_writes",
    "loses writes": "flakey $device 0 0 3600 1 drop_writes",
}
SET_TABLE = """
set -e
device=$(readlink -f /dev/disk/by-id/virtio-DISK)
dmsetup suspend --nolockfs --noflush DISK
dmsetup reload DISK --table "0 $(blockdev --getsz $device) TABLE"
dmsetup resume --noflush --nolockfs DISK
"""
STOP = "systemctl stop berthd berth-uplink\n"
# fsck's 1: it repaired something.
REPAIR = """
umount FOLDER
dmsetup remove --retry DISK
device=$(readlink -f /dev/disk/by-id/virtio-DISK)
dmsetup create DISK --table "0 $(blockdev --getsz $device) linear $device 0"
udevadm settle
e2fsck -fy /dev/mapper/DISK > /run/fsck 2>&1
[ $? -le 1 ] || { cat /run/fsck; exit 1; }
mount /dev/mapper/DISK FOLDER
"""


def set_table(disk, how):
    return SET_TABLE.replace("DISK", disk).replace("TABLE", TABLES[how])


def repair(dock, disk):
    dock.guest.run(STOP + REPAIR.replace("DISK", disk).replace("FOLDER", FOLDERS[disk]), 240)
    dock.restart("systemctl start berthd")


def words(dock):
    """All that is said of what is wrong."""
    return " | ".join(str(text) for text in (dock.dock.get("reason"), dock.dock.get("store_reason"), dock.dock.get("spool_state"),
                                             dock.bays[BAY].get("reason")) if text)


def told(dock, *pieces):
    """Until one of the pieces is told on the bus; how it was."""
    dock.wait(lambda: any(piece in words(dock) for piece in pieces), f"one of {pieces} to be told", 180)
    print(f"# {words(dock)}", flush=True)
    assert "output error: Input" not in words(dock), words(dock)


@contextlib.contextmanager
def camera_in(dock, name, until):
    """A camera that is plugged in, and in the middle of its pull, or pulled. Nothing is sent before go_on(), so nothing can be erased."""
    camera = CardCamera(dock, name, SIZES)
    dock.guest.run("berthctl transfer pause")
    try:
        camera.plug(dock)
        dock.wait(lambda: dock.bays[BAY]["serial"] == camera.serial and until(dock.bays[BAY]), f"{name} to be there", 240)
        yield camera
    finally:
        camera.end()
    dock.wait_state(BAY, "empty")


def untouched(camera):
    assert camera.left() == camera.digests, f"erased: {sorted(set(camera.digests) - set(camera.left()))}"


def go_on(dock):
    dock.guest.run("berthctl transfer resume", check=False)


def ends_well(dock, camera):
    go_on(dock)
    dock.wait(lambda: dock.bays[BAY]["serial"] == camera.serial and dock.bays[BAY]["state"] == "ready", "the camera to be ready", 300)
    assert dock.stored(camera.serial) == camera.digests, dock.stored(camera.serial)
    assert not camera.left() and not lost(dock, camera)
    dock.wait(lambda: dock.dock.get("state") == "running" and dock.dock.get("chain_state") == "whole", "the dock to be well")
    restarts = dock.guest.run("systemctl show -P NRestarts berthd berth-uplink").split()
    assert restarts == ["0", "0"], f"something ended by itself: {restarts}"


def test_state_disk_that_refuses_writes(dock):
    with camera_in(dock, "writes", PULLING) as camera:
        dock.guest.run(set_table("state", "refuses writes"))
        told(dock, "nput/output error", "ead-only")
        untouched(camera)
        repair(dock, "state")
        ends_well(dock, camera)


def test_store_disk_that_fails(dock):
    """Writes, syncs and what is read back."""
    with camera_in(dock, "store", pulled) as camera:
        dock.guest.run("berthctl transfer resume\n" + set_table("store", "fails"))
        told(dock, "nput/output error", "ead-only")
        untouched(camera)
        repair(dock, "store")
        ends_well(dock, camera)


def test_store_disk_that_loses_what_it_says_it_wrote_gives_no_receipt(dock):
    """It is read back from the disk and not from memory."""
    with camera_in(dock, "liar", pulled) as camera:
        dock.guest.run(set_table("store", "loses writes") + "berthctl transfer resume")
        told(dock, "gave other bytes back than were written")
        untouched(camera)
        assert not dock.events("receipted", camera.serial)
        repair(dock, "store")
        ends_well(dock, camera)


def test_full_state_disk(dock):
    with camera_in(dock, "full", PULLING) as camera:
        dock.guest.run(f"fallocate -l $(df -B1 --output=avail {STATE} | tail -n 1) {STATE}/filler")
        told(dock, "spool is full", "No space")
        untouched(camera)
        dock.guest.run(f"rm {STATE}/filler")
        ends_well(dock, camera)


def test_state_disk_that_became_read_only(dock):
    """As ext4 does when it finds an error in itself."""
    dock.guest.run(f"mount -o remount,errors=remount-ro {STATE}")
    with camera_in(dock, "readonly", PULLING) as camera:
        dock.guest.run("echo 1 > /sys/fs/ext4/$(basename $(readlink -f /dev/mapper/state))/trigger_fs_error")
        # A write ends with the one, a sync with the other: whichever was under way.
        told(dock, "nput/output error", "ead-only")
        untouched(camera)
        repair(dock, "state")
        ends_well(dock, camera)


def test_database_that_lost_the_end_of_its_log_is_refused_and_recovered(dock):
    with camera_in(dock, "tail", pulled) as camera:
        dock.guest.run("mkdir -p /run/systemd/system/berthd.service.d\n"
                       "printf '[Service]\\nRestart=no\\n' > /run/systemd/system/berthd.service.d/stays.conf\nsystemctl daemon-reload\n"
                       "systemctl kill --signal=KILL berthd")
        dock.guest.wait("! systemctl is-active -q berthd", "berthd to end")
        untouched(camera)
        text = dock.guest.run(f"""
        log={STATE}/berth.db-wal
        truncate -s $(($(stat -c %s $log) / 2)) $log
        systemctl reset-failed berthd
        systemctl start berthd && echo it started
        journalctl --sync
        journalctl -b -u berthd -o cat -n 20
        """, check=False)
        assert "it started" not in text and "berthctl recover" in text and "berth.db" in text, text
        untouched(camera)
        print("# " + [line for line in text.splitlines() if "recover" in line][-1], flush=True)
        dock.guest.run("systemctl reset-failed berthd; berthctl recover")
        dock.restart("systemctl start berthd")
        ends_well(dock, camera)


if __name__ == "__main__":
    guest_dock.main([f"1-{PORT}"], mapped_disks=True)
