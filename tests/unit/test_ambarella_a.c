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

static const char *const plain[] = { "dialect=a", NULL };
static void *camera;

/* What is sent, and what comes back. */
static void line(const char *sent, const char *answer) {
        bulk_out(sent, strlen(sent));
        bulk_in(answer, strlen(answer));
}

static void open_with(const char *const *options) {
        berth_host *host = command_host();

        bulk_in_error(-ETIMEDOUT); /* nothing stale */
        line("@Ver;6;S3cret;#", "@Ver;OK;#");
        assert_int_equal(berth_plugin_entry.open(host, options, &camera), 0);
}

static void close_camera(void) {
        berth_plugin_entry.close(camera);
        command_done();
}

static void test_log_in_is_accepted_only_by_its_answer(void **state) {
        static const struct {
                const char *answer;
                int result;
        } cases[] = {
                { "@Ver;OK;#", 0 },
                { "@Ver;OK;1.0;#\r\n", 0 },
                { "@Ver;NO;#", BERTH_DENIED },
                { "@Ver;6;S3cret;#", BERTH_DENIED },
                { "@ERR;#", BERTH_DENIED },
                { "", -EBADMSG },
                { "@Gdv;8;12345678;#", -EBADMSG },
                { "\x01\x02\x03\x04", -EBADMSG },
                { "@Ver;\x7FOK;#", -EBADMSG },
                { "\xA1\xB2\xC3\xD4", -EBADMSG },
                { "@Ver;OK;0123456789012345678901234567890123456789012345678901234567", -EBADMSG }, /* 65 and more */
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                berth_host *host = command_host();

                bulk_in_error(-ETIMEDOUT);
                line("@Ver;6;S3cret;#", cases[i].answer);
                assert_int_equal(berth_plugin_entry.open(host, plain, &camera), cases[i].result);
                if (cases[i].result == 0)
                        berth_plugin_entry.close(camera);
                else
                        assert_string_not_equal(command_camera.message, "");
                command_done();
        }
}

static void test_refused_log_in_says_what_to_do_and_is_not_repeated(void **state) {
        berth_host *host = command_host();

        (void) state;
        bulk_in_error(-ETIMEDOUT);
        line("@Ver;6;S3cret;#", "@Ver;S3cret;NO;#");
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), BERTH_DENIED);
        assert_non_null(strstr(command_camera.message, "credentials"));
        assert_int_equal(command_camera.transfers, 3);
        command_done();
}

static void test_longer_answers_are_an_option_of_the_model(void **state) {
        static const char *const options[] = { "dialect=a", "reply-bytes=100", NULL };
        berth_host *host = command_host();

        (void) state;
        bulk_in_error(-ETIMEDOUT);
        line("@Ver;6;S3cret;#", "@Ver;OK;012345678901234567890123456789012345678901234567890123456789;#");
        assert_int_equal(berth_plugin_entry.open(host, options, &camera), 0);
        close_camera();
}

static void test_nothing_is_sent_without_a_password_or_the_right_interface(void **state) {
        static const struct {
                const char *password;
                uint8_t class_code, bulk_out, bulk_in;
                int result;
        } cases[] = {
                { NULL, 0xFF, 0x01, 0x81, -ENOKEY },       { "", 0xFF, 0x01, 0x81, -EINVAL },
                { "a;b", 0xFF, 0x01, 0x81, -EINVAL },      { "a#b", 0xFF, 0x01, 0x81, -EINVAL },
                { "a\nb", 0xFF, 0x01, 0x81, -EINVAL },     { "\xC3\xA9t\xC3\xA9", 0xFF, 0x01, 0x81, -EINVAL },
                { "012345678901234567890123456789012", 0xFF, 0x01, 0x81, -EINVAL },
                { "S3cret", 0x08, 0x01, 0x81, -ENOENT },   { "S3cret", 0xFF, 0x02, 0x81, -ENOENT },
                { "S3cret", 0xFF, 0x01, 0x82, -ENOENT },   { "S3cret", 0xFF, 0, 0, -ENOENT },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                berth_host *host = command_host();

                command_camera.password = cases[i].password;
                command_camera.interface.class_code = cases[i].class_code;
                command_camera.interface.bulk_out = cases[i].bulk_out;
                command_camera.interface.bulk_in = cases[i].bulk_in;
                assert_int_equal(berth_plugin_entry.open(host, plain, &camera), cases[i].result);
                assert_string_not_equal(command_camera.message, "");
                assert_int_equal(command_camera.transfers, 0);
                command_done();
        }
}

