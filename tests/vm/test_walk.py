#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A new admin's first day with a dock, from README.md alone, in a fresh system: its package by apt, a rack of four bays, a store, four
cameras, firmware for two of them, the logs, and a setting that was broken and is mended by what the error says. The tests go on from
each other; what the admin types is checked against README.md."""

import base64
import hashlib
import json
import os
import re
import sys
import tempfile
import types

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib"), os.path.join(SRC, "tests", "vm")]
import guest_dock  # noqa: E402
from cards import FatCard  # noqa: E402
from firmware_image import image  # noqa: E402
from guest_dock import STORE  # noqa: E402
from rack import make_clip  # noqa: E402
from readme import Readme  # noqa: E402
from redirected import MODEL, FlashCamera  # noqa: E402
from rollout_world import Fleet  # noqa: E402
from test_package import packages  # noqa: E402

# USB 2 ports: others make a disk of QEMU's a USB 3 device of another bus.
PORTS = [3, 4, 5, 6]
BAYS = {port: number for number, port in enumerate(PORTS, 1)}
STICKS, BODYCAMS = (3, 4), (5, 6)
CONF, UPLINK_CONF, MODEL_FILE = "/etc/berth/berthd.conf", "/etc/berth/uplink.conf", "/etc/berth/cameras.d/flash-cam.conf"
LOCAL_RULES = "/etc/udev/rules.d/67-berth-local.rules"
NEW = image("2.1", 20000)

readme = Readme()
cameras = {}


def by_root(command):
    """Root needs no sudo."""
    return "; ".join(re.sub(r"^sudo ", "", part.strip()) for part in command.split("&&"))


def admin(dock, command, check=True):
    """What the admin types, as README.md has it."""
    readme.check(command)
    return dock.guest.run(by_root(command), 240, check=check)


def restart(dock, command):
    """The same, of what makes berthd begin anew."""
    readme.check(command)
    dock.restart(by_root(command))


def edit(dock, path, text):
    """Adds to a file of settings, as with an editor."""
    dock.guest.run(f"cat >> {path} <<'END_OF_FILE'\n{text}\nEND_OF_FILE")


def serial(port):
    return f"SN-{port}"


def stick(dock, port, *sizes):
    name = f"card{port}-{len(sizes)}"
    card = FatCard(dock.guest.folder, name=f"{name}.img", volume_id=f"{port:08x}")
    card.fill(*sizes, pattern=f"DCIM/10{len(sizes)}BERTH/CLIP{{:04}}.MP4")
    file = {"driver": "file", "filename": card.image, "locking": "off"}
    dock.guest.qmp("blockdev-add", **{"node-name": name, "driver": "raw", "file": file})
    dock.guest.plug("usb-storage", f"stick{port}", port, drive=name, serial=serial(port), removable=True)
    cameras[port] = card
    return {path: hashlib.sha256(data).hexdigest() for path, data in card.files.items()}


def test_rack_of_four_bays_is_described(dock):
    assert "[bay" in admin(dock, "sudo berthd --check", check=False), "without bays it says where they go"
    edit(dock, CONF, "".join(f"[bay 1-{port}]\nnumber = {number}\n" for port, number in BAYS.items()))
    admin(dock, "sudo berthd --check")
    told = admin(dock, "berthctl config show --origin", check=False)
    assert re.search(rf"bay 1-{PORTS[0]}\.number +1 +\S*berthd\.conf:\d+", told), told


def test_store_is_connected(dock):
    assert "[store]" in admin(dock, "sudo berth-uplink --check", check=False), "without a store it says where it goes"
    edit(dock, UPLINK_CONF, f"[store]\ntype = dir\npath = {STORE}")
    admin(dock, "sudo berth-uplink --check")
    told = admin(dock, "berthctl config show --origin")
    assert re.search(rf"store\.path +{STORE} +{UPLINK_CONF}:\d+", told) and "berthd.conf:" in told, told
    readme.check("sudo chown berth-uplink: /srv/footage")
    dock.guest.run(f"chown berth-uplink: {STORE}")
    admin(dock, "sudo systemctl enable --now berthd")
    dock.follow()
    dock.wait(lambda: dock.dock.get("store_state") == "ready", "the store to be ready")
    assert "ready" in admin(dock, "berthctl status")


def test_cameras_of_a_known_kind_are_made_ready(dock):
    footage = {port: stick(dock, port, 300_000 + port, 70_000) for port in STICKS}
    for port, digests in footage.items():
        dock.wait_state(BAYS[port], "ready")
        dock.judge(serial(port), digests)


def test_cameras_of_a_new_model_are_added(dock):
    for port in BODYCAMS:
        cameras[port] = FlashCamera(dock, port, serial(port), [make_clip("DCIM/A.MP4", 90_000, port)])
        dock.wait_state(BAYS[port], "refused")
    told = admin(dock, "berthctl refused")
    assert "1209:bc11" in told and "[model NAME]" in told, told
    edit(dock, MODEL_FILE, MODEL)
    readme.check("berthctl model check FILE")
    told = dock.guest.run(f"berthctl model check {MODEL_FILE}")
    lines = re.findall(r"^ +(SUBSYSTEM==.*)$", told, re.M)
    assert len(lines) == 2 and LOCAL_RULES in told, told
    edit(dock, LOCAL_RULES, "\n".join(lines))
    for port in BODYCAMS:
        cameras[port].pull_out()
        dock.wait_state(BAYS[port], "empty")
    restart(dock, "sudo udevadm control --reload && sudo systemctl restart berthd")
    assert "flash-cam" in admin(dock, "berthctl model list")
    for port in BODYCAMS:
        cameras[port] = FlashCamera(dock, port, serial(port), [make_clip("DCIM/A.MP4", 90_000, port)])
    for port in BODYCAMS:
        dock.wait_state(BAYS[port], "ready")
        assert list(dock.stored(serial(port))) == ["DCIM/A.MP4"]
        bay, node = dock.guest.run(f"readlink -f /dev/berth/bay{BAYS[port]}; udevadm info -q name -r /sys/bus/usb/devices/1-{port}").split()
        assert bay == node, (bay, node)


def test_custody_of_one_clip_is_found(dock):
    told = admin(dock, f"berthctl clips --camera {serial(STICKS[0])}")
    (clip,) = [line.split()[0] for line in told.splitlines() if "CLIP0000.MP4" in line]
    told = admin(dock, f"berthctl custody show {clip}")
    digest = hashlib.sha256(cameras[STICKS[0]].files["DCIM/102BERTH/CLIP0000.MP4"]).hexdigest()
    assert digest in told, told
    for word in (serial(STICKS[0]), "receipt", "erased"):
        assert word in told, f"{word} is missing in {told}"


def test_uploads_are_paused_and_go_on(dock):
    port = STICKS[1]
    admin(dock, "sudo berthctl transfer pause")
    dock.guest.unplug(f"stick{port}")
    dock.wait_state(BAYS[port], "empty")
    digests = stick(dock, port, 300_000 + port, 70_000, 81_000)
    dock.wait_state(BAYS[port], "settled")
    told = admin(dock, "berthctl transfer")
    assert "paused" in told and told.count(serial(port)) >= 1, told
    admin(dock, "sudo berthctl transfer resume")
    dock.wait_state(BAYS[port], "ready")
    assert set(digests) <= set(dock.stored(serial(port)))


def bring(dock, path, data):
    """From the administrator's own machine, as with a stick."""
    dock.guest.run(f"base64 -d > {path} <<'END_OF_FILE'\n{base64.b64encode(data).decode()}\nEND_OF_FILE")


