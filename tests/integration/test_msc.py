#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The msc plugin in a real, sandboxed worker over a simulated mass-storage camera: media, sizes, faults, erasing."""

import hashlib
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from cards import KIB, MIB, Card  # noqa: E402
from worker import BLOCK_SIZE, Fault, Worker  # noqa: E402

PORT = "1-1.1"


class Camera:
    """One simulated camera, docked."""

    count = 0

    def __init__(self, sim, **spec):
        Camera.count += 1
        self.sim = sim
        self.name = f"cam{Camera.count}"
        sim("camera", name=self.name, type="msc", **{"serial": f"SN-{Camera.count}", "manufacturer": "Acme", "product": "BC-1", **spec})
        sim("plug", camera=self.name, port=PORT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.state()["docked"]:
            self.sim("unplug", camera=self.name)

    def __getattr__(self, cmd):
        return lambda **args: self.sim(cmd, camera=self.name, **args)

    def fault(self, fault, **args):
        self.sim("fault", camera=self.name, name=fault, **args)

    def worker(self, *options):
        """Open, in a session."""
        w = Worker(self.sim, self.name, plugin="msc", log=os.environ.get("MSC_LOG"))
        try:
            w.open(*options)
        except BaseException:
            w.__exit__()
            raise
        return w


def fails(kind, call, *args):
    try:
        call(*args)
    except Fault as fault:
        assert fault.kind == kind, f"expected {kind}, got {fault}"
        return fault
    raise AssertionError(f"expected {kind}, and it worked")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def pull_all(w, listed):
    """{path: digest}, and the copies by path. Each part is compared with its digest and removed."""
    found, copies = {}, {}
    for clip in listed:
        copy = w.pull(clip)
        assert copy.size == clip.size, f"{clip.path}: {copy.size} bytes of {clip.size}"
        with open(w.part(clip), "rb") as f:
            assert sha256(f.read()) == copy.digest.hex(), f"{clip.path}: the part does not have its digest"
        os.unlink(w.part(clip))
        found[clip.path] = copy.digest.hex()
        copies[clip.path] = (clip, copy)
    return found, copies


def truth(card, prefix=""):
    return {prefix + path: sha256(data) for path, data in card.files.items()}


def scratch():
    return tempfile.mkdtemp(prefix="card-")


# ---- Media ----------------------------------------------------------------------------------------------------------


def test_clips_of_every_size_are_pulled_whole_at_every_speed(sim, _dock):
    sizes = [0, 1, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 3 * MIB + 777,
             BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1]
    card = Card(scratch()).fill(*sizes)
    for speed in ("full", "high", "super"):
        with Camera(sim, image=card.image, speed=speed) as c:
            with c.worker() as w:
                assert {clip.path: clip.size for clip in w.list()} == {path: len(data) for path, data in card.files.items()}
                assert pull_all(w, w.list())[0] == truth(card), speed
                assert w.close() == 0
            assert c.state()["protocol_errors"] == 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="berth-msc-") as temp:
        tempfile.tempdir = temp
        rack.run([value for name, value in list(globals().items()) if name.startswith("test_")])
