#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""On the kernel's own USB stack, the installed Berth does the main job on MTP devices that others made: QEMU's, and
umtp-responder on a gadget of the kernel's."""

import base64
import hashlib
import os
import random
import sys
import tempfile
import types

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from firmware_world import Admin  # noqa: E402
from guest_dock import MIB  # noqa: E402

BAY_QEMU, BAY_GADGET = 1, 2
QEMU_PORT = 3
QEMU_SERIAL = "0123456789abcdef0123456789abcdef"


def make_footage(folder, sizes):
    """Files with random bytes; {path: sha256}."""
    rng = random.Random(4255)
    digests = {}
    for n, size in enumerate(sizes):
        path = f"DCIM/{100 + n % 2}BERTH/CLIP{n:04}.MP4"
        data = rng.randbytes(size)
        os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(folder, path), "wb") as f:
            f.write(data)
        digests[path] = hashlib.sha256(data).hexdigest()
    return digests


def test_main_job_on_qemus_mtp_device(dock):
    with tempfile.TemporaryDirectory(prefix="berth-mtp-") as folder:
        digests = make_footage(folder, [5 * MIB + 17, 0, 512, 64 * 1024, 1, 9 * MIB, 300_000])
        dock.guest.plug("usb-mtp", "mtp", QEMU_PORT, rootdir=folder, readonly=False, desc="Body camera")
        bay = dock.wait_state(BAY_QEMU, "ready")
        assert (bay["clips_total"], bay["clips_erased"]) == (len(digests), len(digests)), bay
        dock.judge(QEMU_SERIAL, digests)
        left = [name for _, _, names in os.walk(folder) for name in names]
        assert not left, f"the log says that all was erased, and {left} are still there"
        dock.guest.unplug("mtp")
        dock.wait_state(BAY_QEMU, "empty")


SCRAPE = r"""
exec 3<>/dev/tcp/127.0.0.1/9947
printf 'GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n' >&3
cat <&3
"""


def test_metrics_are_answered_by_a_process_for_each_request(dock):
    """By systemd's socket, as a user that owns nothing, over the real bus, by polkit's leave."""
    dock.guest.run("systemctl enable --now berth-metrics.socket")
    answer = dock.guest.run(SCRAPE)
    assert answer.startswith("HTTP/1.1 200 OK") and "berth_up 1\n" in answer and answer.endswith("# EOF\n"), answer
    assert 'berth_clips{stage="erased"} ' in answer, f"the figures need polkit's leave: {answer}"
    assert 'berth_bay_state{bay="1",state="empty"} 1' in answer, answer
    failed = dock.guest.run("systemctl list-units --failed --no-legend 'berth-metrics*'")
    assert not failed, failed


def test_systemctl_reload_brings_a_drop_in_into_force(dock):
    dock.guest.run("mkdir -p /etc/berth/berthd.conf.d && printf '[spool]\\nkeep = 3d\\n' > /etc/berth/berthd.conf.d/keep.conf")
    dock.guest.run("systemctl reload berthd")
    assert "Setting spool.keep: 3d" in dock.said("-u berthd"), dock.journal()
    dock.guest.run("echo nonsense > /etc/berth/berthd.conf.d/bad.conf")
    said = dock.guest.run("systemctl reload berthd; echo status $?; systemctl is-active berthd; rm -r /etc/berth/berthd.conf.d")
    assert "status 1" in said and "\nactive" in said, said
    assert "bad.conf:1:" in dock.said("-u berthd"), "the error names file and line"
    dock.guest.run("systemctl reload berthd")


# A gadget of the kernel's on a bus of its own, with umtp-responder behind its endpoints.
RESPONDER = r"""
set -e
modprobe dummy_hcd is_high_speed=Y is_super_speed=N
modprobe libcomposite
modprobe usb_f_fs
mkdir -p /run/camera/DCIM/100BERTH /run/camera/DCIM/EMPTY /dev/ffs-mtp /etc/umtprd
cd /run/camera/DCIM/100BERTH
for n in 1 2 3; do head -c ${n}500123 /dev/urandom > CLIP000$n.MP4; done
head -c 4096 /dev/urandom > A.MP4
: > EMPTY.MP4

gadget=/sys/kernel/config/usb_gadget/camera
mkdir -p $gadget/strings/0x409 $gadget/configs/c.1/strings/0x409 $gadget/functions/ffs.mtp
cd $gadget
echo 0x1d6b > idVendor; echo 0x0100 > idProduct
echo SERIAL > strings/0x409/serialnumber
echo Acme > strings/0x409/manufacturer
echo "Body camera" > strings/0x409/product
ln -s $gadget/functions/ffs.mtp configs/c.1/
mount -t functionfs mtp /dev/ffs-mtp
cat > /etc/umtprd/umtprd.conf <<END
storage "/run/camera" "card" "rw"
manufacturer "Acme"
product "Body camera"
serial "SERIAL"
firmware_version "1.0"
interface "MTP"
usb_vendor_id 0x1D6B
usb_product_id 0x0100
usb_class 0x6
usb_subclass 0x1
usb_protocol 0x1
usb_dev_version 0x3008
usb_functionfs_mode 0x1
usb_dev_path "/dev/ffs-mtp/ep0"
usb_epin_path "/dev/ffs-mtp/ep1"
usb_epout_path "/dev/ffs-mtp/ep2"
usb_epint_path "/dev/ffs-mtp/ep3"
usb_max_packet_size 0x200
END
systemd-run --quiet --unit=umtprd umtprd
timeout 120 sh -c 'until [ -e /dev/ffs-mtp/ep1 ]; do sleep 0.1; done'
sha256sum /run/camera/DCIM/*/*.MP4
ls /sys/class/udc > UDC
"""


