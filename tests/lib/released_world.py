# SPDX-License-Identifier: Apache-2.0
"""A dock whose spool let go of footage that its store holds."""

import hashlib
import json
import os
import signal
import subprocess
from contextlib import contextmanager

from rack import BUILD, make_clip

MIB = 1 << 20


@contextmanager
def released(sim, dock, **config):
    """Yields the dock, and the ids of its three clips of which the spool has no copy any more; the spool's disk has room for two."""
    d = dock(["1-1.1"], reserve="16M", **config)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40M", "none", d.state], check=True)
    try:
        d.start()
        sim("camera", name="R", type="ptp", serial="SN-R", clips=[make_clip(f"DCIM/R{n}.MP4", 8 * MIB + n, 20 + n) for n in range(3)])
        sim("plug", camera="R", port="1-1.1")
        d.wait(lambda: len(d.events("erased")) == 3 and d.events("spool-released"), "the spool to let go of a copy", deadline=180)
        ids = [n for n, in d.rows("SELECT id FROM clips WHERE spool_name IS NULL ORDER BY id")]
        assert ids, d.rows("SELECT id, state, spool_name FROM clips")
        yield d, ids
        d.close()
    finally:
        subprocess.run(["umount", "-l", d.state], check=True)


def checkpoint():
    """So that the newest events can be exported: a daemon that ended made one by itself."""
    subprocess.run([f"{BUILD}/berthctl", "custody", "checkpoint"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def export(d, *what, to, code, options=()):
    """(the folder, what was said of it)"""
    path = to if os.path.isabs(to) else d.path(to)
    checkpoint()
    done = subprocess.run([f"{BUILD}/berthctl", "custody", "export", *what, path, f"--state-dir={d.state}",
                           f"--uplink={d.path('uplink.sock')}", *options], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    assert done.returncode == code, (what, done)
    return path, done.stdout + done.stderr


def is_whole(d, folder, clip_id):
    """Is the clip's footage in the export what was copied from its camera?"""
    with open(os.path.join(folder, "index.json"), encoding="utf-8") as f:
        clip, = [c for c in json.load(f)["clips"] if c["clip_id"] == clip_id]
    with open(os.path.join(folder, clip["file"]), "rb") as f:
        return hashlib.sha256(f.read()).hexdigest() == [e["digest"] for e in d.events("copied") if e["clip_id"] == clip_id][-1]


@contextmanager
def uplink_stands_still(d):
    """Whatever is asked of it waits meanwhile, in order."""
    os.kill(d.uplink.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(d.uplink.pid, signal.SIGCONT)
