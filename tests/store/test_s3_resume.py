#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Uploads that go on: after SIGKILL, with other keys, at another address, and after the store forgot them. The proxy counts what is
sent again."""

import os
import signal
import ssl
import sys
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from certificates import make_certificates  # noqa: E402
from s3_world import BUCKET, MIB, FaultProxy, World, rgw, tap, uplink  # noqa: E402

world = World()
PART = 5 * MIB


def kill_at(dock, clips, sent):
    """SIGKILL when so many bytes of parts have come to the proxy; returns how many came."""
    world.proxy.reset()
    world.proxy.stop_at("part", sent)
    for clip in clips:
        dock.begin_put(clip)
    dock.wait(lambda: world.sent() >= sent, "half of it to be sent")
    dock.end(signal.SIGKILL)
    world.proxy.go_on()
    dock.wait(lambda: not world.proxy.taking, "what was on its way to have come")
    return world.sent()


def again(clips):
    """Bytes of parts that were sent beyond those that the clips have."""
    return world.proxy.body_bytes["part"] - sum(clip.size for clip in clips)


def test_kill_costs_one_part_at_most():
    for fraction in [0.2, 0.5, 0.9]:
        dock = world.dock().start()
        clip = dock.clip(43 * MIB)
        kill_at(dock, [clip], int(clip.size * fraction))
        dock.start()
        receipt = dock.put(clip)
        assert 0 <= again([clip]) <= PART, f"{again([clip])} bytes were sent again"
        assert world.proxy.count("create") == 1, "it began anew"
        dock.judge(clip, receipt)
        dock.end()


def test_two_parts_under_way_cost_what_one_part_may_cost():
    """Together they have the size that is set for a part."""
    for fraction in [0.2, 0.5, 0.9]:
        dock = world.dock(part_size="10M").start()
        clip = dock.clip(43 * MIB)
        kill_at(dock, [clip], int(clip.size * fraction))
        dock.start()
        receipt = dock.put(clip)
        assert 0 <= again([clip]) <= 10 * MIB, f"{again([clip])} bytes were sent again"
        assert world.proxy.count("create") == 1, "it began anew"
        dock.judge(clip, receipt)
        dock.end()


def parts_sent():
    return [int(target.partition("partNumber=")[2].partition("&")[0]) for phase, _, target, _ in world.proxy.log if phase == "part"]


def test_part_whose_answer_is_late_holds_up_no_other():
    dock = world.dock(part_size="10M", stall="60s").start()
    clip = dock.clip(43 * MIB)
    world.proxy.reset({"phase": "part", "where": "partNumber=2&", "action": "mute"})
    dock.begin_put(clip)
    dock.wait(lambda: len(parts_sent()) == 9, "all other parts to be sent")
    dock.wait(lambda: world.proxy.muted == 1, "the second part to be there")
    assert world.proxy.count("complete") == 0, "it was completed without the second part's answer"
    # What was recorded out of order is known after a kill.
    dock.wait(lambda: sum(entry[0] == "part" and entry[3] == 200 for entry in world.proxy.log) == 8, "the others to be answered")
    dock.wait(lambda: len(parts_in_record(dock)) == 8, "the others to be recorded")
    dock.end(signal.SIGKILL)
    world.proxy.rules, world.proxy.log = [], []
    dock.start()
    dock.judge(clip, dock.put(clip))
    assert parts_sent() == [2], parts_sent()
    dock.end()


def parts_in_record(dock):
    """As the uplink has them on disk."""
    name, = dock.records()
    with open(os.path.join(dock.folder, "state", "uploads", name), encoding="utf-8") as f:
        return [line for line in f if '"part":' in line]


def test_upload_that_the_store_forgets_amid_two_parts_begins_anew():
    dock = world.dock(part_size="10M", stall="20s").start()
    clip = dock.clip(33 * MIB)
    world.proxy.reset({"phase": "part", "where": "partNumber=3&", "action": "mute"},
                      {"phase": "part", "where": "partNumber=4&", "action": "status", "status": 404, "code": "NoSuchUpload"})
    receipt, refusals = dock.put_until_stored(clip)
    assert len(refusals) == 1 and "begins anew" in refusals[0], refusals
    # In truth it was alive, and is found again.
    dock.judge(clip, receipt)
    dock.end()


def test_kill_costs_one_part_of_each_transfer_at_most():
    dock = world.dock(transfers="3").start()
    clips = [dock.clip(23 * MIB) for _ in range(3)]
    kill_at(dock, clips, 35 * MIB)
    dock.start()
    calls = [dock.begin_put(clip) for clip in clips]
    receipts = [uplink.Receipt(dock.finish(call)) for call in calls]
    assert again(clips) <= 3 * PART, f"{again(clips)} bytes were sent again"
    for clip, receipt in zip(clips, receipts):
        dock.judge(clip, receipt)
    dock.end()


def test_kills_in_any_step_leave_one_right_object():
    """The answer to each step is held back, and the uplink killed meanwhile."""
    dock = world.dock(stall="60s").start()
    for size, phases in [(11 * MIB, ["create", "part", "list", "complete", "head", "manifest"]), (3 * MIB, ["object", "head", "manifest"])]:
        for phase in phases:
            clip = dock.clip(size)
            world.proxy.reset({"phase": phase, "action": "mute"})
            dock.begin_put(clip)
            dock.wait(lambda: world.proxy.count(phase) > 0, f"the step {phase}")
            dock.wait(lambda: world.proxy.muted > 0, f"the store to have done {phase}")
            dock.end(signal.SIGKILL)
            world.proxy.reset()
            dock.start()
            dock.judge(clip, dock.put(clip))
    dock.end()


def test_upload_goes_on_with_other_keys_at_another_address():
    dock = world.dock().start()
    clip = dock.clip(33 * MIB)
    sent = kill_at(dock, [clip], 17 * MIB)
    world.store.run("radosgw-admin", "key", "create", "--uid=dock", "--access-key=SECOND", "--secret=second-secret-of-the-dock")
    dock.write_keys("SECOND", "second-secret-of-the-dock")
    other = FaultProxy(world.store.port)
    dock.endpoint = other.endpoint
    dock.configure("")
    dock.start()
    receipt = dock.put(clip)
    assert sent + other.body_bytes["part"] <= clip.size + PART and other.count("create") == 0
    assert all("Credential=SECOND/" in headers["authorization"] for _, headers in other.seen)
    dock.judge(clip, receipt)
    dock.end()
    other.close()


def abort(dock):
    """As a rule of the bucket does when an upload is old."""
    for key in world.store.uploads(BUCKET, dock.prefix + "/"):
        text = world.store.curl(f"/{BUCKET}?prefix={key.replace('/', '%2F')}&uploads=")[0].decode()
        upload = text.split("<UploadId>")[1].split("<")[0]
        world.store.curl(f"/{BUCKET}/{key}?uploadId={upload}", "-X", "DELETE")


def test_upload_that_expired_begins_anew():
    dock = world.dock().start()
    clip = dock.clip(33 * MIB)
    kill_at(dock, [clip], 17 * MIB)
    abort(dock)
    dock.start()
    world.proxy.reset()
    receipt = dock.put(clip)
    assert world.proxy.count("create") == 1 and world.proxy.body_bytes["part"] == clip.size
    dock.judge(clip, receipt)
    dock.end()


def test_upload_that_expires_amid_a_transfer_begins_anew():
    dock = world.dock().start()
    clip = dock.clip(23 * MIB)
    world.proxy.reset({"phase": "part", "action": "status", "status": 404, "code": "NoSuchUpload"})
    receipt, refusals = dock.put_until_stored(clip)
    assert "begins anew" in refusals[0], refusals
    for key in world.store.uploads(BUCKET, dock.prefix + "/"):
        assert clip.path.replace("/", "~~") in key
    abort(dock)  # the store's own, of which only it knows
    dock.judge(clip, receipt)
    dock.end()


def test_parts_that_the_store_lost_or_changed_are_sent_again():
    def forget_first(status, headers, body):
        head, part, rest = body.partition(b"<Part>")
        return status, headers, head + rest.partition(b"</Part>")[2]

    def change_mark(status, headers, body):
        at = body.index(b"<ETag>") + len(b"<ETag>&quot;")
        return status, headers, body[:at] + bytes([body[at] ^ 1 if body[at] != 0x61 else 0x62]) + body[at + 1:]

    for change in [forget_first, change_mark]:
        dock = world.dock().start()
        clip = dock.clip(23 * MIB)
        kill_at(dock, [clip], 17 * MIB)
        dock.start()
        world.proxy.reset({"phase": "list", "action": "answer", "change": change})
        before = len(world.proxy.log)
        receipt = dock.put(clip)
        firsts = [entry for entry in world.proxy.log[before:] if entry[0] == "part" and "partNumber=1&" in entry[2]]
        assert len(firsts) == 1, "the first part was not sent again"
        dock.judge(clip, receipt)
        dock.end()


def test_spool_file_that_changed_since_is_noticed():
    dock = world.dock().start()
    clip = dock.clip(23 * MIB)
    kill_at(dock, [clip], 17 * MIB)
    with open(clip.file, "r+b") as f:
        f.seek(1000)
        byte = f.read(1)
        f.seek(1000)
        f.write(bytes([byte[0] ^ 1]))
    dock.start()
    try:
        dock.put(clip)
    except uplink.Refused as e:
        assert e.name == "Source", e.text
    else:
        raise AssertionError("other bytes than promised were stored")
    assert dock.keys("manifests") == [] and dock.keys("objects") == []
    dock.end()


# ---- TLS


def test_store_is_known_by_its_certificate_and_we_by_ours():
    at = make_certificates(world.folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(at("server.pem"), at("server.key"))
    context.load_verify_locations(at("ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    proxy = FaultProxy(world.store.port, tls=context)
    ours = {"endpoint": proxy.endpoint, "ca_file": at("ca.pem"), "client_certificate": at("client.pem"), "client_key": at("client.key")}
    dock = world.dock(**ours).start()
    clip = dock.clip(11 * MIB)
    dock.judge(clip, dock.put(clip))
    dock.end()
    seen = len(proxy.log)
    for wrong in [{"ca_file": at("other-ca.pem")}, {"ca_file": "/etc/ssl/certs/ca-certificates.crt"}]:
        dock = world.dock(**{**ours, **wrong}).start(wait="error")
        assert "certificate" in dock.state()[1].lower(), dock.state()
        dock.end()
    dock = world.dock(endpoint=proxy.endpoint, ca_file=at("ca.pem")).start(wait="error")
    dock.end()
    assert len(proxy.log) == seen, "a request was sent to a stranger, or by one"
    proxy.close()


def test_old_tls_is_refused():
    at = make_certificates(world.folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(at("server.pem"), at("server.key"))
    warnings.simplefilter("ignore", DeprecationWarning)  # old it is, on purpose
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    proxy = FaultProxy(world.store.port, tls=context)
    dock = world.dock(endpoint=proxy.endpoint, ca_file=at("ca.pem")).start(wait="error")
    assert not proxy.log
    dock.end()
    proxy.close()


if __name__ == "__main__":
    tap.main()
