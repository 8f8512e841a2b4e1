#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Firmware goes out: in waves, by signed plans, and it stops by itself."""

import base64
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import fleet_world  # noqa: E402
import rack  # noqa: E402
import rollout_world  # noqa: E402
from charging_dock import NEVER, ctl, wait_off  # noqa: E402
from contract import live, written  # noqa: E402
from findings import findings  # noqa: E402
from firmware_image import image  # noqa: E402
from flash_world import CHARGED  # noqa: E402
from rollout_world import NEW, Second, begun, cameras, keys, seen, start, states, why  # noqa: E402


class Told:
    """A rollout as its signals alone tell it, from a first look on."""

    def __init__(self, d, rollout_id):
        self.d, self.path, self.changed, self.invalidated = d, f"/org/berth/Dock1/rollout/{rollout_id}", [], set()
        d.conn.signal_subscribe(rack.NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged", self.path, None, 0, self._on_changed)
        self.known = d.properties(self.path, "Rollout")

    def _on_changed(self, *args):
        _, changed, invalidated = args[5].unpack()
        self.known.update(changed)
        self.changed.append(changed)
        self.invalidated.update(invalidated)

    def states(self):
        return [changed["State"] for changed in self.changed if "State" in changed]

    def same(self):
        """Whether they told all that a fresh look finds. Of the list of cameras they tell that it changed."""
        assert not any("Cameras" in changed for changed in self.changed)
        return {**self.known, "Cameras": None} == {**self.d.properties(self.path, "Rollout"), "Cameras": None}


def utc(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def test_good_firmware_reaches_every_camera_once(sim, dock):
    d, fleet = start(dock, sim, 3)
    fleet.rollout("create", fleet.plan())
    assert "another id" in fleet.rollout("create", fleet.plan(), code=1)
    d.wait(lambda: "r1" in seen(d), "the plan")
    told = Told(d, "r1")
    d.wait(lambda: list(states(d).values()) == ["ok"] * 3, "all cameras to be well")
    d.wait(lambda: told.invalidated == {"Cameras"} and told.same(), "the signals to have told that the cameras' list changed")
    fleet.rollout("pause", "r1")
    d.wait(lambda: told.states() == ["paused"] and told.same(), "the pause to be told by signals")
    fleet.rollout("resume", "r1")
    d.wait(lambda: told.states() == ["paused", "running"] and told.known["Revision"] == 3 and told.same(), "and its end")
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
    assert live(d.conn, "/org/berth/Dock1/rollout/r1", "Rollout") == written("Rollout")
    fleet.rollout("create", fleet.plan("r2", waves=[{"named": ["SN-1"]}, {"of_10000": 10000, "cameras": 1, "start": "2099-01-01"}]))
    d.wait(lambda: states(d, "r2").get("SN-1") == "ok", "the first wave")
    d.wait(lambda: "beginning of wave 2" in why(d, "SN-2", "r2"), "the second camera to wait for its wave")
    told = Told(d, "r2")
    fleet.rollout("pause", "r2")
    d.wait(lambda: seen(d).get("r2", {}).get("state") == "paused", "the pause")
    fleet.rollout("resume", "r2")
    d.wait(lambda: seen(d).get("r2", {}).get("state") == "running", "the end of the pause")
    fleet.rollout("abort", "r2")
    d.wait(lambda: "was aborted" in why(d, "SN-2", "r2"), "the camera to see that it is over")
    d.wait(told.same, "the signals to have told all")
    assert told.states() == ["paused", "running", "aborted"] and told.known["Revision"] == 4, told.changed
    assert "for good" in fleet.rollout("resume", "r2", code=1)
    # Over a restart, and although the newer revisions are taken out of the store.
    d.daemon.end()
    for name in os.listdir(os.path.join(d.store, "rollouts", "plans")):
        if name.startswith("r2.") and name != "r2.000001":
            os.remove(os.path.join(d.store, "rollouts", "plans", name))
    d.start_daemon()
    d.wait(lambda: seen(d).get("r2", {}).get("state") == "aborted", "the rollout to be over still")
    # What still comes is the other one's.
    d.wait(lambda: findings("SN-2").get("firmware-comes", {}).get("severity") == "notice", "what is found of the one that waits")
    assert begun(d) == ["SN-1"]


def test_next_wave_waits_for_the_first(sim, dock):
    d, fleet = start(dock, sim, 3)
    starts = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)
    fleet.rollout("create", fleet.plan(waves=[{"named": ["SN-2"]}, {"of_10000": 10000, "cameras": 2, "start": utc(starts)}]))
    d.wait(lambda: list(states(d).values()) == ["ok"] * 3, "all cameras to be well", deadline=240)
    assert begun(d)[0] == "SN-2"
    first = [e for e in d.events("rollout-begun") if e["serial"] == "SN-2"][0]
    assert all(e["window"] > first["window"] + 1 and e["time"] >= utc(starts) for e in d.events("rollout-begun") if e["serial"] != "SN-2")


def test_each_dock_keeps_the_hours_of_its_own_time_zone(sim, dock):
    """From an hour ago to eleven hours from now in UTC, which is the first one's zone; at the second one it is half a day later."""
    d, fleet = start(dock, sim, 1, zone="UTC0")
    with Second(sim, d, fleet, 1, zone="<+12>-12") as e:
        now = datetime.datetime.now(datetime.timezone.utc)
        # It is a wave's start, too, that is waited for: both cameras are ready when the plan comes.
        begin, end, starts = now - datetime.timedelta(hours=1), now + datetime.timedelta(hours=11), now + datetime.timedelta(seconds=12)
        waves = [{"of_10000": 10000, "cameras": 2, "start": utc(starts)}]
        fleet.rollout("create", fleet.plan(waves=waves, docks=2, hours=[f"{begin:%H:%M}-{end:%H:%M}"]))
        # By the second one's clock they begin when it is there what it was here an hour ago.
        opens = (begin + datetime.timedelta(hours=24)).replace(tzinfo=None)
        told = f"waits for the hours in which the rollout goes on: they begin at {opens:%Y-%m-%d %H:%M} +1200"
        e.wait(lambda: why(e, "SN-101") == told, "the second dock to wait for its hours", deadline=120)
        assert cameras(e)["SN-101"]["state"] == "waits" and cameras(e)["SN-101"]["code"] == "system-inhibit"
        d.wait(lambda: states(d) == {"SN-1": "ok"}, "the first dock's camera to be well", deadline=120)
        (first,) = d.events("rollout-begun")
        assert first["time"] >= utc(starts), f"begun at {first['time']}, before the wave's start at {utc(starts)}"
        assert why(e, "SN-101") == told and begun(e) == [] and not e.events("flash-begun")
        assert e.cameras["SN-101"].has() == image("1.0") and len(keys(d, "r1", "started")) == 1
        # The dock is told where it stands.
        e.daemon.end()
        e.daemon_env["TZ"] = "UTC0"
        e.start_daemon()
        e.wait(lambda: states(e) == {"SN-101": "ok"}, "the second dock's camera to be well", deadline=120)
        assert e.cameras["SN-101"].has() == NEW and len(keys(d, "r1", "started")) == 2


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
    # Once, however often it is asked for.
    [line] = [line for line in d.daemon.output().splitlines() if "A firmware image is not taken" in line]
    assert stored in line, line
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


def test_dock_that_died_in_the_middle_counts_as_bad_at_the_other(sim, dock):
    """It has a place, and no outcome: when the window is closed by whoever is there, that is a bad camera."""
    d, fleet = start(dock, sim, 1, loader={"poll_msec": 4000})
    with Second(sim, d, fleet, 1) as e:
        fleet.rollout("create", fleet.plan(bad_max=0, under_way_max=2, waves=[{"named": ["SN-1"]}, {"of_10000": 10000, "cameras": 1}],
                                           docks=2))
        d.wait(lambda: begun(d) and d.events("flash-sending"), "the camera of the first wave to be begun")
        d.daemon.end(signal.SIGKILL)
        d.uplink.end(signal.SIGKILL)
        e.wait(lambda: seen(e).get("r1", {}).get("state") == "stopped", "the other dock to stop", deadline=180)
        assert begun(e) == [] and "too many cameras are bad" in why(e, "SN-101"), why(e, "SN-101")
        assert len(keys(d, "r1", "started")) == 1 and not keys(d, "r1", "ok") and len(keys(d, "r1", "bad")) >= 1
        # The dock comes back: its record is healed, and the rollout stays stopped.
        sim("set", camera="SN-1-loader", poll_msec=2)
        d.start_uplink()
        d.start_daemon()
        d.wait(lambda: [x["outcome"] for x in d.events("flash-ended")] == ["ok"], "the camera to have its firmware after all", deadline=120)
        assert fleet.status()["waves"][0]["bad"] == 1 and len(begun(d)) == 1 and begun(e) == []
        assert d.cameras["SN-1"].has() == NEW and len(d.events("flash-sending")) == 1


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


def test_camera_whose_port_is_off_is_woken_for_its_turn(sim, dock):
    d, fleet = start(dock, sim, 1, extra="[rack]\nbudget = 5000\n" + NEVER, models=CHARGED)
    assert "it switches" in ctl("bay", "calibrate", "1").stdout
    wait_off(d, 1, "ready")
    fleet.rollout("create", fleet.plan())
    d.wait(lambda: states(d) == {"SN-1": "ok"}, "the camera to be well", deadline=120)
    assert d.cameras["SN-1"].has() == NEW and len(begun(d)) == 1


def signed(key, about):
    """A statement as any key can make one."""
    der = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout
    text = json.dumps({**about, "v": 1, "signer": der[-32:].hex()}, sort_keys=True, separators=(",", ":"))
    message = f"berth-statement 1\n{text}\n"
    with tempfile.NamedTemporaryFile() as f:
        f.write(message.encode())
        f.flush()
        signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", f.name], capture_output=True,
                                   check=True).stdout
    return message + base64.b64encode(signature).decode() + "\n"


