#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clips that are uploaded while they are pulled: nothing is sent that is not durable, nothing is made of it before the pull's digest is
known and the same, and what was sent is not sent again."""

import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from s3_world import BUCKET, MIB, World, tap, uplink  # noqa: E402

world = World()
PART = 5 * MIB


def sent():
    return world.proxy.body_bytes["part"]


def parts(dock, clip):
    """The numbers of the parts that the store has of a clip's unfinished upload."""
    keys = [key for key in world.store.uploads(BUCKET, dock.prefix + "/") if f"/{clip.path.replace('/', '~~')}." in key]
    assert len(keys) == 1, keys
    listed = world.store.curl(f"/{BUCKET}?prefix={keys[0].replace('/', '%2F')}&uploads=")[0].decode()
    upload = listed.split("<UploadId>")[1].split("<")[0]
    text = world.store.curl(f"/{BUCKET}/{keys[0]}?uploadId={upload}")[0].decode()
    return [int(piece.split("<")[0]) for piece in text.split("<PartNumber>")[1:]]


def recorded(dock, clip):
    """Bytes of a clip that the uplink knows to be with the store: acknowledged, and recorded."""
    for name in dock.records():
        with open(os.path.join(dock.path("state"), "uploads", name), encoding="utf-8") as f:
            lines = [json.loads(line) for line in f if line.endswith("\n")]
        if lines and lines[0]["clip"].startswith(f"{clip.id} "):
            return sum({line["part"]: line["size"] for line in lines if "part" in line}.values())
    return 0


def wait_stored(dock, clip, bytes_):
    dock.wait(lambda: recorded(dock, clip) == bytes_, f"{bytes_} bytes to be stored")


def refusal(dock, call, name):
    try:
        dock.finish(call)
    except uplink.Refused as e:
        assert e.name == name, f"{e.name}: {e.text}"
        return e.text
    raise AssertionError("it was stored")


def change_byte(clip, at):
    with open(clip.file, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 1]))


def test_parts_go_as_they_become_durable_and_the_object_is_made_at_the_end():
    dock = world.dock().start()
    clip = dock.clip(23 * MIB)
    world.proxy.reset()
    call = dock.begin_grow(clip, PART - 1)
    dock.wait(lambda: world.proxy.count("create") == 1, "the upload to begin")
    dock.grown(clip, PART)
    wait_stored(dock, clip, PART)
    dock.grown(clip, 3 * PART + 1)
    wait_stored(dock, clip, 3 * PART)
    assert sent() == 3 * PART and parts(dock, clip) == [1, 2, 3], "something was sent that is not durable"
    dock.grown(clip, clip.size)
    wait_stored(dock, clip, clip.size)
    assert world.proxy.count("complete") == 0 and not dock.keys("objects") and not call.over
    dock.seal(clip)
    receipt = uplink.Receipt(dock.finish(call))
    assert sent() == clip.size
    dock.judge(clip, receipt)
    dock.end()


def test_clip_that_does_not_grow_for_long_is_no_stall():
    dock = world.dock(stall="2s").start()
    clip = dock.clip(11 * MIB)
    call = dock.begin_grow(clip, PART)
    wait_stored(dock, clip, PART)
    told = len(dock.progress)
    dock.wait(lambda: len(dock.progress) > told + 1, "signs of life without any progress")
    dock.seal(clip)
    dock.judge(clip, uplink.Receipt(dock.finish(call)))
    assert dock.state()[0] == "ready"
    dock.end()


def test_small_clip_is_put_whole():
    dock = world.dock().start()
    clip = dock.clip(PART)
    world.proxy.reset()
    refusal(dock, dock.begin_grow(clip, MIB), "Whole")
    assert not [entry for entry in world.proxy.log if entry[0] != "probe"] and not dock.records()
    dock.judge(clip, dock.put(clip))
    dock.end()


def test_other_digest_than_was_sent_is_a_conflict_and_nothing_is_made_of_it():
    dock = world.dock().start()
    for before in [True, False]:
        clip = dock.clip(23 * MIB)
        world.proxy.reset()
        call = dock.begin_grow(clip, 3 * PART)
        wait_stored(dock, clip, 3 * PART)
        if before:  # the camera gave other bytes than were sent; or the disk did while the rest was sent
            dock.seal(clip, sha256="11" * 32)
        else:
            change_byte(clip, 4 * PART + 7)
            dock.seal(clip)
        assert "SHA-256" in refusal(dock, call, "Conflict")
        assert world.proxy.count("complete") == 0 and not dock.keys("objects") and not dock.keys("manifests") and not dock.records()
        assert not world.store.uploads(BUCKET, dock.prefix + "/"), "an upload was left behind"
    dock.end()


def test_other_size_than_was_announced_is_a_conflict():
    dock = world.dock().start()
    clip = dock.clip(23 * MIB)
    world.proxy.reset()
    call = dock.begin_grow(clip, 2 * PART)
    wait_stored(dock, clip, 2 * PART)
    dock.seal(clip, size=clip.size - 1)
    assert "bytes" in refusal(dock, call, "Conflict")
    assert world.proxy.count("complete") == 0 and not dock.keys("objects") and not dock.keys("manifests") and not dock.records()
    assert not world.store.uploads(BUCKET, dock.prefix + "/"), "an upload was left behind"
    dock.end()


