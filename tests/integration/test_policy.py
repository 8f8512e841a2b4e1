#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""When a clip is erased: after a time, by hand, never; and what an order by hand does not reach."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20


def camera(sim, name, clips, **spec):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips, **spec)


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{args}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def on_camera(sim, name="c"):
    return [clip["path"] for clip in sim("state", camera=name)["clips"]]


def ready_and_stored(d, n):
    d.wait_state(1, "ready")
    d.wait(lambda: len(d.events("receipted")) == n, "all receipts")


def test_clip_is_erased_when_its_time_has_come(sim, dock):
    d = dock(["1-1.1"], policy={"erase": "after 6s"}).start()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.events("erased"), "the erase")
    told = {e["event"]: e["boottime_usec"] for e in d.events() if e["event"] in ("receipted", "erase-begun")}
    assert told["erase-begun"] - told["receipted"] >= 5_000_000, told
    d.wait_state(1, "ready")


def test_nothing_is_erased_by_age_while_the_clock_is_not_known(sim, dock):
    d = dock(["1-1.1"], policy={"erase": "after 1s"}, synchronised=False).start()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    ready_and_stored(d, 1)
    stored = d.events("receipted")[0]["boottime_usec"]
    # The camera leaves when twice the time is over, by the dock's own events: nothing was begun until then.
    d.wait(lambda: rack.time.clock_gettime_ns(rack.time.CLOCK_BOOTTIME) // 1000 > stored + 4_000_000, "the time to be over")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    assert on_camera(sim) == ["a.MP4"] and not d.events("erase-begun")


def test_by_hand_means_when_somebody_says_so(sim, dock):
    d = dock(["1-1.1"], policy={"erase": "by-hand"}).start()
    camera(sim, "c", [make_clip(f"{n}.MP4", MIB, n) for n in range(3)])
    sim("plug", camera="c", port="1-1.1")
    ready_and_stored(d, 3)
    assert len(on_camera(sim)) == 3 and not d.events("erase-begun")
    one = d.rows("SELECT id FROM clips WHERE path = '1.MP4'")[0][0]
    held = d.rows("SELECT id FROM clips WHERE path = '2.MP4'")[0][0]
    assert "1 clips will be erased" in ctl("clip", "erase", str(one))
    d.wait(lambda: d.events("erased"), "the erase")
    assert sorted(on_camera(sim)) == ["0.MP4", "2.MP4"]
    ctl("hold", "set", f"--clip={held}")
    text = ctl("camera", "erase", "SN-c", code=1)
    assert "1 clips will be erased" in text and "1 are held" in text, text
    d.wait(lambda: len(d.events("erased")) == 2, "the erase")
    assert on_camera(sim) == ["2.MP4"]
    assert "nothing to erase: 1 clips are held" in ctl("clip", "erase", str(held), code=1)
    orders = [(e["path"], e["not_stored"], e["operator"], e["operator_uid"]) for e in d.events("erase-ordered")]
    assert orders == [("1.MP4", False, "root", 0), ("0.MP4", False, "root", 0)], orders
    d.check_chain()


def test_order_lapses_when_the_camera_leaves(sim, dock):
    d = dock(["1-1.1"], policy={"erase": "by-hand"})
    d.start_daemon()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", "settled")
    d.wait(lambda: d.events("copied"), "the copy")
    assert "not stored yet" in ctl("camera", "erase", "SN-c", code=1)
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    assert "not in a bay" in ctl("camera", "erase", "SN-c", code=1)
    d.start_uplink()
    sim("plug", camera="c", port="1-1.1")
    ready_and_stored(d, 1)
    assert on_camera(sim) == ["a.MP4"] and not d.events("erase-ordered")


def test_what_is_not_stored_is_named_and_erased_only_when_that_is_said(sim, dock):
    d = dock(["1-1.1"])
    d.start_daemon()
    camera(sim, "c", [make_clip(f"{n}.MP4", MIB, n) for n in range(7)])
    digests = rack.sha256_of(sim("state", camera="c", sha256=True))
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    text = ctl("camera", "erase", "SN-c", code=1)
    assert "0.MP4, 1.MP4, 2.MP4, 3.MP4, 4.MP4 and 2 more" in text and "--not-stored" in text, text
    assert not d.events("erase-ordered") and len(on_camera(sim)) == 7
    assert "7 clips will be erased" in ctl("camera", "erase", "SN-c", "--not-stored")
    d.wait(lambda: len(d.events("erased")) == 7, "the erases")
    assert on_camera(sim) == []
    orders = d.events("erase-ordered")
    assert [e["not_stored"] for e in orders] == [True] * 7 and {e["operator_uid"] for e in orders} == {0}
    begun = d.events("erase-begun")
    assert all("order_seq" in e and "receipted_seq" not in e for e in begun), begun
    ctl("custody", "verify", f"--state-dir={d.state}")

    # They are in the spool alone: nothing lets go of them, and they reach the store, after a restart, too.
    d.daemon.end()
    d.start_daemon()
    d.start_uplink()
    d.wait(lambda: len(d.events("receipted")) == 7, "the receipts of clips that are on no camera any more")
    assert {path: d.stored()[("SN-c", path)] for path in digests} == {path: [digest] for path, digest in digests.items()}
    assert {row[0] for row in d.rows("SELECT state FROM clips")} == {"erased"}
    d.wait_state(1, "ready")
    d.check_chain()
    ctl("custody", "verify", f"--state-dir={d.state}")


def test_weak_receipt_is_not_stored(sim, dock):
    d = dock(["1-1.1"], uplink={}).start()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "quarantined")
    assert d.events("receipted")[0]["strength"] == "local"
    assert "not stored yet" in ctl("camera", "erase", "SN-c", code=1)
    ctl("camera", "erase", "SN-c", "--not-stored")
    d.wait_state(1, "ready")
    assert on_camera(sim) == []


