#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How the store is, point by point; and settings with which nothing could ever be erased, told of from the start on."""

import json
import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402


def doctor(*words):
    return subprocess.run([f"{rack.BUILD}/berthctl", "doctor", "store", *words], capture_output=True, text=True, timeout=120, check=False)


def manager(d):
    return d.properties(rack.ROOT, "Manager")


def points():
    """(exit code, {name: (verdict, text)})"""
    done = doctor("--json")
    assert done.stdout, done
    said = json.loads(done.stdout)
    assert said["schema"] == "org.berth.ctl.doctor/1", said
    found = {p["name"]: (p["verdict"], p["text"]) for p in said["points"]}
    # That the daemon of a test runs as root is no matter of the store.
    assert found.pop("daemon")[0] == "warning", found
    return done.returncode, found


def ready(d):
    d.wait(lambda: manager(d)["StoreState"] == "ready", "the store to be ready")


def test_store_that_is_as_it_should_be(sim, dock):
    d = dock(["1-1.1"]).start()
    ready(d)
    code, found = points()
    assert {name: verdict for name, (verdict, _) in found.items()} == {
        "store": "ok", "store-clock": "ok", "store-checksums": "ok", "store-delete": "note", "store-replace": "note", "store-lock": "note",
        "erase-policy": "ok"}, found
    assert code == 5
    said = doctor()
    assert said.returncode == 5 and len(said.stdout.splitlines()) == len(found) + 1, said
    assert any(line.split()[:2] == ["ok", "erase-policy"] for line in said.stdout.splitlines()), said.stdout
    d.uplink.end()
    d.wait(lambda: manager(d)["StoreState"] == "disconnected", "the uplink's end to show")
    code, found = points()
    assert code == 1 and found["store"][0] == "failed" and "erase-policy" in found, found


def test_clock_of_a_store_that_is_apart_from_the_docks_is_a_warning(sim, dock):
    d = dock(["1-1.1"])
    d.start_daemon()
    # The uplink's clock is the dock's; what is written into the folder has the kernel's.
    d.preload = f"{rack.BUILD}/tests/preload/step_clock.so"
    os.environ["BERTH_CLOCK_FILE"] = d.path("clock")
    for apart, words in ((3600, "s behind the dock's"), (-3600, "s ahead of the dock's"), (0, "")):
        with open(d.path("clock"), "wb") as f:
            f.write(struct.pack("=q", apart))
        d.start_uplink()
        ready(d)
        code, found = points()
        assert code == 5 and found["store-clock"][0] == ("warning" if apart else "ok") and words in found["store-clock"][1], found
        d.uplink.end()
        d.wait(lambda: manager(d)["StoreState"] == "disconnected", "the uplink's end to show")


def test_settings_that_can_never_erase_are_told_of_from_the_start(sim, dock):
    d = dock(["1-1.1"], uplink={"same_disk_is_store": "yes", "read_back": "no"}).start()
    reason = d.wait(lambda: (m := manager(d))["State"] == "degraded" and m["StoreState"] == "ready" and m["Reason"],
                    "the settings to be told of")
    for word in ("'size' receipts", "[policy] accept in berthd.conf", "read_back = yes", "uplink.conf"):
        assert word in reason, reason
    assert reason in d.daemon.output()
    code, found = points()
    assert code == 1 and found["erase-policy"] == ("failed", reason) and found["store-checksums"][0] == "warning", found
    # It pulls and stores all the same.
    sim("camera", name="c", type="ptp", serial="SN-1", manufacturer="Acme", model="BC-1", clips=[make_clip("a.MP4", 1000, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.events("receipted"), "the receipt")
    assert d.manifests() and not d.events("erased")


def test_store_on_the_spools_own_disk_is_none_unless_the_site_says_so(sim, dock):
    d = dock(["1-1.1"], uplink={"same_disk_is_store": "no"}).start()
    reason = d.wait(lambda: (m := manager(d))["State"] == "degraded" and m["StoreState"] == "ready" and m["Reason"],
                    "the settings to be told of")
    assert "'local' receipts" in reason and "same_disk_is_store" in reason, reason


def test_weaker_receipts_that_the_site_accepts_are_a_warning(sim, dock):
    d = dock(["1-1.1"], uplink={"same_disk_is_store": "yes", "read_back": "no"}, policy={"accept": "digest,size"}).start()
    ready(d)
    code, found = points()
    assert code == 5 and found["erase-policy"][0] == "ok" and found["store-checksums"][0] == "warning", found
    assert manager(d)["State"] == "running"


rack.run([test_store_that_is_as_it_should_be, test_clock_of_a_store_that_is_apart_from_the_docks_is_a_warning,
          test_settings_that_can_never_erase_are_told_of_from_the_start,
          test_store_on_the_spools_own_disk_is_none_unless_the_site_says_so, test_weaker_receipts_that_the_site_accepts_are_a_warning])
