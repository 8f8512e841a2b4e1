# SPDX-License-Identifier: Apache-2.0
"""Cameras that can be flashed, in a dock that has a firmware catalog."""

import hashlib
import json
import os
import shutil
import subprocess

import firmware_world
import rack
from firmware_image import image, with_suffix
from flash_models import CARD_MODEL, CHARGED, FILE_MODEL, MODELS
import schemas

def write_models(d, within="20s", options="", models=MODELS, hardware=""):
    os.makedirs(d.path("cameras.d"), exist_ok=True)
    with open(d.path("cameras.d", "flash.conf"), "w", encoding="utf-8") as f:
        f.write(models.format(more=f"update_within = {within}\n{hardware}", options=options))


def settings(admin):
    return f"[firmware]\nkeys = {admin.path('one.pub')}\nfollow_every = 200ms\n"


def put_catalog(d, admin, images):
    """Into the store's folder, without a berth-uplink: version to bytes."""
    files = [("flash-cam", v, admin.image(f"{v}.bin", data)) for v, data in images.items()]
    path = admin.catalog(1, files)
    for folder in ("catalog", "images"):
        os.makedirs(os.path.join(d.store, "firmware", folder), exist_ok=True)
    for _, _, file in files:
        with open(file, "rb") as f:
            shutil.copy(file, os.path.join(d.store, "firmware", "images", hashlib.sha256(f.read()).hexdigest()))
    shutil.copy(path + ".minisig", os.path.join(d.store, "firmware", "catalog", "0000000001.json.minisig"))
    shutil.copy(path, os.path.join(d.store, "firmware", "catalog", "0000000001.json"))


class Camera:
    """In a simulator: a camera, and its loader beside it."""

    def __init__(self, sim, d, serial="CAM-1", clips=(), name=None, loader_serial=None, **loader):
        self.sim, self.serial = sim, serial
        self.name = name or serial
        self.flash = d.path(f"flash-{serial}")
        self.write(image("1.0"))
        sim("camera", name=f"{self.name}-loader", type="dfu", vid=0x1209, pid=0xBC12, serial=loader_serial or f"L-{serial}",
            flash=self.flash, home=sim.prefix + self.name, **loader)
        sim("camera", name=self.name, type="ptp", vid=0x1209, pid=0xBC11, serial=serial, loader=sim.prefix + f"{self.name}-loader",
            flash=self.flash, clips=list(clips))

    def write(self, data):
        with open(self.flash, "wb") as f:
            f.write(data)

    def has(self):
        with open(self.flash, "rb") as f:
            return f.read()

    def plug(self, port="1-1.1"):
        self.sim("plug", camera=self.name, port=port)

    def set(self, **how):
        self.sim("set", camera=f"{self.name}-loader", **how)

    def loader(self):
        return self.sim("state", camera=f"{self.name}-loader")

    def there(self):
        return [c["camera"] for c in self.sim("list")["cameras"] if c["port"]]


class FileCamera(Camera):
    """One that looks for a file on its storage when it starts."""

    def __init__(self, sim, d, serial="CAM-1", clips=(), file="UPDATE/FW.BIN", name=None, **how):  # pylint: disable=super-init-not-called
        self.sim, self.serial, self.name = sim, serial, name or serial
        self.flash = d.path(f"flash-{serial}")
        self.write(image("1.0"))
        sim("camera", name=self.name, type="ptp", vid=0x1209, pid=0xBC11, serial=serial, flash=self.flash, firmware_file=file,
            clips=list(clips), **how)

    def set(self, **how):
        self.sim("set", camera=self.name, **how)

    def files(self):
        return [c["path"] for c in self.sim("state", camera=self.name)["clips"]]


READER = os.path.join(rack.SRC, "tests", "tools", "firmware_reader.py")


class CardCamera(FileCamera):
    """One that shows its card as a disk. `card`: of cards.py."""

    def __init__(self, sim, d, card, serial="CAM-1", name=None):  # pylint: disable=super-init-not-called
        self.sim, self.serial, self.name, self.card = sim, serial, name or serial, card
        self.flash = d.path(f"flash-{serial}")
        self.write(image("1.0"))
        sim("camera", name=self.name, type="msc", vid=0x1209, pid=0xBC13, serial=serial, flash=self.flash, image=card.image, cache=True,
            firmware_file="UPDATE/FW.BIN", reader=READER)


class World:
    """A dock of which the catalog has these images for flash-cam: version to bytes."""

    def __init__(self, sim, dock, images, within="20s", options="", bays=("1-1.1", "1-1.2"), models=MODELS, extra="",
                 **about):
        """`about`: what the catalog says of each image beside its version, such as hardware, floor."""
        self.sim = sim
        self.d = d = dock(list(bays), dock={"fleet": "north"})
        self.admin = firmware_world.Admin(d)
        write_models(d, within, options, models)
        d.write_config(settings(self.admin) + extra)
        d.start()
        d.wait(lambda: d.manager().get("StoreState") == "ready", "the store")
        files = [(v, self.admin.image(f"{v}.bin", data)) for v, data in images.items()]
        self.admin.ctl("publish", self.admin.catalog(1, [("flash-cam", v, path, about) for v, path in files]), *[path for _, path in files])
        d.wait(lambda: self.firmware()["version"] == 1, "the catalog")

    def firmware(self):
        done = subprocess.run([f"{rack.BUILD}/berthctl", "firmware", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        return schemas.parse(done.stdout) if done.returncode == 0 else {"version": 0}

    def begin(self, serial, version, *more):
        return subprocess.Popen([f"{rack.BUILD}/berthctl", "firmware", "flash", "--json", serial, version, *more], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def flash(self, serial, version, *more):
        """The answer, or the sentence on stderr. One that has just become ready is still being let go of."""
        while True:
            out, err = self.begin(serial, version, *more).communicate(timeout=120)
            if "(in-use)" not in err:
                return schemas.parse(out) if out else err

    def flash_once(self, serial, version):
        out, err = self.begin(serial, version).communicate(timeout=120)
        return schemas.parse(out) if out else err

    def ended(self):
        return [(e["outcome"], e.get("version", "")) for e in self.d.events("flash-ended")]

    def wait_ended(self, *outcomes):
        self.d.wait(lambda: [o for o, _ in self.ended()] == list(outcomes), f"the ends {outcomes}")


__all__ = ["CARD_MODEL", "CHARGED", "FILE_MODEL", "MODELS", "Camera", "CardCamera", "FileCamera", "World", "image", "with_suffix"]
