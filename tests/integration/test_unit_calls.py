#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the units forbid, the programs do not need: the main job is traced, and each system call, socket family and mapping of it
held against the units' lines. A service manager is not at hand here, and on a dock it would be too late."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20
CALL = re.compile(r"^\d+ +(?:\d+\.\d+ +)?(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed)(.*)$")


def unit(name):
    """The settings of a unit's [Service]: {key: [values]}."""
    with open(os.path.join(rack.BUILD, "systemd/system", name), encoding="utf-8") as f:
        lines = [line.strip().split("=", 1) for line in f if "=" in line and not line.startswith("#")]
    settings = {}
    for key, value in lines:
        settings.setdefault(key, []).append(value)
    return settings


def expand(name):
    """The system calls of a name or a @group."""
    if not name.startswith("@"):
        return {name}
    said = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=True).stdout
    members = [line.strip() for line in said.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*map(expand, members))


def allowed_calls(settings):
    """As systemd.exec(5) tells: the first line makes it a list of what is allowed, `~` takes away, the last word counts."""
    allowed = set(expand("@default"))
    for line in settings["SystemCallFilter"]:
        calls = set().union(*map(expand, line.removeprefix("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def traced(folder, programs):
    """A folder of programs, those named being wrapped so that all calls of theirs and their children are written down."""
    os.makedirs(folder)
    for name in os.listdir(rack.BUILD):
        if name not in programs:
            os.symlink(os.path.join(rack.BUILD, name), os.path.join(folder, name))
    for name in programs:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as f:
            # -D: the program itself stays the child of whoever started it.
            f.write(f'#!/bin/sh\nexec strace -D -f -qq -s 0 -o "{path}.calls" "{rack.BUILD}/{name}" "$@"\n')
        os.chmod(path, 0o755)
    return folder


def calls(path):
    """[(name, the rest of the line)] but for the first: that one is strace's own, starting the program."""
    found = []
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            match = CALL.match(line)
            if match and "ENOSYS" not in match.group(2):
                found.append((match.group(1), match.group(2)))
    return found[1:]


def forbidden(settings, found):
    """What of the calls the unit would have refused."""
    allowed = allowed_calls(settings)
    families = set(" ".join(settings["RestrictAddressFamilies"]).split())
    wrong = {f"{name}()" for name, _ in found if name not in allowed}
    for name, rest in found:
        family = re.match(r"(AF_\w+)", rest)
        if name in ("socket", "socketpair") and family and family.group(1) not in families:
            wrong.add(f"{name}({family.group(1)})")
        if (name == "mmap" and "PROT_WRITE|PROT_EXEC" in rest) or (name in ("mprotect", "pkey_mprotect") and "PROT_EXEC" in rest):
            wrong.add(f"{name}() of memory that is written and executed")
        if "CLONE_NEW" in rest:
            wrong.add(f"{name}() of a namespace")
    return wrong


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
