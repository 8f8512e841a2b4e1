#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of berthd, berth-bay and berth-uplink at random moments while cameras are pulled, stored and erased.

usage: kills.py [KILLS [SEED]]

After each round everything must have come to its end all the same: each clip once in the store, with the bytes that the
camera had, every camera erased, the custody chain whole. While it goes on, whatever is gone from a camera must be in the store.
TAP. The seed is printed; the same seed gives the same choices (not the same interleaving).
"""

import os
import random
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402

MIB = 1 << 20
PORTS = ["1-1.1", "1-1.2", "1-1.3"]
DEADLINE = 120


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
    dock.wait(lambda: all_ready(sim, dock, wanted), f"round {number} to end", DEADLINE)
    stored = dock.stored()
    for key, digest in wanted.items():
        assert stored.get(key) == [digest], f"{key}: the store has {stored.get(key)}, not once {digest}"
    dock.check_chain()
    for n, _ in enumerate(PORTS):
        sim("unplug", camera=f"c{n}")
    dock.wait(lambda: all(dock.state_of(n + 1) == "empty" for n in range(len(PORTS))), "the bays to be empty")
    return len(wanted)


def main():
    rack.enter("1-1:7")
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    rng = random.Random(seed)
    print(f"1..1\n# {kills} kills, seed {seed}", flush=True)
    sim = rack.Sim()
    counts, clips, number = {}, 0, 0
    with tempfile.TemporaryDirectory(prefix="berth-kills-") as folder:
        dock = rack.Dock(folder, PORTS, timeouts={"backoff_min": "100ms", "backoff_max": "300ms"})
        try:
            for n, _ in enumerate(PORTS):
                sim("camera", name=f"c{n}", type="ptp", serial=f"SN-c{n}", model="BC-1", clips=[])
            dock.start()
            while sum(counts.values()) < kills:
                number += 1
                clips += play_round(sim, dock, rng, number, kills - sum(counts.values()), counts)
            assert len(dock.objects()) == clips, f"{len(dock.objects())} objects in the store for {clips} clips"
            dock.close()
        except Exception as e:  # noqa: BLE001
            print(f"not ok 1 - everything comes to its end after {sum(counts.values())} kills")
            print("\n".join(f"# {line}" for line in f"{type(e).__name__}: {e}\n{dock.logs()}".splitlines()))
            sys.exit(1)
    print(f"# {sum(counts.values())} kills ({counts}) in {number} rounds, {clips} clips")
    print(f"ok 1 - everything comes to its end after {kills} random kills", flush=True)


main()
