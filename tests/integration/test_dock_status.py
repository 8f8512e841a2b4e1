#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The dock's status in the store: signed, refreshed, told soon after a change, and never written over what is somebody else's."""

import base64
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20
PREFIX = bytes.fromhex("302a300506032b6570032100")  # of an Ed25519 key in DER, RFC 8410


def status_file(d):
    found = [key for key in d.objects("docks") if key.endswith("/status")]
    assert len(found) <= 1, found
    return found[0] if found else None


def status(d):
    """The members, whose signature openssl has looked at; None when there is none."""
    name = status_file(d)
    if not name:
        return None
    first, second, third = b"".join(d.content(name)).decode().splitlines()
    members = json.loads(second)
    assert first == "berth-statement 1" and members["type"] == "dock-status" and members["key"] == name, members
    for path, data in [("text", f"{first}\n{second}\n".encode()), ("sig", base64.b64decode(third)),
                       ("key", PREFIX + bytes.fromhex(members["signer"]))]:
        with open(d.path(path), "wb") as f:
            f.write(data)
    done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", d.path("key"), "-rawin", "-in",
                           d.path("text"), "-sigfile", d.path("sig")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return members


def test_status_tells_of_bays_and_clips_and_is_refreshed(sim, dock):
    d = dock(["1-1.1", "1-1.2"], dock={"status_every": "2s"}).start()
    first = d.wait(lambda: status(d), "the status")
    assert (first["name"], first["state"], first["store"]) == ("test-dock", "running", "ready"), first
    assert [bay["state"] for bay in first["bays"]] == ["empty", "empty"], first
    sim("camera", name="c", type="ptp", serial="SN-1", manufacturer="Acme", model="BC-1", clips=[make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.2")
    d.wait_state(2, "ready")
    # That a clip is erased is on record a moment after its bay is ready.
    told = d.wait(lambda: (s := status(d))["bays"][1] == {"bay": 2, "state": "ready", "camera": "SN-1"} and s["clips"]["erased"] and s,
                  "the camera to be told of")
    assert told["seq"] > first["seq"] and told["time"] > first["time"]
    assert told["clips"]["erased"] == 1 and told["bytes"]["erased"] == MIB and told["oldest_unstored"] is None, told
    assert [c["serial"] for c in told["cameras"]] == ["SN-1"] and told["cameras"][0]["last_docked"] <= told["time"], told
    assert told["spool"]["unstored_clips"] == 0, told
    again = d.wait(lambda: (s := status(d))["seq"] > told["seq"] and s, "the next one")
    assert again["bays"] == told["bays"]
    d.daemon.end()
    d.start_daemon()
    d.wait(lambda: status(d)["seq"] > again["seq"], "a higher number after a restart")


def test_what_waits_longest_for_the_store_is_told(sim, dock):
    d = dock(["1-1.1"], dock={"status_every": "1s"}).start()
    sim("camera", name="c", type="ptp", serial="SN-1", manufacturer="Acme", model="BC-1",
        clips=[make_clip("a.MP4", 64 * MIB, 1), make_clip("b.MP4", MIB, 2)])
    sim("slow", camera="c", bytes_per_sec=4 * MIB)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.events("pull-begun"), "the pull to begin")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    told = d.wait(lambda: (s := status(d)) and s["bays"][0]["state"] == "empty" and s["oldest_unstored"] and s, "the clip to be told of")
    [clip] = d.rows("SELECT id, path, size_bytes, state FROM clips ORDER BY id LIMIT 1")
    waiting = told["oldest_unstored"]
    assert (waiting["clip_id"], waiting["path"], waiting["size"], waiting["state"]) == tuple(clip) and waiting["camera"] == "SN-1", waiting
    assert sum(told["bytes"].values()) == 65 * MIB and told["bytes"]["erased"] == 0, told["bytes"]
    sim("slow", camera="c", bytes_per_sec=0)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    d.wait(lambda: len(d.events("erased")) == 2, "the erases on record")
    told = d.wait(lambda: (s := status(d))["oldest_unstored"] is None and s["clips"]["erased"] == 2 and s, "nothing to wait any more")
    assert told["bytes"]["erased"] == 65 * MIB, told["bytes"]


def test_what_another_wrote_is_not_written_over_unseen(sim, dock):
    d = dock(["1-1.1"], dock={"status_every": "1s"}).start()
    d.wait(lambda: status(d), "the status")
    name = os.path.join(d.store, status_file(d))
    # As a dock with a copy of this one's state folder would: an older one of ours is back, and then no statement at all.
    shutil.copy(name, d.path("old"))
    before = status(d)["seq"]
    d.wait(lambda: status(d)["seq"] > before, "the next one")
    os.replace(d.path("old"), name)
    d.wait(lambda: "another dock wrote it as this one" in d.daemon.output(), "the other dock to be told of")
    # Twice: the first may show before the uplink has read it back.
    ours = d.wait(lambda: (s := status(d)["seq"]) > before and s, "it to be ours again")
    d.wait(lambda: status(d)["seq"] > ours, "the next one")
    with open(d.path("other"), "w", encoding="ascii") as f:
        f.write("a text\n")
    os.replace(d.path("other"), name)
    d.wait(lambda: d.daemon.output().count("another dock wrote it as this one") == 2, "the text to be told of")
    d.daemon.end()
    d.start_daemon()
    d.wait(lambda: "it is no signed statement" in d.daemon.output(), "the text to be told of by a dock that knows of nothing")
    with open(name, encoding="ascii") as f:
        assert f.read() == "a text\n", "it was written over"


rack.run([test_status_tells_of_bays_and_clips_and_is_refreshed, test_what_waits_longest_for_the_store_is_told,
          test_what_another_wrote_is_not_written_over_unseen])
