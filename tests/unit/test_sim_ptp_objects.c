/* SPDX-License-Identifier: Apache-2.0 */

/* The simulated PTP camera when objects are deleted and sent, and its properties. */

#include "ptp_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

/* ---- deleting --------------------------------------------------------------------------------------------- */

static void test_deleted_clip_is_gone_and_only_that_one(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(TREE);
        uint32_t a = clip(host, 0), b = clip(host, 1);

        (void) state;
        assert_int_equal(host_call(host, 0x100b, a, 0), PTP_OK);
        assert_int_equal(host_call(host, 0x1008, a), PTP_INVALID_OBJECT_HANDLE);
        assert_int_equal(host_call(host, 0x100b, a, 0), PTP_INVALID_OBJECT_HANDLE);
        assert_int_equal(host_call(host, 0x1008, b), PTP_OK);
        assert_int_equal(count_of(host, ALL, 0, 0), 7);
        assert_int_equal(host_state(host, "deletes"), 1);
        host_power_cycle(host);
        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
        assert_int_equal(count_of(host, ALL, 0, 0), 7);
}

static void test_folder_goes_with_what_is_in_it(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(TREE);
        uint32_t dcim = handle_of(host, STORAGE_1, 0x3001, ALL, 0, NULL);

        (void) state;
        assert_int_equal(host_call(host, 0x100b, dcim, 0), PTP_OK);
        assert_int_equal(count_of(host, STORAGE_1, 0, 0), 1);
}

static void test_protected_clip_and_its_folder_stay(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(
                "{'clips': [{'path': 'd/e/keep', 'size': 1, 'protected': true}, {'path': 'd/e/go', 'size': 1},"
                "{'path': 'd/x', 'size': 1}]}");
        uint32_t folder = handle_of(host, ALL, 0x3001, ALL, 0, NULL);
        PtpText name;

        (void) state;
        assert_int_equal(host_call(host, 0x100b, clip(host, 0), 0), PTP_OBJECT_WRITE_PROTECTED);
        assert_int_equal(host_call(host, 0x100b, folder, 0), PTP_PARTIAL_DELETION);
        assert_int_equal(count_of(host, ALL, 0, 0), 3);
        name = name_of(host, clip(host, 0));
        assert_int_equal(name.length, 4);
}

static void test_read_only_storage_loses_nothing(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(TREE);
        uint32_t handle = handle_of(host, STORAGE_2, 0, 0, 0, NULL);
        Reply reply;

        (void) state;
        assert_int_equal(host_get(host, &reply, 0x1005, STORAGE_2), PTP_OK);
        assert_int_equal(le16(reply.data + 4), 1);
        reply_done(&reply);
        assert_int_equal(host_call(host, 0x100b, handle, 0), PTP_STORE_READ_ONLY);
        assert_int_equal(host_call(host, 0x100f, STORAGE_2, 0), PTP_STORE_READ_ONLY);
        assert_int_equal(host_call(host, 0x100b, ALL, 0), PTP_PARTIAL_DELETION);
        assert_int_equal(count_of(host, ALL, 0, 0), 1);
}

static void test_format_empties_one_storage(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(
                "{'storages': [{'clips': [{'path': 'd/a', 'size': 1, 'protected': true}]}, {'clips': [{'path': 'b', 'size': 1}]}]}");

        (void) state;
        assert_int_equal(host_call(host, 0x100f, STORAGE_1, 0), PTP_OK);
        assert_int_equal(count_of(host, ALL, 0, 0), 1);
        assert_int_equal(count_of(host, STORAGE_2, 0, 0), 1);
}

/* ---- storing ---------------------------------------------------------------------------------------------- */

static void put_info(PtpWriter *w, uint16_t format, uint32_t size, const char *name) {
        ptp_put_u32(w, 0);
        ptp_put_u16(w, format);
        ptp_put_u16(w, 0);
        ptp_put_u32(w, size);
        for (unsigned i = 0; i < 10; i++)
                ptp_put_u32(w, 0);
        ptp_put_string(w, name);
        ptp_put_string(w, "");
        ptp_put_string(w, "20260102T030405Z");
        ptp_put_string(w, "");
}

#define SENT_NAME "s\xf0\x9f\x8e\xa5\xc3\xbc.MP4"

