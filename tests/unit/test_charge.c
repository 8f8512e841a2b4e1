/* SPDX-License-Identifier: Apache-2.0 */

/* Batteries as curves, and who is charged when. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/battery.h"
#include "base/macro.h"
#include "core/charge.h"

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define PERCENT BATTERY_PERCENT

/* 3000 mAh at 1000 mA: a percent takes 108 s, all of it three hours. */
static Battery even;
/* The same, and slower towards its end. */
static Battery tapering;

static int make_batteries(void **state) {
        const ChargePoint points[] = { { 0, 1000 }, { 80, 1000 }, { 100, 100 } };
        (void) state;

        battery_make(NULL, 0, 1000, 3000, &even);
        battery_make(points, ELEMENTSOF(points), 0, 3000, &tapering);
        return 0;
}

/* ---- Batteries ---------------------------------------------------------------------------------------------------- */

static void test_battery_takes_the_time_that_its_current_gives(void **state) {
        uint32_t ma;
        (void) state;

        assert_int_equal(battery_msec(&even, 0, BATTERY_FULL), 3 * 3600 * 1000);
        assert_int_equal(battery_msec(&even, 50 * PERCENT, 51 * PERCENT), 108 * 1000);
        assert_int_equal(battery_msec(&even, 50 * PERCENT, 50 * PERCENT + 500), 54 * 1000);
        assert_int_equal(battery_msec(&even, 70 * PERCENT, 60 * PERCENT), 0);
        assert_int_equal(battery_charge(&even, 10 * PERCENT, 108 * 1000, &ma), 11 * PERCENT);
        assert_int_equal(ma, 1000);
        assert_int_equal(battery_charge(&even, 99 * PERCENT, 1000 * 1000, &ma), BATTERY_FULL);
        assert_int_equal(battery_charge(&even, BATTERY_FULL, 1000, &ma), BATTERY_FULL);
        assert_int_equal(ma, 0);
}

static void test_battery_follows_its_curve(void **state) {
        uint32_t ma;
        (void) state;

        assert_int_equal(battery_msec(&tapering, 0, 80 * PERCENT), battery_msec(&even, 0, 80 * PERCENT));
        assert_true(battery_msec(&tapering, 80 * PERCENT, BATTERY_FULL) > 2 * battery_msec(&even, 80 * PERCENT, BATTERY_FULL));
        (void) battery_charge(&tapering, 90 * PERCENT, 1000, &ma);
        assert_int_equal(ma, 550);
        (void) battery_charge(&tapering, 79 * PERCENT + 500, 10 * 3600 * 1000, &ma);
        assert_int_equal(ma, 1000);
}

/* A curve that rises first: the most that is drawn is in the middle. */
static void test_the_most_that_is_drawn_is_told(void **state) {
        const ChargePoint points[] = { { 0, 100 }, { 10, 900 }, { 20, 900 }, { 100, 50 } };
        Battery b;
        uint32_t ma;
        (void) state;

        battery_make(points, ELEMENTSOF(points), 0, 2000, &b);
        (void) battery_charge(&b, 0, 24 * 3600 * 1000, &ma);
        assert_int_equal(ma, 900);
}

static void test_battery_of_which_nothing_is_known_charges(void **state) {
        Battery b;
        uint32_t ma;
        (void) state;

        battery_make(NULL, 0, 0, 0, &b);
        assert_int_equal(battery_charge(&b, 0, 24 * 3600 * 1000, &ma), BATTERY_FULL);
        assert_int_equal(ma, BATTERY_DEFAULT_MA);
        battery_make((ChargePoint[]){ { 0, 0 }, { 100, 0 } }, 2, 0, 0, &b);
        assert_true(battery_charge(&b, 0, UINT32_MAX, NULL) > 0);
}

/* ---- Plans -------------------------------------------------------------------------------------------------------- */

static ChargeBay bay(uint32_t percent, uint64_t due_usec) {
        return (ChargeBay){
                .occupied = true,
                .switchable = true,
                .battery = &even,
                .level = percent * PERCENT,
                .ready_level = BATTERY_FULL,
                .hold_level = BATTERY_FULL,
                .due_usec = due_usec,
                .hub = CHARGE_NO_HUB,
        };
}

/* Levels are counted in whole thousandths of a percent: from step to step a little is lost. */
static void assert_about(uint64_t usec, uint64_t expected_usec) {
        assert_true(usec >= expected_usec && usec < expected_usec + 10 * USEC_PER_SEC);
}

static ChargeOrder orders[CHARGE_BAYS_MAX];