def test_never_is_not_changed_by_hand(sim, dock):
    d = dock(["1-1.1"], policy={"erase": "never"}).start()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    ready_and_stored(d, 1)
    assert "never" in ctl("camera", "erase", "SN-c", "--not-stored", code=1)
    assert on_camera(sim) == ["a.MP4"]


def test_model_may_be_stricter_than_the_site(sim, dock):
    d = dock(["1-1.1"])
    os.makedirs(d.path("cameras.d"))
    with open(f"{rack.SRC}/cameras.d/generic-mtp.conf", encoding="utf-8") as shipped, \
            open(d.path("cameras.d", "own.conf"), "w", encoding="utf-8") as own:
        own.write(shipped.read() + "erase = by-hand\n")
    d.start()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    ready_and_stored(d, 1)
    assert on_camera(sim) == ["a.MP4"]
    ctl("camera", "erase", "SN-c")
    d.wait(lambda: d.events("erased"), "the erase")


def test_footage_is_unclassified_unless_somebody_says_otherwise(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    assert [m["facts"]["class"] for m in d.manifests()] == ["unclassified"]


def test_only_root_erases(sim, dock):
    d = dock(["1-1.1"], policy={"erase": "by-hand"}).start()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    ready_and_stored(d, 1)
    os.chmod(d.folder, 0o755)
    for args in (["camera", "erase", "SN-c"], ["clip", "erase", "1", "--not-stored"]):
        done = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", f"{rack.BUILD}/berthctl", *args],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "root" in done.stderr, (args, done)
    for args, word in ((["clip"], "erase ID"), (["clip", "erase", "x"], "number"), (["camera", "erase"], "SERIAL"),
                       (["camera", "confirm", "x", "--not-stored"], "--not-stored")):
        assert word in ctl(*args, code=2), args
    assert on_camera(sim) == ["a.MP4"]


def test_clip_that_the_store_lost_waits_again_and_is_counted(sim, dock):
    """Before the erase the store is asked once more: what it does not hold any more is stored anew, and seen to wait until then."""
    d = dock(["1-1.1"], policy={"erase": "by-hand"}).start()
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    ready_and_stored(d, 1)
    d.wait(lambda: d.manager()["UnstoredClips"] == 0, "nothing to wait")
    ctl("transfer", "pause")
    for key in d.objects() + d.objects("manifests"):
        os.unlink(os.path.join(d.store, key))
    ctl("camera", "erase", "SN-c")
    d.wait(lambda: d.events("store-refused"), "the loss to be on record")
    d.wait(lambda: (d.manager()["UnstoredClips"], d.manager()["UnstoredBytes"]) == (1, MIB), "the clip to be counted")
    assert on_camera(sim) == ["a.MP4"] and not d.events("erased")
    ctl("transfer", "resume")
    d.wait(lambda: len(d.events("receipted")) == 2 and d.manager()["UnstoredClips"] == 0, "the second receipt")


rack.run([test_clip_that_the_store_lost_waits_again_and_is_counted, test_clip_is_erased_when_its_time_has_come,
          test_nothing_is_erased_by_age_while_the_clock_is_not_known,
          test_by_hand_means_when_somebody_says_so, test_order_lapses_when_the_camera_leaves,
          test_what_is_not_stored_is_named_and_erased_only_when_that_is_said, test_weak_receipt_is_not_stored,
          test_never_is_not_changed_by_hand, test_model_may_be_stricter_than_the_site,
          test_footage_is_unclassified_unless_somebody_says_otherwise, test_only_root_erases])
