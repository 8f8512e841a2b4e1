# SPDX-License-Identifier: Apache-2.0
"""The ways through the dock's work that tests/crash/matrix.py disturbs. Each must come to the same end, whoever is ended where."""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile

import cards
import firmware_world
import flash_world
import rack
import rollout_world
from crash_rig import MIB, Scenario

# What is left of a clip when it is met in the middle takes longer than that; and what is read of it anew after a crash takes seconds.
CRAWL = MIB

PLUGINS = os.path.join(os.environ.get("BERTH_PLAIN_BUILD", rack.BUILD), "tests", "plugins")


def play_job(rig):
    """The main job, and an orderly end."""
    rig.new_camera([rack.make_clip("DCIM/EMPTY.MP4", 0, 1), rack.make_clip("DCIM/SMALL.MP4", 5000, rig.number),
                    rack.make_clip("DCIM/LARGE.MP4", 9 * MIB, rig.number + 1)])
    rig.plug()
    rig.start()
    rig.wait_ready()
    rig.stop()
    rig.check_end()


def pull_half(rig):
    """A camera that is taken out after some of its clip's blocks were recorded."""
    rig.new_camera([rack.make_clip("DCIM/LONG.MP4", 40 * MIB, rig.number)])
    rig.sim("slow", camera=rig.camera, bytes_per_sec=CRAWL, after_bytes=9 * MIB)
    rig.plug()
    rig.start()
    rig.wait(lambda: rig.dock.rows("SELECT 1 FROM blocks"), "a block's fact")
    rig.unplug()
    rig.sim("slow", camera=rig.camera, bytes_per_sec=0)
    rig.wait(lambda: rig.dock.owned(rack.NAME) and rig.dock.state_of(1) == "empty", "the bay to be empty")


def play_undocked(rig):
    """It comes back, and the pull goes on where it was."""
    pull_half(rig)
    rig.plug()
    rig.wait_ready()
    rig.stop()
    rig.check_end()


def play_changed(rig):
    """It comes back with another head, so the part is set aside."""
    pull_half(rig)
    rig.sim("change_clip", camera=rig.camera, path="DCIM/LONG.MP4", patch_offset=0, patch_hex="deadbeef")
    rig.made.clear()
    rig.note_content()
    rig.plug()
    rig.wait_ready()
    rig.stop()
    rig.check_end("kept")


def play_gone(rig):
    """It comes back without the clip: what was pulled of it is all that there is, and is kept."""
    pull_half(rig)
    rig.sim("remove_clip", camera=rig.camera, path="DCIM/LONG.MP4")
    rig.made.clear()
    rig.plug()
    rig.wait_ready()
    rig.wait_event("clip-lost")
    rig.stop()
    rig.check_end("kept")
    [kept] = {e["kept"] for e in rig.dock.events("file-kept")} & set(os.listdir(os.path.join(rig.dock.state, "kept")))
    assert os.path.getsize(os.path.join(rig.dock.state, "kept", kept)) >= 8 * MIB, "a block's fact was there, and its bytes are not"


def play_bad_copy(rig):
    """The spool's disk changes a byte of a copy before it is stored: the copy is set aside, and the camera asked again."""
    rig.new_camera([rack.make_clip("DCIM/CLIP.MP4", MIB, rig.number)])
    rig.plug()
    rig.start(uplink=False)
    rig.wait_event("copied")
    name = rig.dock.rows("SELECT spool_name FROM clips")[0][0]
    path = os.path.join(rig.dock.state, "spool", name)
    os.chmod(path, 0o600)
    with open(path, "r+b") as f:
        f.seek(4711)
        byte = f.read(1)
        f.seek(4711)
        f.write(bytes([byte[0] ^ 1]))
    rig.dock.start_uplink()
    rig.wait_ready()
    rig.wait_event("file-hashed")
    rig.stop()
    rig.check_end("kept")


