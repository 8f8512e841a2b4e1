#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end: docked, identified, checked, pulled, stored, receipted, erased, ready."""

import hashlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20


def camera(sim, name, clips, **spec):
    sim("camera", name=name, type="ptp", serial=spec.pop("serial", f"SN-{name}"), manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=clips, **spec)
    return rack.sha256_of(sim("state", camera=name, sha256=True))


def assert_stored(dock, serial, digests):
    """Each clip once, with the bytes that the camera had."""
    stored = dock.stored()
    for path, digest in digests.items():
        assert stored.get((serial, path)) == [digest], f"{serial} {path}: the store has {stored.get((serial, path))}, not {digest}"


def test_cameras_are_pulled_stored_erased_and_ready(sim, dock):
    d = dock(["1-1.1", "1-1.2", "1-2.3"]).start()
    digests = {}
    for n, port in enumerate(d.bays):
        digests[n] = camera(sim, f"c{n}", [make_clip(f"DCIM/{100 + k}/CLIP{k:04}.MP4", k * 700_001, 10 * n + k) for k in range(5)])
        sim("plug", camera=f"c{n}", port=port)
    for bay in (1, 2, 3):
        d.wait_state(bay, "ready")
    for n in digests:
        assert_stored(d, f"SN-c{n}", digests[n])
        assert sim("state", camera=f"c{n}")["clips"] == [], "the camera is not erased"
    assert len(d.objects()) == sum(len(x) for x in digests.values())
    d.check_chain()


def test_custody_tells_each_step_in_order(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "c", [make_clip("A.MP4", 20 * MIB, 1)], battery=77, clock_offset_sec=-90)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    d.wait(lambda: d.events("undocked"), "the end of the docking on record")
    kinds = [e["event"] for e in d.events()]
    wanted = ["daemon-started", "docked", "camera-seen", "identified", "checked", "clock-set", "clip-seen", "pull-begun", "copied",
              "receipted", "erase-begun", "erased", "undocked"]
    assert [k for k in kinds if k in wanted] == wanted, kinds
    checked = d.events("checked")[0]
    assert checked["battery_percent"] == 77
    assert abs(checked["drift_usec"] + 90_000_000) < 30_000_000, checked
    d.check_chain()


def test_manifest_names_the_custody_event_and_the_clock(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "c", [make_clip("A.MP4", 20 * MIB, 1)], clock_offset_sec=-90)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    facts = d.manifests()[0]["facts"]
    copied, checked = d.events("copied")[0], d.events("checked")[0]
    hashes = dict(d.rows("SELECT seq, hash FROM custody"))
    assert facts["custody"] == {"seq": copied["seq"], "sha256": hashes[copied["seq"]].hex()}, facts
    assert facts["clock"] == {"drift_usec": checked["drift_usec"], "dock_synchronised": True}, facts
    assert facts["dock"] == "test-dock" and facts["camera"]["serial"] == "SN-c", facts


def test_clock_drift_is_on_record_before_the_clock_is_set(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "c", [], clock_offset_sec=3600)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    kinds = [e["event"] for e in d.events()]
    assert kinds.index("checked") < kinds.index("clock-set")
    assert abs(d.events("checked")[0]["drift_usec"] - 3_600_000_000) < 60_000_000
    assert d.events("clock-set")[0]["set"] is True
    assert abs(sim("state", camera="c")["clock_offset_sec"]) <= 60, "the camera's clock was not set"


def test_clock_is_left_while_the_docks_own_is_not_synchronised(sim, dock):
    d = dock(["1-1.1"], synchronised=False).start()
    camera(sim, "c", [], clock_offset_sec=3600)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    assert d.events("clock-set")[0]["set"] is False
    assert d.events("checked")[0]["synchronised"] is False
    assert abs(sim("state", camera="c")["clock_offset_sec"] - 3600) <= 2


