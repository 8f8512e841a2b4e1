# SPDX-License-Identifier: Apache-2.0
"""What the tests of the tus backend share: a real @tus/server, a fault proxy before it, and for each test an uplink with a state
folder of its own. What the server holds is judged by curl and SHA-256 alone."""

import atexit
import base64
import hashlib
import json
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap  # noqa: E402
import tus_server  # noqa: E402
import uplink  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from store_dock import MIB, STALL, StoreDock, StoreWorld, lines_of  # noqa: E402


def metadata_of(headers):
    pairs = [pair.partition(" ") for pair in headers.get("upload-metadata", "").split(",") if pair]
    return {key: base64.b64decode(value).decode() for key, _, value in pairs}


class World(StoreWorld):
    PART = 2 * MIB
    step = "patch"

    def __init__(self):
        missing = tus_server.missing()
        assert missing is None, f"{missing} is missing: run 'make deps'"
        self.folder = tempfile.mkdtemp(prefix="tus-")
        self.servers, self.docks, self.proxies = [], [], []
        self.number = 0
        atexit.register(self.close)
        # So that a test program that is ended by its deadline leaves no server behind.
        signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
        self.store = self.server()
        self.proxy = self.proxy_of(self.store)

    def close(self):
        try:
            for dock in self.docks:
                if dock.child:
                    dock.end(signal.SIGKILL)
            for proxy in self.proxies:
                proxy.close()
        finally:
            for server in self.servers:
                server.close()

    def server(self, **options):
        self.number += 1
        server = tus_server.TusServer(os.path.join(self.folder, f"server-{self.number}"), **options)
        self.servers.append(server)
        return server

    def proxy_of(self, server, **more):
        def phase_of(method, target, headers):
            return tus_phase(server, method, target, headers)

        proxy = FaultProxy(server.port, phase_of=phase_of, **more)
        self.proxies.append(proxy)
        return proxy

    # ---- what the store was asked

    def sent(self):
        """Bytes of clips, but of those that go with their creation."""
        return self.proxy.body_bytes[self.step]

    def created(self):
        return self.proxy.count("create")

    def made(self):
        """How often a clip was to be told to be stored."""
        return self.proxy.count("manifest-create")

    def before_seal(self, clip):
        """How much of one that grows is sent before its digest is known."""
        return (clip.size - 1) // self.PART * self.PART

    def dock(self, store=None, proxy=None, token=None, **settings):
        """A dock's uplink, not started."""
        self.number += 1
        folder = os.path.join(self.folder, f"dock-{self.number}")
        os.makedirs(folder)
        dock = Dock(self, folder, store or self.store, proxy or (self.proxy if not store else None), settings)
        if token:
            dock.write_token(token)
        self.docks.append(dock)
        return dock


def kind_of(server, target):
    """What an upload is of, by the metadata that the server keeps."""
    return kind_by(server.told(target)["metadata"])


def kind_by(metadata):
    if metadata.get("filename") == "berth-sample.txt":
        return "sample"
    if "object" in metadata:
        return "manifest"
    # What the dock keeps there beside clips: signed receipts, checkpoints.
    return "clip" if metadata.get("name", "objects/").startswith("objects/") else "text"


def tus_phase(server, method, target, headers):
    if method == "OPTIONS":
        return "options"
    if method == "POST":
        return {"sample": "sample", "clip": "create", "manifest": "manifest-create", "text": "text-create"}[kind_by(metadata_of(headers))]
    kind = kind_of(server, target)
    if kind == "sample":
        return "sample"
    name = {"PATCH": "patch", "HEAD": "head", "GET": "read", "DELETE": "terminate"}[method]
    return name if kind == "clip" else f"{kind}-{name}"


def records_in(state_folder):
    """What an uplink recorded in its state folder of each clip that is not stored yet."""
    folder, found = os.path.join(state_folder, "tus"), []
    for name in os.listdir(folder):
        lines = [] if name.startswith(".") else lines_of(os.path.join(folder, name))
        if lines and "berth_tus" in lines[0] and not any("done" in line for line in lines):
            found.append(lines)
    return found


