# SPDX-License-Identifier: Apache-2.0
"""An uplink whose store is on the network: what its tests share, whatever the protocol."""

import time

import uplink


class StoreDock(uplink.Uplink):
    def clip(self, size, seed=None, path=None):
        self.world.number += 1
        return uplink.Clip(self.folder, size, seed if seed is not None else self.world.number, path)

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
