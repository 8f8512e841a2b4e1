/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../plugins/mtp/ptp_transaction.h"
#include "../plugins/mtp/ptp_wire.h"
#include "unit/ptp_link_rig.h"

/* ---- Long data to the camera ---- */

static uint64_t source_short_at;

static ssize_t read_pattern(void *userdata, uint64_t offset, void *data, size_t length) {
        assert_ptr_equal(userdata, &source_short_at);
        if (source_short_at > 0 && offset + length > source_short_at)
                return (ssize_t) (source_short_at - offset);
        for (size_t i = 0; i < length; i++)
                ((uint8_t *) data)[i] = fake_pattern(offset + i);
        return (ssize_t) length;
}

/* The header shares a transfer with the first bytes; all but the last are of whole packets, and an empty one closes full ones. */
static void test_long_data_phase_goes_out_in_pieces_of_whole_packets(void **state) {
        static const size_t sizes[] = { 0, 1, FAKE_PACKET - 12, 65536 - 12, 65536 - 11, 2 * 65536 - 12, 200000 };
        static uint8_t bytes[12 + 200000];

        (void) state;
        source_short_at = 0;
        for (size_t i = 0; i < 200000; i++)
                bytes[12 + i] = fake_pattern(i);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                const PtpSource source = { .size = sizes[i], .read = read_pattern, .userdata = &source_short_at };
                size_t total = sizes[i] + 12;
                PtpLink link = link_new();
                PtpResponse response;

                ptp_header_put(bytes, &(const PtpHeader){ .length = (uint32_t) total, .type = 2, .code = 0x100D, .transaction = 7 });
                fake_command(0x100D, 7, 0);
                for (size_t at = 0; at < total; at += 65536)
                        fake_out(bytes + at, total - at < 65536 ? total - at : 65536);
                if (total % FAKE_PACKET == 0)
                        fake_out(NULL, 0);
                fake_response(OK, 7);
                assert_int_equal(ptp_call_source(&link, PTP_REQUEST(0x100D), &source, &response), 0);
                assert_int_equal(response.code, OK);
                assert_in_step(&link, 8);
        }
}

static void test_data_phase_whose_bytes_end_is_given_up(void **state) {
        const PtpSource source = { .size = 100, .read = read_pattern, .userdata = &source_short_at };
        PtpLink link = link_new();
        PtpResponse response;

        (void) state;
        source_short_at = 50;
        fake_command(0x100D, 7, 0);
        assert_int_equal(ptp_call_source(&link, PTP_REQUEST(0x100D), &source, &response), -ENODATA);
        assert_in_step(&link, 8);
}

/* A busy camera has forgotten what was announced: only who announced it can begin again. */
static void test_data_phase_is_not_sent_twice(void **state) {
        const PtpSource source = { .size = 1, .read = read_pattern, .userdata = &source_short_at };
        PtpLink link = link_new();
        uint8_t bytes[13];
        PtpResponse response;

        (void) state;
        source_short_at = 0;
        ptp_header_put(bytes, &(const PtpHeader){ .length = 13, .type = 2, .code = 0x100D, .transaction = 7 });
        bytes[12] = fake_pattern(0);
        fake_command(0x100D, 7, 0);
        fake_out(bytes, 13);
        fake_response(BUSY, 7);
        assert_int_equal(ptp_call_source(&link, PTP_REQUEST(0x100D), &source, &response), 0);
        assert_int_equal(response.code, BUSY);
        assert_in_step(&link, 8);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_long_data_phase_goes_out_in_pieces_of_whole_packets),
                cmocka_unit_test(test_data_phase_whose_bytes_end_is_given_up),
                cmocka_unit_test(test_data_phase_is_not_sent_twice),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
