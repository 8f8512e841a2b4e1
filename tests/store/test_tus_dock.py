#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A whole dock with its store on a real @tus/server: from cameras to receipts to the erase."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rack  # noqa: E402
import released_world  # noqa: E402
import tus_server  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from rack import TusPlace, make_clip  # noqa: E402
from store_send_now import tests_with  # noqa: E402
from tus_world import MIB, tus_phase  # noqa: E402
from unit_calls import calls, forbidden, traced, unit  # noqa: E402

rack.enter()
missing = tus_server.missing()
assert missing is None, f"{missing} is missing: run 'make deps'"
folder = tempfile.mkdtemp(prefix="tus-")
signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))


def server(name, **options):
    made = tus_server.TusServer(os.path.join(folder, name), **options)
    atexit.register(made.close)
    return made


def proxy_of(store):
    return FaultProxy(store.port, phase_of=lambda *request: tus_phase(store, *request))


def front(part_size):
    """A server of its own for each dock, since a server has no folders."""
    store = tus_server.TusServer(tempfile.mkdtemp(dir=folder))
    atexit.register(store.close)
    proxy = proxy_of(store)
    return TusPlace(store, endpoint=proxy.endpoint, part_size=part_size), proxy


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
    assert all(event["strength"] == "digest" for event in d.events("receipted"))
    d.check_chain()


