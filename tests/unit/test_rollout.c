/* SPDX-License-Identifier: Apache-2.0 */

/* Firmware that goes out to a fleet: which step is next for a camera. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/rollout.h"

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define BEGIN (1000 * HOUR)
#define NOW (BEGIN + 5 * HOUR)

static RolloutPlan plan;
static RolloutCounts counts;
static RolloutCamera camera;
static uint64_t until;

/* Everything lets this camera be flashed. */
static int setup(void **state) {
        (void) state;
        plan = (RolloutPlan){
                .id = "r1",
                .waves = { { .share = 100, .cameras = 100, .start_usec = BEGIN },
                           { .share = 10000, .cameras = 9900, .start_usec = BEGIN + 2 * HOUR } },
                .n_waves = 2,
                .opens_share = 9000,
                .bad_max = 5,
                .bad_share = 200,
                .bad_share_least = 50,
                .under_way_max = 200,
                .begin_usec = BEGIN,
                .flash_usec = 20 * MINUTE,
                .fresh_usec = HOUR,
                .docks = 100,
        };
        counts = (RolloutCounts){ .state_usec = NOW - MINUTE, .tallies = { { .well = 95, .bad = 1 } }, .bad_usec = NOW - USEC_PER_SEC,
                                  .bad = 1 };
        camera = (RolloutCamera){ .wave = 1, .turn_usec = NOW - MINUTE, .placed = true };
        return 0;
}

static RolloutStep next(void) {
        return rollout_next(&plan, &counts, &camera, NOW, &until);
}

static void test_camera_is_flashed_when_all_lets_it(void **state) {
        (void) state;
        assert_int_equal(next(), ROLLOUT_FLASH);
        assert_int_equal(until, 0);
        assert_string_equal(rollout_step_to_string(ROLLOUT_FLASH), "flash");
}

static void test_camera_is_flashed_once(void **state) {
        (void) state;
        camera.begun = true;
        assert_int_equal(next(), ROLLOUT_BEGUN_ALREADY);
        camera.has_version = true;
        assert_int_equal(next(), ROLLOUT_DONE);
}

static void test_camera_in_no_wave_is_not_meant(void **state) {
        (void) state;
        camera.wave = ROLLOUT_NO_WAVE;
        assert_int_equal(next(), ROLLOUT_NOT_MEANT);
}

static void test_what_stops_stops_although_it_is_old(void **state) {
        (void) state;
        counts.state_usec = counts.bad_usec = 1;
        counts.bad = 6;
        assert_int_equal(next(), ROLLOUT_STOPPED);
        counts.bad = 0;
        counts.stopped = true;
        assert_int_equal(next(), ROLLOUT_STOPPED);
        plan.aborted = true;
        assert_int_equal(next(), ROLLOUT_ABORTED);
}

static void test_too_many_bad_stop(void **state) {
        (void) state;
        counts.bad = 5;
        assert_int_equal(next(), ROLLOUT_FLASH);
        counts.bad = 6;
        assert_int_equal(next(), ROLLOUT_STOPPED);
        counts.bad = 0;
        counts.tallies[1].bad = 5;
        assert_int_equal(next(), ROLLOUT_STOPPED);
}

static void test_too_large_a_share_of_bad_stops_once_there_are_enough(void **state) {
        (void) state;
        counts.tallies[0] = (RolloutTally){ .well = 46, .bad = 3 };
        plan.opens_share = 4000;
        assert_int_equal(next(), ROLLOUT_FLASH);
        counts.tallies[0].well = 47;
        assert_int_equal(next(), ROLLOUT_STOPPED);
        plan.bad_share = 0;
        assert_int_equal(next(), ROLLOUT_FLASH);
}

static void test_nothing_goes_on_without_a_fresh_look(void **state) {
        (void) state;
        counts.state_usec = NOW - 2 * HOUR;
        assert_int_equal(next(), ROLLOUT_READ_STATE);
        counts.state_usec = 0;
        assert_int_equal(next(), ROLLOUT_READ_STATE);
        counts.state_usec = NOW - 30 * MINUTE;
        assert_int_equal(next(), ROLLOUT_FLASH);
        camera.turn_usec = NOW + MINUTE;
        assert_int_equal(next(), ROLLOUT_WAITS_TURN);
        camera.turn_usec = NOW - MINUTE;
        /* A clock that went back: it is not known how old that is. */
        counts.state_usec = NOW + HOUR;
        assert_int_equal(next(), ROLLOUT_READ_STATE);
        counts.state_usec = NOW - MINUTE;
        counts.bad_usec = NOW - MINUTE;
        assert_int_equal(next(), ROLLOUT_READ_BAD);
}

