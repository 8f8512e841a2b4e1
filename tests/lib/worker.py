# SPDX-License-Identifier: Apache-2.0
"""One real berth-bay over one simulated camera, called as berthd calls it (daemon/base/wire_bay.h)."""

import fcntl
import os
import shutil
import signal
import socket
import tempfile

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
PATH, INTERFACE = "/org/berth/Bay1", "org.berth.Bay1"
CALL_MSEC = 120000
BLOCK_SIZE = 8 << 20
TIME_UNKNOWN = -(1 << 63)


class Fault(Exception):
    """The worker answered with an error: `kind` is the last part of its name."""

    def __init__(self, error):
        name = Gio.DBusError.get_remote_error(error) or ""
        Gio.DBusError.strip_remote_error(error)
        self.kind = name.removeprefix(INTERFACE + ".Error.") if name else "none"
        super().__init__(f"{self.kind}: {error.message}")


class Clip:
    def __init__(self, index, path, size, mtime, flags):
        self.index, self.path, self.size, self.mtime, self.flags = index, path, size, mtime, flags


class Copy:
    """The answer to Pull."""

    def __init__(self, size, digest, head, tail, container, verdict, offset, recorded, duration, reason):
        self.size, self.digest, self.head, self.tail = size, bytes(digest), bytes(head), bytes(tail)
        self.container, self.verdict, self.offset, self.recorded, self.duration = container, verdict, offset, recorded, duration
        self.reason = reason


class Worker:
    def __init__(self, sim, camera, plugin="mtp", log=None):
        state = sim("state", camera=camera)
        node = os.open(f"/dev/bus/usb/{state['busnum']:03}/{state['devnum']:03}", os.O_RDWR | os.O_CLOEXEC)
        self.folder = tempfile.mkdtemp(prefix="incoming-")
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        mine, its = socket.socketpair()
        out = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # Numbers above those that the worker wants, so that none is overwritten before it is copied.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (its.fileno(), node, folder, out)]
        program = os.path.join(BUILD, "berth-bay")
        # A sanitizer's search for leaks at exit traces the process, which the sandbox forbids.
        environment = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        try:
            actions = [(os.POSIX_SPAWN_DUP2, high[i], to) for i, to in ((0, 0), (3, 1), (3, 2), (1, 3), (2, 4))]
            self.pid = os.posix_spawn(program, [program, "--plugin", os.path.join(BUILD, "plugins", f"{plugin}.so")], environment,
                                      file_actions=actions)
        finally:
            its.close()
            for fd in high + [node, folder, out]:
                os.close(fd)
        self.status = None
        self.blocks = {}
        self.on_block = None
        stream = Gio.Socket.new_from_fd(mine.detach()).connection_factory_create_connection()
        self.bus = Gio.DBusConnection.new_sync(stream, None, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)
        self.bus.signal_subscribe(None, INTERFACE, "Block", PATH, None, 0, self._block)

    def _block(self, _bus, _sender, _path, _interface, _signal, parameters):
        _clip, number, length, digest = parameters.unpack()
        self.blocks[number] = (length, bytes(digest))
        if self.on_block:
            self.on_block(number)

    def begin(self, method, signature, *args):
        """Calls without waiting; the result is taken by finish()."""
        self.answer = []
        self.blocks = {}
        self.bus.call(None, PATH, INTERFACE, method, GLib.Variant(signature, args) if signature else None, None, 0, CALL_MSEC, None,
                      lambda bus, result: self.answer.append(result))

    def finish(self):
        while not self.answer:
            GLib.MainContext.default().iteration(True)
        try:
            return self.bus.call_finish(self.answer[0]).unpack()
        except GLib.Error as e:
            raise Fault(e) from None

    def call(self, method, signature=None, *args):
        self.begin(method, signature, *args)
        return self.finish()

    def open(self, *options, credentials=()):
        return self.call("Open", "(sasas)", "test", options, credentials)

    def identify(self):
        return dict(zip(("manufacturer", "model", "serial", "firmware", "storage_id"), self.call("Identify")))

    def health(self):
        return self.call("Health")[0]

    def set_clock(self, unix_sec):
        self.call("SetClock", "(x)", unix_sec)

    def get_owner(self):
        return dict(zip(("officer_id", "officer_name", "unit_id", "unit_name"), self.call("GetOwner")))

    def set_owner(self, officer_id="", officer_name="", unit_id="", unit_name=""):
        self.call("SetOwner", "(ssss)", officer_id, officer_name, unit_id, unit_name)

    def enter_storage(self):
        self.call("EnterStorage")

    def eject(self):
        self.call("Eject")

    def list(self):
        clips, more = [], True
        while more:
            page, more = self.call("List", "(u)", len(clips))
            clips += [Clip(*row) for row in page]
        return clips

    def pull(self, clip, part=None, kept=()):
        return Copy(*self.call("Pull", "(ustay)", clip.index, part or f"{clip.index}.part", len(kept) * BLOCK_SIZE, b"".join(kept)))

    def verify(self, clip, blocks):
        """{number: (length, digest of the clip up to the block's end)} of its first blocks."""
        self.call("Verify", "(uu)", clip.index, blocks)
        return dict(self.blocks)

    def sample(self, clip, *places, part=""):
        """[(digest of the camera's bytes, digest of the part's)] of each (offset, length)."""
        return [(bytes(camera), bytes(kept)) for camera, kept in self.call("Sample", "(usa(tt))", clip.index, part, places)[0]]

    def erase(self, clip, copy):
        self.call("Erase", "(stxayayay)", clip.path, copy.size, clip.mtime, copy.digest, copy.head, copy.tail)

    def part(self, clip):
        return os.path.join(self.folder, f"{clip.index}.part")

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self._reap()

    def _reap(self):
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        try:
            self.bus.close_sync(None)
        except GLib.Error:
            pass  # it saw the end of the worker first

    def close(self):
        """Ends it as berthd does; the plugin leaves the camera well."""
        if self.status is None:
            try:
                self.call("Close")
            except Fault:
                os.kill(self.pid, signal.SIGKILL)
            self._reap()
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
