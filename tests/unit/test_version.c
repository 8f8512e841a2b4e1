/* SPDX-License-Identifier: Apache-2.0 */

/* Which of two versions of firmware is older. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/version.h"

static void test_versions_are_compared_as_their_makers_mean_them(void **state) {
        static const struct {
                const char *a, *b;
                int order;
        } rows[] = {
                { "1.9", "1.10", -1 },
                { "1.2", "1.2", 0 },
                { "1.2", "1.2.1", -1 },
                { "1.2", "1.2.0", -1 },
                { "1.02", "1.2", 0 },
                { "V1.2", "v1.3", -1 },
                { "v2", "V2", 0 },
                { "1.03a", "1.03b", -1 },
                { "1.03B", "1.03a", 1 },
                { "20260101", "20251231", 1 },
                { "99999999999999999999999999998", "99999999999999999999999999999", -1 },
                { "9", "00000000000000000000000000000000010", -1 },
                { "1_2-3", "1.2.3", 0 },
                { "release-1", "release-2", -1 },
                { "1.2 ", "1.2", 0 },
                { "0", "00", 0 },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int there = 9, back = 9;

                assert_int_equal(version_compare(rows[i].a, rows[i].b, &there), 0);
                assert_int_equal(version_compare(rows[i].b, rows[i].a, &back), 0);
                if (there != rows[i].order || back != -rows[i].order)
                        fail_msg("%s, %s: %d and back %d", rows[i].a, rows[i].b, there, back);
        }
}

static void test_what_words_mean_is_not_guessed(void **state) {
        static const char *const rows[][2] = {
                { "1.2", "1.2-rc1" }, { "1.2", "1.2b" }, { "1.2-alpha", "1.2-beta" }, { "a", "b" }, { "1.a", "1.2" },
                { "", "" }, { "", "1" }, { "..", "1" }, { "v1", "1" }, { "v.a", "v.b" }, { "1.v.a", "1.v.b" }, { "1.2-\xc3\xa4", "1.2-b" },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int order = 9;

                if (version_compare(rows[i][0], rows[i][1], &order) != -EINVAL ||
                    version_compare(rows[i][1], rows[i][0], &order) != -EINVAL)
                        fail_msg("\"%s\", \"%s\" are compared: %d", rows[i][0], rows[i][1], order);
                assert_int_equal(order, 9);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_versions_are_compared_as_their_makers_mean_them),
                cmocka_unit_test(test_what_words_mean_is_not_guessed),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
