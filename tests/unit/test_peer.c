/* SPDX-License-Identifier: Apache-2.0 */

/* The bounded way in, with this test as the worker at the other end. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/wire_bay.h"
#include "service/peer.h"
#include "service/peer_header.h"

#define AUTH "DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n"
#define DEADLINE_USEC (60 * USEC_PER_SEC)

typedef struct Fixture {
        sd_event *event;
        Peer *peer;
        int worker; /* this test's end */
        unsigned breaches, closes;
        char text[512];
        unsigned signals; /* that sd-bus dispatched */
} Fixture;

static void on_breach(void *userdata, const char *text) {
        Fixture *f = userdata;

        f->breaches++;
        (void) snprintf(f->text, sizeof(f->text), "%s", text);
}

static void on_closed(void *userdata) {
        Fixture *f = userdata;

        f->closes++;
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Fixture *f = userdata;

        (void) error;
        f->signals += sd_bus_message_is_signal(m, WIRE_BAY_INTERFACE, NULL) > 0;
        return 1;
}

static int set_up(void **state) {
        static const PeerOps ops = { .on_breach = on_breach, .on_closed = on_closed };
        Fixture *f = calloc(1, sizeof(Fixture));
        int pair[2];

        assert_non_null(f);
        assert_int_equal(sd_event_new(&f->event), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        f->worker = pair[1];
        assert_int_equal(peer_new(f->event, pair[0], &ops, f, &f->peer), 0);
        assert_true(sd_bus_add_filter(peer_bus(f->peer), NULL, on_message, f) >= 0);
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        Fixture *f = *state;

        peer_free(f->peer);
        fd_close(f->worker);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

/* Turns the loop until nothing happens any more. */
static void settle(Fixture *f) {
        while (sd_event_run(f->event, 0) > 0)
                ;
}

/* Sends as the worker, giving the loop its turns. false when the peer does not read any more. */
static bool send_bytes(Fixture *f, const void *data, size_t size) {
        uint64_t until = clock_boottime_usec() + DEADLINE_USEC;
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = send(f->worker, p, size, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n > 0) {
                        p += n;
                        size -= (size_t) n;
                } else if (f->breaches > 0 || errno != EAGAIN)
                        return false;
                settle(f);
                assert_true(clock_boottime_usec() < until);
        }
        settle(f);
        return true;
}

/* ---- Messages ---- */

typedef struct Message {
        uint8_t bytes[4096];
        size_t size;
} Message;

static void put(Message *m, const void *data, size_t size) {
        assert_true(m->size + size <= sizeof(m->bytes));
        memcpy(m->bytes + m->size, data, size);
        m->size += size;
}

static void put_u32(Message *m, uint32_t v) {
        put(m, &v, sizeof(v));
}

static void pad(Message *m) {
        while (m->size % 8 != 0)
                put(m, "", 1);
}

static void begin(Message *m, uint8_t type) {
        m->size = 0;
        put(m, (const uint8_t[]){ __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B', type, 1, 1 }, 4);
        put_u32(m, 0);
        put_u32(m, 1);
        put_u32(m, 0);
}

static void field(Message *m, uint8_t code, char type, const char *text) {
        pad(m);
        put(m, (const uint8_t[]){ code, 1, (uint8_t) type, 0 }, 4);
        if (type == 'g')
                put(m, (const uint8_t[]){ (uint8_t) strlen(text) }, 1);
        else
                put_u32(m, (uint32_t) strlen(text));
        put(m, text, strlen(text) + 1);
}

static void field_u32(Message *m, uint8_t code, uint32_t value) {
        pad(m);
        put(m, (const uint8_t[]){ code, 1, 'u', 0 }, 4);
        put_u32(m, value);
}

/* `body` bytes will follow. */
static void end(Message *m, uint32_t body) {
        uint32_t fields = (uint32_t) m->size - 16;

        pad(m);
        memcpy(m->bytes + 4, &body, sizeof(body));
        memcpy(m->bytes + 12, &fields, sizeof(fields));
}

static void make_signal(Message *m, const char *signature, uint32_t body) {
        begin(m, PEER_SIGNAL);
        field(m, 1, 'o', WIRE_BAY_PATH);
        field(m, 2, 's', WIRE_BAY_INTERFACE);
        field(m, 3, 's', "Alive");
        if (signature)
                field(m, 8, 'g', signature);
        end(m, body);
}

static void make_reply(Message *m, uint32_t serial) {
        begin(m, PEER_REPLY);
        field_u32(m, 5, serial);
        end(m, 0);
}

static void authenticate(Fixture *f) {
        assert_true(send_bytes(f, AUTH, strlen(AUTH)));
        assert_int_equal(f->breaches, 0);
}

/* ---- What passes ---- */

static void test_whole_messages_pass(void **state) {
        Fixture *f = *state;
        Message m;

        authenticate(f);
        make_signal(&m, NULL, 0);
        for (unsigned i = 0; i < 100; i++)
                assert_true(send_bytes(f, m.bytes, m.size));
        assert_int_equal(f->signals, 100);
        assert_int_equal(f->breaches, 0);
}

static void test_messages_may_come_in_pieces_of_any_size(void **state) {
        Fixture *f = *state;
        Message m;

        for (size_t i = 0; i < strlen(AUTH); i++)
                assert_true(send_bytes(f, AUTH + i, 1));
        make_signal(&m, NULL, 0);
        for (size_t piece = 1; piece <= m.size; piece++)
                for (size_t at = 0; at < m.size; at += piece)
                        assert_true(send_bytes(f, m.bytes + at, MIN2(piece, m.size - at)));
        assert_int_equal(f->signals, m.size);
        assert_int_equal(f->breaches, 0);
}

static void test_authentication_and_messages_may_come_together(void **state) {
        uint8_t bytes[4096];
        Fixture *f = *state;
        size_t n = strlen(AUTH);
        Message m;

        make_signal(&m, NULL, 0);
        memcpy(bytes, AUTH, n);
        memcpy(bytes + n, m.bytes, m.size);
        memcpy(bytes + n + m.size, m.bytes, m.size / 2);
        assert_true(send_bytes(f, bytes, n + m.size + m.size / 2));
        assert_true(send_bytes(f, m.bytes + m.size / 2, m.size - m.size / 2));
        assert_int_equal(f->signals, 2);
}

/* sd-bus reads what the peer hands on only in its turn, and in small pieces: the peer must wait and not lose anything. */
static void test_largest_messages_pass_whole(void **state) {
        static uint8_t body[WIRE_MESSAGE_MAX];
        Fixture *f = *state;
        Message m;

        authenticate(f);
        make_signal(&m, "ay", 0);
        make_signal(&m, "ay", (uint32_t) (WIRE_MESSAGE_MAX - m.size));
        *(uint32_t *) body = (uint32_t) (WIRE_MESSAGE_MAX - m.size - 4);
        for (unsigned i = 0; i < 8; i++) {
                assert_true(send_bytes(f, m.bytes, m.size));
                assert_true(send_bytes(f, body, WIRE_MESSAGE_MAX - m.size));
        }
        assert_int_equal(f->signals, 8);
        assert_int_equal(f->breaches, 0);
}

static void test_reply_passes_once_for_each_call(void **state) {
        Fixture *f = *state;
        Message m;

        authenticate(f);
        make_reply(&m, 1);
        peer_expect_reply(f->peer);
        assert_true(send_bytes(f, m.bytes, m.size));
        assert_int_equal(f->breaches, 0);
        (void) send_bytes(f, m.bytes, m.size);
        assert_int_equal(f->breaches, 1);
        assert_non_null(strstr(f->text, "nobody asked"));
}

static void test_end_of_the_worker_is_told_once_after_its_last_message(void **state) {
        Fixture *f = *state;
        Message m;

        authenticate(f);
        make_signal(&m, NULL, 0);
        assert_int_equal(send(f->worker, m.bytes, m.size, 0), m.size);
        f->worker = fd_close(f->worker);
        settle(f);
        assert_int_equal(f->signals, 1);
        assert_int_equal(f->closes, 1);
        assert_int_equal(f->breaches, 0);
}

/* ---- What does not ---- */

static void test_authentication_is_two_lines_and_nothing_else(void **state) {
        static const char *const wrong[] = {
                "REJECTED EXTERNAL\r\n",
                "OK\r\n",
                "OK 0123456789abcdef0123456789abcde\r\n",
                "OK 0123456789abcdef0123456789abcdef0\r\n",
                "AGREE_UNIX_FD\r\n",
                "DATA\r\nDATA\r\n",
                "ERROR no\r\n",
                "\r\n",
                "l\4\1\1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                Fixture *f = *state;

                (void) send_bytes(f, wrong[i], strlen(wrong[i]));
                if (f->breaches != 1)
                        fail_msg("%s: %u breaches", wrong[i], f->breaches);
                (void) tear_down(state);
                (void) set_up(state);
        }
}

static void test_after_a_breach_nothing_passes_and_nothing_is_told_again(void **state) {
        Fixture *f = *state;
        Message m;

        authenticate(f);
        make_signal(&m, NULL, 0);
        assert_true(send_bytes(f, m.bytes, m.size));
        (void) send_bytes(f, "garbage that is no message", 26);
        assert_int_equal(f->breaches, 1);
        for (unsigned i = 0; i < 10; i++)
                (void) send_bytes(f, m.bytes, m.size);
        f->worker = fd_close(f->worker);
        settle(f);
        assert_int_equal(f->breaches, 1);
        assert_int_equal(f->closes, 0);
        assert_int_equal(f->signals, 1);
}

static void test_message_over_the_limit_is_refused_by_its_header(void **state) {
        Fixture *f = *state;
        Message m;

        authenticate(f);
        make_signal(&m, "ay", 0);
        make_signal(&m, "ay", (uint32_t) (WIRE_MESSAGE_MAX - m.size + 1));
        (void) send_bytes(f, m.bytes, PEER_HEADER_SIZE);
        assert_int_equal(f->breaches, 1);
}

/* Signals as fast as the loop takes them, until the peer has enough. */
static unsigned flood(Fixture *f, const void *data, size_t size, unsigned most) {
        unsigned n = 0;

        while (n < most && f->breaches == 0 && send_bytes(f, data, size))
                n++;
        return n;
}

static void test_flood_of_signals_is_a_breach(void **state) {
        uint64_t begun = clock_boottime_usec(), seconds;
        Fixture *f = *state;
        unsigned sent;
        Message m;

        authenticate(f);
        make_signal(&m, NULL, 0);
        sent = flood(f, m.bytes, m.size, 1000000);
        seconds = (clock_boottime_usec() - begun) / USEC_PER_SEC + 1;
        assert_int_equal(f->breaches, 1);
        assert_true(sent >= WIRE_BURST_MESSAGES && sent <= WIRE_BURST_MESSAGES + seconds * WIRE_MESSAGES_PER_SEC);
}

static void test_flood_of_bytes_is_a_breach(void **state) {
        static uint8_t bytes[WIRE_MESSAGE_MAX];
        uint64_t begun = clock_boottime_usec(), seconds;
        Fixture *f = *state;
        uint64_t sent;
        Message m;

        authenticate(f);
        make_signal(&m, "ay", 0);
        make_signal(&m, "ay", (uint32_t) (WIRE_MESSAGE_MAX - m.size));
        memcpy(bytes, m.bytes, m.size);
        *(uint32_t *) (bytes + m.size) = (uint32_t) (WIRE_MESSAGE_MAX - m.size - 4);
        sent = flood(f, bytes, sizeof(bytes), 10000) * (uint64_t) WIRE_MESSAGE_MAX;
        seconds = (clock_boottime_usec() - begun) / USEC_PER_SEC + 1;
        assert_int_equal(f->breaches, 1);
        assert_true(sent >= WIRE_BURST_BYTES && sent <= WIRE_BURST_BYTES + seconds * WIRE_BYTES_PER_SEC);
}

/* ---- Headers ---- */

/* A right signal with one thing changed. */
typedef struct Change {
        const char *name;
        void (*make)(Message *m);
} Change;

static void no_fields(Message *m) {
        begin(m, PEER_SIGNAL);
        end(m, 0);
}
static void other_path(Message *m) {
        begin(m, PEER_SIGNAL);
        field(m, 1, 'o', "/org/freedesktop/DBus/Local");
        field(m, 2, 's', WIRE_BAY_INTERFACE);
        field(m, 3, 's', "Alive");
        end(m, 0);
}
static void other_interface(Message *m) {
        begin(m, PEER_SIGNAL);
        field(m, 1, 'o', WIRE_BAY_PATH);
        field(m, 2, 's', "org.freedesktop.DBus.Local");
        field(m, 3, 's', "Disconnected");
        end(m, 0);
}
static void wrong_type(Message *m) {
        begin(m, PEER_SIGNAL);
        field(m, 1, 's', WIRE_BAY_PATH);
        field(m, 2, 's', WIRE_BAY_INTERFACE);
        field(m, 3, 's', "Alive");
        end(m, 0);
}
static void field_twice(Message *m) {
        begin(m, PEER_SIGNAL);
        field(m, 1, 'o', WIRE_BAY_PATH);
        field(m, 2, 's', WIRE_BAY_INTERFACE);
        field(m, 3, 's', "Alive");
        field(m, 3, 's', "Alive");
        end(m, 0);
}
static void bad_member(Message *m) {
        begin(m, PEER_SIGNAL);
        field(m, 1, 'o', WIRE_BAY_PATH);
        field(m, 2, 's', WIRE_BAY_INTERFACE);
        field(m, 3, 's', "2much");
        end(m, 0);
}
static void sender(Message *m) {
        make_signal(m, NULL, 0);
        m->size = m->size / 8 * 8;
        begin(m, PEER_SIGNAL);
        field(m, 1, 'o', WIRE_BAY_PATH);
        field(m, 2, 's', WIRE_BAY_INTERFACE);
        field(m, 3, 's', "Alive");
        field(m, 7, 's', ":1.1");
        end(m, 0);
}
static void descriptors(Message *m) {
        begin(m, PEER_SIGNAL);
        field(m, 1, 'o', WIRE_BAY_PATH);
        field(m, 2, 's', WIRE_BAY_INTERFACE);
        field(m, 3, 's', "Alive");
        field_u32(m, 9, 3);
        end(m, 0);
}
static void serial_zero(Message *m) {
        make_signal(m, NULL, 0);
        memset(m->bytes + 8, 0, 4);
}
static void body_without_type(Message *m) {
        make_signal(m, NULL, 8);
        put(m, "12345678", 8);
}
static void bad_signature(Message *m) {
        make_signal(m, "h", 0);
}
static void string_beyond_the_end(Message *m) {
        uint32_t huge = UINT32_MAX - 8;

        make_signal(m, NULL, 0);
        memcpy(m->bytes + 16 + 4, &huge, sizeof(huge));
}
static void string_with_nul(Message *m) {
        make_signal(m, NULL, 0);
        m->bytes[16 + 8 + 3] = 0;
}
static void string_without_nul(Message *m) {
        make_signal(m, NULL, 0);
        m->bytes[16 + 8 + strlen(WIRE_BAY_PATH)] = 'x';
}
static void dirty_padding(Message *m) {
        make_signal(m, NULL, 0);
        m->bytes[16 + 8 + 2 * strlen(WIRE_BAY_INTERFACE) + 40] = 0;
        m->bytes[m->size - 1] = 1;
}
static void fields_cut(Message *m) {
        uint32_t fields;

        make_signal(m, NULL, 0);
        memcpy(&fields, m->bytes + 12, sizeof(fields));
        fields -= 3;
        memcpy(m->bytes + 12, &fields, sizeof(fields));
}
static void method_call(Message *m) {
        make_signal(m, NULL, 0);
        m->bytes[1] = 1;
}
static void no_type(Message *m) {
        make_signal(m, NULL, 0);
        m->bytes[1] = 0;
}
static void other_endian(Message *m) {
        make_signal(m, NULL, 0);
        m->bytes[0] = m->bytes[0] == 'l' ? 'B' : 'l';
}
static void gvariant(Message *m) {
        make_signal(m, NULL, 0);
        m->bytes[3] = 2;
}
static void reply_to_zero(Message *m) {
        make_reply(m, 0);
}
static void reply_to_nothing(Message *m) {
        begin(m, PEER_REPLY);
        end(m, 0);
}
static void error_without_name(Message *m) {
        make_reply(m, 1);
        m->bytes[1] = PEER_ERROR;
}
static void error_with_odd_name(Message *m) {
        begin(m, PEER_ERROR);
        field(m, 4, 's', "x");
        field_u32(m, 5, 1);
        end(m, 0);
}
static void reply_with_error_name(Message *m) {
        begin(m, PEER_REPLY);
        field(m, 4, 's', WIRE_BAY_E_GONE);
        field_u32(m, 5, 1);
        end(m, 0);
}
static void reply_with_member(Message *m) {
        begin(m, PEER_REPLY);
        field(m, 3, 's', "Alive");
        field_u32(m, 5, 1);
        end(m, 0);
}
static void serial_cut(Message *m) {
        uint32_t fields = 6;

        make_reply(m, 1);
        memcpy(m->bytes + 12, &fields, sizeof(fields));
}

#define CHANGE(f) { #f, f }
static const Change changes[] = {
        CHANGE(no_fields), CHANGE(other_path), CHANGE(other_interface), CHANGE(wrong_type), CHANGE(field_twice), CHANGE(bad_member),
        CHANGE(sender), CHANGE(descriptors), CHANGE(serial_zero), CHANGE(body_without_type), CHANGE(bad_signature),
        CHANGE(string_beyond_the_end), CHANGE(string_with_nul), CHANGE(string_without_nul), CHANGE(dirty_padding), CHANGE(fields_cut),
        CHANGE(method_call), CHANGE(no_type), CHANGE(other_endian), CHANGE(gvariant), CHANGE(reply_to_zero), CHANGE(reply_to_nothing),
        CHANGE(error_without_name), CHANGE(error_with_odd_name), CHANGE(reply_with_error_name), CHANGE(reply_with_member),
        CHANGE(serial_cut),
};

static void test_header_that_a_worker_does_not_need_is_a_breach(void **state) {
        Message m;

        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                Fixture *f = *state;

                authenticate(f);
                peer_expect_reply(f->peer);
                changes[i].make(&m);
                (void) send_bytes(f, m.bytes, m.size);
                if (f->breaches != 1 || f->signals != 0)
                        fail_msg("%s: %u breaches, %u signals", changes[i].name, f->breaches, f->signals);
                (void) tear_down(state);
                (void) set_up(state);
        }
}

static void test_right_headers_are_right(void **state) {
        Message m;

        (void) state;
        make_signal(&m, NULL, 0);
        assert_null(peer_header_check(m.bytes, m.size));
        make_reply(&m, 7);
        assert_null(peer_header_check(m.bytes, m.size));
        begin(&m, PEER_ERROR);
        field(&m, 4, 's', WIRE_BAY_E_GONE);
        field_u32(&m, 5, 1);
        field(&m, 8, 'g', "s");
        end(&m, 0);
        assert_null(peer_header_check(m.bytes, m.size));
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(test_whole_messages_pass),
                TEST(test_messages_may_come_in_pieces_of_any_size),
                TEST(test_authentication_and_messages_may_come_together),
                TEST(test_largest_messages_pass_whole),
                TEST(test_reply_passes_once_for_each_call),
                TEST(test_end_of_the_worker_is_told_once_after_its_last_message),
                TEST(test_authentication_is_two_lines_and_nothing_else),
                TEST(test_after_a_breach_nothing_passes_and_nothing_is_told_again),
                TEST(test_message_over_the_limit_is_refused_by_its_header),
                TEST(test_flood_of_signals_is_a_breach),
                TEST(test_flood_of_bytes_is_a_breach),
                TEST(test_header_that_a_worker_does_not_need_is_a_breach),
                TEST(test_right_headers_are_right),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
