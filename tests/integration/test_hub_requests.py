#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where the kernel has no file for the power of a port, the hub itself is asked: measured, planned and switched by its own requests."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from charging_dock import (BOTH, HUBS, NEVER, both_halves, camera, charging_dock, ctl, hub_that_lies, port, put_in,  # noqa: E402
                           wait_off)

WAY = "the hub's own request"


def test_port_is_measured_and_switched_by_the_hub(sim, dock):
    assert not os.path.exists("/sys/bus/usb/devices/1-1:1.0/1-1-port1/disable"), "this tests the other way"
    d = charging_dock(dock, BOTH, "[rack]\nbudget = 5000\n" + NEVER)
    camera(sim, "a", 97)
    put_in(sim, d, "a", 1)
    assert f"it switches, by {WAY}: the camera was gone, and back after" in ctl("bay", "calibrate", "1").stdout
    assert d.events("port-calibrated")[0]["way"] == "hub"
    wait_off(d, 1, "ready")
    assert port(sim, "1-1.1") == "off" and port(sim, "1-1.2") == "on"
    assert d.state_of(1) == "ready" and not d.events("undocked")
    # A daemon that comes anew finds it off, and gives it back.
    d.daemon.end()
    d.write_config(NEVER)
    d.start_daemon()
    d.wait(lambda: port(sim, "1-1.1") == "on" and d.state_of(1) == "ready", "the port to have power again")


def test_both_halves_of_a_usb3_connector_are_switched(sim, dock):
    both_halves(sim, dock, WAY)


def test_hub_that_does_not_do_what_it_says_is_found_out_and_remembered(sim, dock):
    hub_that_lies(sim, dock, "the camera stayed on the bus while port 1-1.1 was to have no power, by the hub's own request")


if __name__ == "__main__":
    rack.run([value for name, value in list(globals().items()) if name.startswith("test_")], hubs=HUBS, options=["--no-port-files"])
