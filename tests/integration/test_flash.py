#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A camera is given firmware, and what came of it is what the camera says afterwards."""

import os
import re
import select
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import rack  # noqa: E402
from charging_dock import NEVER, measured, port, wait_off  # noqa: E402
import schemas  # noqa: E402
from findings import findings  # noqa: E402
from flash_world import CHARGED, MODELS, Camera, World, image, with_suffix, write_models  # noqa: E402
from screen import Terminal  # noqa: E402

NEW = image("2.1", 300000)


def docked(w, **how):
    c = Camera(w.sim, w.d, **how)
    c.plug()
    w.d.wait_state(1, "ready")
    # The camera is let go of a moment later; until then it is in use.
    w.d.wait(lambda: not w.d.workers(), "the camera to be let go of")
    return c


def test_camera_gets_the_version_and_tells_it(sim, dock):
    w = World(sim, dock, {"2.1": NEW})
    c = docked(w)
    assert findings("CAM-1")["firmware-unlisted"]["severity"] == "notice", findings("CAM-1")
    told = w.flash("CAM-1", "2.1")
    assert isinstance(told, dict), told
    assert (told["outcome"], told["version"]) == ("ok", "2.1"), told
    assert c.has() == NEW and c.loader()["early"] == 0
    w.d.wait_state(1, "ready")
    assert w.ended() == [("ok", "2.1")]
    w.d.wait(lambda: not findings("CAM-1"), "its firmware to be as it should be")
    (begun,) = w.d.events("flash-begun")
    assert (begun["version"], begun["from_version"], begun["serial"], begun["size_bytes"]) == ("2.1", "1.0", "CAM-1", len(NEW)), begun
    assert [e["sending"] for e in w.d.events("flash-sending")] == [1]
    assert w.d.events("flash-sent")[0]["whole"] and not w.d.events("fault")
    assert len(w.d.events("docked")) == 1, "it was another docking"
    assert os.listdir(w.d.path("state", "flash")) == []
    w.d.check_chain()


SLOW = {"poll_msec": 200}  # for each of 40 blocks: long enough to do something meanwhile
FAST = {"poll_msec": 2}
SMALL = image("2.1", 40000)


def flashers(d):
    """Processes that send, whoever their parent is."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if b"--flash" in words and os.readlink(f"/proc/{pid}/fd/4").startswith(d.state):
            found.append(int(pid))
    return found


def sending(w, c, blocks=3):
    """In the middle of it."""
    w.d.wait(lambda: c.loader()["blocks"] >= blocks and flashers(w.d), "the sending")


LOGIN1 = """<node><interface name="org.freedesktop.login1.Manager"><method name="Inhibit"><arg direction="in" type="s"/>
<arg direction="in" type="s"/><arg direction="in" type="s"/><arg direction="in" type="s"/><arg direction="out" type="h"/></method>
</interface></node>"""


class Logind:
    """On the dock's bus, as much as it asks of it. It answers while the test waits."""

    def __init__(self, d):
        self.asked, self.held = [], []
        (interface,) = rack.Gio.DBusNodeInfo.new_for_xml(LOGIN1).interfaces
        d.conn.register_object("/org/freedesktop/login1", interface, self._on_call, None, None)
        name = rack.GLib.Variant("(su)", ("org.freedesktop.login1", 0))
        d.conn.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName", name, None, 0, -1, None)

    def _on_call(self, _conn, _sender, _path, _interface, _method, arguments, call):
        self.asked.append(arguments.unpack())
        ours, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        fds = rack.Gio.UnixFDList.new_from_array([theirs])
        call.return_value_with_unix_fd_list(rack.GLib.Variant("(h)", (0,)), fds)
        self.held.append(ours)

    def holds(self):
        """How many of those that asked still have their descriptor open."""
        return sum(not select.select([fd], [], [], 0)[0] for fd in self.held)