def test_facts_that_are_none_are_told_to_who_waits():
    dock = world.dock().start()
    clip = dock.clip(11 * MIB)
    call = dock.begin_grow(clip, PART)
    wait_stored(dock, clip, PART)
    dock.seal(clip, facts="no JSON")
    refusal(dock, call, "Invalid")
    dock.judge(clip, dock.put(clip))
    dock.end()


def test_stopped_upload_goes_on_where_it_ended():
    dock = world.dock().start()
    for now in [False, True]:
        clip = dock.clip(33 * MIB)
        world.proxy.reset()
        call = dock.begin_grow(clip, 2 * PART)
        wait_stored(dock, clip, 2 * PART)
        dock.stop(clip, now)
        refusal(dock, call, "Stopped")
        call = dock.begin_grow(clip, 4 * PART)
        wait_stored(dock, clip, 4 * PART)
        dock.stop(clip, now)
        refusal(dock, call, "Stopped")
        # The pull ended meanwhile: an ordinary put goes on with it, too.
        dock.judge(clip, dock.put(clip))
        assert sent() == clip.size and world.proxy.count("create") == 1, "something was sent again"
    dock.end()


def test_put_of_a_whole_clip_stops_and_goes_on():
    dock = world.dock().start()
    clip = dock.clip(33 * MIB)
    world.proxy.reset()
    world.proxy.bandwidth = 20 * MIB
    call = dock.begin_put(clip)
    dock.wait(lambda: sent() >= 2 * PART + MIB, "two parts to be sent")
    dock.stop(clip, True)
    refusal(dock, call, "Stopped")
    world.proxy.bandwidth = None
    dock.judge(clip, dock.put(clip))
    assert sent() <= clip.size + PART and world.proxy.count("create") == 1, "more was sent again than the part that was under way"
    dock.end()


def test_stop_after_the_part_stores_the_part_that_is_under_way():
    dock = world.dock().start()
    clip = dock.clip(23 * MIB)
    world.proxy.reset()
    world.proxy.bandwidth = 5 * MIB
    call = dock.begin_grow(clip, 4 * PART)
    dock.wait(lambda: sent() > PART, "the second part to be under way")
    dock.stop(clip, False)
    refusal(dock, call, "Stopped")
    assert parts(dock, clip) in ([1, 2], [1, 2, 3]) and sent() % PART == 0
    world.proxy.bandwidth = None
    dock.judge(clip, dock.put(clip))
    assert sent() == clip.size, "something was sent again"
    dock.end()


def test_kill_costs_one_part_at_most_and_growing_goes_on():
    dock = world.dock().start()
    clip = dock.clip(43 * MIB)
    world.proxy.reset()
    world.proxy.bandwidth = 40 * MIB
    dock.begin_grow(clip, 6 * PART)
    dock.wait(lambda: sent() >= 3 * PART + MIB, "three parts to be sent")
    dock.end(signal.SIGKILL)
    world.proxy.bandwidth = None
    dock.start()
    call = dock.begin_grow(clip, 7 * PART)
    wait_stored(dock, clip, 7 * PART)
    dock.end(signal.SIGKILL)
    dock.start()
    dock.judge(clip, dock.put(clip))
    assert sent() <= clip.size + PART and world.proxy.count("create") == 1, "it began anew"
    del call
    dock.end()


def test_clip_that_begins_afresh_aborts_what_was_sent_of_it():
    dock = world.dock().start()
    clip = dock.clip(23 * MIB)
    call = dock.begin_grow(clip, 3 * PART)
    wait_stored(dock, clip, 3 * PART)
    dock.stop(clip, True)
    refusal(dock, call, "Stopped")
    old = world.store.uploads(BUCKET, dock.prefix + "/")
    other = dock.clip(23 * MIB, path=clip.path)
    other.id = clip.id
    world.proxy.reset()
    call = dock.begin_grow(other, PART, afresh=True)
    wait_stored(dock, other, PART)
    uploads = world.store.uploads(BUCKET, dock.prefix + "/")
    assert len(uploads) == 1 and uploads != old, f"the old content's upload is still there: {uploads}"
    assert world.proxy.count("abort") == 1 and parts(dock, other) == [1]
    dock.seal(other)
    dock.judge(other, uplink.Receipt(dock.finish(call)))
    dock.end()


def test_parts_of_other_content_are_not_in_the_object_although_nobody_said_so():
    """As after a kill between beginning afresh and telling of it."""
    dock = world.dock().start()
    clip = dock.clip(23 * MIB)
    call = dock.begin_grow(clip, 3 * PART)
    wait_stored(dock, clip, 3 * PART)
    dock.stop(clip, True)
    refusal(dock, call, "Stopped")
    other = dock.clip(23 * MIB, path=clip.path)
    other.id = clip.id
    call = dock.begin_grow(other, PART)
    dock.seal(other)
    dock.judge(other, uplink.Receipt(dock.finish(call)))
    dock.end()


