#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who may do what on the bus: Debian's polkitd between users and the dock, and one of our own that is slow, silent or away."""

import os
import pty
import shutil
import subprocess
import sys
from contextlib import contextmanager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import BUILD, NAME, ROOT, SRC, Gio, GLib, Process, make_clip  # noqa: E402

POLKIT = "org.freedesktop.PolicyKit1"
MANAGER = f"{NAME}.Manager"
DENIED = f"{NAME}.Error.NotAuthorised"
NOBODY, DAEMON = 65534, 1
# The site lets the user `daemon` decide about evidence, and nobody about anything.
RULES = 'polkit.addRule(function(a, s) { if (a.id == "org.berth.Dock1.evidence" && s.user == "daemon") return polkit.Result.YES; });\n'
LOOKS = {"ListClips": ("sstu", "", "", "0", "1"), "ListEvents": ("tstu", "0", "", "0", "1"), "ListHolds": ("tu", "0", "1"),
         "ListCameras": ("tu", "0", "1"), "ListOfficers": ("su", "", "1"), "ListModels": (), "ExamineStore": ()}
TOUCHES = {"Pause": (), "SetHold": ("tsss", "1", "", "", ""), "EraseClip": ("tb", "1", "false"), "RotateKey": (),
           "Checkout": ("s", "o"), "CallShift": ("x", "0"), "ImportOfficers": ("sa(ssssss)", "x", "0"), "SendNow": ("t", "1")}
# Those that are not the manager's.
WHERE = {member: (f"{ROOT}/{path}", f"{NAME}.{noun}") for path, noun, members in (
    ("roster", "Roster", ("ListOfficers", "Checkout", "ImportOfficers")), ("transfer", "Transfers", ("Pause", "Resume", "SendNow")))
    for member in members}


def bind(folder, place):
    """polkitd, which is not root, gets to see it there."""
    os.chmod(folder, 0o755)
    subprocess.run(["mount", "--bind", folder, place], check=True)


@contextmanager
def polkitd(d):
    actions, rules = d.path("actions"), d.path("rules")
    for folder in (actions, rules):
        os.mkdir(folder)
    shutil.copy(f"{SRC}/systemd/polkit/{NAME}.policy", actions)
    with open(f"{rules}/50-site.rules", "w", encoding="ascii") as f:
        f.write(RULES)
    places = {"/usr/share/polkit-1/actions": actions, "/etc/polkit-1/rules.d": rules}
    for place, folder in places.items():
        bind(folder, place)
    os.chmod(d.folder, 0o711)
    running = Process(["/usr/lib/polkit-1/polkitd", "--no-debug"], d.path("polkitd.log"))
    try:
        d.wait(lambda: d.owned(POLKIT) or not running.running(), "polkitd on the bus")
        yield
    finally:
        running.end()
        for place in places:
            subprocess.run(["umount", place], check=True)


def as_user(d, uid, *command):
    os.chmod(d.folder, 0o711)
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *command]


def busctl(d, uid, member, *args, path=None, interface=None, options=()):
    """Begins the call; done() of it is what was answered."""
    if path is None:
        path, interface = WHERE.get(member, (ROOT, MANAGER))
    options = ["--system", "--auto-start=no", "--timeout=100", "--allow-interactive-authorization=no", *options]
    command = as_user(d, uid, "busctl", *options, "call", NAME, path, interface, member, *args)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def done(d, child):
    """Its exit code and words; the bus is served meanwhile, by those that this program plays."""
    d.wait(lambda: child.poll() is not None, "the call's end")
    return child.returncode, child.stdout.read()


def call(d, uid, member, *args, **where):
    return done(d, busctl(d, uid, member, *args, **where))


