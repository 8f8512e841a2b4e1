#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clips that are uploaded to a real @tus/server while they are pulled: as to any store, and what deferred lengths, offsets and uploads
with names that are not ours make of it."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from store_dock import SHORT_STALL, refusal  # noqa: E402
from store_grow import *  # noqa: E402, F403
from tus_world import MIB, World, metadata_of, tap, uplink  # noqa: E402

PART = World.PART


def grow(dock, clip, pieces):
    call = dock.begin_grow(clip, pieces * PART)
    dock.wait_stored(clip, pieces * PART)
    return call


def only_upload(dock, clip):
    found = dock.of(clip)
    assert len(found) == 1, found
    return found[0], os.path.join(dock.store.folder, os.path.basename(found[0]))


def age_records(dock):
    """As if nobody had gone on with them for a month."""
    folder = os.path.join(dock.path("state"), "tus")
    for name in os.listdir(folder):
        os.utime(os.path.join(folder, name), (time.time() - 30 * 86400,) * 2)


def test_length_and_digest_are_said_at_the_end_alone(world):
    dock = world.dock().start()
    clip = dock.clip(world.size(3))
    world.proxy.reset()
    call = grow(dock, clip, 3)
    key, _ = only_upload(dock, clip)
    assert dock.store.told(key)["size"] is None, "the server knows a length"
    dock.seal(clip)
    dock.judge(clip, uplink.Receipt(dock.finish(call)))
    created, = [headers for phase, headers in world.proxy.seen if phase == "create"]
    assert created["upload-defer-length"] == "1" and "upload-length" not in created and "sha256" not in metadata_of(created), created
    said = [headers.get("upload-length") for phase, headers in world.proxy.seen if phase == "patch"]
    assert said == [None, None, None, str(clip.size)], said
    dock.end()


def test_server_that_defers_no_length_gets_the_clip_whole(world):
    store = world.server(without="creation-defer-length")
    proxy = world.proxy_of(store)
    dock = world.dock(store=store, proxy=proxy).start()
    clip = dock.clip(world.size(3))
    assert "creation-defer-length" in refusal(dock, dock.begin_grow(clip, PART), "Whole")
    assert proxy.count("create") == 0 and not dock.records()
    dock.judge(clip, dock.put(clip))
    dock.end()


def test_server_that_checks_pieces_checks_those_that_grow(world):
    store = world.server(checksum="yes")
    proxy = world.proxy_of(store)
    dock = world.dock(store=store, proxy=proxy).start()
    clip = dock.clip(world.size(4))
    call = grow(dock, clip, 2)
    dock.end(signal.SIGKILL)
    dock.start()
    call = grow(dock, clip, 3)
    dock.seal(clip)
    dock.judge(clip, uplink.Receipt(dock.finish(call)), strength="digest")
    assert all("upload-checksum" in headers for phase, headers in proxy.seen if phase == "patch")
    dock.end()


def test_kill_in_any_step_leaves_one_right_object(world):
    dock = world.dock(stall="60s").start()
    for phase in ["create", "patch", "head"]:
        clip = dock.clip(world.size(3))
        world.proxy.reset({"phase": phase, "action": "mute"})
        if phase == "head":  # it is asked for when an upload is gone on with
            world.proxy.reset()
            grow(dock, clip, 1)
            dock.end(signal.SIGKILL)
            dock.start()
            world.proxy.reset({"phase": phase, "action": "mute"})
        dock.begin_grow(clip, 2 * PART)
        dock.wait(lambda: world.proxy.muted > 0, f"the server to have done {phase}")
        dock.end(signal.SIGKILL)
        world.proxy.rules = []
        dock.start()
        call = dock.begin_grow(clip, 3 * PART)
        dock.seal(clip)
        # Of an upload whose name was lost nobody knows.
        dock.judge(clip, uplink.Receipt(dock.finish(call)), strays=1 if phase == "create" else 0)
        assert world.sent() <= clip.size + PART, f"{world.sent() - clip.size} bytes were sent again"
    dock.end()


def test_kill_in_any_step_after_the_seal_leaves_one_right_object(world):
    dock = world.dock(stall="60s").start()
    for phase in ["patch", "head", "manifest-create", "manifest-patch", "manifest-head"]:
        clip = dock.clip(world.size(3))
        world.proxy.reset()
        grow(dock, clip, 3)
        world.proxy.rules = [{"phase": phase, "action": "mute"}]
        dock.seal(clip)
        dock.wait(lambda: world.proxy.muted > 0, f"the server to have done {phase}")
        dock.end(signal.SIGKILL)
        world.proxy.rules = []
        dock.start()
        dock.judge(clip, dock.put(clip), strays=1 if phase == "manifest-create" else 0)
        assert world.sent() <= clip.size + PART and world.created() == 1, f"{world.sent() - clip.size} bytes were sent again"
    dock.end()


def test_pull_that_begins_anew_after_the_seal_goes_on(world):
    """The spool's copy was lost: the camera is asked once more, for the same bytes or for others."""
    dock = world.dock(stall="60s").start()
    for changed in [False, True]:
        clip = dock.clip(world.size(3))
        world.proxy.reset()
        grow(dock, clip, 3)
        world.proxy.rules = [{"phase": "patch", "action": "mute"}]
        dock.seal(clip)
        dock.wait(lambda: world.proxy.muted > 0, "the last piece to be there")
        dock.end(signal.SIGKILL)
        world.proxy.rules = []
        dock.start()
        again = dock.clip_instead_of(clip) if changed else clip
        call = dock.begin_grow(again, 2 * PART)
        dock.seal(again)
        receipt = uplink.Receipt(dock.finish(call))
        # Of what was sent before the first seal the record has another name: it is swept when it is old.
        assert world.sent() <= (2 * clip.size)
        assert receipt.sha256 == again.sha256 and dock.store.is_whole(receipt.object)
    dock.end()


