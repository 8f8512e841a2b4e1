#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""On the kernel's own USB stack, the installed Berth does the main job on MTP devices that others made: QEMU's, and
umtp-responder on a gadget of the kernel's."""

import hashlib
import os
import random
import sys
import tempfile

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
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
timeout 30 sh -c 'until [ -e /dev/ffs-mtp/ep1 ]; do sleep 0.1; done'
sha256sum /run/camera/DCIM/*/*.MP4
ls /sys/class/udc > UDC
"""


def test_main_job_on_umtp_responder(dock):
    serial = "UMTP-0001"
    sums = dock.guest.run(RESPONDER.replace("SERIAL", serial), 120)
    digests = {path.removeprefix("/run/camera/"): digest for digest, path in (line.split("  ") for line in sums.splitlines())}
    assert len(digests) == 5, sums
    dock.wait_state(BAY_GADGET, "ready")
    dock.judge(serial, digests)
    left = dock.guest.run("find /run/camera -type f")
    assert not left, f"the log says that all was erased, and there are still {left}"
    dock.guest.run("echo > /sys/kernel/config/usb_gadget/camera/UDC")
    dock.wait_state(BAY_GADGET, "empty")


if __name__ == "__main__":
    guest_dock.main([f"1-{QEMU_PORT}", "3-1"])
