#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pulling from many cameras at once: 1, 4, 16 and 64, uploads paused; and one clip of a few sizes.

usage: bench_many.py [MIB]      (default 2048)

Each camera has MIB MiB in eight clips. With the default they have 256 MiB, as a clip has in the mean, and a camera has half of what it has
in the mean: what it costs once weighs twice as much as on a rack. Of 64 cameras each has two of them, for the disk's sake. The kernel
lends as much memory for USB transfers as on an installed dock (udev-rules/68-berth-usbfs.rules).

Limits beside it, from the same machine in the same run: SHA-256 of as many bytes on one core, and writing them to the disk with
fdatasync. The simulator, which makes the bytes, takes its share of the processors; what it takes is shown. And the CPU that the work of
a pull takes by itself: SHA-256, libusb and writing, each in as many processes as there are cameras, all of them at once.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import rack  # noqa: E402
import results  # noqa: E402
from bench_storm import hubs, PORTS  # noqa: E402

MIB = 1 << 20
GIB = 1 << 30
DEADLINE = 1800
COUNTS = [1, 4, 16, 64]
SHARES = [64, 8, 1]  # of all bytes: clips of these sizes
CLIPS = 8  # of a camera …
MOST = 128  # … and of all together
USBFS_MIB = 128
FLIGHTS = 4  # of libusb alone: as many bytes under way as a worker has
LIMITS = 3  # how often they are measured
TICK = os.sysconf("SC_CLK_TCK")


