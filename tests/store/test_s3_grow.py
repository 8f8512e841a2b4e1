#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clips that are uploaded to a real Ceph while they are pulled: as to any store, and what parts and objects with names of ours make of
it."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from s3_world import MIB, World, tap, uplink  # noqa: E402
from store_dock import refusal  # noqa: E402
from store_grow import *  # noqa: E402, F403

PART = World.PART


def test_kill_in_any_step_after_the_seal_leaves_one_right_object(world):
    dock = world.dock(stall="60s").start()
    for phase in ["list", "complete", "head", "manifest"]:
        clip = dock.clip(11 * MIB)
        dock.begin_grow(clip, 2 * PART)
        dock.wait_stored(clip, 2 * PART)
        world.proxy.reset({"phase": phase, "action": "mute"})
        dock.seal(clip)
        dock.wait(lambda: world.proxy.muted > 0, f"the store to have done {phase}")
        dock.end(signal.SIGKILL)
        world.proxy.reset()
        dock.start()
        dock.judge(clip, dock.put(clip))
    dock.end()


def test_copy_that_is_pulled_again_after_the_object_was_made_gets_an_object_of_its_own(world):
    """The object is whole, its manifest is not there; then the spool's copy is lost and the camera gives other content."""
    dock = world.dock(stall="60s").start()
    clip = dock.clip(11 * MIB)
    dock.begin_grow(clip, 2 * PART)
    dock.wait_stored(clip, 2 * PART)
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
    dock.end()


def test_clip_that_another_dock_stored_meanwhile_is_not_stored_twice(world):
    docks = [world.dock(prefix="fleet-grow").start(), world.dock(prefix="fleet-grow").start()]
    clip = docks[0].clip(23 * MIB)
    call = docks[0].begin_grow(clip, 2 * PART)
    docks[0].wait_stored(clip, 2 * PART)
    first = docks[1].put(clip)
    docks[0].seal(clip)
    receipt = uplink.Receipt(docks[0].finish(call))
    assert receipt.already_there and receipt.object == first.object
    docks[0].judge(clip, receipt)
    for dock in docks:
        dock.end()


def test_clip_that_another_dock_stored_before_is_not_begun(world):
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


def test_list_that_is_refused_keeps_nothing_from_growing(world):
    dock = world.dock().start()
    clip = dock.clip(11 * MIB)
    world.proxy.reset({"phase": "look", "where": "list-type=2", "action": "status", "status": 403, "code": "AccessDenied"})
    call = dock.begin_grow(clip, PART)
    dock.wait_stored(clip, PART)
    dock.seal(clip)
    dock.judge(clip, uplink.Receipt(dock.finish(call)))
    dock.end()


if __name__ == "__main__":
    tap.main(World())
