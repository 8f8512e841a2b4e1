/* SPDX-License-Identifier: Apache-2.0 */

/* Cameras that come back as another device, in the store: store/change.c. */

#include "unit/store_rig.h"

#define WINDOW_USEC (30 * USEC_PER_SEC)

static Fact about(FactKind kind, uint64_t docking_id, uint64_t camera_id) {
        Fact f = rig_fact(kind);

        f.docking_id = docking_id;
        f.camera_id = camera_id;
        f.bay = "1-1.1";
        return f;
}

/* A docking of a camera, which is sent into its storage mode and comes back. */
static void go_behind(Rig *rig, uint64_t docking_id, uint64_t camera_id, const char *serial) {
        Fact docked = rig_docked(docking_id), seen = rig_camera(camera_id, serial), known = rig_identified(docking_id, camera_id);
        Fact begun = about(FACT_SWITCH_BEGUN, docking_id, camera_id), back = about(FACT_RETURNED, docking_id, camera_id);

        begun.change.model_id = "acme-command";
        begun.change.until_boottime_usec = begun.at.boottime_usec + WINDOW_USEC;
        back.usb.behind = true;
        back.usb.model_id = "acme-storage";
        rig_must(rig, &docked);
        rig_must(rig, &seen);
        rig_must(rig, &known);
        rig_must(rig, &begun);
        rig_must(rig, &back);
}

static Fact storage(uint64_t docking_id, uint64_t camera_id, DockingIdentity identity, const char *id) {
        Fact f = about(FACT_STORAGE_IDENTIFIED, docking_id, camera_id);

        f.storage.identity = identity;
        f.storage.storage_id = id;
        f.storage.switch_docking_id = docking_id;
        return f;
}

static void leave(Rig *rig, uint64_t docking_id, bool stays) {
        Fact f = rig_fact(FACT_UNDOCKED);

        f.docking_id = docking_id;
        f.text = "taken out";
        f.end.stays = stays;
        rig_must(rig, &f);
}

static CameraRow *camera(Rig *rig, uint64_t id) {
        CameraRow *row = NULL;

        assert_int_equal(store_camera(rig->store, id, &row), 0);
        return row;
}

static bool is_by_port(Rig *rig, uint64_t clip_id) {
        _cleanup_(clip_row_freep) ClipRow *row = NULL;

        assert_int_equal(store_clip(rig->store, clip_id, &row), 0);
        return row->by_port;
}

static void test_change_is_known_until_the_camera_leaves_or_goes_back(void **state) {
        Fact back = about(FACT_RETURNED, 2, 1), ejected = about(FACT_EJECTED, 1, 1);
        SwitchRow *row = NULL;
        Rig *rig = *state;

        assert_int_equal(store_switch(rig->store, "1-1.1", &row), -ENOENT);
        go_behind(rig, 1, 1, "SN-1");
        assert_int_equal(store_switch(rig->store, "1-1.1", &row), 0);
        assert_int_equal(row->camera_id, 1);
        assert_int_equal(row->docking_id, 1);
        assert_string_equal(row->model_id, "acme-command");
        assert_int_equal(row->until_boottime_usec - row->begun_boottime_usec, WINDOW_USEC);
        assert_false(row->ejected);
        rig_must(rig, &ejected);
        row = switch_row_free(row);
        assert_int_equal(store_switch(rig->store, "1-1.1", &row), 0);
        assert_true(row->ejected);
        row = switch_row_free(row);
        assert_int_equal(store_switch(rig->store, "1-1.2", &row), -ENOENT);
        leave(rig, 1, false);
        assert_int_equal(store_switch(rig->store, "1-1.1", &row), -ENOENT);

        go_behind(rig, 2, 1, "SN-1");
        back.usb.model_id = "acme-command";
        rig_must(rig, &back);
        assert_int_equal(store_switch(rig->store, "1-1.1", &row), -ENOENT);
}

/* Whoever is in the bay then stays there: an upgrade must not make a stranger of it. */
static void test_change_outlives_the_daemon(void **state) {
        Fact started = rig_fact(FACT_DAEMON_STARTED);
        SwitchRow *row = NULL;
        Rig *rig = *state;

        go_behind(rig, 1, 1, "SN-1");
        leave(rig, 1, true);
        rig_close(rig);
        assert_int_equal(rig_open(rig), 0);
        rig_must(rig, &started);
        assert_int_equal(store_switch(rig->store, "1-1.1", &row), 0);
        assert_int_equal(row->docking_id, 1);
        switch_row_free(row);
        /* A docking that continues it in the new run keeps to the change of the first. */
        go_behind(rig, 2, 1, "SN-1");
        leave(rig, 2, false);
        assert_int_equal(store_switch(rig->store, "1-1.1", &row), -ENOENT);
}

static void test_second_change_with_the_same_storage_confirms_it(void **state) {
        Fact first = storage(1, 1, IDENTITY_PORT, "VOL-1"), too_early = storage(1, 1, IDENTITY_STORAGE, "VOL-1");
        Fact second = storage(2, 1, IDENTITY_STORAGE, "VOL-1");
        _cleanup_(camera_row_freep) CameraRow *before = NULL, *after = NULL;
        Fact seen = rig_clip(1, 1, "A.MP4", 10);
        Rig *rig = *state;

        go_behind(rig, 1, 1, "SN-1");
        rig_must(rig, &first);
        rig_must(rig, &seen);
        assert_true(is_by_port(rig, 1));
        before = camera(rig, 1);
        assert_string_equal(before->behind_id, "VOL-1");
        assert_int_equal(before->behind_docking_id, 1);
        assert_false(before->behind_confirmed);
        /* It cannot be its own witness. */
        assert_int_equal(rig_put(rig, &too_early), -EKEYREJECTED);
        leave(rig, 1, false);
        go_behind(rig, 2, 1, "SN-1");
        rig_must(rig, &second);
        after = camera(rig, 1);
        assert_true(after->behind_confirmed);
        assert_false(is_by_port(rig, 1));
}