static PtpResponse send_info(Host *host, uint32_t storage, uint32_t parent, uint16_t format, uint32_t size, uint32_t *ret_handle) {
        const uint32_t place[] = { storage, parent };
        PtpWriter w = {};
        Reply reply;

        put_info(&w, format, size, SENT_NAME);
        host_run_with_data(host, 0x100c, place, 2, w.data, w.size, &reply);
        ptp_writer_done(&w);
        *ret_handle = reply.parameters[2];
        return reply.response;
}

static PtpResponse send_bytes(Host *host, size_t size) {
        uint8_t *bytes = malloc(size + 1);
        Reply reply;

        assert_non_null(bytes);
        memset(bytes, 0x5a, size);
        host_run_with_data(host, 0x100d, NULL, 0, bytes, size, &reply);
        free(bytes);
        return reply.response;
}

static void test_object_that_is_sent_can_be_read_back(void **state) {
        static const size_t sizes[] = { 0, 1, 500, 1012, 70000 };
        _cleanup_(host_freep) Host *host = host_in_session(TREE);
        uint32_t folder = handle_of(host, STORAGE_1, 0x3001, ALL, 0, NULL), handle;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                Reply reply;

                assert_int_equal(send_info(host, STORAGE_1, folder, 0xb982, (uint32_t) sizes[i], &handle), PTP_OK);
                assert_int_equal(send_bytes(host, sizes[i]), PTP_OK);
                assert_int_equal(host_get(host, &reply, 0x1009, handle), PTP_OK);
                assert_int_equal(reply.size, sizes[i]);
                for (size_t k = 0; k < reply.size; k++)
                        assert_int_equal(reply.data[k], 0x5a);
                reply_done(&reply);
        }
        assert_int_equal(host_state(host, "protocol_errors"), 0);
}

static void test_object_that_is_sent_keeps_its_name_and_time(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{}");
        json_t *answer, *sent;
        uint32_t handle;

        (void) state;
        assert_int_equal(send_info(host, STORAGE_1, ALL, 0xb982, 0, &handle), PTP_OK);
        assert_int_equal(send_bytes(host, 0), PTP_OK);
        answer = host_control(host, "state", "{}");
        sent = json_array_get(json_object_get(answer, "clips"), 0);
        assert_string_equal(json_string_value(json_object_get(sent, "path")), SENT_NAME);
        assert_int_equal(json_integer_value(json_object_get(sent, "mtime")), 1767323045); /* 2026-01-02 03:04:05 */
        json_decref(answer);
}

static void test_object_is_not_taken_where_it_cannot_be(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(TREE);
        uint32_t handle;

        (void) state;
        assert_int_equal(send_bytes(host, 10), PTP_NO_VALID_OBJECT_INFO);
        assert_int_equal(send_info(host, STORAGE_2, ALL, 0xb982, 10, &handle), PTP_STORE_READ_ONLY);
        assert_int_equal(send_info(host, 0x00050001, ALL, 0xb982, 10, &handle), PTP_INVALID_STORAGE_ID);
        assert_int_equal(send_info(host, STORAGE_1, 4711, 0xb982, 10, &handle), PTP_INVALID_PARENT);
        assert_int_equal(send_info(host, STORAGE_1, ALL, 0xb982, (uint32_t) CONTENT_MEMORY_MAX + 1, &handle), PTP_STORE_FULL);
        assert_int_equal(send_info(host, STORAGE_1, ALL, 0xb982, 10, &handle), PTP_OK);
        assert_int_equal(send_bytes(host, 11), PTP_INCOMPLETE_TRANSFER);
        assert_int_equal(send_bytes(host, 10), PTP_NO_VALID_OBJECT_INFO);
}

static void test_folder_is_made_by_its_info_alone(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{}");
        uint32_t folder, handle;

        (void) state;
        assert_int_equal(send_info(host, 0, 0, 0x3001, 0, &folder), PTP_OK);
        assert_int_equal(send_info(host, STORAGE_1, folder, 0xb982, 3, &handle), PTP_OK);
        assert_int_equal(send_bytes(host, 3), PTP_OK);
        assert_int_equal(handle_of(host, ALL, 0, folder, 0, NULL), handle);
}

/* ---- properties ------------------------------------------------------------------------------------------- */

