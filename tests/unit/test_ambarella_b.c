/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unit/command_host.h"

#define REQUEST 0x55
#define SEND 0x00AA
#define RECEIVE 0
#define ACCEPTED 0x80
#define RECORD 100u

static const char *const plain[] = { "dialect=b", NULL };
static void *camera;

static size_t frame(uint8_t *ret, uint8_t status, uint8_t number, const void *payload, size_t size) {
        static const uint8_t magic[] = { 0xA1, 0xB2, 0xC3, 0xD4, 0x00, 0xE1 };

        memset(ret, 0, 9 + size);
        memcpy(ret, magic, sizeof(magic));
        ret[6] = status;
        ret[7] = number;
        if (payload)
                memcpy(ret + 9, payload, size);
        return 9 + size;
}

static void sends(uint8_t number, const void *payload, size_t size) {
        uint8_t f[128];

        control_out(REQUEST, SEND, f, frame(f, 0, number, payload, size));
}

static void answers(uint8_t status, uint8_t number, const void *payload, size_t size) {
        uint8_t f[128];
        size_t n = frame(f, status, number, payload, size);

        control_in(REQUEST, RECEIVE, n, f, n);
}

static void exchange(uint8_t number, const void *sent, const void *answer, size_t size) {
        sends(number, sent, size);
        answers(ACCEPTED, number, answer, size);
}

static void open_camera(void) {
        berth_host *host = command_host();

        exchange(0x20, NULL, "ABCDE", 5);
        exchange(0x10, "S3cret", NULL, 6);
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), 0);
}

static void close_camera(void) {
        berth_plugin_entry.close(camera);
        command_done();
}

static void test_password_is_padded_and_the_role_is_the_sites(void **state) {
        static const struct {
                const char *user, *password, *payload;
                uint8_t number;
        } cases[] = {
                { NULL, "S3cret", "S3cret", 0x10 },
                { "admin", "S3cret", "S3cret", 0x10 },
                { "user", "abc", "abc\0\0\0", 0x11 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                berth_host *host = command_host();

                command_camera.user = cases[i].user;
                command_camera.password = cases[i].password;
                exchange(0x20, NULL, "ABCDE", 5);
                exchange(cases[i].number, cases[i].payload, NULL, 6);
                assert_int_equal(berth_plugin_entry.open(host, plain, &camera), 0);
                close_camera();
        }
}

static void test_nothing_is_sent_without_fitting_credentials_or_interface(void **state) {
        static const struct {
                const char *user, *password;
                uint8_t class_code;
                int result;
        } cases[] = {
                { NULL, NULL, 0xFF, -ENOKEY },         { NULL, "", 0xFF, -EINVAL },       { NULL, "toolong", 0xFF, -EINVAL },
                { NULL, "a\tb", 0xFF, -EINVAL },       { "root", "S3cret", 0xFF, -EINVAL }, { NULL, "S3cret", 0x06, -ENOENT },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                berth_host *host = command_host();

                command_camera.user = cases[i].user;
                command_camera.password = cases[i].password;
                command_camera.interface.class_code = cases[i].class_code;
                assert_int_equal(berth_plugin_entry.open(host, plain, &camera), cases[i].result);
                assert_string_not_equal(command_camera.message, "");
                assert_int_equal(command_camera.transfers, 0);
                command_done();
        }
}

/* The answer of a ping that shows a device of another kind: the password is not said to it. */
static void test_password_is_said_only_to_what_answers_the_ping(void **state) {
        uint8_t good[14], bad[14];
        static const struct {
                size_t size;
                int error;
                size_t change; /* the byte that is changed; 99: none */
                int result;
        } cases[] = {
                { 14, 0, 0, -EBADMSG }, { 14, 0, 3, -EBADMSG },  { 14, 0, 4, -EBADMSG },          { 14, 0, 5, -EBADMSG },
                { 14, 0, 7, -EBADMSG }, { 14, 0, 6, -EPROTO },   { 14, 0, 9, -EBADMSG },          { 14, 0, 13, -EBADMSG },
                { 13, 0, 99, -EBADMSG }, { 0, 0, 99, -EBADMSG }, { 0, -ETIMEDOUT, 99, -ETIMEDOUT }, { 0, -EPIPE, 99, -EPROTO },
                { 0, -ENODEV, 99, -ENODEV },
        };

        (void) state;
        frame(good, ACCEPTED, 0x20, "ABCDE", 5);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                berth_host *host = command_host();

                memcpy(bad, good, sizeof(bad));
                if (cases[i].change < sizeof(bad))
                        bad[cases[i].change] ^= 0x01;
                sends(0x20, NULL, 5);
                if (cases[i].error < 0)
                        control_in_error(REQUEST, RECEIVE, cases[i].error);
                else
                        control_in(REQUEST, RECEIVE, 14, bad, cases[i].size);
                assert_int_equal(berth_plugin_entry.open(host, plain, &camera), cases[i].result);
                assert_string_not_equal(command_camera.message, "");
                command_done();
        }
        /* Dialect A's or C's camera stalls the request itself. */
        berth_host *host = command_host();
        control_out_error(REQUEST, SEND, -EPIPE);
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), -EPROTO);
        assert_non_null(strstr(command_camera.message, "plugin.dialect"));
        command_done();
}

