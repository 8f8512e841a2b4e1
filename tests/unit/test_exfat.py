#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""exFAT of plugins/msc on volumes made by mkfs.exfat, judged by fsck.exfat and the sleuth kit."""

import os
import random
import re
import shutil
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
sys.path.insert(0, os.path.join(TESTS, "lib"))
import exfatbytes  # noqa: E402
import fsimage  # noqa: E402
import tap  # noqa: E402
from fsimage import DENIED, Replay, Session, run  # noqa: E402

# (bytes of a cluster, MiB)
SHAPES = [(512, 4), (4096, 8), (32768, 32)]
MTIME = 1795425300
# Enough where an entry set lies in one sector more often.
VICTIMS = ("DCIM/in pieces 2026-11-23 09.15.00.mp4", "DCIM/" + "n" * 251 + ".mp4", "short.mp4", "empty.mp4", "DCIM/never written.mp4")
SUMMARY = [re.compile(p) for p in (r"^exfatprogs version", r": clean\. directories \d+, files \d+$")]
# What fsck.exfat may say of a volume whose power went in the middle of an erase: nothing about another file.
HARMLESS = SUMMARY + [re.compile(p) for p in ()]
# Entries without a file: harmless where they are the victim's.
LEFT_OVER = re.compile(r"unknown entry type 0xc[01] at [0-9a-f]+ at (0x[0-9a-f]+)\. Delete \(y/N\)\? n$")


