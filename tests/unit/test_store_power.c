/* SPDX-License-Identifier: Apache-2.0 */

/* What charging goes by and has to find again after a restart: what ports do, how fast cameras charge, which shift was called. */

#include "store_rig.h"

static Fact calibrated(const char *bay, const char *hub, bool switches, bool returns) {
        Fact f = rig_fact(FACT_PORT_CALIBRATED);

        f.bay = bay;
        f.by_operator = true;
        f.operator_name = "ann";
        f.text = "measured";
        f.port.hub = hub;
        f.port.way = "disable";
        f.port.switches = switches;
        f.port.returns = returns;
        f.port.back_usec = returns ? 1500000 : 0;
        return f;
}

static void reopen(Rig *rig) {
        rig_close(rig);
        assert_int_equal(rig_open(rig), 0);
}

static void test_port_is_what_was_measured_last(void **state) {
        Fact first = calibrated("1-1.1", "2109:2817", true, true), other = calibrated("1-1.2", "2109:2817", false, false);
        Fact again = calibrated("1-1.1", "05e3:0610", true, false);
        Rig *rig = *state;
        PortRow *row = NULL;

        assert_int_equal(store_port(rig->store, "1-1.1", &row), -ENOENT);
        assert_null(row);
        rig_must(rig, &first);
        rig_must(rig, &other);
        reopen(rig);
        assert_int_equal(store_port(rig->store, "1-1.1", &row), 0);
        assert_string_equal(row->hub, "2109:2817");
        assert_string_equal(row->way, "disable");
        assert_true(row->switches && row->returns);
        assert_int_equal(row->back_usec, 1500000);
        assert_int_equal(row->at_usec, first.at.wall_usec);
        row = port_row_free(row);
        assert_int_equal(store_port(rig->store, "1-1.2", &row), 0);
        assert_false(row->switches || row->returns);
        row = port_row_free(row);
        rig_must(rig, &again);
        assert_int_equal(store_port(rig->store, "1-1.1", &row), 0);
        assert_string_equal(row->hub, "05e3:0610");
        assert_true(row->switches && !row->returns);
        (void) port_row_free(row);
}

static void test_how_fast_a_camera_charges_is_its_own(void **state) {
        Fact seen = rig_camera(1, "X1"), second = rig_camera(2, "X2"), charged = rig_fact(FACT_CHARGED);
        unsigned permille = 7;
        Rig *rig = *state;

        rig_must(rig, &seen);
        second.camera.storage_id = "vol-2";
        rig_must(rig, &second);
        assert_int_equal(store_charge_permille(rig->store, 1, &permille), 0);
        assert_int_equal(permille, 1000);
        charged.camera_id = 1;
        charged.bay = "1-1.1";
        charged.charge.from_percent = 20;
        charged.charge.to_percent = 40;
        charged.charge.took_usec = 3600 * USEC_PER_SEC;
        charged.charge.permille = 830;
        rig_must(rig, &charged);
        reopen(rig);
        assert_int_equal(store_charge_permille(rig->store, 1, &permille), 0);
        assert_int_equal(permille, 830);
        assert_int_equal(store_charge_permille(rig->store, 2, &permille), 0);
        assert_int_equal(permille, 1000);
}

static void test_shift_that_was_called_last_stands(void **state) {
        Fact call = rig_fact(FACT_SHIFT_CALLED);
        Rig *rig = *state;
        int64_t at = 0;

        call.by_operator = true;
        call.operator_name = "ann";
        call.shift.at_usec = INT64_C(1800000000000000);
        rig_must(rig, &call);
        reopen(rig);
        assert_int_equal(store_shift_called(rig->store, &at), 0);
        assert_int_equal(at, INT64_C(1800000000000000));
        call.shift.at_usec = 0;
        rig_must(rig, &call);
        at = 7;
        assert_true(store_shift_called(rig->store, &at) == -ENOENT || at == 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_port_is_what_was_measured_last, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_how_fast_a_camera_charges_is_its_own, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_shift_that_was_called_last_stands, rig_setup, rig_teardown),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
