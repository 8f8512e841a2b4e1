/* SPDX-License-Identifier: Apache-2.0 */

/* When `watch` ends; numbers on the command line; rates. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/bay.h"
#include "ctl/dock.h"
#include "ctl/number.h"
#include "ctl/rate.h"
#include "ctl/until.h"

#define BAYS 3

typedef struct World {
        DockBay bays[BAYS];
        DockBay *pointers[BAYS];
        Dock dock;
        Until until;
} World;

static void world_setup(World *w) {
        *w = (World) { .dock = { .present = true, .bays = w->pointers, .n_bays = BAYS } };
        for (size_t i = 0; i < BAYS; i++) {
                w->bays[i].state = (char *) "empty";
                w->pointers[i] = &w->bays[i];
        }
}

static void set(World *w, size_t bay, const char *state) {
        w->bays[bay].state = (char *) state;
}

static bool holds(World *w, uint64_t now_usec, uint64_t *ret_wake) {
        return until_holds(&w->until, &w->dock, now_usec, ret_wake);
}

static void test_states_are_counted_once_each(void **state) {
        World w;
        uint64_t wake;
        (void) state;
        world_setup(&w);
        assert_int_equal(until_add(&w.until, "ready,refused,ready=2"), 0);
        set(&w, 0, "ready");
        assert_false(holds(&w, 1, &wake));
        assert_int_equal(wake, 0);
        set(&w, 2, "refused");
        assert_true(holds(&w, 2, &wake));
        until_clear(&w.until);
}

static void test_idle_must_last(void **state) {
        World w;
        uint64_t wake;
        (void) state;
        world_setup(&w);
        assert_int_equal(until_add(&w.until, "idle=3"), 0);
        set(&w, 1, "pulling");
        assert_false(holds(&w, 1000000, &wake));
        assert_int_equal(wake, 0); /* a change will tell */
        set(&w, 1, "ready");
        assert_false(holds(&w, 2000000, &wake));
        assert_int_equal(wake, 4000000);
        w.dock.manager.unstored_clips = 1;
        assert_false(holds(&w, 3000000, &wake));
        assert_int_equal(wake, 0);
        w.dock.manager.unstored_clips = 0;
        assert_false(holds(&w, 5999999, &wake));
        assert_int_equal(wake, 6000000);
        assert_true(holds(&w, 6000000, &wake));
        until_clear(&w.until);
}

static void test_idle_of_no_time_still_wants_idleness(void **state) {
        World w;
        uint64_t wake;
        (void) state;
        world_setup(&w);
        assert_int_equal(until_add(&w.until, "idle=0"), 0);
        set(&w, 0, "fault");
        assert_false(holds(&w, 1, &wake));
        set(&w, 0, "quarantined");
        assert_true(holds(&w, 2, &wake));
        until_clear(&w.until);
}

static void test_nothing_holds_without_a_daemon(void **state) {
        World w;
        uint64_t wake;
        (void) state;
        world_setup(&w);
        assert_int_equal(until_add(&w.until, "empty=1"), 0);
        w.dock.present = false;
        assert_false(holds(&w, 1, &wake));
        w.dock.present = true;
        assert_true(holds(&w, 2, &wake));
        until_clear(&w.until);
}

static void test_all_terms_hold_together_or_not_at_all(void **state) {
        World w;
        uint64_t wake;
        (void) state;
        world_setup(&w);
        assert_false(holds(&w, 1, &wake)); /* no term: never */
        assert_int_equal(until_add(&w.until, "ready=1"), 0);
        assert_int_equal(until_add(&w.until, "refused=1"), 0);
        set(&w, 0, "ready");
        assert_false(holds(&w, 2, &wake));
        set(&w, 0, "refused");
        assert_false(holds(&w, 3, &wake));
        set(&w, 1, "ready");
        assert_true(holds(&w, 4, &wake));
        until_clear(&w.until);
}

static void test_nonsense_is_no_condition(void **state) {
        static const char *const wrong[] = { "", "=", "ready", "ready=", "=3", "ready=x", "ready=-1", ",=1", "ready,=1",
                                             "Ready=1", "idle=", "idle=x", "idle=1s", "idle=1.", "idle,ready=1x" };
        Until until = { 0 };
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                assert_int_equal(until_add(&until, wrong[i]), -EINVAL);
                until_clear(&until);
        }
        assert_int_equal(until_add(&until, "ready=0"), -ERANGE);
        for (size_t i = 0; i < UNTIL_MAX; i++)
                assert_int_equal(until_add(&until, "ready=1"), 0);
        assert_int_equal(until_add(&until, "ready=1"), -E2BIG);
        until_clear(&until);
        const char *many = "fault,fault,fault,fault,fault,fault,fault,fault,fault,fault,fault,fault,fault,fault,fault,fault,fault=1";
        assert_int_equal(until_add(&until, many), -E2BIG);
        until_clear(&until);
}

