# SPDX-License-Identifier: Apache-2.0
"""Cards for simulated mass-storage cameras: image files that the usual programs make, and judge afterwards."""

import os
import random
import subprocess

import fsimage

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
FIRST_PARTITION_SECTOR = 64


class Card:
    """An image of `size` bytes with one FAT volume; `at`: where it begins, in bytes. Past `size` bytes it is a hole."""

    def __init__(self, folder, name="card.img", size=300 * MIB, bits=32, sector=512, cluster=4 * KIB, at=0, volume_id="1234abcd"):
        self.image = os.path.join(folder, name)
        self.folder, self.sector, self.at = folder, sector, at
        self.files, self.folders = {}, set()
        self.random = random.Random(name)
        with open(self.image, "ab") as f:
            f.truncate(max(at + size, os.path.getsize(self.image)))
        fsimage.run("mkfs.fat", "-F", str(bits), "-S", str(sector), "-s", str(cluster // sector), "-i", volume_id, "--offset",
                    str(at // sector), self.image, str(size // KIB))

    @property
    def mtools(self):
        return f"{self.image}@@{self.at}" if self.at else self.image

    def _make_folders(self, parts):
        for n in range(1, len(parts) + 1):
            folder = "/".join(parts[:n])
            if folder not in self.folders:
                fsimage.run("mmd", "-i", self.mtools, "::/" + folder)
                self.folders.add(folder)

    def put(self, path, data, mtime=1700000000):
        self._make_folders(path.split("/")[:-1])
        source = os.path.join(self.folder, "source")
        with open(source, "wb") as f:
            f.write(data)
        os.utime(source, (mtime, mtime))
        fsimage.run("mcopy", "-m", "-n", "-Q", "-i", self.mtools, source, "::/" + path)
        os.unlink(source)
        self.files[path] = data

    def fill(self, *sizes, pattern="DCIM/100BERTH/CLIP{:04}.MP4"):
        for n, size in enumerate(sizes):
            self.put(pattern.format(n), self.random.randbytes(size))
        return self

    def contents(self):
        """What mtools finds in it now."""
        return fsimage.mtools_contents(self.mtools)

    def check(self):
        """fsck.fat finds nothing to say; what lies at an offset is looked at as a copy."""
        image = self.image
        if self.at:
            image = os.path.join(self.folder, "part.img")
            subprocess.run(["dd", f"if={self.image}", f"of={image}", f"iflag=skip_bytes", f"skip={self.at}", "bs=1M", "status=none",
                            "conv=sparse"], check=True)
        fsimage.run("fsck.fat", "-n", image)
