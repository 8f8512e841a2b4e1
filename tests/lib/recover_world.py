# SPDX-License-Identifier: Apache-2.0
"""A dock whose database is destroyed, and what a recovery makes of it."""

import os
import subprocess

import rack


def camera(sim, name, clips, **spec):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips, **spec)
    return {(f"SN-{name}", path): digest for path, digest in rack.sha256_of(sim("state", camera=name, sha256=True)).items()}


def left_on(sim, name):
    return len(sim("state", camera=name)["clips"])


def recover(d, expect=0):
    done = subprocess.run([f"{rack.BUILD}/berthd", "--config", d.path("berthd.conf"), "--recover"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    assert done.returncode == expect, done.stdout
    return done.stdout


def state(d, *names):
    return os.path.join(d.state, *names)


def overwrite(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


def destroy(d):
    """As by a disk that lost the file's beginning, and the log that would have healed it."""
    for suffix in ("-wal", "-shm"):
        if os.path.exists(state(d, "berth.db" + suffix)):
            os.unlink(state(d, "berth.db" + suffix))
    overwrite(state(d, "berth.db"), 0, bytes(8192))


def judge(sim, d, digests, cameras):
    stored = d.stored()
    assert stored == {clip: [digest] for clip, digest in digests.items()}, stored
    assert len(d.objects()) == len(digests), f"{len(d.objects())} objects for {len(digests)} clips: {d.objects()}"
    for name in cameras:
        assert left_on(sim, name) == 0, f"{name} still has footage"
    d.check_chain()


def ended_with_footage_in_the_store(sim, dock, clips, config=None, **spec):
    """All clips are stored, and of the spool nothing is left; the daemon is ended and the database destroyed."""
    d = dock(["1-1.1"], **(config or {}))
    d.start()
    digests = camera(sim, "c", clips, **spec)
    sim("fault", camera="c", name="delete_denied", code=0x2014)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: len(d.events("receipted")) == len(clips) and not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'"),
           "all to be stored, and signed there", 120)
    d.daemon.end()
    sim("unplug", camera="c")
    sim("fault", camera="c", name="none")
    for name in os.listdir(state(d, "spool")):
        os.unlink(state(d, "spool", name))
    destroy(d)
    return d, digests


def verify_store(d):
    return subprocess.run([f"{rack.BUILD}/berthctl", "custody", "verify", "--store", f"--state-dir={d.state}",
                           f"--uplink={d.path('uplink.sock')}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                          check=False)
