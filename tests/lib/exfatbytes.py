# SPDX-License-Identifier: Apache-2.0
"""exFAT volumes byte by byte, on top of what mkfs.exfat makes. Knows the format from its specification, not from our code."""

import struct

END = 0xFFFFFFFF
STAMP = ((46 << 9) | (11 << 5) | 23) << 16 | (9 << 11) | (15 << 5) | 0  # 2026-11-23 09:15:00


def boot_checksum(region, sector):
    total = 0
    for i, byte in enumerate(region[:11 * sector]):
        if i not in (106, 107, 112):
            total = (((total & 1) << 31) + (total >> 1) + byte) & 0xFFFFFFFF
    return total


def set_checksum(entries):
    total = 0
    for i, byte in enumerate(entries):
        if i not in (2, 3):
            total = (((total & 1) << 15) + (total >> 1) + byte) & 0xFFFF
    return total


def units(text):
    raw = text.encode("utf-16-le", "surrogatepass")
    return list(struct.unpack(f"<{len(raw) // 2}H", raw))


class Folder:
    def __init__(self, clusters, slot=0):
        self.clusters, self.slot = clusters, slot


class Volume:
    """An exFAT volume in memory; save() writes it back."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.data = bytearray(f.read())
        (self.length, fat_at, fat_length, heap_at, self.n_clusters, root, self.volume_id, _, _, shift, per_cluster, self.n_fats) = \
            struct.unpack_from("<QIIIIIIHHBBB", self.data, 72)
        self.sector = 1 << shift
        self.cluster = self.sector << per_cluster
        self.fat_at, self.fat_length, self.heap_at = fat_at * self.sector, fat_length * self.sector, heap_at * self.sector
        self.bitmap_at = self.upcase = None
        self.root = Folder(self.chain_of(root))
        while (entry := self.slot(self.root, self.root.slot))[0]:
            if entry[0] == 0x81:
                self.bitmap_at = self.at(struct.unpack_from("<I", entry, 20)[0])
            elif entry[0] == 0x82:
                first, size = struct.unpack_from("<IQ", entry, 20)
                self.upcase = self._read_upcase(self.data[self.at(first):self.at(first) + size])
            self.root.slot += 1

    @staticmethod
    def _read_upcase(table):
        mapped, code, words = {}, 0, iter(struct.unpack(f"<{len(table) // 2}H", table))
        for word in words:
            if word == 0xFFFF:
                code += next(words, 0)
            else:
                mapped[code] = word
                code += 1
        return mapped

    def save(self):
        with open(self.path, "wb") as f:
            f.write(self.data)

    # ---- Clusters ----

    def at(self, cluster):
        return self.heap_at + (cluster - 2) * self.cluster

    def get(self, cluster):
        return struct.unpack_from("<I", self.data, self.fat_at + 4 * cluster)[0]

    def set(self, cluster, value):
        struct.pack_into("<I", self.data, self.fat_at + 4 * cluster, value)

    def chain_of(self, cluster):
        clusters = [cluster]
        while self.get(clusters[-1]) < 0xFFFFFFF7:
            clusters.append(self.get(clusters[-1]))
        return clusters

    def chain(self, clusters):
        for cluster, following in zip(clusters, [*clusters[1:], END]):
            self.set(cluster, following)

    def is_used(self, cluster):
        return bool(self.data[self.bitmap_at + (cluster - 2) // 8] >> (cluster - 2) % 8 & 1)

    def use(self, clusters, used=True):
        for cluster in clusters:
            bit = 1 << (cluster - 2) % 8
            at = self.bitmap_at + (cluster - 2) // 8
            self.data[at] = self.data[at] | bit if used else self.data[at] & ~bit

    def free_clusters(self, n, step=1):
        """n clusters, in a row or each `step` after the one before."""
        if n == 0:
            return []
        for first in range(2, self.n_clusters + 2):
            clusters = list(range(first, first + n * step, step))
            if clusters[-1] < self.n_clusters + 2 and not any(self.is_used(c) for c in clusters):
                return clusters
        raise AssertionError("full")

    def write(self, clusters, data):
        for i, cluster in enumerate(clusters):
            part = data[i * self.cluster:(i + 1) * self.cluster]
            self.data[self.at(cluster):self.at(cluster) + len(part)] = part

    # ---- Entries ----

    def slot_at(self, folder, slot):
        per_cluster = self.cluster // 32
        return self.at(folder.clusters[slot // per_cluster]) + slot % per_cluster * 32

    def slot(self, folder, slot):
        at = self.slot_at(folder, slot)
        return bytes(self.data[at:at + 32])

    def name_hash(self, name):
        total = 0
        for unit in name:
            for byte in struct.pack("<H", self.upcase.get(unit, unit)):
                total = (((total & 1) << 15) + (total >> 1) + byte) & 0xFFFF
        return total

    def entry_set(self, name, first, size, valid=None, row=True, attributes=0x20, stamp=STAMP, tenths=0, zone=0x80, extra=()):
        name = units(name) if isinstance(name, str) else name
        parts = [name[i:i + 15] for i in range(0, len(name), 15)]
        flags = (1 if first else 0) | (2 if row and first else 0)
        stream = struct.pack("<BBBBHHQIIQ", 0xC0, flags, 0, len(name), self.name_hash(name), 0,
                             size if valid is None else valid, 0, first, size)
        names = [struct.pack("<BB15H", 0xC1, 0, *part, *[0] * (15 - len(part))) for part in parts]
        secondaries = [stream, *names, *extra]
        file = struct.pack("<BBHHHIIIBBBBB7x", 0x85, len(secondaries), 0, attributes, 0, stamp, stamp, stamp, 0, tenths, zone, zone, zone)
        whole = bytearray(b"".join([file, *secondaries]))
        struct.pack_into("<H", whole, 2, set_checksum(whole))
        return bytes(whole)

    def put_entries(self, folder, entries):
        """At the folder's end; the number of the first slot. The folder must have room."""
        first = folder.slot
        for i in range(0, len(entries), 32):
            at = self.slot_at(folder, folder.slot)
            self.data[at:at + 32] = entries[i:i + 32]
            folder.slot += 1
        return first

    def put(self, folder, name, data=b"", clusters=None, row=None, size=None, **more):
        """A file. `clusters`: where; `row`: they are one, and the table says nothing about them."""
        size = len(data) if size is None else size
        if clusters is None:
            clusters = self.free_clusters(-(-size // self.cluster))
        row = clusters == list(range(clusters[0], clusters[0] + len(clusters))) if row is None and clusters else bool(row)
        self.write(clusters, data)
        self.use(clusters)
        if not row:
            self.chain(clusters)
        return self.put_entries(folder, self.entry_set(name, clusters[0] if clusters else 0, size, row=row, **more))

    def folder(self, parent, name, n=1, clusters=None, row=None):
        clusters = clusters or self.free_clusters(n)
        self.put(parent, name, bytes(len(clusters) * self.cluster), clusters, row, attributes=0x10)
        return Folder(clusters)

    def grow_root(self, n):
        """More clusters for the root folder, somewhere else."""
        more = self.free_clusters(n)
        self.write(more, bytes(n * self.cluster))
        self.use(more)
        self.root.clusters += more
        self.chain(self.root.clusters)

    def seal(self):
        """Makes the boot regions agree with what was changed in the first."""
        region = self.data[:12 * self.sector]
        region[11 * self.sector:] = struct.pack("<I", boot_checksum(region, self.sector)) * (self.sector // 4)
        self.data[:12 * self.sector] = region
        self.data[12 * self.sector:24 * self.sector] = region
