#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
""".ci/install-packages, which comes before all tests: what passes by itself must not fail them, and what does not is told."""

import os
import subprocess
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
import tap  # noqa: E402

SCRIPT = os.path.join(os.path.dirname(TESTS), ".ci", "install-packages")
# What it asks, each by itself: apt-get installs, or not, FAILURES times; whoever pauses is not kept waiting.
FAKES = {
    "id": "echo 0",
    "dpkg-query": "echo \"$INSTALLED\" | tr ' ' '\\n' | sed '/./s/$/ installed/'",
    "sleep": 'echo "sleep $1" >> calls',
    "apt-get": """echo "apt-get $*" >> calls
case "$*" in *install*) [ "$(grep -c 'apt-get.* install ' calls)" -gt "$FAILURES" ];; *) [ "$UPDATES" = yes ];; esac""",
}


def install(*packages, installed="", failures=0, updates=True):
    """(exit status, what it said, what it called)"""
    with tempfile.TemporaryDirectory() as folder:
        for name, script in FAKES.items():
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"#!/bin/bash\n{script}\n")
            os.chmod(path, 0o755)
        environment = dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}", INSTALLED=installed, FAILURES=str(failures),
                           UPDATES="yes" if updates else "no")
        done = subprocess.run([SCRIPT, *packages], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment,
                              check=False)
        calls = []
        if os.path.exists(os.path.join(folder, "calls")):
            with open(os.path.join(folder, "calls"), encoding="utf-8") as f:
                calls = f.read().splitlines()
    return done.returncode, done.stdout, calls


def test_nothing_is_asked_of_apt_when_all_is_there():
    assert install("jq", "less", installed="jq less") == (0, "", [])


def test_only_what_is_missing_is_installed():
    status, _, calls = install("jq", "less", installed="jq")
    assert status == 0 and calls[-1].endswith("--no-install-recommends less"), calls


def test_mirror_that_fails_for_a_while_is_asked_again():
    status, said, calls = install("less", failures=3)
    assert status == 0 and "trying again" in said, (said, calls)
    assert any("update" in call for call in calls) and any(call.startswith("sleep") for call in calls), calls


def test_lists_that_another_apt_has_locked_are_no_end():
    status, said, _ = install("less", failures=1, updates=False)
    assert status == 0, said


def test_what_cannot_be_installed_is_named_at_the_end():
    status, said, _ = install("less", "no-such-package", installed="less", failures=1000)
    assert status == 1 and said.splitlines()[-1].endswith("they are needed: no-such-package"), said


if __name__ == "__main__":
    tap.main()
