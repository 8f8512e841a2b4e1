#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How cameras are: found out at each docking, kept on record, and a sick one is not issued."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from findings import codes, findings  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20
PORT = "1-1.1"


def camera(sim, name, **spec):
    sim("camera", name=name, type="ptp", **{"serial": f"SN-{name}", "manufacturer": "Acme", "model": "BC-1", "firmware": "1.2", **spec})


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{args}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def listed(serial):
    [c] = [c for c in json.loads(ctl("camera", "list", "--json"))["cameras"] if c["serial"] == serial]
    return c


def dock_again(sim, d, name, *states):
    sim("unplug", camera=name)
    d.wait_state(1, "empty")
    sim("plug", camera=name, port=PORT)
    d.wait_state(1, *states)


def test_sick_camera_is_held_back_until_it_is_released_or_well(sim, dock):
    d = dock([PORT]).start()
    card = {"label": "A", "total": 512 * MIB, "read_only": True, "clips": [make_clip("a.MP4", MIB, 1)]}
    camera(sim, "c", storages=[card])
    sim("plug", camera="c", port=PORT)
    d.wait_state(1, "quarantined")
    # Its footage is taken as ever.
    d.wait(lambda: d.events("receipted"), "the receipt")
    d.wait(lambda: "berthctl camera release SN-c" in d.bay(1)["Reason"], "the reason")
    assert d.bay(1)["Reason"].startswith("do not issue: its storage takes no writes"), d.bay(1)
    assert d.bay(1)["Light"] == "keep"
    assert findings("SN-c")["storage-read-only"]["severity"] == "serious"
    assert "exchange the card" in ctl("camera", "health", "SN-c")
    c = listed("SN-c")
    assert (c["bay"], c["health"]) == (1, "serious") and "takes no writes" in c["held_back"], c

    # It stays so over a restart and another docking, whose check is not clean.
    d.daemon.end()
    d.start_daemon()
    d.wait_state(1, "quarantined")
    assert "not held back" not in ctl("camera", "release", "SN-c", "we have no other")
    d.wait(lambda: "takes no writes" not in d.bay(1)["Reason"], "the release to be shown")
    [let_go] = d.events("let-go")
    assert (let_go["serial"], let_go["reason"], let_go["held_back"], let_go["accepted"], let_go["operator_uid"]) == (
        "SN-c", "we have no other", "storage-read-only", "storage-read-only", 0), let_go
    assert "not held back" in ctl("camera", "release", "SN-c", code=1)
    assert "ever docked" in ctl("camera", "release", "nobody", code=1)
    d.wait(lambda: len(d.events("held-back")) == 1, "one event, not one for each docking")
    ctl("custody", "verify", f"--state-dir={d.state}")
    d.check_chain()


def test_clean_check_lets_a_camera_go(sim, dock):
    d = dock([PORT]).start()
    camera(sim, "c", storages=[{"label": "A", "total": 512 * MIB, "clips": []}])
    sim("plug", camera="c", port=PORT)
    d.wait_state(1, "ready")
    assert findings("SN-c") == {} and listed("SN-c")["health"] == "good"
    assert "Nothing was found" in ctl("camera", "health", "SN-c")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    camera(sim, "d", serial="SN-c", storages=[{"label": "A", "total": 512 * MIB, "read_only": True, "clips": []}])
    sim("plug", camera="d", port=PORT)
    d.wait_state(1, "quarantined")
    sim("unplug", camera="d")
    d.wait_state(1, "empty")
    sim("plug", camera="c", port=PORT)
    d.wait_state(1, "ready")
    d.wait(lambda: d.events("let-go"), "the event that it was let go")
    [let_go] = d.events("let-go")
    assert "operator_uid" not in let_go and let_go["reason"] == "a check found nothing serious any more", let_go
    assert [[f["code"] for f in e["findings"]] for e in d.events("health")] == [["storage-read-only"], []]


def test_clock_is_judged_only_by_a_clock_that_is_right(sim, dock):
    d = dock([PORT], synchronised=False).start()
    camera(sim, "c", clock_offset_sec=-700_000_000, clips=[])
    sim("plug", camera="c", port=PORT)
    d.wait_state(1, "ready")
    assert findings("SN-c") == {}
    assert [e["set"] for e in d.events("clock-set")] == [False]
    d.close()


def test_lost_clock_and_other_firmware_are_warnings(sim, dock):
    d = dock([PORT])
    os.makedirs(d.path("cameras.d"))
    with open(d.path("cameras.d", "acme.conf"), "w", encoding="utf-8") as f:
        f.write("[model acme]\nmatch = 1209:be01\ninterface = 06/01/01\nplugin = mtp\n")
    d.write_config("[health]\nfirmware = other:9 acme:2.0\n")
    d.start()
    camera(sim, "c", vid=0x1209, pid=0xBE01, clock_offset_sec=-700_000_000, clips=[])
    sim("plug", camera="c", port=PORT)
    d.wait_state(1, "ready")
    d.wait(lambda: d.events("health"), "the findings")
    found = findings("SN-c")
    assert {k: v["severity"] for k, v in found.items()} == {"clock-lost": "warning", "firmware-other": "warning"}, found
    assert "firmware is 1.2, and the fleet's is 2.0" in found["firmware-other"]["text"]
    # What the clock showed is on record before it was set.
    kinds = [e["event"] for e in d.events() if e["event"] in ("checked", "health", "clock-set")]
    assert kinds[:3] == ["checked", "health", "clock-set"], kinds
    # The dock set it, so it is right the next time.
    dock_again(sim, d, "c", "ready")
    d.wait(lambda: set(findings("SN-c")) == {"firmware-other"}, "the clock's finding to be gone")