static uint64_t plan(uint32_t budget_ma, const ChargeBay *bays, size_t n, uint64_t now_usec) {
        const ChargeRack rack = { .budget_ma = budget_ma, .slot_usec = 10 * MINUTE };
        bool over;
        uint64_t until = charge_plan(&rack, bays, n, now_usec, orders, &over);

        assert_false(over);
        assert_true(until > now_usec);
        return until;
}

static void test_without_a_limit_all_are_charged(void **state) {
        const ChargeBay bays[] = { bay(10, 8 * HOUR), bay(50, 8 * HOUR), bay(100, 8 * HOUR), bay(50, CHARGE_NEVER) };
        (void) state;

        (void) plan(0, bays, ELEMENTSOF(bays), 0);
        assert_true(orders[0].on && orders[1].on && orders[3].on);
        assert_int_equal(orders[0].why, CHARGE_CHARGING);
        assert_about(orders[0].ready_usec, battery_msec(&even, 10 * PERCENT, BATTERY_FULL) * USEC_PER_MSEC);
        assert_false(orders[2].on);
        assert_int_equal(orders[2].why, CHARGE_READY);
        assert_int_equal(orders[2].ready_usec, 0);
}

/* Two hours for one at a time: who needs 20 and 30 percent is ready, who needs 90 is not, and would only be in their way. */
static void test_as_many_as_can_be_are_ready(void **state) {
        ChargeBay bays[] = { bay(10, 2 * HOUR), bay(80, 2 * HOUR), bay(70, 2 * HOUR) };
        (void) state;

        (void) plan(1000, bays, ELEMENTSOF(bays), 0);
        assert_int_equal(orders[0].why, CHARGE_WAITING);
        assert_true(orders[1].on != orders[2].on);
        assert_true(orders[1].ready_usec <= 2 * HOUR && orders[2].ready_usec <= 2 * HOUR);
        assert_true(orders[0].ready_usec == CHARGE_NEVER);
}

static void test_the_most_wanted_is_ready_first(void **state) {
        ChargeBay bays[] = { bay(40, 2 * HOUR), bay(80, 2 * HOUR), bay(80, 2 * HOUR) };
        (void) state;

        bays[1].rank = bays[2].rank = 1;
        (void) plan(1000, bays, ELEMENTSOF(bays), 0);
        assert_true(orders[0].on && !orders[1].on && !orders[2].on);
        assert_about(orders[0].ready_usec, battery_msec(&even, 40 * PERCENT, BATTERY_FULL) * USEC_PER_MSEC);
}

static void test_power_is_never_taken_from_a_transfer(void **state) {
        ChargeBay bays[] = { bay(100, 8 * HOUR), bay(10, 8 * HOUR), bay(10, 8 * HOUR) };
        (void) state;

        bays[0].in_use = true;
        bays[0].use_ma = 500;
        bays[0].on = true;
        (void) plan(1400, bays, ELEMENTSOF(bays), 0);
        assert_true(orders[0].on);
        assert_int_equal(orders[0].why, CHARGE_IN_USE);
        assert_false(orders[1].on || orders[2].on);
        (void) plan(1500, bays, ELEMENTSOF(bays), 0);
        assert_true(orders[0].on && orders[1].on != orders[2].on);
}

static void test_what_must_be_on_and_is_too_much_is_told(void **state) {
        const ChargeRack rack = { .budget_ma = 1500, .slot_usec = 10 * MINUTE };
        ChargeBay bays[] = { bay(10, 8 * HOUR), bay(10, 8 * HOUR), bay(10, 8 * HOUR) };
        bool over;
        (void) state;

        bays[0].in_use = true;
        bays[1].switchable = false;
        (void) charge_plan(&rack, bays, ELEMENTSOF(bays), 0, orders, &over);
        assert_true(over);
        assert_true(orders[0].on && orders[1].on && !orders[2].on);
        assert_int_equal(orders[1].why, CHARGE_FIXED);
}

static void test_hub_has_a_budget_of_its_own(void **state) {
        const uint32_t hubs[] = { 1000, 0 };
        const ChargeRack rack = { .budget_ma = 3000, .hub_budgets_ma = hubs, .n_hubs = 2, .slot_usec = 10 * MINUTE };
        ChargeBay bays[] = { bay(10, 8 * HOUR), bay(10, 8 * HOUR), bay(10, 8 * HOUR), bay(10, 8 * HOUR) };
        bool over;
        (void) state;

        bays[0].hub = bays[1].hub = 0;
        bays[2].hub = bays[3].hub = 1;
        (void) charge_plan(&rack, bays, ELEMENTSOF(bays), 0, orders, &over);
        assert_false(over);
        assert_true(orders[0].on != orders[1].on && orders[2].on && orders[3].on);
}

