#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The msc plugin in a real, sandboxed worker over a simulated mass-storage camera: media, sizes, faults, erasing."""

import hashlib
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cards  # noqa: E402
import rack  # noqa: E402
from cards import GIB, KIB, MIB, TIB, ExfatCard, FatCard  # noqa: E402
from worker import BLOCK_SIZE, Fault, Worker  # noqa: E402

PORT = "1-1.1"


class Camera:
    """One simulated camera, docked."""

    count = 0

    def __init__(self, sim, **spec):
        Camera.count += 1
        self.sim = sim
        self.name = f"cam{Camera.count}"
        sim("camera", name=self.name, type="msc", **{"serial": f"SN-{Camera.count}", "manufacturer": "Acme", "product": "BC-1", **spec})
        sim("plug", camera=self.name, port=PORT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.state()["docked"]:
            self.sim("unplug", camera=self.name)

    def __getattr__(self, cmd):
        return lambda **args: self.sim(cmd, camera=self.name, **args)

    def fault(self, fault, **args):
        self.sim("fault", camera=self.name, name=fault, **args)

    def worker(self, *options):
        """Open, in a session."""
        w = Worker(self.sim, self.name, plugin="msc", log=os.environ.get("MSC_LOG"))
        try:
            w.open(*options)
        except BaseException:
            w.__exit__()
            raise
        return w


def fails(kind, call, *args):
    try:
        call(*args)
    except Fault as fault:
        assert fault.kind == kind, f"expected {kind}, got {fault}"
        return fault
    raise AssertionError(f"expected {kind}, and it worked")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def pull_all(w, listed):
    """{path: digest}, and the copies by path. Each part is compared with its digest and removed."""
    found, copies = {}, {}
    for clip in listed:
        copy = w.pull(clip)
        assert copy.size == clip.size, f"{clip.path}: {copy.size} bytes of {clip.size}"
        with open(w.part(clip), "rb") as f:
            assert sha256(f.read()) == copy.digest.hex(), f"{clip.path}: the part does not have its digest"
        os.unlink(w.part(clip))
        found[clip.path] = copy.digest.hex()
        copies[clip.path] = (clip, copy)
    return found, copies


def truth(card, prefix=""):
    return {prefix + path: sha256(data) for path, data in card.files.items()}


def scratch():
    return tempfile.mkdtemp(prefix="card-")


# ---- Media ----------------------------------------------------------------------------------------------------------


def test_clips_of_every_size_are_pulled_whole_at_every_speed(sim, _dock):
    sizes = [0, 1, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 3 * MIB + 777,
             BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1]
    for card in (FatCard(scratch()).fill(*sizes), ExfatCard(scratch(), size=96 * MIB).fill(*sizes)):
        for speed in ("full", "high", "super"):
            with Camera(sim, image=card.image, speed=speed) as c:
                with c.worker() as w:
                    assert {clip.path: clip.size for clip in w.list()} == {path: len(data) for path, data in card.files.items()}
                    assert pull_all(w, w.list())[0] == truth(card), speed
                    assert w.close() == 0
                assert c.state()["protocol_errors"] == 0


def test_sectors_of_every_size_are_read(sim, _dock):
    sizes = [0, 1, 4095, 4096, 4097, 100_000, 3 * MIB + 1]
    for sector in (512, 1024, 2048, 4096):
        card = FatCard(scratch(), sector=sector).fill(*sizes)
        for speed in ("high", "super"):
            with Camera(sim, image=card.image, sector=sector, speed=speed) as c, c.worker() as w:
                assert pull_all(w, w.list())[0] == truth(card), (sector, speed)


def test_partitions_of_every_kind_are_found(sim, _dock):
    start, length = 2048 * 512, 64 * MIB
    for name, script, at in (("mbr", "label: dos\nstart=2048, size=131072, type=c\n", start),
                             ("logical", "label: dos\nstart=1024, size=200000, type=5\nstart=2048, size=131072, type=e\n", start),
                             ("gpt", "label: gpt\nstart=2048, size=131072, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n", start)):
        card = FatCard(scratch(), size=length, bits=16, at=at).fill(1000, 200_000)
        os.truncate(card.image, 128 * MIB)
        cards.partition(card.image, script)
        with Camera(sim, image=card.image) as c, c.worker() as w:
            assert pull_all(w, w.list())[0] == truth(card), name


def test_partition_that_nobody_can_read_is_not_an_empty_one(sim, _dock):
    """Where footage could be on it; what is known to be something else is left alone."""
    for kind, listed in (("7", False), ("c", False), ("83", True)):
        card = FatCard(scratch(), size=64 * MIB, bits=16, at=MIB).fill(1000)
        os.truncate(card.image, 128 * MIB)
        cards.partition(card.image, f"label: dos\nstart=2048, size=131072, type=e\nstart=140000, size=1000, type={kind}\n")
        with Camera(sim, image=card.image) as c, c.worker() as w:
            if listed:
                assert len(w.list()) == 1
            else:
                assert "partition 2" in str(fails("Camera", w.list))


def test_volumes_of_several_units_keep_their_files_apart(sim, _dock):
    first = FatCard(scratch(), size=64 * MIB, bits=16).fill(100, 5000)
    second = ExfatCard(scratch()).fill(200, 6000)
    units = [{"image": first.image}, {}, {"image": second.image}, {"image": first.image, "device_type": 5}]
    with Camera(sim, units=units) as c, c.worker() as w:
        found, _ = pull_all(w, w.list())
        assert found == truth(first, "unit0-part0/") | truth(second, "unit2-part0/")


def test_camera_without_its_card_is_not_an_empty_one(sim, _dock):
    with Camera(sim, units=[{}, {}]) as c, c.worker() as w:
        assert "no card" in str(fails("Camera", w.list))
        assert w.identify()["storage_id"] == ""
        assert "storage-total-bytes" not in w.health()


def test_card_without_a_file_system_is_not_an_empty_one(sim, _dock):
    for content in (b"", b"\xeb\x3c\x90NTFS    ".ljust(510, b"\0") + b"\x55\xaa"):
        path = os.path.join(scratch(), "blank.img")
        with open(path, "wb") as f:
            f.write(content.ljust(MIB, b"\0"))
        with Camera(sim, image=path) as c, c.worker() as w:
            fails("Camera", w.list)


def test_clips_beyond_two_tebibytes_are_read_and_erased(sim, _dock):
    at = 2 * TIB + 512 * MIB
    card = FatCard(scratch(), at=at).fill(100, 3 * MIB + 1, 70_000)
    os.truncate(card.image, 3 * TIB)
    cards.partition(card.image, f"label: gpt\nstart={at // 512}, size={300 * MIB // 512}, "
                                "type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n")
    with Camera(sim, image=card.image) as c:
        with c.worker() as w:
            found, copies = pull_all(w, w.list())
            assert found == truth(card)
        assert c.state()["commands"].get("READ(16)", 0) > 0 and c.state()["commands"].get("READ CAPACITY(16)", 0) > 0
        with c.worker() as w:
            w.erase(*copies["DCIM/100BERTH/CLIP0001.MP4"])
        assert c.state()["commands"].get("WRITE(16)", 0) > 0
    del card.files["DCIM/100BERTH/CLIP0001.MP4"]
    assert card.contents() == card.files
    card.check()


def test_fragments_join_without_a_seam(sim, _dock):
    card = FatCard(scratch(), size=64 * MIB, bits=16)
    for n in range(60):
        card.put(f"DCIM/F{n:02}.BIN", card.random.randbytes(20_000))
    for n in range(0, 60, 2):
        card.remove(f"DCIM/F{n:02}.BIN")
    # It fills the holes first.
    card.put("DCIM/LONG.MP4", card.random.randbytes(30 * 20_000 + 2 * MIB + 17))
    with Camera(sim, image=card.image) as c, c.worker() as w:
        assert pull_all(w, w.list())[0] == truth(card)


# ---- Who it is, how it is -------------------------------------------------------------------------------------------


def test_identity_and_health_are_the_cameras(sim, _dock):
    card = FatCard(scratch()).fill(10 * MIB)
    with Camera(sim, image=card.image, serial="SN/1", manufacturer="Acmé", product="Body Cam", scsi_revision="9.8") as c, c.worker() as w:
        assert w.identify() == {"manufacturer": "Acmé", "model": "Body Cam", "serial": "SN/1", "firmware": "9.8",
                                "storage_id": f"1234-ABCD/{300 * MIB}"}
        health = w.health()
        assert health["read-only"] is False and "battery-percent" not in health, health
        assert 290 * MIB < health["storage-total-bytes"] <= 300 * MIB
        assert abs(health["storage-total-bytes"] - health["storage-free-bytes"] - 10 * MIB) < 100 * KIB, health
    with Camera(sim, image=card.image, read_only=True) as c, c.worker() as w:
        assert w.health()["read-only"] is True


def test_serial_of_the_card_takes_the_place_of_one_that_usb_does_not_tell(sim, _dock):
    card = FatCard(scratch(), size=64 * MIB, bits=16)
    with Camera(sim, image=card.image, serial="", unit_serial="CARD-77") as c:
        with c.worker() as w:
            assert w.identify()["serial"] == "CARD-77"
        with c.worker("no-vpd=yes") as w:
            assert w.identify()["serial"] == ""
    with Camera(sim, image=card.image, serial="") as c, c.worker() as w:
        assert w.identify()["serial"] == ""


def set_dirty(card):
    """The flag of FAT32 that its clean shutdown sets: cleared."""
    with open(card.image, "r+b") as f:
        f.seek(512 * 32 + 7)  # the fourth byte of the table's second entry; mkfs.fat reserves 32 sectors
        high = f.read(1)[0]
        f.seek(512 * 32 + 7)
        f.write(bytes([high & ~0x08]))


def test_volume_that_was_not_left_cleanly_is_read_noted_and_not_erased_from(sim, _dock):
    card = FatCard(scratch()).fill(1000, 2000)
    set_dirty(card)
    with Camera(sim, image=card.image) as c:
        with c.worker() as w:
            assert w.health()["volume-dirty"] is True
            found, copies = pull_all(w, w.list())
            assert found == truth(card)
        with c.worker() as w:
            fails("Denied", w.erase, *copies["DCIM/100BERTH/CLIP0000.MP4"])
        assert c.state()["units"][0]["written"] == 0
        with c.worker("erase-dirty=yes") as w:
            w.erase(*copies["DCIM/100BERTH/CLIP0000.MP4"])
    del card.files["DCIM/100BERTH/CLIP0000.MP4"]
    assert card.contents() == card.files


# ---- Faults of the protocol -----------------------------------------------------------------------------------------

# What may strike any command.
STRIKES = [
    ("stall_cbw", {}), ("stall_data", {}), ("stall_data", {"after_bytes": 100}), ("stall_data", {"after_bytes": 512}),
    ("short_data", {}), ("short_data", {"after_bytes": 7}), ("short_data", {"after_bytes": 512}), ("endless", {}),
    ("csw_in_data", {}), ("zero_packet", {}), ("stall_csw", {}), ("stall_csw", {"twice": True}), ("wrong_tag", {}),
    ("wrong_signature", {}), ("wrong_status", {}), ("short_csw", {}), ("long_csw", {}), ("phase_error", {}), ("residue", {}),
    ("residue", {"residue": 1}), ("garbage", {}), ("garbage", {"length": 13}), ("garbage", {"length": 1}), ("garbage", {"length": 512}),
    ("silent", {}), ("hang", {}), ("not_ready", {}), ("attention", {}), ("medium_changed", {}), ("aborted", {}), ("check", {}),
    ("check", {"key": 4, "asc": 0x44}), ("check", {"key": 0, "asc": 0}), ("check", {"key": 3, "asc": 0x11}),
]
# For those that a fault strikes; whoever comes after them has nothing to wait for, but for a busy machine.
QUICK = ("timeout-msec=250", "ready-msec=2000")


def test_no_single_fault_in_opening_or_listing_is_taken_for_an_empty_camera(sim, _dock):
    card = FatCard(scratch(), size=64 * MIB, bits=16).fill(100, 2000, 3000)
    with Camera(sim, image=card.image) as c:
        for command in ("INQUIRY", "TEST UNIT READY", "READ CAPACITY", "MODE SENSE", "READ"):
            for fault, args in STRIKES:
                c.fault(fault, command=command, count=1, **args)
                try:
                    with c.worker(*QUICK) as w:
                        assert {clip.path for clip in w.list()} == set(card.files), f"{command}: {fault} {args}"
                except Fault as e:
                    # Another card may have come in between, or the card cannot be read there.
                    assert e.kind in ("Camera",), f"{command}: {fault} {args}: {e}"
                c.fault("none")
                # Whatever state that left the camera in, the next worker gets on.
                with c.worker() as w:
                    assert {clip.path for clip in w.list()} == set(card.files), f"after {command}: {fault} {args}"


def test_faults_that_pass_are_lived_through(sim, _dock):
    """Most of them cost nothing but time while a card is listed."""
    passing = [s for s in STRIKES if s[0] not in ("check", "medium_changed") and s != ("garbage", {"length": 512})]
    card = FatCard(scratch(), size=64 * MIB, bits=16).fill(100)
    with Camera(sim, image=card.image) as c:
        for fault, args in passing:
            with c.worker(*QUICK) as w:
                c.fault(fault, command="READ", count=1, skip=1, **args)
                assert {clip.path for clip in w.list()} == set(card.files), f"{fault} {args}"
            c.fault("none")


def test_no_single_fault_in_a_read_changes_a_byte(sim, _dock):
    card = FatCard(scratch()).fill(20 * MIB + 5)
    data = card.files["DCIM/100BERTH/CLIP0000.MP4"]
    blocks = [sha256(data[:(n + 1) * BLOCK_SIZE]) for n in range(3)]
    with Camera(sim, image=card.image) as c:
        for skip in (0, 9, 14):
            for fault, args in STRIKES + [("stall_data", {"after_bytes": 524288}), ("short_data", {"after_bytes": 1048064})]:
                with c.worker(*QUICK) as w:
                    clip = w.list()[0]
                    c.fault(fault, command="READ", count=1, skip=skip, **args)
                    try:
                        assert w.pull(clip).digest.hex() == sha256(data), f"{skip} {fault} {args}: other bytes"
                    except Fault as e:
                        assert e.kind in ("Camera", "Unreadable"), f"{skip} {fault} {args}: {e}"
                    # What became durable is right, whatever came afterwards.
                    durable = {n: digest.hex() for n, (_, digest) in w.blocks.items()}
                    assert all(digest == blocks[n] for n, digest in durable.items()), f"{skip} {fault} {args}: a false block"
                c.fault("none")
                with c.worker() as w:
                    assert w.pull(w.list()[0]).digest.hex() == sha256(data), f"after {skip} {fault} {args}"


def test_no_block_is_durable_before_the_status_of_its_bytes_was_good(sim, _dock):
    card = FatCard(scratch()).fill(17 * MIB)
    data = card.files["DCIM/100BERTH/CLIP0000.MP4"]
    blocks = [sha256(data[:(n + 1) * BLOCK_SIZE]) for n in range(3)]
    struck, seen = True, set()
    with Camera(sim, image=card.image) as c:
        skip = 0
        while struck:
            with c.worker(*QUICK) as w:
                clip = w.list()[0]
                before = c.state()["faults_struck"]
                c.fault("garbled", command="READ", count=1, skip=skip)
                try:
                    assert w.pull(clip).digest.hex() == sha256(data), f"READ {skip}: other bytes"
                except Fault as e:
                    assert e.kind == "Camera", f"READ {skip}: {e}"
                durable = {n: digest.hex() for n, (_, digest) in w.blocks.items()}
                assert all(digest == blocks[n] for n, digest in durable.items()), f"READ {skip}: a false block"
                seen.add(len(durable))
                struck = c.state()["faults_struck"] > before
                c.fault("none")
            skip += 1
    assert seen == {0, 1, 2, 3}, seen


def test_camera_that_is_broken_for_good_is_given_up(sim, _dock):
    card = FatCard(scratch(), size=64 * MIB, bits=16).fill(100)
    for fault in ("silent", "hang", "dead", "endless", "garbage", "wrong_tag", "phase_error", "stall_cbw", "not_ready", "attention",
                  "aborted", "short_csw"):
        with Camera(sim, image=card.image) as c:
            c.fault(fault)
            try:
                with c.worker(*QUICK) as w:
                    w.list()
                raise AssertionError(f"{fault}: listed")
            except Fault as e:
                assert e.kind in ("Camera",), f"{fault}: {e}"
            c.fault("none")
            if fault != "dead":
                with c.worker() as w:
                    assert len(w.list()) == 1, fault


def test_another_card_in_the_middle_is_not_taken_for_the_first(sim, _dock):
    first = FatCard(scratch()).fill(3 * MIB)
    second = FatCard(scratch(), volume_id="99999999").fill(4 * MIB)
    with Camera(sim, image=first.image) as c, c.worker() as w:
        clip = w.list()[0]
        copy = w.pull(clip)
        c.set(image=second.image)
        fails("Camera", w.pull, clip)
        fails("Camera", w.pull, clip)
        assert [x.size for x in w.list()] == [4 * MIB]
        assert w.pull(w.list()[0]).digest.hex() == sha256(second.files[clip.path])
    with Camera(sim, image=second.image) as c, c.worker() as w:
        fails("Changed", w.erase, clip, copy)
    assert second.contents() == second.files


def test_camera_that_takes_its_time_is_waited_for(sim, _dock):
    card = FatCard(scratch(), size=64 * MIB, bits=16).fill(100)
    with Camera(sim, image=card.image) as c:
        c.fault("not_ready", count=6)
        with c.worker() as w:
            assert len(w.list()) == 1
        assert c.state()["faults_struck"] == 6


def test_camera_that_reads_little_at_once_is_read_in_small_pieces(sim, _dock):
    card = FatCard(scratch()).fill(20 * MIB)
    for bytes_at_once in (64 * KIB, 256 * KIB):
        with Camera(sim, image=card.image) as c:
            c.fault("too_large", bytes=bytes_at_once)
            with c.worker(*QUICK) as w:
                assert w.pull(w.list()[0]).digest.hex() == sha256(card.files["DCIM/100BERTH/CLIP0000.MP4"])
            assert c.state()["usb_resets"] == 1, "it was tried once, on data that nobody counted on"
    with Camera(sim, image=card.image) as c:
        c.fault("too_large", bytes=16 * KIB)
        with c.worker("transfer-kib=16", *QUICK) as w:
            assert w.pull(w.list()[0]).size == 20 * MIB
        assert c.state()["faults_struck"] == 0


# ---- Cards that fail ------------------------------------------------------------------------------------------------


def clip_sectors(card, path):
    """Where the first byte of a file that is in one piece lies."""
    with open(card.image, "rb") as f:
        whole = f.read()
    return whole.index(card.files[path][:512]) // card.sector


def unreadable(log):
    with open(log, encoding="utf-8", errors="replace") as f:
        return [tuple(map(int, m)) for m in re.findall(r"cannot read the bytes (\d+) to (\d+) of", f.read())]


def test_bad_sectors_are_named_to_the_byte_and_the_other_clips_go_on(sim, _dock):
    card = FatCard(scratch(), size=64 * MIB, bits=16, cluster=2 * KIB).fill(5 * MIB + 100, MIB, 3000)
    paths = list(card.files)
    first = clip_sectors(card, paths[0])
    for bad, told in (([[first + 10, 1]], [(5120, 5631)]), ([[first, 1]], [(0, 511)]),
                      ([[first + 10240, 1]], [(5242880, 5242979)]),
                      ([[first + 7, 3], [first + 4000, 200]], [(3584, 5119), (2048000, 2150399)])):
        for descriptors in (False, True):
            log = os.path.join(scratch(), "log")
            with Camera(sim, image=card.image, descriptor_sense=descriptors) as c:
                c.set(bad=bad)
                with Worker(sim, c.name, plugin="msc", log=log) as w:
                    w.open()
                    clips = {clip.path: clip for clip in w.list()}
                    fails("Unreadable", w.pull, clips[paths[0]])
                    assert unreadable(log) == told, (bad, unreadable(log))
                    for path in paths[1:]:
                        assert w.pull(clips[path]).digest.hex() == sha256(card.files[path])
                c.set(bad=[])
                with c.worker() as w:
                    assert w.pull(next(x for x in w.list() if x.path == paths[0])).size == 5 * MIB + 100


def test_folder_that_cannot_be_read_is_not_an_empty_one(sim, _dock):
    card = FatCard(scratch(), size=64 * MIB, bits=16, cluster=2 * KIB).fill(3000)
    with open(card.image, "rb") as f:
        folder = f.read().index(b"CLIP0000MP4") // 512
    with Camera(sim, image=card.image) as c:
        c.set(bad=[[folder, 1]])
        with c.worker() as w:
            fails("Camera", w.list)


# ---- Erasing --------------------------------------------------------------------------------------------------------


def pulled(c, *options):
    with c.worker(*options) as w:
        return pull_all(w, w.list())[1]


def both_kinds(*sizes):
    return FatCard(scratch()).fill(*sizes), FatCard(scratch(), size=64 * MIB, bits=16).fill(*sizes), ExfatCard(scratch()).fill(*sizes)


def test_erased_clips_are_gone_and_the_others_untouched(sim, _dock):
    for card in both_kinds(100, 3 * MIB, 70_000, 1, 4096, 5000):
        for cache in (False, True):
            with Camera(sim, image=card.image, cache=cache) as c:
                copies = pulled(c)
                victim = sorted(card.files)[1]
                with c.worker() as w:
                    w.erase(*copies[victim])
                    fails("Gone", w.erase, *copies[victim])
                    assert victim not in {clip.path for clip in w.list()}
                    assert w.close() == 0
                assert c.state()["units"][0]["flushes"] > 0
            del card.files[victim]
            assert card.contents() == card.files
            card.check()


def test_a_fault_in_an_erase_never_passes_for_an_erase_and_harms_nothing(sim, _dock):
    strikes = [s for s in STRIKES if s[0] != "endless"]
    for command in ("WRITE", "SYNCHRONIZE CACHE"):
        card = FatCard(scratch(), size=64 * MIB, bits=16).fill(*[2000 + n for n in range(len(strikes) + 1)])
        for n, (fault, args) in enumerate(strikes):
            if command == "SYNCHRONIZE CACHE" and (fault, args) == ("check", {}):
                continue  # "I know no such command": a card that says so and has a cache cannot be told from one that has none
            victim = f"DCIM/100BERTH/CLIP{n:04}.MP4"
            with Camera(sim, image=card.image, cache=True) as c:
                copies = pulled(c)
                with c.worker(*QUICK, "erase-dirty=yes") as w:
                    c.fault(fault, command=command, count=1, **args)
                    try:
                        w.erase(*copies[victim])
                        erased = True
                    except Fault as e:
                        assert e.kind in ("Camera", "Denied", "Unreadable"), f"{command}: {fault} {args}: {e}"
                        erased = False
                c.fault("none")
            there = card.contents()
            if erased:
                assert victim not in there, f"{command}: {fault} {args}: it said that it erased"
            if victim not in there:
                del card.files[victim]
            assert there == card.files, f"{command}: {fault} {args}: another clip was harmed"


def test_power_that_goes_in_an_erase_harms_no_other_clip(sim, _dock):
    for card in both_kinds(3 * MIB, 5000, 70_000):
        victim = sorted(card.files)[0]
        others = {path: data for path, data in card.files.items() if path != victim}
        with open(card.image, "rb") as f:
            before = f.read()
        writes = 0
        while True:
            with open(card.image, "wb") as f:
                f.write(before)
            with Camera(sim, image=card.image) as c:
                copies = pulled(c)
                c.set(cut_after=writes)
                with c.worker(*QUICK) as w:
                    try:
                        w.erase(*copies[victim])
                        break
                    except Fault as e:
                        assert e.kind == "Unplugged", f"after {writes} sectors: {e}"
            left = card.contents()
            left.pop(victim, None)
            assert left == others, f"after {writes} sectors another clip was harmed"
            writes += 1 if writes < 4 else 3
        assert writes > 3
        assert card.contents() == others
        card.check()


def test_write_protection_denies_and_changes_nothing(sim, _dock):
    card = FatCard(scratch()).fill(1000)
    with Camera(sim, image=card.image, read_only=True) as c:
        copies = pulled(c)
        for options in ((), ("no-mode-sense=yes",)):
            with c.worker(*options) as w:
                assert "write" in str(fails("Denied", w.erase, *copies["DCIM/100BERTH/CLIP0000.MP4"]))
    assert card.contents() == card.files


def test_clip_that_the_camera_protects_is_marked_unless_the_model_says_otherwise(sim, _dock):
    card = FatCard(scratch()).fill(1000, 2000)
    card.protect("DCIM/100BERTH/CLIP0001.MP4")
    with Camera(sim, image=card.image) as c:
        with c.worker() as w:
            assert {clip.path[-5]: clip.flags for clip in w.list()} == {"0": 0, "1": 2}
        with c.worker("erase-protected=yes") as w:
            listed = w.list()
            assert {clip.flags for clip in listed} == {0}
            _, copies = pull_all(w, listed)
        with c.worker("erase-protected=yes") as w:
            w.erase(*copies["DCIM/100BERTH/CLIP0001.MP4"])
    del card.files["DCIM/100BERTH/CLIP0001.MP4"]
    assert card.contents() == card.files


def test_card_that_forgets_what_is_written_is_told_as_one(sim, _dock):
    card = FatCard(scratch()).fill(1000, 2000)
    with Camera(sim, image=card.image) as c:
        copies = pulled(c)
        c.set(forgets=True)
        with c.worker() as w:
            assert "does not keep what is written" in str(fails("Camera", w.erase, *copies["DCIM/100BERTH/CLIP0000.MP4"]))
    assert card.contents() == card.files


# ---- Unplugged, killed, let go --------------------------------------------------------------------------------------


def test_unplugged_in_a_pull_is_called_that(sim, _dock):
    card = FatCard(scratch()).fill(60 * MIB)
    with Camera(sim, image=card.image) as c, c.worker() as w:
        clip = w.list()[0]
        c.unplug_after(bytes=20 * MIB)
        fails("Unplugged", w.pull, clip)


def test_a_killed_worker_leaves_a_camera_that_the_next_one_can_use(sim, _dock):
    card = FatCard(scratch()).fill(100 * MIB)
    with Camera(sim, image=card.image) as c:
        for moment in (0, 1, 3):
            w = c.worker()
            clip = w.list()[0]
            seen = []
            w.on_block = seen.append
            w.begin("Pull", "(ustay)", clip.index, "0.part", 0, b"")
            while len(seen) < moment:
                rack.GLib.MainContext.default().iteration(True)
            w.kill()
            w.__exit__()
            with c.worker() as w:
                assert len(w.list()) == 1, f"killed after {moment} blocks"
                assert w.verify(clip, 2)[1][0] == BLOCK_SIZE
        assert c.state()["class_resets"] == 6, "not every session began with Reset Recovery"


def test_a_pull_resumes_after_its_last_block(sim, _dock):
    card = FatCard(scratch()).fill(40 * MIB + 5)
    with Camera(sim, image=card.image) as c, c.worker() as w:
        clip = w.list()[0]
        w.pull(clip)
        kept = [w.blocks[n][1] for n in range(3)]
        os.truncate(w.part(clip), 3 * BLOCK_SIZE)
        before = c.state()["bytes_read"]
        assert w.pull(clip, kept=kept).digest.hex() == sha256(card.files[clip.path])
        assert c.state()["bytes_read"] - before < 20 * MIB


def test_ejected_card_is_flushed_and_let_go(sim, _dock):
    card = FatCard(scratch()).fill(1000)
    with Camera(sim, units=[{"image": card.image, "cache": True}, {}]) as c, c.worker() as w:
        assert len(w.list()) == 1
        w.eject()
        state = c.state()["units"]
        assert state[0]["ejected"] is True and state[0]["flushes"] > 0


def test_an_unknown_option_is_named(sim, _dock):
    card = FatCard(scratch(), size=64 * MIB, bits=16)
    with Camera(sim, image=card.image) as c:
        for option in ("no-such-option=1", "transfer-kib=100", "transfer-kib=16384", "erase-dirty=maybe"):
            with Worker(sim, c.name, plugin="msc") as w:
                assert option in str(fails("Plugin", w.open, option))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="berth-msc-") as temp:
        tempfile.tempdir = temp
        rack.run([value for name, value in list(globals().items()) if name.startswith("test_")])
