#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What footage costs in syncs, writes, USB requests and allocations: counted, since a count is the same on a busy machine. The bounds are
about twice what was counted when they were written: they fail when something got a way worse than it was, such as a smaller read or one
more commit a block.

Three docks do the main job under strace, their allocations counted, with a clip, a longer clip, and more clips; what a MiB and a clip
cost are the differences.
"""

import collections
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402
from unit_calls import calls, traced  # noqa: E402

MIB = 1 << 20
# Those that are work: how often something waited, or looked around, is the time's and the load's.
WORK = {"syncs": ("fsync", "fdatasync"), "writes": ("pwrite64", "pwritev", "pwritev2", "write", "writev"), "USB requests": ("ioctl",)}
LONG, MANY = 48, 6
# {(program, what): (at most a MiB, at most a clip)}
BOUNDS = {("berthd", "syncs"): (1.5, 60), ("berthd", "writes"): (20, 400), ("berthd", "USB requests"): (32, 250),
          ("berth-uplink", "syncs"): (0.5, 30), ("berth-uplink", "writes"): (8, 60),
          ("berthd", "allocations"): (60, 9000), ("berth-bay", "allocations"): (60, 900)}
PRELOAD = os.path.join(rack.BUILD, "tests", "preload", "count_allocations.so")


def counting(folder, names):
    """A folder of programs, those named being wrapped so that how often they ask for memory is counted, in one file for each name."""
    os.makedirs(folder)
    for name in os.listdir(rack.BUILD):
        if name not in names:
            os.symlink(os.path.join(rack.BUILD, name), os.path.join(folder, name))
    for name in names:
        path = os.path.join(folder, name)
        with open(path + ".allocations", "wb") as f:
            f.write(bytes(8))
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nLD_PRELOAD={PRELOAD} BERTH_ALLOCATIONS={path}.allocations exec {rack.BUILD}/{name} "$@"\n')
        os.chmod(path, 0o755)
    return folder


def allocations(folder, name):
    with open(os.path.join(folder, name + ".allocations"), "rb") as f:
        return struct.unpack("=Q", f.read())[0]


def counted(d, build, name, clips):
    """{(program, what): how many} of a whole main job, from the daemon's start to its end."""
    rack.BUILD = memory = counting(d.path("counting"), ["berthd", "berth-bay"])
    rack.BUILD = traced(d.path("traced"), ["berthd", "berth-uplink"])
    d.config["worker"] = os.path.join(memory, "berth-bay")
    d.write_config()
    try:
        d.start()
        d.sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)
        d.sim("plug", camera=name, port="1-1.1")
        d.wait(lambda: len(d.events("erased")) == len(clips), "all to be stored and erased", deadline=300)
        d.wait_state(1, "ready", deadline=300)
        d.daemon.end()
        d.uplink.end()
    finally:
        traces, rack.BUILD = rack.BUILD, build
    found = {}
    for program in ("berthd", "berth-uplink"):
        names = collections.Counter(name for name, _ in calls(os.path.join(traces, program + ".calls")))
        assert names["openat"] > 0, f"the trace of {program} is not one: {names}"
        found.update({(program, what): sum(names[call] for call in kinds) for what, kinds in WORK.items()})
    found.update({(program, "allocations"): allocations(memory, program) for program in ("berthd", "berth-bay")})
    assert found["berthd", "allocations"] > 100 and found["berth-bay", "allocations"] > 100, "allocations are not counted"
    d.sim("unplug", camera=name)
    return found


def test_footage_costs_no_more_syncs_writes_and_usb_requests_than_it_did(sim, dock):
    build, rows = rack.BUILD, {}
    for seed, (name, sizes) in enumerate({"one": [MIB], "long": [MIB + LONG * MIB], "many": [MIB] * (1 + MANY)}.items()):
        d = dock(["1-1.1"], below=name, timeouts={"reconcile": "600s"})
        d.sim = sim
        rows[name] = counted(d, build, name, [make_clip(f"{n}.MP4", size, 10 * seed + n) for n, size in enumerate(sizes)])
        d.close()
    wrong = []
    for key, bounds in BOUNDS.items():
        cost = [(rows["long"][key] - rows["one"][key]) / LONG, (rows["many"][key] - rows["one"][key]) / MANY]
        print(f"# {key[0]}: {cost[0]:.2f} {key[1]} a MiB (at most {bounds[0]}), {cost[1]:.1f} a clip (at most {bounds[1]})", flush=True)
        wrong += [(key, cost, bounds)] if cost[0] > bounds[0] or cost[1] > bounds[1] else []
    assert not wrong, wrong


rack.run([test_footage_costs_no_more_syncs_writes_and_usb_requests_than_it_did])
