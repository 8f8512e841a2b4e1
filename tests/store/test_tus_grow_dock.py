#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whole docks whose clips go to a real @tus/server while their cameras are still read: as to any store, and what becomes of the cameras by
the receipts that a server of this protocol can give."""

import atexit
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
import tus_server  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from rack import TusPlace, make_clip  # noqa: E402
from store_grow_dock import MIB, GrowWorld, assert_stored, camera, hold_at, run, wait_pieces  # noqa: E402
from tus_world import kind_of, records_in, tus_phase  # noqa: E402

rack.enter()
missing = tus_server.missing()
assert missing is None, f"{missing} is missing: run 'make deps'"
folder = tempfile.mkdtemp(prefix="tus-")
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))


class World(GrowWorld):
    """Each dock has a server of its own, since a server has no folders."""

    PART, CREATED_FOR_SMALL = 2 * MIB, 1
    step, took = "patch", 204
    strength = "size"

    def __init__(self, **options):
        self.options = options
        self.store = self.proxy = None

    def dock(self, dock, bays, accept="size", **more):
        self.store = tus_server.TusServer(tempfile.mkdtemp(dir=folder), **self.options)
        atexit.register(self.store.close)
        store = self.store
        self.proxy = FaultProxy(store.port, phase_of=lambda *request: tus_phase(store, *request))
        return super().dock(dock, bays, policy={"accept": accept}, **more)

    def place(self):
        return TusPlace(self.store, endpoint=self.proxy.endpoint, part_size="2M")

    def made(self):
        return self.proxy.count("manifest-create")

    def unfinished(self, d):
        del d
        return self.store.unfinished([key for key in self.store.uploads() if kind_of(self.store, key) == "clip"])

    def left(self, d):
        return self.store.unfinished(self.store.uploads())

    def records(self, d):
        return records_in(d.path("uplink-state"))


class CheckingWorld(World):
    """Of servers that check each piece."""

    strength = "digest"

    def __init__(self):
        super().__init__(checksum="yes")


def pulled_slowly(world, sim, dock, **more):
    d = world.dock(dock, ["1-1.1"], **more).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    hold_at(d, sim, 16 * MIB)
    wait_pieces(world, d)
    assert not d.events("copied"), "the pull had ended"
    sim("slow", camera="c", bytes_per_sec=0)
    return d, digests


def test_receipt_of_size_alone_erases_nothing_of_what_grew(sim, dock):
    world = World()
    d, digests = pulled_slowly(world, sim, dock, accept="digest")
    d.wait_state(1, "quarantined", deadline=180)
    assert "weaker than [policy] accept" in d.bay(1)["Reason"], d.bay(1)["Reason"]
    assert_stored(world, d, digests)
    assert len(sim("state", camera="c")["clips"]) == 1 and not d.events("erased"), "it was erased"


def test_server_that_checks_each_piece_erases_what_grew(sim, dock):
    world = CheckingWorld()
    d, digests = pulled_slowly(world, sim, dock, accept="digest")
    d.wait_state(1, "ready", deadline=180)
    assert_stored(world, d, digests)
    assert sim("state", camera="c")["clips"] == [], "the camera is not erased"


run(World(), test_receipt_of_size_alone_erases_nothing_of_what_grew, test_server_that_checks_each_piece_erases_what_grew)
