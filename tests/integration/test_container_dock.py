#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a dock makes of whole and of broken recordings: both go their whole way, and the broken ones say so everywhere."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from gi.repository import GLib  # noqa: E402

BUILD = os.environ["BERTH_BUILD"]
RECORDED = "2026-11-25T09:15:00Z"
RECORDED_SEC = 1795598100
MIB = 1 << 20


def ffmpeg(path, *options):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", *options, "-metadata", "creation_time=" + RECORDED, path],
                   check=True, stdin=subprocess.DEVNULL)
    return path


def record(folder, name="whole.mp4"):
    return ffmpeg(os.path.join(folder, name), "testsrc=duration=2:size=160x120:rate=24", "-c:v", "mpeg4", "-movflags", "+faststart")


def cut(path, name, size):
    result = os.path.join(os.path.dirname(path), name)
    with open(path, "rb") as whole, open(result, "wb") as part:
        part.write(whole.read(size))
    return result


def camera(sim, files):
    clips = [{"path": "DCIM/" + os.path.basename(f).upper(), "file": f, "mtime": 1700000000} for f in files]
    sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", firmware="1", clips=clips)
    return rack.sha256_of(sim("state", camera="c", sha256=True))


def list_clips(d):
    rows = d.conn.call_sync("org.berth.Dock1", "/org/berth/Dock1", "org.berth.Dock1.Manager", "ListClips",
                           GLib.Variant("(sstu)", ("", "", 0, 0)), None, 0, 60000, None).unpack()[0]
    return {os.path.basename(row["Path"]): row for row in rows}


def facts_in_store(d):
    found = {}
    for folder, _, files in os.walk(os.path.join(d.store, "manifests")):
        for name in files:
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                manifest = json.load(f)
            found[os.path.basename(manifest["path"])] = manifest["facts"].get("container")
    return found


def berthctl(*args):
    return subprocess.run([os.path.join(BUILD, "berthctl"), *args], stdout=subprocess.PIPE, check=True, text=True).stdout


def test_clip_that_was_cut_short_is_kept_stored_erased_and_flagged(sim, dock):
    d = dock(["1-1.1"]).start()
    whole = record(d.folder)
    size = os.path.getsize(whole)
    short = cut(whole, "short.mp4", size - 1000)
    other = os.path.join(d.folder, "other.mp4")
    with open(other, "wb") as f:
        f.write(b"no container at all" * 100)
    digests = camera(sim, [whole, short, other])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    assert sim("state", camera="c")["clips"] == [], "what is incomplete is erased like the others, against its receipt"
    stored = d.stored()
    for path, digest in digests.items():
        assert stored[("SN-c", path)] == [digest], path

    clips = list_clips(d)
    assert {k: v for k, v in clips["WHOLE.MP4"].items() if k[:4] in ("Cont", "Reco", "Dura") and k != "DurableBytes"} == {
        "Container": "mp4", "ContainerState": "complete", "RecordedSec": RECORDED_SEC, "DurationMsec": 2000}, clips["WHOLE.MP4"]
    assert clips["WHOLE.MP4"]["ModifiedSec"] == 1700000000, "the file time stays what it was"
    told = clips["SHORT.MP4"]
    assert (told["Container"], told["ContainerState"], told["RecordedSec"]) == ("mp4", "incomplete", RECORDED_SEC), told
    reason = told["ContainerReason"]
    at = told["ContainerOffset"]
    assert reason == f"the box mdat at {at} says {size - at} bytes and the file ends at {size - 1000}"
    assert "Container" not in clips["OTHER.MP4"] and "Reason" not in told, clips

    events = {os.path.basename(e["path"]): e for e in d.events("copied")}
    assert (events["SHORT.MP4"]["container_state"], events["SHORT.MP4"]["container_reason"]) == ("incomplete", reason)
    assert events["WHOLE.MP4"]["recorded_unix_sec"] == RECORDED_SEC and events["WHOLE.MP4"]["duration_msec"] == 2000
    assert events["OTHER.MP4"]["container"] == "none" and "container_state" not in events["OTHER.MP4"]
    assert facts_in_store(d) == {
        "WHOLE.MP4": {"format": "mp4", "state": "complete", "recorded": "2026-11-25T09:15:00.000000Z", "duration_msec": 2000},
        "SHORT.MP4": {"format": "mp4", "state": "incomplete", "recorded": "2026-11-25T09:15:00.000000Z", "duration_msec": 2000,
                      "reason": reason, "offset": told["ContainerOffset"]},
        "OTHER.MP4": None}

    lines = {line.split()[0]: line for line in berthctl("clips").splitlines()}
    assert "container incomplete: the box mdat" in lines[str(told["Id"])], lines
    assert "incomplete" not in lines[str(clips["WHOLE.MP4"]["Id"])], lines
    rows = {os.path.basename(row["path"]): row for row in json.loads(berthctl("clips", "--json"))["clips"]}
    assert (rows["SHORT.MP4"]["container_state"], rows["SHORT.MP4"]["recorded_sec"]) == ("incomplete", RECORDED_SEC)
    assert (rows["OTHER.MP4"]["container"], rows["OTHER.MP4"]["recorded_sec"], rows["OTHER.MP4"]["duration_msec"]) == (None, None, None)
    assert "container_state=incomplete" in berthctl("log")
    d.check_chain()


def test_pull_that_was_resumed_is_checked_as_a_whole(sim, dock):
    d = dock(["1-1.1"]).start()
    large = ffmpeg(os.path.join(d.folder, "large.mov"), "testsrc=duration=4:size=640x480:rate=24", "-c:v", "rawvideo", "-pix_fmt",
                   "uyvy422")
    assert os.path.getsize(large) > 50 * MIB
    camera(sim, [large])
    sim("slow", camera="c", bytes_per_sec=40 * MIB)
    sim("unplug_after", camera="c", bytes=40 * MIB)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.events("undocked"), "the cable is out")
    sim("slow", camera="c", bytes_per_sec=0)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    assert d.events("pull-begun")[-1]["offset_bytes"] >= 8 * MIB, "the second docking went on"
    [copied] = d.events("copied")
    assert (copied["container"], copied["container_state"], copied["recorded_unix_sec"]) == ("mov", "complete", RECORDED_SEC), copied


if __name__ == "__main__":
    rack.run([thing for name, thing in list(globals().items()) if name.startswith("test_")])
