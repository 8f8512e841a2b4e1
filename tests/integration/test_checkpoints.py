#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The dock signs its custody log: checkpoints, where they lie, what an outage, a restart and another key do to them."""

import base64
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import rack  # noqa: E402

QUICK = "\n[custody]\ncheckpoint_every = 1s\n"


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, (args, done)
    return done


def statements(d):
    """The signed statements of the log, in order: (event, statement)."""
    return [(e, json.loads(e["statement"])) for e in d.events() if "statement" in e]


def checkpoints(d):
    return [s for _, s in statements(d) if s["type"] == "checkpoint"]


def openssl_verifies(folder, text, signature, key_hex):
    """By openssl alone."""
    with open(os.path.join(folder, "key.der"), "wb") as f:
        f.write(bytes.fromhex("302a300506032b6570032100" + key_hex))
    with open(os.path.join(folder, "message"), "wb") as f:
        f.write(f"berth-statement 1\n{text}\n".encode())
    with open(os.path.join(folder, "signature"), "wb") as f:
        f.write(base64.b64decode(signature))
    return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", f"{folder}/key.der", "-rawin", "-in",
                           f"{folder}/message", "-sigfile", f"{folder}/signature"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def stored(d):
    """Keys of what the dock kept in the store."""
    return d.objects("checkpoints") + d.objects("keys") + d.objects("receipts")


def start(dock, **config):
    d = dock(["1-1.1"], **config)
    d.write_config(QUICK)
    return d.start()


def test_each_checkpoint_is_signed_follows_the_one_before_and_lies_in_the_store(sim, dock):
    d = start(dock)
    sim("camera", name="A", type="ptp", serial="SN-A", clips=[rack.make_clip("DCIM/1.MP4", 1 << 20, 1)])
    sim("plug", camera="A", port="1-1.1")
    d.wait(lambda: d.events("erased"), "the main job")
    seen = len(d.events())
    d.wait(lambda: checkpoints(d) and checkpoints(d)[-1]["head_seq"] >= seen, "a checkpoint over all of that")
    made = d.events("key-made")
    assert len(made) == 1 and made[0]["dock_id"] == d.manager()["DockId"] and made[0]["public_key"] == d.manager()["DockKey"], made
    key = os.stat(os.path.join(d.state, "dock.key"))
    assert stat.S_IMODE(key.st_mode) == 0o600
    before, head = "0" * 64, 0
    hashes = {row[0]: bytes(row[1]).hex() for row in d.rows("SELECT seq, hash FROM custody")}
    for number, (event, s) in enumerate([(e, s) for e, s in statements(d) if s["type"] == "checkpoint"], 1):
        assert openssl_verifies(d.folder, event["statement"], event["signature"], made[0]["public_key"]), s
        assert not openssl_verifies(d.folder, event["statement"].replace("head_seq", "head_sep"), event["signature"], made[0]["public_key"])
        assert (s["seq"], s["prev"], s["from_seq"], s["head_seq"]) == (number, before, head + 1, event["seq"] - 1), s
        assert s["head_hash"] == event["prev"] and s["dock"] == made[0]["dock_id"] and s["fleet"] == "", s
        lines = "".join(f"{hashes[n]}  events/{n:010}.json\n" for n in range(s["from_seq"], s["head_seq"] + 1))
        assert s["segment"] == hashlib.sha256(lines.encode()).hexdigest(), s
        before, head = hashlib.sha256(event["statement"].encode()).hexdigest(), s["head_seq"]

        def there(s=s):
            return os.path.exists(os.path.join(d.store, s["key"]))

        d.wait(there, f"{s['key']} in the store")
        with open(os.path.join(d.store, s["key"]), encoding="utf-8") as f:
            assert f.read() == f"berth-statement 1\n{event['statement']}\n{event['signature']}\n"
    d.check_chain()


