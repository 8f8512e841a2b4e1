#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of berthd, berth-bay and berth-uplink at random moments while cameras are pulled, stored and erased.

usage: kills.py [--lanes N] [--disk] [--seconds N] [--tally FILE] [KILLS [SEED]]

After each round everything must have come to its end all the same: each clip once in the store, with the bytes that the
camera had, every camera erased, the custody chain whole. While it goes on, whatever is gone from a camera must be in the store.
TAP. The seed is printed; the same seed gives the same choices (not the same interleaving). Several docks go at a time, each in a simulator
of its own; each lane's seed follows from the first. The docks' folders are in memory where there is enough: SIGKILL takes nothing that was
written, synced or not (that is tests/vm/test_power.py's), so that a disk would only make each cycle longer. With `--disk` they are where
temporary files are, for hours beside others who need the memory; with `--seconds` no round is begun after that time, and those that were
are counted. With `--tally` what it comes to is added to what is in that file, and the sum is printed: for many kills in several sittings.
"""

import argparse
import concurrent.futures
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402

MIB = 1 << 20
PORTS = ["1-1.1", "1-1.2", "1-1.3"]
# Of a round, while several docks share a small machine.
DEADLINE = 300
MEMORY = "/dev/shm"
# Each dock's clips, in the spool and in the store, take up to 400 MiB by then.
ROUNDS_A_DOCK = 8
NAMES = ("berth-bay", "berth-uplink", "berthd")


def new_clips(sim, rng, number):
    """Fills the cameras; {(serial, path): sha256} of what they then hold."""
    wanted = {}
    for n, _ in enumerate(PORTS):
        for k in range(rng.randint(1, 3)):
            sim("add_clip", camera=f"c{n}", path=f"DCIM/R{number:04}K{k}.MP4", size=rng.choice([0, 1, 512, 3 * MIB, 9 * MIB, 17 * MIB]),
                seed=rng.randrange(1 << 30), mtime=1700000000 + number)
        for path, digest in rack.sha256_of(sim("state", camera=f"c{n}", sha256=True)).items():
            wanted[(f"SN-c{n}", path)] = digest
    return wanted


def assert_nothing_lost(sim, dock, wanted):
    """What is gone from a camera must be in the store, right now, whatever the daemon thinks."""
    left = {(f"SN-c{n}", clip["path"]) for n in range(len(PORTS)) for clip in sim("state", camera=f"c{n}")["clips"]}
    gone = {key: digest for key, digest in wanted.items() if key not in left}
    if gone:
        stored = dock.stored()
        for key, digest in gone.items():
            assert digest in stored.get(key, []), f"{key} is gone from its camera and not in the store"


def kill_one(dock, rng):
    """Kills one of the processes; what it was."""
    victims = [("berthd", dock.daemon.pid), ("berth-uplink", dock.uplink.pid)]
    victims += [("berth-bay", pid) for pid in dock.workers()] * 2
    name, pid = rng.choice(victims)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    if name == "berthd":
        dock.daemon.child.wait()
        dock.start_daemon(wait=False)
    elif name == "berth-uplink":
        dock.uplink.child.wait()
        dock.start_uplink()
    return name


def all_ready(sim, dock, wanted):
    if not dock.owned(rack.NAME) or any(sim("state", camera=f"c{n}")["clips"] for n in range(len(PORTS))):
        return False
    return all(dock.state_of(n + 1) == "ready" for n in range(len(PORTS)))


def ends_or_is_docked_again(sim, dock, wanted):
    """A clip whose worker died too often in one docking is given up in it: somebody takes the camera out and puts it back."""
    for n, port in enumerate(PORTS):
        if dock.state_of(n + 1) == "quarantined":
            sim("unplug", camera=f"c{n}")
            dock.wait(lambda number=n + 1: dock.state_of(number) == "empty", f"bay {n + 1} to be empty")
            sim("plug", camera=f"c{n}", port=port)
    return all_ready(sim, dock, wanted)


def play_round(sim, dock, rng, number, kills_left, counts):
    wanted = new_clips(sim, rng, number)
    for n, port in enumerate(PORTS):
        sim("plug", camera=f"c{n}", port=port)
    end = time.monotonic() + DEADLINE
    while kills_left > 0:
        moment = time.monotonic() + rng.uniform(0, 0.25)
        dock.wait(lambda: time.monotonic() > moment or all_ready(sim, dock, wanted), "the next moment to kill", DEADLINE)
        if all_ready(sim, dock, wanted) or time.monotonic() > end:
            break
        name = kill_one(dock, rng)
        if name:
            counts[name] = counts.get(name, 0) + 1
            kills_left -= 1
        if sum(counts.values()) % 10 == 0:
            assert_nothing_lost(sim, dock, wanted)
        # Enough kills for this round now and then, so that rounds end.
        if rng.random() < 0.12:
            break
    dock.wait(lambda: ends_or_is_docked_again(sim, dock, wanted), f"round {number} to end", DEADLINE)
    stored = dock.stored()
    for key, digest in wanted.items():
        assert stored.get(key) == [digest], f"{key}: the store has {stored.get(key)}, not once {digest}"
    dock.check_chain()
    for n, _ in enumerate(PORTS):
        sim("unplug", camera=f"c{n}")
    dock.wait(lambda: all(dock.state_of(n + 1) == "empty" for n in range(len(PORTS))), "the bays to be empty")
    return len(wanted)


def play_dock(sim, rng, number, kills, counts, on_disk):
    """A new dock for some rounds, which are numbered from `number` on: what it has stored goes with it. How many rounds and clips."""
    clips = rounds = 0
    with tempfile.TemporaryDirectory(prefix="berth-kills-", dir=scratch(on_disk)) as folder:
        dock = rack.Dock(folder, PORTS, timeouts={"backoff_min": "100ms", "backoff_max": "100ms", "reconcile": "500ms"})
        try:
            dock.start()
            while rounds < ROUNDS_A_DOCK and sum(counts.values()) < kills:
                rounds += 1
                clips += play_round(sim, dock, rng, number + rounds, kills - sum(counts.values()), counts)
            assert len(dock.objects()) == clips, f"{len(dock.objects())} objects in the store for {clips} clips"
            dock.close()
            dock.check_evidence()
        except BaseException as e:
            print(f"after {sum(counts.values())} kills, in round {number + rounds}: {type(e).__name__}: {e}\n{dock.logs()}", flush=True)
            keep_evidence(dock)
            end_badly(dock)
            raise
    return rounds, clips


def play_lane(arguments):
    """One dock after the other, until they were disturbed often enough. Raises for what is not as it must be."""
    kills, rng, end = arguments.kills, random.Random(arguments.seed), time.monotonic() + arguments.seconds
    sim = rack.Sim()
    counts, clips, rounds = {}, 0, 0
    for n, _ in enumerate(PORTS):
        sim("camera", name=f"c{n}", type="ptp", serial=f"SN-c{n}", model="BC-1", clips=[])
    while sum(counts.values()) < kills and time.monotonic() < end:
        more = play_dock(sim, rng, rounds, kills, counts, arguments.disk)
        rounds, clips = rounds + more[0], clips + more[1]
        told = ", ".join(f"{name} {counts.get(name, 0)}" for name in NAMES)
        print(f"lane: {sum(counts.values())} kills ({told}) in {rounds} rounds, {clips} clips", flush=True)


def scratch(on_disk):
    """In memory, when a lane's share of it is there; else where temporary files are."""
    if on_disk or not os.path.isdir(MEMORY):
        return None
    place = os.statvfs(MEMORY)
    with open("/proc/meminfo", encoding="ascii") as f:
        available = int(re.search(r"MemAvailable:\s+(\d+) kB", f.read()).group(1)) << 10
    return MEMORY if min(place.f_bavail * place.f_frsize, available) > 4 << 30 else None


def end_badly(dock):
    for process in (dock.daemon, dock.uplink):
        if process and process.running():
            process.child.kill()
            process.child.wait()
    dock.timedated.end()
    dock.bus_process.kill()
    dock.bus_process.wait()


def keep_evidence(dock):
    """What the dock's folder held when a lane failed, where $BERTH_KILLS_KEEP says."""
    if "BERTH_KILLS_KEEP" in os.environ:
        subprocess.run(["cp", "-a", dock.folder, os.environ["BERTH_KILLS_KEEP"]], check=False)


class Lane:
    """A program like this one, in a simulator of its own."""

    def __init__(self, kills, seed, arguments):
        self.seed = seed
        command = [sys.executable, os.path.abspath(__file__), "--lane", f"--seconds={arguments.seconds}", str(kills), str(seed)]
        command += ["--disk"] if arguments.disk else []
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                      errors="replace")
        self.told, self.output = [], []

    def read(self, total):
        """Until it ends; total: of all lanes, for those who watch."""
        for line in self.child.stdout:
            if line.startswith("lane: "):
                self.told = [int(n) for n in re.findall(r"\d+", line)]
                total()
            else:
                self.output.append(line.rstrip())
        return self.child.wait()


