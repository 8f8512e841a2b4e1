# SPDX-License-Identifier: Apache-2.0
"""Device events as udevd publishes them: what a test waits for when a device comes or goes."""

import socket
import time

NETLINK_KOBJECT_UEVENT, UDEV_GROUP = 15, 2
DEADLINE_SEC = 120


class Uevents:
    """All USB device events from its making on."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT)
        self.sock.bind((0, UDEV_GROUP))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def wait(self, action, port):
        """The properties of the next such event of the device at `port`; others are passed over."""
        deadline = time.monotonic() + DEADLINE_SEC
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"waited {DEADLINE_SEC} s in vain for '{action}' at {port}"
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            # A header of udevd's, then KEY=value, each ended by a NUL.
            words = [word.split(b"=", 1) for word in data[40:].split(b"\0") if b"=" in word]
            event = {key.decode(): value.decode() for key, value in words}
            if event.get("ACTION") == action and event.get("DEVTYPE") == "usb_device" and event["DEVPATH"].endswith(f"/{port}"):
                return event