static void test_stale_answer_is_not_taken_for_one_to_the_log_in(void **state) {
        berth_host *host = command_host();

        (void) state;
        bulk_in("@Ver;OK;#", 9);
        bulk_in("@Gdv;2;X9;#", 11);
        bulk_in_error(-EPIPE);
        bulk_in_error(-ETIMEDOUT);
        line("@Ver;6;S3cret;#", "@Ver;NO;#");
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), BERTH_DENIED);
        command_done();
}

static void test_camera_that_never_stops_sending_is_given_up(void **state) {
        berth_host *host = command_host();

        (void) state;
        for (unsigned i = 0; i < 16; i++)
                bulk_in("noise", 5);
        assert_int_equal(berth_plugin_entry.open(host, plain, &camera), -EBADMSG);
        command_done();
}

static void test_broken_transfers_end_the_log_in(void **state) {
        static const struct {
                int out, in, result;
        } cases[] = {
                { -ETIMEDOUT, 0, -ETIMEDOUT }, { -EPIPE, 0, -EPROTO },    { -ENODEV, 0, -ENODEV }, { 0, -ETIMEDOUT, -ETIMEDOUT },
                { 0, -EPIPE, -EPROTO },        { 0, -EIO, -EIO },         { 0, -EOVERFLOW, -EOVERFLOW },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                berth_host *host = command_host();

                bulk_in_error(-ETIMEDOUT);
                if (cases[i].out < 0)
                        bulk_out_error(cases[i].out);
                else {
                        bulk_out("@Ver;6;S3cret;#", 15);
                        bulk_in_error(cases[i].in);
                }
                assert_int_equal(berth_plugin_entry.open(host, plain, &camera), cases[i].result);
                assert_string_not_equal(command_camera.message, "");
                command_done();
        }
}

static void test_device_id_is_the_third_field_whole_or_nothing(void **state) {
        static const struct {
                const char *answer, *serial; /* NULL: -EBADMSG */
        } cases[] = {
                { "@Gdv;8;BC000042;#", "BC000042" },
                { "@Gdv;8;BC000042#", "BC000042" },
                { "@Gdv;;X;Y;#", "X" },
                { "@Gdv;8;;#", "" },
                { "@Gdv;8;BC000042;#\r\n", "BC000042" },
                { "@Gdv;8;BC0000", NULL }, /* cut short: another camera's name */
                { "@Gdv;8;", NULL },
                { "@Gdv;BC000042#", NULL },
                { "@Gdv", NULL },
                { "@Gd", NULL },
                { "", NULL },
                { "@Ver;8;BC000042;#", NULL },
                { "@Gdv;8;BC\xFF\x30;#", NULL },
                { "@Gdv;8;ERROR;#", NULL },
                { "@Gdv;8;S3cret;#", NULL },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                berth_identity who = { .serial = "untouched" };

                open_with(plain);
                line("@Gdv;8;12345678;#", cases[i].answer);
                assert_int_equal(berth_plugin_entry.identify(camera, &who), cases[i].serial ? 0 : -EBADMSG);
                assert_string_equal(who.serial, cases[i].serial ? cases[i].serial : "untouched");
                if (cases[i].serial) {
                        assert_string_equal(who.manufacturer, "Acme");
                        assert_string_equal(who.model, "BC-1");
                        assert_string_equal(who.storage_id, "");
                }
                close_camera();
        }
}

static void test_clock_is_set_in_two_lines_in_the_cameras_zone(void **state) {
        static const char *const zones[][3] = {
                { "dialect=a", "utc-offset-minutes=90", NULL },
                { "dialect=a", "utc-offset-minutes=local", NULL },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
                open_with(zones[i]);
                command_camera.zone_minutes = 90;
                line("@Sdt;8;20261126;#", "@Sdt;OK;#");
                line("@Stm;6;01021500;#", "@Stm;OK;#");
                assert_int_equal(berth_plugin_entry.set_clock(camera, 1795649535), 0); /* 2026-11-25 23:32:15 UTC */
                close_camera();
        }
}

