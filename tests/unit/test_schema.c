/* SPDX-License-Identifier: Apache-2.0 */

/* Migrations: store/schema.c. A failed step rolls back and stops with its number. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "store/schema.h"

static int64_t number(Db *db, const char *sql) {
        int64_t v = -1;

        assert_true(db_number(db, sql, DB_NO_ARGS, &v) >= 0);
        return v;
}

static const SchemaStep good[] = {
        { 1, "CREATE TABLE a (x); INSERT INTO a VALUES (1)" },
        { 2, "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = 2" },
};
static const SchemaStep bad[] = {
        { 1, "CREATE TABLE a (x); INSERT INTO a VALUES (1)" },
        { 2, "UPDATE a SET x = 9; CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)" },
        { 3, "CREATE TABLE c (x)" },
};

static int setup(void **state) {
        Db *db = NULL;

        if (db_open(":memory:", DB_MEMORY, &db) < 0)
                return -1;
        *state = db;
        return 0;
}

static int teardown(void **state) {
        (void) db_close(*state);
        return 0;
}

static void test_steps_are_applied_once_in_order(void **state) {
        Db *db = *state;
        ConfError error = { "" };

        assert_int_equal(schema_migrate_steps(db, "x.db", good, 1, &error), 0);
        assert_int_equal(number(db, "PRAGMA user_version"), 1);
        assert_int_equal(schema_migrate_steps(db, "x.db", good, 2, &error), 0);
        assert_int_equal(schema_migrate_steps(db, "x.db", good, 2, &error), 0);
        assert_int_equal(number(db, "PRAGMA user_version"), 2);
        assert_int_equal(number(db, "SELECT count(*) FROM a"), 1);
        assert_int_equal(number(db, "SELECT y FROM a"), 2);
}

static void test_failed_step_rolls_back_and_names_its_number(void **state) {
        Db *db = *state;
        ConfError error = { "" };

        assert_true(schema_migrate_steps(db, "x.db", bad, 3, &error) < 0);
        assert_non_null(strstr(error.text, "x.db: step 2"));
        assert_non_null(strstr(error.text, "nowhere"));
        assert_int_equal(number(db, "PRAGMA user_version"), 1);
        assert_int_equal(number(db, "SELECT x FROM a"), 1);
        assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema"), 1);
        assert_int_equal(sqlite3_get_autocommit(db_handle(db)), 1);
        /* A program in which the step is right goes on from there. */
        assert_int_equal(schema_migrate_steps(db, "x.db", good, 2, &error), 0);
}

static void test_our_schema_is_recognised_as_ours(void **state) {
        Db *db = *state;
        ConfError error = { "" };

        assert_int_equal(schema_recognise(db, "x.db", &error), 0);
        assert_int_equal(schema_migrate(db, "x.db", &error), 0);
        assert_int_equal(schema_recognise(db, "x.db", &error), 1);
        assert_int_equal(schema_check(db, "x.db", &error), 0);
        assert_int_equal(number(db, "PRAGMA application_id"), SCHEMA_APPLICATION_ID);
        assert_int_equal(number(db, "PRAGMA user_version"), schema_version());
}

/* What the database is made of, but for one thing: that is named. */
static void is_not_ours(const char *change, const char *words) {
        _cleanup_(db_closep) Db *db = NULL;
        ConfError error = { "" };

        assert_int_equal(db_open(":memory:", DB_MEMORY, &db), 0);
        assert_int_equal(schema_migrate(db, "x.db", &error), 0);
        assert_int_equal(db_exec(db, change), 0);
        assert_int_equal(schema_check(db, "x.db", &error), -EBADMSG);
        assert_non_null(strstr(error.text, words));
}

static void test_what_is_not_as_we_made_it_is_named(void **state) {
        (void) state;
        is_not_ours("CREATE TRIGGER zz AFTER INSERT ON clips BEGIN SELECT 1; END", "trigger 'zz' is not one of Berth's");
        is_not_ours("CREATE TABLE aa (a)", "table 'aa' is not one of Berth's");
        is_not_ours("DROP TRIGGER clip_changed", "trigger 'clip_changed' is missing");
        is_not_ours("DROP TRIGGER clip_changed; CREATE TRIGGER clip_changed AFTER UPDATE OF size_bytes ON clips BEGIN SELECT 1; END",
                    "trigger 'clip_changed' is not as Berth made it");
        is_not_ours("DROP INDEX checks_of_camera", "index 'checks_of_camera' is missing");
}

