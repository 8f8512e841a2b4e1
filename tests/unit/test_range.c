/* SPDX-License-Identifier: Apache-2.0 */

/* Ranges of bytes that cannot be read: base/range.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/range.h"

static void test_ranges_are_cut_sorted_and_joined(void **state) {
        ByteRange r[] = { { 4096, 512 }, { 100, 50 }, { 4608, 10 }, { 120, 100 }, { 9990, 100 }, { 10000, 1 },
                          { UINT64_MAX, 5 }, { 7, 0 } };
        size_t n = ranges_settle(r, ELEMENTSOF(r), 10000);

        (void) state;
        assert_int_equal(n, 3);
        assert_true(r[0].offset == 100 && r[0].length == 120);
        assert_true(r[1].offset == 4096 && r[1].length == 522);
        assert_true(r[2].offset == 9990 && r[2].length == 10);
        assert_true(ranges_are_settled(r, n, 10000));
        assert_int_equal(ranges_settle(r, 0, 10000), 0);
}

static void test_ranges_that_are_not_settled_are_seen(void **state) {
        static const ByteRange bad[][2] = {
                { { 0, 0 }, { 5, 5 } },   { { 5, 5 }, { 0, 1 } },           { { 0, 10 }, { 5, 1 } },
                { { 0, 5 }, { 5, 5 } },   { { 0, 5 }, { 100, 1 } },         { { 0, 5 }, { 50, 51 } },
                { { 0, 5 }, { 6, UINT64_MAX } }, { { UINT64_MAX, 5 }, { 6, 1 } },
        };
        static const ByteRange good[] = { { 0, 5 }, { 6, 94 } };

        (void) state;
        assert_true(ranges_are_settled(good, 2, 100));
        assert_true(ranges_are_settled(NULL, 0, 0));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(ranges_are_settled(bad[i], 2, 100));
}

static void test_text_names_the_first_and_counts_the_rest(void **state) {
        ByteRange r[10];
        char *text;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(r); i++)
                r[i] = (ByteRange){ i * 1000, 512 };
        text = ranges_text(r, 2);
        assert_string_equal(text, "bytes 0 to 511, 1000 to 1511");
        free(text);
        text = ranges_text(r, 10);
        assert_non_null(strstr(text, "7000 to 7511 and 2 more places"));
        free(text);
        text = ranges_text(r, 9);
        assert_non_null(strstr(text, "7000 to 7511 and 1 more place"));
        free(text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ranges_are_cut_sorted_and_joined),
                cmocka_unit_test(test_ranges_that_are_not_settled_are_seen),
                cmocka_unit_test(test_text_names_the_first_and_counts_the_rest),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
