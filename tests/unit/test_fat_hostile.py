#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""FAT volumes that no program writes: damaged, lying, or made to break a reader; and the corners of the format."""

import contextlib
import os
import random
import struct
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
sys.path.insert(0, os.path.join(TESTS, "lib"))
import fatbytes  # noqa: E402
import tap  # noqa: E402
from fatbytes import long_entries, short_entry, utf16  # noqa: E402
from fsimage import DENIED, GONE, INCOMPLETE, Session, run  # noqa: E402

EIO, EMEDIUMTYPE, EUCLEAN = -5, -124, -117
LAYOUTS = [(12, 512, 1440), (16, 512, 4096), (32, 512, 34816)]


@contextlib.contextmanager
def volume(bits=16, sector=512, kib=4096, per_cluster=1):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "card.img")
        run("mkfs.fat", "-F", str(bits), "-S", str(sector), "-s", str(per_cluster), "-n", "CARD", "-C", path, str(kib))
        yield fatbytes.Volume(path)


def data(n, seed=1):
    return random.Random(seed).randbytes(n)


def walk(v, *options, sector=512):
    """(the answer, {path: file}) of a volume; the session ends."""
    v.save()
    with Session(v.path, sector, options) as session:
        assert session.opened["answer"] == 0, session.opened
        return session.walk()


@contextlib.contextmanager
def opened(v, *options):
    v.save()
    with Session(v.path, v.sector, options) as session:
        assert session.opened["answer"] == 0, session.opened
        answer, files = session.walk()
        yield session, answer, files


def lost(session, file):
    """(what can be read, how many bytes are lost)"""
    extents = session.ask("extents", file["handle"])["extents"]
    assert sum(e[1] for e in extents) == file["size"] and all(a[0] + a[1] == b[0] for a, b in zip(extents, extents[1:])), extents
    return sum(e[1] for e in extents if e[3] == "data"), sum(e[1] for e in extents if e[3] == "lost")


def erases(session, file):
    answer = session.ask("erase", file["handle"])
    assert answer["answer"] == 0 or answer["why"], answer
    return answer["answer"]


# ---- Chains ----

def test_a_chain_that_loops_gives_each_cluster_once_and_is_never_erased():
    for bits, sector, kib in LAYOUTS:
        with volume(bits, sector, kib) as v:
            content = data(3 * sector)
            v.write([10, 12, 20], content)
            v.set(20, 12)
            v.put_entries([short_entry(b"LOOP    MP4", first=10, size=9 * sector),
                           short_entry(b"SELF    MP4", first=v.chain(30), size=2 * sector),
                           short_entry(b"GOOD    MP4", first=v.write([31], b"good"), size=4)], slot=1)
            v.set(30, 30)
            with opened(v) as (session, answer, files):
                assert answer["answer"] == 0
                assert lost(session, files[b"LOOP.MP4"]) == (3 * sector, 6 * sector)
                assert "comes back to itself" in session.ask("extents", files[b"LOOP.MP4"]["handle"])["why"]
                assert lost(session, files[b"SELF.MP4"]) == (sector, sector)
                assert erases(session, files[b"LOOP.MP4"]) == erases(session, files[b"SELF.MP4"]) == DENIED
                got, read = session.read(files[b"LOOP.MP4"])
                assert got["answer"] == EIO and read == content
                assert erases(session, files[b"GOOD.MP4"]) == 0


