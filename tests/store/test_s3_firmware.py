#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Firmware in Ceph: published, listed and got as in a folder; and an answer that is lost costs nothing."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import firmware_world  # noqa: E402
from s3_world import World, tap  # noqa: E402

world = World()


def test_admin_publishes_and_docks_get_the_very_bytes():
    dock = world.dock().start()
    firmware_world.play_publishing(dock)
    dock.end()


def test_only_what_the_key_signed_is_believed():
    dock = world.dock().start()
    firmware_world.play_trust(dock)
    dock.end()


def test_small_texts_are_listed_in_order():
    dock = world.dock().start()
    firmware_world.play_lists(dock)
    dock.end()


def test_two_docks_with_one_store_see_the_same():
    docks = [world.dock(prefix="shared").start() for _ in range(2)]
    admin = firmware_world.Admin(docks[0])
    image = admin.image("a.bin", b"firmware")
    admin.ctl("publish", admin.catalog(1, [("cam", "2.1", image)]), image)
    admin.dock = docks[1]
    assert list(admin.list()) == [1]
    # Who is second with the same number hears of it.
    assert "not newer" in admin.ctl("publish", admin.catalog(1, [("cam", "2.1", image)], expires="2098-01-01"), image, code=1)
    for dock in docks:
        dock.end()


if __name__ == "__main__":
    tap.main()