def play_room(rig):
    """The spool's copies make room for another clip once they are stored."""
    rig.new_camera([rack.make_clip(f"DCIM/{n}.MP4", 100000 + n, rig.number) for n in range(2)])
    rig.plug()
    rig.start()
    rig.wait_ready()
    rig.stop()
    rig.sim("add_clip", camera=rig.camera, path="DCIM/NEW.MP4", size=5000, seed=rig.number, mtime=1700000000)
    rig.note_content()
    rig.set_reserve("900T")
    rig.start()
    rig.wait(lambda: len(rig.dock.events("spool-released")) == 2, "the copies to be released")
    rig.stop()
    rig.set_reserve("16M")
    rig.start()
    rig.wait_ready()
    rig.stop()
    rig.check_end()


def play_new_key(rig):
    """The dock gets another signing key."""
    rig.new_camera([rack.make_clip("DCIM/CLIP.MP4", 1000, rig.number)])
    rig.plug()
    rig.start()
    rig.wait_ready()
    # Its answer does not come when the dock is ended meanwhile: then the change is finished or undone, and can be ordered again.
    rig.wait(lambda: rig.dock.owned(rack.NAME) and (rig.dock.events("key-rotated") or rig.order("dock", "rotate-key")), "another key")
    rig.stop()
    names = sorted(name for name in os.listdir(rig.dock.state) if name.startswith("dock.key"))
    assert names == ["dock.key"], f"{names} are left in the state folder"
    rig.check_end()


# ---- Orders. One whose answer does not come, because the dock was ended, is given again. ------------------------------------------


def ordered(rig, kind, *words):
    """Until its event is on record."""
    rig.wait(lambda: rig.dock.owned(rack.NAME) and (rig.dock.events(kind) or rig.order(*words)) and rig.dock.events(kind),
             f"the order {words}")


def wait_receipts(rig, n):
    rig.wait(lambda: len({e["clip_id"] for e in rig.dock.events("receipted")}) == n, f"{n} receipts")


def play_held(rig):
    """A clip is held before it is stored, and let go when all else is done."""
    rig.new_camera([rack.make_clip(f"DCIM/{n}.MP4", 1000 + n, rig.number + n) for n in range(2)])
    rig.plug()
    rig.start(uplink=False)
    rig.wait(lambda: len(rig.dock.rows("SELECT 1 FROM clips WHERE state = 'copied'")) == 2, "both copies")
    held = rig.dock.rows("SELECT id FROM clips WHERE path = 'DCIM/1.MP4'")[0][0]
    ordered(rig, "hold-set", "hold", "set", f"--clip={held}", "--case=7")
    rig.dock.start_uplink()
    rig.wait(lambda: rig.on_camera() == {"DCIM/1.MP4"} and rig.dock.state_of(1) == "quarantined", "the other clip to be erased")
    wait_receipts(rig, 2)
    assert len(rig.dock.events("hold-set")) == 1 and not rig.dock.events("hold-released")
    rig.wait(lambda: rig.dock.events("object-held"), "the store to say what it makes of the hold")
    ordered(rig, "hold-released", "hold", "release", "--case=7")
    rig.wait_ready()
    rig.wait(lambda: rig.dock.events("object-let-go"), "the object in the store to be let go, too")
    rig.stop()
    assert len(rig.dock.events("hold-released")) == 1 and not rig.dock.rows("SELECT 1 FROM object_holds")
    rig.check_end()


def play_by_hand(rig):
    """Clips stay until somebody says so; what is ordered lapses with the docking, so a dock that was ended is told again."""
    rig.configure(policy={"erase": "by-hand"})
    rig.new_camera([rack.make_clip(f"DCIM/{n}.MP4", 1000 + n, rig.number + n) for n in range(2)])
    rig.plug()
    rig.start()
    wait_receipts(rig, 2)
    assert len(rig.on_camera()) == 2 and not rig.dock.events("erase-begun")
    rig.wait(lambda: not rig.on_camera() or rig.dock.owned(rack.NAME) and rig.order("camera", "erase", rig.serial) and not rig.on_camera(),
             "the erase")
    rig.wait_ready()
    rig.stop()
    rig.check_end()


