#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A folder's footage goes the same way as a camera's: read by a worker, hashed, spooled, stored; once, however often it is imported."""

import errno
import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402

MIB = 1 << 20


def ctl(*args, code=0, **how):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **how)
    assert done.returncode == code, f"{args}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def fill(folder, files):
    """{path: content} into a folder; returns {path: sha256} of the footage among them."""
    for path, content in files.items():
        os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
        with open(os.path.join(folder, path), "wb") as f:
            f.write(content)
        os.utime(os.path.join(folder, path), (1700000000, 1700000000))
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items() if path.lower().endswith((".mp4", ".avi"))}


def content(n, size):
    return hashlib.shake_128(str(n).encode()).digest(size)


def snapshot(folder):
    return sorted((os.path.join(top, name), os.stat(os.path.join(top, name)).st_mtime_ns, os.stat(os.path.join(top, name)).st_atime_ns,
                   os.stat(os.path.join(top, name)).st_mode)
                  for top, _, names in os.walk(folder) for name in names)


def stored_of(d, serial):
    return {path: digests for (s, path), digests in d.stored().items() if s == serial}


def test_folder_is_stored_and_its_source_left_alone(sim, dock):
    d = dock(["1-1.1"]).start()
    card = d.path("card")
    digests = fill(card, {"DCIM/100/A.MP4": content(1, 3 * MIB + 17), "DCIM/100/B.mp4": content(2, 17 * MIB),
                          "DCIM/ä b/C.AVI": content(3, 5), "empty.mp4": b"", "notes.txt": b"no footage"})
    os.symlink("/etc/passwd", os.path.join(card, "link.mp4"))
    before = snapshot(card)
    assert "4 files imported, 0 recognised." in ctl("import", card)
    assert snapshot(card) == before, "the source was touched"
    d.wait(lambda: len(d.events("receipted")) == 4, "the receipts")
    assert stored_of(d, "import:card") == {path: [digest] for path, digest in digests.items()}
    [begun], [ended] = d.events("import-begun"), d.events("import-ended")
    assert (begun["serial"], begun["source"], begun["operator"], begun["operator_uid"], begun["bay"]) == (
        "import:card", card, "root", 0, "import"), begun
    assert "inode" in begun["folder_id"] and (ended["imported"], ended["recognised"], ended["failed"]) == (4, 0, 0), (begun, ended)
    assert {e["docking_id"] for e in d.events("copied")} == {begun["docking_id"]}
    assert not d.events("erase-begun")
    d.check_chain()
    ctl("custody", "verify", f"--state-dir={d.state}")


