#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Firmware goes out: in waves, by signed plans, and it stops by itself."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import flash_world  # noqa: E402
import rack  # noqa: E402
import rollout_world  # noqa: E402
from firmware_image import image  # noqa: E402
from rollout_world import cameras, keys, seen  # noqa: E402

NEW = image("2.1", 20000)


def plug(sim, d, n, first=1, hub="1-1", bad=False):
    """Cameras SN-<first> …; bad ones take the firmware, and come back with what they had."""
    made = {}
    for i in range(first, first + n):
        made[f"SN-{i}"] = flash_world.Camera(sim, d, f"SN-{i}", keeps_old=bad)
        made[f"SN-{i}"].plug(f"{hub}.{i - first + 1}")
    for i in range(1, n + 1):
        d.wait_state(i, "ready")
    return made


def start(dock, sim, n, bad=False, extra="", **config):
    d = dock([f"1-1.{i}" for i in range(1, n + 1)], **config)
    fleet = rollout_world.Fleet(d)
    flash_world.write_models(d)
    d.write_config(fleet.settings(extra))
    d.start()
    d.wait(lambda: d.manager().get("StoreState") == "ready", "the store")
    path = fleet.image("new.bin", NEW)
    fleet.ctl("publish", fleet.catalog(1, [("flash-cam", "2.1", path)]), path)
    d.cameras = plug(sim, d, n, bad=bad)
    return d, fleet


class Second:
    """Another dock of the fleet, on the other hub, with nothing in common with the first but the store."""

    def __init__(self, sim, first, fleet, n, plugged=True, bad=False):
        self.dock = rack.Dock(first.path("second"), [f"1-2.{i}" for i in range(1, n + 1)], store=first.store, place=first.place)
        flash_world.write_models(self.dock)
        self.dock.write_config(fleet.settings())
        self.dock.start()
        self.dock.wait(lambda: self.dock.manager().get("StoreState") == "ready", "the store")
        self.dock.cameras = plug(sim, self.dock, n, 101, "1-2", bad) if plugged else {}

    def __enter__(self):
        return self.dock

    def __exit__(self, *error):
        if error[0]:
            print("".join(f"# {line}\n" for line in self.dock.logs().splitlines()))
        self.dock.close()


def states(d, name="r1"):
    return {serial: c["state"] for serial, c in cameras(d, name).items()}


def why(d, serial, name="r1"):
    return cameras(d, name).get(serial, {"why": ""})["why"]


def begun(d):
    return [e["serial"] for e in d.events("rollout-begun")]


def test_good_firmware_reaches_every_camera_once(sim, dock):
    d, fleet = start(dock, sim, 3)
    fleet.rollout("create", fleet.plan())
    assert "another id" in fleet.rollout("create", fleet.plan(), code=1)
    d.wait(lambda: list(states(d).values()) == ["ok"] * 3, "all cameras to be well")
    d.wait(lambda: fleet.status()["waves"][0]["ok"] == 3, "all outcomes in the store")
    assert fleet.status()["waves"] == [{"wave": 1, "cameras": 4, "ok": 3, "bad": 0}]
    assert len(keys(d, "r1", "cameras")) == 3
    assert sorted(begun(d)) == ["SN-1", "SN-2", "SN-3"]
    assert all(c.has() == NEW for c in d.cameras.values())
    # Over a restart nothing is begun anew.
    d.daemon.end()
    d.start_daemon()
    d.wait(lambda: list(states(d).values()) == ["ok"] * 3, "all cameras to be well after a restart")
    d.check_chain()


def test_bad_firmware_stops_by_itself(sim, dock):
    d, fleet = start(dock, sim, 5, bad=True)
    # Of two places in each window one is drawn; one bad camera is borne, the second stops.
    fleet.rollout("create", fleet.plan(bad_max=1, under_way_max=2))
    d.wait(lambda: seen(d).get("r1", {}).get("state") == "stopped", "the rollout to stop", deadline=120)
    d.wait(lambda: list(states(d).values()).count("bad") == len(begun(d)), "all that were begun to be bad")
    assert 2 <= len(begun(d)) <= 3, begun(d)
    waiting = [s for s, state in states(d).items() if state == "waits"]
    assert len(waiting) >= 2 and all("too many cameras are bad" in why(d, s) for s in waiting)
    d.wait(lambda: fleet.status()["waves"][0]["bad"] >= 2, "the bad ones in the store")


