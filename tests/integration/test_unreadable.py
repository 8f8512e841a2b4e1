#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bad sectors on a camera's medium: one clip rests and is tried again, the others go on, and in the end a person knows which bytes."""

import hashlib
import json
import os
import sqlite3
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
                            GLib.Variant("(sstu)", ("", "", 0, 0)), None, 0, 60000, None).unpack()[0]
    return {row["Path"]: row for row in rows if "PartialOf" not in row}


def berthctl(*args):
    return subprocess.run([os.path.join(rack.BUILD, "berthctl"), *args], capture_output=True, check=True, text=True).stdout


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


def verify(folder):
    done = subprocess.run([f"{rack.BUILD}/berthctl", "custody", "verify", f"--state-dir={folder}", "--json"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=300, check=False)
    return [f["where"] for f in json.loads(done.stdout)["findings"]]


def changed_ranges_are_found(d):
    """Whatever is changed in the table of what could not be read, custody verify tells."""
    whole = verify(d.state)
    assert whole == [], whole
    for change in ("SET start_bytes = start_bytes + 1", "SET length_bytes = length_bytes + 1", "SET docking_id = 99", "SET clip_id = 99",
                   "SET event_seq = event_seq + 1", None):
        with tempfile.TemporaryDirectory() as folder:
            with sqlite3.connect(f"file:{d.state}/berth.db?mode=ro", uri=True) as source, sqlite3.connect(f"{folder}/berth.db") as copy:
                source.backup(copy)
                copy.execute("PRAGMA foreign_keys = OFF")
                where = "WHERE event_seq = (SELECT min(event_seq) FROM unreadable)"
                copy.execute(f"UPDATE unreadable {change} {where}" if change else f"DELETE FROM unreadable {where}")
            copy.close()
            source.close()
            assert any(where.startswith("unreadable") for where in verify(folder)), change


def test_sector_that_stays_bad_costs_its_clip_alone(sim, dock):
    d = memory_dock(dock, f"{BAD}:{OFFSET}:{LENGTH}:0").start()
    define(sim)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.state_of(1) == "pulling" and "tried again" in d.bay(1)["Reason"], "the clip to rest")
    d.wait_state(1, "quarantined")
    d.wait(lambda: len(d.events("erased")) == 2, "the others to be erased")
    reason = d.bay(1)["Reason"]
    assert reason.startswith(f"do not issue: clip {BAD} stays on the camera: bytes {OFFSET} to {OFFSET + LENGTH - 1} of the clip"), reason
    assert reason.endswith("what can be read is kept as a partial copy; putting it in again tries again, else its medium is for a "
                           "specialist")
    assert {e["path"] for e in d.events("erased")} == {"many/0.MP4", "many/2.MP4"}
    assert [e["attempt"] for e in d.events("pull-unreadable") if "partial" not in e["reason"]] == [1, 2, 3, 4]
    assert not d.events("fault") and d.bay(1)["Faults"] == 0
    partial = check_partial(d)
    clip = list_clips(d)[BAD]
    assert (clip["State"], clip["DurableBytes"], clip["Unreadable"]) == ("copying", 8 * MIB, [(OFFSET, LENGTH)]), clip
    [row] = [row for row in json.loads(berthctl("clips", "--json"))["clips"] if row["path"] == BAD and not row["partial_of"]]
    assert row["unreadable"] == [[OFFSET, LENGTH]], row
    assert f"bytes {OFFSET} to {OFFSET + LENGTH - 1}" in berthctl("clips")
    assert f"ranges={OFFSET}+{LENGTH}" in berthctl("log")
    changed_ranges_are_found(d)

    # The next docking tries again, from what is durable.
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    write_model(d)
    d.daemon.end()
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: len([e for e in d.events("copied") if e["path"] == BAD]) == 2, "the clip to be whole, too")
    assert [e["offset_bytes"] for e in d.events("pull-begun") if e["path"] == BAD][-1] == 8 * MIB
    d.wait(lambda: [e for e in d.events("erased") if e["path"] == BAD], "the whole clip to be erased")
    [whole] = [m for m in d.manifests() if m["path"] == BAD and not m["facts"]["partial"]]
    content = bytearray(b"".join(d.content(whole["object"])))
    content[OFFSET:OFFSET + LENGTH] = bytes(LENGTH)
    assert bytes(content) == partial, "what could be read is not what the camera holds there"
    d.check_chain()


