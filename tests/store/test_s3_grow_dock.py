#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whole docks whose clips go to a real Ceph while their cameras are still read: slow cameras, unplugged ones, changed ones, and each
process killed in the middle."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from rack import S3Place, make_clip  # noqa: E402
from rgw import Rgw  # noqa: E402

MIB = 1 << 20
PART = 5 * MIB
CRAWL = 256 * 1024
PATIENT = {"stall": "120s", "call": "120s"}
rack.enter()
store = Rgw(os.path.join(tempfile.mkdtemp(prefix="s3-"), "ceph"))
atexit.register(store.close)
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
store.make_bucket("clips")
proxy = FaultProxy(store.port)
number = 0

def new_dock(dock, bays, **more):
    global number
    number += 1
    proxy.reset()
    place = S3Place(store, "clips", f"grow-{number}", endpoint=proxy.endpoint, part_size="5M")
    return dock(bays, place=place, timeouts=PATIENT, **more)


def camera(sim, clips, name="c"):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)
    return rack.sha256_of(sim("state", camera=name, sha256=True))


def sent():
    return proxy.body_bytes["part"]


def parts():
    """The numbers of the parts that the store took, in the order in which it did."""
    return [int(path.split("partNumber=")[1].split("&")[0]) for phase, _, path, status in proxy.log if phase == "part" and status == 200]


def uploads_with_parts():
    return [path.split("uploadId=")[1].split("&")[0] for phase, _, path, status in proxy.log if phase == "part" and status == 200]


def durable(d):
    """Bytes of footage that are on record as blocks."""
    return sum(length for length, in d.rows("SELECT length FROM blocks"))


def hold_at(d, sim, bytes_, port="1-1.1"):
    """A camera that comes to a crawl once so much of its clip is durable, so that its pull does not end before it is let go."""
    sim("slow", camera="c", bytes_per_sec=16 * MIB)
    sim("plug", camera="c", port=port)
    d.wait(lambda: durable(d) >= bytes_, f"{bytes_} durable bytes")
    sim("slow", camera="c", bytes_per_sec=CRAWL)


def assert_stored(d, digests, name="c"):
    stored = d.stored()
    for path, digest in digests.items():
        assert stored.get((f"SN-{name}", path)) == [digest], f"{path}: {stored.get((f'SN-{name}', path))}, not {digest}"
    assert len(d.objects()) == len(stored), "there are objects that no manifest names"
    assert not store.uploads("clips", d.place.prefix + "/"), "an upload was left behind"
    assert not os.listdir(d.path("uplink-state", "uploads")), "a record was left behind"
    d.check_chain()


def let_go(d, sim, bay=1):
    sim("slow", camera="c", bytes_per_sec=0)
    d.wait_state(bay, "ready", deadline=180)


def test_parts_are_in_the_store_before_the_pull_has_ended(sim, dock):
    d = new_dock(dock, ["1-1.1"]).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1), make_clip("b.MP4", 3 * MIB, 2)])
    hold_at(d, sim, 16 * MIB)
    d.wait(lambda: len(parts()) >= 3, "parts in the store")
    assert not d.events("copied"), "the pull had ended"
    assert sent() <= durable(d), "something was sent that is not durable"
    assert not d.objects() and proxy.count("complete") == 0
    let_go(d, sim)
    assert sent() == 64 * MIB and proxy.count("create") == 1, "something was sent again"
    assert [e["path"] for e in d.events("receipted")].count("a.MP4") == 1
    assert_stored(d, digests)
    assert sim("state", camera="c")["clips"] == [], "the camera is not erased"


def test_growing_clip_is_shown_as_on_its_way(sim, dock):
    d = new_dock(dock, ["1-1.1"]).start()
    camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    hold_at(d, sim, 16 * MIB)
    d.wait(lambda: len(parts()) >= 3, "parts in the store")

    def listed():
        return d.conn.call_sync(rack.NAME, rack.ROOT, f"{rack.NAME}.Manager", "ListTransfers", rack.GLib.Variant("(u)", (10,)), None, 0,
                                60000, None).unpack()[0]

    d.wait(lambda: any(t["StoredBytes"] >= 3 * PART for t in listed()), "its progress to be told")
    found = listed()
    assert [(t["Path"], t["State"]) for t in found] == [("a.MP4", "uploading")] and "pulled" in found[0]["Reason"], found
    let_go(d, sim)


