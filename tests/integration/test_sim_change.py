#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cameras that change their mode in the simulated rack: gone from the bus, back at the same port as another device."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import SimError  # noqa: E402
from uevents import Uevents  # noqa: E402

PORT, OTHER = "1-1.3", "1-1.4"
FOREVER_MSEC = 3600000


def define(sim, name, pid, **more):
    sim("camera", name=name, type="stranger", vid=0x1234, pid=pid, product=name, **{"class": 255, **more})


def ids():
    """What lsusb, which is not ours, sees beside the hubs."""
    lines = subprocess.run(["lsusb"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return sorted(line.split(" ID ")[1][:9] for line in lines if " ID 1234:" in line)


def changed(sim, name="one", to="two", **more):
    """`name` at the port has become `to`."""
    define(sim, name, 1)
    define(sim, to, 2)
    with Uevents() as events:
        sim("plug", camera=name, port=PORT)
        events.wait("add", PORT)
        before = sim("state", camera=name)
        sim("become", camera=name, leave_msec=0, away_msec=1, **{"as": to}, **more)
        events.wait("remove", PORT)
        event = events.wait("add", PORT)
    return before, event


def test_another_device_is_at_the_port_afterwards(sim, _dock):
    before, event = changed(sim)
    assert event["PRODUCT"] == "1234/2/0", event
    assert ids() == ["1234:0002"]
    one, two = sim("state", camera="one"), sim("state", camera="two")
    assert not one["docked"] and one["port"] is None
    assert two["docked"] and two["port"] == PORT
    assert two["devnum"] != before["devnum"], "a device number was used again at once"


def test_port_is_empty_to_the_host_and_taken_to_others_in_between(sim, _dock):
    define(sim, "one", 1)
    define(sim, "two", 2)
    define(sim, "three", 3)
    with Uevents() as events:
        sim("plug", camera="one", port=PORT)
        sim("become", camera="one", leave_msec=0, away_msec=FOREVER_MSEC, **{"as": "two"})
        events.wait("remove", PORT)
    state = sim("state", camera="one")
    assert state["away"] and not state["docked"] and state["port"] == PORT
    assert ids() == [] and not os.path.exists(f"/sys/bus/usb/devices/{PORT}")
    try:
        sim("plug", camera="three", port=PORT)
        raise AssertionError("two cameras in one port")
    except SimError:
        pass


def test_camera_that_is_taken_out_meanwhile_does_not_come_back(sim, _dock):
    define(sim, "one", 1)
    define(sim, "two", 2)
    define(sim, "three", 3)
    with Uevents() as events:
        sim("plug", camera="one", port=PORT)
        sim("become", camera="one", leave_msec=0, away_msec=FOREVER_MSEC, **{"as": "two"})
        events.wait("remove", PORT)
        sim("unplug", camera="one")
        # Somebody puts another one in, and that one stays what it is.
        sim("plug", camera="three", port=PORT)
        assert events.wait("add", PORT)["PRODUCT"] == "1234/3/0"
        sim("plug", camera="one", port=OTHER)
        assert events.wait("add", OTHER)["PRODUCT"] == "1234/1/0"
    assert not sim("state", camera="two")["docked"]


def test_device_may_come_back_as_itself_or_not_at_all(sim, _dock):
    define(sim, "one", 1)
    with Uevents() as events:
        sim("plug", camera="one", port=PORT)
        events.wait("add", PORT)
        before = sim("state", camera="one")["devnum"]
        sim("become", camera="one", leave_msec=0, away_msec=0, **{"as": "one"})
        events.wait("remove", PORT)
        assert events.wait("add", PORT)["PRODUCT"] == "1234/1/0"
        assert sim("state", camera="one")["devnum"] != before
        sim("become", camera="one", leave_msec=0, away_msec=0)
        events.wait("remove", PORT)
        # Until the power goes and comes.
        sim("port", port=PORT, power="off")
        sim("port", port=PORT, power="on")
        assert events.wait("add", PORT)["PRODUCT"] == "1234/1/0"


def test_power_cycle_brings_back_what_it_was_at_first(sim, _dock):
    changed(sim)
    define(sim, "three", 3)
    with Uevents() as events:
        # A third mode: the first one is still the first.
        sim("become", camera="two", leave_msec=0, away_msec=0, **{"as": "three"})
        events.wait("remove", PORT)
        assert events.wait("add", PORT)["PRODUCT"] == "1234/3/0"
        sim("port", port=PORT, power="off")
        events.wait("remove", PORT)
        sim("port", port=PORT, power="on")
        assert events.wait("add", PORT)["PRODUCT"] == "1234/1/0"
    assert ids() == ["1234:0001"]


def test_power_of_the_whole_hub_does_the_same(sim, _dock):
    changed(sim)
    with Uevents() as events:
        sim("port", port="1-1", power="off")
        events.wait("remove", PORT)
        sim("port", port="1-1", power="on")
        assert events.wait("add", PORT)["PRODUCT"] == "1234/1/0"


def test_what_cannot_come_back_does_not_take_its_place(sim, _dock):
    define(sim, "one", 1)
    define(sim, "two", 2)
    with Uevents() as events:
        sim("plug", camera="two", port=OTHER)
        sim("plug", camera="one", port=PORT)
        events.wait("add", PORT)
        sim("become", camera="one", leave_msec=0, away_msec=0, **{"as": "two"})
        events.wait("remove", PORT)
        # Twice, so that the first had its time: power brings it back each time.
        for target in ("two", "nobody"):
            sim("port", port=PORT, power="off")
            sim("port", port=PORT, power="on")
            assert events.wait("add", PORT)["PRODUCT"] == "1234/1/0"
            sim("become", camera="one", leave_msec=0, away_msec=0, **{"as": target})
            events.wait("remove", PORT)
    assert sim("state", camera="two")["port"] == OTHER
    assert ids() == ["1234:0002"]


def test_change_that_makes_no_sense_is_refused(sim, _dock):
    define(sim, "one", 1)
    for args in ({"leave_msec": 0, "away_msec": 0}, {"leave_msec": -1, "away_msec": 0}, {"away_msec": 0}, {"leave_msec": 0}):
        try:
            sim("become", camera="one", **{"as": "one"}, **args)
        except SimError as e:
            assert "one" in str(e)
        else:
            raise AssertionError(f"{args} were taken")


if __name__ == "__main__":
    rack.run([thing for name, thing in list(globals().items()) if name.startswith("test_")])
