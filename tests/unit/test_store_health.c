/* SPDX-License-Identifier: Apache-2.0 */

/* What is on record of a camera over its dockings, as trends and restarts are judged by it. */

#include "store_rig.h"

#define WEEK_USEC (INT64_C(7) * 86400 * (int64_t) USEC_PER_SEC)
#define DAY_USEC (INT64_C(86400) * (int64_t) USEC_PER_SEC)
#define BEGIN_USEC INT64_C(1790000000000000)

/* One docking, and what was found in it. */
static void dock(Rig *rig, uint64_t week, int64_t drift_per_day_usec, int restarts, unsigned permille) {
        Fact check = rig_fact(FACT_CHECKED), set = rig_fact(FACT_CLOCK_SET), charged = rig_fact(FACT_CHARGED), again;
        int64_t now = BEGIN_USEC + (int64_t) week * WEEK_USEC;

        rig_dock(rig, week);
        check.docking_id = week;
        check.at.wall_usec = now;
        check.at.synchronised = true;
        check.check.battery_percent = 50;
        check.check.drift_known = true;
        check.check.drift_usec = 7 * drift_per_day_usec;
        check.check.restarts_known = restarts >= 0;
        check.check.restarts = restarts < 0 ? 0 : (uint32_t) restarts;
        rig_must(rig, &check);
        set.docking_id = week;
        set.at.wall_usec = now;
        set.clock.set = true;
        set.clock.to_unix_sec = now / (int64_t) USEC_PER_SEC;
        rig_must(rig, &set);
        /* After a rest without power it is checked again: by then its clock is right. */
        again = check;
        again.at.wall_usec = now + DAY_USEC / 2;
        again.check.drift_usec = 0;
        rig_must(rig, &again);
        charged.camera_id = 1;
        charged.docking_id = week;
        charged.at.wall_usec = now;
        charged.charge.from_percent = 20;
        charged.charge.to_percent = 40;
        charged.charge.took_usec = 1000;
        charged.charge.permille = charged.charge.measured_permille = permille;
        rig_must(rig, &charged);
        charged.charge.from_percent = 40;
        charged.charge.to_percent = 50;
        charged.charge.permille = charged.charge.measured_permille = permille + 30;
        rig_must(rig, &charged);
        rig_undock(rig, week);
}

static void dock_four_times(Rig *rig) {
        /* A clock that was never set has no rate; a counter that begins anew counts from there. */
        dock(rig, 1, 90 * (int64_t) USEC_PER_SEC, 7, 1000);
        dock(rig, 2, 1 * (int64_t) USEC_PER_SEC, 9, 990);
        dock(rig, 3, -2 * (int64_t) USEC_PER_SEC, 1, 980);
        dock(rig, 4, 3 * (int64_t) USEC_PER_SEC, 4, 970);
}

static void expect_four(Rig *rig) {
        HealthRow row;

        assert_int_equal(store_health(rig->store, 1, "vol-1", 10, 5, &row), 0);
        assert_int_equal(row.n_capacities, 4);
        for (size_t i = 0; i < 4; i++) {
                assert_true(row.capacities[i].wall_usec == BEGIN_USEC + (int64_t) (4 - i) * WEEK_USEC);
                /* Twenty percent at the one, ten at the other. */
                assert_int_equal(row.capacities[i].value, 980 + 10 * i);
        }
        /* Of the first docking the half day after the clock was set there, in which it did not run off. */
        assert_int_equal(row.n_drifts, 4);
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(row.drifts[i].value, (int64_t) (3 - i) * (int64_t) USEC_PER_SEC);
        assert_true(row.restarts_known);
        assert_int_equal(row.restarts, 2 + 3);
        /* What it came with, not what it has since the dock set it. */
        assert_true(row.drift_known);
        assert_int_equal(row.drift_usec, 21 * (int64_t) USEC_PER_SEC);
        assert_true(row.since_set_usec == WEEK_USEC && row.shown_usec == BEGIN_USEC + 4 * WEEK_USEC + row.drift_usec);
}

static void test_trends_are_of_dockings(void **state) {
        Rig *rig = *state;
        HealthRow row;

        dock_four_times(rig);
        expect_four(rig);
        assert_int_equal(store_health(rig->store, 1, "vol-1", 1, 5, &row), 0);
        assert_int_equal(row.restarts, 3);
        assert_int_equal(store_health(rig->store, 2, "vol-1", 1, 5, &row), 0);
        assert_false(row.restarts_known || row.drift_known || row.n_capacities > 0 || row.n_drifts > 0);
}

/* Trends begin with what an older Berth recorded. */
static void test_database_of_an_older_berth_has_its_trends(void **state) {
        Rig *rig = *state;

        dock_four_times(rig);
        rig_close(rig);
        rig_spoil(rig, "DROP INDEX checks_of_docking; DROP INDEX checks_of_storage;"
                       "ALTER TABLE checks DROP COLUMN since_set_usec; DROP TABLE charges; UPDATE checks SET restarts = NULL;"
                       "ALTER TABLE checks DROP COLUMN restarts; DROP TABLE kept_files; DROP TABLE restorations;"
                       "DROP INDEX clips_of_content; ALTER TABLE clips ADD COLUMN blocks_digest BLOB;"
                       "CREATE INDEX clips_of_content ON clips (blocks_digest); PRAGMA user_version = 19");
        assert_int_equal(rig_open(rig), 0);
        rig_spoil(rig, "UPDATE checks SET restarts = (SELECT json_extract(bytes, '$.restarts') FROM custody WHERE seq = event_seq)");
        expect_four(rig);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_trends_are_of_dockings, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_database_of_an_older_berth_has_its_trends, rig_setup, rig_teardown),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
