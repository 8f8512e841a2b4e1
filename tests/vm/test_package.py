#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian package in a guest, by apt: installed, upgraded to the release after it while a pull and a flash run, put back to the
older one, whose daemon then has a database that is too new for it, removed and purged. The tests go on from each other."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import types

SRC, BUILD = os.environ["BERTH_SRC"], os.environ["BERTH_BUILD"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from cards import FatCard  # noqa: E402
from firmware_image import image  # noqa: E402
from guest_dock import MIB, STATE, STORE, slow_after  # noqa: E402
from redirected import MODEL, RULES, FlashCamera  # noqa: E402
from rollout_world import Fleet  # noqa: E402

PORT, BAY, SERIAL = 3, 1, "CAM-UPGRADE"
FLASH_PORT, FLASH_BAY, FLASH_SERIAL, NEW = 5, 2, "CAM-FLASH", image("2.1", 20000)
# Not the shell that looks for it.
SENDER = "pgrep -f 'berth-ba[y].*--flash'"


def package(folder):
    """(name, version) of the one that is there."""
    (name,) = [name for name in os.listdir(folder) if name.startswith("berth_") and name.endswith(".deb")]
    return name, name.split("_")[1]


(OLD, OLD_VERSION), (NEXT, NEXT_VERSION) = package(BUILD + "-deb"), package(BUILD + "-deb/next")


def packages(folder):
    """An archive of the package, and, in a folder of its own, of that of the release after it (next-release)."""
    archive = os.path.join(folder, "packages.tar")
    subprocess.run(["tar", "-cf", archive, "-C", BUILD + "-deb", OLD, "next/" + NEXT], check=True)
    return archive


def dpkg(dock, what):
    """As apt does it, without the half minute that apt takes to think in an emulated machine."""
    return dock.guest.run(f"DEBIAN_FRONTEND=noninteractive dpkg {what} 2>&1", 300)


def shown(dock, unit, name):
    return dock.guest.run(f"systemctl show -P {name} {unit}").strip()


def test_nothing_runs_before_the_rack_is_described(dock):
    for unit in ("berthd.service", "berth-uplink.service", "berth-uplink.socket", "berth-metrics.socket", "berth-archive.timer"):
        assert (shown(dock, unit, "LoadState"), shown(dock, unit, "ActiveState")) == ("loaded", "inactive"), unit
        assert shown(dock, unit, "UnitFileState") in ("disabled", "indirect"), unit
    modes = dock.guest.run(f"stat -c '%U:%G %a' {STATE} /etc/berth /etc/berth/cameras.secret /etc/berth/berthd.conf").split("\n")
    assert modes[:4] == ["berth:berth 700", "root:root 755", "root:root 600", "root:root 644"], modes
    said = dock.said("-o cat _SYSTEMD_UNIT=systemd-udevd.service").splitlines()
    assert any("systemd" in line or "naming scheme" in line for line in said), f"the journal has nothing of udev: {said}"
    wrong = [line for line in said if re.search("berth.*rules", line)]
    assert not wrong, wrong


def bring(dock, path, data):
    dock.guest.run(f"base64 -d > {path} <<'END_OF_FILE'\n{base64.b64encode(data).decode()}\nEND_OF_FILE")


def publish(dock):
    """A catalog with the firmware for the camera that is flashed, by a key that the dock believes."""
    folder = dock.guest.folder
    fleet = Fleet(types.SimpleNamespace(folder=folder, path=lambda *names: os.path.join(folder, *names)))
    catalog = fleet.catalog(1, [("flash-cam", "2.1", fleet.image("new.bin", NEW))])
    for source, target in ((fleet.path("one.pub"), "/etc/berth/firmware.pub"), (catalog, "/run/catalog.json"),
                           (catalog + ".minisig", "/run/catalog.json.minisig"), (fleet.path("new.bin"), "/run/new.bin")):
        with open(source, "rb") as f:
            bring(dock, target, f.read())
    dock.put("/etc/berth/cameras.d/flash-cam.conf", MODEL)
    dock.put("/etc/udev/rules.d/67-berth-local.rules", RULES)
    dock.guest.run("udevadm control --reload")


def flashers(dock):
    return dock.guest.run(f"{SENDER} || true").split()


def holds_shutdown(dock):
    told = dock.guest.run("systemd-inhibit --list --no-pager")
    return all(re.search(rf"Berth.*\b{what}\b", told) for what in ("shutdown", "sleep"))


def begin_flash(dock):
    """A camera's firmware is on its way into it, for ten minutes; until it is told to be fast."""
    camera = FlashCamera(dock, FLASH_PORT, FLASH_SERIAL, transfer_size=64, poll_msec=2000)
    dock.wait_state(FLASH_BAY, "ready")
    dock.wait(lambda: dock.dock.get("store_state") == "ready", "the store to be ready")
    dock.guest.run("berthctl firmware publish /run/catalog.json /run/new.bin")
    # One that has just become ready is still being let go of, and refused; a second order is, too.
    dock.guest.wait(f"{SENDER} || {{ timeout 10 berthctl firmware flash {FLASH_SERIAL} 2.1; false; }}", "the sending to begin")
    return camera


def test_upgrade_while_a_pull_and_a_flash_run_loses_nothing(dock):
    publish(dock)
    dock.configure([f"1-{PORT}", f"1-{FLASH_PORT}"], "[firmware]\nfollow_every = 1s\n")
    dock.start()
    assert shown(dock, "berth-uplink.socket", "UnitFileState") == "enabled"
    camera = begin_flash(dock)
    card = FatCard(dock.guest.folder).fill(28 * MIB, 70_000)
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in card.files.items()}
    # However long the upgrade takes, the pull is not over before.
    dock.guest.qmp("object-add", **{"qom-type": "throttle-group", "id": "slow", "limits": slow_after(11 * MIB)})
    dock.guest.qmp("blockdev-add", **{"node-name": "card", "driver": "throttle", "throttle-group": "slow",
                                      "file": {"driver": "raw", "file": {"driver": "file", "filename": card.image, "locking": "off"}}})
    dock.guest.plug("usb-storage", "camera", PORT, drive="card", serial=SERIAL, removable=True)
    dock.wait(lambda: dock.bays[BAY]["bytes_copied"] > 9 * MIB, "9 MiB to be copied", 240)
    # Left to themselves, some cameras sleep. The rules say no, when a camera comes and when the package does.
    power = f"/sys/bus/usb/devices/1-{PORT}/power/control"
    dock.guest.run(f"echo auto > {power}")
    sender = flashers(dock)
    assert len(sender) == 1 and holds_shutdown(dock), sender
    sent_before = len(dock.events("flash-sent", FLASH_SERIAL))
    before = {unit: shown(dock, unit, "ActiveEnterTimestampMonotonic") for unit in ("berthd.service", "berth-uplink.socket")}
    said = dpkg(dock, f"--install /opt/packages/next/{NEXT}")
    assert dock.guest.run("dpkg-query -W -f '${Version}' berth") == NEXT_VERSION, said
    assert flashers(dock) == sender, "the upgrade ended what gives a camera its firmware"
    dock.guest.qmp("qom-set", path="/objects/slow", property="limits", value={"bps-read": 0, "bps-read-max": 0})
    after = {unit: shown(dock, unit, "ActiveEnterTimestampMonotonic") for unit in before}
    assert after["berthd.service"] != before["berthd.service"], "the old berthd still runs"
    assert NEXT_VERSION != OLD_VERSION and f"Berth {NEXT_VERSION}, " in dock.guest.run("berthctl status"), "another berthd than the new one"
    for program in ("berthd", "berth-uplink", "berthctl", "/usr/lib/berth/berth-bay"):
        assert dock.guest.run(f"{program} --version").split()[-1] == NEXT_VERSION, program
    assert after["berth-uplink.socket"] == before["berth-uplink.socket"], "there was a time without the uploader's socket"
    assert dock.guest.run(f"cat {power}") == "on\n"
    dock.guest.wait("systemd-inhibit --list --no-pager | grep -q 'Berth.*shutdown'", "the new berthd to hold back a shutdown")
    camera.set("loader", poll_msec=0)
    dock.wait(lambda: dock.dock.get("state") == "running" and dock.bays[BAY]["state"] == "ready", "the camera to be ready", 300)
    dock.judge(SERIAL, digests)
    offsets = [e["offset_bytes"] for e in dock.events("pull-begun", SERIAL)]
    assert len(offsets) >= 2 and max(offsets) >= 8 * MIB, f"the upgrade did not break into the pull, or it began afresh: {offsets}"
    dock.wait_asking(lambda: dock.events("flash-ended", FLASH_SERIAL), "the flash to end", 300)
    dock.wait_state(FLASH_BAY, "ready")
    (end,) = dock.events("flash-ended", FLASH_SERIAL)
    assert (end["outcome"], end["version"]) == ("ok", "2.1") and camera.has() == NEW, end
    sent = [e["whole"] for e in dock.events("flash-sent", FLASH_SERIAL)][sent_before:]
    assert sent == [True], f"the upgrade broke into the sending: {sent}"
    dock.wait_asking(lambda: not holds_shutdown(dock), "a shutdown to be held back no more, with no camera that is flashed")


