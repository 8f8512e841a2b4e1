/* SPDX-License-Identifier: Apache-2.0 */

/* The simulated PTP camera, as a host sees it when the camera behaves: sessions, listing, reading, events. */

#include "ptp_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PACKET 512u

/* ---- sessions and DeviceInfo ------------------------------------------------------------------------------ */

static void test_each_operation_that_is_listed_is_understood_and_no_other(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{}");
        Reply info;
        size_t at = 8;
        uint32_t n;

        (void) state;
        assert_int_equal(host_get(host, &info, 0x1001), PTP_OK);
        at += 1 + 2 * (size_t) info.data[at] + 2; /* the extension's description and the mode */
        n = le32(info.data + at);
        assert_true(n > 20);
        for (uint32_t code = 0x1001; code < 0x9900; code = code == 0x1030 ? 0x9500 : code + 1) {
                bool is_listed = false, takes_data = code == 0x100c || code == 0x100d || code == 0x1016;
                Reply reply;

                for (uint32_t i = 0; i < n; i++)
                        is_listed |= le16(info.data + at + 4 + 2 * i) == code;
                if (takes_data)
                        host_run_with_data(host, (uint16_t) code, NULL, 0, "x", 1, &reply);
                else
                        host_run(host, (uint16_t) code, NULL, 0, &reply);
                assert_int_equal(reply.response != PTP_OPERATION_NOT_SUPPORTED, is_listed);
                reply_done(&reply);
                (void) host_call(host, 0x1002, 1); /* some of them end the session */
        }
        reply_done(&info);
}

static void test_nothing_but_device_info_works_without_a_session(void **state) {
        _cleanup_(host_freep) Host *host = host_new("{'clips': [{'path': 'a', 'size': 1}]}");

        (void) state;
        assert_int_equal(host_call(host, 0x1001), PTP_OK);
        assert_int_equal(host_call(host, 0x1004), PTP_SESSION_NOT_OPEN);
        assert_int_equal(host_call(host, 0x1009, 1), PTP_SESSION_NOT_OPEN);
        assert_int_equal(host_call(host, 0x1003), PTP_SESSION_NOT_OPEN);
        assert_int_equal(host_call(host, 0x1002, 0), PTP_INVALID_PARAMETER);
        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
        assert_int_equal(host_call(host, 0x1004), PTP_OK);
        assert_int_equal(host_call(host, 0x1003), PTP_OK);
        assert_int_equal(host_call(host, 0x1004), PTP_SESSION_NOT_OPEN);
}

static void test_second_session_is_told_of_the_first(void **state) {
        _cleanup_(host_freep) Host *host = host_new("{}");
        Reply reply;

        (void) state;
        assert_int_equal(host_call(host, 0x1002, 77), PTP_OK);
        assert_int_equal(host_get(host, &reply, 0x1002, 78), PTP_SESSION_ALREADY_OPEN);
        assert_int_equal(reply.n_parameters, 1);
        assert_int_equal(reply.parameters[0], 77);
}

static void test_power_cycle_ends_the_session_and_keeps_the_clips(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clips': [{'path': 'a', 'size': 1}]}");

        (void) state;
        host_power_cycle(host);
        assert_int_equal(host_call(host, 0x1004), PTP_SESSION_NOT_OPEN);
        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
        assert_int_equal(count_of(host, ALL, 0, 0), 1);
}

static void test_plain_ptp_camera_and_one_without_android_know_less(void **state) {
        _cleanup_(host_freep) Host *plain = host_in_session("{'mtp': false}");
        _cleanup_(host_freep) Host *microsoft = host_in_session("{'android': false}");

        (void) state;
        assert_int_equal(host_call(plain, 0x9801, 0x3000), PTP_OPERATION_NOT_SUPPORTED);
        assert_int_equal(host_call(plain, 0x95c1, 1, 0, 0, 1), PTP_OPERATION_NOT_SUPPORTED);
        assert_int_equal(host_call(microsoft, 0x9801, 0x3000), PTP_OK);
        assert_int_equal(host_call(microsoft, 0x95c1, 1, 0, 0, 1), PTP_OPERATION_NOT_SUPPORTED);
}

/* ---- listing ---------------------------------------------------------------------------------------------- */