def test_odd_names_and_sizes_arrive(sim, dock):
    d = dock(["1-1.1"]).start()
    clips = [
        make_clip("DCIM/empty.MP4", 0, 1),
        make_clip("DCIM/one byte.MP4", 1, 2),
        make_clip("DCIM/packet.MP4", 512 * 40, 3),
        make_clip("DCIM/packet less header.MP4", 512 * 40 - 12, 4),
        make_clip("DCIM/block.MP4", 8 * MIB, 5),
        make_clip("DCIM/two blocks.MP4", 16 * MIB, 6),
        make_clip("DCIM/block and one.MP4", 8 * MIB + 1, 7),
        make_clip("DCIM/Ünïcödé 🎥.MP4", 1000, 8),
        {**make_clip("DCIM/x", 1001, 9), "name": "a/b.MP4"},
        {**make_clip("DCIM/x", 1002, 10), "name": ".."},
        {**make_clip("DCIM/x", 1003, 11), "name": "L" * 250 + ".MP4"},
        {**make_clip("DCIM/x", 1004, 12), "name_utf16": [0x41, 0xD83D, 0x42]},
        make_clip("DCIM/twice.MP4", 1005, 13),
        make_clip("DCIM/twice.MP4", 1005, 14),
    ]
    sim("camera", name="c", type="ptp", serial="SN-odd", clips=clips)
    wanted = sorted(c["sha256"] for c in sim("state", camera="c", sha256=True)["clips"])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", "quarantined")
    assert d.state_of(1) == "ready", d.bay(1)
    assert sorted(x for digests in d.stored().values() for x in digests) == wanted
    assert sim("state", camera="c")["clips"] == []


def test_camera_full_of_small_clips(sim, dock):
    count = 2000 if "MAIN_JOB_LONG" in os.environ else 400
    d = dock(["1-1.1"]).start()
    clips = [make_clip(f"DCIM/{100 + n // 200}/C{n:05}.MP4", 100 + n, n) for n in range(count)]
    camera(sim, "c", clips)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=600)
    assert len(d.objects()) == count
    assert sim("state", camera="c")["clips"] == []
    assert d.rows("SELECT count(*) FROM clips WHERE state = 'erased'") == [(count,)] or d.bay(1)["ClipsErased"] == count
    d.check_chain()


def test_half_pulled_clip_goes_on_in_another_bay(sim, dock):
    d = dock(["1-1.1", "1-2.2"]).start()
    digests = camera(sim, "c", [make_clip("long.MP4", 96 * MIB, 7)])
    sim("slow", camera="c", bytes_per_sec=60 * MIB)
    sim("unplug_after", camera="c", bytes=50 * MIB)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.events("pull-begun"), "the first pull")
    d.wait_state(1, "empty")
    sim("slow", camera="c", bytes_per_sec=0)
    sim("plug", camera="c", port="1-2.2")
    d.wait_state(2, "ready")
    begun = d.events("pull-begun")
    assert begun[-1]["offset_bytes"] >= 24 * MIB, f"the second docking began at {begun[-1]['offset_bytes']}"
    assert_stored(d, "SN-c", digests)
    assert len(d.objects()) == 1
    d.check_chain()


def test_receipt_of_an_earlier_docking_erases_only_what_was_read_again(sim, dock):
    d = dock(["1-1.1"])
    digests = camera(sim, "c", [make_clip("a.MP4", 20 * MIB, 1), make_clip("b.MP4", 3 * MIB, 2)])
    d.start_daemon()  # without the uplink: nothing can be receipted while it is docked
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    d.start_uplink()
    d.wait(lambda: len(d.events("receipted")) == 2, "receipts after the camera left")
    assert len(sim("state", camera="c")["clips"]) == 2
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    assert len(d.events("verified")) == 2, "the clips were erased without being read again"
    assert len(d.events("copied")) == 2 and len(d.objects()) == 2, "a clip was copied or sent twice"
    assert_stored(d, "SN-c", digests)
    assert sim("state", camera="c")["clips"] == []


