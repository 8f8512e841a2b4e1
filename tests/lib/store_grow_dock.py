# SPDX-License-Identifier: Apache-2.0
"""Whole docks whose clips go to a store on the network while their cameras are still read, whatever the store: slow cameras, unplugged
ones, changed ones, and each process killed in the middle. A program of a store runs SHARED by run(), with its World, beside its own
tests: they are called with the world, the simulator, and what makes a dock."""

import functools
import os
import signal

import rack
from rack import make_clip

MIB = 1 << 20
CRAWL = 256 * 1024
PATIENT = {"stall": "120s", "call": "120s"}


class GrowWorld:
    """Of a store: what it was asked. It has a `proxy`; `step`, the phase of the requests that bring the pieces, and `took`, the status of
    those that it took; PART, the size of a piece; CREATED_FOR_SMALL, how many uploads are created for a clip that is no larger;
    `strength`, that of its receipts; made(), how often an object was to be made of pieces; place(), where a new dock stores;
    unfinished(dock) and records(dock), what is there of clips' uploads that are not over, at the store and with the dock; left(dock), what
    is there at the store of uploads of any kind."""

    def dock(self, dock, bays, **more):
        self.proxy.reset()
        return dock(bays, place=self.place(), timeouts=PATIENT, **more)

    def left(self, d):
        return self.unfinished(d)

    def sent(self):
        return self.proxy.body_bytes[self.step]

    def pieces(self):
        """What was asked for with each piece that the store took, in the order in which it did."""
        return [path for phase, _, path, status in self.proxy.log if phase == self.step and status == self.took]

    def created(self):
        return self.proxy.count("create")


def camera(sim, clips, name="c"):
    sim("camera", name=name, type="ptp", serial=f"SN-{name}", manufacturer="Acme", model="BC-1", firmware="1.2", clips=clips)
    return rack.sha256_of(sim("state", camera=name, sha256=True))


def durable(d):
    """Bytes of footage that are on record as blocks."""
    return sum(length for length, in d.rows("SELECT length FROM blocks"))


def hold_at(d, sim, bytes_, port="1-1.1", name="c", more=0):
    """A camera that comes to a crawl once so much was read of its clip, and so much and `more` is durable, so that its pull does not end
    before it is let go."""
    sim("slow", camera=name, bytes_per_sec=CRAWL, after_bytes=bytes_ + MIB)
    sim("plug", camera=name, port=port)
    d.wait(lambda: durable(d) >= bytes_ + more, f"{bytes_ + more} durable bytes")


def wait_pieces(world, d, n=3):
    d.wait(lambda: len(world.pieces()) >= n, "pieces in the store", 120)


def assert_stored(world, d, digests, name="c"):
    stored = d.stored()
    for path, digest in digests.items():
        assert stored.get((f"SN-{name}", path)) == [digest], f"{path}: {stored.get((f'SN-{name}', path))}, not {digest}"
    assert len(d.objects()) == len(stored), "there are objects that no manifest names"
    # What the dock signed may still be on its way there.
    d.wait(lambda: not world.left(d), "every upload to be over")
    d.wait(lambda: not world.records(d), "no record to be left")
    receipts = [(e["serial"], e["path"]) for e in d.events("receipted")]
    assert sorted(receipts) == sorted(stored), f"not one receipt for each: {receipts}"
    assert {e["strength"] for e in d.events("receipted")} == {world.strength}, "of another strength than this store can give"
    d.check_chain()


def let_go(d, sim, bay=1):
    sim("slow", camera="c", bytes_per_sec=0)
    d.wait_state(bay, "ready", deadline=180)


