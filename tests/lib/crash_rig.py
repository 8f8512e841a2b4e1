# SPDX-License-Identifier: Apache-2.0
"""A dock that is ended at a crash point, brought up again, and must then come to the same end as any other; and the comparison.

A Scenario is a way through the dock's work. Rig.run() plays one with a point armed: whoever dies is started again, until the scenario has
come to its end. Both when it died and at the end, what the simulated camera generated is compared with what there is.
"""

import hashlib
import os
import shutil
import signal
import subprocess

import rack
from crash_points import CrashFile

MIB = 1 << 20
# Several docks at a time share a small machine.
DEADLINE = 240
TIMEOUTS = {"backoff_min": "100ms", "backoff_max": "200ms", "reconcile": "1s"}


class Rig:
    """One dock, in the simulator, that is made anew for each run. Cameras are named after the run."""

    def __init__(self, sim, folder, port="1-1.1", make_place=None):
        self.sim, self.folder, self.port, self.make_place = sim, folder, port, make_place
        self.number = 0
        self.dock = rack.Dock(folder, [port], timeouts=TIMEOUTS)
        self.file = None
        self.camera = self.serial = None
        self.made = {}  # {path: [sha256 of each content that the camera had under it]}
        self.source = None  # what has the footage instead of a simulated camera: paths that are still there
        self.unstored_erase = False  # somebody ordered an erase of what the store has not: then the spool has it
        self.power = False

    # ---- the scenarios' words

    def new_camera(self, clips):
        self.sim("camera", name=self.camera, type="ptp", serial=self.serial, model="BC-1", clips=clips)
        self.note_content()

    def note_content(self):
        for path, digest in rack.sha256_of(self.sim("state", camera=self.camera, sha256=True)).items():
            if digest not in self.made.setdefault(path, []):
                self.made[path].append(digest)

    def plug(self):
        self.sim("plug", camera=self.camera, port=self.port)

    def unplug(self):
        self.sim("unplug", camera=self.camera)

    def on_camera(self):
        if self.source:
            return self.source()
        return {clip["path"] for clip in self.sim("state", camera=self.camera)["clips"]}

    def wait(self, predicate, what):
        """With whoever died started again, and the comparison made at that moment."""

        def turn():
            self.revive()
            return predicate()

        return self.dock.wait(turn, what, DEADLINE)

    def wait_ready(self):
        self.wait(lambda: self.dock.owned(rack.NAME) and not self.on_camera() and self.dock.state_of(1) == "ready", "the bay to be ready")

    def wait_store(self):
        self.wait(lambda: self.dock.owned(rack.NAME) and self.dock.manager().get("StoreState") == "ready", "the store to be ready")

    def order(self, *words):
        """By berthctl; whether it was carried out."""
        return self.berthctl(*words).returncode == 0

    def berthctl(self, *words):
        """It passes no crash points: it is not one of the three processes."""
        environment = {name: value for name, value in os.environ.items() if name not in self.file.env}
        return subprocess.run([f"{rack.BUILD}/berthctl", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False, env=environment)

    def wait_event(self, kind):
        self.wait(lambda: self.dock.events(kind), f"the event {kind}")

    def set_reserve(self, text):
        self.dock.config["reserve"] = text
        self.dock.write_config()

    def configure(self, extra="", **config):
        """Of this run alone."""
        self.dock.config.update(config)
        self.dock.write_config(extra)

    def recover(self):
        """`berthctl recover`, again until it comes to its end, of a dock whose processes have ended."""
        self.dock.daemon = self.dock.uplink = None
        for _ in range(8):
            done = subprocess.run([f"{rack.BUILD}/berthd", "--config", self.dock.path("berthd.conf"), "--recover"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            assert done.returncode == -9, f"the recovery ended with {done.returncode}: {done.stdout}{done.stderr}"
            self.revive()
            self.compare()
        raise AssertionError("the recovery does not come to its end")

    def stop(self):
        """An orderly end of both; whoever is ended on the way starts again, and is asked again."""
        for _ in range(2):
            # Not before they mind signals: the bus may have the name of one that was ended for another moment.
            self.wait(lambda: self.dock.owned(rack.NAME), "berthd on the bus")
            self.wait(lambda: all(minds(p.pid, signal.SIGTERM) for p in (self.dock.daemon, self.dock.uplink)), "both to mind signals")
            ended = [self.dock.daemon.end(), self.dock.uplink.end()]
            if ended == [0, 0]:
                return
            assert set(ended) <= {0, -9}, f"berthd and berth-uplink ended with {ended}"
            self.compare()
            self.dock.start_uplink()
            self.dock.start_daemon(wait=False)
        raise AssertionError("berthd and berth-uplink do not end")

    def start(self, uplink=True):
        if uplink:
            self.dock.start_uplink()
        self.dock.start_daemon(wait=False)

    # ---- dying and coming back

    def revive(self):
        d = self.dock
        daemon_died = d.daemon is not None and not d.daemon.running()
        uplink_died = d.uplink is not None and not d.uplink.running()
        if not daemon_died and not uplink_died:
            return
        for name, process, died in (("berthd", d.daemon, daemon_died), ("berth-uplink", d.uplink, uplink_died)):
            assert not died or process.child.returncode == -9, f"{name} ended with {process.child.returncode}"
        if self.power:
            # The power fails for everybody; the workers went with berthd.
            for process in (d.daemon, d.uplink):
                if process is not None and process.running():
                    process.child.kill()
                    process.child.wait()
            daemon_died, uplink_died = d.daemon is not None, d.uplink is not None
        self.compare()
        if uplink_died:
            d.start_uplink()
        if daemon_died:
            d.start_daemon(wait=False)

    # ---- judging

    def compare(self):
        """Everything that the camera generated is on it, or in the store by a manifest with the right bytes. (On the way there it is in the
        spool, too, but nothing may leave the camera for the spool alone, unless somebody ordered that.)"""
        stored = self.dock.stored()
        spooled = self.spooled() if self.unstored_erase else set()
        left = self.on_camera()
        for path, digests in self.made.items():
            if path not in left:
                assert digests[-1] in stored.get((self.serial, path), []) or digests[-1] in spooled, \
                    f"{path} is gone from the camera and not in the store"
        for (serial, path), digests in stored.items():
            assert serial == self.serial and set(digests) <= set(self.made.get(path, [])), f"the store has {path} with other bytes"
            assert len(digests) == len(set(digests)), f"the store has {path} twice"

    def spooled(self):
        """Digests of what lies in the spool, computed."""
        found, place = set(), os.path.join(self.dock.state, "spool")
        for name in os.listdir(place):
            if name.endswith(".clip"):
                with open(os.path.join(place, name), "rb") as f:
                    found.add(hashlib.sha256(f.read()).hexdigest())
        return found

    def check_license(self):
        """No erase without a receipt of strength `digest` for the same bytes, or an order, and its beginning on record before it."""
        receipted, begun, digests = {}, set(), {}
        for e in self.dock.events():
            if e["event"] in ("copied", "clip-recovered"):
                digests[e["clip_id"]] = e["digest"]
            elif e["event"] == "receipted":
                receipted[e["clip_id"]] = e
            elif e["event"] == "erase-begun":
                r = receipted.get(e["clip_id"])
                licensed = r and r["strength"] == "digest" and r["digest"] == digests[e["clip_id"]]
                assert licensed or self.unstored_erase and "order_seq" in e, f"erase begun without a receipt: {e}"
                begun.add(e["clip_id"])
            elif e["event"] == "erased":
                assert e["clip_id"] in begun, f"erased without its beginning on record: {e}"

    def check_end(self, contents=None, stays=()):
        """Stored once, with its bytes, and nothing else is left anywhere. contents: "kept" when something was set aside; stays: the paths
        that the source still has."""
        stored = self.dock.stored()
        for path, digests in self.made.items():
            there = stored.get((self.serial, path))
            assert there == digests[-1:], f"{path}: the store has {there}, not {digests[-1:]}"
        assert len(stored) == len(self.made)
        assert len(self.dock.objects()) == len(self.made), f"{len(self.dock.objects())} objects for {len(self.made)} clips"
        assert self.on_camera() == set(stays), f"{self.on_camera()} is on the camera, not {stays}"
        self.check_license()
        self.tidy()
        self.dock.check_chain()
        self.dock.check_evidence()
        assert self.dock.rows("PRAGMA integrity_check") == [("ok",)]
        assert os.listdir(os.path.join(self.dock.state, "incoming")) == [], "something is left in incoming/"
        assert os.listdir(os.path.join(self.dock.state, "kept")) == [] or contents == "kept", "something was set aside"
        self.check_spool()

    def leftovers(self):
        """Parts of clips that are not to be read any more."""
        wanted = {f"{row[0]}.part" for row in self.dock.rows("SELECT id FROM clips WHERE state IN ('seen', 'copying')")}
        return set(os.listdir(os.path.join(self.dock.state, "parts"))) - wanted

    def tidy(self):
        """What nobody goes on with is looked at by the next start, which says on record what becomes of it."""
        left = self.leftovers()
        if not left:
            return
        self.start()
        self.wait(lambda: not self.leftovers(), f"parts/{left} to be removed or kept")
        self.stop()
        told = {e["name"] for kind in ("part-removed", "file-kept") for e in self.dock.events(kind)}
        assert {f"parts/{name}" for name in left} <= told, f"no event tells what became of {left}"

    def check_spool(self):
        known = {row[0] for row in self.dock.rows("SELECT spool_name FROM clips WHERE spool_name IS NOT NULL")}
        there = os.listdir(os.path.join(self.dock.state, "spool"))
        wanted = known | {name.replace(".clip", ".json") for name in known}
        assert set(there) == wanted, f"spool/ holds {there}, and the facts name {known}"
        for name, digest in self.dock.rows("SELECT spool_name, digest FROM clips WHERE spool_name IS NOT NULL"):
            with open(os.path.join(self.dock.state, "spool", name), "rb") as f:
                assert hashlib.sha256(f.read()).digest() == digest, f"spool/{name} has other bytes than its fact"

    # ---- one run

    def run(self, scenario, armed=(), power=False):
        """Plays a scenario with each (label, at) armed after the one before has ended a process. Returns what was passed, in order, and
        whether all of them ended one."""
        self.number += 1
        d = self.dock
        place = os.path.join(self.folder, f"run{self.number}")
        d.state, d.store = os.path.join(place, "state"), os.path.join(place, "store")
        os.makedirs(d.state)
        os.makedirs(d.store)
        if self.make_place:
            d.place = self.make_place(self.number)
        d.config = {"timeouts": TIMEOUTS}
        shutil.rmtree(d.path("cameras.d"), ignore_errors=True)
        self.source, self.unstored_erase = None, False
        self.set_reserve("16M")
        for log in ("berthd.log", "uplink.log"):
            open(d.path(log), "w", encoding="ascii").close()
        self.camera, self.serial, self.made = f"k{self.number}", f"SN-k{self.number}", {}
        self.power = power
        self.file = CrashFile(d.path("crash-points"))
        d.daemon_env = dict(self.file.env)
        os.environ.update(self.file.env)
        waiting = list(armed)

        def arm_next():
            label, at = waiting.pop(0) if waiting else ("", 1)
            self.file.arm(label, at)

        revive = self.revive

        def revive_and_arm():
            if self.file.fired() and waiting:
                # The dead are counted before the next one is armed.
                d.wait(lambda: not os.path.exists(f"/proc/{self.file.fired()}") or is_zombie(self.file.fired()), "the process to be dead")
                arm_next()
            revive()

        self.revive = revive_and_arm
        try:
            arm_next()
            scenario.play(self)
            fired = not waiting and (not armed or self.file.fired() != 0)
            passed = self.file.passed()
            self.unplug_if_in()
        except Exception:
            for process in (d.daemon, d.uplink):
                if process is not None and process.running():
                    process.child.kill()
                    process.child.wait()
            self.unplug_if_in()
            raise
        finally:
            self.revive = revive
            self.file.close()
            d.daemon = d.uplink = None
        shutil.rmtree(place)
        return passed, fired

    def unplug_if_in(self):
        for camera in self.sim("list")["cameras"]:
            if camera["port"] == self.port:
                self.sim("unplug", camera=camera["camera"])

    def close(self):
        self.dock.close()


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def minds(pid, sig):
    """Is the signal one that a process catches, or reads when it likes?"""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            masks = [int(line.split()[1], 16) for line in f if line.startswith(("SigBlk:", "SigCgt:"))]
    except OSError:
        return False
    return any(mask >> (sig - 1) & 1 for mask in masks)


class Scenario:
    """A way through the dock's work. `first` are crashes that make it what it is: (label, at)."""

    def __init__(self, name, play, first=()):
        self.name, self.play, self.first = name, play, tuple(first)


def spread(labels, limit):
    """At most `limit` of a point's passes: the first, the last, and some between."""
    if labels <= limit:
        return list(range(1, labels + 1))
    return sorted({1 + k * (labels - 1) // (limit - 1) for k in range(limit)}) if limit > 1 else [1]
