#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`berthctl custody export` verifies without Berth: the commands of its own page are run, block by block, on a good export
and on spoilt ones.

With BERTH_MHL_XSD naming a folder that holds the published ASCMHL.xsd (and ASCMHLDirectory.xsd), xmllint holds the media hash list
against it; without, its structure and its hashes are checked here.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import rack  # noqa: E402
import released_world  # noqa: E402

MHL = "{urn:ASC:MHL:v2.0}"
CHAIN = "{urn:ASC:MHL:DIRECTORY:v2.0}"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, (args, done)
    return done


def work(sim, dock):
    d = dock(["1-1.1", "1-1.2"], keep="1d").start()
    sim("camera", name="A", type="ptp", serial="SN-A", clips=[rack.make_clip(f"DCIM/A {n}.MP4", 300000 + n, n) for n in range(2)])
    sim("plug", camera="A", port="1-1.1")
    d.wait(lambda: len(d.events("erased")) == 2, "the main job")
    ctl("dock", "rotate-key")
    sim("camera", name="B", type="ptp", serial="SN-B", clips=[rack.make_clip("DCIM/B.MP4", 5000, 9)])
    sim("plug", camera="B", port="1-1.2")
    d.wait(lambda: len(d.events("erased")) == 3, "the other camera")
    ctl("custody", "checkpoint")
    return d


def export(d, *what, to="export", code=0):
    path = d.path(to)
    done = ctl("custody", "export", *what, path, f"--state-dir={d.state}", f"--uplink={d.path('uplink.sock')}", code=code)
    return path if code == 0 else done.stderr


def blocks(folder):
    """The commands of the page: runs of lines that begin with four spaces."""
    with open(os.path.join(folder, "HOW-TO-VERIFY.txt"), encoding="utf-8") as f:
        text = f.read()
    found = re.findall(r"(?:^    .*\n(?:^ {4,}.*\n)*)", text, re.M)
    assert len(found) >= 7, found
    return found