static void test_objects_are_selected_by_storage_format_and_parent(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(TREE);
        uint32_t dcim, folder;

        (void) state;
        assert_int_equal(count_of(host, ALL, 0, 0), 8);
        assert_int_equal(count_of(host, STORAGE_1, 0, 0), 7);
        assert_int_equal(count_of(host, STORAGE_2, 0, 0), 1);
        assert_int_equal(count_of(host, ALL, 0xb982, 0), 3);
        assert_int_equal(count_of(host, STORAGE_1, 0x3001, 0), 3);
        assert_int_equal(count_of(host, STORAGE_1, 0, ALL), 2); /* those at the root: DCIM and top.txt */
        dcim = handle_of(host, STORAGE_1, 0x3001, ALL, 0, NULL);
        assert_int_equal(count_of(host, ALL, 0, dcim), 2);
        folder = handle_of(host, ALL, 0, dcim, 0, NULL);
        assert_int_equal(count_of(host, ALL, 0, folder), 2);
        assert_int_equal(count_of(host, ALL, 0x3801, folder), 1);
        assert_int_equal(count_of(host, STORAGE_2, 0, folder), 0);
        assert_int_equal(host_call(host, 0x1007, 0x00090001, 0, 0), PTP_INVALID_STORAGE_ID);
        assert_int_equal(host_call(host, 0x1007, ALL, 0, 4711), PTP_INVALID_OBJECT_HANDLE);
        assert_int_equal(host_call(host, 0x1007, ALL, 0, clip(host, 0)), PTP_INVALID_PARENT);
}

static void test_number_of_objects_is_that_of_the_handles(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(TREE);
        Reply reply;

        (void) state;
        assert_int_equal(host_get(host, &reply, 0x1006, STORAGE_1, 0xb982, 0), PTP_OK);
        assert_int_equal(reply.parameters[0], 2);
        assert_null(reply.data);
}

static void test_handle_is_another_objects_after_a_power_cycle(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clips': [{'path': 'a', 'size': 1}, {'path': 'b', 'size': 1}]}");
        PtpText before, after;

        (void) state;
        before = name_of(host, 1);
        host_power_cycle(host);
        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
        after = name_of(host, 1);
        assert_int_not_equal(before.units[0], after.units[0]);
        /* All the objects are still there, each once. */
        assert_int_equal(name_of(host, 2).units[0], before.units[0]);
        assert_int_equal(host_call(host, 0x1008, 3), PTP_INVALID_OBJECT_HANDLE);
}

static void assert_name(const PtpText *name, const uint16_t *units, size_t n) {
        assert_int_equal(name->length, n);
        assert_memory_equal(name->units, units, n * sizeof(*units));
}

static void test_names_are_sent_as_they_are(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session(
                "{'clips': [{'path': 'd/x', 'size': 1, 'name': 'a/b'}, {'path': 'd/x', 'size': 1, 'name': '..'},"
                "{'path': 'd/x', 'size': 1, 'name_utf16': [65, 55357, 66]}, {'path': 'd/\\ud83c\\udfa5', 'size': 1},"
                "{'path': 'd/same', 'size': 1}, {'path': 'd/same', 'size': 2}]}");
        const uint16_t slash[] = { 'a', '/', 'b' }, up[] = { '.', '.' }, lone[] = { 'A', 0xd83d, 'B' }, pair[] = { 0xd83c, 0xdfa5 };
        PtpText name;

        (void) state;
        name = name_of(host, clip(host, 0));
        assert_name(&name, slash, 3);
        name = name_of(host, clip(host, 1));
        assert_name(&name, up, 2);
        name = name_of(host, clip(host, 2));
        assert_name(&name, lone, 3);
        name = name_of(host, clip(host, 3));
        assert_name(&name, pair, 2);
        name = name_of(host, clip(host, 5));
        assert_int_equal(name.length, 4);
}

