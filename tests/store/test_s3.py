#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The s3 backend and a real Ceph: what is stored, what a receipt says, and what is refused with which sentence."""

import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from s3_world import BUCKET, LOCKED, MIB, World, rgw, tap, uplink  # noqa: E402

world = World()


def refused(dock, clip, name, **more):
    try:
        dock.put(clip, **more)
    except uplink.Refused as e:
        assert e.name == name, f"{e.name}: {e.text}"
        return e.text
    raise AssertionError("it was stored")


def test_clips_of_all_sizes_are_stored_once_and_found_again():
    world.proxy.reset()
    dock = world.dock().start()
    # Nothing, one byte, one part exactly, one byte more, many parts.
    for size in [0, 1, 5 * MIB, 5 * MIB + 1, 27 * MIB]:
        clip = dock.clip(size)
        receipt = dock.put(clip)
        assert not receipt.already_there
        dock.judge(clip, receipt)
        assert dock.confirm(clip, receipt) == "digest"
        sent = world.proxy.body_bytes["object"] + world.proxy.body_bytes["part"]
        again = dock.put(clip)
        assert again.already_there and again.object == receipt.object and again.strength == "digest"
        assert world.proxy.body_bytes["object"] + world.proxy.body_bytes["part"] == sent, "it was sent again"
    dock.end()


def test_every_part_carries_its_digest():
    world.proxy.reset()
    dock = world.dock(content_md5="yes").start()
    clip = dock.clip(11 * MIB)
    dock.judge(clip, dock.put(clip))
    parts = [headers for phase, headers in world.proxy.seen if phase == "part"]
    assert len(parts) == 3 and len({headers["x-amz-content-sha256"] for headers in parts}) == 3
    with open(clip.file, "rb") as f:
        first = f.read(5 * MIB)
    assert parts[0]["x-amz-content-sha256"] == hashlib.sha256(first).hexdigest()
    assert all(len(headers["content-md5"]) == 24 for headers in parts)
    dock.end()


def test_names_that_need_escapes_are_stored():
    dock = world.dock(prefix="a b+c/ü").start()
    clip = dock.clip(1000, path="DCIM/100 @/a+b:c é.MP4")
    receipt = dock.put(clip)
    body, _ = world.store.curl(f"/{BUCKET}/a%20b%2Bc/%C3%BC/{receipt.object}")
    assert hashlib.sha256(body).hexdigest() == clip.sha256
    assert dock.confirm(clip, receipt) == "digest"
    dock.end()


def test_object_says_what_it_was_told_to_say():
    dock = world.dock(tags="kind=footage&site=north", storage_class="STANDARD").start()
    # Ceph keeps no tags of what is put in parts.
    for size, tagged in [(1000, True), (6 * MIB, False)]:
        clip = dock.clip(size)
        receipt = dock.put(clip)
        headers = world.store.curl(f"/{BUCKET}/{dock.prefix}/{receipt.object}", "-I")[0].decode().lower()
        assert f"x-amz-meta-berth-sha256: {clip.sha256}" in headers, headers
        tags = world.store.curl(f"/{BUCKET}/{dock.prefix}/{receipt.object}?tagging=")[0].decode()
        assert not tagged or "<Key>site</Key><Value>north</Value>" in tags, tags
    dock.end()


def test_spool_file_with_other_bytes_is_not_stored():
    dock = world.dock().start()
    for size in [1000, 11 * MIB]:
        clip = dock.clip(size)
        assert "was promised" in refused(dock, clip, "Source", sha256="ab" * 32)
        assert dock.keys("objects") == [] and dock.keys("manifests") == []
        assert not world.store.uploads(BUCKET, dock.prefix + "/"), "the upload was not aborted"
    dock.end()


def test_two_docks_that_store_one_clip_get_one_receipt():
    first = world.dock().start()
    second = world.dock(prefix=first.prefix).start()
    clip = first.clip(11 * MIB)
    world.proxy.reset({"phase": "manifest", "action": "meet", "of": 2, "times": None})
    calls = [(dock, dock.begin_put(clip)) for dock in [first, second]]
    receipts = [uplink.Receipt(dock.finish(call)) for dock, call in calls]
    assert receipts[0].object == receipts[1].object, "two receipts of two objects"
    assert sorted(receipt.already_there for receipt in receipts) == [False, True]
    # The loser's object stays: nobody may delete. No manifest names it.
    first.judge(clip, receipts[0], objects=2)
    first.end()
    second.end()


