#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files made by plugins/msc on FAT and exFAT, judged by fsck.fat, fsck.exfat, mtools and the sleuth kit, also when the power goes."""

import os
import shutil
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
sys.path.insert(0, os.path.join(TESTS, "lib"))
sys.path.insert(0, os.path.join(TESTS, "unit"))
import exfatbytes  # noqa: E402
import fsimage  # noqa: E402
import tap  # noqa: E402
import test_exfat  # noqa: E402
import test_fat  # noqa: E402
from fsimage import DENIED, Replay, Session  # noqa: E402

EINVAL, EIO, ENOSPC = -22, -5, -28
FAT_SHAPES = [(12, 512, 1, 1440), (12, 2048, 2, 4096), (16, 512, 1, 4096), (16, 4096, 1, 32768), (32, 512, 1, 34816), (32, 512, 8, 270000)]
LONG = "firmware of the body camera 2.1 (final).bin"
# In the root folder, in one that is there, in ones that are not; of the form 8.3, of another case, long; in place of a file.
PATHS = ["FW.BIN", "DCIM/fw.bin", f"DCIM/{LONG}", "UPDATE/FW.BIN", "one/two/three of them/FW.BIN"]


def content(size):
    return bytes((i * 7 + i // 251) & 255 for i in range(size))


def create(image, path, size, sector=512, options=()):
    """(the answer, the log of what it wrote)"""
    with tempfile.NamedTemporaryFile("r") as log:
        with Session(image, sector, ["--log", log.name, *options]) as session:
            session.walk()
            answer = session.ask("create", size, path)
        return answer, log.read()


def sizes(unit):
    return [0, 1, unit, 5 * unit + 17]


class Fat:
    """Cards of FAT, and who judges them."""

    shapes = FAT_SHAPES

    def __init__(self, shape):
        self.card = test_fat.Card(*shape).fill()
        self.sector, self.unit = self.card.sector, self.card.cluster

    @staticmethod
    def complaints(image, last):
        return fsimage.complaints(test_fat.fsck(image), [test_fat.SUMMARY, *test_fat.SMALL32] if last else test_fat.HARMLESS)

    @staticmethod
    def agrees(image, *allowed):
        return fsimage.mtools_contents(image) in allowed


class Exfat:
    """The same of exFAT."""

    shapes = test_exfat.SHAPES

    def __init__(self, shape):
        self.card = test_exfat.Card(*shape).fill()
        self.sector, self.unit = 512, shape[0]

    @staticmethod
    def complaints(image, last):
        return fsimage.complaints(test_exfat.fsck(image), test_exfat.SUMMARY if last else test_exfat.HARMLESS)

    @staticmethod
    def agrees(image, *allowed):
        return test_exfat.sleuth(image) in [test_exfat.known_to_sleuth(files) for files in allowed]


def test_made_files_are_there_whole_and_the_volume_is_clean_after_each():
    for kind in (Fat, Exfat):
        for shape in kind.shapes:
            world = kind(shape)
            with world.card as card:
                files = dict(card.files)
                for i, path in enumerate(PATHS):
                    for size in sizes(world.unit)[i % 2:]:
                        answer, _ = create(card.image, path, size, world.sector)
                        assert answer["answer"] == 0, (shape, path, size, answer)
                        files[path] = content(size)
                        assert world.complaints(card.image, True) == [], (shape, path, size, world.complaints(card.image, True))
                        assert world.agrees(card.image, files), (shape, path, size)
                with Session(card.image, world.sector) as session:
                    assert session.contents() == files, shape
                    info = session.ask("info")
                assert not info["dirty"], shape


def test_file_goes_into_pieces_when_there_is_no_row():
    for world in (Fat((32, 512, 1, 34816)), Exfat((512, 4))):
        with world.card as card:
            with Session(card.image, world.sector) as session:
                for path, file in session.files().items():
                    if b"clip number" in path:
                        assert session.ask("erase", file["handle"])["answer"] == 0
                        del card.files[path.decode()]
                free = session.ask("info")["free"]
            answer, _ = create(card.image, "DCIM/ALL.BIN", free, world.sector)
            assert answer["answer"] == 0, answer
            with Session(card.image, world.sector) as session:
                assert len(session.ask("extents", session.files()[b"DCIM/ALL.BIN"]["handle"])["extents"]) > 1
                assert session.contents() == {**card.files, "DCIM/ALL.BIN": content(free)}
            assert world.complaints(card.image, True) == []


def test_what_does_not_fit_changes_nothing():
    for world in (Fat((32, 512, 1, 34816)), Fat((12, 512, 1, 1440)), Exfat((512, 4))):
        with world.card as card:
            with open(card.image, "rb") as f:
                before = f.read()
            with Session(card.image, world.sector) as session:
                free = session.ask("info")["free"]
            below_a_file = "SHORT.MP4/FW.BIN" if isinstance(world, Fat) else "short.mp4/FW.BIN"
            for path, size, expected in (("DCIM/BIG.BIN", free + 1, ENOSPC), ("DCIM", 1, DENIED), ("DCIM/a?b", 1, EINVAL),
                                         ("DCIM/x.", 1, EINVAL), (below_a_file, 1, DENIED)):
                answer, log = create(card.image, path, size, world.sector)
                assert answer["answer"] == expected and answer["why"], (path, answer)
                assert log == "", path
            answer, log = create(card.image, "FW.BIN", 1, world.sector, ["--read-only"])
            assert answer["answer"] == DENIED and log == "", answer
            with open(card.image, "rb") as f:
                assert f.read() == before


def test_folder_that_is_full_is_told():
    with test_fat.Card(16, 512, 1, 4096) as card:
        with Session(card.image) as session:
            for i in range(600):
                session.walk()
                answer = session.ask("create", 0, f"F{i:03}.BIN")
                if answer["answer"]:
                    break
        assert answer["answer"] == ENOSPC and "no room for another entry" in answer["why"] and i > 400, (i, answer)
        assert test_fat.clean(card.image)


def test_full_folder_grows_by_nothing_when_the_file_is_refused():
    """exFAT's bitmap calls clusters free that a file uses: room for the folder lies before them, room for the file does not."""
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "full.img")
        with open(image, "wb") as f:
            f.truncate(2 << 20)
        fsimage.run("mkfs.exfat", "-c", "512", "-b", "64K", image)
        v = exfatbytes.Volume(image)
        room = v.free_clusters(4)
        victim = room[1:]
        while len(v.root.clusters) * v.cluster // 32 - v.root.slot >= 6:
            v.put(v.root, f"F{v.root.slot}")
        v.put(v.root, "victim", b"v" * 3 * 512, victim)
        v.use(victim, False)
        v.save()
        for size, expected in ((2 * 512, DENIED), (0, 0)):
            answer, log = create(image, "FW.BIN", size)
            assert answer["answer"] == expected, answer
            assert (log == "") == (expected != 0), "it was refused after something was written"
        with Session(image) as session:
            assert session.contents()["victim"] == b"v" * 3 * 512


def test_short_names_stay_apart():
    with test_fat.Card(32, 512, 1, 34816) as card:
        made = {}
        for i in range(12):
            path = f"firmware image {i}.bin"
            assert create(card.image, path, i)[0]["answer"] == 0
            made[path] = content(i)
        assert test_fat.clean(card.image) and fsimage.mtools_contents(card.image) == made


def check_cut(world, image, state, path, data, last, counted):
    """All other files are whole, nobody complains about them, and the new one is there whole or not at all."""
    card = world.card
    others = {p: d for p, d in card.files.items() if p != path}
    assert (left := world.complaints(image, last)) == [], (path, state, left)
    with Session(image, world.sector) as session:
        answer, files = session.walk()
        assert answer["answer"] == 0, (state, answer)
        for other, bytes_there in others.items():
            got, read = session.read(files[other.encode()])
            assert got["answer"] == 0 and read == bytes_there, (state, other, got)
        assert {p.decode() for p in files} - {path} == set(others), (path, state, files.keys())
        if path.encode() in files:
            assert session.read(files[path.encode()])[1] in ([data] if last else [data, card.files.get(path)]), (path, state)
        info = session.ask("info")
    assert not last or (path.encode() in files and not info["dirty"]), (path, state)
    if last or counted["states"] % 4 == 0:
        assert world.agrees(image, others, {**others, path: data}, card.files), (path, state)
    counted["states"] += 1
    counted["there"] += path.encode() in files
    counted["dirty"] += info["dirty"]


def cut_everywhere(world, path, size, counted):
    with tempfile.TemporaryDirectory() as folder:
        before = shutil.copyfile(world.card.image, os.path.join(folder, "before.img"))
        answer, log = create(world.card.image, path, size, world.sector)
        assert answer["answer"] == 0, (path, answer)
        replay = Replay(before, log, world.sector)
        counted["widest"] = max(counted["widest"], *map(len, replay.epochs))
        for image, state, last in replay.states():
            check_cut(world, image, state, path, content(size), last, counted)
        shutil.copyfile(before, world.card.image)


def test_a_power_cut_at_any_write_harms_no_other_file():
    counted = {"states": 0, "there": 0, "dirty": 0, "widest": 0}
    fat = [Fat(s) for s in ((12, 512, 1, 1440), (16, 4096, 1, 32768), (32, 512, 1, 34816))]
    for world in fat + [Exfat(s) for s in ((512, 4), (4096, 8))]:
        with world.card as card:
            old = next(p for p, d in card.files.items() if p.startswith("DCIM/in pieces"))
            for path in ["FW.BIN", f"DCIM/{LONG}", "UP/DATE/FW.BIN", old]:
                cut_everywhere(world, path, 3 * world.unit + 5, counted)
    print(f"# {counted}")
    assert counted["widest"] > 8 and 0 < counted["there"] < counted["states"] and counted["dirty"] > 0, counted


def test_where_the_folder_ends_does_not_matter():
    """At each place in a sector, behind it, and where it was never written what follows the end."""
    counted = {"states": 0, "there": 0, "dirty": 0, "widest": 0}
    for n in range(1, 18):
        for name in ("FW.BIN", LONG):
            world = Fat.__new__(Fat)
            world.card, world.sector, world.unit = test_fat.Card(12, 512, 1, 1440), 512, 512
            with world.card as card:
                card.mkdir("DCIM")
                for i in range(n):
                    card.put(f"DCIM/F{i:02}.MP4", 1)
                cut_everywhere(world, f"DCIM/{name}", 100, counted)
    assert 0 < counted["there"] < counted["states"], counted


def test_a_write_that_fails_ends_it():
    for world in (Fat((32, 512, 1, 34816)), Exfat((512, 4))):
        with world.card as card:
            original = shutil.copyfile(card.image, card.image + ".before")
            for number in range(1, 50):
                shutil.copyfile(original, card.image)
                with Session(card.image, world.sector, ["--fail-write", str(number)]) as session:
                    session.walk()
                    answer = session.ask("create", 3 * world.unit, "FW.BIN")
                    if answer["answer"] == 0:
                        break
                    assert answer["answer"] == EIO and "broke off" in answer["why"], answer
                    session.walk()
                    assert session.ask("create", 1, "OTHER.BIN")["answer"] == DENIED
                assert world.complaints(card.image, False) == [], number
            assert number > 5, number


if __name__ == "__main__":
    tap.main()