def revise(d, fleet, revision, **changes):
    """Of the plan r1, as the administrator can sign one by other means than berthctl."""
    with open(os.path.join(d.store, "rollouts", "plans", "r1.000001"), encoding="utf-8") as f:
        about = json.loads(f.read().splitlines()[1])
    key = f"rollouts/plans/r1.{revision:06}"
    path = os.path.join(d.store, key)
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(signed(fleet.key, {**about, "key": key, "seq": revision, "plan": {**about["plan"], **changes}}))
    os.rename(path + ".new", path)


def test_turn_that_was_drawn_by_other_hours_is_not_used(sim, dock):
    d, fleet = start(dock, sim, 1, zone="UTC0")
    # Its turn is one of the next two thousand windows'.
    waves = [{"of_10000": 10000, "cameras": 2000}]
    fleet.rollout("create", fleet.plan(waves=waves, under_way_max=2))
    d.wait(lambda: why(d, "SN-1") == "waits for its turn", "the camera to have drawn a turn", deadline=120)
    now = datetime.datetime.now(datetime.timezone.utc)
    begin, end = now + datetime.timedelta(hours=6), now + datetime.timedelta(hours=7)
    revise(d, fleet, 2, hours=[f"{begin:%H:%M}-{end:%H:%M}"])
    told = f"waits for the hours in which the rollout goes on: they begin at {begin:%Y-%m-%d %H:%M} +0000"
    d.wait(lambda: why(d, "SN-1") == told, "the camera to wait for the new hours", deadline=120)
    assert begun(d) == [] and keys(d, "r1", "started") == []
    revise(d, fleet, 3, waves=[{"of_10000": 10000, "cameras": 1}])
    d.wait(lambda: states(d) == {"SN-1": "ok"}, "the camera to be well", deadline=120)


