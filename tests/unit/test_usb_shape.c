/* SPDX-License-Identifier: Apache-2.0 */

/* What a device claims to be: descriptors that hold together are read, all others are told apart and never over-read. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "model/usb.h"

static const uint8_t camera[] = { 18, 1, 0, 2, 0, 0, 0, 64, 0x34, 0x12, 0x78, 0x56, 0x10, 0x01, 1, 2, 3, 1,
                                  9,  2, 39, 0, 1, 1, 0, 0xc0, 50,
                                  9,  4, 0, 0, 3, 6, 1, 1, 0,
                                  7,  5, 0x81, 2, 0, 2, 0, 7, 5, 0x02, 2, 0, 2, 0, 7, 5, 0x83, 3, 8, 0, 10 };

/* A second configuration with a keyboard. */
static const uint8_t keyboard_configuration[] = { 9, 2, 25, 0, 1, 2, 0, 0xc0, 50, 9, 4, 0, 0, 1, 3, 1, 1, 0, 7, 5, 0x81, 3, 8, 0, 10 };

static void test_descriptors_are_parsed(void **state) {
        UsbShape s;

        (void) state;
        assert_int_equal(usb_shape_parse(camera, sizeof(camera), &s), 0);
        assert_null(s.problem);
        assert_int_equal(s.vid, 0x1234);
        assert_int_equal(s.pid, 0x5678);
        assert_int_equal(s.bcd_device, 0x0110);
        assert_int_equal(s.n_interfaces, 1);
        assert_int_equal(s.interfaces[0].class_code, 6);
}

static void test_interfaces_of_all_configurations_and_settings_are_seen(void **state) {
        static const uint8_t setting[] = { 9, 4, 0, 1, 0, 8, 6, 80, 0 };
        uint8_t two[sizeof(camera) + sizeof(setting) + sizeof(keyboard_configuration)];
        UsbShape s;

        (void) state;
        memcpy(two, camera, sizeof(camera));
        memcpy(two + sizeof(camera), setting, sizeof(setting));
        memcpy(two + sizeof(camera) + sizeof(setting), keyboard_configuration, sizeof(keyboard_configuration));
        two[17] = 2;
        two[20] = (uint8_t) (two[20] + sizeof(setting));
        assert_int_equal(usb_shape_parse(two, sizeof(two), &s), 0);
        assert_null(s.problem);
        assert_int_equal(s.n_interfaces, 3);
        assert_int_equal(s.interfaces[1].class_code, 8);
        assert_int_equal(s.interfaces[2].class_code, 3);
}

/* Each of these would let a device show the kernel other interfaces than it shows here. */
static void test_descriptors_that_lie_are_told(void **state) {
        static const struct {
                size_t at;
                uint8_t value;
                const char *says;
        } rows[] = {
                { 17, 2, "fewer configurations" }, /* bNumConfigurations */
                { 17, 0, "more configurations" },
                { 20, 38, "longer than the configuration" }, /* wTotalLength */
                { 20, 40, "not as long as it says" },
                { 21, 255, "not as long as it says" },
                { 20, 3, "not as long as it says" },
                { 19, 4, "does not begin where it should" },
                { 18, 0, "does not begin where it should" },
                { 27, 0, "no length" }, /* bLength of the interface */
                { 27, 1, "no length" },
                { 27, 200, "longer than the configuration" },
                { 27, 7, NULL }, /* shifts what follows: any problem will do */
                { 37, 2, "holds another one" }, /* an endpoint that calls itself a configuration */
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                uint8_t copy[sizeof(camera)];
                UsbShape s = {};

                memcpy(copy, camera, sizeof(camera));
                copy[rows[i].at] = rows[i].value;
                assert_int_equal(usb_shape_parse(copy, sizeof(copy), &s), 0);
                if (!s.problem || (rows[i].says && !strstr(s.problem, rows[i].says)))
                        fail_msg("row %zu: '%s' does not say '%s'", i, s.problem ?: "nothing", rows[i].says ?: "anything");
                assert_int_equal(s.vid, 0x1234);
        }
}

