#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cameras that show their footage only as another device: their docking goes on, and nobody else is taken for them."""

import contextlib
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402
from gi.repository import GLib  # noqa: E402

MIB = 1 << 20
PORT = "1-1.1"
MODELS = """[model acme-command]
match = 1209:c0de
interface = ff/00/00
plugin = command
plugin.owner = P-1042
returns_as = acme-disk
returns_within = {within}
{more}
[model acme-disk]
match = 1209:d15c
interface = 06/01/01
plugin = mtp

[model acme-other]
match = 1209:0dd0
interface = 06/01/01
plugin = mtp
"""


def switching_dock(sim, dock, within="60s", more="", bays=(PORT,), **config):
    """A dock whose plugins are the command mode of tests/plugins and, for the storage, mtp."""
    d = dock(list(bays), plugin_dir="/nowhere", **config)
    os.makedirs(d.path("plugins"))
    os.symlink(f"{rack.BUILD}/plugins/mtp.so", d.path("plugins", "mtp.so"))
    os.symlink(f"{rack.BUILD}/tests/plugins/command.so", d.path("plugins", "command.so"))
    os.makedirs(d.path("cameras.d"))
    with open(d.path("cameras.d", "acme.conf"), "w", encoding="utf-8") as f:
        f.write(MODELS.format(within=within, more=more))
    d.config["plugin_dir"] = d.path("plugins")
    d.write_config()
    return d


def command_mode(sim, name, serial):
    sim("camera", name=name, type="stranger", vid=0x1209, pid=0xC0DE, serial=serial, interfaces=[{"class": 255}])


def storage_mode(sim, name, serial, clips, pid=0xD15C):
    sim("camera", name=name, type="ptp", vid=0x1209, pid=pid, serial=serial, manufacturer="Acme", model="Disk", firmware="1",
        clips=clips)
    return rack.sha256_of(sim("state", camera=name, sha256=True))


def camera(sim, name, clips, serial=None, storage_serial=None):
    """Both faces of one camera: NAME and NAME-disk."""
    command_mode(sim, name, serial or f"SN-{name}")
    return storage_mode(sim, f"{name}-disk", storage_serial or f"DISK-{name}", clips)


def put_in(sim, d, name, port=PORT):
    known = len(d.events("switch-begun"))
    sim("plug", camera=name, port=port)
    d.wait(lambda: len(d.events("switch-begun")) > known, "the change of mode to begin")


def dock_camera(sim, d, name, as_name=None, away=50):
    """Puts it in and lets it change its mode when it is told to."""
    put_in(sim, d, name)
    become(sim, name, as_name or f"{name}-disk", away)


def become(sim, name, other, away=50):
    sim("become", camera=name, **({"as": other} if other else {}), leave_msec=0, away_msec=away)


@contextlib.contextmanager
def no_port_power():
    """As where the kernel has no file for it, and the hub cannot be asked."""
    folder, hub = "/sys/bus/usb/devices/1-1:1.0/1-1-port1", "/sys/bus/usb/devices/1-1/speed"
    os.rename(folder, folder + "-away")
    os.rename(hub, hub + "-away")
    try:
        yield
    finally:
        os.rename(folder + "-away", folder)
        os.rename(hub + "-away", hub)


def call(d, serial, method, signature=None, *args):
    path = "".join(c if c.isalnum() and (c.isalpha() or i > 0) else f"_{ord(c):02x}" for i, c in enumerate(serial))
    return d.conn.call_sync(rack.NAME, f"{rack.ROOT}/camera/{path}", f"{rack.NAME}.Camera", method,
                            GLib.Variant(signature, args) if signature else None, None, 0, 60000, None)


def kinds(d):
    return [e["event"] for e in d.events()]


def assert_stored(d, serial, digests):
    stored = d.stored()
    for path, digest in digests.items():
        assert stored.get((serial, path)) == [digest], (serial, path, stored)


def confirm(d, serial):
    call(d, serial, "ConfirmIdentity")


def ctl(*words):
    return subprocess.run([f"{rack.BUILD}/berthctl", *words], capture_output=True, text=True, timeout=120)


