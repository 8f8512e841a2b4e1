# SPDX-License-Identifier: Apache-2.0
"""The installed Berth in a guest: put there as README.md says, run by its own units, judged from outside of it."""

import json
import os
import tempfile
import time

import tap
from guest import IMAGE, Guest, GuestError, disk

MIB = 1 << 20
STORE = "/srv/berth"
STATE = "/var/lib/berth"

# A disk for the state folder and one for the store.
MAKE_DISKS = """
set -e
for disk in state store; do
        mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 /dev/disk/by-id/virtio-$disk
done
"""
# The kernel writes nothing to the disks before somebody syncs it.
LAZY_DISKS = """
sysctl -q vm.dirty_writeback_centisecs=0 vm.dirty_expire_centisecs=360000
mount() { command mount -o commit=3600 "$@"; }
"""
# What README.md tells the admin.
INSTALL = f"""
set -e
for place in {STATE}:state {STORE}:store; do
        mkdir -p ${{place%:*}}
        mount /dev/disk/by-id/virtio-${{place#*:}} ${{place%:*}}
done
tar -xf /dev/disk/by-id/virtio-berth -C / --no-overwrite-dir
systemd-sysusers
systemd-tmpfiles --create 2>&1
systemctl daemon-reload
systemctl reload dbus
udevadm control --reload
udevadm trigger --type=all --action=add --subsystem-match=usb --subsystem-match=module --settle
chown berth-uplink: {STORE}
chown berth: {STATE}
chmod 700 {STATE}
"""


