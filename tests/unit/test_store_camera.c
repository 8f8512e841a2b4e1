/* SPDX-License-Identifier: Apache-2.0 */

/* Cameras, their dockings, and devices that were refused: what each fact does to the tables, and which are refused. */

#include "store_rig.h"

static void test_every_kind_of_fact_has_a_name_of_its_own(void **state) {
        (void) state;
        for (int i = 0; i < _FACT_KIND_MAX; i++) {
                assert_non_null(fact_kind_to_string((FactKind) i));
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(fact_kind_to_string((FactKind) i), fact_kind_to_string((FactKind) j));
        }
        assert_null(fact_kind_to_string(_FACT_KIND_MAX));
        assert_null(fact_kind_to_string(_FACT_KIND_INVALID));
}

static void test_clip_states_have_names(void **state) {
        (void) state;
        for (int i = 0; i < _CLIP_STATE_MAX; i++)
                assert_int_equal(clip_state_from_string(clip_state_to_string((ClipState) i)), i);
        assert_int_equal(clip_state_from_string("nonsense"), _CLIP_STATE_INVALID);
}

static void test_camera_is_known_by_its_serial(void **state) {
        Rig *rig = *state;
        Fact f = rig_camera(1, "X1"), check = rig_fact(FACT_CHECKED);
        _cleanup_(camera_row_freep) CameraRow *camera = NULL, *again = NULL, *nobody = NULL;

        rig_expect(rig, &f, 0);
        assert_int_equal(store_camera_by_serial(rig->store, "X2", &nobody), -ENOENT);
        assert_null(nobody);
        assert_int_equal(store_camera_by_serial(rig->store, "X1", &camera), 0);
        assert_int_equal(camera->id, 1);
        assert_string_equal(camera->model, "Body 2");
        assert_int_equal(camera->battery_percent, -1);
        assert_false(camera->drift_known);
        assert_int_equal(camera->first_seen_usec, f.at.wall_usec);
        assert_int_equal(camera->last_docked_usec, 0);

        f.camera.firmware = "1.1";
        rig_expect(rig, &f, 0);
        rig_dock(rig, 1);
        check.docking_id = 1;
        check.check.battery_percent = 80;
        check.check.drift_known = true;
        check.check.drift_usec = -1500000;
        rig_expect(rig, &check, 0);
        assert_int_equal(store_camera_by_serial(rig->store, "X1", &again), 0);
        assert_string_equal(again->firmware, "1.0"); /* rig_dock() saw it again */
        assert_int_equal(again->first_seen_usec, camera->first_seen_usec);
        assert_true(again->last_docked_usec > 0);
        assert_int_equal(again->battery_percent, 80);
        assert_true(again->drift_known);
        assert_int_equal(again->drift_usec, -1500000);
}

static void test_serial_is_never_given_to_another_camera(void **state) {
        Rig *rig = *state;
        Fact f = rig_camera(1, "X1"), other = rig_camera(2, "X1"), renamed = rig_camera(1, "X9"),
             nameless = rig_camera(3, "");

        rig_expect(rig, &f, 0);
        rig_expect(rig, &other, -EEXIST);
        rig_expect(rig, &renamed, -EEXIST);
        rig_expect(rig, &nameless, -EINVAL);
        assert_int_equal(rig_events(rig), 1);
}

static void test_ambiguous_serial_stays_ambiguous(void **state) {
        Rig *rig = *state;
        _cleanup_(camera_row_freep) CameraRow *camera = NULL;
        Fact f = rig_camera(1, "X1");

        f.camera.ambiguous = true;
        rig_expect(rig, &f, 0);
        f.camera.ambiguous = false;
        rig_expect(rig, &f, 0);
        assert_int_equal(store_camera_by_serial(rig->store, "X1", &camera), 0);
        assert_true(camera->ambiguous);
}

