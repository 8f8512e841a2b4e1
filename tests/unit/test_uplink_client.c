/* SPDX-License-Identifier: Apache-2.0 */

/*
 * berthd's client of the uplink against an uplink that lies, floods, breaks off or is slow: whatever it says, nothing becomes a
 * receipt that is not one.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "base/wire_bay.h"
#include "unit/false_uplink.h"

static void test_right_receipt_is_taken(void **state) {
        Rig *r = rig_connected();

        (void) state;
        assert_int_equal(rig_put_and_wait(r), UPLINK_OK);
        assert_int_equal(rig_confirm_and_wait(r), UPLINK_OK);
        assert_string_equal(r->strength, WIRE_STRENGTH_DIGEST);
        /* What goes to a log or a terminal holds no control character. */
        assert_true(text_is_printable(r->reason));
        rig_free(r);
}

static void examined(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Rig *r = userdata;

        assert_ptr_equal(cookie, &r->lies);
        r->result = answer->result;
        assert_true((answer->result == UPLINK_OK) == (answer->report != NULL));
        r->points = answer->report ? (unsigned) answer->report->n_points : 0;
        r->examined = true;
}

static UplinkResult examine_and_wait(Rig *r) {
        int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(folder >= 0);
        r->examined = false;
        assert_int_equal(uplink_examine(r->client, folder, examined, &r->lies), 0);
        fd_close(folder);
        wait_for(r, r->examined);
        return r->result;
}

static void test_report_of_the_store_is_what_it_can_be_or_none(void **state) {
        static const Lies lies[] = {
                { .strength = "strong" }, { .verdict = "splendid" }, { .point_text = "\x1b[2J" }, { .wrong_signature = true },
                { .error = WIRE_UPLINK_E_GONE },
        };
        Rig *r = rig_connected();

        (void) state;
        assert_int_equal(examine_and_wait(r), UPLINK_OK);
        assert_int_equal(r->points, 1);
        /* Nobody knows yet. */
        r->lies = (Lies){ .strength = "", .points = WIRE_POINTS_MAX + 1 };
        assert_int_equal(examine_and_wait(r), UPLINK_OK);
        assert_int_equal(r->points, WIRE_POINTS_MAX);
        for (size_t i = 0; i < ELEMENTSOF(lies); i++) {
                r->lies = lies[i];
                assert_int_equal(examine_and_wait(r), UPLINK_INVALID);
        }
        rig_free(r);
}

static void test_receipt_for_anything_else_is_no_receipt(void **state) {
        static const Lies lies[] = {
                { .size_off = 1 },
                { .size_off = -1 },
                { .wrong_digest = true },
                { .short_digest = true },
                { .object = "" },
                { .manifest = "" },
                { .object = "objects/\n" },
                { .version = "\x1b[2J" },
                { .strength = "strong" },
                { .strength = "" },
                { .time = -1 },
                { .time = INT64_MAX },
                { .wrong_signature = true },
                { .error = "org.example.Surprise" },
                { .error = WIRE_UPLINK_E_GONE },
                { .error = WIRE_UPLINK_E_INVALID },
        };
        Rig *r = rig_connected();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(lies); i++) {
                r->lies = lies[i];
                if (rig_put_and_wait(r) != UPLINK_INVALID)
                        fail_msg("lie %zu was answered by %s: %s", i, uplink_result_to_string(r->result), r->text);
                assert_true(r->text[0] && text_is_printable(r->text));
        }
        r->lies = (Lies){ 0 };
        assert_int_equal(rig_put_and_wait(r), UPLINK_OK);
        assert_int_equal(r->connections, 1);
        rig_free(r);
}

static void test_busy_store_names_a_time_or_none(void **state) {
        static const struct {
                const char *busy;
                uint64_t retry_after, usec;
        } cases[] = {
                { "t", 7, 7 * USEC_PER_SEC },
                { "t", 0, 0 },
                { "t", UINT64_MAX, 24 * 3600 * USEC_PER_SEC },
                { NULL, 0, 0 },
                { "s", 0, 0 },
        };
        Rig *r = rig_connected();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                r->lies = (Lies){ .error = WIRE_UPLINK_E_BUSY, .busy = cases[i].busy, .retry_after = cases[i].retry_after };
                assert_int_equal(rig_put_and_wait(r), UPLINK_BUSY);
                assert_true(r->retry_after_usec == cases[i].usec);
                assert_string_equal(r->text, "slow down");
        }
        rig_free(r);
}

