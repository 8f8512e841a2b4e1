#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A test of the random sequences: bugs are put into berthd on purpose, one at a time, and each must be found.

A mutant is one or more files with one place changed; it is compiled with the daemon's own flags and linked before the archives, so that
it takes the place of the original. `make mutants` gives the compiler's commands: $BERTH_COMPILE, $BERTH_LINK, $BERTH_LIBS. A place that is
not in its file any more fails, too: then the code has changed, and the mutant has to follow. What finds them are the very sequences that
`make check` plays: $PROPERTY_SEQUENCES of them, from $PROPERTY_SEED on.
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
SEQUENCES = os.environ.get("PROPERTY_SEQUENCES", "40")

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
     [("service/docking_pull.c", "        result = docking_read_again(d, c, true);\n",
       "        c->sampled = true;\n        return pull_from(d, c, clip_kept_blocks(c));\n")]),
]


def mutate(folder, files):
    """Object files of the changed sources; None when a place is not there any more."""
    objects = []
    for name, old, new in files:
        path = os.path.join(SRC, "daemon", name)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if text.count(old) != 1:
            return None
        changed = os.path.join(folder, name.replace("/", "_"))
        with open(changed, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))
        objects.append(changed[:-2] + ".o")
        compiler = shlex.split(os.environ["BERTH_COMPILE"]) + ["-w", "-Wno-error"]
        subprocess.run(compiler + ["-c", "-o", objects[-1], changed], check=True, cwd=SRC)
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


def main():
    print(f"1..{len(MUTANTS)}", flush=True)
    n_found = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, what, ok, text in pool.map(lambda m: hunt(*m), [(n, what, files) for n, (what, files) in enumerate(MUTANTS, 1)]):
            n_found += ok
            print(f"{'ok' if ok else 'not ok'} {number} - found: {what}", flush=True)
            print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)
    print(f"# {n_found} of {len(MUTANTS)} mutants found, in at most {SEQUENCES} sequences from seed {SEED} on", flush=True)
    sys.exit(0 if n_found == len(MUTANTS) else 1)


main()