static void test_battery_is_held_until_it_is_needed(void **state) {
        ChargeBay b = bay(60, 12 * HOUR);
        uint64_t now = 0, begun;
        (void) state;

        b.hold_level = 80 * PERCENT;
        now = plan(1000, &b, 1, now);
        assert_true(orders[0].on);
        b.level = 80 * PERCENT;
        now = plan(1000, &b, 1, 1 * HOUR);
        assert_false(orders[0].on);
        assert_int_equal(orders[0].why, CHARGE_HELD);
        for (now = 1 * HOUR; !orders[0].on; now = plan(1000, &b, 1, now))
                assert_true(now < 12 * HOUR);
        begun = now;
        /* It needs 36 minutes from 80 percent. */
        assert_true(begun > 10 * HOUR && begun + 36 * MINUTE <= 12 * HOUR);
}

static void test_held_ones_begin_early_enough_for_all(void **state) {
        ChargeBay bays[19];
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(bays); i++) {
                bays[i] = bay(80, 12 * HOUR);
                bays[i].hold_level = 80 * PERCENT;
        }
        /* One at a time: 19 times 36 minutes is nearly all of the twelve hours. */
        (void) plan(1000, bays, ELEMENTSOF(bays), 0);
        for (size_t i = 0; i < ELEMENTSOF(bays); i++)
                assert_true(orders[i].ready_usec <= 12 * HOUR);
}

static void test_who_has_no_time_is_charged_to_where_it_keeps(void **state) {
        ChargeBay bays[] = { bay(60, CHARGE_NEVER), bay(85, CHARGE_NEVER), bay(60, CHARGE_NEVER) };
        (void) state;

        bays[0].hold_level = bays[1].hold_level = 80 * PERCENT;
        bays[2].temperature = TEMPERATURE_WARM;
        (void) plan(0, bays, ELEMENTSOF(bays), 0);
        assert_true(orders[0].on && !orders[1].on && !orders[2].on);
        assert_int_equal(orders[1].why, CHARGE_HELD);
        assert_int_equal(orders[2].why, CHARGE_TOO_WARM);
}

/* However much it is wanted; what is transferred from it goes on, and what it would have drawn others get. */
static void test_too_warm_or_too_cold_is_not_charged(void **state) {
        static const struct {
                Temperature temperature;
                bool in_use, switchable, on;
                ChargeWhy why;
        } rows[] = {
                { TEMPERATURE_UNKNOWN, false, true, true, CHARGE_CHARGING }, { TEMPERATURE_RIGHT, false, true, true, CHARGE_CHARGING },
                { TEMPERATURE_WARM, false, true, false, CHARGE_TOO_WARM },   { TEMPERATURE_COLD, false, true, false, CHARGE_TOO_COLD },
                { TEMPERATURE_WARM, true, true, true, CHARGE_IN_USE },       { TEMPERATURE_COLD, false, false, true, CHARGE_FIXED },
        };
        (void) state;

        /* Each as it is off, and as it is on. */
        for (size_t n = 0; n < 2 * ELEMENTSOF(rows); n++) {
                ChargeBay bays[] = { bay(20, 5 * HOUR), bay(20, CHARGE_NEVER) };
                size_t i = n / 2;

                bays[0].on = n % 2;

                bays[0].temperature = rows[i].temperature;
                bays[0].in_use = rows[i].in_use;
                bays[0].switchable = rows[i].switchable;
                (void) plan(1000, bays, ELEMENTSOF(bays), 0);
                if (orders[0].on != rows[i].on || orders[0].why != rows[i].why)
                        fail_msg("row %zu: %s", i, charge_why_to_string(orders[0].why));
                assert_int_equal(orders[1].on, !rows[i].on);
        }
}

/* The port of an empty bay is on, or nobody would see a camera come. */
static void test_empty_bay_has_power(void **state) {
        const ChargeBay bays[] = { { .switchable = true, .hub = CHARGE_NO_HUB } };
        (void) state;

        (void) plan(100, bays, 1, 0);
        assert_true(orders[0].on);
        assert_int_equal(orders[0].why, CHARGE_EMPTY);
        assert_string_equal(charge_why_to_string(orders[0].why), "empty");
}

