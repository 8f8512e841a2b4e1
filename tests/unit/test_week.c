/* SPDX-License-Identifier: Apache-2.0 */

/* Times of the week: what people write, and when it holds. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/week.h"

enum { MON, TUE, WED, THU, FRI, SAT, SUN };
#define AT(day, hour, min) ((unsigned) (day) * 1440u + (hour) * 60u + (min))

static void test_what_people_write_is_understood(void **state) {
        static const struct {
                const char *text;
                uint8_t days;
                uint16_t from, to;
                const char *rest;
        } cases[] = {
                { "Mon-Fri 08:00-18:00 20 Mbit/s", 0x1f, 480, 1080, "20 Mbit/s" },
                { "08:00-18:00", 0x7f, 480, 1080, "" },
                { "  sat,SUN  ", 0x60, 0, 1440, "" },
                { "Fri-Mon 22:00-06:00\tx", 0x71, 1320, 360, "x" },
                { "Tue 00:00-24:00", 0x02, 0, 1440, "" },
                { "Mon,Wed-Thu,Sun 12:30-12:31 off", 0x4d, 750, 751, "off" },
                { "Wed unlimited", 0x04, 0, 1440, "unlimited" },
                { "Mon 8:00-09:00", 0x01, 0, 1440, "8:00-09:00" }, /* the caller's to refuse */
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                WeekSpan span = { 0 };
                const char *rest = NULL;

                assert_int_equal(week_span_parse(cases[i].text, &span, &rest), 0);
                assert_int_equal(span.days, cases[i].days);
                assert_int_equal(span.from, cases[i].from);
                assert_int_equal(span.to, cases[i].to);
                assert_string_equal(rest, cases[i].rest);
        }
}

static void test_what_nobody_can_mean_is_refused_at_its_word(void **state) {
        static const struct {
                const char *text, *word;
        } cases[] = {
                { "", "" },
                { "20 Mbit/s", "20 Mbit/s" },
                { "Mond 08:00-09:00", "Mond 08:00-09:00" },
                { "Mon- 08:00-09:00", "Mon- 08:00-09:00" },
                { "Mon,Fry 08:00-09:00", "Mon,Fry 08:00-09:00" },
                { "Mon 08:00-09:00x", "08:00-09:00x" },
                { "Mon 08:60-09:00", "08:60-09:00" },
                { "Mon 24:00-09:00", "24:00-09:00" },
                { "Mon 08:00-24:01", "08:00-24:01" },
                { "Mon 08:00-08:00", "08:00-08:00" },
                { "08:00", "08:00" },
                { "08:00-", "08:00-" },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                WeekSpan span = { .days = 0x55, .from = 7, .to = 9 };
                const char *rest = NULL;

                assert_int_equal(week_span_parse(cases[i].text, &span, &rest), -EINVAL);
                assert_int_equal(span.days, 0x55);
                assert_string_equal(rest, cases[i].word);
        }
}

