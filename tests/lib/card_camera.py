# SPDX-License-Identifier: Apache-2.0
"""A camera of the simulator's for a guest: a card that outlives the guest, and that the host judges."""

import hashlib
import json
import os
import subprocess

from cards import FatCard
from guest_dock import MIB

BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
PORT = 5
# What the bay shows when it is in the middle of something.
PHASES = {
    "pulling": lambda bay: bay["bytes_copied"] > 0 or bay["clips_copied"] > 0,
    "storing": lambda bay: bay["bytes_stored"] > 0 or bay["clips_stored"] > 0,
    "erasing": lambda bay: bay["clips_erased"] > 0,
}


class CardCamera:
    """One of the simulator's, a card with a FAT: what it holds outlives the guest."""

    def __init__(self, dock, name, sizes):
        self.serial = f"CUT-{name}"
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        self.card = FatCard(dock.scratch.name, f"{name}.img", size=64 * MIB, bits=32, cluster=512, volume_id=f"{number:08x}").fill(*sizes)
        self.digests = {path: hashlib.sha256(data).hexdigest() for path, data in self.card.files.items()}
        self.server = None

    def plug(self, dock):
        """The port's socket is made once a boot; the device goes with its connection."""
        path = dock.guest.path("redir.sock")
        if not dock.redirects:
            address = {"type": "unix", "data": {"path": path}}
            backend = {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}
            dock.guest.qmp("chardev-add", id="redir", backend=backend)
            dock.guest.plug("usb-redir", "redirected", PORT, chardev="redir")
            dock.redirects = True
        spec = {"name": "disk", "type": "msc", "vid": 0x1234, "pid": 0x5678, "serial": self.serial, "image": self.card.image}
        self.server = subprocess.Popen([f"{BUILD}/tests/redir", path, json.dumps(spec)], stdin=subprocess.DEVNULL)

    def left(self):
        """{path: sha256} of what is on the card, as mtools reads it."""
        return {path: hashlib.sha256(data).hexdigest() for path, data in self.card.contents().items()}

    def end(self):
        if self.server:
            self.server.kill()
            self.server.wait()
            self.server = None


def lost(dock, camera):
    """Paths that are, with their bytes, neither on the card nor in the store."""
    left, stored = camera.left(), dock.stored(camera.serial)
    return sorted(path for path, digest in camera.digests.items() if digest not in (left.get(path), stored.get(path)))