/* The last in the order of their names, after which nothing else is compared. */
static void test_last_thing_that_is_missing_is_named(void **state) {
        _cleanup_(db_closep) Db *db = NULL;
        sqlite3_stmt *last = NULL;
        _cleanup_(freep) char *drop = NULL;
        ConfError error = { "" };

        (void) state;
        assert_int_equal(db_open(":memory:", DB_MEMORY, &db), 0);
        assert_int_equal(schema_migrate(db, "x.db", &error), 0);
        assert_int_equal(sqlite3_prepare_v2(db_handle(db), "SELECT type, name FROM sqlite_schema ORDER BY type DESC, name DESC LIMIT 1", -1,
                                            &last, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(last), SQLITE_ROW);
        drop = text_format("DROP %s %s", (const char *) sqlite3_column_text(last, 0), (const char *) sqlite3_column_text(last, 1));
        (void) sqlite3_finalize(last);
        assert_non_null(drop);
        assert_int_equal(db_exec(db, drop), 0);
        assert_int_equal(schema_check(db, "x.db", &error), -EBADMSG);
        assert_non_null(strstr(error.text, "is missing"));
}

/* A database of the first version, with a clip in it, becomes exactly what this version would have made, and keeps its rows. */
static void test_database_of_the_first_version_is_brought_to_this_one(void **state) {
        Db *db = *state;
        ConfError error = { "" };

        assert_int_equal(schema_migrate_to(db, "x.db", 1, &error), 0);
        assert_int_equal(db_exec(db, "INSERT INTO cameras (id, serial, manufacturer, model, firmware, storage_id, model_id, ambiguous,"
                                     " first_seen_usec) VALUES (1, 'X1', '', '', '', '', '', 0, 0);"
                                     "INSERT INTO clips (id, camera_id, path, size_bytes, mtime_unix_sec, ordinal, flags, state,"
                                     " first_docking_id, last_docking_id, seen_usec) VALUES (7, 1, 'A', 5, 0, 0, 0, 'copied', 1, 1, 0)"),
                         0);
        assert_int_equal(schema_migrate(db, "x.db", &error), 0);
        assert_int_equal(schema_check(db, "x.db", &error), 0);
        assert_int_equal(number(db, "SELECT id FROM clips WHERE state = 'copied' AND container IS NULL"), 7);
}

/* Of a clip that was stored twice the newer object alone was known: the other one is held there all the same. */
static void test_objects_that_the_store_holds_are_all_known_again(void **state) {
        Db *db = *state;
        ConfError error = { "" };

        assert_int_equal(schema_migrate_to(db, "x.db", 20, &error), 0);
        assert_int_equal(db_exec(db, "INSERT INTO cameras (id, serial, manufacturer, model, firmware, storage_id, model_id, ambiguous,"
                                     " first_seen_usec) VALUES (1, 'X1', '', '', '', '', '', 0, 0);"
                                     "INSERT INTO clips (id, camera_id, path, size_bytes, mtime_unix_sec, ordinal, flags, state,"
                                     " first_docking_id, last_docking_id, seen_usec) VALUES (7, 1, 'A', 5, 0, 0, 0, 'copied', 1, 1, 0);"
                                     "INSERT INTO custody (seq, bytes, hash, kind, clip_id, wall_usec) VALUES"
                                     " (1, '{\"lock\":\"on\",\"object_key\":\"a\"}', zeroblob(32), 'object-held', 7, 0),"
                                     " (2, '{\"lock\":\"none\",\"object_key\":\"b\"}', zeroblob(32), 'object-held', 7, 0),"
                                     " (3, '{\"lock\":\"off\",\"object_key\":\"b\"}', zeroblob(32), 'object-let-go', 7, 0),"
                                     " (4, '{\"lock\":\"on\",\"object_key\":\"c\"}', zeroblob(32), 'object-held', 7, 0);"
                                     "INSERT INTO object_holds VALUES (7, 'c', 'on', 4)"),
                         0);
        assert_int_equal(schema_migrate(db, "x.db", &error), 0);
        assert_int_equal(schema_check(db, "x.db", &error), 0);
        assert_int_equal(number(db, "SELECT count(*) FROM object_holds"), 2);
        assert_int_equal(number(db, "SELECT event_seq FROM object_holds WHERE clip_id = 7 AND object_key = 'a' AND lock = 'on'"), 1);
        assert_int_equal(number(db, "SELECT event_seq FROM object_holds WHERE clip_id = 7 AND object_key = 'c' AND lock = 'on'"), 4);
}

static void test_every_clip_state_can_be_stored_and_counted(void **state) {
        Db *db = *state;
        ConfError error = { "" };

        assert_int_equal(schema_migrate(db, "x.db", &error), 0);
        assert_int_equal(number(db, "SELECT count(*) FROM clip_totals"), 8);
        assert_int_equal(number(db, "SELECT sum(clips) + sum(bytes) FROM clip_totals"), 0);
}

/* Every query that the loop or the store's thread runs often must walk an index. */
static void test_queries_walk_an_index(void **state) {
        static const char *const queries[] = {
                "SELECT * FROM clips WHERE camera_id = 1 AND state NOT IN ('erased', 'lost') AND id > 5 ORDER BY id",
                "SELECT * FROM clips WHERE camera_id = 1 AND state = 'seen' AND id < 5 ORDER BY id DESC LIMIT 9",
                "SELECT * FROM clips WHERE camera_id = 1 AND id < 5 ORDER BY id DESC LIMIT 9",
                "SELECT * FROM clips WHERE state = 'copied' AND id > 5 ORDER BY id LIMIT 9",
                "SELECT * FROM clips WHERE id < 5 ORDER BY id DESC LIMIT 9",
                "SELECT * FROM clips WHERE spool_name IS NOT NULL AND +state IN ('erasing', 'erased') ORDER BY id",
                "SELECT * FROM blocks WHERE clip_id = 1 ORDER BY number",
                "SELECT * FROM custody WHERE clip_id = 1 AND seq > 5 ORDER BY seq LIMIT 9",
                "SELECT * FROM custody WHERE camera_id = 1 ORDER BY seq DESC LIMIT 9",
                "SELECT seq FROM custody WHERE clip_id = 1 AND kind = 'copied' ORDER BY seq DESC LIMIT 1",
                "SELECT * FROM custody WHERE seq > 5 ORDER BY seq LIMIT 9",
                "SELECT * FROM dockings WHERE undocked_usec IS NULL ORDER BY id",
                "SELECT id FROM cameras WHERE serial = 'x'",
                "SELECT * FROM refused WHERE id < 9 ORDER BY id DESC LIMIT 9",
        };
        Db *db = *state;
        ConfError error = { "" };

        assert_int_equal(schema_migrate(db, "x.db", &error), 0);
        for (size_t i = 0; i < ELEMENTSOF(queries); i++) {
                char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", queries[i]);
                sqlite3_stmt *statement;

                assert_int_equal(sqlite3_prepare_v2(db_handle(db), explain, -1, &statement, NULL), SQLITE_OK);
                while (sqlite3_step(statement) == SQLITE_ROW) {
                        const char *plan = (const char *) sqlite3_column_text(statement, 3);

                        /* An index that holds only the rows in question may be walked from end to end. */
                        bool partial = strstr(plan, "INDEX dockings_open") || strstr(plan, "INDEX clips_in_spool");

                        if (strstr(plan, "TEMP B-TREE") || (strncmp(plan, "SCAN", 4) == 0 && !partial))
                                fail_msg("%s: %s", queries[i], plan);
                }
                (void) sqlite3_finalize(statement);
                sqlite3_free(explain);
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_steps_are_applied_once_in_order),
                TEST(test_failed_step_rolls_back_and_names_its_number),
                TEST(test_our_schema_is_recognised_as_ours),
                TEST(test_what_is_not_as_we_made_it_is_named),
                TEST(test_last_thing_that_is_missing_is_named),
                TEST(test_database_of_the_first_version_is_brought_to_this_one),
                TEST(test_objects_that_the_store_holds_are_all_known_again),
                TEST(test_every_clip_state_can_be_stored_and_counted),
                TEST(test_queries_walk_an_index),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
