#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each command's --json is what docs/json promises, of a real dock; and nothing is promised, or printed, without the other."""

import glob
import json
import os
import re
import subprocess
import sys

import jsonschema

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
import schemas  # noqa: E402
from rack import BUILD, SRC, make_clip  # noqa: E402

# What needs a fleet's store, firmware or several docks: these tests look at it where they have one.
ELSEWHERE = {"firmware": "test_firmware", "firmware-list": "test_firmware", "flash": "test_flash", "rollout-status": "test_rollout",
             "fleet": "test_ctl_remote"}


def ctl(*args, codes=(0,)):
    done = subprocess.run([f"{BUILD}/berthctl", *args, "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=120)
    assert done.returncode in codes, f"{args}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def names():
    return {os.path.basename(path).removesuffix(".json") for path in glob.glob(f"{SRC}/docs/json/*.json")}


def test_every_schema_is_valid_and_belongs_to_a_command(sim, dock):
    printed = set()
    for path in glob.glob(f"{SRC}/daemon/ctl/*.c") + glob.glob(f"{SRC}/daemon/service/*.c"):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        printed |= set(re.findall(r'JSON_SCHEMA\("([a-z-]+)"\)', text)) | set(re.findall(r'"org\.berth\.ctl\.([a-z-]+)/1"', text))
    assert printed == names(), printed ^ names()
    for name in names():
        schema = schemas.load(name)
        jsonschema.Draft7Validator.check_schema(schema)
        assert schema["properties"]["schema"]["const"] == f"org.berth.ctl.{name}/1" and "schema" in schema["required"], name


def test_each_command_prints_what_its_schema_says(sim, dock):
    d = dock(["1-1.1", "1-1.2"], policy={"erase": "never"}).start()
    sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", firmware="1.2", battery=80,
        clips=[make_clip(f"DCIM/{n}.MP4", 2000, n) for n in range(3)])
    sim("plug", camera="c", port="1-1.1")
    sim("camera", name="k", type="stranger", vid=0x1234, pid=0x5678)
    sim("plug", camera="k", port="1-1.2")
    d.wait_state(1, "ready")
    d.wait_state(2, "refused")
    with open(d.path("roster.csv"), "w", encoding="ascii") as f:
        f.write("id,name\no1,One\no2,Two\n")
    subprocess.run([f"{BUILD}/berthctl", "roster", "import", d.path("roster.csv")], check=True, stdin=subprocess.DEVNULL)
    subprocess.run([f"{BUILD}/berthctl", "hold", "set", "--clip=1", "--case=K"], check=True, stdin=subprocess.DEVNULL)
    subprocess.run([f"{BUILD}/berthctl", "hold", "set", "--camera=SN-c"], check=True, stdin=subprocess.DEVNULL)
    # What the store makes of the hold is an event of each clip, and the export wants them all signed.
    d.wait(lambda: len(d.rows("SELECT 1 FROM object_holds WHERE lock <> 'asked'")) == 3, "the store to say what it makes of the hold")
    subprocess.run([f"{BUILD}/berthctl", "custody", "checkpoint"], check=True, stdin=subprocess.DEVNULL)
    d.write_config("[health]\nmedium_errors = 5\n")
    seen = set()
    for args in (["status"], ["clips"], ["log", "-n", "0"], ["refused"], ["model"], ["charge"], ["transfer"], ["hold"], ["camera", "list"],
                 ["camera", "health", "SN-c"], ["bay", "health"], ["roster"], ["roster", "issues"], ["fleet", "docks"],
                 ["fleet", "cameras"], ["dock", "show"], ["firmware"],
                 ["rollout"], ["reload"], ["config", "show", d.path("berthd.conf"), d.path("uplink.conf")], ["custody", "show", "1"],
                 ["custody", "export", "1", d.path("export"), "--no-store", f"--state-dir={d.state}"],
                 ["custody", "archive", f"--state-dir={d.state}", f"--uplink={d.path('uplink.sock')}"],
                 ["backup", d.path("backup"), f"--state-dir={d.state}"],
                 ["custody", "verify", f"--state-dir={d.state}"]):
        document = json.loads(ctl(*args))
        seen.add(schemas.check(document))
        rows = next((value for value in document.values() if isinstance(value, list)), ["none"])
        may_be_empty = args[0] in ("transfer", "rollout", "firmware", "bay") or args[1:2] in (
            ["issues"], ["health"], ["verify"], ["export"])
        assert rows or may_be_empty, f"{args} shows nothing: {document}"
    seen.add(schemas.check(json.loads(ctl("doctor", codes=(0, 1, 5)))))
    for line in ctl("watch", "--until=idle=0.1", "--timeout=110").splitlines():
        seen.add(schemas.check(json.loads(line)))
    subprocess.run([f"{BUILD}/berthctl", "hold", "release", "--camera=SN-c"], check=True, stdin=subprocess.DEVNULL)
    subprocess.run([f"{BUILD}/berthctl", "hold", "release", "--clip=1", "--case=K"], check=True, stdin=subprocess.DEVNULL)
    d.wait_state(1, "ready")
    seen.add(schemas.check(json.loads(ctl("checkout", "o1"))))
    jobs = json.loads(ctl("job"))
    seen.add(schemas.check(jobs))
    assert jobs["jobs"][-1]["kind"] == "checkout" and jobs["jobs"][-1]["outcome"] == {"serial": "SN-c", "bay": 1}, jobs
    seen.add(schemas.check(json.loads(ctl("job", "wait", str(jobs["jobs"][-1]["id"])))))
    seen.add(schemas.check(json.loads(ctl("roster", "issues"))))
    assert names() - seen == set(ELSEWHERE), (names() - seen) ^ set(ELSEWHERE)


def test_what_is_looked_at_elsewhere_is_looked_at(sim, dock):
    for name, where in ELSEWHERE.items():
        with open(f"{SRC}/tests/integration/{where}.py", encoding="utf-8") as f:
            text = f.read()
        for lib in re.findall(r"^(?:import|from) (\w+_world)", text, re.M):
            with open(f"{SRC}/tests/lib/{lib}.py", encoding="utf-8") as f:
                text += f.read()
        assert "schemas.parse(" in text, f"nobody looks at {name}"


rack.run([test_every_schema_is_valid_and_belongs_to_a_command, test_each_command_prints_what_its_schema_says,
          test_what_is_looked_at_elsewhere_is_looked_at])
