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


class Disk:
    """The disk of berthd and the uploader. A worker gets no environment: what it says of its disk, test_worker_pull.c looks at."""

    def __init__(self, d):
        self.path = d.path("disk")
        self.set()
        d.preload = f"{rack.BUILD}/tests/preload/fail_disk.so"
        os.environ["BERTH_DISK_FILE"] = self.path

    def set(self, write=0, sync=0):
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(fd, bytes([write, sync]), 0)
        os.close(fd)


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


rack.run([test_full_disk, test_writes_that_fail, test_disk_that_became_read_only, test_syncs_that_fail,
          test_digest_that_lost_a_bit_is_found_and_nothing_erased])
