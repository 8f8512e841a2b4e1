#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`berthctl custody verify` finds every change of a dock's evidence, and says what and where.

A dock does its main job once. Then each column of each table that is evidence, and each kind of file, is changed in a copy of its
state folder, or of its store, and the change must be told by name.
"""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import evidence_files  # noqa: E402
import firmware_world  # noqa: E402
import rack  # noqa: E402
from fleet_world import Fleet  # noqa: E402


def ctl(*args, code=None):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, (args, done)
    return done


def verify(state, *more):
    """(exit code, {(where, what)}, the whole answer)"""
    done = ctl("custody", "verify", "--json", f"--state-dir={state}", *more)
    answer = json.loads(done.stdout)
    assert answer["whole"] == (done.returncode == 0) == (not answer["findings"]), done
    return done.returncode, [(f["where"], f["what"]) for f in answer["findings"]], answer


def follow_fleet(d):
    """The dock's fleet has an administrator, whose list of docks it follows."""
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", d.path("admin.pem")], check=True)
    der = subprocess.run(["openssl", "pkey", "-in", d.path("admin.pem"), "-pubout", "-outform", "DER"], capture_output=True, check=True)
    d.write_config(f"[dock]\nfleet = north\nfleet_key = {der.stdout[-32:].hex()}\n[roster]\nfollow_every = 200ms\n")


def publish_list(d):
    admin = f"--admin-key={d.path('admin.pem')}"
    ctl("dock", "enroll", d.path("docks"), admin, "--fleet=north", code=0)
    ctl("dock", "publish", d.path("docks"), admin, f"--uplink={d.path('uplink.sock')}", code=0)
    d.wait(lambda: d.rows("SELECT 1 FROM fleet_lists"), "the fleet's list")


def work(sim, dock):
    """A dock with clips that were erased, one that is kept, a refused device, a camera that an officer took, another that faulted, two
    keys and some checkpoints."""
    d = dock(["1-1.1", "1-1.2", "1-1.3"], keep="1d")
    follow_fleet(d)
    d.start()
    sim("camera", name="A", type="ptp", serial="SN-A", clips=[rack.make_clip(f"DCIM/{n}.MP4", 300000 + n, n) for n in range(3)])
    sim("plug", camera="A", port="1-1.1")
    sim("camera", name="S", type="stranger", vid=0x1234, pid=0x5678)
    sim("plug", camera="S", port="1-1.2")
    d.wait(lambda: len(d.events("erased")) == 3 and d.events("refused"), "the main job")
    publish_list(d)
    ctl("custody", "checkpoint", code=0)
    ctl("dock", "rotate-key", code=0)
    with open(d.path("roster.csv"), "w", encoding="ascii") as f:
        f.write("id;name;unit_id;unit_name\nP-1;Jane Doe;U7;North\n")
    ctl("roster", "import", d.path("roster.csv"), code=0)
    ctl("charge", "by", "23:59", code=0)
    d.wait_state(1, "ready")
    ctl("checkout", "P-1", code=0)
    sim("unplug", camera="A")
    d.wait(lambda: d.events("taken"), "the camera to be taken")
    # One clip that is copied, and waits for the store.
    ctl("transfer", "pause", code=0)
    sim("camera", name="B", type="ptp", serial="SN-B", clips=[rack.make_clip("DCIM/9.MP4", 5000, 9)])
    sim("fault", camera="B", name="response", operation="GetDeviceInfo", count=1)
    sim("plug", camera="B", port="1-1.3")
    d.wait(lambda: len(d.events("copied")) == 4, "the last copy")
    ctl("custody", "checkpoint", code=0)
    d.wait(lambda: not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'"), "the checkpoints in the store")
    return d


def fill(d):
    """Holds, and what takes hours or special hardware on a dock: no table of its database is empty. The daemon has ended then."""
    ctl("hold", "set", "--clip=1", "--case=2026/17", "the court asked", code=0)
    d.wait(lambda: d.rows("SELECT 1 FROM object_holds WHERE lock <> 'asked'"), "the store to say what it makes of the hold")
    d.daemon.end()
    subprocess.run([f"{rack.BUILD}/tests/fill_facts", d.state], check=True)
    assert verify(d.state)[:2] == (0, [])


class Copy:
    """A copy of the state folder to be spoilt."""

    def __init__(self, d, name):
        self.path = d.path(f"copy-{name}")
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(d.state, self.path)

    def file(self, *names):
        return os.path.join(self.path, *names)

    def sql(self, *statements):
        db = sqlite3.connect(self.file("berth.db"))
        triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        db.execute("PRAGMA ignore_check_constraints = 1")
        for s in statements:
            db.execute(*s) if isinstance(s, tuple) else db.execute(s)
        for _, sql in triggers:
            db.execute(sql)
        db.commit()
        db.close()

    def flip(self, *names, at=-1):
        with open(self.file(*names), "r+b") as f:
            f.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
            byte = f.read(1)[0]
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte ^ 1]))


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, int):
        return value + 1000
    return "x" + (value or "")


