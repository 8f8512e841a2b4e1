#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A whole dock with its store in a real Ceph: from cameras to receipts to the erase."""

import atexit
import json
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from rack import S3Place, make_clip  # noqa: E402
from rgw import Rgw  # noqa: E402
from store_send_now import tests_with  # noqa: E402
from unit_calls import calls, forbidden, traced, unit  # noqa: E402

MIB = 1 << 20
rack.enter()
store = Rgw(os.path.join(tempfile.mkdtemp(prefix="s3-"), "ceph"))
atexit.register(store.close)
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
store.make_bucket("clips")
proxy = FaultProxy(store.port)
fronts = 0


def front(part_size):
    """A prefix of its own for each dock."""
    global fronts
    fronts += 1
    proxy.reset()
    return S3Place(store, "clips", f"front-{fronts}", endpoint=proxy.endpoint, part_size=part_size), proxy


def cameras(sim, ports, size):
    digests = {}
    for n, port in enumerate(ports):
        sim("camera", name=f"c{n}", type="ptp", serial=f"SN-c{n}", manufacturer="Acme", model="BC-1", firmware="1.2",
            clips=[make_clip(f"DCIM/100/CLIP{k}.MP4", size(k), 10 * n + k) for k in range(3)])
        digests[f"SN-c{n}"] = rack.sha256_of(sim("state", camera=f"c{n}", sha256=True))
        sim("plug", camera=f"c{n}", port=port)
    return digests


def assert_stored_and_erased(d, sim, digests):
    stored = d.stored()
    for n, (serial, clips) in enumerate(digests.items()):
        for path, digest in clips.items():
            assert stored.get((serial, path)) == [digest], f"{serial} {path}: {stored.get((serial, path))}"
        assert sim("state", camera=f"c{n}")["clips"] == [], "the camera is not erased"
    assert len(d.objects()) == len(stored)
    assert all(event["strength"] == "digest" for event in d.events("receipted"))
    d.check_chain()


def test_cameras_are_erased_against_the_receipts_of_a_bucket(sim, dock):
    d = dock(["1-1.1", "1-1.2", "1-2.3"], place=S3Place(store, "clips", "north", part_size="5M")).start()
    digests = cameras(sim, d.bays, lambda k: [0, 700_001, 12 * MIB][k])
    for bay in (1, 2, 3):
        d.wait_state(bay, "ready", deadline=120)
    assert_stored_and_erased(d, sim, digests)


def test_outage_and_killed_uplink_cost_time_only(sim, dock):
    proxy.reset()
    # Less than the smallest of the clips, so that none is whole.
    proxy.stop_at("part", 10 * MIB)
    d = dock(["1-1.1", "1-1.2"], place=S3Place(store, "clips", "south", endpoint=proxy.endpoint, part_size="5M")).start()
    digests = cameras(sim, d.bays, lambda k: (11 + k) * MIB)
    d.wait(lambda: proxy.body_bytes["part"] >= 10 * MIB, "some of it to be sent")
    d.uplink.end(9)
    proxy.rules = [{"phase": phase, "action": "reset", "times": None} for phase in ["probe", "part", "list", "look", "create", "manifest"]]
    proxy.go_on()
    d.wait(lambda: not proxy.taking, "what was on its way to have come")
    probes = proxy.count("probe")
    d.start_uplink()
    d.wait(lambda: proxy.count("probe") > probes + 3, "the store to be asked in vain", 120)
    assert not d.manifests(), "something counts as stored"
    proxy.rules = []
    for bay in (1, 2):
        d.wait_state(bay, "ready", deadline=180)
    assert_stored_and_erased(d, sim, digests)
    assert proxy.body_bytes["part"] <= 2 * (11 + 12 + 13) * MIB + 6 * 5 * MIB, "more was sent again than a part of each"


def test_status_of_the_dock_replaces_the_one_before_and_no_other(sim, dock):
    proxy.reset()
    d = dock(["1-1.1"], place=S3Place(store, "clips", "told", endpoint=proxy.endpoint), dock={"status_every": "1s"}).start()

    def seq():
        return [json.loads(b"".join(d.content(key)).split(b"\n")[1])["seq"] for key in d.objects("docks")]

    first = d.wait(seq, "the status", deadline=120)
    d.wait(lambda: seq() > first, "the next one", deadline=120)
    puts = [headers for (_, method, target, _), (_, headers) in zip(proxy.log, proxy.seen) if method == "PUT" and "/docks/" in target]
    assert puts[0]["if-none-match"] == "*" and all("if-match" in headers for headers in puts[1:]) and puts[1:], puts
    key, = d.objects("docks")
    # Between our look and our put: another's, which the condition saves.
    proxy.rules = [{"phase": "bucket", "method": "PUT", "where": "/docks/", "action": "held"}]
    with open(d.path("other"), "w", encoding="ascii") as f:
        f.write("another's\n")
    d.wait(lambda: not any(rule.get("times", 1) for rule in proxy.rules), "the next put to be on its way", deadline=120)
    store.curl(f"/clips/told/{key}", "-T", d.path("other"))
    proxy.go_on()
    d.wait(lambda: "another dock writ" in d.daemon.output() or "no signed statement" in d.daemon.output(), "it to be told of", deadline=120)
    assert b"".join(d.content(key)) == b"another's\n", "it was written over"


