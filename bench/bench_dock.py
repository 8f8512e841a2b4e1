#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A whole dock from plug-in to the last receipt, with a Ceph on this machine as its store, beside the usual tools in the same run.

usage: bench_dock.py [MIB [CAMERAS [ROUNDS]]]      (default 256, 8 and 3: one clip of MIB MiB on each simulated camera)

It runs twice. With cables without a limit, pulling and uploading want the same processors, and where one of them alone fills the
machine, time together is their sum at best: the figure beside it is what the processors were busy in both alone, divided among
them. With cables as they are, four cameras share the bulk bandwidth of a high-speed bus (13 packets of 512 bytes a microframe,
USB 2.0, 5.8.4), as four behind a hub do, and what counts is whether uploading hides behind pulling.

In each round, with all cameras plugged in at once: the dock as it comes; the dock with its uploads paused until all is pulled, which
gives pulling alone and then uploading alone; and camera by camera gphoto2, sha256sum and rclone. Ours does at each step what a dock
does: two digests, synced files, facts and custody log, a record of the upload, manifests, and the erase where a receipt allows it.
The simulator and the store share the machine's processors with all of them.
"""

import itertools
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import rack  # noqa: E402
import results  # noqa: E402
import rgw  # noqa: E402

MIB = 1 << 20
BUCKET = "bench"
DEADLINE = 3600
BUS_BYTES_PER_SEC = 13 * 512 * 8000
SHARE = 4  # cameras on one bus
WHOLE, PULL, UPLOAD = "Berth: plug-in to last receipt", "Berth: pulling alone", "Berth: uploading alone"
TOOLS = "gphoto2, sha256sum, rclone"


def busy_sec():
    """What all processors were busy since the machine started."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, irq, softirq = (int(ticks) for ticks in f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def device_of(port):
    """As gphoto2 names it."""
    numbers = []
    for name in ["busnum", "devnum"]:
        with open(f"/sys/bus/usb/devices/{port}/{name}", encoding="ascii") as f:
            numbers.append(int(f.read()))
    return "usb:{:03},{:03}".format(*numbers)


