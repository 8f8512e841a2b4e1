# SPDX-License-Identifier: Apache-2.0
"""berth-uplink by itself, spoken to as berthd does: sd-bus peer to peer over its socket, one open file for each clip."""

import hashlib
import os
import random
import signal
import subprocess
import time

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

PATH, INTERFACE = "/org/berth/Uplink1", "org.berth.Uplink1"
BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
SERIAL = "SN-0001"


class Refused(Exception):
    """The uplink's own error: `name` is the last part of its D-Bus name."""

    def __init__(self, error):
        super().__init__(error.message)
        remote = Gio.dbus_error_get_remote_error(error) or ""
        self.name = remote.rsplit(".", 1)[-1]
        Gio.dbus_error_strip_remote_error(error)
        self.text = error.message


class Clip:
    """A spool file with bytes that nobody else has."""

    def __init__(self, folder, size, seed, path=None):
        self.size, self.path = size, path or f"DCIM/100/{seed}.MP4"
        self.id = seed if isinstance(seed, int) else 7
        self.file = os.path.join(folder, f"clip-{seed}")
        source, digest, left = random.Random(seed), hashlib.sha256(), size
        with open(self.file, "wb") as f:
            while left > 0:
                block = source.randbytes(min(left, 1 << 20))
                digest.update(block)
                f.write(block)
                left -= len(block)
        self.sha256 = digest.hexdigest()


class Receipt:
    def __init__(self, values):
        self.object, self.manifest, self.version, self.size, digest, self.strength, self.time, self.already_there = values
        self.sha256 = bytes(digest).hex()


class Call:
    def __init__(self):
        self.reply = self.error = None
        self.over = False

    def result(self):
        if self.error:
            raise Refused(self.error)
        return self.reply