def test_faults_while_it_grows_end_with_one_right_object(world):
    dock = world.dock(stall=SHORT_STALL).start()
    faults = [{"action": "status", "status": 500}, {"action": "status", "status": 503, "headers": {"Retry-After": "1"}},
              {"action": "status", "status": 423}, {"action": "reset"}, {"action": "lost"}, {"action": "truncate"}, {"action": "stall"}]
    for phase in ["create", "patch", "head"]:
        for fault in faults + ([{"action": "status", "status": 409}, {"action": "reset", "after": MIB},
                                {"action": "stall", "after": MIB}] if phase == "patch" else []):
            clip = dock.clip(world.size(2))
            world.proxy.reset({"phase": phase, **fault})
            call = dock.begin_grow(clip, 2 * PART)
            try:
                dock.wait(lambda: call.over or dock.stored_bytes(clip) >= 2 * PART, "two pieces, or a refusal")
                dock.seal(clip)
                receipt = uplink.Receipt(dock.finish(call))
            except uplink.Refused as e:
                assert e.name in ("Unavailable", "Busy"), f"{phase} {fault}: {e.name}: {e.text}"
                dock.wait(lambda: dock.state()[0] == "ready", "the store to be ready again")
                receipt = dock.put_until_stored(clip)[0]
            dock.judge(clip, receipt, strays=3)
            assert world.sent() <= clip.size + 2 * PART, f"{phase} {fault}: {world.sent() - clip.size} bytes were sent again"
    dock.end()


def test_upload_that_expires_while_it_grows_begins_anew(world):
    dock = world.dock().start()
    clip = dock.clip(world.size(4))
    world.proxy.reset()
    call = grow(dock, clip, 2)
    key, file = only_upload(dock, clip)
    os.unlink(file)
    os.unlink(file + ".json")
    dock.grown(clip, 3 * PART)
    dock.wait_stored(clip, 3 * PART)
    assert only_upload(dock, clip)[0] != key and not call.over
    # And once more while the uplink does not run.
    dock.end(signal.SIGKILL)
    file = only_upload(dock, clip)[1]
    os.unlink(file)
    os.unlink(file + ".json")
    dock.start()
    call = grow(dock, clip, 4)
    dock.seal(clip)
    dock.judge(clip, uplink.Receipt(dock.finish(call)))
    assert world.created() == 3
    dock.end()


def test_clip_that_was_stored_already_is_not_stored_twice(world):
    dock = world.dock().start()
    clip = dock.clip(world.size(3))
    first = dock.put(clip)
    # Brought once more, as another one of the dock's clips.
    clip.id += 100000
    call = dock.begin_grow(clip, 3 * PART)
    dock.wait(lambda: sum(dock.store.uploads().get(key, 0) for key in dock.unfinished(clip)) == 3 * PART, "three pieces")
    dock.seal(clip)
    receipt = uplink.Receipt(dock.finish(call))
    assert receipt.already_there and receipt.object == first.object
    assert not dock.unfinished(clip), "what was sent once more is left there"
    dock.judge(clip, receipt)
    dock.end()


def test_clip_that_was_stored_and_then_removed_there_is_stored_again(world):
    dock = world.dock().start()
    clip = dock.clip(world.size(3))
    first = dock.put(clip)
    clip.id += 100000
    call = dock.begin_grow(clip, 3 * PART)
    dock.wait(lambda: sum(dock.store.uploads().get(key, 0) for key in dock.unfinished(clip)) == 3 * PART, "three pieces")
    for key in [first.object, first.manifest]:
        file = os.path.join(dock.store.folder, os.path.basename(key))
        os.unlink(file)
        os.unlink(file + ".json")
    dock.seal(clip)
    receipt = uplink.Receipt(dock.finish(call))
    assert not receipt.already_there and receipt.object != first.object
    dock.judge(clip, receipt)
    dock.end()


def test_conflict_on_a_server_that_terminates_nothing_leaves_what_nobody_goes_on_with(world):
    store = world.server(without="termination")
    dock = world.dock(store=store, proxy=world.proxy_of(store)).start()
    clip = dock.clip(world.size(3))
    call = grow(dock, clip, 2)
    key, _ = only_upload(dock, clip)
    dock.seal(clip, sha256="11" * 32)
    refusal(dock, call, "Conflict")
    assert not dock.records() and dock.unfinished(clip) == [key], "its end is the server's matter"
    receipt = dock.put(clip)
    assert receipt.object != key
    dock.end()


def test_upload_that_could_not_be_terminated_is_swept(world):
    dock = world.dock().start()
    clip = dock.clip(world.size(3))
    world.proxy.reset({"phase": "terminate", "action": "reset", "times": None})
    call = grow(dock, clip, 2)
    key, _ = only_upload(dock, clip)
    dock.seal(clip, sha256="11" * 32)
    refusal(dock, call, "Conflict")
    assert dock.unfinished(clip) == [key] and len(dock.records()) == 1
    world.proxy.reset()
    # The clip does not go on with it.
    assert dock.put(clip).object != key and world.sent() == clip.size
    assert dock.unfinished(clip) == [key]
    dock.end()
    age_records(dock)
    dock.start()
    dock.wait(lambda: not dock.unfinished(clip), "it to be terminated")
    dock.wait(lambda: not dock.records(), "its record to go")
    dock.end()


if __name__ == "__main__":
    tap.main(World())