def test_docking_goes_on_behind_the_switch_and_ends_ready_in_command_mode(sim, dock):
    d = switching_dock(sim, dock).start()
    digests = camera(sim, "c", [make_clip("a.MP4", 9 * MIB, 1), make_clip("b.MP4", 1000, 2)])
    dock_camera(sim, d, "c")
    d.wait_state(1, "quarantined")
    assert "berthctl camera confirm SN-c" in d.bay(1)["Reason"], d.bay(1)["Reason"]
    assert len(sim("state", camera="c-disk")["clips"]) == 2, "footage that only the port vouches for was erased"
    assert d.bay(1)["Identity"] == "port"
    assert_stored(d, "SN-c", digests)
    assert json.loads(ctl("clips", "--json").stdout)["clips"][0]["identity_by_port"] is True
    for serial, words, code in (("SN-x", "no camera of the serial", 1), ("", "takes one SERIAL", 2)):
        said = ctl("camera", "confirm", *([serial] if serial else []))
        assert said.returncode == code and words in said.stderr, said
    said = ctl("camera", "confirm", "SN-c")
    assert said.returncode == 0, said
    d.wait_state(1, "ready")
    assert ctl("camera", "confirm", "SN-c").returncode == 1
    assert json.loads(ctl("clips", "--json").stdout)["clips"][0]["identity_by_port"] is False
    assert not sim("state", camera="c-disk")["clips"]
    assert sim("state", camera="c")["docked"], "the camera is not back in its command mode"
    assert d.bay(1)["BatteryPercent"] == 77
    assert d.bay(1)["Serial"] == "SN-c"
    # One docking, with every step of it on record.
    d.wait(lambda: len(d.events("checked")) == 3, "the last check to be on record")
    assert len(d.events("docked")) == 1 and not d.events("undocked")
    order = [k for k in kinds(d) if k in ("checked", "switch-begun", "left", "returned", "storage-identified", "identity-confirmed",
                                          "erased", "ejected")]
    assert order == ["checked", "switch-begun", "left", "returned", "storage-identified", "checked", "identity-confirmed", "erased",
                     "erased", "ejected", "left", "returned", "checked"], order
    assert d.events("identity-confirmed")[0]["operator_uid"] == 0
    assert {e["docking_id"] for e in d.events() if "docking_id" in e} == {1}
    d.check_chain()


def test_owner_and_drift_are_on_record_before_anything_changes(sim, dock):
    d = switching_dock(sim, dock, more="plugin.drift = -4000").start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    dock_camera(sim, d, "c")
    d.wait_state(1, "quarantined")
    checked, in_storage = d.events("checked")
    assert checked["officer_id"] == "P-1042" and checked["battery_percent"] == 77
    assert -4_060_000_000 < checked["drift_usec"] < -3_940_000_000, checked
    order = kinds(d)
    assert order.index("checked") < order.index("clock-set") < order.index("switch-begun")
    assert "drift_usec" not in in_storage and "officer_id" not in in_storage
    shown = d.properties(f"{rack.ROOT}/camera/SN_2dc", "Camera")
    assert shown["OfficerId"] == "P-1042" and shown["BatteryPercent"] == 77, shown
    # So the store's manifest says, too, which a stranger reads with jq and sha256sum alone.
    wanted = r'"\(.facts.officer.id) \(.facts.clock.drift_usec) \(.facts.custody.sha256)", "\(.sha256)  \(.object)"'
    read = subprocess.run(["jq", "-r", wanted, *d.objects("manifests")], cwd=d.store, capture_output=True, text=True,
                          check=True).stdout.splitlines()
    copied = dict(d.rows("SELECT hash, seq FROM custody WHERE kind = 'copied'"))
    assert read[0].split() == ["P-1042", str(checked["drift_usec"]), *(h.hex() for h in copied)], read
    checksums = subprocess.run(["sha256sum", "--check", "--strict"], input=read[1] + "\n", cwd=d.store, capture_output=True, text=True)
    assert checksums.returncode == 0 and checksums.stdout.endswith(": OK\n"), checksums


def test_second_docking_with_the_same_storage_confirms_itself(sim, dock):
    d = switching_dock(sim, dock).start()
    digests = camera(sim, "c", [make_clip("a.MP4", 9 * MIB, 1)])
    dock_camera(sim, d, "c")
    d.wait_state(1, "quarantined")
    sim("unplug", camera="c-disk")
    d.wait_state(1, "empty")
    dock_camera(sim, d, "c")
    d.wait_state(1, "ready")
    assert [e["identity"] for e in d.events("storage-identified")] == ["port", "storage"]
    assert not sim("state", camera="c-disk")["clips"]
    assert_stored(d, "SN-c", digests)