static void test_storage_that_is_not_recorded_is_never_called_recognised(void **state) {
        Fact never = storage(1, 1, IDENTITY_STORAGE, "VOL-1"), none = storage(1, 1, IDENTITY_STORAGE, "");
        Fact own = storage(1, 1, IDENTITY_OWN, "VOL-1");
        Rig *rig = *state;

        go_behind(rig, 1, 1, "SN-1");
        assert_int_equal(rig_put(rig, &never), -EKEYREJECTED);
        assert_int_equal(rig_put(rig, &none), -EKEYREJECTED);
        assert_int_equal(rig_put(rig, &own), -EINVAL);
}

static void test_storage_that_two_cameras_show_recognises_neither(void **state) {
        Fact first = storage(1, 1, IDENTITY_PORT, "VOL-1"), second = storage(2, 2, IDENTITY_OTHER, "VOL-1");
        Fact vouch = about(FACT_IDENTITY_CONFIRMED, 2, 2), again = storage(3, 1, IDENTITY_STORAGE, "VOL-1");
        Rig *rig = *state;

        go_behind(rig, 1, 1, "SN-1");
        rig_must(rig, &first);
        assert_int_equal(store_behind_of_other(rig->store, "VOL-1", 2), 1);
        assert_int_equal(store_behind_of_other(rig->store, "VOL-1", 1), 0);
        assert_int_equal(store_behind_of_other(rig->store, "", 1), 0);
        leave(rig, 1, false);
        go_behind(rig, 2, 2, "SN-2");
        rig_must(rig, &second);
        vouch.by_operator = true;
        rig_must(rig, &vouch);
        leave(rig, 2, false);
        go_behind(rig, 3, 1, "SN-1");
        assert_int_equal(rig_put(rig, &again), -EKEYREJECTED);
}

static void test_confirmation_records_the_storage_and_takes_the_marks_away(void **state) {
        Fact first = storage(1, 1, IDENTITY_PORT, "VOL-1"), card = storage(2, 1, IDENTITY_OTHER, "VOL-2");
        Fact vouch = about(FACT_IDENTITY_CONFIRMED, 2, 1), seen = rig_clip(1, 1, "A.MP4", 10), later = rig_clip(2, 2, "B.MP4", 10);
        _cleanup_(camera_row_freep) CameraRow *row = NULL;
        Rig *rig = *state;

        go_behind(rig, 1, 1, "SN-1");
        rig_must(rig, &first);
        rig_must(rig, &seen);
        leave(rig, 1, false);
        go_behind(rig, 2, 1, "SN-1");
        rig_must(rig, &card);
        rig_must(rig, &later);
        assert_true(is_by_port(rig, 1) && is_by_port(rig, 2));
        vouch.by_operator = true;
        rig_must(rig, &vouch);
        row = camera(rig, 1);
        assert_string_equal(row->behind_id, "VOL-2");
        assert_true(row->behind_confirmed);
        /* The other storage was another one: nobody vouched for that. */
        assert_true(is_by_port(rig, 1));
        assert_false(is_by_port(rig, 2));
        /* Nothing is left to confirm. */
        assert_int_equal(rig_put(rig, &vouch), -EINVAL);
}

static void test_check_in_storage_mode_leaves_what_the_command_mode_told(void **state) {
        Fact in_command = about(FACT_CHECKED, 1, 1), in_storage = about(FACT_CHECKED, 1, 1), owner = about(FACT_OWNER_SET, 1, 1);
        _cleanup_(camera_row_freep) CameraRow *told = NULL, *set = NULL;
        Rig *rig = *state;

        go_behind(rig, 1, 1, "SN-1");
        in_command.check.battery_percent = 61;
        in_command.check.drift_known = true;
        in_command.check.drift_usec = -5;
        in_command.check.owner_known = true;
        in_command.check.owner = (FactOwner){ "P-1", "A. Officer", "U-1", "Night" };
        in_storage.check.battery_percent = -1;
        in_storage.check.behind = true;
        rig_must(rig, &in_command);
        rig_must(rig, &in_storage);
        told = camera(rig, 1);
        assert_int_equal(told->battery_percent, 61);
        assert_int_equal(told->drift_usec, -5);
        assert_string_equal(told->officer_id, "P-1");
        assert_string_equal(told->unit_name, "Night");
        owner.owner = (FactOwner){ "P-2", "B. Officer", "", "" };
        rig_must(rig, &owner);
        set = camera(rig, 1);
        assert_string_equal(set->officer_id, "P-2");
        assert_string_equal(set->unit_name, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_change_is_known_until_the_camera_leaves_or_goes_back, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_change_outlives_the_daemon, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_second_change_with_the_same_storage_confirms_it, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_storage_that_is_not_recorded_is_never_called_recognised, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_storage_that_two_cameras_show_recognises_neither, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_confirmation_records_the_storage_and_takes_the_marks_away, rig_setup,
                                                rig_teardown),
                cmocka_unit_test_setup_teardown(test_check_in_storage_mode_leaves_what_the_command_mode_told, rig_setup, rig_teardown),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