static void test_name_is_cut_where_a_ptp_string_ends(void **state) {
        char spec[600], longest[301];
        PtpText name;
        Reply reply;

        (void) state;
        memset(longest, 'n', 300);
        longest[300] = 0;
        snprintf(spec, sizeof(spec), "{'clips': [{'path': '%s', 'size': 1}]}", longest);
        _cleanup_(host_freep) Host *host = host_in_session(spec);
        name = name_of(host, 1);
        assert_int_equal(name.length, 254);
        /* 255 characters with the NUL, which is there. */
        assert_int_equal(host_get(host, &reply, 0x1008, 1), PTP_OK);
        assert_int_equal(reply.data[52], 255);
        assert_int_equal(le16(reply.data + 53 + 2 * 254), 0);
        reply_done(&reply);
}

/* ---- reading ---------------------------------------------------------------------------------------------- */

static void read_and_check(size_t size, size_t urb_size) {
        char spec[128];
        Reply reply;

        snprintf(spec, sizeof(spec), "{'clips': [{'path': 'a', 'size': %zu, 'seed': 9}]}", size);
        _cleanup_(host_freep) Host *host = host_in_session(spec);
        host->urb_size = urb_size;
        assert_int_equal(host_get(host, &reply, 0x1009, 1), PTP_OK);
        assert_int_equal(reply.size, size);
        assert_int_equal(reply.declared, PTP_HEADER_SIZE + size);
        assert_seeded(9, 0, reply.data, size);
        reply_done(&reply);
}

static void test_object_of_any_size_arrives_whole(void **state) {
        static const size_t sizes[] = { 0, 1, 499, 500, 501, 512, 1011, 1012, 1013, 16 * KIB - 12, 16 * KIB, 100000 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                read_and_check(sizes[i], PACKET);
                read_and_check(sizes[i], 16 * KIB);
                read_and_check(sizes[i], MIB);
        }
}

static void test_data_of_whole_packets_ends_with_an_empty_one(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clips': [{'path': 'a', 'size': 1012}, {'path': 'b', 'size': 1011}]}");
        const uint32_t first[] = { 1 }, second[] = { 2 };
        uint8_t bytes[4 * PACKET];

        (void) state;
        assert_true(host_command(host, 0x1009, first, 1) > 0);
        assert_int_equal(host_read(host, bytes, 2 * PACKET), 2 * PACKET);
        assert_int_equal(host_read(host, bytes, PACKET), 0);
        assert_int_equal(host_read(host, bytes, PACKET), PTP_HEADER_SIZE);
        assert_int_equal(host_read(host, bytes, PACKET), SIM_NAK);
        /* A larger transfer is ended by the empty packet itself. */
        assert_true(host_command(host, 0x1009, first, 1) > 0);
        assert_int_equal(host_read(host, bytes, 4 * PACKET), 2 * PACKET);
        assert_int_equal(host_read(host, bytes, PACKET), PTP_HEADER_SIZE);
        assert_true(host_command(host, 0x1009, second, 1) > 0);
        assert_int_equal(host_read(host, bytes, 2 * PACKET), 2 * PACKET - 1);
        assert_int_equal(host_read(host, bytes, PACKET), PTP_HEADER_SIZE);
}

static void test_parts_are_clamped_to_the_object(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clips': [{'path': 'a', 'size': 1000, 'seed': 5}]}");
        Reply reply;

        (void) state;
        assert_int_equal(host_get(host, &reply, 0x101b, 1, 300, 200), PTP_OK);
        assert_int_equal(reply.size, 200);
        assert_int_equal(reply.parameters[0], 200);
        assert_seeded(5, 300, reply.data, 200);
        reply_done(&reply);
        assert_int_equal(host_get(host, &reply, 0x101b, 1, 900, ALL), PTP_OK);
        assert_int_equal(reply.parameters[0], 100);
        assert_seeded(5, 900, reply.data, 100);
        reply_done(&reply);
        assert_int_equal(host_get(host, &reply, 0x95c1, 1, 1000, 0, 10), PTP_OK);
        assert_int_equal(reply.parameters[0], 0);
        reply_done(&reply);
        assert_int_equal(host_call(host, 0x101b, 1, 1001, 1), PTP_INVALID_PARAMETER);
        assert_int_equal(host_call(host, 0x95c1, 1, 0, 1, 1), PTP_INVALID_PARAMETER);
        assert_int_equal(host_call(host, 0x101b, 2, 0, 1), PTP_INVALID_OBJECT_HANDLE);
}

