#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`berthctl watch` against a fake dock: lines and JSON in a pipe, a live frame on a terminal."""

import json
import os
import re
import signal
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), part) for part in ("..", "../lib")]
import tap  # noqa: E402
from ctl_world import GIB, HOSTILE, MIB, Lines, closing, pulling, world  # noqa: E402
from fake_dock import ROOT  # noqa: E402


# ---- Off a terminal


def test_lines_tell_each_change_of_state_once():
    with world() as w:
        w.dock.bay(2, **pulling())
        with closing(Lines(w, "watch")) as lines:
            first = lines.wait("bay 2 pulling.*\n")
            assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ dock north running; store ready; spool ok\n", first), first
            assert "camera BC-0003 (Guard 4), battery 87%, 3 of 12 clips copied, 2 stored, 1 erased, 8.0 GiB" in first, first
            assert "empty" not in first, "empty bays are no news at the start"
            for n in range(20):
                w.dock.bay(2, BytesCopied=n * MIB, ClipsCopied=n)
            w.dock.bay(2, State="ready", ClipsCopied=12, ClipsStored=12, ClipsErased=12)
            change = lines.wait("bay 2 ready.*\n")
            assert change.count("\n") == 1, f"progress is not a change of state: {change}"
            w.dock.bay(2, State="empty", Serial="")
            lines.wait("bay 2 empty\n")
            w.dock.bay(3, State="fault", Reason="the worker died")
            lines.wait("bay 3 fault: the worker died\n")
            w.dock.bay(3, Reason="the worker stalled")
            lines.wait("bay 3 fault: the worker stalled\n")
            w.dock.dock(State="degraded", Reason="the store is away", StoreState="missing", StoreReason="no such folder")
            lines.wait("dock north degraded: the store is away; store missing: no such folder; spool ok\n")
            assert lines.end(signal.SIGINT) == (0, "")


def test_json_is_one_change_a_line():
    with world() as w:
        w.dock.camera("BC_0003", Serial="BC-0003", Bay=f"{ROOT}/bay/2")
        with closing(Lines(w, "watch", "--json")) as lines:
            first = [json.loads(line) for line in lines.wait('"camera":.*\n').splitlines()]
            assert [c["change"] for c in first] == ["daemon-back", "dock"] + ["bay"] * 4 + ["camera"], first
            assert all(c["schema"] == "org.berth.ctl.change/1" and c["time"].endswith("Z") for c in first), first
            assert first[1]["dock"]["name"] == "north" and first[2]["bay"]["number"] == 1 and first[6]["camera"]["bay"] == 2, first
            w.dock.bay(2, **pulling(Serial=HOSTILE))
            change = json.loads(lines.wait("\n"))
            assert change["change"] == "bay" and change["bay"]["serial"] == HOSTILE and change["bay"]["bytes_copied"] == 4 * GIB
            w.dock.camera("NEW", Serial="NEW")
            assert json.loads(lines.wait("\n"))["camera"]["serial"] == "NEW"
            w.dock.remove(f"{ROOT}/camera/NEW")
            gone = json.loads(lines.wait("\n"))
            assert gone["change"] == "camera-removed" and gone["camera"]["serial"] == "NEW", gone
            assert lines.end(signal.SIGTERM) == (0, "")


def test_watch_goes_on_when_the_daemon_restarts():
    with world() as w:
        w.dock.bay(2, **pulling())
        with closing(Lines(w, "watch")) as lines, closing(Lines(w, "watch", "--json")) as changes:
            lines.wait("bay 2 pulling.*\n")
            changes.wait("\"number\":4.*\n")
            w.dock.end()
            lines.wait("the daemon has gone; waiting for it\n")
            assert json.loads(changes.wait("\n"))["change"] == "daemon-gone"
            w.start_dock(named=False)
            w.dock.bay(2, **pulling())
            w.dock.bay(3, State="ready", Serial="BC-9")
            w.take_name()
            back = lines.wait("bay 3 ready.*\n")
            assert "the daemon is back" in back and "bay 2" not in back, f"what did not change is not told again: {back}"
            assert "daemon-back" in changes.wait("BC-9.*\n")
            w.dock.bay(2, State="settled")
            lines.wait("bay 2 settled.*\n")


def test_watch_goes_on_when_the_bus_restarts():
    with world() as w:
        with closing(Lines(w, "watch")) as lines:
            lines.wait("dock north running.*\n")
            w.close()
            lines.wait("the daemon has gone")
            w.bus.start()
            w.start_dock()
            lines.wait("the daemon is back\n")
            w.dock.bay(1, State="ready")
            lines.wait("bay 1 ready\n")


