#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A whole dock over body cameras of the ambarella family: command mode, change of mode, the card read as a disk, and back."""

import glob
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from cards import FatCard  # noqa: E402

PASSWORD = "Kr0kus"
MIB = 1 << 20


def passwords(d, text, mode=0o600):
    path = d.path("cameras.secret")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)
    with open(d.path("berthd.conf"), encoding="utf-8") as f:
        conf = f.read()
    with open(d.path("berthd.conf"), "w", encoding="utf-8") as f:
        f.write(conf.replace("[dock]\n", f"[dock]\ncredentials = {path}\n"))
    return d


def camera(sim, name, dialect, card, **spec):
    disk = f"{name}-disk"
    sim("camera", name=disk, type="msc", vid=0x1234, pid=0x5678, serial=f"DISK-{name}", image=card.image)
    sim("camera", name=name, type="ambarella", dialect=dialect,
        **{"id": f"BC-{name}", "serial": f"USB-{name}", "password": PASSWORD, "battery": 64, "storage": disk, **spec})


def confirm(d, serial):
    path = "".join(c if c.isalnum() else f"_{ord(c):02x}" for c in serial)
    d.conn.call_sync(rack.NAME, f"{rack.ROOT}/camera/{path}", f"{rack.NAME}.Camera", "ConfirmIdentity", None, None, 0, 60000, None)


def everything_kept(d):
    """All that the dock wrote anywhere, but for the file of passwords itself."""
    for folder, _, files in os.walk(d.folder):
        for name in files:
            if name != "cameras.secret" and os.path.isfile(os.path.join(folder, name)):
                with open(os.path.join(folder, name), "rb") as f:
                    yield os.path.join(folder, name), f.read()


def test_footage_behind_the_switch_of_a_real_protocol_is_stored_and_erased(sim, dock):
    d = passwords(dock(["1-1.1", "1-1.2", "1-1.3"]), f"[model ambarella-a]\npassword = {PASSWORD}\n[model ambarella-b]\n"
                  f"password = {PASSWORD}\n[camera USB-c]\npassword = {PASSWORD}\n").start()
    cards = {}
    for n, dialect in enumerate("abc", 1):
        cards[dialect] = FatCard(tempfile.mkdtemp(dir=d.folder)).fill(3 * MIB, 100_000)
        camera(sim, dialect, dialect, cards[dialect])
        sim("plug", camera=dialect, port=f"1-1.{n}")
    for n, dialect in enumerate("abc", 1):
        d.wait_state(n, "quarantined", deadline=120)
        assert d.bay(n)["Identity"] == "port", d.bay(n)
        confirm(d, d.bay(n)["Serial"])
        d.wait_state(n, "ready", deadline=120)
        assert sim("state", camera=dialect)["docked"], "it is not back in its command mode"
        assert not [e for e in d.events("fault") if e["bay"] == f"1-1.{n}"]
    assert d.bay(2)["BatteryPercent"] == 64
    d.wait(lambda: len(d.events("erased")) == 6, "the erases to be on record")
    assert len(d.stored()) == 6 and len(d.events("docked")) == 3
    # Whom it is checked out for is written into the camera.
    with open(d.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write(f"id,name,unit_id,unit_name,camera\nP-9,Kim,U-1,Night,{d.bay(2)['Serial']}\n")
    for words in ("roster", "import", d.path("roster.csv")), ("checkout", "P-9"):
        subprocess.run([f"{rack.BUILD}/berthctl", *words], check=True, stdin=subprocess.DEVNULL)
    record = bytes.fromhex(sim("state", camera="b")["record"])
    assert b"P-9" in record and b"Kim" in record and b"U-1" in record and b"Night" in record, record
    [owner] = d.events("owner-set")
    assert (owner["officer_id"], owner["unit_name"], "reason" in d.events("checked-out")[0]) == ("P-9", "Night", False), owner
    d.check_chain()
    d.daemon.end()
    for path, data in everything_kept(d):
        assert PASSWORD.encode() not in data, f"the password is in {path}"


def test_password_of_the_wrong_mode_keeps_the_dock_from_starting(sim, dock):
    d = passwords(dock(["1-1.1"]), f"[model ambarella-b]\npassword = {PASSWORD}\n", 0o644)
    d.start_daemon(wait=False)
    d.daemon.child.wait(120)
    assert d.daemon.child.returncode != 0
    text = d.daemon.output()
    assert "cameras.secret" in text and "chmod 600" in text and PASSWORD not in text, text
    assert not glob.glob(d.path("state", "berth.db"))


def test_wrong_password_keeps_the_camera_quarantined_and_is_not_named(sim, dock):
    d = passwords(dock(["1-1.1"]), "[model ambarella-b]\npassword = wr0ng!\n").start()
    camera(sim, "w", "b", FatCard(tempfile.mkdtemp(dir=d.folder)).fill(1000))
    sim("plug", camera="w", port="1-1.1")
    d.wait_state(1, "quarantined")
    assert "wr0ng!" not in d.bay(1)["Reason"] + d.daemon.output() + str(d.events()), d.bay(1)
    assert not d.events("switch-begun")


def test_systemds_credential_is_found(sim, dock):
    d = dock(["1-1.1"])
    os.makedirs(d.path("credentials"), 0o700)
    with open(d.path("credentials", "cameras"), "w", encoding="utf-8") as f:
        f.write(f"[model ambarella-b]\npassword = {PASSWORD}\n")
    os.chmod(d.path("credentials", "cameras"), 0o400)
    d.daemon_env = {"CREDENTIALS_DIRECTORY": d.path("credentials")}
    d.start()
    card = FatCard(tempfile.mkdtemp(dir=d.folder)).fill(1000)
    camera(sim, "s", "b", card)
    sim("plug", camera="s", port="1-1.1")
    d.wait(lambda: d.events("switch-begun"), "the camera to be opened with the password")
    with open(f"/proc/{d.daemon.pid}/environ", "rb") as f:
        assert PASSWORD.encode() not in f.read()
    d.wait_state(1, "quarantined")


rack.run([test for name, test in list(globals().items()) if name.startswith("test_")])
