#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Identity is weak: serials, names, sizes and times lie or repeat, and no second of footage may be lost or mixed for it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20


def camera(sim, name, clips, serial, **spec):
    sim("camera", name=name, type="ptp", serial=serial, manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips, **spec)
    return rack.sha256_of(sim("state", camera=name, sha256=True))


def test_two_cameras_with_one_serial_are_quarantined_and_untouched(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    camera(sim, "a", [make_clip("x.MP4", 64 * MIB, 1)], "TWIN-7")
    camera(sim, "b", [make_clip("x.MP4", 64 * MIB, 2)], "TWIN-7")
    sim("slow", camera="a", bytes_per_sec=4 * MIB)
    sim("plug", camera="a", port="1-1.1")
    d.wait_state(1, "pulling")
    sim("plug", camera="b", port="1-1.2")
    d.wait_state(1, "quarantined")
    d.wait_state(2, "quarantined")
    assert "TWIN-7" in d.bay(1)["Reason"] and "bay 2" in d.bay(1)["Reason"], d.bay(1)["Reason"]
    assert len(sim("state", camera="a")["clips"]) == len(sim("state", camera="b")["clips"]) == 1
    assert not d.events("erased")


def test_the_twin_that_stays_is_pulled_from_its_first_byte(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    camera(sim, "a", [make_clip("x.MP4", 64 * MIB, 1)], "TWIN-8")
    digest = camera(sim, "b", [make_clip("x.MP4", 64 * MIB, 2)], "TWIN-8")["x.MP4"]
    sim("slow", camera="a", bytes_per_sec=4 * MIB)
    sim("plug", camera="a", port="1-1.1")
    d.wait(lambda: d.rows("SELECT count(*) FROM blocks")[0][0] >= 2, "some blocks of the first")
    sim("plug", camera="b", port="1-1.2")
    d.wait_state(2, "quarantined")
    sim("unplug", camera="a")
    d.wait_state(2, "ready")
    assert d.events("pull-begun")[-1]["offset_bytes"] == 0
    assert d.stored() == {("TWIN-8", "x.MP4"): [digest]}


def test_placeholder_serial_is_quarantined(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "a", [make_clip("x.MP4", 1000, 1)], "00000000")
    sim("plug", camera="a", port="1-1.1")
    d.wait_state(1, "quarantined")
    assert "placeholder" in d.bay(1)["Reason"]
    assert len(sim("state", camera="a")["clips"]) == 1


def test_same_name_size_and_time_with_other_content_is_a_new_clip(sim, dock):
    d = dock(["1-1.1"])
    first = camera(sim, "a", [make_clip("x.MP4", 20 * MIB, 1)], "SN-1")["x.MP4"]
    d.start_daemon()
    sim("plug", camera="a", port="1-1.1")
    d.wait_state(1, "settled")
    sim("unplug", camera="a")
    d.wait_state(1, "empty")
    d.start_uplink()
    d.wait(lambda: d.events("receipted"), "the first receipt")
    sim("change_clip", camera="a", path="x.MP4", seed=2)
    second = rack.sha256_of(sim("state", camera="a", sha256=True))["x.MP4"]
    assert first != second
    sim("plug", camera="a", port="1-1.1")
    d.wait_state(1, "ready")
    assert sorted(d.stored()[("SN-1", "x.MP4")]) == sorted([first, second]), "one of the two contents is not in the store"
    assert len(d.events("clip-seen")) == 2


def test_part_whose_head_changed_is_kept_aside_and_not_spliced(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "a", [make_clip("x.MP4", 96 * MIB, 1)], "SN-1")
    sim("slow", camera="a", bytes_per_sec=60 * MIB)
    sim("unplug_after", camera="a", bytes=50 * MIB)
    sim("plug", camera="a", port="1-1.1")
    d.wait(lambda: d.events("pull-begun"), "the first pull")
    d.wait_state(1, "empty")
    sim("change_clip", camera="a", path="x.MP4", patch_offset=0, patch_hex="deadbeef")
    now = rack.sha256_of(sim("state", camera="a", sha256=True))["x.MP4"]
    sim("slow", camera="a", bytes_per_sec=0)
    sim("plug", camera="a", port="1-1.1")
    d.wait_state(1, "ready")
    assert d.events("part-set-aside"), "the old part was not set aside"
    assert d.events("pull-begun")[-1]["offset_bytes"] == 0
    assert d.stored() == {("SN-1", "x.MP4"): [now]}
    assert os.listdir(os.path.join(d.state, "kept")), "the old part is gone"


def test_change_that_samples_miss_ends_in_conflict_and_a_clip_of_its_own(sim, dock):
    d = dock(["1-1.1"]).start()
    size = 400 * MIB
    camera(sim, "a", [make_clip("x.MP4", size, 1)], "SN-1")
    sim("slow", camera="a", bytes_per_sec=400 * MIB)
    sim("unplug_after", camera="a", bytes=size - 20 * MIB)
    sim("plug", camera="a", port="1-1.1")
    d.wait(lambda: d.events("pull-begun"), "the first pull")
    d.wait_state(1, "empty")
    # Every block but the first and the last few changes in one byte now and then: enough for the samples to miss it at times.
    sim("change_clip", camera="a", path="x.MP4", patch_offset=9 * MIB, patch_hex="00ff00ff00ff")
    now = rack.sha256_of(sim("state", camera="a", sha256=True))["x.MP4"]
    sim("slow", camera="a", bytes_per_sec=0)
    sim("plug", camera="a", port="1-1.1")
    d.wait_state(1, "ready", "quarantined", deadline=120)
    assert now in d.stored()[("SN-1", "x.MP4")], "what the camera holds now is not in the store"
    if not d.events("part-set-aside"):
        assert d.events("conflict"), "a splice of two contents passed for a copy"
    erased = [e for e in d.events("erased")]
    assert all(e["clip_id"] == d.events("clip-seen")[-1]["clip_id"] for e in erased), "a clip was erased on the word of other content"


def test_stranger_is_refused_recorded_and_never_sent_a_command(sim, dock):
    d = dock(["1-1.1"]).start()
    sim("camera", name="kbd", type="stranger", vid=0x1D6B, pid=0x0104, product="Totally a camera",
        interfaces=[{"class": 3, "subclass": 1, "protocol": 1}])
    sim("plug", camera="kbd", port="1-1.1")
    d.wait_state(1, "refused")
    assert "1d6b:0104" in d.bay(1)["Reason"] and "03/01/01" in d.bay(1)["Reason"], d.bay(1)["Reason"]
    assert sim("state", camera="kbd")["requests"] == 0
    refused = d.wait(lambda: d.events("refused"), "the refusal on record")
    assert len(refused) == 1 and refused[0]["vid"] == "1d6b"


def test_camera_with_a_surprise_interface_is_refused_as_a_whole(sim, dock):
    d = dock(["1-1.1"]).start()
    sim("camera", name="mix", type="stranger", vid=0x1209, pid=0x0001,
        interfaces=[{"class": 6, "subclass": 1, "protocol": 1}, {"class": 3, "subclass": 1, "protocol": 1}])
    sim("plug", camera="mix", port="1-1.1")
    d.wait_state(1, "refused")
    assert sim("state", camera="mix")["requests"] == 0


rack.run([test_two_cameras_with_one_serial_are_quarantined_and_untouched, test_the_twin_that_stays_is_pulled_from_its_first_byte,
          test_placeholder_serial_is_quarantined, test_same_name_size_and_time_with_other_content_is_a_new_clip,
          test_part_whose_head_changed_is_kept_aside_and_not_spliced,
          test_change_that_samples_miss_ends_in_conflict_and_a_clip_of_its_own,
          test_stranger_is_refused_recorded_and_never_sent_a_command,
          test_camera_with_a_surprise_interface_is_refused_as_a_whole])
