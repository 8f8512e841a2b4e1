#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Which footage goes to the store first, in a whole dock."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402

MIB = 1 << 20


def camera(sim, name, clips):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)


def receipts(dock):
    return [e["serial"] for e in dock.events("receipted")]


def test_cameras_take_turns_at_the_store(sim, dock):
    d = dock(["1-1.1", "1-1.2"], policy={"uploads": 1})
    camera(sim, "many", [make_clip(f"{n}.MP4", MIB, n) for n in range(8)])
    camera(sim, "few", [make_clip(f"{n}.MP4", MIB, 100 + n) for n in range(3)])
    d.start_daemon()
    sim("plug", camera="many", port="1-1.1")
    d.wait_state(1, "settled")
    sim("plug", camera="few", port="1-1.2")
    d.wait_state(2, "settled")
    d.start_uplink()
    d.wait_state(1, "ready")
    d.wait_state(2, "ready")
    order = receipts(d)
    assert sorted(order[:6]) == ["SN-few"] * 3 + ["SN-many"] * 3, f"the camera with few clips waited for the other: {order}"


def test_camera_in_the_dock_goes_before_one_that_left(sim, dock):
    d = dock(["1-1.1"], policy={"uploads": 1})
    camera(sim, "gone", [make_clip(f"{n}.MP4", MIB, n) for n in range(4)])
    camera(sim, "here", [make_clip(f"{n}.MP4", MIB, 100 + n) for n in range(4)])
    d.start_daemon()
    sim("plug", camera="gone", port="1-1.1")
    d.wait_state(1, "settled")
    sim("unplug", camera="gone")
    d.wait_state(1, "empty")
    sim("plug", camera="here", port="1-1.1")
    d.wait_state(1, "settled")
    d.start_uplink()
    d.wait(lambda: len(receipts(d)) == 8, "all receipts")
    assert receipts(d) == ["SN-here"] * 4 + ["SN-gone"] * 4, receipts(d)


def test_dock_says_how_long_it_will_do_without_the_store(sim, dock):
    d = dock(["1-1.1"])
    camera(sim, "c", [make_clip("a.MP4", 64 * MIB, 1)])
    d.start_daemon()
    d.wait(lambda: d.manager()["SpoolFreeBytes"] > 0, "a look at the spool")
    assert d.manager()["SpoolHoldsSec"] == -1, "nothing has come"
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    d.daemon.end()
    d.start_daemon()
    d.wait(lambda: d.manager()["SpoolHoldsSec"] >= 0, "the dock to say how long the spool will hold")
    free = d.manager()["SpoolFreeBytes"] - 16 * MIB
    told, wanted = d.manager()["SpoolHoldsSec"], min(365 * 86400, free / (64 * MIB) * 86400)
    assert wanted * 0.9 < told < wanted * 1.1, (told, wanted)


def ctl(*args, code=0):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{args}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def paused(d):
    return d.properties(f"{rack.ROOT}/transfer", "Transfers")["Paused"]


def test_paused_uploads_stay_paused_over_a_restart_until_resumed(sim, dock):
    d = dock(["1-1.1"])
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    d.start()
    ctl("transfer", "pause")
    assert paused(d)
    d.daemon.end()
    d.start_daemon()
    assert paused(d), "the order was forgotten"
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    d.wait(lambda: d.manager()["StoreState"] == "ready", "the store")
    assert "paused" in ctl("status")
    listed = ctl("transfer")
    assert "a.MP4" in listed and "Uploads are paused" in listed, listed
    assert "paused" in d.bay(1)["Reason"], d.bay(1)["Reason"]
    assert not d.events("receipted")
    ctl("transfer", "pause")
    ctl("transfer", "resume")
    d.wait_state(1, "ready")
    assert "Nothing waits" in ctl("transfer", "list")
    orders = [(e["event"], e["operator_uid"], e["operator"]) for e in d.events() if "operator_uid" in e]
    assert orders == [("uploads-paused", 0, "root"), ("uploads-resumed", 0, "root")], orders
    d.check_chain()