def test_bays_are_links_to_what_lies_in_them(dock):
    link = dock.guest.run(f"readlink -f /dev/berth/bay{BAY} /dev/berth/bay{FLASH_BAY}").split()
    nodes = dock.guest.run("".join(f"udevadm info -q name -r /sys/bus/usb/devices/1-{port}; " for port in (PORT, FLASH_PORT))).split()
    assert link == nodes, (link, nodes)
    # Other numbers are painted on the rack.
    dock.guest.run("sed -i 's/^number = /number = 1/' /etc/berth/berthd.conf; udevadm trigger --subsystem-match=usb; udevadm settle")
    assert dock.guest.run(f"ls /dev/berth; readlink -f /dev/berth/bay1{BAY}").split() == [f"bay1{BAY}", f"bay1{FLASH_BAY}", nodes[0]]
    dock.guest.unplug("camera")
    dock.wait_state(BAY, "empty")
    dock.guest.run("udevadm settle")
    assert dock.guest.run("ls /dev/berth").split() == [f"bay1{FLASH_BAY}"]


def test_custody_log_is_archived_each_night(dock):
    dock.guest.run("systemctl enable --now berth-archive.timer; berthctl custody checkpoint")
    assert dock.guest.run("systemctl list-timers --plain --no-legend").count("berth-archive.timer") == 1
    # As its timer does it.
    dock.guest.run("systemctl start berth-archive.service")
    said = dock.said("-o cat -u berth-archive.service")
    archived = re.search(r"(\d+) events were archived; the store has the custody log up to event (\d+)", said)
    assert archived and int(archived[1]) == int(archived[2]) > 0, said
    lines = dock.guest.run(f"cat $(find {STORE}/custody -type f | sort -V)").splitlines()
    assert len(lines) == int(archived[1]) and {"pull-begun", "erased"} <= {json.loads(line)["event"] for line in lines}
    dock.guest.run("berthctl custody verify --store", 240)


