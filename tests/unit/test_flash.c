/* SPDX-License-Identifier: Apache-2.0 */

/* When a camera may be flashed, and how a flash ended. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/flash.h"

#define NOW (1000 * USEC_PER_SEC)

/* One that may be; a row changes what it is about. */
#define GOOD                                                                                                                    \
        .listed = true, .battery_percent = 80, .battery_floor_percent = 50, .charging_known = true, .charging = true, .powered = true, \
        .attempts_max = 3, .hardware_fits = true, .version = "2.0"

#pragma GCC diagnostic ignored "-Woverride-init"

static void test_each_obstacle_has_its_own_reason(void **state) {
        static const struct {
                FlashCamera camera;
                uint32_t why;
        } rows[] = {
                { { GOOD }, 0 },
                { { GOOD, .listed = false }, FLASH_BIT(FLASH_FOOTAGE) },
                { { GOOD, .without_receipt = 1 }, FLASH_BIT(FLASH_FOOTAGE) },
                { { GOOD, .checked_out = true }, FLASH_BIT(FLASH_IN_USE) },
                { { GOOD, .busy = true }, FLASH_BIT(FLASH_IN_USE) },
                { { GOOD, .under_way = true }, FLASH_BIT(FLASH_UNDER_WAY) },
                { { GOOD, .hardware_fits = false }, FLASH_BIT(FLASH_HARDWARE) },
                { { GOOD, .floor = "" }, 0 },
                { { GOOD, .floor = "2.0" }, 0 },
                { { GOOD, .floor = "1.10" }, 0 },
                { { GOOD, .floor = "2.1" }, FLASH_BIT(FLASH_TOO_OLD) },
                { { GOOD, .floor = "final" }, FLASH_BIT(FLASH_TOO_OLD) },
                { { GOOD, .floor = "1.0", .version = NULL }, FLASH_BIT(FLASH_TOO_OLD) },
                { { GOOD, .battery_percent = 50 }, 0 },
                { { GOOD, .battery_percent = 49 }, FLASH_BIT(FLASH_LOW) },
                { { GOOD, .battery_percent = -1 }, FLASH_BIT(FLASH_LOW) },
                { { GOOD, .battery_percent = -1, .battery_floor_percent = 0 }, 0 },
                { { GOOD, .charging = false }, FLASH_BIT(FLASH_NOT_CHARGED) },
                { { GOOD, .charging = false, .battery_percent = 100 }, 0 },
                { { GOOD, .charging = false, .charging_known = false }, 0 },
                { { GOOD, .powered = false }, FLASH_BIT(FLASH_NOT_CHARGED) },
                { { GOOD, .powered = false, .battery_percent = 100 }, FLASH_BIT(FLASH_NOT_CHARGED) },
                { { GOOD, .unsteady_usec = NOW - FLASH_STEADY_USEC }, 0 },
                { { GOOD, .unsteady_usec = NOW - FLASH_STEADY_USEC + 1 }, FLASH_BIT(FLASH_BAY_POWER) },
                { { GOOD, .pinned = true }, FLASH_BIT(FLASH_PINNED) },
                { { GOOD, .attempts = 2 }, 0 },
                { { GOOD, .attempts = 3 }, FLASH_BIT(FLASH_TRIED) },
                { { GOOD, .attempts_max = 0 }, FLASH_BIT(FLASH_TRIED) },
                { { GOOD, .pinned = true, .without_receipt = 2, .battery_percent = 1 },
                  FLASH_BIT(FLASH_PINNED) | FLASH_BIT(FLASH_FOOTAGE) | FLASH_BIT(FLASH_LOW) },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                uint64_t at;
                uint32_t why = flash_obstacles(&rows[i].camera, 0, NOW, &at);

                if (why != rows[i].why)
                        fail_msg("row %zu: %#x", i, why);
                assert_int_equal(at, why & FLASH_BIT(FLASH_BAY_POWER) ? rows[i].camera.unsteady_usec + FLASH_STEADY_USEC : 0);
        }
}