def told(d):
    with open(d.path("berthd.log"), encoding="utf-8") as f:
        return f.read().splitlines()


def test_sum_that_no_dock_of_the_list_signed_flashes_nothing(sim, dock):
    d, fleet = start(dock, sim, 1, extra="[roster]\nfollow_every = 200ms\n")
    docks = fleet_world.Fleet(d.folder, admin=fleet.key)
    docks.enroll(d)
    docks.publish(d)
    d.wait(lambda: d.events("fleet-list"), "the list of docks", deadline=120)
    os.makedirs(d.path("stranger"))
    stranger = fleet_world.Fleet(d.path("stranger")).admin
    about = {"type": "rollout-sum", "key": "rollouts/r1.sums/00000000", "fleet": "north", "dock": "0" * 32, "seq": 1,
             "waves": [{"ok": 1000, "bad": 0}]}
    path = os.path.join(d.store, about["key"])
    os.makedirs(os.path.dirname(path))
    forgeries = [(signed(stranger, about), "not in the fleet's list"),
                 (signed(stranger, {**about, "type": "rollout-outcome"}), "not in the fleet's list"),
                 (signed(d.path("state", "dock.key"), about), "another dock"),
                 (signed(stranger, about).replace("1000", "2000"), "its signature is not that of the key"),
                 ("berth-statement 1\n", "no signed statement")]
    own = {**about, "dock": d.events("key-made")[0]["dock_id"]}
    forgeries += [(signed(d.path("state", "dock.key"), {**own, **altered}), words) for altered, words in (
        ({"type": "rollout-outcome"}, "another type"), ({"key": "rollouts/r2.sums/00000000"}, "another key in the store"),
        ({"fleet": "south"}, "another fleet"))]
    with open(path, "w", encoding="ascii") as f:
        f.write(forgeries[0][0])
    fleet.rollout("create", fleet.plan())
    for text, words in forgeries:
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(path + ".new", path)
        d.wait(lambda words=words: any("does not count" in line and words in line for line in told(d)),
               f"'{words}' to be told", deadline=120)
    assert begun(d) == [], "flashed by a state that somebody forged"
    os.unlink(path)
    d.wait(lambda: list(states(d).values()) == ["ok"], "the camera to be well without the forgery", deadline=120)


