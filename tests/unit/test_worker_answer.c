/* SPDX-License-Identifier: Apache-2.0 */

/* What a worker that was taken over may answer, and what is made of it: service/worker_answer.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macro.h"
#include "service/worker_answer.h"

/* A bus that never says anything: messages need one to belong to. */
static int setup(void **state) {
        sd_bus *bus = NULL;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 || sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 ||
            sd_bus_start(bus) < 0)
                return -1;
        *state = bus;
        return 0;
}

static int teardown(void **state) {
        sd_bus_close(*state);
        sd_bus_unref(*state);
        return 0;
}

static sd_bus_message *call(sd_bus *bus) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_method_call(bus, &m, NULL, WIRE_BAY_PATH, WIRE_BAY_INTERFACE, "Pull") >= 0);
        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        return m;
}

static sd_bus_message *sealed(sd_bus_message *m) {
        assert_true(sd_bus_message_seal(m, 2, 0) >= 0 && sd_bus_message_rewind(m, true) >= 0);
        return m;
}

/* ---- Unreadable bytes ---- */

static sd_bus_message *unreadable(sd_bus *bus, const ByteRange *ranges, size_t n) {
        sd_bus_message *c = call(bus), *m = NULL;

        assert_true(sd_bus_message_new_method_error(c, &m, &SD_BUS_ERROR_MAKE_CONST(WIRE_BAY_E_UNREADABLE, "why")) >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "(tt)") >= 0);
        for (size_t i = 0; i < n; i++)
                assert_true(sd_bus_message_append(m, "(tt)", ranges[i].offset, ranges[i].length) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        sd_bus_message_unref(c);
        return sealed(m);
}

static int parse(sd_bus *bus, const ByteRange *ranges, size_t n, WorkerUnreadable *ret) {
        sd_bus_message *m = unreadable(bus, ranges, n);
        WorkerResult result;
        WorkerWhy why;
        int r;

        assert_int_equal(answer_error(sd_bus_message_get_error(m), &result, &why), 0);
        assert_int_equal(result, WORKER_UNREADABLE);
        assert_string_equal(why.text, "why");
        r = answer_unreadable(m, 10000, ret, &why);
        sd_bus_message_unref(m);
        return r;
}

static void test_ranges_come_as_they_were_sent(void **state) {
        static const ByteRange two[] = { { 0, 512 }, { 9488, 512 } };
        WorkerUnreadable u;

        assert_int_equal(parse(*state, two, 2, &u), 0);
        assert_int_equal(u.n, 2);
        assert_memory_equal(u.ranges, two, sizeof(two));
}

static void test_ranges_that_cannot_be_break_the_rules(void **state) {
        static const ByteRange bad[][2] = {
                { { 512, 512 }, { 0, 512 } },  { { 0, 512 }, { 512, 1 } },         { { 0, 0 }, { 512, 1 } },
                { { 0, 512 }, { 9488, 513 } }, { { 0, 512 }, { 10000, 1 } },       { { 0, 512 }, { 600, UINT64_MAX } },
                { { 5, UINT64_MAX }, { 3, 2 } }, { { UINT64_MAX, 1 }, { 0, 1 } },
        };
        static ByteRange many[BERTH_UNREADABLE_MAX + 1];
        WorkerUnreadable u;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(parse(*state, bad[i], 2, &u), -EBADMSG);
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = (ByteRange){ i * 10, 1 };
        assert_int_equal(parse(*state, many, ELEMENTSOF(many), &u), -EBADMSG);
        assert_int_equal(parse(*state, many, 0, &u), -EBADMSG);
        assert_int_equal(parse(*state, many, BERTH_UNREADABLE_MAX, &u), 0);
}

static void test_error_without_its_ranges_breaks_the_rules(void **state) {
        sd_bus_message *c = call(*state), *m = NULL;
        WorkerUnreadable u;
        WorkerWhy why;

        assert_true(sd_bus_message_new_method_errorf(c, &m, WIRE_BAY_E_UNREADABLE, "why") >= 0);
        assert_int_equal(answer_unreadable(sealed(m), 10000, &u, &why), -EBADMSG);
        sd_bus_message_unref(m);
        sd_bus_message_unref(c);
}

/* ---- Copies ---- */

typedef struct Told {
        const char *format, *verdict, *reason;
        uint64_t offset, duration;
        int64_t recorded;
} Told;

