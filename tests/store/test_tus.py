#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The tus backend and a real @tus/server: what is stored, what a receipt says, and what is refused with which sentence."""

import hashlib
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from tus_world import MIB, World, tap, uplink  # noqa: E402

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
    # Nothing, one byte, with its creation, one piece exactly, one byte more, many pieces.
    for size in [0, 1, MIB, 2 * MIB, 2 * MIB + 1, 9 * MIB]:
        clip = dock.clip(size)
        receipt = dock.put(clip)
        assert not receipt.already_there
        dock.judge(clip, receipt)
        assert dock.confirm(clip, receipt) == "size"
        created, sent = world.proxy.count("create"), sum(world.proxy.body_bytes.values())
        again = dock.put(clip)
        assert again.already_there and (again.object, again.manifest) == (receipt.object, receipt.manifest)
        assert (world.proxy.count("create"), sum(world.proxy.body_bytes.values())) == (created, sent), "it was sent again"
    assert world.proxy.count("create") == 6
    dock.end()


def test_manifest_and_metadata_tell_what_it_is():
    """As docs/store-layout.md says, for somebody who has never heard of Berth."""
    dock = world.dock().start()
    clip = dock.clip(3 * MIB, path="DCIM/100 @/a, b é.MP4")
    receipt = dock.put(clip)
    with open(dock.path("verify"), "w", encoding="ascii") as f:
        manifest = json.loads(dock.get(receipt.manifest))
        assert (manifest["serial"], manifest["path"], manifest["facts"]) == (uplink.SERIAL, clip.path, {"dock": "test"}), manifest
        f.write(f"{manifest['sha256']}  {dock.path('download')}\n")
    subprocess.run(["curl", "-s", "-S", "-f", "-o", dock.path("download"), world.store.origin + manifest["object"]], check=True)
    subprocess.run(["sha256sum", "--check", "--quiet", dock.path("verify")], check=True)
    # On the server's side, as the page says, all that it has of this clip and of others.
    there = subprocess.run(["bash", "-o", "pipefail", "-c", """
        for m in *.json; do jq -r 'select(.metadata.object) | .id' "$m"; done |
            xargs jq -r '"\\(.sha256)  \\(.object | split("/") | last)"' | sha256sum --check"""],
                           cwd=world.store.folder, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert f"{os.path.basename(receipt.object)}: OK" in there, there
    told = dock.metadata(receipt.object)
    assert told["name"].startswith(f"objects/{uplink.SERIAL}/2023-11-14/") and told["path"] == clip.path and told["camera"] == uplink.SERIAL
    assert (told["sha256"], told["filename"]) == (clip.sha256, "a~2C~20b~20~C3~A9.MP4")
    told = dock.metadata(receipt.manifest)
    assert told["name"] == manifest["manifest"] and told["object"] == receipt.object and told["clip_sha256"] == clip.sha256
    assert told["sha256"] == hashlib.sha256(dock.get(receipt.manifest)).hexdigest() and told["strength"] == "size"
    dock.end()


def test_read_back_makes_it_a_digest():
    world.proxy.reset()
    dock = world.dock(read_back="yes").start()
    for size in [1000, 5 * MIB]:
        clip = dock.clip(size)
        receipt = dock.put(clip)
        dock.judge(clip, receipt, strength="digest")
        assert json.loads(dock.get(receipt.manifest))["read_back"] is True
        assert dock.confirm(clip, receipt) == "digest"
    assert world.proxy.count("read") == 2
    dock.end()


def test_server_that_cannot_vouch_for_digests_is_told_of():
    for store, settings, weak in [(world.store, {}, True), (world.store, {"read_back": "yes"}, False),
                                  (world.server(checksum="yes"), {}, False)]:
        dock = world.dock(store=store, **settings).start()
        assert ("cannot vouch for digests" in dock.state()[1]) == weak, dock.state()
        dock.end()


def test_confirm_reads_back_what_was_not():
    dock = world.dock().start()
    clip = dock.clip(5 * MIB)
    receipt = dock.put(clip)
    assert receipt.strength == "size" and dock.confirm(clip, receipt) == "size"
    dock.end()
    dock.settings["read_back"] = "yes"
    dock.configure("")
    dock.start()
    assert dock.confirm(clip, receipt) == "digest"
    with open(os.path.join(world.store.folder, os.path.basename(receipt.object)), "r+b") as f:
        f.write(b"x")
    assert "damaged" in refused_confirm(dock, clip, receipt, "Conflict")
    dock.end()


def refused_confirm(dock, clip, receipt, name):
    try:
        dock.confirm(clip, receipt)
    except uplink.Refused as e:
        assert e.name == name, f"{e.name}: {e.text}"
        return e.text
    raise AssertionError("it is confirmed")


def test_checksums_are_sent_where_they_are_checked():
    store = world.server(checksum="yes")
    proxy = world.proxy_of(store)
    dock = world.dock(store=store, proxy=proxy).start()
    proxy.reset()
    for size in [0, 1000, 9 * MIB]:
        clip = dock.clip(size)
        receipt = dock.put(clip)
        dock.judge(clip, receipt, strength="digest")
        assert json.loads(dock.get(receipt.manifest))["store_checked"] is True
        assert dock.confirm(clip, receipt) == "digest"
    pieces = [headers for phase, headers in proxy.seen if phase in ("patch", "manifest-patch")]
    assert len(pieces) == 1 + 5 + 3 and all(headers["upload-checksum"].startswith("sha256 ") for headers in pieces)
    dock.end()


def test_server_that_says_it_checks_and_does_not_is_found_out():
    """Only the sample tells: its wrong digest is taken."""
    def offer(status, headers, body):
        return status, {**headers, "Tus-Extension": headers["Tus-Extension"] + ",checksum", "Tus-Checksum-Algorithm": "sha256"}, body

    world.proxy.reset({"phase": "options", "action": "answer", "change": offer, "times": None})
    dock = world.dock().start()
    clip = dock.clip(3 * MIB)
    dock.judge(clip, dock.put(clip), strength="size")
    world.proxy.reset()
    dock.end()


def test_sample_goes_where_it_can_be_terminated():
    world.proxy.reset()
    before = set(world.store.uploads())
    dock = world.dock().start()
    assert world.proxy.count("sample") >= 4 and set(world.store.uploads()) == before, "a sample was left behind"
    dock.end()


def test_sample_is_made_once_where_nothing_can_be_terminated():
    store = world.server(without=["termination"])
    dock = world.dock(store=store, read_back="yes").start()
    clip = dock.clip(3 * MIB)
    dock.judge(clip, dock.put(clip), strength="digest")
    kept = set(store.uploads())
    dock.end()
    dock.start()
    assert set(store.uploads()) == kept, "another sample was made"
    dock.end()


def test_spool_file_with_other_bytes_is_never_whole_there():
    for store in [world.store, world.server(without=["termination"]), world.server(checksum="yes")]:
        dock = world.dock(store=store).start()
        for size in [1000, 5 * MIB]:
            clip = dock.clip(size)
            assert "was promised" in refused(dock, clip, "Source", sha256="ab" * 32)
            assert all(store.uploads()[key] < size for key, told in dock.all_metadata().items() if told.get("sha256") == "ab" * 32)
            if store is not world.store:
                continue
            assert not [key for key, told in dock.all_metadata().items() if told.get("sha256") == "ab" * 32], "it was not terminated"
        dock.end()


def test_what_is_removed_from_the_store_is_noticed_and_sent_again():
    dock = world.dock().start()
    clip, other = dock.clip(3 * MIB), dock.clip(1000)
    receipt, receipt_of_other = dock.put(clip), dock.put(other)
    world.store.curl(receipt.object, "-X", "DELETE", "-H", "Tus-Resumable: 1.0.0")
    world.store.curl(receipt_of_other.manifest, "-X", "DELETE", "-H", "Tus-Resumable: 1.0.0")
    assert "no more" in refused_confirm(dock, clip, receipt, "Gone")
    assert "no more" in refused_confirm(dock, other, receipt_of_other, "Gone")
    again = dock.put(clip)
    assert not again.already_there and again.object != receipt.object
    assert hashlib.sha256(dock.get(again.object)).hexdigest() == clip.sha256
    dock.end()


def test_damage_in_the_store_is_a_conflict():
    dock = world.dock().start()
    clip = dock.clip(3 * MIB)
    receipt = dock.put(clip)
    with open(os.path.join(world.store.folder, os.path.basename(receipt.object)), "ab") as f:
        f.truncate(MIB)
    for method in [lambda: dock.confirm(clip, receipt), lambda: dock.put(clip)]:
        try:
            method()
        except uplink.Refused as e:
            assert e.name == "Conflict" and "bytes" in e.text, f"{e.name}: {e.text}"
        else:
            raise AssertionError("damage was not noticed")
    # A receipt of one clip does not hold for another.
    first, second = dock.clip(1000), dock.clip(1000)
    receipts = [dock.put(first), dock.put(second)]
    assert "another object" in refused_confirm(dock, second, receipts[0], "Conflict")
    receipts[0].manifest = receipts[1].manifest
    assert "names something else" in refused_confirm(dock, first, receipts[0], "Conflict")
    for key in ["objects/a/b/c", "//evil.example/x", "/a b"]:
        receipts[1].object = key
        assert "no keys" in refused_confirm(dock, second, receipts[1], "Invalid")
    dock.end()


def test_relative_location_is_understood():
    dock = world.dock(store=world.server(relative="yes")).start()
    for size in [1000, 3 * MIB]:
        clip = dock.clip(size)
        dock.judge(clip, dock.put(clip))
    dock.end()


def elsewhere(to):
    def change(status, headers, body):
        return status, {**headers, "Location": to + headers["Location"].partition("/files")[2]}, body
    return change


def test_token_goes_nowhere_else():
    """Neither where a Location points to nor where a redirect does."""
    other = world.server()
    foreign = world.proxy_of(other)
    foreign.reset()
    with open(os.path.join(world.folder, "tokens"), "w", encoding="ascii") as f:
        f.write("the-docks-token\n")
    store = world.server(token=f.name)
    proxy = world.proxy_of(store)
    dock = world.dock(store=store, proxy=proxy, token="the-docks-token").start()
    clip = dock.clip(3 * MIB)
    for phase in ["create", "manifest-create"]:
        proxy.reset({"phase": phase, "action": "answer", "change": elsewhere(foreign.endpoint + "/files")})
        assert "is elsewhere" in refused(dock, clip, "Unavailable")
        dock.wait(lambda: dock.state()[0] == "ready", "the store to be ready")
    for phase in ["patch", "head", "create", "options"]:
        proxy.reset({"phase": phase, "action": "status", "status": 307, "headers": {"Location": foreign.endpoint + "/files/x"}})
        if phase == "options":
            dock.end()
            dock.start(wait="error")
            assert "sends elsewhere" in dock.state()[1], dock.state()
        else:
            assert "sends elsewhere" in refused(dock, dock.clip(3 * MIB), "Unavailable")
        dock.wait(lambda: dock.state()[0] == "ready", "the store to be ready")
    assert foreign.log == [], "it went there"
    dock.end()


def test_token_that_changes_is_taken_up_and_never_logged():
    os.environ["BERTH_LOG"] = "debug"
    tokens = os.path.join(world.folder, "rotated")

    def allow(*allowed):
        with open(tokens, "w", encoding="ascii") as f:
            f.write("".join(token + "\n" for token in allowed))

    allow("first-token")
    store = world.server(token=tokens)
    proxy = world.proxy_of(store)
    dock = world.dock(store=store, proxy=proxy, token="first-token").start()
    header = ["-H", "Authorization: Bearer second-token"]
    clip, other = dock.clip(5 * MIB), dock.clip(1000)

    # In the middle of a clip: the server knows only the new one from there on.
    def rotate(phase, total):
        if phase == "patch" and total >= 2 * MIB:
            allow("second-token")
            dock.write_token("second-token")

    proxy.reset()
    proxy.on_body = rotate
    receipt, _ = dock.put_until_stored(clip)
    proxy.on_body = None
    dock.judge(clip, receipt, arguments=header)
    assert proxy.count("create") == 1, "it began anew"
    allow("third-token")
    assert "renew it" in refused(dock, other, "Unavailable")
    assert dock.state()[0] == "read-only", dock.state()
    allow("second-token")
    dock.wait(lambda: dock.state()[0] == "ready", "the store to be tried again")
    dock.judge(other, dock.put_until_stored(other)[0], arguments=header)
    dock.end()
    del os.environ["BERTH_LOG"]
    with open(dock.path("uplink.log"), encoding="utf-8") as f:
        text = f.read()
    assert not any(token in text for token in ["first-token", "second-token", "Bearer"]), "a secret is in the log"


def test_what_is_wrong_with_access_is_said():
    tokens = os.path.join(world.folder, "allowed")
    with open(tokens, "w", encoding="ascii") as f:
        f.write("right\n")
    store = world.server(token=tokens)
    cases = [({}, "read-only", "does not take the token"), ({"token": "wrong"}, "read-only", "does not take the token"),
             ({"url": "http://127.0.0.1:9/files", "token": "right"}, "error", "does not answer")]
    for settings, state, text in cases:
        dock = world.dock(store=store, **settings).start(wait=state)
        assert text in dock.state()[1], dock.state()
        dock.end()
    world.proxy.reset({"phase": "options", "action": "status", "status": 404, "times": None})
    dock = world.dock().start(wait="missing")
    assert "set [store] url" in dock.state()[1], dock.state()
    dock.end()
    world.proxy.reset()
    dock = world.dock(store=store, token="right")
    for mode, content, text in [(0o644, "right\n", "can be read by others"), (0o600, "two words\n", "something else than one"),
                                (0o600, "\n", "is empty")]:
        with open(dock.token_file, "w", encoding="ascii") as f:
            f.write(content)
        os.chmod(dock.token_file, mode)
        dock.start(wait="error")
        assert text in dock.state()[1], dock.state()
        dock.end()


def test_server_that_is_none_is_refused():
    def no(**without):
        def change(status, headers, body):
            kept = {name: value for name, value in headers.items() if name not in without}
            return status, {**kept, **{name: value for name, value in without.items() if value}}, body
        return change

    for change, text in [(no(**{"Tus-Version": "0.2.2"}), "does not speak tus 1.0.0"),
                         (no(**{"Tus-Version": None}), "does not speak tus 1.0.0"),
                         (no(**{"Tus-Extension": "termination"}), "lets nobody create uploads"),
                         (no(**{"Tus-Max-Size": "lots"}), "no number")]:
        world.proxy.reset({"phase": "options", "action": "answer", "change": change, "times": None})
        dock = world.dock().start(wait="error")
        assert text in dock.state()[1], dock.state()
        dock.end()
    world.proxy.reset()


def test_read_back_from_a_server_that_gives_nothing_back_is_refused_at_the_start():
    world.proxy.reset({"phase": "sample", "where": "/files/", "method": "GET", "action": "status", "status": 404, "times": None})
    dock = world.dock(read_back="yes").start(wait="error")
    assert "read_back = no" in dock.state()[1], dock.state()
    world.proxy.reset()
    dock.wait(lambda: dock.state()[0] == "ready", "the store to be ready")
    dock.end()


def test_what_is_never_storable_is_not_tried_twice():
    dock = world.dock(store=world.server(max=4 * MIB)).start()
    large, small = dock.clip(5 * MIB), dock.clip(3 * MIB)
    assert "takes nothing larger" in refused(dock, large, "Invalid")
    dock.judge(small, dock.put(small))
    dock.end()
    dock = world.dock().start()
    clip = dock.clip(3 * MIB)
    for phase, status, text in [("create", 413, "too large"), ("create", 400, "refuses for good"), ("patch", 413, "too large"),
                                ("patch", 415, "refuses for good")]:
        world.proxy.reset({"phase": phase, "action": "status", "status": status, "times": None})
        assert text in refused(dock, clip, "Invalid")
        assert world.proxy.count(phase) == 1 and dock.state()[0] == "ready"
    world.proxy.reset()
    dock.judge(clip, dock.put(clip))
    dock.end()


def test_full_store_is_full():
    dock = world.dock().start()
    clip = dock.clip(3 * MIB)
    world.proxy.reset({"phase": "patch", "action": "status", "status": 507})
    assert "is full" in refused(dock, clip, "Full")
    dock.wait(lambda: dock.state()[0] == "ready", "the store to be tried again")
    dock.judge(clip, dock.put(clip))
    dock.end()


def test_verification_reads_all_of_it():
    dock = world.dock().start()
    clip = dock.clip(5 * MIB)
    receipt = dock.put(clip)
    world.proxy.reset()
    assert ask(dock, "Verify", "(sstay)", *confirmation(clip, receipt)) == "digest" and world.proxy.count("read") == 1
    with open(os.path.join(world.store.folder, os.path.basename(receipt.object)), "r+b") as f:
        f.write(b"x")
    assert dock.confirm(clip, receipt) == "size"
    assert "damaged" in refusal(dock, "Conflict", "Verify", "(sstay)", *confirmation(clip, receipt))
    dock.end()


def confirmation(clip, receipt):
    return receipt.object, receipt.manifest, clip.size, bytes.fromhex(clip.sha256)


def ask(dock, method, signature, *arguments):
    return dock.finish(dock.begin(method, uplink.GLib.Variant(signature, arguments)))[0]


def refusal(dock, name, method, signature, *arguments):
    try:
        ask(dock, method, signature, *arguments)
    except uplink.Refused as e:
        assert e.name == name, f"{e.name}: {e.text}"
        return e.text
    raise AssertionError("it was answered")


def test_small_texts_are_kept_once_and_found_again():
    for store, read_back in [(world.store, "no"), (world.store, "yes"), (world.server(checksum="yes"), "no")]:
        proxy = world.proxy_of(store)
        dock = world.dock(store=store, proxy=proxy, read_back=read_back).start()
        key, text = f"checkpoints/north-gate/{dock.path('x').count('/'):08}", f"signed by {dock.folder}\n"
        # The answer to each step is lost once.
        proxy.reset(*[{"phase": phase, "action": "lost"} for phase in ["text-patch", "text-head"]])
        assert ask(dock, "Keep", "(ss)", key, text) is False
        proxy.reset()
        assert ask(dock, "Keep", "(ss)", key, text) is True and proxy.count("text-create") == 0
        assert ask(dock, "Fetch", "(s)", key) == text
        assert "another text" in refusal(dock, "Conflict", "Keep", "(ss)", key, text + "more")
        assert "knows of" in refusal(dock, "Gone", "Fetch", "(s)", "checkpoints/north-gate/99999999")
        assert "no key" in refusal(dock, "Invalid", "Fetch", "(s)", "elsewhere/x")
        assert "no key" in refusal(dock, "Invalid", "Keep", "(ss)", "objects/a/b/c", text)
        found = [key for key, told in dock.all_metadata().items() if told.get("sha256") == hashlib.sha256(text.encode()).hexdigest()]
        assert len(found) == 1 and dock.get(found[0]).decode() == text
        # A manifest is fetched by the key that its receipt has.
        clip = dock.clip(1000)
        receipt = dock.put(clip)
        assert json.loads(ask(dock, "Fetch", "(s)", receipt.manifest))["object"] == receipt.object
        # A server that lets nothing be read is not one that has lost it.
        proxy.reset(*[{"phase": phase, "action": "status", "status": 404, "times": None} for phase in ["text-read", "manifest-read"]])
        for what in [key, receipt.manifest]:
            assert "does not let it be read" in refusal(dock, "Unavailable", "Fetch", "(s)", what)
        proxy.reset()
        store.curl(receipt.manifest, "-X", "DELETE", "-H", "Tus-Resumable: 1.0.0")
        assert "there is no" in refusal(dock, "Gone", "Fetch", "(s)", receipt.manifest)
        dock.end()


def test_memory_is_bounded_whatever_the_size():
    world.proxy.reset()
    dock = world.dock(store=world.store, part_size="16M").start()
    clip = dock.clip(300 * MIB)
    dock.judge(clip, dock.put(clip))
    with open(f"/proc/{dock.child.pid}/status", encoding="ascii") as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))
    assert uplink.BUILD.endswith("-asan") or peak < 64 * 1024, f"{peak} KiB"
    dock.end()


if __name__ == "__main__":
    tap.main()
