#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_container: `seeds_container.py [FOLDER]` (default: corpus/container beside this file)."""

import os
import struct
import sys

CREATED = 1795598100 + 2082844800


def be(v, n=4):
    return v.to_bytes(n, "big")


def le(v, n=4):
    return v.to_bytes(n, "little")


def box(code, *content):
    content = b"".join(content)
    return be(8 + len(content)) + code + content


def mvhd(version):
    width = 8 if version else 4
    return box(b"mvhd", be(version << 24), be(CREATED, width), be(CREATED, width), be(1000), be(12345, width), bytes(80))


def moov(version, *more):
    chunks = box(b"co64", be(0), be(1), be(40, 8)) if version else box(b"stco", be(0), be(1), be(40))
    track = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", chunks))))
    return box(b"moov", mvhd(version), track, *more)


def ftyp(brand):
    return box(b"ftyp", brand, be(0), b"isommp41")


def chunk(code, *content):
    content = b"".join(content)
    return code + le(len(content)) + content + bytes(len(content) % 2)


def in_list(kind, *content):
    return chunk(b"LIST", kind, *content)


def avih(flags):
    return chunk(b"avih", le(40000), bytes(8), le(flags), le(250), bytes(36))


def indx(at):
    return chunk(b"indx", le(4, 2), bytes(2), le(1), bytes(16), le(at, 8), bytes(24))


def avi(*tail, hdrl=b""):
    return chunk(b"RIFF", b"AVI ", in_list(b"hdrl", avih(0x10), in_list(b"strl", indx(100)), hdrl), in_list(b"movi", bytes(60)), *tail)


def element(ident, content=b"", unknown=False):
    size = b"\xff" if unknown else be(1 << 14 | len(content), 2)
    return bytes.fromhex(ident) + size + content


def mkv(doctype, unknown):
    info = element("1549a966", element("2ad7b1", be(1000000, 3)) + element("4489", struct.pack(">d", 12345.0)) +
                   element("4461", be(817290900 * 10**9, 8)))
    clusters = element("1f43b675", element("e7", b"\1") + element("a3", bytes(20)), unknown) * 2
    return element("1a45dfa3", element("4282", doctype)) + element("18538067", info + clusters + element("1c53bb6b", bytes(8)), unknown)


FRAGMENT = box(b"moof", bytes(8)) + box(b"mdat", bytes(40))
SEEDS = {
    "mp4": ftyp(b"isom") + box(b"mdat", bytes(40)) + moov(0),
    "mp4-index-first": ftyp(b"isom") + moov(1) + be(1) + b"mdat" + be(56, 8) + bytes(40),
    "mp4-fragments": ftyp(b"iso6") + moov(0, box(b"mvex")) + FRAGMENT * 3,
    "mp4-closed-fragments": ftyp(b"iso6") + moov(0, box(b"mvex")) + FRAGMENT + box(b"mfra", bytes(20), box(b"mfro", be(0), be(44))),
    "mp4-hole": ftyp(b"isom") + moov(1) + be(1) + b"mdat" + be((1 << 30) - 200, 8) + bytes(4) + b"\x9e",
    "mov-open": box(b"wide") + be(0) + b"mdat" + bytes(40),
    "mov-zeroes": ftyp(b"qt  ") + box(b"mdat", bytes(10)) + moov(0) + bytes(20),
    "avi": avi(chunk(b"idx1", bytes(16))),
    "avi-date": avi(in_list(b"INFO", chunk(b"ICRD", b"2026-11-25T10:15:00+01:00")), hdrl=chunk(b"IDIT", b"Wed Nov 25 09:15:00 2026\n")),
    "avi-riffs": avi() + chunk(b"RIFF", b"AVIX", in_list(b"movi", bytes(40))),
    "avi-open": b"RIFF" + bytes(4) + avi()[8:],
    "mkv": mkv(b"matroska", False),
    "webm-open": mkv(b"webm", True),
}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "container")
    os.makedirs(folder, exist_ok=True)
    for name, data in SEEDS.items():
        for suffix, part in (("", data), ("-cut", data[:len(data) * 3 // 4])):
            with open(os.path.join(folder, name + suffix), "wb") as f:
                f.write(part)


if __name__ == "__main__":
    main()
