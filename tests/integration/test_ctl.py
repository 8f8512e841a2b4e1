#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""berthctl's verbs that print and end, against a fake dock on a private bus."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), part) for part in ("..", "../lib")]
import tap  # noqa: E402
from ctl_world import CTL, GIB, HOSTILE, MIB, Lines, clip, closing, event, pulling, world  # noqa: E402
from fake_dock import ROOT  # noqa: E402


# ---- status


def test_status_shows_the_dock_and_every_bay():
    with world() as w:
        w.dock.bay(3, **pulling())
        w.dock.bay(4, State="fault", Reason="the worker died: signal 11", Serial="BC-4", Faults=2)
        lines = w.run("status").stdout.splitlines()
        assert lines[0] == "Berth 0.1, dock north" and "running" in lines[1] and "ready" in lines[2], lines
        assert "90.0 GiB free of 93.0 GiB" in lines[3], lines
        heading = next(i for i, line in enumerate(lines) if line.startswith("BAY"))
        rows = [line.split() for line in lines[heading + 1:heading + 5]]
        assert [row[:2] for row in rows] == [["1", "empty"], ["2", "empty"], ["3", "pulling"], ["4", "fault"]], rows
        assert rows[2][2:10] == ["BC-0003", "Guard", "4", "87%", "12", "3", "2", "1"], rows[2]
        assert lines[heading + 5:] == ["", "Bay 4: the worker died: signal 11"], lines
        assert w.run().stdout == w.run("status").stdout, "status is the verb when there is none"


def test_status_says_when_the_clock_is_not_synchronised():
    with world() as w:
        assert "Clock" not in w.run("status").stdout
        w.dock.dock(ClockSynchronised=False)
        assert "not known to be synchronised" in w.run("status").stdout


def test_status_fits_terminals_of_any_width():
    with world() as w:
        w.dock.bay(3, **pulling(Serial="BC-" + "9" * 30, Model="Guard " + "x" * 40))
        w.dock.bay(4, State="refused", Reason="No model fits " + "1234:5678 " * 20)
        for columns in (200, 120, 80, 60, 40, 30):
            with closing(w.terminal("status", columns=columns, NO_COLOR="1")) as t:
                assert t.finish() == 0
                # Reasons are sentences: they are whole, and wrap.
                longest = max(len(line) for line in t.raw.splitlines() if not line.startswith("Bay 4: No model"))
                assert longest <= columns, f"{longest} columns on a terminal of {columns}:\n{t.raw}"
                assert "pulling" in t.raw and "refused" in t.raw, t.raw


def test_status_tells_cameras_apart_where_room_is_short():
    with world() as w:
        for number in (1, 2):
            w.dock.bay(number, **pulling(Serial=f"BC2-00474{number}", Model="BodyCam 2"))
        with closing(w.terminal("status", columns=60, NO_COLOR="1")) as t:
            assert t.finish() == 0
            assert "004741" in t.raw and "004742" in t.raw, t.raw


def test_wide_characters_keep_the_columns_aligned():
    with world() as w:
        w.dock.bay(1, State="ready", Serial="カメラ一号", Model="m", BatteryPercent=50)
        w.dock.bay(2, State="ready", Serial="e\u0301cole", Model="m", BatteryPercent=50)
        lines = [line for line in w.run("status").stdout.splitlines() if "ready  " in line]
        # Five wide characters take ten columns; the combining accent takes none.
        assert lines[0].index(" m ") + 5 == lines[1].index(" m ") - 1, lines


def test_status_says_how_long_the_spool_will_hold():
    with world() as w:
        for sec, text in ((-1, ""), (0, "; room for about 0 minutes without the store"), (90, "; room for about 1 minute without"),
                          (7199, "; room for about 119 minutes without"), (7200, "; room for about 2 hours without"),
                          (30 * 86400, "; room for about 30 days without the store")):
            w.dock.dock(SpoolHoldsSec=sec)
            line = next(line for line in w.run("status").stdout.splitlines() if line.startswith("Spool"))
            assert line.endswith("not stored yet") if not text else text in line, line


