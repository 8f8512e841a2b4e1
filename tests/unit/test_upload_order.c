/* SPDX-License-Identifier: Apache-2.0 */

/* Which clip goes to the store next, and how many at once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/upload.h"

static void test_what_matters_goes_before_what_is_fair(void **state) {
        /* Each goes before all that follow it. */
        static const UploadFacts order[] = {
                { .clip_id = 9, .urgent = true, .camera_under_way = 3, .camera_turn = 8, .since_unix_sec = 900 },
                { .clip_id = 8, .priority = true, .owner_waits = true, .camera_under_way = 2, .since_unix_sec = 800 },
                { .clip_id = 7, .overdue = true, .camera_under_way = 1, .since_unix_sec = 10 },
                { .clip_id = 6, .owner_waits = true, .camera_turn = 4, .since_unix_sec = 700 },
                { .clip_id = 5, .owner_waits = true, .camera_turn = 5, .since_unix_sec = 100 },
                { .clip_id = 4, .owner_waits = true, .camera_under_way = 1, .camera_turn = 1, .since_unix_sec = 1 },
                { .clip_id = 2, .since_unix_sec = 50 },
                { .clip_id = 3, .since_unix_sec = 50 },
                { .clip_id = 1, .since_unix_sec = 51 },
                { .clip_id = 0, .companion = true, .owner_waits = true, .since_unix_sec = 1 },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(order); i++)
                for (size_t j = 0; j < ELEMENTSOF(order); j++)
                        assert_int_equal(upload_compare(&order[i], &order[j]), i < j ? -1 : i > j);
}

/* One upload at a time from three cameras, one of which has much more and older footage than the others. */
static void test_no_camera_waits_for_another_to_be_done(void **state) {
        UploadFacts clips[24];
        uint64_t turns[3] = { 0 }, turn = 0;
        unsigned taken[3] = { 0 };
        (void) state;

        for (unsigned i = 0; i < ELEMENTSOF(clips); i++)
                clips[i] = (UploadFacts){ .clip_id = i, .since_unix_sec = i };
        for (unsigned round = 0; round < 12; round++) {
                UploadFacts *best = NULL;

                for (unsigned i = 0; i < ELEMENTSOF(clips); i++) {
                        unsigned camera = i < 16 ? 0 : i < 20 ? 1 : 2;

                        clips[i].camera_turn = turns[camera];
                        if (clips[i].clip_id != UINT64_MAX && (!best || upload_compare(&clips[i], best) < 0))
                                best = &clips[i];
                }
                unsigned index = (unsigned) (best - clips), camera = index < 16 ? 0 : index < 20 ? 1 : 2;
                turns[camera] = ++turn;
                taken[camera]++;
                best->clip_id = UINT64_MAX;
        }
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(taken[i], 4);
}

static void test_store_that_asks_for_less_gets_half_and_slowly_more_again(void **state) {
        UploadPace p;
        uint64_t now = 1000 * USEC_PER_SEC;
        (void) state;

        upload_pace_init(&p, 8);
        assert_int_equal(upload_pace_allows(&p, now), 8);
        upload_pace_slow_down(&p, 5 * USEC_PER_SEC, 0, now);
        assert_int_equal(upload_pace_allows(&p, now), 0);
        assert_true(p.not_before_usec == now + 5 * USEC_PER_SEC);
        now = p.not_before_usec;
        assert_int_equal(upload_pace_allows(&p, now), 4);
        for (unsigned i = 0; i < 3; i++)
                upload_pace_went_well(&p);
        assert_int_equal(upload_pace_allows(&p, now), 4);
        upload_pace_went_well(&p);
        assert_int_equal(upload_pace_allows(&p, now), 5);
        for (unsigned i = 0; i < 5 + 6 + 7 + 8 + 8; i++)
                upload_pace_went_well(&p);
        assert_int_equal(upload_pace_allows(&p, now), 8);
}

static void test_uploads_that_are_told_together_count_once(void **state) {
        UploadPace p;
        (void) state;

        upload_pace_init(&p, 8);
        for (unsigned i = 0; i < 8; i++)
                upload_pace_slow_down(&p, USEC_PER_SEC, 0, 500);
        assert_int_equal(p.limit, 4);
        assert_int_equal(upload_pace_allows(&p, 500 + USEC_PER_SEC), 4);
}

static void test_store_that_goes_on_asking_is_left_alone_for_longer_and_longer(void **state) {
        UploadPace p;
        uint64_t now = 0, last = 0;
        (void) state;

        upload_pace_init(&p, 4);
        for (unsigned i = 0; i < 12; i++) {
                upload_pace_slow_down(&p, 0, 0, now);
                assert_true(p.not_before_usec - now >= last);
                assert_true(p.not_before_usec - now <= 120 * USEC_PER_SEC);
                last = p.not_before_usec - now;
                now = p.not_before_usec;
        }
        assert_true(last == 120 * USEC_PER_SEC);
        assert_int_equal(upload_pace_allows(&p, now), 1);
        upload_pace_went_well(&p);
        upload_pace_slow_down(&p, 0, 0, now);
        assert_true(p.not_before_usec == now + USEC_PER_SEC);
}

static void test_docks_that_were_told_at_once_do_not_come_back_at_once(void **state) {
        UploadPace a, b;
        (void) state;

        upload_pace_init(&a, 4);
        upload_pace_init(&b, 4);
        upload_pace_slow_down(&a, 8 * USEC_PER_SEC, 12345, 0);
        upload_pace_slow_down(&b, 8 * USEC_PER_SEC, 7654321, 0);
        assert_true(a.not_before_usec != b.not_before_usec);
        assert_true(a.not_before_usec >= 8 * USEC_PER_SEC && a.not_before_usec <= 10 * USEC_PER_SEC);
        upload_pace_init(&a, 4);
        upload_pace_slow_down(&a, UINT64_MAX, UINT64_MAX, 0);
        assert_true(a.not_before_usec <= 4500 * USEC_PER_SEC);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_matters_goes_before_what_is_fair),
                cmocka_unit_test(test_no_camera_waits_for_another_to_be_done),
                cmocka_unit_test(test_store_that_asks_for_less_gets_half_and_slowly_more_again),
                cmocka_unit_test(test_uploads_that_are_told_together_count_once),
                cmocka_unit_test(test_store_that_goes_on_asking_is_left_alone_for_longer_and_longer),
                cmocka_unit_test(test_docks_that_were_told_at_once_do_not_come_back_at_once),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
