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
#define AWAY DOCKED, .away = true

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
        { "a camera that is wanted out is read no more", { LISTED, .to_pull = 1, .erasable = 1, .handed_out = true },
          { BAY_EJECTED, BAY_STEP_WAIT, 0 } },
        { "nor identified again, nor tried again after a fault", { DOCKED, .retry_at_usec = NOW + 9, .handed_out = true },
          { BAY_EJECTED, BAY_STEP_WAIT, 0 } },
        { "it may not be taken while a clip is being erased", { LISTED, .erasable = 1, .worker_busy = true, .in_session = true,
          .handed_out = true }, { BAY_SETTLED, BAY_STEP_WAIT, 0 } },
        { "after that it is let go first", { LISTED, .erasable = 1, .in_session = true, .handed_out = true },
          { BAY_SETTLED, BAY_STEP_CLOSE, 0 } },
        { "one that a person must look at is not to be taken", { LISTED, .quarantined = true, .handed_out = true },
          { BAY_QUARANTINED, BAY_STEP_CLOSE, 0 } },
        { "nor one that is none", { DOCKED, .refused = true, .handed_out = true }, { BAY_REFUSED, BAY_STEP_WAIT, 0 } },
        { "an empty bay forgets that its camera was wanted", { .handed_out = true }, { BAY_EMPTY, BAY_STEP_WAIT, 0 } },
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
        { "where the model says so, at once", { LISTED, .erasable = 3, .formats = true }, { BAY_SETTLED, BAY_STEP_FORMAT, 0 } },
        { "but not while a receipt is awaited", { LISTED, .erasable = 3, .formats = true, .awaiting_store = 1, .store_waiting = true },
          { BAY_SETTLED, BAY_STEP_ERASE, 0 } },
        { "nor with a clip that is held", { LISTED, .erasable = 3, .formats = true, .held = 1 }, { BAY_SETTLED, BAY_STEP_ERASE, 0 } },
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
        { "a camera with footage behind a switch is identified first", { DOCKED, .switches = true }, { BAY_IDENTIFYING,
                BAY_STEP_IDENTIFY, 0 } },
        { "and checked, before it goes", { KNOWN, .switches = true }, { BAY_CHECKING, BAY_STEP_CHECK, 0 } },
        { "then it is sent into its storage mode", { CHECKED, .switches = true }, { BAY_SWITCHING, BAY_STEP_SWITCH, 0 } },
        { "nothing is listed in command mode", { LISTED, .switches = true, .to_pull = 3 }, { BAY_SWITCHING, BAY_STEP_SWITCH, 0 } },
        { "it is waited for", { AWAY, .back_by_usec = NOW + 9 }, { BAY_SWITCHING, BAY_STEP_WAIT, NOW + 9 } },
        { "and nothing is asked of it meanwhile", { AWAY, .to_pull = 1, .erasable = 1, .back_by_usec = NOW + 9 }, { BAY_SWITCHING,
                BAY_STEP_WAIT, NOW + 9 } },
        { "but not for ever", { AWAY, .back_by_usec = NOW }, { BAY_SWITCHING, BAY_STEP_LOST, 0 } },
        { "a lost one backs off", { AWAY, .back_by_usec = NOW, .lost = true, .retry_at_usec = NOW + 3 }, { BAY_FAULT,
                BAY_STEP_WAIT, NOW + 3 } },
        { "then its port is switched off and on", { AWAY, .back_by_usec = NOW, .lost = true, .port_power = true }, { BAY_SWITCHING,
                BAY_STEP_CYCLE, 0 } },
        { "once", { AWAY, .back_by_usec = NOW, .lost = true, .port_power = true, .cycled = true }, { BAY_FAULT, BAY_STEP_WAIT, 0 } },
        { "without port power a person must look", { AWAY, .back_by_usec = NOW, .lost = true }, { BAY_FAULT, BAY_STEP_WAIT, 0 } },
        { "in storage mode it is identified anew", { DOCKED, .behind = true }, { BAY_IDENTIFYING, BAY_STEP_IDENTIFY, 0 } },
        { "and pulled like any other", { LISTED, .behind = true, .to_pull = 1 }, { BAY_PULLING, BAY_STEP_PULL, 0 } },
        { "and erased like any other", { LISTED, .behind = true, .erasable = 1 }, { BAY_SETTLED, BAY_STEP_ERASE, 0 } },
        { "it stays while receipts are awaited", { LISTED, .behind = true, .awaiting_store = 1 }, { BAY_SETTLED, BAY_STEP_CLOSE, 0 } },
        { "it stays while its identity is to be confirmed", { LISTED, .behind = true, .held = 1, .port_power = true }, { BAY_SETTLED,
                BAY_STEP_CLOSE, 0 } },
        { "then it is ejected", { LISTED, .behind = true, .port_power = true }, { BAY_SETTLED, BAY_STEP_EJECT, 0 } },
        { "and its port switched off and on", { LISTED, .behind = true, .ejected = true, .port_power = true }, { BAY_SETTLED,
                BAY_STEP_CYCLE, 0 } },
        { "an ejected camera is not identified again", { DOCKED, .behind = true, .ejected = true, .port_power = true }, { BAY_SETTLED,
                BAY_STEP_CYCLE, 0 } },
        { "without port power it may go back by itself", { LISTED, .behind = true, .ejected = true, .back_by_usec = NOW + 4 },
          { BAY_SETTLED, BAY_STEP_CLOSE, NOW + 4 } },
        { "or stays as it is", { LISTED, .behind = true, .ejected = true, .back_by_usec = NOW }, { BAY_READY, BAY_STEP_CLOSE, 0 } },
        { "back in command mode it is identified", { DOCKED, .switches = true, .emptied = true }, { BAY_IDENTIFYING,
                BAY_STEP_IDENTIFY, 0 } },
        { "and checked, for its battery", { KNOWN, .switches = true, .emptied = true }, { BAY_CHECKING, BAY_STEP_CHECK, 0 } },
        { "and is ready", { CHECKED, .switches = true, .emptied = true }, { BAY_READY, BAY_STEP_CLOSE, 0 } },
        { "a quarantined one is not switched", { CHECKED, .switches = true, .quarantined = true }, { BAY_QUARANTINED,
                BAY_STEP_CLOSE, 0 } },
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

