/* SPDX-License-Identifier: Apache-2.0 */

/* PTP transactions with data from the camera: datasets, and the content of objects. */

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

/* ---- Datasets from the camera ---- */

static uint8_t *receive(PtpLink *link, int expect, size_t *ret_size) {
        uint8_t *data = NULL;

        *ret_size = 0;
        assert_int_equal(ptp_receive(link, PTP_REQUEST(0x1008, 1), 4096, &data, ret_size), expect);
        return data;
}

static void assert_pattern(const uint8_t *data, size_t size, uint64_t from) {
        for (size_t i = 0; i < size; i++)
                assert_int_equal(data[i], fake_pattern(from + i));
}

static void pattern(uint8_t *data, size_t size) {
        for (size_t i = 0; i < size; i++)
                data[i] = fake_pattern(i);
}

/* All sizes around the packet, with the empty packet that closes a full one and without it. */
static void test_datasets_of_all_sizes_with_and_without_closing_empty_packet(void **state) {
        static const size_t sizes[] = { 0,   1,    4,    499,  500,  501,  511,  512, 513,
                                        988, 1011, 1012, 1013, 1024, 2036, 2548, 4095, 4096 };
        uint8_t data[4096];

        (void) state;
        pattern(data, sizeof(data));
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
                for (int closed = 0; closed < 2; closed++) {
                        PtpLink link = link_new();
                        uint8_t *got;
                        size_t size;

                        if (closed && (12 + sizes[i]) % FAKE_PACKET != 0)
                                continue;
                        fake_command(0x1008, 7, 1, 1);
                        fake_data(0x1008, 7, data, sizes[i]);
                        if (closed)
                                fake_in_empty();
                        fake_response(OK, 7);
                        got = receive(&link, 0, &size);
                        assert_int_equal(size, sizes[i]);
                        assert_pattern(got, size, 0);
                        free(got);
                        assert_in_step(&link, 8);
                }
}

static void test_header_in_a_packet_of_its_own_is_understood(void **state) {
        uint8_t data[1024], *got;
        PtpLink link = link_new();
        size_t size;

        (void) state;
        pattern(data, sizeof(data));
        fake_command(0x1008, 7, 1, 1);
        fake_container(12 + 1024, 2, 0x1008, 7, NULL, 0);
        fake_in(data, 1024);
        fake_in_empty();
        fake_response(OK, 7);
        got = receive(&link, 0, &size);
        assert_int_equal(size, 1024);
        assert_pattern(got, size, 0);
        free(got);
        assert_in_step(&link, 8);
}

static void test_dataset_of_unknown_length_ends_with_a_short_packet(void **state) {
        uint8_t data[1000], *got;
        PtpLink link = link_new();
        size_t size;

        (void) state;
        pattern(data, sizeof(data));
        fake_command(0x1008, 7, 1, 1);
        fake_container(UINT32_MAX, 2, 0x1008, 7, data, 1000);
        fake_response(OK, 7);
        got = receive(&link, 0, &size);
        assert_int_equal(size, 1000);
        free(got);
        assert_in_step(&link, 8);
}

static void test_dataset_that_is_too_long_or_short_is_given_up(void **state) {
        static const struct {
                uint32_t claimed;
                size_t size;
                int error;
        } cases[] = {
                { 12 + 100, 99, -EBADMSG },      { 12 + 100, 101, -EBADMSG },   { 12 + 1000, 600, -EBADMSG },
                { 12 + 1000, 1001, -EBADMSG },   { 12 + 100, 2000, -EBADMSG },  { 12 + 4097, 4097, -EMSGSIZE },
                { 0x7FFFFFFF, 100, -EMSGSIZE },  { 0xFFFFFFFE, 100, -EMSGSIZE }, { UINT32_MAX, 4097, -EMSGSIZE },
                { 12 + 4096, 0, -ETIMEDOUT }, /* a header alone, and then nothing */
        };
        uint8_t data[4097] = { 0 };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PtpLink link = link_new();
                size_t size;

                fake_command(0x1008, 7, 1, 1);
                fake_container(cases[i].claimed, 2, 0x1008, 7, data, cases[i].size);
                assert_null(receive(&link, cases[i].error, &size));
                assert_int_equal(fake_camera.cancels, 1);
                assert_in_step(&link, 8);
        }
}

static void test_endless_dataset_of_unknown_length_is_bounded(void **state) {
        static const uint8_t data[FAKE_PACKET - 12];
        PtpLink link = link_new();
        size_t size;

        (void) state;
        fake_camera.cancel_drops = true;
        fake_command(0x1008, 7, 1, 1);
        fake_container(UINT32_MAX, 2, 0x1008, 7, data, sizeof(data));
        fake_in_endless();
        assert_null(receive(&link, -EMSGSIZE, &size));
        assert_in_step(&link, 8);
}

