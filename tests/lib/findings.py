# SPDX-License-Identifier: Apache-2.0
"""What a dock found out about a camera, as its users are told."""

import subprocess

import rack
import schemas


def findings(serial):
    """Code to finding."""
    done = subprocess.run([f"{rack.BUILD}/berthctl", "camera", "health", serial, "--json"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=True)
    return {f["code"]: f for f in schemas.parse(done.stdout)["findings"]}


def codes(serial):
    return set(findings(serial))
