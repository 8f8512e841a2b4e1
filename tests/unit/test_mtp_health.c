/* SPDX-License-Identifier: Apache-2.0 */
/* What the plugin makes of a scripted camera's battery, clock and storages. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "unit/fake_host.h"
#include "unit/mtp_script.h"

static void script_battery(uint8_t now) {
        Dataset d = { 0 };

        dataset_u(&d, 2, 0x5001);
        dataset_u(&d, 2, 2);
        dataset_u(&d, 1, 0);
        dataset_u(&d, 1, 100);
        dataset_u(&d, 1, now);
        dataset_u(&d, 1, 1);
        dataset_u(&d, 1, 0);
        dataset_u(&d, 1, 200);
        dataset_u(&d, 1, 1);
        fake_command(0x1014, id, 1, 0x5001u);
        answer(0x1014, &d);
}

static void script_clock(const char *now, unsigned writable) {
        Dataset d = { 0 };

        dataset_u(&d, 2, 0x5011);
        dataset_u(&d, 2, 0xFFFF);
        dataset_u(&d, 1, writable);
        dataset_text(&d, "");
        dataset_text(&d, now);
        dataset_u(&d, 1, 0);
        fake_command(0x1014, id, 1, 0x5011u);
        answer(0x1014, &d);
}

static void test_health_tells_battery_clock_and_storage(void **state) {
        const char *const options[] = { "utc-offset-minutes=60", NULL };
        berth_health health = { 0 };
        Dataset d = { 0 };

        (void) state;
        open_camera(full_camera, N(full_camera), options);
        script_battery(150);
        script_clock(DATE, 1);
        script_storages();
        dataset_storage_info(&d, 1, 1000, 400, "");
        fake_command(0x1005, id, 1, STORAGE);
        answer(0x1005, &d);
        assert_int_equal(plugin->health(camera, &health), 0);
        assert_int_equal(health.known, BERTH_HEALTH_BATTERY | BERTH_HEALTH_CLOCK | BERTH_HEALTH_STORAGE);
        assert_int_equal(health.battery_percent, 75);
        assert_true(health.clock_unix_sec == DATE_UNIX - 3600);
        assert_true(health.clock_boottime_usec > 0 && health.clock_boottime_usec <= fake_camera.now_usec);
        assert_int_equal(health.storage_total_bytes, 1000);
        assert_int_equal(health.storage_free_bytes, 400);
        assert_int_equal(health.read_only, 1);
        close_camera();
}

static void test_clock_in_the_docks_zone_is_converted_both_ways(void **state) {
        const char *const options[] = { "utc-offset-minutes=local", NULL };
        berth_health health = { 0 };
        Dataset d = { 0 };

        (void) state;
        open_camera(full_camera, N(full_camera), options);
        script_battery(150);
        script_clock(DATE, 1);
        fake_command(0x1004, id, 0), refuse(0x2005);
        assert_true(plugin->health(camera, &health) == 0 && health.clock_unix_sec == DATE_UNIX - 3600);
        script_clock(DATE, 1);
        dataset_text(&d, DATE);
        fake_command(0x1016, id, 1, 0x5011u);
        fake_data_out(0x1016, id, d.data, d.size);
        fake_response(OK, id++);
        assert_int_equal(plugin->set_clock(camera, DATE_UNIX - 3600), 0);
        close_camera();
}

static void test_health_leaves_out_what_the_camera_says_badly(void **state) {
        berth_health health = { 0 };

        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        fake_command(0x1014, id, 1, 0x5001u);
        fake_data(0x1014, id, "??", 2);
        fake_response(OK, id++);
        script_clock("00000000T000000", 1);
        script_storages();
        fake_command(0x1005, id, 1, STORAGE);
        refuse(0x2002);
        assert_int_equal(plugin->health(camera, &health), 0);
        assert_int_equal(health.known, 0);
        close_camera();
}

static void test_health_of_a_camera_that_says_nothing(void **state) {
        berth_health health = { 0 };

        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        fake_command(0x1004, id, 0);
        refuse(0x2005);
        assert_int_equal(plugin->health(camera, &health), 0);
        assert_int_equal(health.known, 0);
        close_camera();
}

static void test_clock_is_set_in_the_cameras_own_form(void **state) {
        static const char *const now[] = { DATE, DATE "Z" }, *const written[] = { "20261123T091500", "20261123T091500Z" };

        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        for (size_t i = 0; i < 2; i++) {
                Dataset d = { 0 };

                script_clock(now[i], 1);
                dataset_text(&d, written[i]);
                fake_command(0x1016, id, 1, 0x5011u);
                fake_data_out(0x1016, id, d.data, d.size);
                fake_response(OK, id++);
                assert_int_equal(plugin->set_clock(camera, DATE_UNIX), 0);
        }
        script_clock(DATE, 0);
        assert_int_equal(plugin->set_clock(camera, DATE_UNIX), -EOPNOTSUPP);
        close_camera();
}

static void test_clock_of_a_camera_that_has_none_cannot_be_set(void **state) {
        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        assert_int_equal(plugin->set_clock(camera, DATE_UNIX), -EOPNOTSUPP);
        close_camera();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_health_tells_battery_clock_and_storage),
                cmocka_unit_test(test_clock_in_the_docks_zone_is_converted_both_ways),
                cmocka_unit_test(test_health_leaves_out_what_the_camera_says_badly),
                cmocka_unit_test(test_health_of_a_camera_that_says_nothing),
                cmocka_unit_test(test_clock_is_set_in_the_cameras_own_form),
                cmocka_unit_test(test_clock_of_a_camera_that_has_none_cannot_be_set),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
