#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""berthctl at another machine's dock, over ssh as systemctl does it; at several docks at once; and its pager."""

import json
import os
import stat
import sys
import tempfile

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), part) for part in ("..", "../lib")]
import schemas  # noqa: E402
import tap  # noqa: E402
from ctl_world import GIB, clip, closing, world  # noqa: E402

# In ssh's place: goes to the bus that the test names for this host, by the program that ssh would start there.
SSH = """#!/bin/bash
echo "$*" >> "$SSH_LOG"
while [[ $1 == -* ]]; do [[ $1 == -p || $1 == -l ]] && shift; [[ $1 == -- ]] && break; shift; done
[[ $1 == -- ]] && shift
host=$1; shift
bus=$(sed -n "s/^${host##*@} //p" "$SSH_HOSTS")
case $bus in
        "") echo "ssh: Could not resolve hostname $host: Name or service not known" >&2; exit 255;;
esac
exec "$@" --bus-path="$bus"
"""


class Hosts:
    """Docks by the names of their hosts."""

    def __init__(self, folder, **docks):
        ssh = os.path.join(folder, "ssh")
        with open(ssh, "w", encoding="ascii") as f:
            f.write(SSH)
        os.chmod(ssh, stat.S_IRWXU)
        self.log = os.path.join(folder, "log")
        with open(os.path.join(folder, "hosts"), "w", encoding="ascii") as f:
            f.writelines(f"{name} {w.bus.address}\n" for name, w in docks.items())
        self.env = {"PATH": f"{folder}:{os.environ['PATH']}", "SSH_LOG": self.log, "SSH_HOSTS": os.path.join(folder, "hosts"),
                    # Nothing of this machine's own bus is used.
                    "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}

    def calls(self):
        with open(self.log, encoding="ascii") as f:
            return f.read().splitlines()


def test_host_is_asked_over_ssh():
    with world() as w, tempfile.TemporaryDirectory() as folder:
        hosts = Hosts(folder, north=w)
        out = w.run("-H", "admin@north", "status", **hosts.env).stdout
        assert out == w.run("status").stdout and "dock north" in out, out
        assert "admin@north" in hosts.calls()[0] and "systemd-stdio-bridge" in hosts.calls()[0], hosts.calls()
        assert json.loads(w.run("--host=north", "clips", "--json", **hosts.env).stdout)["clips"] == []


def test_host_that_is_not_there_is_named():
    with world() as w, tempfile.TemporaryDirectory() as folder:
        done = w.run("-H", "nowhere", "status", code=3, **Hosts(folder, north=w).env)
        assert "nowhere" in done.stderr, done.stderr


def test_what_is_about_this_machine_takes_no_host():
    with world() as w:
        for args in (["custody", "verify"], ["rollout", "status"], ["firmware", "publish", "x"], ["roster", "sign", "a", "b"],
                     ["model", "check", "x"]):
            assert "this machine" in w.run("-H", "north", *args, code=2).stderr, args
        for args in (["doctor"], ["import", "x"], ["recover"], ["config", "show"]):
            assert "does not take" in w.run("-H", "north", *args, code=2).stderr, args
        assert "for one dock" in w.run("-H", "a", "-H", "b", "checkout", "o", code=2).stderr


def test_several_docks_are_one_table():
    with world() as north, world() as south, tempfile.TemporaryDirectory() as folder:
        south.dock.dock(DockName="south", State="degraded", Reason="the disk is old", StoreState="full", UnstoredBytes=3 * GIB)
        south.dock.bay(1, State="fault", Serial="X")
        south.dock.bay(2, State="ready", Serial="Y")
        hosts = Hosts(folder, north=north, south=south)
        done = north.run("-H", "north", "-H", "admin@south", **hosts.env)
        lines = [line.split() for line in done.stdout.splitlines()]
        assert lines[0][:4] == ["HOST", "DOCK", "STATE", "STORE"] and len(lines) == 3, done.stdout
        assert lines[1][:7] == ["north", "north", "running", "ready", "4", "0", "0"], done.stdout
        assert lines[2][:7] == ["admin@south", "south", "degraded", "full", "4", "1", "1"] and "the disk is old" in done.stdout, done.stdout
        south.dock.add_clips([clip(7)])
        listed = north.run("-H", "north", "-H", "south", "clips", **hosts.env).stdout
        assert [line for line in listed.splitlines() if line.startswith("south") and "0007.MP4" in line], listed


def test_dock_that_does_not_answer_is_named_and_the_others_are_shown():
    with world() as north, world() as south, tempfile.TemporaryDirectory() as folder:
        hosts = Hosts(folder, north=north, south=south)
        south.dock.end()
        done = north.run("-H", "north", "-H", "south", "-H", "gone", code=6, **hosts.env)
        rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
        assert "running" in rows["north"] and "no answer" in rows["south"] and "no answer" in rows["gone"], done.stdout
        assert "south: " in done.stderr and "gone: " in done.stderr, done.stderr
        answer = schemas.parse(north.run("-H", "north", "-H", "south", "--json", code=6, **hosts.env).stdout)
        assert answer["schema"] == "org.berth.ctl.fleet/1" and [d["exit_code"] for d in answer["docks"]] == [0, 3], answer
        assert answer["docks"][0]["answer"]["dock"]["name"] == "north" and answer["docks"][1]["answer"] is None, answer
        # All alike: that code.
        assert north.run("-H", "gone", "-H", "lost", code=3, **hosts.env).stdout.count("no answer") == 2


def test_many_docks_are_asked():
    """More than are asked at once, in the order in which they are named."""
    with world() as w, tempfile.TemporaryDirectory() as folder:
        hosts = Hosts(folder, **{f"d{n:02}": w for n in range(40)})
        args = [a for n in range(40) for a in ("-H", f"d{n:02}")]
        rows = w.run(*args, **hosts.env).stdout.splitlines()[1:]
        assert [row.split()[0] for row in rows] == [f"d{n:02}" for n in range(40)], rows


# ---- The pager


def pager(folder):
    """One that says what it gets, and from whom."""
    path = os.path.join(folder, "pager")
    with open(path, "w", encoding="ascii") as f:
        f.write('#!/bin/bash\necho "PAGER LESS=$LESS SECURE=$LESSSECURE"\ncat\necho THE-END\n')
    os.chmod(path, stat.S_IRWXU)
    return path


def shown(w, *args, **env):
    with closing(w.terminal(*args, columns=80, **env)) as t:
        assert t.finish() == 0
        return t.raw


def test_what_is_long_goes_through_the_pager():
    with world() as w, tempfile.TemporaryDirectory() as folder:
        raw = shown(w, "clips", PAGER=pager(folder))
        assert raw.startswith("PAGER LESS=FRSXMK SECURE=") and "THE-END" in raw, raw
        # It stays a terminal for what is printed: width and colours.
        raw = shown(w, "status", PAGER=pager(folder))
        assert "\x1b[" in raw and "PAGER" in raw and "room for ab…" in raw, raw
        assert "PAGER" not in shown(w, "status", "--no-pager", PAGER=pager(folder))
        assert "PAGER" not in w.run("status", PAGER=pager(folder)).stdout, "not where there is no terminal"
        assert "PAGER" not in shown(w, "status", "--json", PAGER=pager(folder))
        with closing(w.terminal("transfer", "pause", PAGER=pager(folder))) as t:
            assert t.finish() == 1 and "PAGER" not in t.raw, "an order may ask for a password"
        assert "PAGER" not in shown(w, "status", PAGER=pager(folder), BERTH_PAGER=""), "ours comes before $PAGER"


def test_with_others_privileges_the_pager_runs_no_commands():
    with world() as w, tempfile.TemporaryDirectory() as folder:
        less = os.path.join(folder, "less")
        os.rename(pager(folder), less)
        path = f"{folder}:{os.environ['PATH']}"
        raw = shown(w, "status", PAGER="touch /nonexistent", BERTH_PAGERSECURE="1", PATH=path)
        assert "SECURE=1" in raw and "THE-END" in raw, raw
        assert "touch" not in raw, raw


def test_whoever_leaves_the_pager_has_seen_enough():
    with world() as w:
        w.dock.add_clips([clip(n) for n in range(1, 4000)])
        with closing(w.terminal("clips", "--max=0", PAGER="head -n 2 >/dev/null")) as t:
            assert t.finish() == 0 and "cannot write" not in t.raw, t.raw


def test_no_color_counts_on_a_terminal():
    with world() as w:
        assert "\x1b[" in shown(w, "status") and "\x1b[" not in shown(w, "status", NO_COLOR="1")


if __name__ == "__main__":
    tap.main()
