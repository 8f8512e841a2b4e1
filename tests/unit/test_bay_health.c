/* SPDX-License-Identifier: Apache-2.0 */

/* Is it the bay, or the cameras? */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/macro.h"
#include "core/bay_health.h"

static const BayLimits limits = { .cameras = 2, .rests = 3, .over_currents = 2 };

static void test_bays_are_judged(void **state) {
        static const struct {
                BayRecord record;
                int code; /* -1: nothing is found */
                HealthSeverity severity;
        } rows[] = {
                { { .cameras = 10 }, -1, 0 },
                /* Cameras that fault everywhere speak against themselves; one alone may have been put in badly. */
                { { .cameras = 10, .cameras_faulted = 5 }, -1, 0 },
                { { .cameras = 10, .cameras_faulted = 1, .faulted_here = 1 }, -1, 0 },
                { { .cameras = 10, .cameras_faulted = 2, .faulted_here = 2 }, BAY_HEALTH_FAULTS, HEALTH_WARNING },
                { { .cameras = 3, .cameras_faulted = 2, .faulted_here = 2 }, BAY_HEALTH_FAULTS, HEALTH_SERIOUS },
                { { .rests = 1 }, BAY_HEALTH_CONTACTS, HEALTH_WARNING },
                { { .rests = 3 }, BAY_HEALTH_CONTACTS, HEALTH_SERIOUS },
                { { .over_currents = 1 }, BAY_HEALTH_CURRENT, HEALTH_WARNING },
                { { .over_currents = 2 }, BAY_HEALTH_CURRENT, HEALTH_SERIOUS },
        };
        BayFinding found[_BAY_HEALTH_MAX];
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t n = bay_judge(&rows[i].record, &limits, 7, found);

                if (n != (rows[i].code >= 0))
                        fail_msg("row %zu: %zu findings", i, n);
                if (n == 0)
                        continue;
                assert_int_equal(found[0].code, rows[i].code);
                assert_int_equal(found[0].severity, rows[i].severity);
                assert_non_null(strstr(found[0].text, "bay 7"));
                assert_non_null(strstr(found[0].next_step, "replace"));
        }
        assert_int_equal(bay_judge(&(BayRecord){ .cameras = 10, .faulted_here = 2, .rests = 1, .over_currents = 2 }, &limits, 7, found), 3);
        assert_int_equal(found[0].code, BAY_HEALTH_CURRENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bays_are_judged),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