def play_unstored_erase(rig):
    """Somebody wants the camera empty although the store is not there: the spool alone has the clip until it is."""
    rig.unstored_erase = True
    rig.new_camera([rack.make_clip("DCIM/A.MP4", 1000, rig.number)])
    rig.plug()
    rig.start(uplink=False)
    rig.wait_event("copied")
    words = ("camera", "erase", rig.serial, "--not-stored")
    rig.wait(lambda: not rig.on_camera() or rig.dock.owned(rack.NAME) and rig.order(*words) and not rig.on_camera(), "the erase")
    rig.wait(lambda: rig.dock.events("erased"), "the erase on record")
    rig.dock.start_uplink()
    wait_receipts(rig, 1)
    rig.wait_ready()
    rig.stop()
    rig.check_end()


def play_orders(rig):
    """Uploads are paused, one clip is wanted first, and they go on; cameras are wanted at an hour."""
    rig.new_camera([rack.make_clip(f"DCIM/{n}.MP4", 1000 + n, rig.number + n) for n in range(2)])
    rig.start()
    ordered(rig, "uploads-paused", "transfer", "pause")
    rig.plug()
    rig.wait(lambda: len(rig.dock.rows("SELECT 1 FROM clips WHERE state = 'copied'")) == 2, "both copies")
    ordered(rig, "clip-urgent", "transfer", "now", str(rig.dock.rows("SELECT max(id) FROM clips")[0][0]))
    ordered(rig, "shift-called", "charge", "by", "23:59")
    ordered(rig, "uploads-resumed", "transfer", "resume")
    rig.wait_ready()
    rig.stop()
    rig.check_end()


def play_denied(rig):
    """A camera that refuses to erase is not issued; put in again it does what it is asked for."""
    rig.new_camera([rack.make_clip("DCIM/A.MP4", 1000, rig.number)])
    rig.sim("fault", camera=rig.camera, name="delete_denied", code=0x200F)
    rig.plug()
    rig.start()
    rig.wait(lambda: rig.dock.owned(rack.NAME) and rig.dock.events("erase-failed") and rig.dock.state_of(1) == "quarantined",
             "the camera not to be issued")
    assert len(rig.on_camera()) == 1
    rig.unplug()
    rig.wait(lambda: rig.dock.owned(rack.NAME) and rig.dock.state_of(1) == "empty", "the bay to be empty")
    rig.sim("fault", camera=rig.camera, name="none")
    rig.plug()
    rig.wait_ready()
    rig.stop()
    rig.check_end()