def test_clusters_that_two_files_share_are_never_freed():
    for bits, sector, kib in LAYOUTS:
        with volume(bits, sector, kib) as v:
            shared = data(4 * sector)
            v.write([10, 11, 12, 13], shared)
            v.chain(20, 12)  # B joins A in the middle,
            v.set(12, 13)
            v.data[v.at(20):v.at(21)] = data(sector, 2)
            v.put_entries([short_entry(b"A       MP4", first=10, size=4 * sector), short_entry(b"B       MP4", first=20, size=3 * sector),
                           short_entry(b"C       MP4", first=13, size=sector),  # C is A's last cluster,
                           short_entry(b"EMPTY   MP4", first=11, size=0),       # and an empty file has one of A's
                           short_entry(b"ALONE   MP4", first=v.write([14, 16], shared), size=2 * sector)], slot=1)
            v.save()
            before = bytes(v.data)
            with opened(v) as (session, answer, files):
                assert session.read(files[b"A.MP4"])[1] == shared
                assert session.read(files[b"B.MP4"])[1] == data(sector, 2) + shared[2 * sector:]
                for name in (b"A.MP4", b"B.MP4", b"C.MP4", b"EMPTY.MP4"):
                    assert erases(session, files[name]) == DENIED, name
                with open(v.path, "rb") as f:
                    assert f.read() == before
                assert erases(session, files[b"ALONE.MP4"]) == 0
                # What was shared once stays so, whatever was erased beside it.
                assert erases(session, files[b"A.MP4"]) == DENIED


def test_a_file_that_lies_on_a_folder_forbids_erasing():
    """Each erase in that folder would change the file's bytes."""
    for entry in (short_entry(b"ON      MP4", first=10, size=512),
                  # Behind the folder's last entry, where the walk has no reason to look.
                  short_entry(b"TAIL    MP4", first=11, size=512)):
        with volume() as v:
            v.folder(10)
            v.set(10, 11)
            v.chain(11)
            v.data[v.at(11):v.at(12)] = bytes(512)
            v.put_entries([short_entry(b"IN      MP4")], 10, 2)
            v.put_entries([short_entry(b"DCIM       ", 0x10, 10), entry], slot=1)
            with opened(v) as (session, answer, files):
                assert answer["answer"] == 0 and len(files) == 2
                assert all(erases(session, file) == DENIED for file in files.values())


def test_what_a_chain_does_not_reach_is_lost_and_not_zeros():
    for bits, sector, kib in LAYOUTS:
        with volume(bits, sector, kib) as v:
            content = data(2 * sector)
            names = {}
            for i, (name, fate) in enumerate([("SHORT", None), ("FREE", 0), ("BAD", fatbytes.BAD[bits]), ("ONE", 1),
                                              ("BEYOND", v.n_clusters + 2)]):
                first = v.write([100 + 2 * i, 101 + 2 * i], content)
                if fate is not None:
                    v.set(101 + 2 * i, fate)
                names[name] = first
            names |= {"NOWHERE": 0, "FIRST1": 1, "FAR": v.n_clusters + 2}
            v.put_entries([short_entry(name.ljust(8).encode() + b"MP4", first=first, size=5 * sector)
                           for name, first in names.items()], slot=1)
            with opened(v) as (session, answer, files):
                assert answer["answer"] == 0 and len(files) == len(names)
                for name in names:
                    file = files[f"{name}.MP4".encode()]
                    there = 2 * sector if name not in ("NOWHERE", "FIRST1", "FAR") else 0
                    assert lost(session, file) == (there, 5 * sector - there), name
                    got, read = session.read(file)
                    assert got["answer"] == EIO and read == content[:there], name
                    assert erases(session, file) == DENIED, name


def test_clusters_behind_the_end_of_a_file_may_hold_footage():
    """A camera that lost its power while recording leaves a size that is behind its chain."""
    with volume() as v:
        v.put_entries([short_entry(b"CUT     MP4", first=v.write([10, 11, 12], data(1536)), size=1024),
                       short_entry(b"NEW     MP4", first=v.write([20, 21], data(1024)), size=0),
                       short_entry(b"EMPTY   MP4")], slot=1)
        with opened(v) as (session, answer, files):
            assert session.read(files[b"CUT.MP4"])[1] == data(1536)[:1024]
            assert erases(session, files[b"CUT.MP4"]) == erases(session, files[b"NEW.MP4"]) == DENIED
            assert erases(session, files[b"EMPTY.MP4"]) == 0


# ---- Folders ----

