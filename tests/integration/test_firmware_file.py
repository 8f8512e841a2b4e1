#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cameras that apply a firmware file from their own storage: the dock puts it there, and asks the camera what came of it."""

import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import rack  # noqa: E402
from cards import MIB, ExfatCard, FatCard  # noqa: E402
from flash_world import CARD_MODEL, FILE_MODEL, CardCamera, FileCamera, World, image  # noqa: E402

NEW = image("2.1", 300000)


def world(sim, dock, within="20s", restart="command", images=None):
    return World(sim, dock, images or {"2.1": NEW}, within, f"update_restart = {restart}", models=FILE_MODEL)


def docked(w, **how):
    c = FileCamera(w.sim, w.d, **how)
    c.plug()
    ready(w)
    return c


def ready(w, bay=1):
    w.d.wait_state(bay, "ready")
    w.d.wait(lambda: not w.d.workers(), "the camera to be let go of")


def test_camera_applies_the_file_and_tells_its_version(sim, dock):
    w = world(sim, dock)
    c = docked(w, clips=[rack.make_clip("DCIM/A.MP4", 9000, 1), {**rack.make_clip("MISC/keep.txt", 700, 2)}])
    told = w.flash("CAM-1", "2.1")
    assert isinstance(told, dict), told
    assert (told["outcome"], told["version"]) == ("ok", "2.1"), told
    assert c.has() == NEW
    # Nothing else of its storage was touched, and its own file is no footage.
    assert c.files() == ["MISC/keep.txt"], c.files()
    w.d.wait_state(1, "ready")
    assert [e["whole"] for e in w.d.events("flash-sent")] == [True] and len(w.d.events("docked")) == 1
    assert not w.d.events("fault")
    assert os.listdir(w.d.path("state", "flash")) == []
    w.d.check_chain()


def test_it_came_back_with_the_old_version(sim, dock):
    w = world(sim, dock)
    c = docked(w)
    c.set(keeps_old=True)
    told = w.flash("CAM-1", "2.1")
    assert (told["outcome"], told["version"]) == ("old-version", "1.0"), told
    ready(w)
    c.set(keeps_old=False)
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"


def test_it_did_not_come_back_and_heals_when_it_does(sim, dock):
    w = world(sim, dock, within="3s")
    c = docked(w)
    c.set(stays_away=True)
    told = w.flash("CAM-1", "2.1")
    assert (told["outcome"], told["version"]) == ("not-back", ""), told
    w.d.wait_state(1, "empty")
    w.d.daemon.end()
    w.d.start_daemon()
    sim("unplug", camera=c.name)
    c.plug("1-1.2")
    w.wait_ended("not-back", "ok")
    w.d.wait_state(2, "ready")


def test_power_of_its_port_restarts_it(sim, dock):
    w = world(sim, dock, restart="power")
    c = docked(w)
    told = w.flash("CAM-1", "2.1")
    assert isinstance(told, dict) and told["outcome"] == "ok", told
    assert c.has() == NEW and "ResetDevice" not in sim("state", camera=c.name)["operations"]


def test_person_is_asked_to_take_it_out(sim, dock):
    w = world(sim, dock, within="60s", restart="hand")
    c = docked(w)
    order = w.begin("CAM-1", "2.1")
    w.d.wait(lambda: "take it out, and put it in again" in w.d.bay(1)["Reason"], "a person to be asked")
    assert c.files() == ["UPDATE/FW.BIN"] and c.has() == image("1.0")
    sim("unplug", camera=c.name)
    c.plug()
    out, err = order.communicate(timeout=120)
    assert '"ok"' in out, out + err
    assert len(w.d.events("docked")) == 1, "it was another docking"


def test_file_of_the_catalogs_name_takes_the_place_of_an_old_one(sim, dock):
    w = world(sim, dock)
    c = docked(w, clips=[rack.make_clip("UPDATE/FW.BIN", 5000, 3)])
    # An old one that was there when it was put in was applied, or not, and deleted.
    sim("add_clip", camera=c.name, **rack.make_clip("UPDATE/fw.bin", 5000, 3))
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"
    assert c.files() == []


def test_camera_without_room_gets_nothing(sim, dock):
    w = world(sim, dock)
    c = docked(w, storage_total=100000)
    told = w.flash("CAM-1", "2.1")
    assert told["outcome"] == "failed" and "no storage of the camera has room" in told["text"], told
    assert c.files() == []
    w.d.wait_state(1, "ready")


# ---- On a card that is shown as a disk


