#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A shift change, replayed: cameras come within a quarter of an hour, and the link to the store is the narrowest place.

usage: bench_shift.py [MIB [CAMERAS [MBIT]]]      (default 64, 45 and 200)

What a shift brings home, 17 clips and 4 GB a camera in the mean, is scaled to MIB MiB a camera, and the quarter of an hour by the same
factor: at the same rates of cables and link every time here is the real one divided by it. How many clips a camera has and how long each
is, is drawn as they are on a rack: many short ones, a few that are most of the bytes (log-normal); when each comes, most in the middle. All
of it is the same in each run. Four cameras share a high-speed bus, and the link takes MBIT Mbit/s.

Measured is, from the first camera on: until the last camera may be taken again, its footage safe on the dock; how long a camera lies there
for that; and until all is stored. Beside it, in the same run with the same cameras, bytes and link, the usual tools in a script: camera by
camera as they come gphoto2, sync, sha256sum, rclone. There each camera has the bus for itself, so that the script loses nothing by that.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import rack  # noqa: E402
import results  # noqa: E402
from bench_dock import Bench, BUCKET, BUS_BYTES_PER_SEC, DEADLINE, MIB, SHARE, device_of  # noqa: E402
from bench_storm import hubs, percentile  # noqa: E402

REAL_BYTES, REAL_CLIPS, REAL_SEC = 4e9, 17, 900
SPREAD = 1.2  # of a clip's length: sigma of its logarithm


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def arrivals(count, mean_bytes, chance):
    """[(seconds after the first, [bytes of each clip])], in order."""
    scale = mean_bytes / REAL_BYTES
    times = sorted(chance.triangular(0, REAL_SEC * scale, REAL_SEC * scale / 2) for _ in range(count))
    drawn = [[chance.lognormvariate(0, SPREAD) for _ in range(max(1, round(chance.gauss(REAL_CLIPS, 6))))] for _ in range(count)]
    unit = mean_bytes * count / sum(map(sum, drawn))
    return [(at - times[0], [max(1, round(size * unit)) for size in sizes]) for at, sizes in zip(times, drawn)]