/* A length that reaches into the next configuration would hide its header, and a keyboard behind it. */
static void test_a_configuration_cannot_be_hidden_in_another(void **state) {
        uint8_t two[sizeof(camera) + sizeof(keyboard_configuration)];
        UsbShape s = {};

        (void) state;
        memcpy(two, camera, sizeof(camera));
        memcpy(two + sizeof(camera), keyboard_configuration, sizeof(keyboard_configuration));
        two[20] = (uint8_t) (two[20] + sizeof(keyboard_configuration)); /* one configuration, it says, of the whole length … */
        two[50] = (uint8_t) (two[50] + sizeof(keyboard_configuration)); /* … whose last endpoint covers the second one */
        assert_int_equal(usb_shape_parse(two, sizeof(two), &s), 0);
        /* The kernel, which was given both, counts them: so must the parser, by bNumConfigurations. */
        two[17] = 2;
        assert_int_equal(usb_shape_parse(two, sizeof(two), &s), 0);
        assert_non_null(s.problem);
}

static void test_256_interfaces_are_too_many(void **state) {
        uint8_t many[18 + 9 + 256 * 9] = { 18, 1, 0, 2, 0, 0, 0, 64, 1, 0, 2, 0, 0, 0, 0, 0, 0, 1, 9, 2 };
        UsbShape s = {};

        (void) state;
        many[20] = (uint8_t) (sizeof(many) - 18);
        many[21] = (uint8_t) ((sizeof(many) - 18) >> 8);
        for (size_t i = 0; i < 256; i++)
                memcpy(many + 27 + i * 9, (const uint8_t[]){ 9, 4, (uint8_t) i, 0, 0, 6, 1, 1, 0 }, 9);
        assert_int_equal(usb_shape_parse(many, sizeof(many), &s), 0);
        assert_non_null(s.problem);
        assert_non_null(strstr(s.problem, "more interfaces"));
        assert_int_equal(s.n_interfaces, USB_INTERFACES_MAX);
}

/* Interface association descriptors (USB 3.2 §9.6.4) group interfaces: they are passed over, the interfaces are seen. */
static void test_interface_associations_hide_nothing(void **state) {
        uint8_t copy[sizeof(camera) + 8 + 9];
        UsbShape s = {};

        (void) state;
        memcpy(copy, camera, 27);
        memcpy(copy + 27, (const uint8_t[]){ 8, 11, 0, 2, 6, 1, 1, 0 }, 8);
        memcpy(copy + 35, camera + 27, sizeof(camera) - 27);
        memcpy(copy + sizeof(camera) + 8, (const uint8_t[]){ 9, 4, 1, 0, 0, 3, 1, 1, 0 }, 9);
        copy[20] = (uint8_t) (copy[20] + 17);
        assert_int_equal(usb_shape_parse(copy, sizeof(copy), &s), 0);
        assert_null(s.problem);
        assert_int_equal(s.n_interfaces, 2);
        assert_int_equal(s.interfaces[1].class_code, 3);
}

static void test_broken_descriptors_are_refused_and_never_overread(void **state) {
        UsbShape s;

        (void) state;
        for (size_t n = 0; n < sizeof(camera); n++) {
                uint8_t *copy = malloc(n ? n : 1);

                memcpy(copy, camera, n);
                if (n < 18)
                        assert_int_equal(usb_shape_parse(copy, n, &s), -EBADMSG);
                else {
                        assert_int_equal(usb_shape_parse(copy, n, &s), 0);
                        assert_non_null(s.problem);
                }
                free(copy);
        }
        for (size_t at = 0; at < sizeof(camera); at++)
                for (unsigned value = 0; value < 256; value += 5) {
                        uint8_t *copy = malloc(sizeof(camera));

                        memcpy(copy, camera, sizeof(camera));
                        copy[at] = (uint8_t) value;
                        (void) usb_shape_parse(copy, sizeof(camera), &s);
                        free(copy);
                }
}

static void test_strangers_are_named_in_words(void **state) {
        (void) state;
        assert_string_equal(usb_class_word(&(UsbClass){ 3, 1, 1 }), "a keyboard");
        assert_string_equal(usb_class_word(&(UsbClass){ 3, 0, 0 }), "an input device");
        assert_string_equal(usb_class_word(&(UsbClass){ 9, 0, 1 }), "a hub");
        assert_null(usb_class_word(&(UsbClass){ 0xff, 0, 0 }));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_descriptors_are_parsed),
                cmocka_unit_test(test_interfaces_of_all_configurations_and_settings_are_seen),
                cmocka_unit_test(test_descriptors_that_lie_are_told),
                cmocka_unit_test(test_a_configuration_cannot_be_hidden_in_another),
                cmocka_unit_test(test_256_interfaces_are_too_many),
                cmocka_unit_test(test_interface_associations_hide_nothing),
                cmocka_unit_test(test_broken_descriptors_are_refused_and_never_overread),
                cmocka_unit_test(test_strangers_are_named_in_words),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