static int parse_copy(sd_bus *bus, const Told *t, WorkerCopy *ret) {
        sd_bus_message *c = call(bus), *m = NULL;
        static const uint8_t digest[DIGEST_SIZE] = { 1 };
        WorkerWhy why;
        int r;

        assert_true(sd_bus_message_new_method_return(c, &m) >= 0);
        assert_true(sd_bus_message_append(m, "t", UINT64_C(1000)) >= 0);
        for (int i = 0; i < 3; i++)
                assert_true(sd_bus_message_append_array(m, 'y', digest, sizeof(digest)) >= 0);
        assert_true(sd_bus_message_append(m, "sstxts", t->format, t->verdict, t->offset, t->recorded, t->duration, t->reason) >= 0);
        r = answer_copy(sealed(m), ret, &why);
        sd_bus_message_unref(m);
        sd_bus_message_unref(c);
        return r;
}

#define UNKNOWN .recorded = CONTAINER_TIME_UNKNOWN

static void test_container_is_what_the_worker_says_within_bounds(void **state) {
        static const Told good[] = {
                { "none", "unchecked", "", UNKNOWN },
                { "mp4", "incomplete", "no moov", 1000, 5, CONTAINER_TIME_MIN },
                { "webm", "unchecked", "too many", 0, CONTAINER_DURATION_MAX_MSEC, CONTAINER_TIME_END - 1 },
        };
        static const Told bad[] = {
                { "gif", "complete", "", UNKNOWN }, { "mp4", "perfect", "", UNKNOWN }, { "none", "complete", "", UNKNOWN },
                { "mp4", "incomplete", "", UNKNOWN }, { "mp4", "incomplete", "\033[2J", UNKNOWN },
                { "mp4", "incomplete", "x", 1001, 0, CONTAINER_TIME_UNKNOWN },
                { "mp4", "complete", "", 0, CONTAINER_DURATION_MAX_MSEC + 1, CONTAINER_TIME_UNKNOWN },
                { "mp4", "complete", "", 0, 0, 0 }, { "mp4", "complete", "", 0, 0, CONTAINER_TIME_END },
        };
        char long_reason[CONTAINER_REASON_SIZE + 1];
        Told longer = { "mp4", "incomplete", long_reason, UNKNOWN };
        WorkerCopy copy;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(parse_copy(*state, &good[i], &copy), 0);
                assert_string_equal(copy.container.reason, good[i].reason);
                assert_string_equal(container_format_to_string(copy.container.format), good[i].format);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(parse_copy(*state, &bad[i], &copy), -EBADMSG);
        memset(long_reason, 'x', sizeof(long_reason) - 1);
        long_reason[sizeof(long_reason) - 1] = 0;
        assert_int_equal(parse_copy(*state, &longer, &copy), -EBADMSG);
}

/* ---- Samples ---- */

/* So many are sent, with digests of so many bytes, where `asked` are expected. */
static int parse_samples(sd_bus *bus, size_t n, size_t size, size_t asked, WorkerSample ret[static WIRE_SAMPLES_MAX]) {
        sd_bus_message *c = call(bus), *m = NULL;
        uint8_t digest[64];
        WorkerWhy why;
        int r;

        assert_true(sd_bus_message_new_method_return(c, &m) >= 0 && sd_bus_message_open_container(m, 'a', "(ayay)") >= 0);
        for (size_t i = 0; i < n; i++) {
                assert_true(sd_bus_message_open_container(m, 'r', "ayay") >= 0);
                for (size_t k = 0; k < 2; k++) {
                        memset(digest, (int) (2 * i + k), sizeof(digest));
                        assert_true(sd_bus_message_append_array(m, 'y', digest, size) >= 0);
                }
                assert_true(sd_bus_message_close_container(m) >= 0);
        }
        assert_true(sd_bus_message_close_container(m) >= 0);
        r = answer_samples(sealed(m), asked, ret, &why);
        sd_bus_message_unref(m);
        sd_bus_message_unref(c);
        return r;
}

static void test_samples_are_as_many_as_were_asked_for(void **state) {
        WorkerSample samples[WIRE_SAMPLES_MAX];

        for (size_t n = 0; n <= WIRE_SAMPLES_MAX; n++) {
                assert_int_equal(parse_samples(*state, n, DIGEST_SIZE, n, samples), 0);
                for (size_t i = 0; i < n; i++)
                        assert_true(samples[i].camera.bytes[31] == 2 * i && samples[i].part.bytes[0] == 2 * i + 1);
                assert_int_equal(parse_samples(*state, n + 1, DIGEST_SIZE, n, samples), -EBADMSG);
                if (n > 0)
                        assert_int_equal(parse_samples(*state, n - 1, DIGEST_SIZE, n, samples), -EBADMSG);
        }
        assert_int_equal(parse_samples(*state, 1, DIGEST_SIZE - 1, 1, samples), -EBADMSG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_ranges_come_as_they_were_sent),
                TEST(test_ranges_that_cannot_be_break_the_rules),
                TEST(test_error_without_its_ranges_breaks_the_rules),
                TEST(test_container_is_what_the_worker_says_within_bounds),
                TEST(test_samples_are_as_many_as_were_asked_for),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