static void test_object_over_4_gib_tells_its_size_and_gives_its_tail(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clips': [{'path': 'a.MP4', 'size': 5000000001, 'seed': 5}]}");
        const uint64_t size = UINT64_C(5000000001), tail = size - 700;
        const uint32_t all[] = { 1 };
        uint8_t bytes[PACKET];
        Reply reply;

        (void) state;
        assert_int_equal(host_get(host, &reply, 0x1008, 1), PTP_OK);
        assert_int_equal(le32(reply.data + 8), UINT32_MAX);
        reply_done(&reply);
        assert_int_equal(host_get(host, &reply, 0x9803, 1, 0xdc04), PTP_OK);
        assert_int_equal(reply.size, 8);
        assert_int_equal(le32(reply.data) | (uint64_t) le32(reply.data + 4) << 32, size);
        reply_done(&reply);
        assert_int_equal(host_get(host, &reply, 0x95c1, 1, (uint32_t) tail, (uint32_t) (tail >> 32), 1000), PTP_OK);
        assert_int_equal(reply.size, 700);
        assert_seeded(5, tail, reply.data, 700);
        reply_done(&reply);
        /* The length in the header of the whole says that it does not fit. */
        assert_true(host_command(host, 0x1009, all, 1) > 0);
        assert_int_equal(host_read(host, bytes, PACKET), PACKET);
        assert_int_equal(le32(bytes), UINT32_MAX);
}

static void test_super_speed_camera_ends_data_by_its_own_packets(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'speed': 'super', 'clips': [{'path': 'a', 'size': 1012}]}");
        const uint32_t first[] = { 1 };
        uint8_t bytes[2048];
        size_t size = sim_model_ptp.descriptors(host->camera, bytes, sizeof(bytes));

        (void) state;
        assert_int_equal(le16(bytes + 2), 0x0300);
        assert_int_equal(size, 18 + le16(bytes + 18 + 2));
        assert_int_equal(le16(bytes + 18 + 9 + 9 + 4), 1024);
        assert_true(host_command(host, 0x1009, first, 1) > 0);
        assert_int_equal(host_read(host, bytes, 1024), 1024);
        assert_int_equal(host_read(host, bytes, 1024), 0);
        assert_int_equal(host_read(host, bytes, 1024), PTP_HEADER_SIZE);
}

/* ---- class requests and events ---------------------------------------------------------------------------- */

static int class_request(Host *host, uint8_t type, uint8_t request, uint8_t *data, uint16_t length) {
        const uint8_t setup[8] = { type, request, 0, 0, 0, 0, (uint8_t) length, (uint8_t) (length >> 8) };

        return sim_model_ptp.control(host->camera, setup, data, length);
}

static uint16_t device_status(Host *host) {
        uint8_t data[20];

        assert_true(class_request(host, 0xa1, 0x67, data, sizeof(data)) >= 4);
        return le16(data + 2);
}

static void cancel(Host *host, uint32_t id) {
        uint8_t data[6] = { 0x01, 0x40, (uint8_t) id, (uint8_t) (id >> 8), (uint8_t) (id >> 16), (uint8_t) (id >> 24) };

        assert_int_equal(class_request(host, 0x21, 0x64, data, sizeof(data)), 6);
}

static void test_cancel_ends_a_data_phase_and_the_session_lives_on(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clips': [{'path': 'a', 'size': 100000000}]}");
        const uint32_t first[] = { 1 };
        uint8_t bytes[PACKET];

        (void) state;
        assert_true(host_command(host, 0x1009, first, 1) > 0);
        assert_int_equal(host_read(host, bytes, PACKET), PACKET);
        /* While an answer waits to be fetched, no command is taken. */
        assert_int_equal(host_command(host, 0x1009, first, 1), SIM_NAK);
        host->next_id--;
        cancel(host, host->next_id + 5);
        assert_int_equal(host_read(host, bytes, PACKET), PACKET);
        cancel(host, host->next_id);
        assert_int_equal(host_read(host, bytes, PACKET), SIM_NAK);
        assert_int_equal(device_status(host), PTP_DEVICE_BUSY);
        assert_int_equal(device_status(host), PTP_OK);
        assert_int_equal(host_call(host, 0x1008, 1), PTP_OK);
}

