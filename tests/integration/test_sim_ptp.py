#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The simulated PTP camera before judges that were not written by us: gphoto2 and mtp-tools, as Debian has them.

They list, read, write and delete on it, and what they get is compared with what the simulator says that it holds. After each
test the camera must have seen no container that makes no sense, or the judge and the camera only got along by luck.
"""

import contextlib
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import tap  # noqa: E402

BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
PORT = "1-1.3"
DEADLINE_SEC = 120
MTIME = 1767225600
BIG = 5_000_000_000
# Known to gphoto2 as a device whose property lists work; only then it asks for sizes of more than 32 bits.
KNOWN_GOOD = {"vid": 0x045E, "pid": 0x0622, "android": False}


class Sim:
    def __init__(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["BERTH_SIM_SOCKET"])
        self.lines = self.sock.makefile("rb")

    def __call__(self, cmd, **args):
        self.sock.sendall(json.dumps({"cmd": cmd, **args}).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        assert answer["ok"], f"{cmd}: {answer['error']}"
        return answer


class Camera:
    """One simulated camera at the port, and the folder in which the judges put what they read."""

    count = 0

    def __init__(self, folder, clips, **spec):
        Camera.count += 1
        self.name = f"camera{Camera.count}"
        self.folder = folder
        self.sim = Sim()
        self.sim("camera", name=self.name, type="ptp", **{"serial": "SN-77", "clips": clips, **spec})
        self.sim("plug", camera=self.name, port=PORT)

    def state(self, **args):
        return self.sim("state", camera=self.name, **args)

    def paths(self):
        return sorted(clip["path"] for clip in self.state()["clips"])

    def digests(self):
        return {clip["path"]: clip["sha256"] for clip in self.state(sha256=True)["clips"]}

    def run(self, *argv):
        """What the judge said; a failure of it fails the test."""
        environment = dict(os.environ, HOME=self.folder, LC_ALL="C.UTF-8", TZ="UTC")
        done = subprocess.run(argv, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=DEADLINE_SEC, check=False)
        assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}"
        assert "rror" not in done.stdout, f"{argv} complains:\n{done.stdout}"
        return done.stdout

    def close(self):
        self.sim("unplug", camera=self.name)
        errors = self.state()["protocol_errors"]
        assert errors == 0, f"the camera got {errors} containers that make no sense"


@contextlib.contextmanager
def camera(clips, **spec):
    with tempfile.TemporaryDirectory() as folder:
        it = Camera(folder, clips, **spec)
        try:
            yield it
        finally:
            it.close()


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(f.read()).hexdigest()


def clips_of_many_sizes(folder):
    """All that ends a data phase in another way, and a real file. The name tells each apart in one flat folder."""
    real = os.path.join(folder, "real.bin")
    with open(real, "wb") as f:
        f.write(os.urandom(300_007))
    sizes = [0, 1, 499, 500, 501, 512, 1012, 16384 - 12, 16384, 51200, 1 << 20, (1 << 20) - 12, 3_000_001]
    clips = [{"path": f"DCIM/{100 + n % 3}/C{n:03}_{size}.MP4", "size": size, "seed": n, "mtime": MTIME} for n, size in enumerate(sizes)]
    clips.append({"path": "DCIM/100/REAL.MOV", "file": real, "mtime": MTIME})
    clips.append({"path": "DCIM/100/Ünï cödé.JPG", "size": 7777, "seed": 99, "mtime": MTIME})
    clips.append({"path": "TOP.TXT", "size": 33, "seed": 98, "mtime": MTIME})
    return clips


def assert_read(cam, read):
    """`read`: {path: digest} of what the judge brought."""
    held = cam.digests()
    assert read.keys() == held.keys(), f"the judge brought {sorted(read)}, the camera holds {sorted(held)}"
    for path in held:
        assert read[path] == held[path], f"{path} came with other bytes"


# ---- gphoto2


def gphoto2_files(cam):
    """{path: (number, KB)} of --list-files."""
    files = {}
    folder = ""
    for line in cam.run("gphoto2", "--list-files").splitlines():
        header = re.match(r"There (?:is|are) \d+ files? in folder '/store_\w+/?(.*)'\.$", line)
        entry = re.match(r"#(\d+)\s+(.*?)\s+r[dw-]\S*\s+(?:\d+x\d+\s+)?(\d+) KB\s", line)
        if header:
            folder = header.group(1)
        elif entry:
            path = f"{folder}/{entry.group(2)}" if folder else entry.group(2)
            files[path] = (int(entry.group(1)), int(entry.group(3)))
    return files


def gphoto2_read_all(cam):
    cam.run("gphoto2", "--get-all-files", "--filename", "%F/%f.%C")
    read = {}
    for folder, _, names in os.walk(cam.folder):
        inside = os.path.relpath(folder, cam.folder).split(os.sep)
        if inside[0].startswith("store_"):
            read.update({"/".join(inside[1:] + [name]): sha256(os.path.join(folder, name)) for name in names})
    return read


def test_gphoto2_knows_the_camera():
    with camera([], manufacturer="Acme", model="BC-1", firmware="2.7", battery=42) as cam:
        assert "USB PTP Class Camera" in cam.run("gphoto2", "--auto-detect")
        said = cam.run("gphoto2", "--summary")
        for wanted in ["Manufacturer: Acme", "Model: BC-1", "Version: 2.7", "Serial Number: SN-77", "value: 42%"]:
            assert wanted in said, f"no '{wanted}' in\n{said}"


def test_gphoto2_lists_every_clip_with_its_size():
    with tempfile.TemporaryDirectory() as folder, camera(clips_of_many_sizes(folder)) as cam:
        listed = gphoto2_files(cam)
        held = {clip["path"]: clip["size"] for clip in cam.state()["clips"]}
        assert listed.keys() == held.keys(), f"listed {sorted(listed)}, there are {sorted(held)}"
        for path, size in held.items():
            assert abs(listed[path][1] - size / 1024) <= 1, f"{path} of {size} bytes is listed with {listed[path][1]} KB"


def test_gphoto2_lists_a_clip_over_4_gib_with_its_size():
    with camera([{"path": "DCIM/BIG.MP4", "size": BIG}], **KNOWN_GOOD) as cam:
        assert abs(gphoto2_files(cam)["DCIM/BIG.MP4"][1] - BIG / 1024) <= 1


def test_gphoto2_reads_every_byte():
    with tempfile.TemporaryDirectory() as folder, camera(clips_of_many_sizes(folder)) as cam:
        assert_read(cam, gphoto2_read_all(cam))
        assert os.stat(os.path.join(cam.folder, "store_00010001", "DCIM", "100", "REAL.MOV")).st_mtime == MTIME


def test_gphoto2_reads_from_plain_ptp_and_at_other_speeds():
    for spec in [{"mtp": False}, {"speed": "super"}, {"speed": "full"}, KNOWN_GOOD]:
        clips = [{"path": f"DCIM/C{size}.MP4", "size": size} for size in [0, 52, 500, 1012, 70_000]]
        with camera(clips, **spec) as cam:
            assert_read(cam, gphoto2_read_all(cam))


def test_gphoto2_reads_from_two_storages():
    storages = [{"label": "Internal", "clips": [{"path": "DCIM/A.MP4", "size": 5000}]},
                {"label": "Card", "clips": [{"path": "DCIM/B.MP4", "size": 6000}]}]
    with camera([], storages=storages) as cam:
        assert_read(cam, gphoto2_read_all(cam))


def test_gphoto2_deletes_what_it_was_told_and_nothing_else():
    clips = [{"path": f"DCIM/100/{name}.MP4", "size": 1000} for name in "ABCD"]
    with camera(clips) as cam:
        cam.run("gphoto2", "--delete-file", "B.MP4", "--folder", "/store_00010001/DCIM/100")
        assert cam.paths() == ["DCIM/100/A.MP4", "DCIM/100/C.MP4", "DCIM/100/D.MP4"]
        # By number, which counts from 1 in that folder: C is the second now.
        cam.run("gphoto2", "--delete-file", "2", "--folder", "/store_00010001/DCIM/100")
        assert cam.paths() == ["DCIM/100/A.MP4", "DCIM/100/D.MP4"]
        assert cam.state()["deletes"] == 2
        cam.run("gphoto2", "--delete-all-files", "--folder", "/store_00010001/DCIM/100")
        assert cam.paths() == []


def test_gphoto2_cannot_delete_from_a_read_only_storage():
    with camera([], storages=[{"read_only": True, "clips": [{"path": "A.MP4", "size": 10}]}]) as cam:
        assert "Read-Only" in cam.run("gphoto2", "--summary")
        # This gphoto2 ends with 0 although the camera refused; the refusal is what counts.
        with contextlib.suppress(AssertionError):
            cam.run("gphoto2", "--delete-file", "A.MP4", "--folder", "/store_00010001")
        assert cam.state()["operations"]["DeleteObject"] > 0, "it did not even try"
        assert cam.paths() == ["A.MP4"]


def test_gphoto2_sets_the_clock():
    with camera([], clock_offset_sec=-86400) as cam:
        cam.run("gphoto2", "--set-config", "datetime=now")
        assert abs(cam.state()["clock_offset_sec"]) < 3600
        assert cam.state()["operations"]["SetDevicePropValue"] == 1


def test_gphoto2_stores_a_file():
    with camera([{"path": "DCIM/A.MP4", "size": 10}]) as cam:
        for size in [1, 500, 1012, 100_000]:
            path = os.path.join(cam.folder, f"S{size}.MP4")
            with open(path, "wb") as f:
                f.write(os.urandom(size))
            cam.run("gphoto2", "--folder", "/store_00010001/DCIM", "--upload-file", path)
            assert cam.digests()[f"DCIM/S{size}.MP4"] == sha256(path)


# ---- mtp-tools


def mtp_files(cam):
    """{name: (id, size)} of mtp-files."""
    said = cam.run("mtp-files")
    return {name: (int(number), int(size)) for number, name, size in
            re.findall(r"File ID: (\d+)\n\s+Filename: (.*)\n\s+File size (\d+) ", said)}


def test_mtp_detect_knows_the_camera():
    with camera([], manufacturer="Acme", model="BC-1", battery=42) as cam:
        said = cam.run("mtp-detect")
        for wanted in ["Manufacturer: Acme", "Model: BC-1", "Serial number: SN-77", "Battery level 42 of 100", "95c1: ",
                       "android.com: 1.0", "Detected object size: 64 bits"]:
            assert wanted in said, f"no '{wanted}' in\n{said}"


def test_mtp_tools_list_every_clip_with_its_size_over_4_gib_too():
    with tempfile.TemporaryDirectory() as folder:
        clips = clips_of_many_sizes(folder) + [{"path": "DCIM/BIG.MP4", "size": BIG}]
        for spec in [{}, KNOWN_GOOD]:
            with camera(clips, **spec) as cam:
                listed = {name: size for name, (_, size) in mtp_files(cam).items()}
                held = {os.path.basename(clip["path"]): clip["size"] for clip in cam.state()["clips"]}
                assert listed == held, f"listed {listed}, there are {held}"


def test_mtp_tools_show_the_tree():
    with camera([{"path": "DCIM/100/A.MP4", "size": 1}, {"path": "B.MP4", "size": 1}]) as cam:
        said = cam.run("mtp-filetree")
        assert re.search(r"^\d+ DCIM\n  \d+ 100\n    \d+ A\.MP4$", said, re.M) and re.search(r"^\d+ B\.MP4$", said, re.M), said
        assert re.search(r"^\d+\tDCIM\n\d+\t  100$", cam.run("mtp-folders"), re.M)


def test_mtp_getfile_reads_every_byte():
    with tempfile.TemporaryDirectory() as folder, camera(clips_of_many_sizes(folder)) as cam:
        by_name = {os.path.basename(path): path for path in cam.paths()}
        read = {}
        for name, (number, _) in mtp_files(cam).items():
            cam.run("mtp-getfile", str(number), "got")
            read[by_name[name]] = sha256(os.path.join(cam.folder, "got"))
            os.unlink(os.path.join(cam.folder, "got"))
        assert_read(cam, read)


def test_mtp_delfile_deletes_what_it_was_told_and_nothing_else():
    with camera([{"path": f"DCIM/{name}.MP4", "size": 1000} for name in "ABC"]) as cam:
        cam.run("mtp-delfile", "-n", str(mtp_files(cam)["B.MP4"][0]))
        assert cam.paths() == ["DCIM/A.MP4", "DCIM/C.MP4"]
        cam.run("mtp-delfile", "-f", "/DCIM/A.MP4")
        assert cam.paths() == ["DCIM/C.MP4"]


def test_mtp_sendfile_stores_a_file():
    with camera([{"path": "DCIM/A.MP4", "size": 10}]) as cam:
        path = os.path.join(cam.folder, "S.MP4")
        with open(path, "wb") as f:
            f.write(os.urandom(16384 * 5 - 12))
        cam.run("mtp-sendfile", path, "/DCIM")
        assert cam.digests()["DCIM/S.MP4"] == sha256(path)


def test_handles_are_others_after_a_replug_and_name_the_same_clips():
    with camera([{"path": f"DCIM/{name}.MP4", "size": 1000 + n} for n, name in enumerate("ABC")]) as cam:
        before = mtp_files(cam)
        cam.sim("unplug", camera=cam.name)
        cam.sim("plug", camera=cam.name, port=PORT)
        after = mtp_files(cam)
        assert {name: size for name, (_, size) in before.items()} == {name: size for name, (_, size) in after.items()}
        assert all(before[name][0] != after[name][0] for name in before), f"{before} and {after}"


if __name__ == "__main__":
    if "BERTH_SIM_SOCKET" not in os.environ:
        simulator = os.path.join(BUILD, "berth-sim")
        os.execv(simulator, [simulator, "--", sys.executable, os.path.abspath(__file__)] + sys.argv[1:])
    tap.main()
