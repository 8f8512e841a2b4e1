#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the units forbid, the programs do not need: the main job is traced, and each system call, socket family and mapping of it
held against the units' lines. A service manager is not at hand here, and on a dock it would be too late."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402
from unit_calls import calls, forbidden, traced, unit  # noqa: E402

MIB = 1 << 20


def test_units_allow_all_that_the_main_job_takes(sim, dock):
    d = dock(["1-1.1"])
    build = rack.BUILD
    d.start_uplink()
    d.uplink.end()
    rack.BUILD = traced(d.path("traced"), ["berthd", "berth-uplink"])
    try:
        d.start()
        sim("camera", name="a", type="ptp", serial="SN-1", manufacturer="Acme", model="BC-1", firmware="1.2", clock_offset_sec=90,
            clips=[make_clip("x.MP4", 20 * MIB, 1), make_clip("y.MP4", 1000, 2)])
        sim("plug", camera="a", port="1-1.1")
        d.wait_state(1, "ready", deadline=300)
        assert len(d.stored()) == 2
        sim("unplug", camera="a")
        d.wait_state(1, "empty")
        d.daemon.end()
        d.uplink.end()
    finally:
        traces, rack.BUILD = rack.BUILD, build
    for program in ["berthd", "berth-uplink"]:
        found = calls(os.path.join(traces, program + ".calls"))
        names = {name for name, _ in found}
        assert {"fdatasync", "openat"} <= names, f"the trace of {program} is not one: {sorted(names)}"
        assert program != "berthd" or {"landlock_restrict_self", "seccomp"} <= names, "no worker was traced"
        wrong = forbidden(unit(program + ".service"), found)
        assert not wrong, f"{program}.service would refuse: {', '.join(sorted(wrong))}"


def test_a_forbidden_call_would_be_seen(sim, dock):
    settings = {"SystemCallFilter": ["@system-service", "~@privileged"], "RestrictAddressFamilies": ["AF_UNIX"]}
    found = [("openat", "AT_FDCWD, \"\"... = 3"), ("capset", "{...} = 0"), ("socket", "AF_INET, SOCK_STREAM, IPPROTO_IP) = 3"),
             ("mmap", "NULL, 4096, PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE, 3, 0) = 1")]
    assert len(forbidden(settings, found)) == 3, forbidden(settings, found)


rack.run([test_units_allow_all_that_the_main_job_takes, test_a_forbidden_call_would_be_seen])
