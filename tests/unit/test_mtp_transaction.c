/* SPDX-License-Identifier: Apache-2.0 */

/* PTP transactions without data from the camera, and the session they are in. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../plugins/mtp/ptp_session.h"
#include "../plugins/mtp/ptp_transaction.h"
#include "unit/ptp_link_rig.h"

/* ---- Without data ---- */

static void test_command_carries_parameters_and_response_comes_back(void **state) {
        PtpLink link = link_new();
        PtpResponse response;

        (void) state;
        fake_command(0x1014, 7, 3, 0x5001, 2, 3);
        fake_response1(OK, 7, 0xABCD);
        assert_int_equal(ptp_call(&link, PTP_REQUEST(0x1014, 0x5001, 2, 3), &response), 0);
        assert_int_equal(response.code, OK);
        assert_int_equal(response.n, 1);
        assert_int_equal(response.params[0], 0xABCD);
        assert_in_step(&link, 8);
}

static void test_transaction_ids_never_become_zero_or_all_ones(void **state) {
        PtpLink link = link_new();

        (void) state;
        link.transaction = UINT32_C(0xFFFFFFFE);
        fake_command(0x1003, UINT32_C(0xFFFFFFFE), 0);
        fake_response(OK, UINT32_C(0xFFFFFFFE));
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x1003)), 0);
        assert_in_step(&link, 1);
}

static void test_answers_of_the_camera_have_their_meanings(void **state) {
        static const struct {
                uint16_t code;
                int error;
        } cases[] = {
                { 0x2002, -EIO },        { 0x2005, -EOPNOTSUPP }, { 0x2009, -ENOENT }, { 0x200D, -EACCES },
                { 0x200E, -EROFS },      { 0x2013, -ENOMEDIUM },  { 0x201D, -EPROTO }, { 0xA808, -EIO },
                { 0x200A, -EOPNOTSUPP }, { 0, -EIO },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PtpLink link = link_new();

                fake_command(0x100B, 7, 1, 5);
                fake_response(cases[i].code, 7);
                assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B, 5)), cases[i].error);
                assert_int_equal(fake_camera.cancels, 0);
                assert_in_step(&link, 8);
        }
}

typedef struct BadResponse {
        uint32_t claimed;
        uint16_t type;
        uint32_t id;
        size_t size;
} BadResponse;

static void test_response_that_breaks_the_protocol_is_given_up_and_recovered(void **state) {
        static const BadResponse cases[] = {
                { 12, 3, 6, 0 },  /* the transaction before */
                { 12, 3, 8, 0 },  /* one that was never begun */
                { 12, 1, 7, 0 },  /* a command */
                { 12, 4, 7, 0 },  /* an event, on the wrong pipe */
                { 12, 2, 7, 0 },  /* data that nobody asked for */
                { 11, 3, 7, 0 },  /* shorter than a header */
                { 0, 3, 7, 0 },
                { 16, 3, 7, 0 },  /* longer than what came */
                { 12, 3, 7, 4 },  /* shorter than what came */
                { 14, 3, 7, 2 },  /* half a parameter */
                { 36, 3, 7, 24 }, /* six parameters */
                { UINT32_MAX, 3, 7, 0 },
        };
        static const uint8_t params[24];

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PtpLink link = link_new();

                fake_command(0x100B, 7, 1, 5);
                fake_container(cases[i].claimed, cases[i].type, OK, cases[i].id, params, cases[i].size);
                assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B, 5)), -EBADMSG);
                assert_int_equal(fake_camera.cancels, 1);
                assert_int_equal(fake_camera.cancelled, 7);
                assert_in_step(&link, 8);
        }
}

static void test_packet_shorter_than_a_header_is_given_up(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x100B, 7, 0);
        fake_in("\x0C\0\0\0", 4);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -EBADMSG);
        assert_in_step(&link, 8);
}

static void test_silent_camera_times_out_and_is_recovered(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x100B, 7, 0);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -ETIMEDOUT);
        assert_int_equal(fake_camera.cancels, 1);
        assert_in_step(&link, 8);
}

static void test_late_response_of_the_aborted_transaction_is_passed_over(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x100B, 7, 0);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -ETIMEDOUT);
        fake_command(0x1003, 8, 0);
        fake_response(0x201F, 7);
        fake_response(OK, 8);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x1003)), 0);
        /* But only right after: later it is a wrong id like any other. */
        fake_command(0x1003, 9, 0);
        fake_response(0x201F, 7);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x1003)), -EBADMSG);
        assert_in_step(&link, 10);
}

