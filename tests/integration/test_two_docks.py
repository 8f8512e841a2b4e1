#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two whole docks with one folder as their store: the same footage comes to both, and lies there once; the one believes what the other
stored when the fleet's list has its key."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from fleet_world import Fleet  # noqa: E402
import schemas  # noqa: E402
from rack import make_clip  # noqa: E402


def test_docks_that_race_for_clips_store_each_once_and_all_get_the_receipt(sim, dock):
    first = dock(["1-1.1"])
    docks = [first, dock(["1-2.1"], below="second", store=first.store)]
    clips = [make_clip(f"DCIM/100/{n:02}.MP4", 300_000 + n, n) for n in range(6)]
    for n, d in enumerate(docks):
        sim("camera", name=f"r{n}", type="ptp", serial="SN-RACE", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)
    digests = rack.sha256_of(sim("state", camera="r0", sha256=True))
    # Their copies wait for the uploaders, which begin together.
    fleet = Fleet(first.folder)
    for d in docks:
        d.write_config(fleet.config)
        d.start_daemon()
    for n, d in enumerate(docks):
        sim("plug", camera=f"r{n}", port=d.bays[0])
    for d in docks:
        d.wait(lambda d=d: len(d.events("copied")) == len(clips), "all clips to be copied", deadline=120)
    # A slow disk, so that each has looked for the other's manifests long before there is one.
    os.environ["BERTH_SLOW_FSYNC_MSEC"] = "150"
    for d in docks:
        d.preload = f"{rack.BUILD}/tests/preload/slow_fsync.so"
        d.start_uplink()
        fleet.enroll(d)
    fleet.publish(first)
    for d in docks:
        d.wait_state(1, "ready", deadline=120)
    assert first.stored() == {("SN-RACE", path): [digest] for path, digest in digests.items()}, first.stored()
    assert len(first.objects()) == len(first.objects("manifests")) == len(clips), "the loser of a race left its object"
    objects = {m["path"]: m["object"] for m in first.manifests()}
    for n, d in enumerate(docks):
        assert {e["path"]: e["object_key"] for e in d.events("receipted")} == objects, d.events("receipted")
        assert sim("state", camera=f"r{n}")["clips"] == [], "a camera is not erased"
        d.check_chain()


CLIP = make_clip("DCIM/100/A.MP4", 300_000, 1)


def plug(sim, d, name):
    sim("camera", name=name, type="ptp", serial="SN-TWO", manufacturer="Acme", model="BC-1", firmware="1.2", clips=[CLIP])
    sim("plug", camera=name, port=d.bays[0])


def wait_refused(d, words):
    d.wait(lambda: any(words in e["reason"] for e in d.events("store-refused")), f"'{words}' on record", deadline=120)


def stop(d):
    d.daemon.end()
    d.uplink.end()


def store_by_first(sim, dock, config):
    """A clip that one dock has stored, and a second dock to which the same footage comes."""
    first = dock(["1-1.1"])
    first.write_config(config(first))
    first.start()
    plug(sim, first, "r0")
    first.wait_state(1, "ready", deadline=120)
    stop(first)
    second = dock(["1-2.1"], below="second", store=first.store)
    return first, second


def test_dock_that_is_in_no_list_is_not_believed_until_it_is(sim, dock):
    fleets = []
    first, second = store_by_first(sim, dock, lambda d: fleets.append(Fleet(d.folder)) or fleets[0].config)
    (fleet,) = fleets
    second.write_config(fleet.config)
    second.start()
    fleet.enroll(second)
    fleet.publish(second)
    second.wait(lambda: second.events("fleet-list"), "the list", deadline=120)
    plug(sim, second, "r1")
    wait_refused(second, "not in the fleet's list")
    text = second.events("store-refused")[0]["reason"]
    assert "manifests/SN-TWO/" in text and "berthctl dock enroll" in text, text
    fleet.enroll(first, "--expires=2020-01-01")
    fleet.publish(second)
    wait_refused(second, "had expired")
    assert not second.events("receipted") and len(sim("state", camera="r1")["clips"]) == 1, "erased by what does not count"
    fleet.enroll(first)
    fleet.publish(second)
    second.wait_state(1, "ready", deadline=120)
    assert len(second.events("receipted")) == 1 and sim("state", camera="r1")["clips"] == []
    assert len(second.events("store-refused")) == 2, "what is the same is on record once"
    second.check_chain()


