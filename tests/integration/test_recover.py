#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The database is lost or damaged: what can be proven is found again, nothing is lost, nothing is sent twice, nothing is invented."""

import base64
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402
from recover_world import (camera, destroy, ended_with_footage_in_the_store, judge, left_on, overwrite, recover,  # noqa: E402
                           state, verify_store)

MIB = 1 << 20


def refused_start(d):
    d.start_daemon(wait=False)
    d.daemon.child.wait(120)
    assert d.daemon.child.returncode != 0
    return d.daemon.output()


def footage_in_all_stages(sim, d):
    """Stored and erased; stored and left; copied, not stored; half pulled; not yet seen. Returns all digests."""
    digests = camera(sim, "erased", [make_clip("a.MP4", 9 * MIB + 1, 1), make_clip("empty.MP4", 0, 2)])
    sim("plug", camera="erased", port="1-1.1")
    d.wait_state(1, "ready")
    digests |= camera(sim, "left", [make_clip("DCIM/b.MP4", 17 * MIB, 3)])
    sim("fault", camera="left", name="delete_denied", code=0x2014)
    sim("plug", camera="left", port="1-1.2")
    d.wait_state(2, "quarantined")
    os.rename(d.store, d.store + ".away")
    d.wait(lambda: d.manager().get("StoreState") == "missing", "the store to be called missing")
    digests |= camera(sim, "copied", [make_clip("DCIM/c.MP4", 8 * MIB, 4), make_clip("DCIM/c2.MP4", 5, 5)])
    sim("plug", camera="copied", port="1-1.3")
    d.wait_state(3, "settled")
    d.wait(lambda: len(d.events("copied")) == 5, "five copies to be on record")
    digests |= camera(sim, "half", [make_clip("DCIM/d.MP4", 60 * MIB, 6)])
    sim("unplug_after", camera="half", bytes=30 * MIB)
    sim("plug", camera="half", port="1-1.4")
    d.wait(lambda: os.path.exists(state(d, "parts", "6.part")), "the part to be put away")
    return digests | camera(sim, "new", [make_clip("DCIM/e.MP4", 3 * MIB, 7)])


def test_everything_goes_on_after_the_database_is_destroyed(sim, dock):
    d = dock([f"1-1.{n}" for n in range(1, 6)]).start()
    digests = footage_in_all_stages(sim, d)
    d.daemon.end(signal.SIGKILL)
    destroy(d)
    text = refused_start(d)
    assert "berth.db" in text and "berthctl recover" in text, text
    for n, name in enumerate(("erased", "left", "copied"), 1):
        sim("unplug", camera=name)
    text = recover(d)
    assert "5 clips from the spool" in text, text
    kept = [name for name in os.listdir(d.state) if name.startswith("damaged-")]
    assert len(kept) == 1 and {"berth.db", "chain.head"} <= set(os.listdir(state(d, kept[0]))), kept
    assert os.listdir(state(d, "kept")) == ["6.part.recovered.1"], os.listdir(state(d, "kept"))
    events = d.events()
    assert [e["event"] for e in events] == ["recovery-begun"] + ["clip-recovered"] * 5 + ["file-kept", "recovery-done"], events
    assert events[0]["kept"] == kept[0] and events[0]["old_head_seq"] > 20 and "berth.db" in events[0]["reason"], events[0]
    assert {(e["serial"], e["path"]): e["digest"] for e in d.events("clip-recovered")} == \
        {clip: digest for clip, digest in digests.items() if clip[0] in ("SN-erased", "SN-left", "SN-copied")}
    os.rename(d.store + ".away", d.store)
    sim("fault", camera="left", name="none")
    d.start_daemon()
    assert "there is nothing to recover" not in text and "in use" in recover(d, expect=1)
    for n, name in enumerate(("erased", "left", "copied", "half", "new"), 1):
        sim("plug", camera=name, port=f"1-1.{n}")
    for n in range(1, 6):
        d.wait_state(n, "ready", deadline=120)
    d.wait(lambda: d.manager()["UnstoredClips"] == 0, "all to be stored")
    judge(sim, d, digests, ("erased", "left", "copied", "half", "new"))
    # What was read before counts for the copy, not for the erase.
    assert {e["path"] for e in d.events("verified")} == {"DCIM/b.MP4", "DCIM/c.MP4", "DCIM/c2.MP4"}, d.events("verified")


