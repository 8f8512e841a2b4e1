/* SPDX-License-Identifier: Apache-2.0 */

/* The custody chain: what its bytes are, how they are linked, and how they are read. */

#include "store_rig.h"

#include "store/custody.h"

static json_t *parse(const EventRow *event) {
        json_t *object = json_loads(event->bytes, JSON_REJECT_DUPLICATES, NULL);

        assert_true(json_is_object(object));
        return object;
}

static const char *text(const json_t *object, const char *key) {
        return json_string_value(json_object_get(object, key));
}

/* A little of everything. */
static void live_a_little(Rig *rig) {
        Fact erase = rig_erase(1, 1), erased = rig_clip_fact(FACT_ERASED, 1, 1), check = rig_fact(FACT_CHECKED);
        Fact clock = rig_fact(FACT_CLOCK_SET), fault = rig_fact(FACT_FAULT), refused = rig_fact(FACT_REFUSED);

        rig_dock(rig, 1);
        check.docking_id = clock.docking_id = fault.docking_id = 1;
        check.check.battery_percent = 80;
        check.check.drift_known = true;
        check.check.drift_usec = -5;
        rig_must(rig, &check);
        clock.text = "the dock's clock is not synchronised";
        rig_must(rig, &clock);
        rig_store_clip(rig, 1, 1);
        fault.text = "it stalled: \"\xc3\xa4\" \xf0\x9f\x93\xb7 \x01 \\ /";
        rig_must(rig, &fault);
        refused.bay = "1-1.2";
        refused.usb.descriptors_hex = "1201";
        rig_must(rig, &refused);
        rig_must(rig, &erase);
        rig_must(rig, &erased);
}

static void test_each_line_hashes_to_the_next_lines_prev(void **state) {
        Rig *rig = *state;
        char prev[DIGEST_HEX_SIZE];
        Digest digest = { 0 };
        EventRow **events;
        StoreTotals totals;
        size_t n;

        live_a_little(rig);
        assert_int_equal(store_events(rig->store, 0, 0, 0, 100, &events, &n), 0);
        assert_int_equal(n, 13);
        for (size_t i = 0; i < n; i++) {
                json_t *object = parse(events[i]);

                assert_int_equal(json_integer_value(json_object_get(object, "v")), 1);
                assert_int_equal(json_integer_value(json_object_get(object, "seq")), i + 1);
                assert_int_equal(events[i]->seq, i + 1);
                assert_string_equal(text(object, "prev"), digest_to_hex(&digest, prev));
                assert_int_equal(digest_of(events[i]->bytes, strlen(events[i]->bytes), &digest), 0);
                assert_true(digest_equal(&digest, &events[i]->hash));
                json_decref(object);
        }
        assert_int_equal(store_totals(rig->store, &totals), 0);
        assert_int_equal(totals.events, n);
        assert_true(digest_equal(&totals.chain_head, &digest));
        event_rows_free(events, n);
}

static void check_canonical(const json_t *value) {
        const char *key;
        json_t *member;
        size_t i;

        assert_false(json_is_real(value));
        assert_false(json_is_null(value));
        json_object_foreach((json_t *) value, key, member)
                check_canonical(member);
        json_array_foreach(value, i, member)
                check_canonical(member);
}

static void test_bytes_are_canonical_json_on_one_line(void **state) {
        Rig *rig = *state;
        EventRow **events;
        size_t n;

        live_a_little(rig);
        assert_int_equal(store_events(rig->store, 0, 0, 0, 100, &events, &n), 0);
        for (size_t i = 0; i < n; i++) {
                json_t *object = parse(events[i]);
                char *again = json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT);

                assert_string_equal(again, events[i]->bytes);
                assert_null(strchr(events[i]->bytes, '\n'));
                assert_true(text_is_utf8(events[i]->bytes, strlen(events[i]->bytes)));
                check_canonical(object);
                free(again);
                json_decref(object);
        }
        event_rows_free(events, n);
}

