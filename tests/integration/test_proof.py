#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The custody chain is proven beside the work: what the start does not look at is found all the same, and ends every erase."""

import hashlib
import json
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

LONG = 12000  # events: more than a start goes through


def open_database(d):
    return sqlite3.connect(os.path.join(d.state, "berth.db"))


def lengthen(d, events):
    """Goes on with the dock's chain as its own daemon would have: the head file is behind, as after a crash."""
    db = open_database(d)
    seq, prev = db.execute("SELECT seq, lower(hex(hash)) FROM custody ORDER BY seq DESC LIMIT 1").fetchone()
    for n in range(seq + 1, seq + 1 + events):
        event = {"boot": "0" * 32, "boottime_usec": n, "event": "daemon-stopped", "prev": prev, "seq": n, "synchronised": True,
                 "time": "2026-11-01T00:00:00.000000Z", "v": 1}
        data = json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(data)
        prev = digest.hexdigest()
        db.execute("INSERT INTO custody (seq, bytes, hash, kind, wall_usec) VALUES (?, ?, ?, 'daemon-stopped', ?)",
                   (n, data, digest.digest(), 1793491200000000))
    db.commit()
    db.close()


def spoil(d, sql):
    db = open_database(d)
    triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'custody'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {name}")
    assert db.execute(sql).rowcount > 0
    for _, text in triggers:
        db.execute(text)
    db.commit()
    db.close()


def camera(sim, name):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[make_clip("a.MP4", 300_000, 1)])
    sim("plug", camera=name, port="1-1.1")


def long_dock(dock):
    d = dock(["1-1.1"]).start()
    d.daemon.end()
    lengthen(d, LONG)
    return d


def test_long_chain_is_proven_to_the_first_event(sim, dock):
    d = long_dock(dock)
    d.start_daemon()
    assert d.manager()["ChainState"] in ("checking", "whole")
    d.wait(lambda: d.manager()["ChainState"] == "whole", "the chain to be proven", 240)
    d.wait(lambda: [e for e in d.events("chain-verified") if e["seq"] > LONG], "it to be on record")
    camera(sim, "c")
    d.wait_state(1, "ready")
    d.check_chain()


def test_change_that_the_start_does_not_see_ends_every_erase(sim, dock):
    d = long_dock(dock)
    d.start_daemon()
    d.daemon.end()
    spoil(d, "UPDATE custody SET hash = CAST(substr(hash, 1, 31) || iif(substr(hash, 32) = x'77', x'78', x'77') AS BLOB) WHERE seq = 2")
    d.start_daemon()
    d.wait(lambda: d.manager()["ChainState"] == "broken", "the change to be found", 240)
    manager = d.manager()
    assert manager["State"] == "degraded" and "event 2" in manager["Reason"] and "restore" in manager["Reason"], manager
    d.wait(lambda: d.events("chain-broken"), "it to be on record")
    camera(sim, "c")
    d.wait(lambda: d.stored(), "the clip to be stored")
    d.wait(lambda: d.bay(1)["ClipsStored"] == 1 and d.state_of(1) not in ("pulling", "identifying", "checking"), "the bay to be done")
    assert len(sim("state", camera="c")["clips"]) == 1 and not d.events("erase-begun"), d.bay(1)


rack.run([test_long_chain_is_proven_to_the_first_event, test_change_that_the_start_does_not_see_ends_every_erase])
