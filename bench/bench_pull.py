#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pulls one clip from a simulated camera and compares with what the machine gives and with the usual tools, in the same run.

usage: bench_pull.py [MIB]      (default 1024)

Ours reads, hashes, writes and syncs at once, from a PTP camera and from one that shows its card as a disk. Limits: libusb
alone, SHA-256 alone, writing with fdatasync alone. Peers of PTP: gphoto2, and mtp-getfile of the mtp-tools, each followed by
sync and openssl sha256. A card cannot be mounted here. The simulator itself takes CPU, too: it shares the machine with all of
them. Then the same behind cables as they are, where libusb alone is the slowest limit, and to a disk whose syncs take longer, as those
of one that turns do. At the end, ways of writing the same bytes: the worker's, and those that it does not take (bench/spool_write.c).
"""

import hashlib
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import cards  # noqa: E402
import rack  # noqa: E402
import results  # noqa: E402
from bench_dock import BUS_BYTES_PER_SEC  # noqa: E402

PORT = "1-1.1"
ROUNDS = 3
BENCH = f"{rack.BUILD}/bench"
OURS = "Berth: pull, hash, sync"
SHA, USB, DISK, WRITE = "SHA-256 alone", "libusb alone", "disk alone, fdatasync", "disk alone, past the page cache"
SLOW_SYNC_MSEC = 30
WAYS = ["direct", "direct-small", "cached", "uring", "uring-fixed", "uring-cached"]  # the first is the worker's
# Bulk bytes a second; of USB 3 what is left of 5 Gbit/s after 8b/10b and the headers.
CABLES = {"USB 2": BUS_BYTES_PER_SEC, "USB 3 (5 Gbit/s)": 450_000_000}
PEERS = {"gphoto2, sync, openssl": "gphoto2 --quiet --force-overwrite --filename '{target}' --get-file 1",
         "mtp-getfile, sync, openssl": "mtp-getfile {number} '{target}'"}


def node_of(port):
    with open(f"/sys/bus/usb/devices/{port}/busnum", encoding="ascii") as b, open(f"/sys/bus/usb/devices/{port}/devnum",
            encoding="ascii") as d:
        return f"/dev/bus/usb/{int(b.read()):03}/{int(d.read()):03}"


def figures(argv, env=None):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}).stdout.split()


def mtp_number():
    """What mtp-tools call the camera's one file."""
    said = subprocess.run(["mtp-files"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return re.search(r"File ID: (\d+)", said).group(1)


def peer(folder, command, number):
    """The command + sync + openssl; wall and CPU seconds of the three, and the digest."""
    target = os.path.join(folder, "peer.mp4")
    script = f"{command.format(target=target, number=number)} >&2 && sync '{target}' && openssl dgst -sha256 -r '{target}'"
    timed = subprocess.run(["bash", "-c", f"TIMEFORMAT='%R %U %S'; time {{ {script}; }}"], check=True, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    real, user, system = map(float, re.findall(r"^([\d.]+) ([\d.]+) ([\d.]+)$", timed.stderr, re.M)[-1])
    os.unlink(target)
    return real, user + system, timed.stdout.split()[0]


class Bench:
    """Figures of one camera, by name: (MB/s, CPU seconds for a GiB) of each round."""

    def __init__(self, sim, size, folder):
        self.sim, self.size, self.folder = sim, size, folder
        self.rows = {}

    def note(self, name, wall, cpu):
        self.rows.setdefault(name, []).append((self.size / 1e6 / float(wall), float(cpu) * (1 << 30) / self.size))

    def machine(self):
        self.note(SHA, *figures([f"{BENCH}/limits", "sha", str(self.size)]))
        self.note(DISK, *figures([f"{BENCH}/limits", "disk", str(self.size), self.folder]))
        self.note(WRITE, *figures([f"{BENCH}/spool_write", WAYS[0], str(self.size), self.folder]))

    def docked(self, camera, what, *args):
        """Each on a camera that was plugged in anew."""
        self.sim("plug", camera=camera, port=PORT)
        try:
            return what(*args)
        finally:
            self.sim("unplug", camera=camera)

    def pull(self, plugin, wanted, worker=f"{rack.BUILD}/berth-bay"):
        wall, cpu, size_read, digest = figures([f"{BENCH}/pull", worker, f"{rack.BUILD}/plugins/{plugin}.so", node_of(PORT), PORT,
                                                self.folder])
        assert int(size_read) == self.size and digest == wanted, "the pull brought other bytes than the camera has"
        os.unlink(os.path.join(self.folder, "1.part"))
        self.note(OURS, wall, cpu)

    def peer(self, name, number, wanted):
        wall, cpu, digest = peer(self.folder, PEERS[name], number)
        assert digest == wanted, f"{name}: brought other bytes than the camera has"
        self.note(name, wall, cpu)

    def report(self, camera):
        medians = {name: tuple(statistics.median(column) for column in zip(*runs)) for name, runs in self.rows.items()}
        print(f"\nOne clip of {self.size >> 20} MiB from {camera}, median of {ROUNDS} rounds:\n")
        print(f"  {'':28} {'MB/s':>8} {'CPU s/GiB':>10}")
        for name, (speed, cpu) in medians.items():
            print(f"  {name:28} {speed:8.0f} {cpu:10.2f}")
            results.add("pull", f"{camera}: {name}", speed, "MB/s")
        ours = medians[OURS][0]
        # A limit is what the machine can: the fastest round, and of the disk the faster way of writing.
        limits = {name: max(speed for speed, _ in runs) for name, runs in self.rows.items()}
        limits[DISK] = max(limits[DISK], limits[WRITE])
        limit_name = min((SHA, USB, DISK), key=limits.get)
        limit = limits[limit_name]
        results.add("pull", f"{camera}: {limit_name}, the fastest round", limit, "MB/s")
        print(f"\n  of the slowest limit ({limit_name}, {limit:.0f} MB/s in its fastest round): {ours / limit:.2f}")
        results.add("pull", f"{camera}: of the slowest limit ({limit_name})", ours / limit, "times", ">= 0.85")
        results.add("pull", f"{camera}: CPU", medians[OURS][1], "s/GiB", "<= 1")
        least = sum(medians[name][1] for name in (SHA, USB, WRITE))
        print(f"  CPU, to SHA-256, libusb and writing by themselves: {medians[OURS][1] / least:.2f}")
        results.add("pull", f"{camera}: CPU of SHA-256, libusb and writing by themselves", least, "s/GiB")
        for name in PEERS:
            if name in medians:
                print(f"  times {name}: {ours / medians[name][0]:.2f}")


def bench_ptp(sim, size, folder):
    sim("camera", name="bench", type="ptp", vid=0x1209, pid=0xBE27, serial="BENCH-1", manufacturer="Acme", model="BC-1",
        clips=[{"path": "BENCH.MP4", "size": size, "seed": 7, "mtime": 1700000000}])
    wanted = sim("state", camera="bench", sha256=True)["clips"][0]["sha256"]
    bench = Bench(sim, size, folder)
    for _ in range(ROUNDS):
        bench.machine()
        bench.docked("bench", lambda: bench.note(USB, *figures([f"{BENCH}/usb_read", "1209:be27"])[:2]))
        bench.docked("bench", bench.pull, "mtp", wanted)
        for name in PEERS:
            number = bench.docked("bench", mtp_number) if "{number}" in PEERS[name] else ""
            bench.docked("bench", bench.peer, name, number, wanted)
    bench.report("a simulated PTP camera")


def bench_cables(sim, size, folder):
    for cable, bytes_per_sec in CABLES.items():
        clip = min(size, 8 * bytes_per_sec // cards.MIB * cards.MIB)
        name = f"cable {bytes_per_sec}"
        sim("camera", name=name, type="ptp", vid=0x1209, pid=0xBE27, serial=name, manufacturer="Acme", model="BC-1",
            clips=[rack.make_clip("BENCH.MP4", clip, 7)])
        wanted = sim("state", camera=name, sha256=True)["clips"][0]["sha256"]
        bench = Bench(sim, clip, folder)

        def slow(what, *args):
            sim("slow", camera=name, bytes_per_sec=bytes_per_sec)
            return what(*args)

        for _ in range(ROUNDS):
            bench.docked(name, slow, lambda: bench.note(USB, *figures([f"{BENCH}/usb_read", "1209:be27"])[:2]))
            bench.docked(name, slow, bench.pull, "mtp", wanted)
        ours, alone = (statistics.median(speed for speed, _ in bench.rows[what]) for what in (OURS, USB))
        print(f"\nOne clip of {clip >> 20} MiB behind a cable of {cable}: {ours:.1f} of {alone:.1f} MB/s")
        results.add("pull", f"a cable of {cable}: libusb alone", alone, "MB/s")
        results.add("pull", f"a cable of {cable}: pull, hash, sync, of that", ours / alone, "times", ">= 0.85")


def bench_slow_syncs(sim, size, folder):
    slow = {"LD_PRELOAD": f"{rack.BUILD}/tests/preload/slow_fsync.so", "BERTH_SLOW_FSYNC_MSEC": str(SLOW_SYNC_MSEC)}
    worker = os.path.join(folder, "worker")
    with open(worker, "w", encoding="utf-8") as f:  # a worker's environment is empty
        f.write("#!/bin/sh\n" + " ".join(f"{name}={value}" for name, value in slow.items()) + f' exec {rack.BUILD}/berth-bay "$@"\n')
    os.chmod(worker, 0o755)
    wanted = sim("state", camera="bench", sha256=True)["clips"][0]["sha256"]
    bench = Bench(sim, size, folder)
    for _ in range(ROUNDS):
        bench.note(WRITE, *figures([f"{BENCH}/spool_write", WAYS[0], str(size), folder], slow))
        bench.docked("bench", bench.pull, "mtp", wanted, worker)
    ours, alone = (statistics.median(speed for speed, _ in bench.rows[what]) for what in (OURS, WRITE))
    disk = f"a disk whose syncs take {SLOW_SYNC_MSEC} ms more"
    print(f"\nOne clip of {size >> 20} MiB to {disk}: {ours:.0f} MB/s; writing alone, durable every 64 MiB: {alone:.0f} MB/s")
    results.add("pull", f"{disk}: writing alone, durable every 64 MiB", alone, "MB/s")
    results.add("pull", f"{disk}: pull, hash, sync, of that", ours / alone, "times")


def bench_storage(sim, size, folder):
    card = cards.FatCard(folder, size=size + 300 * cards.MIB)
    data = random.Random(7).randbytes(cards.MIB) * (size // cards.MIB)
    wanted = hashlib.sha256(data).hexdigest()
    card.put("DCIM/BENCH.MP4", data)
    del data, card.files["DCIM/BENCH.MP4"]
    sim("camera", name="card", type="msc", vid=0x1209, pid=0xBE28, serial="BENCH-2", manufacturer="Acme", product="BC-2", image=card.image)
    bench = Bench(sim, size, folder)
    for _ in range(ROUNDS):
        bench.machine()
        bench.docked("card", lambda: bench.note(USB, *figures([f"{BENCH}/usb_storage", "1209:be28", str(size)])[:2]))
        bench.docked("card", bench.pull, "msc", wanted)
    bench.report("a simulated camera that shows its card (FAT32) as a disk")
    os.unlink(card.image)


def bench_writing(size, folder):
    print(f"\nWriting {size >> 20} MiB into the spool, durable every 64 MiB, median of {ROUNDS} rounds:\n")
    rows = {}
    for _ in range(ROUNDS):
        for way in WAYS:
            rows.setdefault(way, []).append([float(value) for value in figures([f"{BENCH}/spool_write", way, str(size), folder])])
    for way, runs in rows.items():
        wall, cpu = (statistics.median(column) for column in zip(*runs))
        print(f"  {way:28} {size / 1e6 / wall:8.0f} {cpu * (1 << 30) / size:10.2f}")
        results.add("pull", f"writing, {way}", size / 1e6 / wall, "MB/s")
        results.add("pull", f"writing, {way}: CPU", cpu * (1 << 30) / size, "s/GiB")


def main():
    rack.enter("1-1:4")
    size = int(sys.argv[1] if len(sys.argv) > 1 else 1024) << 20
    sim = rack.Sim()
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        bench_ptp(sim, size, folder)
        bench_slow_syncs(sim, size, folder)
        bench_storage(sim, size, folder)
        bench_cables(sim, size, folder)
        bench_writing(size, folder)


if __name__ == "__main__":
    main()
