/* SPDX-License-Identifier: Apache-2.0 */

/* Migrations: store/schema.c. A failed step rolls back and stops with its number. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

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
                TEST(test_database_of_the_first_version_is_brought_to_this_one),
                TEST(test_every_clip_state_can_be_stored_and_counted),
                TEST(test_queries_walk_an_index),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