def test_status_json_has_what_the_manual_promises():
    with world() as w:
        w.dock.bay(3, **pulling())
        w.dock.camera("BC_0003", Serial="BC-0003", Model="Guard 4", BatteryPercent=87, Bay=f"{ROOT}/bay/3", ClockDriftUsec=-5,
                      ClockDriftKnown=True, TemperatureDecidegrees=-15, TemperatureKnown=True, LastDockedUsec=1700000000000000)
        w.dock.camera("AWAY", Serial="AWAY", Manufacturer=HOSTILE)
        d = w.json("status")
        assert d["schema"] == "org.berth.ctl.status/1" and set(d) == {"schema", "dock", "bays", "cameras"}, d
        assert d["dock"] == {
            "name": "north", "dock_id": "", "dock_key": "", "fleet": "", "version": "0.1", "state": "running",
            "reason": "", "store_state": "ready", "store_reason": "",
            "spool_state": "ok", "spool_used_bytes": 3 * GIB, "spool_free_bytes": 90 * GIB, "spool_holds_sec": 7200,
            "unstored_clips": 0, "unstored_bytes": 0, "uploads_paused": False, "clock_synchronised": True, "chain_state": "",
            "next_shift_usec": 0}, d["dock"]
        assert d["bays"][2] == {
            "number": 3, "port_path": "1-1.3", "state": "pulling", "light": "", "reason": "", "serial": "BC-0003", "model": "Guard 4",
            "battery_percent": 87, "clips_total": 12, "clips_copied": 3, "clips_stored": 2, "clips_erased": 1,
            "bytes_total": 8 * GIB, "bytes_copied": 4 * GIB, "bytes_stored": 2 * GIB, "current_clip": "DCIM/100/A.MP4",
            "faults": 0, "retry_at_usec": 0, "identity": "", "power": False, "charge": "",
            "charge_percent": None, "minutes_to_full": None, "ready_at_usec": 0, "ready_in_time": False,
            "flash_percent": None, "flash_version": ""}, d["bays"][2]
        assert d["bays"][0]["battery_percent"] is None
        away, docked = d["cameras"]
        assert docked == {"serial": "BC-0003", "manufacturer": "", "model": "Guard 4", "firmware": "", "model_id": "",
                          "battery_percent": 87, "bay": 3, "clock_drift_usec": -5, "clock_drift_known": True,
                          "temperature_decidegrees": -15, "temperature_known": True,
                          "last_docked_usec": 1700000000000000, "ambiguous": False, "officer_id": "", "officer_name": "",
                          "unit_id": "", "unit_name": "", "health": "", "held_back": ""}, docked
        assert away["bay"] is None and away["manufacturer"] == HOSTILE, away


# ---- Hostile text


def test_hostile_text_never_steers_the_terminal():
    with world() as w:
        w.dock.bay(1, **pulling(Serial=HOSTILE, Model=HOSTILE, CurrentClip=HOSTILE))
        w.dock.bay(2, State="refused", Reason=HOSTILE, Serial=HOSTILE, Model=HOSTILE)
        w.dock.dock(DockName=HOSTILE, StoreState=HOSTILE, StoreReason=HOSTILE, Reason=HOSTILE, Version=HOSTILE)
        w.dock.add_clips([clip(1, Path=HOSTILE, Serial=HOSTILE, Reason=HOSTILE, State=HOSTILE)])
        w.dock.add_events([event(1, HOSTILE, serial=HOSTILE, path=HOSTILE, reason=HOSTILE, **{HOSTILE: HOSTILE}),
                           {"seq": 2, "bytes": HOSTILE, "hash": HOSTILE}])
        for args in (["status"], ["clips"], ["log"], ["refused"], ["watch", "--until=pulling=1"]):
            for json_too in ([], ["--json"]):
                out = w.run(*args, *json_too).stdout
                bad = re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]", out)
                assert not bad, f"{args} {json_too} lets through {bad}"
            with closing(w.terminal(*args, columns=300)) as t:
                # The screen knows only the sequences that berthctl itself uses.
                assert t.finish() == 0
                assert t.screen.clears <= 1 and "\x1b]" not in t.raw
        with closing(w.terminal("watch", "--until=pulling=1", columns=200)) as t:
            t.wait_text("pulling")
            assert t.finish() == 0