def verify(folder):
    """None, or the first block that says that something is wrong, and what it says."""
    for block in blocks(folder):
        done = subprocess.run(["sh", "-euc", block], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
        if done.returncode != 0:
            return block, done.stdout + done.stderr
    return None


def c4(data):
    n, text = int.from_bytes(hashlib.sha512(data).digest(), "big"), ""
    while n:
        n, digit = divmod(n, 58)
        text = BASE58[digit] + text
    return "c4" + text.rjust(88, "1")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def check_mhl(folder):
    chain = ET.parse(os.path.join(folder, "ascmhl", "ascmhl_chain.xml")).getroot()
    assert chain.tag == f"{CHAIN}ascmhldirectory", chain.tag
    entry, = chain.findall(f"{CHAIN}hashlist")
    name = entry.find(f"{CHAIN}path").text
    assert entry.get("sequencenr") == "1" and re.fullmatch(r"0001_export_\d{4}-\d\d-\d\d_\d{6}Z\.mhl", name), name
    assert entry.find(f"{CHAIN}c4").text == c4(read(os.path.join(folder, "ascmhl", name)))
    root = ET.parse(os.path.join(folder, "ascmhl", name)).getroot()
    assert root.tag == f"{MHL}hashlist" and root.get("version") == "2.0"
    assert [e.tag.removeprefix(MHL) for e in root] == ["creatorinfo", "processinfo", "hashes"]
    assert root.find(f"{MHL}processinfo/{MHL}process").text == "transfer"
    listed = {}
    for entry in root.findall(f"{MHL}hashes/{MHL}hash"):
        path = entry.find(f"{MHL}path")
        data = read(os.path.join(folder, path.text))
        assert [e.tag.removeprefix(MHL) for e in entry] == ["path", "c4", "md5"]
        assert int(path.get("size")) == len(data) and entry.find(f"{MHL}c4").text == c4(data), path.text
        assert entry.find(f"{MHL}md5").text == hashlib.md5(data).hexdigest(), path.text
        listed[path.text] = True
    there = {os.path.relpath(os.path.join(top, f), folder) for top, _, files in os.walk(folder) for f in files}
    assert set(listed) == {f for f in there if not f.startswith("ascmhl/")}
    # All of the published schema that is used, as a grammar of our own.
    for file in (name, "ascmhl_chain.xml"):
        subprocess.run(["xmllint", "--noout", "--nonet", "--relaxng", os.path.join(rack.SRC, "tests", "lib", "ascmhl.rng"),
                        os.path.join(folder, "ascmhl", file)], check=True, stderr=subprocess.DEVNULL)
    schemas = os.environ.get("BERTH_MHL_XSD")
    if schemas:
        for schema, file in (("ASCMHL.xsd", name), ("ASCMHLDirectory.xsd", "ascmhl_chain.xml")):
            if os.path.exists(os.path.join(schemas, schema)):
                subprocess.run(["xmllint", "--noout", "--nonet", "--schema", os.path.join(schemas, schema),
                                os.path.join(folder, "ascmhl", file)], check=True, stderr=subprocess.DEVNULL)


def test_export_of_a_clip_verifies_without_berth(sim, dock):
    d = work(sim, dock)
    folder = export(d, "1")
    with open(os.path.join(folder, "index.json"), encoding="utf-8") as f:
        clip, = json.load(f)["clips"]
    assert clip["serial"] == "SN-A" and clip["path"].startswith("DCIM/A") and clip["file"].startswith("clips/1/"), clip
    manifest = json.loads(read(os.path.join(folder, clip["manifest"])))
    assert manifest["object"] == clip["object"], (manifest, clip)
    kinds = {json.loads(read(os.path.join(folder, "events", f)))["event"] for f in os.listdir(os.path.join(folder, "events"))}
    assert {"clip-seen", "copied", "receipted", "erase-begun", "erased", "identified", "checked", "key-made", "key-rotated"} <= kinds, kinds
    text = "".join(read(os.path.join(folder, "events", f)).decode() for f in os.listdir(os.path.join(folder, "events")))
    assert "SN-B" not in text, "another camera's events are in it"
    assert len([f for f in os.listdir(os.path.join(folder, "keys")) if f.endswith(".pem")]) == 2
    assert verify(folder) is None, verify(folder)
    check_mhl(folder)


def test_whatever_is_changed_in_an_export_is_told_by_its_own_page(sim, dock):
    d = work(sim, dock)
    folder = export(d, "1")
    missed = []
    for top, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(top, name)
            relative = os.path.relpath(path, folder)
            if relative.startswith("ascmhl/") or relative in ("index.json", "HOW-TO-VERIFY.txt"):
                continue  # told by the chain file of the hash list; no evidence of its own
            data = read(path)
            for at in (len(data) // 3, len(data) - 30):
                if relative.startswith("manifests/"):
                    at = data.index(b'"sha256": "') + 15
                with open(path, "wb") as f:
                    f.write(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
                if verify(folder) is None:
                    missed.append((relative, at))
            with open(path, "wb") as f:
                f.write(data)
    assert not missed, missed
    assert verify(folder) is None
    # Somebody else's signature under a list of their own.
    name, = os.listdir(os.path.join(folder, "segments"))[:1]
    checkpoint = os.path.join(folder, "checkpoints", name.replace(".sha256", ".txt"))
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", d.path("forger.pem")], check=True)
    lines = read(checkpoint).decode().split("\n")
    with open(d.path("message"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines[:2]) + "\n")
    subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", d.path("forger.pem"), "-rawin", "-in", d.path("message"), "-out",
                    d.path("forged")], check=True)
    signature = subprocess.run(["openssl", "base64", "-A", "-in", d.path("forged")], capture_output=True, text=True, check=True).stdout
    with open(checkpoint, "w", encoding="utf-8") as f:
        f.write("\n".join(lines[:2] + [signature]) + "\n")
    assert "is not signed by its key" in verify(folder)[1]


def test_export_of_a_camera_a_range_and_days_into_a_tar_file(sim, dock):
    d = work(sim, dock)
    camera = export(d, "--camera=SN-A", to="camera.tar")
    with tarfile.open(camera) as tar:
        tar.extractall(d.path("camera"), filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(d.path("camera"))
    assert verify(d.path("camera")) is None, verify(d.path("camera"))
    check_mhl(d.path("camera"))
    assert len(os.listdir(d.path("camera", "clips"))) == 2
    events = export(d, "3..7", to="events")
    assert {f"{n:010}.json" for n in range(3, 8)} <= set(os.listdir(os.path.join(events, "events")))
    assert verify(events) is None, verify(events)
    day = d.events()[0]["time"][:10]
    days = export(d, f"{day}..2099-12-31", to="days")
    assert len(os.listdir(os.path.join(days, "events"))) >= len(d.events()) - 3 and verify(days) is None


def test_export_refuses_what_it_cannot_prove(sim, dock):
    d = work(sim, dock)
    assert "no clip 99" in export(d, "99", to="x1", code=1)
    assert "never saw" in export(d, "--camera=NOBODY", to="x2", code=1)
    assert "cannot be made" in export(d, "1", to="state", code=1)
    assert "x" in export(d, "x", to="x3", code=2)
    sim("unplug", camera="A")
    d.wait(lambda: d.events("undocked"), "an event that no checkpoint covers")
    newest = d.events()[-1]["seq"]
    assert "not covered" in export(d, f"{newest}..{newest}", to="x4", code=1)
    d.daemon.end()
    d.uplink.end()
    assert "cannot be reached" in export(d, "1", to="x5", code=1)
    path = d.path("without")
    ctl("custody", "export", "1", path, f"--state-dir={d.state}", "--no-store")
    assert verify(path) is None and not os.path.exists(os.path.join(path, "manifests"))
    name, = d.rows("SELECT spool_name FROM clips WHERE id = 1")[0]
    with open(os.path.join(d.state, "spool", name), "r+b") as f:
        f.write(b"other")
    done = ctl("custody", "export", "1", d.path("x6"), f"--state-dir={d.state}", "--no-store", code=1)
    assert "is not what was copied" in done.stderr, done
    shutil.rmtree(d.path("x6"))


def index(folder):
    """{clip id: what index.json says of it}"""
    with open(os.path.join(folder, "index.json"), encoding="utf-8") as f:
        return {clip["clip_id"]: clip for clip in json.load(f)["clips"]}


def test_footage_that_the_store_alone_has_is_fetched(sim, dock):
    with released_world.released(sim, dock) as (d, ids):
        folder, said = released_world.export(d, "--camera=SN-R", to="all", code=0)
        assert f"3 with their footage ({len(ids)} from the store)" in said, said
        assert verify(folder) is None, verify(folder)
        digests = {e["clip_id"]: e["digest"] for e in d.events("copied")}
        for clip_id, clip in index(folder).items():
            assert hashlib.sha256(read(os.path.join(folder, clip["file"]))).hexdigest() == digests[clip_id] and "missing" not in clip, clip
        check_mhl(folder)
        asked = d.events("fetch-ordered")
        assert sorted(e["clip_id"] for e in asked) == ids and all("operator_uid" in e for e in asked), asked
        # Of a time in which the clip was only let go of, with what proves it.
        seq = d.events("spool-released")[0]["seq"]
        tar, _ = released_world.export(d, f"{seq}..{seq}", to="seq.tar", code=0)
        with tarfile.open(tar) as t:
            t.extractall(d.path("seq"), filter="data") if hasattr(tarfile, "data_filter") else t.extractall(d.path("seq"))
        assert index(d.path("seq"))[ids[0]]["file"] and verify(d.path("seq")) is None, verify(d.path("seq"))
        assert set(os.listdir(d.folder)) >= {"seq.tar"} and not [n for n in os.listdir(d.folder) if n.endswith(".part")]


def test_export_that_is_not_complete_says_so_of_each_clip(sim, dock):
    with released_world.released(sim, dock) as (d, ids):
        first = str(ids[0])
        folder, said = released_world.export(d, first, to="left-out", code=7, options=["--no-store"])
        assert f"clip {first} is not complete" in said and "verifies, and is not complete" in said, said
        assert index(folder)[ids[0]]["missing"] and verify(folder) is None
        # Somebody changed a byte in the store.
        key, = d.rows("SELECT object_key FROM receipts WHERE clip_id = ?1".replace("?1", first))[0]
        os.chmod(os.path.join(d.store, key), 0o640)
        with open(os.path.join(d.store, key), "r+b") as f:
            f.seek(4000)
            byte = f.read(1)
            f.seek(4000)
            f.write(bytes([byte[0] ^ 1]))
        folder, said = released_world.export(d, "--camera=SN-R", to="damaged", code=7)
        assert "could not be fetched" in said and "is damaged: its digest" in said, said
        assert [n for n, clip in index(folder).items() if "file" not in clip] == [ids[0]] and verify(folder) is None
        ctl("custody", "checkpoint")
        answer = json.loads(ctl("custody", "export", first, d.path("json"), "--json", f"--state-dir={d.state}",
                                f"--uplink={d.path('uplink.sock')}", code=7).stdout)
        assert answer["footage"] == 0 and answer["missing"][0]["clip_id"] == ids[0] and "damaged" in answer["missing"][0]["why"], answer
        # There is no room for it.
        os.mkdir(d.path("small"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12M", "none", d.path("small")], check=True)
        try:
            _, said = released_world.export(d, first, to=d.path("small", "x"), code=1)
            assert "make room there" in said and not os.path.exists(d.path("small", "x", "clips")), said
        finally:
            subprocess.run(["umount", "-l", d.path("small")], check=True)
        d.daemon.end()
        _, said = released_world.export(d, first, to="alone", code=7)
        assert "berthd, which has it fetched, does not run" in said, said


def jobs(d):
    objects = d.conn.call_sync(rack.NAME, rack.ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None, None, 0, 60000,
                               None).unpack()[0]
    return [path for path in objects if "/job/" in path]


def test_fetching_ends_with_whoever_asked_and_by_order(sim, dock):
    with released_world.released(sim, dock) as (d, ids):
        clip = ids[0]
        argv = [f"{rack.BUILD}/berthctl", "custody", "export", str(clip), d.path("gone"), f"--state-dir={d.state}", "--no-pager",
                f"--uplink={d.path('uplink.sock')}"]
        ctl("custody", "checkpoint")
        def asked(n):
            return lambda: len(d.events("fetch-ordered")) == n

        with released_world.uplink_stands_still(d):
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            d.wait(asked(1), "the fetch")
            child.kill()
            child.wait()
        d.wait(lambda: "Not read back from the store: it was stopped" in d.daemon.output(), "the fetch to end with its caller")
        argv[4] = d.path("stopped")
        ctl("custody", "checkpoint")
        with released_world.uplink_stands_still(d):
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            d.wait(asked(2), "the other fetch")
            [job] = [path for path in jobs(d) if d.properties(path, "Job")["State"] == "running"]
            assert d.properties(job, "Job")["Kind"] == "fetch-clip"
            subprocess.run(["busctl", "--system", "call", rack.NAME, job, f"{rack.NAME}.Job", "Cancel"], check=True)
        said = child.communicate(timeout=120)[1]
        assert child.returncode == 7 and "it was stopped" in said, (child.returncode, said)
        released_world.export(d, str(clip), to="after", code=0)


rack.run([test_export_of_a_clip_verifies_without_berth, test_whatever_is_changed_in_an_export_is_told_by_its_own_page,
          test_export_of_a_camera_a_range_and_days_into_a_tar_file, test_export_refuses_what_it_cannot_prove,
          test_footage_that_the_store_alone_has_is_fetched, test_export_that_is_not_complete_says_so_of_each_clip,
          test_fetching_ends_with_whoever_asked_and_by_order])