/* The clock as text, and how far it is from the machine's. */
static int64_t clock_drift(Host *host, char text[static PTP_DATE_SIZE], int zone_minutes) {
        PtpReader reader;
        int64_t unix_sec;
        PtpText units;
        char *utf8;
        Reply reply;

        assert_int_equal(host_get(host, &reply, 0x1015, PTP_PROP_DATE_TIME), PTP_OK);
        reader = (PtpReader) { .data = reply.data, .size = reply.size };
        ptp_get_text(&reader, &units);
        assert_int_equal(reader.at, reply.size);
        reply_done(&reply);
        utf8 = ptp_text_to_utf8(&units);
        assert_non_null(utf8);
        snprintf(text, PTP_DATE_SIZE, "%s", utf8);
        free(utf8);
        assert_int_equal(ptp_date_parse(text, zone_minutes, &unix_sec), 0);
        return unix_sec - clock_wall_usec() / (int64_t) USEC_PER_SEC;
}

static PtpResponse set_clock(Host *host, const char *date) {
        const uint32_t property[] = { PTP_PROP_DATE_TIME };
        PtpWriter w = {};
        Reply reply;

        ptp_put_string(&w, date);
        host_run_with_data(host, 0x1016, property, 1, w.data, w.size, &reply);
        ptp_writer_done(&w);
        return reply.response;
}

/* Between two looks at the machine's clock any time may pass. */
#define assert_near(value, wanted) assert_in_range((value) - (wanted) + 1000, 0, 2000)

static void test_clock_runs_at_its_offset_and_can_be_set(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clock_offset_sec': -7200}");
        char text[PTP_DATE_SIZE], date[PTP_DATE_SIZE];

        (void) state;
        assert_near(clock_drift(host, text, 0), -7200);
        assert_int_equal(strlen(text), 15);
        ptp_date_format(clock_wall_usec() / (int64_t) USEC_PER_SEC + 10000, PTP_DATE_LOCAL, 0, date);
        assert_int_equal(set_clock(host, date), PTP_OK);
        assert_near(clock_drift(host, text, 0), 10000);
        assert_int_equal(set_clock(host, "yesterday"), PTP_INVALID_PROP_VALUE);
        assert_int_equal(set_clock(host, "20261323T000000"), PTP_INVALID_PROP_VALUE);
        assert_near(clock_drift(host, text, 0), 10000);
        json_decref(host_control(host, "set", "{'clock_offset_sec': 50000}"));
        assert_near(clock_drift(host, text, 0), 50000);
        host_power_cycle(host);
        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
        assert_near(clock_drift(host, text, 0), 50000);
}

static void test_dates_are_written_in_the_cameras_zone(void **state) {
        _cleanup_(host_freep) Host *local = host_in_session("{'zone_minutes': 120}");
        _cleanup_(host_freep) Host *utc = host_in_session("{'zone_minutes': 120, 'date_zone': 'utc'}");
        _cleanup_(host_freep) Host *offset = host_in_session("{'zone_minutes': -90, 'date_zone': 'offset'}");
        char text[PTP_DATE_SIZE];

        (void) state;
        /* Read as UTC, a local time is off by the zone. */
        assert_near(clock_drift(local, text, 0), 7200);
        assert_near(clock_drift(utc, text, 0), 0);
        assert_int_equal(text[15], 'Z');
        assert_near(clock_drift(offset, text, 0), 0);
        assert_string_equal(text + 15, "-0130");
        assert_int_equal(set_clock(local, "20260102T030405Z"), PTP_OK);
        (void) clock_drift(local, text, 0);
        assert_memory_equal(text, "20260102T0504", 13);
}

static void test_battery_is_told_and_not_set_by_the_host(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'battery': 37}");
        const uint32_t property[] = { PTP_PROP_BATTERY };
        Reply reply;

        (void) state;
        assert_int_equal(host_get(host, &reply, 0x1015, PTP_PROP_BATTERY), PTP_OK);
        assert_int_equal(reply.size, 1);
        assert_int_equal(reply.data[0], 37);
        reply_done(&reply);
        json_decref(host_control(host, "set", "{'battery': 0}"));
        assert_int_equal(host_get(host, &reply, 0x1014, PTP_PROP_BATTERY), PTP_OK);
        assert_int_equal(reply.size, 11);
        assert_int_equal(reply.data[6], 0);
        reply_done(&reply);
        host_run_with_data(host, 0x1016, property, 1, "c", 1, &reply);
        assert_int_equal(reply.response, PTP_ACCESS_DENIED);
        assert_int_equal(host_call(host, 0x1015, 0x5003), PTP_DEVICE_PROP_NOT_SUPPORTED);
}

