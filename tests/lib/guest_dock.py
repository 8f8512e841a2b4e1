# SPDX-License-Identifier: Apache-2.0
"""The installed Berth in a guest: put there as README.md says, run by its own units, judged from outside of it."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid

import guest
import tap
from guest import IMAGE, Guest, GuestError, disk

MIB = 1 << 20
STORE = "/srv/berth"
STATE = "/var/lib/berth"

# The disks: what is to be installed, an archive that fits into so many MiB; one for the state folder and one for the store.
ARCHIVE, ARCHIVE_MIB = "berth", 64
WRITABLE, DISK_MIB = ("state", "store"), 2048
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
# Under names of their own, so that a test can make them fail.
MAP_DISKS = """
set -e
modprobe -a dm_mod dm_flakey
for disk in state store; do
        device=$(readlink -f /dev/disk/by-id/virtio-$disk)
        dmsetup create $disk --table "0 $(blockdev --getsz $device) linear $device 0"
done
udevadm settle
"""
MOUNT = f"""
set -e
for place in {STATE}:state {STORE}:store; do
        disk=/dev/mapper/${{place#*:}}
        [ -b $disk ] || disk=/dev/disk/by-id/virtio-${{place#*:}}
        mkdir -p ${{place%:*}}
        mount $disk ${{place%:*}}
done
"""
# What README.md tells the admin of a system without Debian's packages.
UNPACK = """
tar -xf /dev/disk/by-id/virtio-berth -C / --no-overwrite-dir
# The worst that can happen: udev, which looks at its folder whenever a device comes, reads the rules before their group is there.
# Told to read them again, it does not: they have not changed.
udevadm control --reload
systemd-sysusers
systemd-tmpfiles --create 2>&1
systemctl daemon-reload
systemctl reload dbus
udevadm control --reload
udevadm trigger --type=all --action=add --subsystem-match=usb --subsystem-match=module --settle
"""
# What the packages do by themselves.
GIVE_STATE = f"""
chown berth: {STATE}
chmod 700 {STATE}
"""
# What it tells the others.
APT = """
mkdir -p /opt/packages
tar -xf /dev/disk/by-id/virtio-berth -C /opt/packages
DEBIAN_FRONTEND=noninteractive apt-get -q -y install /opt/packages/berth_*.deb
"""
GIVE_STORE = f"chown berth-uplink: {STORE}\n"
# A guest that goes on from a saved one has that one's boot id. After a power cut berthd is to find another one; in a /proc of its own.
# It is given one: the next that it would draw itself is the saved one's, too.
NEW_BOOT_ID = """
echo {boot_id} > /run/boot_id
mkdir -p /run/systemd/system/berthd.service.d
printf '[Service]\\nBindReadOnlyPaths=/run/boot_id:/proc/sys/kernel/random/boot_id\\n' > /run/systemd/system/berthd.service.d/boot_id.conf
systemctl daemon-reload
"""


def slow_after(size):
    """Limits of QEMU's for a disk: so many bytes are read at once; from then on, for as long as it takes, it is next to standing still, and
    no dock gives it up."""
    return {"bps-read": 64 * 1024, "bps-read-max": size}


def make_disks(folder, archive=None):
    """{serial: path}: the archive, on a disk of one size whatever is in it, and two that are empty."""
    if archive:
        shutil.copyfile(archive, f"{folder}/{ARCHIVE}")
    sizes = {ARCHIVE: ARCHIVE_MIB, **dict.fromkeys(WRITABLE, DISK_MIB)}
    return {name: disk(f"{folder}/{name}", size * MIB) for name, size in sizes.items()}


class Saved:
    """A guest that others go on from instead of booting: one that has booted and looked at nothing on its disks or, with a `base`, what the
    script made of that one. It is kept beside the guest's image, for as long as nothing changes of what it is made of."""

    def __init__(self, name, base=None, script="", archive=None):
        self.base, self.script, self.archive = base, script, archive
        self.folder = f"{IMAGE}/{name}"

    def _key_now(self):
        key = hashlib.sha256((self.base.key() if self.base else "").encode() + self.script.encode())
        for path in filter(None, (IMAGE + "/key", guest.__file__, __file__, self.archive)):
            with open(path, "rb") as f:
                key.update(f.read())
        key.update(subprocess.run(["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE, check=True).stdout)
        return key.hexdigest()

    def _make(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        disks = make_disks(self.folder, self.archive)
        with tempfile.TemporaryDirectory(prefix="berth-saved-") as scratch:
            first = self.base.resume(scratch, disks) if self.base else Guest(scratch, disks, read_only=[ARCHIVE])
            try:
                # What is on disks that are in no use is nothing that it remembers.
                first.run(f"{self.script}\nfor name in {' '.join(disks)}; do blockdev --flushbufs /dev/disk/by-id/virtio-$name; done", 400)
                first.save(f"{self.folder}/memory")
            finally:
                first.close()

    def key(self):
        """Of the saved guest, which is made when there is none, or an older one."""
        key = self._key_now()
        try:
            with open(self.folder + "/key", encoding="utf-8") as f:
                made = f.read() == key
        except FileNotFoundError:
            made = False
        if not made:
            self._make()
            with open(self.folder + "/key", "w", encoding="utf-8") as f:
                f.write(key)
        return key

    def resume(self, folder, disks):
        """A guest with its files in the folder."""
        return Guest(folder, disks, read_only=[ARCHIVE], saved=f"{self.folder}/memory")


# The system alone; with Berth, as README.md says it for those without Debian's packages; and with file systems on its disks.
BOOTED = Saved("booted")
UNPACKED = Saved("unpacked", BOOTED, UNPACK, f"{IMAGE}/berth.tar")
FORMATTED = Saved("formatted", UNPACKED, MAKE_DISKS, f"{IMAGE}/berth.tar")


def resume(saved, folder, disks, as_they_are=False):
    """A guest that goes on from the saved one, with what that one had on its disks; or with what is on these, of which it knows nothing."""
    with open(IMAGE + "/saved.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        saved.key()
        for name in () if as_they_are else WRITABLE:
            subprocess.run(["cp", "--sparse=always", f"{saved.folder}/{name}", disks[name]], check=True)
        return saved.resume(folder, disks)


class GuestDock:
    """`ports` become bays 1, 2, …; settings are text that is added to berthd.conf. With `lazy_disks` a power cut takes all that was not
    synced; with `mapped_disks` they are device-mapper's "state" and "store". The disks `shared`, {serial: path}, are read only. `packages`
    is an archive of Debian packages to install Berth from. Without `start` it is installed, and start() is the test's to call; where
    `settings` are None, describing the rack and its store is, too."""

    def __init__(self, ports, settings="", lazy_disks=False, mapped_disks=False, shared=None, packages=None, start=True, disk_mib=DISK_MIB):
        self.scratch = tempfile.TemporaryDirectory(prefix="berth-guest-")
        folder = self.scratch.name
        self.packages, self.shared = packages, shared or {}
        self.disks = make_disks(folder, packages or f"{IMAGE}/berth.tar")
        self.ports, self.settings, self.lazy_disks, self.mapped_disks = ports, settings, lazy_disks, mapped_disks
        self.guest = self.watch = None
        self.dock, self.bays, self.cameras = {}, {}, {}
        self.begun = 0  # how often berthctl has told that berthd is there
        try:
            if shared:
                self._boot(f"{UNPACK}\n{MAKE_DISKS}")
            elif packages:
                self.guest = resume(BOOTED, folder, self.disks)
                self._grow_disks(disk_mib)
                self.guest.run(MAKE_DISKS, 240)
            else:
                self.guest = resume(FORMATTED, folder, self.disks)
            self._set_up(start)
        except BaseException as e:
            why = f"{e}\n{self.journal()}"
            self.close()
            raise GuestError(f"Berth does not run in the guest: {why}") from e

    def _boot(self, script):
        self.guest = Guest(self.scratch.name, {**self.disks, **self.shared}, read_only=[ARCHIVE, *self.shared])
        self.guest.run(script, 400)

    def _grow_disks(self, mib):
        for name in WRITABLE if mib != DISK_MIB else ():
            self.guest.qmp("block_resize", device=name, size=mib * MIB)
            self.guest.wait(f'[ "$(blockdev --getsize64 /dev/disk/by-id/virtio-{name})" = {mib * MIB} ]', f"the {name} disk to grow")

    def boot_again(self, cold):
        """After a power cut, on the disks as they are: from cold, or where a guest has just booted and has not looked at any disk."""
        if cold:
            self._boot(UNPACK)
        else:
            self.guest = resume(UNPACKED, self.scratch.name, self.disks, as_they_are=True)
            self.guest.run(NEW_BOOT_ID.format(boot_id=uuid.uuid4()))
        self._set_up(start=False)

    def _set_up(self, start):
        self.redirects = False
        if self.mapped_disks:
            self.guest.run(MAP_DISKS)
        self.guest.run((LAZY_DISKS if self.lazy_disks else "") + MOUNT + (APT if self.packages else GIVE_STATE), 400)
        if self.settings is not None:
            self.guest.run(GIVE_STORE)
            self.configure(self.ports, self.settings)
        if start:
            self.start()

    def start(self):
        self.guest.run("systemctl enable --now berthd", 120)
        self.follow()

    def cut_power(self):
        """What the guest had not given to its disks is gone; boot_again() is next."""
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

    def restart(self, script="systemctl restart berthd"):
        """Until the berthd that this script starts tells of all bays. What the one before told last may not have been read yet."""
        before = self.begun
        self.guest.run(script, 240)
        self._follow(lambda: self.begun > before, "berthd to be back")
        self.dock, self.bays = {}, {}
        self._follow(lambda: self.dock.get("state") == "running" and len(self.bays) == len(self.ports), "berthd to tell of its bays")

    # ---- what berthctl tells, as it changes

    def follow(self):
        """From now on self.dock, self.bays and self.cameras are what berthctl tells."""
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
        elif change["change"] == "daemon-back":
            self.begun += 1
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

    def wait_asking(self, question, what, deadline=120):
        """Until the answer is yes, for what berthctl watch does not tell: question() asks the guest each time."""
        until = time.monotonic() + deadline
        while not question():
            if time.monotonic() > until:
                raise AssertionError(f"waited {deadline} s in vain for {what}")
            time.sleep(0.3)  # asking costs an emulated machine much

    def wait_state(self, number, *states, deadline=180):
        self._follow(lambda: self.bays[number]["state"] in states, f"bay {number} to be {' or '.join(states)}", deadline)
        return self.bays[number]

    # ---- what there is to judge

    def ctl(self, *arguments):
        return json.loads(self.guest.run("berthctl --json " + " ".join(arguments)))

    def events(self, kind, serial=None):
        events = [e["event"] for e in self.ctl("log", "-n", "0", *([f"--camera={serial}"] if serial else []))["events"]]
        return [e for e in events if e["event"] == kind]

    def said(self, *options):
        """From the guest's journal, which gets what a process said some time after it said it."""
        return self.guest.run("journalctl --sync; journalctl -b --no-pager " + " ".join(options))

    def clips(self, serial):
        return self.ctl("clips", "--max=0", f"--camera={serial}")["clips"]

    def manifests(self, *serials):
        """Of the cameras' clips, each checked by the guest's own sha256sum over the object that it names."""
        # The first clip that is stored makes the folder: a power cut before has left none.
        text = self.guest.run(f"cd {STORE} && if [ -d manifests ]; then find manifests -name '*.json' -exec cat {{}} +; fi")
        manifests, decoder, at = [], json.JSONDecoder(), 0
        while text[at:].strip():
            at += len(text[at:]) - len(text[at:].lstrip())
            manifest, end = decoder.raw_decode(text, at)
            manifests.append(manifest)
            at = end
        mine = [m for m in manifests if m["serial"] in serials]
        if not mine:
            return []
        sums = self.guest.run(f"cd {STORE} && sha256sum -- " + " ".join(f"'{m['object']}'" for m in mine), 300)
        digests = dict(reversed(line.split("  ", 1)) for line in sums.splitlines())
        for m in mine:
            assert digests[m["object"]] == m["sha256"], f"{m['object']} has not the digest that its manifest names"
        return mine

    def stored_of_each(self, serials):
        """{serial: {path: sha256}} of what the store has whole of the cameras."""
        found = {serial: {} for serial in serials}
        for m in self.manifests(*serials):
            if m["facts"]["partial"]:
                continue
            mine = found[m["serial"]]
            assert m["path"] not in mine, f"two manifests of {m['serial']} name {m['path']}"
            mine[m["path"]] = m["sha256"]
        return found

    def stored(self, serial):
        return self.stored_of_each([serial])[serial]

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
            return self.guest.run(f"journalctl --sync; journalctl -b --no-pager -o short-monotonic -n {lines} {told};"
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