def test_hostile_text_in_an_error_is_made_safe():
    with world() as w:
        done = w.run("nonsense\x1b[2J", code=2)
        assert "\x1b" not in done.stderr, done.stderr


def test_text_is_ascii_where_the_locale_is():
    with world() as w:
        w.dock.bay(1, **pulling(Serial="カメラ", Model="é"))
        out = w.run("status", LC_ALL="C").stdout
        assert out.isascii() and "???" in out, out
        with closing(w.terminal("watch", "--until=pulling=1", LC_ALL="C")) as t:
            t.wait_text("===")
            assert t.finish() == 0 and t.raw.isascii(), t.raw


# ---- clips, log, refused


def test_clips_are_listed_newest_first_over_all_pages():
    with world() as w:
        w.dock.add_clips([clip(n) for n in range(1, 1203)])
        ids = [int(line.split()[0]) for line in w.run("clips", "--max=0").stdout.splitlines()[1:]]
        assert ids == list(range(1202, 0, -1)), (len(ids), ids[:5])
        done = w.run("clips", "--max=700")
        ids = [int(line.split()[0]) for line in done.stdout.splitlines()[1:]]
        assert ids == list(range(1202, 502, -1)) and "--before 503" in done.stderr, (len(ids), done.stderr)
        done = w.run("clips", "--max=700", "--before=503")
        ids = [int(line.split()[0]) for line in done.stdout.splitlines()[1:]]
        assert ids == list(range(502, 0, -1)) and not done.stderr, (len(ids), done.stderr)
        assert len(w.run("clips").stdout.splitlines()) == 101, "100 unless asked"


def test_clips_are_filtered_by_camera_and_state():
    with world() as w:
        w.dock.add_clips([clip(1), clip(2, Serial="BC-2"), clip(3, Serial="BC-2", State="erased"), clip(4, State="erased")])
        listed = lambda *args: [c["id"] for c in w.json("clips", *args)["clips"]]  # noqa: E731
        assert listed() == [4, 3, 2, 1]
        assert listed("--camera=BC-2") == [3, 2]
        assert listed("--state=erased") == [4, 3]
        assert listed("--camera", "BC-2", "--state", "erased") == [3]
        assert "'nobody'" in w.run("clips", "--camera=nobody", code=1).stderr


def test_clips_show_when_they_were_recorded_and_why_they_are_kept():
    with world() as w:
        w.dock.add_clips([clip(1, ModifiedSec=1763889300, ReceiptStrength="digest", State="receipted"), clip(2),
                          clip(3, State="conflict", Reason="the store holds something else")])
        conflict, unknown, stored = w.run("clips").stdout.splitlines()[1:]
        assert conflict.endswith("the store holds something else") and "conflict" in conflict, conflict
        assert "unknown" in unknown, unknown
        assert "2025-11-23 09:15:00" in stored and "digest" in stored and "1.0 MiB" in stored, stored


def test_clips_show_what_was_cut_short():
    with world() as w:
        w.dock.add_clips([clip(1, Container="mp4", ContainerState="complete"),
                          clip(2, Container="mp4", ContainerState="incomplete", ContainerReason="no moov", State="erased"),
                          clip(3, Container="avi", ContainerState="incomplete", ContainerReason="no idx1", Reason="refused")])
        both, cut, whole = w.run("clips").stdout.splitlines()[1:]
        assert both.endswith("container incomplete: no idx1; refused"), both
        assert cut.endswith("container incomplete: no moov"), cut
        assert "incomplete" not in whole, whole