def ctl(d, uid, *args):
    shutil.copy(f"{BUILD}/berthctl", d.path("berthctl"))
    return subprocess.run(as_user(d, uid, d.path("berthctl"), *args), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def paused(d):
    return d.properties(f"{ROOT}/transfer", "Transfers")["Paused"]


def refusals(d, uid, methods, **where):
    """Of the methods, those that polkit does not allow, and what was said."""
    said = {member: call(d, uid, member, *args, **where)[1] for member, args in methods.items()}
    return {member: text for member, text in said.items() if "may not do this" in text}


def dock_with_clip(sim, dock):
    d = dock(["1-1.1"], policy={"erase": "never"}).start()
    sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[make_clip("a.MP4", 300_001, 1)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready")
    return d


# Calls that name no interface.
BARE = """
from gi.repository import Gio
bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
for member in ("Pause", "Destroy"):
    m = Gio.DBusMessage.new_method_call("org.berth.Dock1", "/org/berth/Dock1/transfer", None, member)
    print(bus.send_message_with_reply_sync(m, Gio.DBusSendMessageFlags.NONE, 100000)[0].get_error_name())
"""


def test_users_look_and_do_not_touch(sim, dock):
    d = dock_with_clip(sim, dock)
    with polkitd(d):
        bay, camera = f"{ROOT}/bay/1", f"{ROOT}/camera/SN_2dc"
        assert not refusals(d, NOBODY, LOOKS)
        refused = refusals(d, NOBODY, TOUCHES)
        assert set(refused) == set(TOUCHES), f"user nobody may call {set(TOUCHES) - set(refused)}"
        assert "org.berth.Dock1.evidence" in refused["EraseClip"] and "password is needed" in refused["EraseClip"], refused
        touches = {"Locate": ("u", "5"), "Calibrate": (), "Eject": ()}
        assert refusals(d, NOBODY, touches, path=bay, interface=f"{NAME}.Bay").keys() == set(touches)
        touches = {"Erase": ("b", "true"), "ConfirmIdentity": (), "SetOwner": ("ssss", "a", "b", "c", "d"),
                   "UpdateFirmware": ("sb", "2.1", "false")}
        assert refusals(d, NOBODY, touches, path=camera, interface=f"{NAME}.Camera").keys() == set(touches)
        # A call need not say which interface it means, and a method that there is not is nobody's.
        answers = subprocess.run(as_user(d, NOBODY, "/usr/bin/python3", "-c", BARE), capture_output=True, text=True, check=True).stdout
        assert answers.split() == [DENIED, DENIED], answers
        assert not paused(d) and not d.rows("SELECT 1 FROM hold") and not d.events("uploads-paused")
        assert len(sim("state", camera="c")["clips"]) == 1


def test_whom_a_site_allows_something_does_that_and_is_on_record(sim, dock):
    d = dock_with_clip(sim, dock)
    with polkitd(d):
        code, said = call(d, DAEMON, "SetHold", "tsss", "1", "", "K-7", "")
        assert code == 0, said
        event = d.wait(lambda: d.events("hold-set"), "the hold")[0]
        assert event["operator_uid"] == DAEMON and event["operator"] == "daemon", event
        assert set(refusals(d, DAEMON, {"Pause": (), "Checkout": ("s", "o")})) == {"Pause", "Checkout"}
        asked = ctl(d, DAEMON, "hold", "release", "--case=K-7")
        assert asked.returncode == 0, asked
        asked = ctl(d, DAEMON, "transfer", "pause")
        assert asked.returncode == 1 and "password is needed" in asked.stderr, asked


def test_without_polkit_everybody_looks_and_root_alone_touches(sim, dock):
    d = dock(["1-1.1"]).start()
    code, said = call(d, NOBODY, "Pause")
    assert code != 0 and "is not there; call as root" in said, said
    assert not refusals(d, NOBODY, LOOKS)
    assert set(refusals(d, NOBODY, TOUCHES)) == set(TOUCHES)
    assert "test-dock" in subprocess.run(as_user(d, NOBODY, "busctl", "--system", "get-property", NAME, ROOT, MANAGER, "DockName"),
                                         capture_output=True, text=True, check=True).stdout
    assert call(d, 0, "Pause")[0] == 0 and paused(d)


def test_polkit_that_fails_lets_nobody_look(sim, dock):
    """It may have a rule of the site's by which not everybody looks."""
    d = dock(["1-1.1"]).start()
    polkit = Authority(d)
    child = busctl(d, NOBODY, "ListModels")
    d.wait(lambda: polkit.questions, "polkit to be asked")
    polkit.questions[0][1].return_dbus_error("org.freedesktop.DBus.Error.Spawn.ChildExited", "polkitd ended")
    code, said = done(d, child)
    assert code != 0 and "polkit cannot say, 'polkitd ended'" in said, said


# ---- polkit as we want it

INTERFACE = """<node><interface name="org.freedesktop.PolicyKit1.Authority">
<method name="CheckAuthorization"><arg type="(sa{sv})" direction="in"/><arg type="s" direction="in"/><arg type="a{ss}" direction="in"/>
<arg type="u" direction="in"/><arg type="s" direction="in"/><arg type="(bba{ss})" direction="out"/></method>
<method name="CancelCheckAuthorization"><arg type="s" direction="in"/></method>
<method name="RegisterAuthenticationAgentWithOptions"><arg type="(sa{sv})" direction="in"/><arg type="s" direction="in"/>
<arg type="s" direction="in"/><arg type="a{sv}" direction="in"/></method>
</interface></node>"""


class Authority:
    """Keeps what it is asked; the test answers, or does not."""

    def __init__(self, d):
        self.questions, self.cancelled, self.agents = [], [], []
        info = Gio.DBusNodeInfo.new_for_xml(INTERFACE).interfaces[0]
        d.conn.register_object("/org/freedesktop/PolicyKit1/Authority", info, self._on_call, None, None)
        d.conn.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                         GLib.Variant("(su)", (POLKIT, 4)), None, 0, -1, None)

    def _on_call(self, _conn, _sender, _path, _interface, member, parameters, invocation):
        if member == "CancelCheckAuthorization":
            self.cancelled.append(parameters.unpack()[0])
            invocation.return_value(None)
        elif member == "RegisterAuthenticationAgentWithOptions":
            self.agents.append(parameters.unpack()[0])
            invocation.return_value(None)
        else:
            self.questions.append((parameters.unpack(), invocation))

    def answer(self, number, allowed):
        self.questions[number][1].return_value(GLib.Variant("((bba{ss}))", ((allowed, False, {}),)))


def test_question_is_about_the_caller_and_interactive_when_the_caller_says_so(sim, dock):
    d = dock(["1-1.1"]).start()
    polkit = Authority(d)
    for n, interactive in enumerate((False, True)):
        child = busctl(d, NOBODY, "Pause" if interactive else "Resume",
                       options=[f"--allow-interactive-authorization={'yes' if interactive else 'no'}"])
        d.wait(lambda n=n: len(polkit.questions) > n, "polkit to be asked")
        subject, action, _details, flags, _number = polkit.questions[n][0]
        pid = d.conn.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixUser",
                               GLib.Variant("(s)", (subject[1]["name"],)), None, 0, -1, None).unpack()[0]
        assert (subject[0], pid, action, flags) == ("system-bus-name", NOBODY, "org.berth.Dock1.settings", int(interactive))
        # Others are served meanwhile, and nothing has been done yet.
        assert not paused(d) and call(d, 0, "ListModels")[0] == 0
        polkit.answer(n, interactive)
        code, said = done(d, child)
        assert (code == 0) == interactive and paused(d) == interactive, said
    event = d.events("uploads-paused")[0]
    assert event["operator_uid"] == NOBODY, event


