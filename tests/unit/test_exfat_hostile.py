#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""exFAT volumes that no program writes: damaged, lying, or made to break a reader; and the corners of the format."""

import contextlib
import os
import random
import struct
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
sys.path.insert(0, os.path.join(TESTS, "lib"))
import exfatbytes  # noqa: E402
import tap  # noqa: E402
from fsimage import DENIED, GONE, INCOMPLETE, Session, run  # noqa: E402

EIO, EUCLEAN, EMEDIUMTYPE = -5, -117, -124


@contextlib.contextmanager
def volume(cluster=4096, mib=8):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "card.img")
        with open(path, "wb") as f:
            f.truncate(mib << 20)
        run("mkfs.exfat", "-c", str(cluster), path)
        yield exfatbytes.Volume(path)


def data(n, seed=1):
    return random.Random(seed).randbytes(n)


@contextlib.contextmanager
def opened(v, *options):
    v.save()
    with Session(v.path, v.sector, options) as session:
        assert session.opened["answer"] == 0, session.opened
        answer, files = session.walk()
        yield session, answer, files


def kinds(session, file):
    """How many bytes are there, read as zeros, and are lost."""
    extents = session.ask("extents", file["handle"])["extents"]
    assert sum(e[1] for e in extents) == file["size"] and all(a[0] + a[1] == b[0] for a, b in zip(extents, extents[1:])), extents
    return tuple(sum(e[1] for e in extents if e[3] == kind) for kind in ("data", "zeros", "lost"))


def erases(session, file):
    answer = session.ask("erase", file["handle"])
    assert answer["answer"] == 0 or answer["why"], answer
    return answer["answer"]


# ---- Chains and rows ----

def test_loops_give_each_cluster_once_and_are_never_erased():
    with volume() as v:
        content = data(3 * 4096)
        clusters = v.free_clusters(3, 2)
        v.put(v.root, "loop", content, clusters, size=8 * 4096)
        v.set(clusters[-1], clusters[1])
        v.put(v.root, "good", content)
        with opened(v) as (session, answer, files):
            assert answer["answer"] == 0 and kinds(session, files[b"loop"]) == (3 * 4096, 0, 5 * 4096)
            got, read = session.read(files[b"loop"])
            assert got["answer"] == EIO and read == content
            assert erases(session, files[b"loop"]) == DENIED and erases(session, files[b"good"]) == 0


def test_clusters_that_two_use_are_never_freed():
    with volume() as v:
        row = v.free_clusters(6)
        v.put(v.root, "a", data(4 * 4096), row[:4])
        v.put(v.root, "b", data(3 * 4096, 2), row[3:])  # two rows that overlap by one
        far = v.free_clusters(3, 3)
        v.put(v.root, "c", data(3 * 4096), far)
        v.put(v.root, "in row", data(1), [far[1]])
        v.put(v.root, "good", data(1))
        v.save()
        before = bytes(v.data)
        with opened(v) as (session, answer, files):
            for name in (b"a", b"b", b"c", b"in row"):
                assert erases(session, files[name]) == DENIED, name
            with open(v.path, "rb") as f:
                assert f.read() == before
            assert erases(session, files[b"good"]) == 0


def test_what_lies_on_the_volume_itself_forbids_erasing():
    with volume() as v:
        bitmap = next(c for c in range(2, 40) if v.at(c) == v.bitmap_at)
        good, start = bytes(v.data), v.root.slot
        for first, attributes in ((bitmap, 0x20), (v.root.clusters[0], 0x20), (bitmap, 0x10)):
            v.data[:] = good
            v.root.slot = start
            v.put(v.root, "good", data(1))
            v.put_entries(v.root, v.entry_set("on it", first, 4096, attributes=attributes))
            with opened(v) as (session, answer, files):
                assert all(erases(session, file) == DENIED for file in files.values())