def test_clips_json_has_what_the_manual_promises():
    with world() as w:
        w.dock.add_clips([clip(1), clip(2, ModifiedSec=1763889300, Digest="ab" * 32, ObjectKey="k", ManifestKey="m",
                                        ReceiptStrength="digest", ReceiptSec=1763889400, Reason=HOSTILE, Container="mp4",
                                        ContainerState="incomplete", ContainerReason=HOSTILE, ContainerOffset=36,
                                        RecordedSec=1763889000, DurationMsec=60000)])
        d = w.json("clips", "--max=1")
        assert d["schema"] == "org.berth.ctl.clips/1" and d["more"] is True, d
        assert d["clips"] == [{
            "id": 2, "serial": "BC-1", "path": "DCIM/100/0002.MP4", "size_bytes": 2 * MIB, "modified_sec": 1763889300,
            "ordinal": 0, "state": "copied", "kind": "footage", "priority": False,
            "seen_usec": 1700000000000000, "durable_bytes": 2 * MIB, "digest": "ab" * 32,
            "object_key": "k", "manifest_key": "m", "receipt_strength": "digest", "receipt_sec": 1763889400,
            "reason": HOSTILE, "container": "mp4", "container_state": "incomplete", "container_reason": HOSTILE,
            "container_offset": 36, "recorded_sec": 1763889000, "duration_msec": 60000,
            "identity_by_port": False, "partial_of": 0, "held": False,
            "unreadable": None}], d
        older = w.json("clips", "--before=2")
        assert older["more"] is False
        assert [older["clips"][0][key] for key in ("modified_sec", "digest", "receipt_sec", "reason", "container", "recorded_sec")] == [
            None] * 6, older


def test_log_prints_the_newest_events_in_order():
    with world() as w:
        w.dock.add_events([event(n, "clip-seen", serial=f"BC-{n % 2}", path=f"DCIM/{n}.MP4", clip_id=n, size_bytes=5)
                           for n in range(1, 1101)])
        numbers = lambda *args: [int(line.split()[0]) for line in w.run("log", *args).stdout.splitlines()]  # noqa: E731
        assert numbers() == list(range(1051, 1101))
        assert numbers("-n", "3") == [1098, 1099, 1100]
        assert numbers("-n", "0") == list(range(1, 1101)), "all of them, page by page"
        assert numbers("--camera=BC-1", "-n2") == [1097, 1099]
        assert numbers("--clip=7") == [7]
        assert numbers("--after=1097") == [1098, 1099, 1100]
        line = w.run("log", "--clip=61").stdout
        assert line.split() == ["61", "2026-11-23", "09:01:01", "clip-seen", "BC-1", "DCIM/61.MP4", "(clip", "61)",
                                "size_bytes=5"], line


def test_log_marks_times_that_were_not_known_to_be_right():
    with world() as w:
        w.dock.add_events([event(1, "docked"), event(2, "docked", synchronised=False)])
        first, second = w.run("log").stdout.splitlines()
        assert "09:00:01 " in first and "09:00:02?" in second, (first, second)


def test_log_json_keeps_the_bytes_that_are_hashed():
    with world() as w:
        w.dock.add_events([event(1, "docked", bay="1-1.1", reason=HOSTILE), {"seq": 2, "bytes": "no json", "hash": "00"}])
        d = w.json("log")
        assert d["schema"] == "org.berth.ctl.log/1", d
        first, second = d["events"]
        assert hashlib.sha256(first["bytes"].encode()).hexdigest() == first["hash"], first
        assert first["event"] == json.loads(first["bytes"]) and first["seq"] == 1, first
        assert second == {"seq": 2, "bytes": "no json", "hash": "00", "event": None}, second


def test_log_follows_across_a_restart_of_the_daemon():
    with world() as w:
        w.dock.add_events([event(1, "docked"), event(2, "identified")])
        with closing(Lines(w, "log", "--follow")) as follow:
            follow.wait("identified.*\n")
            w.dock.add_events([event(3, "checked")])
            assert "docked" not in follow.wait("checked.*\n")
            w.dock.end()
            follow.wait("has gone")
            w.start_dock(named=False)
            w.dock.add_events([event(n, kind) for n, kind in enumerate(("docked", "identified", "checked", "copied"), 1)])
            w.take_name()
            again = follow.wait("copied.*\n")
            assert "checked" not in again, again
            assert follow.end(signal.SIGTERM)[0] == 0


