#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A camera is given firmware, and what came of it is what the camera says afterwards."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import rack  # noqa: E402
from flash_world import Camera, World, image, with_suffix  # noqa: E402

NEW = image("2.1", 300000)


def docked(w, **how):
    c = Camera(w.sim, w.d, **how)
    c.plug()
    w.d.wait_state(1, "ready")
    # The camera is let go of a moment later; until then it is in use.
    w.d.wait(lambda: not w.d.workers(), "the camera to be let go of")
    return c


def test_camera_gets_the_version_and_tells_it(sim, dock):
    w = World(sim, dock, {"2.1": NEW})
    c = docked(w)
    told = w.flash("CAM-1", "2.1")
    assert isinstance(told, dict), told
    assert (told["outcome"], told["version"]) == ("ok", "2.1"), told
    assert c.has() == NEW and c.loader()["early"] == 0
    w.d.wait_state(1, "ready")
    assert w.ended() == [("ok", "2.1")]
    (begun,) = w.d.events("flash-begun")
    assert (begun["version"], begun["from_version"], begun["serial"], begun["size_bytes"]) == ("2.1", "1.0", "CAM-1", len(NEW)), begun
    assert [e["sending"] for e in w.d.events("flash-sending")] == [1]
    assert w.d.events("flash-sent")[0]["whole"] and not w.d.events("fault")
    assert len(w.d.events("docked")) == 1, "it was another docking"
    assert os.listdir(w.d.path("state", "flash")) == []
    w.d.check_chain()


SLOW = {"poll_msec": 40}  # long enough to do something meanwhile
SMALL = image("2.1", 40000)


