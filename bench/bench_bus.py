#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The D-Bus API while the whole rack is pulled from, beside the same dock when the rack is empty again, and the bus daemon alone.

usage: bench_bus.py [CAMERAS [CALLS]]      (default 64 and 2000)

One client asks one thing after the other and waits for each answer; that is what a script or a dashboard does. The bus daemon
alone is asked for its id, which costs what every call costs on its way.
"""

import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import rack  # noqa: E402
import results  # noqa: E402
from gi.repository import GLib  # noqa: E402
from bench_storm import PORTS, hubs, percentile  # noqa: E402

MIB = 1 << 20
DEADLINE = 600
CLIP = 1024 * MIB
LINK = 4 * MIB  # a second, of each camera: none is done while this runs


class Bench:
    def __init__(self, folder, cameras):
        self.sim = rack.Sim()
        self.names = [f"bus-{n}" for n in range(cameras)]
        self.ports = [f"1-{1 + n // PORTS}.{1 + n % PORTS}" for n in range(cameras)]
        for n, name in enumerate(self.names):
            self.sim("camera", name=name, type="ptp", vid=0x1209, pid=0xBE27, serial=name, manufacturer="Acme", model="BC-1",
                     clips=[rack.make_clip(f"DCIM/100/{name}.MP4", CLIP, n + 1)])
        self.dock = rack.Dock(folder, self.ports, timeouts={"reconcile": "60s", "call": "600s", "stall": "600s"})
        self.dock.start()

    def begin_pulls(self):
        for name, port in zip(self.names, self.ports):
            self.sim("plug", camera=name, port=port)
            self.sim("slow", camera=name, bytes_per_sec=LINK)
        self.dock.wait(self.all_pull, "all to be pulled from", DEADLINE)

    def end_pulls(self):
        for name in self.names:
            self.sim("unplug", camera=name)
        self.dock.wait(lambda: len(self.dock.events("undocked")) == len(self.names), "all to be gone", DEADLINE)

    def all_pull(self):
        return self.dock.rows("SELECT count(DISTINCT clip_id) FROM custody WHERE kind = 'pull-begun'")[0][0] == len(self.names)

    def call(self, name, path, interface, method, arguments):
        self.dock.conn.call_sync(name, path, interface, method, arguments, None, 0, 60000, None)

    def asked(self):
        own, bay, properties = f"{rack.NAME}.Manager", f"{rack.NAME}.Bay", "org.freedesktop.DBus.Properties"
        return {
            "the bus daemon alone": ("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId", None),
            "one property of a bay": (rack.NAME, f"{rack.ROOT}/bay/1", properties, "Get", GLib.Variant("(ss)", (bay, "State"))),
            "all properties of a bay": (rack.NAME, f"{rack.ROOT}/bay/1", properties, "GetAll", GLib.Variant("(s)", (bay,))),
            "a page of 50 clips": (rack.NAME, rack.ROOT, own, "ListClips", GLib.Variant("(sstu)", ("", "", 0, 50))),
            "the last 50 events": (rack.NAME, rack.ROOT, own, "LastEvents", GLib.Variant("(stu)", ("", 0, 50))),
        }

    def measure(self, calls):
        """{what: (calls a second, p99 ms)}"""
        rows = {}
        for what, call in self.asked().items():
            took = []
            for _ in range(calls):
                began = time.perf_counter()
                self.call(*call)
                took.append(time.perf_counter() - began)
            rows[what] = (calls / sum(took), 1000 * percentile(took, .99))
        return rows


def main():
    cameras, calls = (int(value) for value in (sys.argv[1:] + ["64", "2000"][len(sys.argv) - 1:]))
    rack.enter(hubs(cameras))
    with tempfile.TemporaryDirectory(prefix="berth-bus-") as folder:
        bench = Bench(folder, cameras)
        try:
            bench.begin_pulls()
            busy = bench.measure(calls)
            assert not bench.dock.rows("SELECT 1 FROM custody WHERE kind = 'copied'"), "a pull ended before the measuring did"
            bench.end_pulls()
            rest = bench.measure(calls)
        finally:
            bench.dock.close()
    print(f"{'':28} {'at rest: calls/s':>18} {'p99 ms':>8}   {f'{cameras} pulls: calls/s':>18} {'p99 ms':>8}")
    for what, (rate, p99) in rest.items():
        print(f"{what:28} {rate:18.0f} {p99:8.2f}   {busy[what][0]:18.0f} {busy[what][1]:8.2f}")
        results.add("bus", f"{what}: at rest", rate, "calls/s")
        results.add("bus", f"{what}: at rest, p99", p99, "ms")
        results.add("bus", f"{what}: while {cameras} cameras are pulled from", busy[what][0], "calls/s")
        results.add("bus", f"{what}: while {cameras} cameras are pulled from, p99", busy[what][1], "ms")


if __name__ == "__main__":
    main()
