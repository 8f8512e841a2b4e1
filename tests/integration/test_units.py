#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The files that put Berth into a system: systemd accepts the units and finds them tight, the users and folders come out
right, the bus lets in whom it should, and udev gives cameras, and only cameras, to the group."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

SRC, BUILD = os.environ["BERTH_SRC"], os.environ["BERTH_BUILD"]
sys.path.insert(0, os.path.join(SRC, "tests"))
import tap  # noqa: E402

UNITS = ["berthd.service", "berth-uplink.service", "berth-uplink.socket",
         "berth-metrics@.service", "berth-metrics.socket", "berth-archive.service", "berth-archive.timer"]
# Of systemd-analyze's tenths of points, 0 (nothing exposed) to 100: what stands here is explained in the units.
EXPOSURE_MAX = {"berthd.service": 11, "berth-uplink.service": 4, "berth-metrics@.service": 7, "berth-archive.service": 4}
EXPOSURE_WITH_NETWORK_MAX = 15


def run(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          **options)


def good(*command, **options):
    done = run(*command, **options)
    assert done.returncode == 0, (command, done.stdout)
    return done.stdout


def source(path):
    """A file of the tree as `make` would install it."""
    built = os.path.join(BUILD, path)
    return built if os.path.exists(built) else os.path.join(SRC, path)


class Root:
    """A small system in a folder: this machine's units, Berth's files beside them, and its users."""

    def __init__(self, folder):
        self.folder = folder
        for path in ["etc", "usr/lib/systemd", "usr/local/sbin", "usr/local/bin", "usr/lib/sysusers.d", "usr/lib/tmpfiles.d", "run",
                     "var/lib"]:
            os.makedirs(os.path.join(folder, path))
        shutil.copytree("/usr/lib/systemd/system", self.path("usr/lib/systemd/system"), symlinks=True)
        for unit in UNITS:
            shutil.copy(source("systemd/system/" + unit), self.path("usr/lib/systemd/system"))
        shutil.copy(source("systemd/sysusers.d/berth.conf"), self.path("usr/lib/sysusers.d"))
        shutil.copy(source("systemd/tmpfiles.d/berth.conf"), self.path("usr/lib/tmpfiles.d"))
        for name in ["berthd", "berth-uplink"]:
            shutil.copy(os.path.join(BUILD, name), self.path("usr/local/sbin"))
        shutil.copy(os.path.join(BUILD, "berthctl"), self.path("usr/local/bin"))
        for name in ["passwd", "group"]:
            with open("/etc/" + name, encoding="utf-8") as theirs, open(self.path("etc/" + name), "w", encoding="utf-8") as ours:
                # Berth may be installed here: its users are what is tested.
                ours.writelines(line for line in theirs if not line.startswith("berth"))

    def path(self, path):
        return os.path.join(self.folder, path)

    def create_users(self):
        good("systemd-sysusers", "--root=" + self.folder, "berth.conf")

    def user(self, name):
        with open(self.path("etc/passwd"), encoding="utf-8") as f:
            return next(line.strip().split(":") for line in f if line.startswith(name + ":"))


def with_root(test):
    def wrapped():
        with tempfile.TemporaryDirectory() as folder:
            test(Root(folder))
    wrapped.__name__ = test.__name__
    return wrapped


def needs_root():
    if os.getuid() != 0:
        raise tap.Skip("only root can be other users")


@with_root
def test_systemd_accepts_the_units_without_a_word(root):
    done = run("systemd-analyze", "verify", "--man=no", "--root=" + root.folder, *UNITS)
    # It returns 0 on an unknown key, but says so. The machine's own units may have flaws of their own.
    said = [line for line in done.stdout.splitlines() if "berth" in line]
    assert done.returncode == 0 and not said, done.stdout


@with_root
def test_a_misspelt_key_would_be_seen(root):
    path = root.path("usr/lib/systemd/system/berthd.service")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("ProtectHome=", "ProtectHoms="))
    assert "ProtectHoms" in run("systemd-analyze", "verify", "--man=no", "--root=" + root.folder, "berthd.service").stdout