class Card:
    """A volume with files in it: what was put in is the source to compare with."""

    def __init__(self, cluster, mib):
        self.folder = tempfile.TemporaryDirectory()
        self.image = os.path.join(self.folder.name, "card.img")
        self.files = {}
        self.clusters = {}
        self.entries = {}  # where on the image those of a file are
        self.chance = random.Random(cluster)
        with open(self.image, "wb") as f:
            f.truncate(mib << 20)
        run("mkfs.exfat", "-c", str(cluster), "-L", "BODYCAM", self.image)
        self.volume = exfatbytes.Volume(self.image)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def put(self, folder, path, size, step=1, **more):
        """`step`: the distance of its clusters; 1 is a row."""
        data = self.chance.randbytes(size)
        clusters = self.volume.free_clusters(-(-size // self.volume.cluster), step) if size else []
        first = self.volume.put(folder, path.split("/")[-1], data, clusters, **more)
        self.clusters[path] = set(clusters)
        self.entries[path] = {self.volume.slot_at(folder, slot) for slot in range(first, folder.slot)}
        self.files[path] = data if "valid" not in more else data[:more["valid"]] + bytes(size - more["valid"])

    def fill(self):
        """Folders in a row and in pieces, files in a row and in pieces, names of all lengths."""
        v = self.volume
        unit = v.cluster
        v.grow_root(3)
        dcim = v.folder(v.root, "DCIM", max(2, 8192 // unit))
        pieces = v.free_clusters(8, 5)[:8 if unit < 4096 else 1]
        deep = v.folder(dcim, "100 a folder in pieces", clusters=pieces, row=False)
        self.put(v.root, "short.mp4", 3 * unit)
        self.put(v.root, "empty.mp4", 0)
        self.put(dcim, "DCIM/in pieces 2026-11-23 09.15.00.mp4", 5 * unit + 17, step=2)
        self.put(dcim, "DCIM/" + "n" * 251 + ".mp4", 2 * unit - 1, step=3)
        self.put(dcim, "DCIM/日本語と𝄞 Ümlaut.MOV", unit)
        self.put(dcim, "DCIM/pieces that are one by chance.mp4", 4 * unit, row=False)
        for i in range(12):
            self.put(deep, f"DCIM/100 a folder in pieces/clip number {i} of a long evening shift.mp4", unit // 2 + i)
        self.put(deep, "DCIM/100 a folder in pieces/" + "m" * 200, 2 * unit)
        self.put(dcim, "DCIM/written up to a part.mp4", 3 * unit, valid=unit + 100)
        self.put(dcim, "DCIM/never written.mp4", unit + 1, valid=0)
        v.save()
        return self

    def used(self, image):
        """The clusters that the bitmap of an image calls used; fsck.exfat does not look for lost ones."""
        with open(image, "rb") as f:
            f.seek(self.volume.bitmap_at)
            bitmap = f.read(-(-self.volume.n_clusters // 8))
        return {i + 2 for i in range(self.volume.n_clusters) if bitmap[i // 8] >> i % 8 & 1}

    def session(self, *options):
        return Session(self.image, 512, options)


def fsck(image):
    return run("fsck.exfat", "-n", image, ok=(0, 1, 4, 5))


def clean(image):
    return fsimage.complaints(fsck(image), SUMMARY) == []


def sleuth(image):
    """What the sleuth kit reads. It knows nothing of bytes that were never written, and writes out no empty files."""
    there = fsimage.sleuthkit_contents(image, "exfat")
    return {path: data for path, data in there.items() if not path.startswith("$") and "written" not in path}


def known_to_sleuth(files):
    return {path: data for path, data in files.items() if data and "written" not in path}


# ---- Reading ----

def test_every_file_of_every_shape_is_read_as_it_was_written():
    for shape in SHAPES:
        with Card(*shape).fill() as card:
            assert clean(card.image), fsck(card.image)
            with card.session() as session:
                info = session.ask("info")
                files = session.files()
                assert session.contents() == card.files, (shape, set(card.files) ^ {f.decode() for f in files})
            assert (info["kind"], info["cluster"], info["label"]) == ("exFAT", shape[0], "BODYCAM"), info
            assert info["volume_id"] == card.volume.volume_id and not info["dirty"] and not info["failing"], info
            assert all(f["mtime"] == MTIME for f in files.values()), files
            used = sum(card.volume.is_used(c) for c in range(2, card.volume.n_clusters + 2))
            assert info["free"] == (card.volume.n_clusters - used) * shape[0], info
            assert sleuth(card.image) == known_to_sleuth(card.files), shape


def test_extents():
    with Card(4096, 8).fill() as card:
        with card.session() as session:
            files = session.files()

            def extents(path):
                return [(e[0], e[1], e[3]) for e in session.ask("extents", files[path.encode()]["handle"])["extents"]]

            assert extents("short.mp4") == [(0, 3 * 4096, "data")] and extents("empty.mp4") == []
            assert len(extents("DCIM/in pieces 2026-11-23 09.15.00.mp4")) == 6
            assert extents("DCIM/pieces that are one by chance.mp4") == [(0, 4 * 4096, "data")]
            assert extents("DCIM/written up to a part.mp4") == [(0, 4196, "data"), (4196, 3 * 4096 - 4196, "zeros")]
            assert extents("DCIM/never written.mp4") == [(0, 4097, "zeros")]


# ---- Erasing ----

def test_erased_files_are_gone_and_the_volume_is_clean_after_each():
    for shape in SHAPES:
        with Card(*shape).fill() as card:
            with card.session() as session:
                files = session.files()
                for path in card.chance.sample(sorted(card.files), len(files)):
                    assert session.ask("erase", files[path.encode()]["handle"])["answer"] == 0, (shape, path)
                    del card.files[path]
                    assert clean(card.image), (shape, path, fsck(card.image))
                    assert sleuth(card.image) == known_to_sleuth(card.files), (shape, path)
                assert session.files() == {}
                info = session.ask("info")
            after = exfatbytes.Volume(card.image)
            used = sum(after.is_used(c) for c in range(2, after.n_clusters + 2))
            assert not info["dirty"] and info["free"] == (after.n_clusters - used) * shape[0]
            assert after.data[112] == used * 100 // after.n_clusters


def check_cut(card, image, state, victim, last, counted):
    """Whatever reached the medium: all other files are whole, and nobody complains about them."""
    others = {p: d for p, d in card.files.items() if p != victim}
    left = fsimage.complaints(fsck(image), SUMMARY if last else HARMLESS)
    if not last:
        left = [line for line in left if not (found := LEFT_OVER.search(line)) or int(found[1], 16) not in card.entries[victim]]
    assert left == [], (victim, state, left)
    with Session(image) as session:
        answer, files = session.walk()
        assert answer["answer"] == 0, answer
        for path, data in others.items():
            got, read = session.read(files[path.encode()])
            assert got["answer"] == 0 and read == data, (victim, state, path, got)
        if victim.encode() in files:
            assert session.read(files[victim.encode()])[1] == card.files[victim], (victim, state)
        assert {p.decode() for p in files} - {victim} == set(others), (victim, state)
        info = session.ask("info")
    # The slower judge looks at some of the states, and at each last one.
    assert (not last and counted["states"] % 4) or sleuth(image) in (known_to_sleuth(others), known_to_sleuth(card.files)), (victim, state)
    used, before = card.used(image), card.used(card.volume.path + ".before")
    assert before - card.clusters[victim] <= used <= before and (not last or used == before - card.clusters[victim]), (victim, state)
    assert not last or (victim.encode() not in files and not info["dirty"]), (victim, state)
    counted["states"] += 1
    counted["gone"] += victim.encode() not in files
    counted["dirty"] += info["dirty"]


def test_a_power_cut_at_any_write_harms_no_other_file():
    counted = {"states": 0, "gone": 0, "dirty": 0, "victims": 0, "parted": 0}
    for shape in SHAPES:
        with Card(*shape).fill() as card:
            original = card.image + ".before"
            shutil.copyfile(card.image, original)
            for victim in card.files if shape[0] == 512 else VICTIMS:
                shutil.copyfile(original, card.image)
                answer, log = fsimage.erase(card.image, victim)
                assert answer["answer"] == 0, (shape, victim, answer)
                replay = Replay(original, log)
                counted["victims"] += 1
                counted["parted"] += len(replay.epochs) > (4 if card.files[victim] else 3)
                for image, state, last in replay.states():
                    check_cut(card, image, (shape, state), victim, last, counted)
    print(f"# {counted}")
    assert counted["parted"] > 5 and 0 < counted["gone"] < counted["states"] and counted["dirty"] > 0, counted


def test_after_a_power_cut_the_next_erase_is_safe_and_allowed():
    """A dirty volume denies erases; one that we left dirty ourselves does not, or an unplugged camera would fill up for good."""
    victim, following = "DCIM/" + "n" * 251 + ".mp4", "DCIM/in pieces 2026-11-23 09.15.00.mp4"
    seen = {"ours": 0, "unknown": 0}
    with Card(512, 4).fill() as card:
        original = card.image + ".before"
        shutil.copyfile(card.image, original)
        answer, log = fsimage.erase(card.image, victim)
        assert answer["answer"] == 0
        del card.files[following]
        replay = Replay(original, log)
        for cut, state, _ in replay.states():
            image = shutil.copyfile(cut, card.image)
            with Session(image) as session:
                before = session.ask("info")
                answer = session.ask("erase", session.files()[following.encode()]["handle"])["answer"]
                # The flag and our mark lie in two sectors: when only the flag got there nobody knows whose it is.
                if before["dirty"] and not before["by_erase"]:
                    assert state.startswith(("epoch 0", f"epoch {len(replay.epochs) - 1}")) and answer == DENIED, state
                    seen["unknown"] += 1
                    continue
                assert answer == 0, state
            with Session(image) as session:
                after = session.ask("info")
                assert (after["dirty"], after["by_erase"]) == (before["dirty"], before["by_erase"]), state
                assert session.contents() in (card.files, {p: d for p, d in card.files.items() if p != victim}), state
            seen["ours"] += before["by_erase"]
    assert seen["ours"] > 5 and seen["unknown"] <= 2, seen


if __name__ == "__main__":
    tap.main()
