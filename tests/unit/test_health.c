/* SPDX-License-Identifier: Apache-2.0 */

/* What the dock finds out about a camera, and whether it may be issued. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/macro.h"
#include "core/health.h"

#define SEC ((int64_t) USEC_PER_SEC)
#define HOUR_USEC (UINT64_C(3600) * USEC_PER_SEC)
#define NOW_SEC INT64_C(1790000000)

static const HealthLimits limits = {
        .drift_usec_per_day = 5 * (int64_t) USEC_PER_SEC,
        .storage_free_percent = 10,
        .medium_errors = 3,
        .faulted_dockings = 3,
        .battery_wear_percent = 30,
        .weak_dockings = 3,
        .charge = { .min_decidegrees = 0, .max_decidegrees = 450 },
        .hot_decidegrees = 600,
        .battery_fade_percent = 5,
        .drift_trend_usec = 2 * (int64_t) USEC_PER_SEC,
        .restarts = 5,
};

/* In good order, all of it known, its docking done. */
static HealthFacts good(void) {
        return (HealthFacts){
                .storage_known = true,
                .free_known = true,
                .storage_total_bytes = 64 * GIB,
                .storage_free_bytes = 60 * GIB,
                .storage_before_bytes = 64 * GIB,
                .volume_known = true,
                .drift_known = true,
                .drift_usec = SEC,
                .camera_unix_sec = NOW_SEC,
                .clock_set_age_usec = 24 * HOUR_USEC,
                .firmware = "2.1",
                .fleet = HEALTH_FLEET_SET,
                .firmware_wanted = "2.1",
                .done = true,
                .battery_wear_percent = 10,
                .temperature_known = true,
                .temperature_decidegrees = 215,
        };
}

typedef struct Row {
        HealthFacts facts;
        int code; /* -1: nothing is found */
        HealthSeverity severity;
} Row;

#define WITH(...) ({ HealthFacts f = good(); __VA_ARGS__; f; })

static void check(const Row *rows, size_t n) {
        for (size_t i = 0; i < n; i++) {
                HealthFinding found[_HEALTH_CODE_MAX];
                size_t k = health_judge(&rows[i].facts, &limits, found);

                if (k != (rows[i].code >= 0))
                        fail_msg("row %zu: %zu findings, the first is %s", i, k, k ? health_code_to_string(found[0].code) : "none");
                if (k == 0)
                        continue;
                assert_int_equal(found[0].code, rows[i].code);
                assert_int_equal(found[0].severity, rows[i].severity);
                assert_true(found[0].text[0] && found[0].next_step[0]);
                assert_true(health_looked_at(&rows[i].facts) & HEALTH_BIT(found[0].code));
        }
}

static void test_storage(void **state) {
        const Row rows[] = {
                { good(), -1, 0 },
                { WITH(f.read_only = true), HEALTH_STORAGE_READ_ONLY, HEALTH_SERIOUS },
                { WITH(f.read_only = true; f.storage_known = false), -1, 0 },
                { WITH(f.storage_before_bytes = 128 * GIB), HEALTH_STORAGE_SHRUNK, HEALTH_SERIOUS },
                { WITH(f.storage_before_bytes = 64 * GIB + 100 * MIB), -1, 0 },
                { WITH(f.storage_before_bytes = 0), -1, 0 },
                { WITH(f.storage_free_bytes = 6 * GIB), HEALTH_STORAGE_FULL, HEALTH_SERIOUS },
                { WITH(f.storage_free_bytes = 7 * GIB), -1, 0 },
                { WITH(f.storage_free_bytes = 0; f.free_known = false), -1, 0 },
                { WITH(f.storage_free_bytes = 0; f.done = false), -1, 0 },
                { WITH(f.storage_free_bytes = 0; f.recordings_left = 3), HEALTH_RECORDINGS_LEFT, HEALTH_NOTICE },
                { WITH(f.recordings_left = 3; f.done = false), -1, 0 },
                { WITH(f.medium_errors = 1), HEALTH_MEDIUM_ERRORS, HEALTH_WARNING },
                { WITH(f.medium_errors = 3), HEALTH_MEDIUM_ERRORS, HEALTH_SERIOUS },
                { WITH(f.volume_dirty = true), HEALTH_VOLUME_DIRTY, HEALTH_WARNING },
                { WITH(f.volume_dirty = true; f.volume_known = false), -1, 0 },
        };
        (void) state;

        check(rows, ELEMENTSOF(rows));
}

