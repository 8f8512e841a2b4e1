/* SPDX-License-Identifier: Apache-2.0 */

/* The simulated PTP camera when it is told to misbehave: each fault shows on the wire, as long as it was asked for. */

#include "ptp_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PACKET 512u
#define ONE_CLIP "{'clips': [{'path': 'a.MP4', 'size': 100000, 'seed': 1}]}"

/* A command and the first packet of what comes back. */
static int first_packet(Host *host, uint16_t code, uint32_t parameter, uint8_t ret[static PACKET]) {
        assert_int_equal(host_command(host, code, &parameter, 1), PTP_HEADER_SIZE + 4);
        return host_read(host, ret, PACKET);
}

static void test_wrong_transaction_id_is_in_data_and_response(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        uint8_t bytes[PACKET];

        (void) state;
        host_fault(host, "{'name': 'wrong_transaction_id', 'count': 1}");
        assert_true(first_packet(host, 0x1008, 1, bytes) > 0);
        assert_int_not_equal(le32(bytes + 8), host->next_id);
        assert_int_equal(host_read(host, bytes, PACKET), PTP_HEADER_SIZE);
        assert_int_not_equal(le32(bytes + 8), host->next_id);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
}

static void test_wrong_container_type_is_any_that_was_asked_for(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        uint8_t bytes[PACKET];

        (void) state;
        host_fault(host, "{'name': 'wrong_container_type', 'type': 9, 'count': 1}");
        assert_true(first_packet(host, 0x1008, 1, bytes) > 0);
        assert_int_equal(le16(bytes + 4), 9);
        assert_int_equal(host_read(host, bytes, PACKET), PTP_HEADER_SIZE);
        assert_int_equal(le16(bytes + 4), 9);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
}

static void test_length_field_lies_in_both_directions(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        uint8_t bytes[PACKET];
        int n;

        (void) state;
        host_fault(host, "{'name': 'short_container', 'delta': 1000, 'count': 1}");
        n = first_packet(host, 0x1008, 1, bytes);
        assert_int_equal(le32(bytes), n + 1000);
        assert_int_equal(host_read(host, bytes, PACKET), PTP_HEADER_SIZE);
        assert_int_equal(le32(bytes), PTP_HEADER_SIZE + 1000);
        host_fault(host, "{'name': 'short_container', 'count': 1}");
        n = first_packet(host, 0x1008, 1, bytes);
        assert_int_equal(le32(bytes), n - 4);
        assert_int_equal(host_read(host, bytes, PACKET), PTP_HEADER_SIZE);
        assert_int_equal(le32(bytes), PTP_HEADER_SIZE - 4);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
}

static void test_silent_camera_answers_the_next_command_only(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        uint8_t bytes[PACKET];

        (void) state;
        host_fault(host, "{'name': 'silent', 'count': 2}");
        assert_int_equal(first_packet(host, 0x1008, 1, bytes), SIM_NAK);
        assert_int_equal(host_read(host, bytes, PACKET), SIM_NAK);
        assert_int_equal(first_packet(host, 0x1003, 1, bytes), SIM_NAK);
        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
}

static void test_endless_data_goes_on_past_its_end(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clips': [{'path': 'a', 'size': 100, 'seed': 1}]}");
        uint8_t bytes[PACKET], setup[8] = { 0x21, 0x66 };

        (void) state;
        host_fault(host, "{'name': 'endless', 'operation': 'GetObject', 'count': 1}");
        assert_int_equal(first_packet(host, 0x1009, 1, bytes), PACKET);
        assert_int_equal(le32(bytes), PTP_HEADER_SIZE + 100);
        assert_seeded(1, 0, bytes + PTP_HEADER_SIZE, 100);
        for (unsigned i = 0; i < 10000; i++)
                assert_int_equal(host_read(host, bytes, PACKET), PACKET);
        assert_int_equal(sim_model_ptp.control(host->camera, setup, NULL, 0), 0);
        assert_int_equal(host_read(host, bytes, PACKET), SIM_NAK);
        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
        host_fault(host, "{'name': 'endless', 'length': 4294967295, 'count': 1}");
        assert_int_equal(first_packet(host, 0x1008, 1, bytes), PACKET);
        assert_int_equal(le32(bytes), UINT32_MAX);
}