def test_damage_in_the_store_is_a_conflict():
    dock = world.dock().start()
    clip, gone = dock.clip(1000), dock.clip(2000)
    receipt, lost = dock.put(clip), dock.put(gone)
    with open(dock.path("other"), "wb") as f:
        f.write(b"x" * clip.size)
    world.store.curl(f"/{BUCKET}/{dock.prefix}/{receipt.object}", "-T", dock.path("other"))
    world.store.curl(f"/{BUCKET}/{dock.prefix}/{lost.object}", "-X", "DELETE")
    for method in [lambda: dock.confirm(clip, receipt), lambda: dock.put(clip)]:
        try:
            method()
        except uplink.Refused as e:
            assert e.name == "Conflict" and ("replaced" in e.text or "damaged" in e.text), e.text
        else:
            raise AssertionError("damage was not noticed")
    try:
        dock.confirm(gone, lost)
    except uplink.Refused as e:
        assert e.name == "Gone", e.text
    else:
        raise AssertionError("it is confirmed although it is gone")
    # The same bytes under the same name make its manifest true again.
    again = dock.put(gone)
    assert again.object == lost.object, (again.object, lost.object)
    dock.confirm(gone, again)
    dock.end()


def test_retention_and_legal_hold_are_asked_for_and_read_back():
    # Ceph does not keep conditions where it keeps versions, and Object Lock needs those.
    dock = world.dock(bucket=LOCKED, retention_mode="governance", retention="30d", legal_hold="yes", sole_writer="yes").start()
    for size in [1000, 6 * MIB]:
        clip = dock.clip(size)
        receipt = dock.put(clip)
        for key in [receipt.object, receipt.manifest]:
            said = world.store.curl(f"/{LOCKED}/{dock.prefix}/{key}?retention=")[0].decode()
            assert "<Mode>GOVERNANCE</Mode>" in said and "<RetainUntilDate>20" in said, said
            assert "ON" in world.store.curl(f"/{LOCKED}/{dock.prefix}/{key}?legal-hold=")[0].decode()
        assert receipt.version, "a bucket with Object Lock has versions"
    dock.end()


def test_store_that_forgets_retention_gets_no_receipt():
    """It says yes, and when it is asked there is nothing."""
    dock = world.dock(bucket=LOCKED, retention_mode="compliance", retention="1d", sole_writer="yes").start()
    clip = dock.clip(1000)
    world.proxy.reset({"phase": "lock", "action": "status", "status": 200, "times": None})
    assert "does not keep what it was told to keep" in refused(dock, clip, "Unavailable")
    assert dock.keys("manifests") == [], "it counts as stored"
    world.proxy.reset()
    dock.end()


def test_lock_that_cannot_be_seen_is_a_failure():
    """Whoever may not ask whether an object is locked, or is told that there is nothing of the kind, does not believe that it is."""
    settings = {"sole_writer": "yes", "retention_mode": "governance", "retention": "30d", "legal_hold": "yes"}
    dock = world.dock(bucket=LOCKED, **settings).start()
    for what in ["retention", "legal-hold"]:
        for status, code in [(403, "AccessDenied"), (404, "NoSuchObjectLockConfiguration"), (404, "NoSuchKey")]:
            clip = dock.clip(1000)
            world.proxy.reset({"phase": "lock", "method": "GET", "where": f"?{what}", "action": "status", "status": status, "code": code,
                               "times": None})
            text = refused(dock, clip, "Unavailable")
            assert ("does not allow" if status == 403 else "does not keep what it was told to keep") in text, f"{what}, {code}: {text}"
            assert dock.manifests(clip) == [], "it counts as stored"
            world.proxy.reset()
            dock.wait(lambda: dock.state()[0] == "ready", "the store to be looked at again")
            dock.put(clip)
    dock.end()


def test_store_that_replaces_objects_is_refused_unless_nobody_else_writes():
    dock = world.dock(bucket=LOCKED).start(wait="error")
    assert "replaces an object although it is told not to" in dock.state()[1], dock.state()
    dock.end()


def test_bucket_without_object_lock_is_refused_at_the_start():
    dock = world.dock(retention_mode="governance", retention="30d").start(wait="error")
    assert "was made without Object Lock" in dock.state()[1], dock.state()
    dock.end()


def test_what_is_wrong_with_access_is_said():
    cases = [({"keys": (rgw.ACCESS_KEY, "wrong")}, "read-only", "does not take the credentials"),
             ({"keys": ("NOBODY", "wrong")}, "read-only", "does not take the credentials"),
             ({"bucket": "nowhere"}, "missing", "no such bucket"),
             ({"endpoint": "http://127.0.0.1:9"}, "error", "does not answer")]
    for settings, state, text in cases:
        dock = world.dock(**settings).start(wait=state)
        assert text in dock.state()[1], dock.state()
        dock.end()


def test_strangers_bucket_is_not_ours():
    world.store.add_user("stranger", "STRANGER", "strangers-secret")
    dock = world.dock(keys=("STRANGER", "strangers-secret")).start(wait="read-only")
    assert "does not allow" in dock.state()[1] and "AccessDenied" in dock.state()[1], dock.state()
    dock.end()