static void test_event_reads_without_the_database(void **state) {
        Rig *rig = *state;
        char time[UTC_TEXT_SIZE], hex[DIGEST_HEX_SIZE];
        Fact receipted = rig_receipted(1, RIG_SIZE);
        Digest whole = rig_digest("whole");
        EventRow **events;
        json_t *object;
        size_t n;

        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        receipted.docking_id = 1;
        rig_must(rig, &receipted);
        assert_int_equal(store_events_last(rig->store, 0, 1, 1, &events, &n), 0);
        object = parse(events[0]);
        assert_string_equal(text(object, "event"), "receipted");
        assert_string_equal(text(object, "serial"), "X1");
        assert_string_equal(text(object, "path"), "DCIM/100/A.MP4");
        assert_string_equal(text(object, "bay"), "1-1.1");
        assert_string_equal(text(object, "digest"), digest_to_hex(&whole, hex));
        assert_string_equal(text(object, "object_key"), receipted.receipt.object_key);
        assert_string_equal(text(object, "strength"), "digest");
        assert_null(json_object_get(object, "version")); /* the store has none */
        assert_string_equal(text(object, "time"), utc_text(receipted.at.wall_usec, time));
        assert_string_equal(text(object, "boot"), receipted.at.boot_id);
        assert_int_equal(json_integer_value(json_object_get(object, "boottime_usec")), receipted.at.boottime_usec);
        assert_true(json_is_true(json_object_get(object, "synchronised")));
        assert_int_equal(json_integer_value(json_object_get(object, "size_bytes")), RIG_SIZE);
        assert_int_equal(json_integer_value(json_object_get(object, "clip_id")), 1);
        assert_int_equal(json_integer_value(json_object_get(object, "camera_id")), 1);
        assert_int_equal(json_integer_value(json_object_get(object, "docking_id")), 1);
        json_decref(object);
        event_rows_free(events, n);
}

static void test_unknown_time_of_a_clip_is_left_out(void **state) {
        Rig *rig = *state;
        Fact f = rig_clip(1, 1, "A.MP4", 7);
        _cleanup_(clip_row_freep) ClipRow *row = NULL;
        EventRow **events;
        size_t n;

        rig_dock(rig, 1);
        f.clip.mtime_unix_sec = FACT_UNKNOWN_TIME;
        rig_must(rig, &f);
        row = rig_row(rig, 1);
        assert_int_equal(row->mtime_unix_sec, FACT_UNKNOWN_TIME);
        assert_int_equal(store_events_last(rig->store, 0, 0, 1, &events, &n), 0);
        assert_null(strstr(events[0]->bytes, "mtime"));
        event_rows_free(events, n);
}

static void test_block_facts_have_no_event(void **state) {
        Rig *rig = *state;
        uint64_t events;

        rig_dock(rig, 1);
        rig_list(rig, 1, 1);
        rig_begin_pull(rig, 1, 1, 0);
        events = rig_events(rig);
        rig_pull_blocks(rig, 1, 1, 0, 3);
        assert_int_equal(rig_events(rig), events);
}

static void check_events(Rig *rig, bool last, uint64_t after, uint64_t camera, uint64_t clip, size_t max,
                         const char *expected) {
        char found[256] = "";
        EventRow **events;
        size_t n;
        int r;

        r = last ? store_events_last(rig->store, camera, clip, max, &events, &n)
                 : store_events(rig->store, after, camera, clip, max, &events, &n);
        assert_int_equal(r, 0);
        for (size_t i = 0; i < n; i++) {
                size_t at = strlen(found);

                (void) snprintf(found + at, sizeof(found) - at, "%s%u", i ? " " : "", (unsigned) events[i]->seq);
        }
        event_rows_free(events, n);
        assert_string_equal(found, expected);
}

