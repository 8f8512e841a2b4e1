#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shipped models and udev's rules are about the same devices, and each model says how far it was tried."""

import glob
import os
import re
import subprocess
import sys

SRC = os.environ.get("BERTH_SRC", os.getcwd())
BUILD = os.environ.get("BERTH_BUILD", os.path.join(SRC, "build"))
sys.path.insert(0, os.path.join(SRC, "tests"))
import tap  # noqa: E402

FILES = sorted(glob.glob(os.path.join(SRC, "cameras.d", "*.conf")))
RULES = os.path.join(SRC, "udev-rules")


def models():
    """{id: {key: [values]}}"""
    found = {}
    for path in FILES:
        with open(path, encoding="utf-8") as f:
            for line in f:
                line = line.strip()
                if line.startswith("[model "):
                    current = found.setdefault(line[7:-1].strip(), {})
                elif line and line[0] not in "#;":
                    key, value = (part.strip() for part in line.split("=", 1))
                    current.setdefault(key, []).append(value)
    return found


def interfaces_of(model):
    return model["interface"] + model.get("other_interface", [])


def rules():
    """(ids, interfaces) of each line that makes a device a camera; the ids are empty for a whole class."""
    with open(os.path.join(RULES, "68-berth.rules"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("#") or 'ENV{BERTH_CAMERA}="1"' not in line:
                continue
            vendor, products = re.search(r'idVendor}=="([^"]+)"', line), re.search(r'idProduct}=="([^"]+)"', line)
            classes = re.search(r'ID_USB_INTERFACES}==":([0-9a-f:]+):"', line)
            yield ({f"{vendor[1]}:{p}" for p in products[1].split("|")} if vendor else set(),
                   [f"{c[:2]}/{c[2:4]}/{c[4:]}" for c in classes[1].split(":")] if classes else [])


def test_there_are_models_and_rules():
    assert len(models()) >= 6 and len(list(rules())) >= 4, (list(models()), list(rules()))


def test_each_model_of_a_device_has_its_rule():
    for name, model in models().items():
        for match in model["match"]:
            given = [r for r in rules() if (match in r[0] or (match == "any" and not r[0])) and set(r[1]) <= set(interfaces_of(model))]
            assert given, f"no rule of 68-berth.rules gives {match} of [model {name}] to the group"


def test_each_rule_has_its_model():
    for ids, interfaces in rules():
        assert interfaces, "a rule that does not look at the interfaces gives away devices that are refused"
        for match in ids or {"any"}:
            fitting = [name for name, m in models().items() if match in m["match"] and set(interfaces) <= set(interfaces_of(m))]
            assert fitting, f"68-berth.rules gives {match} with {interfaces} to the group, and no model fits it"


def test_each_model_says_what_it_is_and_how_far_it_was_tried():
    for name, model in models().items():
        assert model.get("description") and model.get("tested"), name


def test_the_shipped_models_are_good_together_and_given_by_udev():
    done = subprocess.run([os.path.join(BUILD, "berthctl"), "model", "check", "--models-dir=/nonexistent",
                           "--local-models-dir=/nonexistent",
                           f"--rules-dir={RULES}", *FILES], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr


if __name__ == "__main__":
    tap.main()
