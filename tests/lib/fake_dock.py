#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""org.berth.Dock1 without a dock: objects whose properties are those of the daemon's XML files, driven by a test.

A test makes a Bus (a private dbus-daemon) and a FakeDock on it. The dock runs as a program of its own, this file, so that it
can vanish as a daemon does; it takes one JSON command per line and answers each by one line.
"""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

SRC = os.environ.get("BERTH_SRC", os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))
NAME = "org.berth.Dock1"
ROOT = "/org/berth/Dock1"
ROWS_MAX = 500

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy>
</busconfig>
"""


class Bus:
    """A dbus-daemon in a scratch folder. It can be ended and started anew at the same address."""

    def __init__(self, folder):
        self.config = os.path.join(folder, "bus.conf")
        self.socket = os.path.join(folder, "bus")
        self.address = f"unix:path={self.socket}"
        with open(self.config, "w", encoding="ascii") as f:
            f.write(BUS_CONFIG.format(socket=self.socket))
        self.start()

    def start(self):
        self.process = subprocess.Popen(["dbus-daemon", f"--config-file={self.config}", "--nofork", "--print-address"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if not self.process.stdout.readline():
            raise AssertionError("dbus-daemon does not start")

    def end(self):
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()


class FakeDock:
    """The test's side."""

    def __init__(self, bus):
        self.process = subprocess.Popen(["/usr/bin/python3", os.path.abspath(__file__), bus.address], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise AssertionError("the fake dock does not start")

    def __call__(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise AssertionError(f"{command}: {answer['error']}")
        return answer

    def dock(self, **properties):
        self(do="set", path=ROOT, properties=properties)

    def bay(self, number, **properties):
        self(do="set", path=f"{ROOT}/bay/{number}", properties=properties)

    def camera(self, name, **properties):
        self(do="set", path=f"{ROOT}/camera/{name}", properties=properties)

    def rollout(self, name, **properties):
        self(do="set", path=f"{ROOT}/rollout/{name}", properties=properties)

    def firmware(self, name, **properties):
        self(do="set", path=f"{ROOT}/firmware/{name}", properties=properties)

    def job(self, number, **properties):
        self(do="set", path=f"{ROOT}/job/{number}", properties=properties)

    def figures(self, **figures):
        self(do="figures", figures=figures)

    def remove(self, path):
        self(do="remove", path=path)

    def add_clips(self, clips):
        self(do="clips", clips=clips)

    def add_events(self, events):
        self(do="events", events=events)

    def end(self):
        """Gone at once, as after SIGKILL."""
        self.process.kill()
        self.process.wait(60)
        self.process.stdin.close()
        self.process.stdout.close()


# ---- The dock's side ------------------------------------------------------------------------------------------------


def load_properties(noun):
    """{property: signature} as the daemon's XML file says."""
    tree = ElementTree.parse(os.path.join(SRC, "daemon", "bus", f"{NAME}.{noun}.xml"))
    return {p.get("name"): p.get("type") for p in tree.iter("property")}


def interface_of(path):
    noun = "Manager" if path == ROOT else {"bay": "Bay", "camera": "Camera", "rollout": "Rollout", "firmware": "Firmware",
                                             "job": "Job"}[path.split("/")[4]]
    return f"{NAME}.{noun}", load_properties(noun)


def serve(address):
    import dbus
    import dbus.lowlevel
    import dbus.mainloop.glib
    from gi.repository import GLib

    types = {"s": dbus.String, "o": dbus.ObjectPath, "u": dbus.UInt32, "i": dbus.Int32, "t": dbus.UInt64, "x": dbus.Int64,
             "b": dbus.Boolean, "as": lambda rows: dbus.Array(rows, signature="s"),
             "a(uutt)": lambda rows: dbus.Array([tuple(row) for row in rows], signature="(uutt)"),
             "a(susss)": lambda rows: dbus.Array([tuple(row) for row in rows], signature="(susss)")}
    types["a{sv}"] = lambda outcome: dbus.Dictionary(outcome, signature="sv")
    empty = {"a{sv}": {}, "s": "", "o": "/", "u": 0, "i": -1, "t": 0, "x": 0, "b": False, "as": [], "a(uutt)": [], "a(susss)": []}
    clip_types = {"Id": "t", "SizeBytes": "t", "DurableBytes": "t", "Ordinal": "u", "ModifiedSec": "x", "SeenUsec": "x",
                  "ReceiptSec": "x", "Priority": "b", "ContainerOffset": "t", "RecordedSec": "x", "DurationMsec": "t"}
    objects, clips, events, figures, rows_of = {}, [], [], {}, {}

    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    connection = dbus.bus.BusConnection(address)
    loop = GLib.MainLoop()

    def emit(path, interface, member, signature, *args):
        message = dbus.lowlevel.SignalMessage(path, interface, member)
        message.append(*args, signature=signature)
        connection.send_message(message)

    def interfaces(path):
        return dbus.Dictionary({interface_of(path)[0]: dbus.Dictionary(objects[path], signature="sv")}, signature="sa{sv}")

    def set_properties(path, properties):
        interface, signatures = interface_of(path)
        typed = {name: types[signatures[name]](value) for name, value in properties.items()}
        if path in objects:
            objects[path].update(typed)
            emit(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", interface, typed, [])
            return
        objects[path] = {name: types[s](empty[s]) for name, s in signatures.items()}
        objects[path].update(typed)
        if path != ROOT:
            emit(ROOT, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", "oa{sa{sv}}", path, interfaces(path))

    def command(line):
        what = json.loads(line)
        if what["do"] == "set":
            set_properties(what["path"], what["properties"])
        elif what["do"] == "remove":
            del objects[what["path"]]
            emit(ROOT, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", "oas", what["path"], [interface_of(what["path"])[0]])
        elif what["do"] == "clips":
            clips.extend(what["clips"])
            clips.sort(key=lambda c: -c["Id"])
        elif what["do"] == "events":
            events.extend(what["events"])
        elif what["do"] == "rows":
            rows_of[what["member"]] = [dbus.Dictionary(row, signature="sv") for row in what["rows"]]
        elif what["do"] == "figures":
            figures.update(what["figures"])
        elif what["do"] == "name":
            connection.request_name(NAME, dbus.bus.NAME_FLAG_DO_NOT_QUEUE)
        connection.flush()

    def about(event, serial, clip_id):
        parsed = json.loads(event["bytes"]) if event["bytes"].startswith("{") else {}
        return (not serial or parsed.get("serial") == serial) and (not clip_id or parsed.get("clip_id") == clip_id)

    def rows(most):
        return min(most or 100, ROWS_MAX)

    def typed_clip(clip):
        return dbus.Dictionary({key: types[clip_types.get(key, "s")](value) for key, value in clip.items()}, signature="sv")

    def answer(message):
        """(signature, value) or an error's name and text."""
        args, path = message.get_args_list(), message.get_path()
        member = message.get_member()
        if member == "GetAll" and path in objects:
            return "a{sv}", dbus.Dictionary(objects[path], signature="sv")
        if member == "GetManagedObjects" and path == ROOT:
            # As sd-bus does: the objects below, not the manager itself.
            return "a{oa{sa{sv}}}", dbus.Dictionary({p: interfaces(p) for p in objects if p != ROOT}, signature="oa{sa{sv}}")
        if member == "ListClips":
            serial, state, before, most = args
            if state == "bogus":
                return f"{NAME}.Error.InvalidArgument", "state: not a state of a clip."
            if serial == "nobody":
                return f"{NAME}.Error.NoSuchCamera", "No camera with the serial 'nobody' was ever docked here."
            found = [c for c in clips if (not serial or c["Serial"] == serial) and (not state or c["State"] == state) and
                     (not before or c["Id"] < before)]
            return "aa{sv}", dbus.Array([typed_clip(c) for c in found[:rows(most)]], signature="a{sv}")
        if member == "ListEvents":
            after, serial, clip_id, most = args
            found = [e for e in events if e["seq"] > after and about(e, serial, clip_id)][:rows(most)]
            return "a(tss)", dbus.Array([(e["seq"], e["bytes"], e["hash"]) for e in found], signature="(tss)")
        if member == "LastEvents":
            serial, clip_id, most = args
            found = [e for e in events if about(e, serial, clip_id)][-rows(most):]
            return "a(tss)", dbus.Array([(e["seq"], e["bytes"], e["hash"]) for e in found], signature="(tss)")
        if member == "ListOfficers":
            return "taa{sv}", (dbus.UInt64(0), dbus.Array(rows_of.get(member, []), signature="a{sv}"))
        if member in rows_of:
            return "aa{sv}", dbus.Array(rows_of[member], signature="a{sv}")
        if member == "GetFigures":
            kinds = {"UploadsUnderWay": "u", "OldestUnstoredUsec": "x"}
            return "a{sv}", dbus.Dictionary({key: dbus.Dictionary(value, signature="st") if isinstance(value, dict)
                                             else types[kinds.get(key, "t")](value) for key, value in figures.items()}, signature="sv")
        if member == "ListRefused":
            found = [o for p, o in sorted(objects.items()) if o.get("State") in ("refused", "quarantined")]
            return "aa{sv}", dbus.Array([dbus.Dictionary(
                dict({"Bay": o["Number"], "PortPath": o["PortPath"], "State": o["State"], "Reason": o["Reason"]},
                     **({"Serial": o["Serial"], "Model": o["Model"]} if o["Serial"] else
                        {"UsbId": "046d:c31c", "Product": "Key\x1b[31mboard", "Interfaces": dbus.Array(
                            ["03/01/01", "03/01/01", "03/00/00"], signature="s")})), signature="sv") for o in found],
                signature="a{sv}")
        if member == "ListModels":
            return "aa{sv}", dbus.Array([dbus.Dictionary({"Id": "acme", "Description": "Acme 1", "Tested": "not at all", "Plugin": "mtp",
                                                          "File": "/etc/berth/cameras.d/acme.conf", "Local": dbus.Boolean(True),
                                                          "Match": dbus.Array(["1234:5678", "1234:5679"], signature="s"),
                                                          "MatchProduct": "Cam*", "ChargeMa": dbus.UInt32(900), "FileTimes": "local",
                                                          "Erase": "never", "Firmware": "none"}, signature="sv")], signature="a{sv}")
        return "org.freedesktop.DBus.Error.UnknownMethod", f"{path} does not do {member}"

    def on_message(_, message):
        if message.get_type() != 1:
            return 1
        kind, value = answer(message)
        if "." in kind:
            reply = dbus.lowlevel.ErrorMessage(message, kind, value)
        else:
            reply = dbus.lowlevel.MethodReturnMessage(message)
            reply.append(*(value if isinstance(value, tuple) else (value,)), signature=kind)
        connection.send_message(reply)
        return 0

    def on_input(*_):
        line = sys.stdin.readline()
        if not line:
            loop.quit()
            return False
        try:
            command(line)
            print("{}", flush=True)
        except Exception as e:  # the test is told, and fails
            print(json.dumps({"error": repr(e)}), flush=True)
        return True

    connection.add_message_filter(on_message)
    set_properties(ROOT, {})
    print("ready", flush=True)
    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, on_input)
    loop.run()


if __name__ == "__main__":
    serve(sys.argv[1])
