# SPDX-License-Identifier: Apache-2.0
"""Uploads that are paused, by an order or by the schedule, whatever the store: what is under way ends within moments, and nothing but the
piece that was under way is sent again. A program of a store on the network imports these tests and runs them with its World."""

import time

import uplink
from store_dock import MIB, refusal


def begin_slowly(world, dock, clip, bytes_):
    world.proxy.reset()
    world.proxy.bandwidth = 2 * world.PART
    call = dock.begin_put(clip)
    dock.wait(lambda: world.sent() >= bytes_, f"{bytes_} bytes to be sent")
    return call


def assert_stopped(dock, call):
    refusal(dock, call, "Stopped")


def goes_on(world, dock, clip):
    world.proxy.bandwidth = None
    dock.judge(clip, dock.put(clip))
    assert world.sent() <= clip.size + world.PART and world.created() == 1, f"{world.sent() - clip.size} bytes were sent again"


def hold(dock, held):
    dock.finish(dock.begin("Hold", uplink.GLib.Variant("(b)", (held,))))


def test_order_stops_what_is_under_way_and_what_waits(world):
    dock = world.dock(transfers="1").start()
    stored, clip, waits = dock.clip(MIB), dock.clip(world.size(8)), dock.clip(MIB)
    receipt = dock.put(stored)
    calls = [begin_slowly(world, dock, clip, 2 * world.PART + MIB), dock.begin_put(waits)]
    hold(dock, True)
    for call in calls:
        assert_stopped(dock, call)
    assert_stopped(dock, dock.begin_put(waits))
    assert dock.confirm(stored, receipt) == receipt.strength, "a receipt cannot be confirmed meanwhile"
    before = world.sent()
    hold(dock, False)
    assert world.sent() == before
    goes_on(world, dock, clip)
    dock.put(waits)
    dock.end()


def test_order_ends_with_who_gave_it(world):
    dock = world.dock().start()
    clip = dock.clip(MIB)
    hold(dock, True)
    assert_stopped(dock, dock.begin_put(clip))
    dock.conn.close_sync(None)
    dock._connect(60)
    dock.judge(clip, dock.put(clip))
    dock.end()


def test_schedule_stops_what_is_under_way_and_says_until_when(world):
    now = time.time()
    if time.localtime(now).tm_sec > 40:  # so that the upload begins before
        now += 60
    begin, end = (time.strftime("%H:%M", time.localtime(now + seconds)) for seconds in (60, 2 * 3600))
    dock = world.dock(limit=f"{begin}-{end} none", stall="300s").start()
    clip = dock.clip(world.size(8))
    call = begin_slowly(world, dock, clip, world.PART)
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
    goes_on(world, dock, clip)
    dock.end()


__all__ = [name for name in dir() if name.startswith("test_")]
