#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The power fails while cameras are pulled, stored and erased: QEMU is killed, and whatever the guest had not synced is gone. After a
start on the same disks nothing may be lost, before Berth has done anything, and then everything comes to its end. It fails while a camera
gets its firmware as well: that one is found in its loader, and finished. The first start is a cold one.

$POWER_CUTS says how often (3). The guest writes nothing to its disks by itself, so all depends on what Berth syncs; the last test takes
that away and must lose.
"""

import base64
import json
import os
import random
import select
import sys
import types

SRC, BUILD = os.environ["BERTH_SRC"], os.environ["BERTH_BUILD"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from card_camera import PHASES, PORT, CardCamera, lost  # noqa: E402
from firmware_image import image  # noqa: E402
from guest_dock import MIB  # noqa: E402
from rack import make_clip  # noqa: E402
from redirected import MODEL, RULES, FlashCamera  # noqa: E402
from rollout_world import Fleet  # noqa: E402

BAY = 1
FLASH_PORT, FLASH_BAY, FLASH_SERIAL, NEW = 6, 2, "CAM-FLASH", image("2.1", 20000)
CUTS = int(os.environ.get("POWER_CUTS", "3"))
SEED = int(os.environ.get("POWER_SEED", random.randrange(1 << 32)))
SIZES = [2 * MIB + 17, 1, 700_001, 9 * MIB, 3 * MIB, 120_000]
# Only for the control's two programs with a disk; the worker's environment is empty.
NO_SYNC = """
base64 -d > /usr/local/lib/no_sync.so <<'END_OF_FILE'
LIBRARY
END_OF_FILE
for unit in berthd berth-uplink; do
        mkdir -p /etc/systemd/system/$unit.service.d
        printf '[Service]\\nEnvironment=LD_PRELOAD=/usr/local/lib/no_sync.so\\n' > /etc/systemd/system/$unit.service.d/no-sync.conf
done
systemctl daemon-reload
"""


def boots(dock):
    """The ids of the kernel's boots that are in the custody log."""
    return {e["event"]["boot"] for e in dock.ctl("log", "-n", "0")["events"]}


def cut(dock, phase, number, rng):
    name = f"{number}"
    before = boots(dock)
    camera = CardCamera(dock, name, SIZES)
    try:
        camera.plug(dock)
        dock.wait(lambda: dock.bays[BAY]["serial"] == camera.serial and PHASES[phase](dock.bays[BAY]), f"{name}: {phase}", 240)
        delay = rng.uniform(0, 0.8)
        # Which moment it is does not matter, as long as it is another one each time.
        select.select([], [], [], delay)
        dock.cut_power()
        camera.end()
        dock.boot_again(cold=number == 0)
        missing = lost(dock, camera)
        left = camera.left()
        print(f"# {name}: cut {delay:.2f} s into {phase}; {len(left)} of {len(SIZES)} clips were left on the camera", flush=True)
        assert not missing, f"{name}: lost {missing}"
        dock.start()
        camera.plug(dock)
        dock.wait(lambda: dock.bays[BAY]["serial"] == camera.serial and dock.bays[BAY]["state"] == "ready", f"{name} to be ready", 300)
        assert dock.stored(camera.serial) == camera.digests
        assert not camera.left()
        dock.wait(lambda: dock.dock.get("chain_state") == "whole", "the custody chain to be proven")
        # A camera of which nothing was left is ready before the uplink has told of its store.
        dock.wait(lambda: dock.dock["state"] == "running", "the dock to be running")
        assert len(boots(dock)) == len(before) + 1, "berthd took the boot after the power cut for the one before it"
    finally:
        camera.end()
    dock.wait_state(BAY, "empty")


def test_nothing_is_lost_when_the_power_fails(dock):
    rng = random.Random(SEED)
    print(f"# seed {SEED}, {CUTS} cuts", flush=True)
    for number in range(CUTS):
        phase = list(PHASES)[number % len(PHASES)]
        cut(dock, phase, number, rng)


def bring(dock, path, data):
    dock.guest.run(f"base64 -d > {path} <<'END_OF_FILE'\n{base64.b64encode(data).decode()}\nEND_OF_FILE")


def know_firmware(dock, fleet):
    """/etc is forgotten at each start."""
    with open(fleet.path("one.pub"), "rb") as f:
        bring(dock, "/etc/berth/firmware.pub", f.read())
    dock.put("/etc/berth/cameras.d/flash-cam.conf", MODEL)
    dock.put("/etc/udev/rules.d/67-berth-local.rules", RULES)
    dock.guest.run("udevadm control --reload")