def test_berthctl_at_a_terminal_brings_an_agent_that_can_ask_for_a_password(sim, dock):
    d = dock(["1-1.1"]).start()
    polkit = Authority(d)
    shutil.copy(f"{BUILD}/berthctl", d.path("berthctl"))
    os.chmod(d.folder, 0o711)
    pid, terminal = pty.fork()
    if pid == 0:
        os.fchown(0, DAEMON, DAEMON)
        os.execvp("setpriv", as_user(d, DAEMON, d.path("berthctl"), "transfer", "pause"))
    d.wait(lambda: polkit.questions, "polkit to be asked")
    (kind, about), flags = polkit.agents[0], polkit.questions[0][0][3]
    assert (kind, about["pid"], flags) == ("unix-process", pid, 1), polkit.agents
    polkit.answer(0, True)
    d.wait(lambda: os.waitpid(pid, os.WNOHANG) == (pid, 0), "berthctl to end well")
    os.close(terminal)
    assert paused(d)


def test_silence_is_a_no_and_the_question_is_taken_back(sim, dock):
    d = dock(["1-1.1"]).start()
    polkit = Authority(d)
    code, said = call(d, NOBODY, "Pause")
    assert code != 0 and "no answer in time" in said and not paused(d), said
    d.wait(lambda: polkit.cancelled == [polkit.questions[0][0][4]], "the question to be taken back")
    polkit.answer(0, True)
    assert call(d, 0, "ListModels")[0] == 0 and not paused(d), "an answer that came too late was an order"


