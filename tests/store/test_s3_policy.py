#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a dock's keys must be good for, and not: the policy of docs/store-layout.md, word for word, in a real Ceph. With it a dock does
all that it has to, and neither deletes nor replaces. Keys that may do more are told of, at the start and once a day."""

import json
import os
import signal
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from s3_world import LOCKED, MIB, World, tap, uplink  # noqa: E402

DOCK_KEYS = ("BERTHDOCK", "berth/dock+secret")
SRC = os.environ.get("BERTH_SRC", os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))
world = World()
world.store.add_user("least", *DOCK_KEYS)


def policy(bucket, prefix):
    """The one in the manual, for this bucket, prefix and user."""
    with open(os.path.join(SRC, "docs", "store-layout.md"), encoding="utf-8") as f:
        text = f.read().split("```json\n", 1)[1].split("```", 1)[0]
    text = text.replace("arn:aws:iam::111122223333:user/dock", "arn:aws:iam:::user/least")
    assert "footage/north-gate" in text and "user/least" in text, "the manual has another policy by now"
    parsed = json.loads(text.replace("footage/north-gate", f"{bucket}/{prefix}").replace(":::footage", f":::{bucket}"))
    # Ceph knows no condition of that name, and would refuse every put.
    parsed["Statement"] = [s for s in parsed["Statement"] if "s3:if-none-match" not in json.dumps(s)]
    assert len(parsed["Statement"]) == 2, parsed
    return json.dumps(parsed)


def bucket_with_policy(name, prefix, versions=False):
    world.store.make_bucket(name)
    world.store.curl(f"/{name}?policy=", "-X", "PUT", "--data-binary", policy(name, prefix))
    if versions:
        world.store.curl(f"/{name}?versioning=", "-X", "PUT", "--data-binary",
                         "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
    # In such buckets Ceph heeds no If-None-Match.
    return world.dock(prefix=prefix, bucket=name, keys=DOCK_KEYS, **({"sole_writer": "yes"} if versions else {}))


def test_dock_with_the_least_keys_does_all_that_it_has_to():
    dock = bucket_with_policy("least", "north").start()
    world.proxy.reset()
    for size in [0, 3 * MIB, 11 * MIB]:
        clip = dock.clip(size)
        receipt = dock.put(clip)
        dock.judge(clip, receipt)
        assert dock.confirm(clip, receipt) == "digest"
        assert dock.put(clip).already_there
    # Killed amid an upload, and gone on with from the store's list of parts.
    clip = dock.clip(16 * MIB)
    world.proxy.reset({"phase": "part", "action": "mute", "where": "partNumber=3"})
    dock.begin_put(clip)
    dock.wait(lambda: world.proxy.muted == 1, "the third part to be on its way")
    dock.end(signal.SIGKILL)
    world.proxy.reset()
    dock.start()
    dock.judge(clip, dock.put(clip))
    # A clip that is not what was promised: its upload is aborted.
    try:
        dock.put(dock.clip(11 * MIB), sha256="00" * 32)
    except uplink.Refused as e:
        assert e.name == "Source", e.text
    assert not world.store.uploads("least", "north/"), "an upload is left"
    refused = [entry for entry in world.proxy.log if entry[3] == 403 and entry[0] != "probe"]
    assert not refused, f"the manual's policy lacks something: {refused}"
    dock.end()


def test_dock_with_the_least_keys_cannot_delete():
    dock = bucket_with_policy("kept", "north").start()
    clip = dock.clip(MIB)
    receipt = dock.put(clip)
    for key in [receipt.object, receipt.manifest]:
        assert world.store.curl(f"/kept/north/{key}", "-X", "DELETE", keys=DOCK_KEYS, check=False)[1] == 403
    dock.judge(clip, receipt)
    # Nor outside of its prefix.
    assert world.store.curl("/kept/south/x", "-X", "PUT", "-d", "x", keys=DOCK_KEYS, check=False)[1] == 403
    dock.end()


def test_keys_that_may_do_more_are_told_of():
    owner = world.dock().start()
    state, text = owner.state()
    assert state == "ready" and "may delete and replace" in text, (state, text)
    strength, points = owner.examine()
    assert strength == "digest" and {name: verdict for name, (verdict, _) in points.items()} == {
        "store": "ok", "store-clock": "ok", "store-checksums": "ok", "store-delete": "warning", "store-replace": "warning",
        "store-lock": "note"}, points
    assert "s3:DeleteObject" in points["store-delete"][1] and "store-layout.md" in points["store-replace"][1], points
    clip = owner.clip(MIB)
    owner.judge(clip, owner.put(clip))
    owner.end()
    replacing = bucket_with_policy("replacing", "north").start()
    state, text = replacing.state()
    assert "may replace" in text and "may delete" not in text, (state, text)
    replacing.end()


def test_keys_that_can_neither_delete_nor_replace_are_as_they_should_be():
    versions = bucket_with_policy("versions", "north", versions=True).start()
    assert versions.state() == ("ready", ""), versions.state()
    points = versions.examine()[1]
    assert points["store-delete"][0] == points["store-replace"][0] == "ok", points
    assert versions.states == [] or versions.states[-1] == ("ready", "")
    versions.end()
    # Who may put delete markers, and not delete versions, deletes nothing.
    marked = policy("marked", "north").replace('"s3:GetObject"', '"s3:GetObject", "s3:DeleteObject"')
    dock = bucket_with_policy("marked", "north", versions=True)
    world.store.curl("/marked?policy=", "-X", "PUT", "--data-binary", marked)
    dock.start()
    assert dock.state() == ("ready", ""), dock.state()
    dock.end()
    # Who may delete those, too, is told of.
    marked = marked.replace('"s3:DeleteObject"', '"s3:DeleteObject", "s3:DeleteObjectVersion"')
    world.store.curl("/marked?policy=", "-X", "PUT", "--data-binary", marked)
    dock.start()
    assert "may delete what" in dock.state()[1], dock.state()
    dock.end()


HOUR = 3600


class Slept:
    """A dock's uplink, whose machine sleeps for hours in no time."""

    def __init__(self, dock):
        self.dock, self.file = dock, dock.path("clock")
        self.put(0)
        dock.start(wrapper=["env", f"LD_PRELOAD={uplink.BUILD}/tests/preload/step_clock.so", f"BERTH_CLOCK_FILE={self.file}"])

    def put(self, seconds):
        fd = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(fd, struct.pack("=qq", 0, seconds), 0)
        os.close(fd)

    def look(self, hours):
        """What the next look says, so many hours after the start. A question wakes the uplink, which finds that a look is due."""
        before = self.dock.world.proxy.count("probe")
        self.put(int(hours * HOUR))
        self.dock.state()
        self.dock.wait(lambda: self.dock.world.proxy.count("probe") > before, "the next look")
        # What goes over the link behind it is answered when the look has been.
        self.dock.put(self.dock.clip(1000))
        return self.dock.state()


