#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is held on the dock is held in the store: a whole dock, and a legal hold on the objects of clips that a real Ceph has already."""

import atexit
import itertools
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
rack.enter()
store = Rgw(os.path.join(tempfile.mkdtemp(prefix="s3-"), "ceph"))
atexit.register(store.close)
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
store.make_bucket("locked", lock=True)
store.make_bucket("plain")
proxy = FaultProxy(store.port)
numbers = itertools.count(1)


def ctl(*args):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
    return done.stdout


def stored_dock(sim, dock, bucket, timeouts=None, **settings):
    """A dock two of whose camera's clips are stored and erased: the dock, and the receipts by path."""
    proxy.reset()
    # A prefix of its own: what another dock stored would not be believed.
    place = S3Place(store, bucket, f"dock-{next(numbers)}", endpoint=proxy.endpoint, **settings)
    d = dock(["1-1.1"], place=place, timeouts=timeouts or {}).start()
    sim("camera", name="c", type="ptp", serial="SN-c", manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[make_clip("a.MP4", MIB, 1), make_clip("b.MP4", 6 * MIB, 2)])
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "ready", deadline=180)
    return d, {e["path"]: e for e in d.events("receipted")}


def held(d, receipt):
    """What the store itself says of the object and of its manifest."""
    said = [store.curl(f"/{d.place.bucket}/{d.place.prefix}/{receipt[key]}?legal-hold=", check=False)[0].decode()
            for key in ("object_key", "manifest_key")]
    return ["<Status>ON</Status>" in text for text in said]


def counts(hold):
    return hold["stored_clips"], hold["locked_clips"], hold["unlockable_clips"]


def holds():
    return json.loads(ctl("hold", "--json"))["holds"]


def test_hold_on_a_stored_clip_is_a_legal_hold_on_its_object_until_released(sim, dock):
    d, receipts = stored_dock(sim, dock, "locked", sole_writer="yes")
    assert held(d, receipts["a.MP4"]) == [False, False]
    clip = receipts["a.MP4"]["clip_id"]
    ctl("hold", "set", f"--clip={clip}", "--case=17")
    d.wait(lambda: d.events("object-held"), "the object to be held", 120)
    assert held(d, receipts["a.MP4"]) == [True, True] and held(d, receipts["b.MP4"]) == [False, False]
    event, = d.events("object-held")
    assert (event["clip_id"], event["object_key"], event["lock"]) == (clip, receipts["a.MP4"]["object_key"], "on"), event
    assert counts(holds()[0]) == (1, 1, 0) and "locked" in ctl("hold"), holds()
    # The camera is held for another case: as long as one hold stands, the objects stay.
    ctl("hold", "set", "--camera=SN-c", "--case=18")
    d.wait(lambda: len({e["object_key"] for e in d.events("object-held")}) == 2, "the other object to be held", 120)
    ctl("hold", "release", "--case=17")
    assert counts(holds()[0]) == (2, 2, 0), holds()
    # While the store does not answer nothing is believed, and nothing forgotten, not even over a restart.
    proxy.rules = [{"phase": "lock", "method": "PUT", "action": "status", "status": 403, "code": "AccessDenied", "times": None}]
    ctl("hold", "release", "--case=18")
    d.wait(lambda: "and its object in the store not yet" in d.daemon.output(), "the trouble to be told", 120)
    assert not d.events("object-let-go") and held(d, receipts["a.MP4"]) == [True, True]
    d.daemon.end()
    proxy.rules = []
    d.start_daemon()
    d.wait(lambda: len(d.events("object-let-go")) == 2, "the objects to be let go", 180)
    assert held(d, receipts["a.MP4"]) == [False, False] and held(d, receipts["b.MP4"]) == [False, False]
    assert not d.rows("SELECT 1 FROM object_holds")
    ctl("custody", "verify", f"--state-dir={d.state}")
    d.check_chain()


def test_hold_whose_answer_was_lost_ends_with_its_release(sim, dock):
    d, receipts = stored_dock(sim, dock, "locked", sole_writer="yes")
    proxy.rules = [{"phase": "lock", "method": "PUT", "action": "mute", "times": None}]
    clip = receipts["a.MP4"]["clip_id"]
    ctl("hold", "set", f"--clip={clip}")
    d.wait(lambda: held(d, receipts["a.MP4"])[0], "the store to do it", 120)
    asked, = d.events("object-hold-asked")
    assert (asked["clip_id"], asked["object_key"], asked["lock"]) == (clip, receipts["a.MP4"]["object_key"], "asked"), asked
    d.uplink.end(signal.SIGKILL)
    assert not d.events("object-held") and counts(holds()[0]) == (1, 0, 0), holds()
    ctl("hold", "release", f"--clip={clip}")
    proxy.rules = []
    d.start_uplink()
    d.wait(lambda: d.events("object-let-go"), "the object to be let go", 180)
    assert held(d, receipts["a.MP4"]) == [False, False] and not d.rows("SELECT 1 FROM object_holds")
    assert len(d.events("object-hold-asked")) == 1 and not d.events("object-held")
    ctl("custody", "verify", f"--state-dir={d.state}")
    d.check_chain()