def test_what_a_manifest_names_is_signed_by_the_dock_and_a_stranger_verifies_it(sim, dock):
    d = dock(["1-1.1"]).start()
    sim("camera", name="A", type="ptp", serial="SN-A", clips=[rack.make_clip(f"DCIM/{n}.MP4", 1000 + n, n) for n in range(3)])
    sim("plug", camera="A", port="1-1.1")
    d.wait(lambda: len(d.objects("receipts")) == 3 and len(d.events("erased")) == 3, "three signed receipts in the store")
    key, manifests = d.manager()["DockKey"], set()
    for number, path in enumerate(sorted(d.objects("receipts")), 1):
        with open(os.path.join(d.store, path), encoding="utf-8") as f:
            magic, text, signature = f.read().splitlines()
        s = json.loads(text)
        assert magic == "berth-statement 1" and openssl_verifies(d.folder, text, signature, key), path
        assert not openssl_verifies(d.folder, text.replace('"size":1', '"size":2'), signature, key), path
        assert (s["type"], s["key"], s["dock"], s["seq"]) == ("manifest", path, d.manager()["DockId"], number), s
        with open(os.path.join(d.store, s["manifest"]), encoding="utf-8") as f:
            manifest = json.load(f)
        assert [s[name] for name in ("manifest", "object", "size", "sha256")] == \
            [manifest[name] for name in ("manifest", "object", "size", "sha256")], (s, manifest)
        with open(os.path.join(d.store, s["object"]), "rb") as f:
            assert hashlib.sha256(f.read()).hexdigest() == s["sha256"], s
        manifests.add(s["manifest"])
    assert manifests == set(d.objects("manifests")), manifests
    d.check_chain()


def test_last_checkpoint_is_made_at_the_end_and_stored_at_the_next_start(sim, dock):
    d = start(dock)
    d.write_config("")  # from the next start on: none for ten minutes
    d.daemon.end()
    events = d.events()
    assert [e["event"] for e in events[-2:]] == ["daemon-stopped", "checkpoint"], events[-2:]
    last = checkpoints(d)[-1]
    assert last["reason"] == "the daemon ends" and last["head_seq"] == events[-2]["seq"], last
    assert not os.path.exists(os.path.join(d.store, last["key"]))
    d.start_daemon()
    d.wait(lambda: os.path.exists(os.path.join(d.store, last["key"])), "it in the store")


