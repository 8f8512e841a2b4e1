#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A test of the random sequences: bugs are put into berthd on purpose, one at a time, and each must be found.

A mutant is one or more files with one place changed; it is compiled with the daemon's own flags and linked before the archives, so that
it takes the place of the original. `make mutants` gives the compiler's commands: $BERTH_COMPILE, $BERTH_LINK, $BERTH_LIBS. A place that is
not in its file any more fails, too: then the code has changed, and the mutant has to follow. What finds them are the sequences that
`make check` plays, and as many more: $PROPERTY_SEQUENCES of them, from $PROPERTY_SEED on. UNIT_MUTANTS are of what the sequences do not
meet, and each is for a unit test to find, whose program is linked by $BERTH_UNIT_LINK and $BERTH_UNIT_LIBS. SCRIPT_MUTANTS are for a test
of whole programs, which is given a build folder with that one program changed: $BERTH_LINK_<program>, with the mutant in place of @.
"""

import concurrent.futures
import os
import re
import shlex
import subprocess
import sys
import tempfile

SRC = os.environ.get("BERTH_SRC", os.getcwd())
SEED = os.environ.get("PROPERTY_SEED", "1")
SEQUENCES = os.environ.get("PROPERTY_SEQUENCES", "80")

MUTANTS = [
    ("an erase is begun although the store says that it holds the clip no more",
     [("service/docking_erase.c", "if (result == 0 && c->docking == d)\n                return ask_gate(d, c);",
       "if (c->docking == d)\n                return ask_gate(d, c);")]),
    ("a clip that was read in an earlier docking is erased in this one",
     [("core/clip.c", "if (f->blocks_read_here < f->blocks)", "if (false)"),
      ("store/license.c", "if (ret->read_in_docking != ret->n ||", "if (")]),
    ("a clip that is held is erased",
     [("core/clip.c", "if (f->held)", "if (false)"),
      ("store/license.c", "        if (r >= 0)\n                r = check_hold(w, f, &clip);\n", "        (void) check_hold;\n")]),
    ("a hold on a clip whose erase is licensed already is not minded",
     [("service/hold.c", "if (!d || !c->erase_licensed || d->current == c)", "if (d || !d)")]),
    ("a clip that waits for a busy store is forgotten",
     [("service/upload.c", "                clip_set_state(c, CLIP_COPIED, answer->text);\n                upload_enqueue(c);",
       "                clip_set_state(c, CLIP_COPIED, answer->text);")]),
    ("a sealed file keeps its old name",
     [("service/spool.c", "return fd_rename_durable(dir, job->from, job->spool->sealed_fd, job->to);", "return 0;")]),
    ("a copy that no fact knows of is not made a part again",
     [("service/manager.c", "return SPOOL_UNSEAL;", "return SPOOL_STAYS;")]),
    ("a custody event does not name the one before it",
     [("store/custody.c", "digest_to_hex(&head->hash, prev)", "digest_to_hex(&(const Digest){ { 1 } }, prev)")]),
    ("the totals do not follow a clip's state",
     [("store/schema.c", "TRIGGER clip_changed AFTER UPDATE OF state, size_bytes ON",
       "TRIGGER clip_changed AFTER UPDATE OF size_bytes ON")]),
    ("a part of an earlier docking is gone on with although the camera was not asked whether it still fits",
     [("service/docking_pull.c", "        result = docking_sample(d, c);\n",
       "        c->sampled = true;\n        return pull_from(d, c, clip_kept_blocks(c));\n")]),
    ("whoever takes a camera out in the middle of a transfer has its camera called faulty",
     [("service/docking_fault.c", "        if (!may_depart)\n                docking_record_fault(d);",
       "        (void) may_depart;\n        docking_record_fault(d);")]),
    ("what is held by its camera is not held in the store",
     [("store/object_hold.c", "c.camera_id = h.camera_id JOIN receipts", "c.camera_id = h.id AND 0 JOIN receipts")]),
    ("what is held no more stays held in the store",
     [("store/object_hold.c", "restorations WHERE holds_read = 0) ORDER BY", "restorations WHERE holds_read = 0) AND 0 ORDER BY")]),
    ("the store is asked for a hold before that is on record",
     [("service/object_hold.c", "o->asking->held && !o->asking->asked)\n                put_asked(o);",
       "!put_asked)\n                put_asked(o);"),
      ("store/object_hold.c",
       "\"UPDATE object_holds SET lock = ?2, event_seq = ?4 WHERE clip_id = ?1 AND lock IN ('asked', 'on') AND\"\n"
       "                         \" object_key = ?3\"",
       "\"INSERT OR REPLACE INTO object_holds (clip_id, object_key, lock, event_seq) VALUES (?1, ?3, ?2, ?4)\"")]),
    ("a hold that was set again after a release whose answer was lost is taken for one that stands",
     [("store/object_hold.c", "OR (o.lock = 'on' AND o.event_seq < h.id))", "OR (o.lock = 'on' AND 0))")]),
    ("a hold that the store could not be told of is not tried again",
     [("service/object_hold.c", "        uint64_t wait = backoff_usec(++o->failures, RETRY_MIN_USEC, RETRY_MAX_USEC);\n",
       "        uint64_t wait = UINT64_MAX / 2;\n"), ("service/upload.c", "                object_holds_look(m->object_holds);\n", "")]),
    ("what is imported is called done and not sent",
     [("service/import.c", "                upload_enqueue(c);\n", "")]),
    ("what an import began, and did not end, is taken for known",
     [("store/clip_query.c", "AND conflict = 0 AND partial_of = 0\"\n                      \" AND state IN ('copied', ",
       "AND conflict = 0 AND partial_of = 0\"\n                      \" AND state IN ('seen', 'copying', 'lost', 'copied', ")]),
    ("copies of clips that are held make room",
     [("service/room.c", "                .held = row->held,\n", "                .held = false,\n"),
      ("store/clip.c", "(r > 0)\n                return writer_refuse(w, -EKEYREJECTED, \"clip %\" PRIu64 \" stays in the spool: it is",
       "(r > 1)\n                return writer_refuse(w, -EKEYREJECTED, \"clip %\" PRIu64 \" stays in the spool: it is")]),
    ("a camera whose battery is low is flashed",
     [("core/flash.c", "[FLASH_LOW] = !charged_enough(c),", "[FLASH_LOW] = !c && charged_enough(c),")]),
    ("a rollout goes on although too many cameras are bad",
     [("core/rollout.c", "if (counts->stopped || counts->bad > plan->bad_max)", "if (counts->stopped)"),
      ("core/rollout.c", "if (bad > plan->bad_max)", "if (bad > 999)")]),
    ("a worker that outlived the dock is not looked for, and its camera is sent firmware anew",
     [("service/flash_load.c", "if (same_boot && flasher_adopt(", "if (!now && flasher_adopt(")]),
]

UNIT_MUTANTS = [
    ("a manifest that was copied under another key is believed", "test_stored_clip",
     [("base/stored_clip.c", "(key && !text_equal(name, key))", "(key && !key[0])")]),
    ("a manifest of a key that was revoked is believed", "test_stored_clip",
     [("base/stored_clip.c", "return listed && listed->revoked ?", "return listed && !listed ?")]),
    ("a manifest is believed by a list that has expired", "test_stored_clip",
     [("base/stored_clip.c", "t->now_usec, &(ConfError){ 0 }) > 0)", "t->now_usec, &(ConfError){ 0 }) > 1)")]),
    ("what a manifest says of its clip may be changed", "test_stored_clip",
     [("base/stored_clip.c", "if (r >= 0 && !text_equal(of_facts, hex))", "if (r > 0 && !text_equal(of_facts, hex))")]),
    ("the size in a manifest may be changed", "test_stored_clip",
     [("base/stored_clip.c", '        { "size", "its size is not the one that was signed" },\n', "")]),
    ("the version of a manifest may be changed", "test_stored_clip",
     [("base/stored_clip.c", '        { "version", "its version is not the one that was signed" },\n', "")]),
    ("an older manifest of this dock is believed when it is played again", "test_stored_clip",
     [("base/stored_clip.c", "{ STATEMENT_STORED_CLIP, key, NULL, t->dock_id, last_number(s, t) }",
       "{ STATEMENT_STORED_CLIP, key, NULL, t->dock_id, 0 }")]),
    ("a manifest whose signature is spoiled counts as one without", "test_stored_clip",
     [("base/stored_clip.c", 'if (!json_object_get(facts, "signed")) {', "if (!file) {")]),
    ("a clip that is held by itself is not held in the store", "test_store_hold",
     [("store/object_hold.c", "c.id = h.clip_id JOIN receipts", "c.id = -h.clip_id JOIN receipts")]),
    ("a hold is taken down for an object that no receipt names", "test_store_hold",
     [("store/object_hold.c", "WHERE clip_id = ?1 AND object_key = ?3", "WHERE clip_id = ?1 AND ?3 <> ''")]),
    ("a hold for one case is let go when another case ends", "test_store_hold",
     [("store/hold.c", "DELETE FROM holds WHERE clip_id = ?1 AND case_name = ?2", "DELETE FROM holds WHERE clip_id = ?1 AND ?2 = ?2")]),
    ("a table or a rule of the database that is missing is passed over", "test_schema",
     [("store/schema.c", "while (have > 0 || want > 0) {", "while (have > 0 && want > 0) {")]),
    ("a rule of the database that was changed is passed over", "test_schema",
     [("store/schema.c", "for (int i = 0; i < 4; i++)", "for (int i = 0; i < 2; i++)")]),
    ("a camera that was brought back to another dock counts as out", "test_whereabouts",
     [("core/whereabouts.c", "s[i].taken_usec < s[w.last].last_docked_usec || ", "")]),
    ("a camera is flashed in a bay whose power was not steady", "test_flash",
     [("core/flash.c", "return c->unsteady_usec > 0 && at > now_usec", "return c->unsteady_usec > at && at > now_usec")]),
    ("a camera is flashed while footage on it is not stored", "test_flash",
     [("core/flash.c", "[FLASH_FOOTAGE] = !c->listed || c->without_receipt > 0,", "[FLASH_FOOTAGE] = false,")]),
    ("a rollout that is paused goes on until somebody looks again", "test_rollout",
     [("core/rollout.c", "if (!is_fresh(counts->state_usec, plan->fresh_usec, now_usec))", "if (counts->state_usec == 0)")]),
    ("a flash counts as well when all was sent, whatever the camera tells then", "test_flash",
     [("core/flash.c", "if (back && strcmp(f->came_back, f->version) == 0)",
       "if (back && (f->transfer == FLASH_SENT || strcmp(f->came_back, f->version) == 0))"),
      ("core/flash.c", "if (f->ended && f->outcome == FLASH_NOT_BACK && !back", "if (f->ended && f->outcome == FLASH_NOT_BACK")]),
    ("a camera is flashed again by a rollout in which it was begun", "test_rollout",
     [("core/rollout.c", "if (camera->begun)", "if (!camera)")]),
]

# What, the test, which of its functions, the program, the places.
SCRIPT_MUTANTS = [
    ("an old firmware file of the same name stays beside the new one", "integration/test_firmware_file.py",
     "test_file_of_the_catalogs_name_takes_the_place_of_an_old_one", "plugins/mtp.so",
     [("../plugins/mtp/drop.c", "if (r >= 0 && place.whole)", "if (r > 0 && place.whole)")]),
    ("a firmware file that never got whole to the camera counts as given", "integration/test_firmware_file.py",
     "test_camera_without_room_gets_nothing", "berth-bay",
     [("bay/flash.c", "write_outcome(order->outcome, r < 0 ? &fault : NULL)", "write_outcome(order->outcome, r > 0 ? &fault : NULL)")]),
    ("a recovery believes a manifest without asking for its object", "integration/test_recover.py",
     "test_what_the_store_cannot_prove_counts_as_not_stored_and_is_pulled_again", "berthd",
     [("service/recover_store.c", "if (r >= 0 && l->result != UPLINK_OK)", "if (r > 0 && l->result != UPLINK_OK)")]),
    ("a recovery takes a spool file whatever its bytes", "integration/test_recover.py",
     "test_spool_file_with_other_bytes_is_kept_and_pulled_again", "berthd",
     [("service/recover_spool.c", "if (note->size_bytes != m.size_bytes || !digest_equal(&note->digest, &m.digest))",
       "if (note->size_bytes != m.size_bytes)")]),
    ("what was held is not held any more after a recovery", "integration/test_recover.py", "test_what_was_held_is_held_again", "berthd",
     [("service/recover_hold.c", "                k = take_hold(r, hold);\n", "                k = !hold;\n")]),
    ("a dock whose database was put back signs with numbers that it has used", "integration/test_backup.py",
     "test_dock_goes_on_from_a_backup_and_signs_with_higher_numbers", "berthd",
     [("service/restored.c", "(uint64_t) MAX2(f.at.wall_usec, (int64_t) 0) / USEC_PER_SEC;", "0;")]),
    ("a backup that came to no end is left there", "integration/test_backup.py", "test_backup_that_has_no_room_leaves_nothing", "berthctl",
     [("proof/backup.c", "        (void) rmdir(path);\n", "")]),
    ("a backup of a log that was tampered with is called whole", "integration/test_backup.py", "test_backup_of_a_tampered_log_is_refused",
     "berthctl",
     [("store/backup.c", "        if (r == -EBADE)\n", "        if (r == -EBADE)\n                return 0;\n        if (r > 0)\n")]),
    ("the best camera is marked although somebody is shown another", "integration/test_roster.py",
     "test_best_camera_is_marked_while_nobody_is_shown_another", "berthd",
     [("service/roster.c", "if (r->manager->settings->mark_best && !somebody_is_shown_a_bay(r))", "if (r->manager->settings->mark_best)")]),
    ("a flash that was begun can be cancelled", "integration/test_jobs.py", "test_flash_is_cancelled_before_it_is_begun_and_not_after",
     "berthd", [("service/flash_order.c", "        if (o->flash_id != 0)\n                return -EALREADY;\n", "")]),
]


def mutate(folder, files):
    """Object files of the changed sources; None when a place is not there any more."""
    objects = []
    for name, old, new in files:
        path = os.path.join(SRC, "daemon", name)
        changed = os.path.join(folder, name.replace("/", "_"))
        # A file may be changed in several places.
        with open(changed if changed[:-2] + ".o" in objects else path, encoding="utf-8") as f:
            text = f.read()
        if text.count(old) != 1:
            return None
        with open(changed, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))
        if changed[:-2] + ".o" not in objects:
            objects.append(changed[:-2] + ".o")
        compiler = shlex.split(os.environ["BERTH_COMPILE"]) + ["-w", "-Wno-error"]
        subprocess.run(compiler + ["-iquote", os.path.dirname(path), "-c", "-o", changed[:-2] + ".o", changed], check=True, cwd=SRC)
    return objects


def hunt(number, what, files):
    """Whether the mutant was found, and what is to be said."""
    with tempfile.TemporaryDirectory(prefix="berth-mutant-") as folder:
        objects = mutate(folder, files)
        if objects is None:
            return number, what, False, f"{files[0][0]} has changed: the mutant has to follow"
        program = os.path.join(folder, "sequences")
        subprocess.run(shlex.split(os.environ["BERTH_LINK"]) + ["-o", program] + objects + shlex.split(os.environ["BERTH_LIBS"]),
                       check=True, cwd=SRC)
        result = subprocess.run([program, "--seed", SEED, "--unshortened"], stdout=subprocess.PIPE, text=True, check=False,
                                env=dict(os.environ, PROPERTY_SEQUENCES=SEQUENCES))
    found = re.search(r"^# seed (\d+), \d+ events: (.*)", result.stdout, re.M)
    if not found:
        return number, what, False, result.stdout
    return number, what, True, f"in sequence {int(found.group(1)) - int(SEED) + 1} of {SEQUENCES}: {found.group(2)}"


def hunt_by_unit_test(number, what, test, files):
    with tempfile.TemporaryDirectory(prefix="berth-mutant-") as folder:
        objects = mutate(folder, files)
        if objects is None:
            return number, what, False, f"{files[0][0]} has changed: the mutant has to follow"
        program = os.path.join(folder, test)
        own = os.path.join(os.environ["BERTH_BUILD"], "tests", "unit", test + ".o")
        subprocess.run(shlex.split(os.environ["BERTH_UNIT_LINK"]) + ["-o", program, own] + objects +
                       shlex.split(os.environ["BERTH_UNIT_LIBS"]), check=True, cwd=SRC)
        result = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=folder,
                                env=dict(os.environ, TMPDIR=folder, CMOCKA_MESSAGE_OUTPUT="TAP"))
    found = re.search(r"^not ok \d+ - (.*)", result.stdout, re.M)
    if not found:
        return number, what, False, result.stdout
    return number, what, True, f"by {test}: {found.group(1)}"


def build_folder(folder, program):
    """The build folder over again, but for that program. Where it goes to."""
    build = os.environ["BERTH_BUILD"]
    for name in os.listdir(build):
        if name not in (program, os.path.dirname(program)):
            os.symlink(os.path.join(build, name), os.path.join(folder, name))
    if os.path.dirname(program):
        os.mkdir(os.path.join(folder, os.path.dirname(program)))
        for name in os.listdir(os.path.join(build, os.path.dirname(program))):
            if name != os.path.basename(program):
                os.symlink(os.path.join(build, os.path.dirname(program), name), os.path.join(folder, os.path.dirname(program), name))
    return os.path.join(folder, program)


def hunt_by_script(number, what, script, test, program, files):
    with tempfile.TemporaryDirectory(prefix="berth-mutant-") as folder:
        objects = mutate(folder, files)
        if objects is None:
            return number, what, False, f"{files[0][0]} has changed: the mutant has to follow"
        built = os.path.join(folder, "build")
        os.mkdir(built)
        link = os.environ["BERTH_LINK_" + re.sub(r"\W", "_", program)].replace("@", " ".join(objects))
        subprocess.run(shlex.split(link) + ["-o", build_folder(built, program)], check=True, cwd=SRC)
        result = subprocess.run(["/usr/bin/python3", os.path.join(SRC, "tests", script), f"^{test}$"], stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.STDOUT, check=False, cwd=folder, env=dict(os.environ, TMPDIR=folder, BERTH_BUILD=built))
    found = re.search(r"^not ok \d+ - (.*)", result.stdout, re.M)
    if not found:
        return number, what, False, result.stdout
    return number, what, True, f"by {os.path.basename(script)}: {found.group(1)}"


def main():
    hunts = ((hunt, MUTANTS), (hunt_by_unit_test, UNIT_MUTANTS), (hunt_by_script, SCRIPT_MUTANTS))
    mutants = [(how, *m) for how, some in hunts for m in some]
    chosen = [m for m in mutants if not sys.argv[1:] or any(word in m[1] for word in sys.argv[1:])]
    print(f"1..{len(chosen)}", flush=True)
    n_found = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, what, ok, text in pool.map(lambda m: m[1](m[0], *m[2:]), [(n, *m) for n, m in enumerate(chosen, 1)]):
            n_found += ok
            print(f"{'ok' if ok else 'not ok'} {number} - found: {what}", flush=True)
            print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)
    print(f"# {n_found} of {len(chosen)} mutants found, in at most {SEQUENCES} sequences from seed {SEED} on", flush=True)
    sys.exit(0 if n_found == len(chosen) else 1)


main()
