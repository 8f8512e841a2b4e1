#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a model file says takes effect: what goes first, what goes along, what stays, and whose time it is."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MODEL = "[model acme]\nmatch = 1209:bc01\ninterface = 06/01/01\nplugin = mtp\ntested = here\n"
MIB = 1 << 20


def camera(sim, clips, name="c", serial="A1", **more):
    sim("camera", name=name, type="ptp", vid=0x1209, pid=0xBC01, serial=serial, manufacturer="Acme", model="BC-1", clips=clips, **more)


def docked(sim, dock, model, clips, start=True, date_zone=None, zone_minutes=None, **config):
    d = dock(["1-1.1"], **config)
    os.makedirs(d.path("cameras.d"))
    with open(d.path("cameras.d", "acme.conf"), "w", encoding="utf-8") as f:
        f.write(MODEL + model)
    camera(sim, clips, **({"date_zone": date_zone, "zone_minutes": zone_minutes} if date_zone else {}))
    if start:
        d.start()
        sim("plug", camera="c", port="1-1.1")
    return d


def names(d, kind):
    """Last components of the clips' paths, in the order of their events."""
    return [e["path"].split("/")[-1] for e in d.events(kind)]


def manifests(d):
    return {m["path"].split("/")[-1]: m for m in d.manifests()}


def listed(d):
    import gi  # noqa: PLC0415
    gi.require_version("Gio", "2.0")
    from gi.repository import GLib  # noqa: PLC0415

    answer = d.conn.call_sync(rack.NAME, rack.ROOT, f"{rack.NAME}.Manager", "ListClips", GLib.Variant("(sstu)", ("", "", 0, 0)),
                              GLib.VariantType("(aa{sv})"), 0, 10000, None)
    return {c["Path"].split("/")[-1]: (c["Kind"], c["Priority"]) for c in answer.unpack()[0]}


CLIPS = [make_clip("DCIM/100/A.MP4", 3 * MIB, 1), make_clip("DCIM/100/A.GPX", 2000, 2), make_clip("DCIM/100/B_IMP.MP4", 2 * MIB, 3),
         make_clip("DCIM/SOS/C.MP4", MIB, 4), make_clip("DCIM/100/A.THM", 900, 5), make_clip("LOG/SYS.LOG", 100, 6)]
FILES = "footage = *.mp4\npriority = *_IMP*\npriority_folder = SOS/\ncompanion = *.gpx take\ncompanion = *.thm ignore\n"
KINDS = {"A.MP4": ("footage", False), "A.GPX": ("companion", False), "B_IMP.MP4": ("footage", True), "C.MP4": ("footage", True)}


def test_priority_footage_goes_first_and_companions_last(sim, dock):
    d = docked(sim, dock, FILES, CLIPS, policy={"uploads": 1})
    d.wait_state(1, "ready")
    assert set(names(d, "pull-begun")[:2]) == {"B_IMP.MP4", "C.MP4"}, names(d, "pull-begun")
    assert names(d, "pull-begun")[2:] == ["A.MP4", "A.GPX"], names(d, "pull-begun")
    assert listed(d) == KINDS, listed(d)
    found = manifests(d)
    assert {name: (m["facts"]["kind"], m["facts"]["priority"]) for name, m in found.items()} == KINDS, found
    # What is ignored is nobody's: it is there still, and the camera is ready all the same.
    assert sorted(c["path"] for c in sim("state", camera="c")["clips"]) == ["DCIM/100/A.THM", "LOG/SYS.LOG"]


def test_the_order_of_uploads_outlives_a_restart(sim, dock):
    d = docked(sim, dock, FILES, CLIPS, start=False, policy={"uploads": 1})
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    # Without the uplink all of it waits on the dock.
    d.wait(lambda: len(d.events("copied")) == 4, "all clips to be copied")
    d.daemon.end()
    sim("unplug", camera="c")
    d.start()
    d.wait(lambda: len(d.events("receipted")) == 4, "all clips to be stored")
    order = names(d, "receipted")
    assert set(order[:2]) == {"B_IMP.MP4", "C.MP4"} and order[2:] == ["A.MP4", "A.GPX"], order
    assert listed(d) == KINDS, listed(d)


def test_a_model_may_forbid_to_erase(sim, dock):
    d = docked(sim, dock, "erase = never\n", CLIPS[:1])
    d.wait_state(1, "ready")
    d.wait(lambda: len(d.events("receipted")) == 1, "the receipt")
    assert [c["path"] for c in sim("state", camera="c")["clips"]] == ["DCIM/100/A.MP4"]
    assert not d.events("erase-begun")