def test_log_follow_json_is_one_event_a_line():
    with world() as w:
        w.dock.add_events([event(1, "docked")])
        with closing(Lines(w, "log", "-f", "--json")) as follow:
            follow.wait("\n")
            w.dock.add_events([event(2, "identified")])
            assert json.loads(follow.wait("\n"))["event"]["event"] == "identified"
            assert follow.end(signal.SIGINT)[0] == 0


def test_refused_tells_what_lies_untouched():
    with world() as w:
        assert "Nothing is refused" in w.run("refused").stdout
        assert w.json("refused") == {"schema": "org.berth.ctl.refused/1", "refused": []}
        w.dock.bay(2, State="refused", Reason="No model fits 1234:5678")
        w.dock.bay(4, State="quarantined", Reason="two devices show this serial", Serial="BC-4", Model="Guard")
        lines = w.run("refused").stdout.split("\n\n")[0].splitlines()
        assert len(lines) == 3 and lines[1].endswith("No model fits 1234:5678"), lines
        assert [{key: entry[key] for key in ("bay", "port_path", "state", "reason", "serial", "model")}
                for entry in w.json("refused")["refused"]] == [
            {"bay": 2, "port_path": "1-1.2", "state": "refused", "reason": "No model fits 1234:5678", "serial": None, "model": None},
            {"bay": 4, "port_path": "1-1.4", "state": "quarantined", "reason": "two devices show this serial", "serial": "BC-4",
             "model": "Guard"}]


# ---- How it ends


def test_exit_code_says_that_there_is_no_daemon():
    with world() as w:
        w.dock.end()
        for verb in ("status", "clips", "log", "refused"):
            done = w.run(verb, code=3)
            assert "org.berth.Dock1 is not on the bus" in done.stderr and not done.stdout, done
        w.bus.end()
        for verb in ("status", "watch"):
            assert "cannot connect to the system bus" in w.run(verb, code=3).stderr
        w.bus.start()
        w.start_dock()


def test_exit_code_says_that_the_command_line_is_wrong():
    with world() as w:
        for args in (["dance"], ["status", "clips"], ["--nonsense"], ["clips", "--max=x"], ["clips", "--max=-1"],
                     ["clips", "--follow"], ["status", "--max=1"], ["watch", "--until=ready"], ["watch", "--until=ready=0"],
                     ["watch", "--until=,=1"], ["watch", "--until=idle=x"], ["watch", "--timeout=0"], ["log", "-n", "501"],
                     ["log", "--clip=99999999999999999999"]):
            done = w.run(*args, code=2)
            assert done.stderr and not done.stdout, (args, done)


def test_exit_code_says_that_the_daemon_refused():
    with world() as w:
        assert "not a state of a clip" in w.run("clips", "--state=bogus", code=2).stderr


def test_exit_code_says_that_the_output_was_lost():
    with world() as w, open("/dev/full", "w", encoding="ascii") as full:
        for args in (["status"], ["status", "--json"], ["--help"], ["watch", "--timeout=100"]):
            done = subprocess.run([CTL, *args], env=w.env(), stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)
            assert done.returncode == 1 and b"cannot write" in done.stderr, (args, done)


def test_help_and_version_need_no_bus():
    with world() as w:
        text = w.run("--help", DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent").stdout
        for word in ("status", "watch", "clips", "log", "refused", "model", "model check", "recover", "--until", "Exit code"):
            assert word in text, text
        assert re.fullmatch(r"berthctl [0-9.]+\n", w.run("--version").stdout)


def test_address_chooses_the_bus():
    with world() as w:
        done = w.run("status", f"--address={w.bus.address}", DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent")
        assert "dock north" in done.stdout
        w.run("status", "--address=unix:path=/nonexistent", code=3)
        assert "dock north" in w.run("status", "--address=unix:path=/nonexistent", "--system").stdout


if __name__ == "__main__":
    tap.main()
