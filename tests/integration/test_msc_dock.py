#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The main job on cameras that show their card as a disk: cards of FAT and exFAT through a whole dock, judged afterwards by fsck."""

import hashlib
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from cards import KIB, MIB, ExfatCard, FatCard  # noqa: E402

SETTINGS = "CONFIG/SETTINGS.INI"


def issued(kind, *sizes, **shape):
    """A card as an officer brings it: clips, and what is none."""
    card = kind(tempfile.mkdtemp(prefix="card-"), **shape).fill(*sizes)
    card.put(SETTINGS, card.random.randbytes(3000))
    card.put("README.TXT", b"Property of the department.\n")
    return card


def plug(sim, name, port, card, **spec):
    sim("camera", name=name, type="msc", image=card.image, **{"serial": f"SN-{name}", "manufacturer": "Acme", "product": "BC-1", **spec})
    sim("plug", camera=name, port=port)


def footage(card):
    return {path: hashlib.sha256(data).hexdigest() for path, data in card.files.items() if path.startswith("DCIM/")}


def assert_stored(dock, serial, digests):
    stored = dock.stored()
    for path, digest in digests.items():
        assert stored.get((serial, path)) == [digest], f"{serial} {path}: the store has {stored.get((serial, path))}, not {digest}"


def assert_left(card, *paths):
    """That, and nothing else, is on the card, as it was put there, and the card is clean."""
    assert card.contents() == {path: card.files[path] for path in paths}
    card.check()


def test_cards_are_pulled_stored_erased_and_clean(sim, dock):
    d = dock(["1-1.1", "1-1.2", "1-1.3"]).start()
    sizes = [0, 1, 4096, 700_001, 9 * MIB, 3 * MIB + 5]
    issue = {"fat32": issued(FatCard, *sizes), "fat16": issued(FatCard, *sizes, size=64 * MIB, bits=16),
             "exfat": issued(ExfatCard, *sizes)}
    for n, (name, card) in enumerate(issue.items(), 1):
        plug(sim, name, f"1-1.{n}", card, cache=True)
    for bay in (1, 2, 3):
        d.wait_state(bay, "ready")
    for name, card in issue.items():
        assert_stored(d, f"SN-{name}", footage(card))
        state = sim("state", camera=name)
        assert state["protocol_errors"] == 0 and state["usb_resets"] == 0, state
        sim("unplug", camera=name)
        assert_left(card, SETTINGS, "README.TXT")
    assert len(d.objects()) == 3 * len(sizes)
    d.check_chain()


def test_camera_that_offers_uas_as_well_is_spoken_to_over_bulk_only(sim, dock):
    d = dock(["1-1.1"]).start()
    card = issued(FatCard, 3 * MIB + 5, 100)
    plug(sim, "u", "1-1.1", card, uas=True)
    d.wait_state(1, "ready")
    assert_stored(d, "SN-u", footage(card))
    with open("/sys/bus/usb/devices/1-1.1/descriptors", "rb") as f:
        assert bytes([9, 4, 0, 1, 4, 8, 6, 0x62]) in f.read(), "the camera offers no UAS: this tests nothing"
    sim("unplug", camera="u")
    assert_left(card, SETTINGS, "README.TXT")


def test_half_pulled_clip_goes_on_in_another_bay(sim, dock):
    d = dock(["1-1.1", "1-2.2"]).start()
    card = issued(FatCard, 48 * MIB)
    sim("camera", name="c", type="msc", image=card.image, serial="SN-c")
    sim("slow", camera="c", bytes_per_sec=60 * MIB)
    sim("unplug_after", camera="c", bytes=30 * MIB)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.events("pull-begun"), "the first pull")
    d.wait_state(1, "empty")
    sim("slow", camera="c", bytes_per_sec=0)
    sim("plug", camera="c", port="1-2.2")
    d.wait_state(2, "ready")
    assert d.events("pull-begun")[-1]["offset_bytes"] >= 8 * MIB, d.events("pull-begun")
    assert_stored(d, "SN-c", footage(card))
    sim("unplug", camera="c")
    assert_left(card, SETTINGS, "README.TXT")
    d.check_chain()


def test_bad_sector_costs_its_clip_alone_and_is_told_to_the_byte(sim, dock):
    d = dock(["1-1.1"]).start()
    card = issued(FatCard, 3 * MIB, 10 * MIB + 1, 5000, size=64 * MIB, bits=16, cluster=2 * KIB)
    paths = sorted(footage(card))
    with open(card.image, "rb") as f:
        sector = f.read().index(card.files[paths[1]][:512]) // 512
    sim("camera", name="c", type="msc", image=card.image, serial="SN-c")
    sim("set", camera="c", bad=[[sector + 3, 2], [sector + 20480, 1]])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "quarantined")
    d.wait(lambda: len(d.events("erased")) == 2, "the others to be erased")
    told = d.events("pull-unreadable")
    assert told and all(e["ranges"] == [[1536, 1024], [10 * MIB, 1]] for e in told), told
    assert not d.events("fault"), "the card's fault is not the camera's"
    assert_stored(d, "SN-c", {path: digest for path, digest in footage(card).items() if path != paths[1]})
    sim("unplug", camera="c")
    assert_left(card, SETTINGS, "README.TXT", paths[1])
    d.check_chain()


def test_card_that_was_not_left_cleanly_is_stored_and_not_erased(sim, dock):
    d = dock(["1-1.1"]).start()
    card = issued(ExfatCard, 1000, 2 * MIB)
    with open(card.image, "r+b") as f:
        f.seek(106)  # VolumeFlags of the boot sector
        f.write(b"\x02")
    before = open(card.image, "rb").read()
    plug(sim, "c", "1-1.1", card)
    d.wait(lambda: len(d.events("receipted")) == 2, "receipts for both clips")
    d.wait(lambda: d.bay(1).get("Reason"), "a reason for a person to read")
    d.wait(lambda: "not left cleanly" in d.bay(1)["Reason"] or re.search(r"dirty|clean", d.bay(1)["Reason"]), "that reason to name it")
    assert_stored(d, "SN-c", footage(card))
    assert not d.events("erased")
    sim("unplug", camera="c")
    with open(card.image, "rb") as f:
        assert f.read() == before, "something was written to the card"


def test_stick_without_footage_is_left_as_it_is(sim, dock):
    d = dock(["1-1.1"]).start()
    card = FatCard(tempfile.mkdtemp(prefix="card-"), size=64 * MIB, bits=16)
    card.put("private/letter.txt", b"Dear Sir")
    before = open(card.image, "rb").read()
    plug(sim, "c", "1-1.1", card)
    d.wait_state(1, "ready")
    assert not d.events("clip-seen") and not d.objects()
    with open(card.image, "rb") as f:
        assert f.read() == before, "something was written to the card"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="berth-msc-") as temp:
        tempfile.tempdir = temp
        rack.run([value for name, value in list(globals().items()) if name.startswith("test_")])
