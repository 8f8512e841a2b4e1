# SPDX-License-Identifier: Apache-2.0
"""Cards for simulated mass-storage cameras: image files that the usual programs make, and judge afterwards."""

import os
import random
import subprocess

import exfatbytes
import fsimage

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
MTIME = 1700000000


class Card:
    """What FAT and exFAT cards share. `files`: what was put in, {path: bytes}."""

    def __init__(self, folder, name, size, sector, at):
        self.image = os.path.join(folder, name)
        self.folder, self.sector, self.at, self.size = folder, sector, at, size
        self.files, self.folders = {}, {}
        self.random = random.Random(f"{name} {size} {sector} {at}")
        with open(self.image, "ab") as f:
            f.truncate(max(at + size, os.path.getsize(self.image)))

    def fill(self, *sizes, pattern="DCIM/100BERTH/CLIP{:04}.MP4"):
        for n, size in enumerate(sizes):
            self.put(pattern.format(n), self.random.randbytes(size))
        return self

    def _part(self):
        """The volume as a file of its own, for programs that know no offsets."""
        if self.at == 0:
            return self.image
        part = os.path.join(self.folder, "part.img")
        subprocess.run(["dd", f"if={self.image}", f"of={part}", "iflag=skip_bytes,count_bytes", f"skip={self.at}", f"count={self.size}",
                        "bs=1M", "status=none", "conv=sparse"], check=True)
        return part


class FatCard(Card):
    """One FAT volume, `at` bytes into the image. mtools writes and reads it, fsck.fat judges."""

    def __init__(self, folder, name="card.img", size=300 * MIB, bits=32, sector=512, cluster=4 * KIB, at=0, volume_id="1234abcd"):
        super().__init__(folder, name, size, sector, at)
        fsimage.run("mkfs.fat", "-F", str(bits), "-S", str(sector), "-s", str(cluster // sector), "-i", volume_id, "--offset",
                    str(at // sector), self.image, str(size // KIB))
        self.mtools = f"{self.image}@@{at}" if at else self.image

    def _make_folders(self, parts):
        for n in range(1, len(parts) + 1):
            folder = "/".join(parts[:n])
            if folder not in self.folders:
                fsimage.run("mmd", "-i", self.mtools, "::/" + folder)
                self.folders[folder] = True

    def put(self, path, data):
        self._make_folders(path.split("/")[:-1])
        source = os.path.join(self.folder, "source")
        with open(source, "wb") as f:
            f.write(data)
        os.utime(source, (MTIME, MTIME))
        fsimage.run("mcopy", "-m", "-n", "-Q", "-i", self.mtools, source, "::/" + path)
        os.unlink(source)
        self.files[path] = data

    def protect(self, path):
        fsimage.run("mattrib", "+r", "-i", self.mtools, "::/" + path)

    def remove(self, path):
        fsimage.run("mdel", "-i", self.mtools, "::/" + path)
        del self.files[path]

    def contents(self):
        return fsimage.mtools_contents(self.mtools)

    def check(self):
        fsimage.run("fsck.fat", "-n", self._part())


class ExfatCard(Card):
    """One exFAT volume. mkfs.exfat makes it, the sleuth kit reads it, fsck.exfat judges."""

    def __init__(self, folder, name="card.img", size=64 * MIB, cluster=4 * KIB):
        super().__init__(folder, name, size, 512, 0)
        fsimage.run("mkfs.exfat", "-c", str(cluster), self.image)
        self.volume = exfatbytes.Volume(self.image)
        self.folders[""] = self.volume.root

    def _folder(self, path):
        if path not in self.folders:
            parent, _, name = path.rpartition("/")
            self.folders[path] = self.volume.folder(self._folder(parent), name, 4)
        return self.folders[path]

    def put(self, path, data):
        folder, _, name = path.rpartition("/")
        self.volume.put(self._folder(folder), name, data)
        self.volume.save()
        self.files[path] = data

    def contents(self):
        """Without empty files, which the sleuth kit does not write out."""
        there = fsimage.sleuthkit_contents(self.image, "exfat")
        return {path: data for path, data in there.items() if not path.startswith("$")}

    def check(self):
        said = fsimage.run("fsck.exfat", "-n", self.image)
        assert ": clean." in said, said


def partition(image, script):
    """Writes a table by sfdisk: `script` as it takes it. Only the table's own sectors change."""
    subprocess.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe", "never", "--wipe-partitions", "never", image],
                   input=script.encode(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
