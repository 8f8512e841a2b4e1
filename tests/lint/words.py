#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Words that no file of the tree may hold: paths of somebody's machine, and notes of work left undone.

Looks at the files that git tracks (outside a repository: at all files but build folders). `words.py [ROOT]`
"""

import os
import re
import subprocess
import sys

# Written so that this file does not hold them itself.
FORBIDDEN = [
    (re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+)/[\w.]"), "a path of somebody's machine"),
    (re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b(?!X)"), "work left undone: do it, or open an issue"),
    (re.compile(r"^(?:<{7}|>{7}) ", re.M), "a conflict marker"),
]
NOT_TEXT = (".bin", ".png", ".jpg", ".svg", ".ptp", ".pcap")
NOT_OURS = {"LICENSE"}


def files(root):
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if listed.returncode == 0 and listed.stdout:
        yield from listed.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
        return
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in (".git", "__pycache__", "build") and not f.startswith("build-"))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)


def violations(root):
    for path in files(root):
        full = os.path.join(root, path)
        if path in NOT_OURS or path.endswith(NOT_TEXT) or "/corpus/" in path or not os.path.isfile(full):
            continue
        with open(full, encoding="utf-8", errors="surrogateescape") as f:
            text = f.read()
        for pattern, why in FORBIDDEN:
            for match in pattern.finditer(text):
                yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: '{match.group(0).strip()}': {why}"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found = list(violations(root))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
