#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a dock signs, in a real Ceph: put once, never replaced, and verified there."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
import released_world  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from rack import S3Place, make_clip  # noqa: E402
from rgw import Rgw  # noqa: E402

rack.enter()
store = Rgw(os.path.join(tempfile.mkdtemp(prefix="s3-"), "ceph"))
atexit.register(store.close)
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
store.make_bucket("custody")


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, (args, done)
    return done


def replace(key, data):
    """By somebody who may."""
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        store.curl(f"/custody/{key}", "-T", f.name)


def verify(d):
    done = subprocess.run([f"{rack.BUILD}/berthctl", "custody", "verify", "--json", "--store", f"--state-dir={d.state}",
                           f"--uplink={d.path('uplink.sock')}"], capture_output=True, text=True, check=False)
    return [(f["where"], f["what"]) for f in json.loads(done.stdout)["findings"]]


def waits(d):
    return d.rows("SELECT 1 FROM statements WHERE state = 'waiting'")


def test_what_is_signed_lies_in_a_bucket_and_is_verified_there(sim, dock):
    d = dock(["1-1.1"], place=S3Place(store, "custody", "north")).start()
    sim("camera", name="A", type="ptp", serial="SN-A", clips=[make_clip("DCIM/1.MP4", 3 << 20, 1)])
    sim("plug", camera="A", port="1-1.1")
    d.wait(lambda: d.events("erased"), "the main job", deadline=120)
    # What is found out about the camera at the end is on record before what is ordered now.
    d.wait_state(1, "ready", deadline=120)
    ctl("custody", "checkpoint")
    ctl("dock", "rotate-key")
    ctl("custody", "checkpoint")
    d.wait(lambda: not waits(d), "all of it in the store", deadline=120)
    for event in d.events():
        if "statement" in event:
            key = json.loads(event["statement"])["key"]
            assert store.get("custody", f"north/{key}").decode() == f"berth-statement 1\n{event['statement']}\n{event['signature']}\n", key
    assert verify(d) == []
    out = d.path("export")
    ctl("custody", "export", "1", out, f"--state-dir={d.state}", f"--uplink={d.path('uplink.sock')}")
    with open(os.path.join(out, "manifests", "1.json"), encoding="utf-8") as f:
        manifest = json.load(f)
    assert manifest["sha256"] == d.events("copied")[0]["digest"], manifest
    checkpoint = json.loads(d.events("checkpoint")[0]["statement"])["key"]
    good = store.get("custody", f"north/{checkpoint}")
    replace(f"north/{checkpoint}", good.replace(b"head_seq", b"head_sep"))
    assert any(where == f"store: {checkpoint}" and "another text" in what for where, what in verify(d)), verify(d)
    replace(f"north/{checkpoint}", good)
    size = len(store.get("custody", f"north/{manifest['object']}"))
    replace(f"north/{manifest['object']}", b"\0" * size)
    assert any(manifest["object"] in where for where, _ in verify(d)), verify(d)


def test_another_text_under_the_next_number_is_a_conflict(sim, dock):
    d = dock(["1-1.1"], place=S3Place(store, "custody", "south")).start()
    d.wait(lambda: d.manager()["StoreState"] == "ready", "the store")
    ctl("custody", "checkpoint")
    d.wait(lambda: not waits(d), "the first in the store")
    dock_id = d.manager()["DockId"]
    replace(f"south/checkpoints/{dock_id}/0000000002", b"somebody was here\n")
    ctl("custody", "checkpoint")
    event = d.wait(lambda: d.events("statement-refused"), "the conflict")[0]
    assert event["statement_key"] == f"checkpoints/{dock_id}/0000000002", event
    assert store.get("custody", f"south/checkpoints/{dock_id}/0000000002") == b"somebody was here\n", "it was replaced"


def test_footage_that_the_bucket_alone_has_is_exported(sim, dock):
    proxy = FaultProxy(store.port)
    with released_world.released(sim, dock, place=S3Place(store, "custody", "east", endpoint=proxy.endpoint)) as (d, ids):
        # The connection breaks in the middle: it begins again, and nothing of the first try is left.
        proxy.rules = [{"phase": "read", "action": "truncate"}]
        folder, said = released_world.export(d, str(ids[0]), to="export", code=0)
        assert proxy.rules[0]["times"] == 0 and "1 with their footage (1 from the store)" in said, said
        assert released_world.is_whole(d, folder, ids[0])
        key, = d.rows(f"SELECT object_key FROM receipts WHERE clip_id = {ids[0]}")[0]
        replace(f"east/{key}", b"\0" * len(store.get("custody", f"east/{key}")))
        _, said = released_world.export(d, str(ids[0]), to="damaged", code=7)
        assert "could not be fetched" in said, said
        d.uplink.end()
    proxy.close()


rack.run([test_what_is_signed_lies_in_a_bucket_and_is_verified_there, test_another_text_under_the_next_number_is_a_conflict,
          test_footage_that_the_bucket_alone_has_is_exported])
