#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that flood the dock, say too much, vanish, or listen to everything: others are served, and the daemon stays as it is.

What others waited is printed; what is asserted is that they were answered, each time."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import NAME, ROOT, Gio, GLib, make_clip  # noqa: E402

MANAGER = f"{NAME}.Manager"
MIB = 1 << 20


def connect(d):
    return Gio.DBusConnection.new_for_address_sync(
        f"unix:path={d.path('bus')}",
        Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)


ROSTER = {member: (f"{ROOT}/roster", f"{NAME}.Roster") for member in ("Checkout", "Publish", "ImportOfficers")}


def ask(connection, member, signature=None, *args):
    return connection.call_sync(NAME, *ROSTER.get(member, (ROOT, MANAGER)), member, GLib.Variant(signature, args) if signature else None,
                                None, 0, 120000, None).unpack()


def memory_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


class Others:
    """Somebody who asks the dock the whole while, one call after the other; each must be answered."""

    def __init__(self, d):
        self.connection = connect(d)
        self.waited, self.failed, self.stop = [], [], threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.stop.is_set():
            begun = time.monotonic()
            try:
                ask(self.connection, "ListRefused")
                ask(self.connection, "GetFigures")
            except GLib.Error as e:
                self.failed.append(e.message)
                return
            self.waited.append(time.monotonic() - begun)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.thread.join()
        self.connection.close_sync(None)
        if not error[0]:
            waited = sorted(self.waited)
            assert not self.failed and waited, self.failed
            print(f"# others: {len(waited)} pairs of calls, the median took {waited[len(waited) // 2] * 1000:.1f} ms, "
                  f"the longest {waited[-1] * 1000:.0f} ms")