def test_main_job_on_umtp_responder(dock):
    serial = "UMTP-0001"
    sums = dock.guest.run(RESPONDER.replace("SERIAL", serial), 240)
    digests = {path.removeprefix("/run/camera/"): digest for digest, path in (line.split("  ") for line in sums.splitlines())}
    assert len(digests) == 5, sums
    dock.wait_state(BAY_GADGET, "ready")
    dock.judge(serial, digests)
    left = dock.guest.run("find /run/camera -type f")
    assert not left, f"the log says that all was erased, and there are still {left}"
    dock.guest.run("echo > /sys/kernel/config/usb_gadget/camera/UDC")
    dock.wait_state(BAY_GADGET, "empty")


UPDATE_MODEL = """
[model body-camera]
description = camera that looks for a file
tested = with umtp-responder
match = 1d6b:0100
interface = 06/01/01
plugin = mtp
footage = DCIM/*
firmware = file UPDATE/FW.BIN
update_restart = hand
update_within = 20min
"""
# It starts with the firmware of another version. Its own endpoints are new ones then.
RESTART = r"""
set -e
udc=/sys/kernel/config/usb_gadget/camera/UDC
[ -z "$(cat $udc)" ] || echo > $udc
# It ends by itself when its gadget is unbound, sooner or later.
systemctl stop umtprd 2>/dev/null || true
umount /dev/ffs-mtp 2>/dev/null || true
mount -t functionfs mtp /dev/ffs-mtp
sed -i 's/^firmware_version .*/firmware_version "VERSION"/; s/^serial .*/serial "SERIAL"/' /etc/umtprd/umtprd.conf
systemd-run --quiet --unit=umtprd umtprd
timeout 120 sh -c 'until [ -e /dev/ffs-mtp/ep1 ]; do sleep 0.1; done'
ls /sys/class/udc > $udc
"""


def publish(dock, folder, content):
    """Signed here, by minisign itself; into the store's folder as an admin's berthctl would have put it."""
    admin = Admin(types.SimpleNamespace(folder=folder))
    path = admin.catalog(1, [("body-camera", "2.1", admin.image("fw.bin", content))])
    where = f"{guest_dock.STORE}/firmware"
    dock.guest.run(f"mkdir -p {where}/catalog {where}/images")
    dock.put("/run/fw.b64", base64.b64encode(content).decode())
    dock.guest.run(f"base64 -d /run/fw.b64 > {where}/images/{hashlib.sha256(content).hexdigest()}")
    for name, file in (("0000000001.json.minisig", path + ".minisig"), ("0000000001.json", path), (None, admin.path("one.pub"))):
        with open(file, encoding="ascii") as f:
            dock.put("/run/signed", f.read())
        # Signed is each byte: no end of a line more than it has.
        to = f"{where}/catalog/{name}" if name else "/etc/berth/firmware.pub"
        dock.guest.run(f"head -c {os.path.getsize(file)} /run/signed > {to}")


def test_firmware_file_is_dropped_on_umtp_responder(dock):
    """Debian's own responder takes folder and file, byte for byte; its version it is asked for once it was put in again."""
    if dock.guest.holds("[ ! -e /sys/kernel/config/usb_gadget/camera ]"):
        dock.guest.run(RESPONDER.replace("SERIAL", "UMTP-0000"), 240)
    serial, content = "UMTP-0002", random.Random(7).randbytes(150_001)
    dock.put("/etc/berth/cameras.d/update.conf", UPDATE_MODEL)
    with tempfile.TemporaryDirectory(prefix="berth-firmware-") as folder:
        publish(dock, folder, content)
    dock.configure(dock.ports, "[firmware]\nfollow_every = 1s\n")
    dock.restart()
    dock.guest.run(RESTART.replace("VERSION", "1.0").replace("SERIAL", serial), 240)
    dock.wait_state(BAY_GADGET, "ready")
    dock.guest.wait("berthctl firmware | grep -q 'Version 1 of the firmware catalog'", "the catalog")
    # A camera that has just become ready is still being let go of.
    dock.guest.run(f"systemd-run --quiet --unit=flash sh -c 'until berthctl firmware flash --json {serial} 2.1 >/run/flash.json "
                   "2>/run/flash.err || ! grep -q in-use /run/flash.err; do sleep 1; done'")
    dock.wait(lambda: "take it out, and put it in again" in dock.bays[BAY_GADGET]["reason"], "a person to be asked", 300)
    assert dock.bays[BAY_GADGET]["flash_percent"] == 100, dock.bays[BAY_GADGET]
    landed = dock.guest.run("cd /run/camera && find UPDATE -type f | xargs sha256sum").split()
    assert landed == [hashlib.sha256(content).hexdigest(), "UPDATE/FW.BIN"], landed
    dock.guest.run(RESTART.replace("VERSION", "2.1").replace("SERIAL", serial), 240)
    dock.guest.wait("[ -s /run/flash.json -o -s /run/flash.err ]", "the end", 300)
    told = dock.guest.run("cat /run/flash.json /run/flash.err")
    assert '"outcome":"ok"' in told.replace(" ", "") and '"version":"2.1"' in told.replace(" ", ""), told
    dock.wait_state(BAY_GADGET, "ready")
    assert [e["whole"] for e in dock.events("flash-sent", serial)] == [True], dock.events("flash-sent", serial)
    dock.guest.run("echo > /sys/kernel/config/usb_gadget/camera/UDC")
    dock.wait_state(BAY_GADGET, "empty")


if __name__ == "__main__":
    guest_dock.main([f"1-{QEMU_PORT}", "3-1"])
