#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bad sectors on a camera's medium: one clip rests and is tried again, the others go on, and in the end a person knows which bytes."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from cards import FatCard  # noqa: E402

from gi.repository import GLib  # noqa: E402

MIB = 1 << 20
SIZE = 20_000_000
BAD = "many/1.MP4"
OFFSET, LENGTH = 9_000_000, 4096


def write_model(d, bad=None):
    """A camera of three clips that is nothing but its worker's memory."""
    os.makedirs(d.path("cameras.d"), exist_ok=True)
    with open(d.path("cameras.d", "memory.conf"), "w", encoding="utf-8") as f:
        f.write("[model memory]\nmatch = 1209:ba5e\ninterface = ff/00/00\nplugin = memory\n")
        f.write(f"plugin.many = 3:{SIZE}\n")
        if bad:
            f.write(f"plugin.bad = {bad}\n")


def memory_dock(dock, bad=None, **config):
    d = dock(["1-1.1"], plugin_dir=f"{rack.BUILD}/tests/plugins", timeouts={"backoff_min": "1s", "backoff_max": "2s"}, **config)
    write_model(d, bad)
    return d


def define(sim):
    sim("camera", name="c", type="stranger", vid=0x1209, pid=0xBA5E, interfaces=[{"class": 255, "subclass": 0, "protocol": 0}])


def list_clips(d):
    rows = d.conn.call_sync("org.berth.Dock1", "/org/berth/Dock1", "org.berth.Dock1.Manager", "ListClips",
                            GLib.Variant("(sstu)", ("", "", 0, 0)), None, 0, 30000, None).unpack()[0]
    return {row["Path"]: row for row in rows}


def berthctl(*args):
    return subprocess.run([os.path.join(rack.BUILD, "berthctl"), *args], stdout=subprocess.PIPE, check=True, text=True).stdout


def test_sector_that_recovers_on_the_third_try(sim, dock):
    d = memory_dock(dock, f"{BAD}:{OFFSET}:{LENGTH}:2").start()
    define(sim)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    told = d.events("pull-unreadable")
    assert [(e["path"], e["ranges"], e["attempt"], e["offset_bytes"]) for e in told] == [
        (BAD, [[OFFSET, LENGTH]], n, 8 * MIB) for n in (1, 2)], told
    begun = [(e["path"], e["offset_bytes"]) for e in d.events("pull-begun")]
    assert begun == [("many/0.MP4", 0), (BAD, 0), ("many/2.MP4", 0), (BAD, 8 * MIB), (BAD, 8 * MIB)], begun
    assert not d.events("fault") and d.bay(1)["Faults"] == 0, "the medium's fault is not the camera's"
    d.wait(lambda: len(d.events("erased")) == 3, "the erases on record")
    assert len(d.objects()) == 3
    assert "Reason" not in list_clips(d)[BAD] and "Unreadable" not in list_clips(d)[BAD]
    d.check_chain()


def test_sector_that_stays_bad_costs_its_clip_alone(sim, dock):
    d = memory_dock(dock, f"{BAD}:{OFFSET}:{LENGTH}:0").start()
    define(sim)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.state_of(1) == "pulling" and "tried again" in d.bay(1)["Reason"], "the clip to rest")
    d.wait_state(1, "quarantined")
    d.wait(lambda: len(d.events("erased")) == 2, "the others to be erased")
    reason = d.bay(1)["Reason"]
    assert reason.startswith(f"do not issue: clip {BAD} stays on the camera: bytes {OFFSET} to {OFFSET + LENGTH - 1} of the clip"), reason
    assert {e["path"] for e in d.events("erased")} == {"many/0.MP4", "many/2.MP4"} and len(d.objects()) == 2
    assert [e["attempt"] for e in d.events("pull-unreadable")] == [1, 2, 3, 4]
    assert not d.events("fault") and d.bay(1)["Faults"] == 0
    clip = list_clips(d)[BAD]
    assert (clip["State"], clip["DurableBytes"], clip["Unreadable"]) == ("copying", 8 * MIB, [(OFFSET, LENGTH)]), clip
    [row] = [row for row in json.loads(berthctl("clips", "--json"))["clips"] if row["path"] == BAD]
    assert row["unreadable"] == [[OFFSET, LENGTH]], row
    assert f"bytes {OFFSET} to {OFFSET + LENGTH - 1}" in berthctl("clips")
    assert f"ranges={OFFSET}+{LENGTH}" in berthctl("log")

    # The next docking tries again, from what is durable.
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    write_model(d)
    d.daemon.end()
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: [e for e in d.events("copied") if e["path"] == BAD], "the clip to be whole")
    assert [e["offset_bytes"] for e in d.events("pull-begun") if e["path"] == BAD][-1] == 8 * MIB
    d.check_chain()


def test_clip_that_cannot_be_read_again_is_not_erased(sim, dock):
    d = memory_dock(dock)
    d.start_daemon()
    define(sim)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: len(d.events("copied")) == 3, "all copies")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    d.daemon.end()
    write_model(d, f"{BAD}:{OFFSET}:{LENGTH}:0")
    d.start()
    d.wait(lambda: len(d.events("receipted")) == 3, "all receipts")
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "quarantined")
    d.wait(lambda: len(d.events("erased")) == 2, "the others to be erased")
    assert BAD in d.bay(1)["Reason"] and f"bytes {OFFSET} to" in d.bay(1)["Reason"], d.bay(1)
    assert BAD not in [e["path"] for e in d.events("erased")] and not d.events("fault")
    assert [e["attempt"] for e in d.events("pull-unreadable")] == [1, 2, 3, 4]
    d.check_chain()


def test_sector_of_a_card_that_recovers_on_the_third_try(sim, dock):
    """The same through the storage plugin and its SCSI: what a card says of a sector once is not for ever."""
    d = dock(["1-1.1"], timeouts={"backoff_min": "2s", "backoff_max": "4s"}).start()
    card = FatCard(tempfile.mkdtemp(prefix="card-", dir=d.folder), size=64 * MIB, bits=16).fill(1000, 12 * MIB, 2000)
    paths = [path for path, _ in sorted(card.files.items(), key=lambda item: len(item[1]))]
    with open(card.image, "rb") as f:
        sector = f.read().index(card.files[paths[-1]][:512]) // 512
    sim("camera", name="c", type="msc", image=card.image, serial="SN-c")
    sim("set", camera="c", bad=[[sector + 20000, 1]])
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: len(d.events("pull-unreadable")) == 2, "two tries")
    sim("set", camera="c", bad=[])
    d.wait_state(1, "ready")
    told = d.events("pull-unreadable")
    assert all(e["ranges"] == [[20000 * 512, 512]] and e["offset_bytes"] == 8 * MIB for e in told) and len(told) in (2, 3), told
    assert not d.events("fault") and d.events("pull-begun")[-1]["offset_bytes"] == 8 * MIB
    stored = d.stored()
    assert {path: stored[("SN-c", path)] for path in paths} == {path: [hashlib.sha256(card.files[path]).hexdigest()] for path in paths}
    d.check_chain()


if __name__ == "__main__":
    rack.run([thing for name, thing in list(globals().items()) if name.startswith("test_")])
