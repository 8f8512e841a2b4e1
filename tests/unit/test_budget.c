/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/budget.h"

#define START UINT64_C(1000000000)

typedef struct Step {
        uint64_t after_usec; /* since the step before */
        uint64_t n;
        bool granted;
} Step;

typedef struct Case {
        const char *name;
        uint64_t burst, per_sec;
        Step steps[8]; /* ended by n == 0 */
} Case;

static const Case cases[] = {
        { "a burst is granted at once, and no more", 10, 5, { { 0, 4, true }, { 0, 6, true }, { 0, 1, false } } },
        { "what is refused takes nothing", 10, 5, { { 0, 11, false }, { 0, 10, true } } },
        { "tokens come back with time", 10, 5, { { 0, 10, true }, { USEC_PER_SEC, 5, true }, { 0, 1, false } } },
        { "nothing comes back early", 10, 5, { { 0, 10, true }, { USEC_PER_SEC / 5 - 1, 1, false }, { 1, 1, true } } },
        { "parts of a token add up", 10, 3,
          { { 0, 10, true }, { 333333, 1, false }, { 333333, 1, true }, { 333334, 2, true }, { 0, 1, false } } },
        { "a long rest fills the bucket once", 10, 5, { { 0, 10, true }, { 3600 * USEC_PER_SEC, 10, true }, { 0, 1, false } } },
        { "a rest as long as time fills it once", 10, 5, { { 0, 10, true }, { UINT64_MAX / 2, 10, true }, { 0, 1, false } } },
        { "a full bucket gathers no parts", 10, 3, { { 900000, 10, true }, { 333333, 1, false }, { 1, 1, true } } },
        { "no tokens come back where none are due", 10, 0, { { 0, 10, true }, { 3600 * USEC_PER_SEC, 1, false } } },
        { "the largest bucket does not overflow", UINT64_C(1) << 32, UINT64_C(1) << 32,
          { { 0, UINT64_C(1) << 32, true }, { 999999, UINT64_C(1) << 32, false }, { 1, UINT64_C(1) << 32, true } } },
};

static void test_budget_grants_its_burst_and_its_rate(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Case *c = &cases[i];
                uint64_t now = START;
                Budget b;

                budget_init(&b, c->burst, c->per_sec, now);
                for (const Step *s = c->steps; s < c->steps + ELEMENTSOF(c->steps) && s->n > 0; s++) {
                        now += s->after_usec;
                        if (budget_take(&b, s->n, now) != s->granted)
                                fail_msg("%s: step %td", c->name, s - c->steps);
                }
        }
}

static void test_clock_that_goes_backwards_credits_nothing(void **state) {
        Budget b;

        (void) state;
        budget_init(&b, 10, 5, START);
        assert_true(budget_take(&b, 10, START));
        assert_false(budget_take(&b, 1, START - USEC_PER_SEC));
        assert_false(budget_take(&b, 1, START));
        assert_true(budget_take(&b, 5, START + USEC_PER_SEC));
}

static void test_steady_use_at_the_rate_is_never_refused(void **state) {
        uint64_t now = START;
        Budget b;

        (void) state;
        budget_init(&b, 2, 7, now);
        assert_true(budget_take(&b, 1, now));
        /* 7 a second for a day, at moments that do not fall on whole microseconds. */
        for (uint64_t i = 0; i < UINT64_C(7) * 86400; i++) {
                now = START + (i * USEC_PER_SEC + 6) / 7;
                assert_true(budget_take(&b, 1, now));
        }
        assert_false(budget_take(&b, 1, now));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_budget_grants_its_burst_and_its_rate),
                cmocka_unit_test(test_clock_that_goes_backwards_credits_nothing),
                cmocka_unit_test(test_steady_use_at_the_rate_is_never_refused),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
