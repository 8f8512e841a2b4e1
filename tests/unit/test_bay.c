/* SPDX-License-Identifier: Apache-2.0 */

/* What a bay does next: core/bay.c, by tables. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/bay.h"

#define NOW UINT64_C(1000000)
#define DOCKED .occupied = true
#define KNOWN DOCKED, .identified = true
#define CHECKED KNOWN, .checked = true
#define LISTED CHECKED, .listed = true

typedef struct Row {
        const char *promise;
        BayFacts facts;
        BayDecision expected;
} Row;

static const Row rows[] = {
        { "an empty bay waits", {}, { BAY_EMPTY, BAY_STEP_WAIT, 0 } },
        { "an empty bay forgets what it knew of faults", { .faults = 3, .retry_at_usec = NOW + 1 }, { BAY_EMPTY, BAY_STEP_WAIT, 0 } },
        { "a stranger is refused and never talked to", { DOCKED, .refused = true }, { BAY_REFUSED, BAY_STEP_WAIT, 0 } },
        { "a quarantined camera is let go", { LISTED, .quarantined = true, .to_pull = 1 }, { BAY_QUARANTINED, BAY_STEP_CLOSE, 0 } },
        { "a camera is identified first", { DOCKED }, { BAY_IDENTIFYING, BAY_STEP_IDENTIFY, 0 } },
        { "then checked", { KNOWN }, { BAY_CHECKING, BAY_STEP_CHECK, 0 } },
        { "then listed", { CHECKED }, { BAY_CHECKING, BAY_STEP_LIST, 0 } },
        { "footage is pulled", { LISTED, .to_pull = 1 }, { BAY_PULLING, BAY_STEP_PULL, 0 } },
        { "footage comes before what an erase needs", { LISTED, .to_pull = 1, .to_verify = 4 }, { BAY_PULLING, BAY_STEP_PULL, 0 } },
        { "footage comes before an erase", { LISTED, .to_pull = 1, .erasable = 9 }, { BAY_PULLING, BAY_STEP_PULL, 0 } },
        { "a full spool pauses", { LISTED, .to_pull = 1, .spool_full = true }, { BAY_PULLING, BAY_STEP_WAIT, 0 } },
        { "a full spool does not keep from verifying", { LISTED, .to_verify = 1, .spool_full = true }, { BAY_PULLING,
                BAY_STEP_VERIFY, 0 } },
        { "a clip whose facts are not committed keeps the bay", { LISTED, .being_settled = 1 }, { BAY_PULLING, BAY_STEP_WAIT, 0 } },
        { "the camera is let go while receipts are awaited", { LISTED, .awaiting_store = 2 }, { BAY_SETTLED, BAY_STEP_CLOSE, 0 } },
        { "an erase waits for the other receipts", { LISTED, .awaiting_store = 2, .erasable = 1 }, { BAY_SETTLED, BAY_STEP_CLOSE, 0 } },
        { "but not for a store that stands still",
          { LISTED, .awaiting_store = 2, .erasable = 1, .store_waiting = true },
          { BAY_SETTLED, BAY_STEP_ERASE, 0 } },
        { "what is licensed is erased", { LISTED, .erasable = 1 }, { BAY_SETTLED, BAY_STEP_ERASE, 0 } },
        { "an erase that could not be confirmed is tried later",
          { LISTED, .erase_retry_at_usec = NOW + 5 },
          { BAY_SETTLED, BAY_STEP_CLOSE, NOW + 5 } },
        { "nothing left is ready", { LISTED }, { BAY_READY, BAY_STEP_CLOSE, 0 } },
        { "a fault waits for its time", { DOCKED, .faults = 1, .retry_at_usec = NOW + 7 }, { BAY_FAULT, BAY_STEP_WAIT, NOW + 7 } },
        { "and then begins anew", { DOCKED, .faults = 1, .retry_at_usec = NOW }, { BAY_IDENTIFYING, BAY_STEP_IDENTIFY, 0 } },
        { "a clip that rests does not keep the others", { LISTED, .to_pull = 1, .reread_at_usec = NOW + 9 }, { BAY_PULLING,
                BAY_STEP_PULL, 0 } },
        { "nor what is to be verified", { LISTED, .to_verify = 1, .reread_at_usec = NOW + 9 }, { BAY_PULLING, BAY_STEP_VERIFY, 0 } },
        { "when only it is left, it is waited for, and the bay is at no fault",
          { LISTED, .reread_at_usec = NOW + 9, .erasable = 5, .awaiting_store = 1 },
          { BAY_PULLING, BAY_STEP_WAIT, NOW + 9 } },
        { "a fault comes before it", { LISTED, .retry_at_usec = NOW + 5, .reread_at_usec = NOW + 9 }, { BAY_FAULT, BAY_STEP_WAIT,
                NOW + 5 } },
        { "one step at a time", { LISTED, .to_pull = 1, .worker_busy = true }, { BAY_PULLING, BAY_STEP_WAIT, 0 } },
};

static void test_bay_does_what_its_facts_ask_for(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                BayDecision d = bay_next(&rows[i].facts, NOW);

                if (d.state != rows[i].expected.state || d.step != rows[i].expected.step ||
                    d.wake_at_usec != rows[i].expected.wake_at_usec)
                        fail_msg("%s: got %s, %s, %llu", rows[i].promise, bay_state_to_string(d.state), bay_step_to_string(d.step),
                                 (unsigned long long) d.wake_at_usec);
        }
}

/* Over all combinations of the flags and of none or some of each kind of clip. */
static void test_bay_is_never_ready_with_footage_left(void **state) {
        (void) state;
        for (unsigned bits = 0; bits < 1u << 13; bits++) {
                BayFacts f = {
                        .occupied = true,
                        .identified = bits & 1,
                        .checked = bits & 2,
                        .listed = bits & 4,
                        .to_pull = (bits >> 3) & 1,
                        .to_verify = (bits >> 4) & 1,
                        .being_settled = (bits >> 5) & 1,
                        .erasable = (bits >> 6) & 1,
                        .awaiting_store = (bits >> 7) & 1,
                        .spool_full = bits & 1u << 8,
                        .store_waiting = bits & 1u << 9,
                        .worker_busy = bits & 1u << 10,
                        .quarantined = bits & 1u << 11,
                        .refused = bits & 1u << 12,
                };
                BayDecision d = bay_next(&f, NOW);

                if (d.state == BAY_READY || d.state == BAY_SETTLED)
                        assert_true(f.listed && !f.to_pull && !f.to_verify && !f.being_settled);
                if (d.state == BAY_READY)
                        assert_true(!f.erasable && !f.awaiting_store && !f.quarantined && !f.refused);
                if (d.step == BAY_STEP_ERASE)
                        assert_true(f.erasable && !f.to_pull && !f.being_settled && !f.quarantined && !f.refused && !f.worker_busy);
        }
}

static void test_bay_states_have_names_both_ways(void **state) {
        (void) state;
        for (BayState s = 0; s < _BAY_STATE_MAX; s++)
                assert_int_equal(bay_state_from_string(bay_state_to_string(s)), s);
        assert_null(bay_state_to_string(_BAY_STATE_MAX));
        assert_int_equal(bay_state_from_string("nonsense"), _BAY_STATE_INVALID);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bay_does_what_its_facts_ask_for),
                cmocka_unit_test(test_bay_is_never_ready_with_footage_left),
                cmocka_unit_test(test_bay_states_have_names_both_ways),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
