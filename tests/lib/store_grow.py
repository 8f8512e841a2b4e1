# SPDX-License-Identifier: Apache-2.0
"""Clips that are uploaded while they are pulled, whatever the store: nothing is sent that is not durable, nothing is made of it before the
pull's digest is known and the same, and what was sent is not sent again. A program of a store on the network imports these tests and runs
them with its World, beside its own."""

import signal

import uplink
from store_dock import MIB, change_byte, refusal


def test_pieces_go_as_they_become_durable_and_the_object_is_made_at_the_end(world):
    part = world.PART
    dock = world.dock().start()
    clip = dock.clip(world.size(4))
    world.proxy.reset()
    call = dock.begin_grow(clip, part - 1)
    dock.wait(lambda: world.created() == 1, "the upload to begin")
    dock.grown(clip, part)
    dock.wait_stored(clip, part)
    dock.grown(clip, 3 * part + 1)
    dock.wait_stored(clip, 3 * part)
    assert world.sent() == 3 * part, "something was sent that is not durable"
    dock.grown(clip, clip.size)
    dock.wait_stored(clip, world.before_seal(clip))
    assert world.made() == 0 and not dock.objects(clip) and not call.over
    dock.seal(clip)
    receipt = uplink.Receipt(dock.finish(call))
    assert world.sent() == clip.size and world.created() == 1
    dock.judge(clip, receipt)
    assert dock.confirm(clip, receipt) == receipt.strength
    dock.end()


def test_clip_that_does_not_grow_for_long_is_no_stall(world):
    dock = world.dock(stall="8s").start()
    clip = dock.clip(world.size(2))
    call = dock.begin_grow(clip, world.PART)
    dock.wait_stored(clip, world.PART)
    told = len(dock.progress)
    # One each five seconds, but for the first.
    dock.wait(lambda: len(dock.progress) > told + 2, "signs of life without any progress")
    dock.seal(clip)
    dock.judge(clip, uplink.Receipt(dock.finish(call)))
    assert dock.state()[0] == "ready"
    dock.end()


def test_small_clip_is_put_whole(world):
    dock = world.dock().start()
    clip = dock.clip(world.PART)
    world.proxy.reset()
    refusal(dock, dock.begin_grow(clip, MIB), "Whole")
    assert world.created() == 0 and world.sent() == 0 and not dock.records()
    dock.judge(clip, dock.put(clip))
    dock.end()


def assert_nothing_is_made_of_it(world, dock, clip):
    assert world.made() == 0 and not dock.objects(clip) and not dock.manifests(clip) and not dock.records()
    assert not dock.unfinished(clip), "an upload was left behind"


def test_other_digest_than_was_sent_is_a_conflict_and_nothing_is_made_of_it(world):
    dock = world.dock().start()
    for before in [True, False]:
        clip = dock.clip(world.size(4))
        world.proxy.reset()
        call = dock.begin_grow(clip, 3 * world.PART)
        dock.wait_stored(clip, 3 * world.PART)
        if before:  # the camera gave other bytes than were sent; or the disk did while the rest was sent
            dock.seal(clip, sha256="11" * 32)
        else:
            change_byte(clip, 4 * world.PART + 7)
            dock.seal(clip)
        assert "SHA-256" in refusal(dock, call, "Conflict")
        assert_nothing_is_made_of_it(world, dock, clip)
    dock.end()


def test_other_size_than_was_announced_is_a_conflict(world):
    dock = world.dock().start()
    for seal_first in [False, True]:
        clip = dock.clip(world.size(4))
        world.proxy.reset()
        call = dock.begin_grow(clip, 2 * world.PART)
        dock.wait(lambda: world.created() == 1 if seal_first else dock.stored_bytes(clip) == 2 * world.PART, "the upload to begin")
        dock.seal(clip, size=clip.size - 1)
        assert "bytes" in refusal(dock, call, "Conflict")
        assert_nothing_is_made_of_it(world, dock, clip)
    dock.end()


def test_facts_that_are_none_are_told_to_who_waits(world):
    dock = world.dock().start()
    clip = dock.clip(world.size(2))
    call = dock.begin_grow(clip, world.PART)
    dock.wait_stored(clip, world.PART)
    dock.seal(clip, facts="no JSON")
    refusal(dock, call, "Invalid")
    dock.judge(clip, dock.put(clip))
    dock.end()


def test_stopped_upload_goes_on_where_it_ended(world):
    dock = world.dock().start()
    for now in [False, True]:
        clip = dock.clip(world.size(6))
        world.proxy.reset()
        for durable in [2 * world.PART, 4 * world.PART]:
            call = dock.begin_grow(clip, durable)
            dock.wait_stored(clip, durable)
            dock.stop(clip, now)
            refusal(dock, call, "Stopped")
        # The pull ended meanwhile: an ordinary put goes on with it, too.
        dock.judge(clip, dock.put(clip))
        assert world.sent() == clip.size and world.created() == 1, "something was sent again"
    dock.end()


