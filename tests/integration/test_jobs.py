#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What takes its time is a job: its call is answered at once, it tells how far it is and what came of it, and it can be cancelled."""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
import schemas  # noqa: E402
from charging_dock import BOTH, HUBS, NEVER, camera, charging_dock, ctl, port, put_in  # noqa: E402
from contract import live, written  # noqa: E402
from flash_world import Camera, World, image  # noqa: E402
from rack import BUILD, NAME, ROOT, Gio, GLib  # noqa: E402

BAY, JOB, TOO_LATE = f"{NAME}.Bay", f"{NAME}.Job", f"{NAME}.Error.TooLate"
NOBODY = 65534


class Ends:
    """What Finished told, by path; and all that was announced of jobs."""

    def __init__(self, d):
        self.ends, self.told = {}, []
        d.conn.signal_subscribe(NAME, None, None, None, None, 0, self._on_signal)

    def _on_signal(self, _conn, _sender, path, interface, member, parameters):
        if interface == JOB and member == "Finished":
            assert path not in self.ends, "told twice"
            self.ends[path] = parameters.unpack()
        if "/job/" in path or "/job/" in str(parameters):
            self.told.append((path, member, parameters.unpack()))


def call(d, path, interface, member, signature=None, *args):
    return d.conn.call_sync(NAME, path, interface, member, GLib.Variant(signature, args) if signature else None, None, 0, 60000,
                            None).unpack()


def refusal(d, path, member="Cancel"):
    try:
        call(d, path, JOB, member)
    except GLib.Error as error:
        return Gio.DBusError.get_remote_error(error), error.message
    raise AssertionError(f"{member} was answered")


def state(d, path):
    return d.properties(path, "Job")["State"]


def ready_camera(sim, dock):
    d = charging_dock(dock, BOTH, NEVER)
    camera(sim, "a", 50)
    put_in(sim, d, "a", 1)
    return d


