#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An include never points up or sideways.

    base -> {store, core, model} -> service -> bus -> main.c
    bay and uplink stand on base alone, proof on base and store, ctl on base, model and proof;
    a plugin sees <berth/plugin.h> and its own folder.

What gives a power (SQL, USB, the network, loading code) is included only where that power belongs, and core/ has none.

Prints one line for each include that breaks this, and exits 1 when there is one. `floors.py [ROOT]`
"""

import os
import re
import sys

BELOW = {
    "base": set(),
    "store": {"base"},
    "core": {"base"},
    "model": {"base"},
    "proof": {"base", "store"},
    "service": {"base", "store", "core", "model"},
    "bus": {"base", "store", "core", "model", "service"},
    "main": {"base", "store", "core", "model", "service", "bus"},
    "bay": {"base"},
    "uplink": {"base"},
    "ctl": {"base", "model", "proof"},
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
# Who may have which power, by the header that gives it.
POWERS = {
    "sqlite3.h": {"store"},
    "libudev.h": {"service"},
    "libusb.h": {"bay"},
    "dlfcn.h": {"bay"},
    "seccomp.h": {"bay"},
    "curl/curl.h": {"uplink"},
}
# Pure decisions: no descriptor, no clock, no bus.
NOT_IN_CORE = re.compile(r"(fcntl|unistd|time|dirent|poll|signal|pthread|sys/.*|systemd/.*)\.h$")
ABI = "berth/plugin.h"


def floor_of(path):
    """The floor of a source file below daemon/, or of an include that names one."""
    head, _, rest = path.partition("/")
    if not rest:
        return "main"
    return head if head in BELOW else None


def check_daemon(path, quote, name):
    mine = floor_of(path)
    if mine is None:
        return f"daemon/{path.partition('/')[0]}/ is not on a floor: name it in tests/lint/floors.py"
    if quote == "<":
        if mine not in POWERS.get(name, {mine}):
            return f"<{name}> belongs to {' and '.join(sorted(POWERS[name]))} alone"
        if mine == "core" and NOT_IN_CORE.match(name) and name != "sys/types.h":
            return f"core decides and does nothing: it needs no <{name}>"
        return None
    if "/" not in name or name.startswith("."):
        return f'"{name}" is not relative to daemon/'
    if name == ABI:
        return "write it as <berth/plugin.h>"
    target = floor_of(name)
    if target is None:
        return f'"{name}" is on no floor'
    if target != mine and target not in BELOW[mine]:
        return f"{mine} must not stand on {target}"
    return None


def check_plugin(path, quote, name, root):
    own = os.path.dirname(path)
    if quote == '"':
        if "/" in name or not os.path.isfile(os.path.join(root, "plugins", own, name)):
            return f'"{name}" is neither <berth/plugin.h> nor a file of plugins/{own}/'
    elif name.startswith("berth/"):
        return None if name == ABI else f"a plugin sees no other header of ours than <{ABI}>"
    elif os.path.isfile(os.path.join(root, "daemon", name)):
        return f"<{name}> is the daemon's"
    return None


def check_public(quote, name):
    return f'"{name}": the public header stands on the C library alone' if quote == '"' else None


def sources(root, below):
    for folder, folders, files in os.walk(os.path.join(root, below)):
        folders.sort()
        for file in sorted(files):
            if file.endswith((".c", ".h")):
                yield os.path.relpath(os.path.join(folder, file), os.path.join(root, below))


def violations(root):
    for below in ("daemon", "plugins", "include"):
        for path in sources(root, below):
            with open(os.path.join(root, below, path), encoding="utf-8") as f:
                text = f.read()
            for match in INCLUDE.finditer(text):
                quote, name = match.groups()
                if below == "daemon":
                    why = check_daemon(path, quote, name)
                elif below == "plugins":
                    why = check_plugin(path, quote, name, root)
                else:
                    why = check_public(quote, name)
                if why:
                    yield f"{below}/{path}:{text.count(chr(10), 0, match.start()) + 1}: {why}"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found = list(violations(root))
    for line in found:
        print(line)
    if not any(True for _ in sources(root, "daemon")):
        print(f"{root}/daemon has no sources: nothing was checked")
        return 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
