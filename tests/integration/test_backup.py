#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`berthctl backup`: of one moment, beside a dock that works on, and what a dock needs to go on from."""

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402
from recover_world import camera, judge, state, verify_store  # noqa: E402


def backup(d, to, expect=0, **extra):
    done = subprocess.run([f"{rack.BUILD}/berthctl", "backup", d.path(to), f"--state-dir={d.state}"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300, check=False, **extra)
    assert done.returncode == expect, done
    return done.stdout + done.stderr


def all_signed_is_stored(d):
    return not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'")


def ctl(*words):
    subprocess.run([f"{rack.BUILD}/berthctl", *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def put_back(d, folder):
    """As the manual says it."""
    d.daemon.end(signal.SIGKILL)
    for name in ("berth.db", "berth.db-wal", "berth.db-shm", "chain.head"):
        if os.path.exists(state(d, name)):
            os.unlink(state(d, name))
    for name in os.listdir(d.path(folder)):
        shutil.copy(d.path(folder, name), state(d, name))


def test_backup_holds_up_nobody_and_is_of_one_moment(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    digests = camera(sim, "a", [make_clip("a.MP4", 9 << 20, 1)])
    sim("plug", camera="a", port="1-1.1")
    d.wait(lambda: d.events("erased"), "the first clip's whole way")
    hang = d.path("hang")
    with open(hang, "w", encoding="ascii"):
        pass
    argv = [f"{rack.BUILD}/berthctl", "backup", d.path("copy"), f"--state-dir={d.state}"]
    env = dict(os.environ, LD_PRELOAD=f"{rack.BUILD}/tests/preload/hang_fsync.so", BERTH_HANG_FILE=hang)
    with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        try:
            copy = d.path("copy", "berth.db")
            # Pages are on their way; the sync after them, within the copy's transaction, does not return.
            d.wait(lambda: os.path.exists(copy) and os.path.getsize(copy) > 0, "the copy to be under way")
            before = len(d.events())
            digests |= camera(sim, "b", [make_clip("b.MP4", 9 << 20, 2)])
            sim("plug", camera="b", port="1-1.2")
            d.wait(lambda: len(d.events("erased")) == 2, "a whole main job beside it")
            assert child.poll() is None and not os.path.exists(d.path("copy", "chain.head"))
        finally:
            os.unlink(hang)
        text, _ = child.communicate(timeout=300)
    assert child.returncode == 0, text
    seq = int(text.rsplit(" ", 1)[1])
    assert seq <= before < d.events()[-1]["seq"], (text, before)
    assert sorted(os.listdir(d.path("copy"))) == ["berth.db", "chain.head", "dock.id", "restored"]
    assert all(os.stat(d.path("copy", name)).st_mode & 0o77 == 0 for name in os.listdir(d.path("copy"))), "others can read it"
    judge(sim, d, digests, ("a", "b"))


def test_dock_goes_on_from_a_backup_and_signs_with_higher_numbers(sim, dock):
    d = dock([f"1-1.{n}" for n in range(1, 5)]).start()
    digests = camera(sim, "a", [make_clip("a.MP4", 1 << 20, 1)])
    sim("plug", camera="a", port="1-1.1")
    d.wait(lambda: d.events("erased") and all_signed_is_stored(d), "the first camera's work")
    digests |= camera(sim, "left", [make_clip("l.MP4", 1 << 20, 2)])
    sim("fault", camera="left", name="delete_denied", code=0x2014)
    sim("plug", camera="left", port="1-1.2")
    d.wait_state(2, "quarantined")
    text = backup(d, "copy")
    assert "cannot be made" in backup(d, "copy", expect=1), "a backup went over another"
    events = d.events()[:int(text.rsplit(" ", 1)[1])]
    # What the backup does not know of: one clip has its whole way, another is in the spool alone.
    digests |= camera(sim, "b", [make_clip("b.MP4", 1 << 20, 3)])
    sim("plug", camera="b", port="1-1.3")
    ctl("custody", "checkpoint")
    d.wait(lambda: len(d.events("erased")) == 2 and d.objects("checkpoints") and all_signed_is_stored(d),
           "work that the backup does not know of")
    signed = {top: d.objects(top) for top in ("checkpoints", "receipts")}
    ctl("transfer", "pause")
    digests |= camera(sim, "c", [make_clip("c.MP4", 1 << 20, 4)])
    sim("plug", camera="c", port="1-1.4")
    d.wait_state(4, "settled")
    for name in ("a", "left", "b", "c"):
        sim("unplug", camera=name)
    put_back(d, "copy")
    sim("fault", camera="left", name="none")
    d.start_daemon()
    for name, port in (("a", 1), ("left", 2), ("b", 3), ("c", 4)):
        sim("plug", camera=name, port=f"1-1.{port}")
    for n in range(1, 5):
        d.wait_state(n, "ready", deadline=120)
    ctl("custody", "checkpoint")
    d.wait(lambda: all_signed_is_stored(d), "all that was signed in the store")
    assert d.events()[:len(events)] == events and len(d.events("restored")) == 1 and not os.path.exists(state(d, "restored"))
    assert not os.path.exists(state(d, "restored"))
    assert not d.events("statement-refused"), d.events("statement-refused")
    for top, keys in signed.items():
        assert set(keys) < set(d.objects(top)) and max(keys) < max(d.objects(top)), (top, keys, d.objects(top))
    judge(sim, d, digests, ("a", "left", "b", "c"))
    done = verify_store(d)
    assert "put back from a backup once" in done.stdout and "2 things are not" in done.stdout and \
        all(f"spool/{n}.clip: no clip" in done.stdout for n in (3, 4)), done.stdout


def holds(d):
    answer = subprocess.run([f"{rack.BUILD}/berthctl", "hold", "--json"], check=True, stdin=subprocess.DEVNULL, capture_output=True,
                            text=True)
    return sorted((h["serial"], h.get("path") or "", h["case"], h["operator"]) for h in json.loads(answer.stdout)["holds"])


def test_what_was_held_since_the_backup_is_held_again_before_anything_goes(sim, dock):
    d = dock([f"1-1.{n}" for n in range(1, 4)], policy={"erase": "by-hand"}).start()
    camera(sim, "a", [make_clip("1.MP4", 1 << 20, 1), make_clip("2.MP4", 1 << 20, 2)])
    sim("plug", camera="a", port="1-1.1")
    d.wait(lambda: len(d.events("receipted")) == 2, "the first camera's clips in the store")
    first, second = (d.rows("SELECT id FROM clips WHERE path = ?", path)[0][0] for path in ("1.MP4", "2.MP4"))
    ctl("hold", "set", f"--clip={second}", "--case=old", "before the backup")
    ctl("hold", "set", f"--clip={first}", "--case=kept", "before the backup")
    d.wait(lambda: all_signed_is_stored(d), "what was held in the store")
    backup(d, "copy")
    # What the backup does not know of: a hold, the end of another, and holds of a clip and of a camera that it never saw.
    ctl("hold", "set", f"--clip={first}", "--case=new", "since the backup")
    ctl("hold", "release", "--case=old", "since the backup")
    camera(sim, "b", [make_clip("b.MP4", 1 << 20, 3)])
    camera(sim, "c", [make_clip("c.MP4", 1 << 20, 4)])
    sim("plug", camera="b", port="1-1.2")
    sim("plug", camera="c", port="1-1.3")
    d.wait(lambda: len(d.events("receipted")) == 4, "all clips in the store")
    ctl("hold", "set", f"--clip={d.rows('SELECT id FROM clips WHERE path = ?', 'b.MP4')[0][0]}", "--case=b", "since the backup")
    ctl("hold", "set", "--camera=SN-c", "--case=c", "since the backup")
    d.wait(lambda: all_signed_is_stored(d), "what was held in the store")
    for name in "abc":
        sim("unplug", camera=name)
    d.uplink.end()
    put_back(d, "copy")
    d.config["policy"] = {"erase": "after-receipt"}
    d.write_config()
    d.start_daemon()
    sim("plug", camera="a", port="1-1.1")
    # Nobody can say yet what is held: not even what the backup knows to be released goes.
    d.wait(lambda: d.events("restored"), "the restoration on record")
    assert not d.events("holds-read")
    d.start_uplink()
    d.wait(lambda: d.events("holds-read"), "the holds to be read")
    assert holds(d) == sorted([("SN-a", "1.MP4", "kept", "root"), ("SN-a", "1.MP4", "new", "root"), ("SN-b", "", "b", "root"),
                               ("SN-c", "", "c", "root")]), holds(d)
    assert [e["seq"] for e in d.events("erased") if e["seq"] < d.events("holds-read")[0]["seq"]] == []
    d.wait(lambda: [e["path"] for e in d.events("erased")] == ["2.MP4"], "the one that was released to be erased")
    sim("plug", camera="b", port="1-1.2")
    sim("plug", camera="c", port="1-1.3")
    for bay in (1, 2, 3):
        d.wait_state(bay, "quarantined", deadline=120)
    left = {(name, c["path"]) for name in "abc" for c in sim("state", camera=name)["clips"]}
    assert left == {("a", "1.MP4"), ("b", "b.MP4"), ("c", "c.MP4")}, left
    # It is done once.
    d.daemon.end()
    d.start_daemon()
    d.wait_state(1, "quarantined", deadline=120)
    assert len(d.events("holds-read")) == 1 and len(d.events("restored")) == 1


def test_backup_that_has_no_room_leaves_nothing(sim, dock):
    d = dock(["1-1.1"]).start()
    d.daemon.end()
    text = backup(d, "small", expect=1, preexec_fn=lambda: limit_file_size(1 << 16))
    assert "berth.db cannot be written" in text and not os.path.exists(d.path("small")), text
    assert "cannot be made" in backup(d, "nowhere/small", expect=1)


def test_backup_of_a_tampered_log_is_refused(sim, dock):
    d = dock(["1-1.1"]).start()
    d.daemon.end()
    with sqlite3.connect(state(d, "berth.db")) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'custody'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("UPDATE custody SET bytes = CAST(substr(bytes, 1, length(bytes) - 1) || ' ' AS BLOB) WHERE seq = 1")
    text = backup(d, "copy", expect=1)
    assert "custody event 1 is not as the chain says" in text and not os.path.exists(d.path("copy")), text


def limit_file_size(size):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


rack.run([test_backup_holds_up_nobody_and_is_of_one_moment, test_dock_goes_on_from_a_backup_and_signs_with_higher_numbers,
          test_what_was_held_since_the_backup_is_held_again_before_anything_goes,
          test_backup_that_has_no_room_leaves_nothing, test_backup_of_a_tampered_log_is_refused])
