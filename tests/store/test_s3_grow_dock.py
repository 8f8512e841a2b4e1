#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whole docks whose clips go to a real Ceph while their cameras are still read: as to any store, what is shown of it, pauses, and how whole
clips and growing ones share the places."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from rack import S3Place, make_clip  # noqa: E402
from rgw import Rgw  # noqa: E402
from store_grow_dock import MIB, GrowWorld, assert_stored, camera, hold_at, let_go, run, wait_pieces  # noqa: E402

rack.enter()
store = Rgw(os.path.join(tempfile.mkdtemp(prefix="s3-"), "ceph"))
atexit.register(store.close)
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
store.make_bucket("clips")


class World(GrowWorld):
    """Each dock has a prefix of its own in the one bucket."""

    PART, CREATED_FOR_SMALL = 5 * MIB, 0
    step, took = "part", 200
    strength = "digest"

    def __init__(self):
        self.number = 0
        self.proxy = FaultProxy(store.port)

    def place(self):
        self.number += 1
        return S3Place(store, "clips", f"grow-{self.number}", endpoint=self.proxy.endpoint, part_size="5M")

    def made(self):
        return self.proxy.count("complete")

    def unfinished(self, d):
        return store.uploads("clips", d.place.prefix + "/")

    def records(self, d):
        return os.listdir(d.path("uplink-state", "uploads"))


world = World()


def uploads_with_parts():
    return [path.split("uploadId=")[1].split("&")[0] for path in world.pieces()]


def test_growing_clip_is_shown_as_on_its_way(sim, dock):
    d = world.dock(dock, ["1-1.1"]).start()
    camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    hold_at(d, sim, 16 * MIB)
    wait_pieces(world, d)

    def listed():
        return d.conn.call_sync(rack.NAME, f"{rack.ROOT}/transfer", f"{rack.NAME}.Transfers", "ListTransfers",
                                rack.GLib.Variant("(tu)", (0, 10)), None, 0, 60000, None).unpack()[0]

    d.wait(lambda: any(t["StoredBytes"] >= 3 * world.PART for t in listed()), "its progress to be told")
    found = listed()
    assert [(t["Path"], t["State"]) for t in found] == [("a.MP4", "uploading")] and "pulled" in found[0]["Reason"], found
    let_go(d, sim)


def ctl(*args):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
    return done.stdout


def pause_and_resume(d):
    """Orders a pause, waits until nothing is on its way, and lets it go on."""
    def idle():
        return "uploading" not in [t["state"] for t in json.loads(ctl("transfer", "--json"))["transfers"]]

    ctl("transfer", "pause")
    d.wait(idle, "the uploads to stop")
    before = len(world.pieces())
    assert "paused" in ctl("status")
    world.proxy.go_on()
    ctl("transfer", "resume")
    return before


def test_pause_stops_the_upload_of_a_whole_clip(sim, dock):
    d = world.dock(dock, ["1-1.1"])
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    world.proxy.stop_at(world.step, 2 * world.PART + MIB)
    d.start_uplink()
    wait_pieces(world, d, 2)
    assert pause_and_resume(d) < 13, "it went on to its end"
    d.wait_state(1, "ready", deadline=180)
    assert world.created() == 1 and world.sent() <= 64 * MIB + world.PART, f"{world.sent() - 64 * MIB} bytes were sent again"
    assert_stored(world, d, digests)


def test_pause_stops_the_upload_of_a_growing_clip(sim, dock):
    d = world.dock(dock, ["1-1.1"]).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    hold_at(d, sim, 24 * MIB)
    wait_pieces(world, d)
    pause_and_resume(d)
    let_go(d, sim)
    assert world.created() == 1 and world.sent() <= 64 * MIB + world.PART, f"{world.sent() - 64 * MIB} bytes were sent again"
    assert_stored(world, d, digests)


def test_whole_clips_do_not_wait_for_growing_ones(sim, dock):
    d = world.dock(dock, ["1-1.1", "1-1.2"], policy={"uploads": 1}, transfers=1).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    others = camera(sim, [make_clip(f"{n}.MP4", MIB, 10 + n) for n in range(3)], name="other")
    hold_at(d, sim, 24 * MIB)
    wait_pieces(world, d)
    sim("plug", camera="other", port="1-1.2")
    d.wait_state(2, "ready", deadline=120)
    assert not d.events("copied") or all(e["path"] != "a.MP4" for e in d.events("copied")), "the slow camera was not waited for"
    let_go(d, sim)
    assert world.sent() == 64 * MIB, "something was sent again"
    assert_stored(world, d, {**digests})
    assert_stored(world, d, others, "other")


def test_two_that_grow_share_the_one_place(sim, dock):
    d = world.dock(dock, ["1-1.1", "1-1.2"], transfers=1).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    others = camera(sim, [make_clip("b.MP4", 64 * MIB, 2)], name="other")
    hold_at(d, sim, 16 * MIB)
    hold_at(d, sim, 24 * MIB, "1-1.2", "other", more=16 * MIB)
    d.wait(lambda: len(set(uploads_with_parts())) == 2, "parts of both in the store", 120)
    assert not d.events("copied"), "a pull had ended"
    sim("slow", camera="other", bytes_per_sec=0)
    let_go(d, sim)
    d.wait_state(2, "ready", deadline=180)
    assert world.sent() == 128 * MIB, "something was sent again"
    assert_stored(world, d, digests)
    assert_stored(world, d, others, "other")


run(world, test_growing_clip_is_shown_as_on_its_way, test_pause_stops_the_upload_of_a_whole_clip,
    test_pause_stops_the_upload_of_a_growing_clip, test_whole_clips_do_not_wait_for_growing_ones,
    test_two_that_grow_share_the_one_place)