static uint32_t told_size(Host *host, uint32_t handle) {
        uint32_t size;
        Reply reply;

        assert_int_equal(host_get(host, &reply, 0x1008, handle), PTP_OK);
        size = le32(reply.data + 8);
        reply_done(&reply);
        return size;
}

static void test_size_told_is_not_the_size_sent(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clips': [{'path': 'a', 'size': 1000}, {'path': 'b', 'size': 1000}]}");
        Reply reply;

        (void) state;
        host_fault(host, "{'name': 'size_lie', 'delta': -100, 'path': 'b'}");
        assert_int_equal(told_size(host, 1), 1000);
        assert_int_equal(told_size(host, 2), 900);
        assert_int_equal(host_get(host, &reply, 0x9803, 2, 0xdc04), PTP_OK);
        assert_int_equal(le32(reply.data), 900);
        reply_done(&reply);
        assert_int_equal(host_get(host, &reply, 0x1009, 2), PTP_OK);
        assert_int_equal(reply.size, 1000);
        reply_done(&reply);
        host_fault(host, "{'name': 'size_lie', 'size': 5000000000, 'count': 1}");
        assert_int_equal(told_size(host, 1), UINT32_MAX);
        assert_int_equal(told_size(host, 1), 1000);
}

static void test_garbage_comes_instead_of_an_answer_and_differs_each_time(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        uint8_t first[PACKET], second[PACKET];

        (void) state;
        host_fault(host, "{'name': 'garbage', 'length': 100, 'count': 2}");
        assert_int_equal(first_packet(host, 0x1008, 1, first), 100);
        assert_int_equal(host_read(host, second, PACKET), SIM_NAK);
        assert_int_equal(first_packet(host, 0x1008, 1, second), 100);
        assert_memory_not_equal(first, second, 100);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
}

static void test_stall_in_the_middle_lasts_until_it_is_cleared(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        uint8_t bytes[PACKET], setup[8] = { 0xa1, 0x67, 0, 0, 0, 0, 8, 0 };

        (void) state;
        host_fault(host, "{'name': 'stall_data', 'after_bytes': 1024, 'operation': 'GetObject', 'count': 1}");
        assert_int_equal(first_packet(host, 0x1009, 1, bytes), PACKET);
        assert_int_equal(host_read(host, bytes, PACKET), PACKET);
        assert_int_equal(host_read(host, bytes, PACKET), -EPIPE);
        assert_int_equal(host_read(host, bytes, PACKET), -EPIPE);
        assert_int_equal(sim_model_ptp.control(host->camera, setup, bytes, 8), 8);
        assert_int_equal(le16(bytes + 2), PTP_TRANSACTION_CANCELLED);
        assert_int_equal(le32(bytes + 4), PTP_IN);
        sim_model_ptp.clear_halt(host->camera, PTP_IN);
        assert_int_equal(host_read(host, bytes, PACKET), SIM_NAK);
        assert_int_equal(host_call(host, 0x1009, 1), PTP_OK);
}

static void test_camera_that_breaks_off_says_so(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        uint8_t bytes[PACKET];
        Reply reply;

        (void) state;
        host_fault(host, "{'name': 'cancel_data', 'after_bytes': 5000, 'operation': 'GetObject', 'count': 1}");
        assert_int_equal(host_get(host, &reply, 0x1009, 1), PTP_TRANSACTION_CANCELLED);
        assert_int_equal(reply.size, 5000 - PTP_HEADER_SIZE);
        assert_int_equal(reply.declared, PTP_HEADER_SIZE + 100000);
        reply_done(&reply);
        assert_int_equal(sim_model_ptp.in(host->camera, PTP_INTERRUPT, bytes, PACKET), 16);
        assert_int_equal(le16(bytes + 6), PTP_EVENT_CANCEL_TRANSACTION);
        assert_int_equal(le32(bytes + 8), host->next_id);
        assert_int_equal(host_call(host, 0x1009, 1), PTP_OK);
}