def test_two_docks_that_race_for_a_clip_get_one_receipt(sim, dock):
    """The same footage reaches both (a camera that was moved): one manifest wins, the other dock reads the winner's object and takes its
    receipt. Both put their manifests in the same moment; nothing is written over."""
    proxy.reset()
    docks = [dock([port], below=below, policy={"believe": "content"},
                  place=S3Place(store, "clips", "race", endpoint=proxy.endpoint, part_size="5M"))
             for port, below in [("1-1.1", ""), ("1-2.1", "second")]]
    names = ["DCIM~~100~~SMALL.MP4", "DCIM~~100~~LARGE.MP4"]
    proxy.rules = [{"phase": "manifest", "method": "PUT", "where": name, "action": "meet", "of": 2, "times": None} for name in names]
    for d in docks:
        d.start()
    clips = [make_clip("DCIM/100/SMALL.MP4", 700_001, 1), make_clip("DCIM/100/LARGE.MP4", 12 * MIB, 2)]
    for n, d in enumerate(docks):
        sim("camera", name=f"r{n}", type="ptp", serial="SN-RACE", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)
    digests = rack.sha256_of(sim("state", camera="r0", sha256=True))
    for n, d in enumerate(docks):
        sim("plug", camera=f"r{n}", port=d.bays[0])
    for d in docks:
        d.wait_state(1, "ready", deadline=180)
    assert docks[0].stored() == {("SN-RACE", path): [digest] for path, digest in digests.items()}, docks[0].stored()
    manifests = {m["path"]: m for m in docks[0].manifests()}
    for clip, name in zip(clips, names):
        answers = sorted(entry[3] for entry in proxy.log if entry[0] == "manifest" and entry[1] == "PUT" and name in entry[2])
        assert answers == [200, 412], f"{name}: {answers}"
        winner = manifests[clip["path"]]
        told = [next(e for e in d.events("receipted") if e["path"] == clip["path"]) for d in docks]
        assert {e["object_key"] for e in told} == {winner["object"]} and {e["strength"] for e in told} == {"digest"}, told
        assert [entry for entry in proxy.log if entry[0] == "read" and winner["object"].split("/")[-1] in entry[2]], "it was not read"
        # The loser may not delete what it had put: it stays, and no manifest names it.
        assert len([key for key in docks[0].objects() if name in key]) == 2, docks[0].objects()
    for n, d in enumerate(docks):
        assert sim("state", camera=f"r{n}")["clips"] == [], "a camera is not erased"
        d.check_chain()


def test_unit_and_drop_in_allow_all_that_it_takes(sim, dock):
    """A system call or a socket that the unit would refuse shows here, not on a dock."""
    d = dock(["1-1.1"], place=S3Place(store, "clips", "traced", endpoint=f"http://localhost:{store.port}", part_size="5M"))
    build = rack.BUILD
    d.start_uplink()
    d.uplink.end()
    rack.BUILD = traced(d.path("traced"), ["berth-uplink"])
    try:
        d.start()
        digests = cameras(sim, d.bays, lambda k: [1000, 6 * MIB, 7 * MIB][k])
        d.wait_state(1, "ready", deadline=300)
        assert_stored_and_erased(d, sim, digests)
        d.daemon.end()
        d.uplink.end()
    finally:
        traces, rack.BUILD = rack.BUILD, build
    found = calls(os.path.join(traces, "berth-uplink.calls"))
    assert any(name == "socket" and rest.startswith("AF_INET") for name, rest in found), "the trace is not one"
    # Name resolution asks the kernel which addresses there are, and does without an answer.
    found = [(name, rest) for name, rest in found if not (name == "socket" and rest.startswith("AF_NETLINK"))]
    assert forbidden(unit("berth-uplink.service"), found) == {"socket(AF_INET)"} | (forbidden(
        unit("berth-uplink.service"), found) & {"socket(AF_INET6)"}), "the unit without the drop-in forbids IP, and only that"
    wrong = forbidden(unit("berth-uplink.service", "network-store.conf"), found)
    assert not wrong, f"berth-uplink.service would refuse: {', '.join(sorted(wrong))}"


rack.run([test_cameras_are_erased_against_the_receipts_of_a_bucket, test_outage_and_killed_uplink_cost_time_only,
          test_status_of_the_dock_replaces_the_one_before_and_no_other, test_two_docks_that_race_for_a_clip_get_one_receipt,
          test_unit_and_drop_in_allow_all_that_it_takes] + tests_with(front))