@with_root
def test_services_stay_as_tight_as_they_are(root):
    for unit, most in EXPOSURE_MAX.items():
        done = run("systemd-analyze", "security", "--offline=true", f"--threshold={most}", "--no-pager",
                   root.path("usr/lib/systemd/system/" + unit))
        assert done.returncode == 0, done.stdout
        assert "✗ CapabilityBoundingSet" not in done.stdout, done.stdout


def with_network(root):
    """The uploader's unit with its drop-in for a store on the network, as systemd puts them together."""
    folder = root.path("usr/lib/systemd/system/berth-uplink.service.d")
    os.makedirs(folder)
    for name in ["network-store.conf", "tus-store.conf"]:
        shutil.copy(os.path.join(SRC, "systemd/dropins", name), folder)
    whole = root.path("whole.service")
    with open(whole, "w", encoding="utf-8") as f:
        for path in [root.path("usr/lib/systemd/system/berth-uplink.service"), os.path.join(folder, "network-store.conf"),
                     os.path.join(folder, "tus-store.conf")]:
            with open(path, encoding="utf-8") as part:
                f.write(part.read() + "\n")
    return whole


def test_services_are_tried_again_for_ever_at_longer_intervals():
    for unit in ("berthd.service", "berth-uplink.service"):
        with open(source("systemd/system/" + unit), encoding="utf-8") as f:
            text = f.read()
        assert unit != "berthd.service" or "\nOOMPolicy=continue\n" in text, "one worker's want of memory would stop the dock"
        assert "StartLimitIntervalSec=0\n" in text and "Restart=on-failure\n" in text, unit
        (script,) = re.findall(r"^ExecStartPre=-/bin/sh -c '(.*)'$", text, re.M)
        with tempfile.TemporaryDirectory() as folder:
            for name, does in (("systemctl", 'test "$*" = "show -P NRestarts %n" && echo "$N"'), ("sleep", 'echo "$1"')):
                with open(os.path.join(folder, name), "w", encoding="ascii") as f:
                    f.write(f"#!/bin/sh\n{does}\n")
                os.chmod(f.name, 0o755)
            environment = {"PATH": folder + ":/usr/bin:/bin"}
            waits = [run("/bin/sh", "-c", script.replace("$$", "$"), env={**environment, "N": str(n)}).stdout.strip() for n in range(10)]
            assert waits == ["", "", "", "2", "4", "8", "16", "60", "60", "60"], (unit, waits)


@with_root
def test_a_store_on_the_network_opens_the_network_and_nothing_else(root):
    closed = run("systemd-analyze", "security", "--offline=true", "--no-pager", root.path("usr/lib/systemd/system/berth-uplink.service"))
    whole = with_network(root)
    done = run("systemd-analyze", "verify", "--man=no", "--root=" + root.folder, "berth-uplink.service")
    assert done.returncode == 0 and not [line for line in done.stdout.splitlines() if "berth" in line], done.stdout
    done = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_WITH_NETWORK_MAX}", "--no-pager", whole)
    assert done.returncode == 0, done.stdout
    assert "✗ CapabilityBoundingSet" not in done.stdout, done.stdout
    opened = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("✗")}
    opened -= {line.split()[1] for line in closed.stdout.splitlines() if line.startswith("✗")}
    assert opened == {"PrivateNetwork=", "IPAddressDeny=", "RestrictAddressFamilies=~AF_(INET|INET6)"}, opened


def test_services_hold_no_capability_and_speak_no_ip():
    for unit in EXPOSURE_MAX:
        with open(source("systemd/system/" + unit), encoding="utf-8") as f:
            lines = f.read().splitlines()
        assert "CapabilityBoundingSet=" in lines and "AmbientCapabilities=" in lines, unit
        families = [line for line in lines if line.startswith("RestrictAddressFamilies=")]
        assert families and not any("INET" in line for line in families), unit


def test_manual_pages_that_units_name_exist():
    for unit in UNITS:
        with open(source("systemd/system/" + unit), encoding="utf-8") as f:
            for name, section in re.findall(r"man:([\w.-]+)\((\d)\)", f.read()):
                assert os.path.exists(os.path.join(SRC, f"man/{name}.{section}")), (unit, name, section)


