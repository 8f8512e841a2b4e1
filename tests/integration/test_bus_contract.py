#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""org.berth.Dock1 as the running daemon shows it, against its XML files, its database and its own signals."""

import hashlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from contract import live, written  # noqa: E402
from rack import BUILD, NAME, ROOT, Gio, GLib, make_clip  # noqa: E402

MIB = 1 << 20
INVALID = f"{NAME}.Error.InvalidArgument"
STANDING = {f"{ROOT}/roster", f"{ROOT}/transfer", f"{ROOT}/firmware"}
PROGRESS = {"ClipsCopied", "ClipsStored", "ClipsErased", "BytesCopied", "BytesStored", "CurrentClip"}
SPOOL = {"SpoolUsedBytes", "SpoolFreeBytes", "UnstoredClips", "UnstoredBytes"}


def call(dock, member, signature, *args, path=ROOT, interface=f"{NAME}.Manager"):
    return dock.conn.call_sync(NAME, path, interface, member, GLib.Variant(signature, args) if signature else None, None, 0, 60000,
                               None).unpack()


def refused(dock, member, signature, *args):
    """The error's name and its text."""
    try:
        answer = call(dock, member, signature, *args)
    except GLib.Error as error:
        return Gio.DBusError.get_remote_error(error), error.message
    raise AssertionError(f"{member}{args} was answered: {answer}")


def managed(dock):
    return call(dock, "GetManagedObjects", None, interface="org.freedesktop.DBus.ObjectManager")[0]


class Follower:
    """The dock as its signals alone tell it, from one GetManagedObjects on."""

    def __init__(self, dock):
        self.dock, self.signals, self.objects = dock, [], {}
        self.subscription = dock.conn.signal_subscribe(NAME, None, None, None, None, 0, self._on_signal)
        self.objects = {path: {n: dict(p) for n, p in i.items() if n.startswith(NAME)} for path, i in managed(dock).items()}
        self.objects[ROOT] = {f"{NAME}.Manager": dock.manager()}
        self.signals = []

    def _on_signal(self, _conn, _sender, path, _interface, member, parameters):
        args = parameters.unpack()
        self.signals.append((time.monotonic(), path, member, args))
        if member == "PropertiesChanged" and path in self.objects:
            self.objects[path][args[0]].update(args[1])
        elif member == "InterfacesAdded":
            self.objects[args[0]] = {n: dict(p) for n, p in args[1].items() if n.startswith(NAME)}
        elif member == "InterfacesRemoved":
            del self.objects[args[0]]

    def same(self):
        """Whether the signals have told all that a fresh look finds."""
        now = {path: {n: dict(p) for n, p in i.items() if n.startswith(NAME)} for path, i in managed(self.dock).items()}
        now[ROOT] = {f"{NAME}.Manager": self.dock.manager()}
        # The disk's free space moves between two looks; that it is announced is seen elsewhere.
        for objects in (now, self.objects):
            for name in ("SpoolUsedBytes", "SpoolFreeBytes", "SpoolHoldsSec"):
                objects[ROOT][f"{NAME}.Manager"].pop(name, None)
        return now == self.objects

    def close(self):
        self.dock.conn.signal_unsubscribe(self.subscription)


def camera(sim, name, n_clips, size=300_001, **spec):
    sim("camera", name=name, type="ptp", serial=spec.pop("serial", f"SN-{name}"), manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[make_clip(f"DCIM/100/C{k:04}.MP4", size, k) for k in range(n_clips)], **spec)


