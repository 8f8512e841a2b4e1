#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The project's own lint sees what it is for: each check goes red on a planted violation and stays green without it."""

import os
import shutil
import subprocess
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
import tap  # noqa: E402

# As in tests/tests.mk: with optimisation, gcc has removed some mistakes before it looks.
ANALYZER = ["-O0", "-fanalyzer"]
LICENCE = "/* SPDX-License-Identifier: Apache-2.0 */\n"


def lint(program, files):
    """Runs a check over a small tree; (did it pass?, what it said)."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
        done = subprocess.run([os.path.join(TESTS, "lint", program), root], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        return done.returncode == 0, done.stdout


def floors(path, include):
    good, said = lint("floors.py", {
        "daemon/base/fd.h": "",
        "plugins/mtp/ptp.h": "",
        "plugins/msc/scsi.h": "",
        path: f"#include <errno.h>\n\n#include {include}\n",
    })
    assert good == (said == ""), said
    assert good or f"{path}:3: " in said, said
    return good


def test_includes_that_point_down_are_good():
    for path, include in [("daemon/store/db.c", '"base/fd.h"'), ("daemon/store/db.c", '"store/db.h"'),
                          ("daemon/service/bay.c", '"core/bay.h"'), ("daemon/service/bay.c", '"store/store.h"'),
                          ("daemon/bus/bay.c", '"service/manager.h"'), ("daemon/main.c", '"bus/bus.h"'),
                          ("daemon/bay/host.c", '"base/fd.h"'), ("daemon/ctl/check.c", '"model/model.h"'), ("plugins/mtp/mtp.c", '"ptp.h"'),
                          ("plugins/mtp/mtp.c", "<berth/plugin.h>"), ("daemon/bay/plugin.c", "<dlfcn.h>")]:
        assert floors(path, include), (path, include)


def test_an_include_that_points_up_is_found():
    for path, include in [("daemon/base/fd.c", '"store/store.h"'), ("daemon/store/db.c", '"service/manager.h"'),
                          ("daemon/core/bay.h", '"service/bay.h"'), ("daemon/service/bay.c", '"bus/bus.h"')]:
        assert not floors(path, include), (path, include)


def test_an_include_that_points_sideways_is_found():
    for path, include in [("daemon/store/db.c", '"core/bay.h"'), ("daemon/core/bay.c", '"store/store.h"'),
                          ("daemon/bay/host.c", '"core/bay.h"'), ("daemon/bay/host.c", '"model/model.h"'),
                          ("daemon/core/bay.c", '"model/model.h"'), ("daemon/uplink/put.c", '"store/store.h"'),
                          ("daemon/ctl/status.c", '"bus/bus.h"'), ("daemon/service/bay.c", '"bay/host.h"')]:
        assert not floors(path, include), (path, include)


def test_an_include_that_goes_round_the_floors_is_found():
    for path, include in [("daemon/base/fd.c", '"../store/store.h"'), ("daemon/base/fd.c", '"fd.h"'),
                          ("daemon/extra/new.c", '"base/fd.h"')]:
        assert not floors(path, include), (path, include)


def test_a_plugin_that_looks_beyond_its_folder_is_found():
    for include in ['"base/fd.h"', '"../msc/scsi.h"', '"scsi.h"', "<base/fd.h>", "<berth/other.h>"]:
        assert not floors("plugins/mtp/mtp.c", include), include


def test_a_power_in_the_wrong_place_is_found():
    for path, include in [("daemon/service/bay.c", "<dlfcn.h>"), ("daemon/bus/bay.c", "<sqlite3.h>"),
                          ("daemon/service/put.c", "<curl/curl.h>"), ("daemon/service/usb.c", "<libusb.h>"),
                          ("daemon/core/bay.c", "<time.h>"), ("daemon/core/bay.c", "<systemd/sd-event.h>")]:
        assert not floors(path, include), (path, include)


def test_floors_of_an_empty_tree_are_a_failure():
    assert not lint("floors.py", {"README.md": "x\n"})[0]


def test_words_of_unfinished_work_and_machine_paths_are_found():
    assert lint("words.py", {"a.c": "int method; /* see /var/lib/berth, /dev/bus/usb and framework/x */\n"}) == (True, "")
    for text in ["/* TO" "DO: later */", "# FIX" "ME", "path = /wo" "rk/main/build", "/ro" "ot/x", "/ho" "me/ann/x", "<<<<" "<<< a"]:
        good, said = lint("words.py", {"docs/a.md": f"one\n{text}\n"})
        assert not good and said.startswith("docs/a.md:2: "), (text, said)


def test_breaches_of_style_are_found():
    assert lint("style.py", {"a.c": LICENCE + "int a;\n"}) == (True, "")
    for text in ["int a;\n", LICENCE + "int a; \n", LICENCE + "\tint a;\n", LICENCE + "int a;", LICENCE + "int a;\n\n",
                 LICENCE + "/* " + "long " * 30 + "*/\n", LICENCE + "int a;\n" * 2000]:
        good, said = lint("style.py", {"a.c": text})
        assert not good and said.startswith("a.c:"), (text[:100], said)
    good, said = lint("style.py", {"a.sh": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"})
    assert not good and "chmod +x" in said, said


def test_the_compilers_analysis_sees_a_double_free():
    if not shutil.which("gcc"):
        raise tap.Skip("no gcc here")
    text = "#include <stdlib.h>\nvoid f(void);\nvoid f(void) {\n        char *p = malloc(3);\n        free(p);\n        free(p);\n}\n"
    done = subprocess.run(["gcc", *ANALYZER, "-Werror", "-x", "c", "-c", "-o", "/dev/null", "-"], input=text, text=True,
                          stderr=subprocess.PIPE, check=False)
    assert done.returncode != 0 and "double-free" in done.stderr, done.stderr


if __name__ == "__main__":
    tap.main()
