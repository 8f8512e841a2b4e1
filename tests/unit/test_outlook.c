/* SPDX-License-Identifier: Apache-2.0 */

/* How long the dock can go on while the store takes nothing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/outlook.h"

#define DAY (24u * 3600u)

static void test_room_over_the_pace_of_the_last_day(void **state) {
        static const struct {
                OutlookFacts facts;
                uint64_t sec;
        } cases[] = {
                { { 101 * GIB, GIB, 0, 50 * GIB, DAY }, 2 * DAY },
                { { 51 * GIB, GIB, 50 * GIB, 50 * GIB, DAY }, 2 * DAY },
                { { GIB, GIB, 0, 50 * GIB, DAY }, 0 },
                { { 0, GIB, 0, 50 * GIB, DAY }, 0 },
                { { 11 * GIB, GIB, 0, 0, DAY }, OUTLOOK_UNKNOWN },
                { { 11 * GIB, GIB, 0, 1, 0 }, OUTLOOK_UNKNOWN },
                /* rounded: to the minute, to ten minutes, to the hour */
                { { 1000, 0, 0, DAY, DAY }, 960 },
                { { 5000, 0, 0, DAY, DAY }, 4800 },
                { { DAY + 5000, 0, 0, DAY, DAY }, DAY + 3600 },
                { { UINT64_MAX, 1, UINT64_MAX, 1, UINT64_MAX }, UINT64_C(365) * DAY },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_true(outlook_sec(&cases[i].facts) == cases[i].sec);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_room_over_the_pace_of_the_last_day) };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