def test_marks_that_no_dock_of_the_list_signed_stop_nothing(sim, dock):
    d, fleet = start(dock, sim, 1, extra="[roster]\nfollow_every = 200ms\n")
    docks = fleet_world.Fleet(d.folder, admin=fleet.key)
    docks.enroll(d)
    docks.publish(d)
    d.wait(lambda: d.events("fleet-list"), "the list of docks", deadline=120)
    os.makedirs(d.path("stranger"))
    stranger = fleet_world.Fleet(d.path("stranger")).admin
    stop = {"type": "rollout-stop", "key": "rollouts/r1.bad/0-stop", "fleet": "north", "dock": "0" * 32, "seq": 1}
    own = {**stop, "dock": d.events("key-made")[0]["dock_id"]}
    bad = {**stop, "type": "rollout-outcome", "outcome": "bad"}
    marks = {stop["key"]: signed(stranger, stop)}
    for n, text in enumerate((lambda about: signed(stranger, about), lambda about: signed(stranger, about).replace('"seq":1', '"seq":2'),
                              lambda about: signed(d.path("state", "dock.key"), {**about, "dock": own["dock"], "key": stop["key"]}),
                              lambda about: signed(d.path("state", "dock.key"), {**about, "dock": own["dock"], "outcome": "ok"}))):
        key = f"rollouts/r1.bad/00000000-000{n + 5}-00"
        marks[key] = text({**bad, "key": key})
    for key, text in marks.items():
        path = os.path.join(d.store, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
    fleet.rollout("create", fleet.plan(bad_max=1))
    d.wait(lambda: list(states(d).values()) == ["ok"], "the camera to be well in spite of them", deadline=120)
    for key in marks:
        assert any("does not count" in line and key in line and "nothing is stopped by it" in line for line in told(d)), key


TESTS = [test_sum_that_no_dock_of_the_list_signed_flashes_nothing, test_marks_that_no_dock_of_the_list_signed_stop_nothing,
         test_good_firmware_reaches_every_camera_once, test_camera_whose_port_is_off_is_woken_for_its_turn,
         test_bad_firmware_stops_by_itself, test_only_the_fleets_administrator_makes_plans,
         test_bad_firmware_stops_both_docks, test_camera_that_changes_docks_is_not_flashed_twice,
         test_each_dock_keeps_the_hours_of_its_own_time_zone, test_turn_that_was_drawn_by_other_hours_is_not_used]
# Rollouts wait for their windows: `make soak` plays these as well.
LONG = [test_dock_that_died_in_the_middle_counts_as_bad_at_the_other,
        test_paused_rollout_waits_and_an_aborted_one_is_over, test_next_wave_waits_for_the_first,
        test_dock_without_the_store_flashes_nothing, test_image_that_is_not_the_catalogs_goes_to_no_camera,
        test_firmware_that_is_not_for_the_model_goes_to_no_camera, test_good_firmware_reaches_all_cameras_of_two_docks]

rack.run(TESTS + (LONG if "ROLLOUTS_LONG" in os.environ else []))