def test_folders_that_loop_end_and_forbid_erasing():
    with volume() as v:
        v.folder(10)
        v.folder(11, 10)
        v.put_entries([short_entry(b"AGAIN      ", 0x10, 10), short_entry(b"SELF       ", 0x10, 11),
                       short_entry(b"DEEP    MP4", first=v.write([20], b"x"), size=1)], 11, 2)
        v.put_entries([short_entry(b"SUB        ", 0x10, 11)], 10, 2)
        v.put_entries([short_entry(b"DCIM       ", 0x10, 10)], slot=1)
        with opened(v) as (session, answer, files):
            assert answer["answer"] == INCOMPLETE and len(answer["problems"]) == 2, answer
            assert set(files) == {b"DCIM/SUB/DEEP.MP4"}
            assert erases(session, files[b"DCIM/SUB/DEEP.MP4"]) == DENIED
        # A folder whose chain comes back to itself, without an end mark.
        v.data[v.at(11):v.at(12)] = short_entry(b"DEEP    MP4", first=20, size=1) * 16
        v.set(11, 11)
        answer, files = None, None
        v.save()
        with Session(v.path) as session:
            session.process.stdin.write(b"walk\n")
            session.process.stdin.flush()
            lines = [session._answer() for _ in range(17)]
            assert lines[-1]["answer"] == INCOMPLETE, lines[-1]


def test_folders_too_deep_are_a_problem_and_not_a_crash():
    with volume() as v:
        for i in range(80):
            v.folder(10 + i, 9 + i if i else 0)
            if i:
                v.put_entries([short_entry(b"D          ", 0x10, 10 + i)], 9 + i, 2)
        v.put_entries([short_entry(b"LOW     MP4")], 10 + 63, 3)
        v.put_entries([short_entry(b"D          ", 0x10, 10)], slot=1)
        answer, files = walk(v)
        assert answer["answer"] == INCOMPLETE and "deeper than 64" in answer["why"], answer
        assert list(files) == [b"/".join([b"D"] * 64 + [b"LOW.MP4"])]


def test_a_folder_nowhere_and_a_broken_folder_are_told():
    with volume() as v:
        v.folder(10)
        v.data[v.at(10) + 64:v.at(11)] = short_entry(b"\xe5RASED  MP4") * 14
        v.set(10, 0)
        v.put_entries([short_entry(b"A          ", 0x10, 0), short_entry(b"B          ", 0x10, v.n_clusters + 2),
                       short_entry(b"C          ", 0x10, 10), short_entry(b"X       MP4")], slot=1)
        answer, files = walk(v)
        assert answer["answer"] == INCOMPLETE and len(answer["problems"]) == 3 and list(files) == [b"X.MP4"], answer


# ---- Names ----

def test_names_of_all_kinds():
    with volume() as v:
        surrogates = [0xD800, ord("a"), 0xDC00, 0xD83D, 0xDE00]
        entries = [*long_entries(surrogates, b"S       MP4"), short_entry(b"S       MP4"),
                   short_entry(b"\x05BC\x80    \xffX "), short_entry(b"LOWER   MP4", case=0x18), short_entry(b"BASE    MP4", case=0x08),
                   short_entry(b"NOEXT      "),
                   *long_entries(utf16("a" * 255), b"LONGEST MP4"), short_entry(b"LONGEST MP4"),
                   *long_entries(utf16("thirteen.char"), b"THIRTEENMP4"), short_entry(b"THIRTEENMP4"),
                   *long_entries(utf16("../../etc/passwd\n"), b"EVIL    MP4"), short_entry(b"EVIL    MP4")]
        v.put_entries(entries, slot=1)
        answer, files = walk(v)
        assert answer["answer"] == 0
        assert set(files) == {b"\xed\xa0\x80a\xed\xb0\x80\xf0\x9f\x98\x80", "σBCÇ.\u00a0X".encode(), b"lower.mp4", b"base.MP4", b"NOEXT",
                              b"a" * 255, b"thirteen.char", b"../../etc/passwd\n"}, files


