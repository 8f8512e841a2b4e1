#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""All benchmarks, one after the other, and their figures as bench/results.json and bench/RESULTS.md.

usage: run.py MAKE [NAME ...]      (default: all; NAME as in `make bench-NAME`)

The figures of those that did not run now are kept as they were, with their date.
"""

import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile

import results

HERE = os.path.dirname(os.path.abspath(__file__))
JSON, TABLE = os.path.join(HERE, "results.json"), os.path.join(HERE, "RESULTS.md")
ALL = ["pull", "many", "storm", "years", "bus", "upload", "dock", "shift", "charge", "rollout", "vm"]
HEAD = """# What Berth measures

Made by `make bench`. Each figure is of one run, on the machine that its section names; where a peer or a limit stands beside it, that
was measured in the same run. An aim that is not reached says so.
"""


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.readline().split()[1]) / (1 << 20)
    return f"{len(os.sched_getaffinity(0))} x {model}, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"


def measured(make, name, scratch):
    path = os.path.join(scratch, name)
    print(f"==== bench-{name}", flush=True)
    ended = subprocess.run([make, "--no-print-directory", f"bench-{name}"], env=dict(os.environ, BERTH_RESULTS=path), check=False)
    if ended.returncode:
        print(f"bench-{name} ended with {ended.returncode}: its figures are left as they were", flush=True)
        return None
    with open(path, encoding="utf-8") as f:
        figures = [json.loads(line) for line in f]
    return {"date": datetime.date.today().isoformat(), "machine": machine(), "figures": figures}


def words(figure):
    met = results.met(figure)
    return f"{figure['aim']}{'' if met else ' (missed)'}" if figure["aim"] else ""


def table(runs):
    lines = [HEAD]
    for name, run in runs.items():
        lines += [f"\n## `make bench-{name}`\n", f"{run['date']}, {run['machine']}\n"]
        lines += ["| figure | value | unit | aim |", "|---|---:|---|---|"]
        lines += [f"| {f['what']} | {f['value']:.4g} | {f['unit']} | {words(f)} |" for f in run["figures"]]
    return "\n".join(lines) + "\n"


def write(runs):
    with open(JSON, "w", encoding="utf-8") as f:
        json.dump(runs, f, indent=1)
        f.write("\n")
    with open(TABLE, "w", encoding="utf-8") as f:
        f.write(table(runs))


def main():
    make, names = sys.argv[1], sys.argv[2:] or ALL
    unknown = set(names) - set(ALL)
    if unknown:
        sys.exit(f"There is no bench-{unknown.pop()}; there are {', '.join(ALL)}.")
    runs = {}
    if os.path.exists(JSON):
        with open(JSON, encoding="utf-8") as f:
            runs = json.load(f)
    failed = False
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as scratch:
        for name in names:
            run = measured(make, name, scratch)
            failed = failed or run is None
            runs[name] = run or runs.get(name)
            # After each: the whole suite takes most of an hour, and what was measured outlives its end.
            write({name: runs[name] for name in ALL if runs.get(name)})
    print(f"The figures are in {os.path.relpath(TABLE)}.")
    if shutil.which("gnuplot"):
        subprocess.run([sys.executable, os.path.join(HERE, "plot.py")], check=False)
    sys.exit(failed)


if __name__ == "__main__":
    main()