static void test_dataset_is_cut_where_asked(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        Reply whole, cut;

        (void) state;
        assert_int_equal(host_get(host, &whole, 0x1001), PTP_OK);
        host_fault(host, "{'name': 'truncated_dataset', 'operation': 'GetDeviceInfo'}");
        assert_int_equal(host_get(host, &cut, 0x1001), PTP_OK);
        assert_int_equal(cut.size, whole.size / 2);
        assert_int_equal(cut.declared, PTP_HEADER_SIZE + cut.size);
        assert_memory_equal(cut.data, whole.data, cut.size);
        reply_done(&cut);
        host_fault(host, "{'name': 'truncated_dataset', 'length': 0, 'count': 1}");
        assert_int_equal(host_get(host, &cut, 0x1008, 1), PTP_OK);
        assert_int_equal(cut.size, 0);
        reply_done(&cut);
        assert_int_equal(host_get(host, &cut, 0x1001), PTP_OK);
        assert_int_equal(cut.size, whole.size);
        reply_done(&cut);
        reply_done(&whole);
}

static void test_handle_list_is_as_huge_as_asked_and_may_claim_more(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        Reply reply;

        (void) state;
        host_fault(host, "{'name': 'huge_handle_list', 'handles': 100000, 'count': 1}");
        assert_int_equal(host_get(host, &reply, 0x1007, ALL, 0, 0), PTP_OK);
        assert_int_equal(reply.size, 4 + 4 * 100000);
        assert_int_equal(le32(reply.data), 100000);
        reply_done(&reply);
        host_fault(host, "{'name': 'huge_handle_list', 'handles': 10, 'claim': 4000000000, 'count': 1}");
        assert_int_equal(host_get(host, &reply, 0x1007, ALL, 0, 0), PTP_OK);
        assert_int_equal(reply.size, 44);
        assert_int_equal(le32(reply.data), UINT32_C(4000000000));
        reply_done(&reply);
        assert_int_equal(count_of(host, ALL, 0, 0), 1);
}

static bool is_listed(Host *host, uint16_t code) {
        bool found = false;
        size_t at = 8;
        Reply info;

        assert_int_equal(host_get(host, &info, 0x1001), PTP_OK);
        at += 1 + 2 * (size_t) info.data[at] + 2;
        for (uint32_t i = 0; i < le32(info.data + at); i++)
                found |= le16(info.data + at + 4 + 2 * i) == code;
        reply_done(&info);
        return found;
}

static void test_operation_that_is_taken_away_is_neither_listed_nor_understood(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        static const struct {
                const char *fault, *clear;
                uint16_t code;
        } cases[] = {
                { "{'name': 'no_partial'}", "{'name': 'no_partial', 'clear': true}", 0x101b },
                { "{'name': 'no_partial64'}", "{'name': 'no_partial64', 'clear': true}", 0x95c1 },
                { "{'name': 'no_prop_list'}", "{'name': 'none'}", 0x9805 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_true(is_listed(host, cases[i].code));
                host_fault(host, cases[i].fault);
                assert_false(is_listed(host, cases[i].code));
                assert_int_equal(host_call(host, cases[i].code, 1, 0, 0, 0), PTP_OPERATION_NOT_SUPPORTED);
                host_fault(host, cases[i].clear);
                assert_true(is_listed(host, cases[i].code));
                assert_int_not_equal(host_call(host, cases[i].code, 1, 0, 0, 0), PTP_OPERATION_NOT_SUPPORTED);
        }
}

static void test_delete_that_lies_or_is_denied_deletes_nothing(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);

        (void) state;
        host_fault(host, "{'name': 'delete_lies', 'count': 1}");
        assert_int_equal(host_call(host, 0x100b, 1, 0), PTP_OK);
        assert_int_equal(count_of(host, ALL, 0, 0), 1);
        host_fault(host, "{'name': 'delete_denied', 'count': 1}");
        assert_int_equal(host_call(host, 0x100b, 1, 0), PTP_ACCESS_DENIED);
        host_fault(host, "{'name': 'delete_denied', 'count': 1, 'code': 8205}");
        assert_int_equal(host_call(host, 0x100b, 1, 0), PTP_OBJECT_WRITE_PROTECTED);
        assert_int_equal(host_state(host, "deletes"), 0);
        assert_int_equal(host_call(host, 0x100b, 1, 0), PTP_OK);
        assert_int_equal(count_of(host, ALL, 0, 0), 0);
}

