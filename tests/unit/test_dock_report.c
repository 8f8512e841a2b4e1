/* SPDX-License-Identifier: Apache-2.0 */

/* What a dock tells of itself: what is written is read again, and another dock's text is checked where it enters. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/dock_report.h"

static void test_what_is_told_of_a_camera_is_read_as_it_was(void **state) {
        static const ReportedCamera told = {
                .serial = (char *) "SN-1",
                .last_docked_usec = 1700000000000001, .bay = 7, .out = true, .officer_id = (char *) "P-1",
                .taken_usec = 1700000000000002, .due_usec = 1700000000000003, .overdue = true, .unstored_on_camera = 1,
                .unstored_on_dock = 2, .on_camera_since_usec = 1600000000000000, .on_dock_since_usec = 1600000000000001,
        };
        _cleanup_(dock_report_freep) DockReport *r = NULL;
        json_t *status = json_pack("{s:s, s:[o], s:i}", "name", "north", "cameras", reported_camera_to_json(&told), "cameras_left_out", 3);
        const ReportedCamera *c;
        (void) state;

        assert_int_equal(dock_report_from_json(status, &r), 0);
        json_decref(status);
        assert_string_equal(r->name, "north");
        assert_int_equal(r->left_out, 3);
        assert_int_equal(r->n_cameras, 1);
        c = &r->cameras[0];
        assert_string_equal(c->serial, told.serial);
        assert_string_equal(c->officer_id, told.officer_id);
        assert_true(c->out && c->overdue && c->bay == 7 && c->last_docked_usec == told.last_docked_usec);
        assert_true(c->taken_usec == told.taken_usec && c->due_usec == told.due_usec);
        assert_true(c->unstored_on_camera == 1 && c->on_camera_since_usec == told.on_camera_since_usec);
        assert_true(c->unstored_on_dock == 2 && c->on_dock_since_usec == told.on_dock_since_usec);
}

static void test_strange_statuses_are_refused(void **state) {
        static const struct {
                const char *text;
                int r;
        } cases[] = {
                /* of an earlier version */
                { "{\"name\":\"n\",\"oldest_unstored\":null,"
                  "\"cameras\":[{\"serial\":\"S\",\"last_docked\":\"2026-11-26T12:00:00.000000Z\"}]}", 0 },
                { "{}", 0 },
                { "[]", -EBADE },
                { "{\"name\":7}", -EBADE },
                { "{\"name\":\"a\\nb\"}", -EBADE },
                { "{\"time\":\"yesterday\"}", -EBADE },
                { "{\"oldest_unstored\":7}", -EBADE },
                { "{\"cameras\":{}}", -EBADE },
                { "{\"cameras\":[7]}", -EBADE },
                { "{\"cameras\":[{\"serial\":\"\"}]}", -EBADE },
                { "{\"cameras\":[{\"serial\":\"S\",\"bay\":-1}]}", -EBADE },
                { "{\"cameras\":[{\"serial\":\"S\",\"out\":true}]}", -EBADE },
                { "{\"cameras\":[{\"serial\":\"S\",\"out\":{\"due\":5}}]}", -EBADE },
                { "{\"cameras\":[{\"serial\":\"S\",\"on_dock\":{\"clips\":\"5\"}}]}", -EBADE },
                { "{\"cameras_left_out\":-1}", -EBADE },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(dock_report_freep) DockReport *r = NULL;
                json_t *status = json_loads(cases[i].text, 0, NULL);
                int result = dock_report_from_json(status, &r);

                json_decref(status);
                if (result != cases[i].r)
                        fail_msg("%s: %d", cases[i].text, result);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_told_of_a_camera_is_read_as_it_was),
                cmocka_unit_test(test_strange_statuses_are_refused),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
