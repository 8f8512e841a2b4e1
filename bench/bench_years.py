#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A dock after years: its database with so many clips and about ten events each, and what starting and asking cost then.

usage: bench_years.py [CLIPS [CAMERAS]]      (default 200000 and 200)

The database is filled with the facts that the daemon writes itself, with the dock's signature under each receipt: a part of each tenth by
its code, fact by fact, which is what a fact costs; the rest is laid down after their pattern. Beside each figure stands the same one for a
dock that is a tenth as old: what grows with the years shows.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import rack  # noqa: E402
import results  # noqa: E402

DEADLINE = 3600
RESERVE = 4 << 30  # bytes of the disk that others have
ASKED = 20
AIMS = {"start, until on the bus, ms": "<= 2000", "berthctl status, ms": "<= 50", "a page of a camera's clips, p99, ms": "<= 10",
        "berthd's memory at its peak, MiB": "<= 32", "facts written in the second half, to the first, times": ">= 0.7"}


def years(*args):
    """What it prints goes on, and is returned."""
    done = subprocess.run([os.path.join(rack.BUILD, "bench", "years"), *map(str, args)], check=True, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    return done.stdout


def query_times(text):
    """The slowest but one in a hundred of each query, in ms."""
    found = re.findall(r"^  (\S.*?) +p50 +[0-9.]+ ms  p99 +([0-9.]+) ms", text, re.M)
    return {f"{what}, p99, ms": float(p99) for what, p99 in found}


def room_for(size, folder):
    return shutil.disk_usage(folder).free > size + RESERVE


def backup_sec(dock):
    """While the daemon runs; and cp with sync of the same files. None without room for a copy."""
    copy = os.path.join(dock.folder, "copy")
    if not room_for(os.path.getsize(os.path.join(dock.state, "berth.db")), dock.folder):
        print("  there is no room for a copy of it: backing up is not measured", flush=True)
        return None
    began = time.monotonic()
    subprocess.run([os.path.join(rack.BUILD, "berthctl"), "backup", copy, f"--state-dir={dock.state}"], check=True,
                   capture_output=True)
    ours = time.monotonic() - began
    shutil.rmtree(copy)
    began = time.monotonic()
    subprocess.run(["cp", os.path.join(dock.state, "berth.db"), copy], check=True)
    subprocess.run(["sync", copy], check=True)
    theirs = time.monotonic() - began
    os.unlink(copy)
    return ours, theirs


def start_sec(dock):
    """From the daemon's start until it is on the bus."""
    began = time.monotonic()
    dock.start_daemon(wait=False)
    dock.wait(lambda: dock.owned(rack.NAME) or not dock.daemon.running(), "berthd on the bus", DEADLINE)
    assert dock.daemon.running(), dock.logs()
    return time.monotonic() - began


def berthctl_sec(dock, *args):
    """The fastest of some: this machine does other things, too."""
    best = None
    for _ in range(ASKED):
        began = time.monotonic()
        subprocess.run([os.path.join(rack.BUILD, "berthctl"), *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        best = min(best or DEADLINE, time.monotonic() - began)
    return best


def memory_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024


def age(dock, clips, cameras):
    """What it costs then, by name."""
    dock.start_uplink()
    dock.start_daemon()
    dock.daemon.end()
    print(f"{clips} clips of {cameras} cameras:", flush=True)
    filled = years("fill", dock.state, clips, cameras)
    asked = query_times(years("measure", dock.state))
    row = {"start, until on the bus, ms": 1e3 * start_sec(dock)}
    for words in (["status"], ["clips"], ["camera", "list"]):
        row["berthctl " + " ".join(words) + ", ms"] = 1e3 * berthctl_sec(dock, *words)
    row["berthd's memory at its peak, MiB"] = memory_mib(dock.daemon.pid)
    rows = [[float(value) for value in found] for found in re.findall(r"(\d+) events/s +(\d+) bytes a clip", filled)]
    row["facts written, events/s"], row["size, bytes a clip"] = rows[-1]
    # A tenth may have had a bad moment: the halves of the years tell whether writing gets slower with them.
    rates = [rate for rate, _ in rows]
    row["facts written in the second half, to the first, times"] = statistics.median(rates[5:]) / statistics.median(rates[:5])
    took = backup_sec(dock)
    if took:
        row["berthctl backup beside the daemon, ms"], row["cp and sync of it, ms"] = 1e3 * took[0], 1e3 * took[1]
    return {**row, **asked}


def aged(folder, clips, cameras):
    dock = rack.Dock(os.path.join(folder, str(clips)), ["1-1.1", "1-1.2"])
    try:
        return age(dock, clips, cameras)
    except subprocess.CalledProcessError:
        print(dock.logs(), flush=True)
        raise
    finally:
        dock.close()
        shutil.rmtree(dock.folder)


def main():
    rack.enter()
    clips, cameras = (int(value) for value in (sys.argv[1:] + ["200000", "200"][len(sys.argv) - 1:]))
    with tempfile.TemporaryDirectory(prefix="berth-years-") as folder:
        young = aged(folder, clips // 10, cameras)
        size = young["size, bytes a clip"] * clips
        if not room_for(size, folder):
            sys.exit(f"{clips} clips will take {size / (1 << 30):.0f} GiB in {folder}, which has not so much: set TMPDIR")
        old = aged(folder, clips, cameras)
    print(f"{'':40} {clips // 10:>12} {clips:>12}   ratio")
    for what in young:
        name, unit = what.rsplit(", ", 1)
        rows = {count: row[what] for count, row in ((clips // 10, young), (clips, old)) if what in row}
        for count, figure in rows.items():
            results.add("years", f"{count} clips: {name}", figure, unit, AIMS.get(what), ("clips", count, name))
        told = [f"{rows[count]:12.1f}" if count in rows else f"{'no room':>12}" for count in (clips // 10, clips)]
        print(f"{what:40} {told[0]} {told[1]}  {rows[max(rows)] / rows[min(rows)]:6.2f}")


if __name__ == "__main__":
    main()