static void test_clock_that_is_not_confirmed_is_not_set(void **state) {
        static const struct {
                const char *date, *time;
                int result;
        } cases[] = {
                { "@ERR;#", NULL, -EBADMSG },
                { "@Sdt;ERROR;#", NULL, BERTH_DENIED },
                { "@Stm;OK;#", NULL, -EBADMSG },
                { "@Sdt;OK;#", "@Stm;ERR;#", BERTH_DENIED },
                { "@Sdt;OK;#", "@Sdt;OK;#", -EBADMSG },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                open_with(plain);
                line("@Sdt;8;20261125;#", cases[i].date);
                if (cases[i].time)
                        line("@Stm;6;23321500;#", cases[i].time);
                assert_int_equal(berth_plugin_entry.set_clock(camera, 1795649535), cases[i].result);
                close_camera();
        }
}

static void test_storage_mode_is_taken_unless_the_camera_says_no(void **state) {
        static const struct {
                const char *answer; /* NULL: none */
                int error, result;
        } cases[] = {
                { "@ATH;OK;#", 0, 0 },
                { NULL, -ETIMEDOUT, 0 },
                { NULL, -ENODEV, 0 },
                { NULL, -EIO, 0 },
                { "@ATH;ERR;#", 0, BERTH_DENIED },
                { "@ERR;#", 0, BERTH_DENIED },
                { "\x80\x81", 0, -EBADMSG },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                open_with(plain);
                bulk_out("@ATH;8;12345678;#", 17);
                if (cases[i].answer)
                        bulk_in(cases[i].answer, strlen(cases[i].answer));
                else
                        bulk_in_error(cases[i].error);
                assert_int_equal(berth_plugin_entry.enter_storage(camera), cases[i].result);
                close_camera();
        }
        open_with(plain);
        bulk_out_error(-ENODEV);
        assert_int_equal(berth_plugin_entry.enter_storage(camera), -ENODEV);
        close_camera();
}

static void test_camera_in_command_mode_never_passes_for_an_empty_one(void **state) {
        berth_health health = { .known = ~0u };
        berth_owner owner = { .struct_size = sizeof(owner) };
        berth_clip clip = { .struct_size = sizeof(clip), .path = "x" };

        (void) state;
        open_with(plain);
        assert_int_equal(berth_plugin_entry.list(camera), -EOPNOTSUPP);
        assert_non_null(strstr(command_camera.message, "storage mode"));
        assert_int_equal(berth_plugin_entry.read(camera, &clip, 0, 1), -EOPNOTSUPP);
        assert_null(berth_plugin_entry.erase);
        /* And what this dialect has no word for is not made up. */
        assert_int_equal(berth_plugin_entry.health(camera, &health), 0);
        assert_int_equal(health.known, 0);
        assert_int_equal(berth_plugin_entry.get_owner(camera, &owner), -EOPNOTSUPP);
        assert_int_equal(berth_plugin_entry.set_owner(camera, &owner), -EOPNOTSUPP);
        close_camera();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_log_in_is_accepted_only_by_its_answer),
                cmocka_unit_test(test_refused_log_in_says_what_to_do_and_is_not_repeated),
                cmocka_unit_test(test_longer_answers_are_an_option_of_the_model),
                cmocka_unit_test(test_nothing_is_sent_without_a_password_or_the_right_interface),
                cmocka_unit_test(test_stale_answer_is_not_taken_for_one_to_the_log_in),
                cmocka_unit_test(test_camera_that_never_stops_sending_is_given_up),
                cmocka_unit_test(test_broken_transfers_end_the_log_in),
                cmocka_unit_test(test_device_id_is_the_third_field_whole_or_nothing),
                cmocka_unit_test(test_clock_is_set_in_two_lines_in_the_cameras_zone),
                cmocka_unit_test(test_clock_that_is_not_confirmed_is_not_set),
                cmocka_unit_test(test_storage_mode_is_taken_unless_the_camera_says_no),
                cmocka_unit_test(test_camera_in_command_mode_never_passes_for_an_empty_one),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