def publish(dock):
    folder = dock.guest.folder
    fleet = Fleet(types.SimpleNamespace(folder=folder, path=lambda *names: os.path.join(folder, *names)))
    catalog = fleet.catalog(1, [("flash-cam", "2.1", fleet.image("new.bin", NEW))])
    know_firmware(dock, fleet)
    dock.settings = "[firmware]\nfollow_every = 1s\n"
    dock.configure([*dock.ports, f"1-{FLASH_PORT}"], dock.settings)
    dock.restart()
    for source, name in ((catalog, "catalog.json"), (catalog + ".minisig", "catalog.json.minisig"), (fleet.path("new.bin"), "new.bin")):
        with open(source, "rb") as f:
            bring(dock, f"/run/{name}", f.read())
    dock.wait(lambda: dock.dock.get("store_state") == "ready", "the store to be ready")
    dock.guest.run("berthctl firmware publish /run/catalog.json /run/new.bin")
    return fleet


def test_flash_that_the_power_cut_short_is_finished(dock):
    fleet = publish(dock)
    # It takes its firmware in ten minutes: the power fails in the middle of it for sure.
    camera = FlashCamera(dock, FLASH_PORT, FLASH_SERIAL, [make_clip("DCIM/A.MP4", 90_000, 1)], transfer_size=256, poll_msec=8000)
    try:
        dock.wait_state(FLASH_BAY, "ready")
        # One that has just become ready is still being let go of, and refused; a second order is, too.
        dock.guest.wait(f"berthctl log --json -n 0 --camera={FLASH_SERIAL} | grep -q flash-sending || "
                        f"{{ timeout 10 berthctl firmware flash {FLASH_SERIAL} 2.1; false; }}", "the sending to be on record")
        dock.wait(lambda: (dock.bays[FLASH_BAY]["flash_percent"] or 0) > 0, "a part of it to be in the camera", 240)
        # A machine that is busy may have broken one off already.
        before = len(dock.events("flash-sent", FLASH_SERIAL))
        dock.cut_power()
        camera.lose_power()
        half = camera.has()
        assert 0 < len(half) < len(NEW), "the power failed too late"
        dock.boot_again(cold=False)
        know_firmware(dock, fleet)
        dock.start()
        # What would start is half of something: it is in its loader, which shows nothing of the camera's serial.
        camera.start_as("loader", poll_msec=0)
        dock.wait(lambda: dock.cameras.get(FLASH_SERIAL, {}).get("firmware") == "2.1", "the camera to tell the new version", 300)
        dock.wait_state(FLASH_BAY, "ready")
        assert camera.has() == NEW
        dock.wait_asking(lambda: dock.events("flash-ended", FLASH_SERIAL), "the flash's end to be on record")
        events = [e["event"] for e in dock.ctl("log", "-n", "0", f"--camera={FLASH_SERIAL}")["events"]]
        # One flash, in which nobody knew how far the sending came that the power cut short, and one alone was whole.
        sent = [(e["whole"], json.dumps(e)) for e in events if e["event"] == "flash-sent"]
        assert not sent[before][0] and "nobody knows how far it came" in sent[before][1], sent
        assert [whole for whole, _ in sent] == [False] * (len(sent) - 1) + [True] and len(sent) >= before + 2, sent
        kinds = [e["event"] for e in events if e["event"].startswith("flash-")]
        assert kinds == ["flash-begun", *["flash-sending", "flash-sent"] * len(sent), "flash-ended"], kinds
        assert [e["outcome"] for e in events if e["event"] == "flash-ended"] == ["ok"]
        dock.wait(lambda: dock.dock.get("chain_state") == "whole", "the custody chain to be proven")
        dock.guest.run("systemctl stop berthd && setpriv --reuid=berth --regid=berth --clear-groups berthctl custody verify")
    finally:
        camera.lose_power()


def test_dock_that_syncs_nothing_loses_footage(dock):
    """The control: this test can fail."""
    with open(f"{BUILD}/tests/preload/no_sync.so", "rb") as f:
        library = base64.b64encode(f.read()).decode()
    dock.guest.run(NO_SYNC.replace("LIBRARY", "\n".join(library[n:n + 76] for n in range(0, len(library), 76))))
    dock.restart("systemctl restart berthd berth-uplink")
    camera = CardCamera(dock, "control", SIZES)
    try:
        camera.plug(dock)
        dock.wait(lambda: dock.bays[BAY]["serial"] == camera.serial and dock.bays[BAY]["state"] == "ready", "the bay to be ready", 240)
        assert not camera.left(), "it was not erased"
        dock.cut_power()
        camera.end()
        dock.boot_again(cold=False)
        missing = lost(dock, camera)
        print(f"# {len(missing)} of {len(SIZES)} clips are lost", flush=True)
        assert missing, "nothing is lost although nothing was synced: the test above proves nothing"
    finally:
        camera.end()


if __name__ == "__main__":
    guest_dock.main([f"1-{PORT}"], lazy_disks=True)
