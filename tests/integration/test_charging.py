#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The power of the bays' ports: measured, planned, switched; and cameras that rest without it are docked all the same."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from charging_dock import (BOTH, HUBS, NEVER, both_halves, camera, charging_dock, ctl, hub_that_lies, measured, port, put_in,  # noqa: E402
                           wait_for, wait_off)
from findings import codes  # noqa: E402
from rack import make_clip  # noqa: E402


def test_port_is_measured_and_remembered(sim, dock):
    d = charging_dock(dock, BOTH)
    camera(sim, "a", 50)
    assert "there must be a camera" in ctl("bay", "calibrate", "1", code=1).stderr
    put_in(sim, d, "a", 1)
    said = ctl("bay", "calibrate", "1").stdout
    assert "it switches, by the kernel's 'disable' file: the camera was gone, and back after" in said, said
    event = d.events("port-calibrated")[0]
    assert (event["bay"], event["switches"], event["returns"], event["way"], event["operator_uid"]) == ("1-1.1", True, True, "disable", 0)
    assert d.rows("SELECT bay, switches, returns FROM ports") == [("1-1.1", 1, 1)]
    # It was docked all the time.
    d.wait_state(1, "ready")
    assert len(d.events("docked")) == 1 and not d.events("undocked")
    assert [e["event"] for e in d.events() if e["event"] in ("left", "returned")] == ["left", "returned"]
    assert "no bay 9" in ctl("bay", "calibrate", "9", code=1).stderr


