/* SPDX-License-Identifier: Apache-2.0 */

/* A device that comes and goes: what it may cost. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/flap.h"

#define SEC UINT64_C(1000000)

static void test_a_storm_is_bounded_whatever_its_pace(void **state) {
        static const uint64_t paces[] = { 1, SEC / 100, SEC, 4 * SEC };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(paces); i++) {
                Flap f = {};
                unsigned dockings = 0;

                /* A day of it; the finest pace would take too long to count through, and shows as much in its first minutes. */
                for (uint64_t now = 0, n = 0; now < 24 * 3600 * SEC && n < 3000000; now += paces[i], n++)
                        dockings += flap_may_dock(&f, now);
                /* Rests of 1, 2, 4 … 60 minutes: about 30 in a day. */
                assert_true(dockings >= FLAP_DOCKINGS);
                assert_true(dockings <= 32 * FLAP_DOCKINGS);
        }
}

static void test_ordinary_use_is_never_held_back(void **state) {
        Flap f = {};

        (void) state;
        /* A camera that changes its mode twice in each docking, and an officer every minute. */
        for (uint64_t now = 0; now < 8 * 3600 * SEC; now += 60 * SEC)
                for (unsigned i = 0; i < 3; i++)
                        assert_true(flap_may_dock(&f, now + i * 8 * SEC));
}

static void test_rests_grow_and_are_short_again_after_a_calm(void **state) {
        uint64_t now = 1000 * SEC, rest;
        Flap f = {};

        (void) state;
        for (unsigned rests = 0; rests < 3; rests++) {
                for (unsigned i = 0; i < FLAP_DOCKINGS; i++)
                        assert_true(flap_may_dock(&f, now + i));
                assert_false(flap_may_dock(&f, now + FLAP_DOCKINGS));
                rest = f.rest_until_usec - (now + FLAP_DOCKINGS);
                assert_int_equal(rest, FLAP_REST_MIN_USEC << rests);
                assert_false(flap_may_dock(&f, f.rest_until_usec - 1));
                now = f.rest_until_usec;
        }
        now += FLAP_CALM_USEC + SEC;
        for (unsigned i = 0; i < FLAP_DOCKINGS; i++)
                assert_true(flap_may_dock(&f, now + i));
        assert_false(flap_may_dock(&f, now + FLAP_DOCKINGS));
        assert_int_equal(f.rest_until_usec - (now + FLAP_DOCKINGS), FLAP_REST_MIN_USEC);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_storm_is_bounded_whatever_its_pace),
                cmocka_unit_test(test_ordinary_use_is_never_held_back),
                cmocka_unit_test(test_rests_grow_and_are_short_again_after_a_calm),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
