#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Faults of every kind in every step of a put, between the uplink and a real Ceph: it always ends with exactly one right object and a
right receipt. And stores that lie: never a receipt that says more than is true."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from s3_world import LOCKED, MIB, FaultProxy, World, tap, uplink  # noqa: E402
from store_dock import SHORT_STALL  # noqa: E402
from store_late import STALL, late_answers_are_waited_for  # noqa: E402

world = World()
SMALL, LARGE = 3 * MIB, 11 * MIB
# The steps of a small clip and of one in parts, and which of them have a body that can be cut or changed.
STEPS = {SMALL: ["look", "object", "head", "manifest"], LARGE: ["look", "create", "part", "list", "complete", "head", "manifest"]}
WITH_BODY = {"object", "part", "complete", "manifest"}
# Of a clip that is to be kept, which is a small one.
KEPT = SMALL - 1
LOCK = {"bucket": LOCKED, "retention_mode": "governance", "retention": "60s", "legal_hold": "yes", "sole_writer": "yes"}


def faults(phase):
    yield "503", {"action": "status", "status": 503, "code": "SlowDown"}
    yield "500", {"action": "status", "status": 500, "code": "InternalError"}
    yield "403", {"action": "status", "status": 403, "code": "AccessDenied"}
    yield "401 for as long as keys are read again", {"action": "status", "status": 401, "code": "ExpiredToken"}
    yield "garbage", {"action": "status", "status": 502, "headers": {"Content-Type": "text/html"}}
    yield "reset", {"action": "reset"}
    yield "lost answer", {"action": "lost"}
    yield "three in a row", {"action": "status", "status": 503, "code": "ServiceUnavailable", "times": 3}
    if phase in WITH_BODY:
        yield "reset amid the body", {"action": "reset", "after": 1000}
        yield "corrupted body", {"action": "corrupt"}
    else:
        yield "half an answer", {"action": "truncate"}
    if phase in ("object", "complete", "manifest"):
        yield "conflict", {"action": "status", "status": 409, "code": "ConditionalRequestConflict"}
    if phase in ("object", "part", "complete"):
        yield "no answer", {"action": "mute"}


def try_all(size, steps=None, **settings):
    dock = world.dock(stall=SHORT_STALL, **settings).start()
    wrong = []
    for phase in steps or STEPS[size]:
        for name, rule in faults(phase):
            clip = dock.clip(size)
            world.proxy.reset({"phase": phase, **rule})
            try:
                receipt, refusals = dock.put_until_stored(clip)
                assert world.proxy.rules[0].get("times", 1) == 0, "the fault did not happen"
                dock.judge(clip, receipt)
            except AssertionError as e:
                wrong.append(f"{phase}, {name}: {e}; {[entry[:2] + entry[3:] for entry in world.proxy.log]}")
                world.proxy.reset()
                dock.wait(lambda: dock.state()[0] == "ready", "the store to be ready")
            os.unlink(clip.file)
    dock.end()
    assert not wrong, "\n".join(wrong)


def test_small_clip_is_stored_once_whatever_fails():
    try_all(SMALL)


def test_clip_in_parts_is_stored_once_whatever_fails():
    try_all(LARGE)


def test_clip_that_is_to_be_kept_is_locked_whatever_fails():
    """Retention and legal hold of the object and of its manifest, each asked for and read back."""
    try_all(SMALL, ["lock"], **LOCK)


def test_one_of_two_parts_under_way_fails_as_one_alone_does():
    try_all(21 * MIB, ["part", "list"], part_size="10M")


def test_late_answers_are_waited_for_in_every_step():
    proxies, docks = [], {}
    for size, phases in {**STEPS, KEPT: ["lock"]}.items():
        for phase in phases:
            proxies.append(FaultProxy(world.store.port))
            settings = LOCK if size == KEPT else {}
            docks[size, phase] = world.dock(endpoint=proxies[-1].endpoint, stall=STALL, **settings).start(), proxies[-1]
    late_answers_are_waited_for(docks)
    for proxy in proxies:
        proxy.close()


def test_passing_faults_are_not_even_told():
    dock = world.dock().start()
    clip = dock.clip(LARGE)
    world.proxy.reset({"phase": "part", "action": "status", "status": 503, "code": "SlowDown"}, {"phase": "part", "action": "reset"},
                      {"phase": "complete", "action": "lost"}, {"phase": "manifest", "action": "lost"})
    dock.judge(clip, dock.put(clip))
    assert dock.states == []
    dock.end()


def test_stall_is_noticed_by_our_own_watch():
    dock = world.dock(stall=SHORT_STALL).start()
    for size, phase in [(SMALL, "object"), (LARGE, "part")]:
        clip = dock.clip(size)
        world.proxy.reset({"phase": phase, "action": "stall", "after": MIB})
        receipt, refusals = dock.put_until_stored(clip)
        dock.judge(clip, receipt)
        assert world.proxy.count(phase) >= 2
    dock.end()


def test_slow_link_is_no_stall():
    """Longer than the stall limit for what the kernel buffers, though never without a move."""
    slow = FaultProxy(world.store.port, receive_buffer=32768)
    dock = world.dock(stall="6s", endpoint=slow.endpoint).start()
    clip = dock.clip(SMALL)
    slow.bandwidth = MIB // 6
    dock.judge(clip, dock.put(clip))
    assert slow.count("object") == 1, "it was given up although it moved"
    assert dock.progress and all(sent <= clip.size for _, sent in dock.progress)
    dock.end()
    slow.close()


