#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Uploads that go on: after SIGKILL, with another token, at another address, and after the server forgot them. The proxy counts what is
sent again."""

import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from tus_world import MIB, World, tap, uplink  # noqa: E402

world = World()
PIECE = 2 * MIB
SIZE = 11 * MIB


def kill_at(dock, proxy, clips, sent):
    """SIGKILL when so many bytes of clips have come to the proxy."""
    proxy.reset()
    proxy.stop_at("patch", sent)
    for clip in clips:
        dock.begin_put(clip)
    dock.wait(lambda: proxy.body_bytes["patch"] >= sent, "some of it to be sent")
    dock.end(signal.SIGKILL)
    take_what_came(dock, proxy)


def take_what_came(dock, proxy):
    proxy.go_on()
    dock.wait(lambda: not proxy.taking, "what was on its way to have come")


def again(proxy, clips):
    """Bytes that were sent beyond those that the clips have."""
    return proxy.body_bytes["patch"] - sum(clip.size for clip in clips)


def upload_of(dock, clip):
    """The key and the file of the one upload that there is of it."""
    found = [key for key, told in dock.all_metadata().items() if told.get("sha256") == clip.sha256 and "object" not in told]
    assert len(found) == 1, found
    return found[0], os.path.join(dock.store.folder, os.path.basename(found[0]))


def test_kill_costs_the_piece_under_way_at_most():
    for fraction in [0.1, 0.5, 0.9]:
        dock = world.dock().start()
        clip = dock.clip(SIZE)
        kill_at(dock, world.proxy, [clip], int(clip.size * fraction))
        dock.start()
        receipt = dock.put_until_stored(clip)[0]
        assert 0 <= again(world.proxy, [clip]) <= PIECE, f"{again(world.proxy, [clip])} bytes were sent again"
        assert world.proxy.count("create") == 1, "it began anew"
        dock.judge(clip, receipt)
        dock.end()


def test_kill_costs_one_piece_of_each_transfer_at_most():
    dock = world.dock(transfers="3").start()
    clips = [dock.clip(7 * MIB) for _ in range(3)]
    kill_at(dock, world.proxy, clips, 11 * MIB)
    dock.start()
    receipts = [uplink.Receipt(dock.finish(call)) for call in [dock.begin_put(clip) for clip in clips]]
    assert again(world.proxy, clips) <= 3 * PIECE, f"{again(world.proxy, clips)} bytes were sent again"
    for clip, receipt in zip(clips, receipts):
        dock.judge(clip, receipt)
    dock.end()


def test_kills_in_any_step_leave_one_right_object():
    """The answer to each step is held back, and the uplink killed meanwhile."""
    dock = world.dock(stall="60s").start()
    for size, phases in [(3 * MIB, ["create", "patch", "head", "manifest-create", "manifest-patch", "manifest-head"]), (1000, ["create"])]:
        for phase in phases:
            clip = dock.clip(size)
            world.proxy.reset({"phase": phase, "action": "mute"})
            dock.begin_put(clip)
            dock.wait(lambda: world.proxy.muted > 0, f"the server to have done {phase}")
            dock.end(signal.SIGKILL)
            world.proxy.reset()
            dock.start()
            dock.judge(clip, dock.put_until_stored(clip)[0], strays=1 if phase.endswith("create") else 0)
            if not phase.endswith("create"):
                assert world.proxy.count("create") == 0
    dock.end()


def test_kill_after_the_last_step_costs_no_second_sending():
    """The receipt was on its way to the daemon, which asks again."""
    dock = world.dock().start()
    clip = dock.clip(3 * MIB)
    receipt = dock.put(clip)
    dock.end(signal.SIGKILL)
    world.proxy.reset()
    dock.start()
    second = dock.put(clip)
    assert second.already_there and vars(second) == {**vars(receipt), "already_there": True}, (vars(receipt), vars(second))
    assert world.proxy.count("create") == 0 and world.proxy.body_bytes["patch"] == 0
    dock.judge(clip, second)
    dock.end()


def test_pause_costs_the_piece_under_way_at_most():
    dock = world.dock().start()
    clip = dock.clip(SIZE)
    world.proxy.reset()
    world.proxy.stop_at("patch", 3 * MIB)
    call = dock.begin_put(clip)
    dock.wait(lambda: world.sent() >= 3 * MIB, "some of it to be sent")
    dock.finish(dock.begin("Hold", uplink.GLib.Variant("(b)", (True,))))
    try:
        dock.finish(call)
    except uplink.Refused as e:
        assert e.name == "Stopped", f"{e.name}: {e.text}"
    else:
        raise AssertionError("it went on to its end")
    take_what_came(dock, world.proxy)
    dock.finish(dock.begin("Hold", uplink.GLib.Variant("(b)", (False,))))
    receipt = dock.put_until_stored(clip)[0]
    assert 0 <= again(world.proxy, [clip]) <= PIECE and world.proxy.count("create") == 1
    dock.judge(clip, receipt)
    dock.end()


def test_upload_goes_on_with_another_token_at_another_address():
    with open(os.path.join(world.folder, "tokens"), "w", encoding="ascii") as f:
        f.write("first\n")
    store = world.server(token=f.name)
    proxy, other = world.proxy_of(store), world.proxy_of(store)
    dock = world.dock(store=store, proxy=proxy, token="first").start()
    clip = dock.clip(SIZE)
    kill_at(dock, proxy, [clip], SIZE // 2)
    sent = proxy.body_bytes["patch"]
    with open(f.name, "w", encoding="ascii") as f:
        f.write("second\n")
    dock.origin = other.endpoint
    dock.write_token("second")
    other.reset()
    dock.start()
    receipt = dock.put_until_stored(clip)[0]
    assert sent + other.body_bytes["patch"] <= clip.size + PIECE and other.count("create") == 0
    dock.judge(clip, receipt, arguments=["-H", "Authorization: Bearer second"])
    dock.end()


def expire(file):
    """Makes it as old as the server lets nothing become."""
    with open(file + ".json", encoding="utf-8") as f:
        told = json.load(f)
    told["creation_date"] = "2020-01-01T00:00:00.000Z"
    with open(file + ".json", "w", encoding="utf-8") as f:
        json.dump(told, f)


def test_upload_that_expired_begins_anew():
    store = world.server(expire=3600000)
    proxy = world.proxy_of(store)
    dock = world.dock(store=store, proxy=proxy).start()
    # Killed, and amid the clip without a kill.
    clip, other = dock.clip(SIZE), dock.clip(SIZE)
    kill_at(dock, proxy, [clip], SIZE // 2)
    assert any(line.get("expires", 0) > time.time() for line in dock.records()[0]), "Upload-Expires is not known"
    key, file = upload_of(dock, clip)
    expire(file)
    assert store.curl(key, "-I", "-H", "Tus-Resumable: 1.0.0")[1] == 410
    proxy.reset()
    dock.start()
    receipt = dock.put_until_stored(clip)[0]
    assert proxy.count("create") == 1 and proxy.body_bytes["patch"] == clip.size
    dock.judge(clip, receipt, strays=1)
    proxy.reset()

    def old(phase, total):
        if phase == "patch" and total >= 5 * MIB:
            proxy.on_body = None
            expire(upload_of(dock, other)[1])

    proxy.on_body = old
    receipt = dock.put_until_stored(other)[0]
    assert proxy.count("create") == 2
    dock.judge(other, receipt, strays=1)
    dock.end()


def test_server_that_forbids_what_expired_is_understood():
    """Not every one tells that there was such an upload."""
    store = world.server(expire=3600000)
    proxy = world.proxy_of(store)
    dock = world.dock(store=store, proxy=proxy).start()
    clip = dock.clip(SIZE)
    kill_at(dock, proxy, [clip], SIZE // 2)
    proxy.reset({"phase": "head", "action": "status", "status": 403})
    dock.start()
    receipt, refusals = dock.put_until_stored(clip)
    assert len(refusals) == 1 and "does not allow" in refusals[0] and proxy.count("create") == 0, "it is not expired yet"
    dock.judge(clip, receipt)
    clip = dock.clip(SIZE)
    kill_at(dock, proxy, [clip], SIZE // 2)
    folder = dock.path("state/tus")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        for line in lines:
            line.update({"expires": 1} if "expires" in line else {})
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(line) + "\n" for line in lines)
    proxy.reset({"phase": "head", "action": "status", "status": 403})
    dock.start()
    receipt, refusals = dock.put_until_stored(clip)
    assert refusals == [] and proxy.count("create") == 1
    dock.judge(clip, receipt, strays=1)
    dock.end()


def test_checksums_go_on_after_a_kill():
    store = world.server(checksum="yes")
    proxy = world.proxy_of(store)
    for fraction in [0.3, 0.7]:
        dock = world.dock(store=store, proxy=proxy).start()
        clip = dock.clip(SIZE)
        kill_at(dock, proxy, [clip], int(SIZE * fraction))
        dock.start()
        receipt = dock.put_until_stored(clip)[0]
        assert 0 <= again(proxy, [clip]) <= PIECE, f"{again(proxy, [clip])} bytes were sent again"
        dock.judge(clip, receipt, strength="digest")
        dock.end()


def test_half_a_piece_that_nobody_checked_makes_it_a_size():
    """A server that keeps what it got of a piece before it knew whether the digest is right."""
    store = world.server(checksum="yes")
    proxy = world.proxy_of(store)
    for more, strength in [(MIB // 2, "size"), (PIECE, "digest")]:
        dock = world.dock(store=store, proxy=proxy).start()
        clip = dock.clip(SIZE)
        kill_at(dock, proxy, [clip], SIZE // 2)
        checked = max(line.get("checked", 0) for line in dock.records()[0])
        _, file = upload_of(dock, clip)
        with open(clip.file, "rb") as source, open(file, "wb") as f:
            f.write(source.read(checked + more))
        dock.start()
        dock.judge(clip, dock.put_until_stored(clip)[0], strength=strength)
        dock.end()


def test_what_a_crash_tore_off_our_record_costs_nothing():
    dock = world.dock().start()
    clip = dock.clip(SIZE)
    kill_at(dock, world.proxy, [clip], SIZE // 2)
    folder = dock.path("state/tus")
    record = next(name for name in os.listdir(folder) if len(name) == 32)
    with open(os.path.join(folder, record), "a", encoding="ascii") as f:
        f.write('{"upload": "/files/tor')
    dock.start()
    dock.judge(clip, dock.put_until_stored(clip)[0])
    assert world.proxy.count("create") == 1
    dock.end()


def test_record_that_is_none_begins_anew():
    dock = world.dock().start()
    clip = dock.clip(5 * MIB)
    kill_at(dock, world.proxy, [clip], 3 * MIB)
    folder = dock.path("state/tus")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            f.write("rubbish\n")
    dock.start()
    dock.judge(clip, dock.put_until_stored(clip)[0], strays=1)
    dock.end()


def test_what_nobody_goes_on_with_is_terminated():
    dock = world.dock().start()
    clip, done = dock.clip(SIZE), dock.clip(1000)
    receipt = dock.put(done)
    kill_at(dock, world.proxy, [clip], SIZE // 2)
    folder = dock.path("state/tus")
    for name in os.listdir(folder):
        os.utime(os.path.join(folder, name), (time.time() - 8 * 86400,) * 2)
    key, _ = upload_of(dock, clip)
    dock.start(wait=None)
    dock.wait(lambda: key not in world.store.uploads(), "it to be terminated")
    dock.wait(lambda: not dock.records(), "our record of it to go")
    assert dock.put(done).already_there and receipt.object in world.store.uploads(), "what counts was terminated"
    dock.judge(clip, dock.put_until_stored(clip)[0])
    dock.end()


if __name__ == "__main__":
    tap.main()
