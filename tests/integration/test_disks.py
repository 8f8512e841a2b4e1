#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The dock's own disk fails in each of its ways while footage is on the way: it is said, nothing is erased, and it goes on afterwards."""

import errno
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20


def camera(sim, name, clips):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)
    return {(f"SN-{name}", path): [digest] for path, digest in rack.sha256_of(sim("state", camera=name, sha256=True)).items()}


def left_on(sim, name):
    return len(sim("state", camera=name)["clips"])


PRELOAD = f"{rack.BUILD}/tests/preload/fail_disk.so"


class Disk:
    """The disk of berthd and the uploader."""

    def __init__(self, d):
        self.path = d.path("disk")
        self.set()
        self.use(d)

    def use(self, d):
        d.preload = PRELOAD
        os.environ["BERTH_DISK_FILE"] = self.path

    def set(self, write=0, sync=0, read=0, data_sync=0, place=""):
        """place: a piece of the paths that are on it."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(fd, bytes(256 if not place else 4), 0)
        os.pwrite(fd, place.encode() + b"\0", 4)
        os.pwrite(fd, bytes([write, sync, read, data_sync]), 0)
        os.close(fd)


class WorkerDisk(Disk):
    """The disk as workers alone see it. They are given no environment: a script in the place of berth-bay makes one."""

    def use(self, d):
        script = d.path("worker")
        with open(script, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o755)) as f:
            f.write(f'#!/bin/sh\nLD_PRELOAD={PRELOAD} BERTH_DISK_FILE={self.path} exec {rack.BUILD}/berth-bay "$@"\n')
        d.config["worker"] = script
        d.write_config()


def is_told(d):
    return d.manager().get("State") == "degraded" or d.bay(1).get("Faults", 0) > 0 or d.state_of(1) == "fault"


def fails_and_recovers(sim, dock, **fault):
    d = dock(["1-1.1"])
    disk = Disk(d)
    d.start()
    d.wait(lambda: d.events("chain-verified"), "the start's last event")
    digests = camera(sim, "c", [make_clip("a.MP4", 9 * MIB, 1), make_clip("b.MP4", 3, 2)])
    disk.set(**fault)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: is_told(d), "the trouble to be told")
    assert left_on(sim, "c") == 2 and not d.stored(), "something was done that nothing on disk allowed"
    assert d.daemon.running()
    disk.set()
    d.wait_state(1, "ready", deadline=120)
    assert d.stored() == digests and len(d.objects()) == 2, (d.stored(), d.objects())
    assert left_on(sim, "c") == 0
    d.wait(lambda: d.manager()["State"] == "running", "the dock to be well again")
    d.check_chain()


def test_full_disk(sim, dock):
    fails_and_recovers(sim, dock, write=errno.ENOSPC)


def test_writes_that_fail(sim, dock):
    fails_and_recovers(sim, dock, write=errno.EIO)


def test_disk_that_became_read_only(sim, dock):
    fails_and_recovers(sim, dock, write=errno.EROFS, sync=errno.EROFS)


def test_syncs_that_fail(sim, dock):
    fails_and_recovers(sim, dock, sync=errno.EIO)


# ---- One place after the other

FAULTS = {
    "full": {"write": errno.ENOSPC},
    "refuses writes": {"write": errno.EIO},
    "does not sync": {"sync": errno.EIO},
    "cannot be read": {"read": errno.EIO},
    "became read-only": {"write": errno.EROFS, "sync": errno.EROFS},
}


def each_fault_at(sim, dock, place, faults, told):
    """Each fault, at files of this place alone, while clips are on their way: nothing leaves the camera that is not stored; it is told; and
    when the disk is well again all comes to its end, once."""
    d = dock(["1-1.1"])
    disk = Disk(d)
    d.start()
    d.wait(lambda: d.events("chain-verified"), "the start's last event")
    digests = {}
    for n, fault in enumerate(faults):
        name = f"c{n}"
        new = camera(sim, name, [make_clip(f"{n}a.MP4", 9 * MIB, 10 * n + 1), make_clip(f"{n}b.MP4", 3, 10 * n + 2)])
        logged = len(d.daemon.output() + d.uplink.output())
        disk.set(place=place, **FAULTS[fault])
        sim("plug", camera=name, port="1-1.1")
        d.wait(lambda at=logged: is_told(d) or told in (d.daemon.output() + d.uplink.output())[at:], f"{place} that {fault} to be told")
        assert left_on(sim, name) + sum(clip in d.stored() for clip in new) >= 2, f"{place} that {fault} lost a clip"
        disk.set()
        d.wait_state(1, "ready", deadline=120)
        digests |= new
        assert d.stored() == digests and len(d.objects()) == len(digests), (fault, d.stored(), d.objects())
        assert left_on(sim, name) == 0
        sim("unplug", camera=name)
        d.wait_state(1, "empty")
    d.check_chain()


def test_database_alone(sim, dock):
    each_fault_at(sim, dock, "/state/berth.db", ("full", "refuses writes", "does not sync", "became read-only"), "database")


def test_custody_head_alone(sim, dock):
    each_fault_at(sim, dock, "/state/chain.head", ("refuses writes", "does not sync", "became read-only"), "chain.head")


def test_spool_alone(sim, dock):
    each_fault_at(sim, dock, "/state/spool/", ("does not sync",), "spool")


def test_store_folder_alone(sim, dock):
    each_fault_at(sim, dock, "/store/", ("full", "refuses writes", "does not sync", "cannot be read", "became read-only"), "store")


# ---- Of the worker, which writes the parts


def ends_well(sim, d, digests):
    d.wait_state(1, "ready", deadline=120)
    assert d.stored() == digests and len(d.objects()) == len(digests), (d.stored(), d.objects())
    assert left_on(sim, "c") == 0
    d.check_chain()


def worker_fails_and_recovers(sim, dock, word, **fault):
    """Neither is a byte called durable that may not be, nor anything erased; the next pull begins where the last durable byte was."""
    d = dock(["1-1.1"])
    disk = WorkerDisk(d)
    d.start()
    digests = camera(sim, "c", [make_clip("a.MP4", 20 * MIB, 1), make_clip("b.MP4", 3, 2)])
    disk.set(**fault)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: word in d.bay(1).get("Reason", ""), "the trouble to be told")
    assert not d.rows("SELECT 1 FROM blocks") and not d.events("copied"), "what the disk refused was taken for durable"
    assert all(e["offset_bytes"] == 0 for e in d.events("pull-begun")), d.events("pull-begun")
    assert left_on(sim, "c") == 2 and not d.stored()
    disk.set()
    ends_well(sim, d, digests)


def test_worker_whose_disk_is_full(sim, dock):
    worker_fails_and_recovers(sim, dock, "spool is full", write=errno.ENOSPC)


def test_worker_whose_writes_fail(sim, dock):
    worker_fails_and_recovers(sim, dock, "Input/output error", write=errno.EIO)


def test_worker_whose_syncs_fail_calls_nothing_durable(sim, dock):
    worker_fails_and_recovers(sim, dock, "Input/output error", data_sync=errno.EIO)


def test_worker_whose_folder_cannot_be_synced(sim, dock):
    worker_fails_and_recovers(sim, dock, "Input/output error", sync=errno.EIO)


def test_worker_whose_disk_became_read_only(sim, dock):
    worker_fails_and_recovers(sim, dock, "Read-only", write=errno.EROFS, sync=errno.EROFS)


def test_worker_that_cannot_read_a_part_back_does_not_go_on_with_it(sim, dock):
    d = dock(["1-1.1"])
    disk = WorkerDisk(d)
    d.start()
    digests = camera(sim, "c", [make_clip("a.MP4", 40 * MIB, 1)])
    sim("slow", camera="c", bytes_per_sec=60 * MIB)
    sim("unplug_after", camera="c", bytes=30 * MIB)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.rows("SELECT 1 FROM blocks"), "a block's fact")
    d.wait_state(1, "empty")
    sim("slow", camera="c", bytes_per_sec=0)
    disk.set(read=errno.EIO)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: is_told(d), "the trouble to be told")
    assert left_on(sim, "c") == 1 and not d.events("copied") and not d.stored(), "a part that cannot be read was gone on with"
    disk.set()
    ends_well(sim, d, digests)


# ---- Of the uploader: the store's disk


def test_store_whose_syncs_fail_gives_no_receipt(sim, dock):
    d = dock(["1-1.1"])
    disk = Disk(d)
    d.start_uplink()
    d.preload = None
    d.start_daemon()
    digests = camera(sim, "c", [make_clip("a.MP4", 9 * MIB, 1), make_clip("b.MP4", 3, 2)])
    disk.set(sync=errno.EIO)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: len(d.events("copied")) == 2 and "Input/output error" in d.uplink.output(), "copies in the spool, and the trouble told")
    assert left_on(sim, "c") == 2 and not d.events("receipted"), "the store's disk refused it, and a receipt was given"
    disk.set()
    ends_well(sim, d, digests)


def test_digest_that_lost_a_bit_is_found_and_nothing_erased(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "c", [make_clip("a.MP4", 300_000, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    d.daemon.end()
    db = sqlite3.connect(os.path.join(d.state, "berth.db"))
    digest = bytearray(db.execute("SELECT digest FROM clips").fetchone()[0])
    digest[7] ^= 0x10
    db.execute("UPDATE clips SET digest = ?", (bytes(digest),))
    db.commit()
    db.close()
    d.start_daemon()
    d.wait(lambda: d.manager()["ChainState"] == "broken", "the bit to be found")
    reason = d.manager()["Reason"]
    assert "clip 1" in reason and "restore" in reason and "nothing is erased" in reason, reason


rack.run([test_full_disk, test_writes_that_fail, test_disk_that_became_read_only, test_syncs_that_fail, test_database_alone,
          test_custody_head_alone, test_spool_alone, test_store_folder_alone, test_worker_whose_disk_is_full,
          test_worker_whose_writes_fail, test_worker_whose_syncs_fail_calls_nothing_durable,
          test_worker_whose_folder_cannot_be_synced, test_worker_whose_disk_became_read_only,
          test_worker_that_cannot_read_a_part_back_does_not_go_on_with_it,
          test_store_whose_syncs_fail_gives_no_receipt,
          test_digest_that_lost_a_bit_is_found_and_nothing_erased])
