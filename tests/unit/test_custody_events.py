#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/custody-events.md, the code and the crash matrix know the same kinds of events, and the same members."""

import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from custody_events import SRC, documented, read  # noqa: E402


def code_kinds():
    kinds = dict(re.findall(r'\[(FACT_\w+)\] = "([a-z-]+)"', read("daemon", "store", "fact.c")))
    silent = re.search(r"bool has_event\(FactKind kind\) \{\s*return ([^;]*);", read("daemon", "store", "writer.c")).group(1)
    return {name for fact, name in kinds.items() if fact not in re.findall(r"FACT_\w+", silent)}, set(kinds.values())


def code_members():
    members = set(re.findall(r'put_\w+\(&?b, "(\w+)"', read("daemon", "store", "event.c")))
    members |= set(re.findall(r'put\(b, "(\w+)"', read("daemon", "store", "event.c"))) | {"v", "seq", "prev"}
    members |= set(re.findall(r'return "(\w+)";', read("daemon", "store", "event.c")))
    for path in glob.glob(os.path.join(SRC, "daemon", "store", "*.c")):
        members |= set(re.findall(r'writer_extra\(w, "(\w+)"', read(path)))
    return members


def difference(what, docs, code):
    odd = [f"{what} {name} is in the code, and not in docs/custody-events.md" for name in sorted(code - docs)]
    return odd + [f"{what} {name} is in docs/custody-events.md, and not in the code" for name in sorted(docs - code)]


def main():
    kinds, common = documented()
    with_event, all_kinds = code_kinds()
    listed = read("tests", "crash", "matrix.py").split("KINDS_ELSEWHERE = {")[1].split("\n}\n")[0]
    matrix = set(re.findall(r'^    "([a-z-]+)": "', listed, re.M))
    checks = [("each kind of event is in the documentation, and no other", difference("the event", set(kinds), with_event)),
              ("each member is in the documentation, and no other",
               difference("the member", common.union(*kinds.values()), code_members())),
              ("the crash matrix names no kind that there is not", [f"{name} is no fact" for name in sorted(matrix - all_kinds)])]
    print(f"1..{len(checks)}")
    for n, (name, odd) in enumerate(checks, 1):
        print(f"{'not ok' if odd else 'ok'} {n} - {name}")
        for line in odd:
            print(f"# {line}")
    sys.exit(any(odd for _, odd in checks))


main()
