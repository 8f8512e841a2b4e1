# SPDX-License-Identifier: Apache-2.0
"""The named crash points of programs built with CRASH_POINTS=1 (daemon/base/crash_point.h)."""

import mmap
import os
import struct
import subprocess
import tempfile

PROGRAMS = ("berthd", "berth-bay", "berth-uplink")
# Of stores on the network: tests/store/test_s3_crash.py and test_tus_crash.py pass them.
S3_POINTS = ("berth-uplink store-", "berth-uplink record-", "berth-uplink orphan-", "berth-uplink replace")
TUS_POINTS = ("berth-uplink tus-", "berth-uplink record-written", "berth-uplink record-synced", "berth-uplink orphan-",
              "berth-uplink replace")
NAME_SIZE = 128
PASSED_MAX = 32768
HEAD = struct.Struct(f"={NAME_SIZE}sIIII")  # armed, at, hits, fired, n_passed


def points_of(path):
    """Names of the crash points in a program, read from the program itself."""
    with tempfile.TemporaryDirectory(prefix="berth-points-") as folder:
        out = os.path.join(folder, "names")
        subprocess.run(["objcopy", "-O", "binary", "--only-section=crash_points", path, out], check=True, stderr=subprocess.PIPE)
        if not os.path.exists(out):
            return []
        with open(out, "rb") as f:
            return sorted({name.decode() for name in f.read().split(b"\0") if name})


def all_points(build):
    """["berthd head-synced", …]"""
    return [f"{program} {name}" for program in PROGRAMS for name in points_of(os.path.join(build, program))]


class CrashFile:
    """What a dock's programs share with the test: struct CrashFile of crash_point.c. Put `env` into their environment."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.truncate(HEAD.size + PASSED_MAX * NAME_SIZE)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.env = {"BERTH_CRASH_POINTS": path}

    def arm(self, label, at=1):
        """label: "berthd facts-committed" or, for one thing only, "berthd facts-committed:copied". "" disarms."""
        # The name last: no process goes by half of it.
        struct.pack_into("=III", self.map, NAME_SIZE, at, 0, 0)
        self.map[:NAME_SIZE] = label.encode().ljust(NAME_SIZE, b"\0")

    def fired(self):
        """The pid that ended there, or 0."""
        return HEAD.unpack_from(self.map)[3]

    def passed(self):
        """Every pass of a point so far, in order."""
        n = min(HEAD.unpack_from(self.map)[4], PASSED_MAX)
        names = self.map[HEAD.size:HEAD.size + n * NAME_SIZE]
        return [names[at:at + NAME_SIZE].split(b"\0")[0].decode() for at in range(0, len(names), NAME_SIZE)]

    def close(self):
        self.map.close()
        os.unlink(self.path)
