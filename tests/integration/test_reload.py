#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Settings: shown with where each is from, from a file and its drop-ins; read anew by a daemon that runs."""

import json
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import BUILD, SRC  # noqa: E402


def ctl(*args, code=0):
    done = subprocess.run([f"{BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, f"{args}: {done.returncode}: {done.stdout}{done.stderr}"
    return done


def settings(d):
    told = json.loads(ctl("config", "show", d.path("berthd.conf"), "--json").stdout)
    return {s["key"]: s for s in told["settings"]}


def rewrite(d, **sections):
    """The file with other values."""
    for name, values in sections.items():
        d.config[name] = {**d.config.get(name, {}), **values}
    d.write_config()


def dropin(d, name, text):
    os.makedirs(d.path("berthd.conf.d"), exist_ok=True)
    with open(d.path("berthd.conf.d", name), "w", encoding="utf-8") as f:
        f.write(text)


def test_every_key_of_the_manual_page_is_shown_with_its_default(sim, dock):
    """The page, the table of keys and the parser have the same keys; the defaults that are shown are those that count."""
    d = dock(["1-1.1"])
    with open(d.path("plain.conf"), "w", encoding="utf-8") as f:
        f.write("[bay 1-1.1]\nnumber = 1\n")
    plain = json.loads(ctl("config", "show", d.path("plain.conf"), "--json").stdout)["settings"]
    with open(f"{SRC}/man/berthd.conf.5", encoding="utf-8") as f:
        page = f.read().split(".Ss [bay PORT]")[1].split(".Sh EXAMPLES")[0]
    named, listed = set(), None
    for line in ("[bay PORT]" + page).splitlines():
        if line.startswith((".Ss [", "[bay")):
            listed = line.split("[")[1].split("]")[0].split()[0]
        elif line.startswith(".It Cm ") and re.fullmatch(r"[a-z_, ]+", line[7:]):
            named |= {f"{listed}.{key}" for key in line[7:].split(" , ")}
    shown = {s["key"].replace(" 1-1.1", "") for s in plain}
    wanted = {n for n in named if not n.startswith(("bay.", "hub.", "shift."))} | {"bay.number"}
    # Values of a key stand in lists as well: after-receipt and so on.
    assert shown <= named and wanted - shown <= {"policy.after"}, (shown ^ wanted)
    assert all(s["origin"] is None for s in plain if not s["key"].startswith("bay")), plain
    # Written down, the defaults change nothing and are all understood.
    with open(d.path("written.conf"), "w", encoding="utf-8") as f:
        for s in plain:
            if s["value"]:
                section, key = s["key"].rsplit(".", 1) if not s["key"].startswith("bay") else ("bay 1-1.1", "number")
                f.write(f"[{section}]\n{key} = {s['value']}\n")
    again = json.loads(ctl("config", "show", d.path("written.conf"), "--json").stdout)["settings"]
    assert [(s["key"], s["value"]) for s in again] == [(s["key"], s["value"]) for s in plain]


def test_settings_are_shown_with_file_and_line(sim, dock):
    d = dock(["1-1.1"])
    dropin(d, "10-keep.conf", "# longer\n[spool]\nkeep = 3d\n")
    dropin(d, "20-more.conf", "[spool]\nkeep = 4d\n")
    dropin(d, "30-not.txt", "[spool]\nkeep = 9d\n")
    shown = settings(d)
    assert (shown["spool.keep"]["value"], shown["spool.keep"]["origin"]) == ("4d", d.path("berthd.conf.d/20-more.conf") + ":2"), shown
    assert shown["dock.name"]["origin"].startswith(d.path("berthd.conf") + ":") and shown["policy.erase"]["origin"] is None, shown
    text = ctl("config", "show", d.path("berthd.conf"), "--origin").stdout
    assert re.search(r"^spool\.keep +4d +\S*20-more\.conf:2$", text, re.M), text
    assert re.search(r"^policy\.erase +after-receipt +default$", text, re.M)
    dropin(d, "40-bad.conf", "[spool]\nkep = 4d\n")
    assert "40-bad.conf:2: [spool] kep: unknown key" in ctl("config", "show", d.path("berthd.conf"), code=1).stderr


STORES = {
    "dir": "path = /srv/footage\n",
    "s3": "endpoint = https://s3.example\nbucket = footage\ncredentials = {secret}\nencryption = sse-c\nencryption_key = {secret}\n"
          "client_certificate = {secret}\nclient_key = {secret}\nproxy = http://dock:hunter2@proxy:3128\n",
    "tus": "url = https://tus.example/files/\ncredentials = {secret}\nproxy = dock:hunter2@proxy:3128\n",
}


def uplink_keys(kind):
    """{section.key} that the manual page has for a store of that type."""
    with open(f"{SRC}/man/berth-uplink.conf.5", encoding="utf-8") as f:
        page = f.read()
    sections = dict(re.findall(r"^\.Ss (\[\w+\](?: of type \w+)?)\n(.*?)(?=^\.S[sh])", page, re.M | re.S))
    return {f"{name}.{key}" for section, name in (("[store]", "store"), (f"[store] of type {kind}", "store"), ("[uplink]", "uplink"))
            for line in re.findall(r"^\.It Cm ([a-zC0-9_, ]+)$", sections[section], re.M) for key in line.replace("Cm ", "").split(" , ")}


def test_uploaders_settings_are_shown_and_no_secret_is(sim, dock):
    d = dock(["1-1.1"])
    with open(d.path("secret"), "w", encoding="utf-8") as f:
        f.write("aws_secret_access_key = hunter2\n")
    limits = ["Mon-Fri 08:00-18:00 20 Mbit/s", "22:00-06:00 none"]
    for kind, lines in STORES.items():
        with open(d.path("shown.conf"), "w", encoding="utf-8") as f:
            f.write(f"# ours\n[store]\ntype = {kind}\nread_back = no\nread_back = yes\n" + lines.format(secret=d.path("secret")))
            f.write("[uplink]\n" + "".join(f"limit = {limit}\n" for limit in limits))
        both = ctl("config", "show", d.path("berthd.conf"), d.path("shown.conf"), "--json").stdout
        told = json.loads(both)
        assert told["uplink_file"] == d.path("shown.conf") and told["file"] == d.path("berthd.conf"), told
        ours = [s for s in told["settings"] if s["key"].split(".")[0] in ("store", "uplink")]
        assert {s["key"] for s in ours} == uplink_keys(kind), (kind, ours)
        shown = {s["key"]: s for s in ours}
        assert (shown["store.type"]["value"], shown["store.type"]["origin"]) == (kind, d.path("shown.conf") + ":3"), shown
        assert (shown["store.read_back"]["value"], shown["store.read_back"]["origin"]) == ("yes", d.path("shown.conf") + ":5"), shown
        assert [s["value"] for s in ours if s["key"] == "uplink.limit"] == limits, ours
        assert shown["uplink.transfers"] == {"key": "uplink.transfers", "value": "8", "origin": None, "reload": False}, shown
        text = ctl("config", "show", d.path("berthd.conf"), d.path("shown.conf"), "--origin").stdout
        assert re.search(rf"^store\.type +{kind} +\S*shown\.conf:3$", text, re.M), text
        assert re.search(r"^policy\.erase +after-receipt +default$", text, re.M), text
        assert "hunter2" not in both + text and "dock:" not in both + text, text
        # Written down, the defaults change nothing and are all understood.
        with open(d.path("written.conf"), "w", encoding="utf-8") as f:
            for s in ours:
                if s["value"]:
                    f.write(f"[{s['key'].split('.')[0]}]\n{s['key'].split('.')[1]} = {s['value']}\n")
        again = json.loads(ctl("config", "show", d.path("berthd.conf"), d.path("written.conf"), "--json").stdout)["settings"]
        assert [(s["key"], s["value"]) for s in again] == [(s["key"], s["value"]) for s in told["settings"]]
        # A drop-in comes after the file.
        os.makedirs(d.path("shown.conf.d"), exist_ok=True)
        with open(d.path("shown.conf.d", "10-fewer.conf"), "w", encoding="utf-8") as f:
            f.write("[uplink]\ntransfers = 2\n")
        text = ctl("config", "show", d.path("berthd.conf"), d.path("shown.conf"), "--origin").stdout
        assert re.search(r"^uplink\.transfers +2 +\S*shown\.conf\.d/10-fewer\.conf:2$", text, re.M), text
        with open(d.path("shown.conf.d", "10-fewer.conf"), "w", encoding="utf-8") as f:
            f.write(f"[store]\n{'bucket' if kind == 'dir' else 'mount_point'} = /x\n")
        error = ctl("config", "show", d.path("berthd.conf"), d.path("shown.conf"), code=1).stderr
        assert "10-fewer.conf:2: [store]" in error, error
        os.unlink(d.path("shown.conf.d", "10-fewer.conf"))
    assert not [s for s in settings(d) if s.startswith("uplink.")], "one file was named, and another one was shown"
    with open(d.path("shown.conf"), "w", encoding="utf-8") as f:
        f.write("[store]\ntype = dir\npth = /srv\n")
    done = ctl("config", "show", d.path("berthd.conf"), d.path("shown.conf"), code=1)
    assert "shown.conf:3: [store] pth: unknown key" in done.stderr and "policy.erase" in done.stdout, done


def test_reload_brings_a_change_into_force_and_on_record(sim, dock):
    d = dock(["1-1.1"]).start()
    assert ctl("reload").stdout == "Nothing has changed.\n"
    rewrite(d, policy={"erase": "never"}, dock={"name": "other"})
    told = json.loads(ctl("reload", "--json").stdout)["changes"]
    assert {(c["key"], c["before"], c["after"], c["now"]) for c in told} == {
        ("policy.erase", None, "never", True), ("dock.name", "test-dock", "other", False)}, told
    event = json.loads(d.rows("SELECT bytes FROM custody WHERE kind = 'settings' ORDER BY seq DESC LIMIT 1")[0][0])
    assert event["values"]["policy.erase"] == "never" and event["values"]["dock.name"] == "test-dock", event
    assert "policy.erase" in event["changed"] and "dock.name" not in event["changed"] and event["operator_uid"] == os.getuid(), event
    assert "Setting policy.erase: never, was not written" in d.daemon.output(), d.daemon.output()
    # What waits for the next start is still told.
    assert "+ dock.name = other    (from the next start on)" in ctl("reload").stdout
    sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", clips=[rack.make_clip("DCIM/1.MP4", 2000, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    assert d.bay(1)["ClipsErased"] == 0 and d.bay(1)["ClipsStored"] == 1, d.bay(1)
    rewrite(d, policy={"erase": "after-receipt"})
    assert "- policy.erase = never\n+ policy.erase = after-receipt\n" in ctl("reload").stdout
    d.wait(lambda: d.bay(1)["ClipsErased"] == 1, "the erase, now that it is allowed")
    d.check_chain()


def test_a_wrong_file_changes_nothing(sim, dock):
    d = dock(["1-1.1"]).start()
    rewrite(d, policy={"erase": "nver"})
    error = ctl("reload", code=1).stderr
    assert re.search(r"berthd\.conf:\d+: \[policy\] erase: 'nver' is none of", error) and "stay as they are" in error, error
    d.daemon.child.send_signal(signal.SIGHUP)
    d.wait(lambda: d.daemon.output().count("stay as they are") == 1, "the journal's word for it")
    assert d.manager()["State"] == "running"
    rewrite(d, policy={"erase": "by-hand"})
    d.daemon.child.send_signal(signal.SIGHUP)
    d.wait(lambda: "Setting policy.erase: by-hand, was not written" in d.daemon.output(), "the change by SIGHUP")
    d.wait(lambda: len(d.rows("SELECT 1 FROM custody WHERE kind = 'settings'")) == 2, "the change on record")


rack.run([test_every_key_of_the_manual_page_is_shown_with_its_default, test_settings_are_shown_with_file_and_line,
                     test_uploaders_settings_are_shown_and_no_secret_is,
                     test_reload_brings_a_change_into_force_and_on_record, test_a_wrong_file_changes_nothing])
