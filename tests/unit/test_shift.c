/* SPDX-License-Identifier: Apache-2.0 */

/* When cameras are wanted next. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/shift.h"

enum { MON, TUE, WED, THU, FRI, SAT, SUN };
#define AT(day, hour, min) ((unsigned) (day) * 1440u + (hour) * 60u + (min))

static void test_next_shift_is_the_nearest_beginning(void **state) {
        const WeekSpan shifts[] = {
                { .days = 0x1f, .from = 6 * 60, .to = 14 * 60 },
                { .days = 1u << FRI | 1u << SAT, .from = 22 * 60, .to = 6 * 60 },
        };
        static const struct {
                unsigned minute, next;
        } rows[] = {
                { AT(MON, 0, 0), 360 },
                { AT(MON, 5, 59), 1 },
                { AT(MON, 14, 0), 16 * 60 },   /* its end is no beginning */
                { AT(FRI, 6, 1), 16 * 60 - 1 }, /* the late one of the same day */
                { AT(FRI, 23, 0), 23 * 60 },
                { AT(SAT, 22, 1), 32 * 60 - 1 }, /* over the end of the week */
                { AT(SUN, 23, 59), 361 },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_int_equal(shift_next(shifts, ELEMENTSOF(shifts), rows[i].minute), rows[i].next);
}

static void test_shift_that_begins_now_has_begun(void **state) {
        const WeekSpan daily = { .days = 0x7f, .from = 360, .to = 840 }, weekly = { .days = 1u << WED, .from = 0, .to = 1440 };
        (void) state;

        assert_int_equal(shift_next(&daily, 1, AT(TUE, 6, 0)), 1440);
        assert_int_equal(shift_next(&weekly, 1, AT(WED, 0, 0)), WEEK_MINUTES);
        assert_int_equal(shift_next(&weekly, 1, AT(WED, 0, 1)), WEEK_MINUTES - 1);
}

static void test_without_a_shift_there_is_none(void **state) {
        const WeekSpan never = { .days = 0, .from = 360, .to = 840 };
        (void) state;

        assert_int_equal(shift_next(NULL, 0, 5), 0);
        assert_int_equal(shift_next(&never, 1, 5), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_next_shift_is_the_nearest_beginning),
                cmocka_unit_test(test_shift_that_begins_now_has_begun),
                cmocka_unit_test(test_without_a_shift_there_is_none),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