static void test_cameras_are_paged_by_id(void **state) {
        Rig *rig = *state;
        CameraRow **rows;
        size_t n;

        for (uint64_t i = 1; i <= 5; i++) {
                char serial[8];
                Fact f;

                (void) snprintf(serial, sizeof(serial), "X%u", (unsigned) i);
                f = rig_camera(i, serial);
                rig_expect(rig, &f, 0);
        }
        assert_int_equal(store_cameras(rig->store, 2, 2, &rows, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(rows[0]->id, 3);
        assert_int_equal(rows[1]->id, 4);
        camera_rows_free(rows, n);
        assert_int_equal(store_cameras(rig->store, 5, 2, &rows, &n), 0);
        assert_int_equal(n, 0);
        camera_rows_free(rows, n);
}

static void test_docking_is_of_one_camera_and_ends_once(void **state) {
        Rig *rig = *state;
        Fact camera = rig_camera(2, "X2"), other = rig_identified(1, 2), nobody = rig_identified(1, 9),
             again = rig_docked(1);
        Fact undocked = rig_fact(FACT_UNDOCKED), nowhere = rig_docked(2), unknown = rig_fact(FACT_FAULT);

        rig_dock(rig, 1);
        rig_expect(rig, &camera, 0);
        rig_expect(rig, &other, -EINVAL);
        rig_expect(rig, &nobody, -EINVAL);
        rig_expect(rig, &again, -EINVAL);
        nowhere.bay = NULL;
        rig_expect(rig, &nowhere, -EINVAL);
        undocked.docking_id = 1;
        rig_expect(rig, &undocked, 0);
        rig_expect(rig, &undocked, -EINVAL);
        other = rig_identified(1, 1);
        rig_expect(rig, &other, -EINVAL);
        unknown.docking_id = 77;
        rig_expect(rig, &unknown, -ENOENT);
}

static void test_restart_ends_the_dockings_of_the_last_run(void **state) {
        Rig *rig = *state;
        Fact started = rig_fact(FACT_DAEMON_STARTED), undocked = rig_fact(FACT_UNDOCKED);
        EventRow **events;
        size_t n;

        rig_dock(rig, 1);
        started.text = "0.1";
        rig_expect(rig, &started, 0);
        undocked.docking_id = 1;
        rig_expect(rig, &undocked, -EINVAL);
        assert_int_equal(store_events_last(rig->store, 0, 0, 1, &events, &n), 0);
        assert_non_null(strstr(events[0]->bytes, "\"ended_dockings\":[1]"));
        assert_non_null(strstr(events[0]->bytes, "\"version\":\"0.1\""));
        event_rows_free(events, n);
}

static void test_refused_devices_are_read_newest_first(void **state) {
        Rig *rig = *state;
        RefusedRow **rows;
        size_t n;

        for (uint16_t i = 1; i <= 3; i++) {
                Fact f = rig_fact(FACT_REFUSED);

                f.bay = "1-1.4";
                f.text = "no model fits";
                f.usb.vid = i;
                f.usb.pid = 0xffff;
                f.usb.usb_product = "Mouse";
                f.usb.descriptors_hex = "12010002";
                rig_expect(rig, &f, 0);
        }
        assert_int_equal(store_refused(rig->store, 0, 2, &rows, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(rows[0]->vid, 3);
        assert_int_equal(rows[0]->pid, 0xffff);
        assert_string_equal(rows[0]->bay, "1-1.4");
        assert_string_equal(rows[0]->usb_product, "Mouse");
        assert_string_equal(rows[0]->usb_serial, "");
        assert_string_equal(rows[0]->descriptors_hex, "12010002");
        assert_string_equal(rows[0]->reason, "no model fits");
        assert_int_equal(rows[1]->vid, 2);
        refused_rows_free(rows, n);
        assert_int_equal(store_refused(rig->store, 2, 9, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0]->vid, 1);
        refused_rows_free(rows, n);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_kind_of_fact_has_a_name_of_its_own),
                cmocka_unit_test(test_clip_states_have_names),
                TEST(test_camera_is_known_by_its_serial),
                TEST(test_serial_is_never_given_to_another_camera),
                TEST(test_ambiguous_serial_stays_ambiguous),
                TEST(test_cameras_are_paged_by_id),
                TEST(test_docking_is_of_one_camera_and_ends_once),
                TEST(test_restart_ends_the_dockings_of_the_last_run),
                TEST(test_refused_devices_are_read_newest_first),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
