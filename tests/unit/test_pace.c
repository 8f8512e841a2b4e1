/* SPDX-License-Identifier: Apache-2.0 */

/* The least pace of a transfer. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/pace.h"

#define SEC UINT64_C(1000000)

static void test_a_trickle_ends_with_its_window(void **state) {
        Pace p = { .bytes_per_sec = 1000, .window_usec = 10 * SEC };

        (void) state;
        pace_begin(&p, 0, 100 * SEC);
        for (uint64_t i = 0; i < 10; i++)
                assert_false(pace_is_too_slow(&p, i, (100 + i) * SEC));
        assert_true(pace_is_too_slow(&p, 10, 110 * SEC));
}

static void test_enough_in_each_window_goes_on_for_ever(void **state) {
        Pace p = { .bytes_per_sec = 1000, .window_usec = 10 * SEC };
        uint64_t bytes = 0;

        (void) state;
        pace_begin(&p, 0, 0);
        for (uint64_t window = 1; window < 100; window++) {
                bytes += 10000;
                assert_false(pace_is_too_slow(&p, bytes, window * 10 * SEC));
        }
        /* What was fast before does not count. */
        assert_true(pace_is_too_slow(&p, bytes + 9999, 1000 * SEC));
}

static void test_a_window_that_begins_anew_forgives(void **state) {
        Pace p = { .bytes_per_sec = 1000, .window_usec = 10 * SEC };

        (void) state;
        pace_begin(&p, 0, 0);
        pace_begin(&p, 5, 9 * SEC);
        assert_false(pace_is_too_slow(&p, 5, 18 * SEC));
        assert_true(pace_is_too_slow(&p, 5, 19 * SEC));
}

static void test_no_pace_asked_for_is_never_too_slow(void **state) {
        Pace p = { .window_usec = 10 * SEC };

        (void) state;
        pace_begin(&p, 0, 0);
        assert_false(pace_is_too_slow(&p, 0, UINT64_MAX - 1));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_trickle_ends_with_its_window),
                cmocka_unit_test(test_enough_in_each_window_goes_on_for_ever),
                cmocka_unit_test(test_a_window_that_begins_anew_forgives),
                cmocka_unit_test(test_no_pace_asked_for_is_never_too_slow),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
