#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two whole docks on two racks, with nothing in common but a bucket in Ceph: firmware goes out to both, or stops at both."""

import atexit
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import S3Place  # noqa: E402
from rgw import Rgw  # noqa: E402
from rollout_world import NEW, Second, begun, seen, start, states, why  # noqa: E402

rack.enter()
store = Rgw(os.path.join(tempfile.mkdtemp(prefix="s3-"), "ceph"))
atexit.register(store.close)
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
store.make_bucket("clips")


def place(prefix):
    return S3Place(store, "clips", prefix, part_size="5M")


def assert_once(*docks):
    """By what the docks put on record: no camera was begun, or sent anything, twice."""
    for kind in ("rollout-begun", "flash-begun"):
        serials = [e["serial"] for d in docks for e in d.events(kind)]
        assert len(serials) == len(set(serials)), (kind, serials)


def stops_both(sim, dock, prefix, **how):
    d, fleet = start(dock, sim, 4, place=place(prefix), **how)
    with Second(sim, d, fleet, 4, **how) as e:
        fleet.rollout("create", fleet.plan(bad_max=1, under_way_max=2, waves=[{"of_10000": 10000, "cameras": 8}], docks=2))
        for one in (d, e):
            one.wait(lambda one=one: seen(one).get("r1", {}).get("state") == "stopped", "the rollout to stop", deadline=240)
        # One more than is borne, and what was under way by then: two at most.
        assert 2 <= len(begun(d) + begun(e)) <= 3, (begun(d), begun(e))
        d.wait(lambda: fleet.status()["waves"][0]["bad"] == len(begun(d) + begun(e)), "all the bad ones in the store", deadline=120)
        assert_once(d, e)
        for one in (d, e):
            one.check_chain()


def test_good_firmware_reaches_all_cameras_of_both_docks(sim, dock):
    d, fleet = start(dock, sim, 2, place=place("good"))
    with Second(sim, d, fleet, 2) as e:
        fleet.rollout("create", fleet.plan(waves=[{"named": ["SN-1", "SN-101"]}, {"of_10000": 10000, "cameras": 2}], docks=2))
        d.wait(lambda: [*states(d).values(), *states(e).values()] == ["ok"] * 4, "all cameras to be well", deadline=240)
        assert sorted(begun(d) + begun(e)) == ["SN-1", "SN-101", "SN-102", "SN-2"]
        assert sorted([begun(d)[0], begun(e)[0]]) == ["SN-1", "SN-101"]
        assert all(c.has() == NEW for one in (d, e) for c in one.cameras.values())
        d.wait(lambda: [w["ok"] for w in fleet.status()["waves"]] == [2, 2], "all outcomes in the store", deadline=120)
        assert_once(d, e)
        for one in (d, e):
            one.check_chain()


def test_firmware_that_cameras_do_not_take_stops_both_docks(sim, dock):
    stops_both(sim, dock, "old", loader={"keeps_old": True})


def test_firmware_from_which_cameras_do_not_come_back_stops_both_docks(sim, dock):
    stops_both(sim, dock, "lost", within="3s", loader={"stays_away": True})


def test_camera_that_changes_docks_is_not_flashed_twice(sim, dock):
    d, fleet = start(dock, sim, 1, bad=True, place=place("moves"))
    with Second(sim, d, fleet, 1, plugged=False) as e:
        fleet.rollout("create", fleet.plan(bad_max=5, docks=2))
        d.wait(lambda: states(d) == {"SN-1": "bad"}, "the camera to be bad", deadline=120)
        sim("unplug", camera="SN-1")
        d.cameras["SN-1"].plug("1-2.1")
        e.wait_state(1, "ready")
        e.wait(lambda: "at another dock" in why(e, "SN-1"), "the other dock to leave it alone", deadline=120)
        assert begun(e) == []
        assert_once(d, e)


TESTS = [test_good_firmware_reaches_all_cameras_of_both_docks, test_firmware_from_which_cameras_do_not_come_back_stops_both_docks]
# Rollouts wait for their windows: `make soak` plays these as well.
LONG = [test_firmware_that_cameras_do_not_take_stops_both_docks, test_camera_that_changes_docks_is_not_flashed_twice]

rack.run(TESTS + (LONG if "ROLLOUTS_LONG" in os.environ else []))
