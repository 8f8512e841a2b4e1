#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""FAT12, FAT16 and FAT32 of plugins/msc on images made by mkfs.fat and mtools, judged by fsck.fat, mtools and the sleuth kit."""

import os
import random
import re
import shutil
import struct
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
sys.path.insert(0, os.path.join(TESTS, "lib"))
import fsimage  # noqa: E402
import tap  # noqa: E402
from fsimage import DENIED, GONE, INCOMPLETE, Replay, Session, run  # noqa: E402

# (bits, bytes of a sector, sectors of a cluster, KiB of the image)
SHAPES = [(12, 512, 1, 1440), (12, 512, 4, 2880), (12, 1024, 1, 2048), (12, 2048, 2, 4096), (12, 4096, 1, 8192), (16, 512, 1, 4096),
          (16, 512, 8, 24576), (16, 2048, 1, 20480), (16, 4096, 1, 32768), (32, 512, 1, 34816), (32, 512, 8, 270000),
          (32, 4096, 1, 270000)]
# What fsck.fat may say of a volume whose power went in the middle of an erase: nothing about another file.
SUMMARY = re.compile(r"^fsck\.fat \d|: \d+ files, \d+/\d+ clusters$|^$")
SMALL32 = [re.compile(p) for p in (r"number of clusters|Number of clusters", r"^Warning: Filesystem is FAT32 according to",
                                   r"^  but has only \d+ clusters", r"^  This may lead to problems")]
HARMLESS = [SUMMARY, *SMALL32] + [re.compile(p) for p in (
    r"^Reclaimed \d+ unused clusters? \(\d+ bytes\)", r"^Free cluster summary wrong \(\d+ vs\. really \d+\)$",
    r"^FATs differ but appear to be intact\.$", r"^  Using first FAT\.$", r"^  Auto-correcting\.$", r"^1\) |^2\) |^3\) ",
    r"^Leaving filesystem unchanged\.", r"^\*\*\* Filesystem was changed", r"^The changes have not yet been written",
    r"^Orphaned long file name part \"", r"^  Auto-deleting\.$", r"^Dirty bit is set", r"^ Automatically removing dirty bit\.$")]
VOLUME_ID = 0x1234ABCD


