# SPDX-License-Identifier: Apache-2.0
"""A fleet's rollouts in tests: its administrator, plans, and what docks make of them."""

import json
import os
import subprocess

import firmware_world
import flash_world
import rack
from firmware_image import image
from rack import BUILD
import schemas

NEW = image("2.1", 20000)


class Fleet(firmware_world.Admin):
    """Its administrator: signs catalogs with minisign, and plans with an Ed25519 key, by way of one dock's uplink."""

    def __init__(self, dock, name="admin"):
        super().__init__(dock)
        self.key = self.path(f"{name}.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.key], check=True)
        raw = subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.public_hex = raw[-32:].hex()

    def settings(self, extra=""):
        """What a dock of this fleet has in its configuration, beside the rest."""
        return f"[dock]\nfleet = north\nfleet_key = {self.public_hex}\n" \
            f"[firmware]\nkeys = {self.path('one.pub')}\nfollow_every = 300ms\n{extra}"

    def plan(self, name="r1", version="2.1", models=("flash-cam",), waves=None, **more):
        path = self.path(f"{name}.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"id": name, "fleet": "north", "version": version, "models": list(models), "begin": "2024-01-01",
                       "waves": waves or [{"of_10000": 10000, "cameras": 4}], "bad_max": 1, "under_way_max": 8, "flash_seconds": 10,
                       "fresh_seconds": 20, "docks": 1, **more}, f)
        return path

    def rollout(self, *words, code=0, key=None):
        done = subprocess.run([f"{BUILD}/berthctl", "rollout", *words, f"--admin-key={key or self.key}",
                               f"--uplink={self.dock.path('uplink.sock')}"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        assert done.returncode == code, (words, done)
        return done.stdout if code == 0 else done.stderr

    def status(self, name="r1"):
        (one,) = schemas.parse(self.rollout("status", name, "--json"))["rollouts"]
        return one


def seen(dock):
    """What that dock makes of the rollouts, by its bus."""
    address = f"unix:path={dock.path('bus')}"
    done = subprocess.run([f"{BUILD}/berthctl", "rollout", "--json", f"--address={address}"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=True)
    return {r["id"]: r for r in schemas.parse(done.stdout)["rollouts"]}


def cameras(dock, name="r1"):
    return {c["serial"]: c for c in seen(dock).get(name, {"cameras": []})["cameras"]}


def keys(dock, name, kind):
    folder = os.path.join(dock.store, "rollouts", f"{name}.{kind}")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def states(dock, name="r1"):
    return {serial: c["state"] for serial, c in cameras(dock, name).items()}


def why(dock, serial, name="r1"):
    return cameras(dock, name).get(serial, {"why": ""})["why"]


def begun(dock):
    return [e["serial"] for e in dock.events("rollout-begun")]


# ---- Docks with cameras


def plug(sim, d, n, first=1, hub="1-1", **loader):
    """Cameras SN-<first> …; `loader`: what their loaders do, such as keeps_old (it takes the firmware, and comes back with what it had)."""
    made = {}
    for i in range(first, first + n):
        made[f"SN-{i}"] = flash_world.Camera(sim, d, f"SN-{i}", **loader)
        made[f"SN-{i}"].plug(f"{hub}.{i - first + 1}")
    for i in range(1, n + 1):
        d.wait_state(i, "ready")
    return made


def start(dock, sim, n, bad=False, extra="", within="20s", loader=None, models=flash_world.MODELS, zone=None, **config):
    """The fleet's first dock, with its catalog in the store and `n` cameras in its bays, and the fleet."""
    d = dock([f"1-1.{i}" for i in range(1, n + 1)], **config)
    d.daemon_env.update({"TZ": zone} if zone else {})
    fleet = Fleet(d)
    flash_world.write_models(d, within, models=models)
    d.write_config(fleet.settings(extra))
    d.start()
    d.wait(lambda: d.manager().get("StoreState") == "ready", "the store")
    path = fleet.image("new.bin", NEW)
    fleet.ctl("publish", fleet.catalog(1, [("flash-cam", "2.1", path)]), path)
    d.cameras = plug(sim, d, n, **(loader or {"keeps_old": bad}))
    return d, fleet


class Second:
    """Another dock of the fleet, on the other hub, with nothing in common with the first but the store. `zone`: its $TZ."""

    def __init__(self, sim, first, fleet, n, plugged=True, bad=False, within="20s", loader=None, zone=None):
        self.dock = rack.Dock(first.path("second"), [f"1-2.{i}" for i in range(1, n + 1)], store=first.store, place=first.place)
        self.dock.daemon_env.update({"TZ": zone} if zone else {})
        flash_world.write_models(self.dock, within)
        self.dock.write_config(fleet.settings())
        self.dock.start()
        self.dock.wait(lambda: self.dock.manager().get("StoreState") == "ready", "the store")
        self.dock.cameras = plug(sim, self.dock, n, 101, "1-2", **(loader or {"keeps_old": bad})) if plugged else {}

    def __enter__(self):
        return self.dock

    def __exit__(self, *error):
        if error[0]:
            print("".join(f"# {line}\n" for line in self.dock.logs().splitlines()))
        self.dock.close()