def play_officers(rig):
    """A roster, a checkout, a camera that is taken and brought back."""
    with open(rig.dock.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write("id;name;badge;camera\nP-1;Jane Doe;0042;\n")
    rig.sim("camera", name=rig.camera, type="ptp", serial=rig.serial, model="BC-1", clips=[rack.make_clip("DCIM/A.MP4", 1000, rig.number)],
            battery=100)
    rig.note_content()
    # Who leaves while nobody looks is called taken when the time for that is over.
    rig.configure("[roster]\ntake_within = 30s\n")
    rig.plug()
    rig.start()
    ordered(rig, "roster", "roster", "import", rig.dock.path("roster.csv"))
    rig.wait_ready()
    ordered(rig, "checked-out", "checkout", "0042")
    # Who is there again after a restart is checked anew before anybody can take it.
    rig.wait(lambda: rig.dock.owned(rack.NAME) and rig.dock.bay(1).get("Light") == "take", "the camera to be there for its officer")
    rig.unplug()
    rig.wait(lambda: rig.dock.events("taken"), "who took it")
    rig.plug()
    rig.wait(lambda: rig.dock.events("brought-back"), "the return")
    ordered(rig, "assigned", "assign", "P-1", rig.serial)
    rig.wait_ready()
    rig.stop()
    for kind in ("roster", "checked-out", "taken", "brought-back", "assigned"):
        assert len(rig.dock.events(kind)) == 1, f"{kind} is on record {len(rig.dock.events(kind))} times"
    rig.check_end()


# ---- A folder -------------------------------------------------------------------------------------------------------------------


def play_import(rig):
    """A folder is imported, again until it comes to its end: each file is stored once, and stays where it is."""
    card = os.path.join(os.path.dirname(rig.dock.state), f"card{rig.number}")
    rig.serial, rig.made = f"import:card{rig.number}", {}
    for n, size in enumerate((0, 5000, 9 * MIB)):
        content = hashlib.shake_128(f"{rig.number} {n}".encode()).digest(size)
        os.makedirs(os.path.join(card, "DCIM"), exist_ok=True)
        with open(os.path.join(card, "DCIM", f"{n}.MP4"), "wb") as f:
            f.write(content)
        rig.made[f"DCIM/{n}.MP4"] = [hashlib.sha256(content).hexdigest()]
    rig.source = lambda: {f"DCIM/{name}" for name in os.listdir(os.path.join(card, "DCIM"))}
    rig.start()
    rig.wait(lambda: rig.dock.owned(rack.NAME) and rig.order("import", card), "the import")
    wait_receipts(rig, 3)
    rig.stop()
    assert len(rig.dock.rows("SELECT 1 FROM clips WHERE state = 'receipted'")) == 3
    begun = {e["docking_id"] for e in rig.dock.events("import-begun")}
    ended = {e["docking_id"] for e in rig.dock.events("import-ended")}
    ended |= {n for e in rig.dock.events("daemon-started") for n in e.get("ended_dockings", [])}
    assert begun <= ended, f"of the imports {begun} only {ended} have an end on record"
    rig.check_end(stays=rig.made)


# ---- A medium that does not give some bytes -----------------------------------------------------------------------------------------


@functools.cache
def memory_content(seed, size):
    """What the plugin `memory` gives: tests/plugins/content.h."""
    mask, content = (1 << 64) - 1, bytearray()
    for index in range(size // 8):
        z = (seed * 0x9E3779B97F4A7C15 + index * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 30)) * 0x94D049BB133111EB) & mask
        content += (z ^ (z >> 31)).to_bytes(8, "little")
    return bytes(content)


def play_unreadable(rig):
    """What can be read of a clip is kept, once; the clip stays on its camera, and so do the others by this site's policy."""
    size, bad, length = 64_000, 9_000, 512
    os.makedirs(rig.dock.path("cameras.d"), exist_ok=True)
    with open(rig.dock.path("cameras.d", "memory.conf"), "w", encoding="utf-8") as f:
        f.write("[model memory]\nmatch = 1209:ba5e\ninterface = ff/00/00\nplugin = memory\n"
                f"plugin.many = 2:{size}\nplugin.bad = many/1.MP4:{bad}:{length}:0\n")
    # Its worker's memory is all that there is of this camera: what is erased comes back with the next worker.
    rig.configure(plugin_dir=PLUGINS, policy={"erase": "never"})
    content = memory_content(1, size)
    partial = content[:bad] + bytes(length) + content[bad + length:]
    rig.serial = "MEM-1"
    rig.made = {f"many/{n}.MP4": [hashlib.sha256(memory_content(n, size)).hexdigest()] for n in range(2)}
    rig.made["many/1.MP4"].append(hashlib.sha256(partial).hexdigest())
    rig.source = lambda: set(rig.made)
    rig.sim("camera", name=rig.camera, type="stranger", vid=0x1209, pid=0xBA5E, interfaces=[{"class": 255, "subclass": 0, "protocol": 0}])
    rig.plug()
    rig.start()
    wait_receipts(rig, 2)
    rig.wait(lambda: rig.dock.owned(rack.NAME) and rig.dock.state_of(1) == "quarantined", "the camera not to be issued")
    rig.stop()
    [manifest] = [m for m in rig.dock.manifests() if m["facts"]["partial"]]
    assert manifest["path"] == "many/1.MP4" and manifest["facts"]["partial"]["missing"] == [[bad, length]], manifest
    rig.check_end(stays=rig.made)


