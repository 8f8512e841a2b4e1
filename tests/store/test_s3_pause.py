#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Uploads that are paused, by an order or by the schedule: what is under way ends within moments, and nothing but the part that was
under way is sent again."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from s3_world import MIB, World, tap, uplink  # noqa: E402

world = World()
PART = 5 * MIB


def sent():
    return world.proxy.body_bytes["part"]


def begin_slowly(dock, clip, bytes_):
    world.proxy.reset()
    world.proxy.bandwidth = 10 * MIB
    call = dock.begin_put(clip)
    dock.wait(lambda: sent() >= bytes_, f"{bytes_} bytes to be sent")
    return call


def assert_stopped(dock, call):
    try:
        dock.finish(call)
    except uplink.Refused as e:
        assert e.name == "Stopped", f"{e.name}: {e.text}"
    else:
        raise AssertionError("it was not stopped")


def goes_on(dock, clip):
    world.proxy.bandwidth = None
    dock.judge(clip, dock.put(clip))
    assert sent() <= clip.size + PART and world.proxy.count("create") == 1, f"{sent() - clip.size} bytes were sent again"


def hold(dock, held):
    dock.finish(dock.begin("Hold", uplink.GLib.Variant("(b)", (held,))))


def test_order_stops_what_is_under_way_and_what_waits():
    dock = world.dock(transfers="1").start()
    stored, clip, waits = dock.clip(MIB), dock.clip(43 * MIB), dock.clip(MIB)
    receipt = dock.put(stored)
    calls = [begin_slowly(dock, clip, 2 * PART + MIB), dock.begin_put(waits)]
    hold(dock, True)
    for call in calls:
        assert_stopped(dock, call)
    assert_stopped(dock, dock.begin_put(waits))
    assert dock.confirm(stored, receipt) == "digest", "a receipt cannot be confirmed meanwhile"
    before = sent()
    hold(dock, False)
    assert sent() == before
    goes_on(dock, clip)
    dock.put(waits)
    dock.end()


def test_order_ends_with_who_gave_it():
    dock = world.dock().start()
    clip = dock.clip(MIB)
    hold(dock, True)
    assert_stopped(dock, dock.begin_put(clip))
    dock.conn.close_sync(None)
    dock._connect(60)
    dock.judge(clip, dock.put(clip))
    dock.end()


def test_schedule_stops_what_is_under_way_and_says_until_when():
    now = time.time()
    if time.localtime(now).tm_sec > 40:  # so that the upload begins before
        now += 60
    begin, end = (time.strftime("%H:%M", time.localtime(now + seconds)) for seconds in (60, 2 * 3600))
    dock = world.dock(limit=f"{begin}-{end} none", stall="300s").start()
    clip = dock.clip(43 * MIB)
    call = begin_slowly(dock, clip, PART)
    world.proxy.bandwidth = 200_000  # for longer than the minute
    dock.wait(lambda: dock.state()[0] == "paused", "the pause to begin", 150)
    assert_stopped(dock, call)
    text = dock.state()[1]
    assert text.startswith("the schedule allows no uploads until ") and text.endswith(end), text
    assert dock.states[-1] == ("paused", text), "it was not told"
    assert_stopped(dock, dock.begin_put(clip))
    dock.end()
    dock.settings["limit"] = f"{begin}-{end} 1 GB/s"
    dock.configure("")
    dock.start()
    goes_on(dock, clip)
    dock.end()


if __name__ == "__main__":
    tap.main()