def test_charged_camera_rests_without_power_and_stays_docked(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n" + NEVER)
    camera(sim, "a", 97)
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    assert port(sim, "1-1.1") == "off"
    bay = d.bay(1)
    assert (bay["State"], bay["Serial"], bay["ChargePercent"]) == ("ready", "SN-a", 97), bay
    assert not d.events("undocked")
    said = ctl("charge").stdout
    assert "SN-a" in said and "97%" in said and "off" in said, said
    # Nothing of an empty bay is switched: it must see a camera come.
    assert port(sim, "1-1.2") == "on" and d.bay(2)["Charge"] == "empty"


def test_ports_that_were_not_measured_are_not_switched(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n" + NEVER)
    camera(sim, "a", 97)
    put_in(sim, d, "a", 1)
    d.wait(lambda: d.bay(1)["Charge"] == "fixed", "the plan to leave the port alone")
    assert port(sim, "1-1.1") == "on"


def test_budget_powers_one_after_the_other(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 600\n" + NEVER)
    camera(sim, "a", 30)
    camera(sim, "b", 60)
    measured(sim, d, "a", "b")
    d.wait(lambda: sorted((d.bay(n)["Power"], d.bay(n)["Charge"]) for n in (1, 2)) == [(False, "waiting"), (True, "charging")],
           "one of the two to wait")
    # A shift that is called goes into the plan.
    assert d.manager()["NextShiftUsec"] == 0
    ctl("charge", "by", "23:59")
    d.wait(lambda: d.manager()["NextShiftUsec"] > 0, "the shift to be known")
    assert "The next shift begins" in ctl("charge").stdout
    d.daemon.end()
    d.start_daemon()
    assert d.manager()["NextShiftUsec"] > 0, "a shift that was called is forgotten over a restart"
    ctl("charge", "cancel")
    d.wait(lambda: d.manager()["NextShiftUsec"] == 0, "no shift to be called any more")


def test_checkout_wakes_a_camera_that_rests(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n" + NEVER)
    camera(sim, "a", 97)
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    with open(d.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write("id,name\nP-1,Jane\n")
    ctl("roster", "import", d.path("roster.csv"))
    assert "camera SN-a" in ctl("checkout", "P-1").stdout
    [out] = d.events("checked-out")
    assert out["serial"] == "SN-a", out
    assert [e["event"] for e in d.events() if e["event"] in ("returned", "checked-out", "undocked")][-2:] == ["returned", "checked-out"]


def test_checkout_is_taken_back_before_its_camera_is_begun_with(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n" + NEVER)
    camera(sim, "a", 97)
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    with open(d.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write("id,name\nP-1,Jane\n")
    ctl("roster", "import", d.path("roster.csv"))
    # When it has its power it takes long to say who it is.
    sim("slow", camera="a", bytes_per_sec=50)
    number = ctl("checkout", "P-1", "--no-wait").stdout.strip().rsplit("/", 1)[1]
    ctl("job", "cancel", number)
    assert "cancelled before the camera was asked" in ctl("job", "wait", number, code=1).stdout
    sim("slow", camera="a", bytes_per_sec=1 << 30)
    d.wait_state(1, "ready", deadline=120)
    assert not d.events("checked-out")
    assert "camera SN-a" in ctl("checkout", "P-1").stdout, "and it can be checked out again"


def test_checkout_while_its_port_is_being_switched_off_waits_for_its_power(sim, dock):
    d = dock(BOTH)
    hold = d.path("hold")
    d.preload = f"{rack.BUILD}/tests/preload/hold_port.so"
    d.daemon_env["BERTH_HOLD_FILE"] = hold
    charging_dock(lambda bays: d, BOTH, "[rack]\nbudget = 5000\n" + NEVER)
    camera(sim, "a", 97)
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    with open(d.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write("id,name\nP-1,Jane\n")
    ctl("roster", "import", d.path("roster.csv"))
    # Woken for nothing, it is to rest again, and its hub takes its time.
    with open(hold, "w", encoding="utf-8"):
        sim("slow", camera="a", bytes_per_sec=50)
    ctl("job", "cancel", ctl("checkout", "P-1", "--no-wait").stdout.strip().rsplit("/", 1)[1])
    sim("slow", camera="a", bytes_per_sec=1 << 30)
    wait_for(lambda: os.path.exists(hold + ".waits"), "its port to be switched off")
    # Begun with now, it would be asked when its power goes.
    sim("slow", camera="a", bytes_per_sec=50)
    number = ctl("checkout", "P-1", "--no-wait").stdout.strip().rsplit("/", 1)[1]
    os.unlink(hold)
    d.wait(lambda: len(d.events("left")) == 3 or d.events("fault"), "the port to be off")
    sim("slow", camera="a", bytes_per_sec=1 << 30)
    ctl("job", "wait", number)
    assert [e["serial"] for e in d.events("checked-out")] == ["SN-a"] and not d.events("fault"), d.events("fault")


def test_camera_that_was_taken_while_it_rested_is_missed(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n[charging]\nlook_every = 3s\n")
    camera(sim, "a", 97)
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    sim("unplug", camera="a")
    d.wait_state(1, "empty", deadline=120)
    d.wait(lambda: d.events("undocked"), "the undocking to be on record")
    assert "while its port was off" in d.events("undocked")[0]["reason"]
    d.wait(lambda: port(sim, "1-1.1") == "on" and d.bay(1)["Power"], "the empty bay to have power")


def test_a_look_that_finds_nothing_new_says_no_more_than_that_it_looked(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n[charging]\nlook_every = 3s\n")
    camera(sim, "a", 97)
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    seen, returned = len(d.events()), len(d.events("returned"))
    d.wait(lambda: len(d.events("returned")) >= returned + 3, "three looks", deadline=120)
    wait_off(d, 1, "ready")
    kinds = {e["event"] for e in d.events()[seen:] if e.get("bay") == "1-1.1"}
    assert kinds == {"left", "returned"}, kinds


def test_footage_of_a_camera_that_was_out_while_its_bay_rested_is_pulled(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n[charging]\nlook_every = 3s\n")
    camera(sim, "a", 97)
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    sim("unplug", camera="a")
    sim("add_clip", camera="a", **make_clip("new.MP4", 100000, 7))
    sim("plug", camera="a", port="1-1.1")
    d.wait(lambda: [key for key in d.stored() if key == ("SN-a", "new.MP4")], "the new clip to be stored", deadline=120)
    assert len(d.events("docked")) == 1


def test_another_camera_after_a_rest_has_a_docking_of_its_own(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n[charging]\nlook_every = 3s\n")
    camera(sim, "a", 97)
    camera(sim, "b", 98, [make_clip("b.MP4", 50000, 8)])
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    sim("unplug", camera="a")
    sim("plug", camera="b", port="1-1.1")
    d.wait(lambda: d.bay(1)["Serial"] == "SN-b" and d.state_of(1) == "ready", "the other camera to be known", deadline=120)
    assert [key[0] for key in d.stored()] == ["SN-b"]
    assert [e["serial"] for e in d.events("identified") if "serial" in e][-1] == "SN-b"
    assert len(d.events("docked")) == 2 and "while its port was off" in d.events("undocked")[0]["reason"]


def test_camera_that_moved_from_a_bay_that_rests_is_no_twin(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n" + NEVER)
    camera(sim, "a", 97)
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    sim("unplug", camera="a")
    sim("plug", camera="a", port="1-1.2")
    d.wait_state(2, "ready")
    d.wait_state(1, "empty")
    assert not d.events("quarantined")
    d.wait(lambda: port(sim, "1-1.1") == "on", "the bay that it left to have power")


def test_hub_that_was_reset_has_its_ports_switched_again(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n" + NEVER)
    camera(sim, "a", 97)
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    returned = len(d.events("returned"))
    sim("port", port="1-1.1", power="on")
    d.wait(lambda: len(d.events("returned")) > returned, "the camera to be seen again")
    wait_off(d, 1, "ready")
    d.wait(lambda: port(sim, "1-1.1") == "off", "the port to be off again")
    assert len(d.events("docked")) == 1


def test_hub_that_came_again_is_told_again(sim, dock):
    """Also where no camera shows up by which that would be noticed."""
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n" + NEVER)
    camera(sim, "a", 97)
    measured(sim, d, "a")
    wait_off(d, 1, "ready")
    sim("unplug", camera="a")
    sim("hub", hub="1-1", again=True)
    wait_for(lambda: port(sim, "1-1.1") == "off", "the port to be off again")
    assert not d.events("undocked")


def test_both_halves_of_a_usb3_connector_are_switched(sim, dock):
    both_halves(sim, dock, "the kernel's 'disable' file")


def test_hub_that_feeds_what_it_says_it_cut_is_found_out_and_remembered(sim, dock):
    hub_that_lies(sim, dock, "without power at port 1-1.1, by the kernel's 'disable' file, the hub still sees the camera there")


def test_camera_that_is_too_warm_or_too_cold_is_not_charged(sim, dock):
    """Also without a budget, in which all others have their power; and the one that is hot is not issued, either."""
    d = charging_dock(dock, BOTH, "[charging]\nlook_every = 24h\ngauge_every = 3s\nmin_celsius = -5\nmax_celsius = 40\n")
    camera(sim, "a", 50, temperature=395)
    camera(sim, "b", 50)
    measured(sim, d, "a", "b")
    d.wait(lambda: d.bay(1)["Charge"] == "fixed" and d.bay(1)["Power"], "the camera to have its power")
    assert d.events("checked")[0]["temperature_decidegrees"] == 395 and not codes("SN-a"), d.events("checked")
    sim("set", camera="a", temperature=401)
    wait_off(d, 1, "too-warm")
    assert port(sim, "1-1.1") == "off" and d.bay(2)["Power"] and d.bay(2)["Charge"] == "fixed"
    d.wait(lambda: codes("SN-a") == {"temperature"}, "the finding")
    assert not codes("SN-b"), codes("SN-b")
    told = d.properties(d.bay(1)["Camera"], "Camera")
    assert (told["TemperatureKnown"], told["TemperatureDecidegrees"], told["Health"]) == (True, 401, "warning"), told
    assert d.properties(d.bay(2)["Camera"], "Camera")["TemperatureKnown"] is False
    # It is looked at now and then, and charged again when it is well within.
    sim("set", camera="a", temperature=385)
    d.wait(lambda: d.properties(d.bay(1)["Camera"], "Camera")["TemperatureDecidegrees"] == 385, "it to be looked at", deadline=120)
    wait_off(d, 1, "too-warm")
    d.wait(lambda: not codes("SN-a"), "the finding to be gone")
    sim("set", camera="a", temperature=200)
    d.wait(lambda: d.bay(1)["Charge"] == "fixed" and d.bay(1)["Power"], "the camera to have its power back", deadline=120)
    sim("set", camera="a", temperature=-51)
    wait_off(d, 1, "too-cold")
    sim("set", camera="a", temperature=655)
    d.wait(lambda: d.state_of(1) == "quarantined" and codes("SN-a") == {"hot"}, "the hot one not to be issued", deadline=120)
    wait_off(d, 1, "too-warm")
    assert "do not issue: it is hot" in d.bay(1)["Reason"], d.bay(1)
    assert len(d.events("docked")) == 2 and not d.events("undocked")


def test_port_is_not_cut_while_a_camera_is_pulled(sim, dock):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 600\n[charging]\nlook_every = 3s\ngauge_every = 24h\n")
    camera(sim, "a", 60)
    camera(sim, "b", 20)
    measured(sim, d, "a", "b")
    sim("unplug", camera="a")
    d.wait_state(1, "empty", deadline=120)
    d.wait(lambda: d.bay(2)["Charge"] == "charging", "the other to charge")
    sim("add_clip", camera="a", **make_clip("long.MP4", 3_000_000, 7))
    sim("slow", camera="a", bytes_per_sec=200_000)
    sim("plug", camera="a", port="1-1.1")
    d.wait_state(1, "pulling")
    # The more wanted one wants the power now, and there is not enough for both.
    ctl("charge", "by", "23:59")
    seen = len(d.events())
    d.wait(lambda: d.bay(1)["Charge"] == "in-use" and not d.bay(2)["Power"], "the other to give way")
    assert d.state_of(1) == "pulling" and port(sim, "1-1.1") == "on"
    d.wait(lambda: [key for key in d.stored() if key == ("SN-a", "long.MP4")], "the clip to be stored", deadline=180)
    since = [e["event"] for e in d.events()[seen:] if e.get("bay") == "1-1.1" and e["event"] in ("copied", "left")]
    assert since[:1] == ["copied"], since


if __name__ == "__main__":
    rack.run([value for name, value in list(globals().items()) if name.startswith("test_")], hubs=HUBS)
