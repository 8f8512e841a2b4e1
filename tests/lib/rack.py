# SPDX-License-Identifier: Apache-2.0
"""A simulated rack with a whole dock in it, for tests and the demo.

A program that calls enter() runs itself anew inside berth-sim's namespace, where /dev, /sys and /run are simulated. There it
starts a private system bus, a stand-in for timedate1, berth-uplink with a `dir` store and berthd, all in one scratch
folder, and drives the cameras over the simulator's socket. Nothing sleeps: Dock.wait() turns on the bus's signals, with a
deadline. Only processes that were started here are ended.
"""

import hashlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

import custody_events
import evidence_files
import gi
import timedated

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
SRC = os.environ.get("BERTH_SRC", os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))
NAME = "org.berth.Dock1"
ROOT = "/org/berth/Dock1"

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy>
</busconfig>
"""


def enter(hubs="1-1:7,1-2:7", options=()):
    """Runs this program inside the simulator, unless it is there already."""
    if "BERTH_SIM_SOCKET" in os.environ:
        return
    sim = os.path.join(BUILD, "berth-sim")
    os.execv(sim, [sim, "--hubs", hubs, *options, "--", "/usr/bin/python3"] + [os.path.abspath(sys.argv[0])] + sys.argv[1:])


class SimError(Exception):
    pass


class Sim:
    """The simulator's control socket. Cameras of one test are not those of another: their names get its prefix."""

    def __init__(self):
        self.prefix = ""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["BERTH_SIM_SOCKET"])
        self.file = self.sock.makefile("rb")

    def __call__(self, cmd, **args):
        for key in ("name" if cmd == "camera" else "camera", "storage", "as"):
            if args.get(key) is not None:
                args[key] = self.prefix + args[key]
        self.sock.sendall(json.dumps({"cmd": cmd, **args}).encode() + b"\n")
        answer = json.loads(self.file.readline())
        if not answer.get("ok"):
            raise SimError(f"{cmd} {args}: {answer.get('error')}")
        return answer