class Dock(StoreDock):
    def __init__(self, world, folder, store, proxy, settings):
        self.world, self.store = world, store
        self.origin = proxy.endpoint if proxy else store.origin
        self.settings = {"stall": STALL, **settings}
        self.token_file = os.path.join(folder, "token")
        super().__init__(folder, "")

    def configure(self, config):
        settings = dict(self.settings)
        with open(self.path("uplink.conf"), "w", encoding="utf-8") as f:
            f.write(f"[uplink]\nsocket = {self.path('uplink.sock')}\nstate_dir = {self.path('state')}\n")
            for key in ["stall", "transfers", "limit"]:
                if key in settings:
                    f.write(f"{key} = {settings.pop(key)}\n")
            settings = {"type": "tus", "url": f"{self.origin}/files", "part_size": "2M", **settings}
            if os.path.exists(self.token_file):
                settings["credentials"] = self.token_file
            f.write("[store]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()) + config)

    def write_token(self, token):
        fresh = self.token_file + ".new"
        with open(fresh, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write(token + "\n")
        os.rename(fresh, self.token_file)
        self.configure("")

    def records(self):
        """What is recorded of each clip that is not stored yet."""
        return records_in(os.path.join(self.folder, "state"))

    # ---- the store's contents, by a foreign client

    def get(self, key, *arguments):
        body, status = self.store.curl(key, *arguments)
        assert status == 200, f"{key}: {status}"
        return body

    def metadata(self, key):
        return self.store.told(key)["metadata"]

    def all_metadata(self):
        return {key: self.metadata(key) for key in self.store.uploads()}

    def of(self, clip):
        """Keys of the uploads of a clip of that name."""
        return [key for key, metadata in self.all_metadata().items() if metadata.get("path") == clip.path]

    def objects(self, clip):
        return [key for key in self.of(clip) if self.store.is_whole(key)]

    def unfinished(self, clip):
        return self.store.unfinished(self.of(clip))

    def manifests(self, clip):
        return list(self.stored(clip)[1])

    def stored_bytes(self, clip):
        return sum(self.store.uploads().get(key, 0) for key in self.of(clip))

    def stored(self, clip):
        """Keys of the objects and the manifests of that clip that the server has, and how much of each: whoever put them."""
        objects, manifests, sizes = {}, {}, self.store.uploads()
        for key, metadata in self.all_metadata().items():
            size = sizes.get(key, 0)
            # What grew has no digest there.
            grew = "sha256" not in metadata and metadata.get("path") == clip.path
            if (metadata.get("sha256") == clip.sha256 or grew) and "object" not in metadata:
                objects[key] = size
            if metadata.get("clip_sha256") == clip.sha256:
                manifests[key] = size
        return objects, manifests

    def judge(self, clip, receipt, strength="size", strays=0, copies=0, arguments=()):
        """Exactly one right object, named by exactly one right manifest, a receipt that tells of both. `strays`: so many uploads of it
        may be there beside, of which nobody knows, since the answer that named them was lost, or which were said to be gone;
        `copies`: so many more manifests may name it."""
        assert (receipt.size, receipt.sha256, receipt.strength) == (clip.size, clip.sha256, strength), vars(receipt)
        assert hashlib.sha256(self.get(receipt.object, *arguments)).hexdigest() == clip.sha256, "the object has other bytes"
        manifest = json.loads(self.get(receipt.manifest, *arguments))
        assert (manifest["object"], manifest["sha256"], manifest["size"]) == (receipt.object, clip.sha256, clip.size), manifest
        objects, manifests = self.stored(clip)
        assert receipt.object in objects and len(objects) <= 1 + strays, objects
        whole = [key for key, size in manifests.items() if size > 0]
        assert receipt.manifest in whole and len(whole) <= 1 + copies and len(manifests) <= 1 + max(strays, copies), manifests
        assert not self.records(), "a record of something unfinished was left behind"


__all__ = ["MIB", "Dock", "World", "records_in", "tap", "tus_phase", "uplink"]
