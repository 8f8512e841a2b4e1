#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""berth-sim as a program, and what unmodified tools see inside it."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap  # noqa: E402

SIM = os.path.join(os.path.abspath(os.environ.get("BERTH_BUILD", "build")), "berth-sim")
DEADLINE = 120
CAMERA = {"cmd": "camera", "name": "L", "type": "loopback", "vid": 0x1209, "pid": 0xBC01, "manufacturer": "Ring Ltd",
          "product": "Loop", "serial": "LOOP1"}
KEYBOARD = {"cmd": "camera", "name": "K", "type": "stranger", "vid": 0x046D, "pid": 0xC31C, "product": "Board", "class": 3,
            "subclass": 1, "protocol": 1, "speed": "low"}
DISK = {"cmd": "camera", "name": "D", "type": "stranger", "vid": 0x0781, "pid": 0x5567, "serial": "D 1",
        "interfaces": [{"class": 8, "subclass": 6, "protocol": 0x50}, {"class": 255}]}
PLUGGED = [CAMERA, {"cmd": "plug", "camera": "L", "port": "1-1.3"}]


@contextlib.contextmanager
def script(commands):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
        f.write("# a comment, and an empty line\n\n" + "".join(json.dumps(c) + "\n" for c in commands))
        f.flush()
        yield f.name


def run(argv, commands=(), options=(), **more):
    with script(commands) as path:
        return subprocess.run([SIM, "--script", path, *options, "--", *argv], capture_output=True, text=True, timeout=DEADLINE,
                              check=False, **more)


def shell(text, commands=(), options=(), code=0, **more):
    done = run(["/bin/sh", "-c", text], commands, options, env=dict(os.environ, SIM=SIM), **more)
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def ctl(**command):
    return "$SIM ctl '" + json.dumps(command) + "'"


def equal(a, b):
    assert a == b, f"{a!r} is not {b!r}"


# Has a device come and go, and ends in the middle of it, after as many answers as it is told.
COMES_AND_GOES = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ["BERTH_SIM_SOCKET"])
s.sendall(sys.argv[1].encode())
f = s.makefile()
for _ in range(int(sys.argv[2])):
    f.readline()