def test_watch_waits_for_a_daemon_that_is_not_there_yet():
    with world() as w:
        w.dock.end()
        with closing(Lines(w, "watch", "--until=ready=1")) as lines:
            lines.wait("waiting for the daemon\n")
            w.start_dock(named=False)
            w.dock.bay(1, State="ready")
            w.take_name()
            assert lines.end()[0] == 0


# ---- --until and --timeout


def test_until_counts_bays_in_any_of_the_states():
    with world() as w:
        w.dock.bay(1, State="refused")
        with closing(Lines(w, "watch", "--until=ready,refused=3")) as lines:
            lines.wait("bay 1 refused\n")
            w.dock.bay(2, State="ready")
            w.dock.bay(3, State="settled")
            lines.wait("bay 3 settled\n")
            assert lines.child.poll() is None
            w.dock.bay(3, State="ready")
            code, rest = lines.end()
            assert code == 0 and "bay 3 ready" in rest, (code, rest)


def test_until_idle_waits_for_work_and_for_the_store():
    with world() as w:
        w.dock.bay(1, **pulling())
        w.dock.dock(UnstoredClips=1)
        with closing(Lines(w, "watch", "--until=idle=0.3")) as lines:
            lines.wait("bay 1 pulling.*\n")
            w.dock.bay(1, State="ready")
            lines.wait("bay 1 ready.*\n")
            w.dock.bay(2, State="refused")
            lines.wait("bay 2 refused\n")
            w.dock.dock(UnstoredClips=0)
            assert lines.end()[0] == 0


def test_until_wants_all_its_terms_at_once():
    with world() as w:
        with closing(Lines(w, "watch", "--until=ready=1", "--until=refused=1")) as lines:
            w.dock.bay(1, State="ready")
            lines.wait("bay 1 ready\n")
            w.dock.bay(1, State="empty")
            lines.wait("bay 1 empty\n")
            w.dock.bay(2, State="refused")
            lines.wait("bay 2 refused\n")
            w.dock.bay(1, State="ready")
            assert lines.end()[0] == 0


def test_timeout_is_an_exit_code_of_its_own():
    with world() as w:
        assert "the time is up" in w.run("watch", "--until=ready=1", "--timeout=0.3", code=4).stderr
        w.run("watch", "--timeout=0.3")
        w.dock.end()
        w.run("watch", "--until=idle=0", "--timeout=0.5", code=4)


def test_a_signal_before_the_condition_held_is_told_by_the_exit_code():
    with world() as w:
        for sig in (signal.SIGINT, signal.SIGTERM):
            with closing(Lines(w, "watch", "--until=ready=1")) as lines:
                lines.wait("dock north.*\n")
                assert lines.end(sig)[0] == 128 + sig


# ---- On a terminal


def row_of(t, bay):
    return next((line for line in t.screen.lines() if re.match(rf" *{bay}  ", line)), "")


def test_live_view_follows_the_dock():
    with world() as w:
        w.dock.bay(2, **pulling())
        with closing(w.terminal("watch", columns=140)) as t:
            t.wait_text("pulling")
            assert t.screen.alternate and not t.screen.cursor, "a frame on the alternate screen, without a cursor"
            row = row_of(t, 2)
            assert "BC-0003" in row and "87%" in row and "3/12" in row and " 50%" in row and "DCIM/100/A.MP4" in row, row
            bar = re.search("[█▓░]+", row).group()
            assert 0 <= bar.count("█") - len(bar) // 4 <= 1 and 0 <= bar.count("░") - len(bar) // 2 <= 1, bar
            w.dock.bay(2, BytesCopied=6 * GIB, ClipsCopied=9)
            t.wait(lambda: " 75%" in row_of(t, 2) and "9/12" in row_of(t, 2), "the bar to move on")
            t.wait(lambda: "GiB/s" in row_of(t, 2), "a rate")
            w.dock.bay(3, State="fault", Reason="the worker died: signal 11", RetryAtUsec=1 << 60)
            t.wait_text("Bay 3: the worker died: signal 11")
            assert "retry" in row_of(t, 3), row_of(t, 3)
            w.dock.bay(2, State="ready", BytesCopied=8 * GIB, BytesStored=8 * GIB, CurrentClip="")
            t.wait(lambda: "100%" in row_of(t, 2) and "ready" in row_of(t, 2), "the end")
            t.wait_text("4 bays: 2 empty, 1 ready, 1 fault")


def test_live_view_repaints_only_what_changed():
    with world() as w:
        w.dock.bay(2, **pulling())
        with closing(w.terminal("watch", columns=120)) as t:
            t.wait_text("4 bays")
            seen = len(t.raw)
            w.dock.bay(2, ClipsStored=7)
            t.wait(lambda: re.search(r"9/12 +7|3/12 +7", row_of(t, 2)), "the new count")
            fresh = t.raw[seen:]
            assert t.screen.clears == 1, "the screen is cleared at the start alone"
            assert "north" not in fresh and "BAY" not in fresh and "\x1b[J" not in fresh, fresh


