# SPDX-License-Identifier: Apache-2.0
"""Cameras of the simulator at a port of a guest, by QEMU's usb-redir: the guest's kernel takes them for real ones."""

import json
import os
import subprocess

from firmware_image import image
from flash_models import MODELS

BUILD = os.environ["BERTH_BUILD"]


class Redirected:
    """One port of the guest of `dock`, with these cameras: the first is there now, and may become another of them."""

    def __init__(self, dock, port, *cameras):
        self.dock, self.port, self.name, self.cameras = dock, port, f"redir{port}", cameras
        self._serve(cameras)

    def _serve(self, cameras):
        path = self.dock.guest.path(f"{self.name}.sock")
        address = {"type": "unix", "data": {"path": path}}
        backend = {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}
        self.dock.guest.qmp("chardev-add", id=self.name, backend=backend)
        self.dock.guest.plug("usb-redir", f"{self.name}-device", self.port, chardev=self.name)
        self.server = subprocess.Popen([f"{BUILD}/tests/redir", path, *map(json.dumps, cameras)], stdin=subprocess.PIPE)

    def lose_power(self):
        """With the guest: what is not in its flash is gone."""
        self.server.kill()
        self.server.wait()
        self.server.stdin.close()

    def start_as(self, name, **how):
        """It has lain in its port, and gets power again from a guest that was started anew: this one of its cameras."""
        cameras = [{**camera, **how} if camera["name"] == name else camera for camera in self.cameras]
        self._serve(sorted(cameras, key=lambda camera: camera["name"] != name))

    def set(self, camera, **how):
        self.server.stdin.write(json.dumps({"camera": camera, "cmd": "set", **how}).encode() + b"\n")
        self.server.stdin.flush()

    def pull_out(self):
        """It is gone for the dock when its bay is empty, which is the caller's to wait for."""
        self.lose_power()
        self.dock.guest.unplug(f"{self.name}-device")
        # Its end of the line goes with it.
        self.dock.guest.wait_gone(f"{self.name}-device")


MODEL = MODELS.format(more="", options="")
RULES = "".join(f'SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", ATTR{{idVendor}}=="1209", ATTR{{idProduct}}=="{pid}", '
                'ENV{BERTH_CAMERA}="1"\n' for pid in ("bc11", "bc12"))


class FlashCamera(Redirected):
    """Speaks PTP, and has a loader that speaks DFU; `loader`: how that does. Its firmware is 1.0."""

    def __init__(self, dock, port, serial, clips=(), **loader):
        self.flash = dock.guest.path(f"flash-{serial}")
        with open(self.flash, "wb") as f:
            f.write(image("1.0"))
        common = {"vid": 0x1209, "flash": self.flash}
        super().__init__(dock, port, {"name": "camera", "type": "ptp", "pid": 0xBC11, "product": "Flash Cam", "serial": serial,
                                      "loader": "loader", "clips": list(clips), **common},
                         {"name": "loader", "type": "dfu", "pid": 0xBC12, "serial": f"L-{serial}", "home": "camera", **common, **loader})

    def has(self):
        with open(self.flash, "rb") as f:
            return f.read()
