/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes that a camera's medium did not give: on record each time, in the chain and in a table. */

#include "store_rig.h"

static Fact unreadable(uint64_t clip_id, const ByteRange *ranges, size_t n, unsigned attempt) {
        Fact f = rig_clip_fact(FACT_PULL_UNREADABLE, 1, clip_id);

        f.text = "bytes of the clip cannot be read";
        f.unreadable.offset_bytes = WIRE_BLOCK_SIZE;
        f.unreadable.attempt = attempt;
        f.unreadable.ranges = ranges;
        f.unreadable.n_ranges = n;
        return f;
}

static void begin(Rig *rig) {
        rig_dock(rig, 1);
        rig_list(rig, 1, 1);
        rig_begin_pull(rig, 1, 1, 0);
        rig_pull_blocks(rig, 1, 1, 0, 1);
}

static void test_ranges_are_kept_each_time_and_told_in_the_chain(void **state) {
        static const ByteRange first[] = { { 9000000, 512 }, { 9001024, 1024 } }, second[] = { { 9000000, 512 } };
        _cleanup_(freep) ByteRange *ranges = NULL, *none = NULL;
        _cleanup_(clip_row_freep) ClipRow *row = NULL;
        Rig *rig = *state;
        EventRow **events = NULL;
        size_t n = 0;
        Fact f;

        begin(rig);
        assert_int_equal(store_unreadable(rig->store, 1, &none, &n), 0);
        assert_int_equal(n, 0);
        f = unreadable(1, first, 2, 1);
        rig_must(rig, &f);
        assert_int_equal(store_events_last(rig->store, 0, 1, 1, &events, &n), 0);
        assert_non_null(strstr(events[0]->bytes, "\"event\":\"pull-unreadable\""));
        assert_non_null(strstr(events[0]->bytes, "\"offset_bytes\":8388608"));
        assert_non_null(strstr(events[0]->bytes, "\"attempt\":1"));
        assert_non_null(strstr(events[0]->bytes, "\"ranges\":[[9000000,512],[9001024,1024]]"));
        event_rows_free(events, n);
        f = unreadable(1, second, 1, 2);
        rig_must(rig, &f);
        assert_int_equal(store_unreadable(rig->store, 1, &ranges, &n), 0);
        assert_int_equal(n, 1);
        assert_memory_equal(ranges, second, sizeof(second));
        row = rig_row(rig, 1);
        assert_int_equal(row->state, CLIP_COPYING);
        assert_int_equal(row->durable_bytes, WIRE_BLOCK_SIZE);
        assert_string_equal(row->reason, "bytes of the clip cannot be read");
}

static void test_clip_that_is_read_after_all_has_no_reason_left(void **state) {
        static const ByteRange bad[] = { { 9000000, 512 } };
        Fact f = unreadable(1, bad, 1, 1), copied = rig_copied(1, 1, RIG_SIZE);
        _cleanup_(clip_row_freep) ClipRow *row = NULL;
        Rig *rig = *state;

        begin(rig);
        rig_must(rig, &f);
        rig_begin_pull(rig, 1, 1, WIRE_BLOCK_SIZE);
        rig_pull_blocks(rig, 1, 1, 1, 3);
        rig_must(rig, &copied);
        row = rig_row(rig, 1);
        assert_int_equal(row->state, CLIP_COPIED);
        assert_null(row->reason);
}

static void test_ranges_that_cannot_be_are_refused(void **state) {
        static const ByteRange bad[] = { { 512, 512 }, { 0, 512 } }, empty[] = { { 5, 0 } };
        static ByteRange many[FACT_RANGES_MAX + 1];
        Rig *rig = *state;
        Fact f = unreadable(1, bad, 2, 1);

        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = (ByteRange){ i * 10, 1 };
        begin(rig);
        assert_int_equal(store_put(rig->store, &f, NULL, NULL), -ERANGE);
        f = unreadable(1, empty, 1, 1);
        assert_int_equal(store_put(rig->store, &f, NULL, NULL), -ERANGE);
        f = unreadable(1, many, ELEMENTSOF(many), 1);
        assert_int_equal(store_put(rig->store, &f, NULL, NULL), -ERANGE);
        f = unreadable(1, many, 0, 1);
        assert_int_equal(store_put(rig->store, &f, NULL, NULL), -ERANGE);
        f = unreadable(1, many, FACT_RANGES_MAX, 1);
        rig_must(rig, &f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_ranges_are_kept_each_time_and_told_in_the_chain),
                TEST(test_clip_that_is_read_after_all_has_no_reason_left),
                TEST(test_ranges_that_cannot_be_are_refused),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