def test_a_long_name_that_does_not_belong_is_passed_over():
    short = b"NAME    MP4"
    name = utf16("a name of three parts, that is it.mp4")
    whole = long_entries(name, short)
    for entries in ([*long_entries(name, short, wrong_sum=1)], whole[1:], whole[:-1], [whole[1], whole[0], whole[2]],
                    [whole[0], b"\xe5" + whole[1][1:], whole[2]], [*whole, short_entry(b"\xe5AME    MP4")], [b"\x00"[:0] + whole[0]],
                    long_entries(name, short, total=9), [b"\x7f" + whole[0][1:]], [b"\x40" + whole[0][1:]]):
        with volume() as v:
            v.put_entries([*entries, short_entry(short, first=v.write([10], b"x"), size=1), short_entry(b"NEXT    MP4")], slot=1)
            with opened(v) as (session, answer, files):
                assert answer["answer"] == 0 and set(files) == {b"NAME.MP4", b"NEXT.MP4"}, (entries, files)
                assert erases(session, files[b"NAME.MP4"]) == 0
            after = fatbytes.Volume(v.path)
            slot = 1 + len(entries)
            # The short entry is erased, and of what did not belong to it nothing.
            assert after.data[v.root_at + 32 * slot] == 0xE5
            assert after.data[v.root_at + 32:v.root_at + 32 * slot] == b"".join(entries)
            assert after.data[v.root_at + 32 * slot + 32] == ord("N") and after.get(10) == 0


def test_labels_erased_entries_and_what_stands_behind_the_end():
    with volume() as v:
        v.put_entries([short_entry(b"OLD LABEL  ", 0x08), short_entry(b"\xe5ONE    MP4"), short_entry(b"HERE    MP4")])
        v.put_entries([short_entry(b"BEHIND  MP4")], slot=4)
        v.save()
        with Session(v.path) as session:
            answer, files = session.walk()
            assert set(files) == {b"HERE.MP4"} and session.ask("info")["label"] == "OLD LABEL"


def test_dates():
    with volume() as v:
        v.put_entries([short_entry(b"ZERO       ", date=0), short_entry(b"MONTH13    ", date=(46 << 9) | (13 << 5) | 1),
                       short_entry(b"FEB30      ", date=(46 << 9) | (2 << 5) | 30),
                       short_entry(b"FEB29      ", date=(48 << 9) | (2 << 5) | 29),
                       short_entry(b"NOLEAP     ", date=(47 << 9) | (2 << 5) | 29), short_entry(b"HOUR24     ", time=24 << 11),
                       short_entry(b"SECOND60   ", time=30), short_entry(b"LAST       ", date=0xFF9F, time=0xBF7D),
                       short_entry(b"FIRST      ", date=0x21, time=0)], slot=1)
        _, files = walk(v, "--utc", 120)
        times = {path.decode(): file["mtime"] for path, file in files.items()}
        assert times == {"ZERO": None, "MONTH13": None, "FEB30": None, "FEB29": 1835428500 - 7200, "NOLEAP": None, "HOUR24": None,
                         "SECOND60": None, "LAST": 4354819198 - 7200, "FIRST": 315532800 - 7200}, times


def test_attributes():
    with volume() as v:
        v.put_entries([short_entry(b"LOCKED  MP4", 0x21), short_entry(b"HIDDEN  MP4", 0x02), short_entry(b"SYSTEM  MP4", 0x04)], slot=1)
        _, files = walk(v)
        assert [(p, f["read_only"], f["hidden"], f["system"]) for p, f in sorted(files.items())] == [
            (b"HIDDEN.MP4", False, True, False), (b"LOCKED.MP4", True, False, False), (b"SYSTEM.MP4", False, False, True)]


# ---- Tables, flags and the boot sector ----

def test_the_active_table_counts_when_they_are_not_mirrored():
    with volume(32, 512, 34816) as v:
        struct.pack_into("<H", v.data, 40, 0x81)
        v.set(10, 11, [0])
        v.set(11, 0x0FFFFFFF, [0])
        v.set(10, 12, [1])
        v.set(12, 0x0FFFFFFF, [1])
        v.data[v.at(10):v.at(13)] = data(1536)
        v.put_entries([short_entry(b"A       MP4", first=10, size=1024)], slot=1)
        with opened(v) as (session, _, files):
            assert session.read(files[b"A.MP4"])[1] == data(1536)[:512] + data(1536)[1024:]
            assert erases(session, files[b"A.MP4"]) == 0
        after = fatbytes.Volume(v.path)
        assert (after.get(10, 0), after.get(11, 0)) == (11, 0x0FFFFFFF) and (after.get(10, 1), after.get(12, 1)) == (0, 0)


