#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ways to a store, and what it does with objects: virtual hosts, web proxies, encryption with the store's keys, and checksums that it
checks. Against a real Ceph; it checks no x-amz-checksum-sha256, so the proxy before it does that in its stead."""

import base64
import email.utils
import functools
import hashlib
import hmac
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from certificates import make_certificates  # noqa: E402
from fault_proxy import check_digests  # noqa: E402
from s3_world import BUCKET, LOCKED, MIB, FaultProxy, World, rgw, tap, uplink  # noqa: E402
from web_proxy import WebProxy  # noqa: E402

world = World()
SIZES = [0, 3 * MIB, 11 * MIB]


def store_some(dock):
    """Clips in one piece and in parts, each judged and confirmed: their receipts."""
    receipts = []
    for size in SIZES:
        clip = dock.clip(size)
        receipts.append(dock.put(clip))
        dock.judge(clip, receipts[-1])
        assert dock.confirm(clip, receipts[-1]) == "digest"
    return receipts


def test_bucket_may_be_named_by_the_host():
    world.proxy.reset()
    dock = world.dock(style="virtual-host", endpoint=f"http://localhost:{world.proxy.port}").start()
    store_some(dock)
    assert {headers["host"] for _, headers in world.proxy.seen} == {f"{BUCKET}.localhost:{world.proxy.port}"}
    assert not any(target.startswith(f"/{BUCKET}/") for _, _, target, _ in world.proxy.log), "the bucket is in the path, too"
    dock.end()


def test_requests_go_through_the_web_proxy_that_is_named_and_no_other():
    """Whatever the environment says."""
    proxy = WebProxy()
    saved = dict(os.environ)
    os.environ.update(no_proxy="*", NO_PROXY="*", http_proxy="http://127.0.0.1:1", https_proxy="http://127.0.0.1:1")
    try:
        dock = world.dock(endpoint=world.store.endpoint, proxy=f"http://127.0.0.1:{proxy.port}").start()
        store_some(dock)
        assert proxy.requests > 10, proxy.requests
        dock.end()
        world.proxy.reset()
        dock = world.dock().start()
        store_some(dock)
        dock.end()
    finally:
        os.environ.clear()
        os.environ.update(saved)
    proxy.close()


def tls_end():
    """A TLS end before the store, as a site has one, and the folder of its certificates."""
    at = make_certificates(world.folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(at("server.pem"), at("server.key"))
    return FaultProxy(world.store.port, tls=context), at


def test_tls_goes_through_a_tunnel_of_the_web_proxy():
    store, at = tls_end()
    proxy = WebProxy("dock:a-secret")
    settings = {"endpoint": store.endpoint, "ca_file": at("ca.pem")}
    dock = world.dock(**settings, proxy=f"http://dock:a-secret@127.0.0.1:{proxy.port}").start()
    store_some(dock)
    assert proxy.tunnels > 0 and proxy.requests == 0 and proxy.refused == 0, vars(proxy)
    assert "a-secret" not in dock.log()
    dock.end()
    dock = world.dock(**settings, proxy=f"http://dock:wrong@127.0.0.1:{proxy.port}").start(wait="error")
    assert proxy.refused > 0 and "407" in dock.state()[1], dock.state()
    dock.end()
    store.close()
    proxy.close()


def test_objects_that_the_store_encrypts_are_what_was_sent():
    """Their marks are no MD5 that we could compute."""
    dock = world.dock(encryption="aws:kms", kms_key=rgw.KMS_KEY).start()
    for receipt in store_some(dock):
        for key in [receipt.object, receipt.manifest]:
            head = world.store.curl(f"/{BUCKET}/{dock.prefix}/{key}", "-I")[0].decode().lower()
            assert "x-amz-server-side-encryption: aws:kms" in head and rgw.KMS_KEY in head, head
    dock.end()


def test_checksums_are_sent_to_a_store_that_checks_them():
    world.proxy.reset({"phase": "probe", "where": "wrong-checksum", "action": "status", "status": 400, "code": "BadDigest"})
    dock = world.dock().start()
    completions = []

    def note(status, headers, body):
        completions.append(status)
        return status, headers, body

    clip = dock.clip(11 * MIB)
    world.proxy.reset({"phase": "complete", "action": "answer", "change": note})
    dock.judge(clip, dock.put(clip))
    assert completions == [200], "the list of parts with their checksums was not taken"
    create, = [headers for phase, headers in world.proxy.seen if phase == "create"]
    assert create["x-amz-checksum-algorithm"] == "SHA256"
    with open(clip.file, "rb") as f:
        parts = iter(lambda: f.read(5 * MIB), b"")
        wanted = {n: base64.b64encode(hashlib.sha256(part).digest()).decode() for n, part in enumerate(parts, 1)}
    numbers = [int(re.search(r"partNumber=(\d+)", target).group(1)) for phase, _, target, _ in world.proxy.log if phase == "part"]
    sent = [headers["x-amz-checksum-sha256"] for phase, headers in world.proxy.seen if phase == "part"]
    assert dict(zip(numbers, sent)) == wanted
    small = dock.clip(MIB)
    world.proxy.reset()
    dock.judge(small, dock.put(small))
    sent, = [headers["x-amz-checksum-sha256"] for phase, headers in world.proxy.seen if phase == "object"]
    assert base64.b64decode(sent).hex() == small.sha256
    dock.end()


def bodies(store, *phases):
    """(phase, status, headers) of the requests of these phases that came to a store."""
    return [(entry[0], entry[3], headers) for entry, (_, headers) in zip(store.log, store.seen) if entry[0] in phases]


def test_store_that_checks_digests_takes_right_bytes_and_no_others():
    """Whichever of the two headers it gets: what was changed on the way is refused, sent again, and never stored."""
    for settings, header in [({}, "x-amz-checksum-sha256"), ({"content_md5": "yes"}, "content-md5")]:
        store = FaultProxy(world.store.port, judge=functools.partial(check_digests, known=[header]))
        dock = world.dock(endpoint=store.endpoint, **settings).start()
        store.reset()
        store_some(dock)
        sent = bodies(store, "object", "part")
        assert len(sent) > len(SIZES) and all(status == 200 and header in headers for _, status, headers in sent), sent
        for size, phase, times in [(3 * MIB, "object", 1), (11 * MIB, "part", 1), (11 * MIB, "part", 2)]:
            clip = dock.clip(size)
            store.reset({"phase": phase, "action": "corrupt", "times": times})
            receipt, refusals = dock.put_until_stored(clip)
            dock.judge(clip, receipt)
            assert dock.confirm(clip, receipt) == "digest" and not refusals, refusals
            assert store.refused == {phase: times}, f"{phase}: {store.refused}"
            assert store.count(phase) == times + (3 if phase == "part" else 1), f"{phase}: {store.log}"
        dock.end()
        store.close()


def test_bytes_that_never_arrive_as_they_were_sent_give_no_receipt():
    store = FaultProxy(world.store.port, judge=check_digests)
    dock = world.dock(endpoint=store.endpoint).start()
    for size, phase in [(3 * MIB, "object"), (11 * MIB, "part")]:
        clip = dock.clip(size)
        store.reset({"phase": phase, "action": "corrupt", "times": None})
        try:
            receipt = dock.put(clip)
        except uplink.Refused as e:
            assert e.name == "Unavailable", f"{e.name}: {e.text}"
        else:
            raise AssertionError(f"a receipt for other bytes: {vars(receipt)}")
        assert store.refused[phase] > 1 and not any(status == 200 for _, status, _ in bodies(store, phase)), store.log
        assert not [key for below in ["objects", "manifests"] for key in dock.keys(below) if clip.path.replace("/", "~~") in key]
        store.reset()
        dock.judge(clip, dock.put_until_stored(clip)[0])
    dock.end()
    store.close()


def test_store_that_does_not_know_the_checksum_works_without_it():
    """Whether it refuses the header, whatever is in it, or ignores it as Ceph does."""
    for refusal in [(501, "NotImplemented"), (400, "NotImplemented"), (400, "InvalidArgument"), None]:
        store = FaultProxy(world.store.port, judge=lambda headers, body, r=refusal: r if "x-amz-checksum-sha256" in headers else None)
        dock = world.dock(endpoint=store.endpoint).start()
        assert bool(store.refused) == bool(refusal), f"the header was not tried: {store.refused}"
        store.reset()
        for receipt in store_some(dock):
            assert receipt.strength == "digest"
        sent = bodies(store, "create", "object", "part")
        assert len(sent) > len(SIZES) and all(status == 200 for _, status, _ in sent), f"{refusal}: {sent}"
        assert not [name for _, _, headers in sent for name in headers if name.startswith("x-amz-checksum")], refusal
        dock.end()
        store.close()


CUSTOMER = "x-amz-server-side-encryption-customer-"


def write_key(dock, name, seed):
    """A key of 256 bits in a file that its owner alone reads: (the file, the headers that go with it)."""
    key = hashlib.sha256(seed.encode()).digest()
    md5 = base64.b64encode(hashlib.md5(key).digest()).decode()
    headers = {"algorithm": "AES256", "key": base64.b64encode(key).decode(), "key-md5": md5}
    fresh = dock.path(name) + ".new"
    with open(fresh, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write(headers["key"] + "\n")
    os.rename(fresh, dock.path(name))
    return dock.path(name), {CUSTOMER + which: value for which, value in headers.items()}


def read_with(target, headers):
    """What a stranger reads who has these headers, and the status: signed in the older way, since curl puts some of them into another order
    than it signs."""
    date = email.utils.formatdate(usegmt=True)
    signed = {**headers, "x-amz-date": date}
    text = "GET\n\n\n\n" + "".join(f"{name}:{signed[name]}\n" for name in sorted(signed)) + target
    mark = base64.b64encode(hmac.digest(rgw.SECRET_KEY.encode(), text.encode(), "sha1")).decode()
    connection = http.client.HTTPConnection("127.0.0.1", world.store.port, timeout=60)
    connection.request("GET", target, headers={**signed, "Authorization": f"AWS {rgw.ACCESS_KEY}:{mark}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return body, answer.status


def judge_encrypted(dock, clip, receipt, key):
    """What dock.judge() says of a clip, for who has the key; and nobody else reads it."""
    assert (receipt.size, receipt.sha256, receipt.strength) == (clip.size, clip.sha256, "digest"), vars(receipt)
    for name in [receipt.object, receipt.manifest]:
        target = f"/{dock.bucket}/{dock.prefix}/{name}"
        body, status = read_with(target, key)
        assert status == 200, (target, status, body)
        if name == receipt.object:
            assert hashlib.sha256(body).hexdigest() == clip.sha256, "the object has other bytes"
        else:
            assert json.loads(body)["sha256"] == clip.sha256, body
        assert clip.size == 0 or read_with(target, {})[1] == 400, f"{name} is read without the key"
    assert not dock.records(), "a record was left behind"


def test_objects_are_encrypted_with_our_key_and_read_with_it_alone():
    world.proxy.reset()
    kept = {"retention_mode": "governance", "retention": "60s", "sole_writer": "yes", "read_back": "yes"}
    for bucket, settings in [(BUCKET, {}), (LOCKED, kept)]:
        dock = world.dock(bucket=bucket, encryption="sse-c", **settings)
        dock.settings["encryption_key"], key = write_key(dock, "key", "ours")
        dock.configure("")
        dock.start()
        for size in SIZES:
            clip = dock.clip(size)
            receipt = dock.put(clip)
            judge_encrypted(dock, clip, receipt, key)
            assert dock.confirm(clip, receipt) == "digest"
        clip = dock.clip(11 * MIB)
        call = dock.begin_grow(clip, 5 * MIB)
        dock.grown(clip, clip.size)
        dock.seal(clip)
        judge_encrypted(dock, clip, uplink.Receipt(dock.finish(call)), key)
        assert key[CUSTOMER + "key"] not in dock.log() and key[CUSTOMER + "key-md5"] not in dock.log()
        dock.end()
    for (phase, _, target, _), (_, headers) in zip(world.proxy.log, world.proxy.seen):
        keyed = {name: value for name, value in headers.items() if name.startswith(CUSTOMER)}
        of_bucket = target.startswith((f"/{BUCKET}?", f"/{LOCKED}?"))
        assert keyed == ({} if of_bucket or phase in ("abort", "delete", "lock") else key) or phase == "probe", f"{phase}: {keyed}"
    assert {"create", "part", "complete", "object", "manifest", "head", "look", "read", "lock"} <= {phase for phase, _ in world.proxy.seen}


def test_our_key_goes_over_tls_to_whom_the_ca_vouches_for():
    store, at = tls_end()
    world.proxy.reset()
    dock = world.dock(endpoint=store.endpoint, encryption="sse-c", ca_file=at("ca.pem"), read_back="yes")
    dock.settings["encryption_key"], key = write_key(dock, "key", "ours")
    dock.configure("")
    dock.start()
    for size in SIZES:
        clip = dock.clip(size)
        receipt = dock.put(clip)
        judge_encrypted(dock, clip, receipt, key)
        assert dock.confirm(clip, receipt) == "digest"
    reads = [headers for phase, headers in store.seen if phase == "read"]
    assert len(reads) >= len(SIZES) and all(key.items() <= headers.items() for headers in reads), "it was not read back with the key"
    assert {"create", "part", "object", "manifest"} <= {phase for phase, headers in store.seen if key.items() <= headers.items()}
    # To nowhere else, whoever says so.
    for code in [301, 307]:
        store.reset({"phase": "object", "action": "status", "status": code, "headers": {"Location": world.proxy.endpoint + "/x"}})
        try:
            dock.put(dock.clip(3 * MIB))
        except uplink.Refused as e:
            assert e.name == "Unavailable", f"{e.name}: {e.text}"
        else:
            raise AssertionError("it was stored elsewhere")
        dock.wait(lambda: dock.state()[0] == "ready", "the store to be ready")
    dock.end()
    # Nor to one whose certificate another CA signed.
    store.reset()
    dock.settings["ca_file"] = at("other-ca.pem")
    dock.configure("")
    dock.start(wait="error")
    assert "certificate" in dock.state()[1].lower(), dock.state()
    dock.end()
    assert store.log == [] and world.proxy.log == [], "the key went there"
    assert key[CUSTOMER + "key"] not in dock.log() and key[CUSTOMER + "key-md5"] not in dock.log()
    store.close()


def test_our_key_goes_over_no_network_unencrypted():
    """Not even where the site says that footage may: --check and the start refuse it, with the same sentence."""
    dock = world.dock(endpoint="http://192.0.2.1:7480", plain_http="yes", encryption="sse-c")
    dock.settings["encryption_key"], _ = write_key(dock, "key", "ours")
    dock.configure("")
    for arguments in [["--check"], []]:
        done = subprocess.run([f"{uplink.BUILD}/berth-uplink", "--config", dock.path("uplink.conf"), *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode != 0, "it was taken"
        assert "with sse-c the key goes with each request: it takes an https:// endpoint" in done.stdout + done.stderr, done


def test_upload_with_our_key_goes_on_after_a_kill():
    """The store's marks of the parts are no MD5 then: what counts is what was recorded when they were sent."""
    world.proxy.reset()
    dock = world.dock(encryption="sse-c", part_size="5M")
    dock.settings["encryption_key"], key = write_key(dock, "key", "ours")
    dock.configure("")
    dock.start()
    clip = dock.clip(33 * MIB)
    world.proxy.stop_at("part", 17 * MIB)
    dock.begin_put(clip)
    dock.wait(lambda: world.sent() >= 17 * MIB, "half of it to be sent")
    dock.end(signal.SIGKILL)
    world.proxy.go_on()
    dock.wait(lambda: not world.proxy.taking, "what was on its way to have come")
    dock.start()
    judge_encrypted(dock, clip, dock.put(clip), key)
    assert world.proxy.count("create") == 1, "it began anew"
    assert world.proxy.body_bytes["part"] - clip.size <= 5 * MIB, "more than one part was sent again"
    dock.end()