def ctl(*arguments):
    done = subprocess.run([f"{rack.BUILD}/berthctl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def erase_against(store, sim, dock, **more):
    d = dock(["1-1.1", "1-1.2"], place=TusPlace(store, part_size="2M", **more)).start()
    digests = cameras(sim, d.bays, lambda k: [0, 700_001, 7 * MIB][k])
    for bay in (1, 2):
        d.wait_state(bay, "ready", deadline=120)
    assert_stored_and_erased(d, sim, digests)
    assert len(d.objects()) == len(d.stored())
    # All of the evidence, what lies in the store included, by the keys that the server made up.
    ctl("custody", "checkpoint")
    d.wait(lambda: not d.rows("SELECT 1 FROM statements WHERE state = 'waiting'"), "the checkpoint in the store")
    done = ctl("custody", "verify", "--json", f"--state-dir={d.state}", "--store", f"--uplink={d.path('uplink.sock')}")
    counts = json.loads(done.stdout)["counts"]
    assert counts["stored_clips"] == 6 and counts["stored_statements"] >= 1, counts


def test_cameras_are_erased_against_the_receipts_of_a_server_that_checks(sim, dock):
    erase_against(server("checks", checksum="yes"), sim, dock)


def test_cameras_are_erased_against_the_receipts_of_a_server_that_is_read_back(sim, dock):
    erase_against(server("reads"), sim, dock, read_back="yes")


def test_footage_that_the_server_alone_has_is_exported_where_it_answers_get(sim, dock):
    store = server("fetched", checksum="yes")
    proxy = proxy_of(store)
    with released_world.released(sim, dock, place=TusPlace(store, endpoint=proxy.endpoint, part_size="2M")) as (d, ids):
        folder, said = released_world.export(d, str(ids[0]), to="export", code=0)
        assert "1 with their footage (1 from the store)" in said and released_world.is_whole(d, folder, ids[0]), said
        proxy.rules = [{"phase": "read", "action": "status", "status": 404, "code": "NotFound", "times": None}]
        folder, said = released_world.export(d, str(ids[0]), to="refused", code=7)
        assert "does not let it be read (GET)" in said and not os.path.exists(os.path.join(folder, "clips")), said
        d.uplink.end()
    proxy.close()


def test_receipts_of_size_erase_nothing(sim, dock):
    d = dock(["1-1.1"], place=TusPlace(server("counts"), part_size="2M")).start()
    digests = cameras(sim, d.bays, lambda k: 1000 + k)
    d.wait(lambda: len(d.events("receipted")) == 3, "all receipts")
    assert all(event["strength"] == "size" for event in d.events("receipted"))
    d.wait_state(1, "quarantined", deadline=120)
    assert "weaker than [policy] accept" in d.bay(1)["Reason"]
    assert len(sim("state", camera="c0")["clips"]) == 3, "it was erased"
    assert {path: [digest] for path, digest in digests["SN-c0"].items()} == {path: found for (_, path), found in d.stored().items()}


def doctor():
    done = subprocess.run([f"{rack.BUILD}/berthctl", "doctor", "store", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    return done.returncode, {p["name"]: (p["verdict"], p["text"]) for p in json.loads(done.stdout)["points"]}


def test_what_docks_share_is_refused_from_the_start_with_that_sentence(sim, dock):
    """Recognition of what others stored, status objects, roster, list of docks, firmware and rollouts: none is left out silently."""
    store = server("alone", checksum="yes")
    sentence = "a clip that another dock stored is not recognised, and there are no status objects"
    # A dock that asks for none of it is well; that its status is told nobody, it says.
    d = dock(["1-1.1"], place=TusPlace(store, part_size="2M"), dock={"status_every": "1s"}).start()
    d.wait(lambda: d.properties(rack.ROOT, "Manager")["State"] == "running", "the dock to be well")
    d.wait(lambda: "no status of a dock can lie there" in d.daemon.output(), "the status that cannot be told to be told of")
    verdict, text = doctor()[1]["store-fleet"]
    assert verdict == "note" and sentence in text and "no rollouts" in text, (verdict, text)
    d.daemon.end()
    # One of a fleet is not, and says by which setting; it stores and erases all the same.
    key = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], input=key, capture_output=True, check=True).stdout
    d.config["dock"] = {"fleet": "north", "fleet_key": der[-32:].hex()}
    d.write_config()
    d.start_daemon()
    asks = "[dock] fleet_key in berthd.conf asks for what this store cannot do"
    reason = d.wait(lambda: (m := d.manager())["State"] == "degraded" and m["StoreState"] == "ready" and asks in m["Reason"]
                    and m["Reason"], "the settings to be told of")
    assert sentence in reason, reason
    assert "no roster, no list of docks, no firmware and no rollouts" in reason and "type = s3" in reason, reason
    d.wait(lambda: reason in d.daemon.output(), "the settings to be told of in the log")
    assert reason in ctl("status").stdout.replace("\n", " ")
    code, points = doctor()
    assert code == 1 and points["store-fleet"] == ("failed", reason), points
    digests = cameras(sim, d.bays, lambda k: 1000 + k)
    d.wait_state(1, "ready", deadline=120)
    assert_stored_and_erased(d, sim, digests)


def test_status_is_told_once_the_store_is_one_that_can_be_told(sim, dock):
    """Whoever moves from tus to another kind of store restarts the uploader alone."""
    d = dock(["1-1.1"], place=TusPlace(server("changed", checksum="yes"), part_size="2M"), dock={"status_every": "1s"}).start()
    d.wait(lambda: "no status of a dock can lie there" in d.daemon.output(), "the status that cannot be told to be told of")
    d.uplink.end()
    d.place = None
    d.write_config()
    d.start_uplink()
    d.wait(lambda: any(key.endswith("/status") for key in d.objects("docks")), "the status in the other store")


def test_outage_and_killed_uplink_cost_time_only(sim, dock):
    store = server("outage", checksum="yes")
    proxy = proxy_of(store)
    # Less than the smallest of the clips, so that none is whole.
    proxy.stop_at("patch", 4 * MIB)
    d = dock(["1-1.1", "1-1.2"], place=TusPlace(store, endpoint=proxy.endpoint, part_size="2M")).start()
    digests = cameras(sim, d.bays, lambda k: (5 + k) * MIB)
    d.wait(lambda: proxy.body_bytes["patch"] >= 4 * MIB, "some of it to be sent")
    d.uplink.end(9)
    phases = ["options", "sample"] + [kind + step for kind in ("", "manifest-", "text-") for step in ("create", "patch", "head")]
    proxy.rules = [{"phase": phase, "action": "reset", "times": None} for phase in phases]
    proxy.go_on()
    d.wait(lambda: not proxy.taking, "what was on its way to have come")
    asked = proxy.count("options")
    d.start_uplink()
    d.wait(lambda: proxy.count("options") > asked + 3, "the store to be asked in vain", 120)
    assert not d.manifests(), "something counts as stored"
    proxy.rules = []
    for bay in (1, 2):
        d.wait_state(bay, "ready", deadline=180)
    assert_stored_and_erased(d, sim, digests)
    assert proxy.body_bytes["patch"] <= 2 * (5 + 6 + 7) * MIB + 6 * 2 * MIB, "more was sent again than a piece of each"
    proxy.close()


def test_unit_and_drop_in_allow_all_that_it_takes(sim, dock):
    """A system call or a socket that the unit would refuse shows here, not on a dock."""
    store = server("traced", checksum="yes")
    d = dock(["1-1.1"], place=TusPlace(store, endpoint=f"http://localhost:{store.port}", part_size="2M"))
    build = rack.BUILD
    d.start_uplink()
    d.uplink.end()
    rack.BUILD = traced(d.path("traced"), ["berth-uplink"])
    try:
        d.start()
        digests = cameras(sim, d.bays, lambda k: [1000, 3 * MIB, 4 * MIB][k])
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
    wrong = forbidden(unit("berth-uplink.service", "network-store.conf"), found)
    assert not wrong, f"berth-uplink.service would refuse: {', '.join(sorted(wrong))}"


rack.run([test_cameras_are_erased_against_the_receipts_of_a_server_that_checks,
          test_cameras_are_erased_against_the_receipts_of_a_server_that_is_read_back,
          test_footage_that_the_server_alone_has_is_exported_where_it_answers_get, test_receipts_of_size_erase_nothing,
          test_what_docks_share_is_refused_from_the_start_with_that_sentence,
          test_status_is_told_once_the_store_is_one_that_can_be_told, test_outage_and_killed_uplink_cost_time_only,
          test_unit_and_drop_in_allow_all_that_it_takes] + tests_with(front))
