/* SPDX-License-Identifier: Apache-2.0 */

/* The proof of the whole chain beside the daemon's work: it finds what the start did not look at, and only that. */

#include "unit/store_rig.h"

#include "store/chain_check.h"

#define EVENTS 1200u /* more than a step takes */

typedef struct Outcome {
        unsigned calls;
        ChainState state;
        char text[512];
} Outcome;

static void on_checked(void *userdata, ChainState state, const char *text) {
        Outcome *o = userdata;

        o->calls++;
        o->state = state;
        (void) snprintf(o->text, sizeof(o->text), "%s", text);
}

/* A store that was opened with many events in it. */
static int setup_filled(void **state) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        Rig *rig;

        if (rig_setup(state) < 0 || store_batch_new(&batch) < 0)
                return -1;
        rig = *state;
        for (unsigned i = 0; i < EVENTS; i++) {
                Fact f = rig_fact(FACT_FAULT);

                f.bay = "1-1.1";
                f.text = "nothing in particular";
                if (store_batch_add(batch, &f) < 0)
                        return -1;
        }
        if (store_submit(rig->store, TAKE_PTR(batch), rig_done, rig) < 0)
                return -1;
        rig_wait(rig, 1);
        rig_close(rig);
        return rig_open(rig);
}

static Outcome check(Rig *rig) {
        _cleanup_(chain_check_freep) ChainCheck *c = NULL;
        uint64_t end = clock_boottime_usec() + RIG_DEADLINE_USEC;
        Outcome o = { 0 };

        assert_int_equal(chain_check_start(rig->event, rig->store, on_checked, &o, &c), 0);
        while (o.calls == 0) {
                assert_true(clock_boottime_usec() < end);
                assert_true(sd_event_run(rig->event, USEC_PER_SEC) >= 0);
        }
        assert_int_equal(o.calls, 1);
        return o;
}

static void test_whole_chain_is_proven_to_its_head(void **state) {
        Outcome o = check(*state);

        assert_int_equal(o.state, CHAIN_WHOLE);
        assert_non_null(strstr(o.text, "from event 1 to event 1200"));
}

static void test_empty_chain_is_whole(void **state) {
        assert_int_equal(check(*state).state, CHAIN_WHOLE);
}

static void test_events_that_come_meanwhile_are_not_its_concern(void **state) {
        Rig *rig = *state;
        Fact f = rig_fact(FACT_DAEMON_STOPPED);

        rig_must(rig, &f);
        assert_int_equal(check(rig).state, CHAIN_WHOLE);
}

/* Each is done by somebody who knows how, while the store is open: its start found nothing. */
static void test_each_kind_of_change_is_found_and_named(void **state) {
        static const struct {
                const char *sql, *at;
        } spoils[] = {
                { "UPDATE custody SET bytes = replace(bytes, 'nothing', 'nobody!') WHERE seq = 7", "at event 7:" },
                { "UPDATE custody SET bytes = replace(bytes, 'nothing', 'nobody!'), hash = "
                  "sha256(replace(bytes, 'nothing', 'nobody!')) WHERE seq = 700", "at event 701:" },
                { "UPDATE custody SET hash = zeroblob(32) WHERE seq = 1100", "at event 1100:" },
                { "UPDATE custody SET kind = 'erased' WHERE seq = 3", "at event 3:" },
                { "UPDATE custody SET clip_id = 5 WHERE seq = 4", "at event 4:" },
                { "UPDATE custody SET wall_usec = wall_usec + 1 WHERE seq = 5", "at event 5:" },
                { "DELETE FROM custody WHERE seq = 600", "at event 600:" },
                { "DELETE FROM custody WHERE seq = 1200", "at event 1200:" },
                { "DELETE FROM custody", "at event 1:" },
                { "UPDATE custody SET bytes = replace(bytes, 'nothing', 'nobody!'), hash = "
                  "sha256(replace(bytes, 'nothing', 'nobody!')) WHERE seq = 1200", "at event 1200:" },
        };
        Rig *rig = *state;

        for (size_t i = 0; i < ELEMENTSOF(spoils); i++) {
                void *fresh = NULL;
                Outcome o;

                assert_int_equal(setup_filled(&fresh), 0);
                rig_spoil(fresh, spoils[i].sql);
                o = check(fresh);
                if (o.state != CHAIN_BROKEN || !strstr(o.text, spoils[i].at))
                        print_error("%s: %s: %s\n", spoils[i].sql, chain_state_to_string(o.state), o.text);
                assert_int_equal(o.state, CHAIN_BROKEN);
                assert_non_null(strstr(o.text, spoils[i].at));
                assert_non_null(strstr(o.text, "restore"));
                assert_int_equal(rig_teardown(&fresh), 0);
        }
        assert_int_equal(check(rig).state, CHAIN_WHOLE);
}

static void test_it_can_be_ended_at_any_moment(void **state) {
        Rig *rig = *state;

        for (unsigned turns = 0; turns < 6; turns++) {
                _cleanup_(chain_check_freep) ChainCheck *c = NULL;
                Outcome o = { 0 };

                assert_int_equal(chain_check_start(rig->event, rig->store, on_checked, &o, &c), 0);
                for (unsigned i = 0; i < turns; i++)
                        assert_true(sd_event_run(rig->event, 0) >= 0);
                c = chain_check_free(c);
                for (unsigned i = 0; i < 4; i++)
                        assert_true(sd_event_run(rig->event, 0) >= 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_whole_chain_is_proven_to_its_head, setup_filled, rig_teardown),
                cmocka_unit_test_setup_teardown(test_empty_chain_is_whole, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_events_that_come_meanwhile_are_not_its_concern, setup_filled, rig_teardown),
                cmocka_unit_test_setup_teardown(test_each_kind_of_change_is_found_and_named, setup_filled, rig_teardown),
                cmocka_unit_test_setup_teardown(test_it_can_be_ended_at_any_moment, setup_filled, rig_teardown),
        };

        (void) cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
