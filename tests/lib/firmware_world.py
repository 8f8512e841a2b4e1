# SPDX-License-Identifier: Apache-2.0
"""Firmware in a store, whatever its kind: an admin's folder with minisign's keys, catalogs and images, and berthctl beside a running
berth-uplink. What must hold for each kind of store is a scenario here, which a test program of that kind plays."""

import hashlib
import json
import os
import subprocess

import uplink
from uplink import BUILD, Gio, GLib
import schemas


class Admin:
    def __init__(self, dock, believes=None):
        self.dock = dock
        self.folder = os.path.join(dock.folder, "admin")
        os.makedirs(self.folder, exist_ok=True)
        self.new_key("one")
        self.believes = believes or "one"

    def path(self, name):
        return os.path.join(self.folder, name)

    def new_key(self, name):
        subprocess.run(["minisign", "-G", "-W", "-f", "-p", self.path(f"{name}.pub"), "-s", self.path(f"{name}.key")], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def public(self, name):
        with open(self.path(f"{name}.pub"), encoding="ascii") as f:
            return f.read().splitlines()[1]

    def image(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content)
        return self.path(name)

    def catalog(self, version, images, key="one", expires="2099-12-31", **more):
        """images: (model, version, file) each, and more members of it when there is a fourth. The signed catalog's path."""
        listed = []
        for model, firmware, file, *members in images:
            with open(file, "rb") as f:
                content = f.read()
            listed.append({"model": model, "version": firmware, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(),
                           **(members[0] if members else {})})
        path = self.path(f"catalog-{version}-{key}.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"type": "berth-firmware-catalog", "v": 1, "version": version, "expires": expires, "images": listed, **more}, f)
        self.sign(path, key)
        return path

    def sign(self, path, key="one"):
        subprocess.run(["minisign", "-S", "-s", self.path(f"{key}.key"), "-m", path], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)

    def ctl(self, *arguments, code=0):
        done = subprocess.run([f"{BUILD}/berthctl", "firmware", *arguments, f"--uplink={self.dock.path('uplink.sock')}",
                               f"--firmware-key={self.path(self.believes + '.pub')}"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        assert done.returncode == code, (arguments, done)
        return done.stdout if code == 0 else done.stderr

    def list(self):
        return {c["version"]: c for c in schemas.parse(self.ctl("list", "--json"))["catalogs"]}


def ask(dock, method, signature, *arguments, fds=None):
    return dock.finish(dock.begin(method, GLib.Variant(signature, arguments), fds))


def refused(dock, name, *arguments, **more):
    try:
        ask(dock, *arguments, **more)
    except uplink.Refused as e:
        assert e.name == name, f"{e.name}: {e.text}"
        return e.text
    raise AssertionError("it was answered")


def image_arguments(path, mode, size, digest):
    fds = Gio.UnixFDList.new()
    with open(path, mode) as f:
        handle = fds.append(f.fileno())
    return ("(htay)", handle, size, digest), fds


def get_image(dock, path, size, digest):
    arguments, fds = image_arguments(path, "wb", size, digest)
    return ask(dock, "GetImage", *arguments, fds=fds)


# ---- Scenarios ----------------------------------------------------------------------------------------------------------------


def play_publishing(dock, content=b"firmware " * 700000):
    """Published, listed and shown; each dock gets the very bytes; names what is missing, and what is no news."""
    admin = Admin(dock)
    image, other = admin.image("a.bin", content), admin.image("b.bin", b"another")
    first = admin.catalog(1, [("cam", "2.1", image)])
    assert "name its file, too" in admin.ctl("publish", first, code=1)
    assert "none of the catalog's images" in admin.ctl("publish", first, other, code=1)
    assert admin.list() == {}
    assert "is published" in admin.ctl("publish", first, image)
    assert "not newer than version 1" in admin.ctl("publish", first, image, code=1)
    # The image is there: it is not named again.
    admin.ctl("publish", admin.catalog(2, [("cam", "2.1", image), ("cam", "2.2", other)]), other)
    assert [c["images"] for c in admin.list().values()] == [1, 2]
    shown = schemas.parse(admin.ctl("show", "--json"))
    assert (shown["version"], [i["version"] for i in shown["images"]]) == (2, ["2.1", "2.2"])
    assert json.loads(admin.ctl("show", "1", "--json"))["version"] == 1

    digest = hashlib.sha256(content)
    assert digest.hexdigest() in admin.ctl("show")
    target = admin.path("got")
    get_image(dock, target, len(content), digest.digest())
    with open(target, "rb") as f:
        assert f.read() == content
    arguments, fds = image_arguments(admin.path("none"), "wb", 5, b"\1" * 32)
    assert "there is no" in refused(dock, "Gone", "GetImage", *arguments, fds=fds)
    # What is told of a file is compared with it before anything goes to the store.
    arguments, fds = image_arguments(other, "rb", 7, b"\1" * 32)
    assert "SHA-256" in refused(dock, "Source", "PutImage", *arguments, fds=fds)
    arguments, fds = image_arguments(admin.path("none"), "wb", 5, b"\1" * 32)
    assert "there is no" in refused(dock, "Gone", "GetImage", *arguments, fds=fds)


def play_trust(dock):
    """Forged, expired, played again under another name, signed by a key that is not believed, and the keys' rotation."""
    admin = Admin(dock)
    admin.new_key("two")
    image = admin.image("a.bin", b"firmware")
    images = [("cam", "2.1", image)]
    forged = admin.catalog(1, images)
    with open(forged, "a", encoding="utf-8") as f:
        f.write(" ")
    assert "changed or cut off" in admin.ctl("publish", forged, image, code=1)
    assert "not believed here" in admin.ctl("publish", admin.catalog(1, images, key="two"), image, code=1)
    assert "expired on 2001-01-01" in admin.ctl("publish", admin.catalog(1, images, expires="2001-01-01"), image, code=1)
    assert "there is no such version" in admin.ctl("show", code=1)

    first = admin.catalog(1, images)
    admin.ctl("publish", first, image)
    # Whoever can write to the store lays the old one there under a new name, and one of his own.
    for version, path in [(2, first), (3, admin.catalog(3, images, key="two"))]:
        for end in [".minisig", ""]:
            with open(path + end, encoding="utf-8") as f:
                ask(dock, "Keep", "(ss)", f"firmware/catalog/{version:010}.json{end}", f.read())
    listed = admin.list()
    assert [listed[v]["believed"] for v in (1, 2, 3)] == [True, False, False], listed
    assert "under the name of version 2" in listed[2]["reason"] and "not believed here" in listed[3]["reason"]
    assert json.loads(admin.ctl("show", "--json"))["version"] == 1

    # The keys are handed on: from then on the old one is not believed.
    admin.ctl("publish", admin.catalog(4, images, keys=[admin.public("two")]))
    assert "not believed here" in admin.ctl("publish", admin.catalog(5, images), code=1)
    admin.ctl("publish", admin.catalog(5, images, key="two"))
    assert json.loads(admin.ctl("show", "--json"))["version"] == 5


def play_lists(dock):
    """In the order of their names, so many at a time, after any; what has another beginning is not in it."""
    for number in [3, 1, 2, 12]:
        ask(dock, "Keep", "(ss)", f"checkpoints/lists/{number:04}", f"text {number}")
    ask(dock, "Keep", "(ss)", "checkpoints/lists-not/0001", "text")
    every = [f"checkpoints/lists/{number:04}" for number in [1, 2, 3, 12]]
    assert ask(dock, "List", "(ssu)", "checkpoints/lists/", "", 1000) == (every, False)
    assert ask(dock, "List", "(ssu)", "checkpoints/lists/", "", 4) == (every, False)
    assert ask(dock, "List", "(ssu)", "checkpoints/lists/", "", 3) == (every[:3], True)
    assert ask(dock, "List", "(ssu)", "checkpoints/lists/", every[2], 3) == (every[3:], False)
    assert ask(dock, "List", "(ssu)", "checkpoints/lists/000", "", 3) == (every[:3], False)
    assert ask(dock, "List", "(ssu)", "checkpoints/nobody/", "", 3) == ([], False)
    for prefix in ["", "checkpoints/", "objects/a/b", "checkpoints/../keys/", "checkpoints/lists//"]:
        assert "no folder" in refused(dock, "Invalid", "List", "(ssu)", prefix, "", 3)
    assert "1 to 1000" in refused(dock, "Invalid", "List", "(ssu)", "checkpoints/lists/", "", 0)