def test_pieces_are_in_the_store_before_the_pull_has_ended(world, sim, dock):
    d = world.dock(dock, ["1-1.1"]).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1), make_clip("b.MP4", world.PART // 2, 2)])
    hold_at(d, sim, 16 * MIB)
    wait_pieces(world, d)
    assert not d.events("copied"), "the pull had ended"
    assert world.sent() <= durable(d), "something was sent that is not durable"
    assert not d.objects() and world.made() == 0
    let_go(d, sim)
    assert world.sent() == 64 * MIB and world.created() == 1 + world.CREATED_FOR_SMALL, "something was sent again"
    assert_stored(world, d, digests)
    assert sim("state", camera="c")["clips"] == [], "the camera is not erased"


def test_unplugged_camera_goes_on_in_another_bay_and_so_does_its_upload(world, sim, dock):
    d = world.dock(dock, ["1-1.1", "1-1.2"]).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    hold_at(d, sim, 24 * MIB)
    wait_pieces(world, d)
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    assert not d.manifests() and not d.events("receipted"), "half a clip counts as stored"
    sim("slow", camera="c", bytes_per_sec=0)
    sim("plug", camera="c", port="1-1.2")
    d.wait_state(2, "ready", deadline=180)
    assert world.created() == 1 and world.sent() <= 64 * MIB + world.PART, "it began anew"
    assert_stored(world, d, digests)
    assert sim("state", camera="c")["clips"] == [], "the camera is not erased"


def test_content_that_changed_in_between_is_not_mixed(world, sim, dock):
    d = world.dock(dock, ["1-1.1"]).start()
    camera(sim, [make_clip("a.MP4", 64 * MIB, 1)])
    hold_at(d, sim, 24 * MIB)
    wait_pieces(world, d)
    old = world.unfinished(d)
    sim("unplug", camera="c")
    d.wait_state(1, "empty")
    sim("remove_clip", camera="c", path="a.MP4")
    sim("add_clip", camera="c", **make_clip("a.MP4", 64 * MIB, 2))
    digests = rack.sha256_of(sim("state", camera="c", sha256=True))
    # An upload that has ended rests before it is gone on with: a pull that is through by then is uploaded whole.
    sim("slow", camera="c", bytes_per_sec=0)
    sim("slow", camera="c", bytes_per_sec=CRAWL, after_bytes=24 * MIB)
    sim("plug", camera="c", port="1-1.1")
    d.wait(lambda: d.events("part-set-aside"), "the old part to be set aside")
    d.wait(lambda: set(world.unfinished(d)) - set(old), "an upload of the new content", deadline=180)
    let_go(d, sim)
    assert len(old) == 1, (old, world.created())
    assert not [key for key in d.objects() if key in old[0]], "the old upload became the object"
    assert_stored(world, d, digests)


def kill_in_the_middle(world, sim, dock, kill):
    d = world.dock(dock, ["1-1.1"]).start()
    digests = camera(sim, [make_clip("a.MP4", 64 * MIB, 7)])
    hold_at(d, sim, 24 * MIB)
    wait_pieces(world, d)
    kill(d)
    let_go(d, sim)
    assert world.created() == 1 and world.sent() <= 64 * MIB + world.PART, f"{world.sent() - 64 * MIB} bytes were sent again"
    assert_stored(world, d, digests)


def test_killed_uplink_costs_a_piece_at_most(world, sim, dock):
    def kill(d):
        d.uplink.end(signal.SIGKILL)
        d.start_uplink()

    kill_in_the_middle(world, sim, dock, kill)


def test_killed_daemon_costs_a_piece_at_most(world, sim, dock):
    def kill(d):
        d.daemon.end(signal.SIGKILL)
        d.start_daemon()

    kill_in_the_middle(world, sim, dock, kill)


def test_killed_worker_costs_a_piece_at_most(world, sim, dock):
    def kill(d):
        for pid in d.workers():
            os.kill(pid, signal.SIGKILL)
        d.wait(lambda: d.events("pull-interrupted"), "the pull to be interrupted")

    kill_in_the_middle(world, sim, dock, kill)


def test_other_bytes_on_the_disk_than_from_the_camera_are_a_conflict(world, sim, dock):
    d = world.dock(dock, ["1-1.1"])
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
    wait_pieces(world, d)
    sim("slow", camera="c", bytes_per_sec=0)
    d.wait(lambda: d.events("conflict"), "the conflict to be on record")
    d.wait_state(1, "quarantined")
    assert not d.manifests() and not d.objects() and world.made() == 0
    assert len(sim("state", camera="c")["clips"]) == 1, "the camera was erased"
    d.wait(lambda: not world.unfinished(d), "its upload to be over")
    d.check_chain()


SHARED = [test_pieces_are_in_the_store_before_the_pull_has_ended, test_unplugged_camera_goes_on_in_another_bay_and_so_does_its_upload,
          test_content_that_changed_in_between_is_not_mixed, test_killed_uplink_costs_a_piece_at_most,
          test_killed_daemon_costs_a_piece_at_most, test_killed_worker_costs_a_piece_at_most,
          test_other_bytes_on_the_disk_than_from_the_camera_are_a_conflict]


def run(world, *own):
    """Those that are shared, and the store's own, which are called as they are."""
    def bound(test):
        @functools.wraps(test)
        def with_world(sim, dock):
            test(world, sim, dock)

        return with_world

    rack.run([bound(test) for test in SHARED] + list(own))
