#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Officers and their cameras: checked out, taken, brought back, late."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402
from gi.repository import GLib  # noqa: E402

MIB = 1 << 20
PORTS = ["1-1.1", "1-1.2"]
MODEL = """[model acme]
match = 1209:be01
interface = 06/01/01
plugin = mtp
battery_floor_percent = 60
"""
TABLE = """id;name;unit_id;unit_name;badge;camera;shift
P-1;Jane Doe;U7;North;0042;;early
P-2;Ann Other;U7;North;0043;SN-own;early
"""


def camera(sim, name, **spec):
    sim("camera", name=name, type="ptp", **{"vid": 0x1209, "pid": 0xBE01, "serial": f"SN-{name}", "manufacturer": "Acme", "model": "BC-1",
                                           "firmware": "1.2", "clips": [], "battery": 100, **spec})


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{args}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def rostered(dock, extra="", synchronised=True):
    d = dock(PORTS, synchronised=synchronised)
    os.makedirs(d.path("cameras.d"))
    with open(d.path("cameras.d", "acme.conf"), "w", encoding="utf-8") as f:
        f.write(MODEL)
    d.write_config(extra)
    d.start()
    with open(d.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write(TABLE)
    assert "2 officers" in ctl("roster", "import", d.path("roster.csv"))
    return d


def unplug(sim, d, name, bay):
    sim("unplug", camera=name)
    d.wait_state(bay, "empty")


def issues():
    return json.loads(ctl("roster", "issues", "--json"))["issues"]


def listed(serial):
    [c] = [c for c in json.loads(ctl("camera", "list", "--json"))["cameras"] if c["serial"] == serial]
    return c


def test_checkout_take_and_late_return(sim, dock):
    d = rostered(dock, "[roster]\ndue_after = 1s\n")
    heard = []
    d.conn.signal_subscribe(None, f"{rack.NAME}.Roster", "CameraOverdue", None, None, 0, lambda *a: heard.append(a[5].unpack()))
    camera(sim, "low", battery=50)
    camera(sim, "a", clock_offset_sec=-90, clips=[make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="low", port=PORTS[0])
    sim("plug", camera="a", port=PORTS[1])
    d.wait_state(1, "ready")
    d.wait_state(2, "ready")
    # By badge, and the charged one though the other bay comes first.
    checkout = json.loads(ctl("checkout", "0042", "--json"))
    assert (checkout["serial"], checkout["bay"]) == ("SN-a", 2), checkout
    d.wait(lambda: d.bay(2)["Light"] == "take", "the light")
    d.wait(lambda: d.bay(2)["Reason"] == "checked out for Jane Doe: take it", "the reason")
    # Whoever comes again gets the same one; nobody else does.
    assert json.loads(ctl("checkout", "P-1", "--json"))["serial"] == "SN-a"
    assert "not ready" not in ctl("checkout", "P-3", code=1)
    unplug(sim, d, "a", 2)
    d.wait(lambda: heard, "the signal")
    [(serial, officer, name, due)] = heard
    assert (serial, officer, name) == ("SN-a", "P-1", "Jane Doe")
    d.wait(lambda: d.events("overdue"), "the event")
    c = listed("SN-a")
    assert (c["issued_to"], c["overdue"], c["due_usec"], c["bay"], c["officer_id"]) == ("P-1", True, due, 0, "P-1"), c
    assert "overdue" in ctl("camera", "list")
    assert "not yet" in ctl("roster", "issues")

    sim("add_clip", camera="a", **make_clip("b.MP4", MIB, 2))
    sim("plug", camera="a", port=PORTS[0] if d.state_of(1) == "empty" else PORTS[1])
    d.wait_state(2, "ready")
    d.wait(lambda: d.events("brought-back"), "the return")
    [back] = d.events("brought-back")
    assert back["officer_id"] == "P-1" and back["late_usec"] > 0, back
    # The camera tells no owner: whose footage it is, the manifest has from there.
    officers = {m["path"]: m["facts"]["officer"] for m in d.manifests()}
    assert officers["a.MP4"] is None and officers["b.MP4"] and officers["b.MP4"]["by"] == "roster", officers
    assert (officers["b.MP4"]["id"], officers["b.MP4"]["name"]) == ("P-1", "Jane Doe"), officers
    [issue] = issues()
    assert issue["overdue"] and issue["due_usec"] < issue["ended_usec"] and issue["ordered_usec"] <= issue["taken_usec"], issue
    assert listed("SN-a")["issued_to"] is None
    told = [e["event"] for e in d.events() if e.get("serial") == "SN-a" and e["event"] in (
        "checked", "clock-set", "checked-out", "taken", "overdue", "brought-back", "undocked", "owner-set")]
    # Checked at the docking and for the checkout: what the clock showed, then set, then given.
    assert told[:5] == ["checked", "clock-set", "checked", "clock-set", "checked-out"], told
    assert told[5:8] == ["undocked", "taken", "overdue"] and "brought-back" in told, told
    [out] = d.events("checked-out")
    assert out["operator_uid"] == 0 and out["officer_name"] == "Jane Doe" and "owner" in out["reason"], out
    ctl("custody", "verify", f"--state-dir={d.state}")
    d.check_chain()


def test_own_camera_and_no_other(sim, dock):
    d = rostered(dock)
    assert "no camera of the pool is in a bay" in ctl("checkout", "P-1", code=1)
    camera(sim, "own")
    sim("plug", camera="own", port=PORTS[0])
    d.wait_state(1, "ready")
    assert "no camera of the pool is in a bay" in ctl("checkout", "P-1", code=1)
    assert "no officer" in ctl("checkout", "nobody", code=1)
    assert json.loads(ctl("checkout", "P-2", "--json"))["serial"] == "SN-own"
    ctl("roster", "cancel", "SN-own")
    d.wait(lambda: d.bay(1)["Light"] == "ready", "the light to end")
    assert "No camera" in ctl("roster", "cancel", "SN-own", code=1)
    # Taken without a checkout it is its officer's all the same.
    unplug(sim, d, "own", 1)
    d.wait(lambda: d.events("taken"), "who took it")
    [taken] = d.events("taken")
    assert taken["officer_id"] == "P-2" and "without a checkout" in taken["reason"], taken
    assert "own camera is in no bay" in ctl("checkout", "P-2", code=1)
    ctl("assign", "P-2", "pool")
    assert "no camera of the pool is in a bay" in ctl("checkout", "P-2", code=1)
    ctl("assign", "P-1", "SN-own")
    assert "no officer" in ctl("assign", "P-9", "SN-own", code=1)
    officers = {o["id"]: o["serial"] for o in json.loads(ctl("roster", "--json"))["officers"]}
    assert officers == {"P-1": "SN-own", "P-2": None}, officers
    assert "Jane Doe" in ctl("roster")


def test_checkout_that_nobody_takes_ends(sim, dock):
    d = rostered(dock, "[roster]\ntake_within = 1s\n")
    camera(sim, "a")
    sim("plug", camera="a", port=PORTS[0])
    d.wait_state(1, "ready")
    ctl("checkout", "P-1")
    d.wait(lambda: d.events("checkout-ended"), "the end of the checkout", deadline=120)
    assert d.events("checkout-ended")[0]["reason"] == "nobody took it in time"
    assert d.events("taken") == []
    assert json.loads(ctl("checkout", "P-1", "--json"))["serial"] == "SN-a"


def test_checkout_stands_over_a_restart(sim, dock):
    d = rostered(dock)
    camera(sim, "a")
    sim("plug", camera="a", port=PORTS[0])
    d.wait_state(1, "ready")
    ctl("checkout", "P-1")
    d.daemon.end()
    d.start_daemon()
    d.wait_state(1, "ready")
    d.wait(lambda: d.bay(1)["Light"] == "take", "the light again")
    unplug(sim, d, "a", 1)
    d.wait(lambda: d.events("taken"), "who took it")
    assert d.events("taken")[0]["officer_id"] == "P-1"
    d.daemon.end()
    d.start_daemon()
    sim("plug", camera="a", port=PORTS[1])
    d.wait_state(2, "ready")
    d.wait(lambda: d.events("brought-back"), "the return")
    assert d.events("brought-back")[0]["late_usec"] == 0


def test_sick_and_busy_cameras_are_not_given(sim, dock):
    d = rostered(dock)
    camera(sim, "sick", storages=[{"label": "A", "total": 512 * MIB, "read_only": True, "clips": []}])
    sim("plug", camera="sick", port=PORTS[0])
    d.wait_state(1, "quarantined")
    assert "not to be issued" in ctl("checkout", "P-1", code=1)
    ctl("camera", "release", "SN-sick")
    d.wait_state(1, "ready")
    assert json.loads(ctl("checkout", "P-1", "--json"))["serial"] == "SN-sick"


def test_best_camera_is_marked_while_nobody_is_shown_another(sim, dock):
    d = rostered(dock, "[roster]\nmark_best = yes\n")
    for name, battery, port in (("low", 70, PORTS[0]), ("full", 100, PORTS[1])):
        camera(sim, name, battery=battery)
        sim("plug", camera=name, port=port)

    def wait_lights(*lights):
        d.wait(lambda: (d.bay(1)["Light"], d.bay(2)["Light"]) == lights, f"the lights {lights}")
    wait_lights("ready", "take")
    # The sergeant asked for another one, and then for none.
    ctl("bay", "locate", "1", "600")
    wait_lights("take", "ready")
    ctl("bay", "locate", "1", "0")
    wait_lights("ready", "take")
    unplug(sim, d, "full", 2)
    wait_lights("take", "empty")
    # What is somebody's own is not anybody's to take.
    ctl("assign", "P-1", "SN-low")
    sim("plug", camera="full", port=PORTS[1])
    wait_lights("ready", "take")
    ctl("checkout", "P-1")
    wait_lights("take", "ready")
    with open(d.path("berthd.conf"), encoding="utf-8") as f:
        text = f.read()
    with open(d.path("berthd.conf"), "w", encoding="utf-8") as f:
        f.write(text.replace("mark_best = yes", "mark_best = no"))
    ctl("roster", "cancel", "SN-low")
    wait_lights("ready", "take")
    assert "mark_best" in ctl("reload")
    wait_lights("ready", "ready")


def test_bad_table_changes_nothing(_sim, dock):
    d = rostered(dock)
    with open(d.path("bad.csv"), "w", encoding="utf-8") as f:
        f.write("id,badge\nP-5,1\nP-6,1\n")
    assert "the badge '1' is there twice" in ctl("roster", "import", d.path("bad.csv"), code=1)
    try:
        d.conn.call_sync(rack.NAME, f"{rack.ROOT}/roster", f"{rack.NAME}.Roster", "ImportOfficers",
                         GLib.Variant("(sa(ssssss))", ("x", [("", "", "", "", "", "")])), None, 0, 60000, None)
        raise AssertionError("an officer without an id was taken")
    except GLib.Error as e:
        assert "has no id" in str(e), e
    assert [o["id"] for o in json.loads(ctl("roster", "--json"))["officers"]] == ["P-1", "P-2"]
    [event] = d.events("roster")
    assert event["officers"] == 2 and event["reason"] == "roster.csv" and len(event["roster_sha256"]) == 64, event


def test_docks_follow_the_fleets_signed_roster(_sim, dock):
    d = dock(PORTS)
    keys = {name: d.path(f"{name}.pem") for name in ("admin", "other")}
    for path in keys.values():
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True, capture_output=True)
    with open(d.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write(TABLE)

    def sign(key, number, name, table="roster.csv"):
        return ctl("roster", "sign", d.path(table), d.path(name), f"--admin-key={keys[key]}", "--fleet=north", f"--after={number - 1}")

    public = sign("admin", 1, "1").split("fleet_key = ")[1].strip()
    d.config["dock"] = {"fleet": "north", "fleet_key": public}
    d.write_config("[roster]\nfollow_every = 1s\n")
    d.start()
    d.wait(lambda: d.manager().get("StoreState") == "ready", "the store")
    sign("other", 1, "forged")
    assert "does not count" in ctl("roster", "publish", d.path("forged"), code=1)
    ctl("roster", "publish", d.path("1"))
    d.wait(lambda: d.events("roster"), "the roster to be taken")
    listed_now = json.loads(ctl("roster", "--json"))
    assert listed_now["number"] == 1 and [o["id"] for o in listed_now["officers"]] == ["P-1", "P-2"], listed_now
    assert "does not count" in ctl("roster", "publish", d.path("1"), code=1), "played again"
    # It is the fleet's now: one dock alone does not change it.
    assert "is the fleet's" in ctl("roster", "import", d.path("roster.csv"), code=1)
    assert "is the fleet's" in ctl("assign", "P-1", "SN-x", code=1)
    # What is put there by somebody else is not taken; what another dock put there for the administrator is.
    with open(d.path("next.csv"), "w", encoding="utf-8") as f:
        f.write("id\nP-9\n")
    sign("other", 2, "forged", "next.csv")
    place = os.path.join(d.store, "roster", "north", "0000000002")
    with open(d.path("forged"), "rb") as f, open(place, "wb") as to:
        to.write(f.read())
    d.wait(lambda: "roster number 2 is not taken: the roster does not count" in d.daemon.output(), "the forged one to be refused")
    # Nor the one before under this name, nor the right one when a byte of it is another.
    sign("admin", 2, "2", "next.csv")
    with open(d.path("1"), "rb") as old, open(d.path("2"), "rb") as new:
        for text, why in ((old.read(), "made for another key in the store, and copied here"),
                          (new.read().replace(b"P-9", b"P-8"), "the roster's signature is not that of the key that it names")):
            with open(place, "wb") as to:
                to.write(text)
            d.wait(lambda why=why: why in d.properties(f"{rack.ROOT}/roster", "Roster").get("Trouble", ""), f"it to be refused: {why}")
    os.rename(d.path("2"), place)
    d.wait(lambda: len(d.events("roster")) == 2, "the next one to be taken")
    assert [o["id"] for o in json.loads(ctl("roster", "--json"))["officers"]] == ["P-9"]
    assert [e["roster_number"] for e in d.events("roster")] == [1, 2]


if __name__ == "__main__":
    rack.run([value for key, value in list(globals().items()) if key.startswith("test_")])
