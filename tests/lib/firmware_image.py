# SPDX-License-Identifier: Apache-2.0
"""Firmware that the simulator's cameras boot (tests/sim/firmware.h), and the suffix of DFU 1.1, appendix B."""

import hashlib
import random
import struct
import zlib


def image(version, size=20000):
    """Of that version; another size is other content."""
    payload = random.Random(f"{version} {size}").randbytes(size)
    return f"BERTH-SIM-FIRMWARE {version} {size} {hashlib.sha256(payload).hexdigest()}\n".encode() + payload


def with_suffix(data, vid=0xFFFF, pid=0xFFFF, device=0xFFFF, dfu=0x0100):
    body = data + struct.pack("<HHHH3sB", device, pid, vid, dfu, b"UFD", 16)
    return body + struct.pack("<I", zlib.crc32(body) ^ 0xFFFFFFFF)
