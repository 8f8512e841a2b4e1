#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Footage of which an older Berth has told in the custody log, by digests of blocks alone: no such record is gone by any more."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20
OLD_NAMES = {"prefixes_digest": "blocks_digest", "half_pulled": "parts"}


def make_older(d):
    """What an ended dock's memory is after the step of its schema, as if the release before had written it."""
    db = sqlite3.connect(os.path.join(d.state, "berth.db"))
    triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'custody'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {name}")
    seq, before = 0, "0" * 64
    for seq, data in db.execute("SELECT seq, bytes FROM custody ORDER BY seq").fetchall():
        event = {OLD_NAMES.get(name, name): value for name, value in json.loads(data).items()} | {"prev": before}
        data = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        before = hashlib.sha256(data).hexdigest()
        db.execute("UPDATE custody SET bytes = ?, hash = ? WHERE seq = ?", (data, bytes.fromhex(before), seq))
    db.execute("DELETE FROM blocks")
    for _, sql in triggers:
        db.execute(sql)
    db.commit()
    db.close()
    head = f"berth-chain-head 1 {seq} {before}"
    with open(os.path.join(d.state, "chain.head"), "wb") as f:
        f.write((f"{head} {hashlib.sha256(head.encode()).hexdigest()}\n".encode()).ljust(8192, b"\0"))


def camera(sim, clips):
    sim("camera", name="c", type="ptp", serial="SN-c", clips=clips)
    return rack.sha256_of(sim("state", camera="c", sha256=True))


def copied_by_an_older_berth(sim, dock, clips):
    """A dock with copies of clips that their camera still has."""
    d = dock(["1-1.1"])
    d.start_daemon()  # without the uplink, so that nothing is erased
    digests = camera(sim, clips)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: len(d.events("copied")) == len(clips), "the copies")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    d.daemon.end(signal.SIGKILL)  # as it ends it signs a checkpoint, of a chain that is about to be written anew
    make_older(d)
    return d, digests


def assert_whole(d):
    d.check_chain()
    done = subprocess.run([f"{rack.BUILD}/berthctl", "custody", "verify", "--json", f"--state-dir={d.state}"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done


def test_copy_is_read_whole_on_its_camera_before_it_is_erased(sim, dock):
    d, digests = copied_by_an_older_berth(sim, dock, [make_clip("a.MP4", 20 * MIB, 1), make_clip("b.MP4", 8 * MIB, 2),
                                                      make_clip("empty.MP4", 0, 3)])
    assert_whole(d)
    d.start()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    assert sim("state", camera="c")["clips"] == []
    assert len(d.events("copied")) == len(d.objects()) == 3, "a clip was copied or sent twice"
    verified = {e["path"]: e for e in d.events("verified")}
    assert {path: e["digest"] for path, e in verified.items()} == digests
    assert {path: e["blocks"] for path, e in verified.items()} == {"a.MP4": 3, "b.MP4": 1, "empty.MP4": 0}
    for e in d.events("erase-begun"):
        assert e["verified_seq"] == verified[e["path"]]["seq"], e
    assert_whole(d)


def test_copy_that_its_camera_shows_otherwise_is_not_erased_for_it(sim, dock):
    d, _ = copied_by_an_older_berth(sim, dock, [make_clip("a.MP4", 20 * MIB, 1)])
    sim("change_clip", camera="c", path="a.MP4", patch_offset=10 * MIB, patch_hex="00ff55aa")
    now = rack.sha256_of(sim("state", camera="c", sha256=True))["a.MP4"]
    d.start()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    assert now in d.stored()[("SN-c", "a.MP4")], "what the camera has now was not stored"
    seen = d.events("clip-seen")
    assert len(seen) == 2 and [e["clip_id"] for e in d.events("erased")] == [seen[1]["clip_id"]], "it was erased for another content"
    assert_whole(d)


def test_part_is_set_aside_and_pulled_from_the_start(sim, dock):
    d = dock(["1-1.1"]).start()
    digests = camera(sim, [make_clip("long.MP4", 40 * MIB, 7)])
    sim("slow", camera="c", bytes_per_sec=16 * MIB)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.rows("SELECT 1 FROM blocks"), "a block")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    assert d.wait(lambda: d.events("pull-interrupted"), "how far it came")[0]["blocks"] > 0
    d.daemon.end(signal.SIGKILL)  # as it ends it signs a checkpoint, of a chain that is about to be written anew
    part = d.path("state", "parts", "1.part")
    with open(part, "rb") as f:
        old = f.read()
    make_older(d)
    assert_whole(d)
    d.start_daemon()
    sim("slow", camera="c", bytes_per_sec=0)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    aside, = d.events("part-set-aside")
    assert "older Berth" in aside["reason"], aside
    with open(d.path("state", "kept", aside["part"]), "rb") as f:
        assert f.read() == old, "what an older Berth had pulled is gone"
    assert [e["offset_bytes"] for e in d.events("pull-begun")] == [0, 0], "it was gone on with"
    assert d.stored() == {("SN-c", "long.MP4"): [digests["long.MP4"]]} and len(d.events("erased")) == 1
    assert_whole(d)


rack.run([test for name, test in list(globals().items()) if name.startswith("test_")])