def dock_with_history(sim, dock):
    d = dock(["1-1.1", "1-1.2"]).start()
    sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[make_clip(f"DCIM/{n:03}.MP4", 2000, n) for n in range(60)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    return d


# As many at once as the bus lets anybody wait for.
FLOOD = """
import sys
from gi.repository import Gio, GLib
bus, loop = Gio.bus_get_sync(Gio.BusType.SYSTEM), GLib.MainLoop()
left, answered = int(sys.argv[1]), 0
def ask():
    global left
    left -= 1
    bus.call("org.berth.Dock1", "/org/berth/Dock1", "org.berth.Dock1.Manager", "ListEvents", GLib.Variant("(tstu)", (0, "", 0, 500)), None,
             0, 200000, None, on_answer)
def on_answer(bus, result):
    global answered
    bus.call_finish(result)
    answered += 1
    if left > 0:
        ask()
    elif answered == int(sys.argv[1]):
        loop.quit()
for n in range(100):
    ask()
loop.run()
print(answered)
"""


def test_flood_of_calls(sim, dock):
    """Each asks for the largest answer that there is, again and again: the bus and the daemon carry it, and others between."""
    d = dock_with_history(sim, dock)
    before = memory_kib(d.daemon.pid)
    with Others(d) as others:
        floods = [subprocess.Popen(["/usr/bin/python3", "-c", FLOOD, "400"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
                  for _ in range(4)]
        said = [flood.communicate(timeout=600)[0] for flood in floods]
        asked = len(others.waited)
    assert said == ["400\n"] * 4, said
    assert asked > 0, "nobody else was answered during the flood"
    print(f"# the daemon grew by {(memory_kib(d.daemon.pid) - before) / 1024:.1f} MiB for 1600 answers of 500 events")
    assert d.manager()["State"] == "running"


def test_giant_arguments(sim, dock):
    d = dock(["1-1.1"]).start()
    connection = connect(d)
    giants = [("ListClips", "(sstu)", ("x" * 8 * MIB, "", 0, 0)), ("SetHold", "(tsss)", (0, "x" * MIB, "", "")),
              ("SetHold", "(tsss)", (1, "", "y" * MIB, "z" * 4 * MIB)), ("Checkout", "(s)", ("o" * 16 * MIB,)),
              ("Publish", "(s)", ("{" * 4 * MIB,)), ("ReleaseCamera", "(ss)", ("x" * MIB, "y" * MIB)),
              ("ImportOfficers", "(sa(ssssss))", ("f", [(f"o{n}", "n" * 900, "", "", "", "") for n in range(20000)]))]
    before, refused = memory_kib(d.daemon.pid), []
    with Others(d):
        for member, signature, args in giants:
            try:
                ask(connection, member, signature, *args)
            except GLib.Error as e:
                assert len(e.message) < 4096, "an error need not say all of it again"
                refused.append(member)
                # The bus may have had enough of a client that says so much.
                if connection.is_closed():
                    connection = connect(d)
    assert refused == [member for member, _, _ in giants], refused
    assert memory_kib(d.daemon.pid) < before + 256 * 1024, "what was refused is still in memory"
    assert not d.rows("SELECT 1 FROM holds") and not d.rows("SELECT 1 FROM officers")


def test_clients_that_vanish_in_the_middle_of_a_call(sim, dock):
    d = dock_with_history(sim, dock)
    fds = len(os.listdir(f"/proc/{d.daemon.pid}/fd"))
    with Others(d):
        for n in range(300):
            client = connect(d)
            member = ("ListEvents", "MakeCheckpoint", "ExamineStore")[n % 3]
            args = GLib.Variant("(tstu)", (0, "", 0, 500)) if member == "ListEvents" else None
            client.call(NAME, ROOT, MANAGER, member, args, None, 0, 120000, None, None)
            client.flush_sync(None)
            client.close_sync(None)
    d.wait(lambda: len(os.listdir(f"/proc/{d.daemon.pid}/fd")) <= fds + 2, "no descriptor to be kept for who is gone")
    assert ask(d.conn, "ListRefused") == ([],)
    d.check_chain()


def rule(n):
    """No two alike."""
    return f"type='signal',path='{ROOT}/bay/1',arg1='x{n}'" if n % 2 else f"type='signal',path_namespace='{ROOT}',arg2='{n}'"


def test_thousands_of_subscriptions(sim, dock):
    """Whoever listens to everything, a thousand times over, takes from the others nothing of what the dock tells."""
    d = dock(["1-1.1", "1-1.2"]).start()
    listeners = [connect(d) for _ in range(10)]
    heard = []
    for connection in listeners:
        for n in range(300):
            connection.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch",
                            GLib.Variant("(s)", (rule(n),)), None, 0, -1, None, None)
        connection.flush_sync(None)
    follower = d.conn.signal_subscribe(NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged", f"{ROOT}/bay/1", None, 0,
                                       lambda *args: heard.append(args[5].unpack()[1].get("State")))
    with Others(d):
        sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", clips=[make_clip("DCIM/1.MP4", 2000, 1)])
        sim("plug", camera="c", port="1-1.1")
        d.wait(lambda: "ready" in heard, "the signal that the camera is ready")
    d.conn.signal_unsubscribe(follower)
    for connection in listeners:
        connection.close_sync(None)
    assert heard.index("pulling") < heard.index("ready"), heard


def fetch(connection, clip_id):
    """The path of the job that reads the clip back into a file of nobody's, or the name of the error."""
    with tempfile.TemporaryFile() as f:
        fds = Gio.UnixFDList.new()
        handle = fds.append(f.fileno())
        try:
            answer = connection.call_with_unix_fd_list_sync(NAME, ROOT, MANAGER, "FetchClip", GLib.Variant("(th)", (clip_id, handle)), None,
                                                            0, 120000, fds, None)[0]
        except GLib.Error as e:
            return Gio.DBusError.get_remote_error(e)
    return answer.unpack()[0]


def jobs(d):
    """The states of all jobs that there are."""
    objects = d.conn.call_sync(NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None, None, 0, 120000, None)
    return [o[f"{NAME}.Job"]["State"] for path, o in objects.unpack()[0].items() if path.startswith(f"{ROOT}/job/")]


def test_jobs_of_one_user_are_bounded_and_of_who_vanished_none_stays(sim, dock):
    """While the store hangs somebody begins jobs without end, and leaves: no more are under way than may be, and all is as before."""
    d = dock(["1-1.1", "1-1.2"]).start()
    sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[make_clip(f"DCIM/{n:03}.MP4", 2000, n) for n in range(80)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=120)
    before, fds = memory_kib(d.daemon.pid), len(os.listdir(f"/proc/{d.daemon.pid}/fd"))
    os.kill(d.uplink.pid, signal.SIGSTOP)
    try:
        with Others(d):
            hostile = connect(d)
            answers = [fetch(hostile, n) for n in range(1, 81)]
            begun = [a for a in answers if a.startswith(ROOT)]
            assert len(begun) == 64 and set(answers) - set(begun) == {f"{NAME}.Error.Busy"}, answers
            assert fetch(connect(d), 80) == f"{NAME}.Error.Busy", "another connection of the same user had more"
            assert jobs(d) == ["running"] * 64
            name = hostile.get_unique_name()
            hostile.close_sync(None)
            d.wait(lambda: not d.owned(name), "it to have left")
            # The uploader, which hangs, cannot say yet that it ended them.
            assert len(jobs(d)) == 64 and d.manager()["State"] == "running"
    finally:
        os.kill(d.uplink.pid, signal.SIGCONT)
    d.wait(lambda: "running" not in jobs(d) and len(jobs(d)) <= 32, "the jobs of who left to end, and all but the last to be forgotten")
    assert "cancelled" in jobs(d), jobs(d)
    d.wait(lambda: len(os.listdir(f"/proc/{d.daemon.pid}/fd")) <= fds + 2, "no file to be kept open for who is gone")
    print(f"# the daemon grew by {(memory_kib(d.daemon.pid) - before) / 1024:.1f} MiB for 64 jobs of a client that left")
    assert fetch(d.conn, 1).startswith(ROOT)
    d.wait(lambda: "done" in jobs(d), "a job to be done, as before")


def test_flood_of_jobs_that_are_over_at_once(sim, dock):
    """Who asks at the kiosk without end is answered each time, and only the last ends are kept."""
    d = dock(["1-1.1"], policy={"erase": "never"}).start()
    sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", clips=[make_clip("DCIM/1.MP4", 2000, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    ask(d.conn, "ImportOfficers", "(sa(ssssss))", "x", [("o1", "", "", "", "", "")])
    ask(d.conn, "Checkout", "(s)", "o1")
    d.wait(lambda: jobs(d) == ["done"], "the checkout")
    before = memory_kib(d.daemon.pid)
    with Others(d) as others:
        client, n = connect(d), 0
        # It is checked out already, and they are told so.
        while n < 500 or not others.waited:
            ask(client, "Checkout", "(s)", "o1")
            n += 1
    d.wait(lambda: len(jobs(d)) <= 32 and set(jobs(d)) == {"done"}, "the jobs to be over, and all but the last to be forgotten")
    print(f"# the daemon grew by {(memory_kib(d.daemon.pid) - before) / 1024:.1f} MiB for {n} jobs that were over at once")
    assert len(d.events("checked-out")) == 1


rack.run([test_flood_of_calls, test_giant_arguments, test_clients_that_vanish_in_the_middle_of_a_call, test_thousands_of_subscriptions,
          test_jobs_of_one_user_are_bounded_and_of_who_vanished_none_stays, test_flood_of_jobs_that_are_over_at_once])
