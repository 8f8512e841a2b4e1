#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Faults of every kind in every step of a put, between the uplink and a real @tus/server: it always ends with exactly one right object
and a right receipt. And servers that lie: never a receipt that says more than is true."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from store_dock import SHORT_STALL  # noqa: E402
from store_late import STALL, late_answers_are_waited_for  # noqa: E402
from tus_world import MIB, World, tap, uplink  # noqa: E402

world = World()
SMALL, LARGE = MIB // 2, 3 * MIB
STEPS = {SMALL: ["create", "head", "manifest-create", "manifest-patch", "manifest-head"],
         LARGE: ["create", "patch", "head", "manifest-create", "manifest-patch", "manifest-head"]}
WITH_BODY = {(SMALL, "create"), (LARGE, "patch"), (SMALL, "manifest-patch"), (LARGE, "manifest-patch")}
# What a lost answer to these made is not found again: the server lists nothing.
CREATIONS = {"create", "manifest-create"}


def faults(size, phase):
    yield "503", {"action": "status", "status": 503}
    yield "500", {"action": "status", "status": 500}
    yield "429", {"action": "status", "status": 429, "headers": {"Retry-After": "1"}}
    yield "403", {"action": "status", "status": 403}
    yield "401 for as long as the token is read again", {"action": "status", "status": 401}
    yield "423", {"action": "status", "status": 423}
    yield "409", {"action": "status", "status": 409}
    yield "garbage", {"action": "status", "status": 502, "headers": {"Content-Type": "text/html"}}
    yield "reset", {"action": "reset"}
    yield "lost answer", {"action": "lost"}
    yield "three in a row", {"action": "status", "status": 503, "times": 3}
    if phase.endswith("patch") or phase.endswith("head"):
        yield "404", {"action": "status", "status": 404}
        yield "410", {"action": "status", "status": 410}
    if phase.endswith("patch"):
        yield "460", {"action": "status", "status": 460}
    if (size, phase) in WITH_BODY:
        yield "reset amid the body", {"action": "reset", "after": 100}
    if phase in ("create", "patch", "manifest-patch"):
        yield "no answer", {"action": "mute"}


def told(size, phase, name, proxy, error):
    return f"{size} {phase}, {name}: {error}; {[entry[:2] + entry[3:] for entry in proxy.log]}"


def try_one(name, rule, docks):
    """The same fault in all steps at once, each with a dock and a proxy of its own."""
    wrong, puts = [], []
    for (size, phase), (dock, proxy) in docks.items():
        proxy.reset({"phase": phase, **rule})
        clip = dock.clip(size)
        puts.append((size, phase, dock, proxy, clip, dock.begin_put(clip)))
    for size, phase, dock, proxy, clip, call in puts:
        try:
            try:
                receipt = uplink.Receipt(dock.finish(call))
            except uplink.Refused as e:
                assert e.name in ("Unavailable", "Busy"), f"{e.name}: {e.text}"
                dock.wait(lambda dock=dock: dock.state()[0] == "ready", "the store to be ready again")
                receipt, _ = dock.put_until_stored(clip)
            assert proxy.rules[0].get("times", 1) == 0, "the fault did not happen"
            # A 404 is believed: what was there before it stays, unfinished or whole.
            gone = name in ("404", "410")
            lost = phase in CREATIONS and rule["action"] in ("lost", "mute", "reset")
            dock.judge(clip, receipt, strays=1 if lost or gone else 0, copies=1 if gone and phase == "manifest-head" else 0)
        except AssertionError as e:
            wrong.append(told(size, phase, name, proxy, e))
            proxy.reset()
            dock.wait(lambda dock=dock: dock.state()[0] == "ready", "the store to be ready")
        os.unlink(clip.file)
    return wrong


def dock_for_each_step(stall):
    docks = {}
    for size, steps in STEPS.items():
        for phase in steps:
            proxy = world.proxy_of(world.store)
            docks[size, phase] = world.dock(proxy=proxy, stall=stall).start(), proxy
    return docks


def test_clip_is_stored_once_whatever_fails():
    docks, wrong = dock_for_each_step(SHORT_STALL), []
    rules = {name: rule for step in docks for name, rule in faults(*step)}
    for name, rule in rules.items():
        wrong += try_one(name, rule, {step: dock for step, dock in docks.items() if name in dict(faults(*step))})
    for dock, _ in docks.values():
        dock.end()
    assert not wrong, "\n".join(wrong)


def test_late_answers_are_waited_for_in_every_step():
    late_answers_are_waited_for(dock_for_each_step(STALL))