def test_shutdown_is_held_back_while_a_camera_is_flashed(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    logind = Logind(w.d)
    c = docked(w, **SLOW)
    assert not logind.asked
    order = w.begin("CAM-1", "2.1")
    sending(w, c)
    w.d.wait(logind.holds, "logind to be asked")
    w.d.wait(lambda: logind.holds() == 2, "logind to hold back both")
    assert [(what, who, mode) for what, who, _, mode in logind.asked] == [(what, "Berth", "block") for what in ("shutdown", "sleep")]
    # While there is no daemon the worker holds it; the daemon's next run does so for what follows.
    w.d.daemon.end()
    assert flashers(w.d) and logind.holds() == 2, (flashers(w.d), logind.holds())
    w.d.start_daemon()
    w.d.wait(lambda: len(logind.asked) == 4 and logind.holds() == 4, "the next daemon to ask")
    assert flashers(w.d), "the flash was over before"
    c.set(poll_msec=0)
    w.d.wait(lambda: not flashers(w.d) and logind.holds() <= 2, "the worker to end, and to let go")
    w.wait_ended("ok")
    w.d.wait(lambda: logind.holds() == 0, "logind to be let go of")
    assert len(logind.asked) == 4, logind.asked
    order.communicate(timeout=120)


def test_dock_without_logind_flashes_and_says_so_once(sim, dock):
    w = World(sim, dock, {"2.1": NEW, "2.2": image("2.2")})
    docked(w)
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"
    w.d.wait_state(1, "ready")
    assert w.flash("CAM-1", "2.2")["outcome"] == "ok"
    assert w.d.daemon.output().count("There is no logind on this machine") == 1


def test_what_stands_against_it_is_told_in_fwupds_words(sim, dock):
    w = World(sim, dock, {"2.1": NEW})
    assert "no camera of the serial" in w.flash("CAM-1", "2.1")
    c = docked(w, clips=[rack.make_clip("DCIM/A.MP4", 1000, 1)])
    assert "9.9" in w.flash("CAM-1", "9.9")
    sim("add_clip", camera=c.name, **rack.make_clip("DCIM/B.MP4", 50000, 2))
    w.d.uplink.end()
    sim("unplug", camera=c.name)
    w.d.wait_state(1, "empty")
    c.plug()
    w.d.wait_state(1, "settled")
    w.d.wait(lambda: "(system-inhibit)" in str(w.flash_once("CAM-1", "2.1")), "footage without a receipt")
    w.d.start_uplink()
    w.d.wait_state(1, "ready")
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"
    # Its footage went first, and nothing was sent before.
    events = [e["event"] for e in w.d.events()]
    assert events.index("flash-begun") > max(i for i, e in enumerate(events) if e == "erased")


def test_pinned_camera_keeps_what_it_has_until_somebody_means_it(sim, dock):
    w = World(sim, dock, {"2.1": NEW}, extra="pinned = CAM-0 CAM-1\n")
    docked(w)
    assert "(permission-denied)" in w.flash("CAM-1", "2.1")
    assert not w.d.events("flash-begun")
    assert w.flash("CAM-1", "2.1", "again")["outcome"] == "ok"


def test_firmware_for_some_revisions_goes_to_those_alone(sim, dock):
    w = World(sim, dock, {"2.1": NEW}, hardware=["B", "C"])
    docked(w)
    assert "(not-supported)" in w.flash("CAM-1", "2.1")
    w.d.daemon.end()
    write_models(w.d, hardware="hardware = A")
    w.d.start_daemon()
    w.d.wait_state(1, "ready")
    assert "(not-supported)" in w.flash("CAM-1", "2.1", "again")
    assert not w.d.events("flash-begun")
    w.d.daemon.end()
    write_models(w.d, hardware="hardware = B")
    w.d.start_daemon()
    w.d.wait_state(1, "ready")
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"


def put_in_again(w, c, **how):
    w.sim("unplug", camera=c.name)
    w.d.wait_state(1, "empty")
    w.sim("set", camera=c.name, **how)
    c.plug()
    w.d.wait_state(1, "ready")
    w.d.wait(lambda: not w.d.workers(), "the camera to be let go of")


def test_firmware_that_is_older_than_the_floor_is_not_sent(sim, dock):
    w = World(sim, dock, {"2.1": SMALL, "1.9": image("1.9"), "beta": image("beta")}, floor="2.0")
    docked(w)
    for older in ("1.9", "beta"):
        assert "(version-newer)" in w.flash("CAM-1", older), older
        assert "(version-newer)" in w.flash("CAM-1", older, "again"), "the floor is nobody's to allow"
    assert not w.d.events("flash-begun")
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"


def test_camera_that_is_not_charged_enough_waits_for_it(sim, dock):
    w = World(sim, dock, {"2.1": SMALL}, models=MODELS.replace("firmware = dfu", "firmware = dfu\nbattery_floor_percent = 60"))
    c = Camera(sim, w.d)
    sim("set", camera=c.name, battery=59)
    c.plug()
    w.d.wait_state(1, "ready")
    assert "(power-too-low)" in w.flash("CAM-1", "2.1")
    assert "(power-too-low)" in w.flash("CAM-1", "2.1", "again"), "a battery is nobody's to allow"
    assert not w.d.events("flash-begun")
    put_in_again(w, c, battery=60)
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"


def test_camera_that_is_checked_out_or_being_flashed_is_let_be(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, **SLOW)
    with open(w.d.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write("id;name;badge\nP-1;Jane Doe;0042\n")
    for words in (["roster", "import", w.d.path("roster.csv")], ["checkout", "0042"]):
        subprocess.run([f"{rack.BUILD}/berthctl", *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    told = w.flash_once("CAM-1", "2.1")
    assert "is checked out" in told and "(in-use)" in told, told
    assert not w.d.events("flash-begun")
    # Taken, and brought back.
    sim("unplug", camera=c.name)
    w.d.wait_state(1, "empty")
    assert "camera CAM-1 is in no bay (unreachable)" in w.flash_once("CAM-1", "2.1")
    c.plug()
    w.d.wait_state(1, "ready")
    w.d.wait(lambda: not w.d.workers(), "the camera to be let go of")
    order = w.begin("CAM-1", "2.1")
    sending(w, c)
    assert "is being flashed (update-in-progress)" in w.flash_once("CAM-1", "2.1")
    c.set(**FAST)
    assert '"ok"' in order.communicate(timeout=120)[0]
    assert len(w.d.events("flash-sending")) == 1


def test_camera_whose_port_is_off_is_woken_first(sim, dock):
    w = World(sim, dock, {"2.1": SMALL}, extra="[rack]\nbudget = 5000\n" + NEVER, models=CHARGED)
    c = Camera(sim, w.d)
    measured(sim, w.d, c.name)
    wait_off(w.d, 1, "ready")
    told = w.flash_once("CAM-1", "2.1")
    assert told["outcome"] == "ok", told
    assert c.has() == SMALL and not w.d.events("fault")


def test_power_is_never_cut_while_it_is_flashed(sim, dock):
    """However much another camera needs it, and although it does not reach for both."""
    w = World(sim, dock, {"2.1": SMALL}, extra="[rack]\nbudget = 600\n" + NEVER, models=CHARGED)
    cameras = [Camera(sim, w.d, **SLOW), Camera(sim, w.d, serial="CAM-2", **SLOW)]
    for camera in cameras:
        sim("set", camera=camera.name, battery=50)
    measured(sim, w.d, *[camera.name for camera in cameras])
    w.d.wait(lambda: sorted(w.d.bay(n)["Charge"] for n in (1, 2)) == ["charging", "waiting"], "one to be charged")
    number = 1 if w.d.bay(1)["Power"] else 2
    c = cameras[number - 1]
    order = w.begin(c.serial, "2.1")
    sending(w, c)
    # All are wanted soon, and there is not enough for both.
    subprocess.run([f"{rack.BUILD}/berthctl", "charge", "by", "23:59"], check=True, stdin=subprocess.DEVNULL)
    blocks = c.loader()["blocks"]
    w.d.wait(lambda: c.loader()["blocks"] > blocks + 2, "it to go on")
    bay = w.d.bay(number)
    assert bay["Power"] and bay["Charge"] == "in-use" and port(sim, w.d.bays[number - 1]) == "on", bay
    assert not w.d.bay(3 - number)["Power"], w.d.bay(3 - number)
    c.set(**FAST)
    assert '"ok"' in order.communicate(timeout=120)[0]
    assert c.has() == SMALL and len(w.d.events("flash-sending")) == 1 and not w.d.events("fault")


def test_bay_whose_power_was_not_steady_is_given_a_minute(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w)
    sim("over_current", port="1-1.1")
    w.d.wait(lambda: w.d.events("over-current"), "the bay to rest")
    sim("unplug", camera=c.name)
    c.plug()
    w.d.wait(lambda: w.d.state_of(1) == "ready", "the end of the rest", deadline=180)
    assert "(system-power-too-low)" in w.flash("CAM-1", "2.1")
    assert "(system-power-too-low)" in w.flash("CAM-1", "2.1", "again"), "nobody can allow that"
    assert not w.d.events("flash-begun")
    w.d.wait(lambda: "(system-power-too-low)" not in str(w.flash_once("CAM-1", "2.1")), "a steady minute", deadline=180)
    w.wait_ended("ok")


def test_it_came_back_with_the_old_version(sim, dock):
    w = World(sim, dock, {"2.1": NEW})
    c = docked(w, keeps_old=True)
    for n in range(3):
        told = w.flash("CAM-1", "2.1")
        assert (told["outcome"], told["version"]) == ("old-version", "1.0"), told
        w.d.wait_state(1, "ready")
    assert "(needs-user-action)" in w.flash("CAM-1", "2.1")
    c.set(keeps_old=False)
    assert w.flash("CAM-1", "2.1", "again")["outcome"] == "ok"


def test_it_did_not_come_back_and_heals_when_it_does(sim, dock):
    w = World(sim, dock, {"2.1": NEW}, within="10s")
    c = docked(w, stays_away=True)
    told = w.flash("CAM-1", "2.1")
    assert (told["outcome"], told["version"]) == ("not-back", ""), told
    w.d.wait_state(1, "empty")
    w.d.daemon.end()
    w.d.start_daemon()
    # Late, and in another bay.
    c.plug("1-1.2")
    w.wait_ended("not-back", "ok")
    w.d.wait_state(2, "ready")
    assert os.listdir(w.d.path("state", "flash")) == []


def test_image_of_another_device_is_not_sent(sim, dock):
    w = World(sim, dock, {"2.1": with_suffix(NEW, 0x4444, 0x5555), "2.2": with_suffix(image("2.2"), 0x1209, 0xBC12)})
    c = docked(w)
    told = w.flash("CAM-1", "2.1")
    assert told["outcome"] == "failed" and "4444:5555" in told["text"], told
    w.d.wait_state(1, "quarantined")
    assert c.loader()["blocks"] == 0 and c.has() == image("1.0")
    # It waits in its loader, and is not lost.
    assert "take it out and put it in again" in w.d.bay(1)["Reason"]


def test_container_of_dfuse_is_not_sent(sim, dock):
    w = World(sim, dock, {"2.1": with_suffix(b"DfuSe\x01" + NEW)})
    c = docked(w)
    told = w.flash("CAM-1", "2.1")
    assert told["outcome"] == "failed" and "DfuSe container" in told["text"], told
    assert c.loader()["blocks"] == 0 and c.has() == image("1.0")


def test_loader_that_fails_is_given_it_again(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, fail_block=7, fail_count=2)
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"
    assert c.has() == SMALL and [e["whole"] for e in w.d.events("flash-sent")] == [True]
    # More than the plugin tries: then another worker does.
    c.write(image("1.0"))
    sim("unplug", camera=c.name)
    w.d.wait_state(1, "empty")
    c.set(fail_block=7, fail_count=4)
    c.plug()
    w.d.wait_state(1, "ready")
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"
    assert [e["whole"] for e in w.d.events("flash-sent")] == [True, False, True]


def told_percents(watch):
    """What `watch --json` told of bay 1, without what it told twice in a row."""
    found = []
    for line in watch.communicate(timeout=120)[0].splitlines():
        bay = schemas.parse(line).get("bay") or {}
        if bay.get("number") == 1 and bay["flash_percent"] is not None and (bay["flash_percent"], bay["flash_version"]) not in found[-1:]:
            found.append((bay["flash_percent"], bay["flash_version"]))
    return found


def watch():
    return subprocess.Popen([f"{rack.BUILD}/berthctl", "watch", "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def test_how_far_it_is_is_told_in_percent_on_the_bus_and_on_a_terminal(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, **SLOW)
    assert (w.d.bay(1)["FlashPercent"], w.d.bay(1)["FlashVersion"]) == (-1, "")
    changes = watch()
    order = Terminal([f"{rack.BUILD}/berthctl", "firmware", "flash", "CAM-1", "2.1"], {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"})
    try:
        order.wait(lambda: re.search(r"\[#+ +\] +[1-9][0-9]? %", order.screen.text()), "the bar")
        status = subprocess.run([f"{rack.BUILD}/berthctl", "status"], capture_output=True, text=True, check=True).stdout
        assert re.search(r"1 +updating [0-9]+% +CAM-1", status), status
        out = subprocess.run([f"{rack.BUILD}/berthctl", "bay", "eject", "1"], capture_output=True, text=True, check=False)
        assert out.returncode == 1 and "given firmware, and must stay in" in out.stderr, out
        c.set(**FAST)
        assert order.finish() == 0
        assert order.screen.lines()[0].startswith("CAM-1: ok: "), "the bar was left there"
    finally:
        order.close()
    w.d.wait_state(1, "ready")
    assert (w.d.bay(1)["FlashPercent"], w.d.bay(1)["FlashVersion"]) == (-1, "")
    changes.terminate()
    found = told_percents(changes)
    assert found == sorted(found) and found[0] == (0, "2.1") and found[-1] == (100, "2.1") and len(found) > 3, found
    # Blocks are sent faster than anybody is told.
    assert len(found) < c.loader()["blocks"], found


def outlives(sim, dock, end):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, **SLOW)
    order = w.begin("CAM-1", "2.1")
    sending(w, c)
    (before,) = flashers(w.d)
    w.d.daemon.end(end)
    assert flashers(w.d) == [before]
    c.set(poll_msec=2000)
    w.d.start_daemon()
    w.d.wait(lambda: w.d.bay(1)["FlashPercent"] > 0, "how far the worker is that was taken over")
    c.set(**FAST)
    w.wait_ended("ok")
    order.communicate(timeout=120)
    assert c.has() == SMALL and len(w.d.events("flash-sending")) == 1, w.d.events("flash-sending")
    w.d.wait_state(1, "ready")


def test_worker_outlives_a_daemon_that_is_killed_and_the_next_waits_for_it(sim, dock):
    outlives(sim, dock, signal.SIGKILL)


def test_worker_outlives_a_daemon_that_is_stopped_and_the_next_waits_for_it(sim, dock):
    outlives(sim, dock, signal.SIGTERM)


def test_its_end_while_no_daemon_runs_is_not_lost(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, **SLOW)
    order = w.begin("CAM-1", "2.1")
    sending(w, c)
    w.d.daemon.end(signal.SIGKILL)
    c.set(**FAST)
    order.communicate(timeout=120)
    w.d.wait(lambda: not flashers(w.d) and c.has() == SMALL, "its end")
    w.d.start_daemon()
    w.wait_ended("ok")
    assert [e["whole"] for e in w.d.events("flash-sent")] == [True] and len(w.d.events("flash-sending")) == 1


def test_camera_whose_sending_was_ended_is_finished(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, **SLOW)
    order = w.begin("CAM-1", "2.1")
    sending(w, c)
    os.kill(flashers(w.d)[0], signal.SIGKILL)
    c.set(**FAST)
    out, _ = order.communicate(timeout=120)
    assert '"ok"' in out, out
    assert [e["whole"] for e in w.d.events("flash-sent")] == [False, True] and c.has() == SMALL


def test_camera_taken_out_in_the_middle_is_finished_when_it_is_put_in_again(sim, dock):
    w = World(sim, dock, {"2.1": SMALL}, within="10s")
    c = docked(w, **SLOW)
    order = w.begin("CAM-1", "2.1")
    sending(w, c)
    sim("unplug", camera=f"{c.name}-loader")
    out, _ = order.communicate(timeout=120)
    assert '"not-back"' in out, out
    w.d.wait_state(1, "empty")
    assert c.has() != SMALL
    c.plug()
    w.wait_ended("not-back", "ok")
    w.d.wait_state(1, "ready")
    assert c.has() == SMALL and w.d.events("docked")[-1]["bay"] == "1-1.1"


def give_up(w, serial, version, **how):
    """A camera that was taken out of the first bay in the middle, and did not come back in time."""
    c = Camera(w.sim, w.d, serial, **SLOW, **how)
    c.plug()
    w.d.wait_state(1, "ready")
    w.d.wait(lambda: not w.d.workers(), "the camera to be let go of")
    before = len(w.ended())
    order = w.begin(serial, version)
    sending(w, c)
    w.sim("unplug", camera=f"{c.name}-loader")
    order.communicate(timeout=60)
    w.d.wait_state(1, "empty")
    assert [o for o, _ in w.ended()[before:]] == ["not-back"], w.ended()
    return c


def wait_well(w, c):
    w.d.wait(lambda: [e["outcome"] for e in w.d.events("flash-ended") if e["serial"] == c.serial][-1:] == ["ok"], f"{c.serial} to be well")
    w.d.wait_state(1, "ready")
    w.sim("unplug", camera=c.name)
    w.d.wait_state(1, "empty")


def test_camera_in_its_loader_is_finished_although_another_was_flashed_in_its_bay_since(sim, dock):
    w = World(sim, dock, {"2.1": SMALL}, within="2s")
    c = give_up(w, "CAM-1", "2.1")
    other = Camera(sim, w.d, "CAM-2")
    other.plug()
    w.d.wait_state(1, "ready")
    w.flash("CAM-2", "2.1")
    wait_well(w, other)
    # In another bay it is told which one it may be.
    c.plug("1-1.2")
    w.d.wait_state(2, "refused")
    assert "it may be CAM-1 (bay 1);" in w.d.bay(2)["Reason"], w.d.bay(2)
    sim("unplug", camera=f"{c.name}-loader")
    w.d.wait_state(2, "empty")
    w.d.daemon.end()
    w.d.start_daemon()
    c.plug()
    wait_well(w, c)
    assert c.has() == SMALL and os.listdir(w.d.path("state", "flash")) == []
    w.d.check_evidence()


def test_loader_that_may_be_one_of_two_cameras_is_left_alone_unless_it_says_which(sim, dock):
    w = World(sim, dock, {"2.1": SMALL, "2.2": image("2.2", 40000)}, within="2s")
    silent = give_up(w, "CAM-1", "2.1")
    telling = give_up(w, "CAM-2", "2.2", loader_serial="CAM-2")
    before = silent.has()
    silent.plug()
    w.d.wait_state(1, "refused")
    assert "it may be CAM-2 (bay 1), CAM-1 (bay 1);" in w.d.bay(1)["Reason"], w.d.bay(1)
    assert silent.loader()["blocks"] == 0 and silent.has() == before
    sim("unplug", camera=f"{silent.name}-loader")
    w.d.wait_state(1, "empty")
    telling.plug()
    wait_well(w, telling)
    # There is only one left that it can be.
    silent.plug()
    wait_well(w, silent)
    assert (silent.has(), telling.has()) == (SMALL, image("2.2", 40000))


def test_loader_that_nobody_flashed_is_left_alone(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = Camera(sim, w.d)
    c.write(SMALL[:999])
    c.plug()
    w.d.wait_state(1, "refused")
    assert "waits for firmware" in w.d.bay(1)["Reason"] and c.loader()["blocks"] == 0


def test_loaders_of_each_kind_take_it(sim, dock):
    """What dfu-util does with the same loaders, tests/integration/test_sim_dfu.py shows: the memory is the image, byte for byte."""
    w = World(sim, dock, {"2.1": SMALL, "2.2": with_suffix(image("2.2", 40001), 0x1209, 0xBC12)})
    c = docked(w)
    plain = {"tolerant": False, "waits_reset": False, "upload": False, "poll_msec": 2, "transfer_size": 1024}
    version, other = "2.1", "2.2"
    for how in ({"tolerant": True}, {"tolerant": True, "upload": True}, {"waits_reset": True}, {"poll_msec": 0}, {"transfer_size": 64}):
        c.set(**plain | how)
        assert w.flash("CAM-1", version)["outcome"] == "ok", how
        w.d.wait_state(1, "ready")
        # The suffix is for whoever sends, and is not sent.
        assert c.has() == (SMALL if version == "2.1" else image("2.2", 40001)), how
        assert c.loader()["early"] == 0, how
        assert not how.get("upload") or c.loader()["uploaded"] >= len(SMALL), "it was not read back"
        version, other = other, version
    assert not w.d.events("fault")


def test_memory_with_addresses(sim, dock):
    w = World(sim, dock, {"2.1": SMALL})
    c = docked(w, dfuse=True, upload=True, pages=64)
    assert w.flash("CAM-1", "2.1")["outcome"] == "ok"
    assert c.has()[:len(SMALL)] == SMALL and c.loader()["early"] == 0 and c.loader()["uploaded"] >= len(SMALL)


# Two minutes, most of which the bay rests: `make soak` plays it as well.
LONG = [] if "FLASH_LONG" in os.environ else [test_bay_whose_power_was_not_steady_is_given_a_minute]
rack.run([thing for name, thing in list(globals().items()) if name.startswith("test_") and thing not in LONG])
