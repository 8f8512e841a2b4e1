#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A shift change at once: so many cameras plugged within one second, and all unplugged, again and again; then all docked and at rest.

usage: bench_storm.py [CAMERAS [STORMS [REST]]]      (default 64, 10 and 60 s; `make bench-storm` has 100)

From plug to "identified" is measured between the simulator's command and the moment that the custody log gives the event, by one
clock; beside it stands what the simulator alone needs to make the devices appear. Each camera brings one clip in the first storm and
nothing in later ones. One more storm is not timed: strace counts the daemon's commits, and what the kernel tells it. At rest, a wake-up is
a voluntary change of context of any of a process's threads.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import rack  # noqa: E402
import results  # noqa: E402

DEADLINE = 300
PORTS = 7
PACE_SEC = 6  # a bay in which devices come and go oftener is one with a bad contact, and is given a rest


def hubs(cameras):
    return ",".join(f"1-{hub}:{PORTS}" for hub in range(1, (cameras + PORTS - 1) // PORTS + 1))


def now_usec():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def percentile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)]


def wakeups(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt_switches"))
    return total


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def traced(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return any(line.startswith("TracerPid") and int(line.split()[1]) for line in f)


class Bench:
    def __init__(self, folder, cameras):
        self.sim = rack.Sim()
        self.ports = [f"1-{1 + n // PORTS}.{1 + n % PORTS}" for n in range(cameras)]
        self.names = [f"storm-{n}" for n in range(cameras)]
        for n, name in enumerate(self.names):
            self.sim("camera", name=name, type="ptp", vid=0x1209, pid=0xBE27, serial=name, manufacturer="Acme", model="BC-1",
                     clips=[rack.make_clip(f"DCIM/100/{name}.MP4", 1 << 20, n + 1)])
        # As a dock looks around by itself, and not as often as tests want it to.
        self.dock = rack.Dock(folder, self.ports, timeouts={"reconcile": "60s"})
        self.dock.start()
        self.signals = 0
        self.dock.conn.signal_subscribe(rack.NAME, None, None, None, None, 0, self.count)

    def count(self, *_):
        self.signals += 1

    def since(self, seq, kind):
        return self.dock.rows("SELECT docking_id, json_extract(bytes, '$.boottime_usec'), camera_id FROM custody"
                              " WHERE seq > ? AND kind = ?", seq, kind)

    def last(self):
        return self.dock.rows("SELECT coalesce(max(seq), 0) FROM custody")[0][0]

    def storms(self, count):
        rows = []
        for _ in range(count):
            began = time.monotonic()
            rows.append(self.storm())
            time.sleep(max(0, began + PACE_SEC - time.monotonic()))
        return rows

    def counted(self):
        """One storm under strace: the daemon's commits, and the uevents that it was sent."""
        path, pid = os.path.join(self.dock.folder, "storm.calls"), self.dock.daemon.pid
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-yy", "-s", "0", "-e", "trace=fdatasync,recvmsg", "-o", path, "-p", str(pid)],
                                  stdin=subprocess.DEVNULL)
        try:
            self.dock.wait(lambda: traced(pid), "strace to be there", DEADLINE)
            self.storm()
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(DEADLINE)
        with open(path, encoding="utf-8", errors="replace") as f:
            said = f.read()
        # Each commit that has an event is followed by the head of the chain.
        return {"commits": len(re.findall(r"fdatasync\(\d+<[^>]*/chain\.head>", said)),
                "uevents": len(re.findall(r"recvmsg\(\d+<NETLINK:[^>]*>.* = [1-9]", said))}

    def at_rest(self, seconds):
        """Wake-ups in that time and resident KiB, by process."""
        self.plug()
        self.wait_ready()
        time.sleep(5)  # what ended just now ends
        pids = {"berthd": self.dock.daemon.pid, "berth-uplink": self.dock.uplink.pid}
        pids.update((f"worker {pid}", pid) for pid in self.dock.workers())
        before = {name: wakeups(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        return {name: (wakeups(pid) - before[name], resident_kib(pid)) for name, pid in pids.items()}

    def cpu_sec(self, pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def plug(self):
        plugged = {}
        for name, port in zip(self.names, self.ports):
            plugged[name] = now_usec()
            self.sim("plug", camera=name, port=port)
        return plugged

    def wait_ready(self):
        bays = range(1, len(self.names) + 1)
        self.dock.wait(lambda: all(self.dock.state_of(n) == "ready" for n in bays), "all bays to be ready", DEADLINE)

    def storm(self):
        seq, signals, cpu = self.last(), self.signals, self.cpu_sec(self.dock.daemon.pid)
        began = now_usec()
        plugged = self.plug()
        all_plugged = now_usec() - began
        self.dock.wait(lambda: len(self.since(seq, "identified")) == len(self.names), "every camera to be identified", DEADLINE)
        serials = dict(self.dock.rows("SELECT id, serial FROM cameras"))
        took = [(at - plugged[serials[camera]]) / 1000 for _, at, camera in self.since(seq, "identified")]
        self.wait_ready()
        ready = now_usec() - began
        for name in self.names:
            self.sim("unplug", camera=name)
        self.dock.wait(lambda: len(self.since(seq, "undocked")) == len(self.names), "every camera to be gone", DEADLINE)
        return {"plug": all_plugged / 1000, "identified": took, "ready": ready / 1000, "signals": self.signals - signals,
                "events": self.last() - seq, "cpu": self.cpu_sec(self.dock.daemon.pid) - cpu,
                "wrong": len(self.since(seq, "fault")) + len(self.since(seq, "refused"))}


def show_storms(rows, cameras):
    took = [ms for row in rows for ms in row["identified"]]
    later = rows[1:] or rows
    print(f"{len(rows)} storms of {cameras} cameras:")
    print(f"  plugging all, by the simulator      {percentile([row['plug'] for row in rows], .5):9.1f} ms")
    print(f"  from plug to identified             p50 {percentile(took, .5):8.1f} ms  p99 {percentile(took, .99):8.1f} ms"
          f"  most {max(took):8.1f} ms (aim: p99 2000 at most)")
    results.add("storm", f"{cameras} cameras: from plug to identified, p50", percentile(took, .5), "ms")
    results.add("storm", f"{cameras} cameras: from plug to identified, p99", percentile(took, .99), "ms", "<= 2000")
    print(f"  until all are ready, with a clip    {rows[0]['ready']:9.1f} ms; "
          f"with nothing new {percentile([row['ready'] for row in later], .5):9.1f} ms")
    figures = [("events in the custody log", "events", 1), ("signals on the bus", "signals", 1), ("daemon's CPU, ms", "cpu", 1000)]
    for what, key, scale in figures:
        print(f"  {what + ' a camera':35} {scale * rows[0][key] / cameras:9.1f}; with nothing new "
              f"{scale * percentile([row[key] for row in later], .5) / cameras:12.1f}")
        results.add("storm", f"{cameras} cameras: {what}, with nothing new", scale * percentile([row[key] for row in later], .5) / cameras,
                    "a camera")
    results.add("storm", f"{cameras} cameras: missed or faulted in {len(rows)} storms", sum(r["wrong"] for r in rows), "", "<= 0")
    print(f"  faults and refusals {sum(row['wrong'] for row in rows)}; missed 0 of {cameras * len(rows)}")


def show_counted(counted, cameras):
    for what, count in counted.items():
        print(f"  {what + ' a camera':35} {count / cameras:9.2f} with nothing new")
        results.add("storm", f"{cameras} cameras: {what}", count / cameras, "a camera")


def show_rest(rest, cameras, seconds):
    print(f"{cameras} cameras docked, ready and at rest, for {seconds} s:")
    for name, (woken, kib) in rest.items():
        results.add("steady", f"{cameras} cameras at rest: {name} wakes up", woken * 60 / seconds / cameras, "a camera and minute", "<= 1")
        results.add("steady", f"{cameras} cameras at rest: {name} holds", kib / 1024, "MiB", "<= 12" if name.startswith("w") else "<= 32")
        print(f"  {name:20} {woken:6} wake-ups, {woken * 60 / seconds / cameras:6.2f} a camera and minute (aim: 1 at most), "
              f"{kib / 1024:6.1f} MiB resident (aim: {12 if name.startswith('worker') else 32} at most)")


def main():
    cameras, storms, seconds = (int(value) for value in (sys.argv[1:] + ["64", "10", "60"][len(sys.argv) - 1:]))
    rack.enter(hubs(cameras))
    with tempfile.TemporaryDirectory(prefix="berth-storm-") as folder:
        bench = Bench(folder, cameras)
        try:
            show_storms(bench.storms(storms), cameras)
            show_counted(bench.counted(), cameras)
            show_rest(bench.at_rest(seconds), cameras, seconds)
        finally:
            bench.dock.close()


if __name__ == "__main__":
    main()