static void test_storage_counts_what_lies_on_it(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'storage_total': 10000000000, 'clips': [{'path': 'a', 'size': 6000000000}]}");
        Reply reply;

        (void) state;
        assert_int_equal(host_get(host, &reply, 0x1005, STORAGE_1), PTP_OK);
        assert_int_equal(le32(reply.data + 14) | (uint64_t) le32(reply.data + 18) << 32, UINT64_C(4000000000));
        reply_done(&reply);
        assert_int_equal(host_call(host, 0x100b, 1, 0), PTP_OK);
        assert_int_equal(host_get(host, &reply, 0x1005, STORAGE_1), PTP_OK);
        assert_int_equal(le32(reply.data + 14) | (uint64_t) le32(reply.data + 18) << 32, UINT64_C(10000000000));
        reply_done(&reply);
}

static uint32_t listed(Host *host, uint32_t handle, uint32_t format, uint32_t property, uint32_t depth) {
        uint32_t n;
        Reply reply;

        assert_int_equal(host_get(host, &reply, 0x9805, handle, format, property, 0, depth), PTP_OK);
        n = le32(reply.data);
        reply_done(&reply);
        return n;
}

static void test_property_list_is_of_what_was_asked_for(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(TREE);
        uint32_t dcim = handle_of(host, STORAGE_1, 0x3001, ALL, 0, NULL);
        const uint32_t size = 0xdc04;

        (void) state;
        assert_int_equal(listed(host, ALL, 0, size, 0), 8);
        assert_int_equal(listed(host, 0, 0, size, ALL), 8);
        assert_int_equal(listed(host, 0, 0, size, 1), 3);
        assert_int_equal(listed(host, dcim, 0, size, 0), 1);
        assert_int_equal(listed(host, dcim, 0, size, 1), 3);
        assert_int_equal(listed(host, dcim, 0, size, ALL), 6);
        assert_int_equal(listed(host, ALL, 0xb982, size, 0), 3);
        assert_int_equal(listed(host, dcim, 0, ALL, 0), 12);
        assert_int_equal(host_call(host, 0x9805, dcim, 0, 0, 1, 0), PTP_GROUP_UNSUPPORTED);
        assert_int_equal(host_call(host, 0x9805, 4711, 0, size, 0, 0), PTP_INVALID_OBJECT_HANDLE);
        assert_int_equal(host_call(host, 0x9803, dcim, 0xdc99), PTP_INVALID_OBJECT_PROP);
}

static void unique_id(Host *host, uint32_t handle, uint8_t ret[static 16]) {
        Reply reply;

        assert_int_equal(host_get(host, &reply, 0x9803, handle, 0xdc41), PTP_OK);
        assert_int_equal(reply.size, 16);
        memcpy(ret, reply.data, 16);
        reply_done(&reply);
}

static void test_persistent_id_outlives_a_power_cycle(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clips': [{'path': 'a', 'size': 1}, {'path': 'b', 'size': 1}]}");
        uint8_t a[16], b[16], now[16];

        (void) state;
        unique_id(host, 1, a);
        unique_id(host, 2, b);
        assert_memory_not_equal(a, b, 16);
        host_power_cycle(host);
        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
        unique_id(host, 2, now);
        assert_memory_equal(now, a, 16);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_deleted_clip_is_gone_and_only_that_one),
                cmocka_unit_test(test_folder_goes_with_what_is_in_it),
                cmocka_unit_test(test_protected_clip_and_its_folder_stay),
                cmocka_unit_test(test_read_only_storage_loses_nothing),
                cmocka_unit_test(test_format_empties_one_storage),
                cmocka_unit_test(test_object_that_is_sent_can_be_read_back),
                cmocka_unit_test(test_object_that_is_sent_keeps_its_name_and_time),
                cmocka_unit_test(test_object_is_not_taken_where_it_cannot_be),
                cmocka_unit_test(test_folder_is_made_by_its_info_alone),
                cmocka_unit_test(test_clock_runs_at_its_offset_and_can_be_set),
                cmocka_unit_test(test_dates_are_written_in_the_cameras_zone),
                cmocka_unit_test(test_battery_is_told_and_not_set_by_the_host),
                cmocka_unit_test(test_storage_counts_what_lies_on_it),
                cmocka_unit_test(test_property_list_is_of_what_was_asked_for),
                cmocka_unit_test(test_persistent_id_outlives_a_power_cycle),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