static void test_errors_keep_their_meaning_and_their_texts_are_cut(void **state) {
        static const struct {
                const char *name;
                UplinkResult result;
        } errors[] = {
                { WIRE_UPLINK_E_UNAVAILABLE, UPLINK_UNAVAILABLE },
                { WIRE_UPLINK_E_FULL, UPLINK_FULL },
                { WIRE_UPLINK_E_SOURCE, UPLINK_SOURCE },
                { WIRE_UPLINK_E_CONFLICT, UPLINK_CONFLICT },
        };
        Rig *r = rig_connected();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
                r->lies = (Lies){ .error = errors[i].name, .error_text_size = 15000 };
                assert_int_equal(rig_put_and_wait(r), errors[i].result);
                assert_true(strlen(r->text) < 512 && text_is_printable(r->text));
                assert_int_equal(rig_confirm_and_wait(r), errors[i].result);
        }
        r->lies = (Lies){ .error = WIRE_UPLINK_E_GONE };
        assert_int_equal(rig_confirm_and_wait(r), UPLINK_GONE);
        r->lies = (Lies){ .strength = "strong" };
        assert_int_equal(rig_confirm_and_wait(r), UPLINK_INVALID);
        r->lies = (Lies){ .wrong_signature = true };
        assert_int_equal(rig_confirm_and_wait(r), UPLINK_INVALID);
        rig_free(r);
}

static void test_lost_connection_answers_all_calls_and_is_made_anew(void **state) {
        Rig *r = rig_connected();

        (void) state;
        r->lies.silent = true;
        rig_put(r, false);
        rig_put(r, false);
        r->lies = (Lies){ .hang_up = true };
        rig_put(r, false);
        wait_for(r, r->puts_done == 3);
        assert_int_equal(r->result, UPLINK_UNAVAILABLE);
        r->lies = (Lies){ 0 };
        wait_for(r, r->connections == 2 && text_equal(r->state, WIRE_STORE_READY));
        assert_int_equal(rig_put_and_wait(r), UPLINK_OK);
        rig_free(r);
}

static void test_free_with_calls_outstanding_calls_nobody(void **state) {
        Rig *r = rig_connected();

        (void) state;
        r->lies.silent = true;
        rig_put(r, false);
        uplink_forget(r->client, &r->lies);
        rig_put(r, false);
        r->client = uplink_free(r->client);
        for (unsigned i = 0; i < 5; i++)
                assert_true(sd_event_run(r->event, USEC_PER_MSEC) >= 0);
        assert_int_equal(r->puts_done, 0);
        rig_free(r);
}

static void test_state_that_does_not_exist_ends_the_connection(void **state) {
        Rig *r = rig_new();

        (void) state;
        r->lies.state = "excellent";
        wait_for(r, r->connections >= 2);
        assert_string_equal(r->state, "disconnected");
        assert_non_null(strstr(r->reason, "state that does not exist"));
        assert_int_equal(rig_put_and_wait(r), UPLINK_UNAVAILABLE);
        r->lies.state = WIRE_STORE_FULL;
        wait_for(r, text_equal(r->state, WIRE_STORE_FULL));
        rig_free(r);
}

