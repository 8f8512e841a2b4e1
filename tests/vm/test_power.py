#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The power fails while cameras are pulled, stored and erased: QEMU is killed, and whatever the guest had not synced is gone. After a cold
start on the same disks nothing may be lost, before Berth has done anything, and then everything comes to its end.

$POWER_CUTS says how often (3). The guest writes nothing to its disks by itself, so all depends on what Berth syncs; the last test takes
that away and must lose.
"""

import base64
import hashlib
import json
import os
import random
import select
import subprocess
import sys

SRC, BUILD = os.environ["BERTH_SRC"], os.environ["BERTH_BUILD"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from cards import FatCard  # noqa: E402
from guest_dock import MIB  # noqa: E402

PORT, BAY = 5, 1
CUTS = int(os.environ.get("POWER_CUTS", "3"))
SEED = int(os.environ.get("POWER_SEED", random.randrange(1 << 32)))
SIZES = [2 * MIB + 17, 1, 700_001, 9 * MIB, 3 * MIB, 120_000]
# Only for the control's two programs with a disk; the worker's environment is empty.
NO_SYNC = """
base64 -d > /usr/local/lib/no_sync.so <<'END_OF_FILE'
LIBRARY
END_OF_FILE
for unit in berthd berth-uplink; do
        mkdir -p /etc/systemd/system/$unit.service.d
        printf '[Service]\\nEnvironment=LD_PRELOAD=/usr/local/lib/no_sync.so\\n' > /etc/systemd/system/$unit.service.d/no-sync.conf
done
systemctl daemon-reload
"""
# When to cut, by what the bay shows; a little later, by chance.
PHASES = {
    "pulling": lambda bay: bay["bytes_copied"] > 0 or bay["clips_copied"] > 0,
    "storing": lambda bay: bay["bytes_stored"] > 0 or bay["clips_stored"] > 0,
    "erasing": lambda bay: bay["clips_erased"] > 0,
}


class Camera:
    """One of the simulator's, a card with a FAT: what it holds outlives the guest."""

    def __init__(self, dock, name):
        self.serial = f"CUT-{name}"
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        self.card = FatCard(dock.scratch.name, f"{name}.img", size=64 * MIB, bits=32, cluster=512, volume_id=f"{number:08x}").fill(*SIZES)
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


def cut(dock, phase, name, rng):
    camera = Camera(dock, name)
    try:
        camera.plug(dock)
        dock.wait(lambda: dock.bays[BAY]["serial"] == camera.serial and PHASES[phase](dock.bays[BAY]), f"{name}: {phase}", 240)
        delay = rng.uniform(0, 0.8)
        # Which moment it is does not matter, as long as it is another one each time.
        select.select([], [], [], delay)
        dock.cut_power()
        camera.end()
        dock.boot(start=False)
        missing = lost(dock, camera)
        left = camera.left()
        print(f"# {name}: cut {delay:.2f} s into {phase}; {len(left)} of {len(SIZES)} clips were left on the camera", flush=True)
        assert not missing, f"{name}: lost {missing}"
        dock.start()
        camera.plug(dock)
        dock.wait(lambda: dock.bays[BAY]["serial"] == camera.serial and dock.bays[BAY]["state"] == "ready", f"{name} to be ready", 300)
        assert dock.stored(camera.serial) == camera.digests
        assert not camera.left()
        dock.wait(lambda: dock.dock.get("chain_state") == "whole", "the custody chain to be proven")
        assert dock.dock["state"] == "running", dock.dock
    finally:
        camera.end()
    dock.wait_state(BAY, "empty")


def test_nothing_is_lost_when_the_power_fails(dock):
    rng = random.Random(SEED)
    print(f"# seed {SEED}, {CUTS} cuts", flush=True)
    for number in range(CUTS):
        phase = list(PHASES)[number % len(PHASES)]
        cut(dock, phase, f"{number}", rng)


def test_dock_that_syncs_nothing_loses_footage(dock):
    """The control: this test can fail."""
    with open(f"{BUILD}/tests/preload/no_sync.so", "rb") as f:
        library = base64.b64encode(f.read()).decode()
    dock.cut_power()
    dock.boot(start=False)
    dock.guest.run(NO_SYNC.replace("LIBRARY", "\n".join(library[n:n + 76] for n in range(0, len(library), 76))))
    dock.start()
    camera = Camera(dock, "control")
    try:
        camera.plug(dock)
        dock.wait(lambda: dock.bays[BAY]["serial"] == camera.serial and dock.bays[BAY]["state"] == "ready", "the bay to be ready", 240)
        assert not camera.left(), "it was not erased"
        dock.cut_power()
        camera.end()
        dock.boot(start=False)
        missing = lost(dock, camera)
        print(f"# {len(missing)} of {len(SIZES)} clips are lost", flush=True)
        assert missing, "nothing is lost although nothing was synced: the test above proves nothing"
    finally:
        camera.end()


if __name__ == "__main__":
    guest_dock.main([f"1-{PORT}"], lazy_disks=True)