class Uplink:
    def __init__(self, folder, config):
        self.folder = folder
        self.child = self.conn = None
        self.progress = []
        self.states = []
        os.makedirs(os.path.join(folder, "state"), exist_ok=True)
        self.configure(config)

    def path(self, name):
        return os.path.join(self.folder, name)

    def configure(self, config):
        """`config` is the text of [store]; lines of [uplink] may follow in a section of their own."""
        with open(self.path("uplink.conf"), "w", encoding="utf-8") as f:
            f.write(f"[uplink]\nsocket = {self.path('uplink.sock')}\nstate_dir = {self.path('state')}\n[store]\n{config}\n")

    def start(self, wait="ready", deadline=120, wrapper=()):
        with open(self.path("uplink.log"), "ab") as log:
            self.child = subprocess.Popen([*wrapper, os.path.join(BUILD, "berth-uplink"), "--config", self.path("uplink.conf")],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._connect(deadline)
        if wait:
            self.wait(lambda: self.state()[0] == wait, f"the store to be {wait}", deadline)
        return self

    def _connect(self, deadline):
        end = time.monotonic() + deadline
        while True:
            try:
                conn = Gio.DBusConnection.new_for_address_sync(f"unix:path={self.path('uplink.sock')}",
                                                               Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)
                break
            except GLib.Error:
                assert self.child.poll() is None, f"berth-uplink ended: {self.log()}"
                assert time.monotonic() < end, f"no socket within {deadline} s: {self.log()}"
                GLib.timeout_add(20, lambda: False)
                GLib.MainContext.default().iteration(True)
        self.conn = conn
        # What GDBus sends right behind its BEGIN, sd-bus may read together with it, and looks at only when more comes.
        first = self.begin("GetState", None)
        more = GLib.timeout_add(100, lambda: bool(self.begin("GetState", None)) and not first.over)
        self.wait(lambda: first.over, "the first answer")
        if first.over and GLib.MainContext.default().find_source_by_id(more):
            GLib.source_remove(more)
        conn.set_exit_on_close(False)
        conn.signal_subscribe(None, INTERFACE, "Progress", PATH, None, 0, lambda *a: self.progress.append(a[5].unpack()))
        conn.signal_subscribe(None, INTERFACE, "StateChanged", PATH, None, 0, lambda *a: self.states.append(a[5].unpack()))

    def wait(self, predicate, what, deadline=120):
        context, end = GLib.MainContext.default(), time.monotonic() + deadline
        tick = GLib.timeout_add(20, lambda: True)
        try:
            while True:
                value = predicate()
                if value:
                    return value
                if time.monotonic() > end:
                    raise AssertionError(f"waited {deadline} s in vain for {what}; {self.log()}")
                context.iteration(True)
        finally:
            GLib.source_remove(tick)

    def begin(self, method, arguments, fds=None):
        call = Call()

        def done(conn, result):
            try:
                call.reply = conn.call_with_unix_fd_list_finish(result)[0].unpack()
            except GLib.Error as e:
                call.error = e
            call.over = True

        self.conn.call_with_unix_fd_list(None, PATH, INTERFACE, method, arguments, None, Gio.DBusCallFlags.NONE, 2**31 - 1, fds, None, done)
        return call

    def _begin_with(self, clip, serial, method, signature, *more):
        with open(clip.file, "rb") as f:
            fds = Gio.UnixFDList.new()
            handle = fds.append(f.fileno())
        return self.begin(method, GLib.Variant(f"(thsxsxt{signature})", (clip.id, handle, serial, 1700000000, clip.path, 1700000000,
                                                                         clip.size, *more)), fds)

    def begin_put(self, clip, sha256=None, serial=SERIAL):
        return self._begin_with(clip, serial, "Put", "ays", bytes.fromhex(sha256 or clip.sha256), '{"dock": "test"}')

    def begin_grow(self, clip, durable, afresh=False, serial=SERIAL):
        """Of a clip that is still being pulled; its file may have more than the durable bytes, or fewer than the clip."""
        return self._begin_with(clip, serial, "Grow", "tb", durable, afresh)

    def grown(self, clip, durable):
        self.finish(self.begin("Grown", GLib.Variant("(tt)", (clip.id, durable))))

    def seal(self, clip, sha256=None, size=None, facts='{"dock": "test"}'):
        self.finish(self.begin("Seal", GLib.Variant("(ttays)", (clip.id, size if size is not None else clip.size,
                                                                bytes.fromhex(sha256 or clip.sha256), facts))))

    def stop(self, clip, now):
        self.finish(self.begin("Stop", GLib.Variant("(tb)", (clip.id, now))))

    def finish(self, call, deadline=240):
        self.wait(lambda: call.over, "an answer", deadline)
        return call.result()

    def put(self, clip, deadline=240, **more):
        return Receipt(self.finish(self.begin_put(clip, **more), deadline))

    def confirm(self, clip, receipt):
        return self.finish(self.begin("Confirm", GLib.Variant("(sstay)", (receipt.object, receipt.manifest, clip.size,
                                                                           bytes.fromhex(clip.sha256)))))[0]

    def state(self):
        return self.finish(self.begin("GetState", None))

    def examine(self, spool="/"):
        """(strength of the receipts, {point: (verdict, text)})"""
        folder = os.open(spool, os.O_RDONLY | os.O_DIRECTORY)
        fds = Gio.UnixFDList.new()
        handle = fds.append(folder)
        os.close(folder)
        strength, points = self.finish(self.begin("Examine", GLib.Variant("(h)", (handle,)), fds))
        return strength, {name: (verdict, text) for name, verdict, text in points}

    def end(self, sig=signal.SIGTERM, deadline=120):
        if self.conn and not self.conn.is_closed():
            self.conn.close_sync(None)
        self.conn = None
        if self.child:
            self.child.send_signal(sig)
            status = self.child.wait(deadline)
            self.child = None
            assert sig != signal.SIGTERM or status == 0, f"berth-uplink ended with {status}: {self.log()}"

    def log(self):
        with open(self.path("uplink.log"), encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-30:])