def test_corrupted_piece_is_refused_and_sent_again():
    store = world.server(checksum="yes")
    proxy = world.proxy_of(store)
    dock = world.dock(store=store, proxy=proxy).start()

    for rule in [{"action": "corrupt"}, {"action": "lost"}, {"action": "reset", "after": 100}]:
        for phase in ["patch", "manifest-patch"]:
            clip = dock.clip(LARGE)
            proxy.reset({"phase": phase, **rule})
            dock.judge(clip, dock.put(clip), strength="digest")
    clip = dock.clip(LARGE)
    proxy.reset({"phase": "patch", "action": "corrupt", "times": None})
    try:
        dock.put(clip)
    except uplink.Refused as e:
        assert e.name == "Unavailable" and "what changes them on the way" in e.text, f"{e.name}: {e.text}"
    else:
        raise AssertionError("it was stored")
    proxy.reset()
    dock.judge(clip, dock.put_until_stored(clip)[0], strength="digest")
    dock.end()


def test_corruption_that_nobody_checks_is_found_by_reading_back():
    dock = world.dock(stall=SHORT_STALL, read_back="yes").start()
    clip = dock.clip(LARGE)
    world.proxy.reset({"phase": "patch", "action": "corrupt"})
    try:
        dock.put(clip)
    except uplink.Refused as e:
        assert e.name == "Unavailable" and "gives other bytes back" in e.text, f"{e.name}: {e.text}"
    else:
        raise AssertionError("it was stored")
    assert world.proxy.count("terminate") == 1 and world.proxy.count("manifest-create") == 0
    dock.judge(clip, dock.put_until_stored(clip)[0], strength="digest")
    dock.end()


def test_passing_faults_are_not_even_told():
    dock = world.dock().start()
    clip = dock.clip(9 * MIB)
    world.proxy.reset({"phase": "options", "action": "reset"}, {"phase": "create", "action": "status", "status": 503},
                      {"phase": "patch", "action": "status", "status": 423}, {"phase": "patch", "action": "reset", "after": MIB},
                      {"phase": "patch", "action": "lost"}, {"phase": "patch", "action": "delay", "seconds": 1},
                      {"phase": "head", "action": "reset"}, {"phase": "manifest-patch", "action": "lost"})
    dock.judge(clip, dock.put(clip))
    assert dock.states == [] and world.proxy.count("create") == 2
    dock.end()


def test_stall_is_noticed_by_our_own_watch():
    dock = world.dock(stall=SHORT_STALL).start()
    clip = dock.clip(LARGE)
    world.proxy.reset({"phase": "patch", "action": "stall", "after": MIB})
    dock.judge(clip, dock.put_until_stored(clip)[0])
    assert world.proxy.count("patch") >= 3 and world.proxy.count("create") == 1
    dock.end()


def test_lost_answer_costs_no_second_sending():
    dock = world.dock().start()
    clip = dock.clip(9 * MIB)
    world.proxy.reset({"phase": "patch", "action": "lost"}, {"phase": "patch", "action": "lost"})
    dock.judge(clip, dock.put(clip))
    assert world.proxy.body_bytes["patch"] == clip.size, "it was sent again"
    dock.end()


def test_retry_after_is_kept():
    dock = world.dock().start()
    clip, other = dock.clip(LARGE), dock.clip(LARGE)
    world.proxy.reset({"phase": "patch", "action": "status", "status": 503, "headers": {"Retry-After": "2"}})
    began = uplink.time.monotonic()
    dock.judge(clip, dock.put(clip))
    assert uplink.time.monotonic() - began >= 2
    # Longer than we wait amid a transfer: whoever brought the clip comes again.
    world.proxy.reset({"phase": "patch", "action": "status", "status": 503, "headers": {"Retry-After": "3600"}, "times": None})
    try:
        dock.put(other)
    except uplink.Refused as e:
        assert e.name == "Busy", f"{e.name}: {e.text}"
    else:
        raise AssertionError("it was stored")
    assert world.proxy.count("patch") == 1 and dock.state()[0] == "ready"
    world.proxy.reset()
    dock.end()


def test_outage_loses_nothing():
    dock = world.dock(stall=SHORT_STALL).start()
    clips = [dock.clip(LARGE), dock.clip(SMALL)]
    world.proxy.reset({"phase": "patch", "action": "mute"}, {"phase": "create", "where": "none", "action": "mute"})
    first = dock.begin_put(clips[0])
    dock.wait(lambda: world.proxy.muted == 1, "a clip to be on its way")
    world.proxy.rules = [{"phase": phase, "action": "reset", "times": None} for phase in
                         ["options", "sample", "create", "patch", "head", "manifest-create", "manifest-patch", "manifest-head"]]
    for call in [first, dock.begin_put(clips[1])]:
        try:
            receipt = dock.finish(call)
        except uplink.Refused as e:
            assert e.name == "Unavailable", e.text
        else:
            raise AssertionError(f"a receipt amid the outage: {receipt}")
    dock.wait(lambda: dock.state()[0] == "error", "the outage to be told")
    assert dock.records(), "what is under way was forgotten"
    world.proxy.rules = []
    dock.wait(lambda: dock.state()[0] == "ready", "the store to be back")
    receipts = [dock.put_until_stored(clip)[0] for clip in clips]
    for clip, receipt in zip(clips, receipts):
        dock.judge(clip, receipt)
    dock.end()