static void test_stalls_are_cleared(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x100B, 7, 0);
        fake_in_error(-EPIPE);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -EPIPE);
        assert_in_step(&link, 8);
        fake_out_error(-EPIPE);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -EPIPE);
        assert_true(fake_camera.halts_cleared >= 2);
        assert_in_step(&link, 10);
}

static void test_stall_while_draining_is_cleared_too(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x100B, 7, 0);
        fake_in("junk", 4);
        fake_in_error(-EPIPE);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -EBADMSG);
        assert_int_equal(fake_camera.halts_cleared, 2);
        assert_in_step(&link, 8);
}

static void test_unplugged_camera_is_not_spoken_to_again(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x100B, 7, 0);
        fake_in_error(-ENODEV);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -ENODEV);
        assert_int_equal(fake_camera.cancels, 0);
        assert_true(link.dead);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -EIO);
        fake_done();
}

static void test_camera_that_never_stops_sending_is_given_up_for_good(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x100B, 7, 0);
        fake_in_endless();
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -EBADMSG);
        assert_true(link.dead);
        assert_true(fake_camera.now_usec < 60 * 1000000u);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -EIO);
}

static void test_recovery_waits_until_the_camera_is_idle(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_camera.busy = 2;
        fake_command(0x100B, 7, 0);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -ETIMEDOUT);
        assert_int_equal(fake_camera.statuses, 3);
        assert_in_step(&link, 8);
}

static void test_camera_without_status_request_is_recovered_by_its_silence(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_camera.no_status = true;
        fake_command(0x100B, 7, 0);
        fake_in("junk", 4);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), -EBADMSG);
        assert_in_step(&link, 8);
}

static void test_busy_camera_is_asked_again_until_the_deadline(void **state) {
        PtpLink link = link_new();
        PtpResponse response;

        (void) state;
        fake_command(0x100B, 7, 0);
        fake_response(BUSY, 7);
        fake_command(0x100B, 8, 0);
        fake_response(OK, 8);
        assert_int_equal(ptp_do(&link, PTP_REQUEST(0x100B)), 0);
        link.busy_msec = 0;
        fake_command(0x100B, 9, 0);
        fake_response(BUSY, 9);
        assert_int_equal(ptp_call(&link, PTP_REQUEST(0x100B), &response), 0);
        assert_int_equal(response.code, BUSY);
        assert_int_equal(ptp_response_error(&response), -EBUSY);
        assert_in_step(&link, 10);
}

/* ---- Data to the camera ---- */

static void test_data_phase_out_ends_with_an_empty_packet_when_full(void **state) {
        static const uint8_t data[FAKE_PACKET];
        PtpLink link = link_new();

        (void) state;
        fake_command(0x1016, 7, 1, 0x5011);
        fake_data_out(0x1016, 7, data, 10);
        fake_response(OK, 7);
        assert_int_equal(ptp_send(&link, PTP_REQUEST(0x1016, 0x5011), data, 10), 0);
        fake_command(0x1016, 8, 1, 0x5011);
        fake_data_out(0x1016, 8, data, FAKE_PACKET - 12);
        fake_out(NULL, 0);
        fake_response(OK, 8);
        assert_int_equal(ptp_send(&link, PTP_REQUEST(0x1016, 0x5011), data, FAKE_PACKET - 12), 0);
        assert_in_step(&link, 9);
}

/* ---- The session ---- */

static void test_session_opens_on_an_idle_camera_without_resets(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x1002, 0, 1, 1);
        fake_response(OK, 0);
        assert_int_equal(ptp_session_open(&link, 0), 0);
        assert_int_equal(fake_camera.cancels + fake_camera.class_resets + fake_camera.device_resets, 0);
        assert_int_equal(link.timeout_msec, 1000);
        assert_in_step(&link, 1);
}

static void test_session_of_somebody_else_is_closed_first(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x1002, 0, 1, 1);
        fake_response1(0x201E, 0, 77);
        fake_command(0x1003, 1, 0);
        fake_response(OK, 1);
        fake_command(0x1002, 0, 1, 1);
        fake_response(OK, 0);
        assert_int_equal(ptp_session_open(&link, 0), 0);
        assert_in_step(&link, 1);
}