def proven_whole(d):
    done = subprocess.run([f"{rack.BUILD}/berthctl", "custody", "verify", "--store", f"--state-dir={d.state}",
                           f"--uplink={d.path('uplink.sock')}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                          check=False)
    assert done.returncode == 0 and "made anew before, and 2 clips were found in the spool or the store" in done.stdout, done.stdout


def test_recovered_dock_keeps_its_id_and_key_and_signs_with_higher_numbers(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    digests = camera(sim, "c", [make_clip("a.MP4", 1000, 1), make_clip("b.MP4", 2000, 2)])
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: len(d.events("erased")) == 2 and not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'"), "the main job")
    before = d.manager()
    rotated = subprocess.run([f"{rack.BUILD}/berthctl", "dock", "rotate-key"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=300, check=False)
    assert rotated.returncode == 0, rotated.stdout
    key = d.manager()["DockKey"]
    d.wait(lambda: d.objects("keys"), "the rotation in the store")
    d.daemon.end(signal.SIGKILL)
    old = {top: d.objects(top) for top in ("checkpoints", "keys", "receipts")}
    destroy(d)
    recover(d)
    proven_whole(d)
    d.start_daemon()
    assert key != before["DockKey"] and (d.manager()["DockId"], d.manager()["DockKey"]) == (before["DockId"], key), d.manager()
    digests |= camera(sim, "new", [make_clip("n.MP4", 3000, 3)])
    sim("plug", camera="new", port="1-1.2")
    d.wait_state(2, "ready", deadline=120)
    for order in (["dock", "rotate-key"], ["custody", "checkpoint"]):
        done = subprocess.run([f"{rack.BUILD}/berthctl", *order], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                              check=False)
        assert done.returncode == 0, done.stdout
    d.wait(lambda: not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'"), "all that was signed in the store")
    assert len(d.events("receipted")) >= 1 and d.events("key-made")[0]["numbers_from"] > 1000, d.events("key-made")
    assert not d.events("statement-refused"), d.events("statement-refused")
    for top, keys in old.items():
        new = sorted(set(d.objects(top)) - set(keys))
        assert new and all(k > max(keys, default="") for k in new) and set(keys) <= set(d.objects(top)), (top, keys, new)
    judge(sim, d, digests, ("c", "new"))
    proven_whole(d)


def test_damaged_id_is_not_replaced_in_silence(sim, dock):
    d, digests = copied_and_not_stored(sim, dock, [make_clip("a.MP4", 1000, 1)])
    with open(state(d, "dock.id"), encoding="utf-8") as f:
        good = f.read()
    destroy(d)
    recover(d)
    overwrite(state(d, "dock.id"), 3, b"?")
    text = refused_start(d)
    assert "dock.id" in text and "restore it" in text, text
    overwrite(state(d, "dock.id"), 0, good.encode())
    finish(sim, d, digests)
    assert d.manager()["DockId"] + "\n" == good


def copied_and_not_stored(sim, dock, clips):
    """A dock whose store is away and whose spool holds these clips; the daemon is ended, the camera gone."""
    d = dock(["1-1.1"])
    os.rename(d.store, d.store + ".away")
    d.start()
    digests = camera(sim, "c", clips)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: len(d.events("copied")) == len(clips), "the copies to be on record")
    d.daemon.end()
    sim("unplug", camera="c")
    return d, digests


def finish(sim, d, digests):
    os.rename(d.store + ".away", d.store)
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=120)
    judge(sim, d, digests, ("c",))


def test_whole_database_is_left_alone(sim, dock):
    d, digests = copied_and_not_stored(sim, dock, [make_clip("a.MP4", 1000, 1)])
    before = d.events()
    assert "nothing to recover" in recover(d)
    assert d.events() == before and not [name for name in os.listdir(d.state) if name.startswith("damaged-")]
    finish(sim, d, digests)


def test_lost_database_is_not_begun_anew_while_the_spool_holds_clips(sim, dock):
    d, digests = copied_and_not_stored(sim, dock, [make_clip("a.MP4", 1000, 1)])
    for name in ("berth.db", "chain.head"):
        os.unlink(state(d, name))
    text = refused_start(d)
    assert "berth.db is gone" in text and "berthctl recover" in text, text
    assert not os.path.exists(state(d, "berth.db"))
    done = subprocess.run([f"{rack.BUILD}/berthctl", "recover", d.path("berthd.conf")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=300, check=False)
    assert done.returncode == 0 and "1 clips from the spool" in done.stdout, done.stdout
    assert "old_head_seq" not in d.events()[0] and not [name for name in os.listdir(d.state) if name.startswith("damaged-")]
    finish(sim, d, digests)


def test_spool_file_with_other_bytes_is_kept_and_pulled_again(sim, dock):
    d, digests = copied_and_not_stored(sim, dock, [make_clip("a.MP4", 1000, 1), make_clip("b.MP4", 2000, 2)])
    os.chmod(state(d, "spool", "1.clip"), 0o600)
    overwrite(state(d, "spool", "1.clip"), 500, b"other")
    destroy(d)
    assert "1 clips from the spool" in recover(d)
    assert sorted(os.listdir(state(d, "kept"))) == ["1.clip.recovered.1", "1.json.recovered.2"], os.listdir(state(d, "kept"))
    assert [e["path"] for e in d.events("clip-recovered")] == ["b.MP4"]
    assert "not those that were hashed" in d.events("file-kept")[0]["reason"]
    finish(sim, d, digests)


def test_recovery_that_was_interrupted_is_begun_again(sim, dock):
    d, digests = copied_and_not_stored(sim, dock, [make_clip("a.MP4", 1000, 1)])
    destroy(d)
    os.mkdir(state(d, "recovering"), 0o700)
    with open(state(d, "recovering", "berth.db"), "wb") as f:
        f.write(b"half made")
    text = refused_start(d)
    assert "not finished" in text and "berthctl recover" in text, text
    assert "1 clips from the spool" in recover(d)
    assert not os.path.exists(state(d, "recovering"))
    finish(sim, d, digests)


def test_clip_without_a_note_is_stored_as_nobodys(sim, dock):
    d, digests = copied_and_not_stored(sim, dock, [make_clip("a.MP4", 1000, 1)])
    os.unlink(state(d, "spool", "1.json"))
    destroy(d)
    assert "1 clips from the spool" in recover(d)
    os.rename(d.store + ".away", d.store)
    d.start_daemon()
    d.wait(lambda: d.stored(), "it to be stored")
    assert d.stored() == {("unidentified", "1.clip"): list(digests.values())}, d.stored()


def test_what_only_the_store_holds_is_known_again_and_not_sent_twice(sim, dock):
    d, digests = ended_with_footage_in_the_store(sim, dock, [make_clip("a.MP4", 9 * MIB, 1), make_clip("b.MP4", 0, 2),
                                                               make_clip("c.MP4", 5, 3)])
    text = recover(d)
    assert "0 clips from the spool, 3 from the store" in text and "not believed" not in text, text
    assert {(e["serial"], e["path"]): e["digest"] for e in d.events("clip-recovered")} == digests
    assert len(d.events("receipted")) == 3 and d.rows("SELECT count(*) FROM receipts") == [(3,)]
    d.start_daemon()
    done = verify_store(d)
    assert done.returncode == 0 and "3 clips in the store" in done.stdout, done.stdout
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=120)
    judge(sim, d, digests, ("c",))
    d.wait(lambda: len(d.events("erased")) == 3, "the erasures to be on record")
    assert verify_store(d).returncode == 0, verify_store(d).stdout


def test_what_the_store_cannot_prove_counts_as_not_stored_and_is_pulled_again(sim, dock):
    d, digests = ended_with_footage_in_the_store(sim, dock, [make_clip(f"{n}.MP4", 1000 + n, n) for n in range(1, 6)])
    objects = {}
    for folder, _, names in os.walk(os.path.join(d.store, "manifests")):
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                manifest = json.load(f)
            objects[manifest["path"]] = manifest["manifest"], manifest["object"]
    at = {path: tuple(os.path.join(d.store, name) for name in both) for path, both in objects.items()}
    for both in at.values():
        for path in both:
            os.chmod(path, 0o600)
    overwrite(at["1.MP4"][0], 0, b"?")
    os.unlink(at["2.MP4"][1])
    os.truncate(at["3.MP4"][1], 10)
    overwrite(at["4.MP4"][1], 500, b"other")
    text = recover(d)
    assert "0 clips from the spool, 1 from the store" in text and "4 manifests or receipts in the store were not believed" in text, text
    for path in ("1.MP4", "2.MP4", "3.MP4", "4.MP4"):
        assert f"{objects[path][0]} in the store is not believed" in text, text
    assert [e["path"] for e in d.events("clip-recovered")] == ["5.MP4"]
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    # The object that is gone is put again, as its manifest has it.
    d.wait(lambda: len(d.events("conflict")) == 3 and len(d.events("erased")) == 2, "conflicts, and two erased", 120)
    assert left_on(sim, "c") == 3
    d.check_chain()


def test_files_of_the_old_database_are_on_record(sim, dock):
    d, _ = ended_with_footage_in_the_store(sim, dock, [make_clip("a.MP4", 1000, 1)])
    recover(d)
    d.start_daemon()
    [old] = [name for name in os.listdir(d.state) if name.startswith("damaged-")]
    d.wait(lambda: {f"{old}/{name}" for name in ("berth.db", "berth.db-wal", "chain.head")} ==
           {e["name"] for e in d.events("file-hashed")}, "each of them")
    d.daemon.end()
    d.check_evidence()
    overwrite(state(d, old, "chain.head"), 30, b"?")
    done = subprocess.run([f"{rack.BUILD}/berthctl", "custody", "verify", f"--state-dir={d.state}"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1 and f"{old}/chain.head: its SHA-256" in done.stdout, done.stdout


def sign_by_a_stranger(d, path):
    """The statement in this file, by a key that is none of this dock's: it says the same of itself, and of the dock."""
    with open(path, encoding="ascii") as f:
        members = json.loads(f.read().splitlines()[1])
    key = d.path("stranger")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], capture_output=True, check=True)
    der = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout
    text = json.dumps({**members, "signer": der[-32:].hex()}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    with open(d.path("text"), "w", encoding="utf-8") as f:
        f.write(f"berth-statement 1\n{text}\n")
    signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", d.path("text")], capture_output=True,
                               check=True).stdout
    os.chmod(path, 0o600)
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"berth-statement 1\n{text}\n{base64.b64encode(signature).decode()}\n")


def test_receipt_that_a_stranger_signed_in_this_docks_name_is_not_believed(sim, dock):
    d, digests = ended_with_footage_in_the_store(sim, dock, [make_clip("a.MP4", 1000, 1)])
    (dock_id,) = os.listdir(os.path.join(d.store, "receipts"))
    folder = os.path.join(d.store, "receipts", dock_id)
    for name in os.listdir(folder):
        sign_by_a_stranger(d, os.path.join(folder, name))
    text = recover(d)
    assert "0 from the store" in text and "none of this dock's" in text, text
    assert not d.events("clip-recovered") and not d.events("receipted")
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=120)
    judge(sim, d, digests, ("c",))


def test_manifest_whose_facts_are_not_those_that_were_signed_is_not_believed(sim, dock):
    d, _ = ended_with_footage_in_the_store(sim, dock, [make_clip("a.MP4", 1000, 1)])
    [path] = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(d.store, "manifests")) for name in names]
    with open(path, encoding="utf-8") as f:
        manifest = json.load(f)
    manifest["facts"]["first_seen"] = "2001-01-01T00:00:00.000000Z"
    os.chmod(path, 0o600)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(manifest, f)
    text = recover(d)
    assert "0 from the store" in text and "its facts are not those that were signed" in text, text
    assert not d.events("clip-recovered") and not d.events("receipted")


