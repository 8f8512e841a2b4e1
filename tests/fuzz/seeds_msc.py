#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_msc: `seeds_msc.py [FOLDER]` (default: corpus/msc beside this file)."""

import os
import struct
import sys
import zlib

SENSE, TABLE, DEVICE = b"\0", b"\1", b"\2"
SECTOR = 512
# From the end of the card.
LAST = 0xFFFFFFFF


def patch(sector, data):
    data = data.rstrip(b"\0")
    return struct.pack("<IH", sector, len(data)) + data


def entry(kind, first, count):
    return bytes(4) + bytes([kind]) + bytes(3) + struct.pack("<II", first, count)


def table(*entries):
    return bytes(446) + b"".join(entries).ljust(64, b"\0") + b"\x55\xAA"


def gpt(n_sectors, *ranges):
    basic = bytes.fromhex("a2a0d0ebe5b9334487c068b6b72699c7")
    array = b"".join(basic + bytes([n] * 16) + struct.pack("<QQ", *r) + bytes(80) for n, r in enumerate(ranges)).ljust(512, b"\0")

    def header(at, other, where):
        def make(crc):
            return b"EFI PART\0\0\1\0" + struct.pack("<IIIQQQQ16sQIII", 92, crc, 0, at, other, 34, n_sectors - 34, bytes(16), where, 4,
                                                     128, zlib.crc32(array))
        return make(zlib.crc32(make(0)))

    return (patch(0, table(entry(0xEE, 1, n_sectors - 1))) + patch(1, header(1, n_sectors - 1, 2)) + patch(2, array) +
            patch(LAST, header(n_sectors - 1, 1, n_sectors - 2)) + patch(LAST - 1, array))


def fat12(at=0):
    """A floppy's worth of FAT12: one folder, in it a file of three clusters."""
    boot = (b"\xeb\x3c\x90ACME    " + struct.pack("<HBHBHHBHHHII", SECTOR, 1, 1, 2, 16, 100, 0xF8, 1, 9, 1, 0, 0) +
            b"\x80\0\x29" + struct.pack("<I", 0x1234ABCD) + b"BODYCAM    FAT12   ").ljust(510, b"\0") + b"\x55\xAA"
    entries = [0xFF8, 0xFFF, 0xFFF, 4, 5, 0xFFF]
    packed = 0
    for n, value in enumerate(entries):
        packed |= value << 12 * n
    fat = packed.to_bytes(16, "little")

    def slot(name, attributes, cluster, size):
        return name + bytes([attributes]) + bytes(10) + struct.pack("<HHHI", 0x4821, 0x5977, cluster, size)

    root = slot(b"DCIM       ", 0x10, 2, 0)
    folder = slot(b".          ", 0x10, 2, 0) + slot(b"..         ", 0x10, 0, 0) + slot(b"CLIP0001MP4", 0x20, 3, 1300)
    return (patch(at, boot) + patch(at + 1, fat) + patch(at + 2, fat) + patch(at + 3, root) + patch(at + 4, folder) +
            patch(at + 5, b"footage " * 64))


def device(card, n_sectors, wrongs=b"", units=1, shift=0, scale=0):
    return DEVICE + bytes([len(wrongs)]) + wrongs + bytes([units - 1, shift]) + struct.pack("<IB", n_sectors - 1, scale) + card


def on_table(card, n_sectors, shift=0, scale=0):
    return TABLE + bytes([shift]) + struct.pack("<IB", n_sectors - 1, scale) + card


WRONG = {"check": 1, "stall-data": 2, "stall-status": 3, "phase": 4, "tag": 5, "half": 6, "silent": 7, "residue": 8, "unplug": 9,
         "too-much": 10, "status-for-data": 11, "stall-command": 12, "other-data": 13}

SEEDS = {
    "sense-fixed": SENSE + bytes.fromhex("f000031234567 80a00000000110000000000".replace(" ", "")),
    "sense-descriptor": SENSE + bytes.fromhex("720311020000000c000a80000000000100000002"),
    "mbr": on_table(patch(0, table(entry(0x0C, 64, 100), entry(0x05, 200, 500))) +
                    patch(200, table(entry(0x07, 10, 50), entry(0x05, 100, 60))) + patch(300, table(entry(0x83, 10, 50))), 1000),
    "gpt": on_table(gpt(1000, (40, 99), (100, 900)), 1000),
    "fat": device(fat12(), 100),
    "fat-in-mbr": device(patch(0, table(entry(0x01, 8, 100))) + fat12(8), 200),
    "fat-in-gpt": device(gpt(1000, (40, 140)) + fat12(40), 1000),
    "two-units": device(fat12(), 100, units=2),
    "large": device(fat12(), 0x80000000, scale=3),
    **{f"wrong-{name}": device(fat12(), 100, bytes(6) + bytes([0x30 + n, 0, 0, n, 0, n])) for name, n in WRONG.items()},
    "attentions": device(fat12(), 100, bytes([0, 0x61, 0, 0x61, 0, 0x21, 0, 0xB1, 0, 0x31])),
}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "msc")
    os.makedirs(folder, exist_ok=True)
    for name, content in SEEDS.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(content)


if __name__ == "__main__":
    main()
