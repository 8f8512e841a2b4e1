#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is no camera costs its bay and nothing else: it is refused as a whole, recorded with its descriptors, and never sent a
command; and a device that would keep the dock busy for ever is not allowed to."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20
STILL_IMAGE = {"class": 6, "subclass": 1, "protocol": 1}
KEYBOARD = {"class": 3, "subclass": 1, "protocol": 1}
# A second configuration with a keyboard in it, whole; and spoilt in several ways.
SECOND = "0902190001020080320904000001030101000705810308000a"
STRANGERS = {
    "keyboard": ({"interfaces": [KEYBOARD]}, "03/01/01 (a keyboard)"),
    "network adapter": ({"interfaces": [{"class": 2, "subclass": 6, "protocol": 0}, {"class": 10, "subclass": 0, "protocol": 0}]},
                        "a modem or network adapter"),
    "hub": ({"interfaces": [{"class": 9, "subclass": 0, "protocol": 1}], "device_class": 9}, "a hub, 1209:0001"),
    "camera with a keyboard": ({"interfaces": [STILL_IMAGE, KEYBOARD]}, "03/01/01 (a keyboard)"),
    "keyboard in another setting": ({"interfaces": [STILL_IMAGE, dict(KEYBOARD, number=0, alternate=1)]}, "03/01/01 (a keyboard)"),
    "keyboard in a second configuration": ({"interfaces": [STILL_IMAGE], "configurations": 2, "more": SECOND}, "03/01/01 (a keyboard)"),
    "keyboard behind an association": ({"interfaces": [STILL_IMAGE], "configurations": 2,
                                        "more": "0902210001020080320" + "80b00010301010009040000010301010007058103080" + "00a"},
                                       "03/01/01 (a keyboard)"),
    "a configuration that is not counted": ({"interfaces": [STILL_IMAGE], "more": SECOND}, "more configurations than it says"),
    "a configuration that is not there": ({"interfaces": [STILL_IMAGE], "configurations": 2}, "fewer configurations than it says"),
    "a configuration that is too long": ({"interfaces": [STILL_IMAGE], "configurations": 2, "more": SECOND.replace("090219", "0902ff")},
                                         "not as long as it says"),
    "a descriptor without a length": ({"interfaces": [STILL_IMAGE], "configurations": 2, "more": SECOND.replace("09040000", "00040000")},
                                      "no length"),
    "more than anybody reads": ({"interfaces": [STILL_IMAGE], "configurations": 2, "more": "00" * 4000}, "does not begin where it should"),
    "too many interfaces": ({"interfaces": [dict(STILL_IMAGE, number=n) for n in range(31)], "configurations": 2,
                             "more": "090224000302008032" + "090400000006010100" * 3}, "more interfaces"),
}


