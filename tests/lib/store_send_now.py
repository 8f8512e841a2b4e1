# SPDX-License-Identifier: Apache-2.0
"""A whole dock on a store on the network, whatever the store, and a clip that an operator wants there first. A program of a store runs
what tests_with() makes of them, beside its own."""

import functools
import json
import subprocess
import time

import rack
from rack import make_clip

MIB = 1 << 20
PART = 5 * MIB
CRAWL = 256 * 1024


def ctl(*args):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
    return done.stdout


def listed():
    return [(t["path"], t["state"], t["urgent"]) for t in json.loads(ctl("transfer", "--json"))["transfers"]]


def send_now(d, path):
    (clip,), = d.rows("SELECT id FROM clips WHERE path = ?", path)
    ctl("transfer", "now", str(clip))


def pull(d, sim, name, clips):
    """Into the spool alone, since the uplink does not run yet."""
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)
    sim("plug", camera=name, port="1-1.1")
    d.wait_state(1, "settled")
    return {(f"SN-{name}", path): [digest] for path, digest in rack.sha256_of(sim("state", camera=name, sha256=True)).items()}


def four_clips():
    """The oldest has pieces, so that it can be met in the middle."""
    return [make_clip("0.MP4", 3 * PART, 1)] + [make_clip(f"{n}.MP4", MIB, 1 + n) for n in range(1, 4)]


def begin_slowly(d, proxy):
    """The uplink runs, and the first clip is on its way for longer than any order takes."""
    before = sum(proxy.body_bytes.values())
    proxy.bandwidth = CRAWL
    d.start_uplink()
    d.wait(lambda: ("0.MP4", "uploading", False) in listed() and sum(proxy.body_bytes.values()) > before, "the first clip to be sent")


def assert_order(d, digests, *paths):
    d.wait(lambda: len(d.events("receipted")) == len(paths), "all receipts", 180)
    assert [e["path"] for e in d.events("receipted")] == list(paths), [e["path"] for e in d.events("receipted")]
    assert d.stored() == digests, "not each of them once, and right"
    d.check_chain()


def test_clip_that_is_asked_for_goes_before_all_that_wait(place, proxy, sim, dock):
    """Also before those whose cameras are docked, although its own has left."""
    d = dock(["1-1.1"], place=place, policy={"uploads": 1})
    d.start_daemon()
    digests = pull(d, sim, "gone", [make_clip("wanted.MP4", MIB, 9)])
    sim("unplug", camera="gone")
    d.wait_state(1, "empty")
    digests |= pull(d, sim, "here", four_clips())
    begin_slowly(d, proxy)
    assert [path for path, _, _ in listed()] == ["0.MP4", "1.MP4", "2.MP4", "3.MP4", "wanted.MP4"], listed()
    send_now(d, "wanted.MP4")
    assert listed()[:3] == [("0.MP4", "uploading", False), ("wanted.MP4", "waiting", True), ("1.MP4", "waiting", False)], listed()
    proxy.bandwidth = None
    assert_order(d, digests, "0.MP4", "wanted.MP4", "1.MP4", "2.MP4", "3.MP4")


def test_clip_that_is_asked_for_in_a_pause_waits_and_goes_first_after_it(place, proxy, sim, dock):
    """Also before what the pause met in the middle."""
    d = dock(["1-1.1"], place=place, policy={"uploads": 1})
    d.start_daemon()
    digests = pull(d, sim, "c", four_clips())
    begin_slowly(d, proxy)
    ctl("transfer", "pause")
    d.wait(lambda: all(state != "uploading" for _, state, _ in listed()), "the upload to stop")
    send_now(d, "2.MP4")
    assert listed()[:2] == [("2.MP4", "waiting", True), ("0.MP4", "waiting", False)], listed()
    assert "Uploads are paused" in ctl("transfer")
    proxy.bandwidth = None
    ctl("transfer", "resume")
    assert_order(d, digests, "2.MP4", "0.MP4", "1.MP4", "3.MP4")
    kinds = [e["event"] for e in d.events() if e["event"] in ("clip-urgent", "uploads-paused", "uploads-resumed", "receipted")]
    assert kinds == ["uploads-paused", "clip-urgent", "uploads-resumed"] + 4 * ["receipted"], kinds


def test_clip_that_is_asked_for_in_a_closed_window_waits_and_goes_first_after_it(place, proxy, sim, dock):
    del proxy
    begin, end = (time.strftime("%H:%M", time.localtime(time.time() + seconds)) for seconds in (-3600, 2 * 3600))
    d = dock(["1-1.1"], place=place, policy={"uploads": 1}, limit=f"{begin}-{end} none")
    d.start()
    d.wait(lambda: d.manager()["StoreState"] == "paused", "the pause to be told")
    digests = pull(d, sim, "c", four_clips())
    send_now(d, "2.MP4")
    assert listed()[:2] == [("2.MP4", "waiting", True), ("0.MP4", "waiting", False)], listed()
    assert end in ctl("transfer"), "it is not said until when"
    d.uplink.end()
    assert not d.events("receipted") and not d.objects(), "it did not wait"
    del d.config["limit"]
    d.write_config()
    d.start_uplink()
    assert_order(d, digests, "2.MP4", "0.MP4", "1.MP4", "3.MP4")


def tests_with(front):
    """The tests as they are to be run; front(part_size) is asked by each of them for a dock's place and the proxy before it."""
    def bound(body):
        @functools.wraps(body)
        def test(sim, dock):
            place, proxy = front(str(PART))
            body(place, proxy, sim, dock)

        return test

    return [bound(body) for body in (test_clip_that_is_asked_for_goes_before_all_that_wait,
                                     test_clip_that_is_asked_for_in_a_pause_waits_and_goes_first_after_it,
                                     test_clip_that_is_asked_for_in_a_closed_window_waits_and_goes_first_after_it)]