def test_restarts_of_its_own_are_counted_over_its_dockings(sim, dock):
    d = dock([PORT])
    os.makedirs(d.path("cameras.d"))
    with open(d.path("cameras.d", "acme.conf"), "w", encoding="utf-8") as f:
        f.write("[model acme]\nmatch = 1209:be01\ninterface = 06/01/01\nplugin = mtp\nplugin.restarts-property = d406\n")
    d.write_config("[health]\nrestarts = 4\n")
    d.start()
    camera(sim, "c", vid=0x1209, pid=0xBE01, restarts=70)
    sim("plug", camera="c", port=PORT)
    d.wait_state(1, "ready")
    # Where it begins says nothing; three more are not enough; its counter begins anew; and one more is.
    for counter, found in (73, set()), (1, set()), (2, {"restarts"}):
        sim("set", camera="c", restarts=counter)
        dock_again(sim, d, "c", "ready")
        d.wait(lambda found=found: codes("SN-c") == found, f"what is found at {counter}")
    assert "by itself 4 times" in findings("SN-c")["restarts"]["text"], findings("SN-c")
    assert [e["restarts"] for e in d.events("checked")] == [70, 73, 1, 2]
    ctl("custody", "verify", f"--state-dir={d.state}")


def test_bay_in_which_cameras_fault_is_told_from_sick_cameras(sim, dock):
    d = dock([PORT, "1-1.2"]).start()
    assert "Nothing was found" in ctl("bay", "health")
    for name in ("a", "b"):
        camera(sim, name, clips=[make_clip("a.MP4", MIB, 1)])
        # Well in bay 2.
        sim("plug", camera=name, port="1-1.2")
        d.wait_state(2, "ready")
        sim("unplug", camera=name)
        d.wait_state(2, "empty")
        # In bay 1 its first answers fail.
        sim("fault", camera=name, name="response", operation="GetDeviceInfo", count=1)
        before = len(d.events("fault"))
        sim("plug", camera=name, port=PORT)
        d.wait(lambda n=before: len(d.events("fault")) > n, "the fault")
        d.wait_state(1, "ready")
        sim("unplug", camera=name)
        d.wait_state(1, "empty")
    [found] = json.loads(ctl("bay", "health", "--json"))["findings"]
    assert (found["bay"], found["code"], found["severity"]) == (1, "bay-faults", "serious"), found
    assert "2 of 2 cameras faulted in bay 1 and not in other bays" in ctl("bay", "health")


def test_over_current_is_the_bay_and_nobody_took_the_camera(sim, dock):
    d = dock([PORT]).start()
    camera(sim, "c")
    sim("plug", camera="c", port=PORT)
    d.wait_state(1, "ready")
    sim("over_current", port=PORT)
    d.wait(lambda: d.events("undocked") and d.events("over-current"), "the docking to be over")
    [event] = d.events("over-current")
    assert "too much current" in event["reason"] and event["bay"] == PORT, event
    [undocked] = d.events("undocked")
    assert "too much current" in undocked["reason"], undocked
    assert not d.events("taken")
    assert d.bay(1)["State"] == "fault" and "look at the contacts" in d.bay(1)["Reason"], d.bay(1)
    # It is on the bus again, and its bay rests.
    sim("unplug", camera="c")
    sim("plug", camera="c", port=PORT)
    d.wait(lambda: "flapped" not in ctl("bay", "health") and "drew too much current 1 time" in ctl("bay", "health"), "the finding")
    assert d.bay(1)["State"] == "fault" and len(d.events("docked")) == 1
    [found] = json.loads(ctl("bay", "health", "--json"))["findings"]
    assert (found["bay"], found["code"], found["severity"]) == (1, "bay-over-current", "serious"), found


def test_port_that_its_hub_keeps_off_is_a_fault_and_no_empty_bay(sim, dock):
    d = dock([PORT], timeouts={"over_current": "1s"}).start()
    camera(sim, "c")
    sim("plug", camera="c", port=PORT)
    d.wait_state(1, "ready")
    sim("over_current", port=PORT, lasting=True)
    # Its first rest is over, and the hub still tells of it: longer each time.
    d.wait(lambda: len(d.events("over-current")) >= 3, "two more rests", deadline=120)
    told = [event["reason"] for event in d.events("over-current")]
    assert "the hub cut its power; the bay rests for 1 s" in told[0], told
    assert "still too much current" in told[1] and "keeps its power off; the bay rests for 2 s" in told[1], told
    assert "rests for 4 s" in told[2], told
    assert d.bay(1)["State"] == "fault" and d.bay(1)["Light"] == "fault", d.bay(1)
    sim("over_current", port=PORT, lasting=False)
    # The trouble is gone, and the hub gives no power by itself.
    d.wait_state(1, "ready", deadline=120)
    # Once it has power again, and until the camera is there, it is one.
    before, *resting, after = d.daemon.output().split("Too much current")
    assert len(resting) >= 2 and not any("bay 1: empty" in said for said in resting), d.logs()
    assert before.count("bay 1: empty") == 1 and after.count("bay 1: empty") <= 1 and not d.events("taken"), d.logs()
    assert sum(event["event"] == "identified" for event in d.events()) == 2


if __name__ == "__main__":
    rack.run([value for key, value in list(globals().items()) if key.startswith("test_")])
