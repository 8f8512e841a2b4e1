/* SPDX-License-Identifier: Apache-2.0 */

/* Where the kernel has the power of a bay's port. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "service/hubport.h"

#define DEVICES "/sys/bus/usb/devices/"

static void test_port_has_its_file_at_the_interface_of_its_hub(void **state) {
        static const struct {
                const char *port, *file;
        } rows[] = {
                { "1-4", DEVICES "1-0:1.0/usb1-port4/disable" },
                { "12-1", DEVICES "12-0:1.0/usb12-port1/disable" },
                { "1-1.4", DEVICES "1-1:1.0/1-1-port4/disable" },
                { "3-1.4.12", DEVICES "3-1.4:1.0/3-1.4-port12/disable" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char file[HUBPORT_PATH_SIZE];

                assert_int_equal(hubport_file(rows[i].port, file), 0);
                assert_string_equal(file, rows[i].file);
        }
}

static void test_what_is_no_port_path_has_no_file(void **state) {
        static const char *const bad[] = { "", "1", "-1", "1-", "1-1.", "usb1", "1-1/..", "1-1.4a", "../1-1" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char file[HUBPORT_PATH_SIZE] = "untouched";

                if (hubport_file(bad[i], file) != -EINVAL || !text_equal(file, "untouched"))
                        fail_msg("'%s': %s", bad[i], file);
        }
}

static void test_ports_of_the_machine_itself_are_not_switched(void **state) {
        (void) state;
        assert_int_equal(hubport_usable("1-4"), -EOPNOTSUPP);
        assert_int_equal(hubport_usable("250-1.4"), -ENOENT);
        assert_int_equal(hubport_usable("nonsense"), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_port_has_its_file_at_the_interface_of_its_hub),
                cmocka_unit_test(test_what_is_no_port_path_has_no_file),
                cmocka_unit_test(test_ports_of_the_machine_itself_are_not_switched),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