def eject(code=0):
    command = [f"{rack.BUILD}/berthctl", "bay", "eject", "1"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, done
    return done.stdout or done.stderr


def assert_let_go(d, text):
    bay = d.bay(1)
    assert (bay["State"], bay["Light"], bay["Reason"], bay["CurrentClip"]) == ("ejected", "take", text, ""), bay
    assert not d.workers(), "a worker still has the camera"


def replug(sim, d):
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    sim("slow", camera="c", bytes_per_sec=0)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")


def test_camera_that_is_ejected_in_the_middle_of_a_pull_goes_on_there(sim, dock):
    d = dock(["1-1.1"]).start()
    assert "there is no camera in this bay" in eject(1)
    digests = camera(sim, "c", [make_clip("long.MP4", 40 * MIB, 7), make_clip("next.MP4", 9 * MIB, 8)])
    sim("slow", camera="c", bytes_per_sec=4 * MIB)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.rows("SELECT 1 FROM blocks"), "a block")
    sim("slow", camera="c", bytes_per_sec=MIB // 4)
    text = "it may be taken out; 2 of 2 clips are not copied yet"
    assert eject() == f"Bay 1: {text}.\n"
    assert_let_go(d, text)
    assert eject() == f"Bay 1: {text}.\n", "who asks again is told the same"
    order, = d.events("eject-ordered")
    assert (order["operator_uid"], order["reason"], order["serial"], order["bay"]) == (0, text, "SN-c", "1-1.1"), order
    broken, = d.events("pull-interrupted")
    assert broken["seq"] > order["seq"] and broken["offset_bytes"] >= 8 * MIB, broken
    replug(sim, d)
    assert [e["offset_bytes"] for e in d.events("pull-begun")] == [0, broken["offset_bytes"], 0], "it was not pulled on from there"
    assert not d.events("fault") and len(d.events("copied")) == len(d.objects()) == 2, d.events()
    assert_stored(d, "SN-c", digests)
    d.check_chain()


def test_camera_that_is_ejected_while_it_is_erased_keeps_what_was_not_begun_with(sim, dock):
    d = dock(["1-1.1"])
    digests = camera(sim, "c", [make_clip(f"{n}.MP4", MIB, n) for n in range(16)])
    d.start_daemon()  # without the uplink, so that all are licensed in one round
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    d.wait(lambda: len(d.events("copied")) == 16, "the copies on record")
    sim("slow", camera="c", bytes_per_sec=MIB // 8)
    d.start_uplink()
    d.wait(lambda: d.events("erased"), "the first to be erased")
    said = eject()
    left = len(sim("state", camera="c")["clips"])
    text = f"it may be taken out; its clips are all copied, and {left} of 16 are not erased yet"
    assert 0 < left < 16 and said == f"Bay 1: {text}.\n", (left, said)
    assert_let_go(d, text)
    assert len(d.events("erased")) == 16 - left, "the clip that was being erased is not on record as that"
    kept = d.events("erase-failed")
    assert len(kept) == left and {e["reason"] for e in kept} == {"it was not begun with: the camera is to be taken out"}, kept
    replug(sim, d)
    d.wait(lambda: len(d.events("erased")) == 16, "all to be erased")
    assert len(d.objects()) == 16 and not d.events("fault"), d.events("fault")
    assert_stored(d, "SN-c", digests)
    assert sim("state", camera="c")["clips"] == []
    d.check_chain()


def test_ejected_camera_is_taken_up_again_by_a_restarted_daemon(sim, dock):
    d = dock(["1-1.1"]).start()
    digests = camera(sim, "c", [make_clip("a.MP4", 40 * MIB, 7)])
    sim("slow", camera="c", bytes_per_sec=4 * MIB)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "pulling")
    assert "1 of 1 clips are not copied" in eject()
    d.daemon.end()
    sim("slow", camera="c", bytes_per_sec=0)
    d.start_daemon()
    d.wait_state(1, "ready")
    assert_stored(d, "SN-c", digests)
    assert eject() == "Bay 1: it may be taken out; the dock is done with it.\n"
    assert_let_go(d, "it may be taken out; the dock is done with it")
    d.check_chain()


def test_clip_over_four_gibibytes(sim, dock):
    d = dock(["1-1.1"]).start()
    size = (1 << 32) + 12345
    sim("camera", name="c", type="ptp", serial="SN-c", clips=[{"path": "huge.MP4", "size": size, "zero": True, "mtime": 1700000000}])
    digest = hashlib.sha256()
    zeros = bytes(8 * MIB)
    for _ in range(size // len(zeros)):
        digest.update(zeros)
    digest.update(zeros[: size % len(zeros)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=400)
    assert_stored(d, "SN-c", {"huge.MP4": digest.hexdigest()})
    assert d.rows("SELECT size_bytes FROM clips") == [(size,)]
    assert sim("state", camera="c")["clips"] == []


rack.run([test_cameras_are_pulled_stored_erased_and_ready, test_custody_tells_each_step_in_order,
          test_manifest_names_the_custody_event_and_the_clock,
          test_clock_drift_is_on_record_before_the_clock_is_set, test_clock_is_left_while_the_docks_own_is_not_synchronised,
          test_odd_names_and_sizes_arrive, test_camera_full_of_small_clips, test_half_pulled_clip_goes_on_in_another_bay,
          test_receipt_of_an_earlier_docking_erases_only_what_was_read_again,
          test_camera_that_is_ejected_in_the_middle_of_a_pull_goes_on_there,
          test_camera_that_is_ejected_while_it_is_erased_keeps_what_was_not_begun_with,
          test_ejected_camera_is_taken_up_again_by_a_restarted_daemon, test_clip_over_four_gibibytes])
