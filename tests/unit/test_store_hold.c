/* SPDX-License-Identifier: Apache-2.0 */

/* Holds, and how long the dock has run: what retention goes by. */

#include "store_rig.h"

#define HOUR (UINT64_C(3600) * USEC_PER_SEC)

static Fact order(FactKind kind, uint64_t clip_id, const char *name) {
        Fact f = rig_fact(kind);

        f.clip_id = clip_id;
        f.camera_id = 1;
        f.by_operator = true;
        f.operator_uid = 1000;
        f.operator_name = "ann";
        f.hold.case_name = name;
        return f;
}

static Fact release(uint64_t clip_id) {
        return rig_clip_fact(FACT_SPOOL_RELEASED, 0, clip_id);
}

static size_t n_releasable(Rig *rig) {
        ClipRow **rows;
        size_t n;

        assert_int_equal(store_clips_releasable(rig->store, 10, &rows, &n), 0);
        clip_rows_free(rows, n);
        return n;
}

static void test_held_copy_does_not_leave_the_spool(void **state) {
        Fact set = order(FACT_HOLD_SET, 1, "a"), camera = order(FACT_HOLD_SET, 0, "b"), gone = release(1);
        Rig *rig = *state;

        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        assert_int_equal(n_releasable(rig), 1);
        rig_must(rig, &set);
        rig_must(rig, &camera);
        assert_int_equal(n_releasable(rig), 0);
        assert_int_equal(rig_put(rig, &gone), -EKEYREJECTED);
        set.kind = FACT_HOLD_RELEASED;
        rig_must(rig, &set);
        assert_int_equal(rig_put(rig, &gone), -EKEYREJECTED);
        assert_non_null(strstr(store_last_refusal(rig->store), "held for case b"));
        camera.kind = FACT_HOLD_RELEASED;
        rig_must(rig, &camera);
        assert_int_equal(n_releasable(rig), 1);
        rig_must(rig, &gone);
}

static void test_hold_stands_once_and_is_listed_with_who_ordered_it(void **state) {
        Fact set = order(FACT_HOLD_SET, 1, "a"), nobody = order(FACT_HOLD_SET, 1, "b");
        Rig *rig = *state;
        HoldRow **rows;
        size_t n;

        rig_dock(rig, 1);
        rig_list(rig, 1, 1);
        rig_must(rig, &set);
        assert_int_equal(rig_put(rig, &set), -EALREADY);
        nobody.by_operator = false;
        assert_int_equal(rig_put(rig, &nobody), -EINVAL);
        assert_int_equal(store_holds(rig->store, 0, 10, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_true(rows[0]->clip_id == 1 && rows[0]->camera_id == 1 && rows[0]->operator_uid == 1000);
        assert_string_equal(rows[0]->serial, "X1");
        assert_string_equal(rows[0]->case_name, "a");
        assert_string_equal(rows[0]->operator_name, "ann");
        hold_rows_free(rows, n);
        set.kind = FACT_HOLD_RELEASED;
        rig_must(rig, &set);
        assert_int_equal(rig_put(rig, &set), -ENOENT);
}

static Fact started(const char *boot, uint64_t boottime_usec, int64_t wall_usec) {
        Fact f = { .kind = FACT_DAEMON_STARTED, .at = { .wall_usec = wall_usec, .boottime_usec = boottime_usec } };

        (void) snprintf(f.at.boot_id, sizeof(f.at.boot_id), "%s", boot);
        return f;
}

static StoreRunning running(Rig *rig, const Fact *f) {
        StoreRunning r;

        assert_int_equal(store_running(rig->store, &f->at, &r), 0);
        return r;
}

static void test_running_time_adds_up_over_boots_whatever_the_clock_says(void **state) {
        const int64_t wall = INT64_C(1700000000000000);
        Fact a = started("a", HOUR, wall), b = started("a", 3 * HOUR, wall + 2 * (int64_t) HOUR);
        Fact c = started("c", HOUR, wall + 900 * (int64_t) HOUR), forward = started("c", 2 * HOUR, wall + 9999 * (int64_t) HOUR);
        Fact later = started("c", 4 * HOUR, wall + 10001 * (int64_t) HOUR);
        Rig *rig = *state;

        rig_must(rig, &a);
        rig_must(rig, &b);
        assert_true(running(rig, &b).total_usec == 2 * HOUR && running(rig, &b).since_step_usec == UINT64_MAX);
        rig_must(rig, &c);
        assert_true(running(rig, &c).total_usec == 3 * HOUR && running(rig, &c).since_step_usec == UINT64_MAX);
        assert_true(running(rig, &forward).step_usec != 0 && running(rig, &forward).since_step_usec == 0);
        rig_must(rig, &forward);
        assert_true(running(rig, &forward).total_usec == 4 * HOUR && running(rig, &forward).step_usec == 0);
        assert_true(running(rig, &later).since_step_usec == 2 * HOUR && running(rig, &later).total_usec == 6 * HOUR);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_held_copy_does_not_leave_the_spool, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_hold_stands_once_and_is_listed_with_who_ordered_it, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_running_time_adds_up_over_boots_whatever_the_clock_says, rig_setup, rig_teardown),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
