#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The example clients in docs/examples do, at a real daemon, what they say."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import BUILD, SRC, make_clip  # noqa: E402

EXAMPLES = f"{SRC}/docs/examples"


def env():
    """With berthctl, and the dock's bus in the place of the system's."""
    return dict(os.environ, PATH=f"{BUILD}:{os.environ['PATH']}")


def plug(sim, d):
    sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", battery=83,
        clips=[make_clip("DCIM/1.MP4", 2000, 1)])
    sim("plug", camera="c", port="1-1.2")


def example(name):
    return subprocess.run([f"{EXAMPLES}/{name}"], env=env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def test_examples_tell_the_dock_as_it_is(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    watch = subprocess.Popen([f"{EXAMPLES}/watch-dock.py", "ready"], env=env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    lines = [watch.stdout.readline(), watch.stdout.readline()]
    plug(sim, d)
    d.wait_state(2, "ready")
    lines += watch.communicate(timeout=120)[0].splitlines()
    assert lines[0] == "bay 1: empty ''\n" and lines[-1] == "bay 2: ready 'SN-c'" and "bay 2: pulling 'SN-c'" in lines, lines
    assert example("ready-cameras.sh") == "2\tSN-c\t83%\n"
    told = example("dock-busctl.sh").splitlines()
    assert told[0] == "dock test-dock: running, store ready" and told[1:3] == ["bay 1: empty ", "bay 2: ready SN-c"], told
    measured = subprocess.run([f"{EXAMPLES}/calibrate-bay.py", "2"], env=env(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
    assert measured.returncode == 0 and measured.stdout.startswith("bay 2: done: it "), measured
    assert len(told) == 6 and all(re.fullmatch(r"event \d+: [a-z-]+", line) for line in told[3:]), told


def test_every_example_is_run_and_on_the_page(sim, dock):
    with open(f"{EXAMPLES}/README.md", encoding="utf-8") as f:
        page = f.read()
    with open(os.path.abspath(__file__), encoding="utf-8") as f:
        here = f.read()
    for name in os.listdir(EXAMPLES):
        assert name == "README.md" or (f"({name})" in page and name in here), name


rack.run([test_examples_tell_the_dock_as_it_is, test_every_example_is_run_and_on_the_page])