@with_root
def test_sysusers_makes_users_of_no_other_group(root):
    said = good("systemd-sysusers", "--dry-run", "--root=" + root.folder, "berth.conf")
    assert "berth" in said and "berth-uplink" in said, said
    root.create_users()
    daemon, uplink, metrics = root.user("berth"), root.user("berth-uplink"), root.user("berth-metrics")
    assert len({daemon[2], uplink[2], metrics[2]}) == len({daemon[3], uplink[3], metrics[3]}) == 3
    assert daemon[5] == "/var/lib/berth" and daemon[6].endswith("nologin") and uplink[6].endswith("nologin")
    with open(root.path("etc/group"), encoding="utf-8") as f:
        members = {line.split(":")[0]: line.strip().split(":")[3] for line in f}
    assert not any("berth" in who for who in members.values()), members


@with_root
def test_tmpfiles_keeps_the_state_folder_to_the_daemon(root):
    needs_root()
    root.create_users()
    good("systemd-tmpfiles", "--create", "--root=" + root.folder, "berth.conf")
    state = os.stat(root.path("var/lib/berth"))
    assert (state.st_mode & 0o7777, state.st_uid) == (0o700, int(root.user("berth")[2]))
    assert os.stat(root.path("etc/berth/cameras.d")).st_mode & 0o7777 == 0o755


def in_namespace(root, script, *arguments):
    """Runs a shell script where the users of `root` are the system's."""
    prefix = f"mount --bind {root.path('etc/passwd')} /etc/passwd && mount --bind {root.path('etc/group')} /etc/group || exit 99\n"
    return run("unshare", "--mount", "bash", "-c", prefix + script, "bash", *arguments)


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>
<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
<allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus"/></policy>
<include>{policy}</include></busconfig>
"""
# Owns the name, has no object, and tells when it is there.
HOLDER = """
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
owned = bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                      GLib.Variant("(su)", ("org.berth.Dock1", 4)), None, 0, -1).unpack()[0]
print("owned" if owned == 1 else "not owned", flush=True)
GLib.MainLoop().run()
"""
ASK = """
folder=$1 holder=$2 user=$3; shift 3
dbus-daemon --config-file="$folder/bus.conf" --print-pid --fork > "$folder/pid" || exit 98
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$folder/bus
mkfifo "$folder/ready"
setpriv --reuid "$holder" --clear-groups /usr/bin/python3 "$folder/holder.py" > "$folder/ready" 2> "$folder/error" &
holding=$!
read -r answer < "$folder/ready" || answer=$(tail -1 "$folder/error")
echo "holder: $answer"
[ $# -eq 0 ] || setpriv --reuid "$user" --clear-groups busctl --system --auto-start=no call "$@"
kill $holding "$(cat "$folder/pid")" 2>/dev/null
"""


def on_bus(root, holder, user="nobody", *call):
    """What the bus says to `holder`, who wants the name, and then to `user`, who calls it."""
    folder = tempfile.mkdtemp(dir=root.path("run"))
    for path in [root.folder, folder]:
        os.chmod(path, 0o755)
    with open(os.path.join(folder, "holder.py"), "w", encoding="utf-8") as f:
        f.write(HOLDER)
    with open(os.path.join(folder, "bus.conf"), "w", encoding="utf-8") as f:
        f.write(BUS.format(folder=folder, policy=source("systemd/dbus-policy/org.berth.Dock1.conf")))
    return in_namespace(root, ASK, folder, holder, user, *call).stdout


@with_root
def test_the_daemons_user_alone_may_own_the_name(root):
    needs_root()
    root.create_users()
    assert "holder: owned" in on_bus(root, "berth")
    for user in ["nobody", "berth-uplink", "root"]:
        assert "not allowed to own" in on_bus(root, user), on_bus(root, user)


@with_root
def test_anyone_reaches_the_daemon_which_asks_polkit_what_they_may(root):
    needs_root()
    root.create_users()
    daemon, path = "org.berth.Dock1", "/org/berth/Dock1"
    for call in [(daemon, path, "org.freedesktop.DBus.Properties", "GetAll", "s", "org.berth.Dock1.Manager"),
                 (daemon, path + "/transfer", "org.berth.Dock1.Transfers", "Pause"),
                 (daemon, path + "/bay/1", "org.berth.Dock1.Bay", "Calibrate")]:
        said = on_bus(root, "berth", "nobody", *call)
        assert "holder: owned" in said and "Access denied" not in said, (call, said)
        # The holder has no such object: that this is what it said shows that the call reached it.
        assert "No such interface" in said or "does not exist" in said or "Unknown" in said, (call, said)


def udev_says(camera):
    """What `udevadm test` makes of one simulated device, as (properties, complaints about our rules, all lines)."""
    with tempfile.TemporaryDirectory() as folder:
        root = Root(os.path.join(folder, "root"))
        root.create_users()
        script = os.path.join(folder, "inside")
        with open(script, "w", encoding="utf-8") as f:
            f.write(f"""#!/bin/bash
set -e
mount --bind {root.path('etc/passwd')} /etc/passwd
mount --bind {root.path('etc/group')} /etc/group
mkdir -p /run/udev/rules.d
cp {source('udev-rules/68-berth.rules')} {source('udev-rules/72-berth.rules')} /run/udev/rules.d/
/usr/bin/python3 - <<'END'
import json, os, socket
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ["BERTH_SIM_SOCKET"])
f = s.makefile("rwb")
for command in [dict({camera!r}, cmd="camera", name="it"), dict(cmd="plug", camera="it", port="1-1.1")]:
    f.write(json.dumps(command).encode() + b"\\n")
    f.flush()
    answer = json.loads(f.readline())
    assert answer["ok"], answer
