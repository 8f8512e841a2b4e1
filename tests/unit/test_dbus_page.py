#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""org.berth.Dock1(5) is made from the XML files, has all their members, and is not made from what is not documented."""

import glob
import os
import re
import subprocess
import sys
import tempfile

SRC = os.environ["BERTH_SRC"]
sys.path.insert(0, os.path.join(SRC, "tests"))
import tap  # noqa: E402

FILES = sorted(glob.glob(os.path.join(SRC, "daemon", "bus", "*.xml")))


def page(*files):
    return subprocess.run([os.path.join(SRC, "man", "dbus-page"), *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)


def changed(old, new):
    """What is said of the manager's file with something else in it."""
    with open(next(f for f in FILES if f.endswith("Manager.xml")), encoding="utf-8") as f:
        text = f.read()
    assert old in text
    with tempfile.NamedTemporaryFile("w", suffix=".xml", encoding="utf-8") as f:
        f.write(text.replace(old, new, 1))
        f.flush()
        return page(f.name)


def test_every_member_is_on_the_page():
    done = page(*FILES)
    assert done.returncode == 0, done.stderr
    for path in FILES:
        with open(path, encoding="utf-8") as f:
            for kind, name in re.findall(r'<(method|signal|property) name="(\w+)"', f.read()):
                assert (f".It Va {name} " if kind == "property" else f".Ss {name}\n") in done.stdout, (path, name)


def test_what_is_not_documented_makes_no_page():
    assert changed("@before_id:", "@before:").returncode != 0
    assert "GetFigures has no comment" in changed("      GetFigures:\n", "      Figures:\n").stderr
    assert "Dock1.view, errors ['Faild']" in changed('Errors" value="Failed"', 'Errors" value="Faild"').stderr
    assert changed("<!-- Reason: one", "<!-- The one").returncode != 0


def test_mandoc_finds_nothing_to_say():
    with tempfile.NamedTemporaryFile("w", suffix=".5", encoding="utf-8") as f:
        f.write(page(*FILES).stdout)
        f.flush()
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", f.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        assert done.returncode == 0, done.stdout


if __name__ == "__main__":
    tap.main()
