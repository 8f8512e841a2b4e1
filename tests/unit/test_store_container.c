/* SPDX-License-Identifier: Apache-2.0 */

/* What a clip is as a file: kept with its copy, told in the copy's event. */

#include "store_rig.h"

static void test_container_is_kept_with_the_copy_and_told_in_its_event(void **state) {
        Rig *rig = *state;
        Fact copied = rig_copied(1, 1, RIG_SIZE), aside = rig_clip_fact(FACT_PART_SET_ASIDE, 1, 1);
        _cleanup_(clip_row_freep) ClipRow *before = NULL, *row = NULL, *after = NULL;
        EventRow **events = NULL;
        size_t n = 0;

        copied.copy.container = (Container){ .format = CONTAINER_MP4, .verdict = CONTAINER_INCOMPLETE, .offset = 36,
                                             .recorded_unix_sec = 1795598100, .duration_msec = 2000,
                                             .reason = "the box mdat at 36 is cut" };
        rig_dock(rig, 1);
        rig_list(rig, 1, 1);
        before = rig_row(rig, 1);
        assert_true(before->container.format == CONTAINER_NONE && before->container.recorded_unix_sec == CONTAINER_TIME_UNKNOWN);
        rig_begin_pull(rig, 1, 1, 0);
        rig_pull_blocks(rig, 1, 1, 0, 3);
        rig_must(rig, &copied);
        row = rig_row(rig, 1);
        assert_memory_equal(&row->container, &copied.copy.container, offsetof(Container, reason));
        assert_string_equal(row->container.reason, "the box mdat at 36 is cut");
        assert_int_equal(store_events_last(rig->store, 0, 1, 1, &events, &n), 0);
        assert_int_equal(n, 1);
        assert_non_null(strstr(events[0]->bytes, "\"container\":\"mp4\",\"container_offset\":36,"
                                                 "\"container_reason\":\"the box mdat at 36 is cut\",\"container_state\":\"incomplete\""));
        assert_non_null(strstr(events[0]->bytes, "\"duration_msec\":2000"));
        assert_non_null(strstr(events[0]->bytes, "\"recorded_unix_sec\":1795598100"));
        event_rows_free(events, n);
        aside.text = "the spool's copy is damaged";
        rig_must(rig, &aside);
        after = rig_row(rig, 1);
        assert_memory_equal(&after->container, &before->container, sizeof(Container));
}

static void test_container_that_nobody_knows_is_refused(void **state) {
        Rig *rig = *state;
        Fact f = rig_copied(1, 1, RIG_SIZE);

        f.copy.container.format = _CONTAINER_FORMAT_MAX;
        assert_int_equal(store_put(rig->store, &f, NULL, NULL), -EINVAL);
        f.copy.container.format = CONTAINER_AVI;
        memset(f.copy.container.reason, 'x', sizeof(f.copy.container.reason));
        assert_int_equal(store_put(rig->store, &f, NULL, NULL), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_container_is_kept_with_the_copy_and_told_in_its_event),
                TEST(test_container_that_nobody_knows_is_refused),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
