#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The fleet's list of docks: enrolled, believed, expired, revoked; what is copied, forged or played again is refused."""

import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import rack  # noqa: E402


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, (args, done)
    return done


def new_key(path):
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True)
    subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-out", path + ".pub"], check=True)
    return path


def start(dock):
    d = dock(["1-1.1"])
    d.write_config("[dock]\nfleet = north\n")
    d.start()
    ctl("custody", "checkpoint")
    d.wait(lambda: d.objects("checkpoints"), "a checkpoint in the store")
    return d


def test_enrolled_dock_is_believed_and_nothing_else(sim, dock):
    d = start(dock)
    admin, other = new_key(d.path("admin.pem")), new_key(d.path("other.pem"))
    at, believe = d.path("docks"), f"--admin-key={admin}.pub"
    assert "--fleet" in ctl("dock", "enroll", at, f"--admin-key={admin}", code=2).stderr
    assert "another" not in ctl("dock", "enroll", at, f"--admin-key={admin}", "--fleet=north").stdout
    assert "counts" in ctl("dock", "check", at, believe).stdout
    checkpoint = os.path.join(d.store, sorted(d.objects("checkpoints"))[0])
    assert "checkpoint 1 of the dock" in ctl("dock", "check", at, checkpoint, believe).stdout
    # Copied to another name, played again, of a stranger, by another administrator.
    shutil.copy(checkpoint, checkpoint[:-1] + "9")
    assert "copied here" in ctl("dock", "check", at, checkpoint[:-1] + "9", believe, code=1).stderr
    assert "played again" in ctl("dock", "check", at, checkpoint, believe, "--after=1", code=1).stderr
    assert "another key" in ctl("dock", "check", at, checkpoint, f"--admin-key={other}.pub", code=1).stderr
    assert "another fleet" in ctl("dock", "check", at, believe, "--fleet=south", code=1).stderr
    assert "cannot" in ctl("dock", "enroll", d.path("no", "docks"), f"--admin-key={admin}", "--fleet=north", code=1).stderr
    assert "that can sign" in ctl("dock", "enroll", at, believe, code=1).stderr
    with open(d.path("dock.json"), "w", encoding="utf-8") as f:
        json.dump({"dock_id": "0" * 32, "dock_key": "11" * 32, "name": "far", "fleet": "south"}, f)
    assert "would not count" in ctl("dock", "enroll", at, d.path("dock.json"), f"--admin-key={admin}", code=1).stderr
    with open(d.path("dock.json"), "w", encoding="utf-8") as f:
        json.dump({"dock_id": "0" * 32, "dock_key": "11" * 32, "name": "far", "fleet": "north"}, f)
    assert "list 2" in ctl("dock", "enroll", at, d.path("dock.json"), f"--admin-key={admin}", "--expires=2020-01-01").stdout
    assert "expired" in ctl("dock", "check", at, believe).stdout


def findings(d, at, believe):
    done = subprocess.run([f"{rack.BUILD}/berthctl", "custody", "verify", "--json", f"--state-dir={d.state}", f"--fleet-list={at}",
                           believe], capture_output=True, text=True, check=False)
    return [f["what"] for f in json.loads(done.stdout)["findings"]]


def test_keys_of_a_log_are_verified_by_the_list(sim, dock):
    d = start(dock)
    admin = new_key(d.path("admin.pem"))
    at, believe = d.path("docks"), f"--admin-key={admin}.pub"
    ctl("dock", "enroll", at, f"--admin-key={admin}", "--fleet=north")
    assert findings(d, at, believe) == []
    ctl("dock", "rotate-key")
    ctl("custody", "checkpoint")
    assert any("does not have this key" in f for f in findings(d, at, believe)), findings(d, at, believe)
    ctl("dock", "enroll", at, f"--admin-key={admin}")
    assert findings(d, at, believe) == []
    ctl("dock", "enroll", at, f"--admin-key={admin}", "--expires=2020-01-01")
    assert any("expired" in f for f in findings(d, at, believe)), findings(d, at, believe)
    first = d.events("key-made")[0]
    ctl("dock", "revoke", at, first["dock_id"], first["public_key"], f"--admin-key={admin}")
    assert any("was revoked" in f for f in findings(d, at, believe)), findings(d, at, believe)
    checkpoint = os.path.join(d.store, sorted(d.objects("checkpoints"))[0])
    assert "revoked" in ctl("dock", "check", at, checkpoint, believe, code=1).stderr
    assert "no such key" in ctl("dock", "revoke", at, "0" * 32, f"--admin-key={admin}", code=1).stderr


rack.run([test_enrolled_dock_is_believed_and_nothing_else, test_keys_of_a_log_are_verified_by_the_list])
