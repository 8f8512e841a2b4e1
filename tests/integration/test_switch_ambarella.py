#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Body cameras in command mode with the real plugins: what is done before the change of mode, and those that do not come back as they
should."""

import calendar
import hashlib
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from cards import KIB, FatCard  # noqa: E402

PASSWORD = "Kr0kus"
PORT = "1-1.1"
RETURNS_WITHIN = "4s"


def make_dock(d, password=PASSWORD):
    """With the shipped models, but for the time within which these cameras come back, and the password of all of them."""
    os.makedirs(d.path("cameras.d"))
    for dialect in "abc":
        with open(os.path.join(rack.SRC, "cameras.d", f"ambarella-{dialect}.conf"), encoding="utf-8") as f:
            model = f.read().replace("returns_within = 60s", f"returns_within = {RETURNS_WITHIN}")
        assert RETURNS_WITHIN in model
        with open(d.path("cameras.d", f"ambarella-{dialect}.conf"), "w", encoding="utf-8") as f:
            f.write(model)
    os.makedirs(d.path("credentials"), 0o700)
    with open(d.path("credentials", "cameras"), "w", encoding="utf-8") as f:
        if password:
            f.write("".join(f"[model ambarella-{dialect}]\npassword = {password}\n" for dialect in "abc"))
    os.chmod(d.path("credentials", "cameras"), 0o400)
    d.daemon_env = {"CREDENTIALS_DIRECTORY": d.path("credentials")}
    return d.start()


class Camera:
    """One camera: NAME in command mode, NAME-disk with its card."""

    def __init__(self, sim, d, name, dialect="b", clips=(300 * KIB, 5000), **spec):
        self.sim, self.name, self.disk = sim, name, f"{name}-disk"
        self.serial = f"USB-{name}" if dialect == "c" else f"BC-{name}"
        self.card = FatCard(tempfile.mkdtemp(dir=d.folder), name=f"{name}.img").fill(*clips)
        sim("camera", name=self.disk, type="msc", vid=0x1234, pid=0x5678, serial=f"DISK-{name}", image=self.card.image)
        sim("camera", name=name, type="ambarella", dialect=dialect,
            **{"id": f"BC-{name}", "serial": f"USB-{name}", "password": PASSWORD, "battery": 64, "storage": self.disk, **spec})

    def plug(self):
        self.sim("plug", camera=self.name, port=PORT)

    def state(self):
        return self.sim("state", camera=self.name)

    def set(self, **args):
        self.sim("set", camera=self.name, **args)

    def digests(self):
        return {path: hashlib.sha256(data).hexdigest() for path, data in self.card.files.items()}


def unplug(sim, d):
    """Whatever is in the port."""
    for camera in sim("list")["cameras"]:
        if camera["port"] == PORT:
            sim("unplug", camera=camera["camera"].removeprefix(sim.prefix))
    d.wait_state(1, "empty")


def path_of(serial):
    return f"{rack.ROOT}/camera/" + "".join(c if c.isalnum() else f"_{ord(c):02x}" for c in serial)


def confirm(d, serial):
    d.conn.call_sync(rack.NAME, path_of(serial), f"{rack.NAME}.Camera", "ConfirmIdentity", None, None, 0, 60000, None)


def assert_stored(d, serial, digests):
    stored = d.stored()
    for path, digest in digests.items():
        assert stored.get((serial, path)) == [digest], (serial, path, stored)


def through(d, c):
    """A first docking of it, up to the end."""
    c.plug()
    d.wait_state(1, "quarantined")
    confirm(d, c.serial)
    d.wait_state(1, "ready")


def image_digest(c):
    with open(c.card.image, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


# ---- As it should be ------------------------------------------------------------------------------------------------


def test_all_that_a_dialect_can_is_done_before_the_footage_and_the_camera_is_as_it_was(sim, dock):
    d = make_dock(dock([PORT]))
    for dialect, wanted in (("a", "log_in id date time storage log_in id"),
                            ("b", "ping log_in read_record battery read_record clock storage ping log_in read_record battery"),
                            ("c", "log_in storage log_in")):
        c = Camera(sim, d, f"n{dialect}", dialect, officer_id="7031", officer_name="A. Officer", unit_id="D12")
        before, known = time.time(), len(d.events("clock-set"))
        through(d, c)
        state = c.state()
        assert state["docked"], "it is not back in its command mode"
        told = " ".join(state["commands"])
        assert told.startswith(wanted), f"dialect {dialect}: {told}"
        assert state["log_ins"] == 2 and state["log_ins_refused"] == 0, state
        if dialect != "c":
            shown = calendar.timegm(time.strptime(state["clock"], "%Y-%m-%d %H:%M:%S"))
            assert int(before) - 1 <= shown <= time.time() + 1, state["clock"]
        # Before the footage, and again when it is back.
        assert [e["set"] for e in d.events("clock-set")[known:]] == [dialect != "c"] * 2, d.events("clock-set")
        assert not [e for e in d.events("checked") if "drift_usec" in e], "a clock that nobody can read has a drift"
        shown = d.properties(path_of(c.serial), "Camera")
        if dialect == "b":
            assert shown["BatteryPercent"] == 64 and shown["OfficerId"] == "7031" and shown["OfficerName"] == "A. Officer", shown
        else:
            assert shown["BatteryPercent"] == -1 and shown["OfficerId"] == "", shown
        # The judges of the card are not ours.
        assert_stored(d, c.serial, c.digests())
        assert not c.card.contents(), c.card.contents()
        c.card.check()
        unplug(sim, d)
    assert not d.events("fault")
    d.check_chain()


def test_second_docking_needs_nobody(sim, dock):
    d = make_dock(dock([PORT]))
    c = Camera(sim, d, "c")
    through(d, c)
    unplug(sim, d)
    c.card.put("DCIM/100BERTH/NEW.MP4", b"new footage" * 1000)
    new = {"DCIM/100BERTH/NEW.MP4": c.digests()["DCIM/100BERTH/NEW.MP4"]}
    c.plug()
    d.wait_state(1, "ready")
    assert_stored(d, c.serial, new)
    assert not c.card.contents()


# ---- As it should not -----------------------------------------------------------------------------------------------


def test_camera_swapped_during_the_switch_is_not_taken_for_the_first_one(sim, dock):
    d = make_dock(dock([PORT]))
    c, x = Camera(sim, d, "c"), Camera(sim, d, "x")
    through(d, c)
    unplug(sim, d)
    seen, before = len(d.events("clip-seen")), image_digest(x)
    c.set(storage=x.disk)
    c.plug()
    d.wait_state(1, "quarantined")
    assert "DISK-x" in d.bay(1)["Reason"], d.bay(1)["Reason"]
    d.wait(lambda: d.bay(1)["Identity"] == "other", "the verdict")
    assert len(d.events("clip-seen")) == seen, "another camera's footage was taken for this one's"
    unplug(sim, d)
    assert image_digest(x) == before, "another camera's card was written to"


def test_stranger_at_the_first_switch_keeps_its_footage(sim, dock):
    """The first time only the port speaks for what comes back: it is read, and nothing is erased from it."""
    d = make_dock(dock([PORT]))
    c, x = Camera(sim, d, "c"), Camera(sim, d, "x")
    before = image_digest(x)
    c.set(storage=x.disk)
    c.plug()
    d.wait_state(1, "quarantined")
    assert d.bay(1)["Identity"] == "port" and "camera confirm" in d.bay(1)["Reason"], d.bay(1)
    assert_stored(d, c.serial, x.digests())
    unplug(sim, d)
    assert image_digest(x) == before, "footage that only the port vouched for was touched"


def test_camera_that_does_not_come_back_is_a_fault_with_a_reason(sim, dock):
    d = make_dock(dock([PORT]))
    c = Camera(sim, d, "c", storage=None)
    c.plug()
    d.wait(lambda: d.events("fault"), "the fault")
    assert "did not come back in its storage mode within 4 s" in d.events("fault")[0]["reason"], d.events("fault")
    # Its port's power brings it back; that it then does what it should ends in the usual way.
    c.set(storage=c.disk)
    d.wait_state(1, "quarantined", deadline=120)
    assert_stored(d, c.serial, c.digests())
    assert len(d.events("docked")) == 1


def test_camera_that_stays_is_a_fault_with_a_reason(sim, dock):
    d = make_dock(dock([PORT]))
    c = Camera(sim, d, "c", stays=True)
    c.plug()
    d.wait(lambda: d.events("fault"), "the fault")
    assert "stays as it is" in d.events("fault")[0]["reason"], d.events("fault")
    c.set(stays=False)
    d.wait_state(1, "quarantined", deadline=120)
    assert_stored(d, c.serial, c.digests())


def test_camera_that_comes_back_in_command_mode_is_a_fault_and_no_endless_round(sim, dock):
    d = make_dock(dock([PORT], timeouts={"backoff_min": "10s", "backoff_max": "10s"}))
    c = Camera(sim, d, "c", storage="c")
    c.plug()
    d.wait(lambda: d.events("fault"), "the fault")
    assert "command mode" in d.events("fault")[0]["reason"], d.events("fault")
    assert c.state()["log_ins"] <= 1, "it was opened again at once"
    c.set(storage=c.disk)
    d.wait_state(1, "quarantined", deadline=120)
    assert_stored(d, c.serial, c.digests())
    assert len(d.events("docked")) == 1


def test_camera_that_was_put_in_meanwhile_is_a_docking_of_its_own(sim, dock):
    d = make_dock(dock([PORT], timeouts={"backoff_min": "100ms", "backoff_max": "200ms"}))
    c, x = Camera(sim, d, "c", storage=None), Camera(sim, d, "x")
    c.plug()
    d.wait(lambda: sim("state", camera="c")["away"], "the camera to leave the bus")
    sim("unplug", camera="c")
    x.plug()
    d.wait(lambda: len(d.events("docked")) == 2, "a docking of its own")
    d.wait_state(1, "quarantined")
    assert d.bay(1)["Serial"] == x.serial, d.bay(1)
    assert_stored(d, x.serial, x.digests())
    assert "did not come back in its storage mode" in d.events("undocked")[0]["reason"], d.events("undocked")
    assert not [path for serial, path in d.stored() if serial == c.serial], "its footage was taken for the first camera's"
    d.check_chain()


# ---- The log-in -----------------------------------------------------------------------------------------------------


def test_refused_log_in_is_quarantined_after_one_attempt(sim, dock):
    d = make_dock(dock([PORT], timeouts={"backoff_min": "100ms", "backoff_max": "200ms"}), password="wr0ng!")
    for n, dialect in enumerate("abc", 1):
        c = Camera(sim, d, f"n{dialect}", dialect)
        c.plug()
        d.wait_state(1, "quarantined", "fault")
        assert d.state_of(1) == "quarantined" and "credentials" in d.bay(1)["Reason"], d.bay(1)
        unplug(sim, d)
        state = c.state()
        assert state["log_ins"] == 0 and state["log_ins_refused"] == 1, state
    assert not d.events("fault") and not d.events("switch-begun")
    assert "wr0ng!" not in d.daemon.output() + str(d.events())


def test_camera_without_a_password_is_sent_nothing_and_somebody_is_told(sim, dock):
    d = make_dock(dock([PORT]), password=None)
    c = Camera(sim, d, "c")
    c.plug()
    d.wait(lambda: d.events("fault"), "the fault")
    assert "no password" in d.events("fault")[0]["reason"], d.events("fault")
    assert c.state()["commands"] == []


if __name__ == "__main__":
    rack.run([thing for name, thing in list(globals().items()) if name.startswith("test_")])
