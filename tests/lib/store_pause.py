# SPDX-License-Identifier: Apache-2.0
"""Uploads that are paused or held to a rate, by an order or by the schedule, whatever the store: what is under way ends within moments, and
nothing but the piece that was under way is sent again. A program of a store on the network imports these tests and runs them with its
World."""

import time

import uplink
from store_dock import MIB, refusal


def begin(world, dock, clip, bytes_):
    """No further than that."""
    world.proxy.reset()
    world.proxy.stop_at(world.step, bytes_)
    call = dock.begin_put(clip)
    dock.wait(lambda: world.sent() >= bytes_, f"{bytes_} bytes to be sent")
    return call


def assert_stopped(dock, call):
    refusal(dock, call, "Stopped")


def take_what_came(world, dock):
    world.proxy.go_on()
    dock.wait(lambda: not world.proxy.taking, "what was on its way to have come")


def goes_on(world, dock, clip):
    dock.judge(clip, dock.put(clip))
    assert world.sent() <= clip.size + world.PART and world.created() == 1, f"{world.sent() - clip.size} bytes were sent again"


def hold(dock, held):
    dock.finish(dock.begin("Hold", uplink.GLib.Variant("(b)", (held,))))


def test_order_stops_what_is_under_way_and_what_waits(world):
    dock = world.dock(transfers="1").start()
    stored, clip, waits = dock.clip(MIB), dock.clip(world.size(8)), dock.clip(MIB)
    receipt = dock.put(stored)
    calls = [begin(world, dock, clip, 2 * world.PART + MIB), dock.begin_put(waits)]
    hold(dock, True)
    for call in calls:
        assert_stopped(dock, call)
    assert_stopped(dock, dock.begin_put(waits))
    assert dock.confirm(stored, receipt) == receipt.strength, "a receipt cannot be confirmed meanwhile"
    take_what_came(world, dock)
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
    if time.localtime(now).tm_sec > 15:  # so that the upload begins before, on a loaded machine as well
        now += 60
    first, last = (time.strftime("%H:%M", time.localtime(now + seconds)) for seconds in (60, 2 * 3600))
    dock = world.dock(limit=f"{first}-{last} none", stall="300s").start()
    clip = dock.clip(world.size(8))
    call = begin(world, dock, clip, world.PART + MIB)
    dock.wait(lambda: dock.state()[0] == "paused", "the pause to begin", 150)
    assert_stopped(dock, call)
    text = dock.state()[1]
    assert text.startswith("the schedule allows no uploads until ") and text.endswith(last), text
    dock.wait(lambda: dock.states and dock.states[-1] == ("paused", text), "it to be told")
    assert_stopped(dock, dock.begin_put(clip))
    dock.end()
    take_what_came(world, dock)
    dock.settings["limit"] = f"{first}-{last} 1 GB/s"
    dock.configure("")
    dock.start()
    goes_on(world, dock, clip)
    dock.end()


def in_two_hours():
    return time.strftime("%H:%M", time.localtime(time.time() + 2 * 3600))


def test_window_with_a_rate_holds_all_transfers_to_it_together(world):
    """A window that is open now, with a rate: what arrives is never more than it allows by then, however late a loaded machine is. Outside
    of its window a rate holds nothing back."""
    rate = 2 * MIB
    begin = time.strftime("%H:%M", time.localtime(time.time() - 3600))
    dock = world.dock(transfers="2", limit=f"{begin}-{in_two_hours()} {rate / 1e6} MB/s", stall="300s").start()
    clips = [dock.clip(world.size(2)) for _ in range(2)]
    world.proxy.reset()
    came, began = [], time.monotonic()
    world.proxy.on_body = lambda phase, total: came.append((time.monotonic() - began, sum(world.proxy.body_bytes.values())))
    calls = [dock.begin_put(clip) for clip in clips]
    receipts = [uplink.Receipt(dock.finish(call)) for call in calls]
    for clip, receipt in zip(clips, receipts):
        dock.judge(clip, receipt)
    # A quarter of a second's worth may go at once, and manifests and the like go whatever the rate.
    allowed = [(after, total, rate * (after + 0.25) + MIB) for after, total in came]
    over = [f"{total} bytes after {after:.2f} s" for after, total, most in allowed if total > most]
    assert not over, f"more than {rate} bytes a second: {over[:5]}"
    assert came[-1][1] >= sum(clip.size for clip in clips), "the bytes were not counted"
    dock.end()


__all__ = [name for name in dir() if name.startswith("test_")]