static void test_reset_ends_the_session(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{'clips': [{'path': 'a', 'size': 100000000}]}");
        const uint32_t first[] = { 1 };
        uint8_t bytes[PACKET];

        (void) state;
        assert_true(host_command(host, 0x1009, first, 1) > 0);
        assert_int_equal(host_read(host, bytes, PACKET), PACKET);
        assert_int_equal(class_request(host, 0x21, 0x66, NULL, 0), 0);
        assert_int_equal(device_status(host), PTP_OK);
        assert_int_equal(host_call(host, 0x1004), PTP_SESSION_NOT_OPEN);
        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
        assert_int_equal(class_request(host, 0xa1, 0x20, bytes, 4), -EPIPE);
}

static void test_new_clip_is_announced_by_an_event(void **state) {
        _cleanup_(host_freep) Host *host = host_in_session("{}");
        uint8_t event[64], extended[64];

        (void) state;
        assert_int_equal(sim_model_ptp.in(host->camera, PTP_INTERRUPT, event, sizeof(event)), SIM_NAK);
        json_decref(host_control(host, "add_clip", "{'path': 'n.MP4', 'size': 10}"));
        assert_int_equal(sim_model_ptp.in(host->camera, PTP_INTERRUPT, event, sizeof(event)), 16);
        assert_int_equal(le16(event + 4), PTP_CONTAINER_EVENT);
        assert_int_equal(le16(event + 6), PTP_EVENT_OBJECT_ADDED);
        assert_int_equal(host_call(host, 0x1008, le32(event + 12)), PTP_OK);
        assert_int_equal(sim_model_ptp.in(host->camera, PTP_INTERRUPT, event, sizeof(event)), SIM_NAK);
        assert_int_equal(class_request(host, 0xa1, 0x65, extended, sizeof(extended)), 14);
        assert_int_equal(le16(extended), PTP_EVENT_OBJECT_ADDED);
}

