# SPDX-License-Identifier: Apache-2.0
"""A machine with Debian's kernel and system, emulated by QEMU: made by tests/vm/build-guest, forgotten when it is closed.

Its root file system is in memory over a read-only image; it has no network. Commands go through an agent on a virtio serial
port, USB devices are plugged and unplugged by QEMU's own protocol (QMP). What it has in memory can be saved, and another one can go on
from there, with disks that hold what its disks held.
"""

import base64
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import time

BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
IMAGE = os.environ.get("BERTH_GUEST", BUILD + "-vm")
# Under load an emulated machine boots slowly, and that is no fault of what is tested.
BOOT_DEADLINE = 1200
# QEMU itself, which on a busy machine may have to wait for its turn, and for the disk.
QEMU_DEADLINE = 120
# What the agent is given to answer, beyond the deadline of the script.
AGENT_GRACE = 60
# USB 2 ports of the root hub that the guest calls bus 1; the first USB3_PORTS are USB 3 ports (bus 2) as well.
USB2_PORTS = 15
USB3_PORTS = 2


class GuestError(Exception):
    pass


class Channel:
    """A socket with lines and counted bytes, and a deadline for each."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.buffer = bytearray()

    def fileno(self):
        return self.sock.fileno()

    def send(self, data):
        self.sock.sendall(data)

    def _fill(self, until, what):
        left = until - time.monotonic()
        if left <= 0 or not select.select([self.sock], [], [], left)[0]:
            raise GuestError(f"the guest did not answer in time: {what}")
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            raise GuestError(f"QEMU has gone: {what}")
        self.buffer += data

    def line(self, until, what):
        while b"\n" not in self.buffer:
            self._fill(until, what)
        line, _, rest = bytes(self.buffer).partition(b"\n")
        self.buffer = bytearray(rest)
        return line.decode("utf-8", "replace")

    def take(self, size, until, what):
        while len(self.buffer) < size:
            self._fill(until, what)
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data


def disk(path, size=0):
    """Makes a sparse file for a disk and returns its path."""
    with open(path, "ab") as f:
        if size:
            f.truncate(size)
    return path


class Guest:
    """`disks` are {serial: path of a raw image}; in the guest they are /dev/disk/by-id/virtio-SERIAL. Those
    named in `read_only` are shared with other guests. It boots, or goes on from where one was that save() put into the file `saved`."""

    def __init__(self, folder, disks=None, read_only=(), memory_mib=1024, saved=None):
        self.folder = folder
        self.agent = self.monitor = None
        self.silent = False
        self.process = self._start(disks or {}, read_only, memory_mib, ["-S", "-incoming", "defer"] if saved else [])
        try:
            self.monitor = self._connect("monitor")
            self.monitor.line(time.monotonic() + QEMU_DEADLINE, "QMP")
            self.qmp("qmp_capabilities")
            self.agent = self._connect("agent")
            if saved:
                self._go_on_from(saved)
            else:
                self.agent.line(time.monotonic() + BOOT_DEADLINE, "boot")
        except BaseException as e:
            why = f"{e}\n{self.console()}"
            self.close()
            raise GuestError(f"the guest did not come up: {why}") from e

    def path(self, name):
        return os.path.join(self.folder, name)

    def _start(self, disks, read_only, memory_mib, more):
        command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(memory_mib),
                   "-nodefaults", "-display", "none", "-no-reboot", "-no-user-config",
                   "-kernel", f"{IMAGE}/vmlinuz", "-initrd", f"{IMAGE}/initrd",
                   # On a machine that is busy the emulated timer is late, and the kernel would take it for broken, and panic; and two
                   # processors' counters are one, although they seem to differ. What was translated is found again where programs lie at
                   # the same addresses: starting one costs a third then.
                   "-append", "root=/dev/disk/by-id/virtio-root rootfstype=squashfs ro console=ttyS0 quiet panic=-1 no_timer_check "
                              "tsc=reliable norandmaps systemd.show_status=0",
                   "-serial", f"file:{self.path('console')}",
                   "-drive", f"file={IMAGE}/root.squashfs,if=none,id=root,format=raw,readonly=on",
                   "-device", "virtio-blk-pci,drive=root,serial=root",
                   "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
                   "-device", f"qemu-xhci,id=usb,p2={USB2_PORTS},p3={USB3_PORTS}"]
        for name in ("agent", "watch"):
            command += ["-chardev", f"socket,id={name},path={self.path(name)}.sock,server=on,wait=off",
                        "-device", f"virtserialport,chardev={name},name={name}"]
        command += ["-chardev", f"socket,id=monitor,path={self.path('monitor')}.sock,server=on,wait=off", "-mon", "monitor,mode=control"]
        for serial, path in disks.items():
            readonly = "on" if serial in read_only else "off"
            command += ["-drive", f"file={path},if=none,id={serial},format=raw,cache=unsafe,readonly={readonly}",
                        "-device", f"virtio-blk-pci,drive={serial},serial={serial}"]
        command += more
        with open(self.path("qemu.log"), "wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _connect(self, name):
        until = time.monotonic() + QEMU_DEADLINE
        while True:
            try:
                return Channel(self.path(name + ".sock"))
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def watch_channel(self):
        """What is written to /dev/virtio-ports/watch."""
        return self._connect("watch")

    def console(self):
        """What QEMU and the guest's kernel said."""
        text = ""
        for name in ("qemu.log", "console"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), encoding="utf-8", errors="replace") as f:
                    text += "".join(f.readlines()[-40:])
        return text

    def close(self):
        # Nothing in the guest outlives it, so it need not say goodbye.
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for channel in (self.agent, self.monitor):
            if channel:
                channel.sock.close()

    # ---- going on where another one was

    def _wait_migrated(self, what):
        until = time.monotonic() + BOOT_DEADLINE
        while (state := self.qmp("query-migrate").get("status")) != "completed":
            if state == "failed" or time.monotonic() > until:
                raise GuestError(f"{what} a guest did not end: {state}")
            time.sleep(0.02)

    def save(self, path):
        """What it has in memory goes into the file; it stands still from now on. Its disks are the caller's to keep."""
        self.run("sync")
        self.qmp("stop")
        self.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.qmp("migrate", uri=f"exec:cat > {shlex.quote(path)}")
        self._wait_migrated("saving")

    def _go_on_from(self, path):
        # The agent was waiting for a script, and has never known that the other end was another for a while.
        self.qmp("migrate-incoming", uri=f"exec:cat {shlex.quote(path)}")
        self._wait_migrated("resuming")
        self.qmp("cont")
        self.run(f"date -s @{time.time():.3f}", BOOT_DEADLINE)

    # ---- commands in the guest

    def run(self, script, deadline=120, check=True):
        """Runs a bash script as root; what it printed. Its exit status is an error unless check is false."""
        if self.silent:
            raise GuestError(f"the guest stopped to answer before this: {script}")
        self.agent.send(f"{deadline} ".encode() + base64.b64encode(script.encode()) + b"\n")
        until = time.monotonic() + deadline + AGENT_GRACE
        try:
            status, size = self.agent.line(until, script).split()
            output = self.agent.take(int(size), until, script).decode("utf-8", "replace")
        except GuestError:
            # What it says now would be taken for the answer to something else.
            self.silent = True
            raise
        if status in ("124", "137") or (check and status != "0"):
            raise GuestError(f"exit status {status} (124: not done in {deadline} s) in the guest of: {script}\n{output}")
        return output

    def holds(self, script):
        return self.run(f"if {script}\nthen echo yes; fi", check=False).endswith("yes\n")

    def wait(self, condition, what, deadline=120):
        """Until a shell command in the guest succeeds."""
        quoted = shlex.quote(condition)
        status = self.run(f"timeout {deadline} bash -c 'until bash -c \"$1\" >/dev/null 2>&1; do sleep 0.3; done' - {quoted}; echo $?",
                          deadline + 60)
        if status.strip() != "0":
            raise AssertionError(f"waited {deadline} s in vain for {what}")

    # ---- QEMU

    def qmp(self, command, **arguments):
        self.monitor.send(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self.monitor.line(time.monotonic() + QEMU_DEADLINE, command))
            if "error" in answer:
                raise GuestError(f"QEMU: {command} {arguments}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def plug(self, driver, name, port, **properties):
        """Plugs a USB device of QEMU's into a port of the root hub ("3") or of a hub ("1.2")."""
        self.qmp("device_add", driver=driver, id=name, bus="usb.0", port=str(port), **properties)

    def unplug(self, name):
        """USB devices of QEMU's are gone when this returns."""
        self.qmp("device_del", id=name)

    def wait_gone(self, name):
        """Until QEMU has let go of the device: what it was made on is free then."""
        until = time.monotonic() + QEMU_DEADLINE
        while any(entry["name"] == name for entry in self.qmp("qom-list", path="/machine/peripheral")):
            if time.monotonic() > until:
                raise GuestError(f"QEMU does not let go of {name}")
            time.sleep(0.05)