class Process:
    """A child with its output in a file."""

    def __init__(self, argv, log, env=None, preload=None):
        self.log_path = log
        environment = dict(os.environ, **(env or {}))
        if preload:
            environment["LD_PRELOAD"] = preload
        with open(log, "ab") as out:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child.poll() is None

    def end(self, sig=signal.SIGTERM, deadline=120):
        if self.running():
            self.child.send_signal(sig)
        try:
            return self.child.wait(deadline)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"process {self.child.args[0]} did not end within {deadline} s of signal {sig}")

    def output(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()


def children(pid):
    """Pids of the direct children of a process."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(entry))
        except (OSError, IndexError, ValueError):
            pass
    return found


class S3Place:
    """A prefix in a bucket, as a dock's store. `store` is an rgw.Rgw."""

    def __init__(self, store, bucket, prefix, endpoint=None, **settings):
        self.store, self.bucket, self.prefix = store, bucket, prefix
        self.values = {"endpoint": endpoint or store.endpoint, "bucket": bucket, "prefix": prefix, **settings}

    def settings(self, folder):
        keys = os.path.join(folder, "keys")
        with open(keys, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write(self.store.credentials())
        return f"[store]\ntype = s3\ncredentials = {keys}\n" + "".join(f"{key} = {value}\n" for key, value in self.values.items())

    def keys(self, below):
        return [key.removeprefix(self.prefix + "/") for key in self.store.keys(self.bucket, f"{self.prefix}/{below}/")]

    def get(self, key):
        return self.store.get(self.bucket, f"{self.prefix}/{key}")


class TusPlace:
    """A tus server, as a dock's store. `store` is a tus_server.TusServer. Objects are those that are whole."""

    def __init__(self, store, endpoint=None, **settings):
        self.store = store
        self.values = {"url": f"{endpoint or store.origin}/files", **settings}

    def settings(self, folder):
        del folder
        return "[store]\ntype = tus\n" + "".join(f"{key} = {value}\n" for key, value in self.values.items())

    def keys(self, below):
        told = {key: self.store.told(key) for key in self.store.uploads()}
        return [key for key, t in told.items() if t["metadata"].get("name", "").startswith(below + "/") and self.store.is_whole(key)]

    def get(self, key):
        body, status = self.store.curl(key)
        assert status == 200, f"{key}: {status}"
        return body


# What a dock of a test may be told; another name would be believed and do nothing.
KNOWN = {"store", "place", "dock", "reserve", "priority_reserve", "keep", "policy", "timeouts", "lights", "led", "models_dir", "plugin_dir",
         "uplink", "transfers", "limit", "worker"}


class Dock:
    """berthd with its surroundings, in a scratch folder of its own."""

    def __init__(self, folder, bays, synchronised=True, **config):
        unknown = set(config) - KNOWN
        assert not unknown, f"a dock has no {', '.join(sorted(unknown))}"
        self.folder = folder
        self.bays = bays  # port paths; bay numbers count from 1
        self.state = os.path.join(folder, "state")
        self.store = config.pop("store", os.path.join(folder, "store"))
        self.place = config.pop("place", None)  # an S3Place or a TusPlace, instead of the folder
        self.config = config
        self.daemon = self.uplink = None
        self.preload = None
        self.daemon_env = {}
        self.synchronised = synchronised
        os.makedirs(self.state, exist_ok=True)
        os.makedirs(self.store, exist_ok=True)
        os.makedirs(os.path.join(folder, "uplink-state"), exist_ok=True)
        self._start_bus(synchronised)
        self.write_config()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    # ---- surroundings

    def _start_bus(self, synchronised):
        address = self.path("bus")
        with open(self.path("bus.conf"), "w", encoding="ascii") as f:
            f.write(BUS_CONFIG.format(socket=address))
        with open(self.path("bus.log"), "ab") as log:
            self.bus_process = subprocess.Popen(["dbus-daemon", f"--config-file={self.path('bus.conf')}", "--nofork", "--print-address"],
                                                stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
        self.bus_process.stdout.readline()
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = self.daemon_env["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={address}"
        self.conn = Gio.DBusConnection.new_for_address_sync(
            f"unix:path={address}",
            Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        self.timedated = timedated.Timedated(f"unix:path={address}", synchronised)

    def owned(self, name):
        answer = self.conn.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
                                     GLib.Variant("(s)", (name,)), GLib.VariantType("(b)"), 0, 60000, None)
        return answer.unpack()[0]

    def write_config(self, extra=""):
        timeouts = {"call": "20s", "stall": "15s", "backoff_min": "200ms", "backoff_max": "2s", "reconcile": "2s",
                    "store_late": "500ms"}
        timeouts.update(self.config.get("timeouts", {}))
        policy = self.config.get("policy", {})
        sections = [
            ("dock", {"name": "test-dock", "state_dir": self.state, "plugin_dir": self.config.get("plugin_dir", f"{BUILD}/plugins"),
                      "worker": self.config.get("worker", f"{BUILD}/berth-bay"),
                      "models_dir": self.config.get("models_dir", f"{SRC}/cameras.d"),
                      "local_models_dir": self.path("cameras.d"), "uplink_socket": self.path("uplink.sock"),
                      # It comes by the clock: only where it is asked for.
                      "status_every": "0s", **self.config.get("dock", {})}),
            ("spool", {"reserve": self.config.get("reserve", "16M"), "priority_reserve": self.config.get("priority_reserve", "0"),
                       "keep": self.config.get("keep", "0s")}),
            ("policy", policy),
            ("timeouts", timeouts),
            ("lights", self.config.get("lights", {})),
        ]
        with open(self.path("berthd.conf"), "w", encoding="utf-8") as f:
            for name, keys in sections:
                f.write(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) + "\n")
            for number, port in enumerate(self.bays, 1):
                led = self.config.get("led", {}).get(port)
                f.write(f"[bay {port}]\nnumber = {number}\n" + (f"led = {led}\n" if led else "") + "\n")
            f.write(extra)
        with open(self.path("uplink.conf"), "w", encoding="utf-8") as f:
            f.write(f"[uplink]\nsocket = {self.path('uplink.sock')}\ntransfers = {self.config.get('transfers', 4)}\n")
            if "limit" in self.config:
                f.write(f"limit = {self.config['limit']}\n")
            if self.place:
                f.write(f"state_dir = {self.path('uplink-state')}\n\n" + self.place.settings(self.folder))
            else:
                f.write(f"\n[store]\ntype = dir\npath = {self.store}\n")
            for key, value in self.config.get("uplink", {} if self.place else {"same_disk_is_store": "yes"}).items():
                f.write(f"{key} = {value}\n")

    # ---- the processes

    def start_uplink(self):
        self.uplink = Process([f"{BUILD}/berth-uplink", "--config", self.path("uplink.conf")], self.path("uplink.log"),
                              preload=self.preload)

    def start_daemon(self, wait=True):
        self.daemon = Process([f"{BUILD}/berthd", "--config", self.path("berthd.conf")], self.path("berthd.log"), self.daemon_env,
                              preload=self.preload)
        if wait:
            self.wait(lambda: self.owned(NAME) or not self.daemon.running(), "berthd on the bus")
            # It asks timedate1 when it is there: without the answer it sets no camera's clock.
            self.wait(lambda: self.manager().get("ClockSynchronised") == self.synchronised or not self.daemon.running(), "the dock's clock")
            assert self.daemon.running(), f"berthd ended with {self.daemon.child.returncode}"

    def start(self):
        self.start_uplink()
        self.start_daemon()
        return self

    def workers(self):
        return children(self.daemon.pid) if self.daemon and self.daemon.running() else []

    def close(self):
        if self.conn.is_closed():
            return
        for process in (self.daemon, self.uplink, self.timedated):
            if process:
                process.end()
        self.conn.close_sync(None)
        self.bus_process.terminate()
        self.bus_process.wait()
        self.bus_process.stdout.close()

    def logs(self):
        text = ""
        for name in ("berthd.log", "uplink.log"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), encoding="utf-8", errors="replace") as f:
                    text += f"---- {name}\n" + "".join(f.readlines()[-60:])
        return text

    # ---- looking

    def properties(self, path, interface):
        try:
            answer = self.conn.call_sync(NAME, path, "org.freedesktop.DBus.Properties", "GetAll",
                                         GLib.Variant("(s)", (f"{NAME}.{interface}",)), GLib.VariantType("(a{sv})"), 0, 60000, None)
        except GLib.Error:
            return {}
        return answer.unpack()[0]

    def bay(self, number):
        return self.properties(f"{ROOT}/bay/{number}", "Bay")

    def manager(self):
        return self.properties(ROOT, "Manager")

    def state_of(self, number):
        return self.bay(number).get("State")

    def rows(self, sql, *args):
        """Committed facts, read beside the daemon."""
        if not os.path.exists(os.path.join(self.state, "berth.db")):
            return []
        db = sqlite3.connect(f"file:{self.state}/berth.db?mode=ro", uri=True, timeout=60)
        try:
            return db.execute(sql, args).fetchall()
        except sqlite3.OperationalError as e:
            if "no such table" in str(e):
                return []
            raise
        finally:
            db.close()

    def events(self, kind=None):
        events = [json.loads(row[0]) for row in self.rows("SELECT bytes FROM custody ORDER BY seq")]
        return [e for e in events if kind is None or e["event"] == kind]

    def wait(self, predicate, what, deadline=120):
        """Until the predicate holds. It is asked again when there were signals on the bus, and now and then; for a tenth of the time at
        most: it is the dock that is to have the processors."""
        context = GLib.MainContext.default()
        end = time.monotonic() + deadline
        subscription = self.conn.signal_subscribe(None, None, None, None, None, 0, lambda *a: None)
        tick = GLib.timeout_add(50, lambda: True)
        try:
            while True:
                began = time.monotonic()
                value = predicate()
                if value:
                    return value
                now = time.monotonic()
                if now > end:
                    raise AssertionError(f"waited {deadline} s in vain for {what}")
                time.sleep(min(9 * (now - began), 1))
                context.iteration(True)
                while context.pending():
                    context.iteration(False)
        finally:
            GLib.source_remove(tick)
            self.conn.signal_unsubscribe(subscription)

    def wait_state(self, number, *states, deadline=120):
        def there():
            return self.state_of(number) in states

        try:
            self.wait(there, f"bay {number} to be {' or '.join(states)}", deadline)
        except AssertionError as e:
            bay = self.bay(number)
            raise AssertionError(f"{e}; it is {bay.get('State')}: {bay.get('Reason')}; {bay}") from None

    # ---- judging

    def objects(self, below="objects"):
        """Keys of what the store holds below one of its folders."""
        if self.place:
            return self.place.keys(below)
        return [os.path.relpath(os.path.join(folder, name), self.store)
                for folder, _, files in os.walk(os.path.join(self.store, below)) for name in files]

    def content(self, key):
        if self.place:
            yield self.place.get(key)
            return
        with open(os.path.join(self.store, key), "rb") as f:
            while chunk := f.read(1 << 20):
                yield chunk

    def manifests(self):
        """All manifests in the store."""
        return [json.loads(b"".join(self.content(key))) for key in self.objects("manifests")]

    def stored(self):
        """{(serial, path): [sha256 of the stored bytes, ...]}, computed from the store's contents alone, through the manifests."""
        found = {}
        for manifest in self.manifests():
            digest, size = hashlib.sha256(), 0
            for chunk in self.content(manifest["object"]):
                digest.update(chunk)
                size += len(chunk)
            assert digest.hexdigest() == manifest["sha256"], f"{manifest['object']} does not have the bytes that its manifest names"
            assert size == manifest["size"]
            found.setdefault((manifest["serial"], manifest["path"]), []).append(digest.hexdigest())
        return found

    def check_chain(self):
        """The custody chain by its own words: each event's hash is the next one's `prev`."""
        before = "0" * 64
        for n, (seq, data, stored) in enumerate(self.rows("SELECT seq, bytes, hash FROM custody ORDER BY seq"), 1):
            data = data if isinstance(data, bytes) else data.encode()
            event = json.loads(data)
            assert seq == n == event["seq"], f"custody event {n} has the number {seq}"
            assert event["prev"] == before, f"custody event {seq} does not follow its predecessor"
            before = hashlib.sha256(data).hexdigest()
            assert before == bytes(stored).hex(), f"custody event {seq} has another hash than its bytes"

    def check_evidence(self):
        """All that the dock's tables and files say is what its custody log tells: nobody's crash looks like tampering."""
        # The crash matrix counts the points of the dock's own programs.
        berthctl = os.path.join(os.environ.get("BERTH_PLAIN_BUILD", BUILD), "berthctl")
        done = subprocess.run([berthctl, "custody", "verify", f"--state-dir={self.state}"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        custody_events.assert_documented(self.events())
        evidence_files.assert_known(self.state)


def make_clip(path, size, seed, mtime=1700000000):
    return {"path": path, "size": size, "seed": seed, "mtime": mtime}


def sha256_of(camera_state):
    """{path: sha256} as the simulator computes it for a camera's clips."""
    return {clip["path"]: clip["sha256"] for clip in camera_state["clips"]}


def run(tests, hubs="1-1:7,1-2:7", options=()):
    """TAP over functions that take (sim, folder)."""
    enter(hubs, options)
    sim = Sim()
    wanted = sys.argv[1:]
    tests = [t for t in tests if not wanted or any(re.search(w, t.__name__) for w in wanted)]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        sim.prefix = f"t{number}-"
        with tempfile.TemporaryDirectory(prefix="berth-") as folder:
            docks = []

            def dock(bays, below="", **config):
                """`below`: where, for a second dock beside the first."""
                os.makedirs(os.path.join(folder, below), exist_ok=True)
                docks.append(Dock(os.path.join(folder, below), bays, **config))
                return docks[-1]

            try:
                test(sim, dock)
                error = None
            except Exception:  # noqa: BLE001  a test that fails must not take the others along
                error = traceback.format_exc()
                if docks:
                    error += docks[-1].logs()
            for d in docks:
                try:
                    d.close()
                except Exception:  # noqa: BLE001
                    error = (error or "") + traceback.format_exc() + d.logs()
            sim.prefix = ""
            for camera in sim("list")["cameras"]:
                if camera["port"]:
                    sim("unplug", camera=camera["camera"])
        print(f"{'not ok' if error else 'ok'} {number} - {test.__name__}", flush=True)
        if error:
            failed += 1
            print("".join(f"# {line}\n" for line in error.splitlines()), flush=True)
    sys.exit(1 if failed else 0)
