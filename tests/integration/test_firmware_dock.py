#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A dock follows the fleet's firmware catalog: what is signed, newer, its fleet's and not expired counts, and nothing else."""

import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import firmware_world  # noqa: E402
import rack  # noqa: E402


def firmware():
    done = subprocess.run([f"{rack.BUILD}/berthctl", "firmware", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=True)
    return json.loads(done.stdout)


def start(dock, extra="", believes="one"):
    d = dock(["1-1.1"], dock={"fleet": "north"})
    admin = firmware_world.Admin(d)
    d.write_config(f"[firmware]\nkeys = {admin.path(believes + '.pub')}\nfollow_every = 200ms\n{extra}")
    d.start()
    d.wait(lambda: d.manager().get("StoreState") == "ready", "the store")
    return d, admin


def catalog_file(d, version, end=""):
    return os.path.join(d.store, "firmware", "catalog", f"{version:010}.json{end}")


def put(d, version, path):
    """As somebody who can write to the store, and has no key, would."""
    os.makedirs(os.path.dirname(catalog_file(d, 1)), exist_ok=True)
    shutil.copy(path + ".minisig", catalog_file(d, version, ".minisig"))
    shutil.copy(path, catalog_file(d, version))


def wait_version(d, version):
    d.wait(lambda: firmware()["version"] == version, f"version {version} of the catalog")
    d.wait(lambda: firmware()["trouble"] == "", "no trouble")


def wait_trouble(d, words):
    d.wait(lambda: words in firmware()["trouble"], f"the trouble that {words}")


def test_dock_follows_what_is_published(sim, dock):
    d, admin = start(dock)
    assert (firmware()["follows"], firmware()["version"]) == (True, 0)
    image = admin.image("a.bin", b"firmware")
    admin.ctl("publish", admin.catalog(1, [("cam", "2.1", image)]), image)
    wait_version(d, 1)
    (one,) = firmware()["images"]
    assert (one["model"], one["version"], one["size_bytes"], one["here"]) == ("cam", "2.1", 8, False)
    admin.ctl("publish", admin.catalog(2, [("cam", "2.1", image), ("cam", "2.2", image)]), image)
    wait_version(d, 2)
    assert [e["catalog"] for e in d.events("catalog")] == [1, 2]
    # Over a restart, and without the store.
    d.daemon.end()
    shutil.rmtree(os.path.join(d.store, "firmware"))
    d.start_daemon()
    assert (firmware()["version"], len(firmware()["images"])) == (2, 2)
    text = subprocess.run([f"{rack.BUILD}/berthctl", "firmware"], capture_output=True, text=True, check=True).stdout
    assert "Version 2 of the firmware catalog, good until 2099-12-31" in text and "in the store" in text, text


def test_what_is_no_catalog_of_the_fleet_is_refused_with_its_own_sentence(sim, dock):
    d, admin = start(dock)
    image = admin.image("a.bin", b"firmware")
    good = admin.catalog(1, [("cam", "2.1", image)])
    admin.ctl("publish", good, image)
    wait_version(d, 1)
    admin.new_key("two")
    # By another key; changed afterwards; played again under a new name; cut off; without a signature; of another fleet.
    put(d, 2, admin.catalog(2, [("cam", "6.6", image)], key="two"))
    wait_trouble(d, "which is not believed here")
    forged = admin.catalog(3, [("cam", "2.1", image)])
    with open(forged, "r+", encoding="utf-8") as f:
        text = f.read().replace("2.1", "6.6")
        f.seek(0)
        f.write(text)
    put(d, 3, forged)
    wait_trouble(d, "changed or cut off")
    put(d, 4, good)
    wait_trouble(d, "under the name of version 4")
    short = admin.catalog(5, [("cam", "2.1", image)])
    os.truncate(short, os.path.getsize(short) - 10)
    put(d, 5, short)
    wait_trouble(d, "changed or cut off")
    with open(catalog_file(d, 6), "w", encoding="ascii") as f:
        f.write("{}")
    wait_trouble(d, "it has no signature")
    put(d, 7, admin.catalog(7, [("cam", "6.6", image)], fleet="south"))
    wait_trouble(d, "for the fleet south")
    # The signature changed by a byte, and that of another catalog.
    unsigned = admin.catalog(8, [("cam", "2.2", image)])
    with open(unsigned + ".minisig", "r+", encoding="ascii") as f:
        lines = f.read().splitlines()
        lines[1] = lines[1][:40] + ("A" if lines[1][40] != "A" else "B") + lines[1][41:]
        f.seek(0)
        f.write("\n".join(lines) + "\n")
    put(d, 8, unsigned)
    shutil.copy(good + ".minisig", unsigned + ".minisig")
    put(d, 9, unsigned)
    for version in (8, 9):
        line = f"What lies in the store as version {version} of the firmware catalog is not taken: the firmware catalog is not believed: " \
            "the signature is not over these bytes"
        d.wait(lambda line=line: line in d.daemon.output(), f"the signature of version {version} to be refused")
    assert firmware()["version"] == 1 and [i["version"] for i in firmware()["images"]] == ["2.1"]
    # None of them keeps the next good one away.
    put(d, 10, admin.catalog(10, [("cam", "2.3", image)], fleet="north"))
    wait_version(d, 10)
    assert [e["catalog"] for e in d.events("catalog")] == [1, 10]


def test_frozen_catalog_is_noticed_and_keys_are_replaced(sim, dock):
    d, admin = start(dock)
    image = admin.image("a.bin", b"firmware")
    admin.new_key("two")
    put(d, 1, admin.catalog(1, [("cam", "2.1", image)], expires="2020-01-01"))
    wait_trouble(d, "expired on 2020-01-01")
    assert firmware()["version"] == 1
    put(d, 2, admin.catalog(2, [("cam", "2.1", image)], keys=[admin.public("two")]))
    wait_version(d, 2)
    # The old key signs nothing any more, over a restart, too.
    d.daemon.end()
    put(d, 3, admin.catalog(3, [("cam", "6.6", image)]))
    d.start_daemon()
    wait_trouble(d, "which is not believed here")
    put(d, 4, admin.catalog(4, [("cam", "2.4", image)], key="two"))
    wait_version(d, 4)


def test_older_catalog_never_counts_again(sim, dock):
    d, admin = start(dock)
    image = admin.image("a.bin", b"firmware")
    put(d, 1, admin.catalog(1, [("cam", "1.0", image)]))
    put(d, 2, admin.catalog(2, [("cam", "2.0", image)]))
    wait_version(d, 2)
    # The store is set back, and the dock's file of keys is written anew: begins with these keys, and not with an older catalog.
    for end in ("", ".minisig"):
        os.remove(catalog_file(d, 2, end))
    admin.new_key("two")
    d.daemon.end()
    with open(admin.path("one.pub"), "w", encoding="ascii") as f:
        f.write(admin.public("two") + "\n")
    d.start_daemon()
    put(d, 3, admin.catalog(3, [("cam", "6.6", image)]))
    wait_trouble(d, "which is not believed here")
    assert firmware()["version"] == 2
    put(d, 4, admin.catalog(4, [("cam", "2.0", image)], key="two"))
    wait_version(d, 4)


rack.run([test_dock_follows_what_is_published, test_what_is_no_catalog_of_the_fleet_is_refused_with_its_own_sentence,
          test_frozen_catalog_is_noticed_and_keys_are_replaced, test_older_catalog_never_counts_again])