def test_the_upper_bits_of_fat32_stay_as_they_are():
    with volume(32, 512, 34816) as v:
        v.chain(10, 11)
        v.set(10, 0xF000000B)
        v.set(11, 0x5FFFFFFF)
        v.put_entries([short_entry(b"A       MP4", first=10, size=1024)], slot=1)
        with opened(v) as (session, _, files):
            assert lost(session, files[b"A.MP4"]) == (1024, 0) and erases(session, files[b"A.MP4"]) == 0
        after = fatbytes.Volume(v.path)
        raw = [struct.unpack_from("<I", after.data, after._entry_at(c, fat))[0] for c in (10, 11) for fat in (0, 1)]
        assert raw == [0xF0000000, 0xF0000000, 0x50000000, 0x50000000]


def test_a_bad_sector_of_the_first_table_is_read_from_the_second():
    with volume() as v:
        v.put_entries([short_entry(b"A       MP4", first=v.write([10, 20, 30], data(1500)), size=1500)], slot=1)
        with opened(v, "--bad", v.reserved) as (session, answer, files):
            assert answer["answer"] == 0 and session.read(files[b"A.MP4"])[1] == data(1500)
        with opened(v, "--bad", v.reserved, "--bad", v.reserved + v.fat_sectors) as (session, answer, files):
            assert lost(session, files[b"A.MP4"]) == (512, 1500 - 512) and erases(session, files[b"A.MP4"]) == DENIED


