#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ambarella plugin in a real, sandboxed worker over a simulated camera in command mode: three dialects, refusals, lies."""

import hashlib
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from cards import FatCard  # noqa: E402
from uevents import Uevents  # noqa: E402
from worker import Fault, Worker  # noqa: E402

PORT = "1-1.1"
DIALECTS = "abc"
PASSWORD = "Kr0kus"
NOON = 1795608000  # 2026-11-25 12:00:00 UTC
OWNER = {"officer_id": "7031", "officer_name": "A. Müller", "unit_id": "D12", "unit_name": "Dock unit"}


class Camera:
    """One simulated camera in command mode, docked."""

    count = 0

    def __init__(self, sim, dialect, **spec):
        Camera.count += 1
        self.sim, self.dialect = sim, dialect
        self.name = f"cam{Camera.count}"
        sim("camera", name=self.name, type="ambarella", dialect=dialect,
            **{"id": "BC000042", "serial": "USB-42", "password": PASSWORD, "battery": 64, **spec})
        sim("plug", camera=self.name, port=PORT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for camera in self.sim("list")["cameras"]:
            if camera["port"] == PORT:
                self.sim("unplug", camera=camera["camera"].removeprefix(self.sim.prefix))

    def __getattr__(self, cmd):
        return lambda **args: self.sim(cmd, camera=self.name, **args)

    def fault(self, fault, **args):
        self.sim("fault", camera=self.name, name=fault, **args)

    def worker(self, *options, log=None):
        return Worker(self.sim, self.name, "ambarella", log)

    def opened(self, *options, dialect=None, log=None, password=PASSWORD):
        """A worker that is logged in."""
        w = self.worker(log=log)
        try:
            w.open(f"dialect={dialect or self.dialect}", *options, credentials=[f"password={password}"])
        except BaseException:
            w.__exit__()
            raise
        return w


def fails(kinds, call, *args, **more):
    try:
        call(*args, **more)
    except Fault as fault:
        assert fault.kind in kinds.split(), f"expected {kinds}, got {fault}"
        assert PASSWORD not in str(fault), fault
        return fault
    raise AssertionError(f"expected {kinds}, and it worked")


def patience(fault):
    """Only a camera that says nothing is waited for in vain."""
    return ("timeout-msec=300",) if fault == "silent" else ()


# ---- What each dialect can ------------------------------------------------------------------------------------------


def test_each_dialect_logs_in_tells_what_it_can_and_no_more(sim, _dock):
    for dialect in DIALECTS:
        with Camera(sim, dialect) as c, c.opened() as w:
            who = w.identify()
            assert who == {"manufacturer": "Ambarella", "model": f"Simulated camera, dialect {dialect.upper()}", "firmware": "",
                           "serial": "USB-42" if dialect == "c" else "BC000042", "storage_id": ""}, who
            assert w.health() == ({"battery-percent": 64} if dialect == "b" else {}), w.health()
            if dialect == "c":
                fails("Unsupported", w.set_clock, NOON)
            else:
                w.set_clock(NOON)
                assert c.state()["clock"] == "2026-11-25 12:00:00"
            assert w.close() == 0
            state = c.state()
            assert state["log_ins"] == 1 and state["log_ins_refused"] == 0 and "unknown" not in state["commands"], state


def test_clock_is_set_in_the_zone_of_the_model(sim, _dock):
    for dialect in "ab":
        with Camera(sim, dialect) as c, c.opened("utc-offset-minutes=-90") as w:
            w.set_clock(NOON)
            assert c.state()["clock"] == "2026-11-25 10:30:00"


def test_owner_is_read_written_and_read_back(sim, _dock):
    with Camera(sim, "b", officer_id="1", officer_name="Nobody") as c, c.opened() as w:
        assert w.get_owner() == {"officer_id": "1", "officer_name": "Nobody", "unit_id": "", "unit_name": ""}
        w.set_owner(**OWNER)
        assert w.get_owner() == OWNER
        record = bytes.fromhex(c.state()["record"])
        assert record[:9] == b"BC000042\0", "the serial was touched"
        assert record[17:52].rstrip(b"\0") == "A. Müller".encode("latin-1")
        fails("Unsupported", w.set_owner, officer_id="far too long")
        assert w.get_owner() == OWNER
    for dialect in "ac":
        with Camera(sim, dialect) as c, c.opened() as w:
            fails("Unsupported", w.get_owner)
            fails("Unsupported", w.set_owner)


def test_role_user_has_its_own_password(sim, _dock):
    with Camera(sim, "b", user_password="user-1") as c:
        with c.worker() as w:
            w.open("dialect=b", credentials=["password=user-1", "user=user"])
        with c.worker() as w:
            fails("Denied", w.open, "dialect=b", credentials=["password=user-1"])
        with c.worker() as w:
            fails("Plugin", w.open, "dialect=b", credentials=["password=user-1", "user=root"])
        assert c.state()["log_ins_refused"] == 1


def test_camera_in_command_mode_never_passes_for_an_empty_one(sim, _dock):
    for dialect in DIALECTS:
        with Camera(sim, dialect) as c, c.opened() as w:
            fault = fails("Unsupported", w.list)
            assert "storage mode" in str(fault), fault


# ---- The change of mode ---------------------------------------------------------------------------------------------


def into_storage(c, events):
    with c.opened() as w:
        w.enter_storage()
        fails("Plugin", w.identify)  # nothing but Close is left to say
        w.close()
    events.wait("remove", PORT)
    events.wait("add", PORT)
    assert not c.state()["docked"]


def in_command_mode_again(c, events):
    events.wait("add", PORT)
    assert c.state()["docked"] and not c.state()["logged_in"]
    with c.opened() as w:
        w.identify()


def test_camera_comes_back_at_its_port_as_a_disk_and_goes_back(sim, _dock):
    card = FatCard(tempfile.mkdtemp()).fill(100000)
    for dialect in DIALECTS:
        disk = f"disk-{dialect}"
        sim("camera", name=disk, type="msc", vid=0x1234, pid=0x5678, serial="DISK-1", image=card.image)
        with Camera(sim, dialect, storage=disk) as c, Uevents() as events:
            into_storage(c, events)
            with Worker(sim, disk, "msc") as w:
                w.open()
                clip = w.list()[0]
                assert w.pull(clip).digest.hex() == hashlib.sha256(card.files[clip.path]).hexdigest()
                # An eject sends it back, and so does a loss of power.
                w.eject()
                w.close()
            events.wait("remove", PORT)
            in_command_mode_again(c, events)
            into_storage(c, events)
            sim("port", port=PORT, power="off")
            events.wait("remove", PORT)
            sim("port", port=PORT, power="on")
            in_command_mode_again(c, events)


def test_answer_to_the_change_may_be_missing(sim, _dock):
    """Some leave at once, or say nothing: that they took the command shows on the bus."""
    for dialect in DIALECTS:
        for fault in ("silent", "stall", None):
            with Camera(sim, dialect, storage=None, leave_msec=0) as c, Uevents() as events, c.opened(*patience(fault)) as w:
                if fault:
                    c.fault(fault, command="storage")
                w.enter_storage()
                events.wait("remove", PORT)
                w.close()


def test_camera_that_refuses_the_change_says_so(sim, _dock):
    for dialect in "ab":
        with Camera(sim, dialect) as c, c.opened() as w:
            c.fault("refuse", command="storage")
            fails("Denied", w.enter_storage)
            w.identify()  # it is where it was


# ---- Refusals -------------------------------------------------------------------------------------------------------


def test_refused_log_in_is_denied_and_not_tried_twice(sim, _dock):
    for dialect in DIALECTS:
        with Camera(sim, dialect) as c:
            fault = fails("Denied", c.opened, password="wr0ng!")
            assert "credentials" in str(fault) and "wr0ng!" not in str(fault), fault
            state = c.state()
            assert state["log_ins"] == 0 and state["log_ins_refused"] == 1, state


def test_without_a_password_nothing_is_sent(sim, _dock):
    for dialect in DIALECTS:
        with Camera(sim, dialect) as c:
            for credentials in ([], ["user=admin"]):
                with c.worker() as w:
                    fault = fails("Camera", w.open, f"dialect={dialect}", credentials=credentials)
                    assert "no password" in str(fault), fault
            assert c.state()["commands"] == [] and c.state()["bytes_out"] == 0


def test_wrong_dialect_is_refused_and_no_other_is_tried(sim, _dock):
    for dialect in DIALECTS:
        for wrong in DIALECTS.replace(dialect, ""):
            with Camera(sim, dialect) as c:
                fault = fails("Camera", c.opened, dialect=wrong)
                assert f"dialect {wrong}" in str(fault), fault
                state = c.state()
                assert state["log_ins"] == 0 and len(state["commands"]) <= 1, f"{dialect} as {wrong}: {state}"


def test_dialect_is_never_guessed(sim, _dock):
    with Camera(sim, "a") as c, c.worker() as w:
        fault = fails("Plugin", w.open, credentials=[f"password={PASSWORD}"])
        assert "plugin.dialect" in str(fault), fault
        assert c.state()["requests"] == 0


def test_device_of_another_shape_is_sent_nothing(sim, _dock):
    """As a boot loader of the same ids, or one that became a disk."""
    for dialect, spec in (("a", {"class": 8}), ("a", {"bulk_in": 0x82}), ("b", {"class": 8}), ("c", {"class": 3})):
        with Camera(sim, dialect, **spec) as c:
            fault = fails("Camera", c.opened)
            assert "vendor-specific interface" in str(fault), fault
            state = c.state()
            assert state["commands"] == [] and state["claims"] == 0, state


# ---- Lies -----------------------------------------------------------------------------------------------------------

# What a fault in the answer to a command makes of the call that sent it.
BROKEN = "short wrong_magic wrong_command garbage"
LIES = [
    ("a", "log_in", "wrong_magic garbage long", "Camera"),
    ("a", "log_in", "echo refuse", "Denied"),
    ("a", "log_in", "silent stall", "Camera"),
    ("a", "id", BROKEN + " silent stall refuse", "Camera"),
    ("a", "date", "wrong_magic wrong_command garbage silent stall", "Camera"),
    ("a", "time", "wrong_magic wrong_command garbage silent stall", "Camera"),
    ("b", "ping", BROKEN + " silent stall refuse echo", "Camera"),
    ("b", "log_in", BROKEN + " silent stall", "Camera"),
    ("b", "log_in", "echo refuse", "Denied"),
    ("b", "read_record", BROKEN + " silent stall", "Camera"),
    ("b", "read_record", "refuse echo", "Denied"),
    ("b", "battery", BROKEN + " silent stall", "Camera"),
    ("b", "clock", BROKEN + " silent stall", "Camera"),
    ("b", "write_record", BROKEN + " silent stall", "Camera"),
    ("b", "write_record", "refuse echo", "Denied"),
    ("c", "log_in", "short silent stall", "Camera"),
    ("c", "log_in", "echo garbage refuse", "Denied"),
]


def provoke(c, command, fault=None):
    """Sends what the command is part of."""
    with c.opened(*patience(fault)) as w:
        if command in ("id", "read_record"):
            w.identify()
        elif command == "battery":
            w.health()
        elif command in ("date", "time", "clock"):
            w.set_clock(NOON)
        elif command == "write_record":
            w.set_owner(**OWNER)


def test_answers_that_are_none_end_in_a_fault_with_a_sentence(sim, _dock):
    for dialect, command, faults, kind in LIES:
        for fault in faults.split():
            with Camera(sim, dialect) as c:
                c.fault(fault, command=command)
                try:
                    found = fails(kind, provoke, c, command, fault)
                except AssertionError as e:
                    raise AssertionError(f"{dialect}, {command}, {fault}: {e}") from None
                assert len(str(found)) > 20
                c.fault("none")
                provoke(c, command)  # and the next worker works with it again


def test_values_that_cannot_be_are_not_believed(sim, _dock):
    with Camera(sim, "b", battery=101) as c, c.opened() as w:
        assert w.health() == {}
    with Camera(sim, "b") as c, c.opened() as w:
        c.fault("refuse", command="battery")
        assert w.health() == {}
    for record in ("53" * 3 + "1b" + "00" * 96, "ff" + "01" * 99):
        with Camera(sim, "b", record=record) as c, c.opened() as w:
            fails("Camera", w.identify)
    with Camera(sim, "b", record="00" * 9 + "41" * 7 + "07" + "00" * 83) as c, c.opened() as w:
        fails("Camera", w.get_owner)
    with Camera(sim, "a") as c, c.opened() as w:
        c.fault("payload", command="id", text="@Gdv;8;BC00004")  # cut short: it would be another camera
        fails("Camera", w.identify)


def test_owner_that_is_not_there_afterwards_is_a_fault(sim, _dock):
    with Camera(sim, "b", officer_id="1") as c, c.opened() as w:
        c.fault("payload", command="read_record", skip=1, hex="00" * 100)
        assert "another one" in str(fails("Camera", w.set_owner, **OWNER))


def test_password_shows_nowhere(sim, _dock):
    """Not in what is logged, not in what is answered, whatever the camera sends back."""
    log = os.path.join(tempfile.gettempdir(), "worker.log")
    said = []

    def note(call, *args, **more):
        try:
            said.append(str(call(*args, **more)))
        except Fault as fault:
            said.append(str(fault))

    for dialect in DIALECTS:
        for faults in ([], [("echo", {})], [("payload", {"text": PASSWORD})],
                       [("payload", {"text": f"@Gdv;6;{PASSWORD};#", "command": "id"})],
                       [("payload", {"text": f"@Ver;OK;{PASSWORD};#", "command": "log_in"})], [("refuse", {}), ("garbage", {})]):
            with Camera(sim, dialect, serial=PASSWORD, id=PASSWORD, officer_name=PASSWORD, manufacturer=PASSWORD) as c:
                for fault, args in faults:
                    c.fault(fault, **args)
                with c.worker(log=log) as w:
                    note(w.open, f"dialect={dialect}", credentials=[f"password={PASSWORD}"])
                    note(w.identify)
                    note(w.health)
                    note(w.get_owner)
                    note(w.set_owner, **OWNER)
                    note(w.set_clock, NOON)
                    note(w.list)
                    note(w.enter_storage)
    with open(log, encoding="utf-8", errors="replace") as f:
        logged = f.read()
    assert len(said) == 18 * 8 and "dialect" in logged
    assert PASSWORD not in logged, logged
    assert not any(PASSWORD in text for text in said), said


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="berth-ambarella-") as scratch:
        tempfile.tempdir = scratch
        rack.run([value for name, value in list(globals().items()) if name.startswith("test_")])