class GuestDock:
    """`ports` become bays 1, 2, …; settings are text that is added to berthd.conf. With `lazy_disks` a power cut takes all that was not
    synced. The disks `shared`, {serial: path}, are read only."""

    def __init__(self, ports, settings="", lazy_disks=False, shared=None, **options):
        self.scratch = tempfile.TemporaryDirectory(prefix="berth-guest-")
        folder = self.scratch.name
        self.disks = {"berth": f"{IMAGE}/berth.tar", **(shared or {})}
        self.read_only = list(self.disks)
        self.disks.update({name: disk(f"{folder}/{name}", 2048 * MIB) for name in ("state", "store")})
        self.ports, self.settings, self.lazy_disks, self.options = ports, settings, lazy_disks, options
        self.guest = self.watch = None
        self.dock, self.bays, self.cameras = {}, {}, {}
        self.judged = set()
        try:
            self.boot(make_disks=True)
        except BaseException as e:
            why = f"{e}\n{self.journal()}"
            self.close()
            raise GuestError(f"Berth does not run in the guest: {why}") from e

    def boot(self, make_disks=False, start=True):
        """From cold, on the disks as they are."""
        self.guest = Guest(self.scratch.name, self.disks, read_only=self.read_only, **self.options)
        self.redirects = False
        if make_disks:
            self.guest.run(MAKE_DISKS, 240)
        self.guest.run((LAZY_DISKS if self.lazy_disks else "") + INSTALL, 400)
        self.configure(self.ports, self.settings)
        if start:
            self.start()

    def start(self):
        self.guest.run("systemctl enable --now berth-uplink.socket berthd", 120)
        self._start_watch()

    def cut_power(self):
        """What the guest had not given to its disks is gone; boot() is next."""
        if self.watch:
            self.watch.sock.close()
            self.watch = None
        self.dock, self.bays, self.cameras = {}, {}, {}
        self.guest.close()

    def close(self):
        if self.watch:
            self.watch.sock.close()
        if self.guest:
            self.guest.close()
        self.scratch.cleanup()

    def configure(self, ports, settings=""):
        """Writes berthd's settings; it reads them at its next start."""
        self.ports = list(ports)
        text = "[dock]\nname = guest\n[spool]\nreserve = 16M\npriority_reserve = 0\n[timeouts]\n"
        text += "backoff_min = 500ms\nbackoff_max = 5s\n" + settings
        text += "".join(f"[bay {port}]\nnumber = {number}\n" for number, port in enumerate(self.ports, 1))
        self.put("/etc/berth/berthd.conf", text)
        self.put("/etc/berth/uplink.conf", f"[uplink]\npeer_user = berth\n[store]\ntype = dir\npath = {STORE}\n")

    def put(self, path, text):
        self.guest.run(f"cat > {path} <<'END_OF_FILE'\n{text}\nEND_OF_FILE")

    def restart(self):
        self.guest.run("systemctl restart berthd")
        self.bays.clear()
        self._follow(lambda: self.dock.get("state") == "running" and len(self.bays) == len(self.ports), "berthd to be back")

    # ---- what berthctl tells, as it changes

    def _start_watch(self):
        self.watch = self.guest.watch_channel()
        self.guest.run("systemd-run --quiet --unit=watch --property=StandardOutput=file:/dev/virtio-ports/watch berthctl watch --json")
        self._follow(lambda: len(self.bays) == len(self.ports), "all bays to be seen")

    def _take(self, change):
        if change["change"] == "dock":
            self.dock = change["dock"]
        elif change["change"] == "bay":
            self.bays[change["bay"]["number"]] = change["bay"]
        elif change["change"] == "camera":
            self.cameras[change["camera"]["serial"]] = change["camera"]
        elif change["change"] == "daemon-gone":
            self.dock = {}

    def _follow(self, predicate, what, deadline=120):
        until = time.monotonic() + deadline
        while not predicate():
            try:
                self._take(json.loads(self.watch.line(until, what)))
            except GuestError:
                bays = [b for b in self.bays.values() if b["state"] != "empty"]
                raise AssertionError(f"waited {deadline} s in vain for {what}; the dock is {self.dock}, and its bays {bays}") from None

    def wait(self, predicate, what, deadline=120):
        """Until the predicate holds for what berthctl has told: self.dock, self.bays, self.cameras."""
        self._follow(predicate, what, deadline)

    def wait_state(self, number, *states, deadline=180):
        self._follow(lambda: self.bays[number]["state"] in states, f"bay {number} to be {' or '.join(states)}", deadline)
        return self.bays[number]

    # ---- what there is to judge

    def ctl(self, *arguments):
        return json.loads(self.guest.run("berthctl --json " + " ".join(arguments)))

    def events(self, kind, serial=None):
        events = [e["event"] for e in self.ctl("log", "-n", "0", *([f"--camera={serial}"] if serial else []))["events"]]
        return [e for e in events if e["event"] == kind]

    def clips(self, serial):
        return self.ctl("clips", "--max=0", f"--camera={serial}")["clips"]

    def manifests(self, serial):
        """Of a camera's clips, each checked by the guest's own sha256sum over the object that it names."""
        text = self.guest.run(f"cd {STORE}/manifests && find . -name '*.json' -exec cat {{}} + -exec echo \\;")
        manifests, decoder, at = [], json.JSONDecoder(), 0
        while text[at:].strip():
            at += len(text[at:]) - len(text[at:].lstrip())
            manifest, end = decoder.raw_decode(text, at)
            manifests.append(manifest)
            at = end
        mine = [m for m in manifests if m["serial"] == serial]
        if not mine:
            return []
        sums = self.guest.run(f"cd {STORE} && sha256sum -- " + " ".join(f"'{m['object']}'" for m in mine), 300)
        digests = dict(reversed(line.split("  ", 1)) for line in sums.splitlines())
        for m in mine:
            assert digests[m["object"]] == m["sha256"], f"{m['object']} has not the digest that its manifest names"
        return mine

    def stored(self, serial):
        """{path: sha256} of what the store has whole of a camera."""
        found = {}
        for m in self.manifests(serial):
            if m["facts"]["partial"]:
                continue
            assert m["path"] not in found, f"two manifests of {serial} name {m['path']}"
            found[m["path"]] = m["sha256"]
        return found

    def kept_in_part(self, serial):
        """{path: (sha256, missing)} of what could be read of clips that the medium did not give whole."""
        return {m["path"]: (m["sha256"], m["facts"]["partial"]["missing"]) for m in self.manifests(serial) if m["facts"]["partial"]}

    def judge(self, serial, digests):
        """The store has exactly these files of the camera, with these digests, and the log says that each was erased."""
        found = self.stored(serial)
        assert found == digests, f"of {serial} the store has {found}, the camera had {digests}"
        erased = {e["path"] for e in self.events("erased", serial)}
        assert erased == set(digests), f"of {serial} the log says that {sorted(erased)} were erased"

    def journal(self, lines=160):
        """What Berth, udev and the kernel said last, in the order in which they did, and what is on the bus."""
        if not self.guest or not self.guest.agent:
            return ""
        units = ("berthd", "berth-uplink", "systemd-udevd")
        told = " + ".join(["UNIT=berthd.service", "_TRANSPORT=kernel", *(f"_SYSTEMD_UNIT={unit}.service" for unit in units)])
        try:
            return self.guest.run(f"journalctl -b --no-pager -o short-monotonic -n {lines} {told};"
                                  "systemctl --no-pager -n 0 status berthd berth-uplink; lsusb -t; ls -l /dev/bus/usb/*/*", check=False)
        except (GuestError, OSError) as e:
            return f"{e}\n{self.guest.console()}"


def main(ports, settings="", prepare=None, **options):
    """TAP over the tests of the program, which take the one dock that it boots; what a failing one left in the journal is shown."""
    started = time.monotonic()
    dock = GuestDock(ports, settings, **options)
    print(f"# the guest took {time.monotonic() - started:.0f} s to boot and to install Berth", flush=True)

    def tell():
        print("".join(f"# {line}\n" for line in dock.journal().splitlines()), flush=True)
    try:
        if prepare:
            try:
                prepare(dock)
            except Exception:
                tell()
                raise
        tap.main(dock, on_failure=tell)
    finally:
        dock.close()
