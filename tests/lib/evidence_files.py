# SPDX-License-Identifier: Apache-2.0
"""Every kind of file that a dock has in its state folder, or in a store that is a folder, and how a change to one is found. A file of no
kind here fails the tests: whoever adds one says what vouches for it."""

import os
import re

# By itself: each byte of it is on record, or follows from something that is.
TOLD = "told"
KINDS = [
    (r"spool/\d+\.clip", TOLD), (r"spool/\d+\.json", TOLD),
    (r"parts/\d+\.part", TOLD), (r"incoming/\d+/\d+\.part", TOLD),
    (r"kept/.+", TOLD), (r"damaged-[^/]+/(berth\.db|berth\.db-wal|chain\.head)", TOLD),
    (r"firmware/[0-9a-f]{64}", TOLD), (r"flash/\d+/image", TOLD),
    (r"dock\.id", TOLD), (r"dock\.key", TOLD),
    (r"chain\.head", "two slots, the older of which counts for nothing: test_each_file_that_is_changed_or_gone_is_told"),
    (r"berth\.db(-wal)?", "its rows and columns, each by itself, and the chain: the other tests of test_custody_verify.py"),
    (r"(damaged-[^/]+/)?berth\.db-shm", "what SQLite keeps for its readers, and makes anew when it opens the database"),
    (r"dock\.key\.new", "between two events of a change of keys: a start without the one or the other undoes it"),
    (r"restored", "a note for the next start, which tells it in the custody log and removes it"),
    (r"recovery/.*", "a database that is being made; no daemon starts beside it"),
    (r"firmware/unfinished", "what is being got from the store, and hashed when it is there"),
    (r"flash/\d+/(image\.part|target|lock|progress|outcome)", "a flash under way; what came of it the camera tells after it"),
    (r"(.*/)?\.[^/]+\.new", "a small file before it takes its name"),
]
# Of the store: TOLD by `berthctl custody verify --store`; else which test shows who notices.
STORED = [
    (r"(fleet|roster)/[^/]+/\d{10}", TOLD), (r"firmware/catalog/\d{10}\.json", TOLD),
    (r"(objects|manifests|checkpoints|keys|receipts|holds)/.+", "told, too: test_each_file_of_the_store_that_is_changed_or_gone_is_told"),
    (r"custody/.+", "told, too: tests/integration/test_custody_archive.py"),
    (r"firmware/catalog/\d{10}\.json\.minisig", "who reads the catalog does not take it: tests/integration/test_firmware_dock.py"),
    (r"firmware/images/[0-9a-f]{64}", "who gets it does not take it: tests/integration/test_rollout.py"),
    (r"docks/[0-9a-f]{32}/status", "who reads it does not take it: tests/integration/test_two_docks.py; nor does its dock replace it"
     " unseen: tests/integration/test_dock_status.py"),
    (r"rollouts/.+", "who reads it does not take it: tests/integration/test_rollout.py"),
    (r"tmp/.+", "unfinished work"),
    (r"\.berth-store", "the store's id, by which each dock knows it again: tests/unit/test_dir.c"),
]


def kind_of(path, kinds=None):
    for pattern, how in kinds or KINDS:
        if re.fullmatch(pattern, path):
            return pattern, how
    return None


def files_in(state):
    for folder, _, names in os.walk(state):
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), state)


def assert_known(state):
    odd = [path for path in files_in(state) if not kind_of(path)]
    assert not odd, f"tests/lib/evidence_files.py does not say how a change to these is found: {odd}"