static void test_clock(void **state) {
        const Row rows[] = {
                { WITH(f.camera_unix_sec = 978307200; f.drift_usec = (978307200 - NOW_SEC) * SEC), HEALTH_CLOCK_LOST, HEALTH_WARNING },
                { WITH(f.drift_usec = 6 * SEC), HEALTH_CLOCK_RUNS_OFF, HEALTH_WARNING },
                { WITH(f.drift_usec = -6 * SEC), HEALTH_CLOCK_RUNS_OFF, HEALTH_WARNING },
                { WITH(f.drift_usec = 5 * SEC), -1, 0 },
                { WITH(f.drift_usec = -60 * SEC; f.clock_set_age_usec = 30 * 24 * HOUR_USEC), -1, 0 },
                /* Whoever set it last, the dock did not; or too short ago for whole seconds to tell. */
                { WITH(f.drift_usec = 3600 * SEC; f.clock_set_age_usec = 0), -1, 0 },
                { WITH(f.drift_usec = 3 * SEC; f.clock_set_age_usec = HOUR_USEC), -1, 0 },
                /* Without a clock to compare with nothing is said. */
                { WITH(f.drift_usec = 6 * SEC; f.drift_known = false), -1, 0 },
        };
        (void) state;

        check(rows, ELEMENTSOF(rows));
}

static void test_battery_firmware_and_faults(void **state) {
        const Row rows[] = {
                { WITH(f.battery_wear_percent = 30), -1, 0 },
                { WITH(f.battery_wear_percent = 31), HEALTH_BATTERY_WORN, HEALTH_WARNING },
                { WITH(f.battery_wear_percent = 46), HEALTH_BATTERY_WORN, HEALTH_SERIOUS },
                { WITH(f.battery_wear_percent = -1), -1, 0 },
                { WITH(f.weak_dockings = 2), -1, 0 },
                { WITH(f.weak_dockings = 3), HEALTH_BATTERY_WEAK, HEALTH_WARNING },
                { WITH(f.firmware = "2.0"), HEALTH_FIRMWARE_OTHER, HEALTH_WARNING },
                { WITH(f.firmware = "2.0"; f.fleet = HEALTH_FLEET_COMES), HEALTH_FIRMWARE_COMES, HEALTH_NOTICE },
                { WITH(f.fleet = HEALTH_FLEET_COMES), -1, 0 },
                { WITH(f.firmware = "2.0"; f.fleet = HEALTH_FLEET_FAILED), HEALTH_FIRMWARE_OTHER, HEALTH_WARNING },
                { WITH(f.firmware_wanted = NULL; f.fleet = HEALTH_FLEET_UNLISTED), HEALTH_FIRMWARE_UNLISTED, HEALTH_NOTICE },
                { WITH(f.firmware = "2.0"; f.firmware_wanted = NULL; f.fleet = HEALTH_FLEET_NOTHING), -1, 0 },
                { WITH(f.firmware = ""; f.firmware_wanted = NULL; f.fleet = HEALTH_FLEET_UNLISTED), -1, 0 },
                { WITH(f.firmware = ""), -1, 0 },
                { WITH(f.faulted_dockings = 3; f.faulted_bays = 2), HEALTH_CAMERA_FAULTS, HEALTH_SERIOUS },
                { WITH(f.faulted_dockings = 9; f.faulted_bays = 1), -1, 0 },
                { WITH(f.faulted_dockings = 2; f.faulted_bays = 2), -1, 0 },
        };
        (void) state;

        check(rows, ELEMENTSOF(rows));
}

#define WEEK_USEC (INT64_C(7) * 86400 * SEC)

/* One point a week, the newest first, as the store gives them. */
#define EACH_WEEK(...)                                                                     \
        ({                                                                                 \
                static const int64_t values[] = { __VA_ARGS__ };                           \
                static TrendPoint points[ELEMENTSOF(values)];                              \
                for (size_t i = 0; i < ELEMENTSOF(values); i++)                            \
                        points[i] = (TrendPoint){ NOW_SEC * SEC - (int64_t) i * WEEK_USEC, values[i] }; \
                points;                                                                    \
        })
#define CAPACITIES(n, ...) WITH(f.capacities = EACH_WEEK(__VA_ARGS__); f.n_capacities = n)
#define DRIFTS(n, ...) WITH(f.drifts = EACH_WEEK(__VA_ARGS__); f.n_drifts = n)

