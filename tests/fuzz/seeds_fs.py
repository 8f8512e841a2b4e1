#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_fat and fuzz_exfat: `seeds_fs.py [FOLDER]` (default: corpus beside this file).

Needs dosfstools and exfatprogs. The format of an input is described in fs_subject.h.
"""

import os
import re
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
import exfatbytes  # noqa: E402
import fatbytes  # noqa: E402
from fatbytes import long_entries, short_entry, utf16  # noqa: E402
from fsimage import run  # noqa: E402

SEAL, DIRTY = 4, 8


def pieces(image, sector, flags):
    """An image as an input: what is not zeros. Runs of zeros within a sector are left out as well."""
    out = struct.pack("<BI", flags | (sector.bit_length() - 10), len(image) // sector)
    for number in range(len(image) // sector):
        part = bytes(image[number * sector:(number + 1) * sector])
        for found in re.finditer(rb"(?:\0{0,8}[^\0]+)+", part):
            out += struct.pack("<IHH", number, found.start(), len(found[0])) + found[0]
    return out


def fat(path, bits, sector, kib, per_cluster):
    run("mkfs.fat", "-F", str(bits), "-S", str(sector), "-s", str(per_cluster), "-n", "CARD", "-i", "12345678", "-C", path, str(kib))
    v = fatbytes.Volume(path)
    # No boot code: it would be most of the seed.
    v.data[90:510] = bytes(420)
    c = v.cluster
    v.folder(5)
    entries = [*long_entries(utf16("a clip with a long name.mp4"), b"ACLIPW~1MP4"),
               short_entry(b"ACLIPW~1MP4", first=v.write([10, 12, 14], b"1" * 20), size=2 * c + 9)]
    v.put_entries(entries, 5, 2)
    v.put_entries([short_entry(b"DCIM       ", 0x10, 5), short_entry(b"ROW     MP4", first=v.write([20, 21], b"2"), size=2 * c),
                   short_entry(b"EMPTY   MP4"), short_entry(b"LOCKED  MP4", 0x21, first=v.write([30], b"3"), size=1),
                   short_entry(b"\xe5RASED  MP4", first=40, size=1)], slot=1)
    return v


def fat_seeds(path):
    for bits, sector, kib, per_cluster in [(12, 512, 64, 1), (16, 512, 2200, 1), (32, 512, 34000, 1), (12, 4096, 1024, 1)]:
        v = fat(path, bits, sector, kib, per_cluster)
        yield f"fat{bits}-{sector}", pieces(v.data, sector, 0)
        os.unlink(path)
    v = fat(path, 12, 512, 64, 1)
    v.set(20, 12)
    v.put_entries([short_entry(b"SHARES  MP4", first=20, size=1500)], slot=6)
    yield "fat12-shared", pieces(v.data, 512, 0)
    os.unlink(path)
    v = fat(path, 12, 512, 64, 1)
    v.chain(21, 10)  # shared,
    v.set(14, 10)    # and round
    v.put_entries([short_entry(b"LOOP       ", 0x10, 5)], 5, 6)
    yield "fat12-tangled", pieces(v.data, 512, 0)
    v.data[37] |= 1
    yield "fat12-dirty", pieces(v.data, 512, DIRTY)
    os.unlink(path)


def empty_exfat(path):
    with open(path, "wb") as f:
        f.truncate(2 << 20)
    run("mkfs.exfat", "-c", "512", "-b", "64K", path)
    v = exfatbytes.Volume(path)
    # Nor the boot code and the up-case table.
    v.data[120:510] = bytes(390)
    for slot in range(v.root.slot):
        if v.slot(v.root, slot)[0] == 0x82:
            first = struct.unpack_from("<I", v.slot(v.root, slot), 20)[0]
            for cluster in v.chain_of(first):
                v.write([cluster], bytes(512))
                v.set(cluster, 0)
            v.chain([first])
            at = v.slot_at(v.root, slot)
            struct.pack_into("<Q", v.data, at + 24, 512)
    return v


def exfat(path):
    v = empty_exfat(path)
    v.grow_root(1)
    dcim = v.folder(v.root, "DCIM")
    v.put(dcim, "a clip with a long name.mp4", b"1" * 20, v.free_clusters(3, 2), size=1100)
    v.put(dcim, "row.mp4", b"2", size=1000)
    v.put(v.root, "empty.mp4")
    v.put(v.root, "part", b"3" * 5, size=600, valid=5)
    return v


def exfat_seeds(path):
    v = exfat(path)
    yield "exfat", pieces(v.data, 512, SEAL)
    v.data[106] |= 2
    row = v.free_clusters(2)
    v.put(v.root, "x", b"4", row[:1], size=1024)
    v.put(v.root, "y", b"5", row[1:])
    loop = v.folder(v.root, "LOOP")
    v.put_entries(loop, v.entry_set("again", loop.clusters[0], 512, attributes=0x10))
    yield "exfat-tangled", pieces(v.data, 512, SEAL | DIRTY)
    os.unlink(path)
    # A root folder that is full of what is not erased, and behind the first free cluster a file whose clusters the bitmap calls free.
    v = empty_exfat(path)
    room = v.free_clusters(4)
    while len(v.root.clusters) * v.cluster // 32 - v.root.slot >= 6:
        v.put(v.root, f"F{v.root.slot}", valid=1)
    v.put(v.root, "victim", b"v", room[1:], size=3 * 512)
    v.use(room[1:], False)
    yield "exfat-full", pieces(v.data, 512, SEAL)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus")
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "seed.img")
        for kind, seeds in (("fat", fat_seeds), ("exfat", exfat_seeds)):
            os.makedirs(os.path.join(folder, kind), exist_ok=True)
            for name, content in seeds(path):
                with open(os.path.join(folder, kind, name), "wb") as f:
                    f.write(content)


if __name__ == "__main__":
    main()
