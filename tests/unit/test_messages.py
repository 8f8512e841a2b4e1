#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each event that the code can name in the journal is in the catalog and in berth-messages(7), and the other way round."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

SRC = os.environ["BERTH_SRC"]
sys.path.insert(0, os.path.join(SRC, "tests"))
import tap  # noqa: E402

CATALOG = os.path.join(SRC, "systemd", "catalog", "berth.catalog")


def read(*path):
    with open(os.path.join(SRC, *path), encoding="utf-8") as f:
        return f.read()


def table():
    """{constant: (name, id)}"""
    rows = re.findall(r'\[(MESSAGE_\w+)\] = \{ "([a-z-]+)", "([0-9a-f]{32})" \}', read("daemon", "base", "message.c"))
    return {constant: (name, number) for constant, name, number in rows}


def entries():
    """{id: text} of the catalog."""
    parts = re.split(r"^-- ([0-9a-f]{32})$", read("systemd", "catalog", "berth.catalog"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def test_each_message_has_a_name_and_a_number_of_its_own():
    known = table()
    constants = re.findall(r"^\s+(MESSAGE_\w+),", read("daemon", "base", "message.h"), flags=re.M)
    assert set(constants) - {"MESSAGE_NONE"} == set(known), set(constants) ^ set(known)
    assert len({number for _, number in known.values()}) == len(known) == len({name for name, _ in known.values()})
    for constant, (name, _) in known.items():
        assert constant == "MESSAGE_" + name.upper().replace("-", "_"), (constant, name)


def test_catalog_has_the_messages_of_the_code_and_no_other():
    assert {number for _, number in table().values()} == set(entries())
    for number, text in entries().items():
        head, _, body = text.strip().partition("\n\n")
        assert re.match(r"Subject: \S", head) and "Documentation: man:berth-messages(7)" in head and body.strip(), number


def test_manual_has_the_messages_of_the_code_and_no_other():
    told = re.findall(r"^\.It Cm (\S+)\n[^.].*\.\n\.br\n\.Li ([0-9a-f]{32})$", read("man", "berth-messages.7"), flags=re.M)
    assert set(told) == set(table().values()), set(told) ^ set(table().values())
    assert read("man", "berth-messages.7").count("\n.It Cm ") == len(told), "an event without its number"


def test_each_message_is_said_somewhere():
    files = glob.glob(os.path.join(SRC, "daemon", "**", "*.c"), recursive=True)
    code = "".join(read(path) for path in files if "/base/message.c" not in path)
    never = [constant for constant in table() if not re.search(rf"\b{constant}\b", code)]
    assert not never, never


def test_catalog_refers_to_fields_that_the_log_has():
    fields = set(re.findall(r'"(BERTH_[A-Z]+)"', read("daemon", "base", "log.c")))
    used = set(re.findall(r"@(\w+)@", read("systemd", "catalog", "berth.catalog")))
    assert "BERTH_BAY" in used and used <= fields, used - fields


def test_journalctl_takes_the_catalog():
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, "usr/lib/systemd/catalog"))
        os.makedirs(os.path.join(root, "var/lib/systemd/catalog"))
        shutil.copy(CATALOG, os.path.join(root, "usr/lib/systemd/catalog"))
        done = subprocess.run(["journalctl", f"--root={root}", "--update-catalog"], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done
        listed = subprocess.run(["journalctl", f"--root={root}", "--list-catalog"], capture_output=True, text=True, check=True).stdout
        assert {line.split()[0] for line in listed.splitlines()} == set(entries()), listed


if __name__ == "__main__":
    tap.main()
