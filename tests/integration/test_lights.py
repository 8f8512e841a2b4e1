#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an officer sees at the rack: the lamps of each bay, as files of the kernel's LED class."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

PORT = "1-1.1"
LEDS = "/sys/class/leds"
MODEL = """[model acme]
match = 1209:be01
interface = 06/01/01
plugin = mtp
battery_floor_percent = 60
"""


def lamp(name, colours=None, most=255):
    """A lamp as the kernel shows it; with colours it is a multicolour one."""
    folder = os.path.join(LEDS, name)
    os.makedirs(folder)
    for file, text in {"brightness": "0", "max_brightness": str(most),
                       **({"multi_index": colours, "multi_intensity": "0 0 0"} if colours else {})}.items():
        with open(os.path.join(folder, file), "w", encoding="ascii") as f:
            f.write(text + "\n")


def read(name, file="brightness"):
    with open(os.path.join(LEDS, name, file), encoding="ascii") as f:
        return f.read().split("\n")[0]


def camera(sim, name, battery, **spec):
    sim("camera", name=name, type="ptp", vid=0x1209, pid=0xBE01, serial=f"SN-{name}", manufacturer="Acme", model="Cam", firmware="1",
        battery=battery, **spec)


def lit_dock(sim, dock, led, lights=None):
    d = dock([PORT], led={PORT: led}, lights=lights or {})
    os.makedirs(d.path("cameras.d"))
    with open(d.path("cameras.d", "acme.conf"), "w", encoding="utf-8") as f:
        f.write(MODEL)
    return d.start()


def light(d):
    return d.bay(1)["Light"]


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, (args, done)
    return done


def test_multicolour_lamp_follows_the_bay(sim, dock):
    lamp("berth:rgb:bay1", "green red blue", most=100)
    d = lit_dock(sim, dock, "berth:rgb:bay1", {"busy": "blue", "ready": "#00ff80", "keep": "red"})
    assert read("berth:rgb:bay1") == "0" and light(d) == "empty"
    camera(sim, "a", 80, clips=[make_clip("A.MP4", 2_000_000, 1)])
    sim("plug", camera="a", port=PORT)
    d.wait_state(1, "ready")
    d.wait(lambda: read("berth:rgb:bay1", "multi_intensity") == "100 0 50", "the colour of 'ready'")
    assert read("berth:rgb:bay1") == "100" and light(d) == "ready"
    sim("unplug", camera="a")
    d.wait(lambda: read("berth:rgb:bay1") == "0", "the lamp of an empty bay to go out")
    sim("camera", name="k", type="stranger", vid=0x1234, pid=0x5678)
    sim("plug", camera="k", port=PORT)
    d.wait_state(1, "refused")
    d.wait(lambda: read("berth:rgb:bay1", "multi_intensity") == "0 100 0", "the colour of 'keep'")
    assert light(d) == "keep"


def test_lamps_of_one_colour_add_up(sim, dock):
    for name in ("berth:red:1", "berth:green:1", "berth::1"):
        lamp(name, most=1)
    d = lit_dock(sim, dock, "berth:red:1 berth:green:1 berth::1", {"charging": "amber"})
    camera(sim, "b", 40)
    sim("plug", camera="b", port=PORT)
    d.wait_state(1, "ready")
    d.wait(lambda: light(d) == "charging", "a battery below the model's floor to be seen")
    d.wait(lambda: [read(n) for n in ("berth:red:1", "berth:green:1", "berth::1")] == ["1", "1", "1"], "amber")


def test_bay_that_is_looked_for_blinks_and_stops(sim, dock):
    lamp("berth:green:5")
    d = lit_dock(sim, dock, "berth:green:5", {"take": "green fast"})
    seen = set()

    def both():
        seen.add(read("berth:green:5"))
        return seen == {"0", "255"}
    ctl("bay", "locate", "1", "3600")
    d.wait(lambda: light(d) == "take", "the bay to be pointed at")
    d.wait(both, "the lamp to blink")
    ctl("bay", "locate", "1", "0")
    d.wait(lambda: light(d) == "empty" and read("berth:green:5") == "0", "the lamp to go out")
    assert "no bay 7" in ctl("bay", "locate", "7", code=1).stderr
    ctl("bay", "locate", "1", "3601", code=2)


def test_lamp_that_is_not_there_is_told_once_and_used_when_it_comes(sim, dock):
    d = lit_dock(sim, dock, "berth:green:9")
    camera(sim, "c", 80)
    sim("plug", camera="c", port=PORT)
    d.wait_state(1, "ready")
    assert d.daemon.output().count("The lamp 'berth:green:9' cannot be used") == 1, d.logs()
    lamp("berth:green:9")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    sim("plug", camera="c", port=PORT)
    d.wait(lambda: read("berth:green:9") == "255", "the lamp to be used")
    d.daemon.end()
    assert read("berth:green:9") == "0", "a dock that has stopped says nothing"


def test_lamp_that_goes_is_told_each_time_and_costs_the_bay_nothing(sim, dock):
    """Its driver is gone, or takes no writes; the other lamp of the bay goes on, and both work when they come back."""
    for name in ("berth:green:3", "berth:rgb:3"):
        lamp(name, "red green blue" if "rgb" in name else None)
    d = lit_dock(sim, dock, "berth:green:3 berth:rgb:3", {"ready": "green"})
    said = "The lamp 'berth:green:3' cannot be used"

    def turn(name, n):
        camera(sim, name, 80)
        sim("plug", camera=name, port=PORT)
        d.wait_state(1, "ready")
        d.wait(lambda: read("berth:rgb:3") == "255", "the other lamp to go on")
        d.wait(lambda: d.daemon.output().count(said) == n, f"the lamp to be missed {n} times")
        sim("unplug", camera=name)
        d.wait_state(1, "empty")
        d.wait(lambda: read("berth:rgb:3") == "0", "the other lamp to go out")
    turn("e", 0)
    os.rename(os.path.join(LEDS, "berth:green:3"), os.path.join(LEDS, "gone"))
    for file in os.listdir(os.path.join(LEDS, "gone")):
        os.unlink(os.path.join(LEDS, "gone", file))
    turn("f", 1)
    lamp("berth:green:3")
    turn("g", 1)
    os.unlink(os.path.join(LEDS, "berth:green:3", "brightness"))
    os.mkdir(os.path.join(LEDS, "berth:green:3", "brightness"))
    turn("h", 2)
    os.rmdir(os.path.join(LEDS, "berth:green:3", "brightness"))
    with open(os.path.join(LEDS, "berth:green:3", "brightness"), "w", encoding="ascii") as f:
        f.write("0\n")
    camera(sim, "i", 80)
    sim("plug", camera="i", port=PORT)
    d.wait(lambda: read("berth:green:3") == "255", "the lamp to be used again")


rack.run([test_multicolour_lamp_follows_the_bay, test_lamps_of_one_colour_add_up, test_bay_that_is_looked_for_blinks_and_stops,
          test_lamp_that_is_not_there_is_told_once_and_used_when_it_comes,
          test_lamp_that_goes_is_told_each_time_and_costs_the_bay_nothing], hubs="1-1:4")
