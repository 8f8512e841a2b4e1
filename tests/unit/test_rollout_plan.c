/* SPDX-License-Identifier: Apache-2.0 */

/* The plan of a rollout: what an administrator may write, who is believed, and under which names things lie in the store. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rollout_plan.h"
#include "base/text.h"

#define PLAN                                                                                                                      \
        "{\"id\": \"r1\", \"fleet\": \"north\", \"version\": \"2.1\", \"models\": [\"cam\"], \"begin\": \"2026-12-01\","               \
        " \"waves\": [{\"named\": [\"SN-1\", \"SN-2\"]}, {\"of_10000\": 500, \"cameras\": 40},"                                        \
        " {\"of_10000\": 10000, \"cameras\": 800, \"start\": \"2026-12-05T22:00:00.000000Z\"}],"                                       \
        " \"hours\": [\"Mon-Fri 22:00-05:00\"], \"bad_max\": 3, \"under_way_max\": 10}"

static RolloutOrder *parse(const char *text, ConfError *error) {
        json_t *said = json_loads(text, 0, NULL);
        RolloutOrder *o = NULL;

        assert_non_null(said);
        (void) rollout_order_parse(said, "running", &o, error);
        json_decref(said);
        return o;
}

static void test_plan_says_what_it_says(void **state) {
        ConfError error = { 0 };
        RolloutOrder *o = parse(PLAN, &error);

        (void) state;
        assert_non_null(o);
        assert_string_equal(o->plan.id, "r1");
        assert_int_equal(o->plan.n_waves, 3);
        assert_int_equal(o->plan.waves[0].share, 0);
        assert_int_equal(o->plan.waves[0].cameras, 2);
        assert_int_equal(o->plan.waves[1].share, 500);
        assert_true(o->plan.waves[2].start_usec > o->plan.begin_usec);
        assert_int_equal(rollout_order_named(o, "SN-2"), 0);
        assert_int_equal(rollout_order_named(o, "SN-3"), UINT32_MAX);
        assert_true(rollout_order_is_for(o, "cam"));
        assert_false(rollout_order_is_for(o, "camera"));
        assert_int_equal(o->n_hours, 1);
        assert_string_equal(rollout_order_state(o), "running");
        (void) rollout_order_free(o);
}

/* Replaces `from` in the plan: it is refused with a sentence that has `words`. */
static void refused(const char *from, const char *to, const char *words) {
        _cleanup_(freep) char *text = strdup(PLAN), *changed = NULL;
        ConfError error = { 0 };
        char *at = strstr(text, from);

        assert_non_null(at);
        *at = 0;
        changed = text_format("%s%s%s", text, to, at + strlen(from));
        assert_null(parse(changed, &error));
        assert_non_null(strstr(error.text, words));
}

static void test_plan_that_is_none_is_refused(void **state) {
        (void) state;
        refused("\"bad_max\": 3", "\"bad_max\": 999", "\"bad_max\" must be a number from 0 to 998");
        refused("\"bad_max\": 3,", "", "\"bad_max\"");
        refused("\"under_way_max\": 10", "\"under_way_max\": 1", "from 2");
        refused("\"id\": \"r1\"", "\"id\": \"R/1\"", "small letters");
        refused("\"id\": \"r1\"", "\"id\": \"plans\"", "small letters");
        refused("\"begin\": \"2026-12-01\"", "\"begin\": \"tomorrow\"", "must be a day");
        refused("Mon-Fri", "Someday", "is no time");
        refused("\"of_10000\": 10000", "\"of_10000\": 400", "from 501");
        refused("\"SN-2\"", "\"SN-1\"", "named twice");
        refused("\"cameras\": 40", "\"cameras\": 0", "\"cameras\"");
        refused("\"fleet\": \"north\"", "\"fleet\": \"no rth\"", "no name of a fleet");
        refused("\"version\"", "\"except\": 1, \"version\"", "\"except\", which this version of Berth does not know");
        refused("\"named\"", "\"not_named\": 1, \"named\"", "does not know");
}