def test_what_is_known_is_recognised_and_not_stored_twice(sim, dock):
    d = dock(["1-1.1"]).start()
    card, other = d.path("card"), d.path("other")
    fill(card, {f"{n}.MP4": content(n, MIB) for n in range(4)})
    ctl("import", card)
    d.wait(lambda: len(d.events("receipted")) == 4, "the receipts")
    assert "0 files imported, 4 recognised." in ctl("import", card)
    # Under other names, from elsewhere, with one that is new.
    fill(other, {"x/2.mp4": content(2, MIB), "new.mp4": content(9, MIB)})
    assert "1 files imported, 1 recognised." in ctl("import", other, "--name=second")
    d.wait(lambda: len(d.events("receipted")) == 5, "the receipt")
    assert len(d.objects()) == 5 and len(d.rows("SELECT 1 FROM clips")) == 5
    told = [(e["reason"], e["path"], e["source"]) for e in d.events("import-recognised")][-1]
    assert told == ("x/2.mp4", "2.MP4", other), told
    # A clip that a camera brought is known, too.
    sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[rack.make_clip("a.MP4", MIB, 77)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    [manifest] = [m for m in d.manifests() if m["serial"] == "SN-c"]
    fill(d.path("export"), {"copy.mp4": b"".join(d.content(manifest["object"]))})
    assert "0 files imported, 1 recognised." in ctl("import", d.path("export"))


def slowed(dock):
    """A dock that takes a second for each file, so that something can be done in the middle of an import."""
    d = dock(["1-1.1"])
    d.preload = f"{rack.BUILD}/tests/preload/slow_fsync.so"
    d.daemon_env["BERTH_SLOW_FSYNC_MSEC"] = "100"
    return d.start()


def start_fast(d):
    del d.daemon_env["BERTH_SLOW_FSYNC_MSEC"]
    d.start_daemon()


def test_import_that_was_broken_off_goes_on(sim, dock):
    d = slowed(dock)
    card = d.path("card")
    digests = fill(card, {f"{n:02}.MP4": content(n, 4 * MIB) for n in range(12)})
    importer = subprocess.Popen([f"{rack.BUILD}/berthctl", "import", card], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
    d.wait(lambda: len(d.events("copied")) >= 3, "some files")
    importer.kill()
    importer.wait()
    [ended] = d.wait(lambda: d.events("import-ended"), "its end")
    assert ended["imported"] < 12 and "reason" in ended, ended
    d.daemon.end(signal.SIGKILL)
    start_fast(d)
    imported = len({e["path"] for e in d.events("copied")})
    assert f"{12 - imported} files imported, {imported} recognised." in ctl("import", card)
    d.wait(lambda: len(d.events("receipted")) == 12, "the receipts")
    assert stored_of(d, "import:card") == {path: [digest] for path, digest in digests.items()} and len(d.objects()) == 12
    d.check_chain()


def test_daemon_ends_while_it_imports(sim, dock):
    d = slowed(dock)
    card = d.path("card")
    fill(card, {f"{n:02}.MP4": content(n, 4 * MIB) for n in range(12)})
    importer = subprocess.Popen([f"{rack.BUILD}/berthctl", "import", card], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
    d.wait(lambda: len(d.events("copied")) >= 2, "some files")
    assert d.daemon.end() == 0
    assert "daemon" in importer.communicate(timeout=120)[0] and importer.returncode in (1, 3)
    assert d.events("import-ended")[-1]["reason"] == "the daemon ended"
    start_fast(d)
    ctl("import", card)
    d.wait(lambda: len(d.events("receipted")) == 12, "the receipts")
    assert len(d.objects()) == 12
    d.check_chain()


def test_file_that_cannot_be_opened_costs_itself_alone(sim, dock):
    d = dock(["1-1.1"]).start()
    card = d.path("card")
    fill(card, {f"{n}.MP4": content(n, MIB) for n in range(3)})
    os.chmod(d.folder, 0o755)
    # Whoever imports opens the files: the daemon's rights, which are root's here, do not count.
    proxy = d.path("berthctl-as-nobody")
    os.chown(os.path.join(card, "1.MP4"), 0, 0)
    os.chmod(os.path.join(card, "1.MP4"), 0o600)
    with open(proxy, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\nexec setpriv --inh-caps=-all --bounding-set=-dac_override,-dac_read_search {rack.BUILD}/berthctl \"$@\"\n")
    os.chmod(proxy, 0o755)
    os.chown(os.path.join(card, "1.MP4"), 65534, 65534)
    done = subprocess.run([proxy, "import", card], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "2 files imported, 0 recognised, 1 not imported" in done.stdout, done
    [failed] = d.events("import-failed")
    assert failed["reason"].startswith("1.MP4: ") and failed["source"] == card, failed
    assert sorted(e["path"] for e in d.events("copied")) == ["0.MP4", "2.MP4"]


def test_hundreds_of_files_and_the_daemon_answers(sim, dock):
    d = dock(["1-1.1"]).start()
    card = d.path("card")
    fill(card, {f"{n // 100}/{n:04}.MP4": content(n, 2000 + n) for n in range(300)})
    importer = subprocess.Popen([f"{rack.BUILD}/berthctl", "import", card], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    slowest = 0
    while importer.poll() is None:
        begun = rack.time.monotonic()
        assert d.manager()["State"], "the daemon does not answer"
        slowest = max(slowest, rack.time.monotonic() - begun)
        d.wait(lambda: True, "a turn of the loop")
    assert "300 files imported" in importer.communicate()[0]
    print(f"# the slowest answer took {slowest * 1000:.0f} ms")
    assert "0 files imported, 300 recognised." in ctl("import", card)


def test_model_says_what_is_footage(sim, dock):
    d = dock(["1-1.1"]).start()
    fill(d.path("card"), {"DCIM/a.mp4": content(1, 100), "other/b.mp4": content(2, 100), "DCIM/c.txt": b"c"})
    dirs = [f"--models-dir={rack.SRC}/cameras.d", f"--local-models-dir={d.path('cameras.d')}"]
    os.makedirs(d.path("cameras.d"))
    with open(d.path("cameras.d", "own.conf"), "w", encoding="ascii") as f:
        f.write("[model own]\nmatch = 1209:0001\ninterface = 08/06/50\nplugin = msc\nfootage = DCIM/*\n")
    assert "2 files imported" in ctl("import", d.path("card"), "--model=own", *dirs)
    assert sorted(e["path"] for e in d.events("copied")) == ["DCIM/a.mp4", "DCIM/c.txt"]
    assert "no model 'x'" in ctl("import", d.path("card"), "--model=x", *dirs, code=2)


def test_only_root_imports_and_wrong_words_are_named(sim, dock):
    d = dock(["1-1.1"]).start()
    card = d.path("card")
    fill(card, {"a.mp4": b"a"})
    os.chmod(d.folder, 0o755)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", f"{rack.BUILD}/berthctl", "import", card],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "root" in done.stderr, done
    assert "one folder" in ctl("import", code=2) and "cannot be opened" in ctl("import", d.path("none"), code=1)
    os.makedirs(d.path("nothing"))
    assert "no footage" in ctl("import", d.path("nothing"))
    assert not d.events("import-begun")


def test_camera_that_calls_itself_an_import_is_quarantined(sim, dock):
    d = dock(["1-1.1"]).start()
    sim("camera", name="c", type="ptp", serial="import:card", manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[rack.make_clip("a.MP4", MIB, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "quarantined")
    assert not d.events("pull-begun")


def import_from_socket(d):
    """An import whose reader is the test: its end of the socket, and what is filled with the answer to Import."""
    from gi.repository import Gio, GLib

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    answers = []
    fds = Gio.UnixFDList.new()
    d.conn.call_with_unix_fd_list(rack.NAME, rack.ROOT, f"{rack.NAME}.Manager", "Import",
                                  GLib.Variant("(sssh)", ("lie", "/lie", "lie", fds.append(theirs.fileno()))), None, 0, 60000, fds,
                                  None, lambda conn, result: answers.append(result))
    theirs.close()
    ours.setblocking(False)
    return ours, answers


def ended_import(d, answers, what):
    """The properties of its job."""
    d.wait(lambda: answers, "the job")
    job = d.conn.call_with_unix_fd_list_finish(answers[0])[0].unpack()[0]
    d.wait(lambda: d.properties(job, "Job")["State"] not in ("running", "cancelling"), f"the import of {what} to end")
    return d.properties(job, "Job")


def request(ours):
    try:
        return ours.recv(100)
    except BlockingIOError:
        return None


def test_folder_that_lies_is_a_failed_import_and_no_more(sim, dock):
    """Whoever serves the folder may answer anything: the worker's end of the socket is all that it reaches."""
    d = dock(["1-1.1"]).start()
    lies = (b"", b"x" * 3, b"\0" * 5000, b"\1\0\0\0" + b"\0" * 20, b"\0\0\0\0\xff\xff\0\0" + b"\0" * 16,
            b"\0\0\0\0\4\0\0\0" + b"\0" * 16 + b"../a")
    for lie in lies:
        ours, answers = import_from_socket(d)
        assert d.wait(lambda ours=ours: request(ours), "the worker to ask")
        try:
            ours.send(lie)
        except BrokenPipeError:
            pass
        if not lie:
            ours.close()
        ended = ended_import(d, answers, repr(lie))
        assert (ended["State"], ended["Error"]) == ("failed", f"{rack.NAME}.Error.Failed") and ended["Text"], (lie, ended)
    assert d.daemon.running() and not d.events("clip-seen")


def test_file_that_reads_otherwise_the_second_time_is_not_imported(sim, dock):
    d = dock(["1-1.1"]).start()
    size = 9 * MIB
    readings = [content(1, size), content(1, size - 1) + b"!"]
    for n, reading in enumerate(readings):
        fill(d.path(f"reading{n}"), {"A.MP4": reading})
    ours, answers = import_from_socket(d)
    opened = []

    def answer():
        asked = request(ours)
        if asked == b"":
            return True
        if asked:
            kind, index = struct.unpack("<II", asked)
            head = struct.pack("<iIQq", 0 if index == 0 else -errno.ENOENT, 5 if index == 0 else 0, size, 1700000000)
            with open(os.path.join(d.path(f"reading{min(len(opened), 1)}"), "A.MP4"), "rb") as f:
                opens = kind == 2  # WIRE_IMPORT_OPEN
                socket.send_fds(ours, [head + (b"A.MP4" if index == 0 else b"")], [f.fileno()] if opens else [])
            opened.extend([index] if opens else [])
        return False

    d.wait(answer, "the worker to end")
    ended = ended_import(d, answers, "a file that changes")
    assert ended["Outcome"] == {"Imported": 0, "Recognised": 0, "Failed": 1}, ended
    [failed] = d.events("import-failed")
    assert len(opened) == 2 and "read twice" in failed["reason"], (opened, failed)
    assert not d.events("copied") and not stored_of(d, "import:lie")


def test_worker_that_cannot_be_started_is_named_and_the_next_import_goes_on(sim, dock):
    d = dock(["1-1.1"])
    d.config["worker"] = d.path("worker")
    d.write_config()
    os.symlink(f"{rack.BUILD}/berth-bay", d.path("worker"))
    d.start()
    card = d.path("card")
    digests = fill(card, {"A.MP4": content(1, MIB)})
    os.unlink(d.path("worker"))
    told = ctl("import", card, code=1)
    assert f"the worker {d.path('worker')} cannot be started: No such file" in told, told
    [ended] = d.wait(lambda: d.events("import-ended"), "its end")
    assert "cannot be started" in ended["reason"] and (ended["imported"], ended["failed"]) == (0, 0), ended
    assert d.daemon.running() and not d.events("clip-seen")
    os.symlink(f"{rack.BUILD}/berth-bay", d.path("worker"))
    assert "1 files imported" in ctl("import", card)
    d.wait(lambda: d.events("receipted"), "the receipt")
    assert stored_of(d, "import:card") == {path: [digest] for path, digest in digests.items()}


rack.run([test_folder_is_stored_and_its_source_left_alone, test_what_is_known_is_recognised_and_not_stored_twice,
          test_import_that_was_broken_off_goes_on, test_daemon_ends_while_it_imports, test_file_that_cannot_be_opened_costs_itself_alone,
          test_hundreds_of_files_and_the_daemon_answers, test_model_says_what_is_footage, test_only_root_imports_and_wrong_words_are_named,
          test_camera_that_calls_itself_an_import_is_quarantined, test_folder_that_lies_is_a_failed_import_and_no_more,
          test_file_that_reads_otherwise_the_second_time_is_not_imported,
          test_worker_that_cannot_be_started_is_named_and_the_next_import_goes_on])