def test_schedule_that_allows_nothing_says_until_when(sim, dock):
    begin, end = (time.strftime("%H:%M", time.localtime(time.time() + seconds)) for seconds in (-3600, 2 * 3600))
    d = dock(["1-1.1"], limit=f"{begin}-{end} none")
    camera(sim, "c", [make_clip("a.MP4", MIB, 1)])
    d.start()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    d.wait(lambda: d.manager()["StoreState"] == "paused", "the pause to be told")
    assert d.manager()["State"] == "running", "a pause by the schedule is no trouble"
    for told in (ctl("status"), ctl("transfer"), d.bay(1)["Reason"]):
        assert "no uploads until" in told and end in told, told
    assert not d.events("receipted")
    del d.config["limit"]
    d.write_config()
    d.uplink.end()
    d.start_uplink()
    d.wait_state(1, "ready")


def test_clip_that_is_asked_for_goes_first(sim, dock):
    d = dock(["1-1.1"], policy={"uploads": 1})
    camera(sim, "c", [make_clip(f"{n}.MP4", MIB, n) for n in range(6)])
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    wanted = d.rows("SELECT id FROM clips WHERE path = '4.MP4'")[0][0]
    ctl("transfer", "now", str(wanted))
    listed = json.loads(ctl("transfer", "--json"))["transfers"]
    assert [t["path"] for t in listed] == ["4.MP4", "0.MP4", "1.MP4", "2.MP4", "3.MP4", "5.MP4"] and listed[0]["urgent"], listed
    d.daemon.end()
    d.start_daemon()
    d.start_uplink()
    d.wait_state(1, "ready")
    assert d.events("receipted")[0]["path"] == "4.MP4", "the order was forgotten"
    assert "stored" in ctl("transfer", "now", str(wanted), code=1)
    assert "no clip" in ctl("transfer", "now", "99999", code=1)


def page(d, after_id, most):
    answer = d.conn.call_sync(rack.NAME, f"{rack.ROOT}/transfer", f"{rack.NAME}.Transfers", "ListTransfers",
                              rack.GLib.Variant("(tu)", (after_id, most)), None, 0, 60000, None)
    return [t["ClipId"] for t in answer.unpack()[0]]


def test_what_waits_is_given_page_by_page(sim, dock):
    d = dock(["1-1.1"])
    camera(sim, "c", [make_clip(f"{n}.MP4", 2000, n) for n in range(7)])
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    every = page(d, 0, 0)
    assert len(every) == 7 and page(d, 0, 3) == every[:3] and page(d, every[2], 3) == every[3:6] and page(d, every[5], 3) == every[6:]
    assert page(d, every[6], 3) == []
    assert [t["clip_id"] for t in json.loads(ctl("transfer", "--json", "--max=0"))["transfers"]] == every
    assert [t["clip_id"] for t in json.loads(ctl("transfer", "--json", "--max=4"))["transfers"]] == every[:4]
    d.start_uplink()
    d.wait_state(1, "ready")
    try:
        raise AssertionError(f"what comes behind a clip that is stored: {page(d, every[2], 3)}")
    except rack.GLib.Error as error:
        assert "Error.TooLate" in error.message and "begin with 0" in error.message, error.message


def test_words_that_transfer_does_not_take_are_named(sim, dock):
    for args, word in ((["sideways"], "sideways"), (["now"], "number"), (["now", "x"], "'x'"), (["now", "0"], "'0'"),
                       (["pause", "please"], "please"), (["pause", "--json"], "no options"),
                       (["now", "1", "2"], "'2'")):
        assert word in ctl("transfer", *args, code=2), args


def test_only_root_gives_orders(sim, dock):
    d = dock(["1-1.1"]).start()
    os.chmod(d.folder, 0o755)
    for args in (["transfer", "pause"], ["transfer", "now", "1"]):
        done = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", f"{rack.BUILD}/berthctl", *args],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "root" in done.stderr, (args, done)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", f"{rack.BUILD}/berthctl", "transfer"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done, "everybody looks (test_polkit.py has it)")
    assert not paused(d)


rack.run([test_cameras_take_turns_at_the_store, test_camera_in_the_dock_goes_before_one_that_left,
          test_dock_says_how_long_it_will_do_without_the_store, test_paused_uploads_stay_paused_over_a_restart_until_resumed,
          test_schedule_that_allows_nothing_says_until_when,
          test_clip_that_is_asked_for_goes_first, test_what_waits_is_given_page_by_page,
          test_words_that_transfer_does_not_take_are_named, test_only_root_gives_orders])