static void test_bad_ones_are_listed_in_the_turn_and_before_the_place(void **state) {
        (void) state;
        camera.placed = false;
        assert_int_equal(next(), ROLLOUT_TAKE_PLACE);
        camera.turn_usec = NOW;
        assert_int_equal(next(), ROLLOUT_READ_BAD);
        counts.bad_usec = NOW;
        assert_int_equal(next(), ROLLOUT_TAKE_PLACE);
}

static void test_pause_waits_for_the_next_look(void **state) {
        (void) state;
        plan.paused = true;
        assert_int_equal(next(), ROLLOUT_PAUSED);
        assert_true(until > NOW && until <= NOW + HOUR);
}

static void test_wave_waits_for_its_start_and_for_those_before_it(void **state) {
        (void) state;
        counts.tallies[0].well = 89;
        assert_int_equal(next(), ROLLOUT_WAITS_WAVE);
        assert_true(until > NOW);
        counts.tallies[0].well = 90;
        assert_int_equal(next(), ROLLOUT_FLASH);
        plan.waves[1].start_usec = NOW + HOUR;
        assert_int_equal(next(), ROLLOUT_WAITS_START);
        assert_int_equal(until, NOW + HOUR);
        camera.wave = 0;
        counts.tallies[0] = (RolloutTally){};
        assert_int_equal(next(), ROLLOUT_FLASH);
}

static void test_turn_is_drawn_waited_for_and_drawn_again_when_missed(void **state) {
        (void) state;
        camera.turn_usec = 0;
        assert_int_equal(next(), ROLLOUT_DRAW);
        camera.turn_usec = NOW + MINUTE;
        assert_int_equal(next(), ROLLOUT_WAITS_TURN);
        assert_int_equal(until, NOW + MINUTE);
        camera.turn_usec = NOW - 20 * MINUTE;
        assert_int_equal(next(), ROLLOUT_DRAW);
}

/* It costs the store nothing until then, and what allows it is read anew in its turn. */
static void test_camera_that_waits_for_its_turn_asks_the_store_nothing(void **state) {
        (void) state;
        counts.state_usec = NOW - plan.fresh_usec - 1;
        camera.turn_usec = NOW + MINUTE;
        assert_int_equal(next(), ROLLOUT_WAITS_TURN);
        assert_int_equal(until, NOW + MINUTE);
        camera.turn_usec = NOW;
        assert_int_equal(next(), ROLLOUT_READ_STATE);
        /* What stops, stops also then. */
        camera.turn_usec = NOW + MINUTE;
        counts.stopped = true;
        assert_int_equal(next(), ROLLOUT_STOPPED);
}

/* Flashes of two windows overlap, and of no more: a window's are over when the next but one begins. */
static void test_places_keep_the_fleet_under_its_limit(void **state) {
        (void) state;
        assert_int_equal(rollout_places(&plan), 100);
        assert_int_equal(rollout_window(&plan, NOW), 15);
        assert_int_equal(rollout_window(&plan, BEGIN - HOUR), 0);
        assert_int_equal(rollout_window_closes_usec(&plan, 15), rollout_window_usec(&plan, 17));
        plan.under_way_max = 1;
        assert_int_equal(rollout_places(&plan), 1);
}

static void test_turns_are_drawn_over_what_is_left(void **state) {
        uint64_t turn, first = UINT64_MAX, last = 0;
        uint32_t place, largest = 0, in_hours = 0;
        (void) state;

        srand(3);
        counts.tallies[1] = (RolloutTally){ .well = 8899, .bad = 1 };
        for (unsigned i = 0; i < 20000; i++) {
                uint64_t random = (uint64_t) rand() << 33 ^ (uint64_t) rand() << 11 ^ (uint64_t) rand();

                assert_true(rollout_draw(&plan, &counts, 1, NOW, UINT64_MAX, random, &turn, &place));
                assert_int_equal((turn - BEGIN) % plan.flash_usec, 0);
                first = MIN2(first, turn);
                last = MAX2(last, turn);
                largest = MAX2(largest, place);
        }
        /* 1000 cameras, 100 places, 50 of which are drawn: 20 windows. */
        assert_int_equal(first, rollout_window_usec(&plan, 16));
        assert_int_equal(last, rollout_window_usec(&plan, 35));
        assert_int_equal(largest, 99);
        /* Of the 20 windows 3 begin and end in the hour: it waits for the next night otherwise. */
        for (unsigned i = 0; i < 2000; i++) {
                uint64_t random = (uint64_t) rand() << 33 ^ (uint64_t) rand();

                in_hours += rollout_draw(&plan, &counts, 1, NOW, rollout_window_usec(&plan, 19), random, &turn, &place);
        }
        assert_in_range(in_hours, 220, 380);
}

