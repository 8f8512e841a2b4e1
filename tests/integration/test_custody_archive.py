#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`berthctl custody archive`: the log in the store, byte for byte, goes on where it ended, and is verified with all else."""

import hashlib
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402
from recover_world import camera, verify_store  # noqa: E402


def archive(d, expect=0, state=None):
    done = subprocess.run([f"{rack.BUILD}/berthctl", "custody", "archive", "--json", f"--state-dir={state or d.state}",
                           f"--uplink={d.path('uplink.sock')}"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
                          check=False)
    assert done.returncode == expect, done
    return json.loads(done.stdout) if expect == 0 else done.stderr


def work(sim, d, name, port, clips):
    camera(sim, name, [make_clip(f"{name}{n}.MP4", 1000 + n, ord(name) * 100 + n) for n in range(clips)])
    before = len(d.events("erased"))
    sim("plug", camera=name, port=port)
    d.wait(lambda: len(d.events("erased")) == before + clips, f"the work of camera {name}")
    subprocess.run([f"{rack.BUILD}/berthctl", "custody", "checkpoint"], check=True)
    d.wait(lambda: not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'"), "all that was signed in the store")


def archived(d):
    return b"".join(b"".join(d.content(key)) for key in sorted(d.objects("custody")))


def test_log_is_archived_as_it_is_and_goes_on_where_it_ended(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    work(sim, d, "A", "1-1.1", 20)
    copy = d.path("copy")
    subprocess.run([f"{rack.BUILD}/berthctl", "backup", copy, f"--state-dir={d.state}"], check=True, capture_output=True)
    first = archive(d)
    assert first["texts"] > 1 and first["events"] == first["upto"] > 100, first
    assert archive(d)["events"] == 0, "what is archived was archived again"
    keys = d.objects("custody")
    work(sim, d, "B", "1-1.2", 3)
    second = archive(d)
    assert second["upto"] == first["upto"] + second["events"] and set(keys) < set(d.objects("custody")), (first, second)
    covered = d.rows("SELECT max(head_seq) FROM statements WHERE type = 'checkpoint' AND state = 'stored'")[0][0]
    log = b"".join(data + b"\n" for (data,) in d.rows("SELECT bytes FROM custody WHERE seq <= ? ORDER BY seq", covered))
    assert second["upto"] == covered and archived(d) == log
    # The chain as anybody can check it: each line names the SHA-256 of the one before it.
    before = "0" * 64
    for line in log.splitlines():
        assert json.loads(line)["prev"] == before
        before = hashlib.sha256(line).hexdigest()
    done = verify_store(d)
    assert done.returncode == 0 and f" {covered} archived events" in done.stdout, done.stdout
    # One that is set back has other events than the archive; whoever ordered it is told, and nothing is put.
    assert "another custody event" in archive(d, expect=1, state=copy) and archived(d) == log


def test_archive_that_was_changed_is_told_of(sim, dock):
    d = dock(["1-1.1"]).start()
    work(sim, d, "A", "1-1.1", 20)
    archive(d)
    first, second = sorted(d.objects("custody"))[:2]
    path = os.path.join(d.store, first)
    with open(path, "rb") as f:
        data = f.read()
    os.chmod(path, 0o600)
    with open(path, "wb") as f:
        f.write(data.replace(b"SN-A", b"SN-B", 1))
    done = verify_store(d)
    assert done.returncode == 1 and f"store: {first}: the store has another custody event" in done.stdout, done.stdout
    os.unlink(path)
    done = verify_store(d)
    assert done.returncode == 1 and f"store: {second}: the custody events 1 to " in done.stdout, done.stdout


rack.run([test_log_is_archived_as_it_is_and_goes_on_where_it_ended, test_archive_that_was_changed_is_told_of])