static void test_span_holds_from_its_first_minute_to_before_its_last(void **state) {
        const WeekSpan office = { .days = 0x1f, .from = 480, .to = 1080 }, night = { .days = 1u << FRI, .from = 1320, .to = 360 },
                       sunday_night = { .days = 1u << SUN, .from = 1380, .to = 60 };
        const struct {
                const WeekSpan *span;
                unsigned minute;
                bool holds;
        } cases[] = {
                { &office, AT(MON, 7, 59), false }, { &office, AT(MON, 8, 0), true },   { &office, AT(FRI, 17, 59), true },
                { &office, AT(FRI, 18, 0), false }, { &office, AT(SAT, 12, 0), false }, { &night, AT(FRI, 21, 59), false },
                { &night, AT(FRI, 22, 0), true },   { &night, AT(SAT, 5, 59), true },   { &night, AT(SAT, 6, 0), false },
                { &night, AT(FRI, 3, 0), false },   { &night, AT(SAT, 22, 0), false },  { &sunday_night, AT(MON, 0, 59), true },
                { &sunday_night, AT(MON, 1, 0), false },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(week_span_contains(cases[i].span, cases[i].minute), cases[i].holds);
}

static void test_minute_of_the_week_begins_on_monday(void **state) {
        (void) state;
        assert_int_equal(week_minute(&(struct tm) { .tm_wday = 1 }), AT(MON, 0, 0));
        assert_int_equal(week_minute(&(struct tm) { .tm_wday = 0, .tm_hour = 23, .tm_min = 59 }), WEEK_MINUTES - 1);
}

static void test_next_change_is_the_nearest_of_all_spans(void **state) {
        const WeekSpan spans[] = { { .days = 0x1f, .from = 480, .to = 1080 }, { .days = 1u << FRI, .from = 1020, .to = 360 } };
        const WeekSpan always = { .days = 0x7f, .from = 0, .to = 1440 };
        (void) state;

        assert_int_equal(week_next_change(spans, 2, AT(MON, 7, 0)), 60);
        assert_int_equal(week_next_change(spans, 2, AT(MON, 8, 0)), 600);
        assert_int_equal(week_next_change(spans, 2, AT(FRI, 16, 59)), 1);
        assert_int_equal(week_next_change(spans, 2, AT(SAT, 6, 0)), 2 * 1440 + 120);
        assert_int_equal(week_next_change(spans, 1, AT(FRI, 18, 0)), 2 * 1440 + 840);
        assert_int_equal(week_next_change(&always, 1, 5), 0);
        assert_int_equal(week_next_change(NULL, 0, 5), 0);
}

/* Middle Europe, without the system's tables: on 29 March 2026 a night has an hour less, on 25 October one more. */
static void test_a_night_in_which_the_clocks_change_is_as_long_as_it_is(void **state) {
        const WeekSpan night = { .days = 0x7f, .from = 1320, .to = 300 }, small = { .days = 0x7f, .from = 120, .to = 180 },
                       odd = { .days = 0x7f, .from = 1327, .to = 313 }, always = { .days = 0x7f, .from = 0, .to = 1440 };
        static const int64_t spring = 1774735200 /* 28 March 2026, 22:00 UTC */, autumn = 1792875600; /* 24 October 2026, 21:00 UTC */
        (void) state;

        assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
        tzset();
        /* 23:00 to 5:00, which comes after five hours; in autumn after seven. */
        assert_true(week_is_within(&night, 1, spring));
        assert_int_equal(week_changes_sec(&night, 1, spring + 17), spring + 5 * 3600);
        assert_int_equal(week_changes_sec(&odd, 1, spring), spring + 5 * 3600 + 13 * 60);
        assert_true(week_is_within(&night, 1, autumn));
        assert_int_equal(week_changes_sec(&night, 1, autumn), autumn + 7 * 3600);
        /* 2:00 to 3:00 is not in spring: the next is a day later. In autumn it is there twice, one after the other. */
        assert_int_equal(week_changes_sec(&small, 1, spring), spring + 26 * 3600);
        assert_int_equal(week_changes_sec(&small, 1, autumn), autumn + 3 * 3600);
        assert_int_equal(week_changes_sec(&small, 1, autumn + 3 * 3600), autumn + 5 * 3600);
        /* A week in which nothing changes. */
        assert_int_equal(week_changes_sec(&night, 1, spring + 12 * 3600), spring + 22 * 3600);
        assert_int_equal(week_changes_sec(&always, 1, spring), INT64_MAX);
        /* Lord Howe's clocks go half an hour: on 5 April 2026, at 2:00 of their summer, back to 1:30. */
        assert_int_equal(setenv("TZ", "LHST-10:30LHDT-11,M10.1.0,M4.1.0", 1), 0);
        tzset();
        assert_int_equal(week_changes_sec(&night, 1, 1775300400), 1775300400 + 7 * 3600 + 1800);
        assert_int_equal(unsetenv("TZ"), 0);
        tzset();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_people_write_is_understood),
                cmocka_unit_test(test_what_nobody_can_mean_is_refused_at_its_word),
                cmocka_unit_test(test_span_holds_from_its_first_minute_to_before_its_last),
                cmocka_unit_test(test_minute_of_the_week_begins_on_monday),
                cmocka_unit_test(test_next_change_is_the_nearest_of_all_spans),
                cmocka_unit_test(test_a_night_in_which_the_clocks_change_is_as_long_as_it_is),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