static void test_data_of_another_transaction_or_operation_is_given_up(void **state) {
        static const struct {
                uint16_t code;
                uint32_t id;
        } cases[] = { { 0x1008, 6 }, { 0x1008, 8 }, { 0x1009, 7 } };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PtpLink link = link_new();
                size_t size;

                fake_command(0x1008, 7, 1, 1);
                fake_data(cases[i].code, cases[i].id, "abcd", 4);
                fake_response(OK, 7);
                assert_null(receive(&link, -EBADMSG, &size));
                assert_in_step(&link, 8);
        }
}

static void test_refusal_instead_of_data_is_an_answer(void **state) {
        PtpLink link = link_new();
        size_t size;

        (void) state;
        fake_command(0x1008, 7, 1, 1);
        fake_response(0x2009, 7);
        assert_null(receive(&link, -ENOENT, &size));
        assert_int_equal(fake_camera.cancels, 0);
        assert_in_step(&link, 8);
}

static void test_refusal_after_data_loses_the_data(void **state) {
        PtpLink link = link_new();
        size_t size;

        (void) state;
        fake_command(0x1008, 7, 1, 1);
        fake_data(0x1008, 7, "abcd", 4);
        fake_response(0x2007, 7);
        assert_null(receive(&link, -EIO, &size));
        assert_in_step(&link, 8);
}

static void test_stalled_dataset_is_asked_for_once_more(void **state) {
        PtpLink link = link_new();
        uint8_t *data;
        size_t size;

        (void) state;
        fake_command(0x1008, 7, 1, 1);
        fake_in_error(-EPIPE);
        fake_command(0x1008, 8, 1, 1);
        fake_data(0x1008, 8, "abcd", 4);
        fake_response(OK, 8);
        data = receive(&link, 0, &size);
        assert_int_equal(size, 4);
        free(data);
        fake_command(0x1008, 9, 1, 1);
        fake_in_error(-EPIPE);
        fake_command(0x1008, 10, 1, 1);
        fake_in_error(-EPIPE);
        assert_null(receive(&link, -EPIPE, &size));
        assert_in_step(&link, 11);
}

/* ---- Content ---- */

/* The data phase of GetObject: `size` bytes of the pattern behind its header, as one stretch of packets. */
static void fake_object(uint32_t claimed, uint32_t id, size_t size) {
        uint8_t *data = malloc(size + 1);

        assert_non_null(data);
        pattern(data, size);
        fake_container(claimed, 2, 0x1009, id, data, size);
        free(data);
}

static int stream(PtpLink *link, PtpStream *s) {
        PtpResponse response;
        int r;

        r = ptp_call_stream(link, PTP_REQUEST(0x1009, 1), s, &response);
        return r < 0 ? r : ptp_response_error(&response);
}

static PtpStream whole(uint64_t size) {
        return (PtpStream){ .length = size, .exact = size, .most = size };
}

static void test_content_of_all_sizes_arrives_whole(void **state) {
        static const size_t sizes[] = { 0, 1, 499, 500, 501, 512, 1011, 1012, 1013, 1024, 1524, 65536, 300000, 524276, 524288 };

        (void) state;
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
                for (int closed = 0; closed < 2; closed++)
                        for (int split = 0; split < 2; split++) {
                                PtpLink link = link_new();
                                PtpStream s = whole(sizes[i]);
                                size_t last = (split ? 0 : 12) + sizes[i];

                                if (closed && (last % FAKE_PACKET != 0 || last == 0))
                                        continue;
                                fake_command(0x1009, 7, 1, 1);
                                if (split && sizes[i] > 0) {
                                        fake_container((uint32_t) (12 + sizes[i]), 2, 0x1009, 7, NULL, 0);
                                        fake_in(NULL, sizes[i]);
                                } else
                                        fake_object((uint32_t) (12 + sizes[i]), 7, sizes[i]);
                                if (closed)
                                        fake_in_empty();
                                fake_response(OK, 7);
                                assert_int_equal(stream(&link, &s), 0);
                                assert_true(s.began);
                                assert_int_equal(fake_delivered, sizes[i]);
                                assert_pattern(fake_bytes, sizes[i], 0);
                                assert_in_step(&link, 8);
                        }
}