def test_unplugged_camera_goes_on_in_another_bay_and_so_does_its_upload(sim, dock):
    d = new_dock(dock, ["1-1.1", "1-1.2"]).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    hold_at(d, sim, 24 * MIB)
    d.wait(lambda: len(parts()) >= 3, "parts in the store")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    sim("slow", camera="c", bytes_per_sec=0)
    sim("plug", camera="c", port="1-1.2")
    d.wait_state(2, "ready", deadline=180)
    assert proxy.count("create") == 1 and sent() <= 64 * MIB + PART, "it began anew"
    assert_stored(d, digests)


def test_content_that_changed_in_between_is_not_mixed(sim, dock):
    d = new_dock(dock, ["1-1.1"]).start()
    camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    hold_at(d, sim, 24 * MIB)
    d.wait(lambda: len(parts()) >= 3, "parts in the store")
    old = store.uploads("clips", d.place.prefix + "/")
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    sim("remove_clip", camera="c", path="a.MP4")
    sim("add_clip", camera="c", **make_clip("a.MP4", 64 * MIB, 2))
    digests = rack.sha256_of(sim("state", camera="c", sha256=True))
    sim("slow", camera="c", bytes_per_sec=0)
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=180)
    assert d.events("part-set-aside"), "the old part was gone on with"
    assert len(old) == 1 and not [key for key in d.objects() if key in old[0]], "the old upload became the object"
    assert_stored(d, digests)


def kill_in_the_middle(sim, dock, kill):
    d = new_dock(dock, ["1-1.1"]).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 7)])
    hold_at(d, sim, 24 * MIB)
    d.wait(lambda: len(parts()) >= 3, "parts in the store")
    kill(d)
    let_go(d, sim)
    assert proxy.count("create") == 1 and sent() <= 64 * MIB + PART, f"{sent() - 64 * MIB} bytes were sent again"
    assert_stored(d, digests)


def test_killed_uplink_costs_a_part_at_most(sim, dock):
    def kill(d):
        d.uplink.end(signal.SIGKILL)
        d.start_uplink()

    kill_in_the_middle(sim, dock, kill)


def test_killed_daemon_costs_a_part_at_most(sim, dock):
    def kill(d):
        d.daemon.end(signal.SIGKILL)
        d.start_daemon()

    kill_in_the_middle(sim, dock, kill)


def test_killed_worker_costs_a_part_at_most(sim, dock):
    def kill(d):
        for pid in d.workers():
            os.kill(pid, signal.SIGKILL)
        d.wait(lambda: d.events("pull-interrupted"), "the pull to be interrupted")

    kill_in_the_middle(sim, dock, kill)


def test_other_bytes_on_the_disk_than_from_the_camera_are_a_conflict(sim, dock):
    d = new_dock(dock, ["1-1.1"])
    camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    d.start_daemon()
    hold_at(d, sim, 24 * MIB)
    incoming = d.path("state", "incoming")
    part, = [os.path.join(folder, name) for folder, _, names in os.walk(incoming) for name in names]
    with open(part, "r+b") as f:
        f.seek(7 * MIB)
        byte = f.read(1)
        f.seek(7 * MIB)
        f.write(bytes([byte[0] ^ 1]))
    d.start_uplink()
    d.wait(lambda: len(parts()) >= 3, "parts in the store")
    sim("slow", camera="c", bytes_per_sec=0)
    d.wait(lambda: d.events("conflict"), "the conflict to be on record")
    d.wait_state(1, "quarantined")
    assert not d.manifests() and not d.objects() and proxy.count("complete") == 0
    assert len(sim("state", camera="c")["clips"]) == 1, "the camera was erased"
    assert not store.uploads("clips", d.place.prefix + "/"), "an upload was left behind"
    d.check_chain()


def ctl(*args):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
    return done.stdout


