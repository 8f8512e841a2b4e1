# SPDX-License-Identifier: Apache-2.0
"""A stand-in for systemd-timedated, in a thread of the test: it says whether the machine's clock is synchronised, and is to be."""

import threading

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

NAME = "org.freedesktop.timedate1"
PATH = "/org/freedesktop/timedate1"
PROPERTIES = "".join(f'<property name="{name}" type="b" access="read"/>' for name in ("NTP", "NTPSynchronized"))
INTERFACE = f'<node><interface name="{NAME}">{PROPERTIES}</interface></node>'


class Timedated:
    """On the bus when it is made, until end()."""

    def __init__(self, address, synchronised):
        self.context = GLib.MainContext()
        self.loop = GLib.MainLoop.new(self.context, False)
        # Answers come from the context in which the object was put on the bus.
        self.context.push_thread_default()
        try:
            self.conn = Gio.DBusConnection.new_for_address_sync(
                address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
            self.conn.register_object(PATH, Gio.DBusNodeInfo.new_for_xml(INTERFACE).interfaces[0], None,
                                      lambda *args: GLib.Variant("b", synchronised), None)
            answer = self.conn.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                                         GLib.Variant("(su)", (NAME, 0)), GLib.VariantType("(u)"), 0, 60000, None)
            assert answer.unpack() == (1,), f"{NAME} belongs to somebody else on this bus"
        finally:
            self.context.pop_thread_default()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        self.context.push_thread_default()
        self.loop.run()
        self.context.pop_thread_default()

    def end(self):
        if not self.conn.is_closed():
            self.conn.close_sync(None)
        self.loop.quit()
        self.thread.join()