def sum_up(lanes):
    """{"kills": …, "berthd": …} of all lanes so far."""
    names = ["kills", *NAMES, "rounds", "clips"]
    return {name: sum(lane.told[n] for lane in lanes if len(lane.told) == len(names)) for n, name in enumerate(names)}


def in_words(sums):
    return (f"{sums['kills']} kills (berthd {sums['berthd']}, berth-bay {sums['berth-bay']}, berth-uplink {sums['berth-uplink']})"
            f" in {sums['rounds']} rounds, {sums['clips']} clips")


def play_lanes(arguments):
    """Whether all was well, and the sums of all lanes, with the seconds that it took."""
    kills, n_lanes, rng = arguments.kills, arguments.lanes, random.Random(arguments.seed)
    share = [kills // n_lanes + (n < kills % n_lanes) for n in range(n_lanes)]
    lanes = [Lane(k, rng.randrange(1 << 32), arguments) for k in share if k > 0]
    started, said = time.monotonic(), [0]

    def total():
        sums = sum_up(lanes)
        if sums["kills"] >= said[0] + 500 or not said[0]:
            said[0] = sums["kills"]
            print(f"# {in_words(sums)}, {time.monotonic() - started:.0f} s", flush=True)

    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        statuses = list(pool.map(lambda lane: lane.read(total), lanes))
    print(f"# {in_words(sum_up(lanes))}, {time.monotonic() - started:.0f} s", flush=True)
    for lane, status in zip(lanes, statuses):
        if status != 0:
            print(f"# the lane of seed {lane.seed} ended with {status}:\n" + "\n".join(f"# {line}" for line in lane.output), flush=True)
    return not any(statuses), dict(sum_up(lanes), seconds=round(time.monotonic() - started))


def add_to_tally(path, good, sums):
    """What all sittings come to by now."""
    tally = {"sittings": 0, "failed": 0}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            tally = json.load(f)
    for name, n in dict(sums, sittings=1, failed=int(not good)).items():
        tally[name] = tally.get(name, 0) + n
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(tally, f, indent=1)
    os.replace(path + ".new", path)
    print(f"# in {tally['sittings']} sittings, {tally['failed']} of them failed: {in_words(tally)}, {tally['seconds']} s", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lanes", type=int, default=(os.cpu_count() or 2) + 1)
    parser.add_argument("--disk", action="store_true")
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--tally")
    parser.add_argument("--lane", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("kills", type=int, nargs="?", default=200)
    parser.add_argument("seed", type=int, nargs="?", default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    if arguments.lane:
        rack.enter("1-1:7")
        play_lane(arguments)
        return
    print(f"1..1\n# {arguments.kills} kills, seed {arguments.seed}", flush=True)
    good, sums = play_lanes(arguments)
    if arguments.tally:
        add_to_tally(arguments.tally, good, sums)
    print(f"{'ok' if good else 'not ok'} 1 - everything comes to its end after {sums['kills']} random kills", flush=True)
    sys.exit(0 if good else 1)


main()