def flashers(d):
    """Processes that send, whoever their parent is."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if b"--flash" in words and os.readlink(f"/proc/{pid}/fd/4").startswith(d.state):
            found.append(int(pid))
    return found


def sending(w, c, blocks=3):
    """In the middle of it."""
    w.d.wait(lambda: c.loader()["blocks"] >= blocks and flashers(w.d), "the sending")


def test_what_stands_against_it_is_told_in_fwupds_words(sim, dock):
    w = World(sim, dock, {"2.1": NEW})
    assert "no camera of the serial" in w.flash("CAM-1", "2.1")
    c = docked(w, clips=[rack.make_clip("DCIM/A.MP4", 1000, 1)])
    assert "9.9" in w.flash("CAM-1", "9.9")
    sim("add_clip", camera=c.name, **rack.make_clip("DCIM/B.MP4", 50000, 2))
    w.d.uplink.end()
    sim("unplug", camera=c.name)
    w.d.wait_state(1, "empty")
    c.plug()
    w.d.wait_state(1, "settled")
    w.d.wait(lambda: "(system-inhibit)" in str(w.flash_once("CAM-1", "2.1")), "footage without a receipt")
    w.d.start_uplink()
    w.d.wait_state(1, "ready")
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"
    # Its footage went first, and nothing was sent before.
    events = [e["event"] for e in w.d.events()]
    assert events.index("flash-begun") > max(i for i, e in enumerate(events) if e == "erased")


def test_it_came_back_with_the_old_version(sim, dock):
    w = World(sim, dock, {"2.1": NEW})
    c = docked(w, keeps_old=True)
    for n in range(3):
        told = w.flash("CAM-1", "2.1")
        assert (told["outcome"], told["version"]) == ("old-version", "1.0"), told
        w.d.wait_state(1, "ready")
    assert "(needs-user-action)" in w.flash("CAM-1", "2.1")
    c.set(keeps_old=False)
    assert w.flash("CAM-1", "2.1", "again")["outcome"] == "ok"


def test_it_did_not_come_back_and_heals_when_it_does(sim, dock):
    w = World(sim, dock, {"2.1": NEW}, within="3s")
    c = docked(w, stays_away=True)
    told = w.flash("CAM-1", "2.1")
    assert (told["outcome"], told["version"]) == ("not-back", ""), told
    w.d.wait_state(1, "empty")
    w.d.daemon.end()
    w.d.start_daemon()
    # Late, and in another bay.
    c.plug("1-1.2")
    w.wait_ended("not-back", "ok")
    w.d.wait_state(2, "ready")
    assert os.listdir(w.d.path("state", "flash")) == []


def test_image_of_another_device_is_not_sent(sim, dock):
    w = World(sim, dock, {"2.1": with_suffix(NEW, 0x4444, 0x5555), "2.2": with_suffix(image("2.2"), 0x1209, 0xBC12)})
    c = docked(w)
    told = w.flash("CAM-1", "2.1")
    assert told["outcome"] == "failed" and "4444:5555" in told["text"], told
    w.d.wait_state(1, "quarantined")
    assert c.loader()["blocks"] == 0 and c.has() == image("1.0")
    # It waits in its loader, and is not lost.
    assert "take it out and put it in again" in w.d.bay(1)["Reason"]


def test_loader_that_fails_is_given_it_again(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, fail_block=7, fail_count=2)
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"
    assert c.has() == SMALL and [e["whole"] for e in w.d.events("flash-sent")] == [True]
    # More than the plugin tries: then another worker does.
    c.write(image("1.0"))
    sim("unplug", camera=c.name)
    w.d.wait_state(1, "empty")
    c.set(fail_block=7, fail_count=4)
    c.plug()
    w.d.wait_state(1, "ready")
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"
    assert [e["whole"] for e in w.d.events("flash-sent")] == [True, False, True]


def outlives(sim, dock, end):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, **SLOW)
    order = w.begin("CAM-1", "2.1")
    sending(w, c)
    (before,) = flashers(w.d)
    w.d.daemon.end(end)
    assert flashers(w.d) == [before]
    w.d.start_daemon()
    w.wait_ended("ok")
    order.communicate(timeout=60)
    assert c.has() == SMALL and len(w.d.events("flash-sending")) == 1, w.d.events("flash-sending")
    w.d.wait_state(1, "ready")


def test_worker_outlives_a_daemon_that_is_killed_and_the_next_waits_for_it(sim, dock):
    outlives(sim, dock, signal.SIGKILL)


def test_worker_outlives_a_daemon_that_is_stopped_and_the_next_waits_for_it(sim, dock):
    outlives(sim, dock, signal.SIGTERM)


def test_its_end_while_no_daemon_runs_is_not_lost(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, **SLOW)
    order = w.begin("CAM-1", "2.1")
    sending(w, c)
    w.d.daemon.end(signal.SIGKILL)
    order.communicate(timeout=60)
    w.d.wait(lambda: not flashers(w.d) and c.has() == SMALL, "its end")
    w.d.start_daemon()
    w.wait_ended("ok")
    assert [e["whole"] for e in w.d.events("flash-sent")] == [True] and len(w.d.events("flash-sending")) == 1


def test_camera_whose_sending_was_ended_is_finished(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, **SLOW)
    order = w.begin("CAM-1", "2.1")
    sending(w, c)
    os.kill(flashers(w.d)[0], signal.SIGKILL)
    out, _ = order.communicate(timeout=60)
    assert '"ok"' in out, out
    assert [e["whole"] for e in w.d.events("flash-sent")] == [False, True] and c.has() == SMALL


def test_camera_taken_out_in_the_middle_is_finished_when_it_is_put_in_again(sim, dock):
    w = World(sim, dock, {"2.1": SMALL}, within="2s")
    c = docked(w, **SLOW)
    order = w.begin("CAM-1", "2.1")
    sending(w, c)
    sim("unplug", camera=f"{c.name}-loader")
    out, _ = order.communicate(timeout=60)
    assert '"not-back"' in out, out
    w.d.wait_state(1, "empty")
    assert c.has() != SMALL
    c.plug()
    w.wait_ended("not-back", "ok")
    w.d.wait_state(1, "ready")
    assert c.has() == SMALL and w.d.events("docked")[-1]["bay"] == "1-1.1"


def test_loader_that_nobody_flashed_is_left_alone(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = Camera(sim, w.d)
    c.write(SMALL[:999])
    c.plug()
    w.d.wait_state(1, "refused")
    assert "waits for firmware" in w.d.bay(1)["Reason"] and c.loader()["blocks"] == 0


def test_memory_with_addresses(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, dfuse=True, upload=True, pages=64)
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"
    assert c.has()[:len(SMALL)] == SMALL and c.loader()["early"] == 0 and c.loader()["uploaded"] >= len(SMALL)


rack.run([thing for name, thing in list(globals().items()) if name.startswith("test_")])
