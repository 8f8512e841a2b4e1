/* SPDX-License-Identifier: Apache-2.0 */

/* The database of each earlier release, with footage on record, is opened by this one: nothing is forgotten, and work goes on. */

#include "unit/store_rig.h"

#include <stdlib.h>

#include "store/schema.h"

/* In columns that the first release had. */
static const char content[] =
        "INSERT INTO cameras (id, serial, manufacturer, model, firmware, storage_id, model_id, ambiguous, first_seen_usec)"
        " VALUES (1, 'X1', 'Acme', 'Body 2', '1.0', 'vol-1', 'acme-body-2', 0, 5);"
        "INSERT INTO dockings (id, camera_id, bay, vid, pid, bcd_device, usb_serial, usb_manufacturer, usb_product, boot_id,"
        " docked_boottime_usec, docked_usec, undocked_usec, end_reason) VALUES (1, 1, '1-1.1', 1, 2, 3, 'X1', '', '', 'boot', 5, 5, 6, '');"
        "INSERT INTO clips (id, camera_id, path, size_bytes, mtime_unix_sec, ordinal, flags, state, first_docking_id, last_docking_id,"
        " seen_usec, digest, spool_name) VALUES"
        " (7, 1, 'A.MP4', 500, 11, 0, 0, 'copied', 1, 1, 5, randomblob(32), 'a'),"
        " (8, 1, 'B.MP4', 600, 12, 0, 0, 'receipted', 1, 1, 5, randomblob(32), 'b'),"
        " (9, 1, 'C.MP4', 700, 13, 0, 0, 'seen', 1, 1, 5, NULL, NULL);"
        "INSERT INTO blocks VALUES (7, 0, 500, randomblob(32), 1);"
        "INSERT INTO receipts (clip_id, object_key, manifest_key, version, strength, size_bytes, digest, time_unix_sec, already_there)"
        " VALUES (8, 'objects/b', 'manifests/b', '', 'digest', 600, (SELECT digest FROM clips WHERE id = 8), 14, 0);"
        "UPDATE ids SET next = 100;";

static void make_database(Rig *rig, int version) {
        _cleanup_(freep) char *path = rig_path(rig, "berth.db");
        _cleanup_(db_closep) Db *db = NULL;

        assert_int_equal(db_open(path, DB_CREATE, &db), 0);
        if (schema_migrate_to(db, path, version, &rig->error) < 0)
                fail_msg("version %d cannot be made: %s", version, rig->error.text);
        if (db_exec(db, content) < 0)
                fail_msg("version %d cannot be filled: %s", version, db_message(db));
}

static void judge(Rig *rig, int version) {
        _cleanup_(clip_row_freep) ClipRow *copied = NULL, *stored = NULL, *seen = NULL;
        _cleanup_(freep) BlockRow *blocks = NULL;
        Fact docked = rig_docked(100);
        uint64_t known = 0;
        size_t n = 0;

        assert_int_equal(store_clip(rig->store, 7, &copied), 0);
        assert_int_equal(store_clip(rig->store, 8, &stored), 0);
        assert_int_equal(store_clip(rig->store, 9, &seen), 0);
        assert_int_equal(copied->state, CLIP_COPIED);
        assert_string_equal(copied->serial, "X1");
        assert_string_equal(copied->spool_name, "a");
        assert_int_equal(stored->state, CLIP_RECEIPTED);
        assert_string_equal(stored->object_key, "objects/b");
        assert_memory_equal(&stored->receipt_digest, &stored->digest, sizeof(Digest));
        assert_int_equal(seen->state, CLIP_SEEN);
        assert_int_equal(seen->size_bytes, 700);
        /* Of the block alone before 24, and of the clip up to its end since. */
        assert_int_equal(store_blocks(rig->store, 7, &blocks, &n), 0);
        assert_int_equal(n, version < 24 ? 0 : 1);
        assert_int_equal(store_clip_by_content(rig->store, &stored->digest, 600, &known), 0);
        assert_int_equal(known, 8);
        rig_must(rig, &docked);
}

static void test_database_of_each_earlier_release_is_opened_with_all_that_is_in_it(void **state) {
        const int newest = schema_version();

        (void) state;
        /* All of the last few, some of those before: each takes a dozen syncs. */
        for (int version = 1; version <= newest; version += version < newest - 3 ? 4 : 1) {
                void *made = NULL;
                Rig *rig;

                assert_int_equal(rig_setup_closed(&made), 0);
                rig = made;
                make_database(rig, version);
                if (rig_open(rig) < 0)
                        fail_msg("a database of version %d is refused: %s", version, rig->error.text);
                judge(rig, version);
                /* And the next start finds nothing to do. */
                rig_close(rig);
                assert_int_equal(rig_open(rig), 0);
                rig_free(rig);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_database_of_each_earlier_release_is_opened_with_all_that_is_in_it) };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