static void test_only_the_administrators_newer_plan_counts(void **state) {
        _cleanup_(sign_key_freep) SignKey *admin = NULL, *other = NULL;
        _cleanup_(freep) char *file = NULL, *changed = NULL;
        char key[ROLLOUT_KEY_SIZE], another[ROLLOUT_KEY_SIZE];
        RolloutOrder *o = parse(PLAN, &(ConfError){ 0 }), *got = NULL;
        const PublicKey *believed;
        ConfError error = { 0 };

        (void) state;
        assert_int_equal(sign_key_new(&admin), 0);
        assert_int_equal(sign_key_new(&other), 0);
        assert_int_equal(rollout_order_sign(admin, o, 4, "paused", INT64_C(1800000000000000), &file), 0);
        (void) rollout_order_free(o);
        believed = sign_key_public(admin);
        (void) rollout_plan_key("r1", 4, key);
        assert_string_equal(key, "rollouts/plans/r1.000004");
        assert_int_equal(rollout_order_open(file, strlen(file), key, believed, "north", 3, &got, &error), 0);
        assert_int_equal(got->revision, 4);
        assert_true(got->plan.paused);
        got = rollout_order_free(got);
        /* Played again; another administrator's; another fleet's; under another name; changed; cut off. */
        assert_int_equal(rollout_order_open(file, strlen(file), key, believed, "north", 4, &got, &error), -EKEYREJECTED);
        assert_int_equal(rollout_order_open(file, strlen(file), key, sign_key_public(other), "north", 3, &got, &error), -EKEYREJECTED);
        assert_int_equal(rollout_order_open(file, strlen(file), key, believed, "south", 3, &got, &error), -EKEYREJECTED);
        assert_int_equal(rollout_order_open(file, strlen(file), rollout_plan_key("r1", 5, another), believed, "north", 3, &got, &error),
                         -EKEYREJECTED);
        assert_int_equal(rollout_order_open(file, strlen(file) - 9, key, believed, "north", 3, &got, &error), -EBADE);
        changed = strdup(file);
        assert_non_null(changed);
        strstr(changed, "paused")[0] = 'P';
        assert_int_equal(rollout_order_open(changed, strlen(changed), key, believed, "north", 3, &got, &error), -EKEYREJECTED);
        assert_null(got);
}

static void test_names_tell_what_they_are_of(void **state) {
        char key[ROLLOUT_KEY_SIZE], id[ROLLOUT_ID_SIZE];
        uint32_t place, wave;
        uint64_t number;

        (void) state;
        assert_int_equal(rollout_plan_of_key("rollouts/plans/cam-2-1.000012", id, &number), 0);
        assert_string_equal(id, "cam-2-1");
        assert_int_equal(number, 12);
        assert_int_equal(rollout_plan_of_key("rollouts/plans/cam.12", id, &number), -EINVAL);
        assert_int_equal(rollout_plan_of_key("rollouts/plans/cam.000000", id, &number), -EINVAL);
        assert_int_equal(rollout_plan_of_key("rollouts/cam.ok/1", id, &number), -EINVAL);
        assert_string_equal(rollout_started_key("r1", 72, 5, key), "rollouts/r1.started/00000072-000005");
        assert_int_equal(rollout_numbers_of_key(key, &number, &place, &wave), 0);
        assert_int_equal(number, 72);
        assert_int_equal(place, 5);
        assert_int_equal(wave, UINT32_MAX);
        assert_string_equal(rollout_outcome_key("r1", "bad", 72, 5, 2, key), "rollouts/r1.bad/00000072-000005-02");
        assert_int_equal(rollout_numbers_of_key(key, &number, &place, &wave), 0);
        assert_int_equal(wave, 2);
        (void) rollout_outcome_key("r1", "ok", 72, 5, UINT32_MAX, key);
        assert_int_equal(rollout_numbers_of_key(key, &number, &place, &wave), 0);
        assert_int_equal(wave, UINT32_MAX);
        assert_int_equal(rollout_numbers_of_key(rollout_stop_key("r1", key), &number, &place, &wave), -EINVAL);
        /* Before all that is bad, so that it is listed first. */
        assert_true(strcmp(key, rollout_outcome_key("r1", "bad", 0, 0, 0, (char[ROLLOUT_KEY_SIZE]){ 0 })) < 0);
        assert_int_equal(rollout_numbers_of_key(rollout_sum_key("r1", 9, key), &number, &place, &wave), 0);
        assert_int_equal(place, UINT32_MAX);
        assert_int_equal(rollout_numbers_of_key("rollouts/r1.ok/00000001-000001-99", &number, &place, &wave), -EINVAL);
        assert_int_equal(rollout_numbers_of_key("rollouts/r1.ok/00000001-000001-01x", &number, &place, &wave), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plan_says_what_it_says),
                cmocka_unit_test(test_plan_that_is_none_is_refused),
                cmocka_unit_test(test_only_the_administrators_newer_plan_counts),
                cmocka_unit_test(test_names_tell_what_they_are_of),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
