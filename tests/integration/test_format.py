#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cameras whose model says that they are formatted: under the same license as clip by clip, for all clips or for none."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20
MODEL = """[model acme]
match = 1209:f0f0
interface = 06/01/01
plugin = mtp
erase = format
footage = *.MP4
"""


def formatting_dock(sim, dock):
    d = dock(["1-1.1"])
    os.makedirs(d.path("cameras.d"))
    with open(d.path("cameras.d", "acme.conf"), "w", encoding="utf-8") as f:
        f.write(MODEL)
    return d


def camera(sim, name, clips, **spec):
    sim("camera", name=name, type="ptp", vid=0x1209, pid=0xF0F0, serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1",
        clips=clips, **spec)
    return rack.sha256_of(sim("state", camera=name, sha256=True))


def clips(n, size=200_000):
    return [make_clip(f"DCIM/{i:03}.MP4", size, i) for i in range(n)]


def assert_stored(d, serial, digests):
    stored = d.stored()
    for path, digest in digests.items():
        assert stored.get((serial, path)) == [digest], (serial, path, stored)


def test_camera_is_formatted_when_every_clip_is_licensed(sim, dock):
    d = formatting_dock(sim, dock).start()
    digests = camera(sim, "c", clips(40) + [make_clip("DCIM/BIG.MP4", 20 * MIB, 99), make_clip("DCIM/EMPTY.MP4", 0, 98)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    assert not sim("state", camera="c")["clips"]
    erased = d.wait(lambda: len(d.events("erased")) == len(digests) == 42 and d.events("erased"), "the erases to be on record")
    assert all(e["reason"] == "the camera was formatted" for e in erased), erased[0]
    begun = d.events("erase-begun")
    assert len(begun) == 42 and all(e["receipted_seq"] for e in begun)
    # All licenses were there before the first clip was gone.
    assert max(e["seq"] for e in begun) < min(e["seq"] for e in erased)
    assert_stored(d, "SN-c", digests)
    d.check_chain()


def test_other_files_on_the_camera_keep_it_from_being_formatted(sim, dock):
    d = formatting_dock(sim, dock).start()
    digests = camera(sim, "c", clips(3) + [make_clip("MISC/NOTES.TXT", 100, 7)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    assert [c["path"] for c in sim("state", camera="c")["clips"]] == ["MISC/NOTES.TXT"], "a file that was not taken is gone"
    erased = d.wait(lambda: len(d.events("erased")) == 3 and d.events("erased"), "the erases to be on record")
    assert all("reason" not in e for e in erased)
    del digests["MISC/NOTES.TXT"]
    assert_stored(d, "SN-c", digests)


def test_camera_that_is_ejected_before_its_format_keeps_all_until_it_is_back(sim, dock):
    d = formatting_dock(sim, dock)
    digests = camera(sim, "c", clips(12))
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    d.wait(lambda: len(d.events("copied")) == 12, "the copies on record")
    sim("slow", camera="c", bytes_per_sec=100_000)
    d.start_uplink()
    d.wait(lambda: d.events("erase-begun"), "the licenses")
    command = [f"{rack.BUILD}/berthctl", "bay", "eject", "1"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.stdout == "Bay 1: it may be taken out; its clips are all copied, and 12 of 12 are not erased yet.\n", done
    assert d.state_of(1) == "ejected" and not d.workers() and len(sim("state", camera="c")["clips"]) == 12
    assert {e["reason"] for e in d.events("erase-failed")} == {"the camera is to be taken out"} and len(d.events("erase-failed")) == 12
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    sim("slow", camera="c", bytes_per_sec=0)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    d.wait(lambda: len(d.events("erased")) == 12, "the erases to be on record")
    assert not sim("state", camera="c")["clips"] and not d.events("fault")
    assert_stored(d, "SN-c", digests)
    d.check_chain()


def test_clip_that_appears_before_the_format_is_not_lost(sim, dock):
    d = formatting_dock(sim, dock)
    camera(sim, "c", clips(3))
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    d.wait(lambda: not d.workers(), "the reader to be let go")
    sim("add_clip", camera="c", **make_clip("DCIM/NEW.MP4", 5000, 50))
    d.start_uplink()
    d.wait(lambda: len(d.events("erased")) == 3, "the others to be erased")
    assert [c["path"] for c in sim("state", camera="c")["clips"]] == ["DCIM/NEW.MP4"], "footage that nobody had read was formatted away"
    assert "no receipt covers" in d.events("erase-failed")[0]["reason"], d.events("erase-failed")


def test_content_that_changed_meanwhile_is_not_formatted_away(sim, dock):
    d = formatting_dock(sim, dock)
    camera(sim, "c", clips(3))
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    d.wait(lambda: not d.workers(), "the reader to be let go")
    sim("change_clip", camera="c", path="DCIM/001.MP4", seed=77)
    d.start_uplink()
    d.wait(lambda: d.events("erase-failed"), "the format to be given up")
    d.wait(lambda: len(d.events("erased")) == 2, "the other two to be erased")
    assert [c["path"] for c in sim("state", camera="c")["clips"]] == ["DCIM/001.MP4"], "content that nobody had read was formatted away"


def formatted_away(sim, dock, offset):
    """One byte of a long clip is another one, which was read before."""
    d = formatting_dock(sim, dock)
    camera(sim, "c", [make_clip("DCIM/001.MP4", 20 * MIB, 1), make_clip("DCIM/002.MP4", 20 * MIB, 2)])
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    d.wait(lambda: not d.workers(), "the reader to be let go")
    sim("change_clip", camera="c", path="DCIM/002.MP4", patch_offset=offset, patch_hex="a7")
    d.start_uplink()
    d.wait(lambda: d.events("erase-failed") or d.events("erased"), "the format, or its end")
    return not d.events("erase-failed")


def test_change_within_the_first_8_mib_keeps_a_camera_from_being_formatted(sim, dock):
    assert not formatted_away(sim, dock, 8 * MIB - 1)


def test_change_at_the_very_end_keeps_a_camera_from_being_formatted(sim, dock):
    assert not formatted_away(sim, dock, 20 * MIB - 1)


rack.run([test for name, test in list(globals().items()) if name.startswith("test_")])
