#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The dock's own clock is put years forward and back: that goes on record, makes nothing old enough to go, and breaks nothing."""

import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20
YEARS = 365 * 86400
PRELOAD = f"{rack.BUILD}/tests/preload/step_clock.so"


class Clock:
    """The wall clock of berthd and the uploader."""

    def __init__(self, d):
        self.path = d.path("clock")
        self.set(0)
        d.preload = PRELOAD
        os.environ["BERTH_CLOCK_FILE"] = self.path

    def set(self, offset_sec):
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(fd, struct.pack("=q", offset_sec), 0)
        os.close(fd)


def camera(sim, name, clips):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)
    return {(f"SN-{name}", path): [digest] for path, digest in rack.sha256_of(sim("state", camera=name, sha256=True)).items()}


def steps(d):
    """Seconds of each step, as the custody log tells them: an event of its own, or said by whatever came first on record."""
    told = [e["step_usec"] if e["event"] == "clock-stepped" else e.get("clock_step_usec") for e in d.events()]
    return [usec // 1000000 for usec in told if usec]


def wait_step(d, n, seconds):
    d.wait(lambda: len(steps(d)) >= n, "the step on record")
    assert len(steps(d)) == n and abs(steps(d)[-1] - seconds) < 60, (steps(d), seconds)


def ran_since(usec):
    return rack.time.clock_gettime_ns(rack.time.CLOCK_BOOTTIME) // 1000 - usec


def verify(d):
    done = subprocess.run([f"{rack.BUILD}/berthctl", "custody", "verify", f"--state-dir={d.state}"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ten_years_forward_erase_nothing_by_age(sim, dock):
    d = dock(["1-1.1"], policy={"erase": "after 20s"})
    clock = Clock(d)
    d.start()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.events("receipted"), "the receipt")
    clock.set(10 * YEARS)
    wait_step(d, 1, 10 * YEARS)
    stored = d.events("receipted")[0]["boottime_usec"]
    # By either clock the clip's time is over now; but nobody knows what the one that jumped is worth.
    d.wait(lambda: ran_since(stored) > 26_000_000, "the time to be over")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    assert len(sim("state", camera="c")["clips"]) == 1 and not d.events("erase-begun"), "a jump of the clock erased a camera"
    d.check_chain()
    verify(d)


def test_copies_outlive_a_jump_forward_and_the_jump_back(sim, dock):
    """A spool that is short of room lets go of copies whose time is over: by the clock alone that would be all of them."""
    d = dock(["1-1.1"], keep="8s")
    clock = Clock(d)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96M", "none", d.state], check=True)
    try:
        d.start()
        digests = camera(sim, "a", [make_clip(f"a{n}.MP4", 20 * MIB, n) for n in range(3)])
        camera(sim, "b", [make_clip("b.MP4", 40 * MIB, 9)])
        sim("plug", camera="a", port="1-1.1")
        d.wait_state(1, "ready")
        clock.set(10 * YEARS)
        wait_step(d, 1, 10 * YEARS)
        sim("unplug", camera="a")
        d.wait_state(1, "empty")
        stored = max(e["boottime_usec"] for e in d.events("receipted"))
        sim("plug", camera="b", port="1-1.1")
        d.wait(lambda: d.manager().get("SpoolState") == "full" or "spool is full" in d.daemon.output().lower(), "the spool to be full")
        d.wait(lambda: ran_since(stored) > 12_000_000, "the time of the copies to be over")
        assert not d.events("spool-released"), "a jump of the clock let go of copies"
        clock.set(0)
        wait_step(d, 2, -10 * YEARS)
        assert not d.events("spool-released") and d.stored() == digests
        assert len([n for n in os.listdir(os.path.join(d.state, "spool")) if n.endswith(".clip")]) == 3
        d.check_chain()
        d.close()
    finally:
        subprocess.run(["umount", "-l", d.state], check=True)


def test_work_goes_on_in_a_year_that_is_over(sim, dock):
    """Twenty years back, and a restart there: what is new is pulled, stored and erased; the chain's order is that of its numbers."""
    d = dock(["1-1.1"])
    clock = Clock(d)
    d.start()
    digests = camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    clock.set(-20 * YEARS)
    wait_step(d, 1, -20 * YEARS)
    digests |= camera(sim, "d", [make_clip("b.MP4", MIB, 2)])
    sim("plug", camera="d", port="1-1.1")
    d.wait_state(1, "ready")
    assert d.stored() == digests and not sim("state", camera="d")["clips"]
    d.daemon.end()
    d.start_daemon()
    d.wait(lambda: d.events("chain-verified")[1:], "the chain to be verified by the next start")
    assert len(steps(d)) == 1, steps(d)
    d.daemon.end()
    clock.set(0)
    # Of a machine that was off nobody knows for how long, only a step back can be told; of one that ran, both.
    d.start_daemon()
    wait_step(d, 2, 20 * YEARS)
    d.wait(lambda: len(d.events("chain-verified")) == 3, "the chain to be verified once more")
    d.check_chain()
    d.daemon.end()
    verify(d)


rack.run([test_ten_years_forward_erase_nothing_by_age, test_copies_outlive_a_jump_forward_and_the_jump_back,
          test_work_goes_on_in_a_year_that_is_over])
