/* SPDX-License-Identifier: Apache-2.0 */

/* Moments and their text: base/clock.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/macro.h"

static const struct {
        int64_t usec;
        const char *text;
} known[] = {
        { 0, "1970-01-01T00:00:00.000000Z" },
        { 1, "1970-01-01T00:00:00.000001Z" },
        { -1, "1969-12-31T23:59:59.999999Z" },
        { INT64_C(1795425300123456), "2026-11-23T09:15:00.123456Z" },
        { INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z" },
        { INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
        { INT64_C(-62167219200000000), "0000-01-01T00:00:00.000000Z" },
};

static void test_utc_text_and_back(void **state) {
        char text[UTC_TEXT_SIZE];
        int64_t usec;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(known); i++) {
                assert_string_equal(utc_text(known[i].usec, text), known[i].text);
                assert_int_equal(utc_from_text(known[i].text, &usec), 0);
                assert_int_equal(usec, known[i].usec);
        }
}

static void test_times_beyond_four_digits_do_not_overflow(void **state) {
        char text[UTC_TEXT_SIZE], day[11];

        (void) state;
        assert_int_equal(strlen(utc_text(INT64_MAX, text)), strlen(known[0].text));
        assert_int_equal(strlen(utc_text(INT64_MIN, text)), strlen(known[0].text));
        assert_string_equal(utc_day(INT64_MAX, day), "9999-12-31");
        assert_string_equal(utc_day(INT64_MIN, day), "0000-01-01");
        assert_string_equal(utc_day(1795425300, day), "2026-11-23");
        assert_string_equal(utc_day(-1, day), "1969-12-31");
}

static void test_local_time_is_by_the_zone_that_the_machine_has_by_now(void **state) {
        char text[LOCAL_TEXT_SIZE];
        struct tm tm;

        (void) state;
        assert_int_equal(setenv("TZ", "<+0530>-5:30", 1), 0);
        assert_string_equal(local_text(INT64_C(1795425300) * 1000000, text), "2026-11-23 14:45 +0530");
        assert_true(strlen(local_text(INT64_MAX, text)) > 0 && strlen(local_text(INT64_MIN, text)) > 0);
        assert_int_equal(setenv("TZ", "<-03>3", 1), 0);
        assert_true(local_time(1795425300, &tm) && tm.tm_hour == 6 && tm.tm_min == 15);
        assert_false(local_time(INT64_MAX, &tm));
        assert_int_equal(unsetenv("TZ"), 0);
        tzset();
}

static void test_only_our_form_of_a_time_is_read(void **state) {
        static const char *const bad[] = {
                "",
                "now",
                "2026-11-23",
                "2026-11-23T09:15:00Z",
                "2026-11-23T09:15:00.123Z",
                "2026-11-23T09:15:00.123456",
                "2026-11-23T09:15:00.123456Z ",
                " 2026-11-23T09:15:00.123456Z",
                "2026-11-31T09:15:00.123456Z",
                "2026-13-01T09:15:00.123456Z",
                "2026-11-23T24:15:00.123456Z",
                "2026-11-23T09:15:60.123456Z",
                "2026-11-23 09:15:00.123456Z",
                "-026-11-23T09:15:00.123456Z",
                "2026-1-23T09:15:00.123456Z",
                "2026-11-23T09:15:00.123456z",
                "99999-11-23T09:15:00.123456Z",
        };
        int64_t usec = 5;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(utc_from_text(bad[i], &usec), -EINVAL);
        assert_int_equal(usec, 5);
}

static void test_moment_says_boot_and_both_clocks(void **state) {
        uint64_t boot = clock_boottime_usec();
        int64_t wall = clock_wall_usec();
        Moment a, b;

        (void) state;
        moment_now(true, &a);
        moment_now(false, &b);
        assert_true(a.synchronised);
        assert_false(b.synchronised);
        assert_true(a.boottime_usec >= boot);
        assert_true(b.boottime_usec >= a.boottime_usec);
        assert_true(a.wall_usec > wall - 3600 * (int64_t) USEC_PER_SEC);
        assert_int_equal(strlen(a.boot_id), BOOT_ID_SIZE - 1);
        assert_int_equal(strspn(a.boot_id, "0123456789abcdef"), BOOT_ID_SIZE - 1);
        assert_string_equal(a.boot_id, b.boot_id);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_utc_text_and_back),
                cmocka_unit_test(test_times_beyond_four_digits_do_not_overflow),
                cmocka_unit_test(test_local_time_is_by_the_zone_that_the_machine_has_by_now),
                cmocka_unit_test(test_only_our_form_of_a_time_is_read),
                cmocka_unit_test(test_moment_says_boot_and_both_clocks),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
