#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Which footage goes to the store first, in a whole dock."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20


def camera(sim, name, clips):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)


def receipts(dock):
    return [e["serial"] for e in dock.events("receipted")]


def test_cameras_take_turns_at_the_store(sim, dock):
    d = dock(["1-1.1", "1-1.2"], policy={"uploads": 1})
    camera(sim, "many", [make_clip(f"{n}.MP4", MIB, n) for n in range(8)])
    camera(sim, "few", [make_clip(f"{n}.MP4", MIB, 100 + n) for n in range(3)])
    d.start_daemon()
    sim("plug", camera="many", port="1-1.1")
    d.wait_state(1, "settled")
    sim("plug", camera="few", port="1-1.2")
    d.wait_state(2, "settled")
    d.start_uplink()
    d.wait_state(1, "ready")
    d.wait_state(2, "ready")
    order = receipts(d)
    assert sorted(order[:6]) == ["SN-few"] * 3 + ["SN-many"] * 3, f"the camera with few clips waited for the other: {order}"


def test_camera_in_the_dock_goes_before_one_that_left(sim, dock):
    d = dock(["1-1.1"], policy={"uploads": 1})
    camera(sim, "gone", [make_clip(f"{n}.MP4", MIB, n) for n in range(4)])
    camera(sim, "here", [make_clip(f"{n}.MP4", MIB, 100 + n) for n in range(4)])
    d.start_daemon()
    sim("plug", camera="gone", port="1-1.1")
    d.wait_state(1, "settled")
    sim("unplug", camera="gone")
    d.wait_state(1, "empty")
    sim("plug", camera="here", port="1-1.1")
    d.wait_state(1, "settled")
    d.start_uplink()
    d.wait(lambda: len(receipts(d)) == 8, "all receipts")
    assert receipts(d) == ["SN-here"] * 4 + ["SN-gone"] * 4, receipts(d)


def test_dock_says_how_long_it_will_do_without_the_store(sim, dock):
    d = dock(["1-1.1"])
    camera(sim, "c", [make_clip("a.MP4", 64 * MIB, 1)])
    d.start_daemon()
    d.wait(lambda: d.manager()["SpoolFreeBytes"] > 0, "a look at the spool")
    assert d.manager()["SpoolHoldsSec"] == -1, "nothing has come"
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    d.daemon.end()
    d.start_daemon()
    d.wait(lambda: d.manager()["SpoolHoldsSec"] >= 0, "the dock to say how long the spool will hold")
    free = d.manager()["SpoolFreeBytes"] - 16 * MIB
    told, wanted = d.manager()["SpoolHoldsSec"], min(365 * 86400, free / (64 * MIB) * 86400)
    assert wanted * 0.9 < told < wanted * 1.1, (told, wanted)


rack.run([test_cameras_take_turns_at_the_store, test_camera_in_the_dock_goes_before_one_that_left,
          test_dock_says_how_long_it_will_do_without_the_store])
