#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Uploads to one node of Ceph on this machine, beside rclone, awscli and plain curl in the same run.

usage: bench_upload.py [MIB [COUNT]]      (default 1024 and 100: one file of MIB MiB, and COUNT files of 10 MiB)

Ours reads the clip from the disk, hashes each part and the whole, keeps a record, compares the store's list, looks at the object and
puts a manifest; curl sends bytes. The store takes its share of the same processors. Last: SIGKILL when half of the large file is
sent, and how much each sends again when it is called once more.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import results  # noqa: E402
import rgw  # noqa: E402
import uplink  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402

MIB = 1 << 20
SMALL_MIB = 10
OURS = "berth-uplink"
AIMS = {("rclone", "large"): ">= 2", ("awscli", "large"): ">= 2", ("curl", "large"): ">= 0.6",
        ("rclone", "small"): ">= 1", ("awscli", "small"): ">= 1", ("curl", "small"): None}


class Bench:
    def __init__(self, folder, large_mib, count):
        self.folder, self.large_mib, self.count = folder, large_mib, count
        self.store = rgw.Rgw(os.path.join(folder, "ceph"), objectstore="bluestore",
                             size=(12 * large_mib + 6 * SMALL_MIB * count + 4096) * MIB)
        self.store.make_bucket("bench")
        self.proxy = FaultProxy(self.store.port)
        self.spool = os.path.join(folder, "spool")
        os.mkdir(self.spool)
        self.small = os.path.join(self.spool, "small")
        os.mkdir(self.small)
        self.large_clip = uplink.Clip(self.spool, large_mib * MIB, "large")
        self.small_clips = [uplink.Clip(self.small, SMALL_MIB * MIB, f"small-{n}") for n in range(count)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RCLONE_"))}
        self.env = dict(clean, HOME=folder, AWS_ACCESS_KEY_ID=rgw.ACCESS_KEY, AWS_SECRET_ACCESS_KEY=rgw.SECRET_KEY,
                        AWS_DEFAULT_REGION="us-east-1", RCLONE_CONFIG=os.path.join(folder, "rclone.conf"), RCLONE_CONFIG_R_TYPE="s3",
                        RCLONE_CONFIG_R_PROVIDER="Ceph", RCLONE_CONFIG_R_ENV_AUTH="true", RCLONE_S3_NO_CHECK_BUCKET="true")
        with open(self.env["RCLONE_CONFIG"], "w", encoding="ascii"):
            pass
        self.rows = {}

    def close(self):
        self.proxy.close()
        self.store.close()

    # ---- ours

    def dock(self, endpoint, number):
        folder = os.path.join(self.folder, f"dock-{number}")
        os.mkdir(folder)
        keys = os.path.join(folder, "keys")
        with open(keys, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write(self.store.credentials())
        return uplink.Uplink(folder, f"type = s3\nendpoint = {endpoint}\nbucket = bench\nprefix = dock-{number}\ncredentials = {keys}\n")

    def ours(self, clips, number):
        dock = self.dock(self.store.endpoint, number).start()
        before, began = cpu_of(dock.child.pid), time.monotonic()
        calls = [dock.begin_put(clip) for clip in clips]
        for clip, call in zip(clips, calls):
            receipt = uplink.Receipt(dock.finish(call, 3600))
            assert receipt.strength == "digest" and receipt.sha256 == clip.sha256
        wall, cpu = time.monotonic() - began, cpu_of(dock.child.pid) - before
        peak = peak_of(dock.child.pid)
        dock.end()
        return wall, cpu, peak

    # ---- the others

    def peers(self, endpoint, target):
        """{name: (for the large file, for the folder of small ones)}"""
        rclone = ["rclone", "--s3-endpoint", endpoint, "--log-level", "ERROR"]
        aws = ["aws", "--endpoint-url", endpoint, "s3", "cp", "--only-show-errors"]
        curl = ["curl", "-sS", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{rgw.ACCESS_KEY}:{rgw.SECRET_KEY}", "-H",
                "x-amz-content-sha256: UNSIGNED-PAYLOAD"]
        each = [part for clip in self.small_clips for part in ("-T", clip.file, f"{endpoint}/bench/{target}/{os.path.basename(clip.file)}")]
        return {
            "rclone": (rclone + ["copyto", self.large_clip.file, f"R:bench/{target}/large"],
                       rclone + ["copy", self.small, f"R:bench/{target}/small"]),
            "awscli": (aws + [self.large_clip.file, f"s3://bench/{target}/large"],
                       aws + ["--recursive", self.small, f"s3://bench/{target}/small"]),
            "curl": (curl + ["-T", self.large_clip.file, f"{endpoint}/bench/{target}/large"], curl + each),
        }

    def run(self, argv):
        began = time.monotonic()
        child = subprocess.Popen(argv, env=self.env, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        assert status == 0, f"{argv[0]} ended with {status}"
        return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024

    # ---- figures

    def note(self, name, which, size, figures):
        wall, cpu, peak = figures
        self.rows[name, which] = (size / wall / 1e6, cpu, peak)
        print(f"  {name:<14} {which:<8} {size / wall / 1e6:8.0f} MB/s {cpu:8.1f} CPU s {peak / MIB:8.0f} MiB peak", flush=True)
        results.add("upload", f"{which}: {name}", size / wall / 1e6, "MB/s")
        if name == OURS:
            results.add("upload", f"{which}: memory at its peak", peak / MIB, "MiB", "<= 64")

    def throughput(self):
        small_size = sum(clip.size for clip in self.small_clips)
        self.note(OURS, "large", self.large_clip.size, self.ours([self.large_clip], 1))
        self.note(OURS, "small", small_size, self.ours(self.small_clips, 2))
        for name, (large, small) in self.peers(self.store.endpoint, "whole").items():
            if not shutil.which(name.replace("awscli", "aws")):
                print(f"  {name:<14} is not installed")
                continue
            self.note(name, "large", self.large_clip.size, self.run(large))
            self.note(name, "small", small_size, self.run(small))

    # ---- kills

    def sent(self):
        return sum(self.proxy.body_bytes.values())

    def when_half_is_sent(self):
        half, reached = self.large_clip.size // 2, threading.Event()
        self.proxy.reset()
        self.proxy.on_body = lambda phase, total: reached.set() if self.sent() > half else None
        return reached

    def again(self, name, sent):
        more = max(0, sent - self.large_clip.size)
        self.rows[name, "again"] = more
        print(f"  {name:<14} sent {more / MIB:8.0f} MiB again of {self.large_mib}", flush=True)
        results.add("upload", f"sent again after SIGKILL at half of {self.large_mib} MiB: {name}", more / MIB, "MiB")

    def kills(self):
        dock = self.dock(self.proxy.endpoint, 3).start()
        reached = self.when_half_is_sent()
        dock.begin_put(self.large_clip)
        dock.wait(reached.is_set, "half of it", 600)
        dock.end(signal.SIGKILL)
        dock.start()
        dock.put(self.large_clip, 3600)
        dock.end()
        self.again(OURS, self.sent())
        for name, (large, _) in self.peers(self.proxy.endpoint, "killed").items():
            if not shutil.which(large[0]):
                continue
            reached = self.when_half_is_sent()
            child = subprocess.Popen(large, env=self.env, stdin=subprocess.DEVNULL)
            assert reached.wait(600), f"{name} does not get half way"
            child.kill()
            child.wait()
            self.run(large)
            self.again(name, self.sent())

    def ratios(self):
        print("Ratios, ours to theirs:")
        for name in ["rclone", "awscli", "curl"]:
            for which in ["large", "small"]:
                if (name, which) not in self.rows:
                    continue
                ours, theirs = self.rows[OURS, which], self.rows[name, which]
                print(f"  {name:<8} {which:<6} speed {ours[0] / theirs[0]:5.2f}   CPU {ours[1] / theirs[1]:5.2f}   "
                      f"memory {ours[2] / theirs[2]:5.2f}")
                results.add("upload", f"{which}: speed, to {name}'s", ours[0] / theirs[0], "times", AIMS[name, which])
                results.add("upload", f"{which}: CPU, to {name}'s", ours[1] / theirs[1], "times", "<= 0.34" if name == "rclone" else None)


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


def main():
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))  # no Ceph is left behind
    large_mib = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(folder, large_mib, count)
        try:
            print(f"1 x {large_mib} MiB, and {count} x {SMALL_MIB} MiB:")
            bench.throughput()
            print("SIGKILL when half is sent, then once more:")
            bench.kills()
            bench.ratios()
        finally:
            bench.close()


if __name__ == "__main__":
    main()