def test_docks_of_no_fleet_believe_themselves_alone(sim, dock):
    first, second = store_by_first(sim, dock, lambda d: "")
    second.start()
    plug(sim, second, "r1")
    wait_refused(second, "goes by no list")
    assert len(sim("state", camera="r1")["clips"]) == 1, "erased by what does not count"
    assert len(first.objects()) == len(first.objects("manifests")) == 1, "something was added"
    stop(second)
    second.config["policy"] = {"believe": "content"}
    second.write_config()
    second.start()
    second.wait_state(1, "ready", deadline=120)
    assert len(second.events("receipted")) == 1 and sim("state", camera="r1")["clips"] == []


def fleet_tells(d, what):
    """What this dock tells of its fleet."""
    env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={d.path('bus')}")
    done = subprocess.run([f"{rack.BUILD}/berthctl", "fleet", what, "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=True, env=env, timeout=120)
    document = json.loads(done.stdout)
    assert schemas.check(document) == f"fleet-{what}"
    return document[what]


def fleet_camera(d, serial):
    return next((c for c in fleet_tells(d, "cameras") if c["serial"] == serial), None)


def watch(d):
    """The signals of overdue cameras, as they come."""
    heard = []
    for noun, signal in (("Roster", "CameraOverdue"), ("Manager", "FleetCameraOverdue")):
        d.conn.signal_subscribe(None, f"{rack.NAME}.{noun}", signal, None, None, 0, lambda *a, s=signal: heard.append((s, *a[5].unpack())))
    return heard


def fleet_of_two(sim, dock, due_after):
    first = dock(["1-1.1"], dock={"status_every": "1s", "name": "north"})
    second = dock(["1-2.1"], below="second", store=first.store, dock={"status_every": "1s", "name": "south"})
    fleet = Fleet(first.folder)
    for d in (first, second):
        # Both docks issue cameras; what the docks tell counts here.
        d.config["dock"].update(fleet="north", fleet_key=fleet.config.split("fleet_key = ")[1].split()[0])
        d.write_config(f"[roster]\nfollow_every = 300ms\ndue_after = {due_after}\n")
        d.start()
        d.wait(lambda d=d: d.events("key-made"), "the dock's key")
        fleet.enroll(d)
        with open(d.path("roster.csv"), "w", encoding="utf-8") as f:
            f.write("id,name,badge\nP-1,Jane Doe,0042\n")
        env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={d.path('bus')}")
        subprocess.run([f"{rack.BUILD}/berthctl", "roster", "import", d.path("roster.csv")], check=True, env=env, stdin=subprocess.DEVNULL)
    fleet.publish(first)
    for d in (first, second):
        d.wait(lambda d=d: d.events("fleet-list"), "the fleet's list", deadline=120)
    return first, second


def take_out(sim, d, name):
    """The camera is checked in, and somebody takes it."""
    plug(sim, d, name)
    d.wait_state(1, "ready", deadline=120)
    sim("unplug", camera=name)
    d.wait(lambda: d.events("taken"), "who took it")


def test_camera_that_came_back_to_another_dock_is_overdue_at_none(sim, dock):
    first, second = fleet_of_two(sim, dock, "30s")
    heard = [*map(watch, (first, second))]
    take_out(sim, first, "r0")
    sim("plug", camera="r0", port="1-2.1")
    second.wait_state(1, "ready", deadline=120)
    # The one that it was taken from hears of it, and ends what it has on record: in time, however late it asks.
    first.wait(lambda: first.events("brought-back"), "its return to be on record", deadline=120)
    [back] = first.events("brought-back")
    assert back["late_usec"] == 0 and "'south'" in back["reason"], back
    told = second.wait(lambda: (c := fleet_camera(second, "SN-TWO")) and not c["out_from"] and c, "the other to hear that", deadline=120)
    assert (told["dock"], told["bay"], told["overdue"], told["unstored_clips"]) == ("south", 1, False, 0), told
    due = first.events("taken")[0]["due_usec"]
    first.wait(lambda: all(d["told_usec"] > due + 2_000_000 for d in fleet_tells(first, "docks")), "all to tell of a later time",
               deadline=120)
    assert not first.events("overdue") and heard == [[], []], heard
    assert all(d["cameras_out"] == d["cameras_overdue"] == 0 for d in fleet_tells(first, "docks")), fleet_tells(first, "docks")
    first.check_chain()
    # What the database has of it is what the log says, though no docking of this dock brought it back.
    subprocess.run([f"{rack.BUILD}/berthctl", "custody", "verify", f"--state-dir={first.state}"], check=True, stdin=subprocess.DEVNULL)


def test_camera_that_came_back_nowhere_is_overdue_everywhere(sim, dock):
    first, second = fleet_of_two(sim, dock, "1s")
    heard = [*map(watch, (first, second))]
    first.wait(lambda: all(d["told_usec"] for d in fleet_tells(first, "docks")), "both to tell of themselves", deadline=120)
    take_out(sim, first, "r0")
    due = first.events("taken")[0]["due_usec"]
    second.wait(lambda: heard[0] and heard[1], "the signals, of another dock's camera, too")
    dock_id = first.events("key-made")[0]["dock_id"]
    assert heard == [[("CameraOverdue", "SN-TWO", "", "", due)], [("FleetCameraOverdue", "SN-TWO", dock_id, "north", "", due)]], heard
    c = fleet_camera(second, "SN-TWO")
    assert (c["dock"], c["bay"], c["out_from"], c["overdue"], c["due_usec"]) == ("north", 0, "north", True, due), c
    docks = {d["name"]: d for d in fleet_tells(second, "docks")}
    assert [docks[n]["cameras_overdue"] for n in ("north", "south")] == [1, 0] and docks["south"]["own"], docks
    # Late, and elsewhere.
    sim("plug", camera="r0", port="1-2.1")
    first.wait(lambda: first.events("brought-back"), "its return to be on record", deadline=120)
    assert first.events("brought-back")[0]["late_usec"] > 0
    second.wait(lambda: not fleet_camera(second, "SN-TWO")["overdue"], "it to be overdue no more", deadline=120)


def test_status_that_is_not_what_its_dock_wrote_last_counts_at_no_other(sim, dock):
    first, second = fleet_of_two(sim, dock, "1h")
    ids = [d.events("key-made")[0]["dock_id"] for d in (first, second)]
    path = os.path.join(first.store, "docks", ids[0], "status")

    def status(n=0):
        with open(os.path.join(first.store, "docks", ids[n], "status"), "rb") as f:
            return f.read()

    def told():
        return max((d["told_usec"] or 0 for d in fleet_tells(second, "docks") if d["name"] == "north"), default=0)

    before = second.wait(told, "the other's status", deadline=120)
    older = status()
    # Two newer ones at least: the first may be the one that was just copied.
    for _ in range(2):
        before = second.wait(lambda then=before: (now := told()) > then and now, "a newer status", deadline=120)
    first.daemon.end()
    good = status()
    at = good.index(b'"store":"ready"') + len('"store":"r')
    for spoilt, why in ((good[:at] + b"x" + good[at + 1:], "it is no signed statement"),
                        (status(1), "it was made for another key in the store, and copied here"),
                        (older, "it is an older one, which was played again")):
        with open(path, "wb") as f:
            f.write(spoilt)
        line = f"The status of the dock 'north' in the store, docks/{ids[0]}/status, does not count: {why}"
        second.wait(lambda line=line: line in second.daemon.output(), f"it to be refused: {why}", deadline=120)
        assert any(why in (d["trouble"] or "") for d in fleet_tells(second, "docks")), fleet_tells(second, "docks")
    first.start_daemon()
    second.wait(lambda: all(not d["trouble"] for d in fleet_tells(second, "docks")), "the dock's own one again", deadline=120)


def test_oldest_footage_that_no_store_has_is_told_of_the_whole_fleet(sim, dock):
    first, second = fleet_of_two(sim, dock, "1h")
    first.uplink.end()
    sim("camera", name="r0", type="ptp", serial="SN-TWO", manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[make_clip("DCIM/100/B.MP4", 200_000, 2)])
    sim("plug", camera="r0", port=first.bays[0])
    first.wait(lambda: first.events("copied"), "its copy")
    sim("unplug", camera="r0")
    first.wait_state(1, "empty")
    own = fleet_camera(first, "SN-TWO")
    assert own["unstored_clips"] == 1 and own["unstored_since_usec"] == 1700000000_000000, own
    assert fleet_camera(second, "SN-TWO") is None, "nothing was told of it yet"
    # The other dock meets the camera, with its footage still on it; and then the first one can tell.
    sim("plug", camera="r0", port="1-2.1")
    second.wait_state(1, "ready", deadline=120)
    assert fleet_camera(second, "SN-TWO")["unstored_clips"] == 0
    first.start_uplink()
    first.wait(lambda: fleet_camera(first, "SN-TWO")["unstored_clips"] == 0, "all of it to be stored", deadline=120)
    first.wait(lambda: fleet_camera(first, "SN-TWO")["dock"] == "south", "the other to have it", deadline=120)


if __name__ == "__main__":
    rack.run([test_docks_that_race_for_clips_store_each_once_and_all_get_the_receipt,
              test_dock_that_is_in_no_list_is_not_believed_until_it_is, test_docks_of_no_fleet_believe_themselves_alone,
              test_camera_that_came_back_to_another_dock_is_overdue_at_none, test_camera_that_came_back_nowhere_is_overdue_everywhere,
              test_status_that_is_not_what_its_dock_wrote_last_counts_at_no_other,
              test_oldest_footage_that_no_store_has_is_told_of_the_whole_fleet])