static void test_content_over_4_gib_whatever_the_header_claims(void **state) {
        static const uint64_t size = (UINT64_C(5) << 30) + 777;
        const uint32_t claims[] = { UINT32_MAX, (uint32_t) (size + 12) };

        (void) state;
        for (size_t i = 0; i < 2; i++) {
                PtpLink link = link_new();
                PtpStream s = whole(size);

                fake_command(0x1009, 7, 1, 1);
                fake_container(claims[i], 2, 0x1009, 7, NULL, 0);
                fake_in(NULL, size);
                fake_response(OK, 7);
                assert_int_equal(stream(&link, &s), 0);
                assert_true(fake_delivered == size);
                assert_pattern(fake_bytes, 100000, 0);
                assert_in_step(&link, 8);
        }
}

static void test_content_of_unknown_size_ends_where_the_camera_ends(void **state) {
        static const size_t sizes[] = { 600, 1012, 100000, 262132 };

        (void) state;
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                PtpLink link = link_new();
                PtpStream s = whole(UINT64_MAX);

                fake_command(0x1009, 7, 1, 1);
                fake_object(UINT32_MAX, 7, sizes[i]);
                if ((12 + sizes[i]) % FAKE_PACKET == 0)
                        fake_in_empty();
                fake_response(OK, 7);
                assert_int_equal(stream(&link, &s), 0);
                assert_int_equal(fake_delivered, sizes[i]);
                assert_pattern(fake_bytes, sizes[i], 0);
                assert_in_step(&link, 8);
        }
}

static void test_size_lies_are_caught_before_anything_is_delivered(void **state) {
        static const struct {
                uint32_t claimed;
                size_t size, sent;
        } cases[] = {
                { 12 + 1001, 1000, 1001 }, { 12 + 999, 1000, 999 }, { 12, 1000, 0 }, { 12 + 1, 0, 1 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PtpLink link = link_new();
                PtpStream s = whole(cases[i].size);

                fake_command(0x1009, 7, 1, 1);
                fake_object(cases[i].claimed, 7, cases[i].sent);
                fake_response(OK, 7);
                assert_int_equal(stream(&link, &s), -EBADMSG);
                assert_int_equal(fake_delivered, 0);
                assert_in_step(&link, 8);
        }
}

static void test_content_that_breaks_its_own_promise_is_given_up(void **state) {
        static const struct {
                size_t size, sent;
        } cases[] = { { 1000, 999 }, { 1000, 1001 }, { 1000, 100 }, { 100000, 99999 }, { 100000, 1012 }, { 100, 101 } };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PtpLink link = link_new();
                PtpStream s = whole(cases[i].size);

                fake_command(0x1009, 7, 1, 1);
                fake_object((uint32_t) (12 + cases[i].size), 7, cases[i].sent);
                fake_response(OK, 7);
                assert_true(stream(&link, &s) < 0);
                assert_true(fake_delivered <= cases[i].size);
                assert_in_step(&link, 8);
        }
}

static void test_more_than_the_most_is_caught_in_unknown_length_too(void **state) {
        PtpLink link = link_new();
        PtpStream s = { .length = 2000, .exact = UINT64_MAX, .most = 2001 };

        (void) state;
        fake_command(0x1009, 7, 1, 1);
        fake_object(UINT32_MAX, 7, 3000);
        fake_response(OK, 7);
        assert_int_equal(stream(&link, &s), -EMSGSIZE);
        assert_in_step(&link, 8);
}

static void test_a_window_is_cut_out_of_the_object(void **state) {
        static const struct {
                uint64_t skip, length;
        } cases[] = { { 0, 10 },        { 10, 10 },       { 500, 512 },      { 499, 2 },         { 1000, 99000 },
                      { 1012, 1024 },   { 99999, 1 },     { 0, 99999 },      { 300000, 100000 }, { 262144, 262144 },
                      { 262143, 12345 } };
        const size_t size = 600000;

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PtpLink link = link_new();
                PtpStream s = { .skip = cases[i].skip, .length = cases[i].length, .exact = size, .most = size };

                fake_command(0x1009, 7, 1, 1);
                fake_object((uint32_t) (12 + size), 7, size);
                fake_response(OK, 7);
                assert_int_equal(stream(&link, &s), 0);
                assert_true(fake_delivered == cases[i].length);
                assert_pattern(fake_bytes, (size_t) cases[i].length, cases[i].skip);
                assert_int_equal(fake_camera.cancels, 0);
                assert_in_step(&link, 8);
        }
}