def add_copies_of_a_receipt(d, count):
    (dock_id,) = os.listdir(os.path.join(d.store, "receipts"))
    folder = os.path.join(d.store, "receipts", dock_id)
    first = min(os.listdir(folder))
    with open(os.path.join(folder, first), "rb") as f:
        data = f.read()
    for n in range(count):
        with open(os.path.join(folder, f"{int(first)}.{n:05}"), "wb") as f:
            f.write(data)


def test_store_that_goes_away_in_the_middle_is_not_asked_for_each_receipt(sim, dock):
    d, digests = ended_with_footage_in_the_store(sim, dock, [make_clip("a.MP4", 1000, 1), make_clip("b.MP4", 2000, 2)])
    add_copies_of_a_receipt(d, 500)
    command = [f"{rack.BUILD}/berthd", "--config", d.path("berthd.conf"), "--recover"]
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        for line in child.stdout:
            said.append(line)
            if len(said) == 20:
                d.uplink.end(signal.SIGKILL)
    text = "".join(said)
    assert child.returncode == 0 and text.count("The store does not answer any more") == 1, text[-2000:]
    assert text.count("is not believed") < 500, "the store was asked for each receipt"
    d.start()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=120)
    judge(sim, d, digests, ("c",))


def test_many_receipts_are_read_page_by_page_and_a_kill_in_the_middle_loses_nothing(sim, dock):
    """More than one answer to List has: most are copies under other numbers, which are not believed, and the last is a true one."""
    d, digests = ended_with_footage_in_the_store(sim, dock, [make_clip("a.MP4", 1000, 1), make_clip("b.MP4", 2000, 2)])
    add_copies_of_a_receipt(d, 1200)
    command = [f"{rack.BUILD}/berthd", "--config", d.path("berthd.conf"), "--recover"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        for line in child.stdout:
            if "is not believed" in line:
                break
        child.kill()
    assert "not finished" in refused_start(d)
    text = recover(d)
    assert "0 clips from the spool, 2 from the store" in text and "1200 manifests or receipts" in text, text[-2000:]
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=120)
    judge(sim, d, digests, ("c",))