def test_what_a_chain_or_row_does_not_reach_is_lost_and_not_zeros():
    with volume() as v:
        content = data(2 * 4096)
        last = v.n_clusters + 1
        fates = {"short": exfatbytes.END, "free": 0, "bad": 0xFFFFFFF7, "one": 1, "beyond": last + 1}
        for name, fate in fates.items():
            clusters = v.free_clusters(2, 2)
            v.put(v.root, name, content, clusters, size=5 * 4096)
            v.set(clusters[1], fate)
        v.put_entries(v.root, v.entry_set("row", last - 1, 5 * 4096))
        v.write([last - 1, last], content)
        for name, first in (("nowhere", 0), ("first", 1), ("far", last + 1), ("huge", 0xFFFFFFFF)):
            v.put_entries(v.root, v.entry_set(name, first, 5 * 4096))
        with opened(v) as (session, answer, files):
            assert answer["answer"] == 0
            for name in [*fates, "row"]:
                assert kinds(session, files[name.encode()]) == (2 * 4096, 0, 3 * 4096), name
                assert session.read(files[name.encode()])[1] == content
            for name in ("nowhere", "first", "far", "huge"):
                assert kinds(session, files[name.encode()]) == (0, 0, 5 * 4096), name
            for file in files.values():
                assert erases(session, file) == DENIED, file


def test_sizes_up_to_the_largest_number():
    with volume() as v:
        for size in (1 << 32, 1 << 63, (1 << 64) - 1):
            v.put_entries(v.root, v.entry_set(f"row {size}", v.free_clusters(1)[0], size))
            v.put_entries(v.root, v.entry_set(f"chain {size}", v.free_clusters(1)[0], size, row=False))
            v.put_entries(v.root, v.entry_set(f"zeros {size}", v.free_clusters(1)[0], size, valid=0))
        with opened(v) as (session, answer, files):
            assert len(files) == 9
            for path, file in files.items():
                assert (kinds(session, file)[1] == file["size"]) == path.startswith(b"zeros"), path
                assert erases(session, file) == DENIED


def test_clusters_behind_the_end_or_not_in_the_bitmap_forbid_erasing():
    with volume() as v:
        longer = v.free_clusters(3, 2)
        v.put(v.root, "longer", data(2 * 4096), longer, size=2 * 4096)
        free = v.free_clusters(2)
        v.put(v.root, "free", data(2 * 4096), free)
        v.use(free[1:], False)
        v.put_entries(v.root, v.entry_set("empty", v.free_clusters(1)[0], 0))
        with opened(v) as (session, answer, files):
            assert session.read(files[b"longer"])[1] == data(2 * 4096) and session.read(files[b"free"])[1] == data(2 * 4096)
            assert all(erases(session, file) == DENIED for file in files.values())


# ---- Folders and entries ----

def test_damaged_entries_are_read_as_far_as_they_make_sense():
    with volume() as v:
        v.put(v.root, "good", b"good")
        whole = v.entry_set("wrong sum", v.free_clusters(1)[0], 4)
        v.put_entries(v.root, whole[:2] + b"\0\0" + whole[4:])
        with opened(v) as (session, answer, files):
            assert answer["answer"] == 0 and set(files) == {b"good", b"wrong sum"}
            assert erases(session, files[b"wrong sum"]) == DENIED and erases(session, files[b"good"]) == 0
        v.put_entries(v.root, v.entry_set("valid beyond", v.free_clusters(1)[0], 4, valid=5))
        with opened(v) as (session, answer, files):
            assert kinds(session, files[b"valid beyond"]) == (4, 0, 0) and erases(session, files[b"valid beyond"]) == DENIED


def test_entries_without_sense_are_told_and_the_rest_is_read():
    for break_set in (lambda s: s[:1] + b"\1" + s[2:], lambda s: s[:1] + b"\x13" + s[2:], lambda s: s[:1] + b"\xff" + s[2:],
                      lambda s: s[:32] + b"\xc1" + s[33:], lambda s: s[:64] + b"\xc0" + s[65:], lambda s: s[:64] + b"\x41" + s[65:],
                      lambda s: s[:35] + b"\0" + s[36:], lambda s: s[:35] + b"\xff" + s[36:], lambda s: s[:32],
                      lambda s: b"\x86" + s[1:]):
        with volume() as v:
            v.put_entries(v.root, break_set(v.entry_set("broken", v.free_clusters(1)[0], 4)))
            v.put(v.root, "good", b"good")
            with opened(v) as (session, answer, files):
                assert answer["answer"] == INCOMPLETE and answer["problems"], answer
                assert set(files) == {b"good"} and erases(session, files[b"good"]) == DENIED