static void test_nothing_is_known_of_a_camera_that_may_not_be_flashed(void **state) {
        FlashCamera unknown = { 0 };
        uint64_t at;
        (void) state;

        assert_int_equal(flash_obstacles(&unknown, UINT32_MAX, NOW, &at),
                         FLASH_BIT(FLASH_FOOTAGE) | FLASH_BIT(FLASH_HARDWARE) | FLASH_BIT(FLASH_NOT_CHARGED));
}

static void test_no_admin_allows_what_breaks_a_camera_or_loses_footage(void **state) {
        FlashCamera bad = { .without_receipt = 1, .checked_out = true, .under_way = true, .floor = "3", .version = "2",
                            .battery_floor_percent = 50, .unsteady_usec = NOW, .pinned = true };
        const uint32_t all = FLASH_BIT(_FLASH_WHY_MAX) - 1;
        uint64_t at;
        (void) state;

        assert_int_equal(flash_obstacles(&bad, 0, NOW, &at), all);
        assert_int_equal(flash_obstacles(&bad, all, NOW, &at), all & ~(FLASH_BIT(FLASH_PINNED) | FLASH_BIT(FLASH_TRIED)));
        assert_int_equal(flash_obstacles(&bad, FLASH_BIT(FLASH_PINNED), NOW, &at), all & ~FLASH_BIT(FLASH_PINNED));
}

static void test_codes_are_distinct(void **state) {
        (void) state;

        for (unsigned i = 0; i < _FLASH_WHY_MAX; i++) {
                assert_non_null(flash_why_to_code(i));
                assert_non_null(flash_why_to_text(i));
                for (unsigned k = 0; k < i; k++)
                        assert_string_not_equal(flash_why_to_code(i), flash_why_to_code(k));
        }
        assert_null(flash_why_to_code(_FLASH_WHY_MAX));
        assert_true(flash_why_passes(FLASH_LOW));
        assert_false(flash_why_passes(FLASH_HARDWARE));
        for (int o = 0; o < _FLASH_OUTCOME_MAX; o++)
                assert_int_equal(flash_outcome_from_string(flash_outcome_to_string(o)), o);
        assert_int_equal(flash_outcome_from_string("fine"), _FLASH_OUTCOME_INVALID);
        assert_null(flash_outcome_to_string(_FLASH_OUTCOME_INVALID));
}

#define BASE .version = "2.0", .sendings = 1, .sendings_max = 3
#define SEND { FLASH_STEP_SEND, 0, 0 }
#define DONE { FLASH_STEP_DONE, 0, 0 }
#define RECORD(o) { FLASH_STEP_RECORD, (o), 0 }
#define WAIT(usec) { FLASH_STEP_WAIT, 0, (usec) }

