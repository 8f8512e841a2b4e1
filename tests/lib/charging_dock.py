# SPDX-License-Identifier: Apache-2.0
"""Docks that switch the power of their ports: cameras with batteries, ports that were measured."""

import os
import subprocess
import time

import rack

MODEL = """[model acme]
match = 1209:be01
interface = 06/01/01
plugin = mtp
charge_ma = 500
battery_mah = 3000
plugin.temperature-property = d405
plugin.temperature-unit = decicelsius
"""
BOTH = ["1-1.1", "1-1.2"]
# Hub 2-1 is the USB 3 half of 1-2.
HUBS = "1-1:7,1-2:4,2-1:4=1-2"
NEVER = "[charging]\nlook_every = 24h\ngauge_every = 24h\n"


def camera(sim, name, battery, clips=(), **spec):
    sim("camera", name=name, type="ptp", vid=0x1209, pid=0xBE01, serial=f"SN-{name}", manufacturer="Acme", model="Cam", firmware="1",
        battery=battery, clips=list(clips), **spec)


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=200)
    assert done.returncode == code, (args, done)
    return done


def charging_dock(dock, bays, extra=""):
    d = dock(bays)
    os.makedirs(d.path("cameras.d"))
    with open(d.path("cameras.d", "acme.conf"), "w", encoding="utf-8") as f:
        f.write(MODEL)
    d.write_config(extra)
    return d.start()


def put_in(sim, d, name, number):
    sim("plug", camera=name, port=d.bays[number - 1])
    d.wait_state(number, "ready")


def port(sim, path, key="power"):
    return next(p[key] for hub in sim("list")["hubs"] for p in hub["ports"] if p["port"] == path)


def measured(sim, d, *cameras):
    """Each of the first bays with its camera, its port measured."""
    for number, name in enumerate(cameras, 1):
        put_in(sim, d, name, number)
        assert "it switches" in ctl("bay", "calibrate", str(number)).stdout


def wait_off(d, number, why):
    d.wait(lambda: not d.bay(number)["Power"] and d.bay(number)["Charge"] == why, f"bay {number} to be without power, {why}")


def wait_for(predicate, what, deadline=120):
    """For what the simulator alone tells."""
    until = time.monotonic() + deadline
    while not predicate():
        assert time.monotonic() < until, f"waited {deadline} s in vain for {what}"


# ---- What holds by the kernel's files and by the hub's requests

def both_halves(sim, dock, way):
    d = charging_dock(dock, ["2-1.1"], "[rack]\nbudget = 5000\n" + NEVER)
    camera(sim, "a", 97, speed="super")
    put_in(sim, d, "a", 1)
    assert port(sim, "2-1.1", "attached") and not port(sim, "1-2.1", "attached")
    assert f"it switches, by {way}" in ctl("bay", "calibrate", "1").stdout
    wait_off(d, 1, "ready")
    # With power on one half it would be there, at the other speed.
    assert port(sim, "2-1.1") == "off" and not port(sim, "1-2.1", "attached")


def hub_that_lies(sim, dock, words):
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n" + NEVER)
    sim("hub", hub="1-1", lies=True)
    try:
        camera(sim, "a", 97)
        put_in(sim, d, "a", 1)
        said = ctl("bay", "calibrate", "1").stdout
        assert "it does not switch" in said and words in said, said
        d.wait(lambda: d.bay(1)["Charge"] == "fixed", "the plan to leave the port alone")
        d.daemon.end()
        d.start_daemon()
        d.wait(lambda: d.state_of(1) == "ready" and d.bay(1)["Charge"] == "fixed", "that to be remembered")
        assert d.rows("SELECT bay, switches FROM ports") == [("1-1.1", 0)]
        assert port(sim, "1-1.1", "attached")
    finally:
        sim("hub", hub="1-1", lies=False)
