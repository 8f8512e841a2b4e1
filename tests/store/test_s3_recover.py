#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The database is lost, and a bucket in a real Ceph holds the footage."""

import atexit
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import S3Place, make_clip  # noqa: E402
from recover_world import ended_with_footage_in_the_store, judge, recover, verify_store  # noqa: E402
from rgw import Rgw  # noqa: E402

MIB = 1 << 20
rack.enter()
store = Rgw(os.path.join(tempfile.mkdtemp(prefix="s3-"), "ceph"))
atexit.register(store.close)
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
store.make_bucket("clips")


def test_what_only_the_bucket_holds_is_known_again_and_not_sent_twice(sim, dock):
    place = S3Place(store, "clips", "north", part_size="5M")
    d, digests = ended_with_footage_in_the_store(sim, dock, [make_clip("a.MP4", 12 * MIB, 1), make_clip("b.MP4", 700_001, 2),
                                                               make_clip("gone.MP4", 1000, 3)], {"place": place})
    lost, = [manifest["object"] for manifest in d.manifests() if manifest["path"] == "gone.MP4"]
    store.curl(f"/clips/north/{lost}", "-X", "DELETE")
    text = recover(d)
    assert "0 clips from the spool, 2 from the store" in text and "gone.MP4" in text and "is not believed" in text, text
    assert {e["path"] for e in d.events("clip-recovered")} == {"a.MP4", "b.MP4"}
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    # What the store lost was on the camera still, and is in the store again under the name that its manifest has.
    d.wait(lambda: len(d.events("erased")) == 3, "all to be erased", 180)
    assert not d.events("conflict")
    assert {(e["serial"], e["path"]): e["digest"] for e in d.events("receipted")} == digests
    assert lost in {manifest["object"] for manifest in d.manifests()}
    judge(sim, d, digests, ("c",))


def test_all_that_the_bucket_holds_is_proven(sim, dock):
    place = S3Place(store, "clips", "south")
    d, digests = ended_with_footage_in_the_store(sim, dock, [make_clip("a.MP4", 9 * MIB, 1)], {"place": place})
    assert "0 clips from the spool, 1 from the store" in recover(d)
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=180)
    judge(sim, d, digests, ("c",))
    done = verify_store(d)
    assert done.returncode == 0, done.stdout


rack.run([test_all_that_the_bucket_holds_is_proven, test_what_only_the_bucket_holds_is_known_again_and_not_sent_twice])