END
exec udevadm test --action=add /sys/bus/usb/devices/1-1.1
""")
        os.chmod(script, 0o755)
        said = good(os.path.join(BUILD, "berth-sim"), "--hubs", "1-1:2", "--", "/bin/bash", script).splitlines()
    properties = dict(line.split("=", 1) for line in said if re.match(r"[A-Z_0-9]+=", line))
    complaints = [line for line in said if "-berth.rules" in line and re.search(r"[Ii]nvalid|[Uu]nknown|ignor", line)]
    return properties, complaints, said


PTP = {"type": "ptp", "vid": 0x1209, "pid": 0xBC01, "serial": "A1", "manufacturer": "Acme", "model": "BC-1", "clips": []}
STRANGER = {"type": "stranger", "vid": 0x1D6B, "pid": 0x0104, "product": "It", "interfaces": [{"class": 3, "subclass": 1, "protocol": 1}]}
STORAGE = dict(STRANGER, interfaces=[{"class": 8, "subclass": 6, "protocol": 0x50}])
STORAGE_AND_KEYS = dict(STRANGER, interfaces=[{"class": 8, "subclass": 6, "protocol": 0x50}, {"class": 3, "subclass": 1, "protocol": 1}])
MIXED = dict(STRANGER, interfaces=[{"class": 6, "subclass": 1, "protocol": 1}, {"class": 3, "subclass": 1, "protocol": 1}])


def test_udev_gives_a_camera_to_the_group_and_keeps_other_programs_off():
    needs_root()
    properties, complaints, said = udev_says(PTP)
    assert not complaints, complaints
    assert properties.get("BERTH_CAMERA") == "1", said
    assert properties.get("ID_MM_DEVICE_IGNORE") == "1" and properties.get("MTP_NO_PROBE") == "1", properties
    for gone in ["ID_GPHOTO2", "ID_MTP_DEVICE", "ID_MEDIA_PLAYER"]:
        assert not properties.get(gone), (gone, properties)
    assert "uaccess" not in properties.get("CURRENT_TAGS", "") and not any(re.search("RUN .uaccess", line) for line in said), said
    text = "\n".join(said)
    assert re.search(r"68-berth\.rules:\d+ MODE 0660", text) and re.search(r"68-berth\.rules:\d+ GROUP berth\(\d+\)", text), text
    assert not re.search(r"mtp-probe", text), text


def test_udev_gives_a_camera_that_shows_its_card_as_a_disk_to_the_group():
    needs_root()
    properties, complaints, said = udev_says(STORAGE)
    assert not complaints, complaints
    assert properties.get("BERTH_CAMERA") == "1", said
    assert re.search(r"68-berth\.rules:\d+ MODE 0660", "\n".join(said)), said


def test_udev_opens_the_power_of_a_hubs_ports_to_the_group():
    needs_root()
    with tempfile.TemporaryDirectory() as folder:
        root = Root(os.path.join(folder, "root"))
        root.create_users()
        script = os.path.join(folder, "inside")
        # What udevd would run for the event is taken from what the test of the rules prints, and run.
        with open(script, "w", encoding="utf-8") as f:
            f.write(f"""#!/bin/bash