def test_camera_swapped_during_the_switch_is_not_taken_for_the_first(sim, dock):
    d = switching_dock(sim, dock).start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    camera(sim, "x", [make_clip("a.MP4", 1000, 2)])
    dock_camera(sim, d, "c")
    d.wait_state(1, "quarantined")
    confirm(d, "SN-c")
    d.wait_state(1, "ready")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    begun = len(d.events("clip-seen"))
    dock_camera(sim, d, "c", "x-disk")
    d.wait_state(1, "quarantined")
    assert "DISK-x" in d.bay(1)["Reason"] and "DISK-c" in d.bay(1)["Reason"], d.bay(1)["Reason"]
    assert d.bay(1)["Identity"] == "other"
    assert len(d.events("clip-seen")) == begun, "another camera's footage was taken for this one's"
    assert len(sim("state", camera="x-disk")["clips"]) == 1
    d.wait(lambda: d.events("storage-identified")[-1]["identity"] == "other", "that to be on record")


def test_exchanged_card_is_taken_when_somebody_vouches_for_it(sim, dock):
    d = switching_dock(sim, dock).start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    digests = storage_mode(sim, "card", "DISK-new", [make_clip("n.MP4", 1000, 3)])
    dock_camera(sim, d, "c")
    d.wait_state(1, "quarantined")
    confirm(d, "SN-c")
    d.wait_state(1, "ready")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    dock_camera(sim, d, "c", "card")
    d.wait_state(1, "quarantined")
    assert d.bay(1)["Identity"] == "other"
    confirm(d, "SN-c")
    d.wait_state(1, "ready")
    assert_stored(d, "SN-c", digests)
    assert not sim("state", camera="card")["clips"]


def test_another_model_is_a_docking_of_its_own(sim, dock):
    d = switching_dock(sim, dock).start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    digests = storage_mode(sim, "o", "OTHER-1", [make_clip("o.MP4", 1000, 3)], pid=0x0DD0)
    dock_camera(sim, d, "c", "o")
    d.wait_state(1, "ready")
    assert d.bay(1)["Serial"] == "OTHER-1"
    assert "did not come back" in d.events("undocked")[0]["reason"], d.events("undocked")
    assert len(d.events("docked")) == 2
    assert_stored(d, "OTHER-1", digests)


def test_stranger_in_its_place_is_refused(sim, dock):
    d = switching_dock(sim, dock).start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    sim("camera", name="kbd", type="stranger", vid=0x1D6B, pid=0x0104, interfaces=[{"class": 3, "subclass": 1, "protocol": 1}])
    dock_camera(sim, d, "c", "kbd")
    d.wait_state(1, "refused")
    assert sim("state", camera="kbd")["requests"] == 0


def test_camera_that_comes_too_late_is_a_docking_of_its_own(sim, dock):
    d = switching_dock(sim, dock, within="1s").start()
    digests = camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    with no_port_power():
        dock_camera(sim, d, "c", away=5000)
        d.wait(lambda: d.events("fault"), "the fault")
        d.wait_state(1, "ready")
    assert d.bay(1)["Serial"] == "DISK-c" and d.bay(1)["Identity"] == "own", d.bay(1)
    assert "did not come back in its storage mode" in d.events("undocked")[0]["reason"], d.events("undocked")
    assert len(d.events("docked")) == 2 and not d.events("returned")
    assert_stored(d, "DISK-c", digests)


def test_camera_that_never_comes_back_is_a_fault_and_is_power_cycled(sim, dock):
    d = switching_dock(sim, dock, within="1s").start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    put_in(sim, d, "c")
    become(sim, "c", None)
    d.wait(lambda: d.events("fault"), "the fault")
    assert "did not come back in its storage mode within 1 s" in d.events("fault")[0]["reason"], d.events("fault")
    # After the back-off its port is switched off and on, and it begins anew in the same docking.
    d.wait(lambda: len(d.events("switch-begun")) >= 2, "a second attempt")
    assert len(d.events("docked")) == 1
    assert d.events("returned")[0]["storage_mode"] is False