def test_strangers_are_refused_recorded_and_never_sent_a_command(sim, dock):
    ports = [f"1-{1 + n // 7}.{1 + n % 7}" for n in range(len(STRANGERS))]
    d = dock(ports).start()
    for port, (name, (spec, _)) in zip(ports, STRANGERS.items()):
        sim("camera", name=name, type="stranger", vid=0x1209, pid=1, product=name, **spec)
        sim("plug", camera=name, port=port)
    for number, (name, (_, says)) in enumerate(STRANGERS.items(), 1):
        d.wait_state(number, "refused")
        assert says in d.bay(number)["Reason"], (name, d.bay(number)["Reason"])
    d.wait(lambda: len(d.rows("SELECT id FROM refused")) == len(STRANGERS), "all to be recorded")
    for name, product, descriptors in [(n, *row) for n in STRANGERS for row in d.rows(
            "SELECT usb_product, descriptors_hex FROM refused WHERE usb_product = ?", n)]:
        assert product == name and len(descriptors) >= 2 * 27 and descriptors.startswith("1201"), (name, descriptors)
    for name in STRANGERS:
        state = sim("state", camera=name)
        assert (state["opens"], state["claims"], state["requests"]) == (0, 0, 0), (name, state)
    assert not d.workers()
    shown = subprocess.run([f"{rack.BUILD}/berthctl", "refused", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           check=True).stdout
    refused = {e["product"]: e for e in json.loads(shown)["refused"]}
    assert refused["keyboard"]["usb_id"] == "1209:0001" and refused["keyboard"]["interfaces"] == ["03/01/01"], refused["keyboard"]
    assert refused["keyboard in a second configuration"]["interfaces"] == ["06/01/01", "03/01/01"]
    assert refused["a descriptor without a length"]["problem"] and refused["keyboard"]["problem"] is None


def test_a_device_that_comes_and_goes_costs_its_bay_alone(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    sim("camera", name="k", type="stranger", vid=1, pid=2, interfaces=[KEYBOARD])
    sim("camera", name="c", type="ptp", serial="A1", manufacturer="Acme", model="BC-1", clips=[make_clip("A.MP4", MIB, 1)])

    def flap(times):
        for _ in range(times):
            sim("plug", camera="k", port="1-1.1")
            d.wait(lambda: d.state_of(1) in ("refused", "fault"), "the device to be seen")
            sim("unplug", camera="k")
            d.wait(lambda: d.state_of(1) in ("empty", "fault"), "the device to be gone")

    flap(14)
    assert d.state_of(1) == "fault" and "came and went 12 times" in d.bay(1)["Reason"], d.bay(1)
    # A bay's state shows before its facts are on disk.
    d.wait(lambda: len(d.events("undocked")) == 12 and len(d.events("fault")) == 1, "all of it on record")
    before = len(d.events())
    # It goes on; the dock takes no note, and has time for others.
    for _ in range(100):
        sim("plug", camera="k", port="1-1.1")
        sim("unplug", camera="k")
    sim("plug", camera="c", port="1-1.2")
    d.wait_state(2, "ready")
    assert [e for e in d.events()[before:] if e.get("bay") == "1-1.1"] == []
    assert len(d.events("refused")) == 12 and len(d.events("fault")) == 1, d.events("fault")


def test_a_device_that_shows_another_face_is_not_talked_to(sim, dock):
    d = dock(["1-1.1"])
    sim("camera", name="c", type="ptp", serial="A1", manufacturer="Acme", model="BC-1", clips=[make_clip("A.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    # What the model is chosen by, and what the device shows when it is opened, differ in one byte.
    with open("/sys/bus/usb/devices/1-1.1/descriptors", "r+b") as f:
        f.seek(12)
        f.write(b"\x55")
    d.start()
    # It is tried again, now and then.
    d.wait(lambda: "descriptors are not those" in d.bay(1).get("Reason", ""), "the fault")
    state = sim("state", camera="c")
    assert (state["claims"], state["requests"], len(state["clips"])) == (0, 0, 1), state


def test_a_trickle_ends_in_a_fault_and_other_bays_go_on(sim, dock):
    d = dock(["1-1.1", "1-1.2", "1-1.3"], timeouts={"stall": "4s", "min_rate": "10M"}).start()
    for name, rate in [("byte", 1), ("trickle", 2 * MIB), ("good", 0)]:
        sim("camera", name=name, type="ptp", serial=f"S-{name}", manufacturer="Acme", model="BC-1", clips=[make_clip("A.MP4", 60 * MIB, 1)])
        sim("slow", camera=name, bytes_per_sec=rate)
    sim("plug", camera="trickle", port="1-1.2")
    sim("plug", camera="good", port="1-1.3")
    d.wait_state(3, "ready")
    # It is never silent for long, and would take half a minute.
    d.wait(lambda: any("min_rate" in e["reason"] for e in d.events("fault")), "the trickle to end")
    assert not [e for e in d.events("fault") if e.get("bay") == "1-1.3"]
    # One byte a second: whatever step it is in, it ends.
    sim("plug", camera="byte", port="1-1.1")
    d.wait(lambda: [e for e in d.events("fault") if e.get("bay") == "1-1.1"], "the camera of one byte a second to end")


if __name__ == "__main__":
    rack.run([test_strangers_are_refused_recorded_and_never_sent_a_command, test_a_device_that_comes_and_goes_costs_its_bay_alone,
              test_a_device_that_shows_another_face_is_not_talked_to, test_a_trickle_ends_in_a_fault_and_other_bays_go_on])