# Each column of each table is evidence, but for these: why a change of one says nothing false.
NO_EVIDENCE = {
    "blocks.docking_id": "where a block was read last; what licenses an erase by it is put on record as verified",
    "statements.state": "what the store said; verify --store asks the store itself",
    "statements.state_usec": "as state",
    "rollout_cameras.told": "what the store said; what is not in the store is told again",
    "running.id": "how long the dock ran is by its own count, which each event carries on",
    "running.boot_id": "as running.id", "running.boottime_usec": "as running.id", "running.wall_usec": "as running.id",
    "running.total_usec": "as running.id", "running.stepped_total_usec": "as running.id",
    "clips.receipted_running_usec": "as running.id; that there is one is compared",
    "flashes.until_usec": "how long a flash is waited for, by the clock of one boot",
    "catalog.keys": "what signed the catalog, whose digest is on record, is verified at each use", "catalog.root": "as catalog.keys",
}
# By which a row is named, where that is no "id".
KEYS = {"receipts": "clip_id", "custody": "seq", "statements": "event_seq", "blocks": "clip_id", "faults": "event_seq",
        "fleet_lists": "event_seq", "checks": "event_seq", "charges": "event_seq", "clip_totals": "state", "ids": "which",
        "orders": "what", "ports": "bay", "switches": "bay", "unreadable": "clip_id", "rollout_cameras": "camera_id", "officers": "id",
        "object_holds": "clip_id", "kept_files": "name", "restorations": "event_seq"}
# Emptying these says something, too.
CLEARED = [("clips", "reason"), *(("cameras", name) for name in ("officer_id", "officer_name", "unit_id", "unit_name"))]
# A row in these that no event tells of is found.
FORGED = {"switches": {}, "ports": {}, "holds": {"clip_id": None}, "unreadable": {}, "rollouts": {"id": "other"}, "rollout_cameras": {},
          "flashes": {"id": 77777}, "object_holds": {"clip_id": 2}, "charges": {"event_seq": 1}, "kept_files": {},
          "restorations": {"event_seq": 1, "holds_read": 0}}


