#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The database is lost or damaged: what can be proven is found again, nothing is lost, nothing is sent twice, nothing is invented."""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20


def camera(sim, name, clips, **spec):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips, **spec)
    return {(f"SN-{name}", path): digest for path, digest in rack.sha256_of(sim("state", camera=name, sha256=True)).items()}


def left_on(sim, name):
    return len(sim("state", camera=name)["clips"])


def recover(d, expect=0):
    done = subprocess.run([f"{rack.BUILD}/berthd", "--config", d.path("berthd.conf"), "--recover"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    assert done.returncode == expect, done.stdout
    return done.stdout


def refused_start(d):
    d.start_daemon(wait=False)
    d.daemon.child.wait(60)
    assert d.daemon.child.returncode != 0
    return d.daemon.output()


def state(d, *names):
    return os.path.join(d.state, *names)


def overwrite(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


def destroy(d):
    """As by a disk that lost the file's beginning, and the log that would have healed it."""
    for suffix in ("-wal", "-shm"):
        if os.path.exists(state(d, "berth.db" + suffix)):
            os.unlink(state(d, "berth.db" + suffix))
    overwrite(state(d, "berth.db"), 0, bytes(8192))


def judge(sim, d, digests, cameras):
    stored = d.stored()
    assert stored == {clip: [digest] for clip, digest in digests.items()}, stored
    assert len(d.objects()) == len(digests), f"{len(d.objects())} objects for {len(digests)} clips: {d.objects()}"
    for name in cameras:
        assert left_on(sim, name) == 0, f"{name} still has footage"
    d.check_chain()


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
    d.wait(lambda: d.manager().get("StoreState") == "missing", "the store to be called missing", 90)
    digests |= camera(sim, "copied", [make_clip("DCIM/c.MP4", 8 * MIB, 4), make_clip("DCIM/c2.MP4", 5, 5)])
    sim("plug", camera="copied", port="1-1.3")
    d.wait_state(3, "settled")
    d.wait(lambda: len(d.events("copied")) == 5, "five copies to be on record")
    digests |= camera(sim, "half", [make_clip("DCIM/d.MP4", 60 * MIB, 6)])
    sim("plug", camera="half", port="1-1.4")
    sim("unplug_after", camera="half", bytes=30 * MIB)
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
    assert done.returncode == 0 and "made anew before, and 2 clips were found in the spool" in done.stdout, done.stdout


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


rack.run([test_recovered_dock_keeps_its_id_and_key_and_signs_with_higher_numbers, test_damaged_id_is_not_replaced_in_silence,
          test_everything_goes_on_after_the_database_is_destroyed, test_whole_database_is_left_alone,
          test_lost_database_is_not_begun_anew_while_the_spool_holds_clips, test_spool_file_with_other_bytes_is_kept_and_pulled_again,
          test_recovery_that_was_interrupted_is_begun_again, test_clip_without_a_note_is_stored_as_nobodys])