class Card:
    """An image with files in it: what was put in is the source to compare with."""

    def __init__(self, bits, sector, cluster, kib):
        self.folder = tempfile.TemporaryDirectory()
        self.image = os.path.join(self.folder.name, "card.img")
        self.bits, self.sector, self.cluster = bits, sector, sector * cluster
        self.files = {}
        self.chance = random.Random(bits * sector + cluster)
        run("mkfs.fat", "-F", str(bits), "-S", str(sector), "-s", str(cluster), "-i", f"{VOLUME_ID:08x}", "-n", "BODYCAM", "-C",
            self.image, str(kib))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def mkdir(self, path):
        run("mmd", "-i", self.image, "::/" + path)

    def put(self, path, size):
        """Writes a file, where the first free clusters are."""
        data = self.chance.randbytes(size)
        source = os.path.join(self.folder.name, "source")
        with open(source, "wb") as f:
            f.write(data)
        os.utime(source, (1795425300, 1795425300))
        self.forget_hint()
        run("mcopy", "-m", "-i", self.image, source, "::/" + path)
        self.files[path] = data

    def delete(self, path):
        run("mdel", "-i", self.image, "::/" + path)
        del self.files[path]

    def forget_hint(self):
        """Where to look for free clusters next (FSInfo): from the start, which makes fragments."""
        if self.bits == 32:
            self.patch(self.sector + 492, struct.pack("<I", 0xFFFFFFFF))

    def patch(self, at, data):
        with open(self.image, "r+b") as f:
            f.seek(at)
            f.write(data)

    def bytes(self, at, size):
        with open(self.image, "rb") as f:
            f.seek(at)
            return f.read(size)

    def session(self, *options):
        return Session(self.image, self.sector, options)

    def fill(self):
        """Folders, names of all kinds, a folder of several clusters, and files in pieces."""
        unit = self.cluster
        self.mkdir("DCIM")
        self.mkdir("DCIM/100 Ümlaut and a long name")
        for i in range(12):
            self.put(f"DCIM/F{i:03}.TMP", unit)
        for i in range(0, 12, 2):
            self.delete(f"DCIM/F{i:03}.TMP")
        self.put("DCIM/in pieces 2026-11-23 09.15.00.mp4", 5 * unit + 17)
        self.put("DCIM/100 Ümlaut and a long name/" + "n" * 200 + ".mp4", 2 * unit)
        self.put("SHORT.MP4", 3 * unit)
        self.put("lower.mp4", 1)
        self.put("DCIM/empty.mp4", 0)
        self.put("DCIM/100 Ümlaut and a long name/日本語.MOV", unit - 1)
        for i in range(10):
            self.put(f"DCIM/clip number {i} of a long evening shift.mp4", unit if i % 3 else unit // 2)
        for i in range(1, 8, 2):
            self.delete(f"DCIM/F{i:03}.TMP")
        self.put("DCIM/more pieces.mp4", 7 * unit)
        return self


def fsck(image):
    return run("fsck.fat", "-n", image, ok=(0, 1))


def clean(image):
    return fsimage.complaints(fsck(image), [SUMMARY, *SMALL32]) == []


def extents_of(card, path):
    with card.session() as session:
        return session.ask("extents", session.files()[path.encode()]["handle"])["extents"]


# ---- Reading ----

def test_every_file_of_every_shape_is_read_as_it_was_written():
    for shape in SHAPES:
        with Card(*shape).fill() as card:
            with card.session() as session:
                info = session.ask("info")
                files = session.files()
                assert session.contents() == card.files, (shape, set(card.files) ^ {f.decode() for f in files})
            assert clean(card.image), fsck(card.image)
            assert (info["kind"], info["cluster"], info["label"]) == (f"FAT{shape[0]}", card.cluster, "BODYCAM"), info
            assert info["volume_id"] == VOLUME_ID and not info["dirty"] and not info["failing"], info
            assert all(f["mtime"] == 1795425300 for f in files.values()), files
            assert fsimage.mtools_contents(card.image) == card.files, shape
            # The sleuth kit cuts long names, and writes out no empty files.
            there = fsimage.sleuthkit_contents(card.image, f"fat{shape[0]}")
            assert sorted(there.values()) == sorted(data for data in card.files.values() if data), shape


def test_a_volume_of_larger_sectors_than_its_medium_has_is_read_and_erased_from():
    for shape in [(12, 4096, 1, 8192), (16, 2048, 1, 20480)]:
        with Card(*shape).fill() as card, Session(card.image, 512) as session:
            assert session.contents() == card.files
            for path, file in session.files().items():
                if path != b"SHORT.MP4":
                    assert session.ask("erase", file["handle"])["answer"] == 0
            assert session.contents() == {"SHORT.MP4": card.files["SHORT.MP4"]} == fsimage.mtools_contents(card.image)
            assert clean(card.image), fsck(card.image)


def test_free_space_is_what_fsck_counts():
    for shape in SHAPES:
        with Card(*shape).fill() as card:
            used, total = map(int, re.search(r" (\d+)/(\d+) clusters", fsck(card.image)).groups())
            with card.session() as session:
                info = session.ask("info")
            assert info["total"] == total * card.cluster and info["free"] == (total - used) * card.cluster, (shape, info)
            # Where the volume's own count is unknown, the table is counted.
            if shape[0] == 32:
                card.patch(card.sector + 488, struct.pack("<I", 0xFFFFFFFF))
                with card.session() as session:
                    assert session.ask("info")["free"] == (total - used) * card.cluster


def test_a_file_in_pieces_is_told_in_runs_and_one_in_a_row_as_one():
    with Card(16, 512, 1, 4096).fill() as card:
        extents = extents_of(card, "DCIM/in pieces 2026-11-23 09.15.00.mp4")
        assert len(extents) > 2, extents
        offset = 0
        for at, length, _, kind in extents:
            assert at == offset and kind == "data" and length > 0, extents
            offset += length
        assert offset == 5 * 512 + 17
        card.put("ROW.MP4", 300 * 512 + 1)
        assert len(extents_of(card, "ROW.MP4")) == 1
        assert extents_of(card, "DCIM/empty.mp4") == []


# ---- Erasing ----

def test_erased_files_are_gone_and_the_volume_is_clean_after_each():
    for shape in SHAPES:
        if shape[3] > 100000 or shape[1] == 1024:
            continue
        with Card(*shape).fill() as card:
            with card.session() as session:
                files = session.files()
                for path in card.chance.sample(sorted(card.files), len(files)):
                    assert session.ask("erase", files[path.encode()]["handle"])["answer"] == 0, (shape, path)
                    del card.files[path]
                    assert clean(card.image), (shape, path, fsck(card.image))
                    assert fsimage.mtools_contents(card.image) == card.files, (shape, path)
                    assert session.ask("erase", files[path.encode()]["handle"])["answer"] == -2
                assert session.files() == {}
                info = session.ask("info")
            assert not info["dirty"]


def victims(card):
    """Files that differ in what an erase has to write."""
    paths = ["SHORT.MP4", "BIG.MP4", "DCIM/in pieces 2026-11-23 09.15.00.mp4", "DCIM/empty.mp4"]
    # Entries that lie in two or three sectors, which the folder's layout decides; none must be missing.
    with card.session() as session:
        for path, file in session.files().items():
            n = 1 + (len(path.decode().split("/")[-1].encode("utf-16-le")) // 2 + 12) // 13
            if n > 2 and (file["handle"] - 32 * (n - 1)) // card.sector != file["handle"] // card.sector:
                paths.append(path.decode())
    return sorted(set(paths))


def check_cut(card, image, state, victim, last, counted):
    """Whatever reached the medium: all other files are whole, and nobody complains about them."""
    others = {p: d for p, d in card.files.items() if p != victim}
    assert (left := fsimage.complaints(fsck(image), [SUMMARY, *SMALL32] if last else HARMLESS)) == [], (victim, state, left)
    with Session(image, card.sector) as session:
        answer, files = session.walk()
        assert answer["answer"] == 0, answer
        for path, data in others.items():
            got, read = session.read(files[path.encode()])
            assert got["answer"] == 0 and read == data, (victim, state, path, got)
        # The victim is there as a whole under its name, or it is gone.
        if victim.encode() in files:
            assert session.read(files[victim.encode()])[1] == card.files[victim], (victim, state)
        assert {p.decode() for p in files} - {victim} == set(others), (victim, state)
        info = session.ask("info")
    there = fsimage.mtools_contents(image)
    assert there in (others, card.files), (victim, state)
    assert not last or (victim.encode() not in files and not info["dirty"]), (victim, state)
    counted["states"] += 1
    counted["gone"] += victim.encode() not in files
    counted["dirty"] += info["dirty"]


def test_a_power_cut_at_any_write_harms_no_other_file():
    counted = {"states": 0, "gone": 0, "dirty": 0, "victims": 0, "parted": 0, "widest": 0}
    for shape in [(12, 512, 1, 1440), (12, 2048, 2, 4096), (16, 512, 1, 4096), (16, 4096, 1, 32768), (32, 512, 1, 34816)]:
        with Card(*shape).fill() as card:
            card.put("BIG.MP4", 600 * shape[1] if shape[1] == 512 else 3)
            before = card.bytes(0, os.path.getsize(card.image))
            for victim in victims(card):
                original = os.path.join(card.folder.name, "before.img")
                with open(original, "wb") as f:
                    f.write(before)
                answer, log = fsimage.erase(card.image, victim, card.sector)
                assert answer["answer"] == 0, (shape, victim, answer)
                replay = Replay(original, log, card.sector)
                counted["victims"] += 1
                steps = {12: 2, 16: 4, 32: 5}[shape[0]] - (not card.files[victim]) * (2 if shape[0] == 32 else 1)
                counted["parted"] += len(replay.epochs) - steps
                counted["widest"] = max(counted["widest"], *map(len, replay.epochs))
                for image, state, last in replay.states():
                    check_cut(card, image, (shape, state), victim, last, counted)
                os.replace(original, card.image)
    print(f"# {counted}")
    # Each kind of state was met, or this says little.
    assert counted["victims"] > 15 and counted["parted"] > 10 and counted["widest"] > 8, counted
    assert 0 < counted["gone"] < counted["states"] and counted["dirty"] > 0, counted


def test_after_a_power_cut_the_next_erase_is_safe_and_allowed():
    """A dirty volume denies erases; one that we left dirty ourselves does not, or an unplugged camera would fill up for good."""
    victim, following = "DCIM/in pieces 2026-11-23 09.15.00.mp4", "DCIM/more pieces.mp4"
    dirty = 0
    for shape in [(16, 512, 1, 4096), (32, 512, 1, 34816)]:
        with Card(*shape).fill() as card:
            original = card.image + ".before"
            shutil.copyfile(card.image, original)
            answer, log = fsimage.erase(card.image, victim)
            assert answer["answer"] == 0
            del card.files[following]
            for cut, state, _ in Replay(original, log).states():
                image = shutil.copyfile(cut, card.image)
                with Session(image) as session:
                    before = session.ask("info")
                    assert before["by_erase"] == before["dirty"], (state, before)
                    assert session.ask("erase", session.files()[following.encode()]["handle"])["answer"] == 0, state
                    # Lost clusters are there until somebody looks for them: so it stays dirty, and stays ours.
                with Session(image) as session:
                    after = session.ask("info")
                    assert (after["dirty"], after["by_erase"]) == (before["dirty"], before["dirty"]), state
                    there = session.contents()
                assert there in (card.files, {p: d for p, d in card.files.items() if p != victim}), state
                assert fsimage.complaints(fsck(image), HARMLESS) == [], (state, fsck(image))
                dirty += before["dirty"]
    assert dirty > 10


if __name__ == "__main__":
    tap.main()
