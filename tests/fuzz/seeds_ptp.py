#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_ptp: `seeds_ptp.py [FOLDER]` (default: corpus/ptp beside this file)."""

import os
import struct
import sys

PACKET = 64
ANSWER, DATA = 1, 2
OK = 0x2001
STORAGE = 0x10001


def u8(v):
    return struct.pack("<B", v)


def u16(v):
    return struct.pack("<H", v)


def u32(v):
    return struct.pack("<I", v)


def u64(v):
    return struct.pack("<Q", v)


def text(s):
    return u8(0) if not s else u8(len(s) + 1) + (s + "\0").encode("utf-16-le")


def codes(*values):
    return u32(len(values)) + b"".join(map(u16, values))


def ids(*values):
    return u32(len(values)) + b"".join(map(u32, values))


def device_info(*operations):
    return (u16(100) + u32(6) + u16(100) + text("microsoft.com: 1.0; android.com: 1.0;") + u16(0) + codes(*operations) +
            codes(0x4002) + codes(0x5001, 0x5011) + codes() + codes(0x3001, 0x300B) +
            text("ACME") + text("BodyCam") + text("1.0") + text("SN-1"))


def storage_info():
    return u16(4) + u16(2) + u16(0) + u64(64 << 30) + u64(1 << 30) + u32(0xFFFFFFFF) + text("SD") + text("VOL-7")


def object_info(fmt, size, parent, name):
    return (u32(STORAGE) + u16(fmt) + u16(0) + u32(size) + u16(0) + u32(0) * 6 + u32(parent) + u16(0) + u32(0) * 2 +
            text(name) + text("20261123T091500") + text("20261123T091500Z") + text(""))


def battery():
    return u16(0x5001) + u16(2) + u8(0) + u8(100) + u8(55) + u8(1) + u8(0) + u8(100) + u8(1)


def battery_levels():
    return u16(0x5001) + u16(2) + u8(0) + u8(3) + u8(2) + u8(2) + u16(4) + bytes([0, 1, 2, 3])


def clock():
    return u16(0x5011) + u16(0xFFFF) + u8(1) + text("") + text("20261123T091500") + u8(0)


def prop_list(*objects):
    elements = []
    for handle, fmt, size, name in objects:
        elements += [u32(handle) + u16(0xDC01) + u16(6) + u32(STORAGE), u32(handle) + u16(0xDC02) + u16(4) + u16(fmt),
                     u32(handle) + u16(0xDC04) + u16(8) + u64(size), u32(handle) + u16(0xDC0B) + u16(6) + u32(0),
                     u32(handle) + u16(0xDC41) + u16(10) + bytes(16), u32(handle) + u16(0xDC86) + u16(0x4002) + u32(2) + b"ab",
                     u32(handle) + u16(0xDC07) + u16(0xFFFF) + text(name)]
    return u32(len(elements)) + b"".join(elements)


def packets(container, flags):
    out, first = b"", True
    while True:
        part, container = container[:PACKET], container[PACKET:]
        out += u8(flags if first else 0) + u16(len(part)) + part
        first = False
        if len(part) < PACKET:
            return out


def data(payload):
    return packets(u32(12 + len(payload)) + bytes(8) + payload, DATA) + answer()


def answer(code=OK):
    return packets(u32(12) + u16(3) + u16(code) + u32(0), ANSWER)


QUIET = u8(8) + u16(0)


def conversation(operations, list_answers, read_answers):
    opened = QUIET + answer() + data(device_info(*operations))
    identified = data(ids(STORAGE)) + data(storage_info())
    healthy = (data(battery()) + data(clock()) + data(ids(STORAGE)) + data(storage_info())) if 0x1014 in operations else \
        data(ids(STORAGE)) + data(storage_info())
    clock_set = data(clock()) + answer() if 0x1016 in operations else b""
    return opened + identified + healthy + clock_set + data(ids(STORAGE)) + list_answers + read_answers + answer()


FULL = (0x1001, 0x1007, 0x1008, 0x1009, 0x100B, 0x1014, 0x1016, 0x101B, 0x95C1, 0x9803, 0x9805)
PLAIN = (0x1001, 0x1007, 0x1008, 0x1009, 0x100B)
CLIP = object_info(0x300B, 100, 1, "A.MP4")

SEEDS = {
    "device-info": u8(0) + device_info(*FULL),
    "storage-info": u8(1) + storage_info(),
    "object-info": u8(1) + CLIP,
    "battery": u8(2) + battery(),
    "battery-levels": u8(2) + battery_levels(),
    "clock": u8(2) + clock(),
    "prop-list": u8(3) + prop_list((2, 0x300B, 5 << 32, "A.MP4"), (1, 0x3001, 0, "DCIM")),
    "ids": u8(3) + ids(1, 2, 3),
    "date": u8(4) + b"20261123T091500.0+0100",
    "plain-camera": u8(6) + conversation(
        PLAIN, data(ids(1)) + data(object_info(0x3001, 0, 0, "DCIM")) + data(ids(2)) + data(CLIP),
        data(bytes(100)) + data(CLIP) + answer()),
    "full-camera": u8(5) + conversation(
        FULL, data(ids(2, 3)) + data(prop_list((2, 0x300B, 100, "A.MP4"), (3, 0x300B, 52, "B.MP4"))),
        data(bytes(100)) + data(prop_list((2, 0x300B, 100, "A.MP4"))) + answer() +
        data(bytes(52)) + data(prop_list((3, 0x300B, 52, "B.MP4"))) + answer()),
    "stalls": u8(7) + QUIET + u8(4) + u16(0) + QUIET + conversation(PLAIN, data(ids()) + data(ids()), b""),
}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "ptp")
    os.makedirs(folder, exist_ok=True)
    for name, content in SEEDS.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(content)


if __name__ == "__main__":
    main()