def cpu_sec(pid, children=False):
    """Of the process; or of its children that have ended."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    at = 13 if children else 11
    return (int(fields[at]) + int(fields[at + 1])) / TICK


def peak_mib(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return next((int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM")), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended meanwhile


def is_worker(pid):
    """What berthd forked is berthd, with its memory, until it has become one."""
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            return f.read() == "berth-bay\n"
    except (FileNotFoundError, ProcessLookupError):
        return False


def limits(size, folder):
    """The fastest of a few: what the machine can."""
    rates = {}
    for name, args in LIMITS * (("SHA-256 alone, one core", ["sha", str(size)]), ("disk alone, fdatasync", ["disk", str(size), folder])):
        done = subprocess.run([os.path.join(rack.BUILD, "bench", "limits"), *args], check=True, capture_output=True, text=True)
        rates[name] = max(rates.get(name, 0), size / 1e6 / float(done.stdout.split()[0]))
    return rates


def at_once(argvs):
    """What each of them prints."""
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for argv in argvs]
    said = [p.communicate()[0].split() for p in running]
    assert all(p.returncode == 0 for p in running), f"{argvs[0]}: {said}"
    return said


def port_of(n):
    return f"1-{1 + n // PORTS}.{1 + n % PORTS}"


class Bench:
    def __init__(self, folder, total):
        self.folder, self.total = folder, total
        self.sim = rack.Sim()
        self.sim_pid = os.getppid()
        self.places = itertools.count(1)

    def place(self):
        """A new folder, with a name that nothing else has."""
        name = str(next(self.places))
        os.mkdir(os.path.join(self.folder, name))
        return name, os.path.join(self.folder, name)

    def camera(self, name, product, clips):
        self.sim("camera", name=name, type="ptp", vid=0x1209, pid=product, serial=name, manufacturer="Acme", model="BC-1", clips=clips)

    def clips(self, count):
        """The lengths of a camera's clips."""
        return min(CLIPS, MOST // count) * [self.total // CLIPS // MIB * MIB]

    def pull(self, count, sizes):
        name, place = self.place()
        ports = [port_of(n) for n in range(count)]
        names = [f"many-{name}-{n}" for n in range(count)]
        for n, camera in enumerate(names):
            self.camera(camera, 0xBE27, [rack.make_clip(f"DCIM/100/{camera}-{i}.MP4", size, 1000 * count + CLIPS * n + i)
                                         for i, size in enumerate(sizes)])
        slow = {"call": "600s", "stall": "600s"}
        dock = rack.Dock(place, ports, timeouts=slow)
        try:
            return self.run(dock.start(), names, ports, sizes)
        finally:
            dock.close()
            for camera in names:
                self.sim("unplug", camera=camera)
            shutil.rmtree(place)

    def run(self, dock, names, ports, sizes):
        dock.wait(lambda: dock.manager().get("StoreState") == "ready", "the store to be ready", DEADLINE)
        subprocess.run([f"{rack.BUILD}/berthctl", "transfer", "pause"], check=True, stdout=subprocess.DEVNULL)
        pid, sim_cpu, peaks = dock.daemon.pid, cpu_sec(self.sim_pid), {}
        began = time.clock_gettime(time.CLOCK_BOOTTIME)
        for name, port in zip(names, ports):
            self.sim("plug", camera=name, port=port)

        def all_copied():
            for worker in filter(is_worker, dock.workers()):
                peaks[worker] = max(peaks.get(worker, 0), peak_mib(worker))
            return dock.rows("SELECT count(*) FROM custody WHERE kind = 'copied'")[0][0] == len(names) * len(sizes)

        dock.wait(all_copied, "all to be copied", DEADLINE)
        took = [at / 1e6 - began for (at,) in dock.rows(
            "SELECT max(json_extract(bytes, '$.boottime_usec')) FROM custody WHERE kind = 'copied' GROUP BY camera_id")]
        dock.wait(lambda: not dock.workers(), "the workers to end", DEADLINE)
        size = sum(sizes) * len(names)
        gib = size / GIB
        return {"rate": size / 1e6 / max(took), "fair": max(took) / min(took), "daemon": cpu_sec(pid) / gib,
                "workers": cpu_sec(pid, children=True) / gib, "sim": (cpu_sec(self.sim_pid) - sim_cpu) / gib,
                "daemon_mib": peak_mib(pid), "worker_mib": max(peaks.values())}

    def parts(self, count):
        """CPU seconds for a GiB of libusb, SHA-256 and writing by themselves, as many of each, all at once."""
        name, place = self.place()
        size, tools = sum(self.clips(count)), os.path.join(rack.BUILD, "bench")
        argvs = []
        for n in range(count):
            self.camera(f"alone-{name}-{n}", 0xA000 + n, [rack.make_clip("ALONE.MP4", size, n)])
            self.sim("plug", camera=f"alone-{name}-{n}", port=port_of(n))
            os.mkdir(os.path.join(place, str(n)))
            argvs += [[f"{tools}/usb_read", f"1209:{0xA000 + n:04x}", str(FLIGHTS)], [f"{tools}/limits", "sha", str(size)],
                      [f"{tools}/spool_write", "direct", str(size), os.path.join(place, str(n))]]
        said = at_once(argvs)
        for n in range(count):
            self.sim("unplug", camera=f"alone-{name}-{n}")
        shutil.rmtree(place)
        assert all(int(came[2]) >= size for came in said[::3]), f"libusb alone brought less than the clips: {said[::3]}"
        cpu = [sum(float(one[1]) for one in said[part::3]) / (size * count / GIB) for part in range(3)]
        return {"sha": cpu[1], "all": sum(cpu)}


def main():
    total = int((sys.argv[1:] + ["2048"])[0]) * MIB
    rack.enter(hubs(max(COUNTS)), ["--usbfs-memory-mb", str(USBFS_MIB)])
    with tempfile.TemporaryDirectory(prefix="berth-many-") as folder:
        bench = Bench(folder, total)
        alone = limits(total, folder)
        slowest = min(alone, key=alone.get)
        for name, rate in alone.items():
            print(f"  {name:28} {rate:8.0f} MB/s")
        print(f"\n{'cameras':>8} {'MB/s':>7} {'of limit':>8} {'slowest/fastest':>16} {'CPU s/GiB: berthd':>18} {'workers':>8}"
              f" {'(parts alone)':>14} {'(simulator)':>12} {'MiB: berthd':>12} {'a worker':>9}")
        for count in COUNTS:
            row, parts = bench.pull(count, bench.clips(count)), bench.parts(count)
            cpu = row["daemon"] + row["workers"]
            print(f"{count:8} {row['rate']:7.0f} {row['rate'] / alone[slowest]:8.2f} {row['fair']:16.2f} {row['daemon']:18.2f}"
                  f" {row['workers']:8.2f} {parts['all']:14.2f} {row['sim']:12.2f} {row['daemon_mib']:12.1f} {row['worker_mib']:9.1f}",
                  flush=True)
            told = [("together", row["rate"], "MB/s", None),
                    (f"of the slowest limit ({slowest})", row["rate"] / alone[slowest], "times", ">= 0.85" if count == 1 else None),
                    ("CPU of berthd and workers", cpu, "s/GiB", "<= 1"),
                    ("CPU of SHA-256, libusb and writing by themselves", parts["all"], "s/GiB", None),
                    ("CPU of SHA-256 by itself", parts["sha"], "s/GiB", None),
                    ("CPU, to that of its parts by themselves", cpu / parts["all"], "times", None),
                    ("slowest camera, to the fastest", row["fair"], "times", None),
                    ("memory of berthd at its peak", row["daemon_mib"], "MiB", "<= 32"),
                    ("memory of a worker at its peak", row["worker_mib"], "MiB", None)]
            for what, value, unit, aim in told:
                results.add("many", f"{count} at once: {what}", value, unit, aim, ("cameras", count, what))
        print("\nOne camera, one clip of so many MiB:")
        print(f"{'MiB':>8} {'MB/s':>7} {'CPU s/GiB: berthd':>18} {'workers':>8} {'a worker, MiB':>14}")
        for size in (total // share for share in SHARES):
            row = bench.pull(1, [size])
            print(f"{size // MIB:8} {row['rate']:7.0f} {row['daemon']:18.2f} {row['workers']:8.2f} {row['worker_mib']:14.1f}", flush=True)
            told = [("speed", row["rate"], "MB/s"), ("CPU of berthd and workers", row["daemon"] + row["workers"], "s/GiB"),
                    ("memory of a worker at its peak", row["worker_mib"], "MiB")]
            for what, value, unit in told:
                results.add("many", f"a clip of {size // MIB} MiB: {what}", value, unit, None, ("bytes", size, what))


if __name__ == "__main__":
    main()