class Bench:
    def __init__(self, folder, size, cameras, rounds):
        self.folder, self.size, self.rounds = folder, size, rounds
        self.sim = rack.Sim()
        self.ports = [f"1-{1 + n // 7}.{1 + n % 7}" for n in range(cameras)]
        self.store = rgw.Rgw(os.path.join(folder, "ceph"), objectstore="bluestore", size=7 * rounds * cameras * size + 4096 * MIB)
        self.store.make_bucket(BUCKET)
        # Of the environment's own settings none is to count.
        for name in [name for name in os.environ if name.startswith(("AWS_", "RCLONE_"))]:
            del os.environ[name]
        os.environ.update(RCLONE_CONFIG=os.path.join(folder, "rclone.conf"), RCLONE_CONFIG_R_TYPE="s3", RCLONE_CONFIG_R_PROVIDER="Ceph",
                          RCLONE_CONFIG_R_ENDPOINT=self.store.endpoint, RCLONE_CONFIG_R_ENV_AUTH="true",
                          RCLONE_S3_NO_CHECK_BUCKET="true", AWS_ACCESS_KEY_ID=rgw.ACCESS_KEY, AWS_SECRET_ACCESS_KEY=rgw.SECRET_KEY)
        with open(os.environ["RCLONE_CONFIG"], "w", encoding="ascii"):
            pass
        self.names, self.digests = [], []
        self.seeds = itertools.count(1)
        self.link = None  # bytes a second of each camera; None: no limit
        self.rows, self.busy = {}, {}

    def close(self):
        self.store.close()

    # ---- cameras

    def plug(self, run):
        """Cameras that nobody knows yet."""
        self.names = [f"{run}-{n}" for n in range(len(self.ports))]
        for name in self.names:
            self.sim("camera", name=name, type="ptp", vid=0x1209, pid=0xBE27, serial=name, manufacturer="Acme", model="BC-1",
                     clips=[rack.make_clip(f"DCIM/100/{name}.MP4", self.size, next(self.seeds))])
        self.digests = [self.sim("state", camera=name, sha256=True)["clips"][0]["sha256"] for name in self.names]
        for name, port in zip(self.names, self.ports):
            self.sim("plug", camera=name, port=port)
            if self.link:
                self.sim("slow", camera=name, bytes_per_sec=self.link)

    def unplug(self):
        for name in self.names:
            self.sim("unplug", camera=name)

    # ---- ours

    def dock(self, run):
        folder = os.path.join(self.folder, run)
        os.mkdir(folder)
        slow = {"call": "600s", "stall": "600s"}  # nothing but the machine's own load holds anything up here
        dock = rack.Dock(folder, self.ports, place=rack.S3Place(self.store, BUCKET, run), timeouts=slow).start()
        dock.wait(lambda: dock.manager().get("StoreState") == "ready", "the store to be ready", DEADLINE)
        return dock

    def until(self, dock, kind):
        dock.wait(lambda: len(dock.events(kind)) == len(self.ports), f"each clip to be {kind}", DEADLINE)
        return time.monotonic()

    def end(self, dock):
        stored = sorted(digest for digests in dock.stored().values() for digest in digests)
        assert stored == sorted(self.digests), "the store holds other bytes than the cameras had"
        assert all(event["strength"] == "digest" for event in dock.events("receipted"))
        dock.close()
        self.unplug()
        shutil.rmtree(dock.folder)

    def whole(self, run):
        dock = self.dock(run)
        began, busy = time.monotonic(), busy_sec()
        self.plug(run)
        self.note(WHOLE, self.until(dock, "receipted") - began, busy)
        self.end(dock)

    def apart(self, run):
        dock = self.dock(run)
        self.tool([f"{rack.BUILD}/berthctl", "transfer", "pause"])
        began, busy = time.monotonic(), busy_sec()
        self.plug(run)
        self.note(PULL, self.until(dock, "copied") - began, busy)
        began, busy = time.monotonic(), busy_sec()
        self.tool([f"{rack.BUILD}/berthctl", "transfer", "resume"])
        self.note(UPLOAD, self.until(dock, "receipted") - began, busy)
        self.end(dock)

    # ---- the usual tools

    def tools(self, run):
        self.plug(run)
        if self.link:  # one at a time has the bus for itself
            for name in self.names:
                self.sim("slow", camera=name, bytes_per_sec=BUS_BYTES_PER_SEC)
        began, busy, digests = time.monotonic(), busy_sec(), []
        for name, port in zip(self.names, self.ports):
            target = os.path.join(self.folder, name)
            self.tool(["gphoto2", "--quiet", "--port", device_of(port), "--force-overwrite", "--filename", target, "--get-file", "1"])
            digests.append(self.tool(["sha256sum", target]).split()[0])
            self.tool(["rclone", "--log-level", "ERROR", "copyto", target, f"R:{BUCKET}/{run}/{name}"])
        self.note(TOOLS, time.monotonic() - began, busy)
        assert digests == self.digests, "the tools brought other bytes than the cameras have"
        for name in self.names:
            os.unlink(os.path.join(self.folder, name))
        self.unplug()

    @staticmethod
    def tool(argv):
        done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    # ---- figures

    def note(self, name, wall, busy_before):
        busy = busy_sec() - busy_before
        self.rows.setdefault(name, []).append(wall)
        self.busy.setdefault(name, []).append(busy)
        rate = self.size * len(self.ports) / wall / 1e6
        print(f"  {name:<32} {wall:8.1f} s {rate:8.0f} MB/s {busy:8.1f} s of processors", flush=True)

    def run(self, link):
        self.link = link
        self.rows, self.busy = {}, {}
        way = "unlimited" if link is None else "shared"
        for n in range(1, self.rounds + 1):
            print(f"Round {n} of {self.rounds}:", flush=True)
            self.whole(f"{way}-whole-{n}")
            self.apart(f"{way}-apart-{n}")
            self.tools(f"{way}-tools-{n}")
        self.ratios()

    def ratios(self):
        cores = len(os.sched_getaffinity(0))
        slower = [max(pull, upload) for pull, upload in zip(self.rows[PULL], self.rows[UPLOAD])]
        floor = [max(alone, (pull + upload) / cores) for alone, pull, upload in zip(slower, self.busy[PULL], self.busy[UPLOAD])]
        of_slower = statistics.median(whole / alone for whole, alone in zip(self.rows[WHOLE], slower))
        of_floor = statistics.median(whole / least for whole, least in zip(self.rows[WHOLE], floor))
        of_tools = statistics.median(tools / whole for whole, tools in zip(self.rows[WHOLE], self.rows[TOOLS]))
        print(f"\nMedians of {self.rounds} rounds:")
        print(f"  time, to that of the slower of pulling alone and uploading alone: {of_slower:.2f} (aim: 1.20 at most)")
        print(f"  time, to the least that {cores} processors need for both, if that is more: {of_floor:.2f}")
        print(f"  times faster than gphoto2, sha256sum and rclone one after the other: {of_tools:.2f} (aim: 2.00 at least)\n")
        cables = "cables without a limit" if self.link is None else f"{SHARE} cameras on a high-speed bus"
        results.add("dock", f"{cables}: plug-in to last receipt, to the slower of pulling and uploading", of_slower, "times", "<= 1.2")
        results.add("dock", f"{cables}: the same, to what the processors need at least", of_floor, "times")
        results.add("dock", f"{cables}: faster than gphoto2, sha256sum, rclone in turn", of_tools, "times", ">= 2")


def main():
    rack.enter("1-1:7,1-2:7")
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))  # no Ceph is left behind
    size, cameras, rounds = (int(argument) for argument in (sys.argv[1:] + ["256", "8", "3"][len(sys.argv) - 1:]))
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        bench = Bench(folder, size * MIB, cameras, rounds)
        try:
            print(f"{cameras} cameras with one clip of {size} MiB each, on cables without a limit:")
            bench.run(None)
            print(f"The same, {SHARE} cameras on each high-speed bus:")
            bench.run(BUS_BYTES_PER_SEC // min(SHARE, cameras))
        finally:
            bench.close()


if __name__ == "__main__":
    main()