# ---- Recovery -------------------------------------------------------------------------------------------------------------------


def play_recover(rig):
    """The database is destroyed while one clip is in the spool alone and one is half pulled; the recovery is begun until it is done."""
    rig.new_camera([rack.make_clip("DCIM/A.MP4", 9 * MIB, rig.number), rack.make_clip("DCIM/B.MP4", 40 * MIB, rig.number + 1)])
    rig.sim("slow", camera=rig.camera, bytes_per_sec=CRAWL, after_bytes=18 * MIB)
    rig.plug()
    rig.start(uplink=False)
    rig.wait_event("copied")
    block = "SELECT 1 FROM blocks b JOIN clips c ON c.id = b.clip_id WHERE c.path = 'DCIM/B.MP4'"
    rig.wait(lambda: rig.dock.rows(block), "a block of the other")
    rig.unplug()
    rig.sim("slow", camera=rig.camera, bytes_per_sec=0)
    rig.wait(lambda: rig.dock.owned(rack.NAME) and rig.dock.state_of(1) == "empty", "the bay to be empty")
    rig.dock.start_uplink()
    rig.stop()
    for suffix in ("-wal", "-shm"):
        if os.path.exists(os.path.join(rig.dock.state, "berth.db" + suffix)):
            os.unlink(os.path.join(rig.dock.state, "berth.db" + suffix))
    with open(os.path.join(rig.dock.state, "berth.db"), "r+b") as f:
        f.write(bytes(8192))
    # A part that its docking left behind, as a power cut leaves it.
    os.makedirs(os.path.join(rig.dock.state, "incoming", "77"))
    with open(os.path.join(rig.dock.state, "incoming", "77", "99.part"), "wb") as f:
        f.write(b"half")
    rig.recover()
    assert not os.path.exists(os.path.join(rig.dock.state, "recovering"))
    assert len(rig.dock.events("recovery-done")) == 1
    damaged = [name for name in os.listdir(rig.dock.state) if name.startswith("damaged-")]
    assert any("berth.db" in os.listdir(os.path.join(rig.dock.state, name)) for name in damaged), f"the damaged database is gone: {damaged}"
    rig.start()
    rig.plug()
    rig.wait_ready()
    rig.stop()
    rig.check_end("kept")


def play_restored(rig):
    """The database is put back from a backup: that is told, and the dock goes on."""
    rig.new_camera([rack.make_clip("DCIM/A.MP4", 5000, rig.number)])
    rig.plug()
    rig.start()
    rig.wait_ready()
    copy = rig.dock.path(f"backup{rig.number}")

    def backed_up():
        shutil.rmtree(copy, ignore_errors=True)
        return rig.order("backup", copy, f"--state-dir={rig.dock.state}")

    rig.wait(backed_up, "the backup")
    rig.stop()
    for name in ("berth.db", "berth.db-wal", "berth.db-shm", "chain.head"):
        if os.path.exists(os.path.join(rig.dock.state, name)):
            os.unlink(os.path.join(rig.dock.state, name))
    shutil.copytree(copy, rig.dock.state, dirs_exist_ok=True)
    rig.start()
    rig.wait_event("restored")
    rig.wait_event("holds-read")
    rig.wait(lambda: rig.dock.owned(rack.NAME) and not os.path.exists(os.path.join(rig.dock.state, "restored")), "the note to be gone")
    rig.stop()
    # Once more by a start that was cut short between the event and the note's end; what is held may have been read before that end, too.
    restored, read = (len(rig.dock.events(kind)) for kind in ("restored", "holds-read"))
    assert 1 <= read <= restored <= 2, f"restored {restored} times, holds read {read} times"
    rig.check_end()