static void test_progress_is_for_clips_that_are_under_way_and_bounded(void **state) {
        Rig *r = rig_connected();

        (void) state;
        r->lies.silent = true;
        rig_put(r, false);
        assert_true(sd_bus_emit_signal(r->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Progress", "tt", UINT64_C(1), SIZE) >= 0);
        assert_true(sd_bus_emit_signal(r->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Progress", "s", "nonsense") >= 0);
        assert_true(sd_bus_emit_signal(r->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Progress", "tt", (uint64_t) CLIP_ID,
                                       UINT64_MAX) >= 0);
        wait_for(r, r->progress == 1);
        assert_int_equal(r->progress_bytes, SIZE);
        rig_free(r);
}

/* Sends until the client ends the connection. */
static void flood(const char *text, bool as_signals) {
        Rig *r = rig_connected();
        unsigned sent = 0;

        while (r->connections < 2 && sent < 100000) {
                int k;

                for (unsigned i = 0; i < 100 && sd_bus_is_open(r->bus) > 0; i++, sent++) {
                        k = as_signals ? sd_bus_emit_signal(r->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "StateChanged", "ss",
                                                            WIRE_STORE_READY, text) :
                                         sd_bus_call_method_async(r->bus, NULL, NULL, "/", "a.b", "C", NULL, NULL, "s", text);
                        if (k < 0)
                                break;
                }
                assert_true(sd_event_run(r->event, USEC_PER_MSEC) >= 0);
        }
        wait_for(r, r->connections >= 2);
        wait_for(r, text_equal(r->state, WIRE_STORE_READY));
        assert_int_equal(rig_put_and_wait(r), UPLINK_OK);
        rig_free(r);
}

static void test_floods_oversize_and_calls_end_the_connection(void **state) {
        _cleanup_(freep) char *large = malloc(WIRE_MESSAGE_MAX + 1);

        (void) state;
        assert_non_null(large);
        memset(large, 'x', WIRE_MESSAGE_MAX);
        large[WIRE_MESSAGE_MAX] = 0;
        flood("x", true);
        flood(large, true);
        flood("x", false);
}

static void test_reply_that_nobody_asked_for_ends_the_connection(void **state) {
        /* To a call of serial 77. */
        static const uint8_t reply[] = { 'l', 2, 1, 1, 0, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 5, 1, 'u', 0, 77, 0, 0, 0 };
        Rig *r = rig_connected();

        (void) state;
        assert_int_equal(write(sd_bus_get_fd(r->bus), reply, sizeof(reply)), sizeof(reply));
        wait_for(r, r->connections >= 2);
        rig_free(r);
}

static void test_socket_path_is_checked(void **state) {
        static const UplinkOps ops = { 0 };
        char path[200];
        sd_event *event = NULL;
        Uplink *u = NULL;

        (void) state;
        assert_true(sd_event_new(&event) >= 0);
        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[sizeof(path) - 1] = 0;
        assert_int_equal(uplink_new(event, path, &ops, NULL, &u), -EINVAL);
        assert_int_equal(uplink_new(event, "relative", &ops, NULL, &u), -EINVAL);
        sd_event_unref(event);
}

static void begin_to_grow(Rig *r) {
        unsigned before = r->puts_done;

        rig_put(r, true);
        wait_for(r, r->grow || r->puts_done > before);
}

static void test_clip_that_grows_has_its_receipt_after_it_is_sealed(void **state) {
        Rig *r = rig_connected();

        (void) state;
        begin_to_grow(r);
        uplink_grown(r->client, &r->lies, 500);
        wait_for(r, r->grown_bytes == 500);
        assert_int_equal(r->puts_done, 0);
        assert_int_equal(uplink_seal(r->client, &r->lies, SIZE, &promised, "{}"), 0);
        wait_for(r, r->puts_done == 1);
        assert_int_equal(r->result, UPLINK_OK);
        /* What comes too late is heard by nobody. */
        uplink_grown(r->client, &r->lies, 600);
        uplink_stop(r->client, &r->lies, true);
        assert_int_equal(uplink_seal(r->client, &r->lies, SIZE, &promised, "{}"), 0);
        assert_int_equal(rig_put_and_wait(r), UPLINK_OK);
        assert_int_equal(r->connections, 1);
        rig_free(r);
}

static void test_receipt_before_the_seal_or_for_other_bytes_is_none(void **state) {
        Rig *r = rig_connected();

        (void) state;
        r->lies = (Lies){ .early = true };
        begin_to_grow(r);
        wait_for(r, r->puts_done == 1);
        assert_int_equal(r->result, UPLINK_INVALID);
        r->lies = (Lies){ .wrong_digest = true };
        begin_to_grow(r);
        assert_int_equal(uplink_seal(r->client, &r->lies, SIZE, &promised, "{}"), 0);
        wait_for(r, r->puts_done == 2);
        assert_int_equal(r->result, UPLINK_INVALID);
        rig_free(r);
}

static void test_stopped_and_whole_are_answers_of_their_own(void **state) {
        Rig *r = rig_connected();

        (void) state;
        begin_to_grow(r);
        uplink_stop(r->client, &r->lies, true);
        wait_for(r, r->puts_done == 1);
        assert_int_equal(r->result, UPLINK_STOPPED);
        assert_true(r->stopped_now);
        r->lies = (Lies){ .error = WIRE_UPLINK_E_WHOLE };
        begin_to_grow(r);
        wait_for(r, r->puts_done == 2);
        assert_int_equal(r->result, UPLINK_WHOLE);
        /* Of a whole clip that makes no sense. */
        assert_int_equal(rig_put_and_wait(r), UPLINK_INVALID);
        rig_free(r);
}

static void test_order_to_hold_is_told_again_to_an_uplink_that_comes_back(void **state) {
        Rig *r = rig_connected();

        (void) state;
        uplink_hold(r->client, true);
        wait_for(r, r->held);
        r->held = false;
        r->lies = (Lies){ .hang_up = true };
        (void) rig_put_and_wait(r);
        r->lies = (Lies){ 0 };
        wait_for(r, r->connections == 2 && r->held);
        uplink_hold(r->client, false);
        wait_for(r, !r->held);
        rig_free(r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_right_receipt_is_taken),
                cmocka_unit_test(test_receipt_for_anything_else_is_no_receipt),
                cmocka_unit_test(test_report_of_the_store_is_what_it_can_be_or_none),
                cmocka_unit_test(test_busy_store_names_a_time_or_none),
                cmocka_unit_test(test_errors_keep_their_meaning_and_their_texts_are_cut),
                cmocka_unit_test(test_lost_connection_answers_all_calls_and_is_made_anew),
                cmocka_unit_test(test_free_with_calls_outstanding_calls_nobody),
                cmocka_unit_test(test_state_that_does_not_exist_ends_the_connection),
                cmocka_unit_test(test_progress_is_for_clips_that_are_under_way_and_bounded),
                cmocka_unit_test(test_floods_oversize_and_calls_end_the_connection),
                cmocka_unit_test(test_reply_that_nobody_asked_for_ends_the_connection),
                cmocka_unit_test(test_socket_path_is_checked),
                cmocka_unit_test(test_clip_that_grows_has_its_receipt_after_it_is_sealed),
                cmocka_unit_test(test_receipt_before_the_seal_or_for_other_bytes_is_none),
                cmocka_unit_test(test_stopped_and_whole_are_answers_of_their_own),
                cmocka_unit_test(test_order_to_hold_is_told_again_to_an_uplink_that_comes_back),
        };

        log_init("test_uplink_client");
        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