class Shift(Bench):
    def __init__(self, folder, mean_bytes, cameras, link_bits):
        super().__init__(folder, mean_bytes, cameras, 1)
        self.link_bytes = link_bits / 8
        self.coming = arrivals(cameras, mean_bytes, random.Random(20))
        self.total = sum(sum(sizes) for _, sizes in self.coming)
        self.clips = sum(len(sizes) for _, sizes in self.coming)
        self.came = {}

    # ---- cameras

    def make(self, run, bytes_per_sec):
        """Cameras that nobody knows yet; none is plugged in."""
        self.names = [f"{run}-{n}" for n in range(len(self.ports))]
        self.digests, self.came = [], {}
        for name, (_, sizes) in zip(self.names, self.coming):
            self.sim("camera", name=name, type="ptp", vid=0x1209, pid=0xBE27, serial=name, manufacturer="Acme", model="BC-1",
                     clips=[rack.make_clip(f"DCIM/100/{n:02}-{name}.MP4", size, next(self.seeds)) for n, size in enumerate(sizes)])
            self.digests += [clip["sha256"] for clip in self.sim("state", camera=name, sha256=True)["clips"]]
        self.link = bytes_per_sec

    def arrive(self):
        """All cameras, each at its time; in a thread of its own."""
        began = boottime()

        def come():
            for name, port, (at, _) in zip(self.names, self.ports, self.coming):
                time.sleep(max(0, began + at - boottime()))
                self.came[name] = boottime()
                self.sim("plug", camera=name, port=port)
                self.sim("slow", camera=name, bytes_per_sec=self.link)

        thread = threading.Thread(target=come)
        thread.start()
        return began, thread

    # ---- ours

    def ours(self):
        self.make("ours", BUS_BYTES_PER_SEC // SHARE)
        folder = os.path.join(self.folder, "ours")
        os.mkdir(folder)
        dock = rack.Dock(folder, self.ports, place=rack.S3Place(self.store, BUCKET, "ours"), timeouts={"call": "600s", "stall": "600s"},
                         limit=f"{self.link_bytes * 8 / 1e6:.0f} Mbit/s").start()
        dock.wait(lambda: dock.manager().get("StoreState") == "ready", "the store to be ready", DEADLINE)
        began, thread = self.arrive()
        dock.wait(lambda: dock.rows("SELECT count(*) FROM custody WHERE kind = 'receipted'")[0][0] == self.clips, "all to be stored",
                  DEADLINE)
        thread.join()
        when = dict(dock.rows("SELECT k.serial, max(json_extract(c.bytes, '$.boottime_usec')) FROM custody c JOIN cameras k ON"
                              " k.id = c.camera_id WHERE c.kind = 'copied' GROUP BY k.serial"))
        stored = dock.rows("SELECT max(json_extract(bytes, '$.boottime_usec')) FROM custody WHERE kind = 'receipted'")[0][0]
        self.end(dock)
        return began, {name: at / 1e6 for name, at in when.items()}, stored / 1e6

    # ---- the usual tools

    def script(self):
        self.make("script", BUS_BYTES_PER_SEC)
        began, thread = self.arrive()
        safe, digests = {}, []
        for name, port in zip(self.names, self.ports):
            while name not in self.came or not os.path.exists(f"/sys/bus/usb/devices/{port}/devnum"):
                time.sleep(0.01)
            target = os.path.join(self.folder, name)
            os.mkdir(target)
            self.tool(["gphoto2", "--quiet", "--port", device_of(port), "--force-overwrite", "--filename", f"{target}/%f.%C",
                       "--get-all-files"])
            self.tool(["sync", "--file-system", target])
            files = sorted(os.listdir(target))
            digests += [line.split()[0] for line in self.tool(["sha256sum", *[os.path.join(target, f) for f in files]]).splitlines()]
            safe[name] = boottime()
            self.tool(["rclone", "--log-level", "ERROR", "--bwlimit", f"{self.link_bytes / 1024:.0f}K", "copy", target,
                       f"R:{BUCKET}/script/{name}"])
            shutil.rmtree(target)
        ended = boottime()
        thread.join()
        assert digests == self.digests, "the tools brought other bytes than the cameras have"
        self.unplug()
        return began, safe, ended

    def run(self):
        rows = {}
        for who, way in (("Berth", self.ours), ("gphoto2, sha256sum, rclone", self.script)):
            began, safe, stored = way()
            stays = [safe[name] - self.came[name] for name in self.names]
            rows[who] = {"last camera may be taken": max(safe.values()) - began, "a camera lies there, p50": percentile(stays, .5),
                         "a camera lies there, p90": percentile(stays, .9), "all is stored": stored - began}
            print(f"{who}:", ", ".join(f"{what} {sec:.1f} s" for what, sec in rows[who].items()), flush=True)
        return rows


def main():
    mib, cameras, mbit = (float(value) for value in (sys.argv[1:] + ["64", "45", "200"][len(sys.argv) - 1:]))
    cameras = int(cameras)
    rack.enter(hubs(cameras))
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))  # no Ceph is left behind
    with tempfile.TemporaryDirectory(prefix="berth-shift-") as folder:
        shift = Shift(folder, int(mib * MIB), cameras, mbit * 1e6)
        try:
            scale = REAL_BYTES / (mib * MIB)
            least = shift.total / shift.link_bytes
            print(f"{cameras} cameras with {shift.clips} clips and {shift.total / 1e9:.2f} GB in {REAL_SEC / scale:.0f} s, a link of "
                  f"{mbit:.0f} Mbit/s, which needs {least:.1f} s at least; times are 1/{scale:.0f} of the real ones:", flush=True)
            rows = shift.run()
        finally:
            shift.close()
    ours, theirs = rows.values()
    print(f"\n{'':32} {'Berth':>9} {'script':>9}  times faster")
    for what, sec in ours.items():
        print(f"{what:32} {sec:8.1f}s {theirs[what]:8.1f}s {theirs[what] / sec:9.2f}")
        results.add("shift", f"{cameras} cameras: {what}, scaled up", sec * scale / 60, "min")
        results.add("shift", f"{cameras} cameras: {what}, of the tools in turn, scaled up", theirs[what] * scale / 60, "min")
    results.add("shift", f"{cameras} cameras: last camera may be taken, faster than the tools", theirs["last camera may be taken"] /
                ours["last camera may be taken"], "times")
    results.add("shift", f"{cameras} cameras: all is stored, to what the link needs at least", ours["all is stored"] / least, "times",
                "<= 1.2")


if __name__ == "__main__":
    main()
