#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Follows a dock by its signals: `watch-dock.py [STATE]` prints each bay's state as it changes, and ends when one is in STATE."""

import sys

from gi.repository import Gio, GLib

NAME, ROOT, BAY = "org.berth.Dock1", "/org/berth/Dock1", "org.berth.Dock1.Bay"


class Sign:
    """What a sign above the rack would show. Signals first, then all objects: so nothing is missed in between."""

    def __init__(self, bus, until):
        self.bus, self.until, self.bays = bus, until, {}
        self.loop = GLib.MainLoop()
        bus.signal_subscribe(NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged", None, BAY, 0, self.on_changed)
        # A daemon that begins, or begins anew, is looked at from the beginning.
        Gio.bus_watch_name_on_connection(bus, NAME, 0, lambda *_: self.look(), lambda *_: print("the daemon does not run", flush=True))

    def look(self):
        answer = self.bus.call_sync(NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None, None, 0, -1, None)
        for path, interfaces in answer.unpack()[0].items():
            if BAY in interfaces:
                self.bays[path] = dict(interfaces[BAY])
                self.show(path)

    def on_changed(self, _bus, _sender, path, _interface, _signal, parameters):
        _, changed, _ = parameters.unpack()
        self.bays.setdefault(path, {}).update(changed)
        if "State" in changed:
            self.show(path)

    def show(self, path):
        bay = self.bays[path]
        # repr(): a camera's serial is a stranger's text.
        print(f"bay {bay.get('Number', '?')}: {bay['State']} {bay.get('Serial', '')!r}", flush=True)
        if bay["State"] == self.until:
            self.loop.quit()


def main():
    Sign(Gio.bus_get_sync(Gio.BusType.SYSTEM), sys.argv[1] if len(sys.argv) > 1 else None).loop.run()


if __name__ == "__main__":
    main()