def test_hold_that_comes_to_the_store_after_its_release_is_ended_too(sim, dock):
    d, receipts = stored_dock(sim, dock, "locked", timeouts={"store_late": "40s"}, sole_writer="yes")
    receipt = receipts["a.MP4"]
    held_on = b'<LegalHold xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>ON</Status></LegalHold>'
    came = []

    def late(status, headers, body):
        """The request of before, which was lost on its way, comes when the dock has just read that the object is let go."""
        if b"<Status>OFF</Status>" in body and not came:
            came.append(True)
            store.curl(f"/{d.place.bucket}/{d.place.prefix}/{receipt['object_key']}?legal-hold=", "-X", "PUT", "--data-binary",
                       held_on.decode())
        return status, headers, body

    proxy.rules = [{"phase": "lock", "method": "PUT", "action": "mute", "times": None}]
    ctl("hold", "set", f"--clip={receipt['clip_id']}")
    d.wait(lambda: held(d, receipt)[0], "the store to do it", 120)
    d.uplink.end(signal.SIGKILL)
    ctl("hold", "release", f"--clip={receipt['clip_id']}")
    proxy.rules = [{"phase": "lock", "method": "GET", "where": receipt["object_key"], "action": "answer", "change": late, "times": None}]
    d.start_uplink()
    d.wait(lambda: d.events("object-let-go"), "the object to be let go", 180)
    assert came and held(d, receipt) == [False, False], "what came late stands, and nobody will look again"


def test_store_that_says_it_did_and_did_not_is_not_believed(sim, dock):
    d, receipts = stored_dock(sim, dock, "locked", sole_writer="yes")
    proxy.rules = [{"phase": "lock", "method": "PUT", "action": "status", "status": 200, "times": None}]
    ctl("hold", "set", f"--clip={receipts['b.MP4']['clip_id']}")
    d.wait(lambda: "says that it did" in d.daemon.output(), "the lie to be told of", 120)
    assert not d.events("object-held") and counts(holds()[0]) == (1, 0, 0) and "0 of 1 locked" in ctl("hold"), holds()
    proxy.rules = []
    d.wait(lambda: d.events("object-held"), "another try", 180)
    assert held(d, receipts["b.MP4"]) == [True, True]
    ctl("hold", "release", f"--clip={receipts['b.MP4']['clip_id']}")
    d.wait(lambda: d.events("object-let-go"), "the object to be let go", 120)


def test_hold_set_before_the_clip_is_stored_comes_with_its_receipt_and_a_setting_keeps_it(sim, dock):
    proxy.reset()
    place = S3Place(store, "locked", "south", endpoint=proxy.endpoint, sole_writer="yes", legal_hold="yes")
    d = dock(["1-1.1"], place=place)
    sim("camera", name="c", type="ptp", serial="SN-s", manufacturer="Acme", model="BC-1", firmware="1.2",
        clips=[make_clip("a.MP4", MIB, 3)])
    d.start_daemon()
    sim("plug", camera="c", port="1-1.1")
    d.wait_state(1, "settled")
    ctl("hold", "set", "--camera=SN-s")
    d.start_uplink()
    d.wait(lambda: d.events("object-held"), "the object to be held", 180)
    receipt, = d.events("receipted")
    ctl("hold", "release", "--camera=SN-s")
    d.wait(lambda: d.events("object-let-go"), "the end of the hold", 120)
    event, = d.events("object-let-go")
    assert event["lock"] == "stays" and "legal_hold = yes" in event["reason"], event
    assert held(d, receipt) == [True, True]


def test_bucket_without_object_lock_is_told_of(sim, dock):
    d, receipts = stored_dock(sim, dock, "plain")
    ctl("hold", "set", f"--clip={receipts['a.MP4']['clip_id']}")
    d.wait(lambda: d.events("object-held"), "the store to be asked", 120)
    event, = d.events("object-held")
    assert event["lock"] == "none" and "without Object Lock" in event["reason"], event
    assert counts(holds()[0]) == (1, 0, 1) and "knows no lock" in ctl("hold"), holds()
    ctl("hold", "release", f"--clip={receipts['a.MP4']['clip_id']}")
    d.wait(lambda: d.events("object-let-go"), "the end of the hold", 120)
    d.check_chain()


rack.run([test_hold_on_a_stored_clip_is_a_legal_hold_on_its_object_until_released,
          test_hold_whose_answer_was_lost_ends_with_its_release,
          test_hold_that_comes_to_the_store_after_its_release_is_ended_too,
          test_store_that_says_it_did_and_did_not_is_not_believed,
          test_hold_set_before_the_clip_is_stored_comes_with_its_receipt_and_a_setting_keeps_it,
          test_bucket_without_object_lock_is_told_of])
