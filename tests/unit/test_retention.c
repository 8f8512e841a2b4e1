/* SPDX-License-Identifier: Apache-2.0 */

/* What may be deleted by its age, on a dock whose clock may be wrong. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/retention.h"

#define DAY (UINT64_C(86400) * USEC_PER_SEC)
#define THEN INT64_C(1700000000000000)

static void test_copy_goes_only_when_everything_allows_it(void **state) {
        static const ClockFacts right = { true, THEN + 10 * (int64_t) DAY, 10 * DAY, UINT64_MAX };
        static const ClockFacts unsynchronised = { false, THEN + 10 * (int64_t) DAY, 10 * DAY, UINT64_MAX };
        static const ClockFacts stepped = { true, THEN + 10 * (int64_t) DAY, 10 * DAY, CLOCK_REST_USEC - 1 };
        static const ClockFacts rested = { true, THEN + 10 * (int64_t) DAY, 10 * DAY, CLOCK_REST_USEC };
        static const ClockFacts put_forward = { true, THEN + 9999 * (int64_t) DAY, 2 * DAY, UINT64_MAX };
        static const ClockFacts put_back = { true, THEN - 9999 * (int64_t) DAY, 10 * DAY, UINT64_MAX };
        static const struct {
                RetentionFacts facts;
                const ClockFacts *now;
                Retention verdict;
        } cases[] = {
                { { true, true, false, THEN, 0, 7 * DAY }, &right, RETENTION_MAY_GO },
                { { true, true, false, THEN, 0, 10 * DAY }, &right, RETENTION_MAY_GO },
                { { true, true, false, THEN, 0, 10 * DAY + 1 }, &right, RETENTION_YOUNG },
                { { false, false, false, 0, 0, 0 }, &right, RETENTION_UNSTORED },
                { { true, false, false, THEN, 0, 0 }, &right, RETENTION_UNSTORED },
                { { true, true, true, THEN, 0, 0 }, &right, RETENTION_HELD },
                { { true, true, false, THEN, 0, 7 * DAY }, &unsynchronised, RETENTION_CLOCK },
                { { true, true, false, THEN, 0, 7 * DAY }, &stepped, RETENTION_CLOCK },
                { { true, true, false, THEN, 0, 7 * DAY }, &rested, RETENTION_MAY_GO },
                { { true, true, false, THEN, 0, 7 * DAY }, &put_forward, RETENTION_YOUNG },
                { { true, true, false, THEN, 0, 7 * DAY }, &put_back, RETENTION_YOUNG },
                /* the receipt was recorded while the clock was at its beginning: the running time counts */
                { { true, true, false, 0, 9 * DAY, 7 * DAY }, &right, RETENTION_YOUNG },
                /* no age is asked for: no clock is needed */
                { { true, true, false, THEN, 0, 0 }, &unsynchronised, RETENTION_MAY_GO },
                { { true, true, true, THEN, 0, 0 }, &unsynchronised, RETENTION_HELD },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (retention_of_copy(&cases[i].facts, cases[i].now) != cases[i].verdict)
                        fail_msg("case %zu: %d", i, (int) retention_of_copy(&cases[i].facts, cases[i].now));
}

static void test_step_of_the_clock_is_told_from_time_that_passed(void **state) {
        Moment a = { .wall_usec = THEN, .boottime_usec = 5 * DAY, .boot_id = "a" }, b = a;
        (void) state;

        b.wall_usec += (int64_t) DAY;
        b.boottime_usec += DAY;
        assert_true(moment_step_usec(&a, &b) == 0);
        b.wall_usec += CLOCK_STEP_USEC - 1;
        assert_true(moment_step_usec(&a, &b) == 0);
        b.wall_usec += 1;
        assert_true(moment_step_usec(&a, &b) == CLOCK_STEP_USEC);
        b.wall_usec -= 2 * CLOCK_STEP_USEC;
        assert_true(moment_step_usec(&a, &b) == -CLOCK_STEP_USEC);
        /* Over a boot nobody knows how long it was off, but never less than nothing. */
        b = (Moment){ .wall_usec = THEN + 999 * (int64_t) DAY, .boottime_usec = 1, .boot_id = "b" };
        assert_true(moment_step_usec(&a, &b) == 0);
        b.wall_usec = THEN - (int64_t) DAY;
        assert_true(moment_step_usec(&a, &b) == -(int64_t) DAY);
        a.wall_usec = INT64_MAX;
        b.wall_usec = INT64_MIN;
        assert_true(moment_step_usec(&a, &b) == INT64_MIN);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_copy_goes_only_when_everything_allows_it),
                cmocka_unit_test(test_step_of_the_clock_is_told_from_time_that_passed),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