def test_the_sites_policy_is_the_upper_bound_of_erasing(sim, dock):
    d = docked(sim, dock, "erase = receipted\n", CLIPS[:1], policy={"erase": "never"})
    d.wait_state(1, "ready")
    assert len(sim("state", camera="c")["clips"]) == 1 and not d.events("erase-begun")


def dated(sim, dock, zone):
    """What the dock makes of a file that the camera dates without a zone, and its clock shows as UTC does."""
    d = docked(sim, dock, f"file_times = {zone}\n", [make_clip("DCIM/100/A.MP4", 1000, 1, mtime=1700000000)], date_zone="local",
               zone_minutes=0)
    d.wait(lambda: d.events("clip-seen"), "the clip")
    return d.events("clip-seen")[0]["mtime_unix_sec"] - 1700000000


def test_files_are_dated_by_utc(sim, dock):
    assert dated(sim, dock, "utc") == 0


def test_files_are_dated_by_the_models_offset(sim, dock):
    assert dated(sim, dock, "-03:30") == 12600


def test_the_daemon_shows_the_models_that_it_goes_by(sim, dock):
    d = docked(sim, dock, FILES + "file_times = local\nerase = never\ncharge_ma = 900\ncharge_curve = 0:900 100:50\n"
               "firmware = file UP/fw.bin\nmatch_product = BC-*\n", CLIPS[:1])
    done = subprocess.run([f"{rack.BUILD}/berthctl", "model", "list", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=True)
    models = {m["id"]: m for m in json.loads(done.stdout)["models"]}
    assert {"generic-mtp", "generic-dcim", "ambarella-b", "gopro", "acme"} <= set(models), models
    acme = models["acme"]
    assert acme["local"] and acme["file"] == d.path("cameras.d", "acme.conf") and not models["gopro"]["local"], acme
    expected = {"match": ["1209:bc01"], "match_product": "BC-*", "interfaces": ["06/01/01"], "footage": ["*.mp4"],
                "priority": ["*_IMP*", "SOS/*", "*/SOS/*"], "companions_taken": ["*.gpx"], "companions_ignored": ["*.thm"],
                "options": ["utc-offset-minutes=local"], "file_times": "local", "erase": "never", "charge_ma": 900,
                "charge_curve": ["0:900", "100:50"], "firmware": "file UP/fw.bin", "battery_mah": 0, "match_serial": None}
    assert {key: acme[key] for key in expected} == expected, acme


def test_models_that_could_be_one_device_stop_the_start(sim, dock):
    d = docked(sim, dock, MODEL.replace("acme", "other"), CLIPS[:1], start=False)
    d.start_daemon(wait=False)
    d.wait(lambda: not d.daemon.running(), "berthd to end")
    assert d.daemon.child.returncode == 1 and "could both be the same device" in d.daemon.output(), d.daemon.output()


def test_room_is_kept_for_priority_footage(sim, dock):
    d = dock(["1-1.1", "1-1.2"], reserve="16M", priority_reserve="24M")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M", "none", d.state], check=True)
    try:
        os.makedirs(d.path("cameras.d"))
        with open(d.path("cameras.d", "acme.conf"), "w", encoding="utf-8") as f:
            f.write(MODEL + FILES)
        for name, path, bay in (("c", "DCIM/100/A.MP4", "1-1.1"), ("p", "DCIM/SOS/B.MP4", "1-1.2")):
            camera(sim, [make_clip(path, 28 * MIB, len(path))], name=name, serial=f"SN-{name}")
            sim("plug", camera=name, port=bay)
        d.start_daemon()
        d.wait(lambda: "spool is full" in d.bay(1).get("Reason", ""), "the bay with other footage to wait for room")
        d.wait_state(2, "settled")
        assert not d.rows("SELECT 1 FROM clips WHERE path = 'DCIM/100/A.MP4' AND state <> 'seen'")
        d.close()
    finally:
        subprocess.run(["umount", "-l", d.state], check=True)


if __name__ == "__main__":
    rack.run([test_priority_footage_goes_first_and_companions_last, test_the_order_of_uploads_outlives_a_restart,
              test_room_is_kept_for_priority_footage,
              test_a_model_may_forbid_to_erase, test_the_sites_policy_is_the_upper_bound_of_erasing,
              test_files_are_dated_by_utc, test_files_are_dated_by_the_models_offset,
              test_the_daemon_shows_the_models_that_it_goes_by, test_models_that_could_be_one_device_stop_the_start])
