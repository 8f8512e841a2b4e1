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

/* Two cases want the same clip, and the same camera: what ends is one of them. */
static void test_hold_for_one_case_stands_when_another_ends(void **state) {
        Rig *rig = *state;

        rig_dock(rig, 1);
        rig_list(rig, 1, 1);
        for (uint64_t clip = 0; clip < 2; clip++) {
                Fact first = order(FACT_HOLD_SET, clip, "a"), second = order(FACT_HOLD_SET, clip, "b");
                _cleanup_(freep) char *left = NULL;

                first.camera_id = second.camera_id = 1;
                rig_must(rig, &first);
                rig_must(rig, &second);
                first.kind = second.kind = FACT_HOLD_RELEASED;
                rig_must(rig, &first);
                assert_int_equal(store_hold_of(rig->store, clip, 1, &left), 1);
                assert_string_equal(left, "b");
                rig_must(rig, &second);
        }
}

/* Which clip's object is to be held or let go next: 0 for none. */
static uint64_t due(Rig *rig, uint64_t after, bool held) {
        _cleanup_(object_hold_row_freep) ObjectHoldRow *row = NULL;
        int r = store_object_hold_due(rig->store, after, &row);

        if (r == -ENOENT)
                return 0;
        assert_int_equal(r, 0);
        assert_int_equal(row->held, held);
        return row->clip_id;
}

static Fact object(FactKind kind, uint64_t clip_id, const char *key, const char *lock) {
        Fact f = rig_clip_fact(kind, 0, clip_id);

        f.hold.object_key = key;
        f.hold.lock = lock;
        return f;
}

/* As the service does before it asks the store for the next hold that is due. */
static void ask_for(Rig *rig, uint64_t clip_id) {
        _cleanup_(object_hold_row_freep) ObjectHoldRow *row = NULL;
        Fact asked;

        assert_int_equal(store_object_hold_due(rig->store, clip_id - 1, &row), 0);
        assert_true(row->clip_id == clip_id && row->held && !row->asked);
        asked = object(FACT_OBJECT_HOLD_ASKED, clip_id, "objects/another", OBJECT_HOLD_ASKED);
        assert_int_equal(rig_put(rig, &asked), -ENOENT);
        asked.hold.object_key = row->object_key;
        asked.hold.lock = "on";
        assert_int_equal(rig_put(rig, &asked), -EINVAL);
        asked.hold.lock = OBJECT_HOLD_ASKED;
        rig_must(rig, &asked);
}

/* The answer was lost: whatever the store did of it is asked for again, or undone. */
static void test_hold_that_the_store_was_asked_for_is_not_forgotten(void **state) {
        _cleanup_(object_hold_row_freep) ObjectHoldRow *row = NULL;
        Fact clip = order(FACT_HOLD_SET, 1, "a"), off;
        Rig *rig = *state;
        HoldRow **rows;
        size_t n;

        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        rig_must(rig, &clip);
        ask_for(rig, 1);
        assert_int_equal(store_object_hold_due(rig->store, 0, &row), 0);
        assert_true(row->held && row->asked);
        assert_int_equal(store_holds(rig->store, 0, 10, &rows, &n), 0);
        assert_true(n == 1 && rows[0]->stored_clips == 1 && rows[0]->locked_clips == 0 && rows[0]->unlockable_clips == 0);
        hold_rows_free(rows, n);
        clip.kind = FACT_HOLD_RELEASED;
        rig_must(rig, &clip);
        row = object_hold_row_free(row);
        assert_int_equal(store_object_hold_due(rig->store, 0, &row), 0);
        assert_true(!row->held && row->manifest_key[0]);
        off = object(FACT_OBJECT_LET_GO, 1, row->object_key, "off");
        rig_must(rig, &off);
        assert_int_equal(due(rig, 0, false), 0);
}

/* The release was asked for, and may have been done, when the clip is held anew: what is there is not known, and is asked for again. */
static void test_hold_that_comes_before_the_answer_to_a_release_is_asked_for(void **state) {
        _cleanup_(object_hold_row_freep) ObjectHoldRow *row = NULL;
        Fact clip = order(FACT_HOLD_SET, 1, "a"), there;
        Rig *rig = *state;

        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        rig_must(rig, &clip);
        ask_for(rig, 1);
        assert_int_equal(store_object_hold_due(rig->store, 0, &row), 0);
        there = object(FACT_OBJECT_HELD, 1, row->object_key, "on");
        rig_must(rig, &there);
        assert_int_equal(due(rig, 0, true), 0);
        clip.kind = FACT_HOLD_RELEASED;
        rig_must(rig, &clip);
        row = object_hold_row_free(row);
        assert_int_equal(store_object_hold_due(rig->store, 0, &row), 0);
        assert_true(!row->held && !row->asked);
        clip.kind = FACT_HOLD_SET;
        rig_must(rig, &clip);
        row = object_hold_row_free(row);
        assert_int_equal(store_object_hold_due(rig->store, 0, &row), 0);
        assert_true(row->held && row->asked);
}

