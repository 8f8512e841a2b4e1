#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""On the kernel's own USB stack, a body camera that is one device in command mode and another as storage: the simulator's models,
which QEMU's usb-redir brings to the guest, with polkit between the operator and the dock."""

import hashlib
import os
import sys

SRC = os.environ["BERTH_SRC"]
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests", "lib")]
import guest_dock  # noqa: E402
from cards import FatCard  # noqa: E402
from guest_dock import MIB  # noqa: E402
from redirected import Redirected  # noqa: E402

PORT, BAY = 5, 1
SERIAL, PASSWORD = "BC-0042", "Kr0kus"


def pull_out(dock, redirected):
    redirected.pull_out()
    dock.wait_state(BAY, "empty")


def camera(**spec):
    return {"name": "camera", "type": "ambarella", "dialect": "b", "id": SERIAL, "serial": "USB-42", "password": PASSWORD, "battery": 64,
            "storage": "disk", **spec}


def test_main_job_on_a_body_camera_that_turns_into_storage(dock):
    card = FatCard(dock.guest.folder).fill(3 * MIB + 5, 100_000, 1)
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in card.files.items()}
    dock.put("/etc/berth/cameras.secret", f"[model ambarella-b]\npassword = {PASSWORD}")
    dock.guest.run("chmod 600 /etc/berth/cameras.secret")
    dock.restart()
    disk = {"name": "disk", "type": "msc", "vid": 0x1234, "pid": 0x5678, "serial": "DISK-42", "image": card.image}
    server = Redirected(dock, PORT, camera(), disk)
    try:
        shown = dock.wait_state(BAY, "quarantined")
        assert f"berthctl camera confirm {SERIAL}" in shown["reason"], shown
        assert dock.stored(SERIAL) == digests
        refused = dock.guest.run(f"runuser -u nobody -- berthctl camera confirm {SERIAL}; echo status $?")
        assert "status 0" not in refused and dock.bays[BAY]["state"] == "quarantined", refused
        dock.guest.run(f"berthctl camera confirm {SERIAL}")
        shown = dock.wait_state(BAY, "ready")
        assert shown["battery_percent"] == 64, "it is not back in command mode"
        dock.judge(SERIAL, digests)
        docked = dock.events("docked")
        assert len(docked) == 1 and not dock.events("fault"), (docked, dock.events("fault"))
        told = f"journalctl -b | grep -q {PASSWORD} || grep -aq {PASSWORD} /var/lib/berth/berth.db*"
        assert not dock.guest.holds(told), "the password is in the journal or in the database"
    finally:
        pull_out(dock, server)


DROP_IN = "/etc/systemd/system/berthd.service.d/password.conf"


def test_password_comes_from_the_unit_where_there_is_no_file(dock):
    """SetCredential= is what systemd falls back to when the file of LoadCredential= is missing; the shipped one holds no password."""
    dock.guest.run("rm /etc/berth/cameras.secret")
    dock.restart()
    server = Redirected(dock, PORT, camera(name="without"))
    try:
        shown = dock.wait_state(BAY, "fault")
        assert "no password for this camera" in shown["reason"], shown
    finally:
        pull_out(dock, server)
    dock.guest.run(f"mkdir -p {os.path.dirname(DROP_IN)}")
    dock.put(DROP_IN, f"[Service]\nSetCredential=cameras:[model ambarella-b]\\npassword = {PASSWORD}")
    dock.guest.run("systemctl daemon-reload")
    dock.restart()
    held = dock.guest.run("stat -c '%U %a' /run/credentials/berthd.service/cameras; runuser -u nobody -- cat "
                          "/run/credentials/berthd.service/cameras 2>&1", check=False)
    assert "Permission denied" in held and PASSWORD not in held, f"others can read the daemon's passwords: {held}"
    server = Redirected(dock, PORT, camera(name="with"))
    try:
        # It lets the dock in, tells its battery, and turns into a disk that this simulation has not got.
        dock.wait(lambda: dock.bays[BAY]["battery_percent"] == 64, "the camera to let the dock in")
    finally:
        pull_out(dock, server)


if __name__ == "__main__":
    guest_dock.main([f"1-{PORT}"])