static void test_a_state_that_no_bay_has_is_not_waited_for(void **state) {
        Until until = { 0 };
        (void) state;
        assert_int_equal(until_add(&until, "ready,redy=1"), -ENOENT);
        until_clear(&until);
        /* All that the daemon has are known. */
        for (BayState bay = 0; bay < _BAY_STATE_MAX; bay++) {
                char text[64];
                (void) snprintf(text, sizeof(text), "%s=1", bay_state_to_string(bay));
                assert_int_equal(until_add(&until, text), 0);
                until_clear(&until);
        }
}

static void test_numbers_are_digits_within_their_limits(void **state) {
        uint64_t n = 77;
        (void) state;
        assert_int_equal(number_parse("0", 0, 5, &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(number_parse("18446744073709551615", 0, UINT64_MAX, &n), 0);
        assert_true(n == UINT64_MAX);
        assert_int_equal(number_parse("18446744073709551616", 0, UINT64_MAX, &n), -ERANGE);
        assert_int_equal(number_parse("6", 0, 5, &n), -ERANGE);
        static const char *const wrong[] = { "", " 1", "1 ", "+1", "-1", "0x1", "1e3", "1.0" };
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                assert_int_equal(number_parse(wrong[i], 0, UINT64_MAX, &n), -EINVAL);
        assert_true(n == UINT64_MAX); /* untouched by failures */
}

static void test_seconds_may_have_decimals(void **state) {
        uint64_t usec = 77;
        (void) state;
        assert_int_equal(number_seconds("3", 10, &usec), 0);
        assert_int_equal(usec, 3000000);
        assert_int_equal(number_seconds("0.25", 10, &usec), 0);
        assert_int_equal(usec, 250000);
        assert_int_equal(number_seconds("1.000001", 10, &usec), 0);
        assert_int_equal(usec, 1000001);
        assert_int_equal(number_seconds("11", 10, &usec), -ERANGE);
        static const char *const wrong[] = { "", ".", ".5", "1.", "1.0000001", "1,5", "-1", "1s", "9999999999999999999" };
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                assert_int_equal(number_seconds(wrong[i], 10, &usec), -EINVAL);
}

static void test_rate_is_over_the_last_seconds(void **state) {
        Rate r = { 0 };
        (void) state;
        assert_int_equal(rate_bytes_per_sec(&r, 0), 0);
        rate_sample(&r, 0, 1000000);
        assert_int_equal(rate_bytes_per_sec(&r, 1000000), 0);
        /* 1000 bytes a second for 20 s, four samples a second, then 5000. */
        uint64_t now = 1000000, bytes = 0;
        for (unsigned i = 0; i < 80; i++)
                rate_sample(&r, bytes += 250, now += 250000);
        assert_int_equal(rate_bytes_per_sec(&r, now), 1000);
        for (unsigned i = 0; i < 24; i++)
                rate_sample(&r, bytes += 1250, now += 250000);
        assert_int_equal(rate_bytes_per_sec(&r, now), 5000);
        /* Nothing new: it falls, and at last there is none. */
        assert_true(rate_bytes_per_sec(&r, now + 2000000) < 4000);
        assert_int_equal(rate_bytes_per_sec(&r, now + RATE_WINDOW_USEC + 1), 0);
}

static void test_rate_of_a_counter_that_fell_starts_anew(void **state) {
        Rate r = { 0 };
        (void) state;
        rate_sample(&r, 1000000, 1000000);
        rate_sample(&r, 2000000, 2000000);
        rate_sample(&r, 10, 3000000);
        assert_int_equal(rate_bytes_per_sec(&r, 3000000), 0);
        rate_sample(&r, 510, 4000000);
        assert_int_equal(rate_bytes_per_sec(&r, 4000000), 500);
}

static void test_rate_does_not_jump_on_samples_that_come_together(void **state) {
        Rate r = { 0 };
        uint64_t now = 0;
        (void) state;
        for (unsigned i = 0; i <= 1000; i++)
                rate_sample(&r, i * 1000, now = i * 1000); /* 1 MB/s, a thousand samples a second */
        assert_in_range(rate_bytes_per_sec(&r, now), 990000, 1010000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_states_are_counted_once_each),
                cmocka_unit_test(test_idle_must_last),
                cmocka_unit_test(test_idle_of_no_time_still_wants_idleness),
                cmocka_unit_test(test_nothing_holds_without_a_daemon),
                cmocka_unit_test(test_all_terms_hold_together_or_not_at_all),
                cmocka_unit_test(test_nonsense_is_no_condition),
                cmocka_unit_test(test_a_state_that_no_bay_has_is_not_waited_for),
                cmocka_unit_test(test_numbers_are_digits_within_their_limits),
                cmocka_unit_test(test_seconds_may_have_decimals),
                cmocka_unit_test(test_rate_is_over_the_last_seconds),
                cmocka_unit_test(test_rate_of_a_counter_that_fell_starts_anew),
                cmocka_unit_test(test_rate_does_not_jump_on_samples_that_come_together),
        };
        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