def test_live_view_survives_a_resize():
    with world() as w:
        w.dock.bay(2, **pulling(Serial="BC-" + "7" * 30))
        with closing(w.terminal("watch", columns=150)) as t:
            t.wait_text("4 bays")
            for rows, columns in ((24, 60), (10, 40), (3, 20), (1, 1), (50, 200)):
                t.resize(rows, columns)
                t.keys("\x0c")  # paints once more: whatever was under way, this one is for the new size
                # The screen fails on any row that is too long for it.
                enough = t.screen.frames + 2
                t.wait(lambda r=rows, n=enough: t.screen.frames >= n and (r < 10 or "pulling" in t.screen.text()),
                       f"a frame of {rows} rows and {columns} columns")
            t.wait_text("4 bays")


def test_live_view_shows_the_busy_bays_when_there_is_no_room_for_all():
    with world() as w:
        for n in range(5, 41):
            w.dock.bay(n, Number=n, PortPath=f"1-2.{n}", State="empty")
        w.dock.bay(39, State="ready", Serial="BC-39")
        with closing(w.terminal("watch", rows=20)) as t:
            t.wait_text("40 bays: 39 empty, 1 ready")
            assert "BC-39" in row_of(t, 39), t.screen.text()


def test_live_view_takes_hostile_names():
    with world() as w:
        w.dock.bay(2, **pulling(Serial=HOSTILE, CurrentClip=HOSTILE))
        with closing(w.terminal("watch", columns=200)) as t:
            t.wait_text("pulling")
            w.dock.bay(3, State="refused", Reason=HOSTILE)
            t.wait_text("refused")
            assert "\x1b[31mR" not in t.raw and t.screen.clears == 1


def test_terminal_is_given_back_however_it_ends():
    ends = {"SIGINT": lambda t: t.process.send_signal(signal.SIGINT), "SIGTERM": lambda t: t.process.send_signal(signal.SIGTERM),
            "SIGHUP": lambda t: t.process.send_signal(signal.SIGHUP), "q": lambda t: t.keys("q"), "^C": lambda t: t.keys("\x03"),
            "until": None}
    with world() as w:
        for name, end in ends.items():
            w.dock.bay(1, State="pulling")
            with closing(w.terminal("watch", *(["--until=ready=1"] if name == "until" else []))) as t:
                t.wait_text("pulling")
                assert not t.restored(), "keys are read without echo"
                if end:
                    end(t)
                else:
                    w.dock.bay(1, State="ready")
                assert t.finish() == 0, name
                assert t.restored() and not t.screen.alternate and t.screen.cursor and t.screen.wraps, name
                assert "4 bays" in t.screen.text(), f"{name}: the last state stays to be read"


def test_live_view_stops_and_goes_on():
    with world() as w:
        with closing(w.terminal("watch")) as t:
            t.wait_text("4 bays")
            t.process.send_signal(signal.SIGTSTP)
            t.wait(lambda: not t.screen.alternate, "the terminal to be given back")
            t.wait(lambda: open(f"/proc/{t.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[0] == "T", "the stop")
            assert t.restored()
            w.dock.bay(1, State="ready")
            t.process.send_signal(signal.SIGCONT)
            t.wait(lambda: t.screen.alternate and "ready" in row_of(t, 1), "the frame to come back")


def test_live_view_shows_that_the_daemon_is_away():
    with world() as w:
        w.dock.bay(2, **pulling())
        with closing(w.terminal("watch")) as t:
            t.wait_text("pulling")
            w.dock.end()
            t.wait_text("The daemon has gone")
            assert "pulling" in t.screen.text(), "what it last said stays"
            w.start_dock()
            t.wait(lambda: "has gone" not in t.screen.text() and "4 bays: 4 empty" in t.screen.text(), "the daemon to be back")


def test_colours_are_for_terminals_that_want_them():
    with world() as w:
        w.dock.bay(1, State="fault")
        with closing(w.terminal("watch", "--until=fault=1")) as t:
            assert t.finish() == 0 and t.screen.styles > 0
        with closing(w.terminal("watch", "--until=fault=1", NO_COLOR="1")) as t:
            t.wait_text("fault")
            assert t.finish() == 0 and not re.search(r"\x1b\[[1-9][0-9;]*m", t.raw), t.raw
        for args, more in ((["--plain"], {}), ([], {"TERM": "dumb"})):
            with closing(w.terminal("watch", "--until=fault=1", *args, **more)) as t:
                assert t.finish() == 0 and "\x1b[?1049h" not in t.raw and "bay 1 fault" in t.raw, t.raw
        assert "\x1b" not in w.run("status").stdout


if __name__ == "__main__":
    tap.main()