def test_camera_that_ignores_the_command_is_a_fault(sim, dock):
    d = switching_dock(sim, dock, within="1s").start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    sim("plug", camera="c", port=PORT)
    d.wait(lambda: d.events("fault"), "the fault")
    assert "stays as it is" in d.events("fault")[0]["reason"], d.events("fault")
    d.wait(lambda: len(d.events("switch-begun")) >= 2, "another attempt after the back-off")
    sim("unplug", camera="c")


def test_camera_that_refuses_to_change_is_a_fault(sim, dock):
    d = switching_dock(sim, dock, more="plugin.enter = denied").start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    sim("plug", camera="c", port=PORT)
    d.wait(lambda: d.bay(1).get("Faults", 0) >= 2, "two faults")
    assert "storage mode" in d.bay(1)["Reason"], d.bay(1)["Reason"]
    sim("unplug", camera="c")
    d.wait_state(1, "empty")


def test_refused_log_in_is_quarantined_and_not_tried_again(sim, dock):
    d = switching_dock(sim, dock, more="plugin.password = right", timeouts={"backoff_min": "100ms", "reconcile": "100ms"}).start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    sim("plug", camera="c", port=PORT)
    d.wait_state(1, "quarantined", "fault")
    assert d.state_of(1) == "quarantined" and "is wrong" in d.bay(1)["Reason"], d.bay(1)
    # Another try would come with the next docking only.
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    assert d.daemon.output().count("is wrong") == 2, d.daemon.output()  # the worker's line, and the reason
    assert not d.events("fault")


def test_what_a_camera_cannot_tell_keeps_no_footage(sim, dock):
    """A clock that can only be set is set, with its drift unknown; an owner that is no text is unknown."""
    d = switching_dock(sim, dock, more="plugin.mute = yes").start()
    digests = camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    dock_camera(sim, d, "c")
    d.wait_state(1, "quarantined")
    assert_stored(d, "SN-c", digests)
    assert "drift_usec" not in d.events("checked")[0] and "officer_id" not in d.events("checked")[0], d.events("checked")
    assert d.events("clock-set")[0]["set"] is True, d.events("clock-set")


def test_camera_taken_out_while_it_switches_costs_a_fault_and_no_footage(sim, dock):
    d = switching_dock(sim, dock, within="2s").start()
    digests = camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    put_in(sim, d, "c")
    sim("unplug", camera="c")
    d.wait(lambda: d.state_of(1) == "fault" and "put it in again" in d.bay(1)["Reason"], "the fault")
    # Put in again it is a docking like any other.
    dock_camera(sim, d, "c")
    d.wait_state(1, "quarantined")
    assert_stored(d, "SN-c", digests)


def kill(d):
    d.daemon.end(signal.SIGKILL)
    d.start_daemon()


def test_daemon_killed_while_the_camera_is_away_knows_it_again(sim, dock):
    d = switching_dock(sim, dock).start()
    digests = camera(sim, "c", [make_clip("a.MP4", 9 * MIB, 1)])
    put_in(sim, d, "c")
    d.daemon.end(signal.SIGKILL)
    become(sim, "c", "c-disk")
    d.wait(lambda: sim("state", camera="c")["away"] or sim("state", camera="c-disk")["docked"], "it to leave")
    d.start_daemon()
    d.wait_state(1, "quarantined")
    assert d.bay(1)["Serial"] == "SN-c" and d.bay(1)["Identity"] == "port", d.bay(1)
    assert_stored(d, "SN-c", digests)
    # The same stay again, after another crash, is no second witness.
    kill(d)
    d.wait_state(1, "quarantined")
    assert [e["identity"] for e in d.events("storage-identified")] == ["port", "port"]
    assert len(sim("state", camera="c-disk")["clips"]) == 1
    confirm(d, "SN-c")
    d.wait_state(1, "ready")
    assert not sim("state", camera="c-disk")["clips"]
    d.check_chain()


def test_daemon_restarted_in_the_middle_of_a_pull_knows_the_camera_again(sim, dock):
    d = switching_dock(sim, dock).start()
    digests = camera(sim, "c", [make_clip("a.MP4", 48 * MIB, 1)])
    sim("slow", camera="c-disk", bytes_per_sec=4 * MIB)
    dock_camera(sim, d, "c")
    d.wait(lambda: d.rows("SELECT count(*) FROM blocks")[0][0] >= 1, "a block")
    d.daemon.end(signal.SIGTERM)
    sim("slow", camera="c-disk", bytes_per_sec=0)
    d.start_daemon()
    d.wait_state(1, "quarantined")
    assert d.bay(1)["Serial"] == "SN-c"
    assert_stored(d, "SN-c", digests)
    assert d.events("pull-begun")[-1]["offset_bytes"] > 0, "what was pulled before the restart counted for nothing"