/* Nights of all kinds, replanned as a dock does it: at no instant is more drawn than there is, and no transfer is cut. */
static void test_budget_holds_at_every_instant(void **state) {
        static ChargeBay bays[64];
        (void) state;

        srand(4711);
        for (unsigned night = 0; night < 25; night++) {
                const uint32_t hubs[] = { 1500u + (uint32_t) rand() % 3000, 0, 2000 };
                const ChargeRack rack = { .budget_ma = 2000u + (uint32_t) rand() % 20000, .hub_budgets_ma = hubs, .n_hubs = 3,
                                          .slot_usec = 10 * MINUTE };
                size_t n = 1 + (size_t) rand() % ELEMENTSOF(bays);

                for (size_t i = 0; i < n; i++) {
                        bays[i] = bay((uint32_t) rand() % 101, (4 + (uint64_t) rand() % 8) * HOUR);
                        bays[i].battery = rand() % 2 ? &even : &tapering;
                        bays[i].hub = (uint16_t) (rand() % 4);
                        bays[i].hold_level = rand() % 2 ? 80 * PERCENT : BATTERY_FULL;
                        bays[i].rank = (uint16_t) (rand() % 2);
                }
                for (uint64_t now = 0; now < 12 * HOUR;) {
                        uint64_t until, draws = 0, hub_draws[4] = {};
                        bool over;

                        bays[0].in_use = (now / HOUR) % 3 == 0;
                        until = charge_plan(&rack, bays, n, now, orders, &over);
                        assert_true(!bays[0].in_use || orders[0].on);
                        for (size_t i = 0; i < n; i++) {
                                uint32_t ma = 0;

                                bays[i].on = orders[i].on;
                                if (!orders[i].on)
                                        continue;
                                bays[i].level = battery_charge(bays[i].battery, bays[i].level, (until - now) / USEC_PER_MSEC, &ma);
                                draws += ma;
                                hub_draws[bays[i].hub] += ma;
                        }
                        assert_false(over);
                        assert_true(draws <= rack.budget_ma);
                        for (size_t h = 0; h < ELEMENTSOF(hubs); h++)
                                assert_true(hubs[h] == 0 || hub_draws[h] <= hubs[h]);
                        now = until;
                }
        }
}

/*
 * What a dock does with a plan, at one moment: first it switches off, then on, what came on is looked at, and it plans anew after each.
 * That comes to an end.
 */
static void test_plan_that_is_carried_out_stays(void **state) {
        static ChargeBay bays[40];
        (void) state;

        srand(815);
        for (unsigned rack = 0; rack < 1000; rack++) {
                uint32_t budget_ma = 1000u * (1u + (uint32_t) rand() % 12);
                size_t n = 2 + (size_t) rand() % (ELEMENTSOF(bays) - 2);
                uint64_t due_usec = (2 + (uint64_t) rand() % 6) * HOUR;
                unsigned turns = 0;
                bool differs = true;

                for (size_t i = 0; i < n; i++) {
                        bays[i] = bay(40 + (uint32_t) rand() % 50, due_usec);
                        bays[i].on = rand() % 2 != 0;
                }
                for (; differs && turns < 40; turns++) {
                        bool off = false;

                        (void) plan(budget_ma, bays, n, 0);
                        differs = false;
                        for (size_t i = 0; i < n; i++)
                                off = off || (bays[i].on && !orders[i].on);
                        for (size_t i = 0; i < n; i++) {
                                bool on = orders[i].on && (!off || bays[i].on);

                                differs = differs || bays[i].on != orders[i].on || bays[i].in_use;
                                bays[i].in_use = on && !bays[i].on;
                                bays[i].on = on;
                        }
                }
                assert_false(differs);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_battery_takes_the_time_that_its_current_gives),
                cmocka_unit_test(test_battery_follows_its_curve),
                cmocka_unit_test(test_the_most_that_is_drawn_is_told),
                cmocka_unit_test(test_battery_of_which_nothing_is_known_charges),
                cmocka_unit_test(test_without_a_limit_all_are_charged),
                cmocka_unit_test(test_as_many_as_can_be_are_ready),
                cmocka_unit_test(test_the_most_wanted_is_ready_first),
                cmocka_unit_test(test_power_is_never_taken_from_a_transfer),
                cmocka_unit_test(test_what_must_be_on_and_is_too_much_is_told),
                cmocka_unit_test(test_hub_has_a_budget_of_its_own),
                cmocka_unit_test(test_battery_is_held_until_it_is_needed),
                cmocka_unit_test(test_held_ones_begin_early_enough_for_all),
                cmocka_unit_test(test_who_has_no_time_is_charged_to_where_it_keeps),
                cmocka_unit_test(test_too_warm_or_too_cold_is_not_charged),
                cmocka_unit_test(test_empty_bay_has_power),
                cmocka_unit_test(test_budget_holds_at_every_instant),
                cmocka_unit_test(test_plan_that_is_carried_out_stays),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, make_batteries, NULL);
}