def test_firmware_is_rolled_out(dock):
    # No time server is in reach: the clock is said to be right, as timedated asks the kernel. adjtimex: ADJ_MAXERROR and ADJ_STATUS.
    dock.guest.run("perl -e '$t = pack(\"I\", 0x14) . (\"\\0\" x 300); syscall(159, $t) >= 0 or die \"adjtimex: $!\"'")
    folder = dock.guest.folder
    fleet = Fleet(types.SimpleNamespace(folder=folder, path=lambda *names: os.path.join(folder, *names)))
    for command in ("minisign -G -p firmware.pub -s firmware.key", "openssl genpkey -algorithm ed25519 -out admin.pem",
                    "minisign -Sm catalog.json -s firmware.key"):
        readme.check(command)
    catalog = fleet.catalog(1, [("flash-cam", "2.1", fleet.image("new.bin", NEW))])
    plan = fleet.plan(waves=[{"named": [serial(port) for port in BODYCAMS]}], flash_seconds=15, fresh_seconds=600, bad_max=100)
    for source, target in ((fleet.path("one.pub"), "/etc/berth/firmware.pub"), (catalog, "catalog.json"),
                           (fleet.path("new.bin"), "new.bin"), (catalog + ".minisig", "catalog.json.minisig"), (plan, "plan.json"),
                           (fleet.key, "admin.pem")):
        with open(source, "rb") as f:
            bring(dock, target, f.read())
    edit(dock, CONF, f"[dock]\nfleet = north\nfleet_key = {fleet.public_hex}\n[firmware]\nfollow_every = 1s")
    dock.restart()
    dock.wait(lambda: dock.dock.get("store_state") == "ready", "the store to be ready")
    admin(dock, "sudo berthctl firmware publish catalog.json new.bin")
    admin(dock, "sudo berthctl rollout create plan.json --admin-key=admin.pem")
    dock.guest.run("rm admin.pem")
    dock.wait(lambda: all(dock.cameras.get(serial(port), {}).get("firmware") == "2.1" for port in BODYCAMS), "both to have it", 400)
    for port in BODYCAMS:
        dock.wait_state(BAYS[port], "ready")
        assert cameras[port].has() == NEW
    assert "catalog" in admin(dock, "berthctl firmware").lower()
    told = admin(dock, "berthctl rollout")
    assert all(re.search(rf"{serial(port)}\b.*\bok\b", told) for port in BODYCAMS), told