def test_xml_files_are_what_the_daemon_shows(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    camera(sim, "c", 1, battery=50)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    paths = {"Manager": ROOT, "Bay": f"{ROOT}/bay/1", "Camera": d.bay(1)["Camera"], "Roster": f"{ROOT}/roster",
             "Transfers": f"{ROOT}/transfer", "Catalog": f"{ROOT}/firmware"}
    for noun, path in paths.items():
        assert live(d.conn, path, noun) == written(noun), noun


def test_what_is_on_its_way_is_an_object_as_its_contract_says(sim, dock):
    d = dock(["1-1.1"], limit="00:00-24:00 2 Mbit/s").start()
    camera(sim, "c", 1, size=2 * MIB)
    sim("plug", camera="c", port="1-1.1")
    path = d.wait(lambda: [p for p in managed(d) if "/transfer/" in p], "the transfer")[0]
    assert live(d.conn, path, "Transfer") == written("Transfer")
    d.wait(lambda: d.properties(f"{ROOT}/transfer", "Transfers")["BytesPerSec"] > 0, "its pace to be known")
    seen = d.properties(path, "Transfer")
    assert path == f"{ROOT}/transfer/{seen['ClipId']}" and (seen["Serial"], seen["SizeBytes"]) == ("SN-c", 2 * MIB), seen
    d.wait(lambda: not any("/transfer/" in p for p in managed(d)), "it to have gone when it is stored", deadline=120)
    assert d.properties(f"{ROOT}/transfer", "Transfers")["BytesPerSec"] == 0


def test_objects_are_where_the_contract_says(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    camera(sim, "c", 2, battery=50, serial="BC/7 ä")
    sim("plug", camera="c", port="1-1.2")
    d.wait_state(2, "ready")
    # What was under way is looked at four times a second.
    d.wait(lambda: not any("/transfer/" in path for path in managed(d)), "the last transfer to have gone")
    objects = managed(d)
    camera_path = f"{ROOT}/camera/BC_2f7_20_c3_a4"
    assert {p for p in objects if p.startswith(ROOT)} == {f"{ROOT}/bay/1", f"{ROOT}/bay/2", camera_path, *STANDING}, sorted(objects)
    bay, cam = objects[f"{ROOT}/bay/2"][f"{NAME}.Bay"], objects[camera_path][f"{NAME}.Camera"]
    # What changes by itself may have changed since.
    d.wait(lambda: managed(d)[f"{ROOT}/bay/2"][f"{NAME}.Bay"] == d.bay(2), "the bay to be told alike both ways")
    assert (bay["Camera"], cam["Bay"]) == (camera_path, f"{ROOT}/bay/2"), (bay, cam)
    assert (bay["Number"], bay["PortPath"], bay["Serial"], bay["Model"], bay["BatteryPercent"]) == (2, "1-1.2", "BC/7 ä", "BC-1", 50), bay
    assert (bay["ClipsTotal"], bay["ClipsErased"], bay["BytesTotal"], bay["BytesStored"]) == (2, 2, 600_002, 600_002), bay
    assert (cam["Serial"], cam["Manufacturer"], cam["Firmware"], cam["ClockDriftKnown"]) == ("BC/7 ä", "Acme", "1.2", True), cam
    empty = d.bay(1)
    assert (empty["State"], empty["Camera"], empty["Serial"], empty["BatteryPercent"], empty["ClipsTotal"]) == ("empty", "/", "", -1, 0)
    manager = d.manager()
    assert (manager["DockName"], manager["State"], manager["StoreState"], manager["SpoolState"]) == ("test-dock", "running", "ready", "ok")
    assert manager["ClockSynchronised"] is True and manager["UnstoredClips"] == 0, manager
    sim("unplug", camera="c")
    d.wait(lambda: d.properties(camera_path, "Camera")["Bay"] == "/", "the camera to be known as away")


def test_signals_tell_every_change(sim, dock):
    d = dock(["1-1.1", "1-1.2", "1-1.3"]).start()
    for n in range(3):
        camera(sim, f"c{n}", 4, battery=40 + n)
    follower = Follower(d)
    for n in range(3):
        sim("plug", camera=f"c{n}", port=d.bays[n])
    for n in range(3):
        d.wait_state(n + 1, "ready")
    d.wait(follower.same, "the signals to have told all")
    sim("unplug", camera="c1")
    d.wait_state(2, "empty")
    d.wait(follower.same, "the signals to have told that a camera left")
    added = [args[0] for _, _, member, args in follower.signals if member == "InterfacesAdded" and "/transfer/" not in args[0]]
    assert sorted(added) == [f"{ROOT}/camera/SN_2dc{n}" for n in range(3)], added
    follower.close()


def test_progress_is_announced_four_times_a_second_at_most(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "c", 40, size=MIB)
    sim("slow", camera="c", bytes_per_sec=12 * MIB)
    follower = Follower(d)
    started = time.monotonic()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    d.wait(follower.same, "the signals to have told all")
    lasted = time.monotonic() - started
    changes = [args[1] for _, path, member, args in follower.signals if member == "PropertiesChanged" and path.endswith("/bay/1")]
    progress = [c for c in changes if set(c) <= PROGRESS]
    assert len(progress) <= 4 * lasted + 1, f"{len(progress)} announcements of progress in {lasted:.1f} s"
    assert len([c for c in changes if c.get("BytesCopied", 0) > 0]) >= 4, "progress is to be seen on the way"
    spool = [args[1] for _, path, member, args in follower.signals if path == ROOT and member == "PropertiesChanged"]
    # With each change of the bay's state they are told at once.
    states = len([c for c in changes if "State" in c])
    assert len([c for c in spool if set(c) <= SPOOL]) <= 4 * lasted + 1 + states, f"{len(spool)} announcements in {lasted:.1f} s"
    ready = next(c for c in changes if c.get("State") == "ready")
    assert d.bay(1)["ClipsErased"] == 40 and ready.get("ClipsErased", 40) == 40, f"ready is told with its counts: {ready}"
    follower.close()


def test_clips_are_given_page_by_page(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    camera(sim, "a", 130, size=2000)
    camera(sim, "b", 3, size=2000)
    sim("plug", camera="a", port="1-1.1")
    d.wait_state(1, "ready", deadline=180)
    sim("plug", camera="b", port="1-1.2")
    d.wait_state(2, "ready")
    d.wait(lambda: len(d.events("erased")) == 133, "the erases to be on record")
    rows = d.rows("SELECT id FROM clips ORDER BY id DESC")
    listed = lambda *args: call(d, "ListClips", "(sstu)", *args)[0]  # noqa: E731
    ids = lambda *args: [c["Id"] for c in listed(*args)]  # noqa: E731
    every = [row[0] for row in rows]
    assert len(every) == 133 and ids("", "", 0, 500) == every
    assert ids("", "", 0, 0) == every[:100], "100 unless asked"
    assert ids("", "", 0, 0xffffffff) == every, "too many is as many as there may be"
    assert ids("", "", every[99], 500) == every[100:]
    assert len(ids("SN-b", "", 0, 0)) == 3 and ids("SN-b", "", every[1], 0) == every[2:3]
    assert len(ids("", "erased", 0, 500)) == 133 and ids("", "conflict", 0, 0) == []
    clip = listed("SN-b", "", 0, 1)[0]
    assert (clip["Serial"], clip["SizeBytes"], clip["State"], clip["ModifiedSec"], clip["ReceiptStrength"]) == (
        "SN-b", 2000, "erased", 1700000000, "digest"), clip
    assert len(clip["Digest"]) == 64 and clip["ObjectKey"] and clip["ManifestKey"] and clip["ReceiptSec"] > 1700000000, clip
    assert "Reason" not in clip, clip


def test_events_are_given_page_by_page_with_the_bytes_that_are_hashed(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "c", 30, size=2000)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=120)
    sim("unplug", camera="c")
    d.wait(lambda: d.events("undocked"), "the last word about this docking")
    kept = d.rows("SELECT seq, bytes FROM custody ORDER BY seq")
    kept = [(seq, data if isinstance(data, str) else data.decode()) for seq, data in kept]
    listed = lambda *args: call(d, "ListEvents", "(tstu)", *args)[0]  # noqa: E731
    last = lambda *args: call(d, "LastEvents", "(stu)", *args)[0]  # noqa: E731
    assert len(kept) > 150, "enough for pages"
    assert [(seq, text) for seq, text, _ in listed(0, "", 0, 500)] == kept[:500]
    assert all(hashlib.sha256(text.encode()).hexdigest() == digest for _, text, digest in listed(0, "", 0, 500))
    assert [e[0] for e in listed(0, "", 0, 0)] == [seq for seq, _ in kept[:100]], "100 unless asked"
    assert [e[0] for e in listed(kept[-3][0], "", 0, 0)] == [seq for seq, _ in kept[-2:]]
    assert [(seq, text) for seq, text, _ in last("", 0, 5)] == kept[-5:]
    of_clip = listed(0, "SN-c", 1, 500)
    assert of_clip and all(json.loads(text)["clip_id"] == 1 for _, text, _ in of_clip), of_clip
    assert last("SN-c", 1, 2) == of_clip[-2:]


def test_figures_are_those_of_the_database_and_of_what_was_done(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "c", 5, size=MIB)
    sim("slow", camera="c", bytes_per_sec=8 * MIB)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    # The erase of the last one is committed after its bay is ready.
    d.wait(lambda: call(d, "GetFigures", None)[0]["Clips"]["erased"] == 5, "the facts to be on record")
    f = call(d, "GetFigures", None)[0]
    assert f["Bytes"]["erased"] == 5 * MIB and set(f["Clips"]) == set(f["Bytes"]) and len(f["Clips"]) == 9, f
    assert (f["CopiedClips"], f["CopiedBytes"], f["StoredClips"], f["StoredBytes"], f["ErasedClips"]) == (5, 5 * MIB, 5, 5 * MIB, 5), f
    assert f["ReadBytes"] == 5 * MIB and f["Faults"] == 0 and "OldestUnstoredUsec" not in f, f
    assert f["CustodyEvents"] == d.rows("SELECT max(seq) FROM custody")[0][0], f


def test_bad_arguments_are_refused_by_name(sim, dock):
    d = dock(["1-1.1"]).start()
    for member, signature, args, what in (
            ("ListClips", "(sstu)", ("", "bogus", 0, 0), "state"), ("ListClips", "(sstu)", ("x" * 256, "", 0, 0), "serial"),
            ("ListClips", "(sstu)", ("", "", 1 << 63, 0), "before_id"), ("ListEvents", "(tstu)", (1 << 63, "", 0, 0), "after_seq"),
            ("ListEvents", "(tstu)", (0, "", 1 << 63, 0), "clip_id"), ("LastEvents", "(stu)", ("x" * 256, 0, 0), "serial"),
            ("LastEvents", "(stu)", ("", 1 << 63, 0), "clip_id")):
        name, text = refused(d, member, signature, *args)
        assert name == INVALID and what in text, (member, args, name, text)
    assert refused(d, "ListRefused", "(s)", "x")[0] == "org.freedesktop.DBus.Error.InvalidArgs"


def test_who_was_never_here_is_told_from_what_has_nothing(sim, dock):
    d = dock(["1-1.1"]).start()
    for member, signature, args, error, what in (
            ("ListClips", "(sstu)", ("nobody", "", 0, 0), "NoSuchCamera", "'nobody'"),
            ("ListEvents", "(tstu)", (0, "nobody", 0, 0), "NoSuchCamera", "'nobody'"),
            ("LastEvents", "(stu)", ("nobody", 0, 0), "NoSuchCamera", "'nobody'"),
            ("ListEvents", "(tstu)", (0, "", 77, 0), "NoSuchClip", "77"), ("LastEvents", "(stu)", ("", 77, 0), "NoSuchClip", "77")):
        name, text = refused(d, member, signature, *args)
        assert name == f"{NAME}.Error.{error}" and what in text, (member, args, name, text)


def error_of(dock, path, noun, member, signature=None, *args):
    try:
        answer = call(dock, member, signature, *args, path=f"{ROOT}{path}", interface=f"{NAME}.{noun}")
    except GLib.Error as error:
        return (Gio.DBusError.get_remote_error(error) or error.message).removeprefix(f"{NAME}.Error.")
    return f"answered: {answer}"


def test_errors_have_names_by_which_programs_go(sim, dock):
    d = dock(["1-1.1", "1-1.2"], policy={"erase": "by-hand"}).start()
    camera(sim, "c", 2)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    held, other = (c["Id"] for c in call(d, "ListClips", "(sstu)", "SN-c", "", 0, 0)[0])
    call(d, "SetHold", "(tsss)", held, "", "K", "")
    call(d, "ImportOfficers", "(sa(ssssss))", "x", [("o1", "", "", "", "", "")], path=f"{ROOT}/roster", interface=f"{NAME}.Roster")
    cam = "/camera/SN_2dc"
    table = (
        ("InvalidArgument", "", "Manager", "SetHold", "(tsss)", 0, "", "", ""),
        ("InvalidArgument", "", "Manager", "CallShift", "(x)", 1),
        ("InvalidArgument", "/bay/1", "Bay", "Locate", "(u)", 1 << 31),
        ("NoSuchCamera", "", "Manager", "SetHold", "(tsss)", 0, "nobody", "", ""),
        ("NoSuchCamera", "", "Manager", "ReleaseCamera", "(ss)", "nobody", ""),
        ("NoSuchClip", "", "Manager", "SetHold", "(tsss)", 99, "", "", ""),
        ("NoSuchClip", "", "Manager", "EraseClip", "(tb)", 99, False),
        ("NoSuchClip", "/transfer", "Transfers", "SendNow", "(t)", 99),
        ("NoSuchOfficer", "/roster", "Roster", "Checkout", "(s)", "nobody"),
        ("NoSuchOfficer", "/roster", "Roster", "Assign", "(ss)", "nobody", "SN-c"),
        ("NotFound", "", "Manager", "ReleaseHold", "(tsss)", 0, "", "none", ""),
        ("NotFound", "/roster", "Roster", "CancelCheckout", "(s)", "SN-c"),
        ("NotAllowed", "/roster", "Roster", "Publish", "(s)", "{}"),
        ("TooLate", "/transfer", "Transfers", "SendNow", "(t)", other),
        ("TooLate", "", "Manager", "ReleaseCamera", "(ss)", "SN-c", ""),
        ("TooLate", cam, "Camera", "ConfirmIdentity"),
        ("Held", "", "Manager", "EraseClip", "(tb)", held, False),
        ("NotDocked", "/bay/2", "Bay", "Calibrate"),
        ("NotDocked", "/bay/2", "Bay", "Eject"),
        ("NotFound", cam, "Camera", "UpdateFirmware", "(sb)", "9.9", False))
    for wanted, path, noun, member, *args in table:
        assert error_of(d, path, noun, member, *args) == wanted, (wanted, path, member, args, error_of(d, path, noun, member, *args))
    with open(d.path("berthd.conf"), "a", encoding="ascii") as f:
        f.write("[policy]\nerase = perhaps\n")
    assert error_of(d, "", "Manager", "Reload") == "BadSettings"
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    assert error_of(d, cam, "Camera", "SetOwner", "(ssss)", "o", "", "", "") == "NotDocked"
    assert error_of(d, cam, "Camera", "Erase", "(b)", False) == "NotDocked"
    assert error_of(d, "/roster", "Roster", "Checkout", "(s)", "o1") == "NoCamera"


def test_strangers_are_listed_as_refused(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    assert call(d, "ListRefused", None) == ([],)
    sim("camera", name="k", type="stranger", vid=0x1234, pid=0x5678)
    sim("plug", camera="k", port="1-1.2")
    d.wait_state(2, "refused")
    entry = call(d, "ListRefused", None)[0]
    assert len(entry) == 1 and (entry[0]["Bay"], entry[0]["PortPath"], entry[0]["State"]) == (2, "1-1.2", "refused"), entry
    assert entry[0]["Reason"] == d.bay(2)["Reason"] != "" and "Serial" not in entry[0], entry


def test_berthctl_shows_the_real_dock(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    camera(sim, "c", 5)
    watch = subprocess.Popen([f"{BUILD}/berthctl", "watch", "--json", "--until=ready=1", "--until=idle=0.2", "--timeout=300"],
                             stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    out = watch.stdout.readline() + watch.stdout.readline() + watch.stdout.readline()
    sim("plug", camera="c", port="1-1.1")
    out += watch.communicate(timeout=300)[0]
    assert watch.returncode == 0, out
    d.wait(lambda: len(d.events("erased")) == 5, "the erases to be on record")
    states = [c["bay"]["state"] for c in map(json.loads, out.splitlines()) if c["change"] == "bay" and c["bay"]["number"] == 1]
    assert states[0] == "empty" and states[-1] == "ready" and "pulling" in states, states
    run = lambda *args: json.loads(subprocess.run([f"{BUILD}/berthctl", *args, "--json"], stdout=subprocess.PIPE,  # noqa: E731
                                                  check=True).stdout)
    status = run("status")
    assert status["dock"]["name"] == "test-dock" and status["bays"][0]["clips_erased"] == 5, status
    assert status["cameras"][0]["serial"] == "SN-c" and status["cameras"][0]["bay"] == 1, status
    assert [c["state"] for c in run("clips")["clips"]] == ["erased"] * 5
    events = run("log", "-n", "0")["events"]
    assert [e["bytes"] for e in events] == [row[0] if isinstance(row[0], str) else row[0].decode()
                                            for row in d.rows("SELECT bytes FROM custody ORDER BY seq")]


def test_dock_works_on_when_the_bus_goes_and_comes_back_to_it(sim, dock):
    d = dock(["1-1.1"]).start()
    camera(sim, "c", 3)
    pid = d.daemon.pid
    d.bus_process.terminate()
    d.bus_process.wait(60)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.events("erased")[2:], "the footage to be taken in without a bus")
    d.bus_process = subprocess.Popen(["dbus-daemon", f"--config-file={d.path('bus.conf')}", "--nofork", "--print-address"],
                                     stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    d.bus_process.stdout.readline()
    d.conn = Gio.DBusConnection.new_for_address_sync(
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"],
        Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
    d.wait(lambda: d.owned(NAME), "berthd on the new bus")
    assert d.daemon.running() and d.daemon.pid == pid
    d.wait_state(1, "ready")
    assert d.bay(1)["ClipsErased"] == 3, d.bay(1)
    assert len(managed(d)) == 2 + len(STANDING), "a bay and a camera"
    follower = Follower(d)
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    d.wait(follower.same, "the signals to have told that the camera left")
    follower.close()


def test_a_second_owner_of_the_name_is_an_error_at_start(sim, dock):
    d = dock(["1-1.1"])
    answer = d.conn.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                              GLib.Variant("(su)", (NAME, 4)), None, 0, 60000, None).unpack()
    assert answer == (1,)
    d.start_uplink()
    d.start_daemon(wait=False)
    d.wait(lambda: not d.daemon.running(), "berthd to give up")
    assert d.daemon.child.returncode == 1 and "bus" in d.daemon.output(), d.daemon.output()
    d.conn.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReleaseName",
                     GLib.Variant("(s)", (NAME,)), None, 0, 60000, None)


rack.run([test for name, test in list(globals().items()) if name.startswith("test_")])
