#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two whole docks with one folder as their store: the same footage comes to both, and lies there once."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402


def test_docks_that_race_for_clips_store_each_once_and_all_get_the_receipt(sim, dock):
    first = dock(["1-1.1"])
    docks = [first, dock(["1-2.1"], below="second", store=first.store)]
    clips = [make_clip(f"DCIM/100/{n:02}.MP4", 300_000 + n, n) for n in range(6)]
    for n, d in enumerate(docks):
        sim("camera", name=f"r{n}", type="ptp", serial="SN-RACE", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)
    digests = rack.sha256_of(sim("state", camera="r0", sha256=True))
    # Their copies wait for the uploaders, which begin together.
    for d in docks:
        d.start_daemon()
    for n, d in enumerate(docks):
        sim("plug", camera=f"r{n}", port=d.bays[0])
    for d in docks:
        d.wait(lambda d=d: len(d.events("copied")) == len(clips), "all clips to be copied", deadline=120)
    # A slow disk, so that each has looked for the other's manifests long before there is one.
    os.environ["BERTH_SLOW_FSYNC_MSEC"] = "150"
    for d in docks:
        d.preload = f"{rack.BUILD}/tests/preload/slow_fsync.so"
        d.start_uplink()
    for d in docks:
        d.wait_state(1, "ready", deadline=120)
    assert first.stored() == {("SN-RACE", path): [digest] for path, digest in digests.items()}, first.stored()
    assert len(first.objects()) == len(first.objects("manifests")) == len(clips), "the loser of a race left its object"
    objects = {m["path"]: m["object"] for m in first.manifests()}
    for n, d in enumerate(docks):
        assert {e["path"]: e["object_key"] for e in d.events("receipted")} == objects, d.events("receipted")
        assert sim("state", camera=f"r{n}")["clips"] == [], "a camera is not erased"
        d.check_chain()


if __name__ == "__main__":
    rack.run([test_docks_that_race_for_clips_store_each_once_and_all_get_the_receipt])