def test_logs_tell_what_happened(dock):
    port = BODYCAMS[0]
    told = admin(dock, f"berthctl log --camera {serial(port)}")
    for event in ("docked", "receipted", "erased", "flash-ended"):
        assert event in told, f"{event} is missing in {told}"
    dock.said("-n 0")
    assert "2.1" in admin(dock, "journalctl -xu berthd -u berth-uplink")
    told = admin(dock, f"journalctl BERTH_CAMERA={serial(port)}")
    assert "2.1" in told and serial(STICKS[0]) not in told, told


def test_broken_setting_is_mended_by_what_the_error_says(dock):
    dock.guest.run(f"sed -i 's/^number = 3$/number = three/' {CONF}")
    refused = admin(dock, "sudo berthctl reload", check=False)
    assert f"{CONF}:" in refused and admin(dock, "berthctl status"), "a reload of a broken file must change nothing"
    dock.guest.run("systemctl restart berthd", check=False)
    dock.said("-n 0")
    # What README.md says to look at when it does not start.
    told = admin(dock, "systemctl status berthd", check=False)
    state = dock.guest.run("systemctl show -P SubState berthd; systemctl show -P NRestarts berthd").split()
    assert state == ["failed", "0"], f"it is tried again before it is mended: {state}"
    (file, line), = set(re.findall(r"(/etc/berth/\S+):(\d+): ", told))
    assert "number" in told and dock.guest.run(f"sed -n {line}p {file}") == "number = three\n", told
    dock.guest.run(f"sed -i '{line}s/three/3/' {file}")
    admin(dock, "sudo berthd --check")
    restart(dock, "sudo systemctl enable --now berthd")
    doctor = json.loads(dock.guest.run("berthctl doctor --json", check=False))
    failed = [point for point in doctor["points"] if point["verdict"] == "failed"]
    assert not failed, failed


def main():
    with tempfile.TemporaryDirectory(prefix="berth-packages-") as folder:
        guest_dock.main([f"1-{port}" for port in PORTS], None, packages=packages(folder), start=False, disk_mib=16 * 1024)


if __name__ == "__main__":
    main()