def restarts(dock, unit):
    """How often systemd has tried it again; what it said of all of these attempts is in the journal then."""
    told = dict(line.split("=") for line in dock.guest.run(f"systemctl show -p NRestarts -p SubState {unit}").splitlines())
    # It is counted before it is begun.
    return int(told["NRestarts"]) if told["SubState"] == "start-pre" else 0


def start_times(dock, unit, n):
    """When the last n attempts to start it began, in seconds of the guest: when systemd said so, not when the journal got to hear of it."""
    told = dock.said(f"-o json -n {n} UNIT={unit} MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5")
    return [int(json.loads(line)["_SOURCE_REALTIME_TIMESTAMP"]) / 1e6 for line in told.splitlines()]


def test_older_release_refuses_the_newer_ones_database_and_loses_nothing(dock):
    clips = dock.guest.run(f"berthctl clips --camera {SERIAL} --json")
    # The uploader fails as well: its own way to wait longer and longer.
    dock.guest.run("sed -i 's/^type = dir/type = nothing/' /etc/berth/uplink.conf; systemctl restart berth-uplink", check=False)
    dpkg(dock, f"--install /opt/packages/{OLD}")
    assert dock.guest.run("dpkg-query -W -f '${Version}' berth") == OLD_VERSION
    dock.guest.wait("journalctl -b -u berthd -o cat | grep 'written by a newer Berth'", "the older berthd to say what is wrong")
    told = dock.guest.run("journalctl -b -u berthd -o cat -n 20")
    wrong = re.search(rf"{STATE}/berth\.db was written by a newer Berth \(its version is (\d+), this program knows up to (\d+)\): "
                      "install that version again", told)
    assert wrong and int(wrong[1]) == int(wrong[2]) + 1, told
    # The newer program finds all as it was.
    dock.guest.run(f"dpkg-deb -x /opt/packages/next/{NEXT} /opt/next")
    dock.guest.run("/opt/next/usr/bin/berthctl custody verify", 240)
    # Meanwhile both are tried again, and later each time; that is what there is to see of it, and no more.
    waits = [2, 2, 2, 4, 6]
    for unit in ("berthd", "berth-uplink"):
        tried = []
        dock.wait_asking(lambda: tried.append(restarts(dock, unit)) or tried[-1] >= len(waits), f"{unit} to be tried so often", 240)
        starts = start_times(dock, unit + ".service", tried[-1] + 1)[:len(waits) + 1]
        gaps = [after - before for before, after in zip(starts, starts[1:])]
        assert len(gaps) == len(waits) and all(gap > wait - 0.1 for gap, wait in zip(gaps, waits)), (unit, tried, gaps)
    dock.guest.run(f"sed -i 's/^type = nothing/type = dir/' /etc/berth/uplink.conf; dpkg --install /opt/packages/next/{NEXT} 2>&1", 300)
    dock.guest.wait("berthctl status", "the newer berthd to be back")
    assert dock.guest.run(f"berthctl clips --camera {SERIAL} --json") == clips