static void test_refused_log_in_is_not_repeated(void **state) {
        berth_host *host = command_host();

        (void) state;
        exchange(0x20, NULL, "ABCDE", 5);
        sends(0x10, "S3cret", 6);
        answers(0x00, 0x10, "S3cret", 6);
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), BERTH_DENIED);
        assert_non_null(strstr(command_camera.message, "credentials"));
        command_done();
}

static void test_models_may_have_no_ping_and_loose_answers(void **state) {
        static const char *const options[] = { "dialect=b", "no-ping=yes", "loose-answers=yes", NULL };
        berth_host *host = command_host();
        uint8_t loose[15] = { 0 };

        (void) state;
        loose[6] = ACCEPTED;
        sends(0x10, "S3cret", 6);
        control_in(REQUEST, RECEIVE, 15, loose, sizeof(loose));
        assert_int_equal(berth_plugin_entry.open(host, options, &camera), 0);
        close_camera();
}

static void test_battery_is_a_percentage_or_unknown(void **state) {
        static const struct {
                uint8_t status, percent;
                uint32_t known;
        } cases[] = {
                { ACCEPTED, 0, BERTH_HEALTH_BATTERY }, { ACCEPTED, 100, BERTH_HEALTH_BATTERY }, { ACCEPTED, 101, 0 }, { ACCEPTED, 255, 0 },
                { 0x00, 50, 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                berth_health health = { .known = 77 };

                open_camera();
                sends(0x70, NULL, 1);
                answers(cases[i].status, 0x70, &cases[i].percent, 1);
                assert_int_equal(berth_plugin_entry.health(camera, &health), 0);
                assert_int_equal(health.known, cases[i].known); /* and no clock: there is no word for reading it */
                if (cases[i].known)
                        assert_int_equal(health.battery_percent, cases[i].percent);
                else
                        assert_string_not_equal(command_camera.message, "");
                close_camera();
        }
        berth_health health = { .known = 77 };
        open_camera();
        sends(0x70, NULL, 1);
        control_in(REQUEST, RECEIVE, 10, "", 0);
        assert_int_equal(berth_plugin_entry.health(camera, &health), -EBADMSG);
        assert_int_equal(health.known, 77);
        close_camera();
}

static void test_clock_is_set_when_the_camera_echoes_that_time(void **state) {
        static const uint8_t time[] = { 0x07, 0xEA, 11, 25, 23, 32, 15 };
        uint8_t other[sizeof(time)];

        (void) state;
        open_camera();
        exchange(0x41, time, time, sizeof(time));
        assert_int_equal(berth_plugin_entry.set_clock(camera, 1795649535), 0);
        close_camera();
        for (size_t i = 0; i < sizeof(time); i++) {
                memcpy(other, time, sizeof(other));
                other[i] ^= 0x01;
                open_camera();
                exchange(0x41, time, other, sizeof(time));
                assert_int_equal(berth_plugin_entry.set_clock(camera, 1795649535), -EBADMSG);
                close_camera();
        }
        open_camera();
        assert_int_equal(berth_plugin_entry.set_clock(camera, -1), -ERANGE);
        close_camera();
}

static void make_record(uint8_t *ret) {
        memset(ret, 0, RECORD);
        memcpy(ret, "SN000042", 8);
        memcpy(ret + 9, "7031", 4);
        memcpy(ret + 14, "zz", 2); /* behind the officer id's end: nobody knows what it is */
        memcpy(ret + 17, "J. Mller", 8);
        memcpy(ret + 52, "D12", 3);
        memcpy(ret + 68, "Dock unit", 9);
}

static void test_serial_comes_from_the_record_and_is_text(void **state) {
        uint8_t record[RECORD];
        berth_identity who = { .serial = "untouched" };

        (void) state;
        make_record(record);
        open_camera();
        exchange(0x30, NULL, record, RECORD);
        assert_int_equal(berth_plugin_entry.identify(camera, &who), 0);
        assert_string_equal(who.serial, "SN000042");
        close_camera();
        record[3] = 0x1B;
        open_camera();
        exchange(0x30, NULL, record, RECORD);
        assert_int_equal(berth_plugin_entry.identify(camera, &who), -EBADMSG);
        assert_string_equal(who.serial, "SN000042");
        close_camera();
}

static void test_camera_that_shows_the_password_as_its_identity_is_not_repeated(void **state) {
        berth_identity who = { .serial = "untouched" };
        berth_owner owner = { .officer_name = "untouched" };
        uint8_t record[RECORD];

        (void) state;
        make_record(record);
        memcpy(record, "S3cret\0\0", 8);
        memcpy(record + 17, "S3cret\0\0", 8);
        open_camera();
        exchange(0x30, NULL, record, RECORD);
        assert_int_equal(berth_plugin_entry.identify(camera, &who), -EBADMSG);
        assert_string_equal(who.serial, "untouched");
        exchange(0x30, NULL, record, RECORD);
        assert_int_equal(berth_plugin_entry.get_owner(camera, &owner), -EBADMSG);
        assert_string_equal(owner.officer_name, "untouched");
        close_camera();
}

static void test_owner_is_changed_in_place_and_read_back(void **state) {
        berth_owner owner = { .struct_size = sizeof(owner) };
        uint8_t record[RECORD], changed[RECORD];

        (void) state;
        make_record(record);
        open_camera();
        exchange(0x30, NULL, record, RECORD);
        assert_int_equal(berth_plugin_entry.get_owner(camera, &owner), 0);
        assert_string_equal(owner.officer_id, "7031");
        assert_string_equal(owner.unit_name, "Dock unit");
        (void) snprintf(owner.officer_name, BERTH_TEXT_MAX, "A. Svensson");
        memcpy(changed, record, sizeof(changed));
        memset(changed + 17, 0, 35);
        memcpy(changed + 17, "A. Svensson", 11);
        exchange(0x30, NULL, record, RECORD);
        exchange(0x31, changed, changed, RECORD);
        exchange(0x30, NULL, changed, RECORD);
        assert_int_equal(berth_plugin_entry.set_owner(camera, &owner), 0);
        /* Again: it is there already, and flash wears. */
        exchange(0x30, NULL, changed, RECORD);
        assert_int_equal(berth_plugin_entry.set_owner(camera, &owner), 0);
        close_camera();
}

static void test_owner_that_was_not_stored_as_said_is_a_failure(void **state) {
        berth_owner owner = { .struct_size = sizeof(owner), .officer_id = "9" };
        uint8_t record[RECORD], changed[RECORD] = { 0 };

        (void) state;
        make_record(record);
        memcpy(changed, record, 9);
        changed[9] = '9';
        /* The camera says yes, and holds what it held. */
        open_camera();
        exchange(0x30, NULL, record, RECORD);
        exchange(0x31, changed, changed, RECORD);
        exchange(0x30, NULL, record, RECORD);
        assert_int_equal(berth_plugin_entry.set_owner(camera, &owner), -EPROTO);
        close_camera();
        /* It says no. */
        open_camera();
        exchange(0x30, NULL, record, RECORD);
        sends(0x31, changed, RECORD);
        answers(0x00, 0x31, changed, RECORD);
        assert_int_equal(berth_plugin_entry.set_owner(camera, &owner), BERTH_DENIED);
        close_camera();
        /* What does not fit is not written at all. */
        (void) snprintf(owner.officer_id, BERTH_TEXT_MAX, "12345678");
        open_camera();
        exchange(0x30, NULL, record, RECORD);
        assert_int_equal(berth_plugin_entry.set_owner(camera, &owner), -EOPNOTSUPP);
        assert_non_null(strstr(command_camera.message, "officer id holds at most 7"));
        close_camera();
}

static void test_storage_mode_is_taken_unless_the_camera_says_no(void **state) {
        static const struct {
                int error;
                size_t size;
                uint8_t status;
                int result;
        } cases[] = {
                { 0, 9, ACCEPTED, 0 },   { -ETIMEDOUT, 0, 0, 0 }, { -ENODEV, 0, 0, 0 },          { -EPIPE, 0, 0, 0 },
                { 0, 9, 0x00, BERTH_DENIED }, { 0, 8, ACCEPTED, -EBADMSG },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint8_t f[9];

                frame(f, cases[i].status, 0x51, NULL, 0);
                open_camera();
                sends(0x51, NULL, 0);
                if (cases[i].error < 0)
                        control_in_error(REQUEST, RECEIVE, cases[i].error);
                else
                        control_in(REQUEST, RECEIVE, 9, f, cases[i].size);
                assert_int_equal(berth_plugin_entry.enter_storage(camera), cases[i].result);
                close_camera();
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_password_is_padded_and_the_role_is_the_sites),
                cmocka_unit_test(test_nothing_is_sent_without_fitting_credentials_or_interface),
                cmocka_unit_test(test_password_is_said_only_to_what_answers_the_ping),
                cmocka_unit_test(test_refused_log_in_is_not_repeated),
                cmocka_unit_test(test_models_may_have_no_ping_and_loose_answers),
                cmocka_unit_test(test_battery_is_a_percentage_or_unknown),
                cmocka_unit_test(test_clock_is_set_when_the_camera_echoes_that_time),
                cmocka_unit_test(test_serial_comes_from_the_record_and_is_text),
                cmocka_unit_test(test_camera_that_shows_the_password_as_its_identity_is_not_repeated),
                cmocka_unit_test(test_owner_is_changed_in_place_and_read_back),
                cmocka_unit_test(test_owner_that_was_not_stored_as_said_is_a_failure),
                cmocka_unit_test(test_storage_mode_is_taken_unless_the_camera_says_no),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