static void test_nonsense_from_the_host_stalls_and_is_counted(void **state) {
        _cleanup_(host_freep) Host *host = host_new("{}");
        uint8_t wrong[4][40] = {
                { 12, 0, 0, 0, 2, 0, 0x01, 0x10 }, /* data without a command */
                { 99, 0, 0, 0, 1, 0, 0x01, 0x10 }, /* a length that is not its own */
                { 40, 0, 0, 0, 1, 0, 0x01, 0x10 }, /* too many parameters */
                { 11, 0, 0, 0, 1, 0, 0x01, 0x10 }, /* too short */
        };
        const size_t sizes[4] = { 12, 12, 40, 11 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                assert_int_equal(sim_model_ptp.out(host->camera, PTP_OUT, wrong[i], sizes[i]), -EPIPE);
        assert_int_equal(host_state(host, "protocol_errors"), 4);
        sim_model_ptp.clear_halt(host->camera, PTP_OUT);
        assert_int_equal(host_call(host, 0x1001), PTP_OK);
}

/* ---- control socket --------------------------------------------------------------------------------------- */

static void test_camera_that_makes_no_sense_is_refused_with_a_reason(void **state) {
        static const char *const wrong[] = {
                "{\"vid\": \"0x1209\"}", "{\"battery\": -1}", "{\"pid\": 1.5}",
                "{\"vid\": 70000}",  "{\"battery\": 101}", "{\"serial\": 5}", "{\"speed\": \"warp\"}", "{\"date_zone\": \"mars\"}",
                "{\"clips\": {}}",   "{\"clips\": [{\"path\": \"/a\", \"size\": 1}]}", "{\"clips\": [{\"size\": 1}]}",
                "{\"clips\": [{\"path\": \"a\"}]}", "{\"clips\": [{\"path\": \"a\", \"size\": 1, \"storage\": 1}]}",
                "{\"clips\": [{\"path\": \"a\", \"size\": 1, \"name_utf16\": [70000]}]}", "{\"storages\": [{}, {}, {}, {}, {}]}",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                json_t *spec = json_loads(wrong[i], 0, NULL);
                char why[256] = "";
                void *camera = NULL;

                assert_non_null(spec);
                assert_true(sim_model_ptp.create(NULL, spec, &camera, why, sizeof(why)) < 0);
                assert_null(camera);
                assert_true(strlen(why) > 10);
                json_decref(spec);
        }
}

static void test_clips_are_added_changed_and_removed_by_path(void **state) {
        _cleanup_(host_freep) Host *host =
                host_in_session("{'clips': [{'path': 'a', 'size': 4, 'seed': 1}, {'path': 'a', 'size': 4, 'seed': 2}]}");
        Reply reply;

        (void) state;
        json_decref(host_control(host, "change_clip", "{'path': 'a', 'nth': 1, 'patch_hex': '01020304', 'mtime': 86400}"));
        assert_int_equal(host_get(host, &reply, 0x1009, 2), PTP_OK);
        assert_memory_equal(reply.data, "\1\2\3\4", 4);
        reply_done(&reply);
        assert_int_equal(host_get(host, &reply, 0x1009, 1), PTP_OK);
        assert_seeded(1, 0, reply.data, 4);
        reply_done(&reply);
        json_decref(host_control(host, "remove_clip", "{'path': 'a'}"));
        assert_int_equal(host_call(host, 0x1008, 1), PTP_INVALID_OBJECT_HANDLE);
        assert_int_equal(host_call(host, 0x1008, 2), PTP_OK);
        json_decref(host_control(host, "add_clip", "{'path': 'DCIM/b', 'size': 4}"));
        assert_int_equal(count_of(host, ALL, 0, 0), 3);
}

static void test_state_tells_the_clips_that_are_left(void **state) {
        _cleanup_(host_freep) Host *host =
                host_in_session("{'clips': [{'path': 'a', 'size': 0, 'mtime': 77}, {'path': 'd/b', 'size': 4}]}");
        json_t *answer, *clips, *first;

        (void) state;
        answer = host_control(host, "state", "{'sha256': true}");
        clips = json_object_get(answer, "clips");
        assert_int_equal(json_array_size(clips), 2);
        first = json_array_get(clips, 0);
        assert_string_equal(json_string_value(json_object_get(first, "path")), "a");
        assert_int_equal(json_integer_value(json_object_get(first, "mtime")), 77);
        assert_string_equal(json_string_value(json_object_get(first, "sha256")),
                            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_true(json_is_true(json_object_get(answer, "session_open")));
        json_decref(answer);
        assert_int_equal(host_call(host, 0x100b, 1, 0), PTP_OK);
        answer = host_control(host, "state", "{}");
        assert_int_equal(json_array_size(json_object_get(answer, "clips")), 1);
        json_decref(answer);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_operation_that_is_listed_is_understood_and_no_other),
                cmocka_unit_test(test_nothing_but_device_info_works_without_a_session),
                cmocka_unit_test(test_second_session_is_told_of_the_first),
                cmocka_unit_test(test_power_cycle_ends_the_session_and_keeps_the_clips),
                cmocka_unit_test(test_plain_ptp_camera_and_one_without_android_know_less),
                cmocka_unit_test(test_objects_are_selected_by_storage_format_and_parent),
                cmocka_unit_test(test_number_of_objects_is_that_of_the_handles),
                cmocka_unit_test(test_handle_is_another_objects_after_a_power_cycle),
                cmocka_unit_test(test_names_are_sent_as_they_are),
                cmocka_unit_test(test_name_is_cut_where_a_ptp_string_ends),
                cmocka_unit_test(test_object_of_any_size_arrives_whole),
                cmocka_unit_test(test_data_of_whole_packets_ends_with_an_empty_one),
                cmocka_unit_test(test_parts_are_clamped_to_the_object),
                cmocka_unit_test(test_object_over_4_gib_tells_its_size_and_gives_its_tail),
                cmocka_unit_test(test_super_speed_camera_ends_data_by_its_own_packets),
                cmocka_unit_test(test_cancel_ends_a_data_phase_and_the_session_lives_on),
                cmocka_unit_test(test_reset_ends_the_session),
                cmocka_unit_test(test_new_clip_is_announced_by_an_event),
                cmocka_unit_test(test_nonsense_from_the_host_stalls_and_is_counted),
                cmocka_unit_test(test_camera_that_makes_no_sense_is_refused_with_a_reason),
                cmocka_unit_test(test_clips_are_added_changed_and_removed_by_path),
                cmocka_unit_test(test_state_tells_the_clips_that_are_left),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
