#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pulls one clip from a simulated camera and compares with what the machine gives and with the usual tools, in the same run.

usage: bench_pull.py [MIB]      (default 1024)

Ours reads, hashes, writes and syncs at once. Limits: libusb alone, SHA-256 alone, writing with fdatasync alone. Peer:
gphoto2, then sync, then openssl sha256. The simulator itself takes CPU, too: it shares the machine with all of them.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import rack  # noqa: E402

PORT = "1-1.1"
ROUNDS = 3


def node_of(port):
    with open(f"/sys/bus/usb/devices/{port}/busnum", encoding="ascii") as b, open(f"/sys/bus/usb/devices/{port}/devnum",
            encoding="ascii") as d:
        return f"/dev/bus/usb/{int(b.read()):03}/{int(d.read()):03}"


def figures(argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def peer(folder):
    """gphoto2 + sync + openssl; wall and CPU seconds of the three, and the digest."""
    target = os.path.join(folder, "peer.mp4")
    script = (f"gphoto2 --quiet --force-overwrite --filename '{target}' --get-file 1 >&2 && sync '{target}' && "
              f"openssl dgst -sha256 -r '{target}'")
    timed = subprocess.run(["bash", "-c", f"TIMEFORMAT='%R %U %S'; time {{ {script}; }}"], check=True, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    real, user, system = map(float, re.findall(r"^([\d.]+) ([\d.]+) ([\d.]+)$", timed.stderr, re.M)[-1])
    os.unlink(target)
    return real, user + system, timed.stdout.split()[0]


def main():
    rack.enter("1-1:4")
    size = int(sys.argv[1] if len(sys.argv) > 1 else 1024) << 20
    bench = f"{rack.BUILD}/bench"
    sim = rack.Sim()
    sim("camera", name="bench", type="ptp", vid=0x1209, pid=0xBE27, serial="BENCH-1", manufacturer="Acme", model="BC-1",
        clips=[{"path": "BENCH.MP4", "size": size, "seed": 7, "mtime": 1700000000}])
    wanted = sim("state", camera="bench", sha256=True)["clips"][0]["sha256"]
    rows = {}

    def note(name, wall, cpu):
        rows.setdefault(name, []).append((size / 1e6 / float(wall), float(cpu) * (1 << 30) / size))

    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        for _ in range(ROUNDS):
            note("SHA-256 alone", *figures([f"{bench}/limits", "sha", str(size)]))
            note("disk alone, fdatasync", *figures([f"{bench}/limits", "disk", str(size), folder]))
            sim("plug", camera="bench", port=PORT)
            note("libusb alone", *figures([f"{bench}/usb_read", "1209:be27"])[:2])
            sim("unplug", camera="bench")
            sim("plug", camera="bench", port=PORT)
            wall, cpu, size_read, digest = figures([f"{bench}/pull", f"{rack.BUILD}/berth-bay", f"{rack.BUILD}/plugins/mtp.so",
                                                    node_of(PORT), PORT, folder])
            assert int(size_read) == size and digest == wanted, "the pull brought other bytes than the camera has"
            os.unlink(os.path.join(folder, "1.part"))
            note("Berth: pull, hash, sync", wall, cpu)
            sim("unplug", camera="bench")
            sim("plug", camera="bench", port=PORT)
            wall, cpu, digest = peer(folder)
            assert digest == wanted, "the peer brought other bytes than the camera has"
            note("gphoto2, sync, openssl", wall, cpu)
            sim("unplug", camera="bench")

    medians = {name: (statistics.median(r[0] for r in runs), statistics.median(r[1] for r in runs)) for name, runs in rows.items()}
    print(f"\nOne clip of {size >> 20} MiB from a simulated PTP camera, median of {ROUNDS} rounds:\n")
    print(f"  {'':28} {'MB/s':>8} {'CPU s/GiB':>10}")
    for name, (speed, cpu) in medians.items():
        print(f"  {name:28} {speed:8.0f} {cpu:10.2f}")
    ours = medians["Berth: pull, hash, sync"][0]
    limit_name, limit = min(((n, m[0]) for n, m in medians.items() if "alone" in n), key=lambda x: x[1])
    print(f"\n  of the slowest limit ({limit_name}): {ours / limit:.2f}")
    print(f"  times the peer: {ours / medians['gphoto2, sync, openssl'][0]:.2f}")


main()
