# SPDX-License-Identifier: Apache-2.0
"""Crash points of berth-uplink before and after each kind of request to a store on the network, and at each step of its record of an
upload: what tests/crash/matrix.py does for the other points, against one real store."""

import os
import tempfile
import time
import traceback

import crash_rig
import rack
from crash_points import all_points
from store_dock import lines_of

OLD_SEC = 60 * 86400
TRIES = 10
LOOKS = 3


class StoreRig(crash_rig.Rig):
    age_records = False
    uploads_left = staticmethod(lambda place: [])

    def revive(self):
        # A record of an upload that nobody went on with for a month.
        if self.age_records and self.dock.uplink and not self.dock.uplink.running():
            for folder, _, names in os.walk(self.dock.path("uplink-state")):
                for name in names:
                    os.utime(os.path.join(folder, name), (time.time() - OLD_SEC,) * 2)
        super().revive()

    def check_end(self, contents=None):
        super().check_end(contents)
        left = self.uploads_left(self.dock.place)
        assert not left, f"uploads are left in the store: {left}"


def play_parts(rig):
    rig.new_camera([rack.make_clip("DCIM/EMPTY.MP4", 0, 1), rack.make_clip("DCIM/SMALL.MP4", 5000, rig.number),
                    rack.make_clip("DCIM/LARGE.MP4", 11 * crash_rig.MIB, rig.number + 1)])
    # So slow, and so late, that the large one goes to the store while it is pulled, each time.
    rig.sim("slow", camera=rig.camera, bytes_per_sec=12 * crash_rig.MIB)
    rig.start()
    rig.wait_store()
    rig.plug()
    rig.wait_ready()
    rig.stop()
    rig.check_end()


def play_old_record(rig):
    rig.age_records = True
    try:
        play_parts(rig)
    finally:
        rig.age_records = False


def lines_of_records(rig, key):
    """How many lines there are that the uplink wrote down of uploads with that key."""
    n = 0
    for folder, _, names in os.walk(rig.dock.path("uplink-state")):
        for name in names:
            n += sum(key in line for line in lines_of(os.path.join(folder, name)))
    return n


def play_growing(rig):
    """A camera that is too slow for its clip to be pulled before its upload has begun."""
    rig.new_camera([rack.make_clip("DCIM/GROWS.MP4", 27 * crash_rig.MIB, rig.number)])
    rig.sim("slow", camera=rig.camera, bytes_per_sec=crash_rig.MIB // 4, after_bytes=17 * crash_rig.MIB)
    rig.plug()
    rig.start()
    rig.wait(lambda: rig.dock.rows("SELECT 1 FROM blocks LIMIT 1 OFFSET 1"), "two blocks' facts")
    rig.wait(lambda: lines_of_records(rig, "piece") >= 2, "two pieces on their way")
    rig.sim("slow", camera=rig.camera, bytes_per_sec=0)
    rig.wait_ready()
    rig.stop()
    rig.check_end()


def scenarios(part, record):
    """part: a pass of a point in the middle of an upload in parts; record: one before the record of a stored clip goes. (label, at)"""
    return [
        crash_rig.Scenario("the main job", play_parts),
        crash_rig.Scenario("killed with a part in the store", play_parts, [part]),
        crash_rig.Scenario("killed with a part in the store, a month ago", play_old_record, [part]),
        crash_rig.Scenario("stored, and the record left", play_parts, [record]),
    ]


def look(rig, scenario):
    """What it passes after the crashes that make it, undisturbed."""
    try:
        for _ in range(LOOKS):
            passed, fired = rig.run(scenario, scenario.first)
            if fired or not scenario.first:
                return passed
    except Exception:
        print("".join(f"# {line}\n" for line in rig.dock.logs().splitlines()), flush=True)
        raise
    raise AssertionError(f"{scenario.name}: {scenario.first} is not passed")


def labels_of(rig, played, prefixes):
    """[(scenario, label)]: each in the first scenario that passes it. What hangs on how fast the one and the other are has more chances."""
    found, seen = [], set()
    for _ in range(LOOKS):
        for scenario in played:
            for label in sorted({label for label in look(rig, scenario) if label.startswith(prefixes)} - seen):
                seen.add(label)
                found.append((scenario, label))
        if not missing_points(found, prefixes):
            break
    return found


def missing_points(found, prefixes):
    points = {p for p in all_points(rack.BUILD) if p.startswith(prefixes)}
    return points - {label.split(":")[0] for _, label in found}


def check_points(found, prefixes):
    missing = missing_points(found, prefixes)
    print(f"{'not ok' if missing else 'ok'} 1 - every crash point of this store is passed by a scenario", flush=True)
    for point in sorted(missing):
        print(f"# passed by no scenario: {point}", flush=True)
    return not missing


def end_at(rig, scenario, label):
    """What went wrong, or "". A sweep of what is old runs beside the upload that takes it up again: which is first is chance."""
    for _ in range(TRIES):
        try:
            if rig.run(scenario, scenario.first + ((label, 1),))[1]:
                return ""
        except Exception:  # noqa: BLE001
            return traceback.format_exc() + rig.dock.logs()
    return "the point was not passed"


def run(make_place, prefixes, played, uploads_left=None):
    """TAP; whether all was well. make_place(number): a store of its own for each run."""
    with tempfile.TemporaryDirectory(prefix="berth-store-crash-") as folder:
        rig = StoreRig(rack.Sim(), folder, make_place=make_place)
        rig.uploads_left = uploads_left or rig.uploads_left
        found = labels_of(rig, played, prefixes)
        print(f"1..{len(found) + 1}", flush=True)
        good = check_points(found, prefixes)
        for number, (scenario, label) in enumerate(found, 2):
            why = end_at(rig, scenario, label)
            good &= not why
            print(f"{'not ok' if why else 'ok'} {number} - {scenario.name}: ended at {label}", flush=True)
            print("".join(f"# {line}\n" for line in why.splitlines()), end="", flush=True)
        rig.close()
    return good