os._exit(0)
"""


def test_it_ends_while_devices_come_and_go():
    """The kernel would keep a thread that waits for what the simulator itself serves, and with it all that would end the serving."""
    commands = 200 * ({"cmd": "plug", "camera": "D", "port": "1-1.3"}, {"cmd": "unplug", "camera": "D"})
    lines = "".join(json.dumps(command) + "\n" for command in commands)
    for n in range(0, 90, 3):
        equal(run([sys.executable, "-c", COMES_AND_GOES, lines, str(1 + n)], [DISK]).returncode, 0)


def test_exit_code_is_the_commands():
    equal(run(["/bin/true"]).returncode, 0)
    equal(run(["/bin/sh", "-c", "exit 7"]).returncode, 7)
    equal(run(["/bin/sh", "-c", "kill -KILL $$"]).returncode, 128 + 9)
    equal(run(["/no/such/program"]).returncode, 127)


def test_wrong_usage_is_told():
    for argv in ([], ["--hubs"], ["--nonsense", "--", "true"], ["--usbfs-memory-mb", "x", "--", "true"], ["ctl"]):
        done = subprocess.run([SIM, *argv], capture_output=True, text=True, timeout=DEADLINE, check=False)
        equal(done.returncode, 2)
        assert done.stderr, argv
    done = run(["/bin/true"], options=["--hubs", "1-1.4:7"])
    equal(done.returncode, 125)
    assert "1-1.4" in done.stderr, done.stderr
    done = run(["/bin/true"], options=["--hubs", "1-1"])
    equal(done.returncode, 125)
    help_text = subprocess.run([SIM, "--help"], capture_output=True, text=True, timeout=DEADLINE, check=True).stdout
    assert "--script" in help_text


def test_bad_script_line_is_named_and_the_command_not_run():
    done = run(["/bin/echo", "ran"], [CAMERA, {"cmd": "plug", "camera": "L", "port": "1-9.9"}])
    equal(done.returncode, 125)
    assert ":4: " in done.stderr and "1-9.9" in done.stderr, done.stderr
    assert "ran" not in done.stdout


def test_namespace_hides_the_machine():
    text = shell("ls /sys /sys/bus /dev /run; cat /sys/module/usbcore/parameters/usbfs_memory_mb; ip link 2>/dev/null || true")
    assert "pci0000:00" not in text and "vda" not in text and "sda" not in text, text
    assert "16" in text.split()
    shell("test ! -e /dev/mem && echo x > /dev/null && head -c 1 /dev/urandom > /tmp/berth-sim-test-$$ && rm /tmp/berth-sim-test-$$")
    shell("test -e /dev/pts && test -e /dev/shm && test -L /dev/stdin")
    # and leaves nothing behind: the mounts are the namespace's own
    with open("/proc/self/mounts", encoding="utf-8") as f:
        assert "usbfs" not in f.read()


def test_termination_is_passed_on():
    with subprocess.Popen([SIM, "--", "/bin/sh", "-c", "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.05; done"],
                          stdout=subprocess.PIPE, text=True) as sim:
        equal(sim.stdout.readline(), "ready\n")
        sim.send_signal(signal.SIGTERM)
        equal(sim.stdout.readline(), "got it\n")
        equal(sim.wait(DEADLINE), 5)


def test_outside_programs_reach_the_socket():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "control")
        with subprocess.Popen([SIM, "--socket", path, "--", "/bin/sh", "-c", "echo ready; read line; exit 0"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as sim:
            equal(sim.stdout.readline(), "ready\n")
            with socket.socket(socket.AF_UNIX) as a, socket.socket(socket.AF_UNIX) as b:
                # two clients at once, a line in two pieces, and lines that are no command
                a.connect(path)
                b.connect(path)
                a.sendall(b'{"cmd": "li')
                b.sendall(b"nonsense\n[1]\n{}\n" + json.dumps(CAMERA).encode() + b"\n")
                answers = b.makefile("rb")
                for _ in range(3):
                    answer = json.loads(answers.readline())
                    assert not answer["ok"] and answer["error"], answer
                assert json.loads(answers.readline())["ok"]
                a.sendall(b'st"}\n')
                listing = json.loads(a.makefile("rb").readline())
                equal([c["camera"] for c in listing["cameras"]], ["L"])
                equal([h["hub"] for h in listing["hubs"]], ["usb1", "1-1", "1-2"])
            sim.stdin.close()
            equal(sim.wait(DEADLINE), 0)
        assert not os.path.exists(path)


def test_ctl_prints_the_answer_and_fails_on_errors():
    text = shell(ctl(cmd="state", camera="L"), PLUGGED)
    state = json.loads(text)
    assert state["ok"] and state["docked"] and state["port"] == "1-1.3", state
    text = shell(ctl(cmd="unplug", camera="nobody"), PLUGGED, code=1)
    equal(json.loads(text), {"ok": False, "error": 'There is no camera "nobody".'})
    done = subprocess.run([SIM, "ctl", "{}"], capture_output=True, text=True, timeout=DEADLINE, check=False,
                          env={k: v for k, v in os.environ.items() if k != "BERTH_SIM_SOCKET"})
    equal(done.returncode, 2)


def test_commands_refuse_what_is_wrong_in_one_sentence():
    for command in ({"cmd": "plug", "camera": "L", "port": "1-1.4"}, {"cmd": "plug", "camera": "L"}, {"cmd": "unplug"}, CAMERA,
                    {"cmd": "camera", "name": "x", "type": "toaster"}, {"cmd": "camera", "type": "loopback"},
                    {"cmd": "camera", "name": "x", "type": "loopback", "vid": 70000, "pid": 1},
                    {"cmd": "camera", "name": "x", "type": "loopback", "vid": 1, "pid": 1, "speed": "warp"},
                    {"cmd": "stall", "camera": "L", "endpoint": 0x8F}, {"cmd": "slow", "camera": "L", "bytes_per_sec": -1},
                    {"cmd": "corrupt", "camera": "L"}, {"cmd": "port", "port": "1-1.3", "power": "half"},
                    {"cmd": "port", "port": "7-7", "power": "on"}, {"cmd": "dance", "camera": "L"}, {"cmd": "dance"}):
        answer = json.loads(shell(ctl(**command), PLUGGED, code=1))
        assert not answer["ok"] and answer["error"].endswith("."), (command, answer)


def test_lsusb_shows_the_tree_and_all_descriptors():
    commands = PLUGGED + [KEYBOARD, {"cmd": "plug", "camera": "K", "port": "1-2.1"}, DISK, {"cmd": "plug", "camera": "D", "port": "1-1.7"}]
    tree = shell("lsusb -t", commands)
    assert re.search(r"Port 3: Dev \d+, If 0, Class=Vendor Specific Class, Driver=, 480M", tree), tree
    assert re.search(r"Port 1: Dev \d+, If 0, Class=Human Interface Device, Driver=usbhid, 1.5M", tree), tree
    assert re.search(r"Port 7: Dev \d+, If 0, Class=Mass Storage, Driver=usb-storage, 480M", tree), tree
    text = shell("lsusb -v -d 1209:bc01", commands)
    for line in (r"idVendor +0x1209", r"iSerial +3 LOOP1", r"bNumInterfaces +2", r"bEndpointAddress +0x84", r"bInterval +4"):
        assert re.search(line, text), (line, text)
    text = shell("lsusb -v -d 2109:", commands)
    assert "Per-port power switching" in text, text
    equal(len(re.findall(r"Port \d+: 0000\.[0-9]{4} ", text)), 14)


def test_uhubctl_reads_and_switches_ports():
    text = shell("uhubctl", PLUGGED)
    assert re.search(r"hub 1-1 .*7 ports, ppps", text), text
    assert re.search(r"Port 3: 0503 power highspeed enable connect \[1209:bc01 Ring Ltd Loop LOOP1\]", text), text
    text = shell("uhubctl -l 1-1 -p 3 -a off >/dev/null; uhubctl -l 1-1 -p 3; test ! -e /sys/bus/usb/devices/1-1.3 && echo gone; "
                 "uhubctl -l 1-1 -p 3 -a on >/dev/null; " + ctl(cmd="state", camera="L"), PLUGGED)
    assert re.search(r"Port 3: 0000 off", text) and "gone" in text, text
    assert json.loads(text.splitlines()[-1])["docked"], text


def test_nested_hubs_and_other_buses_work():
    options = ["--hubs", "1-1:4,1-1.4:7,2-3:2"]
    commands = [CAMERA, {"cmd": "plug", "camera": "L", "port": "1-1.4.7"}, KEYBOARD, {"cmd": "plug", "camera": "K", "port": "2-3.2"}]
    text = shell("cd /sys/bus/usb/devices; cat 1-1.4.7/devpath 2-3.2/busnum; ls /dev/bus/usb; lsusb | wc -l", commands, options)
    equal(text.split(), ["1.4.7", "2", "001", "002", "7"])
    assert "usb" in shell("udevadm info -q path -p /sys/bus/usb/devices/1-1.4.7", commands, options)


def test_udev_database_knows_the_devices():
    text = shell("udevadm info -q property -p /sys/bus/usb/devices/1-1.7; udevadm info -q property -p /sys/bus/usb/devices/1-1.7:1.0",
                 [DISK, {"cmd": "plug", "camera": "D", "port": "1-1.7"}])
    for line in ("ID_VENDOR_ID=0781", "ID_MODEL_ID=5567", "ID_SERIAL_SHORT=D_1", "ID_USB_INTERFACES=:080650:ff0000:", "DRIVER=usb-storage",
                 "PRODUCT=781/5567/0", "INTERFACE=8/6/80", "ID_PATH=pci-0000:00:14.0-usb-0:1.7", "DEVTYPE=usb_interface"):
        assert line in text.splitlines(), (line, text)
    text = shell("udevadm trigger --dry-run --verbose --subsystem-match=usb --property-match=ID_SERIAL_SHORT=LOOP1", PLUGGED)
    equal(text.split(), ["/sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.3"])


def test_udevadm_monitor_sees_events_in_the_kernels_order():
    inside = "udevadm monitor --udev --subsystem-match=usb & M=$!; read go; " + ctl(cmd="plug", camera="K", port="1-2.1") + \
        " >/dev/null; " + ctl(cmd="unplug", camera="K") + " >/dev/null; read go; kill $M; wait"
    with script([KEYBOARD]) as path:
        with subprocess.Popen([SIM, "--script", path, "--", "/bin/sh", "-c", inside], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              bufsize=0, env=dict(os.environ, SIM=SIM)) as sim:
            sim.stdout = os.fdopen(os.dup(sim.stdout.fileno()), "r", buffering=1, encoding="utf-8")
            while "UDEV" not in sim.stdout.readline():
                pass
            sim.stdin.write(b"\n")
            events = []
            for line in sim.stdout:
                match = re.match(r"UDEV +\[[\d.]+\] (\w+) +/devices/\S*/(\S+) \(usb\)", line)
                if match:
                    events.append(match.groups())
                if match and match.groups() == ("remove", "1-2.1"):
                    break
            sim.stdin.write(b"\n")
            sim.stdin.close()
            sim.wait(DEADLINE)
    equal(events, [("add", "1-2.1"), ("add", "1-2.1:1.0"), ("bind", "1-2.1:1.0"), ("bind", "1-2.1"),
                   ("unbind", "1-2.1:1.0"), ("remove", "1-2.1:1.0"), ("unbind", "1-2.1"), ("remove", "1-2.1")])


def test_node_obeys_owner_and_mode():
    if os.geteuid() != 0:
        raise tap.Skip("needs root to become somebody else")
    node = "/dev/bus/usb/001/004"
    nobody = f"setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'exec 3<>{node} && echo allowed'"
    text = shell(f"stat -c '%a %u' {node}; {nobody} 2>&1 || echo refused; chgrp 65534 {node}; chmod 660 {node}; {nobody}; "
                 f"stat -c '%a %g' {node}", PLUGGED).splitlines()
    equal(text[0], "664 0")
    assert "refused" in text and "allowed" in text, text
    equal(text[-1], "660 65534")


def test_simulator_needs_no_root():
    if os.geteuid() != 0:
        return  # every other test proves it
    with open("/proc/sys/user/max_user_namespaces", encoding="ascii") as f:
        if int(f.read()) == 0 or not os.access("/dev/fuse", os.R_OK):
            raise tap.Skip("user namespaces are switched off")
    if os.stat("/dev/fuse").st_mode & 0o6 != 0o6:
        raise tap.Skip("/dev/fuse is not open to everybody")
    with script(PLUGGED) as path:
        os.chmod(path, 0o644)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SIM, "--script", path, "--", "lsusb"],
                              capture_output=True, text=True, timeout=DEADLINE, check=False, cwd="/")
    equal(done.returncode, 0)
    assert "1209:bc01" in done.stdout, done.stdout


if __name__ == "__main__":
    tap.main()