# ---- Lies


def answer(status, **headers):
    """An answer that the server never gave; `offset` is of what was sent."""
    def invent(asked):
        end = int(asked.get("upload-offset", 0)) + int(asked.get("content-length", 0))
        said = {"Tus-Resumable": "1.0.0", **{name.replace("_", "-").title(): str(value(end) if callable(value) else value)
                                            for name, value in headers.items()}}
        return status, said, b""
    return {"action": "invent", "invent": invent, "times": None}


def change_head(**wanted):
    def change(status, headers, body):
        kept = {name: value for name, value in headers.items() if name.lower() not in {n.replace("_", "-") for n in wanted}}
        return status, {**kept, **{n.replace("_", "-").title(): str(value) for n, value in wanted.items() if value is not None}}, body
    return {"action": "answer", "change": change, "times": None}


def test_server_that_lies_about_what_it_has_gets_no_receipt():
    dock = world.dock(stall=SHORT_STALL).start()
    lies = [("it took it, and did not", "patch", answer(204, upload_offset=lambda end: end)),
            ("200 without a word", "patch", answer(200)),
            ("more than was sent", "patch", answer(204, upload_offset=lambda end: end + 1)),
            ("less than was sent", "patch", answer(204, upload_offset=lambda end: end - 1)),
            ("nonsense", "patch", answer(204, upload_offset=lambda end: -1)),
            ("more than there is", "head", change_head(upload_offset=LARGE + 1)),
            ("less than there is", "head", change_head(upload_offset=LARGE - 1)),
            ("no offset", "head", change_head(upload_offset=None)),
            ("another length", "head", change_head(upload_length=LARGE - 1)),
            ("another upload", "head", change_head(upload_metadata="sha256 " + "YWJj")),
            ("a manifest that is none", "manifest-patch", answer(204, upload_offset=lambda end: end)),
            ("a manifest of another length", "manifest-head", change_head(upload_length=7, upload_offset=7)),
            ("no place", "create", change_head(location=None)),
            ("201 and nothing made", "create", answer(201, location="/files/0123456789abcdef0123456789abcdef"))]
    wrong = []
    for name, phase, rule in lies:
        clip = dock.clip(LARGE)
        world.proxy.reset({"phase": phase, **rule})
        try:
            receipt = dock.put(clip)
        except uplink.Refused as e:
            if e.name != "Unavailable":
                wrong.append(f"{name}: {e.name}: {e.text}")
        else:
            wrong.append(f"{name}: a receipt: {vars(receipt)}")
        if phase != "manifest-head" and any(dock.stored(clip)[1].values()):
            wrong.append(f"{name}: a manifest of what is not there")
        world.proxy.reset()
        try:
            dock.wait(lambda: dock.state()[0] == "ready", "the store to be looked at again")
            dock.judge(clip, dock.put_until_stored(clip)[0], strays=3, copies=2 if phase == "manifest-head" else 0)
        except AssertionError as e:
            wrong.append(f"{name}, afterwards: {e}")
    dock.end()
    assert not wrong, "\n".join(wrong)


def test_server_that_gives_other_bytes_back_gets_no_receipt():
    def other(status, headers, body):
        return status, headers, body[:-1] + bytes([body[-1] ^ 1])

    dock = world.dock(stall=SHORT_STALL, read_back="yes").start()
    clip = dock.clip(LARGE)
    world.proxy.reset({"phase": "read", "action": "answer", "change": other})
    try:
        dock.put(clip)
    except uplink.Refused as e:
        assert "gives other bytes back" in e.text, e.text
    else:
        raise AssertionError("a receipt")
    world.proxy.reset()
    dock.judge(clip, dock.put_until_stored(clip)[0], strength="digest")
    dock.end()


def test_server_that_lost_what_it_had_gets_it_again():
    """It crashed before all of it was on its disk."""
    dock = world.dock().start()
    clip = dock.clip(9 * MIB)

    def lose(status, headers, body):
        key = next(key for key, told in dock.all_metadata().items() if told.get("sha256") == clip.sha256)
        if world.store.uploads()[key] == 6 * MIB:
            os.truncate(os.path.join(world.store.folder, os.path.basename(key)), 3 * MIB)
        return status, headers, body

    world.proxy.reset({"phase": "patch", "action": "answer", "change": lose, "times": 3})
    dock.judge(clip, dock.put(clip))
    assert world.proxy.body_bytes["patch"] >= clip.size + 3 * MIB
    dock.end()


def test_slow_link_is_no_stall():
    slow = world.proxy_of(world.store, receive_buffer=32768)
    dock = world.dock(stall="6s", proxy=slow).start()
    clip = dock.clip(2 * MIB)
    slow.bandwidth = MIB // 6
    dock.judge(clip, dock.put(clip))
    assert slow.count("patch") == 1, "it was given up although it moved"
    assert dock.progress and all(sent <= clip.size for _, sent in dock.progress)
    dock.end()


if __name__ == "__main__":
    tap.main()
