/* SPDX-License-Identifier: Apache-2.0 */

/* Times that cameras tell without a zone: one wall-clock time is one moment, whatever was asked before and at any time of year. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <berth/plugin.h>

#include "base/macro.h"
#include "bay/zone.h"

#define HOUR 3600
/* 2026-03-29 and 2026-10-25, 00:00: the days on which Central European clocks change at 01:00 UTC. */
#define SPRING INT64_C(1774742400)
#define AUTUMN INT64_C(1792886400)

static void test_wall_clock_becomes_utc_by_the_season_of_its_date(void **state) {
        static const struct {
                int64_t wall, utc;
        } rows[] = {
                { SPRING - 30 * 24 * HOUR, SPRING - 30 * 24 * HOUR - HOUR },         /* winter */
                { SPRING + 90 * 24 * HOUR, SPRING + 90 * 24 * HOUR - 2 * HOUR },     /* summer */
                { SPRING + 2 * HOUR - 1, SPRING + HOUR - 1 },                        /* the last second of winter */
                { SPRING + 2 * HOUR + HOUR / 2, SPRING + HOUR + HOUR / 2 },          /* never was */
                { SPRING + 3 * HOUR, SPRING + HOUR },                                /* the first of summer */
                { AUTUMN + 2 * HOUR - 1, AUTUMN - 1 },                               /* before the hour that is there twice */
                { AUTUMN + 2 * HOUR, AUTUMN },                                       /* its first pass */
                { AUTUMN + 3 * HOUR - 1, AUTUMN + HOUR - 1 },
                { AUTUMN + 3 * HOUR, AUTUMN + 2 * HOUR },                            /* after it */
        };

        (void) state;
        /* Twice and backwards: what was asked before must not matter. */
        for (size_t pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                        size_t k = pass ? ELEMENTSOF(rows) - 1 - i : i;

                        if (berth_host_local_to_utc(rows[k].wall) != rows[k].utc)
                                fail_msg("row %zu: %lld, not %lld", k, (long long) berth_host_local_to_utc(rows[k].wall),
                                         (long long) rows[k].utc);
                }
}

static void test_utc_becomes_wall_clock(void **state) {
        (void) state;
        assert_int_equal(berth_host_utc_to_local(SPRING), SPRING + HOUR);
        assert_int_equal(berth_host_utc_to_local(SPRING + HOUR), SPRING + 3 * HOUR);
        assert_int_equal(berth_host_utc_to_local(AUTUMN + HOUR), AUTUMN + 2 * HOUR);
}

static void test_no_number_is_too_large(void **state) {
        (void) state;
        assert_int_equal(berth_host_local_to_utc(INT64_MAX), INT64_MAX);
        assert_int_equal(berth_host_local_to_utc(INT64_MIN), INT64_MIN);
}

static int setup(void **state) {
        (void) state;
        if (setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1) < 0)
                return -1;
        zone_prepare();
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wall_clock_becomes_utc_by_the_season_of_its_date),
                cmocka_unit_test(test_utc_becomes_wall_clock),
                cmocka_unit_test(test_no_number_is_too_large),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, setup, NULL);
}