def test_what_stands_behind_a_bad_sector_of_a_folder_is_listed_and_nothing_erased():
    with volume() as v:
        v.put_entries([short_entry(f"F{i:02}     MP4".encode()) for i in range(40)], slot=1)
        with opened(v, "--bad", v.root_at // 512 + 1) as (session, answer, files):
            assert answer["answer"] == INCOMPLETE and "bad sector" in answer["why"]
            assert set(files) == {f"F{i:02}.MP4".encode() for i in range(40) if not 16 <= i + 1 < 32}
            assert erases(session, files[b"F00.MP4"]) == DENIED


def test_a_dirty_volume_is_read_and_erased_from_only_when_asked_to():
    for bits, sector, kib in LAYOUTS:
        with volume(bits, sector, kib) as v:
            v.put_entries([short_entry(b"A       MP4", first=v.write([10], data(500)), size=500)], slot=1)
            if bits == 12:
                v.data[37] |= 1
            else:
                v.set(1, v.get(1) & ~{16: 0x8000, 32: 0x08000000}[bits])
            with opened(v) as (session, _, files):
                assert session.ask("info")["dirty"] and session.read(files[b"A.MP4"])[1] == data(500)
                assert erases(session, files[b"A.MP4"]) == DENIED
            with opened(v, "--erase-dirty") as (session, _, files):
                assert erases(session, files[b"A.MP4"]) == 0
            # It was not us who made it so.
            with Session(v.path) as session:
                assert session.files() == {} and session.ask("info")["dirty"]


def test_flags_in_a_table_that_keeps_none_are_no_flags():
    with volume() as v:
        v.set(1, 0)
        v.put_entries([short_entry(b"A       MP4", first=v.write([10], data(500)), size=500)], slot=1)
        with opened(v) as (session, _, files):
            assert not session.ask("info")["dirty"] and erases(session, files[b"A.MP4"]) == 0
        assert fatbytes.Volume(v.path).get(1) == 0


def test_failing_media_are_told():
    with volume() as v:
        v.set(1, v.get(1) & ~0x4000)
        v.save()
        with Session(v.path) as session:
            assert session.ask("info")["failing"] and not session.ask("info")["dirty"]


def test_a_lost_boot_sector_of_fat32_is_read_from_its_backup():
    with volume(32, 512, 34816) as v:
        v.put_entries([short_entry(b"A       MP4", first=v.write([10], data(500)), size=500)], slot=1)
        v.data[0:512] = data(512)
        with opened(v) as (session, _, files):
            assert session.read(files[b"A.MP4"])[1] == data(500) and erases(session, files[b"A.MP4"]) == DENIED


def test_a_volume_larger_than_its_medium_is_read_as_far_as_it_goes():
    with volume() as v:
        last = v.n_clusters + 1
        v.put_entries([short_entry(b"A       MP4", first=v.write([10, 11, last - 1, last], data(2048)), size=2048)], slot=1)
        v.save()
        os.truncate(v.path, v.at(last))
        with Session(v.path) as session:
            files = session.files()
            assert lost(session, files[b"A.MP4"]) == (1536, 512) and erases(session, files[b"A.MP4"]) == DENIED
        os.truncate(v.path, v.root_at - 512)
        with Session(v.path) as session:
            assert session.opened["answer"] == EUCLEAN and "larger" in session.opened["why"]


def test_a_table_too_small_for_its_volume_forbids_erasing():
    with volume() as v:
        v.data[32:36] = bytes(4)
        struct.pack_into("<H", v.data, 19, 0)
        struct.pack_into("<I", v.data, 32, 65000)
        v.put_entries([short_entry(b"A       MP4", first=v.write([10], data(500)), size=500)], slot=1)
        v.data += bytes(65000 * 512 - len(v.data))
        with opened(v) as (session, _, files):
            assert session.read(files[b"A.MP4"])[1] == data(500) and erases(session, files[b"A.MP4"]) == DENIED


def test_what_is_no_fat_is_not_taken_for_it():
    mbr = bytearray(512)
    mbr[0:3], mbr[446:462], mbr[510:512] = b"\xeb\x58\x90", bytes([0x80, 1, 1, 0, 0x0C, 1, 1, 1, 0, 8, 0, 0, 0, 0, 1, 0]), b"\x55\xaa"
    with volume() as v:
        good = bytes(v.data)
        for content in (bytes(65536), data(65536), bytes(mbr) + bytes(65024), b"", good[:510] + b"\0\0" + good[512:],
                        b"\xebR\x90NTFS    " + good[11:16] + b"\0" + good[17:]):
            with open(v.path, "wb") as f:
                f.write(content)
            with Session(v.path) as session:
                assert session.opened["answer"] == EMEDIUMTYPE and session.opened["why"], session.opened
        with open(v.path, "wb") as f:
            f.write(good)
        with Session(v.path, 4096) as session:
            assert session.opened["answer"] == EUCLEAN and "512" in session.opened["why"], session.opened
        with Session(v.path, 512, ["--bad", 0, "--bad", 6]) as session:
            assert session.opened["answer"] == EIO, session.opened


def test_any_byte_of_the_boot_sector_may_be_anything():
    chance = random.Random(3)
    with volume(32, 512, 34816) as v:
        v.put_entries([short_entry(b"A       MP4", first=v.write([10], data(500)), size=500)], slot=1)
        v.save()
        good = bytes(v.data[:90])
        for i in range(300):
            boot = bytearray(good)
            for _ in range(chance.choice((1, 1, 2, 4))):
                boot[chance.randrange(11, 90)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            with open(v.path, "r+b") as f:
                f.write(boot)
            with Session(v.path) as session:
                if session.opened["answer"] == 0:
                    session.ask("info")
                    _, files = session.walk()
                    for file in files.values():
                        session.ask("extents", file["handle"])


def test_the_number_of_clusters_tells_fat12_from_fat16():
    for clusters, kind in [(4084, "FAT12"), (4085, "FAT16")]:
        with volume(16, 512, 4096) as v:
            struct.pack_into("<H", v.data, 19, v.heap_at // 512 + clusters)
            v.save()
            with Session(v.path) as session:
                info = session.ask("info")
                assert info["kind"] == kind and info["total"] == clusters * 512, info


# ---- Erasing ----

def test_an_erase_that_breaks_off_says_so_and_is_the_last():
    for number in range(1, 9):
        with volume() as v:
            content = data(1024)
            v.put_entries([*[short_entry(b"\xe5OLD    MP4")] * 13,
                           *long_entries(utf16("a name of three parts, that is it.mp4"), b"A       MP4"),
                           short_entry(b"A       MP4", first=v.write([10, 600], content), size=1024),
                           short_entry(b"B       MP4", first=v.write([11, 601], content), size=1024)], slot=1)
            with opened(v, "--fail-write", number) as (session, _, files):
                answer = session.ask("erase", files[b"a name of three parts, that is it.mp4"]["handle"])
                assert answer["answer"] == EIO and "broke off" in answer["why"], (number, answer)
                assert erases(session, files[b"B.MP4"]) == DENIED
            with Session(v.path) as session:
                files = session.files()
                assert session.read(files[b"B.MP4"])[1] == content
                assert session.ask("info")["dirty"] == (number > 1)


def test_a_medium_that_is_write_protected_denies():
    with volume() as v:
        v.put_entries([short_entry(b"A       MP4", first=v.write([10], data(500)), size=500)], slot=1)
        with opened(v, "--read-only") as (session, _, files):
            assert erases(session, files[b"A.MP4"]) == DENIED


def test_an_entry_that_changed_since_it_was_listed_is_left_alone():
    entry = short_entry(b"A       MP4", first=10, size=500)
    for other in (b"\xe5" + entry[1:], short_entry(b"B       MP4", first=10, size=500), short_entry(b"A       MP4", first=10, size=501),
                  short_entry(b"A       MP4", first=12, size=500), short_entry(b"A       MP4", first=10, size=500, time=2),
                  short_entry(b"A       MP4", 0x10, first=10, size=500)):
        with volume() as v:
            v.put_entries([entry], slot=1)
            v.write([10], data(500))
            with opened(v) as (session, _, files):
                v.put_entries([other], slot=1)
                v.save()
                assert erases(session, files[b"A.MP4"]) == GONE
            with open(v.path, "rb") as f:
                assert f.read() == v.data


def test_a_second_walk_sees_what_is_there_now_under_the_same_handles():
    with volume() as v:
        v.put_entries([short_entry(name, first=v.write([10 + i], data(500)), size=500)
                       for i, name in enumerate((b"A       MP4", b"B       MP4", b"C       MP4"))], slot=1)
        with opened(v) as (session, _, files):
            assert erases(session, files[b"B.MP4"]) == 0
            again = session.files()
            assert again == {name: files[name] for name in (b"A.MP4", b"C.MP4")}
            assert erases(session, again[b"C.MP4"]) == 0 and set(session.files()) == {b"A.MP4"}
            assert session.ask("extents", 12345)["answer"] == -2 == session.ask("erase", 0)["answer"]


# ---- How much is read ----

def test_listing_and_erasing_read_each_sector_about_once():
    """Counts, not times: what a slow bus would feel."""
    with volume(32, 512, 200000, 8) as v:
        n, n_erased, cluster, entries = 10000, 2000, 100, []
        for i in range(n):
            short = f"{i:08}MP4".encode()
            v.chain(cluster, cluster + 1)
            entries += [*long_entries(utf16(f"clip number {i} of a long shift.mp4"), short), short_entry(short, first=cluster, size=8192)]
            cluster += 2
        table = -(-len(entries) * 32 // v.cluster) + 1
        v.chain(*range(cluster, cluster + table))
        v.put_entries([short_entry(b"DCIM       ", 0x10, cluster)], slot=1)
        v.data[v.at(cluster):v.at(cluster + table)] = bytes(table * v.cluster)
        v.put_entries(entries, cluster)
        with opened(v) as (session, answer, files):
            assert answer["answer"] == 0 and len(files) == n
            listed = session.ask("counts")
            assert listed["sectors_read"] < 2 * (table * 8 + 700) and listed["reads"] < listed["sectors_read"] / 30, listed
            for file in list(files.values())[:n_erased]:
                assert erases(session, file) == 0
            counts = session.ask("counts")
            reads = (counts["reads"] - listed["reads"]) / n_erased
            writes = counts["sectors_written"] / n_erased
            print(f"# listing {n} files: {listed['reads']} reads of {listed['sectors_read']} sectors; "
                  f"an erase of {n_erased}: {reads:.1f} reads, {writes:.1f} sectors written, {counts['flushes'] / n_erased:.1f} flushes")
            assert reads < 1.5 and writes < 10, counts


if __name__ == "__main__":
    tap.main()