static void test_what_lies_far_behind_the_window_is_cancelled(void **state) {
        PtpLink link = link_new();
        PtpStream s = { .skip = 5, .length = 100, .exact = UINT64_C(1) << 33, .most = UINT64_C(1) << 33 };

        (void) state;
        fake_camera.cancel_drops = true;
        fake_command(0x1009, 7, 1, 1);
        fake_container(UINT32_MAX, 2, 0x1009, 7, NULL, 0);
        fake_in(NULL, UINT64_C(1) << 33);
        fake_response(OK, 7);
        assert_int_equal(stream(&link, &s), 0);
        assert_int_equal(fake_delivered, 100);
        assert_pattern(fake_bytes, 100, 5);
        assert_int_equal(fake_camera.cancels, 1);
        assert_int_equal(fake_camera.cancelled, 7);
        assert_in_step(&link, 8);
}

static void test_without_cancel_the_rest_is_read_away(void **state) {
        PtpLink link = link_new();
        PtpStream s = { .length = 100, .exact = 3 << 20, .most = 3 << 20 };

        (void) state;
        link.no_cancel = true;
        fake_command(0x1009, 7, 1, 1);
        fake_object(12 + (3 << 20), 7, 3 << 20);
        fake_response(OK, 7);
        assert_int_equal(stream(&link, &s), 0);
        assert_int_equal(fake_delivered, 100);
        assert_int_equal(fake_camera.cancels, 0);
        assert_in_step(&link, 8);
}

static void test_a_full_disk_ends_the_read_with_its_own_error(void **state) {
        PtpLink link = link_new();
        PtpStream s = whole(100000);

        (void) state;
        fake_camera.deliver = -ENOSPC;
        fake_camera.cancel_drops = true;
        fake_command(0x1009, 7, 1, 1);
        fake_object(12 + 100000, 7, 100000);
        fake_response(OK, 7);
        assert_int_equal(stream(&link, &s), -ENOSPC);
        assert_int_equal(fake_camera.cancels, 1);
        assert_in_step(&link, 8);
}

static void test_failure_after_content_is_a_failure(void **state) {
        PtpLink link = link_new();
        PtpStream s = whole(1000);

        (void) state;
        fake_command(0x1009, 7, 1, 1);
        fake_object(12 + 1000, 7, 1000);
        fake_response(0x2007, 7);
        assert_int_equal(stream(&link, &s), -EIO);
        assert_in_step(&link, 8);
}

static void test_stall_or_silence_in_content_is_a_failure(void **state) {
        static const int errors[] = { -EPIPE, -EIO, -EOVERFLOW };

        (void) state;
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
                PtpLink link = link_new();
                PtpStream s = whole(100000);

                fake_command(0x1009, 7, 1, 1);
                fake_object(12 + 100000, 7, 50 * FAKE_PACKET - 12);
                fake_in_error(errors[i]);
                assert_int_equal(stream(&link, &s), errors[i]);
                assert_in_step(&link, 8);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_datasets_of_all_sizes_with_and_without_closing_empty_packet),
                cmocka_unit_test(test_header_in_a_packet_of_its_own_is_understood),
                cmocka_unit_test(test_dataset_of_unknown_length_ends_with_a_short_packet),
                cmocka_unit_test(test_dataset_that_is_too_long_or_short_is_given_up),
                cmocka_unit_test(test_endless_dataset_of_unknown_length_is_bounded),
                cmocka_unit_test(test_data_of_another_transaction_or_operation_is_given_up),
                cmocka_unit_test(test_refusal_instead_of_data_is_an_answer),
                cmocka_unit_test(test_refusal_after_data_loses_the_data),
                cmocka_unit_test(test_stalled_dataset_is_asked_for_once_more),
                cmocka_unit_test(test_content_of_all_sizes_arrives_whole),
                cmocka_unit_test(test_content_over_4_gib_whatever_the_header_claims),
                cmocka_unit_test(test_content_of_unknown_size_ends_where_the_camera_ends),
                cmocka_unit_test(test_size_lies_are_caught_before_anything_is_delivered),
                cmocka_unit_test(test_content_that_breaks_its_own_promise_is_given_up),
                cmocka_unit_test(test_more_than_the_most_is_caught_in_unknown_length_too),
                cmocka_unit_test(test_a_window_is_cut_out_of_the_object),
                cmocka_unit_test(test_what_lies_far_behind_the_window_is_cancelled),
                cmocka_unit_test(test_without_cancel_the_rest_is_read_away),
                cmocka_unit_test(test_a_full_disk_ends_the_read_with_its_own_error),
                cmocka_unit_test(test_failure_after_content_is_a_failure),
                cmocka_unit_test(test_stall_or_silence_in_content_is_a_failure),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
