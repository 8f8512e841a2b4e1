#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Has a bay's port measured, and waits for that: what takes its time is a job. `calibrate-bay.py NUMBER`; Ctrl-C cancels it."""

import signal
import sys

from gi.repository import Gio, GLib

NAME, ROOT = "org.berth.Dock1", "/org/berth/Dock1"


def main(number):
    bus, loop, ends = Gio.bus_get_sync(Gio.BusType.SYSTEM), GLib.MainLoop(), {}

    def call(path, interface, member):
        return bus.call_sync(NAME, path, f"{NAME}.{interface}", member, None, None,
                             Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION, -1, None)

    def on_finished(_bus, _sender, path, _interface, _member, parameters):
        ends[path] = parameters.unpack()
        loop.quit()

    def on_interrupt():
        call(job, "Job", "Cancel")
        return True

    # Subscribed before the call: no end is missed.
    bus.signal_subscribe(NAME, f"{NAME}.Job", "Finished", None, None, Gio.DBusSignalFlags.NONE, on_finished)
    try:
        job = call(f"{ROOT}/bay/{number}", "Bay", "Calibrate").unpack()[0]
    except GLib.Error as error:
        sys.exit(f"bay {number}: {error.message}")
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGINT, on_interrupt)
    while job not in ends:
        loop.run()
    state, _error, text, _outcome = ends[job]
    print(f"bay {number}: {state}: {text}")
    return state != "done"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