def pause_and_resume(d):
    """Orders a pause, waits until nothing is on its way, and lets it go on."""
    def idle():
        return "uploading" not in [t["state"] for t in json.loads(ctl("transfer", "--json"))["transfers"]]

    ctl("transfer", "pause")
    d.wait(idle, "the uploads to stop")
    before = len(parts())
    assert "paused" in ctl("status")
    ctl("transfer", "resume")
    return before


def test_pause_stops_the_upload_of_a_whole_clip(sim, dock):
    d = new_dock(dock, ["1-1.1"])
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    proxy.bandwidth = 8 * MIB
    d.start_uplink()
    d.wait(lambda: len(parts()) >= 2, "parts in the store")
    assert pause_and_resume(d) < 13, "it went on to its end"
    proxy.bandwidth = None
    d.wait_state(1, "ready", deadline=180)
    assert proxy.count("create") == 1 and sent() <= 64 * MIB + PART, f"{sent() - 64 * MIB} bytes were sent again"
    assert_stored(d, digests)


def test_pause_stops_the_upload_of_a_growing_clip(sim, dock):
    d = new_dock(dock, ["1-1.1"]).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    hold_at(d, sim, 24 * MIB)
    d.wait(lambda: len(parts()) >= 3, "parts in the store")
    pause_and_resume(d)
    let_go(d, sim)
    assert proxy.count("create") == 1 and sent() <= 64 * MIB + PART, f"{sent() - 64 * MIB} bytes were sent again"
    assert_stored(d, digests)


def test_whole_clips_do_not_wait_for_growing_ones(sim, dock):
    d = new_dock(dock, ["1-1.1", "1-1.2"], policy={"uploads": 1}, transfers=1).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    others = camera(sim, [make_clip(f"{n}.MP4", MIB, 10 + n) for n in range(3)], name="other")
    hold_at(d, sim, 24 * MIB)
    d.wait(lambda: len(parts()) >= 3, "parts in the store")
    sim("plug", camera="other", port="1-1.2")
    d.wait_state(2, "ready", deadline=120)
    assert not d.events("copied") or all(e["path"] != "a.MP4" for e in d.events("copied")), "the slow camera was not waited for"
    let_go(d, sim)
    assert sent() == 64 * MIB, "something was sent again"
    assert_stored(d, {**digests})
    assert_stored(d, others, "other")


def test_two_that_grow_share_the_one_place(sim, dock):
    d = new_dock(dock, ["1-1.1", "1-1.2"], transfers=1).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    others = camera(sim, [make_clip("b.MP4", 64 * MIB, 2)], name="other")
    hold_at(d, sim, 16 * MIB)
    sim("slow", camera="other", bytes_per_sec=16 * MIB)
    sim("plug", camera="other", port="1-1.2")
    d.wait(lambda: durable(d) >= 40 * MIB, "durable bytes of both")
    sim("slow", camera="other", bytes_per_sec=CRAWL)
    d.wait(lambda: len(set(uploads_with_parts())) == 2, "parts of both in the store")
    assert not d.events("copied"), "a pull had ended"
    sim("slow", camera="other", bytes_per_sec=0)
    let_go(d, sim)
    d.wait_state(2, "ready", deadline=180)
    assert sent() == 128 * MIB, "something was sent again"
    assert_stored(d, digests)
    assert_stored(d, others, "other")


rack.run([test_parts_are_in_the_store_before_the_pull_has_ended, test_growing_clip_is_shown_as_on_its_way,
          test_unplugged_camera_goes_on_in_another_bay_and_so_does_its_upload, test_content_that_changed_in_between_is_not_mixed,
          test_killed_uplink_costs_a_part_at_most, test_killed_daemon_costs_a_part_at_most, test_killed_worker_costs_a_part_at_most,
          test_pause_stops_the_upload_of_a_whole_clip, test_pause_stops_the_upload_of_a_growing_clip,
          test_other_bytes_on_the_disk_than_from_the_camera_are_a_conflict, test_whole_clips_do_not_wait_for_growing_ones,
          test_two_that_grow_share_the_one_place])