def test_kill_in_any_step_after_the_seal_leaves_one_right_object():
    dock = world.dock(stall="60s").start()
    for phase in ["list", "complete", "head", "manifest"]:
        clip = dock.clip(11 * MIB)
        call = dock.begin_grow(clip, 2 * PART)
        wait_stored(dock, clip, 2 * PART)
        world.proxy.reset({"phase": phase, "action": "mute"})
        dock.seal(clip)
        dock.wait(lambda: world.proxy.muted > 0, f"the store to have done {phase}")
        dock.end(signal.SIGKILL)
        world.proxy.reset()
        dock.start()
        dock.judge(clip, dock.put(clip))
        del call
    dock.end()


def test_copy_that_is_pulled_again_after_the_object_was_made_gets_an_object_of_its_own():
    """The object is whole, its manifest is not there; then the spool's copy is lost and the camera gives other content."""
    dock = world.dock(stall="60s").start()
    clip = dock.clip(11 * MIB)
    call = dock.begin_grow(clip, 2 * PART)
    wait_stored(dock, clip, 2 * PART)
    world.proxy.reset({"phase": "head", "action": "mute"})
    dock.seal(clip)
    dock.wait(lambda: world.proxy.muted > 0, "the object to be there")
    dock.end(signal.SIGKILL)
    world.proxy.reset()
    dock.start()
    other = dock.clip(11 * MIB, path=clip.path)
    other.id = clip.id
    receipt = dock.put(other)
    dock.judge(other, receipt, objects=2)
    del call
    dock.end()


def test_clip_that_another_dock_stored_meanwhile_is_not_stored_twice():
    docks = [world.dock(prefix="fleet-grow").start(), world.dock(prefix="fleet-grow").start()]
    clip = docks[0].clip(23 * MIB)
    call = docks[0].begin_grow(clip, 2 * PART)
    wait_stored(docks[0], clip, 2 * PART)
    first = docks[1].put(clip)
    docks[0].seal(clip)
    receipt = uplink.Receipt(docks[0].finish(call))
    assert receipt.already_there and receipt.object == first.object
    docks[0].judge(clip, receipt)
    for dock in docks:
        dock.end()


def test_clip_that_another_dock_stored_before_is_not_begun():
    docks = [world.dock(prefix="fleet-before").start(), world.dock(prefix="fleet-before").start()]
    clip = docks[0].clip(23 * MIB)
    first = docks[1].put(clip)
    world.proxy.reset()
    text = refusal(docks[0], docks[0].begin_grow(clip, 2 * PART), "Whole")
    assert "has a clip of this name" in text, text
    receipt = docks[0].put(clip)
    assert receipt.already_there and receipt.object == first.object
    # Another one of that name is stored beside it.
    other = docks[0].clip(23 * MIB, path=clip.path)
    refusal(docks[0], docks[0].begin_grow(other, 2 * PART), "Whole")
    assert world.proxy.count("create") == 0 and world.proxy.count("part") == 0, "something was sent"
    receipt = docks[0].put(other)
    assert not receipt.already_there and (receipt.sha256, receipt.object != first.object) == (other.sha256, True)
    for dock in docks:
        dock.end()


def test_list_that_is_refused_keeps_nothing_from_growing():
    dock = world.dock().start()
    clip = dock.clip(11 * MIB)
    world.proxy.reset({"phase": "look", "where": "list-type=2", "action": "status", "status": 403, "code": "AccessDenied"})
    call = dock.begin_grow(clip, PART)
    wait_stored(dock, clip, PART)
    dock.seal(clip)
    dock.judge(clip, uplink.Receipt(dock.finish(call)))
    dock.end()


def test_clip_that_is_sealed_while_it_waits_for_a_place_gets_one():
    dock = world.dock(transfers="1").start()
    first, second = dock.clip(23 * MIB), dock.clip(23 * MIB)
    world.proxy.reset()
    world.proxy.bandwidth = 20 * MIB
    calls = [dock.begin_grow(first, 4 * PART), dock.begin_grow(second, 4 * PART)]
    dock.wait(lambda: world.proxy.count("create") == 2 and recorded(dock, first) + recorded(dock, second) > 0, "one of them to be sent")
    # Nothing more is told of either.
    dock.seal(first)
    dock.seal(second)
    receipts = [uplink.Receipt(dock.finish(call)) for call in calls]
    world.proxy.bandwidth = None
    dock.judge(first, receipts[0])
    dock.judge(second, receipts[1])
    dock.end()


def test_whole_clips_go_first_and_growing_ones_have_what_is_left():
    dock = world.dock(transfers="1").start()
    grows, whole = dock.clip(23 * MIB), dock.clip(11 * MIB)
    call = dock.begin_grow(grows, PART)
    wait_stored(dock, grows, PART)
    dock.put(whole)  # would never end if the one place were taken
    assert not call.over
    dock.seal(grows)
    dock.judge(grows, uplink.Receipt(dock.finish(call)))
    dock.end()


if __name__ == "__main__":
    tap.main()
