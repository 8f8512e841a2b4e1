/* SPDX-License-Identifier: Apache-2.0 */

/* What is asked of the tables: clips by what they are, totals, the flow, the evidence of a copy. */

#include "store_rig.h"

static void check_query(Rig *rig, const char *serial, ClipState state, uint64_t before, size_t max,
                        const char *expected) {
        char found[256] = "";
        ClipRow **rows;
        size_t n;

        assert_int_equal(store_clips_query(rig->store, serial, state, before, max, &rows, &n), 0);
        for (size_t i = 0; i < n; i++) {
                size_t at = strlen(found);

                (void) snprintf(found + at, sizeof(found) - at, "%s%u", i ? " " : "", (unsigned) rows[i]->id);
        }
        clip_rows_free(rows, n);
        assert_string_equal(found, expected);
}

static void test_clips_are_found_by_camera_and_state(void **state) {
        Rig *rig = *state;
        Fact camera = rig_camera(2, "X2"), lost = rig_clip_fact(FACT_CLIP_LOST, 1, 3);
        ClipRow **rows;
        size_t n;

        rig_dock(rig, 1);
        rig_expect(rig, &camera, 0);
        for (uint64_t i = 1; i <= 6; i++) {
                Fact f = rig_clip(1, i, "A.MP4", i);

                f.camera_id = i % 2 ? 1 : 2;
                rig_expect(rig, &f, 0);
        }
        rig_expect(rig, &lost, 0);
        check_query(rig, NULL, _CLIP_STATE_INVALID, 0, 99, "6 5 4 3 2 1");
        check_query(rig, NULL, _CLIP_STATE_INVALID, 5, 2, "4 3");
        check_query(rig, "X1", _CLIP_STATE_INVALID, 0, 99, "5 3 1");
        check_query(rig, "X1", CLIP_SEEN, 0, 99, "5 1");
        check_query(rig, "X2", CLIP_SEEN, 6, 1, "4");
        check_query(rig, NULL, CLIP_LOST, 0, 99, "3");
        check_query(rig, NULL, CLIP_UPLOADING, 0, 99, "");
        check_query(rig, "X9", _CLIP_STATE_INVALID, 0, 99, "");
        assert_int_equal(store_clips_query(rig->store, NULL, _CLIP_STATE_MAX, 0, 9, &rows, &n), -EINVAL);
        assert_int_equal(store_clips_on_camera(rig->store, 1, 1, 9, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0]->id, 5); /* 3 is lost */
        clip_rows_free(rows, n);
        assert_int_equal(store_clips_unstored(rig->store, 0, 9, &rows, &n), 0);
        assert_int_equal(n, 0);
        clip_rows_free(rows, n);
}

static void test_releasable_clips_are_receipted_and_in_the_spool(void **state) {
        Rig *rig = *state;
        Fact released = rig_clip_fact(FACT_SPOOL_RELEASED, 0, 2);
        ClipRow **rows;
        size_t n;

        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        rig_store_clip(rig, 1, 2);
        rig_store_clip(rig, 1, 3);
        rig_list(rig, 1, 4);
        assert_int_equal(store_clips_releasable(rig->store, 1, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0]->id, 2);
        clip_rows_free(rows, n);
        rig_expect(rig, &released, 0);
        assert_int_equal(store_clips_releasable(rig->store, 9, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0]->id, 3);
        clip_rows_free(rows, n);
}

static void test_totals_add_up(void **state) {
        Rig *rig = *state;
        StoreTotals totals;
        ClipRow **rows;
        size_t n;

        assert_int_equal(store_totals(rig->store, &totals), 0);
        assert_int_equal(totals.events, 0);
        assert_true(digest_is_zero(&totals.chain_head));
        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        rig_store_clip(rig, 1, 2);
        rig_list(rig, 1, 3);
        assert_int_equal(store_totals(rig->store, &totals), 0);
        for (int i = 0; i < _CLIP_STATE_MAX; i++)
                assert_int_equal(totals.clips_by_state[i],
                                 i == CLIP_SEEN || i == CLIP_COPIED || i == CLIP_RECEIPTED ? 1 : 0);
        assert_int_equal(totals.unstored_bytes, RIG_SIZE);
        assert_int_equal(totals.events, 3 + 3 + 4 + 1);
        assert_false(digest_is_zero(&totals.chain_head));
        assert_int_equal(store_clips_unstored(rig->store, 0, 9, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0]->id, 1);
        clip_rows_free(rows, n);
}

static void test_oldest_unstored_is_the_first_that_was_seen(void **state) {
        Fact old = rig_clip(1, 1, "DCIM/OLD.MP4", RIG_SIZE), new = rig_clip(1, 2, "DCIM/NEW.MP4", RIG_SIZE);
        Rig *rig = *state;
        ClipRow *clip = NULL;
        CameraRow **cameras;
        StoreTotals totals;
        size_t n;

        assert_int_equal(store_oldest_unstored(rig->store, &clip), -ENOENT);
        rig_dock(rig, 1);
        rig_expect(rig, &old, 0);
        rig_expect(rig, &new, 0);
        rig_store_clip(rig, 1, 3);
        assert_int_equal(store_oldest_unstored(rig->store, &clip), 0);
        assert_string_equal(clip->path, "DCIM/OLD.MP4");
        (void) clip_row_free(clip);
        assert_int_equal(store_totals(rig->store, &totals), 0);
        assert_int_equal(totals.bytes_by_state[CLIP_SEEN], 2 * RIG_SIZE);
        assert_int_equal(totals.bytes_by_state[CLIP_RECEIPTED], RIG_SIZE);
        assert_int_equal(store_cameras_by_docking(rig->store, 9, &cameras, &n), 0);
        assert_int_equal(n, 1);
        camera_rows_free(cameras, n);
}

