#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""berth-uplink is ended at each crash point of its tus store, against a real @tus/server."""

import atexit
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
# Also after enter(), which runs this anew.
os.environ["BERTH_CRASH_BUILD"] = os.environ["BERTH_BUILD"] = os.environ.get("BERTH_CRASH_BUILD", BUILD + "-crash")
import crash_store  # noqa: E402
import rack  # noqa: E402
import tus_server  # noqa: E402
from crash_points import TUS_POINTS  # noqa: E402

rack.enter("1-1:4")
missing = tus_server.missing()
assert missing is None, f"{missing} is missing: run 'make deps'"
folder = tempfile.mkdtemp(prefix="tus-")
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
servers = []


def place(number):
    """A server of its own for each run."""
    while servers:
        servers.pop().close()
    servers.append(tus_server.TusServer(os.path.join(folder, f"run{number}"), checksum="yes"))
    return rack.TusPlace(servers[0], part_size="5M")


atexit.register(lambda: [server.close() for server in servers])
SCENARIOS = crash_store.scenarios(part=("berth-uplink tus-answered:PATCH", 2), record=("berth-uplink record-synced", 4))
SCENARIOS.append(crash_store.crash_rig.Scenario("sent while it is pulled", crash_store.play_growing))
sys.exit(0 if crash_store.run(place, TUS_POINTS, SCENARIOS) else 1)
