/* SPDX-License-Identifier: Apache-2.0 */
/* Recording times in containers, as people write them. */
#include "unit/container_file.h"

static void test_dates_as_people_write_them(void **state) {
        static const char *const same[] = {
                "Wed Nov 25 09:15:00 2026", "WED NOV 25 09:15:00 2026\n", "2026-11-25 09:15:00", "2026-11-25T09:15:00Z",
                "2026-11-25T10:15:00+01:00", "2026-11-25T04:15:00-0500", "2026:11:25 09:15:00", "2026/11/25/ 09:15",
                "2026.11.25 09:15:00.75", " 2026-11-25 9:15 ",
        };
        static const char *const none[] = {
                "", "yesterday", "2026", "2026-11", "2026-13-01", "2026-02-30", "26-11-25", "2026-11-25 25:00",
                "2026-11-25 09:15:00 PST",
                "2026-11-25 09:15:00+99:00", "Wed Nov 25 2026", "Wed Foo 25 09:15:00 2026",
                "2026-11-25 09:15:00\001", "0000-00-00 00:00:00",
        };
        int64_t t = 0;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(same); i++) {
                assert_int_equal(container_date(same[i], &t), 0);
                assert_int_equal(t, 1795598100);
        }
        assert_int_equal(container_date("2026-11-25", &t), 0);
        assert_int_equal(t, 1795598100 - 9 * 3600 - 15 * 60);
        for (size_t i = 0; i < ELEMENTSOF(none); i++)
                assert_true(container_date(none[i], &t) < 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_dates_as_people_write_them),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
