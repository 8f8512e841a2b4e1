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


rack.run([test_export_of_a_clip_verifies_without_berth, test_whatever_is_changed_in_an_export_is_told_by_its_own_page,
          test_export_of_a_camera_a_range_and_days_into_a_tar_file, test_export_refuses_what_it_cannot_prove])
