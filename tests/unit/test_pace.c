/* SPDX-License-Identifier: Apache-2.0 */

/* How fast clips may go to the store. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "uplink/pace.h"

#define MINUTE_USEC (60 * (int64_t) USEC_PER_SEC)
/* Monday, 2026-11-23, 00:00 UTC */
#define MONDAY_USEC (INT64_C(1795392000) * (int64_t) USEC_PER_SEC)

static void test_rules_are_read_as_people_write_them(void **state) {
        static const struct {
                const char *text;
                unsigned days, from, to;
                uint64_t rate;
        } good[] = {
                { "Mon-Fri 08:00-18:00 20 Mbit/s", 0x1f, 480, 1080, 2500000 },
                { "22:00-06:00 none", 0x7f, 1320, 360, 0 },
                { "5 MB/s", 0x7f, 0, 1440, 5000000 },
                { "1.5Gbit/s", 0x7f, 0, 1440, 187500000 },
                { "Sat,Sun 8 kbit/s", 0x60, 0, 1440, 1000 },
                { "none", 0x7f, 0, 1440, 0 },
        };
        static const struct {
                const char *text, *word;
        } bad[] = {
                { "", "" },
                { "fast", "fast" },
                { "Mon 20", "20" },
                { "Mon 20 Mb/s", "20 Mb/s" },
                { "Mon 08:00-18:00", "" },
                { "08:00-18:00 -5 MB/s", "-5 MB/s" },
                { "1 kbit/s", "1 kbit/s" },
                { "99 GB/s", "99 GB/s" },
                { "Mon inf MB/s", "inf MB/s" },
                { "5 MB/s twice", "5 MB/s twice" },
        };
        PaceRule rule;
        const char *word;
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(pace_rule_parse(good[i].text, &rule, &word), 0);
                assert_int_equal(rule.when.days, good[i].days);
                assert_int_equal(rule.when.from, good[i].from);
                assert_int_equal(rule.when.to, good[i].to);
                assert_int_equal(rule.bytes_per_sec, good[i].rate);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_int_equal(pace_rule_parse(bad[i].text, &rule, &word), -EINVAL);
                assert_string_equal(word, bad[i].word);
        }
}

static Pace *pace_of(const char *first, const char *second) {
        PaceRule rules[2];
        const char *word;
        Pace *p;

        assert_int_equal(pace_rule_parse(first, &rules[0], &word), 0);
        assert_int_equal(pace_rule_parse(second, &rules[1], &word), 0);
        assert_int_equal(pace_new(rules, 2, &p), 0);
        return p;
}

/* How much goes in so much time to somebody who always wants more and waits as told. */
static uint64_t flow(Pace *p, uint64_t *now_usec, int64_t *wall_usec, uint64_t usec) {
        uint64_t end = *now_usec + usec, sum = 0;

        while (*now_usec < end) {
                uint64_t wait = 0;
                size_t n = pace_take(p, 512 * KIB, *now_usec, *wall_usec, &wait);

                sum += n;
                if (n > 0)
                        continue;
                assert_true(wait > 0 && wait <= USEC_PER_SEC);
                *now_usec += wait;
                *wall_usec += (int64_t) wait;
        }
        return sum;
}

static void test_flow_keeps_to_the_limit(void **state) {
        uint64_t now = 1, sum;
        int64_t wall = MONDAY_USEC + 9 * 60 * MINUTE_USEC;
        _cleanup_(pace_freep) Pace *p = pace_of("Mon-Fri 08:00-18:00 8 Mbit/s", "10 MB/s");
        (void) state;

        sum = flow(p, &now, &wall, 100 * USEC_PER_SEC);
        assert_true(sum >= 100 * UINT64_C(1000000) && sum <= 102 * UINT64_C(1000000));
}

static void test_strictest_rule_holds_and_changes_at_its_minute(void **state) {
        uint64_t now = 1, wait = 0, sum;
        int64_t wall = MONDAY_USEC + (18 * 60 - 1) * MINUTE_USEC;
        _cleanup_(pace_freep) Pace *p = pace_of("Mon-Fri 08:00-18:00 none", "10 MB/s");
        (void) state;

        assert_int_equal(pace_take(p, 1000, now, wall, &wait), 0);
        assert_int_equal(wait, USEC_PER_SEC);
        assert_int_equal(flow(p, &now, &wall, 59 * USEC_PER_SEC), 0);
        sum = flow(p, &now, &wall, 11 * USEC_PER_SEC);
        assert_true(sum >= 95 * UINT64_C(1000000) && sum <= 115 * UINT64_C(1000000));
        /* The clock is set back into the time of the other rule. */
        wall -= 10 * MINUTE_USEC;
        assert_int_equal(pace_take(p, 1000, now, wall, &wait), 0);
}

static void test_no_rule_is_no_limit(void **state) {
        static const PaceRule sunday = { .when = { .days = 1u << 6, .from = 0, .to = 1440 }, .bytes_per_sec = 1000 };
        _cleanup_(pace_freep) Pace *p = NULL;
        uint64_t wait = 0;
        (void) state;

        assert_int_equal(pace_take(NULL, 12345678, 1, MONDAY_USEC, &wait), 12345678);
        assert_int_equal(pace_new(&sunday, 1, &p), 0);
        assert_int_equal(pace_take(p, 12345678, 1, MONDAY_USEC, &wait), 12345678);
        assert_int_equal(pace_take(p, 0, 1, MONDAY_USEC - MINUTE_USEC, &wait), 0);
        assert_true(pace_rules_at(NULL, 0, 0) == PACE_UNLIMITED);
}

static void test_small_wishes_pass_a_slow_limit(void **state) {
        _cleanup_(pace_freep) Pace *p = pace_of("8 kbit/s", "8 kbit/s");
        uint64_t now = 1, wait = 0, sum = 0;
        (void) state;

        for (unsigned i = 0; i < 200; i++) {
                size_t n = pace_take(p, 700, now, MONDAY_USEC, &wait);

                assert_true(n == 0 || n == 700);
                sum += n;
                now += n ? 0 : wait;
        }
        assert_true(sum > 64 * KIB);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules_are_read_as_people_write_them),
                cmocka_unit_test(test_flow_keeps_to_the_limit),
                cmocka_unit_test(test_strictest_rule_holds_and_changes_at_its_minute),
                cmocka_unit_test(test_no_rule_is_no_limit),
                cmocka_unit_test(test_small_wishes_pass_a_slow_limit),
        };

        /* Times of the week are the dock's own; the tests' are UTC. */
        (void) setenv("TZ", "UTC", 1);
        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
