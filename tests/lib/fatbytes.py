# SPDX-License-Identifier: Apache-2.0
"""FAT volumes byte by byte: for what no program writes. Knows the format from its specification, not from our code."""

import struct

END = {12: 0xFFF, 16: 0xFFFF, 32: 0x0FFFFFFF}
BAD = {12: 0xFF7, 16: 0xFFF7, 32: 0x0FFFFFF7}
LONG_UNITS = 13


def checksum(short):
    total = 0
    for byte in short:
        total = (((total & 1) << 7) + (total >> 1) + byte) & 0xFF
    return total


def short_entry(short, attributes=0x20, first=0, size=0, case=0, date=(46 << 9) | (11 << 5) | 23, time=(9 << 11) | (15 << 5) | 0):
    assert len(short) == 11
    return struct.pack("<11sBBBHHHHHHHI", short, attributes, case, 0, 0, 0, 0, first >> 16, time, date, first & 0xFFFF, size)


def long_entries(units, short, total=None, wrong_sum=0):
    """Those of a long name (a list of UTF-16 units), as they stand before the short entry."""
    n = -(-len(units) // LONG_UNITS)
    padded = (list(units) + [0] + [0xFFFF] * LONG_UNITS)[:max(n, 1) * LONG_UNITS] if len(units) % LONG_UNITS else list(units)
    entries = []
    for i in range(n, 0, -1):
        part = struct.pack("<13H", *padded[(i - 1) * LONG_UNITS:i * LONG_UNITS])
        number = i | (0x40 if i == (total or n) else 0)
        entries.append(struct.pack("<B10sBBB12sH4s", number, part[:10], 0x0F, 0, (checksum(short) + wrong_sum) & 0xFF, part[10:22], 0,
                                   part[22:]))
    return entries


def utf16(text):
    raw = text.encode("utf-16-le", "surrogatepass")
    return list(struct.unpack(f"<{len(raw) // 2}H", raw))


class Volume:
    """A FAT volume in memory; save() writes it back."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.data = bytearray(f.read())
        b = self.data
        self.sector, self.per_cluster, self.reserved, self.n_fats, self.root_entries = struct.unpack_from("<HBHBH", b, 11)
        total = struct.unpack_from("<H", b, 19)[0] or struct.unpack_from("<I", b, 32)[0]
        wide = struct.unpack_from("<H", b, 22)[0] == 0
        self.fat_sectors = struct.unpack_from("<I", b, 36)[0] if wide else struct.unpack_from("<H", b, 22)[0]
        self.root_at = (self.reserved + self.n_fats * self.fat_sectors) * self.sector
        self.heap_at = self.root_at + -(-self.root_entries * 32 // self.sector) * self.sector
        self.cluster = self.sector * self.per_cluster
        self.n_clusters = (total - self.heap_at // self.sector) // self.per_cluster
        self.bits = 32 if wide else 12 if self.n_clusters < 4085 else 16
        self.root_cluster = struct.unpack_from("<I", b, 44)[0] if wide else None

    def save(self):
        with open(self.path, "wb") as f:
            f.write(self.data)

    def at(self, cluster):
        return self.heap_at + (cluster - 2) * self.cluster

    def _entry_at(self, cluster, fat):
        width = 1.5 if self.bits == 12 else self.bits // 8
        return (self.reserved + fat * self.fat_sectors) * self.sector + int(cluster * width)

    def get(self, cluster, fat=0):
        at = self._entry_at(cluster, fat)
        if self.bits == 32:
            return struct.unpack_from("<I", self.data, at)[0] & 0x0FFFFFFF
        value = struct.unpack_from("<H", self.data, at)[0]
        return value if self.bits == 16 else value >> 4 if cluster % 2 else value & 0xFFF

    def set(self, cluster, value, fats=None):
        for fat in range(self.n_fats) if fats is None else fats:
            at = self._entry_at(cluster, fat)
            if self.bits == 32:
                struct.pack_into("<I", self.data, at, value)
            elif self.bits == 16:
                struct.pack_into("<H", self.data, at, value)
            else:
                old = struct.unpack_from("<H", self.data, at)[0]
                new = (old & 0x000F) | value << 4 if cluster % 2 else (old & 0xF000) | value
                struct.pack_into("<H", self.data, at, new)

    def chain(self, *clusters):
        for cluster, following in zip(clusters, [*clusters[1:], END[self.bits]]):
            self.set(cluster, following)
        return clusters[0] if clusters else 0

    def write(self, clusters, data):
        """Fills clusters (each once, however often the chain comes by) and chains them."""
        for i, cluster in enumerate(clusters):
            part = data[i * self.cluster:(i + 1) * self.cluster]
            self.data[self.at(cluster):self.at(cluster) + len(part)] = part
        return self.chain(*clusters)

    def put_entries(self, entries, cluster=None, slot=0):
        """Writes directory entries from a slot on; into the root folder unless a cluster is named."""
        start = self.at(cluster or self.root_cluster) if cluster or self.root_cluster else self.root_at
        at = start + slot * 32
        for entry in entries:
            assert len(entry) == 32
            self.data[at:at + 32] = entry
            at += 32
        return slot + len(entries)

    def folder(self, cluster, parent=0):
        """An empty folder in a cluster."""
        self.data[self.at(cluster):self.at(cluster + 1)] = bytes(self.cluster)
        self.put_entries([short_entry(b".          ", 0x10, cluster), short_entry(b"..         ", 0x10, parent)], cluster)
        self.chain(cluster)
        return 2
