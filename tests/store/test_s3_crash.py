#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The crash matrix of the s3 store, against a real Ceph: berth-uplink is ended before and after each kind of request and at each step of
its record of an upload (tests/crash/matrix.py has the other crash points)."""

import atexit
import os
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
# Also after enter(), which runs this anew.
os.environ["BERTH_CRASH_BUILD"] = os.environ["BERTH_BUILD"] = os.environ.get("BERTH_CRASH_BUILD", BUILD + "-crash")
import crash_rig  # noqa: E402
import rack  # noqa: E402
from crash_points import S3_POINTS, all_points  # noqa: E402
from rgw import Rgw  # noqa: E402

OLD_SEC = 30 * 86400


class S3Rig(crash_rig.Rig):
    age_records = False

    def revive(self):
        # A record of an upload that nobody went on with for a month.
        if self.age_records and self.dock.uplink and not self.dock.uplink.running():
            for folder, _, names in os.walk(self.dock.path("uplink-state")):
                for name in names:
                    os.utime(os.path.join(folder, name), (time.time() - OLD_SEC,) * 2)
        super().revive()

    def check_end(self, contents=None):
        super().check_end(contents)
        left = self.dock.s3.store.uploads(self.dock.s3.bucket, self.dock.s3.prefix)
        assert left == [], f"uploads are left in the store: {left}"


def play_parts(rig):
    rig.new_camera([rack.make_clip("DCIM/EMPTY.MP4", 0, 1), rack.make_clip("DCIM/SMALL.MP4", 5000, rig.number),
                    rack.make_clip("DCIM/LARGE.MP4", 11 * crash_rig.MIB, rig.number + 1)])
    rig.plug()
    rig.start()
    rig.wait_ready()
    rig.stop()
    rig.check_end()


def play_old_record(rig):
    rig.age_records = True
    try:
        play_parts(rig)
    finally:
        rig.age_records = False


SCENARIOS = [
    crash_rig.Scenario("the main job", play_parts),
    crash_rig.Scenario("killed with a part in the store", play_parts, [("berth-uplink store-answered:PUT-objects-uploadId", 2)]),
    crash_rig.Scenario("killed with a part in the store, a month ago", play_old_record,
                       [("berth-uplink store-answered:PUT-objects-uploadId", 2)]),
    crash_rig.Scenario("stored, and the record left", play_parts, [("berth-uplink record-remove-begins", 3)]),
]


def labels_of(rig):
    """[(scenario, label)]: each in the first scenario that passes it."""
    found, seen = [], set()
    for scenario in SCENARIOS:
        passed, fired = rig.run(scenario, scenario.first)
        assert fired or not scenario.first, f"{scenario.name}: {scenario.first} is not passed"
        for label in sorted({label for label in passed if label.startswith(S3_POINTS)} - seen):
            seen.add(label)
            found.append((scenario, label))
    return found


def check_points(found):
    points = {p for p in all_points(rack.BUILD) if p.startswith(S3_POINTS)}
    missing = points - {label.split(":")[0] for _, label in found}
    print(f"{'not ok' if missing else 'ok'} 1 - every crash point of the s3 store is passed by a scenario", flush=True)
    for point in sorted(missing):
        print(f"# passed by no scenario: {point}", flush=True)
    return not missing


def end_at(rig, scenario, label):
    """What went wrong, or ""."""
    for _ in range(3):
        try:
            if rig.run(scenario, scenario.first + ((label, 1),))[1]:
                return ""
        except Exception:  # noqa: BLE001
            return traceback.format_exc() + rig.dock.logs()
    return "the point was not passed"


def main():
    rack.enter("1-1:4")
    store = Rgw(os.path.join(tempfile.mkdtemp(prefix="s3-"), "ceph"))
    atexit.register(store.close)
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
    store.make_bucket("clips")
    with tempfile.TemporaryDirectory(prefix="berth-s3-crash-") as folder:
        rig = S3Rig(rack.Sim(), folder, make_place=lambda n: rack.S3Place(store, "clips", f"run{n}", part_size="5M"))
        found = labels_of(rig)
        print(f"1..{len(found) + 1}", flush=True)
        good = check_points(found)
        for number, (scenario, label) in enumerate(found, 2):
            why = end_at(rig, scenario, label)
            good &= not why
            print(f"{'not ok' if why else 'ok'} {number} - {scenario.name}: ended at {label}", flush=True)
            print("".join(f"# {line}\n" for line in why.splitlines()), end="", flush=True)
        rig.close()
    sys.exit(0 if good else 1)


main()