static void test_busy_and_other_responses_come_as_often_as_asked(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);

        (void) state;
        host_fault(host, "{'name': 'busy', 'count': 2}");
        assert_int_equal(host_call(host, 0x1008, 1), PTP_DEVICE_BUSY);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_DEVICE_BUSY);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
        host_fault(host, "{'name': 'response', 'operation': 4105, 'code': 8195}");
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
        assert_int_equal(host_call(host, 0x1009, 1), PTP_SESSION_NOT_OPEN);
        assert_int_equal(host_call(host, 0x1009, 1), PTP_SESSION_NOT_OPEN);
}

static void test_session_of_a_dead_host_is_there_and_can_be_used(void **state) {
        _cleanup_(host_freep) Host *host = host_new(ONE_CLIP);

        (void) state;
        host_fault(host, "{'name': 'session_already_open', 'count': 1}");
        assert_int_equal(host_call(host, 0x1002, 1), PTP_SESSION_ALREADY_OPEN);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
        assert_int_equal(host_call(host, 0x1003), PTP_OK);
        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
}

static void test_fault_passes_over_what_it_was_told_to_skip(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);

        (void) state;
        host_fault(host, "{'name': 'busy', 'operation': 'GetObjectInfo', 'skip': 2, 'count': 1}");
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
        assert_int_equal(host_call(host, 0x1004), PTP_OK);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
        assert_int_equal(host_call(host, 0x1004), PTP_OK);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_DEVICE_BUSY);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
        assert_int_equal(host_state(host, "faults_struck"), 1);
}

static void test_clip_that_vanishes_while_it_is_read_ends_the_data(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        uint8_t bytes[PACKET];

        (void) state;
        assert_int_equal(first_packet(host, 0x1009, 1, bytes), PACKET);
        json_decref(host_control(host, "remove_clip", "{'path': 'a.MP4'}"));
        assert_int_equal(host_read(host, bytes, PACKET), 0);
        assert_int_equal(host_read(host, bytes, PACKET), PTP_HEADER_SIZE);
        assert_int_equal(le16(bytes + 6), PTP_INCOMPLETE_TRANSFER);
}

static void test_fault_that_makes_no_sense_is_refused_with_a_reason(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(ONE_CLIP);
        static const char *const wrong[] = {
                "{}", "{\"name\": \"tired\"}", "{\"name\": \"busy\", \"count\": -1}", "{\"name\": \"busy\", \"operation\": \"Dance\"}",
                "{\"name\": \"short_container\", \"delta\": \"far\"}", "{\"name\": \"garbage\", \"length\": true}",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                json_t *args = json_loads(wrong[i], 0, NULL), *answer = NULL;
                char why[256] = "";

                assert_true(sim_model_ptp.command(host->camera, "fault", args, &answer, why, sizeof(why)) < 0);
                assert_true(strlen(why) > 10);
                json_decref(args);
        }
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wrong_transaction_id_is_in_data_and_response),
                cmocka_unit_test(test_wrong_container_type_is_any_that_was_asked_for),
                cmocka_unit_test(test_length_field_lies_in_both_directions),
                cmocka_unit_test(test_silent_camera_answers_the_next_command_only),
                cmocka_unit_test(test_endless_data_goes_on_past_its_end),
                cmocka_unit_test(test_size_told_is_not_the_size_sent),
                cmocka_unit_test(test_garbage_comes_instead_of_an_answer_and_differs_each_time),
                cmocka_unit_test(test_stall_in_the_middle_lasts_until_it_is_cleared),
                cmocka_unit_test(test_camera_that_breaks_off_says_so),
                cmocka_unit_test(test_dataset_is_cut_where_asked),
                cmocka_unit_test(test_handle_list_is_as_huge_as_asked_and_may_claim_more),
                cmocka_unit_test(test_operation_that_is_taken_away_is_neither_listed_nor_understood),
                cmocka_unit_test(test_delete_that_lies_or_is_denied_deletes_nothing),
                cmocka_unit_test(test_busy_and_other_responses_come_as_often_as_asked),
                cmocka_unit_test(test_session_of_a_dead_host_is_there_and_can_be_used),
                cmocka_unit_test(test_fault_passes_over_what_it_was_told_to_skip),
                cmocka_unit_test(test_clip_that_vanishes_while_it_is_read_ends_the_data),
                cmocka_unit_test(test_fault_that_makes_no_sense_is_refused_with_a_reason),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
