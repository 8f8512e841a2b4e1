#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A rack whose supply cannot charge all cameras at once, and simulated batteries whose time runs fast: within a budget it never browns
out, and all on, it does."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from charging_dock import camera, charging_dock, measured, put_in, wait_for  # noqa: E402

BAYS = ["1-1.1", "1-1.2", "1-1.3"]
CHARGE_MA, LIMIT_MA = 500, 1100
LIVE = {"battery_mah": 3000, "charge_ma": CHARGE_MA}


def supply(sim):
    return sim("list")["supply"]


def level(sim, name):
    return sim("state", camera=name)["battery_level"]


def relax(sim):
    sim("supply", limit_ma=0, speed=1)


def test_battery_charges_with_power_and_is_drained_without(sim, _dock):
    camera(sim, "a", 50, idle_ma=300, **LIVE)
    sim("plug", camera="a", port="1-1.1")
    assert supply(sim)["drawn_ma"] == CHARGE_MA
    try:
        sim("supply", speed=36000)
        wait_for(lambda: level(sim, "a") == 100, "the battery to be full")
        assert supply(sim)["drawn_ma"] == 0
        sim("port", port="1-1.1", power="off")
        wait_for(lambda: level(sim, "a") == 0, "the battery to be empty")
        assert sim("state", camera="a")["battery"] == 0, "the camera does not know of it"
    finally:
        sim("port", port="1-1.1", power="on")
        relax(sim)


def test_supply_that_is_asked_for_too_much_is_gone_with_all_that_it_feeds(sim, _dock):
    before = supply(sim)["brown_outs"]
    camera(sim, "a", 50, **LIVE)
    camera(sim, "b", 50, **LIVE)
    try:
        sim("supply", limit_ma=700, off_msec=200)
        sim("plug", camera="a", port="1-1.1")
        born = sim("state", camera="a")["devnum"]
        assert supply(sim)["brown_outs"] == before
        sim("plug", camera="b", port="1-1.2")
        wait_for(lambda: supply(sim)["brown_outs"] > before, "the supply to brown out")
        sim("unplug", camera="b")
        wait_for(lambda: sim("state", camera="a")["docked"], "the other camera to be back")
        assert sim("state", camera="a")["devnum"] != born
    finally:
        relax(sim)


def test_rack_with_a_budget_never_browns_out(sim, dock):
    """One after the other has enough, rests, and makes room."""
    d = charging_dock(dock, BAYS, "[rack]\nbudget = 600\n[charging]\nready = 90\nlook_every = 24h\ngauge_every = 1s\n")
    for name, percent in ("a", 84), ("b", 86), ("c", 88):
        camera(sim, name, percent, **LIVE)
    measured(sim, d, "a", "b", "c")
    d.wait(lambda: sorted(d.bay(n)["Charge"] for n in (1, 2, 3)) == ["charging", "waiting", "waiting"], "one to charge")
    before = supply(sim)["brown_outs"]
    try:
        sim("supply", limit_ma=LIMIT_MA, speed=150)
        d.wait(lambda: [d.bay(n)["Charge"] for n in (1, 2, 3)] == ["ready"] * 3, "all to be ready", deadline=300)
        told = supply(sim)
        assert told["brown_outs"] == before and CHARGE_MA <= told["most_ma"] <= 2 * CHARGE_MA, told
        assert all(level(sim, name) >= 90 for name in "abc")
        assert not d.events("fault") and len(d.events("docked")) == 3
    finally:
        relax(sim)


def test_rack_without_a_plan_browns_out(sim, dock):
    """The control: what the test before finds not to happen can happen."""
    d = charging_dock(dock, BAYS)
    for number, name in enumerate("abc", 1):
        camera(sim, name, 50, **LIVE)
        put_in(sim, d, name, number)
    before = supply(sim)["brown_outs"]
    try:
        sim("supply", limit_ma=LIMIT_MA)
        wait_for(lambda: supply(sim)["brown_outs"] > before, "the supply to brown out")
    finally:
        relax(sim)


if __name__ == "__main__":
    rack.run([value for name, value in list(globals().items()) if name.startswith("test_")])
