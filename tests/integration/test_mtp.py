#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The mtp plugin in a real, sandboxed worker over a simulated PTP camera: odd clips, lies, faults, kills."""

import hashlib
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from rack import make_clip  # noqa: E402
from worker import BLOCK_SIZE, Fault, Worker  # noqa: E402

MIB, GIB = 1 << 20, 1 << 30
PORT = "1-1.1"
# What the plugin can be made to use for reading.
WAYS = {"partial64": (), "partial": ("no-partial64=yes",), "whole": ("no-partial=yes",)}


class Camera:
    """One simulated camera, docked."""

    count = 0

    def __init__(self, sim, clips=(), **spec):
        Camera.count += 1
        self.sim = sim
        self.name = f"cam{Camera.count}"
        sim("camera", name=self.name, type="ptp", clips=list(clips), **{"serial": f"SN-{Camera.count}", "manufacturer": "Acme",
                                                                         "model": "BC-1", "firmware": "1.2", **spec})
        sim("plug", camera=self.name, port=PORT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.state()["docked"]:
            self.sim("unplug", camera=self.name)

    def __getattr__(self, cmd):
        return lambda **args: self.sim(cmd, camera=self.name, **args)

    def fault(self, fault, **args):
        self.sim("fault", camera=self.name, name=fault, **args)

    def clips(self):
        """[(path, size, sha256)] as the simulator has them."""
        return [(c["path"], c["size"], c.get("sha256")) for c in self.state(sha256=True)["clips"]]

    def worker(self, *options):
        """Open, in a session."""
        w = Worker(self.sim, self.name)
        try:
            w.open(*options)
        except BaseException:
            w.__exit__()
            raise
        return w


def fails(kind, call, *args):
    try:
        call(*args)
    except Fault as fault:
        assert fault.kind == kind, f"expected {kind}, got {fault}"
        return fault
    raise AssertionError(f"expected {kind}, and it worked")


def sha256_of_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(MIB):
            digest.update(chunk)
    return digest.hexdigest()


def pull_all(w, listed):
    """{(path, size): [digest, …]}, and the copies in the order of the listing. The parts are checked and removed."""
    found, copies = {}, []
    for clip in listed:
        copy = w.pull(clip)
        assert copy.size == clip.size, f"{clip.path}: {copy.size} bytes of {clip.size}"
        assert sha256_of_file(w.part(clip)) == copy.digest.hex(), f"{clip.path}: the part does not have its digest"
        os.unlink(w.part(clip))
        found.setdefault((clip.path, clip.size), []).append(copy.digest.hex())
        copies.append(copy)
    return found, copies


# ---- Odd clips ------------------------------------------------------------------------------------------------------


def packet_sizes(packet):
    """Sizes around the ends of packets, with the 12 bytes of the header and without."""
    return sorted({max(0, k * packet + d - h) for k in (1, 2, 3) for d in (-1, 0, 1) for h in (0, 12)})


def test_clips_of_every_size_around_a_packet_are_pulled_whole(sim, _dock):
    for speed, packet in (("full", 64), ("high", 512), ("super", 1024)):
        sizes = [0, 1] + packet_sizes(packet) + [65536 - 12, 65536, MIB - 12, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1]
        with Camera(sim, [make_clip(f"DCIM/{n:03}.MP4", size, n) for n, size in enumerate(sizes)], speed=speed) as c:
            truth = {(path, size): [digest] for path, size, digest in c.clips()}
            for name, options in WAYS.items():
                with c.worker(*options) as w:
                    found, _ = pull_all(w, w.list())
                    assert found == truth, f"{speed} speed, {name}"
                    assert w.close() == 0
            assert c.state()["protocol_errors"] == 0


def test_chunks_join_without_a_seam(sim, _dock):
    for chunk_kib, size in ((64, 64 * 1024 * 3), (64, 64 * 1024 * 3 + 1), (100, 5_000_000), (1024, 20 * MIB)):
        with Camera(sim, [make_clip("A.MP4", size, size)]) as c:
            truth = {(path, size): [digest] for path, size, digest in c.clips()}
            for way in ("partial64", "partial"):
                with c.worker(f"chunk-kib={chunk_kib}", *WAYS[way]) as w:
                    found, _ = pull_all(w, w.list())
                    assert found == truth


ODD_NAMES = [
    {"path": "DCIM/with space.MP4"},
    {"path": "DCIM/x", "name": "a/b.MP4"},
    {"path": "DCIM/x", "name": "/etc/passwd"},
    {"path": "DCIM/x", "name": "../../escape.MP4"},
    {"path": "DCIM/x", "name": ".."},
    {"path": "DCIM/x", "name": "."},
    {"path": "DCIM/x", "name": "%2F"},
    {"path": "DCIM/x", "name": "line\nbreak\x1b[31m.MP4"},
    {"path": "DCIM/x", "name": "n" * 254},
    {"path": "DCIM/x", "name": "\u00e9\u4e2d\u6587\U0001F600.MP4"},
    {"path": "DCIM/x", "name_utf16": [0xD83D]},
    {"path": "DCIM/x", "name_utf16": [0xDE00]},
    {"path": "DCIM/x", "name_utf16": [0xDE00, 0xD83D]},
    {"path": "DCIM/x", "name_utf16": [0xD83D, 0xDE00]},
    {"path": "DCIM/x", "name_utf16": [0xD800] * 254},
    {"path": "a/b/c/d/e/f/g/h/i/j/k/deep.MP4"},
    {"path": "twin.MP4"},
    {"path": "twin.MP4"},
]


def test_names_of_every_kind_become_valid_paths_and_stay_apart(sim, _dock):
    clips = [{**name, "size": 1000 + n, "seed": n, "mtime": 1700000000 + n} for n, name in enumerate(ODD_NAMES)]
    with Camera(sim, clips) as c:
        truth = sorted((size, digest) for _, size, digest in c.clips())
        for options in ((), ("no-prop-list=yes",)):
            with c.worker(*options) as w:
                listed = w.list()
                assert len(listed) == len(ODD_NAMES)
                paths = [clip.path for clip in sorted(listed, key=lambda clip: clip.size)]
                for path in paths:
                    parts = path.split("/")
                    assert all(parts) and "." not in parts and ".." not in parts, path
                    assert path.isprintable() and len(path.encode()) < 4096, path
                assert paths[0] == "DCIM/with space.MP4"
                assert paths[1] == "DCIM/a%2Fb.MP4"
                assert paths[9] == "DCIM/\u00e9\u4e2d\u6587\U0001F600.MP4"
                assert paths[13] == "DCIM/\U0001F600"
                assert paths[15] == "a/b/c/d/e/f/g/h/i/j/k/deep.MP4"
                assert paths[16] == paths[17] == "twin.MP4"
                assert len(set(paths)) == len(paths) - 1
                assert [clip.mtime for clip in sorted(listed, key=lambda clip: clip.size)] == [1700000000 + n for n in range(len(clips))]
                found, copies = pull_all(w, listed)
                assert sorted((size, d) for (_, size), digests in found.items() for d in digests) == truth
        # And each is erased, the twins one by one, by workers that know it by its path and content alone.
        for clip, copy in zip(listed, copies):
            with c.worker() as w:
                w.erase(clip, copy)
        assert c.clips() == []


def test_two_thousand_clips_are_listed_once_each(sim, _dock):
    clips = [make_clip(f"DCIM/{100 + n // 500}/CLIP{n:04}.MP4", n, n) for n in range(2000)]
    with Camera(sim, clips) as c:
        for options in ((), ("no-prop-list=yes",)):
            with c.worker(*options) as w:
                listed = w.list()
                assert {(clip.path, clip.size) for clip in listed} == {(clip["path"], clip["size"]) for clip in clips}
                assert len(listed) == 2000
        # With property lists it takes a few questions, and not one for each clip.
        before = c.state()["operations"].get("GetObjectInfo", 0)
        with c.worker() as w:
            w.list()
        assert c.state()["operations"].get("GetObjectInfo", 0) - before < 100


def test_objects_beyond_4_gib_are_sized_and_read_at_any_offset(sim, _dock):
    size = 4 * GIB + 777
    places = [(0, BLOCK_SIZE), (511 * BLOCK_SIZE, BLOCK_SIZE), (512 * BLOCK_SIZE, 777)]
    with Camera(sim, [make_clip("BIG.MP4", size, 42), make_clip("SMALL.MP4", BLOCK_SIZE, 42)]) as c:
        digests = {}
        for name, options in WAYS.items():
            with c.worker(*options) as w:
                clip = next(x for x in w.list() if x.path == "BIG.MP4")
                assert clip.size == size
                # Without partial reads each costs reading all that lies before it.
                digests[name] = w.sample(clip, *(places if name != "whole" else places[-1:]))
        assert digests["partial64"] == digests["partial"]
        assert digests["whole"][0] == digests["partial64"][2]
        with c.worker() as w:
            small = next(x for x in w.list() if x.path == "SMALL.MP4")
            # One seed: a longer content begins like a shorter one.
            assert w.verify(small, 1)[0] == (BLOCK_SIZE, digests["partial64"][0][0])


def test_plain_ptp_camera_without_any_extension_is_served(sim, _dock):
    clips = [make_clip("DCIM/100/A.MP4", 3 * MIB, 1), make_clip("DCIM/100/B.MP4", 0, 2)]
    with Camera(sim, clips, mtp=False) as c:
        truth = {(path, size): [digest] for path, size, digest in c.clips()}
        with c.worker() as w:
            found, copies = pull_all(w, listed := w.list())
            assert found == truth
            assert w.close() == 0
        with c.worker() as w:
            w.erase(listed[0], copies[0])
        assert len(c.clips()) == 1
        assert "GetPartialObject64" not in c.state()["operations"]


def test_several_storages_are_listed_together(sim, _dock):
    storages = [{"label": "INTERNAL", "total": GIB, "clips": [make_clip("DCIM/A.MP4", 1000, 1)]},
                {"label": "CARD", "total": 2 * GIB, "clips": [make_clip("DCIM/A.MP4", 2000, 2), make_clip("DCIM/B.MP4", 3000, 3)]}]
    with Camera(sim, storages=storages) as c:
        truth = {(path, size): [digest] for path, size, digest in c.clips()}
        for options in ((), ("no-prop-list=yes",)):
            with c.worker(*options) as w:
                found, _ = pull_all(w, w.list())
                assert found == truth and len(found) == 3
                assert w.health()["storage-total-bytes"] == 3 * GIB


# ---- Identity, health, clock ----------------------------------------------------------------------------------------


def test_identity_and_health_are_the_cameras(sim, _dock):
    with Camera(sim, manufacturer="Acmé", model="Body Cam", firmware="9.8", serial="SN/1", battery=63, clock_offset_sec=-7200) as c:
        with c.worker() as w:
            assert {k: v for k, v in w.identify().items() if k != "storage_id"} == {
                "manufacturer": "Acmé", "model": "Body Cam", "serial": "SN/1", "firmware": "9.8"}
            health = w.health()
            assert health["battery-percent"] == 63 and health["read-only"] is False
            assert abs(health["clock-unix-sec"] - c.state()["clock_usec"] // 10**6) <= 3


def test_clock_is_set_whatever_zone_the_camera_writes(sim, _dock):
    for zone, options in (({"date_zone": "local"}, ()), ({"date_zone": "utc"}, ()), ({"date_zone": "offset", "zone_minutes": 330}, ()),
                          ({"date_zone": "local", "zone_minutes": -300}, ("utc-offset-minutes=-300",))):
        with Camera(sim, clock_offset_sec=86400 * 3, **zone) as c:
            with c.worker(*options) as w:
                before = c.state()["clock_usec"] // 10**6
                assert abs(w.health()["clock-unix-sec"] - before) <= 3, zone
                w.set_clock(before - 86400 * 3)
                assert abs(c.state()["clock_offset_sec"]) <= 5, zone


# ---- Lies -----------------------------------------------------------------------------------------------------------


def test_a_camera_that_lies_about_a_size_is_caught_and_loses_nothing(sim, _dock):
    for way, options in WAYS.items():
        for delta in (-4096, -1, 1, 4096, -99_000):
            with Camera(sim, [make_clip("LIE.MP4", 100_000, 1), make_clip("TRUE.MP4", 5000, 2)]) as c:
                c.fault("size_lie", path="LIE.MP4", delta=delta)
                with c.worker(*options) as w:
                    clips = {clip.path: clip for clip in w.list()}
                    assert clips["LIE.MP4"].size == 100_000 + delta
                    fault = fails("Camera", w.pull, clips["LIE.MP4"])
                    assert "LIE.MP4" in str(fault), f"{way} {delta}: {fault}"
                    assert w.pull(clips["TRUE.MP4"]).size == 5000


def test_erase_that_the_camera_only_claims_is_not_believed(sim, _dock):
    with Camera(sim, [make_clip("A.MP4", 1000, 1)]) as c:
        with c.worker() as w:
            copy = w.pull(clip := w.list()[0])
        c.fault("delete_lies")
        with c.worker() as w:
            fails("Camera", w.erase, clip, copy)
        assert len(c.clips()) == 1


def test_erase_that_the_camera_refuses_is_denied(sim, _dock):
    with Camera(sim, [make_clip("A.MP4", 1000, 1), {**make_clip("P.MP4", 2000, 2), "protected": True}]) as c:
        with c.worker() as w:
            listed = w.list()
            copies = {clip.path: (clip, w.pull(clip)) for clip in listed}
        assert [clip.flags for clip in listed if clip.path == "P.MP4"] == [2]
        with c.worker() as w:
            fails("Denied", w.erase, *copies["P.MP4"])
        c.fault("delete_denied", count=1)
        with c.worker() as w:
            fails("Denied", w.erase, *copies["A.MP4"])
        with c.worker() as w:
            w.erase(*copies["A.MP4"])
        assert [path for path, _, _ in c.clips()] == ["P.MP4"]


def test_erase_takes_no_other_clip_than_the_one_it_was_licensed_for(sim, _dock):
    with Camera(sim, [make_clip("A.MP4", 100_000, 1), make_clip("B.MP4", 100_000, 2)]) as c:
        with c.worker() as w:
            clips = {clip.path: (clip, w.pull(clip)) for clip in w.list()}
        c.change_clip(path="A.MP4", seed=3)
        with c.worker() as w:
            fails("Changed", w.erase, *clips["A.MP4"])
        c.remove_clip(path="B.MP4")
        with c.worker() as w:
            fails("Gone", w.erase, *clips["B.MP4"])
        assert len(c.clips()) == 1


def test_a_clip_that_only_claims_to_be_empty_is_not_erased(sim, _dock):
    with Camera(sim, [make_clip("A.MP4", 5000, 1), make_clip("EMPTY.MP4", 0, 2)]) as c:
        c.fault("size_lie", path="A.MP4", size=0)
        with c.worker() as w:
            copies = [(clip, w.pull(clip)) for clip in w.list()]
        assert [copy.size for _, copy in copies] == [0, 0]
        for clip, copy in copies:
            with c.worker() as w:
                if clip.path == "A.MP4":
                    fails("Camera", w.erase, clip, copy)
                else:
                    w.erase(clip, copy)
        assert [path for path, _, _ in c.clips()] == ["A.MP4"]


# ---- Faults of the protocol -----------------------------------------------------------------------------------------

# What may strike anywhere, and the kinds of the answer that it may lead to.
STRIKES = [
    ("wrong_transaction_id", {}),
    ("wrong_container_type", {}),
    ("wrong_container_type", {"type": 2}),
    ("wrong_container_type", {"type": 1}),
    ("short_container", {}),
    ("short_container", {"delta": 4}),
    ("short_container", {"delta": -400}),
    ("silent", {}),
    ("garbage", {}),
    ("garbage", {"length": 1}),
    ("garbage", {"length": 12}),
    ("garbage", {"length": 512}),
    ("garbage", {"length": 200_000}),
    ("stall_data", {}),
    ("stall_data", {"after_bytes": 100}),
    ("cancel_data", {"after_bytes": 20}),
    ("truncated_dataset", {}),
    ("truncated_dataset", {"length": 0}),
    ("endless", {}),
    ("response", {}),
    ("response", {"code": 0xFFFF}),
    ("response", {"code": 0}),
]
# For those that a fault strikes; whoever comes after them has nothing to wait for, but for a busy machine.
QUICK = ("timeout-msec=300", "busy-msec=500")


def struck(c):
    return c.state()["faults_struck"]


def test_no_single_fault_in_a_listing_is_taken_for_an_empty_camera(sim, _dock):
    clips = [make_clip(f"DCIM/100/{n}.MP4", 1000 + n, n) for n in range(5)]
    want = {(clip["path"], clip["size"]) for clip in clips}
    with Camera(sim, clips) as c:
        for operation in ("GetStorageIDs", "GetObjectHandles", "GetObjectInfo", "GetObjectPropList"):
            options = ("no-prop-list=yes",) if operation == "GetObjectInfo" else ()
            for fault, args in STRIKES:
                with c.worker(*QUICK, *options) as w:
                    c.fault(fault, operation=operation, count=1, **args)
                    try:
                        listed = {(clip.path, clip.size) for clip in w.list()}
                        assert listed == want, f"{operation}: {fault} {args}: {listed}"
                    except Fault as e:
                        assert e.kind in ("Camera", "Limit", "Unsupported"), f"{operation}: {fault} {args}: {e}"
                c.fault("none")
                # Whatever state that left the camera in, the next worker gets on.
                with c.worker(*options) as w:
                    assert {(clip.path, clip.size) for clip in w.list()} == want, f"after {operation}: {fault} {args}"


def test_no_single_fault_in_a_read_changes_a_byte(sim, _dock):
    with Camera(sim, [make_clip("A.MP4", 3_000_000, 1)]) as c:
        truth = c.clips()[0][2]
        for way, options in WAYS.items():
            strikes = [strike for strike in STRIKES if strike[0] != "truncated_dataset"]
            for fault, args in strikes + [("stall_data", {"after_bytes": 1_500_000}), ("cancel_data", {"after_bytes": 2_999_999}),
                                          ("busy", {})]:
                with c.worker(*QUICK, *options) as w:
                    clip = w.list()[0]
                    c.fault(fault, operation={"partial64": "GetPartialObject64", "partial": "GetPartialObject",
                                              "whole": "GetObject"}[way], count=1, **args)
                    before = struck(c)
                    try:
                        copy = w.pull(clip)
                        assert copy.digest.hex() == truth, f"{way}: {fault} {args}: other bytes"
                    except Fault as e:
                        assert e.kind in ("Camera", "Unsupported", "Denied"), f"{way}: {fault} {args}: {e}"
                c.fault("none")
                # It is counted when the next transaction begins.
                with c.worker(*options) as w:
                    assert struck(c) == before + 1, f"{way}: {fault} {args} did not strike"
                    assert w.pull(w.list()[0]).digest.hex() == truth, f"after {way}: {fault} {args}"


def test_no_single_fault_in_opening_is_left_behind(sim, _dock):
    with Camera(sim, [make_clip("A.MP4", 1000, 1)]) as c:
        for operation in ("OpenSession", "GetDeviceInfo"):
            for fault, args in STRIKES + [("session_already_open", {}), ("busy", {})]:
                c.fault(fault, operation=operation, count=1, **args)
                try:
                    with c.worker(*QUICK) as w:
                        assert len(w.list()) == 1
                except Fault as e:
                    assert e.kind in ("Camera", "Unsupported"), f"{operation}: {fault} {args}: {e}"
                c.fault("none")
                with c.worker() as w:
                    assert len(w.list()) == 1, f"after {operation}: {fault} {args}"


def test_a_fault_in_an_erase_never_passes_for_an_erase(sim, _dock):
    for fault, args in STRIKES:
        with Camera(sim, [make_clip("A.MP4", 1000, 1)]) as c:
            with c.worker() as w:
                copy = w.pull(clip := w.list()[0])
            with c.worker(*QUICK) as w:
                c.fault(fault, operation="DeleteObject", count=1, **args)
                try:
                    w.erase(clip, copy)
                    assert c.clips() == [], f"{fault} {args}: it said that it erased"
                except Fault as e:
                    assert e.kind in ("Camera", "Denied", "Gone", "Unsupported"), f"{fault} {args}: {e}"


def test_a_list_of_a_million_handles_is_refused(sim, _dock):
    for args in ({"handles": 1_000_000}, {"handles": 10, "claim": 0x3FFFFFFF}, {"handles": 1_000_000, "claim": 3}):
        with Camera(sim, [make_clip("A.MP4", 1000, 1)]) as c:
            with c.worker(*QUICK) as w:
                c.fault("huge_handle_list", **args)
                try:
                    w.list()
                except Fault as e:
                    assert e.kind in ("Limit", "Camera"), f"{args}: {e}"
                else:
                    raise AssertionError(f"{args}: listed")
                c.fault("none")
                assert len(w.list()) == 1


def test_a_camera_that_is_silent_or_endless_for_good_is_given_up(sim, _dock):
    for fault in ("silent", "endless", "garbage", "wrong_transaction_id", "busy", "stall_data"):
        with Camera(sim, [make_clip("A.MP4", 1000, 1)]) as c:
            c.fault(fault)
            try:
                with c.worker(*QUICK) as w:
                    w.list()
                raise AssertionError(f"{fault}: listed")
            except Fault as e:
                assert e.kind in ("Camera", "Limit", "Unsupported"), f"{fault}: {e}"
            c.fault("none")
            with c.worker() as w:
                assert len(w.list()) == 1, fault


def test_operations_that_the_camera_denies_are_done_without(sim, _dock):
    with Camera(sim, [make_clip("A.MP4", 3 * MIB, 1), make_clip("B.MP4", 10, 2)]) as c:
        truth = {(path, size): [digest] for path, size, digest in c.clips()}
        for faults in (("no_partial64",), ("no_partial", "no_partial64"), ("no_prop_list",),
                       ("no_partial", "no_partial64", "no_prop_list")):
            for fault in faults:
                c.fault(fault)
            with c.worker() as w:
                assert pull_all(w, w.list())[0] == truth, faults
            c.fault("none")


# ---- Unplugged, killed ----------------------------------------------------------------------------------------------


def test_unplugged_in_a_pull_is_called_that(sim, _dock):
    for way, options in WAYS.items():
        with Camera(sim, [make_clip("A.MP4", 200 * MIB, 1)]) as c:
            with c.worker(*options) as w:
                clip = w.list()[0]
                c.unplug_after(bytes=20 * MIB)
                fails("Unplugged", w.pull, clip)


def test_stalled_endpoint_is_a_failure_and_the_next_worker_gets_on(sim, _dock):
    with Camera(sim, [make_clip("A.MP4", 1000, 1)]) as c:
        for endpoint in (0x81, 0x02, 0x01):
            with c.worker(*QUICK) as w:
                try:
                    c.stall(endpoint=endpoint)
                except rack.SimError:
                    continue  # it has no such endpoint
                try:
                    w.list()
                except Fault as e:
                    assert e.kind == "Camera", str(e)
            with c.worker() as w:
                assert len(w.list()) == 1


def test_a_killed_worker_leaves_a_camera_that_the_next_one_can_use(sim, _dock):
    for way, options in WAYS.items():
        with Camera(sim, [make_clip("A.MP4", 400 * MIB, 1)]) as c:
            for moment in (0, 1, 3):
                w = c.worker(*options)
                clip = w.list()[0]
                seen = []
                w.on_block = seen.append
                w.begin("Pull", "(ustay)", clip.index, "0.part", 0, b"")
                while len(seen) < moment:
                    rack.GLib.MainContext.default().iteration(True)
                w.kill()
                w.__exit__()
                with c.worker(*options) as w:
                    assert len(w.list()) == 1, f"{way}, killed after {moment} blocks"
                    assert w.verify(clip, 2)[1][0] == BLOCK_SIZE


def test_a_session_that_somebody_left_open_is_taken_over(sim, _dock):
    with Camera(sim, [make_clip("A.MP4", 1000, 1)]) as c:
        w = c.worker()
        w.kill()
        w.__exit__()
        assert c.state()["session_open"] is True
        with c.worker() as w:
            assert len(w.list()) == 1
            assert w.close() == 0
        assert c.state()["session_open"] is False
        assert c.state()["resets"] == 0


def test_a_pull_resumes_after_its_last_block(sim, _dock):
    with Camera(sim, [make_clip("A.MP4", 40 * MIB + 5, 1)]) as c:
        truth = c.clips()[0][2]
        for options in WAYS.values():
            with c.worker(*options) as w:
                clip = w.list()[0]
                w.pull(clip)
                kept = [w.blocks[n][1] for n in range(3)]
                os.truncate(w.part(clip), 3 * BLOCK_SIZE)
                before = c.state()["bytes_sent"]
                assert w.pull(clip, kept=kept).digest.hex() == truth
                if options != WAYS["whole"]:
                    assert c.state()["bytes_sent"] - before < 17 * MIB


def test_an_unknown_option_is_named(sim, _dock):
    with Camera(sim) as c:
        with Worker(sim, c.name) as w:
            assert "no-such-option=1" in str(fails("Plugin", w.open, "no-such-option=1"))
        assert c.state()["opens"] == 0 or c.state()["claims"] == 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="berth-mtp-") as scratch:
        tempfile.tempdir = scratch
        rack.run([value for name, value in list(globals().items()) if name.startswith("test_")])