def test_put_of_a_whole_clip_stops_and_goes_on(world):
    dock = world.dock().start()
    clip = dock.clip(world.size(6))
    world.proxy.reset()
    world.proxy.stop_at(world.step, 2 * world.PART + MIB)
    call = dock.begin_put(clip)
    dock.wait(lambda: world.sent() >= 2 * world.PART + MIB, "two parts to be sent")
    dock.stop(clip, True)
    refusal(dock, call, "Stopped")
    world.proxy.go_on()
    dock.judge(clip, dock.put(clip))
    assert world.sent() <= clip.size + world.PART and world.created() == 1, "more was sent again than the part that was under way"
    dock.end()


def test_stop_after_the_piece_stores_the_piece_that_is_under_way(world):
    dock = world.dock().start()
    clip = dock.clip(world.size(4))
    world.proxy.reset()
    world.proxy.stop_at(world.step, world.PART + 1)
    call = dock.begin_grow(clip, 4 * world.PART)
    dock.wait(lambda: world.sent() > world.PART, "the second part to be under way")
    dock.stop(clip, False)
    world.proxy.go_on()
    refusal(dock, call, "Stopped")
    assert dock.stored_bytes(clip) == world.sent() == 2 * world.PART, (dock.stored_bytes(clip), world.sent())
    dock.judge(clip, dock.put(clip))
    assert world.sent() == clip.size, "something was sent again"
    dock.end()


def test_kill_costs_one_piece_at_most_and_growing_goes_on(world):
    dock = world.dock().start()
    clip = dock.clip(world.size(8))
    world.proxy.reset()
    world.proxy.stop_at(world.step, 3 * world.PART + MIB)
    dock.begin_grow(clip, 6 * world.PART)
    dock.wait(lambda: world.sent() >= 3 * world.PART + MIB, "three parts to be sent")
    dock.end(signal.SIGKILL)
    world.proxy.go_on()
    dock.start()
    dock.begin_grow(clip, 7 * world.PART)
    dock.wait_stored(clip, 7 * world.PART)
    dock.end(signal.SIGKILL)
    dock.start()
    dock.judge(clip, dock.put(clip))
    assert world.sent() <= clip.size + world.PART and world.created() == 1, "it began anew"
    dock.end()


def test_clip_that_begins_afresh_ends_the_upload_of_what_was_sent_of_it(world):
    dock = world.dock().start()
    clip = dock.clip(world.size(4))
    call = dock.begin_grow(clip, 3 * world.PART)
    dock.wait_stored(clip, 3 * world.PART)
    dock.stop(clip, True)
    refusal(dock, call, "Stopped")
    old = dock.unfinished(clip)
    other = dock.clip_instead_of(clip)
    world.proxy.reset()
    call = dock.begin_grow(other, world.PART, afresh=True)
    dock.wait_stored(other, world.PART)
    assert len(dock.unfinished(other)) == 1 and dock.unfinished(other) != old, "the old content's upload is still there"
    dock.seal(other)
    dock.judge(other, uplink.Receipt(dock.finish(call)))
    dock.end()


def test_pieces_of_other_content_are_not_in_the_object_although_nobody_said_so(world):
    """As after a kill between beginning afresh and telling of it."""
    dock = world.dock().start()
    for whole in [False, True]:
        clip = dock.clip(world.size(4))
        call = dock.begin_grow(clip, 3 * world.PART)
        dock.wait_stored(clip, 3 * world.PART)
        dock.stop(clip, True)
        refusal(dock, call, "Stopped")
        other = dock.clip_instead_of(clip)
        if whole:
            receipt = dock.put(other)
        else:
            call = dock.begin_grow(other, world.PART)
            dock.seal(other)
            receipt = uplink.Receipt(dock.finish(call))
        dock.judge(other, receipt)
    dock.end()


def test_clip_that_is_sealed_while_it_waits_for_a_place_gets_one(world):
    dock = world.dock(transfers="1").start()
    first, second = dock.clip(world.size(4)), dock.clip(world.size(4))
    world.proxy.reset()
    world.proxy.bandwidth = 4 * world.PART
    calls = [dock.begin_grow(first, 4 * world.PART), dock.begin_grow(second, 4 * world.PART)]
    dock.wait(lambda: world.created() == 2 and dock.stored_bytes(first) + dock.stored_bytes(second) > 0, "one of them to be sent")
    # Nothing more is told of either.
    dock.seal(first)
    dock.seal(second)
    receipts = [uplink.Receipt(dock.finish(call)) for call in calls]
    world.proxy.bandwidth = None
    dock.judge(first, receipts[0])
    dock.judge(second, receipts[1])
    dock.end()


def test_whole_clips_go_first_and_growing_ones_have_what_is_left(world):
    dock = world.dock(transfers="1").start()
    grows, whole = dock.clip(world.size(4)), dock.clip(world.size(2))
    call = dock.begin_grow(grows, world.PART)
    dock.wait_stored(grows, world.PART)
    dock.put(whole)  # would never end if the one place were taken
    assert not call.over
    dock.seal(grows)
    dock.judge(grows, uplink.Receipt(dock.finish(call)))
    dock.end()


__all__ = [name for name in dir() if name.startswith("test_")]