def test_what_is_benign_or_left_over_is_passed_over():
    with volume() as v:
        v.put_entries(v.root, struct.pack("<BBHH26x", 0xA0, 0, 0, 0))  # a volume GUID
        v.put_entries(v.root, v.entry_set("erased", 9, 4).replace(b"\x85", b"\x05", 1))
        v.put_entries(v.root, bytes([0xC1]) + bytes(31))
        vendor = struct.pack("<BB16s14x", 0xE0, 0, b"\1" * 16)
        v.put_entries(v.root, v.entry_set("vendor", v.free_clusters(1)[0], 4, extra=[vendor]))
        v.use(v.free_clusters(1))
        with opened(v) as (session, answer, files):
            assert answer["answer"] == 0 and set(files) == {b"vendor"} and erases(session, files[b"vendor"]) == 0
        # Clusters that only the vendor knows of could be anybody's.
        with_clusters = struct.pack("<BB16sHIQ", 0xE1, 1, b"\1" * 16, 0, 100, 4096)
        v.put_entries(v.root, v.entry_set("clusters", v.free_clusters(1)[0], 4, extra=[with_clusters]))
        v.use(v.free_clusters(1))
        with opened(v) as (session, answer, files):
            assert answer["answer"] == 0 and all(erases(session, f) == DENIED for f in files.values())


def test_names_of_all_kinds():
    with volume() as v:
        names = [[0xD800, ord("a"), 0xDC00, 0xD83D, 0xDE00], "a" * 255, "fifteen letters", "sixteen letters!", "../x\n", "日本語", "x"]
        for name in names:
            v.put(v.root, name)
        with opened(v) as (session, answer, files):
            assert answer["answer"] == 0 and set(files) == {b"\xed\xa0\x80a\xed\xb0\x80\xf0\x9f\x98\x80",
                                                            *(n.encode() for n in names if isinstance(n, str))}
            for file in files.values():
                assert erases(session, file) == 0


def test_folders_that_loop_end_and_forbid_erasing():
    with volume() as v:
        dcim = v.folder(v.root, "DCIM")
        sub = v.folder(dcim, "SUB")
        v.put_entries(sub, v.entry_set("AGAIN", dcim.clusters[0], 4096, attributes=0x10))
        v.put_entries(sub, v.entry_set("ROOT", v.root.clusters[0], 4096, attributes=0x10))
        v.put(sub, "deep", b"x")
        pieces = v.free_clusters(2, 2)
        loop = v.folder(v.root, "LOOP", clusters=pieces)
        v.set(pieces[1], pieces[0])
        v.put(loop, "inside", b"x")
        with opened(v) as (session, answer, files):
            assert answer["answer"] == INCOMPLETE and len(answer["problems"]) == 2, answer
            assert set(files) == {b"DCIM/SUB/deep", b"LOOP/inside"}
            assert all(erases(session, file) == DENIED for file in files.values())


def test_folders_with_sizes_and_places_that_cannot_be():
    with volume() as v:
        for i, (first, size) in enumerate([(0, 4096), (1, 4096), (v.n_clusters + 2, 4096), (v.free_clusters(1)[0], 5000),
                                           (v.free_clusters(9)[8], 1 << 40), (v.n_clusters + 1, 8192)]):
            v.put_entries(v.root, v.entry_set(f"folder {i}", first, size, attributes=0x10))
        v.put_entries(v.root, v.entry_set("empty", 0, 0, attributes=0x10))
        with opened(v) as (session, answer, files):
            assert answer["answer"] == INCOMPLETE and len(answer["problems"]) >= 5 and not files, answer


def test_folders_too_deep_are_a_problem_and_not_a_crash():
    with volume() as v:
        folder = v.root
        for i in range(80):
            folder = v.folder(folder, "d")
            if i in (63, 64):
                v.put(folder, f"at {i + 1}")
        with opened(v) as (session, answer, files):
            assert answer["answer"] == INCOMPLETE and "deeper than 64" in answer["why"], answer
            assert list(files) == [b"/".join([b"d"] * 64 + [b"at 64"])]