def test_outage_loses_nothing():
    dock = world.dock(stall=SHORT_STALL).start()
    clips = [dock.clip(LARGE), dock.clip(SMALL)]
    # Each has something with the store that it does not know of when the outage begins.
    world.proxy.reset({"phase": "part", "action": "mute"}, {"phase": "object", "action": "mute"})
    calls = [dock.begin_put(clip) for clip in clips]
    dock.wait(lambda: world.proxy.muted == 2, "both clips to be on their way")
    world.proxy.rules = [{"phase": phase, "action": "reset", "times": None} for phase in
                         ["look", "create", "part", "list", "complete", "head", "object", "manifest", "probe"]]
    for call in calls:
        try:
            receipt = dock.finish(call)
        except uplink.Refused as e:
            assert e.name == "Unavailable", e.text
        else:
            raise AssertionError(f"a receipt amid the outage: {receipt}")
    dock.wait(lambda: dock.state()[0] == "error", "the outage to be told")
    assert len(dock.records()) == 2, "what is under way was forgotten"
    world.proxy.rules = []
    dock.wait(lambda: dock.state()[0] == "ready", "the store to be back")
    # judge() wants no record to be left of any clip.
    receipts = [dock.put_until_stored(clip)[0] for clip in clips]
    for clip, receipt in zip(clips, receipts):
        dock.judge(clip, receipt)
    dock.end()


# ---- Lies


def never_stored(dock, clip, tries=2):
    """No receipt, no manifest."""
    for _ in range(tries):
        try:
            receipt = dock.put(clip)
        except uplink.Refused as e:
            assert e.name == "Unavailable", f"{e.name}: {e.text}"
        else:
            raise AssertionError(f"a receipt for what is not there: {vars(receipt)}")
        dock.wait(lambda: dock.state()[0] == "ready", "the store to be looked at again")
    assert not [key for key in dock.keys("manifests") if clip.path.replace("/", "~~") in key], "a manifest of what is not there"


def test_store_that_pretends_to_store_gets_no_receipt():
    dock = world.dock(stall=SHORT_STALL).start()
    for size, phase in [(SMALL, "object"), (SMALL, "manifest"), (LARGE, "part"), (LARGE, "complete"), (LARGE, "manifest")]:
        clip = dock.clip(size)
        world.proxy.reset({"phase": phase, "action": "pretend", "times": None})
        never_stored(dock, clip)
        world.proxy.reset()
        dock.judge(clip, dock.put_until_stored(clip)[0])
    dock.end()


def test_part_that_is_missing_from_the_list_is_never_completed():
    def forget_first(status, headers, body):
        head, _, rest = body.partition(b"<Part>")
        return status, headers, head + rest.partition(b"</Part>")[2]

    dock = world.dock(stall=SHORT_STALL).start()
    clip = dock.clip(LARGE)
    world.proxy.reset({"phase": "list", "action": "answer", "change": forget_first, "times": None})
    never_stored(dock, clip)
    assert world.proxy.count("complete") == 0, "it was completed all the same"
    world.proxy.reset()
    dock.judge(clip, dock.put_until_stored(clip)[0])
    dock.end()


def change_headers(**wanted):
    def change(status, headers, body):
        kept = {name: value for name, value in headers.items() if name.lower() not in {n.replace("_", "-") for n in wanted}}
        return status, {**kept, **{name.replace("_", "-"): value for name, value in wanted.items()}}, body
    return change


def test_truncated_object_gets_no_receipt():
    dock = world.dock(stall=SHORT_STALL).start()
    for size in [SMALL, LARGE]:
        clip = dock.clip(size)
        world.proxy.reset({"phase": "head", "action": "answer", "change": change_headers(content_length=str(size - 1)), "times": None})
        never_stored(dock, clip, tries=1)
    world.proxy.reset()
    dock.end()


def test_mark_that_does_not_fit_makes_it_be_read_back():
    dock = world.dock(stall=SHORT_STALL).start()
    for size, phase in [(SMALL, "object"), (SMALL, "head"), (LARGE, "head")]:
        clip = dock.clip(size)
        world.proxy.reset({"phase": phase, "action": "answer", "change": change_headers(etag='"0123456789abcdef0123456789abcdef"')})
        receipt = dock.put(clip)
        assert world.proxy.count("read") == 1, f"{phase}: the store's word was taken"
        dock.judge(clip, receipt)
    dock.end()


def test_object_of_other_bytes_is_found_when_it_is_read_back():
    def other(status, headers, body):
        return status, headers, body[:-1] + bytes([body[-1] ^ 1])

    dock = world.dock(stall=SHORT_STALL, read_back="yes").start()
    for size in [SMALL, LARGE]:
        clip = dock.clip(size)
        world.proxy.reset({"phase": "read", "action": "answer", "change": other, "times": None})
        never_stored(dock, clip, tries=1)
        # Not under the key that is spoilt.
        world.proxy.reset()
        receipt, _ = dock.put_until_stored(clip)
        dock.judge(clip, receipt, objects=2)
    dock.end()


def test_store_that_checks_nothing_gives_receipts_of_size_only():
    """Until what it has is read back."""
    for read_back, strength in [("no", "size"), ("yes", "digest")]:
        world.proxy.reset({"phase": "probe", "where": "wrong-", "action": "pretend", "times": None})
        dock = world.dock(stall=SHORT_STALL, read_back=read_back).start()
        for size in [SMALL, LARGE]:
            clip = dock.clip(size)
            receipt = dock.put(clip)
            dock.judge(clip, receipt, strength=strength)
            assert dock.confirm(clip, receipt) == strength
        sent = [headers for phase, headers in world.proxy.seen if phase in ("part", "object")]
        assert all("content-md5" in headers for headers in sent), "the weaker check was not asked for"
        dock.end()


if __name__ == "__main__":
    tap.main()