static void test_trends_and_restarts(void **state) {
        const Row rows[] = {
                /* 15 thousandths a week are some 6.4 percent in 30 days. */
                { CAPACITIES(5, 840, 855, 870, 885, 900), HEALTH_BATTERY_FADES, HEALTH_WARNING },
                { CAPACITIES(5, 860, 870, 880, 890, 900), -1, 0 },
                { CAPACITIES(5, 900, 885, 870, 855, 840), -1, 0 },
                /* Too few, and over too short a time. */
                { CAPACITIES(4, 600, 700, 800, 900), -1, 0 },
                /* Two that are far off are no trend, nor do they hide one. */
                { CAPACITIES(7, 900, 300, 900, 898, 901, 1500, 900), -1, 0 },
                { CAPACITIES(7, 810, 1500, 840, 855, 300, 885, 900), HEALTH_BATTERY_FADES, HEALTH_WARNING },
                { DRIFTS(5, 4 * SEC, 7 * SEC / 2, 3 * SEC, 5 * SEC / 2, 2 * SEC), HEALTH_CLOCK_WORSENS, HEALTH_WARNING },
                { DRIFTS(5, 4 * SEC, 4 * SEC, 4 * SEC, 4 * SEC, 4 * SEC), -1, 0 },
                { DRIFTS(5, 2 * SEC, 5 * SEC / 2, 3 * SEC, 7 * SEC / 2, 4 * SEC), -1, 0 },
                { DRIFTS(4, 9 * SEC, 7 * SEC, 5 * SEC, 3 * SEC), -1, 0 },
                { WITH(f.restarts_known = true; f.restarts = 4), -1, 0 },
                { WITH(f.restarts_known = true; f.restarts = 5), HEALTH_RESTARTS, HEALTH_WARNING },
                { WITH(f.restarts = 5), -1, 0 },
        };
        (void) state;

        check(rows, ELEMENTSOF(rows));
}

static void test_trend(void **state) {
        TrendPoint points[TREND_POINTS_MAX + 10] = { 0 };
        int64_t per_month;
        (void) state;

        /* All at one time, or hours apart, are no trend; that is found without dividing by nothing. */
        assert_false(trend_per_month(points, 0, &per_month));
        assert_false(trend_per_month(points, TREND_POINTS_MAX, &per_month));
        for (size_t i = 0; i < ELEMENTSOF(points); i++)
                points[i] = (TrendPoint){ (int64_t) i * 86400 * SEC, 10 * (int64_t) i };
        assert_true(trend_per_month(points, ELEMENTSOF(points), &per_month));
        assert_int_equal(per_month, 300);
        /* Beyond what an int64_t holds. */
        for (size_t i = 0; i < 10; i++)
                points[i] = (TrendPoint){ i % 2 ? INT64_MAX : INT64_MIN, i % 2 ? INT64_MAX : INT64_MIN };
        assert_true(trend_per_month(points, 10, &per_month));
        points[0] = (TrendPoint){ 0, INT64_MIN };
        for (size_t i = 1; i < 10; i++)
                points[i] = (TrendPoint){ TREND_SPAN_MIN_USEC, INT64_MAX };
        assert_true(trend_per_month(points, 10, &per_month));
        assert_true(per_month == 1000000000000000000);
}

static void test_temperature(void **state) {
        const Row rows[] = {
                { WITH(f.temperature_decidegrees = 450), -1, 0 },
                { WITH(f.temperature_decidegrees = 451), HEALTH_TEMPERATURE, HEALTH_WARNING },
                { WITH(f.temperature_decidegrees = 599), HEALTH_TEMPERATURE, HEALTH_WARNING },
                { WITH(f.temperature_decidegrees = 600), HEALTH_HOT, HEALTH_SERIOUS },
                { WITH(f.temperature_decidegrees = 0), -1, 0 },
                { WITH(f.temperature_decidegrees = -1), HEALTH_TEMPERATURE, HEALTH_WARNING },
                { WITH(f.temperature_decidegrees = 900; f.temperature_known = false), -1, 0 },
        };
        (void) state;

        check(rows, ELEMENTSOF(rows));
}

