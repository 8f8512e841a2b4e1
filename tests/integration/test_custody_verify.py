#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`berthctl custody verify` finds every change of a dock's evidence, and says what and where.

A dock does its main job once. Then each column of each table that is evidence, and each kind of file, is changed in a copy of its
state folder, or of its store, and the change must be told by name.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import rack  # noqa: E402


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


# What of each table is evidence: everything but what is only of use to the running daemon.
COLUMNS = {
    "custody": ["seq", "bytes", "hash", "kind", "clip_id", "camera_id", "docking_id", "wall_usec"],
    "statements": ["event_seq", "type", "seq", "key", "hash", "head_seq"],
    "clips": ["id", "camera_id", "path", "size_bytes", "mtime_unix_sec", "ordinal", "flags", "first_docking_id", "digest", "head", "tail",
              "spool_name", "conflict", "state", "container", "partial_of", "blocks_digest"],
    "receipts": ["clip_id", "object_key", "manifest_key", "version", "strength", "size_bytes", "digest", "time_unix_sec", "already_there"],
    "cameras": ["id", "serial", "manufacturer", "model", "firmware", "storage_id", "model_id", "ambiguous"],
    "refused": ["id", "bay", "vid", "pid", "bcd_device", "usb_serial", "usb_manufacturer", "usb_product", "descriptors_hex", "reason"],
    "dockings": ["id", "bay", "vid", "pid", "bcd_device", "usb_serial", "usb_manufacturer", "usb_product"],
    "blocks": ["clip_id", "number", "digest"],
    "issues": ["id", "camera_id", "officer_id", "officer_name", "unit_id", "unit_name", "ordered_usec", "taken_usec"],
    "faults": ["event_seq", "bay", "docking_id", "over_current"],
    "fleet_lists": ["fleet", "admin", "seq", "document", "event_seq"],
}
# By which a row is named, where that is no "id".
KEYS = {"receipts": "clip_id", "custody": "seq", "statements": "event_seq", "blocks": "clip_id", "faults": "event_seq",
        "fleet_lists": "event_seq"}


def found(findings, table, column):
    """Is it told with the table's (the event's) name and, but for keys of rows, the column's?"""
    names = {"custody": "custody event"}.get(table, table)
    here = [(where, what) for where, what in findings if where.startswith(names)]
    return bool(here) and (column in ("id", "clip_id", "seq", "number", "event_seq", "hash", "type", "key", "head_seq") or
                           any(column in what for _, what in here))


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
    assert verify(d.state)[0] == 0


def test_each_column_that_is_changed_is_told(sim, dock):
    d = work(sim, dock)
    d.daemon.end()
    assert verify(d.state)[0] == 0
    missed = []
    for table, columns in COLUMNS.items():
        key = KEYS.get(table, "id")
        for column in columns:
            which = "kind = 'copied'" if table == "custody" else "1"
            value, row = d.rows(f"SELECT {column}, {key} FROM {table} WHERE {which} ORDER BY ({column} IS NULL), {key} LIMIT 1")[0]
            new = other(value)
            if column == key:
                new = 99999
            elif column == "state":
                new = "copied"
            copy = Copy(d, "column")
            copy.sql("PRAGMA foreign_keys = OFF", (f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (new, row)))
            code, findings, _ = verify(copy.path)
            if code != 1 or not found(findings, table, column):
                missed.append((table, column, value, new, findings[:4]))
    assert not missed, "\n".join(map(str, missed))


def test_each_row_that_is_gone_is_told(sim, dock):
    d = work(sim, dock)
    d.daemon.end()
    missed = []
    for table in COLUMNS:
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

    d.daemon.end()
    manifest = d.objects("manifests")[0]
    target = d.manifests()[0]["object"]
    checkpoint = sorted(d.objects("checkpoints"))[0]
    rotation = d.objects("keys")[0]
    receipt = sorted(d.objects("receipts"))[0]
    spoil(target, flip, f"store: {target}", "digest")
    spoil(target, gone, f"store: {target}", "no more")
    spoil(manifest, flip, "store: objects/", "manifest")
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
          test_each_row_that_is_gone_is_told, test_whoever_rewrites_the_whole_chain_fails_at_the_signatures,
          test_each_signature_statement_and_key_that_is_changed_is_told, test_each_file_that_is_changed_or_gone_is_told,
          test_each_file_of_the_store_that_is_changed_or_gone_is_told, test_show_gives_the_record_of_one_clip])