/* The store lost it, and got it anew: both objects may have a hold, and what was there first is known by its receipt, which is void. */
static void test_object_that_was_stored_before_is_let_go_by_its_own_keys(void **state) {
        _cleanup_(object_hold_row_freep) ObjectHoldRow *first = NULL, *row = NULL;
        Fact clip = order(FACT_HOLD_SET, 1, "a"), lost = rig_clip_fact(FACT_STORE_REFUSED, 0, 1), anew = rig_receipted(1, RIG_SIZE), off;
        Rig *rig = *state;

        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        rig_must(rig, &clip);
        assert_int_equal(store_object_hold_due(rig->store, 0, &first), 0);
        ask_for(rig, 1);
        rig_must(rig, &lost);
        assert_int_equal(due(rig, 0, true), 0);
        anew.receipt.object_key = "objects/anew";
        anew.receipt.manifest_key = "manifests/anew";
        rig_must(rig, &anew);
        ask_for(rig, 1);
        clip.kind = FACT_HOLD_RELEASED;
        rig_must(rig, &clip);
        for (unsigned n = 0; n < 2; n++) {
                row = object_hold_row_free(row);
                assert_int_equal(store_object_hold_due(rig->store, 0, &row), 0);
                assert_false(row->held);
                assert_string_equal(row->manifest_key,
                                    text_equal(row->object_key, "objects/anew") ? "manifests/anew" : first->manifest_key);
                off = object(FACT_OBJECT_LET_GO, 1, row->object_key, "off");
                rig_must(rig, &off);
        }
        assert_int_equal(due(rig, 0, false), 0);
}

static void test_objects_of_held_clips_are_due_until_the_store_answered(void **state) {
        Fact clip = order(FACT_HOLD_SET, 1, "a"), camera = order(FACT_HOLD_SET, 0, "b"), on, none, off;
        _cleanup_(object_hold_row_freep) ObjectHoldRow *row = NULL;
        Rig *rig = *state;
        HoldRow **rows;
        size_t n;

        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        rig_store_clip(rig, 1, 2);
        assert_int_equal(due(rig, 0, true), 0);
        rig_must(rig, &clip);
        assert_int_equal(due(rig, 0, true), 1);
        rig_must(rig, &camera);
        assert_int_equal(due(rig, 1, true), 2);
        assert_int_equal(store_object_hold_due(rig->store, 0, &row), 0);
        assert_false(row->asked);
        on = object(FACT_OBJECT_HELD, 1, row->object_key, "on");
        assert_int_equal(rig_put(rig, &on), -ENOENT); /* that it was asked for is not on record */
        ask_for(rig, 1);
        on.hold.object_key = "objects/another";
        assert_int_equal(rig_put(rig, &on), -ENOENT);
        on.hold.object_key = row->object_key;
        on.hold.lock = "off";
        assert_int_equal(rig_put(rig, &on), -EINVAL);
        on.hold.lock = "on";
        rig_must(rig, &on);
        assert_int_equal(due(rig, 0, true), 2);
        row = object_hold_row_free(row);
        assert_int_equal(store_object_hold_due(rig->store, 0, &row), 0);
        ask_for(rig, 2);
        none = object(FACT_OBJECT_HELD, 2, row->object_key, "none");
        rig_must(rig, &none);
        assert_int_equal(due(rig, 0, true), 0);
        assert_int_equal(store_holds(rig->store, 0, 10, &rows, &n), 0);
        assert_int_equal(n, 2);
        assert_true(rows[0]->stored_clips == 1 && rows[0]->locked_clips == 1 && rows[0]->unlockable_clips == 0);
        assert_true(rows[1]->stored_clips == 2 && rows[1]->locked_clips == 1 && rows[1]->unlockable_clips == 1);
        hold_rows_free(rows, n);
        /* One hold less is not none. */
        camera.kind = clip.kind = FACT_HOLD_RELEASED;
        rig_must(rig, &camera);
        assert_int_equal(due(rig, 0, false), 2);
        rig_must(rig, &clip);
        assert_int_equal(due(rig, 0, false), 1);
        off = object(FACT_OBJECT_LET_GO, 1, "objects/another", "off");
        assert_int_equal(rig_put(rig, &off), -ENOENT);
        row = object_hold_row_free(row);
        assert_int_equal(store_object_hold_due(rig->store, 0, &row), 0);
        off.hold.object_key = row->object_key;
        rig_must(rig, &off);
        assert_int_equal(rig_put(rig, &off), -ENOENT);
        assert_int_equal(due(rig, 0, false), 2);
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

/* Seen by the daemon's look at the clock, and told by what was on its way to the database by then. */
static void test_step_of_the_clock_is_on_record_once(void **state) {
        const int64_t wall = INT64_C(1700000000000000);
        Fact before = started("a", HOUR, wall), first = started("a", 2 * HOUR, wall + 9999 * (int64_t) HOUR), step = first;
        Rig *rig = *state;

        step.kind = FACT_CLOCK_STEPPED;
        step.step.step_usec = 9998 * (int64_t) HOUR;
        rig_must(rig, &before);
        rig_must(rig, &first);
        assert_int_equal(rig_put(rig, &step), -EALREADY);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_held_copy_does_not_leave_the_spool, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_hold_stands_once_and_is_listed_with_who_ordered_it, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_hold_for_one_case_stands_when_another_ends, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_objects_of_held_clips_are_due_until_the_store_answered, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_hold_that_the_store_was_asked_for_is_not_forgotten, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_hold_that_comes_before_the_answer_to_a_release_is_asked_for, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_object_that_was_stored_before_is_let_go_by_its_own_keys, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_running_time_adds_up_over_boots_whatever_the_clock_says, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_step_of_the_clock_is_on_record_once, rig_setup, rig_teardown),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
