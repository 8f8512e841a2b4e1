#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""berth-uplink is ended at each crash point of its s3 store, against a real Ceph."""

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
from crash_points import S3_POINTS  # noqa: E402
from rgw import Rgw  # noqa: E402

rack.enter("1-1:4")
store = Rgw(os.path.join(tempfile.mkdtemp(prefix="s3-"), "ceph"))
atexit.register(store.close)
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
store.make_bucket("clips")
SCENARIOS = crash_store.scenarios(part=("berth-uplink store-answered:PUT-objects-uploadId", 2),
                                  record=("berth-uplink record-remove-begins", 3))
good = crash_store.run(lambda n: rack.S3Place(store, "clips", f"run{n}", part_size="5M"), S3_POINTS, SCENARIOS,
                       uploads_left=lambda place: store.uploads("clips", place.prefix))
sys.exit(0 if good else 1)
