#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The fleet's list of docks: enrolled, believed, expired, revoked; what is copied, forged or played again is refused; published, and
followed by the docks."""

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


def public_hex(path):
    der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout
    return der[-32:].hex()


def start_following(dock):
    d = dock(["1-1.1"])
    admin = new_key(d.path("admin.pem"))
    d.write_config(f"[dock]\nfleet = north\nfleet_key = {public_hex(admin)}\n[roster]\nfollow_every = 200ms\n")
    d.start()
    d.wait(lambda: d.manager().get("StoreState") == "ready", "the store")
    return d, admin


def publish(d, at, admin, code=0):
    return ctl("dock", "publish", at, f"--admin-key={admin}.pub", f"--uplink={d.path('uplink.sock')}", code=code)


def lists(d):
    return [e["list"] for e in d.events("fleet-list")]


def fleet_point(d):
    done = subprocess.run([f"{rack.BUILD}/berthctl", "doctor", "--json"], capture_output=True, text=True, check=False)
    return next(((p["verdict"], p["text"]) for p in json.loads(done.stdout)["points"] if p["name"] == "fleet-list"), None)


def wait_trouble(d, words):
    d.wait(lambda: words in (fleet_point(d) or ("", ""))[1], f"the doctor to say that {words}")


def listed(d, number):
    return os.path.join(d.store, "fleet", "north", f"{number:010}")


def test_docks_follow_the_list_that_is_published(sim, dock):
    d, admin = start_following(dock)
    at, sign = d.path("docks"), f"--admin-key={admin}"
    assert fleet_point(d) is None
    ctl("dock", "enroll", at, sign, "--fleet=north")
    assert "is in the store" in publish(d, at, admin).stdout
    d.wait(lambda: lists(d) == [1], "the first list")
    d.wait(lambda: fleet_point(d)[0] == "ok", "a list that is as it should be")
    # Two at once: the newest counts, and what was signed in between need not be there.
    ctl("dock", "renew", at, sign)
    ctl("dock", "renew", at, sign)
    publish(d, at, admin)
    publish(d, at, admin)
    d.wait(lambda: lists(d) == [1, 3], "the third list")
    # Over a restart, and without the store.
    d.daemon.end()
    shutil.rmtree(os.path.join(d.store, "fleet"))
    d.start_daemon()
    d.wait(lambda: (fleet_point(d) or ("",))[0] == "ok", "the list from the database")
    # A key that was revoked is told of by the dock that has it.
    ctl("dock", "revoke", at, d.events("key-made")[0]["dock_id"], sign)
    publish(d, at, admin)
    wait_trouble(d, "was revoked")
    assert lists(d) == [1, 3, 4]


def test_lists_that_are_forged_copied_played_again_or_too_old_are_noticed(sim, dock):
    d, admin = start_following(dock)
    at, sign, other = d.path("docks"), f"--admin-key={admin}", new_key(d.path("other.pem"))
    ctl("dock", "enroll", at, sign, "--fleet=north")
    publish(d, at, admin)
    d.wait(lambda: lists(d) == [1], "the first list")
    # Another administrator's, put there by somebody who can write to the store.
    forged = d.path("forged")
    for _ in range(2):
        ctl("dock", "enroll", forged, f"--admin-key={other}", "--fleet=north")
    shutil.copy(forged, listed(d, 2))
    wait_trouble(d, "signed by another key")
    # The true one, under the number of a newer one.
    shutil.copy(listed(d, 1), listed(d, 3))
    wait_trouble(d, "played again")
    # A newer one under a number that is not its own.
    for _ in range(5):
        ctl("dock", "renew", at, sign)
    shutil.copy(at, listed(d, 4))
    wait_trouble(d, "copied here")
    # Changed by a byte.
    with open(at, encoding="ascii") as f:
        text = f.read()
    with open(listed(d, 5), "w", encoding="ascii") as f:
        f.write(text.replace('"revoked":false', '"revoked":true '))
    wait_trouble(d, "does not count")
    assert lists(d) == [1]
    # What is true counts all the same, behind all that.
    publish(d, at, admin)
    d.wait(lambda: lists(d) == [1, 6], "the true list")
    d.wait(lambda: fleet_point(d)[0] == "ok", "no trouble")
    assert "another list" in publish_forged(d, at, sign, admin)


def publish_forged(d, at, sign, admin):
    """Somebody has taken the next number before the administrator."""
    ctl("dock", "renew", at, sign)
    with open(listed(d, 7), "w", encoding="ascii") as f:
        f.write("berth-statement 1\n")
    return publish(d, at, admin, code=1).stderr


def test_a_list_that_is_frozen_is_noticed_by_its_expiry(sim, dock):
    d, admin = start_following(dock)
    at, sign = d.path("docks"), f"--admin-key={admin}"
    ctl("dock", "enroll", at, sign, "--fleet=north", "--list-expires=2020-01-01")
    assert "expired" in publish(d, at, admin, code=1).stderr
    os.makedirs(os.path.dirname(listed(d, 1)))
    shutil.copy(at, listed(d, 1))
    wait_trouble(d, "expired on 2020-01-01")
    ctl("dock", "renew", at, sign, "--list-expires=2099-01-01")
    assert "until 2099-01-01" in ctl("dock", "check", at, f"--admin-key={admin}.pub").stdout
    publish(d, at, admin)
    d.wait(lambda: fleet_point(d)[0] == "ok", "a list that has not expired")


rack.run([test_enrolled_dock_is_believed_and_nothing_else, test_keys_of_a_log_are_verified_by_the_list,
          test_docks_follow_the_list_that_is_published, test_lists_that_are_forged_copied_played_again_or_too_old_are_noticed,
          test_a_list_that_is_frozen_is_noticed_by_its_expiry])
