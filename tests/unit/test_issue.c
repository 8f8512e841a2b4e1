/* SPDX-License-Identifier: Apache-2.0 */

/* Which camera an officer gets. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/issue.h"

/* Ready, so far charged, never issued. */
#define AT(percent) .ready = true, .battery_percent = (percent), .battery_floor_percent = 50
#define GOOD AT(100)

static void test_the_best_one_is_picked(void **state) {
        static const struct {
                IssueCamera cameras[3];
                bool fixed;
                int picked;
        } rows[] = {
                { { { GOOD, .bay = 2 }, { GOOD, .bay = 1 } }, false, 1 },
                /* Charge counts up to "charged", then even wear. */
                { { { GOOD, .issues = 9 }, { AT(91), .issues = 3 } }, false, 1 },
                { { { GOOD, .issues = 9 }, { AT(89), .issues = 3 } }, false, 0 },
                { { { GOOD, .last_issued_usec = 2 }, { GOOD, .last_issued_usec = 1, .bay = 9 } }, false, 1 },
                { { { GOOD, .warned = true }, { AT(50) } }, false, 1 },
                { { { AT(-1) }, { AT(51), .issues = 5 } }, false, 1 },
                { { { AT(-1) }, { AT(49) } }, false, 0 },
                { { { GOOD, .held_back = true }, { GOOD, .warned = true } }, false, 1 },
                { { { GOOD, .reserved = true }, { GOOD, .bay = 5 } }, false, 1 },
                /* A camera of somebody else's is not in the pool; one's own is, for nobody but its officer. */
                { { { GOOD, .for_other = true }, { GOOD, .issues = 100 } }, false, 1 },
                { { { GOOD }, { GOOD, .for_officer = true, .warned = true } }, true, 1 },
        };
        IssueWhy why;
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                /* The third is a bay that is at work. */
                if (issue_pick(rows[i].cameras, 3, rows[i].fixed, &why) != rows[i].picked)
                        fail_msg("row %zu", i);
}

static void test_why_there_is_none(void **state) {
        static const struct {
                IssueCamera cameras[2];
                bool fixed;
                IssueWhy why;
        } rows[] = {
                { { { GOOD, .for_other = true }, { GOOD, .for_other = true } }, false, ISSUE_NONE_HERE },
                { { { GOOD }, { GOOD } }, true, ISSUE_NONE_HERE },
                { { { GOOD, .held_back = true }, { GOOD, .for_other = true } }, false, ISSUE_HELD_BACK },
                { { { GOOD, .held_back = true }, { AT(49) } }, false, ISSUE_LOW },
                { { { .battery_percent = 100 }, { AT(49) } }, false, ISSUE_BUSY },
                { { { GOOD, .reserved = true }, { GOOD, .reserved = true } }, false, ISSUE_RESERVED },
                { { { GOOD }, { GOOD, .for_officer = true, .held_back = true } }, true, ISSUE_HELD_BACK },
        };
        IssueWhy why;
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_int_equal(issue_pick(rows[i].cameras, 2, rows[i].fixed, &why), -1);
                if (why != rows[i].why)
                        fail_msg("row %zu: %d", i, why);
                assert_non_null(issue_why_to_text(why, rows[i].fixed));
        }
        assert_int_equal(issue_pick(NULL, 0, false, &why), -1);
        assert_int_equal(why, ISSUE_NONE_HERE);
}

static void test_late(void **state) {
        (void) state;
        assert_int_equal(issue_late_usec(100, 99), 0);
        assert_int_equal(issue_late_usec(100, 100), 0);
        assert_int_equal(issue_late_usec(100, 130), 30);
        assert_int_equal(issue_late_usec(0, 130), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_best_one_is_picked),
                cmocka_unit_test(test_why_there_is_none),
                cmocka_unit_test(test_late),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