static void test_events_are_read_by_camera_and_clip(void **state) {
        Rig *rig = *state;
        Fact other = rig_camera(2, "X2"), refused = rig_fact(FACT_REFUSED);

        rig_dock(rig, 1);       /* 1 2 3: of camera 1 but for the docking, whose camera was not known yet */
        rig_list(rig, 1, 1);    /* 4 */
        rig_must(rig, &other);  /* 5 */
        refused.bay = "1-1.2";
        rig_must(rig, &refused); /* 6 */
        rig_list(rig, 1, 2);    /* 7 */
        rig_begin_pull(rig, 1, 1, 0); /* 8 */
        check_events(rig, false, 0, 0, 0, 99, "1 2 3 4 5 6 7 8");
        check_events(rig, false, 3, 0, 0, 2, "4 5");
        check_events(rig, false, 0, 1, 0, 99, "1 3 4 7 8");
        check_events(rig, false, 4, 1, 0, 1, "7");
        check_events(rig, false, 0, 0, 1, 99, "4 8");
        check_events(rig, false, 0, 1, 1, 99, "4 8");
        check_events(rig, false, 0, 2, 1, 99, "");
        check_events(rig, false, UINT64_MAX, 0, 0, 99, "");
        check_events(rig, true, 0, 0, 0, 3, "6 7 8");
        check_events(rig, true, 0, 1, 0, 2, "7 8");
        check_events(rig, true, 0, 0, 1, 9, "4 8");
        check_events(rig, true, 0, 2, 1, 9, "");
        check_events(rig, true, 0, 0, 0, 0, "");
}

static void test_custody_table_takes_no_change(void **state) {
        static const char *const changes[] = { "UPDATE custody SET kind = 'x'", "DELETE FROM custody",
                                               "UPDATE custody SET hash = zeroblob(32)" };
        Rig *rig = *state;
        _cleanup_(freep) char *path = rig_path(rig, "berth.db");
        sqlite3 *db;

        rig_dock(rig, 1);
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        for (size_t i = 0; i < ELEMENTSOF(changes); i++)
                assert_int_equal(sqlite3_exec(db, changes[i], NULL, NULL, NULL), SQLITE_CONSTRAINT);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#define EVENT "\"event\":\"fault\",\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\""

static void test_only_canonical_events_are_parsed(void **state) {
        static const char good[] = "{" EVENT ",\"seq\":1,\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}";
        static const char *const bad[] = {
                "",
                "x",
                "[]",
                "{}",
                "{" EVENT ",\"seq\":1,\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1} ",
                "{ " EVENT ",\"seq\":1,\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}",
                "{\"seq\":1," EVENT ",\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}",
                "{" EVENT ",\"seq\":0,\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}",
                "{" EVENT ",\"seq\":-1,\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}",
                "{" EVENT ",\"seq\":\"1\",\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}",
                "{" EVENT ",\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}",
                "{" EVENT ",\"seq\":1,\"time\":\"2026-11-23T09:15:00Z\",\"v\":1}",
                "{" EVENT ",\"seq\":1,\"time\":\"2026-11-31T09:15:00.123456Z\",\"v\":1}",
                "{" EVENT ",\"seq\":1,\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":2}",
                "{" EVENT ",\"seq\":1,\"seq\":1,\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}",
                "{\"clip_id\":0," EVENT ",\"seq\":1,\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}",
                "{\"clip_id\":1.0," EVENT ",\"seq\":1,\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}",
                "{\"event\":\"fault\",\"prev\":\"00\",\"seq\":1,\"time\":\"2026-11-23T09:15:00.123456Z\",\"v\":1}",
        };
        CustodyEvent e = { 0 };

        (void) state;
        assert_int_equal(custody_parse(good, strlen(good), &e), 0);
        assert_int_equal(e.seq, 1);
        assert_string_equal(e.kind, "fault");
        assert_int_equal(e.wall_usec, INT64_C(1795425300123456));
        custody_event_done(&e);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (custody_parse(bad[i], strlen(bad[i]), &e) != -EBADE)
                        fail_msg("%s", bad[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_each_line_hashes_to_the_next_lines_prev),
                TEST(test_bytes_are_canonical_json_on_one_line),
                TEST(test_event_reads_without_the_database),
                TEST(test_unknown_time_of_a_clip_is_left_out),
                TEST(test_block_facts_have_no_event),
                TEST(test_events_are_read_by_camera_and_clip),
                TEST(test_custody_table_takes_no_change),
                cmocka_unit_test(test_only_canonical_events_are_parsed),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
