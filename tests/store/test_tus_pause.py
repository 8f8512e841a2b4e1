#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Uploads to a real @tus/server that are paused, by an order or by the schedule."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from tus_world import World, tap  # noqa: E402
from store_pause import *  # noqa: E402, F403

if __name__ == "__main__":
    tap.main(World())
