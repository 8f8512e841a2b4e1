#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is held is deleted nowhere, and what is kept for a time stays for that time."""

import json
import os
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20


def camera(sim, name, clips):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{args}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def clip_id(d, path):
    return d.wait(lambda: d.rows("SELECT id FROM clips WHERE path = ?", path), f"{path} on record")[0][0]


def test_held_clip_stays_on_its_camera_until_released(sim, dock):
    d = dock(["1-1.1"])
    camera(sim, "c", [make_clip(f"{n}.MP4", MIB, n) for n in range(3)])
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    held = clip_id(d, "1.MP4")
    ctl("hold", "set", f"--clip={held}", "--case=2026/17", "asked for by the court")
    ctl("hold", "set", f"--clip={held}", "--case=2026/17")
    d.start_uplink()
    d.wait_state(1, "quarantined")
    d.wait(lambda: len(d.events("erased")) == 2, "the others to be erased")
    reason = d.bay(1)["Reason"]
    assert reason.startswith("do not issue: clip 1.MP4 is held for case 2026/17") and "hold release" in reason, reason
    assert [c["path"] for c in sim("state", camera="c")["clips"]] == ["1.MP4"]
    [row] = json.loads(ctl("hold", "--json"))["holds"]
    assert (row["clip_id"], row["serial"], row["case"], row["reason"], row["operator"]) == (
        held, "SN-c", "2026/17", "asked for by the court", "root"), row
    assert "2026/17" in ctl("hold")
    ctl("custody", "verify", f"--state-dir={d.state}")
    assert [c["held"] for c in json.loads(ctl("clips", "--json"))["clips"] if c["id"] == held] == [True]

    d.daemon.end()
    d.start_daemon()
    d.wait_state(1, "quarantined")
    assert len(d.events("erased")) == 2, "the hold was forgotten"
    ctl("hold", "release", "--case=2026/17", "the case is closed")
    d.wait_state(1, "ready")
    d.wait(lambda: len(d.events("erased")) == 3, "the released clip to be erased")
    assert "Nothing is held" in ctl("hold")
    told = [(e["event"], e["clip_id"], e["case"], e["reason"], e["operator_uid"]) for e in d.events() if e["event"].startswith("hold-")]
    assert told == [("hold-set", held, "2026/17", "asked for by the court", 0),
                    ("hold-released", held, "2026/17", "the case is closed", 0)], told
    d.check_chain()


def test_held_camera_keeps_clips_that_come_later(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    assert "never saw" in ctl("hold", "set", "--camera=SN-c", code=1)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    d.wait(lambda: d.events("erased"), "the erase")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    ctl("hold", "set", "--camera=SN-c")
    sim("add_clip", camera="c", **make_clip("b.MP4", MIB, 2))
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "quarantined")
    assert "b.MP4 is held and" in d.bay(1)["Reason"], d.bay(1)
    assert [e["path"] for e in d.events("receipted")] == ["a.MP4", "b.MP4"], "a hold must not keep footage from the store"
    assert [e["path"] for e in d.events("erased")] == ["a.MP4"]
    ctl("custody", "verify", f"--state-dir={d.state}")
    d.daemon.end()
    with sqlite3.connect(os.path.join(d.state, "berth.db")) as db:
        kept = db.execute("SELECT * FROM holds").fetchall()
        db.execute("DELETE FROM holds")
    assert "holds" in ctl("custody", "verify", f"--state-dir={d.state}", code=1), "a hold that somebody took away is not missed"
    with sqlite3.connect(os.path.join(d.state, "berth.db")) as db:
        db.executemany(f"INSERT INTO holds VALUES ({','.join('?' * len(kept[0]))})", kept)
    ctl("custody", "verify", f"--state-dir={d.state}")
    d.start_daemon()
    d.wait_state(1, "quarantined")
    ctl("hold", "release", "--camera=SN-c")
    d.wait_state(1, "ready")


def full_spool(sim, dock, keep, order=None):
    """A spool with room for three clips, all of whose clips the store holds, and a camera with a fourth and a fifth."""
    d = dock(["1-1.1"], reserve="16M", keep=keep)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96M", "none", d.state], check=True)
    try:
        d.start()
        camera(sim, "a", [make_clip(f"a{n}.MP4", 20 * MIB, n) for n in range(3)])
        camera(sim, "b", [make_clip(f"b{n}.MP4", 20 * MIB, 10 + n) for n in range(2)])
        sim("plug", camera="a", port="1-1.1")
        d.wait_state(1, "ready")
        sim("unplug", camera="a")
        d.wait_state(1, "empty")
        if order:
            order(d)
        sim("plug", camera="b", port="1-1.1")
        yield d
        d.close()
    finally:
        subprocess.run(["umount", "-l", d.state], check=True)


def released(d):
    return [e["path"] for e in d.events("spool-released")]