def test_times():
    with volume() as v:
        cases = {"utc": {"zone": 0x80}, "none": {"zone": 0}, "plus": {"zone": 0x80 | 8}, "minus": {"zone": 0x80 | (0x80 - 20) & 0x7F},
                 "odd": {"tenths": 199}, "even": {"tenths": 99}, "tenths": {"tenths": 255}, "bad": {"stamp": 0}}
        for name, more in cases.items():
            v.put(v.root, name, **more)
        with opened(v, "--utc", 120) as (session, answer, files):
            times = {path.decode(): file["mtime"] for path, file in files.items()}
            t = 1795425300
            assert times == {"utc": t, "none": t - 7200, "plus": t - 7200, "minus": t + 5 * 3600, "odd": t + 1, "even": t, "tenths": t,
                             "bad": None}, times


# ---- The volume ----

def test_a_damaged_boot_region_is_read_from_its_backup():
    with volume() as v:
        v.put(v.root, "a", data(5000))
        for at, value in ((0, data(512)), (92, b"\xff"), (1000, b"x"), (11 * 512, bytes(512)), (108, b"\x20")):
            v.save()
            with open(v.path, "r+b") as f:
                f.seek(at)
                f.write(value)
            with Session(v.path) as session:
                assert session.opened["answer"] == 0, (at, session.opened)
                files = session.files()
                assert session.read(files[b"a"])[1] == data(5000) and erases(session, files[b"a"]) == DENIED, at
        v.data[:12 * 512] = v.data[12 * 512:24 * 512]
        v.data[108] = v.data[12 * 512 + 108] = 0x20
        v.save()
        with Session(v.path) as session:
            assert session.opened["answer"] == EUCLEAN and session.opened["why"]