def test_paused_rollout_waits_and_an_aborted_one_is_over(sim, dock):
    d, fleet = start(dock, sim, 2)
    fleet.rollout("create", fleet.plan(begin="2099-01-01"))
    d.wait(lambda: "beginning of wave 1" in why(d, "SN-1"), "the cameras to wait for the beginning")
    fleet.rollout("create", fleet.plan("r2", waves=[{"named": ["SN-1"]}, {"of_10000": 10000, "cameras": 1, "start": "2099-01-01"}]))
    d.wait(lambda: states(d, "r2").get("SN-1") == "ok", "the first wave")
    d.wait(lambda: "beginning of wave 2" in why(d, "SN-2", "r2"), "the second camera to wait for its wave")
    fleet.rollout("pause", "r2")
    d.wait(lambda: seen(d).get("r2", {}).get("state") == "paused", "the pause")
    fleet.rollout("resume", "r2")
    d.wait(lambda: seen(d).get("r2", {}).get("state") == "running", "the end of the pause")
    fleet.rollout("abort", "r2")
    d.wait(lambda: "was aborted" in why(d, "SN-2", "r2"), "the camera to see that it is over")
    assert "for good" in fleet.rollout("resume", "r2", code=1)
    # Over a restart, and although the newer revisions are taken out of the store.
    d.daemon.end()
    for name in os.listdir(os.path.join(d.store, "rollouts", "plans")):
        if name.startswith("r2.") and name != "r2.000001":
            os.remove(os.path.join(d.store, "rollouts", "plans", name))
    d.start_daemon()
    d.wait(lambda: seen(d).get("r2", {}).get("state") == "aborted", "the rollout to be over still")
    assert begun(d) == ["SN-1"]


def test_next_wave_waits_for_the_first(sim, dock):
    d, fleet = start(dock, sim, 3)
    fleet.rollout("create", fleet.plan(waves=[{"named": ["SN-2"]}, {"of_10000": 10000, "cameras": 2}]))
    d.wait(lambda: list(states(d).values()) == ["ok"] * 3, "all cameras to be well", deadline=120)
    assert begun(d)[0] == "SN-2"
    first = [e for e in d.events("rollout-begun") if e["serial"] == "SN-2"][0]
    assert all(e["window"] > first["window"] + 1 for e in d.events("rollout-begun") if e["serial"] != "SN-2")


def test_only_the_fleets_administrator_makes_plans(sim, dock):
    d, fleet = start(dock, sim, 1)
    other = rollout_world.Fleet(d, "other")
    other.rollout("create", other.plan("r1"))
    plans = os.path.join(d.store, "rollouts", "plans")
    d.wait(lambda: "rollouts/plans/r1.000001 is not taken" in d.daemon.output(), "the plan of another administrator to be refused")
    assert seen(d) == {}
    # A plan that was changed, one under another name, of another fleet, and one that was cut off.
    fleet.rollout("create", fleet.plan("r2", begin="2099-01-01"))
    d.wait(lambda: "r2" in seen(d), "a good plan")
    with open(os.path.join(plans, "r2.000001"), encoding="utf-8") as f:
        good = f.read()
    for name, text in (("r2.000002", good.replace("2099", "2019")), ("r2.000003", good), ("r2.000004", good[:-30]), ("r3.000001", good)):
        with open(os.path.join(plans, name), "w", encoding="utf-8") as f:
            f.write(text)
        d.wait(lambda name=name: f"rollouts/plans/{name} is not taken" in d.daemon.output(), f"{name} to be refused")
    fleet.rollout("create", fleet.plan("r4", fleet="south"))
    d.wait(lambda: "of another fleet" in d.daemon.output(), "the other fleet's plan to be refused")
    assert list(seen(d)) == ["r2"] and seen(d)["r2"]["revision"] == 1
    # What lies above it keeps no revision away.
    fleet.rollout("abort", "r2")
    d.wait(lambda: seen(d).get("r2", {}).get("state") == "aborted", "the next good revision")
    assert begun(d) == []


def test_dock_without_the_store_flashes_nothing(sim, dock):
    d, fleet = start(dock, sim, 1)
    sim("unplug", camera="SN-1")
    d.wait_state(1, "empty")
    fleet.rollout("create", fleet.plan())
    d.wait(lambda: "r1" in seen(d), "the plan")
    d.uplink.end()
    d.wait(lambda: d.manager()["StoreState"] != "ready", "the store to be away")
    d.cameras["SN-1"].plug()
    d.wait_state(1, "ready")
    assert begun(d) == []
    d.start_uplink()
    d.wait(lambda: states(d) == {"SN-1": "ok"}, "the camera to be well once the store is back")
    assert begun(d) == ["SN-1"]