set -e
mount --bind {root.path('etc/passwd')} /etc/passwd
mount --bind {root.path('etc/group')} /etc/group
mkdir -p /run/udev/rules.d
cp {source('udev-rules/68-berth-hubport.rules')} /run/udev/rules.d/
udevadm test --action=bind /sys/bus/usb/devices/1-1:1.0 >{folder}/said 2>&1
sed -n "s/^run: '\\(.*\\)'$/\\1/p" {folder}/said >{folder}/commands
bash -e {folder}/commands
stat -c 'port %U:%G %a' /sys/bus/usb/devices/1-1:1.0/1-1-port*/disable
""")
        os.chmod(script, 0o755)
        said = good(os.path.join(BUILD, "berth-sim"), "--hubs", "1-1:2", "--", "/bin/bash", script).splitlines()
        with open(os.path.join(folder, "said"), encoding="utf-8") as f:
            complaints = [line for line in f if "hubport" in line and re.search(r"[Ii]nvalid|[Uu]nknown|ignor", line)]
    assert not complaints, complaints
    assert said.count("port root:berth 664") == 2, said


def test_udev_gives_the_racks_lamps_to_the_group_and_no_others():
    needs_root()
    with tempfile.TemporaryDirectory() as folder:
        root = Root(os.path.join(folder, "root"))
        root.create_users()
        script = os.path.join(folder, "inside")
        with open(script, "w", encoding="utf-8") as f:
            f.write(f"""#!/bin/bash
set -e
mount --bind {root.path('etc/passwd')} /etc/passwd
mount --bind {root.path('etc/group')} /etc/group
mkdir -p /run/udev/rules.d /sys/class/leds
cp {source('udev-rules/71-berth-leds.rules')} /run/udev/rules.d/
for name in berth:rgb:bay1 input3::capslock; do
    lamp=/sys/devices/platform/lamps/leds/$name
    mkdir -p $lamp
    ln -s ../../../../../class/leds $lamp/subsystem
    ln -s ../../devices/platform/lamps/leds/$name /sys/class/leds/$name
    for file in brightness multi_intensity max_brightness trigger uevent; do echo 0 >$lamp/$file; done
    chmod 644 $lamp/*
    udevadm test --action=add $lamp >{folder}/said 2>&1
    sed -n "s/^run: '\\(.*\\)'$/\\1/p" {folder}/said >{folder}/commands
    bash -e {folder}/commands
    (cd $lamp && stat -c "$name %n %U:%G %a" brightness multi_intensity max_brightness)
    echo "$name trigger $(cat $lamp/trigger)"
done
""")
        os.chmod(script, 0o755)
        said = good(os.path.join(BUILD, "berth-sim"), "--hubs", "1-1:2", "--", "/bin/bash", script).splitlines()
        with open(os.path.join(folder, "said"), encoding="utf-8") as f:
            complaints = [line for line in f if "berth-leds" in line and re.search(r"[Ii]nvalid|[Uu]nknown|ignor", line)]
    assert not complaints, complaints
    assert said == ["berth:rgb:bay1 brightness root:berth 664", "berth:rgb:bay1 multi_intensity root:berth 664",
                    "berth:rgb:bay1 max_brightness root:root 644", "berth:rgb:bay1 trigger none",
                    "input3::capslock brightness root:root 644", "input3::capslock multi_intensity root:root 644",
                    "input3::capslock max_brightness root:root 644", "input3::capslock trigger 0"], said


def test_udev_leaves_every_other_device_alone():
    needs_root()
    for device in [STRANGER, MIXED, STORAGE_AND_KEYS]:
        properties, complaints, said = udev_says(device)
        assert not complaints, complaints
        assert "BERTH_CAMERA" not in properties and "MTP_NO_PROBE" not in properties, properties
        assert not [line for line in said if "-berth.rules" in line and ("MODE" in line or "GROUP" in line)], said


if __name__ == "__main__":
    tap.main()
