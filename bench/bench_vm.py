#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pulls one clip from a USB disk of QEMU's on Debian's kernel, and compares with the kernel's own way, in the same guest.

usage: bench_vm.py [MIB]      (default 512)

Ours is the installed worker, as berthd starts it: it reads, hashes, writes and syncs at once. The peer is cp from the mounted card,
sync of the copy, and sha256sum of the copy (which it still has in memory); mounting is not counted. The two take turns on the same
disk, with all caches of the guest dropped before each. The guest is emulated: all of its figures are small, and SHA-256 weighs more in
them than on a dock.
"""

import os
import statistics
import sys
import tarfile
import tempfile

SRC, BUILD = os.environ["BERTH_SRC"], os.environ["BERTH_BUILD"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import results  # noqa: E402
from guest import disk  # noqa: E402
from guest_dock import MIB, STATE, GuestDock  # noqa: E402

ROUNDS = 3
# Of the root hub with USB 3 ports: where QEMU's disk is faster than a card.
PORT, BUS_PORT = 1, "2-1"
SERIAL = "BENCH"
CARDS = {"exFAT": ("mkfs.exfat", "exfat"), "FAT32": ("mkfs.fat -F 32", "vfat")}

FIND = f"""
set -e
card=/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_{SERIAL}-0:0
# A worker that was here before has taken it from the kernel's driver.
for n in $(seq 600); do
        [ ! -b $card ] || break
        [ -e /sys/bus/usb/devices/{BUS_PORT}:1.0/driver ] || echo {BUS_PORT}:1.0 2> /dev/null > /sys/bus/usb/drivers_probe || true
        sleep 0.1
done
udevadm settle
mkdir -p /run/card {STATE}/bench
"""

FILL = FIND + """
MKFS $card > /dev/null
mount $card /run/card
mkdir -p /run/card/DCIM/100BERTH
head -c MIBM /dev/urandom > /run/card/DCIM/100BERTH/BENCH.MP4
sha256sum < /run/card/DCIM/100BERTH/BENCH.MP4 | cut -d' ' -f1
umount /run/card
"""

DROP = """
sync
echo 3 > /proc/sys/vm/drop_caches
"""

PEER = FIND + f"""
mount -o ro -t TYPE $card /run/card
trap 'umount /run/card' EXIT
{DROP}
TIMEFORMAT=%R
cd {STATE}/bench
time {{ cp /run/card/DCIM/100BERTH/BENCH.MP4 copy && sync copy && sha256sum copy; }}
rm copy
"""

PARTS = FIND + f"""
{DROP}
TIMEFORMAT=%R
time dd if=$card of=/dev/null bs=1M count=MIB iflag=direct status=none
cd {STATE}/bench
head -c MIBM /dev/zero > copy
time sha256sum copy
rm copy
"""

OURS = FIND + f"""
{DROP}
cd /sys/bus/usb/devices/{BUS_PORT}
node=/dev/bus/usb/$(printf %03d $(cat busnum))/$(printf %03d $(cat devnum))
pull LIBEXEC/berth-bay LIBDIR/msc.so $node {BUS_PORT} {STATE}/bench
rm {STATE}/bench/1.part
"""


def installed(name):
    """Where `make install` has put this file, as the guest sees it."""
    root = BUILD + "-vm/root"
    for folder, _, names in os.walk(root):
        if name in names:
            return os.path.join("/", os.path.relpath(folder, root))
    raise SystemExit(f"bench_vm: {name} is not among what is installed")


class Bench:
    """Seconds of each way, for one file system."""

    def __init__(self, dock, size_mib, mkfs, kind):
        self.guest, self.size_mib = dock.guest, size_mib
        self.places = {"LIBEXEC": installed("berth-bay"), "LIBDIR": installed("msc.so"), "MKFS": mkfs, "TYPE": kind, "MIB": str(size_mib)}
        self.digest = self.run(FILL).split()[-1]
        self.seconds = {}

    def run(self, script):
        for name, value in self.places.items():
            script = script.replace(name, value)
        return self.guest.run(script, 600)

    def note(self, name, seconds):
        self.seconds.setdefault(name, []).append(float(seconds))

    def peer(self):
        digest, _, real = self.run(PEER).split()
        assert digest == self.digest, "the kernel's copy has other bytes"
        self.note("mount; cp, sync, sha256sum", real)

    def ours(self):
        wall, _, size, digest = self.run(OURS).split()
        assert int(size) == self.size_mib * MIB and digest == self.digest, "the pull brought other bytes than the card has"
        self.note("Berth: pull, hash, sync", wall)

    def parts(self):
        said = self.run(PARTS).split()
        self.note("kernel: reading alone", said[0])
        self.note("sha256sum alone", said[-1])

    def report(self, name):
        print(f"\nOne clip of {self.size_mib} MiB from {name}, median (slowest to fastest) of {ROUNDS} rounds:\n")
        rates = {what: sorted(self.size_mib * MIB / 1e6 / s for s in runs) for what, runs in self.seconds.items()}
        for what, runs in rates.items():
            print(f"  {what:28} {statistics.median(runs):6.0f} MB/s  ({runs[0]:.0f} to {runs[-1]:.0f})")
        ours, peer = (statistics.median(rates[what]) for what in ("Berth: pull, hash, sync", "mount; cp, sync, sha256sum"))
        print(f"\n  Berth is {ours / peer:.2f} times as fast as the kernel's way", flush=True)
        results.add("vm", f"{name}: faster than mount, cp, sync, sha256sum", ours / peer, "times", ">= 1")


def main():
    size_mib = int(sys.argv[1] if len(sys.argv) > 1 else 512)
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        card = disk(f"{folder}/card", (size_mib + 128) * MIB)
        with tarfile.open(f"{folder}/tools.tar", "w") as tar:
            tar.add(f"{BUILD}/bench/pull", "pull")
        dock = GuestDock(["1-15"], shared={"tools": f"{folder}/tools.tar"})
        try:
            dock.guest.run("tar -xf /dev/disk/by-id/virtio-tools -C /usr/local/sbin && systemctl stop berthd")
            dock.guest.qmp("blockdev-add", **{"node-name": "card", "driver": "raw", "file": {"driver": "file", "filename": card}})
            dock.guest.plug("usb-storage", "disk", PORT, drive="card", serial=SERIAL)
            for name, (mkfs, kind) in CARDS.items():
                bench = Bench(dock, size_mib, mkfs, kind)
                for _ in range(ROUNDS):
                    bench.parts()
                    bench.peer()
                    bench.ours()
                bench.report(name)
        finally:
            dock.close()


main()