static void test_how_it_ended_is_what_the_camera_says(void **state) {
        static const struct {
                FlashRecord record;
                FlashDecision decision;
        } rows[] = {
                /* Who sends is left alone, and nothing but its own deadline ends it. */
                { { BASE, .worker_lives = true, .worker_by_usec = NOW + 1 }, WAIT(NOW + 1) },
                { { BASE, .worker_lives = true, .worker_by_usec = NOW - 1 }, WAIT(0) },
                { { BASE, .worker_lives = true, .worker_by_usec = NOW + 1, .in_update_mode = true }, WAIT(NOW + 1) },
                { { BASE, .worker_lives = true, .worker_by_usec = NOW + 1, .came_back = "1.0" }, WAIT(NOW + 1) },
                /* Sent. */
                { { BASE, .transfer = FLASH_SENT, .back_by_usec = NOW + 5 }, WAIT(NOW + 5) },
                { { BASE, .transfer = FLASH_SENT, .back_by_usec = NOW + 5, .came_back = "2.0" }, RECORD(FLASH_OK) },
                { { BASE, .transfer = FLASH_SENT, .back_by_usec = NOW + 5, .came_back = "1.0" }, RECORD(FLASH_OLD_VERSION) },
                { { BASE, .transfer = FLASH_SENT, .back_by_usec = NOW + 5, .came_back = "" }, WAIT(NOW + 5) },
                { { BASE, .transfer = FLASH_SENT, .back_by_usec = NOW }, RECORD(FLASH_NOT_BACK) },
                { { BASE, .transfer = FLASH_SENT, .back_by_usec = NOW, .came_back = "2.0" }, RECORD(FLASH_OK) },
                /* Cut short: the old version is a failure of the transfer, the new one none at all. */
                { { BASE, .transfer = FLASH_CUT_SHORT, .back_by_usec = NOW + 5, .came_back = "1.0" }, RECORD(FLASH_FAILED) },
                { { BASE, .transfer = FLASH_CUT_SHORT, .back_by_usec = NOW + 5, .came_back = "2.0" }, RECORD(FLASH_OK) },
                { { BASE, .transfer = FLASH_CUT_SHORT, .back_by_usec = NOW + 5 }, WAIT(NOW + 5) },
                { { BASE, .transfer = FLASH_CUT_SHORT, .back_by_usec = NOW }, RECORD(FLASH_NOT_BACK) },
                /* The worker died, or the dock lost power, with the camera in its update mode: it is finished. */
                { { BASE, .back_by_usec = NOW + 5, .in_update_mode = true }, SEND },
                { { BASE, .back_by_usec = NOW, .in_update_mode = true }, SEND },
                { { BASE, .transfer = FLASH_CUT_SHORT, .in_update_mode = true, .sendings = 2 }, SEND },
                { { BASE, .transfer = FLASH_CUT_SHORT, .in_update_mode = true, .sendings = 3 }, RECORD(FLASH_FAILED) },
                /* Sent, but it still waits for firmware: it gets its time to restart first. */
                { { BASE, .transfer = FLASH_SENT, .back_by_usec = NOW + 5, .in_update_mode = true }, WAIT(NOW + 5) },
                { { BASE, .transfer = FLASH_SENT, .back_by_usec = NOW, .in_update_mode = true }, SEND },
                { { BASE, .transfer = FLASH_SENT, .back_by_usec = NOW, .in_update_mode = true, .sendings = 3 }, RECORD(FLASH_NOT_BACK) },
                /* Recorded; a late camera heals its record. */
                { { BASE, .transfer = FLASH_SENT, .ended = true, .outcome = FLASH_NOT_BACK }, DONE },
                { { BASE, .transfer = FLASH_SENT, .ended = true, .outcome = FLASH_NOT_BACK, .came_back = "1.0" }, DONE },
                { { BASE, .transfer = FLASH_SENT, .ended = true, .outcome = FLASH_NOT_BACK, .came_back = "2.0" }, RECORD(FLASH_OK) },
                { { BASE, .transfer = FLASH_SENT, .ended = true, .outcome = FLASH_OLD_VERSION, .came_back = "2.0" }, RECORD(FLASH_OK) },
                { { BASE, .transfer = FLASH_SENT, .ended = true, .outcome = FLASH_OK, .came_back = "2.0" }, DONE },
                /* It was thought lost, and turns up in its update mode. */
                { { BASE, .ended = true, .outcome = FLASH_NOT_BACK, .in_update_mode = true }, SEND },
                { { BASE, .ended = true, .outcome = FLASH_NOT_BACK, .in_update_mode = true, .sendings = 3 }, DONE },
                { { BASE, .ended = true, .outcome = FLASH_FAILED, .in_update_mode = true }, DONE },
                { { BASE, .ended = true, .outcome = FLASH_NOT_BACK, .in_update_mode = true, .worker_lives = true,
                    .worker_by_usec = NOW + 1 }, WAIT(NOW + 1) },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                FlashDecision d = flash_next(&rows[i].record, NOW);

                if (d.step != rows[i].decision.step || d.outcome != rows[i].decision.outcome ||
                    d.wake_at_usec != rows[i].decision.wake_at_usec)
                        fail_msg("row %zu: step %d, outcome %d, wake %llu", i, d.step, d.outcome, (unsigned long long) d.wake_at_usec);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_obstacle_has_its_own_reason),
                cmocka_unit_test(test_nothing_is_known_of_a_camera_that_may_not_be_flashed),
                cmocka_unit_test(test_no_admin_allows_what_breaks_a_camera_or_loses_footage),
                cmocka_unit_test(test_codes_are_distinct),
                cmocka_unit_test(test_how_it_ended_is_what_the_camera_says),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