def evidence(d):
    """{table: [column]} of all that the database has."""
    tables = [name for name, in d.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
    all_ = {table: [column for _, column, *_ in d.rows(f"PRAGMA table_info({table})")] for table in tables}
    stale = [name for name in NO_EVIDENCE if name.split(".")[1] not in all_.get(name.split(".")[0], [])]
    assert not stale and set(KEYS) <= set(all_) and set(FORGED) <= set(all_), (stale, set(KEYS) - set(all_), set(FORGED) - set(all_))
    return {table: kept for table, columns in all_.items() if (kept := [c for c in columns if f"{table}.{c}" not in NO_EVIDENCE])}


def found(findings, table, column):
    """Is it told with the table's (the event's) name and, but for keys of rows, the column's?"""
    names = {"custody": "custody event"}.get(table, table)
    here = [(where, what) for where, what in findings if where.startswith(names)]
    key = column == KEYS.get(table, "id") or column in ("id", "clip_id", "seq", "number", "event_seq", "hash", "type", "key", "head_seq")
    # Of people the digest alone is on record, and a range is told of as a whole.
    return bool(here) and (key or table in ("officers", "unreadable") or any(column in what for _, what in here))


def test_whole_evidence_passes_while_the_daemon_runs_and_after(sim, dock):
    d = work(sim, dock)
    code, findings, answer = verify(d.state, "--store", f"--uplink={d.path('uplink.sock')}")
    assert code == 0, findings
    counts = answer["counts"]
    assert counts["events"] >= len(d.events()) - 2 and counts["keys"] == 2 and counts["checkpoints"] >= 2, counts
    assert counts["stored_clips"] == 3 and counts["stored_statements"] >= 3 and counts["spool_files"] >= 1, counts
    text = ctl("custody", "verify", f"--state-dir={d.state}", code=0).stdout
    assert "all as it was" in text, text
    d.daemon.end()
    d.check_evidence()


def test_each_column_that_is_changed_is_told(sim, dock):
    d = work(sim, dock)
    fill(d)
    missed = []
    for table, columns in evidence(d).items():
        key = KEYS.get(table, "id")
        rows, = d.rows(f"SELECT count(*) FROM {table}")[0]
        assert rows > 0, f"{table} is empty, so that nothing is known of its columns"
        for column in columns:
            which = "kind = 'copied'" if table == "custody" else "1"
            value, row = d.rows(f"SELECT {column}, {key} FROM {table} WHERE {which} ORDER BY ({column} IS NULL), {key} LIMIT 1")[0]
            new = other(value)
            if column == key:
                new = 99999 if isinstance(value, int) else "x"
            elif column == "state":
                new = "copied"
            elif f"{table}.{column}" == "ids.next":
                new = 1
            copy = Copy(d, "column")
            copy.sql("PRAGMA foreign_keys = OFF", (f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (new, row)))
            code, findings, _ = verify(copy.path)
            if code != 1 or not found(findings, table, column):
                missed.append((table, column, value, new, findings[:4]))
    for table, column in CLEARED:
        row, = d.rows(f"SELECT id FROM {table} WHERE {column} <> '' ORDER BY id LIMIT 1")[0]
        copy = Copy(d, "column")
        copy.sql((f"UPDATE {table} SET {column} = '' WHERE id = ?", (row,)))
        code, findings, _ = verify(copy.path)
        if code != 1 or not found(findings, table, column):
            missed.append((table, column, "cleared", findings[:4]))
    assert not missed, "\n".join(map(str, missed))


def test_each_row_that_is_gone_is_told(sim, dock):
    d = work(sim, dock)
    fill(d)
    missed = []
    for table in evidence(d):
        key = KEYS.get(table, "id")
        for order in ("", "DESC"):
            row, = d.rows(f"SELECT {key} FROM {table} ORDER BY {key} {order} LIMIT 1")[0]
            copy = Copy(d, "row")
            copy.sql("PRAGMA foreign_keys = OFF", (f"DELETE FROM {table} WHERE {key} = ?", (row,)))
            code, findings, _ = verify(copy.path)
            names = ("custody event", "chain.head") if table == "custody" else (table,)
            if code != 1 or not any(where.startswith(names) for where, _ in findings):
                missed.append((table, row, findings[:4]))
    assert not missed, "\n".join(map(str, missed))


def test_each_row_that_no_event_tells_of_is_told(sim, dock):
    d = work(sim, dock)
    d.daemon.end()
    missed = []
    for table, own in FORGED.items():
        values = {column: own.get(column, 1 if kind == "INTEGER" else b"x" * 32 if kind == "BLOB" else "x")
                  for _, column, kind, *_ in d.rows(f"PRAGMA table_info({table})")}
        copy = Copy(d, "forged")
        copy.sql("PRAGMA foreign_keys = OFF", (f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", tuple(values.values())))
        code, findings, _ = verify(copy.path)
        if code != 1 or not any(where.startswith(table) for where, _ in findings):
            missed.append((table, findings[:4]))
    assert not missed, "\n".join(map(str, missed))


def expect(state, where, what, *more):
    code, findings, _ = verify(state, *more)
    assert code == 1 and any(w.startswith(where) and what in t for w, t in findings), (where, what, findings)


def rewrite(copy, kind, change):
    """An event with other members, its hash made to fit: what a clumsy forger would do."""
    db = sqlite3.connect(copy.file("berth.db"))
    seq, data = db.execute("SELECT seq, bytes FROM custody WHERE kind = ? ORDER BY seq DESC LIMIT 1", (kind,)).fetchone()
    db.create_function("sha256", 1, lambda b: __import__("hashlib").sha256(b).digest())
    db.close()
    event = json.loads(data)
    change(event)
    data = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    copy.sql(("UPDATE custody SET bytes = ?, hash = ? WHERE seq = ?", (data, __import__("hashlib").sha256(data).digest(), seq)))
    return seq


def test_whoever_rewrites_the_whole_chain_fails_at_the_signatures(sim, dock):
    d = work(sim, dock)
    d.daemon.end()
    copy = Copy(d, "chain")
    db = sqlite3.connect(copy.file("berth.db"))
    rows = db.execute("SELECT seq, bytes FROM custody ORDER BY seq").fetchall()
    db.close()
    import hashlib
    before, changes = None, []
    for seq, data in rows:
        event = json.loads(data)
        if before:
            event["prev"] = before
        if event["event"] == "copied":
            event["operator"] = "nobody"
        data = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        before = hashlib.sha256(data).hexdigest()
        changes.append(("UPDATE custody SET bytes = ?, hash = ? WHERE seq = ?", (data, bytes.fromhex(before), seq)))
    copy.sql(*changes)
    head = f"berth-chain-head 1 {rows[-1][0]} {before}"
    with open(copy.file("chain.head"), "wb") as f:
        f.write((f"{head} {hashlib.sha256(head.encode()).hexdigest()}\n".encode()).ljust(8192, b"\0"))
    expect(copy.path, "custody event", "the checkpoint covers another chain")
    _, findings, _ = verify(copy.path)
    assert not any(where == "chain.head" for where, _ in findings), findings


def test_each_signature_statement_and_key_that_is_changed_is_told(sim, dock):
    d = work(sim, dock)
    d.daemon.end()

    def spoil(kind, change, what):
        copy = Copy(d, "statement")
        seq = rewrite(copy, kind, change)
        expect(copy.path, f"custody event {seq}", what)

    def other_signature(event):
        event["signature"] = ("A" if event["signature"][0] != "A" else "B") + event["signature"][1:]

    def other_text(event):
        event["statement"] = event["statement"].replace('"reason":"', '"reason":"x')

    def other_key(event):
        event["public_key"] = "00" * 32

    spoil("checkpoint", other_signature, "signature")
    spoil("checkpoint", other_text, "signature")
    spoil("checkpoint", lambda e: e.pop("statement"), "no signed statement")
    spoil("key-rotated", other_signature, "signature")
    spoil("key-rotated", other_key, "signed another key")
    copy = Copy(d, "key")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", copy.file("dock.key")], check=True)
    expect(copy.path, "dock.key", "another key")
    with open(copy.file("dock.key"), "w", encoding="ascii") as f:
        f.write("nothing\n")
    expect(copy.path, "dock.key", "no Ed25519 key")
    copy = Copy(d, "id")
    with open(copy.file("dock.id"), "r+b") as f:
        first = f.read(1)
        f.seek(0)
        f.write(b"1" if first != b"1" else b"2")
    expect(copy.path, "dock.id", "does not hold")


def test_each_file_that_is_changed_or_gone_is_told(sim, dock):
    d = work(sim, dock)
    d.daemon.end()
    name, = d.rows("SELECT spool_name FROM clips WHERE spool_name IS NOT NULL ORDER BY id DESC LIMIT 1")[0]
    copy = Copy(d, "file")
    copy.flip("spool", name)
    expect(copy.path, f"spool/{name}", "SHA-256")
    os.truncate(copy.file("spool", name), 10)
    expect(copy.path, f"spool/{name}", "10 bytes")
    os.unlink(copy.file("spool", name))
    expect(copy.path, f"spool/{name}", "missing")
    with open(copy.file("spool", "777.clip"), "w", encoding="ascii") as f:
        f.write("x")
    expect(copy.path, "spool/777.clip", "no clip")
    shutil.rmtree(copy.file("spool"))
    expect(copy.path, "spool/", "cannot be opened")

    copy = Copy(d, "head")
    os.unlink(copy.file("chain.head"))
    expect(copy.path, "chain.head", "missing")
    copy = Copy(d, "head")
    for at in (30, 4096 + 30):
        copy.flip("chain.head", at=at)
    expect(copy.path, "chain.head", "damaged")

    copy = Copy(d, "newest")
    copy.sql("DELETE FROM custody WHERE seq > (SELECT max(seq) - 3 FROM custody)")
    expect(copy.path, "chain.head", "newest events are gone")

    copy = Copy(d, "schema")
    db = sqlite3.connect(copy.file("berth.db"))
    db.execute("DROP TRIGGER custody_is_not_deleted")
    db.commit()
    db.close()
    expect(copy.path, "berth.db", "not as Berth made them")
    copy = Copy(d, "empty")
    with open(copy.file("berth.db"), "wb"):
        pass
    assert "berth.db" in ctl("custody", "verify", f"--state-dir={copy.path}", code=1).stderr


def work_with_files(sim, dock):
    """A dock with a file of each kind, as far as a rack has it while nothing goes on: a clip that was stored and is gone from its camera, a
    copy that the disk spoilt and that was set aside, one that waits, and one that is half pulled."""
    d = dock(["1-1.1", "1-1.2"], keep="1d").start()
    ctl("transfer", "pause", code=0)
    sim("camera", name="A", type="ptp", serial="SN-A", clips=[rack.make_clip("DCIM/1.MP4", 300000, 1)])
    sim("plug", camera="A", port="1-1.1")
    d.wait(lambda: d.events("copied"), "a copy")
    name, = d.rows("SELECT spool_name FROM clips")[0]
    os.chmod(os.path.join(d.state, "spool", name), 0o600)
    with open(os.path.join(d.state, "spool", name), "r+b") as f:
        f.write(b"x")
    ctl("transfer", "resume", code=0)
    d.wait(lambda: d.events("part-set-aside") and d.events("erased"), "the bad copy to be set aside, and another one")
    d.wait(lambda: len(d.events("file-hashed")) == 2, "the digests of what was set aside")
    sim("camera", name="B", type="ptp", serial="SN-B", clips=[rack.make_clip("DCIM/2.MP4", 40 << 20, 2)])
    sim("slow", camera="B", bytes_per_sec=4 << 20)
    sim("plug", camera="B", port="1-1.2")
    d.wait(lambda: len(d.rows("SELECT 1 FROM blocks WHERE clip_id = 2")) > 1, "two blocks of the long clip")
    sim("unplug", camera="B")
    d.wait(lambda: d.events("pull-interrupted"), "its end on record")
    d.wait(lambda: os.path.exists(os.path.join(d.state, "parts", "2.part")), "its part where it waits")
    d.daemon.end()
    subprocess.run([f"{rack.BUILD}/tests/fill_facts", d.state], check=True)
    flash, = d.rows("SELECT id FROM flashes")[0]
    for path, content in ((f"flash/{flash}/image", b"image"), (f"firmware/{hashlib.sha256(b'another').hexdigest()}", b"another")):
        os.makedirs(os.path.dirname(os.path.join(d.state, path)), exist_ok=True)
        with open(os.path.join(d.state, path), "wb") as f:
            f.write(content)
    assert verify(d.state)[:2] == (0, []), verify(d.state)
    return d


def test_each_kind_of_file_that_is_changed_gone_or_put_there_is_told(sim, dock):
    d = work_with_files(sim, dock)
    wanted = {pattern for pattern, how in evidence_files.KINDS if how is evidence_files.TOLD}
    missed, seen = [], set()

    def told(copy, path):
        code, findings, _ = verify(copy.path)
        return code == 1 and any(where == path for where, _ in findings)

    def try_file(path):
        pattern, how = evidence_files.kind_of(path) or (None, None)
        if not pattern:
            missed.append((path, "is of no kind in tests/lib/evidence_files.py"))
        if how is not evidence_files.TOLD:
            return
        seen.add(pattern)
        size = os.path.getsize(d.path("state", path)) if os.path.exists(d.path("state", path)) else 0
        for at in (0, max(size // 2, 1)):
            copy = fresh(path)
            os.chmod(copy.file(path), 0o600)
            # What lies after a part's last block on record is nobody's evidence yet.
            copy.flip(path, at=at if not path.endswith(".part") else at // 4)
            if not told(copy, path):
                missed.append((path, "changed", at))
        copy = fresh(path)
        os.unlink(copy.file(path))
        # By the log a dock's key may be its service's credential. Images are got from the store again.
        if not path.startswith(("dock.key", "firmware/", "flash/")) and not told(copy, re.sub(r"^incoming/\d+/", "parts/", path)):
            missed.append((path, "gone"))

    def fresh(path):
        copy = Copy(d, "kind")
        if path.startswith("incoming/"):
            os.makedirs(copy.file(os.path.dirname(path)), exist_ok=True)
            os.rename(copy.file("parts", os.path.basename(path)), copy.file(path))
        return copy

    docking, = d.rows("SELECT part_docking_id FROM clips WHERE id = 2")[0]
    for path in [*sorted(evidence_files.files_in(d.state)), f"incoming/{docking}/2.part"]:
        try_file(path)
    # A recovery leaves the last kind behind: tests/integration/test_recover.py.
    assert wanted - seen == {pattern for pattern in wanted if pattern.startswith("damaged-")}, (wanted - seen, seen)
    assert not missed, "\n".join(map(str, missed))
    # What somebody put there is told, too.
    for path in ("spool/777.json", "spool/777.clip", "spool/readme.txt", "kept/9.9.9", "kept/9.9.9.json", "damaged-2026-01-01/berth.db"):
        copy = Copy(d, "stranger")
        os.makedirs(os.path.dirname(copy.file(path)), exist_ok=True)
        with open(copy.file(path), "w", encoding="ascii") as f:
            f.write("x")
        expect(copy.path, path, "")


def test_each_block_of_a_half_pulled_clip_is_told(sim, dock):
    """Nobody who changes a part and its rows alike remains unseen: the events of the pull vouch for the rows."""
    d = work_with_files(sim, dock)
    before = len(d.events())
    for sql in ("UPDATE blocks SET digest = zeroblob(32) WHERE clip_id = 2 AND number = 0", "DELETE FROM blocks WHERE clip_id = 2"):
        copy = Copy(d, "blocks")
        copy.sql(sql)
        expect(copy.path, "blocks, clip_id 2", "half-pulled")
    # Without the word of its pull's end a checkpoint vouches for it.
    d.start_daemon()
    ctl("custody", "checkpoint", code=0)
    d.daemon.end()
    told = [e for e in d.events("checkpoint") if e["seq"] > before][-1]
    assert [part[0] for part in told["half_pulled"]] == [2] and told["half_pulled"][0][1] >= 2, told
    copy = Copy(d, "blocks")
    copy.sql("UPDATE blocks SET digest = zeroblob(32) WHERE clip_id = 2 AND number = 1")
    expect(copy.path, "blocks, clip_id 2", f"custody event {told['seq']}")


def test_each_file_of_the_store_that_is_changed_or_gone_is_told(sim, dock):
    d = work(sim, dock)
    shutil.copytree(d.store, d.path("store-backup"))
    at = ["--store", f"--uplink={d.path('uplink.sock')}"]

    def spoil(key, change, where, what):
        path = os.path.join(d.store, key)
        os.chmod(path, 0o640)
        with open(path, "rb") as f:
            data = f.read()
        change(path, data)
        expect(d.state, where, what, *at)
        with open(path, "wb") as f:
            f.write(data)

    def flip(path, data):
        with open(path, "wb") as f:
            f.write(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])

    def gone(path, _):
        os.unlink(path)

    def unsign(path, data):
        content = json.loads(data)
        del content["facts"]["signed"]
        with open(path, "w", encoding="utf-8") as f:
            json.dump(content, f)

    d.daemon.end()
    manifest = d.objects("manifests")[0]
    target = d.manifests()[0]["object"]
    checkpoint = sorted(d.objects("checkpoints"))[0]
    rotation = d.objects("keys")[0]
    receipt = sorted(d.objects("receipts"))[0]
    spoil(target, flip, f"store: {target}", "digest")
    spoil(target, gone, f"store: {target}", "no more")
    spoil(manifest, flip, "store: objects/", "manifest")
    spoil(manifest, unsign, "store: objects/", "was signed by the dock")
    spoil(manifest, gone, "store: objects/", "manifest")
    spoil(checkpoint, flip, f"store: {checkpoint}", "another text")
    spoil(checkpoint, gone, f"store: {checkpoint}", "gone")
    spoil(rotation, flip, f"store: {rotation}", "another text")
    spoil(receipt, flip, f"store: {receipt}", "another text")
    spoil(receipt, gone, f"store: {receipt}", "gone")
    # The dock's disk is set back to before its newest checkpoint: only the store knows.
    copy = Copy(d, "back")
    d.start_daemon()
    ctl("custody", "checkpoint", code=0)
    d.wait(lambda: not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'"), "the checkpoint in the store")
    assert verify(copy.path)[0] == 0
    expect(copy.path, "store: checkpoints/", "cut off or set back", *at)
    d.uplink.end()
    expect(d.state, "store", "cannot be reached", *at)


def work_of_a_fleet(sim, dock):
    """A dock that has stored a clip, and followed two lists of docks, two rosters and two catalogs."""
    d = dock(["1-1.1"])
    fleet, firmware = Fleet(d.folder), firmware_world.Admin(d)
    d.config["dock"] = {"status_every": "1s", "fleet": "north", "fleet_key": fleet.config.split("fleet_key = ")[1].split()[0]}
    d.write_config(f"[roster]\nfollow_every = 200ms\n[firmware]\nkeys = {firmware.path('one.pub')}\nfollow_every = 200ms\n")
    d.start()
    d.wait(lambda: d.manager().get("StoreState") == "ready", "the store")
    image = firmware.image("a.bin", b"firmware")
    for number in (1, 2):
        fleet.enroll(d)
        fleet.publish(d)
        firmware.ctl("publish", firmware.catalog(number, [("cam", f"2.{number}", image)]), image)
        with open(d.path("roster.csv"), "w", encoding="ascii") as f:
            f.write(f"id\nP-{number}\n")
        signed = d.path(f"signed-{number}")
        ctl("roster", "sign", d.path("roster.csv"), signed, f"--admin-key={fleet.admin}", "--fleet=north", f"--after={number - 1}", code=0)
        ctl("roster", "publish", signed, code=0)
        for kind in ("fleet-list", "catalog", "roster"):
            d.wait(lambda n=number, k=kind: len(d.events(k)) == n, f"the {kind} number {number}")
    sim("camera", name="A", type="ptp", serial="SN-A", clips=[rack.make_clip("DCIM/1.MP4", 300000, 1)])
    sim("plug", camera="A", port="1-1.1")
    d.wait(lambda: d.events("erased") and d.objects("docks"), "the main job, and the dock's status")
    ctl("custody", "checkpoint", code=0)
    d.wait(lambda: not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'"), "the checkpoints in the store")
    d.daemon.end()
    return d


def test_what_administrators_published_is_told_when_it_is_changed_set_back_or_gone(sim, dock):
    d = work_of_a_fleet(sim, dock)
    at = ["--store", f"--uplink={d.path('uplink.sock')}"]
    assert verify(d.state, *at)[:2] == (0, []), verify(d.state, *at)
    stored = sorted(evidence_files.files_in(d.store))
    kinds = {path: evidence_files.kind_of(path, evidence_files.STORED) for path in stored}
    assert all(kinds.values()), f"tests/lib/evidence_files.py does not say how a change to these is found: {kinds}"
    told = [path for path in stored if kinds[path][1] is evidence_files.TOLD]
    assert {path.split("/")[0] for path in told} == {"fleet", "roster", "firmware"} and len(told) == 6, stored
    missed = []

    def spoil(path, how, data, found=True):
        whole = os.path.join(d.store, path)
        with open(whole, "rb") as f:
            was = f.read()
        os.unlink(whole)
        if data is not None:
            with open(whole, "wb") as f:
                f.write(data)
        code, findings, _ = verify(d.state, *at)
        if found != any(where == f"store: {path}" for where, _ in findings) or code != found:
            missed.append((path, how, findings))
        with open(whole, "wb") as f:
            f.write(was)

    for path in told:
        with open(os.path.join(d.store, path), "rb") as f:
            data = f.read()
        for n in (0, len(data) // 2, len(data) - 2):
            spoil(path, f"byte {n}", data[:n] + bytes([data[n] ^ 1]) + data[n + 1:])
        sibling, = [other for other in told if os.path.dirname(other) == os.path.dirname(path) and other != path]
        with open(os.path.join(d.store, sibling), "rb") as f:
            spoil(path, f"replaced by {sibling}", f.read())
        # Nobody need keep what another one has followed.
        spoil(path, "gone", None, found=path > sibling)
    assert not missed, "\n".join(map(str, missed))


def test_show_gives_the_record_of_one_clip(sim, dock):
    d = work(sim, dock)
    answer = json.loads(ctl("custody", "show", "1", "--json", code=0).stdout)
    kinds = [e["event"]["event"] for e in answer["events"]]
    assert kinds[0] == "clip-seen" and "copied" in kinds and "receipted" in kinds and kinds[-1] == "erased", kinds
    text = ctl("custody", "show", "1", code=0).stdout
    of_it, = [e for e in d.events("receipted") if e["clip_id"] == 1]
    assert "SN-A" in text and "DCIM/" in text and of_it["object_key"] in text, text
    assert "no clip 99" in ctl("custody", "show", "99", code=1).stderr
    ctl("custody", "show", code=2)
    ctl("custody", "show", "x", code=2)
    ctl("custody", "verify", "x", code=2)
    ctl("custody", code=2)


rack.run([test_whole_evidence_passes_while_the_daemon_runs_and_after, test_each_column_that_is_changed_is_told,
          test_each_row_that_is_gone_is_told, test_each_row_that_no_event_tells_of_is_told,
          test_whoever_rewrites_the_whole_chain_fails_at_the_signatures,
          test_each_signature_statement_and_key_that_is_changed_is_told, test_each_file_that_is_changed_or_gone_is_told,
          test_each_kind_of_file_that_is_changed_gone_or_put_there_is_told,
          test_each_block_of_a_half_pulled_clip_is_told,
          test_each_file_of_the_store_that_is_changed_or_gone_is_told,
          test_what_administrators_published_is_told_when_it_is_changed_set_back_or_gone, test_show_gives_the_record_of_one_clip])