def test_other_key_than_it_was_put_with_is_said():
    dock = world.dock(encryption="sse-c")
    dock.settings["encryption_key"], _ = write_key(dock, "key", "ours")
    dock.configure("")
    dock.start()
    clip = dock.clip(3 * MIB)
    receipt = dock.put(clip)
    write_key(dock, "key", "another")
    try:
        dock.confirm(clip, receipt)
    except uplink.Refused as e:
        assert e.name == "Unavailable" and "encrypted with another key" in e.text, f"{e.name}: {e.text}"
    else:
        raise AssertionError("it was read with another key")
    write_key(dock, "key", "ours")
    dock.wait(lambda: dock.state()[0] == "ready", "the store to be looked at with the right key")
    assert dock.confirm(clip, receipt) == "digest"
    dock.end()


def test_key_that_is_none_or_that_others_can_read_is_not_used():
    for text, mode, wanted in [("c2hvcnQ=", 0o600, "does not hold 32 bytes as base64"), (None, 0o644, "can be read by others")]:
        dock = world.dock(encryption="sse-c")
        dock.settings["encryption_key"], key = write_key(dock, "key", "ours")
        with open(dock.path("key"), "w", encoding="ascii") as f:
            f.write(text or key[CUSTOMER + "key"])
        os.chmod(dock.path("key"), mode)
        dock.configure("")
        dock.start(wait="error")
        assert wanted in dock.state()[1], dock.state()
        assert (text or key[CUSTOMER + "key"]) not in dock.log() + dock.state()[1]
        dock.end()


if __name__ == "__main__":
    tap.main()
