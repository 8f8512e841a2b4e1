#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The part of our style that a program can see: licence line, no tabs or spaces at line ends, lines and files
that a reader can take in. `style.py [ROOT]`
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from words import files  # noqa: E402

# We aim at 120 columns and about 600 lines: here is where "about" ends.
LINE_MAX = 140
FILE_MAX = 900
LICENCE = "SPDX-License-Identifier: Apache-2.0"
CODE = (".c", ".h", ".py")
WITH_LICENCE = CODE + (".mk", ".conf", ".rules", ".service", ".service.in", ".socket", ".sh", ".xml")


def complaints(path, text):
    lines = text.split("\n")
    if path.endswith(WITH_LICENCE) and not any(LICENCE in line for line in lines[:5]):
        yield 1, f"no '{LICENCE}' near the top"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield len(lines), "the file must end with exactly one line end"
    if path.endswith(CODE) and len(lines) > FILE_MAX:
        yield len(lines), f"more than {FILE_MAX} lines: which noun wants a file of its own?"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "white space at the end of the line"
        if path.endswith(CODE):
            if "\t" in line:
                yield number, "a tab: indent by spaces"
            if len(line) > LINE_MAX:
                yield number, f"{len(line)} columns, {LINE_MAX} at most"


def violations(root):
    for path in files(root):
        full = os.path.join(root, path)
        if path == "LICENSE" or "/corpus/" in path or not os.path.isfile(full) or os.path.getsize(full) == 0:
            continue
        try:
            with open(full, encoding="utf-8") as f:
                text = f.read()
        except UnicodeDecodeError:
            continue
        # dpkg gives its scripts their mode itself.
        if text.startswith("#!") and not path.startswith("debian/") and not os.access(full, os.X_OK):
            yield f"{path}:1: it names its interpreter and cannot be run: chmod +x"
        for number, why in complaints(path, text):
            yield f"{path}:{number}: {why}"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found = list(violations(root))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