def test_call_is_answered_at_once_and_the_job_tells_the_rest(sim, dock):
    d = ready_camera(sim, dock)
    ends = Ends(d)
    (job,) = call(d, f"{ROOT}/bay/1", BAY, "Calibrate")
    assert job == f"{ROOT}/job/1" and live(d.conn, job, "Job") == written("Job")
    seen = d.properties(job, "Job")
    assert (seen["Id"], seen["Kind"], seen["About"], seen["OwnerUid"], seen["State"], seen["Text"], seen["Outcome"]) == (
        1, "calibrate", f"{ROOT}/bay/1", 0, "running", "", {}), seen
    assert job in call(d, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
    d.wait(lambda: job in ends.ends, "its end")
    ended, error, text, outcome = ends.ends[job]
    assert (ended, error, outcome) == ("done", "", {}) and text.startswith("it switches, by"), ends.ends
    # Who asks late finds the same.
    seen = d.properties(job, "Job")
    assert (seen["State"], seen["Error"], seen["Text"]) == ("done", "", text), seen
    assert refusal(d, job) == (TOO_LATE, f"GDBus.Error:{TOO_LATE}: It cannot be cancelled: it is over already.")
    names = [member for path, member, _ in ends.told]
    assert names[0] == "InterfacesAdded" and names[-1] == "Finished", ends.told
    changed = {}
    for path, member, args in ends.told:
        if member == "PropertiesChanged":
            changed.update(args[1])
    assert changed["State"] == "done" and changed["Text"] == text, changed


def test_cancelled_measurement_gives_the_port_its_power_back_and_measured_nothing(sim, dock):
    d = ready_camera(sim, dock)
    ends = Ends(d)
    job = ctl("bay", "calibrate", "1", "--no-wait").stdout.strip()
    d.wait(lambda: port(sim, "1-1.1") == "off", "the port to be off")
    call(d, job, JOB, "Cancel")
    d.wait(lambda: job in ends.ends, "its end")
    assert ends.ends[job][0] == "cancelled" and "nothing was measured" in ends.ends[job][2], ends.ends
    assert port(sim, "1-1.1") == "on" and not d.events("port-calibrated")
    d.wait_state(1, "ready")
    assert "it switches" in ctl("bay", "calibrate", "1").stdout, "and it can be measured again"


def test_ctrl_c_cancels(sim, dock):
    d = ready_camera(sim, dock)
    ends = Ends(d)
    child = subprocess.Popen([f"{BUILD}/berthctl", "bay", "calibrate", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    d.wait(lambda: port(sim, "1-1.1") == "off", "the port to be off")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130 and not out and "cancelled: it was cancelled" in err, (child.returncode, out, err)
    d.wait(lambda: [end[0] for end in ends.ends.values()] == ["cancelled"], "its end")


def test_verb_lists_shows_waits_for_and_cancels_jobs(sim, dock):
    d = ready_camera(sim, dock)
    assert "nothing that somebody waits for" in ctl("job").stdout
    first = ctl("bay", "calibrate", "1", "--no-wait").stdout.strip().rsplit("/", 1)[1]
    listed = schemas.parse(ctl("job", "--json").stdout)["jobs"]
    assert [(j["id"], j["kind"], j["about"], j["owner_uid"]) for j in listed] == [(int(first), "calibrate", f"{ROOT}/bay/1", 0)], listed
    assert "calibrate" in ctl("job").stdout and "bay/1" in ctl("job").stdout
    assert "done: it switches" in ctl("job", "wait", first).stdout
    # What is over is not waited for, and cannot be cancelled.
    assert schemas.parse(ctl("job", "wait", first, "--json").stdout)["job"]["state"] == "done"
    assert "it is over already" in ctl("job", "cancel", first, code=1).stderr
    d.wait_state(1, "ready")
    second = ctl("bay", "calibrate", "1", "--no-wait").stdout.strip().rsplit("/", 1)[1]
    d.wait(lambda: port(sim, "1-1.1") == "off", "the port to be off")
    waiting = subprocess.Popen([f"{BUILD}/berthctl", "job", "wait", second, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               text=True)
    ctl("job", "cancel", second)
    job = schemas.parse(waiting.communicate(timeout=120)[0])["job"]
    assert waiting.returncode == 1 and job["state"] == "cancelled" and "nothing was measured" in job["text"], job
    assert "cancelled" in ctl("job", "show", second).stdout
    for words in (["show", "77"], ["wait", "77"], ["cancel", "77"]):
        assert "there is no job 77" in ctl("job", *words, code=1).stderr, words
    for words in (["sideways"], ["show"], ["wait", "x"], ["list", "1"]):
        ctl("job", *words, code=2)


def as_user(uid, *command):
    return subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", *command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)


def test_others_do_not_cancel(sim, dock):
    d = ready_camera(sim, dock)
    os.chmod(d.folder, 0o755)
    (job,) = call(d, f"{ROOT}/bay/1", BAY, "Calibrate")
    said = as_user(NOBODY, "busctl", "--system", "call", NAME, job, JOB, "Cancel")
    assert said.returncode != 0 and f"may not do this ({NAME}.operate)" in said.stderr, said
    said = as_user(NOBODY, "busctl", "--system", "call", NAME, f"{ROOT}/job/77", JOB, "Cancel")
    assert said.returncode != 0 and "job/77" in said.stderr, said
    d.wait(lambda: state(d, job) == "done", "its end")


def test_cancelled_import_keeps_what_it_imported_and_says_who_cancelled_it(sim, dock):
    d = dock(["1-1.1"]).start()
    ends = Ends(d)
    os.makedirs(d.path("card"))
    for n in range(40):
        with open(d.path("card", f"{n:02}.MP4"), "wb") as f:
            f.write(os.urandom(1 << 20))
    child = subprocess.Popen([f"{BUILD}/berthctl", "import", d.path("card")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    d.wait(lambda: len(d.events("copied")) >= 2, "some files")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130 and "cancelled: it was cancelled by user 0 root; " in err, (child.returncode, out, err)
    d.wait(lambda: ends.ends, "its end")
    [(ended, _, _, outcome)] = ends.ends.values()
    [event] = d.events("import-ended")
    assert ended == "cancelled" and 2 <= outcome["Imported"] < 40 and outcome["Imported"] == event["imported"], (outcome, event)
    assert event["reason"] == "it was cancelled by user 0 root", event
    done = [args[1]["Done"] for _, member, args in ends.told if member == "PropertiesChanged" and "Done" in args[1]]
    assert done == sorted(done) and max(done) >= 1, done
    assert f"{40 - outcome['Imported']} files imported, {outcome['Imported']} recognised." in ctl("import", d.path("card")).stdout


def test_flash_is_cancelled_before_it_is_begun_and_not_after(sim, dock):
    w = World(sim, dock, {"2.1": image("2.1", 40000)})
    c = Camera(sim, w.d, poll_msec=200)
    c.plug()
    w.d.wait_state(1, "ready")
    w.d.wait(lambda: not w.d.workers(), "the camera to be let go of")
    objects = call(w.d, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
    [(path, image_of)] = [(p, o[f"{NAME}.Firmware"]) for p, o in objects.items() if f"{NAME}.Firmware" in o]
    assert path == f"{ROOT}/firmware/flash_2dcam/_32_2e1" and (image_of["Version"], image_of["Here"]) == ("2.1", False), (path, image_of)
    assert live(w.d.conn, path, "Firmware") == written("Firmware")
    ends = Ends(w.d)
    camera_path = w.d.bay(1)["Camera"]
    # Its image does not come.
    os.kill(w.d.uplink.pid, signal.SIGSTOP)
    (first,) = call(w.d, camera_path, f"{NAME}.Camera", "UpdateFirmware", "(sb)", "2.1", False)
    call(w.d, first, JOB, "Cancel")
    w.d.wait(lambda: first in ends.ends, "its end")
    assert ends.ends[first][0] == "cancelled" and "before the camera was begun with" in ends.ends[first][2], ends.ends
    os.kill(w.d.uplink.pid, signal.SIGCONT)
    (second,) = call(w.d, camera_path, f"{NAME}.Camera", "UpdateFirmware", "(sb)", "2.1", False)
    w.d.wait(lambda: w.d.events("flash-begun"), "the flash")
    error, text = refusal(w.d, second)
    assert error == TOO_LATE and "being given its firmware" in text, (error, text)
    c.set(poll_msec=2)
    w.d.wait(lambda: second in ends.ends, "its end")
    assert ends.ends[second][0] == "done" and ends.ends[second][3] == {"Outcome": "ok", "Version": "2.1"}, ends.ends
    assert len(w.d.events("flash-begun")) == 1
    done = [args[1]["Done"] for path, member, args in ends.told if path == second and member == "PropertiesChanged" and "Done" in args[1]]
    assert done == sorted(done) and done[-1] == w.d.properties(second, "Job")["Total"] >= 40000, done


rack.run([test for name, test in list(globals().items()) if name.startswith("test_")], HUBS)