static void test_data_that_a_dead_worker_asked_for_is_cancelled_and_drained(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_in(NULL, 40000000);
        fake_response(OK, 55);
        fake_command(0x1002, 0, 1, 1);
        fake_response(OK, 0);
        assert_int_equal(ptp_session_open(&link, 0), 0);
        assert_int_equal(fake_camera.cancels, 1);
        assert_int_equal(fake_camera.class_resets, 0);
        assert_in_step(&link, 1);
}

static void test_late_responses_to_a_dead_worker_are_passed_over(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x1002, 0, 1, 1);
        fake_response(OK, 55);
        fake_response(OK, 0);
        assert_int_equal(ptp_session_open(&link, 0), 0);
        assert_in_step(&link, 1);
}

static void test_resets_grow_stronger_until_the_session_opens(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_camera.no_reset = true; /* the class request */
        fake_command(0x1002, 0, 1, 1);
        fake_command(0x1002, 0, 1, 1);
        fake_command(0x1002, 0, 1, 1);
        fake_response(OK, 0);
        assert_int_equal(ptp_session_open(&link, 0), 0);
        assert_int_equal(fake_camera.class_resets, 1);
        assert_int_equal(fake_camera.device_resets, 1);
        assert_int_equal(fake_camera.claims, 1);
        assert_in_step(&link, 1);
}

static void test_camera_that_never_answers_is_given_up_in_time(void **state) {
        PtpLink link = link_new();

        (void) state;
        link.timeout_msec = 600000;
        fake_command(0x1002, 0, 1, 1);
        fake_command(0x1002, 0, 1, 1);
        fake_command(0x1002, 0, 1, 1);
        assert_int_equal(ptp_session_open(&link, 0), -ETIMEDOUT);
        assert_true(fake_camera.now_usec < 60 * 1000000u);
        fake_done();
}

static void test_camera_that_sends_forever_is_given_up_in_time(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_in_endless();
        assert_true(ptp_session_open(&link, 0) < 0);
        assert_int_equal(fake_camera.device_resets, 1);
        assert_true(fake_camera.now_usec < 60 * 1000000u);
}

static void test_camera_unplugged_while_opening_is_not_reset(void **state) {
        PtpLink link = link_new();

        (void) state;
        fake_command(0x1002, 0, 1, 1);
        fake_in_error(-ENODEV);
        assert_int_equal(ptp_session_open(&link, 0), -ENODEV);
        assert_int_equal(fake_camera.class_resets + fake_camera.device_resets, 0);
        fake_done();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_command_carries_parameters_and_response_comes_back),
                cmocka_unit_test(test_transaction_ids_never_become_zero_or_all_ones),
                cmocka_unit_test(test_answers_of_the_camera_have_their_meanings),
                cmocka_unit_test(test_response_that_breaks_the_protocol_is_given_up_and_recovered),
                cmocka_unit_test(test_packet_shorter_than_a_header_is_given_up),
                cmocka_unit_test(test_silent_camera_times_out_and_is_recovered),
                cmocka_unit_test(test_late_response_of_the_aborted_transaction_is_passed_over),
                cmocka_unit_test(test_stalls_are_cleared),
                cmocka_unit_test(test_stall_while_draining_is_cleared_too),
                cmocka_unit_test(test_unplugged_camera_is_not_spoken_to_again),
                cmocka_unit_test(test_camera_that_never_stops_sending_is_given_up_for_good),
                cmocka_unit_test(test_recovery_waits_until_the_camera_is_idle),
                cmocka_unit_test(test_camera_without_status_request_is_recovered_by_its_silence),
                cmocka_unit_test(test_busy_camera_is_asked_again_until_the_deadline),
                cmocka_unit_test(test_data_phase_out_ends_with_an_empty_packet_when_full),
                cmocka_unit_test(test_session_opens_on_an_idle_camera_without_resets),
                cmocka_unit_test(test_session_of_somebody_else_is_closed_first),
                cmocka_unit_test(test_data_that_a_dead_worker_asked_for_is_cancelled_and_drained),
                cmocka_unit_test(test_late_responses_to_a_dead_worker_are_passed_over),
                cmocka_unit_test(test_resets_grow_stronger_until_the_session_opens),
                cmocka_unit_test(test_camera_that_never_answers_is_given_up_in_time),
                cmocka_unit_test(test_camera_that_sends_forever_is_given_up_in_time),
                cmocka_unit_test(test_camera_unplugged_while_opening_is_not_reset),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
