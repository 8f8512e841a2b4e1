/* SPDX-License-Identifier: Apache-2.0 */

/* What is said of a time at which nothing may be sent. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "uplink/schedule.h"

#define AT(day, hour, minute) ((day) * 1440u + (hour) * 60u + (minute))
enum { MON, TUE, WED, THU, FRI, SAT, SUN };

static void assert_said(const PaceRule *rules, size_t n, unsigned minute, const char *expected) {
        char text[SCHEDULE_TEXT_SIZE] = "";

        assert_int_equal(schedule_text(rules, n, minute, text), expected != NULL);
        assert_string_equal(text, expected ? expected : "");
}

static PaceRule rule(const char *text) {
        const char *word;
        PaceRule r;

        assert_int_equal(pace_rule_parse(text, &r, &word), 0);
        return r;
}

static void test_the_end_is_named_and_its_day_when_it_is_another(void **state) {
        const PaceRule rules[] = { rule("08:00-18:00 none"), rule("Sat 00:00-24:00 none"), rule("5 MB/s") };

        (void) state;
        assert_said(rules, 3, AT(MON, 7, 59), NULL);
        assert_said(rules, 3, AT(MON, 8, 0), "the schedule allows no uploads until 18:00");
        assert_said(rules, 3, AT(MON, 17, 59), "the schedule allows no uploads until 18:00");
        assert_said(rules, 3, AT(MON, 18, 0), NULL);
        assert_said(rules, 3, AT(SAT, 12, 0), "the schedule allows no uploads until Sun 00:00");
}

static void test_spans_that_follow_each_other_are_one(void **state) {
        const PaceRule rules[] = { rule("Sun 20:00-02:00 none"), rule("Mon 02:00-06:30 none") };

        (void) state;
        assert_said(rules, 2, AT(SUN, 21, 0), "the schedule allows no uploads until Mon 06:30");
        assert_said(rules, 2, AT(MON, 1, 0), "the schedule allows no uploads until 06:30");
        assert_said(rules, 2, AT(MON, 6, 30), NULL);
}

static void test_a_limit_that_never_lets_anything_through_says_so(void **state) {
        const PaceRule rules[] = { rule("none") };

        (void) state;
        assert_said(rules, 1, AT(WED, 12, 0), "[uplink] limit allows no uploads at any time");
        assert_said(rules, 0, AT(WED, 12, 0), NULL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_end_is_named_and_its_day_when_it_is_another),
                cmocka_unit_test(test_spans_that_follow_each_other_are_one),
                cmocka_unit_test(test_a_limit_that_never_lets_anything_through_says_so),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