def test_purge_leaves_the_evidence_and_the_admins_own_files(dock):
    dock.guest.run("echo key > /etc/berth/store.key; echo id > /etc/berth/s3.credentials; echo > /etc/berth/cameras.d/mine.conf\n"
                   "mkdir -p /etc/systemd/system/berth-uplink.service.d\n"
                   "ln -s /usr/share/berth/network-store.conf /etc/systemd/system/berth-uplink.service.d/")
    evidence = f"cd / && find .{STATE} .{STORE} -type f -name '[!.]*' ! -name '*-shm' ! -name '*-wal' | sort"
    dpkg(dock, "--remove berth")
    running = dock.guest.run("systemctl list-units --plain --no-legend 'berth*'; ls -d /run/berth-uplink/* || true\n"
                             "for name in berthd berth-uplink berth-bay; do pgrep -x $name || true; done 2>/dev/null")
    assert running.split("\n")[0].startswith("ls:") and len(running.split("\n")) == 2, running
    assert dock.guest.run("ls /etc/berth/berthd.conf /etc/berth/uplink.conf").split(), "a removal took the settings"
    held = dock.guest.run(evidence)
    said = dpkg(dock, "--purge berth")
    assert f"{STATE} is kept" in said and "/etc/berth is kept" in said, said
    assert dock.guest.run(evidence) == held
    assert "berth.db" in held and "/objects/" in held, held
    elsewhere = ["/proc", "/run", "/sys", "/tmp", "/opt", "/srv", "/var/log", "/var/lib/dpkg", "/var/lib/berth*", "/*/initramfs-tools",
                 "/usr/share/initramfs-tools"]
    left = dock.guest.run("find / -xdev -path '*berth*' " + " ".join(f"! -path '{path}/*'" for path in elsewhere)
                          + " ! -path '/var/lib/berth*'").split()
    assert sorted(left) == ["/etc/berth", "/etc/berth/store.key", "/etc/udev/rules.d/67-berth-local.rules"], left
    dock.guest.run("systemctl daemon-reload")
    failed = dock.guest.run("systemctl list-units --failed --plain --no-legend; systemctl list-unit-files --no-legend 'berth*' || true")
    assert not failed.strip(), failed


def main():
    with tempfile.TemporaryDirectory(prefix="berth-packages-") as folder:
        guest_dock.main([f"1-{PORT}"], packages=packages(folder), start=False)


if __name__ == "__main__":
    main()