def ctl(*args):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (args, done)
    return done.stdout


def test_what_was_held_is_held_again(sim, dock):
    d = dock(["1-1.1"]).start()
    digests = camera(sim, "c", [make_clip(f"{n}.MP4", 1000 + n, n) for n in range(3)])
    sim("fault", camera="c", name="delete_denied", code=0x2014)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: len(d.events("receipted")) == 3, "all to be stored")
    ids = {path: n for n, path in d.rows("SELECT id, path FROM clips")}
    ctl("hold", "set", f"--clip={ids['0.MP4']}", "--case=2026/17", "the court asked")
    ctl("hold", "set", f"--clip={ids['1.MP4']}", "--case=2026/18")
    ctl("hold", "set", "--camera=SN-c", "--case=2026/19")
    ctl("hold", "release", "--camera=SN-c", "--case=2026/19")
    ctl("hold", "set", f"--clip={ids['2.MP4']}")
    before = json.loads(ctl("hold", "--json"))["holds"]
    d.wait(lambda: not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'"), "all that was signed in the store")
    assert len(d.objects("holds")) == 5, d.objects("holds")
    # A stranger's word, one of another dock, and a release that was played again under another number, are none.
    names = sorted(d.objects("holds"))
    with open(os.path.join(d.store, names[3]), encoding="utf-8") as f:
        release = f.read()
    for name, text in ((names[-1][:-10] + "0000000009", release), (names[-1][:-10] + "0000000010", release.replace("2026/19", "2026/17"))):
        with open(os.path.join(d.store, name), "w", encoding="utf-8") as f:
            f.write(text)
    d.daemon.end()
    # One of them is known by nothing any more: neither spool nor store.
    gone, = [m for m in d.manifests() if m["path"] == "2.MP4"]
    os.unlink(os.path.join(d.store, gone["object"]))
    for name in os.listdir(state(d, "spool")):
        if name.startswith(f"{ids['2.MP4']}."):
            os.unlink(state(d, "spool", name))
    destroy(d)
    text = recover(d)
    assert text.count("is not believed") >= 2, text
    assert d.events("recovery-done")[0]["holds"] == 3, d.events("recovery-done")
    d.start_daemon()
    after = json.loads(ctl("hold", "--json"))["holds"]
    kept = {(h["path"], h["case"], h["reason"]) for h in before if h["path"] in ("0.MP4", "1.MP4")}
    assert {(h["path"], h["case"], h["reason"]) for h in after if h.get("path")} == kept and len(kept) == 2, (before, after)
    camera_hold, = [h for h in after if not h.get("path")]
    assert camera_hold["serial"] == "SN-c" and "2.MP4, which is not known any more" in camera_hold["reason"], after
    sim("fault", camera="c", name="none")
    sim("unplug", camera="c")
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: "held" in d.bay(1)["Reason"], "the camera to be kept")
    assert left_on(sim, "c") == len(digests)


rack.run([test_what_was_held_is_held_again, test_what_only_the_store_holds_is_known_again_and_not_sent_twice,
          test_what_the_store_cannot_prove_counts_as_not_stored_and_is_pulled_again,
          test_files_of_the_old_database_are_on_record,
          test_manifest_whose_facts_are_not_those_that_were_signed_is_not_believed,
          test_receipt_that_a_stranger_signed_in_this_docks_name_is_not_believed,
          test_store_that_goes_away_in_the_middle_is_not_asked_for_each_receipt,
          test_many_receipts_are_read_page_by_page_and_a_kill_in_the_middle_loses_nothing,
          test_recovered_dock_keeps_its_id_and_key_and_signs_with_higher_numbers, test_damaged_id_is_not_replaced_in_silence,
          test_everything_goes_on_after_the_database_is_destroyed, test_whole_database_is_left_alone,
          test_lost_database_is_not_begun_anew_while_the_spool_holds_clips, test_spool_file_with_other_bytes_is_kept_and_pulled_again,
          test_recovery_that_was_interrupted_is_begun_again, test_clip_without_a_note_is_stored_as_nobodys])