def test_camera_swapped_while_the_daemon_was_down_is_not_taken_for_the_first(sim, dock):
    d = switching_dock(sim, dock, within="1s").start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    digests = camera(sim, "x", [make_clip("x.MP4", 1000, 2)])
    dock_camera(sim, d, "c")
    d.wait_state(1, "quarantined")
    until = d.rows("SELECT until_boottime_usec FROM switches")[0][0]
    d.daemon.end(signal.SIGKILL)
    sim("unplug", camera="c-disk")
    d.wait(lambda: int(float(open("/proc/uptime", encoding="ascii").read().split()[0]) * 1e6) > until, "the window to end")
    sim("plug", camera="x-disk", port=PORT)
    d.start_daemon()
    d.wait_state(1, "ready")
    assert d.bay(1)["Serial"] == "DISK-x", d.bay(1)
    assert_stored(d, "DISK-x", digests)


def test_bay_without_port_power_leaves_the_camera_ready_in_storage_mode(sim, dock):
    d = switching_dock(sim, dock, within="1s").start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    with no_port_power():
        dock_camera(sim, d, "c")
        d.wait_state(1, "quarantined")
        confirm(d, "SN-c")
        d.wait_state(1, "ready")
        assert sim("state", camera="c-disk")["docked"] and not sim("state", camera="c-disk")["clips"]
        assert d.daemon.output().count("cannot be switched") == 1, d.daemon.output()
        assert d.bay(1)["BatteryPercent"] == 77, "what the camera told before is forgotten"
        # A daemon that starts now does not look for a storage that was ejected, and does not wait for a camera to go back.
        d.wait(lambda: d.events("ejected"), "the eject to be on record")
        looked = len(d.events("identified"))
        kill(d)
        d.wait_state(1, "ready")
        assert d.bay(1)["Serial"] == "SN-c" and len(d.events("identified")) == looked
        sim("unplug", camera="c-disk")
        d.wait_state(1, "empty")


def test_port_that_a_killed_daemon_left_off_is_switched_on_again(sim, dock):
    d = switching_dock(sim, dock)
    sim("port", port=PORT, power="off")
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    d.start()
    dock_camera(sim, d, "c")
    d.wait_state(1, "quarantined")
    assert "has its power again" in d.daemon.output()


def test_owner_is_written_only_to_a_camera_that_is_ready(sim, dock):
    d = switching_dock(sim, dock).start()
    camera(sim, "c", [make_clip("a.MP4", 1000, 1)])
    dock_camera(sim, d, "c")
    d.wait_state(1, "quarantined")
    try:
        call(d, "SN-c", "SetOwner", "(ssss)", "P-7", "A. Officer", "U-1", "Night")
        raise AssertionError("an owner was written to a camera in its storage mode")
    except GLib.Error as e:
        assert "mode" in e.message, e.message
    confirm(d, "SN-c")
    d.wait_state(1, "ready")
    said = ctl("camera", "owner", "SN-c", "P-7", "A. Officer", "U-1", "Night")
    assert said.returncode == 0, said
    event = d.events("owner-set")[0]
    assert event["officer_id"] == "P-7" and event["unit_name"] == "Night" and event["operator_uid"] == 0, event
    d.wait(lambda: d.properties(f"{rack.ROOT}/camera/SN_2dc", "Camera").get("OfficerName") == "A. Officer", "the new owner to be shown")
    d.wait_state(1, "ready")
    # A checkout writes it, too.
    with open(d.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write("id,name,unit_id,unit_name\nP-8,B. Officer,U-1,Night\n")
    assert ctl("roster", "import", d.path("roster.csv")).returncode == 0
    said = ctl("checkout", "P-8")
    assert said.returncode == 0 and "camera SN-c" in said.stdout, said
    assert [e["officer_id"] for e in d.events("owner-set")] == ["P-7", "P-8"]
    [out] = d.events("checked-out")
    assert out["officer_name"] == "B. Officer" and "reason" not in out, out


rack.run([test for name, test in list(globals().items()) if name.startswith("test_")])