def test_a_boot_sector_that_makes_no_sense_is_refused_or_forbids_erasing():
    chance = random.Random(5)
    with volume() as v:
        v.put(v.root, "a", data(5000))
        v.save()
        good = bytes(v.data)
        for i in range(300):
            v.data[:24 * 512] = good[:24 * 512]
            for _ in range(chance.choice((1, 1, 2, 3))):
                v.data[chance.randrange(72, 113)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            v.seal()
            with open(v.path, "r+b") as f:
                f.write(v.data[:24 * 512])
            with Session(v.path) as session:
                if session.opened["answer"] == 0:
                    session.ask("info")
                    _, files = session.walk()
                    for file in files.values():
                        session.ask("extents", file["handle"])


def test_the_second_table_counts_when_the_volume_says_so_and_texfat_is_only_read():
    with volume() as v:
        clusters = v.free_clusters(2, 2)
        v.put(v.root, "a", data(8192), clusters)
        table = bytes(v.data[v.fat_at:v.fat_at + v.fat_length])
        if v.fat_at + 2 * v.fat_length <= v.heap_at:
            v.data[v.fat_at + v.fat_length:v.fat_at + 2 * v.fat_length] = table
            v.set(clusters[0], 0)
            v.data[110] = 2
            v.data[106] |= 1
            v.seal()
            with opened(v) as (session, answer, files):
                assert session.read(files[b"a"])[1] == data(8192) and erases(session, files[b"a"]) == DENIED
        else:
            raise AssertionError("no room for a second table")


def test_a_missing_or_small_bitmap_forbids_erasing():
    for change in (lambda e: b"\x01" + e[1:], lambda e: e[:24] + struct.pack("<Q", 5), lambda e: e[:20] + struct.pack("<I", 1) + e[24:],
                   lambda e: e[:1] + b"\1" + e[2:]):
        with volume() as v:
            v.put(v.root, "a", data(5000))
            for slot in range(v.root.slot):
                entry = v.slot(v.root, slot)
                if entry[0] == 0x81:
                    at = v.slot_at(v.root, slot)
                    v.data[at:at + 32] = change(entry)
            with opened(v) as (session, answer, files):
                assert session.ask("info")["free"] is None
                assert session.read(files[b"a"])[1] == data(5000) and erases(session, files[b"a"]) == DENIED


def test_dirty_and_failing_volumes():
    with volume() as v:
        v.put(v.root, "a", data(5000))
        v.data[106] |= 6
        with opened(v) as (session, answer, files):
            info = session.ask("info")
            assert info["dirty"] and info["failing"] and session.read(files[b"a"])[1] == data(5000)
            assert erases(session, files[b"a"]) == DENIED
        with opened(v, "--erase-dirty") as (session, answer, files):
            assert erases(session, files[b"a"]) == 0
        after = exfatbytes.Volume(v.path)
        used = sum(after.is_used(c) for c in range(2, after.n_clusters + 2))
        assert after.data[106] & 6 == 6 and after.data[112] == used * 100 // after.n_clusters


def test_a_volume_larger_than_its_medium_is_read_as_far_as_it_goes():
    with volume() as v:
        last = v.n_clusters + 1
        v.put(v.root, "a", data(3 * 4096), [last - 2, last - 1, last])
        v.save()
        os.truncate(v.path, v.at(last))
        with Session(v.path) as session:
            files = session.files()
            assert kinds(session, files[b"a"]) == (8192, 0, 4096) and erases(session, files[b"a"]) == DENIED
        os.truncate(v.path, v.heap_at - 512)
        with Session(v.path) as session:
            assert session.opened["answer"] == EUCLEAN


def test_bad_sectors_of_folders_and_of_the_table():
    with volume() as v:
        dcim = v.folder(v.root, "DCIM")
        for i in range(40):
            v.put(dcim, f"{i:02}")
        v.put(v.root, "pieces", data(8192), v.free_clusters(2, 2))
        with opened(v, "--bad", v.at(dcim.clusters[0]) // 512 + 1) as (session, answer, files):
            assert answer["answer"] == INCOMPLETE and "bad sector" in answer["why"]
            # 16 entries in a sector, three for a file: the sixth begins before it, the eleventh ends behind it.
            assert set(files) == {b"pieces", *(f"DCIM/{i:02}".encode() for i in range(40) if not 16 <= 3 * i + 2 or 3 * i >= 32)}
            assert erases(session, files[b"DCIM/00"]) == DENIED
        with opened(v, "--bad", v.fat_at // 512) as (session, answer, files):
            assert kinds(session, files[b"pieces"])[0] <= 4096 and erases(session, files[b"pieces"]) == DENIED


# ---- Erasing ----

def test_an_erase_that_breaks_off_says_so_and_is_the_last():
    for number in range(1, 5):
        with volume() as v:
            v.put(v.root, "a" * 200, data(5000))
            v.put(v.root, "b", data(5000, 2))
            with opened(v, "--fail-write", number) as (session, _, files):
                answer = session.ask("erase", files[b"a" * 200]["handle"])
                assert answer["answer"] == EIO and "broke off" in answer["why"], (number, answer)
                assert erases(session, files[b"b"]) == DENIED
            with Session(v.path) as session:
                files = session.files()
                assert session.read(files[b"b"])[1] == data(5000, 2) and session.ask("info")["dirty"] == (number > 1)


def test_an_entry_that_changed_since_it_was_listed_is_left_alone():
    with volume() as v:
        clusters = v.free_clusters(1)
        slot = v.put(v.root, "a", data(500), clusters)
        at = v.slot_at(v.root, slot)
        good = bytes(v.data)
        for other in (v.entry_set("b", clusters[0], 500), v.entry_set("a", clusters[0], 501), v.entry_set("a", clusters[0] + 1, 500),
                      v.entry_set("a", clusters[0], 500, stamp=exfatbytes.STAMP + 1), v.entry_set("a", clusters[0], 500, row=False),
                      v.entry_set("a", clusters[0], 500, valid=499), v.entry_set("a", clusters[0], 500, attributes=0x10),
                      bytes(good[at:at + 96]).replace(b"\x85", b"\x05", 1)):
            v.data[:] = good
            with opened(v) as (session, _, files):
                v.data[at:at + 96] = other
                v.save()
                assert erases(session, files[b"a"]) == GONE, other
            with open(v.path, "rb") as f:
                assert f.read() == v.data


def test_a_medium_that_is_write_protected_denies():
    with volume() as v:
        v.put(v.root, "a", data(500))
        with opened(v, "--read-only") as (session, _, files):
            assert erases(session, files[b"a"]) == DENIED


def test_sectors_of_4096_bytes():
    """mkfs.exfat makes them only on a device that has them: so this volume is made from one of 512, sector by sector."""
    with volume(4096, 8) as v:
        v.put(v.root, "row", data(9000))
        v.put(v.root, "pieces" * 20, data(12000, 2), v.free_clusters(3, 2))
        folder = v.folder(v.root, "DCIM")
        v.put(folder, "in", data(100, 3))
        boot = bytearray(v.data[:512])
        table = v.data[v.fat_at:v.fat_at + 4 * (v.n_clusters + 2)]
        n_table = -(-len(table) // 4096)
        big = bytearray((24 + n_table) * 4096) + v.data[v.heap_at:v.heap_at + v.n_clusters * 4096]
        struct.pack_into("<QIIII", boot, 72, len(big) // 4096, 24, n_table, 24 + n_table, v.n_clusters)
        boot[108], boot[109] = 12, 0
        big[:512] = boot
        big[24 * 4096:24 * 4096 + len(table)] = table
        with open(v.path, "wb") as f:
            f.write(big)
        large = exfatbytes.Volume(v.path)
        for i in range(1, 9):
            large.data[(i + 1) * 4096 - 4:(i + 1) * 4096] = struct.pack("<I", 0xAA550000)
        large.seal()
        large.save()
        with Session(large.path, 4096) as session:
            files = session.files()
            assert session.read(files[b"row"])[1] == data(9000) and session.read(files[b"pieces" * 20])[1] == data(12000, 2)
            assert session.read(files[b"DCIM/in"])[1] == data(100, 3)
            for file in files.values():
                assert erases(session, file) == 0
            assert session.files() == {}
        # Read in sectors of 512 it is the same volume.
        with Session(large.path, 512) as session:
            assert session.files() == {} and not session.ask("info")["dirty"]
        assert "clean" in run("fsck.exfat", "-n", large.path, ok=(0, 1, 4)), run("fsck.exfat", "-n", large.path, ok=(0, 1, 4))


def test_what_is_no_exfat_is_not_taken_for_it():
    with volume() as v:
        good = bytes(v.data)
        for content in (good[:3] + b"EXFAT  X" + good[11:], good[:20] + b"x" + good[21:], bytes(4096)):
            with open(v.path, "wb") as f:
                f.write(content[:12 * 512])
            with Session(v.path) as session:
                assert session.opened["answer"] == EMEDIUMTYPE, session.opened


# ---- How much is read ----

def test_listing_and_erasing_read_each_sector_about_once():
    """Counts, not times: what a slow bus would feel."""
    with volume(4096, 64) as v:
        n, n_erased, n_folder = 10000, 2000, 400
        folder = v.folder(v.root, "DCIM", n_folder)
        cluster = folder.clusters[-1] + 1
        for i in range(n):
            v.put(folder, f"clip number {i} of a long shift.mp4", b"", [cluster], size=4096)
            cluster += 1
        with opened(v) as (session, answer, files):
            assert answer["answer"] == 0 and len(files) == n
            listed = session.ask("counts")
            assert listed["sectors_read"] < n_folder * 8 + 500 and listed["reads"] < listed["sectors_read"] / 30, listed
            for file in list(files.values())[:n_erased]:
                assert erases(session, file) == 0
            counts = session.ask("counts")
            reads = (counts["reads"] - listed["reads"]) / n_erased
            writes = counts["sectors_written"] / n_erased
            print(f"# listing {n} files: {listed['reads']} reads of {listed['sectors_read']} sectors; "
                  f"an erase of {n_erased}: {reads:.1f} reads, {writes:.1f} sectors written, {counts['flushes'] / n_erased:.1f} flushes")
            assert reads < 1.7 and writes < 7, counts


if __name__ == "__main__":
    tap.main()