def with_card(sim, dock, kind, within="20s", restart="command", **shape):
    w = World(sim, dock, {"2.1": NEW}, within, f"update_restart = {restart}", models=CARD_MODEL)
    card = kind(tempfile.mkdtemp(prefix="card-", dir=w.d.folder), **shape).fill(4096, 700001)
    card.put("CONFIG/SETTINGS.INI", card.random.randbytes(3000))
    c = CardCamera(w.sim, w.d, card)
    c.plug()
    ready(w)
    return w, c


def got_it(sim, dock, kind, restart="command", **shape):
    w, c = with_card(sim, dock, kind, restart=restart, **shape)
    told = w.flash("CAM-1", "2.1")
    assert isinstance(told, dict) and (told["outcome"], told["version"]) == ("ok", "2.1"), told
    assert c.has() == NEW
    ready(w)
    sim("unplug", camera=c.name)
    assert c.card.contents() == {"CONFIG/SETTINGS.INI": c.card.files["CONFIG/SETTINGS.INI"], "UPDATE/FW.BIN": NEW}
    c.card.check()


def test_card_of_fat32_gets_the_file(sim, dock):
    got_it(sim, dock, FatCard)


def test_card_of_fat16_gets_the_file_and_its_port_is_switched(sim, dock):
    got_it(sim, dock, FatCard, "power", size=64 * MIB, bits=16)


def test_card_of_exfat_gets_the_file(sim, dock):
    got_it(sim, dock, ExfatCard)


def test_card_whose_camera_restarts_before_it_answered_got_the_file_whole(sim, dock):
    w, c = with_card(sim, dock, FatCard)
    c.set(leaves_at_once=True)
    told = w.flash("CAM-1", "2.1")
    assert isinstance(told, dict) and told["outcome"] == "ok" and c.has() == NEW, told
    assert [e["whole"] for e in w.d.events("flash-sent")] == [True], w.d.events("flash-sent")


def test_card_comes_back_with_the_old_version_and_then_not_at_all(sim, dock):
    w, c = with_card(sim, dock, FatCard, within="10s")
    c.set(keeps_old=True)
    told = w.flash("CAM-1", "2.1")
    assert (told["outcome"], told["version"]) == ("old-version", "1.0"), told
    ready(w)
    c.set(stays_away=True, keeps_old=False)
    told = w.flash("CAM-1", "2.1")
    assert told["outcome"] == "not-back", told
    w.d.wait_state(1, "empty")
    sim("unplug", camera=c.name)
    c.plug()
    w.wait_ended("old-version", "not-back", "ok")


def test_card_whose_power_goes_in_the_middle_is_no_worse_for_it(sim, dock):
    w, c = with_card(sim, dock, FatCard, within="60s")
    # Some sectors get there, the rest does not; and then it is out.
    c.set(cut_after=300)
    order = w.begin("CAM-1", "2.1")
    w.d.wait(lambda: sim("state", camera=c.name)["units"][0]["cut"], "its power to go")
    assert "UPDATE/FW.BIN" not in c.card.contents()
    c.plug()
    out, err = order.communicate(timeout=120)
    assert '"ok"' in out, out + err
    assert c.has() == NEW and [e["whole"] for e in w.d.events("flash-sent")] == [False, True]


# ---- Whatever ends on the way


def test_worker_outlives_a_daemon_that_is_killed_and_the_next_waits_for_it(sim, dock):
    w = world(sim, dock, images={"2.1": image("2.1", 3000000)})
    c = docked(w)
    order = w.begin("CAM-1", "2.1")
    # That it is sent is on record before its worker begins.
    w.d.wait(lambda: sim("state", camera=c.name)["operations"].get("SendObject"), "the sending")
    w.d.daemon.end(signal.SIGKILL)
    order.communicate(timeout=120)
    w.d.start_daemon()
    w.wait_ended("ok")
    assert len(w.d.events("flash-sending")) == 1, w.d.events("flash-sending")
    assert c.has() == image("2.1", 3000000)
    w.d.wait_state(1, "ready")


def test_camera_taken_out_in_the_middle_is_sent_it_again(sim, dock):
    w = world(sim, dock, within="60s", images={"2.1": image("2.1", 3000000)})
    c = docked(w)
    sim("fault", camera=c.name, name="silent", operation="SendObject", count=1)
    order = w.begin("CAM-1", "2.1")
    w.d.wait(lambda: sim("state", camera=c.name)["operations"].get("SendObject"), "the middle of it")
    sim("unplug", camera=c.name)
    c.plug()
    out, err = order.communicate(timeout=120)
    assert '"ok"' in out, out + err
    assert c.has() == image("2.1", 3000000)


rack.run([thing for name, thing in list(globals().items()) if name.startswith("test_")])
