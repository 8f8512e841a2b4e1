# SPDX-License-Identifier: Apache-2.0
"""berthctl, a fake dock and a bus of their own, for tests."""

import hashlib
import json
import os
import re
import select
import subprocess
import tempfile
import time
from contextlib import contextmanager

from fake_dock import Bus, FakeDock, ROOT
from screen import Terminal

BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
CTL = os.path.join(BUILD, "berthctl")
GIB = 1 << 30
MIB = 1 << 20
# What a camera may call itself to take over a terminal: colours, a title, a clear, C1 controls, an override of direction.
HOSTILE = "X\x1b[31mR\x1b]0;t\x07\x1b[2J\x9b2J\x85\r\n\u202eevil\u200b\u2066"


class World:
    """A bus with a dock of four bays on it."""

    def __init__(self, folder):
        self.bus = Bus(folder)
        self.dock = None
        self.start_dock()

    def start_dock(self, named=True):
        self.dock = FakeDock(self.bus)
        self.dock.dock(Version="0.1", DockName="north", State="running", StoreState="ready", SpoolState="ok",
                       SpoolUsedBytes=3 * GIB, SpoolFreeBytes=90 * GIB, SpoolHoldsSec=7200, ClockSynchronised=True)
        for n in range(1, 5):
            self.dock.bay(n, Number=n, PortPath=f"1-1.{n}", State="empty")
        if named:
            self.take_name()

    def take_name(self):
        self.dock(do="name")

    def env(self, **more):
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "BERTH_PAGER", "TERM", "LANG", "LC_CTYPE")}
        env.update(DBUS_SYSTEM_BUS_ADDRESS=self.bus.address, LC_ALL="C.UTF-8", TERM="xterm-256color", PAGER="cat")
        return dict(env, **more)

    def run(self, *args, code=0, **more):
        done = subprocess.run([CTL, *args], env=self.env(**more), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, check=False)
        assert done.returncode == code, f"{args}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}"
        return done

    def json(self, *args):
        return json.loads(self.run(*args, "--json").stdout)

    def terminal(self, *args, rows=24, columns=100, **more):
        return Terminal([CTL, *args], self.env(**more), rows, columns)

    def close(self):
        self.dock.end()
        self.bus.end()


@contextmanager
def world():
    with tempfile.TemporaryDirectory(prefix="berth-ctl-") as folder:
        w = World(folder)
        try:
            yield w
        finally:
            w.close()


@contextmanager
def closing(thing):
    try:
        yield thing
    finally:
        thing.close()


class Lines:
    """A program whose lines are waited for."""

    def __init__(self, w, *args, **more):
        self.child = subprocess.Popen([CTL, *args], env=w.env(**more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
        self.text = ""

    def wait(self, what, deadline=120):
        """The text up to and with the first match; it is then taken away."""
        end = time.monotonic() + deadline
        while True:
            match = re.search(what, self.text)
            if match:
                before, self.text = self.text[:match.end()], self.text[match.end():]
                return before
            assert time.monotonic() < end, f"waited for {what!r}, got {self.text!r}"
            if select.select([self.child.stdout], [], [], 0.1)[0]:
                data = os.read(self.child.stdout.fileno(), 65536)
                assert data, f"ended while waited for {what!r}: {self.text!r}"
                self.text += data.decode()

    def end(self, sig=None):
        """The exit code and the rest of the text."""
        if sig:
            self.child.send_signal(sig)
        rest = self.child.communicate(timeout=120)[0].decode()
        return self.child.returncode, self.text + rest

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.communicate()
        self.child.stdout.close()


def pulling(**more):
    return dict({"State": "pulling", "Serial": "BC-0003", "Model": "Guard 4", "BatteryPercent": 87, "ClipsTotal": 12,
                 "ClipsCopied": 3, "ClipsStored": 2, "ClipsErased": 1, "BytesTotal": 8 * GIB, "BytesCopied": 4 * GIB,
                 "BytesStored": 2 * GIB, "CurrentClip": "DCIM/100/A.MP4", "Camera": f"{ROOT}/camera/BC_0003"}, **more)


def clip(number, **more):
    return dict({"Id": number, "Serial": "BC-1", "Path": f"DCIM/100/{number:04}.MP4", "SizeBytes": number * MIB, "Ordinal": 0,
                 "State": "copied", "SeenUsec": 1700000000000000, "DurableBytes": number * MIB, "Kind": "footage",
                 "Priority": False}, **more)


def event(seq, kind, **more):
    text = json.dumps(dict({"event": kind, "seq": seq, "time": f"2026-11-23T09:{seq // 60 % 60:02}:{seq % 60:02}.123456Z",
                            "synchronised": True, "prev": "0" * 64}, **more), sort_keys=True, separators=(",", ":"))
    return {"seq": seq, "bytes": text, "hash": hashlib.sha256(text.encode()).hexdigest()}