static void test_flow_is_what_came_since_then(void **state) {
        Rig *rig = *state;
        Fact old = rig_clip(1, 1, "DCIM/OLD.MP4", 7 * RIG_SIZE), new = rig_clip(1, 2, "DCIM/NEW.MP4", 3 * RIG_SIZE);
        StoreFlow flow;

        old.at.wall_usec -= INT64_C(3600) * 1000000;
        rig_dock(rig, 1);
        rig_expect(rig, &old, 0);
        rig_expect(rig, &new, 0);
        rig_store_clip(rig, 1, 3);
        assert_int_equal(store_flow(rig->store, new.at.wall_usec, INT64_MAX, &flow), 0);
        assert_int_equal(flow.seen_bytes, 4 * RIG_SIZE);
        assert_true(flow.since_wall_usec == new.at.wall_usec);
        assert_int_equal(flow.releasable_bytes, RIG_SIZE);
        assert_int_equal(store_flow(rig->store, old.at.wall_usec, INT64_MAX, &flow), 0);
        assert_int_equal(flow.seen_bytes, 11 * RIG_SIZE);
        assert_int_equal(store_flow(rig->store, INT64_MAX, INT64_MAX, &flow), 0);
        assert_int_equal(flow.seen_bytes, 0);
        /* What came while the clock was ahead did not come in that time, as far as anybody knows. */
        assert_int_equal(store_flow(rig->store, old.at.wall_usec, old.at.wall_usec, &flow), 0);
        assert_int_equal(flow.seen_bytes, 7 * RIG_SIZE);
}

/* The daemon's loop waits for it: a clock that was years ahead, or a database of years with such times, must not hold it up. */
static void test_flow_looks_at_so_many_clips_at_most(void **state) {
        Rig *rig = *state;
        StoreFlow flow;

        rig_dock(rig, 1);
        rig_spoil(rig, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500) INSERT INTO clips"
                       " (id, camera_id, path, size_bytes, mtime_unix_sec, ordinal, flags, state, first_docking_id, last_docking_id,"
                       " seen_usec) SELECT i, 1, i || '.MP4', 2, 0, i, 0, 'seen', 1, 0, 1000 * i FROM n");
        assert_int_equal(store_flow(rig->store, 0, INT64_MAX, &flow), 0);
        assert_int_equal(flow.seen_bytes, 2 * STORE_FLOW_MAX);
        assert_true(flow.since_wall_usec == 1000 * (10500 - STORE_FLOW_MAX + 1));
        assert_int_equal(store_flow(rig->store, 0, 5, &flow), 0);
        assert_int_equal(flow.seen_bytes, 0);
        assert_true(flow.since_wall_usec == 5);
}

static void test_evidence_of_a_copy_is_its_event_and_the_check_of_its_docking(void **state) {
        Rig *rig = *state;
        Fact check = rig_fact(FACT_CHECKED), later;
        CopyEvidence e;
        EventRow **events;
        size_t n;

        rig_dock(rig, 1);
        assert_int_equal(store_copy_evidence(rig->store, 1, &e), -ENOENT);
        check.docking_id = 1;
        check.camera_id = 1;
        check.at.synchronised = true;
        check.check.battery_percent = -1;
        check.check.drift_known = true;
        check.check.drift_usec = -90000000;
        check.check.owner_known = true;
        check.check.owner = (FactOwner){ "P-1", "A. Officer", "D12", "" };
        rig_expect(rig, &check, 0);
        /* In its storage mode a camera tells neither. */
        later = check;
        later.check.drift_known = later.check.owner_known = later.at.synchronised = false;
        rig_expect(rig, &later, 0);
        rig_copy(rig, 1, 1);
        /* Back in command mode its clock was set. */
        later = check;
        later.check.drift_usec = 7;
        later.check.owner.officer_id = "P-2";
        rig_expect(rig, &later, 0);
        later.docking_id = 2;
        later.check.drift_usec = 5;
        rig_undock(rig, 1);
        rig_dock(rig, 2);
        rig_expect(rig, &later, 0);
        assert_int_equal(store_copy_evidence(rig->store, 1, &e), 0);
        assert_true(e.drift_known && e.dock_synchronised);
        assert_int_equal(e.drift_usec, -90000000);
        assert_string_equal(e.officer_id, "P-1");
        assert_string_equal(e.officer_name, "A. Officer");
        assert_string_equal(e.unit_id, "D12");
        assert_string_equal(e.unit_name, "");
        assert_int_equal(store_events(rig->store, e.seq - 1, 0, 1, 1, &events, &n), 0);
        assert_int_equal(n, 1);
        assert_true(events[0]->seq == e.seq && digest_equal(&events[0]->hash, &e.hash));
        assert_non_null(strstr(events[0]->bytes, "\"event\":\"copied\""));
        event_rows_free(events, n);
        copy_evidence_done(&e);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_oldest_unstored_is_the_first_that_was_seen),
                TEST(test_clips_are_found_by_camera_and_state),
                TEST(test_releasable_clips_are_receipted_and_in_the_spool),
                TEST(test_flow_looks_at_so_many_clips_at_most),
                TEST(test_flow_is_what_came_since_then),
                TEST(test_evidence_of_a_copy_is_its_event_and_the_check_of_its_docking),
                TEST(test_totals_add_up),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