/* Who was too warm or too cold is charged again some degrees later. */
static void test_temperature_at_which_batteries_are_charged(void **state) {
        static const struct {
                int decidegrees;
                Temperature before, now;
        } rows[] = {
                { 450, TEMPERATURE_UNKNOWN, TEMPERATURE_RIGHT }, { 451, TEMPERATURE_RIGHT, TEMPERATURE_WARM },
                { 440, TEMPERATURE_WARM, TEMPERATURE_WARM },     { 430, TEMPERATURE_WARM, TEMPERATURE_RIGHT },
                { 440, TEMPERATURE_RIGHT, TEMPERATURE_RIGHT },   { -1, TEMPERATURE_RIGHT, TEMPERATURE_COLD },
                { 19, TEMPERATURE_COLD, TEMPERATURE_COLD },      { 20, TEMPERATURE_COLD, TEMPERATURE_RIGHT },
                { 0, TEMPERATURE_UNKNOWN, TEMPERATURE_RIGHT },   { 460, TEMPERATURE_COLD, TEMPERATURE_WARM },
                { -10, TEMPERATURE_WARM, TEMPERATURE_COLD },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (temperature_of(&limits.charge, rows[i].decidegrees, rows[i].before) != rows[i].now)
                        fail_msg("row %zu", i);
}

static void test_the_most_severe_comes_first(void **state) {
        HealthFinding found[_HEALTH_CODE_MAX];
        const HealthFacts several = WITH(f.volume_dirty = true; f.recordings_left = 1; f.read_only = true);
        (void) state;

        assert_int_equal(health_judge(&several, &limits, found), 3);
        assert_int_equal(found[0].code, HEALTH_STORAGE_READ_ONLY);
        assert_int_equal(found[1].code, HEALTH_VOLUME_DIRTY);
        assert_int_equal(found[2].code, HEALTH_RECORDINGS_LEFT);
        assert_int_equal(health_serious(found, 3), HEALTH_BIT(HEALTH_STORAGE_READ_ONLY));
}

static void test_standing(void **state) {
        enum { A = 1, B = 2, ALL = 3 };
        static const struct {
                HealthStanding before;
                uint32_t serious, looked_at;
                HealthStanding after;
        } rows[] = {
                { { 0, 0 }, 0, ALL, { 0, 0 } },
                { { 0, 0 }, A, ALL, { A, 0 } },
                /* A clean check lets it go, but not one that did not look. */
                { { A, 0 }, 0, ALL, { 0, 0 } },
                { { A, 0 }, 0, B, { A, 0 } },
                { { A, 0 }, A, ALL, { A, 0 } },
                { { A, 0 }, B, ALL, { B, 0 } },
                /* What was accepted keeps nobody back, until it was gone. */
                { { 0, A }, A, ALL, { 0, A } },
                { { 0, A }, 0, B, { 0, A } },
                { { 0, A }, 0, ALL, { 0, 0 } },
                { { 0, A }, A | B, ALL, { B, A } },
        };
        HealthStanding s;
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                s = health_standing(rows[i].before, rows[i].serious, rows[i].looked_at);
                assert_int_equal(s.quarantined, rows[i].after.quarantined);
                assert_int_equal(s.accepted, rows[i].after.accepted);
        }
        s = health_released((HealthStanding){ A, B });
        assert_int_equal(s.quarantined, 0);
        assert_int_equal(s.accepted, ALL);
}

static void test_wear_by_charge_time(void **state) {
        (void) state;
        assert_int_equal(health_battery_wear(6000, 10000, 50), 40);
        assert_int_equal(health_battery_wear(10000, 10000, 50), 0);
        assert_int_equal(health_battery_wear(20000, 10000, 50), 0);
        assert_int_equal(health_battery_wear(6000, 10000, 19), -1);
        assert_int_equal(health_battery_wear(0, 0, 50), -1);
}

static void test_words(void **state) {
        char text[HEALTH_CODES_SIZE];
        uint32_t all = HEALTH_BIT(_HEALTH_CODE_MAX) - 1;
        (void) state;

        for (HealthCode c = 0; c < _HEALTH_CODE_MAX; c++)
                assert_int_equal(health_code_from_string(health_code_to_string(c)), c);
        for (HealthSeverity s = 0; s < _HEALTH_SEVERITY_MAX; s++)
                assert_int_equal(health_severity_from_string(health_severity_to_string(s)), s);
        assert_int_equal(health_codes_from_text(health_codes_to_text(all, text)), all);
        assert_string_equal(health_codes_to_text(0, text), "");
        assert_int_equal(health_codes_from_text("volume-dirty,haunted,clock-lost"),
                         HEALTH_BIT(HEALTH_VOLUME_DIRTY) | HEALTH_BIT(HEALTH_CLOCK_LOST));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_storage),
                cmocka_unit_test(test_clock),
                cmocka_unit_test(test_battery_firmware_and_faults),
                cmocka_unit_test(test_trends_and_restarts),
                cmocka_unit_test(test_trend),
                cmocka_unit_test(test_temperature),
                cmocka_unit_test(test_temperature_at_which_batteries_are_charged),
                cmocka_unit_test(test_the_most_severe_comes_first),
                cmocka_unit_test(test_standing),
                cmocka_unit_test(test_wear_by_charge_time),
                cmocka_unit_test(test_words),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