def test_caller_that_left_gave_no_order(sim, dock):
    d = dock(["1-1.1"]).start()
    polkit = Authority(d)
    child = busctl(d, NOBODY, "Pause")
    d.wait(lambda: polkit.questions, "polkit to be asked")
    child.kill()
    child.wait()
    name = polkit.questions[0][0][0][1]["name"]
    d.wait(lambda: not d.owned(name), "the caller to leave the bus")
    polkit.answer(0, True)
    assert call(d, 0, "ListModels")[0] == 0 and call(d, 0, "ListModels")[0] == 0
    assert not paused(d) and not d.events("uploads-paused")


FLOOD = """
import sys
from gi.repository import Gio, GLib
bus, loop, answers = Gio.bus_get_sync(Gio.BusType.SYSTEM), GLib.MainLoop(), []
def on_answer(bus, result):
    try:
        bus.call_finish(result)
        answers.append("done")
    except GLib.Error as e:
        answers.append(Gio.DBusError.get_remote_error(e).split(".")[-1])
    if len(answers) in (84, 100):
        print(answers.count("Busy"), answers.count("done"), flush=True)
    if len(answers) == 100:
        loop.quit()
for n in range(100):
    bus.call("org.berth.Dock1", "/org/berth/Dock1/transfer", "org.berth.Dock1.Transfers", "Pause", None, None,
             Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION, 200000, None, on_answer)
loop.run()
"""


def test_flood_of_calls_that_wait_leaves_room_for_others(sim, dock):
    d = dock(["1-1.1"]).start()
    polkit = Authority(d)
    command = as_user(d, NOBODY, "/usr/bin/python3", "-c", FLOOD)
    flood = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    d.wait(lambda: len(polkit.questions) == 16, "polkit to be asked")
    assert flood.stdout.readline() == "84 0\n"
    other = busctl(d, DAEMON, "Pause")
    d.wait(lambda: len(polkit.questions) == 17, "polkit to be asked for another user")
    polkit.answer(16, True)
    code, said = done(d, other)
    assert code == 0 and paused(d), said
    for n in range(16):
        polkit.answer(n, n % 2 == 0)
    d.wait(lambda: flood.poll() is not None, "the flood to end")
    assert flood.stdout.readline() == "84 8\n"
    assert not polkit.cancelled


if __name__ == "__main__":
    if os.getuid() != 0:
        print("1..0 # skip only root can be other users")
        sys.exit(0)
    rack.run([test_users_look_and_do_not_touch, test_whom_a_site_allows_something_does_that_and_is_on_record,
              test_without_polkit_everybody_looks_and_root_alone_touches, test_polkit_that_fails_lets_nobody_look,
              test_question_is_about_the_caller_and_interactive_when_the_caller_says_so,
              test_berthctl_at_a_terminal_brings_an_agent_that_can_ask_for_a_password,
              test_silence_is_a_no_and_the_question_is_taken_back, test_caller_that_left_gave_no_order,
              test_flood_of_calls_that_wait_leaves_room_for_others])
