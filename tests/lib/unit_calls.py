# SPDX-License-Identifier: Apache-2.0
"""What a unit forbids, held against what its program was seen to do."""

import os
import re
import subprocess

import rack

CALL = re.compile(r"^\d+ +(?:\d+\.\d+ +)?(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed)(.*)$")


def unit(name, *dropins):
    """The settings of a unit's [Service], and of drop-ins by their names in the tree: {key: [values]}."""
    settings = {}
    for path in [os.path.join(rack.BUILD, "systemd/system", name)] + [os.path.join(rack.SRC, "systemd/dropins", name) for name in dropins]:
        with open(path, encoding="utf-8") as f:
            for key, value in [line.strip().split("=", 1) for line in f if "=" in line and not line.startswith("#")]:
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