def test_copies_go_oldest_receipt_first_but_for_held_ones(sim, dock):
    def order(d):
        ctl("hold", "set", f"--clip={clip_id(d, oldest(d))}")

    def oldest(d):
        return d.events("receipted")[0]["path"]

    for d in full_spool(sim, dock, "0s", order):
        d.wait_state(1, "ready")
        # Receipts of one commit are of one moment: among them the clip that was found first goes first.
        with sqlite3.connect(os.path.join(d.state, "berth.db")) as db:
            receipts = [path for path, in db.execute("SELECT path FROM clips WHERE receipted_usec IS NOT NULL"
                                                     " ORDER BY receipted_running_usec, id")]
        receipts.remove(oldest(d))
        gone = d.wait(lambda d=d: released(d), "a copy to be released")
        assert gone == receipts[:len(gone)], (gone, receipts)
        d.check_chain()


def test_copies_are_kept_for_their_time_though_the_spool_is_full(sim, dock):
    for d in full_spool(sim, dock, "1d"):
        d.wait(lambda d=d: d.manager().get("SpoolState") == "full", "the spool to be full")
        looks = d.daemon.output().count("spool is full")
        d.wait(lambda d=d, n=looks: d.daemon.output().count("spool is full") > n or "spool is full" in d.bay(1)["Reason"], "another look")
        assert not released(d) and len(sim("state", camera="b")["clips"]) == 2, released(d)
        d.daemon.end()
        d.config["keep"] = "1s"
        d.write_config()
        d.start_daemon()
        d.wait_state(1, "ready")
        d.wait(lambda d=d: released(d), "a copy to be released")


def test_clip_that_the_store_lost_and_the_dock_released_is_pulled_again(sim, dock):
    d = dock(["1-1.1"], reserve="16M", keep="0s", policy={"erase": "by-hand"})
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80M", "none", d.state], check=True)
    try:
        d.start()
        camera(sim, "c", [make_clip(f"{n}.MP4", 20 * MIB, n) for n in range(4)])
        digests = rack.sha256_of(sim("state", camera="c", sha256=True))
        sim("plug", camera="c", port="1-1.1")
        d.wait(lambda: len(d.events("receipted")) == 4 and released(d), "all to be stored, and a copy to be released")
        d.wait_state(1, "ready")
        manifests = {json.loads(b"".join(d.content(key)))["path"]: key for key in d.objects("manifests")}
        gone, whole = released(d)[0], next(path for path in digests if path not in released(d))
        # Of one, whose copy the dock has no more, the object alone, which the manifest still names; of the other both.
        for path in (gone, whole):
            os.unlink(os.path.join(d.store, json.loads(b"".join(d.content(manifests[path])))["object"]))
        os.unlink(os.path.join(d.store, manifests[whole]))
        ctl("camera", "erase", "SN-c")
        d.wait(lambda: len(d.events("erased")) == 4, "all to be erased")
        d.wait_state(1, "ready")
        refused = [e for e in d.events("store-refused") if e["path"] == gone]
        assert len(refused) == 1 and refused[0]["receipt_void"], refused
        assert len([e for e in d.events("copied") if e["path"] == gone]) == 2, "it was not pulled again"
        assert d.events("store-refused") and not d.events("conflict"), d.events("conflict")
        assert [d.stored()["SN-c", path] for path in (gone, whole)] == [[digests[path]] for path in (gone, whole)]
        assert not sim("state", camera="c")["clips"]
        d.check_chain()
        d.close()
    finally:
        subprocess.run(["umount", "-l", d.state], check=True)


def test_nothing_is_old_enough_while_the_clock_is_not_known(sim, dock):
    d = dock(["1-1.1"], keep="1s", synchronised=False)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M", "none", d.state], check=True)
    try:
        d.start()
        camera(sim, "c", [make_clip(f"{n}.MP4", 20 * MIB, n) for n in range(4)])
        sim("plug", camera="c", port="1-1.1")
        d.wait(lambda: d.manager().get("SpoolState") == "full", "the spool to be full")
        d.wait(lambda: len(d.events("receipted")) == len(d.events("copied")) > 1, "the store to hold what was copied")
        d.wait(lambda: "spool is full" in d.bay(1)["Reason"], "the bay to wait")
        assert not released(d)
        d.close()
    finally:
        subprocess.run(["umount", "-l", d.state], check=True)


def test_words_that_hold_does_not_take_are_named(sim, dock):
    for args, word in ((["sideways"], "sideways"), (["set"], "--clip"), (["release"], "--case"), (["--case=x"], "takes neither"),
                       (["set", "--clip=1", "--camera=x"], "either"), (["set", "--clip=1", "a", "b"], "'b'")):
        assert word in ctl("hold", *args, code=2), args
    d = dock(["1-1.1"]).start()
    assert "no clip" in ctl("hold", "set", "--clip=99", code=1)
    assert "no such hold" in ctl("hold", "release", "--case=x", code=1)
    os.chmod(d.folder, 0o755)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", f"{rack.BUILD}/berthctl", "hold", "release", "--case=x"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "root" in done.stderr, done


rack.run([test_held_clip_stays_on_its_camera_until_released, test_held_camera_keeps_clips_that_come_later,
          test_copies_go_oldest_receipt_first_but_for_held_ones, test_copies_are_kept_for_their_time_though_the_spool_is_full,
          test_clip_that_the_store_lost_and_the_dock_released_is_pulled_again,
          test_nothing_is_old_enough_while_the_clock_is_not_known, test_words_that_hold_does_not_take_are_named])