def test_clock_skew_is_said_in_seconds():
    world.proxy.reset({"phase": "probe", "action": "status", "status": 403, "code": "RequestTimeTooSkewed", "times": None,
                       "headers": {"Date": "Tue, 01 Jan 2019 00:00:00 GMT"}})
    dock = world.dock().start(wait="error")
    text = dock.state()[1]
    assert "ahead of that of the store" in text and int(text.split(" clock is ")[1].split(" s ")[0]) > 200 * 86400, text
    world.proxy.reset()
    dock.wait(lambda: dock.state()[0] == "ready", "the store to be ready")
    dock.end()


def test_full_store_is_full():
    dock = world.dock().start()
    clip = dock.clip(1000)
    world.proxy.reset({"phase": "object", "action": "status", "status": 403, "code": "QuotaExceeded", "times": 1})
    assert "is full" in refused(dock, clip, "Full")
    dock.wait(lambda: dock.state()[0] == "ready", "the store to be tried again")
    dock.judge(clip, dock.put(clip))
    dock.end()


def test_what_is_never_storable_is_not_tried_twice():
    dock = world.dock().start()
    clip = dock.clip(1000)
    world.proxy.reset({"phase": "object", "action": "status", "status": 400, "code": "EntityTooLarge", "times": None})
    assert "refuses for good" in refused(dock, clip, "Invalid")
    assert world.proxy.count("object") == 1 and dock.state()[0] == "ready"
    world.proxy.reset()
    dock.end()


def test_retry_after_is_kept():
    dock = world.dock().start()
    clip = dock.clip(1000)
    world.proxy.reset({"phase": "object", "action": "status", "status": 503, "code": "SlowDown", "headers": {"Retry-After": "2"}})
    began = uplink.time.monotonic()
    dock.judge(clip, dock.put(clip))
    assert uplink.time.monotonic() - began >= 2 and world.proxy.count("object") == 2
    # Longer than we wait amid a transfer: whoever brought the clip comes again.
    other = dock.clip(1000)
    world.proxy.reset({"phase": "object", "action": "status", "status": 503, "code": "SlowDown", "headers": {"Retry-After": "3600"}})
    assert "SlowDown" in refused(dock, other, "Unavailable")
    assert world.proxy.count("object") == 1
    dock.end()


def test_keys_that_change_are_taken_up_and_never_logged():
    os.environ["BERTH_LOG"] = "debug"
    dock = world.dock().start()
    clip = dock.clip(1000)
    world.store.run("radosgw-admin", "key", "create", "--uid=dock", "--access-key=ROTATED", "--secret=rotated-secret-of-the-dock")
    dock.write_keys("ROTATED", "rotated-secret-of-the-dock", token=None)
    dock.judge(clip, dock.put(clip))
    assert any("Credential=ROTATED/" in headers["authorization"] for _, headers in world.proxy.seen)
    world.store.run("radosgw-admin", "key", "rm", "--uid=dock", "--access-key=ROTATED", "--key-type=s3")
    other = dock.clip(1000)
    assert "renew them" in refused(dock, other, "Unavailable")
    dock.write_keys(rgw.ACCESS_KEY, rgw.SECRET_KEY)
    dock.judge(other, dock.put_until_stored(other)[0])
    dock.end()
    del os.environ["BERTH_LOG"]
    for secret in [rgw.SECRET_KEY, "rotated-secret-of-the-dock", "Signature="]:
        with open(dock.path("uplink.log"), encoding="utf-8") as f:
            assert secret not in f.read(), "a secret is in the log"


def test_keys_that_others_can_read_are_not_used():
    dock = world.dock()
    os.chmod(dock.keys_file, 0o644)
    dock.start(wait="error")
    assert "can be read by others" in dock.state()[1], dock.state()
    dock.end()


def test_session_token_is_sent_and_signed():
    world.proxy.reset()
    dock = world.dock()
    dock.write_keys(rgw.ACCESS_KEY, rgw.SECRET_KEY, token="the-token")
    dock.start(wait=None)
    dock.wait(lambda: world.proxy.seen, "a request")
    headers = world.proxy.seen[0][1]
    assert headers["x-amz-security-token"] == "the-token" and "x-amz-security-token" in headers["authorization"]
    dock.end()


def test_read_back_is_done_where_it_is_asked_for():
    world.proxy.reset()
    dock = world.dock(read_back="yes").start()
    clip = dock.clip(11 * MIB)
    receipt = dock.put(clip)
    assert world.proxy.count("read") == 1
    dock.judge(clip, receipt)
    assert json.loads(dock.get(receipt.manifest))["read_back"] is True
    dock.end()


def test_memory_is_bounded_whatever_the_size():
    world.proxy.reset()
    dock = world.dock(endpoint=world.store.endpoint, part_size="16M").start()
    clip = dock.clip(300 * MIB)
    dock.judge(clip, dock.put(clip))
    with open(f"/proc/{dock.child.pid}/status", encoding="ascii") as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))
    assert uplink.BUILD.endswith("-asan") or peak < 64 * 1024, f"{peak} KiB"
    dock.end()


if __name__ == "__main__":
    tap.main()
