#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""check.py MAKE PART…: makes each part (a make target) and sums up.

Prints the time of each part and, as the very last line, "N passed, N failed[, N skipped]" over all of them. A part whose
tests ran under tests/run.py counts with their numbers, any other part as one test. A failing part does not keep the
next ones from running, but nothing is tested once `check-build` has failed.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time


def without_jobserver(flags):
    """MAKEFLAGS for a make that divides the machine anew: the jobserver's descriptors do not reach it."""
    return " ".join(f for f in shlex.split(flags) if not f.startswith(("-j", "--jobserver"))) if "jobserver" in flags else flags


def run_part(make, part, results_file):
    open(results_file, "w", encoding="utf-8").close()
    environment = dict(os.environ, BERTH_RESULTS=results_file, MAKEFLAGS=without_jobserver(os.environ.get("MAKEFLAGS", "")))
    command = [make, "--no-print-directory", f"-j{os.cpu_count()}", "--keep-going", part]
    started = time.monotonic()
    status = subprocess.run(command, stdin=subprocess.DEVNULL, env=environment, check=False).returncode
    seconds = time.monotonic() - started
    with open(results_file, encoding="utf-8") as f:
        results = [json.loads(line) for line in f]
    numbers = {key: sum(r[key] for r in results) for key in ("passed", "failed", "skipped")}
    broken = [line for r in results for line in r["broken"]]
    if status != 0 and not numbers["failed"]:
        numbers["failed"] = 1
        broken.append(f"make {part} ended with exit status {status}; its messages are above")
    elif not results:
        numbers["passed"] = 1
    return {"part": part, "seconds": seconds, "broken": broken, **numbers}


def main():
    make, *parts = sys.argv[1:]
    done = []
    with tempfile.TemporaryDirectory(prefix="berth-check-") as folder:
        for part in parts:
            print(f"\n==== {part} " + "=" * (72 - len(part)), flush=True)
            done.append(run_part(make, part, os.path.join(folder, "results")))
            if part == "check-build" and done[-1]["failed"]:
                break

    print("\n==== summary " + "=" * 65)
    for d in done:
        counts = f"{d['passed']} passed, {d['failed']} failed" + (f", {d['skipped']} skipped" if d["skipped"] else "")
        print(f"  {d['part']:16} {int(d['seconds']) // 60:3d} min {int(d['seconds']) % 60:2d} s   {counts}")
        for line in d["broken"]:
            print(f"      {line}")
    total = {key: sum(d[key] for d in done) for key in ("passed", "failed", "skipped")}
    print(f"  {'all':16} {int(sum(d['seconds'] for d in done)) // 60:3d} min {int(sum(d['seconds'] for d in done)) % 60:2d} s")
    print(f"{total['passed']} passed, {total['failed']} failed" + (f", {total['skipped']} skipped" if total["skipped"] else ""))
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
