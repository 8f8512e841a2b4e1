# SPDX-License-Identifier: Apache-2.0
"""Docks of one fleet: an administrator's key, and the list of docks that it signs."""

import json
import os
import subprocess

import rack


class Fleet:
    def __init__(self, folder, admin=None):
        self.admin, self.list = admin or os.path.join(folder, "admin.pem"), os.path.join(folder, "docks")
        if not admin:
            subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.admin], check=True)
        subprocess.run(["openssl", "pkey", "-in", self.admin, "-pubout", "-out", self.admin + ".pub"], check=True)
        der = subprocess.run(["openssl", "pkey", "-in", self.admin, "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout
        self.config = f"[dock]\nfleet = north\nfleet_key = {der[-32:].hex()}\n[roster]\nfollow_every = 200ms\n"

    def ctl(self, *args):
        subprocess.run([f"{rack.BUILD}/berthctl", "dock", *args], stdin=subprocess.DEVNULL, capture_output=True, check=True)

    def enroll(self, d, *options):
        d.wait(lambda: d.events("key-made"), "the dock's key to be on record")
        key = d.events("key-made")[0]
        identity = d.path("identity.json")
        with open(identity, "w", encoding="utf-8") as f:
            json.dump({"dock_id": key["dock_id"], "dock_key": key["public_key"], "name": "a dock", "fleet": "north"}, f)
        self.ctl("enroll", self.list, identity, f"--admin-key={self.admin}", "--fleet=north", *options)

    def revoke(self, d):
        self.ctl("revoke", self.list, d.events("key-made")[0]["dock_id"], f"--admin-key={self.admin}")

    def publish(self, d):
        self.ctl("publish", self.list, f"--admin-key={self.admin}.pub", f"--uplink={d.path('uplink.sock')}")
