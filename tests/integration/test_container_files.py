#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The container check against files that ffmpeg makes, and against ffprobe's opinion of the same files cut short."""

import collections
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["BERTH_SRC"], "tests"))
import tap  # noqa: E402

TELL = os.path.join(os.environ["BERTH_BUILD"], "tests", "container_tell")
CUTS = 50
RECORDED = "2026-11-25T09:15:00Z"
RECORDED_SEC = 1795598100

# Two seconds with a sound track. What makes each kind a kind of its own.
KINDS = {
    "plain.mp4": ["-movflags", "0"],
    "faststart.mp4": ["-movflags", "+faststart"],
    "fragmented.mp4": ["-movflags", "+frag_keyframe+empty_moov", "-g", "12"],
    "dash.mp4": ["-movflags", "+dash+frag_keyframe", "-g", "12"],
    "plain.mov": [],
    "plain.avi": [],
    "plain.mkv": [],
    "cues-in-front.mkv": ["-reserve_index_space", "4096"],
    "plain.webm": ["-c:v", "vp8", "-c:a", "libopus"],
}
FRAGMENTED = ("fragmented.mp4", "dash.mp4")
FORMATS = {"mp4": "mp4", "mov": "mov", "avi": "avi", "mkv": "matroska", "webm": "webm"}

Told = collections.namedtuple("Told", "format verdict offset recorded duration read reason")


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, text=True)


def tell(*paths):
    done = run(TELL, *paths)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [Told(row[0], row[1], int(row[2]), None if row[3] == "-" else int(row[3]), int(row[4]), int(row[5]), row[6]) for row in rows]


def make(name, *options):
    if os.path.exists(name):
        return name
    done = run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=duration=2:size=160x120:rate=24", "-f", "lavfi", "-i",
               "sine=duration=2", "-c:v", "mpeg4", "-c:a", "mp2" if name.endswith("avi") else "aac", *KINDS[name], *options,
               "-metadata", "creation_time=" + RECORDED, name)
    assert done.returncode == 0, done.stderr
    return name


def ffprobe_complains(path):
    """It reads all packets and says nothing bad."""
    done = run("ffprobe", "-v", "warning", "-show_packets", "-of", "compact", path)
    return done.returncode != 0 or done.stderr.strip() != ""


def test_what_ffmpeg_finished_is_complete():
    for name in KINDS:
        make(name)
        assert not ffprobe_complains(name), name
        [told] = tell(name)
        assert (told.format, told.verdict, told.reason) == (FORMATS[name.split(".")[1]], "complete", ""), (name, told)


def test_recording_time_and_duration_are_what_ffmpeg_wrote():
    for name in KINDS:
        [told] = tell(make(name))
        # ffmpeg writes no date into AVI, and into a fragmented file no duration, before it knows it.
        if not name.endswith(".avi"):
            assert told.recorded == RECORDED_SEC, (name, told)
        if name not in FRAGMENTED:
            assert 1900 <= told.duration <= 2200, (name, told)


def cut(name, number):
    size = os.path.getsize(name)
    path = f"cut-{number:02}-{name}"
    with open(name, "rb") as whole, open(path, "wb") as part:
        part.write(whole.read(size * number // CUTS))
    return path


def test_what_was_cut_short_is_incomplete():
    """At every fiftieth. Between two fragments nothing tells that more should have come, and ffprobe does not miss it either."""
    for name in KINDS:
        make(name)
        paths = [cut(name, number) for number in range(1, CUTS)]
        for path, told in zip(paths, tell(*paths)):
            assert told.format == FORMATS[name.split(".")[1]], (path, told)
            if told.verdict != "incomplete":
                assert name in FRAGMENTED and told.verdict == "complete" and not ffprobe_complains(path), (path, told)
                continue
            assert told.reason and told.offset <= os.path.getsize(path), (path, told)


def test_cut_short_file_keeps_its_recording_time_where_that_was_in_front():
    for name in ("faststart.mp4", "fragmented.mp4", "plain.mkv", "plain.webm"):
        make(name)
        [told] = tell(cut(name, CUTS - 2))
        assert (told.verdict, told.recorded) == ("incomplete", RECORDED_SEC), (name, told)


def test_recorder_that_was_killed_leaves_an_incomplete_file():
    """Not a cut of a finished file: sizes that are written last were never written."""
    for name in ("plain.mp4", "plain.mov", "plain.avi", "plain.mkv"):
        path = "killed-" + name
        recorder = subprocess.Popen(["ffmpeg", "-v", "error", "-y", "-re", "-f", "lavfi", "-i", "testsrc=size=640x480:rate=24", "-c:v",
                                     "mpeg4", "-q:v", "1", "-flush_packets", "1", path], stdin=subprocess.DEVNULL)
        try:
            while not os.path.exists(path) or os.path.getsize(path) < 100000:
                if recorder.poll() is not None:
                    raise AssertionError("ffmpeg ended by itself")
        finally:
            recorder.kill()
            recorder.wait()
        [told] = tell(path)
        assert (told.format, told.verdict) == (FORMATS[name.split(".")[1]], "incomplete"), (name, told)


if __name__ == "__main__":
    tap.main()