def test_what_keys_may_do_is_tried_again_each_day():
    dock = bucket_with_policy("daily", "north", versions=True)
    clock = Slept(dock)
    assert dock.state() == ("ready", ""), dock.state()
    more = policy("daily", "north").replace('"s3:GetObject"', '"s3:GetObject", "s3:DeleteObject", "s3:DeleteObjectVersion"')
    world.store.curl("/daily?policy=", "-X", "PUT", "--data-binary", more)
    assert clock.look(23) == ("ready", ""), "it is tried more often than once a day"
    clock.look(24.1)
    dock.wait(lambda: "may delete what" in dock.state()[1], "the keys that may delete since to be told of")
    assert dock.state()[0] == "ready" and dock.examine()[1]["store-delete"][0] == "warning", dock.examine()
    # Taken from them again, that is seen a day later, too.
    world.store.curl("/daily?policy=", "-X", "PUT", "--data-binary", policy("daily", "north"))
    assert "may delete what" in clock.look(47)[1]
    clock.look(49)
    dock.wait(lambda: dock.state() == ("ready", ""), "the keys that may not any more")
    assert dock.examine()[1]["store-delete"][0] == "ok", dock.examine()
    dock.end()


def test_bucket_that_lost_its_lock_takes_nothing_from_the_next_day_on():
    world.proxy.reset()
    dock = world.dock(bucket=LOCKED, retention_mode="governance", retention="60s", sole_writer="yes")
    clock = Slept(dock)
    assert dock.examine()[1]["store-lock"][0] == "ok", dock.examine()
    gone = {"phase": "look", "where": "object-lock", "action": "status", "status": 404, "code": "ObjectLockConfigurationNotFoundError",
            "times": None}
    world.proxy.reset(gone)
    assert clock.look(23)[0] == "ready", dock.state()
    clock.put(int(24.1 * HOUR))
    dock.wait(lambda: dock.state()[0] == "error", "the lock that is gone to be noticed")
    assert "was made without Object Lock" in dock.state()[1], dock.state()
    assert dock.examine()[1]["store"][0] == "failed", dock.examine()
    # Whatever fails is tried again without waiting for another day.
    world.proxy.reset()
    dock.wait(lambda: dock.state()[0] == "ready", "the store with its lock")
    dock.end()


def test_lock_that_the_keys_may_not_ask_for_is_a_warning():
    world.proxy.reset({"phase": "look", "where": "object-lock", "action": "status", "status": 403, "code": "AccessDenied", "times": None})
    dock = world.dock(bucket=LOCKED, retention_mode="governance", retention="60s", sole_writer="yes").start()
    verdict, text = dock.examine()[1]["store-lock"]
    assert verdict == "warning" and "s3:GetBucketObjectLockConfiguration" in text, dock.examine()
    dock.end()
    world.proxy.reset()
    dock.start()
    assert dock.examine()[1]["store-lock"][0] == "ok", dock.examine()
    dock.end()


if __name__ == "__main__":
    tap.main()
