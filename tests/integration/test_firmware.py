#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Firmware in a folder: published by berthctl, trusted by its signature alone, and looked at whenever it is touched."""

import glob
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import firmware_world  # noqa: E402
import tap  # noqa: E402
import uplink  # noqa: E402


def new_dock():
    folder = tempfile.mkdtemp(prefix="firmware-")
    store = os.path.join(folder, "store")
    os.makedirs(store)
    dock = uplink.Uplink(folder, f"type = dir\npath = {store}\n")
    dock.store = store
    return dock


def test_admin_publishes_and_docks_get_the_very_bytes():
    dock = new_dock().start()
    firmware_world.play_publishing(dock)
    dock.end()


def test_only_what_the_key_signed_is_believed():
    dock = new_dock().start()
    firmware_world.play_trust(dock)
    dock.end()


def test_small_texts_are_listed_in_order():
    dock = new_dock().start()
    firmware_world.play_lists(dock)
    dock.end()


def test_image_that_was_damaged_in_the_store_is_not_given():
    dock = new_dock().start()
    admin = firmware_world.Admin(dock)
    image = admin.image("a.bin", b"firmware")
    admin.ctl("publish", admin.catalog(1, [("cam", "2.1", image)]), image)
    (stored,) = glob.glob(os.path.join(dock.store, "firmware", "images", "*"))
    os.chmod(stored, 0o600)
    with open(stored, "r+b") as f:
        f.write(b"F")
    arguments, fds = firmware_world.image_arguments(admin.path("got"), "wb", 8, bytes.fromhex(os.path.basename(stored)))
    assert "is damaged" in firmware_world.refused(dock, "Conflict", "GetImage", *arguments, fds=fds)
    assert os.path.getsize(admin.path("got")) == 0
    assert "damaged" in admin.ctl("publish", admin.catalog(2, [("cam", "2.1", image)]), image, code=1)
    dock.end()


if __name__ == "__main__":
    tap.main()