def test_checkpoints_wait_out_an_outage(sim, dock):
    d = start(dock)
    d.wait(lambda: stored(d), "the first in the store")
    d.uplink.end()
    d.wait(lambda: d.manager()["StoreState"] == "disconnected", "the outage")
    for _ in range(3):
        ctl("custody", "checkpoint")
    newest = checkpoints(d)[-1]["key"]
    d.start_uplink()
    d.wait(lambda: set(s["key"] for _, s in statements(d)) <= set(stored(d)), "all of them in the store")
    assert newest in stored(d)
    d.wait(lambda: not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'"), "that on record")


def test_order_for_a_checkpoint_names_who_gave_it_and_is_for_root(sim, dock):
    d = dock(["1-1.1"]).start()
    os.chmod(d.folder, 0o755)
    ctl("custody", "checkpoint")
    last = d.events("checkpoint")[-1]
    assert last["operator_uid"] == os.getuid() and json.loads(last["statement"])["reason"] == "asked for", last
    if os.getuid() == 0:
        for words in (["custody", "checkpoint"], ["dock", "rotate-key"]):
            done = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", f"{rack.BUILD}/berthctl", *words],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            assert done.returncode == 1 and "root" in done.stderr, done


def test_another_key_is_signed_by_the_one_before(sim, dock):
    d = start(dock)
    d.wait(lambda: checkpoints(d), "a checkpoint")
    first = d.manager()["DockKey"]
    assert json.loads(ctl("dock", "show", "--json").stdout)["dock_key"] == first
    ctl("dock", "rotate-key")
    d.wait(lambda: d.manager()["DockKey"] != first, "another key")
    second = d.manager()["DockKey"]
    (event, rotation), = [(e, s) for e, s in statements(d) if s["type"] == "key-rotation"]
    assert (rotation["old_key"], rotation["new_key"], rotation["signer"]) == (first, second, first), rotation
    assert openssl_verifies(d.folder, event["statement"], event["signature"], first)
    assert event["operator_uid"] == os.getuid()
    ctl("custody", "checkpoint")
    event, last = statements(d)[-1]
    assert last["signer"] == second and openssl_verifies(d.folder, event["statement"], event["signature"], second)
    d.wait(lambda: rotation["key"] in stored(d) and last["key"] in stored(d), "both in the store")
    d.daemon.end()
    assert not os.path.exists(os.path.join(d.state, "dock.key.new"))
    d.start_daemon()
    assert d.manager()["DockKey"] == second
    d.check_chain()


def refused(d, sentence):
    d.start_daemon(wait=False)
    d.daemon.child.wait(120)
    assert d.daemon.child.returncode == 1 and sentence in d.daemon.output(), d.daemon.output()


def test_lost_key_is_not_replaced_in_silence(sim, dock):
    d = start(dock)
    first = d.manager()["DockKey"]
    d.daemon.end()
    key = os.path.join(d.state, "dock.key")
    shutil.move(key, key + ".away")
    refused(d, "dock.key is missing")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    os.chmod(key, 0o600)
    refused(d, "another one than the custody log knows")
    os.chmod(key, 0o640)
    refused(d, "mode 600")
    os.chmod(key, 0o600)
    with open(key, "w", encoding="ascii") as f:
        f.write("no key\n")
    refused(d, "no unencrypted Ed25519 private key")
    os.unlink(key)
    subprocess.run([f"{rack.BUILD}/berthd", "--config", d.path("berthd.conf"), "--replace-key"], check=True)
    d.start_daemon()
    event = d.events("key-replaced")[-1]
    assert event["public_key"] == d.manager()["DockKey"] != first and event["operator_uid"] == os.getuid(), event
    d.wait(lambda: checkpoints(d)[-1]["signer"] == event["public_key"], "a checkpoint by the new key")
    # The old one is of no use any more.
    d.daemon.end()
    shutil.move(key + ".away", key)
    refused(d, "another one than the custody log knows")


def test_key_comes_from_the_service_manager_and_changes_with_it(sim, dock):
    d = dock(["1-1.1"])
    d.write_config(QUICK)
    given = d.path("credentials")
    os.mkdir(given)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{given}/dock-key"], check=True)
    d.daemon_env["CREDENTIALS_DIRECTORY"] = given
    d.start()
    first = d.manager()["DockKey"]
    assert not os.path.exists(os.path.join(d.state, "dock.key"))
    assert "dock-key" in ctl("dock", "rotate-key", code=1).stderr
    d.daemon.end()
    os.rename(f"{given}/dock-key", f"{given}/dock-key-old")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{given}/dock-key"], check=True)
    d.start_daemon()
    d.wait(lambda: d.events("key-rotated"), "the rotation")
    d.wait(lambda: d.manager()["DockKey"] != first, "the other key")
    (event, rotation), = [(e, s) for e, s in statements(d) if s["type"] == "key-rotation"]
    assert rotation["signer"] == rotation["old_key"] == first and rotation["new_key"] == d.manager()["DockKey"], rotation


def test_dock_that_was_set_back_is_found_out_by_the_store(sim, dock):
    d = start(dock)
    d.daemon.end()
    shutil.copytree(d.state, d.path("backup"))
    d.start_daemon()
    ctl("custody", "checkpoint")
    there = checkpoints(d)[-1]["key"]
    d.wait(lambda: there in stored(d), "a checkpoint in the store")
    d.daemon.end()
    last = checkpoints(d)[-1]["seq"]
    shutil.rmtree(d.state)
    shutil.copytree(d.path("backup"), d.state)
    d.start_daemon()
    while checkpoints(d)[-1]["seq"] <= last:
        ctl("custody", "checkpoint")
    event = d.wait(lambda: d.events("statement-refused"), "the store's word")[0]
    assert event["statement_key"].startswith("checkpoints/") and "another text" in event["reason"], event
    d.wait(lambda: "set back" in d.daemon.output(), "that to be said")


rack.run([test_each_checkpoint_is_signed_follows_the_one_before_and_lies_in_the_store,
          test_what_a_manifest_names_is_signed_by_the_dock_and_a_stranger_verifies_it,
          test_last_checkpoint_is_made_at_the_end_and_stored_at_the_next_start, test_checkpoints_wait_out_an_outage,
          test_order_for_a_checkpoint_names_who_gave_it_and_is_for_root, test_another_key_is_signed_by_the_one_before,
          test_lost_key_is_not_replaced_in_silence, test_key_comes_from_the_service_manager_and_changes_with_it,
          test_dock_that_was_set_back_is_found_out_by_the_store])
