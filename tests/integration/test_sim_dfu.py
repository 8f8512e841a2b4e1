#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The simulator's firmware loader is right when Debian's unmodified dfu-util flashes it."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import tap  # noqa: E402
from firmware_image import image, with_suffix  # noqa: E402

SIM = os.path.join(os.path.abspath(os.environ.get("BERTH_BUILD", "build")), "berth-sim")
RUN, LOADER = "1209:bc11", "1209:bc12"


class Rack:
    """A camera with a run-time DFU interface, its loader, and the file that is the memory of both."""

    def __init__(self, folder, old=None, **loader):
        self.folder, self.flash = folder, os.path.join(folder, "flash")
        with open(self.flash, "wb") as f:
            f.write(image("1.0") if old is None else old)
        self.script = os.path.join(folder, "script")
        with open(self.script, "w", encoding="utf-8") as f:
            for command in ({"cmd": "camera", "name": "loader", "type": "dfu", "vid": 0x1209, "pid": 0xBC12, "serial": "L1",
                              "flash": self.flash,
                             "home": "cam", **loader},
                            {"cmd": "camera", "name": "cam", "type": "ptp", "vid": 0x1209, "pid": 0xBC11, "serial": "C1",
                              "loader": "loader",
                             "flash": self.flash},
                            {"cmd": "plug", "camera": "cam", "port": "1-1.3"}):
                f.write(json.dumps(command) + "\n")

    def flashed(self):
        with open(self.flash, "rb") as f:
            return f.read()

    def file(self, data, suffixed=True):
        path = os.path.join(self.folder, "new.dfu")
        with open(path, "wb") as f:
            f.write(with_suffix(data, 0x1209, 0xBC12) if suffixed else data)
        return path

    def run(self, command):
        env = dict(os.environ, SIM=SIM, WAIT='for i in $(seq 600); do lsusb -d $1 && break; read -t 0.1 x < /dev/zero || true; done')
        return subprocess.run([SIM, "--script", self.script, "--", "/bin/bash", "-c", command], capture_output=True, text=True, timeout=120,
                              check=False, env=env)

    def dfu_util(self, arguments, then="", there=RUN):
        """When the device `there` is on the bus."""
        done = self.run(f"bash -c \"$WAIT\" wait {there} > /dev/null; dfu-util -d {RUN},{LOADER} {arguments}; code=$?; echo; {then} "
                        f"$SIM ctl '{{\"cmd\": \"state\", \"camera\": \"loader\"}}'; exit $code")
        print(done.stdout, done.stderr, file=sys.stderr)
        return done, json.loads(done.stdout.strip().splitlines()[-1])


def rack(**loader):
    return Rack(tempfile.mkdtemp(), **loader)


def test_dfu_util_detaches_and_flashes_it():
    for how in ({}, {"tolerant": True}, {"waits_reset": True}, {"poll_msec": 0}, {"transfer_size": 64}):
        r = rack(**how)
        new = image("2.1", 50000)
        done, state = r.dfu_util(f"-R -D {r.file(new)}")
        assert done.returncode in (0, 74, 251), (how, done.returncode)  # the others: it left by itself before it was asked
        assert r.flashed() == new, how
        assert state["early"] == 0, state


def test_dfu_util_reads_it():
    r = rack(upload=True)
    out = os.path.join(r.folder, "out")
    done, _ = r.dfu_util(f"-U {out}")
    assert done.returncode == 0
    with open(out, "rb") as f:
        assert f.read() == r.flashed()


def test_dfu_util_flashes_by_address():
    r = rack(dfuse=True, upload=True, pages=64)
    new = image("2.1", 40000)
    done, state = r.dfu_util(f"-s 0x08000000:leave -D {r.file(new, suffixed=False)}")
    assert done.returncode in (0, 74, 251), done.returncode
    assert r.flashed()[:len(new)] == new and state["early"] == 0, state


def test_half_an_image_leaves_it_in_its_loader_which_dfu_util_recovers():
    new = image("2.1", 50000)
    r = rack(old=new[:20000])
    done, state = r.dfu_util(f"-R -D {r.file(new)}", there=LOADER)
    assert done.returncode in (0, 74, 251), done.returncode
    assert hashlib.sha256(r.flashed()).digest() == hashlib.sha256(new).digest(), state


def test_an_error_at_a_block_ends_dfu_util():
    r = rack(fail_block=3, fail_count=1)
    done, state = r.dfu_util(f"-D {r.file(image('2.1', 50000))}")
    assert done.returncode != 0 and state["state"] == 10, (done.returncode, state)


if __name__ == "__main__":
    tap.main()