def check_partial(d):
    """What could be read is in the store, says what is missing, and licenses nothing. Returns its bytes."""
    d.wait(lambda: len(d.events("receipted")) == 3, "the receipt of what could be read")
    [seen] = [e for e in d.events("clip-seen") if "partial_of" in e]
    [row] = [row for row in json.loads(berthctl("clips", "--json"))["clips"] if row["partial_of"]]
    assert (row["id"], row["path"], row["state"], row["unreadable"]) == (seen["clip_id"], BAD, "receipted", [[OFFSET, LENGTH]]), row
    [manifest] = [m for m in d.manifests() if m["facts"]["partial"]]
    assert manifest["facts"]["partial"] == {"of_clip_id": seen["partial_of"], "missing": [[OFFSET, LENGTH]]}, manifest
    content = b"".join(d.content(manifest["object"]))
    assert hashlib.sha256(content).hexdigest() == manifest["sha256"] and content[OFFSET:OFFSET + LENGTH] == bytes(LENGTH)
    assert not [e for e in d.events("erase-begun") if e["clip_id"] in (seen["clip_id"], seen["partial_of"])]
    return content


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


def test_card_with_bad_sectors_in_several_places_is_kept_in_part(sim, dock):
    kept_in_part(sim, dock, pads=False)


def test_what_a_card_sends_in_place_of_bad_sectors_is_not_kept(sim, dock):
    """Real ones send as much as was asked for, and say only then that some of it could not be read."""
    kept_in_part(sim, dock, pads=True)


def kept_in_part(sim, dock, pads):
    d = dock(["1-1.1"], timeouts={"backoff_min": "200ms", "backoff_max": "200ms"}).start()
    card = FatCard(tempfile.mkdtemp(prefix="card-", dir=d.folder), size=64 * MIB, bits=16).fill(1000, 12 * MIB, 2000)
    path, content = max(card.files.items(), key=lambda item: len(item[1]))
    with open(card.image, "rb") as f:
        first = f.read().index(content[:512]) // 512
    holes = [(0, 1), (5000, 3), (16384, 1), (20000, 2), (len(content) // 512 - 1, 1)]
    sim("camera", name="c", type="msc", image=card.image, serial="SN-c")
    sim("set", camera="c", pads=pads, bad=[[first + sector, n] for sector, n in holes])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "quarantined")
    d.wait(lambda: len(d.events("receipted")) == len(card.files), "the receipts")
    [manifest] = [m for m in d.manifests() if m["facts"]["partial"]]
    missing = [[sector * 512, n * 512] for sector, n in holes]
    assert manifest["facts"]["partial"]["missing"] == missing, manifest["facts"]["partial"]
    kept = bytearray(content)
    for offset, length in missing:
        kept[offset:offset + length] = bytes(length)
    assert b"".join(d.content(manifest["object"])) == kept
    assert not [e for e in d.events("erase-begun") if e["path"] == path]
    assert not d.events("fault"), d.events("fault")

    # The next docking tries the clip again, and what is kept in part already is not kept again.
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "quarantined")
    assert len([e for e in d.events("clip-seen") if "partial_of" in e]) == 1, "kept in part twice"
    d.check_chain()
    berthctl("custody", "verify", f"--state-dir={d.state}")


if __name__ == "__main__":
    rack.run([thing for name, thing in list(globals().items()) if name.startswith("test_")])
