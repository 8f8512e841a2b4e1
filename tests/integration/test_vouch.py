#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each manifest says who put it there: signed by its dock, and verified without Berth by the commands of docs/store-layout.md."""

import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402


def documented(mark):
    """The commands of the page that stand behind this mark, as they are."""
    with open(os.path.join(rack.SRC, "docs", "store-layout.md"), encoding="utf-8") as f:
        return re.search(r"<!-- run by tests/integration/test_vouch.py: " + re.escape(mark) + r" -->\n```sh\n(.*?)```", f.read(), re.S)[1]


def run(d, mark, **names):
    script = "set -e\n" + "".join(f"{name}='{value}'\n" for name, value in names.items()) + documented(mark)
    return subprocess.run(["bash", "-c", script], cwd=d.store, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def ctl(*args):
    subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, check=True)


def new_key(path):
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True)
    subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-out", path + ".pub"], check=True)
    return path


def test_manifest_is_verified_by_a_stranger_with_the_documented_commands(sim, dock):
    d = dock(["1-1.1"])
    d.write_config("[dock]\nfleet = north\n")
    d.start()
    sim("camera", name="c", type="ptp", serial="SN-1", manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[make_clip("DCIM/100/A.MP4", 300_000, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=120)
    (name,) = d.objects("manifests")
    name = name if name.startswith("manifests/") else f"manifests/{name}"
    admin = new_key(d.path("admin.key"))
    with tempfile.TemporaryDirectory() as t:
        done = run(d, "is it signed, and is the manifest what was signed?", m=name, t=t)
        assert done.returncode == 0 and "Signature Verified" in done.stdout and ": OK" in done.stdout, done
        ctl("dock", "enroll", d.path("docks"), f"--admin-key={admin}", "--fleet=north")
        done = run(d, "does the key count?", t=t, l=d.path("docks"))
        assert done.returncode == 0, done
        ctl("dock", "revoke", d.path("docks"), json.load(open(os.path.join(t, "said"), encoding="utf-8"))["dock"], f"--admin-key={admin}")
        assert run(d, "does the key count?", t=t, l=d.path("docks")).returncode != 0, "a revoked key counts"
    path = os.path.join(d.store, name)
    with open(path, encoding="utf-8") as f:
        whole = json.load(f)
    for key, value in (("path", "B.MP4"), ("size", 1), ("facts", {**whole["facts"], "clip_id": 99})):
        os.chmod(path, 0o644)
        with open(path, "w", encoding="utf-8") as f:
            json.dump({**whole, key: value}, f)
        with tempfile.TemporaryDirectory() as t:
            assert run(d, "is it signed, and is the manifest what was signed?", m=name, t=t).returncode != 0, f"{key} may be altered"


rack.run([test_manifest_is_verified_by_a_stranger_with_the_documented_commands])
