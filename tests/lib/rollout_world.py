# SPDX-License-Identifier: Apache-2.0
"""A fleet's rollouts in tests: its administrator, plans, and what docks make of them."""

import json
import os
import subprocess

import firmware_world
from rack import BUILD


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
        (one,) = json.loads(self.rollout("status", name, "--json"))["rollouts"]
        return one


def seen(dock):
    """What that dock makes of the rollouts, by its bus."""
    address = f"unix:path={dock.path('bus')}"
    done = subprocess.run([f"{BUILD}/berthctl", "rollout", "--json", f"--address={address}"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=True)
    return {r["id"]: r for r in json.loads(done.stdout)["rollouts"]}


def cameras(dock, name="r1"):
    return {c["serial"]: c for c in seen(dock).get(name, {"cameras": []})["cameras"]}


def keys(dock, name, kind):
    folder = os.path.join(dock.store, "rollouts", f"{name}.{kind}")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
