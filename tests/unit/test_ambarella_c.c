/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/command_host.h"

#define REQUEST 0x55
#define REQUEST_STORAGE 0x50
#define VALUE 0x0080
#define PACKET 64u

static const char *const plain[] = { "dialect=c", NULL };
static void *camera;

static void sends(uint8_t request, const char command[static 4], const char *argument) {
        uint8_t packet[PACKET] = { 0 };

        memcpy(packet, command, 4);
        memcpy(packet + 4, argument, strlen(argument));
        control_out(request, VALUE, packet, sizeof(packet));
}

static void answers(uint8_t status, size_t size) {
        uint8_t answer[10] = { 0xA1, 0x12, status };

        control_in(REQUEST, VALUE, 10, answer, size);
}

static void open_camera(void) {
        berth_host *host = command_host();

        sends(REQUEST, "\xA1\x12\x00\x12", "S3cret");
        answers(1, 10);
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), 0);
}

static void close_camera(void) {
        berth_plugin_entry.close(camera);
        command_done();
}

static void test_log_in_is_accepted_by_one_byte_only(void **state) {
        static const struct {
                uint8_t status;
                size_t size;
                int error, result;
        } cases[] = {
                { 1, 10, 0, 0 },          { 0, 10, 0, BERTH_DENIED },       { 2, 10, 0, BERTH_DENIED },    { 0x80, 10, 0, BERTH_DENIED },
                { 1, 9, 0, -EBADMSG },    { 1, 0, 0, -EBADMSG },            { 0, 0, -EPIPE, -EPROTO },     { 0, 0, -ETIMEDOUT, -ETIMEDOUT },
                { 0, 0, -ENODEV, -ENODEV },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                berth_host *host = command_host();

                sends(REQUEST, "\xA1\x12\x00\x12", "S3cret");
                if (cases[i].error < 0)
                        control_in_error(REQUEST, VALUE, cases[i].error);
                else
                        answers(cases[i].status, cases[i].size);
                assert_int_equal(berth_plugin_entry.open(host, plain, &camera), cases[i].result);
                if (cases[i].result == 0)
                        berth_plugin_entry.close(camera);
                else
                        assert_string_not_equal(command_camera.message, "");
                command_done();
        }
}

static void test_nothing_is_sent_without_a_password_or_the_right_interface(void **state) {
        berth_host *host = command_host();

        (void) state;
        command_camera.password = NULL;
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), -ENOKEY);
        assert_int_equal(command_camera.transfers, 0);
        host = command_host();
        command_camera.password = "0123456789012345678901234567890123456789012345678901234567890"; /* 61 */
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), -EINVAL);
        assert_int_equal(command_camera.transfers, 0);
        host = command_host();
        command_camera.interface.class_code = 3;
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), -ENOENT);
        assert_int_equal(command_camera.claims, 0);
        assert_int_equal(command_camera.transfers, 0);
        host = command_host();
        command_camera.claim = -EBUSY;
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), -EBUSY);
        assert_int_equal(command_camera.transfers, 0);
}

static void test_serial_is_the_usb_string_and_nothing_else(void **state) {
        berth_identity who = { .serial = "untouched" };

        (void) state;
        open_camera();
        assert_int_equal(berth_plugin_entry.identify(camera, &who), 0);
        assert_string_equal(who.serial, "USB-7");
        command_camera.serial = "";
        assert_int_equal(berth_plugin_entry.identify(camera, &who), 0);
        assert_string_equal(who.serial, "");
        /* Not to be had is not the same as not there. */
        command_camera.serial = NULL;
        assert_true(berth_plugin_entry.identify(camera, &who) < 0);
        command_camera.serial = "S3cret";
        assert_int_equal(berth_plugin_entry.identify(camera, &who), -EBADMSG);
        close_camera();
}

static void test_storage_mode_is_taken_whatever_is_answered(void **state) {
        static const struct {
                int error;
                size_t size;
        } cases[] = { { 0, 10 }, { 0, 3 }, { -ETIMEDOUT, 0 }, { -ENODEV, 0 }, { -EPIPE, 0 } };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                open_camera();
                sends(REQUEST_STORAGE, "\xA1\x23\x00\x23", "");
                if (cases[i].error < 0)
                        control_in_error(REQUEST, VALUE, cases[i].error);
                else
                        answers(0, cases[i].size);
                assert_int_equal(berth_plugin_entry.enter_storage(camera), 0);
                close_camera();
        }
        open_camera();
        control_out_error(REQUEST_STORAGE, VALUE, -EPIPE);
        assert_int_equal(berth_plugin_entry.enter_storage(camera), -EPROTO);
        close_camera();
}

static void test_what_the_dialect_has_no_word_for_is_not_made_up(void **state) {
        berth_health health = { .known = 77 };
        berth_owner owner = { .struct_size = sizeof(owner) };

        (void) state;
        open_camera();
        assert_int_equal(berth_plugin_entry.health(camera, &health), 0);
        assert_int_equal(health.known, 0);
        assert_int_equal(berth_plugin_entry.set_clock(camera, 1795649535), -EOPNOTSUPP);
        assert_int_equal(berth_plugin_entry.get_owner(camera, &owner), -EOPNOTSUPP);
        assert_int_equal(berth_plugin_entry.set_owner(camera, &owner), -EOPNOTSUPP);
        assert_int_equal(berth_plugin_entry.list(camera), -EOPNOTSUPP);
        close_camera();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_log_in_is_accepted_by_one_byte_only),
                cmocka_unit_test(test_nothing_is_sent_without_a_password_or_the_right_interface),
                cmocka_unit_test(test_serial_is_the_usb_string_and_nothing_else),
                cmocka_unit_test(test_storage_mode_is_taken_whatever_is_answered),
                cmocka_unit_test(test_what_the_dialect_has_no_word_for_is_not_made_up),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
