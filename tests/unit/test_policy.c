/* SPDX-License-Identifier: Apache-2.0 */

/* When policy lets a clip be erased. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/policy.h"

#define DAY (UINT64_C(86400) * USEC_PER_SEC)
#define THEN INT64_C(1700000000000000)

static void test_the_stricter_policy_counts(void **state) {
        static const ErasePolicy week = { ERASE_AFTER_TIME, 7 * DAY }, month = { ERASE_AFTER_TIME, 30 * DAY };
        static const ErasePolicy at_once = { ERASE_AFTER_RECEIPT, 0 }, hand = { ERASE_BY_HAND, 0 }, never = { ERASE_NEVER, 0 };
        (void) state;

        assert_true(erase_policy_join(week, month).after_usec == 30 * DAY && erase_policy_join(month, week).after_usec == 30 * DAY);
        assert_int_equal(erase_policy_join(at_once, week).mode, ERASE_AFTER_TIME);
        assert_int_equal(erase_policy_join(hand, month).mode, ERASE_BY_HAND);
        assert_int_equal(erase_policy_join(hand, never).mode, ERASE_NEVER);
        assert_int_equal(erase_policy_join(never, at_once).mode, ERASE_NEVER);
        assert_int_equal(erase_policy_join(at_once, at_once).mode, ERASE_AFTER_RECEIPT);
}

static void test_erase_waits_for_what_policy_says(void **state) {
        static const ClockFacts week_later = { true, THEN + 7 * (int64_t) DAY, 7 * DAY, UINT64_MAX };
        static const ClockFacts not_known = { false, THEN + 7 * (int64_t) DAY, 7 * DAY, UINT64_MAX };
        static const ClockFacts put_forward = { true, THEN + 7 * (int64_t) DAY, 7 * DAY - 1800 * USEC_PER_SEC, UINT64_MAX };
        static const struct {
                EraseFacts facts;
                const ClockFacts *now;
                bool allows, waits;
        } cases[] = {
                { { { ERASE_AFTER_RECEIPT, 0 }, false, false, 0, 0 }, &not_known, true, false },
                { { { ERASE_AFTER_TIME, 7 * DAY }, false, true, THEN, 0 }, &week_later, true, false },
                { { { ERASE_AFTER_TIME, 7 * DAY + 1 }, false, true, THEN, 0 }, &week_later, false, true },
                { { { ERASE_AFTER_TIME, 7 * DAY }, false, true, THEN, 0 }, &not_known, false, true },
                { { { ERASE_AFTER_TIME, 7 * DAY }, false, true, THEN, 0 }, &put_forward, false, true },
                { { { ERASE_AFTER_TIME, 7 * DAY }, false, false, 0, 0 }, &week_later, false, false },
                { { { ERASE_AFTER_TIME, 7 * DAY }, true, false, 0, 0 }, &not_known, true, false },
                { { { ERASE_BY_HAND, 0 }, false, true, THEN, 0 }, &week_later, false, false },
                { { { ERASE_BY_HAND, 0 }, true, true, THEN, 0 }, &week_later, true, false },
                { { { ERASE_NEVER, 0 }, true, true, THEN, 0 }, &week_later, false, false },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t wait = 12345;

                if (erase_policy_allows(&cases[i].facts, cases[i].now, &wait) != cases[i].allows || (wait > 0) != cases[i].waits)
                        fail_msg("case %zu", i);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_stricter_policy_counts),
                cmocka_unit_test(test_erase_waits_for_what_policy_says),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
