# SPDX-License-Identifier: Apache-2.0
"""An uplink whose store is on the network: what its tests share, whatever the protocol. Each protocol's Dock says how much the store has
of a clip (stored_bytes), and which of its keys are whole (objects, manifests) or not (unfinished)."""

import json
import time

import uplink

MIB = 1 << 20
# The stores of these tests are on a machine that has much else to do: only who wants a stall sets a limit that is soon over.
STALL = "60s"
SHORT_STALL = "10s"


def lines_of(record):
    """The whole lines of a record of the uplink's. Nothing of one that is gone by now."""
    try:
        with open(record, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]
    except FileNotFoundError:
        return []


class StoreDock(uplink.Uplink):
    def clip(self, size, seed=None, path=None):
        self.world.number += 1
        return uplink.Clip(self.folder, size, seed if seed is not None else self.world.number, path)

    def clip_instead_of(self, clip):
        """The same to whoever brings it, with other content."""
        other = self.clip(clip.size, path=clip.path)
        other.id = clip.id
        return other

    def wait_stored(self, clip, bytes_):
        self.wait(lambda: self.stored_bytes(clip) == bytes_, f"{bytes_} bytes to be stored")

    def put_until_stored(self, clip, deadline=120):
        """As berthd does: a refusal that passes is followed by another try, as soon as the store is ready. (receipt, refusals)"""
        refusals, end = [], time.monotonic() + deadline
        while True:
            try:
                return self.put(clip), refusals
            except uplink.Refused as e:
                assert e.name in ("Unavailable", "Busy"), f"{e.name}: {e.text}"
                refusals.append(e.text)
            assert time.monotonic() < end and len(refusals) < 10, f"never stored: {refusals}"
            self.wait(lambda: self.state()[0] == "ready", "the store to be ready again")


class StoreWorld:
    """Of a protocol: PART, the size of the pieces in which its docks send; `step`, the phase of the requests that bring them."""

    def size(self, n):
        """Of a clip in n whole pieces and a half."""
        return n * self.PART + self.PART // 2


def refusal(dock, call, name):
    """The sentence of a refusal by that name."""
    try:
        dock.finish(call)
    except uplink.Refused as e:
        assert e.name == name, f"{e.name}: {e.text}"
        return e.text
    raise AssertionError("it was done")


def change_byte(clip, at):
    with open(clip.file, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 1]))