/* The first outcomes of a small wave are to count before the rest of it is flashed. */
static void test_small_wave_is_spread(void **state) {
        uint64_t turn, last = 0;
        uint32_t place;
        (void) state;

        plan.spread = 12;
        for (unsigned i = 0; i < 2000; i++) {
                uint64_t random = (uint64_t) rand() << 33 ^ (uint64_t) rand();

                (void) rollout_draw(&plan, &(RolloutCounts){}, 0, NOW, UINT64_MAX, random, &turn, &place);
                last = MAX2(last, turn);
        }
        /* 100 cameras, 8 in each. */
        assert_int_equal(last, rollout_window_usec(&plan, 16 + 12));
}

static void test_waves_are_shares_dealt_out_anew_by_each_rollout(void **state) {
        unsigned in_first = 0, in_both = 0, in_none = 0;
        (void) state;

        plan.waves[0].share = 1000;
        plan.waves[1].share = 9000;
        for (unsigned i = 0; i < 10000; i++) {
                RolloutPlan other = plan;
                char serial[16];
                uint32_t a, b, again;

                other.id = "r2";
                (void) snprintf(serial, sizeof(serial), "SN-%u", i);
                assert_int_equal(rollout_wave(&plan, serial, &a), 0);
                assert_int_equal(rollout_wave(&plan, serial, &again), 0);
                assert_int_equal(rollout_wave(&other, serial, &b), 0);
                assert_int_equal(a, again);
                in_first += a == 0;
                in_both += a == 0 && b == 0;
                in_none += a == ROLLOUT_NO_WAVE;
        }
        assert_in_range(in_first, 900, 1100);
        assert_in_range(in_none, 900, 1100);
        assert_in_range(in_both, 50, 150);
}

/* A few docks first, more when nobody came, all in the end. */
static void test_window_is_closed_by_few(void **state) {
        unsigned before = 0, at_once = 0, late = 0, never = 0;
        (void) state;

        for (uint32_t r = 0; r < 100; r++) {
                before += rollout_is_closer(&plan, 3, rollout_window_closes_usec(&plan, 3) - 1, r);
                at_once += rollout_is_closer(&plan, 3, rollout_window_closes_usec(&plan, 3), r);
                late += rollout_is_closer(&plan, 3, rollout_window_closes_usec(&plan, 3) + 40 * MINUTE, r);
                never += !rollout_is_closer(&plan, 3, rollout_window_closes_usec(&plan, 3) + 24 * HOUR, r);
        }
        assert_int_equal(before, 0);
        assert_int_equal(at_once, 3);
        assert_int_equal(late, 12);
        assert_int_equal(never, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_camera_is_flashed_when_all_lets_it, setup),
                cmocka_unit_test_setup(test_camera_is_flashed_once, setup),
                cmocka_unit_test_setup(test_camera_in_no_wave_is_not_meant, setup),
                cmocka_unit_test_setup(test_what_stops_stops_although_it_is_old, setup),
                cmocka_unit_test_setup(test_too_many_bad_stop, setup),
                cmocka_unit_test_setup(test_too_large_a_share_of_bad_stops_once_there_are_enough, setup),
                cmocka_unit_test_setup(test_nothing_goes_on_without_a_fresh_look, setup),
                cmocka_unit_test_setup(test_bad_ones_are_listed_in_the_turn_and_before_the_place, setup),
                cmocka_unit_test_setup(test_pause_waits_for_the_next_look, setup),
                cmocka_unit_test_setup(test_wave_waits_for_its_start_and_for_those_before_it, setup),
                cmocka_unit_test_setup(test_camera_that_waits_for_its_turn_asks_the_store_nothing, setup),
                cmocka_unit_test_setup(test_turn_is_drawn_waited_for_and_drawn_again_when_missed, setup),
                cmocka_unit_test_setup(test_places_keep_the_fleet_under_its_limit, setup),
                cmocka_unit_test_setup(test_turns_are_drawn_over_what_is_left, setup),
                cmocka_unit_test_setup(test_small_wave_is_spread, setup),
                cmocka_unit_test_setup(test_waves_are_shares_dealt_out_anew_by_each_rollout, setup),
                cmocka_unit_test_setup(test_window_is_closed_by_few, setup),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
