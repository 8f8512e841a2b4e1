#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The plugin author's guide holds: its plugin is built by the guide's own command, and does the whole job on a camera of its own."""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import BUILD, SRC  # noqa: E402

EXAMPLE = f"{SRC}/docs/plugin-example"


def guide():
    with open(f"{SRC}/docs/plugin-guide.md", encoding="utf-8") as f:
        return f.read()


def build(folder):
    """By the command of the guide, with nothing but the public header."""
    shutil.copy(f"{EXAMPLE}/tiny.c", folder)
    command = re.search(r"^cc .*tiny\.c$", guide(), re.M).group(0).split()
    subprocess.run(command + [f"-I{SRC}/include", "-Werror"], cwd=folder, check=True)


def test_the_guides_plugin_does_the_whole_job(sim, dock):
    d = dock(["1-1.1"])
    plugins = d.path("plugins")
    os.makedirs(plugins)
    for path in glob.glob(f"{BUILD}/plugins/*.so"):
        shutil.copy(path, plugins)
    build(plugins)
    os.makedirs(d.path("cameras.d"))
    shutil.copy(f"{EXAMPLE}/tiny.conf", d.path("cameras.d"))
    checked = subprocess.run([f"{BUILD}/berthctl", "model", "check", d.path("cameras.d/tiny.conf"), f"--models-dir={SRC}/cameras.d",
                              f"--local-models-dir={d.path('cameras.d')}", f"--rules-dir={SRC}/udev-rules"], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, check=False)
    assert "tiny" in checked.stdout + checked.stderr, checked
    d.config["plugin_dir"] = plugins
    d.write_config()
    d.start()
    sizes = {"A.MP4": 9 << 20, "B ä/..\x07.MP4": 300_001, "EMPTY.MP4": 0, "NOTES.TXT": 17}
    sim("camera", name="t", type="tiny", vid=0x1209, pid=1, manufacturer="Guide", product="Tiny", serial="T-1",
        files=[{"name": name, "mtime": 1700000000 + n, "size": size, "seed": n} for n, (name, size) in enumerate(sizes.items())])
    before = sim("state", camera="t")["files"]
    sim("plug", camera="t", port="1-1.1")
    d.wait_state(1, "ready")
    bay = d.bay(1)
    assert (bay["Serial"], bay["Model"], bay["ClipsTotal"], bay["ClipsErased"]) == ("T-1", "Tiny", 3, 3), bay
    rows = d.rows("SELECT path, digest FROM clips ORDER BY id")
    digests = {digest.hex() if isinstance(digest, bytes) else digest for _, digest in rows}
    assert digests == {before[name] for name in sizes if name.endswith(".MP4")}, (rows, before)
    stored = []
    for folder, _, names in os.walk(os.path.join(d.store, "objects")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                stored.append(hashlib.sha256(f.read()).hexdigest())
    assert sorted(stored) == sorted(digests), stored
    assert [path for path, _ in rows] == ["A.MP4", "B ä%2F..%07.MP4", "EMPTY.MP4"], rows
    assert set(sim("state", camera="t")["files"]) == {"NOTES.TXT"}, "what is no footage stays"
    d.check_chain()


def test_the_guide_shows_the_plugin_that_is_run(sim, dock):
    """Each piece of C in the guide is in the plugin, word for word."""
    with open(f"{EXAMPLE}/tiny.c", encoding="utf-8") as f:
        source = " ".join(f.read().split())
    pieces = re.findall(r"```c\n(.*?)```", guide(), re.S)
    assert len(pieces) >= 4
    for piece in pieces:
        assert " ".join(piece.split()) in source, piece
    with open(f"{EXAMPLE}/tiny.conf", encoding="utf-8") as f:
        model = f.read()
    assert all(line in model for line in re.search(r"```ini\n(.*?)```", guide(), re.S).group(1).splitlines())


rack.run([test_the_guides_plugin_does_the_whole_job, test_the_guide_shows_the_plugin_that_is_run])
