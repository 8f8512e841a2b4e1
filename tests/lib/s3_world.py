# SPDX-License-Identifier: Apache-2.0
"""What the tests of the s3 backend share: one Ceph for each test program, a fault proxy before it, and for each test an uplink with
a state folder and a prefix of its own. What the store holds is judged by curl and SHA-256 alone."""

import atexit
import hashlib
import json
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import rgw  # noqa: E402
import tap  # noqa: E402
import uplink  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from store_dock import MIB, STALL, StoreDock, StoreWorld, lines_of  # noqa: E402

BUCKET, LOCKED = "clips", "locked"


class World(StoreWorld):
    PART = 5 * MIB
    step = "part"

    def __init__(self):
        missing = rgw.missing()
        assert missing is None, f"{missing} is missing: run 'make deps'"
        self.folder = tempfile.mkdtemp(prefix="s3-")
        self.store = rgw.Rgw(os.path.join(self.folder, "ceph"))
        atexit.register(self.close)
        # So that a test program that is ended by its deadline leaves no Ceph behind.
        signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
        self.store.make_bucket(BUCKET)
        self.store.make_bucket(LOCKED, lock=True)
        self.proxy = FaultProxy(self.store.port)
        self.docks = []
        self.number = 0

    def close(self):
        """Ceph ends whatever else does not."""
        try:
            for dock in self.docks:
                if dock.child:
                    dock.end(signal.SIGKILL)
            self.proxy.close()
        finally:
            self.store.close()

    # ---- what the store was asked

    def sent(self):
        """Bytes of clips that go in parts."""
        return self.proxy.body_bytes[self.step]

    def created(self):
        return self.proxy.count("create")

    def made(self):
        """How often an object was to be made of parts."""
        return self.proxy.count("complete")

    def before_seal(self, clip):
        """How much of one that grows is sent before its digest is known."""
        return clip.size

    def dock(self, prefix=None, bucket=BUCKET, endpoint=None, keys=(rgw.ACCESS_KEY, rgw.SECRET_KEY), **settings):
        """A dock's uplink, not started, with a prefix that no other test has."""
        self.number += 1
        folder = os.path.join(self.folder, f"dock-{self.number}")
        os.makedirs(folder)
        dock = Dock(self, folder, bucket, prefix or f"test-{self.number}", endpoint or self.proxy.endpoint, settings)
        dock.write_keys(*keys)
        dock.access = keys[:2]
        self.docks.append(dock)
        return dock


class Dock(StoreDock):
    def __init__(self, world, folder, bucket, prefix, endpoint, settings):
        self.world, self.bucket, self.prefix = world, bucket, prefix
        self.keys_file = os.path.join(folder, "keys")
        self.settings = {"stall": STALL, **settings}
        self.endpoint = endpoint
        super().__init__(folder, "")

    def configure(self, config):
        settings = dict(self.settings)
        with open(self.path("uplink.conf"), "w", encoding="utf-8") as f:
            f.write(f"[uplink]\nsocket = {self.path('uplink.sock')}\nstate_dir = {self.path('state')}\n")
            for key in ["stall", "transfers", "limit"]:
                if key in settings:
                    f.write(f"{key} = {settings.pop(key)}\n")
            f.write(f"[store]\ntype = s3\nendpoint = {self.endpoint}\nbucket = {self.bucket}\nprefix = {self.prefix}\n"
                    f"credentials = {self.keys_file}\n")
            f.writelines(f"{key} = {value}\n" for key, value in {"part_size": "5M", **settings}.items())
            f.write(config)

    def write_keys(self, access_key, secret_key, token=None):
        fresh = self.keys_file + ".new"
        with open(fresh, "w", encoding="ascii") as f:
            f.write(f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n")
            if token:
                f.write(f"aws_session_token = {token}\n")
        os.chmod(fresh, 0o600)
        os.rename(fresh, self.keys_file)

    def records(self):
        return [name for name in os.listdir(os.path.join(self.folder, "state", "uploads")) if not name.startswith(".")]

    def stored_bytes(self, clip):
        """Of a clip that goes in parts, by our record: acknowledged, and recorded."""
        for name in self.records():
            lines = lines_of(os.path.join(self.path("state"), "uploads", name))
            if lines and lines[0]["clip"].startswith(f"{clip.id} "):
                return sum({line["part"]: line["size"] for line in lines if "part" in line}.values())
        return 0

    # ---- the store's contents, by a foreign client

    def named(self, clip, keys):
        return [key for key in keys if f"/{clip.path.replace('/', '~~')}." in key]

    def objects(self, clip):
        return self.named(clip, self.keys("objects"))

    def manifests(self, clip):
        return self.named(clip, self.keys("manifests"))

    def unfinished(self, clip):
        return self.named(clip, self.world.store.uploads(self.bucket, self.prefix + "/"))

    def get(self, key):
        # With its own keys: to Ceph an object is its writer's, and not the bucket's owner's.
        return self.world.store.get(self.bucket, f"{self.prefix}/{key}", self.access)

    def keys(self, below):
        return [key.removeprefix(self.prefix + "/") for key in self.world.store.keys(self.bucket, f"{self.prefix}/{below}/")]

    def judge(self, clip, receipt, strength="digest", objects=1):
        """Exactly one right object, named by exactly one right manifest, a receipt that tells of both, and nothing left over."""
        assert (receipt.size, receipt.sha256, receipt.strength) == (clip.size, clip.sha256, strength), vars(receipt)
        assert hashlib.sha256(self.get(receipt.object)).hexdigest() == clip.sha256, "the object has other bytes"
        manifest = json.loads(self.get(receipt.manifest))
        assert (manifest["object"], manifest["sha256"], manifest["size"]) == (receipt.object, clip.sha256, clip.size), manifest
        found = {"objects": self.objects(clip), "manifests": self.manifests(clip)}
        assert len(found["objects"]) == objects and receipt.object in found["objects"], found
        assert found["manifests"] == [receipt.manifest], found
        assert not self.unfinished(clip), "an upload was left behind"
        assert not self.records(), "a record was left behind"


__all__ = ["BUCKET", "LOCKED", "MIB", "Dock", "FaultProxy", "World", "rgw", "tap", "uplink"]