/* Over all combinations of what a switching camera can be. */
static void test_camera_is_sent_away_only_with_nothing_under_way(void **state) {
        (void) state;
        for (unsigned bits = 0; bits < 1u << 17; bits++) {
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
                        .held = (bits >> 8) & (bits >> 10) & 1,
                        .switches = (bits >> 9 & 3) == 1,
                        .behind = (bits >> 9 & 3) == 2,
                        .emptied = bits & 1u << 11,
                        .ejected = bits & 1u << 12,
                        .port_power = bits & 1u << 13,
                        .away = bits & 1u << 14,
                        .lost = bits & 1u << 15,
                        .worker_busy = bits & 1u << 16,
                };
                BayDecision d = bay_next(&f, NOW);
                bool busy = f.to_pull || f.to_verify || f.being_settled || f.erasable || f.awaiting_store || f.held;

                if (d.step == BAY_STEP_SWITCH)
                        assert_true(f.switches && f.identified && f.checked && !f.emptied && !f.away && !f.worker_busy);
                if (d.step == BAY_STEP_EJECT)
                        assert_true(f.behind && f.listed && !busy && !f.away && !f.worker_busy);
                if (d.step == BAY_STEP_CYCLE)
                        assert_true(f.port_power && !f.worker_busy && (f.away ? f.lost : f.ejected && !f.held));
                if (f.away || (f.behind && f.ejected))
                        assert_true(d.step != BAY_STEP_PULL && d.step != BAY_STEP_ERASE && d.step != BAY_STEP_IDENTIFY);
                if (d.state == BAY_READY)
                        assert_true(!f.away && !f.held && (!f.switches || f.emptied));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bay_does_what_its_facts_ask_for),
                cmocka_unit_test(test_bay_is_never_ready_with_footage_left),
                cmocka_unit_test(test_camera_is_sent_away_only_with_nothing_under_way),
                cmocka_unit_test(test_bay_states_have_names_both_ways),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