def test_image_that_is_not_the_catalogs_goes_to_no_camera(sim, dock):
    d, fleet = start(dock, sim, 1)
    (stored,) = os.listdir(os.path.join(d.store, "firmware", "images"))
    path = os.path.join(d.store, "firmware", "images", stored)
    os.chmod(path, 0o600)
    with open(path, "r+b") as f:
        f.write(b"OLD")
    fleet.rollout("create", fleet.plan())
    d.wait(lambda: "something else" in why(d, "SN-1"), "the image to be refused")
    os.remove(path)
    d.wait(lambda: "is not in the store" in why(d, "SN-1"), "the missing image to be told of")
    assert begun(d) == [] and keys(d, "r1", "started") == []
    # The right one again.
    shutil.copy(fleet.path("new.bin"), path)
    d.wait(lambda: states(d) == {"SN-1": "ok"}, "the camera to be well")


def test_firmware_that_is_not_for_the_model_goes_to_no_camera(sim, dock):
    d, fleet = start(dock, sim, 1)
    fleet.rollout("create", fleet.plan(version="9.9"))
    d.wait(lambda: "firmware 9.9 for the model flash-cam is not in version 1 of the catalog" in why(d, "SN-1"), "the missing version")
    other = fleet.image("other.bin", image("9.9"))
    fleet.ctl("publish", fleet.catalog(2, [("other-cam", "9.9", other)]), other)
    d.wait(lambda: "is in the catalog for the model other-cam, not for flash-cam" in why(d, "SN-1"), "the other model's firmware")
    fleet.ctl("publish", fleet.catalog(3, [("flash-cam", "9.9", other)], expires="2099-01-01"), other)
    d.wait(lambda: states(d) == {"SN-1": "ok"}, "the camera to be well")


def test_good_firmware_reaches_all_cameras_of_two_docks(sim, dock):
    d, fleet = start(dock, sim, 2)
    with Second(sim, d, fleet, 2) as e:
        fleet.rollout("create", fleet.plan(waves=[{"named": ["SN-1", "SN-101"]}, {"of_10000": 10000, "cameras": 2}], docks=2))
        d.wait(lambda: [*states(d).values(), *states(e).values()] == ["ok"] * 4, "all cameras to be well", deadline=120)
        assert sorted(begun(d) + begun(e)) == ["SN-1", "SN-101", "SN-102", "SN-2"]
        assert sorted([begun(d)[0], begun(e)[0]]) == ["SN-1", "SN-101"]
        d.wait(lambda: [w["ok"] for w in fleet.status()["waves"]] == [2, 2], "all outcomes in the store")
        for one in (d, e):
            one.check_chain()


def test_bad_firmware_stops_both_docks(sim, dock):
    d, fleet = start(dock, sim, 4, bad=True)
    with Second(sim, d, fleet, 4, bad=True) as e:
        fleet.rollout("create", fleet.plan(bad_max=1, under_way_max=2, waves=[{"of_10000": 10000, "cameras": 8}], docks=2))
        for one in (d, e):
            one.wait(lambda one=one: seen(one).get("r1", {}).get("state") == "stopped", "the rollout to stop", deadline=180)
        # One more than is borne, and those that were under way: two at most.
        assert 2 <= len(begun(d) + begun(e)) <= 3, (begun(d), begun(e))
        d.wait(lambda: fleet.status()["waves"][0]["bad"] == len(begun(d) + begun(e)), "all the bad ones in the store")


def test_camera_that_changes_docks_is_not_flashed_twice(sim, dock):
    d, fleet = start(dock, sim, 1, bad=True)
    with Second(sim, d, fleet, 1, plugged=False) as e:
        fleet.rollout("create", fleet.plan(bad_max=5, docks=2))
        d.wait(lambda: states(d) == {"SN-1": "bad"}, "the camera to be bad")
        sim("unplug", camera="SN-1")
        d.cameras["SN-1"].plug("1-2.1")
        e.wait_state(1, "ready")
        e.wait(lambda: "at another dock" in why(e, "SN-1"), "the other dock to leave it alone")
        assert begun(e) == []


TESTS = [test_good_firmware_reaches_every_camera_once, test_bad_firmware_stops_by_itself, test_only_the_fleets_administrator_makes_plans,
         test_bad_firmware_stops_both_docks, test_camera_that_changes_docks_is_not_flashed_twice]
# Rollouts wait for their windows: `make soak` plays these as well.
LONG = [test_paused_rollout_waits_and_an_aborted_one_is_over, test_next_wave_waits_for_the_first,
        test_dock_without_the_store_flashes_nothing, test_image_that_is_not_the_catalogs_goes_to_no_camera,
        test_firmware_that_is_not_for_the_model_goes_to_no_camera, test_good_firmware_reaches_all_cameras_of_two_docks]

rack.run(TESTS + (LONG if "ROLLOUTS_LONG" in os.environ else []))