# ---- What the fleet shares -------------------------------------------------------------------------------------------------------


def play_shared(rig):
    """A signed roster, firmware and its catalog, and the dock's own status reach the store whole, or not at all."""
    place = os.path.dirname(rig.dock.state)
    table, key, image, catalog = (os.path.join(place, name) for name in ("roster.csv", "admin.pem", "image.bin", "catalog.json"))
    with open(table, "w", encoding="utf-8") as f:
        f.write("id\nP-1\n")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    roster = os.path.join(place, "roster")
    signed = rig.berthctl("roster", "sign", table, roster, f"--admin-key={key}", "--fleet=north", "--after=0").stdout
    content = hashlib.shake_128(str(rig.number).encode()).digest(3 * MIB)
    with open(image, "wb") as f:
        f.write(content)
    digest = hashlib.sha256(content).hexdigest()
    with open(catalog, "w", encoding="utf-8") as f:
        json.dump({"type": "berth-firmware-catalog", "v": 1, "version": 1, "expires": "2099-12-31",
                   "images": [{"model": "cam", "version": "2.1", "size": len(content), "sha256": digest}]}, f)
    for words in (["-G", "-W", "-f", "-p", key + ".pub", "-s", key + ".minisign"], ["-S", "-s", key + ".minisign", "-m", catalog]):
        subprocess.run(["minisign", *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    rig.configure(f"[roster]\nfollow_every = 1s\n[firmware]\nkeys = {key}.pub\nfollow_every = 200ms\n",
                  dock={"fleet": "north", "fleet_key": signed.split("fleet_key = ")[1].strip(), "status_every": "1s"})
    rig.source = set
    rig.start()
    by = (f"--uplink={rig.dock.path('uplink.sock')}", f"--firmware-key={key}.pub")

    def published():
        return os.path.isdir(os.path.join(rig.dock.store, "objects")) and (
            rig.order("firmware", "publish", catalog, image, *by) or rig.order("firmware", "show", "1", *by))

    rig.wait(published, "the firmware in the store")
    rig.wait(lambda: rig.dock.events("catalog"), "the catalog to be what the dock goes by")
    ordered(rig, "roster", "roster", "publish", roster)
    rig.wait(lambda: rig.dock.objects("docks"), "the dock's status")
    rig.stop()
    with open(os.path.join(rig.dock.store, "firmware", "images", digest), "rb") as f:
        assert f.read() == content, "the firmware image in the store has other bytes"
    assert len(rig.dock.events("roster")) == len(rig.dock.events("catalog")) == 1
    rig.check_end()


def play_flash(rig):
    """A camera gets firmware: whoever dies on the way, it boots it in the end."""
    flash_world.write_models(rig.dock, "10s")
    get_firmware(rig, flash_world.Camera(rig.sim, rig.dock, rig.serial, name=rig.camera), flash_world.image("2.1", 40000))


def play_firmware_file(rig):
    """The same with a camera that looks for a file on its own storage."""
    flash_world.write_models(rig.dock, "10s", models=flash_world.FILE_MODEL)
    get_firmware(rig, flash_world.FileCamera(rig.sim, rig.dock, rig.serial, name=rig.camera), flash_world.image("2.1", 40000))


def get_firmware(rig, camera, new):
    admin = firmware_world.Admin(rig.dock)
    rig.dock.write_config(flash_world.settings(admin))
    rig.plug()
    rig.start()
    rig.wait(lambda: os.path.exists(os.path.join(rig.dock.store, ".berth-store")), "the store")
    flash_world.put_catalog(rig.dock, admin, {"2.1": new})

    asked = []

    def is_well():
        if not rig.dock.owned(rack.NAME):
            return False
        # Its answer does not come when the dock is ended meanwhile. One whose loader was not reached has its old version, and is asked
        # again.
        if any(e["outcome"] == "ok" for e in rig.dock.events("flash-ended")):
            return True
        asked.append("2.1")
        return rig.order("firmware", "flash", rig.serial, "2.1", "again")

    rig.wait(is_well, "the camera to have its firmware")
    rig.wait_ready()
    assert camera.has() == new, "the camera has something else"
    rig.wait(lambda: rig.dock.events("flash-ended"), "the end on record")
    rig.stop()
    assert os.listdir(os.path.join(rig.dock.state, "flash")) == [], "something is left in flash/"
    # More than once only when it was asked again while the first end was not on record yet.
    assert 1 <= [e["outcome"] for e in rig.dock.events("flash-ended")].count("ok") <= len(asked)
    rig.check_end()


def play_firmware_card(rig):
    """The same with one that shows its card as a disk: whoever dies, the card is whole, and no other file is harmed."""
    flash_world.write_models(rig.dock, "10s", models=flash_world.CARD_MODEL)
    card = cards.FatCard(tempfile.mkdtemp(prefix="card-", dir=os.path.dirname(rig.dock.state)), size=64 * MIB, bits=16)
    card.put("CONFIG/SETTINGS.INI", card.random.randbytes(3000))
    camera = flash_world.CardCamera(rig.sim, rig.dock, card, rig.serial, name=rig.camera)
    rig.source = set
    new = flash_world.image("2.1", 40000)
    get_firmware(rig, camera, new)
    rig.unplug()
    assert card.contents() == {"CONFIG/SETTINGS.INI": card.files["CONFIG/SETTINGS.INI"], "UPDATE/FW.BIN": new}
    card.check()


def play_rollout(rig, bad=False):
    """A camera's turn in a rollout: whoever dies, it is flashed once at most, is never left in its loader, and the fleet is told once."""
    flash_world.write_models(rig.dock, "20s")
    camera = flash_world.Camera(rig.sim, rig.dock, rig.serial, name=rig.camera, keeps_old=bad)
    fleet = rollout_world.Fleet(rig.dock)
    rig.configure(f"[firmware]\nkeys = {fleet.path('one.pub')}\nfollow_every = 300ms\n",
                  dock={"fleet": "north", "fleet_key": fleet.public_hex})
    rig.plug()
    rig.start()
    rig.wait(lambda: os.path.exists(os.path.join(rig.dock.store, ".berth-store")), "the store")
    new = flash_world.image("2.1", 20000)
    flash_world.put_catalog(rig.dock, fleet, {"2.1": new})
    plan = fleet.plan(waves=[{"named": [rig.serial]}], under_way_max=2, flash_seconds=5)
    plans = os.path.join(rig.dock.store, "rollouts", "plans")
    rig.wait(lambda: os.path.isdir(plans) and os.listdir(plans) or rig.order(
        "rollout", "create", plan, f"--admin-key={fleet.key}", f"--uplink={rig.dock.path('uplink.sock')}"), "the plan in the store")

    def is_over():
        if not rig.dock.owned(rack.NAME):
            return False
        # Ended between its claim and the record of its beginning, the dock takes its own claim for another dock's, and leaves the camera.
        told = rig.dock.rows("SELECT 1 FROM rollout_cameras WHERE told = 1")
        return told or "at another dock" in rig.berthctl("rollout", "--json").stdout

    rig.wait(is_over, "the camera's turn to be over")
    rig.wait_ready()
    rig.stop()
    begun = rig.dock.events("rollout-begun")
    assert len(begun) <= 1 and len(rig.dock.events("flash-begun")) <= 1, "begun twice"
    assert len(rig.dock.events("flash-sending")) <= 1 or not all(e["whole"] for e in rig.dock.events("flash-sent")[:-1]), "flashed twice"
    assert camera.has() in ((new,) if rig.dock.events("flash-ended") and not bad else (new, flash_world.image("1.0"))), "it has half of it"
    ended = rig.dock.events("rollout-ended")
    # What outlasts its window, as on a busy machine, is bad by then, and its end is told when it comes.
    overdue = [e for e in ended[:-1] if e["outcome"] == "bad" and "in time" in e["reason"]]
    outcomes = [e["outcome"] for e in ended if e not in overdue]
    assert len(outcomes) == len(begun) and (not bad or set(outcomes) <= {"bad"}), (outcomes, begun)
    assert len(rollout_world.keys(rig.dock, "r1", "cameras")) == 1
    rig.check_end()


def play_claimed(rig):
    """The dock dies when a camera is its own in the rollout, and nothing of that is on record: nobody may say what became of it, and it is
    flashed by nobody."""
    play_rollout(rig)
    assert not rig.dock.events("rollout-begun") and not rig.dock.events("flash-begun"), "it was flashed after all"
    # The place that it had then stays taken: the fleet counts it as bad when the window is closed. One that it took later and gave back
    # counts for nothing.
    ended = rollout_world.keys(rig.dock, "r1", "ok")
    assert all(key.endswith("-void") for key in ended), ended
    left = set(rollout_world.keys(rig.dock, "r1", "started")) - {key.removesuffix("-void") for key in ended}
    assert left, "its place was given back, too"


def play_bad_rollout(rig):
    """The same with firmware that the camera does not take: that is told as bad."""
    play_rollout(rig, bad=True)


SCENARIOS = [
    Scenario("the main job", play_job),
    Scenario("undocked while pulling", play_undocked),
    Scenario("changed while away", play_changed),
    Scenario("gone while away", play_gone),
    Scenario("a damaged spool copy", play_bad_copy),
    Scenario("room is needed", play_room),
    Scenario("another key", play_new_key),
    Scenario("a clip that is held", play_held),
    Scenario("an erase by hand", play_by_hand),
    Scenario("an erase of what is not stored", play_unstored_erase),
    Scenario("orders about uploads and charging", play_orders),
    Scenario("an erase that the camera refuses", play_denied),
    Scenario("a camera for an officer", play_officers),
    Scenario("a folder that is imported", play_import),
    Scenario("bytes that cannot be read", play_unreadable),
    Scenario("a database that is lost", play_recover),
    Scenario("a database that is put back", play_restored),
    Scenario("what the fleet shares", play_shared),
    Scenario("firmware", play_flash),
    Scenario("a firmware file", play_firmware_file),
    Scenario("a rollout", play_rollout),
    Scenario("a firmware file on a card, its sender killed", play_firmware_card, [("berth-bay flash-begins", 1)]),
    Scenario("a firmware file on a card, dropped before its sender was killed", play_firmware_card, [("berth-bay firmware-dropped", 1)]),
    Scenario("a firmware file on a card, the dock killed", play_firmware_card, [("berthd facts-committed:flash-sending", 1)]),
    Scenario("a rollout, the dock killed between its claim and the beginning", play_claimed, [("berthd rollout-camera-claimed", 1)]),
    Scenario("a firmware file, its sender killed in the middle of it", play_firmware_file, [("berth-bay firmware-part-asked", 2)]),
    Scenario("a rollout of bad firmware, killed when that was told", play_bad_rollout, [("berthd rollout-outcome-put", 1)]),
    Scenario("a released copy removed, and its note left", play_room, [("berthd copy-removed", 1)]),
    Scenario("sealed, and not on record", play_job, [("berthd rename-durable", 1)]),
    Scenario("killed with an intent in the store", play_job, [("berth-uplink intent-durable", 1)]),
    Scenario("killed with an object in the store", play_job, [("berth-uplink object-durable", 1)]),
    Scenario("stored, and the answer lost", play_job, [("berth-uplink answer-begins:Put", 1)]),
]
