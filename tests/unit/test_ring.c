/* SPDX-License-Identifier: Apache-2.0 */

/* The ring between the camera's thread, the one that hashes and the one that writes; run under ThreadSanitizer as well. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bay/ring.h"

#define RUNS 500u

typedef struct Thread {
        Ring *ring;
        size_t least;              /* a hasher's */
        uint64_t seen, stop_after; /* fails the ring after so many bytes, when not 0 */
        bool in_order;
        int result;
} Thread;

static _Atomic unsigned wakes;

int __real_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_signal(pthread_cond_t *cond) {
        wakes++;
        return __real_pthread_cond_signal(cond);
}

/* No run of the ring's size has the same bytes at the same places. */
static uint8_t byte_at(uint64_t at) {
        return (uint8_t) (at * 31 + at / 1021);
}

static bool are_bytes_at(uint64_t at, const uint8_t *data, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (data[i] != byte_at(at + i))
                        return false;
        return true;
}

static void *pass_all(void *userdata) {
        Thread *t = userdata;
        const uint8_t *data;
        size_t size;

        t->in_order = true;
        while ((t->result = ring_peek(t->ring, t->least, &data, &size)) == 0 && size > 0) {
                t->in_order = t->in_order && are_bytes_at(t->seen, data, size);
                t->seen += size;
                ring_pass(t->ring, size);
                if (t->stop_after > 0 && t->seen >= t->stop_after)
                        (void) ring_fail(t->ring, -ENOSPC);
        }
        ring_pass_end(t->ring);
        return NULL;
}

static void *take_all(void *userdata) {
        Thread *t = userdata;
        bool ended = false;

        t->in_order = true;
        while (!ended && t->result == 0) {
                const uint8_t *data;
                size_t size;

                t->result = ring_take(t->ring, 8192, UINT64_MAX, &data, &size, &ended);
                if (t->result < 0)
                        break;
                /* As O_DIRECT wants it, but for the end. */
                t->in_order = t->in_order && (uintptr_t) data % 4096 == t->seen % 4096 && are_bytes_at(t->seen, data, size);
                size = size > 4096 ? size / 4096 * 4096 : size;
                t->seen += size;
                ring_consume(t->ring, size);
        }
        return NULL;
}

/* As a queued transfer does: of packets of 512, and up to the memory's end no more than one of them behind it. */
static int put(Ring *ring, uint64_t at, size_t size) {
        size_t most = (ring_straight(ring) + 511) / 512 * 512, n = MIN2((size + 511) / 512 * 512, most);
        uint8_t *place;
        int r = ring_reserve(ring, n, &place);

        if (r < 0)
                return r;
        size = MIN2(size, n);
        for (size_t i = 0; i < size; i++)
                place[i] = byte_at(at + i);
        r = ring_commit(ring, place, size);
        ring_release(ring);
        return r < 0 ? r : (int) size;
}

static void all_see_each_byte_in_order(size_t least) {
        Thread hasher, writer;
        pthread_t threads[2];
        Ring *ring = NULL;
        uint64_t at = 0;

        assert_int_equal(ring_new(&ring), 0);
        hasher = writer = (Thread){ .ring = ring, .least = least };
        assert_int_equal(pthread_create(&threads[0], NULL, pass_all, &hasher), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, take_all, &writer), 0);
        for (size_t i = 0; i < RUNS; i++) {
                int n = put(ring, at, 1 + i * 7919 % (RING_RUN_MAX - 1));

                assert_true(n > 0);
                at += (uint64_t) n;
        }
        ring_end(ring);
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(at > 10 * (uint64_t) RING_SIZE);
        assert_int_equal(hasher.seen, at);
        assert_int_equal(writer.seen, at);
        assert_true(hasher.in_order);
        assert_true(writer.in_order);
        assert_int_equal(hasher.result, 0);
        assert_int_equal(writer.result, 0);
        ring_free(ring);
}

static void test_all_see_each_byte_in_order(void **state) {
        (void) state;
        all_see_each_byte_in_order(1);
        all_see_each_byte_in_order(RING_HASH_LEAST);
}

static void *take_a_page(void *userdata) {
        Thread *t = userdata;
        const uint8_t *data;
        bool ended;
        size_t size;

        t->result = ring_take(t->ring, 4096, UINT64_MAX, &data, &size, &ended);
        t->seen = size;
        return NULL;
}

static void *peek_at_a_page(void *userdata) {
        Thread *t = userdata;
        const uint8_t *data;
        size_t size;

        t->result = ring_peek(t->ring, 4096, &data, &size);
        t->seen = size;
        return NULL;
}

static void test_nobody_is_woken_for_less_than_he_waits_for(void **state) {
        void *(*const waiting[])(void *) = { peek_at_a_page, take_a_page };

        (void) state;
        for (unsigned i = 0; i < 2; i++) {
                Thread waits;
                pthread_t thread;
                Ring *ring = NULL;

                assert_int_equal(ring_new(&ring), 0);
                waits = (Thread){ .ring = ring };
                wakes = 0;
                assert_int_equal(pthread_create(&thread, NULL, waiting[i], &waits), 0);
                for (uint64_t at = 0; at < 4096; at += 512) {
                        assert_int_equal(put(ring, at, 512), 512);
                        if (waiting[i] == take_a_page)
                                ring_pass(ring, 512);
                }
                assert_int_equal(pthread_join(thread, NULL), 0);
                assert_int_equal(waits.result, 0);
                assert_int_equal(waits.seen, 4096);
                /* None if all was there before he waited. */
                assert_true(wakes <= 1);
                ring_free(ring);
        }
}

static void test_ring_is_bounded(void **state) {
        Ring *ring = NULL;
        const uint8_t *data;
        uint8_t *place;
        size_t size;

        (void) state;
        assert_int_equal(ring_new(&ring), 0);
        for (uint32_t i = 0; i < RING_SIZE / RING_RUN_MAX; i++) {
                assert_int_equal(ring_try_reserve(ring, RING_RUN_MAX, &place), 0);
                assert_int_equal(ring_commit(ring, place, RING_RUN_MAX), 0);
        }
        assert_int_equal(ring_try_reserve(ring, 1, &place), -EAGAIN);
        /* Free again only when the writer, too, is done with it. */
        assert_int_equal(ring_peek(ring, 1, &data, &size), 0);
        assert_int_equal(size, RING_SIZE);
        ring_pass(ring, size);
        assert_int_equal(ring_try_reserve(ring, 1, &place), -EAGAIN);
        ring_consume(ring, 100);
        assert_int_equal(ring_try_reserve(ring, 101, &place), -EAGAIN);
        assert_int_equal(ring_try_reserve(ring, 100, &place), 0);
        ring_free(ring);
}

static void test_bytes_behind_the_end_of_the_memory_are_found_at_its_start(void **state) {
        const size_t before = RING_SIZE - 500;
        Ring *ring = NULL;
        const uint8_t *data;
        uint8_t *place;
        uint64_t at = 0;
        size_t size;

        (void) state;
        assert_int_equal(ring_new(&ring), 0);
        while (at < before)
                at += (uint64_t) put(ring, at, MIN2(before - at, (size_t) RING_RUN_MAX));
        assert_int_equal(ring_straight(ring), 500);
        ring_pass(ring, before);
        ring_consume(ring, before);
        /* Two transfers in flight: the first ends in the ring's second round, and the second begins there. */
        assert_int_equal(ring_reserve(ring, 512, &place), 0);
        for (size_t i = 0; i < 512; i++)
                place[i] = byte_at(at + i);
        assert_int_equal(ring_straight(ring), RING_SIZE - 12);
        assert_int_equal(ring_commit(ring, place, 512), 0);
        /* It does not wait for more than lies before the end. */
        assert_int_equal(ring_peek(ring, RING_HASH_LEAST, &data, &size), 0);
        assert_int_equal(size, 500);
        assert_true(are_bytes_at(at, data, size));
        ring_pass(ring, size);
        assert_int_equal(ring_peek(ring, 1, &data, &size), 0);
        assert_int_equal(size, 12);
        assert_true(are_bytes_at(at + 500, data, size));
        ring_free(ring);
}

static void test_runs_are_committed_in_the_order_in_which_they_were_reserved(void **state) {
        uint8_t *runs[4], *again;
        Ring *ring = NULL;
        const uint8_t *data;
        size_t size;

        (void) state;
        assert_int_equal(ring_new(&ring), 0);
        for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(ring_reserve(ring, 1024, &runs[i]), 0);
                memset(runs[i], (int) i, 1024);
        }
        /* The first one brought less than it could: what the second one brought belongs right behind it. */
        assert_int_equal(ring_commit(ring, runs[0], 700), 0);
        assert_int_equal(ring_commit(ring, runs[1], 1024), 0);
        /* The two others were cancelled, and the next transfer goes on where the bytes end. */
        ring_release(ring);
        assert_int_equal(ring_reserve(ring, 1024, &again), 0);
        assert_ptr_equal(again, runs[0] + 1724);
        ring_unreserve(ring, 1024);
        ring_end(ring);
        /* Fewer at the end. */
        assert_int_equal(ring_peek(ring, 4096, &data, &size), 0);
        assert_int_equal(size, 1724);
        for (size_t i = 0; i < size; i++)
                assert_int_equal(data[i], i < 700 ? 0 : 1);
        ring_pass(ring, size);
        assert_int_equal(ring_peek(ring, 1, &data, &size), 0);
        assert_int_equal(size, 0);
        ring_free(ring);
}

static void test_runs_are_moved_up_over_the_end_of_the_memory(void **state) {
        Ring *ring = NULL;
        uint8_t *first, *second;
        const uint8_t *data;
        uint64_t at = 0;
        size_t size;

        (void) state;
        assert_int_equal(ring_new(&ring), 0);
        while (at < RING_SIZE - 1024)
                at += (uint64_t) put(ring, at, MIN2(RING_SIZE - 1024 - at, (uint64_t) RING_RUN_MAX));
        ring_pass(ring, RING_SIZE - 1024);
        ring_consume(ring, RING_SIZE - 1024);
        assert_int_equal(ring_reserve(ring, 1024, &first), 0);
        assert_int_equal(ring_reserve(ring, 2048, &second), 0);
        for (size_t i = 0; i < 2048; i++)
                second[i] = byte_at(at + 1 + i);
        *first = byte_at(at);
        assert_int_equal(ring_commit(ring, first, 1), 0);
        assert_int_equal(ring_commit(ring, second, 2048), 0);
        assert_int_equal(ring_peek(ring, 1, &data, &size), 0);
        assert_int_equal(size, 1024);
        assert_true(are_bytes_at(at, data, size));
        ring_pass(ring, size);
        assert_int_equal(ring_peek(ring, 1, &data, &size), 0);
        assert_int_equal(size, 1025);
        assert_true(are_bytes_at(at + 1024, data, size));
        ring_free(ring);
}

static void test_writer_waits_no_longer_than_it_wants_to(void **state) {
        Ring *ring = NULL;
        const uint8_t *data;
        bool ended = true;
        size_t size;

        (void) state;
        assert_int_equal(ring_new(&ring), 0);
        assert_int_equal(put(ring, 0, 4095), 4095);
        ring_pass(ring, 4095);
        assert_int_equal(ring_take(ring, 4096, 1, &data, &size, &ended), 0);
        assert_int_equal(size, 0);
        assert_false(ended);
        assert_int_equal(put(ring, 4095, 2), 2);
        ring_pass(ring, 2);
        assert_int_equal(ring_take(ring, 4096, 1, &data, &size, &ended), 0);
        assert_int_equal(size, 4097);
        ring_consume(ring, 4096);
        /* Fewer at the end. */
        ring_pass_end(ring);
        assert_int_equal(ring_take(ring, 4096, UINT64_MAX, &data, &size, &ended), 0);
        assert_int_equal(size, 1);
        assert_false(ended);
        ring_consume(ring, 1);
        assert_int_equal(ring_take(ring, 4096, UINT64_MAX, &data, &size, &ended), 0);
        assert_int_equal(size, 0);
        assert_true(ended);
        ring_free(ring);
}

static void test_failure_of_one_stops_all_with_the_first_reason(void **state) {
        Thread hasher, writer;
        pthread_t threads[2];
        Ring *ring = NULL;
        uint64_t at = 0;
        int r;

        (void) state;
        assert_int_equal(ring_new(&ring), 0);
        hasher = writer = (Thread){ .ring = ring, .least = 1 };
        hasher.stop_after = 100000;
        assert_int_equal(pthread_create(&threads[0], NULL, pass_all, &hasher), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, take_all, &writer), 0);
        while ((r = put(ring, at, 3000)) > 0)
                at += (uint64_t) r;
        assert_int_equal(r, -ENOSPC);
        assert_int_equal(ring_fail(ring, -EIO), -ENOSPC);
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(hasher.result, -ENOSPC);
        assert_int_equal(writer.result, -ENOSPC);
        ring_free(ring);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_see_each_byte_in_order),
                cmocka_unit_test(test_nobody_is_woken_for_less_than_he_waits_for),
                cmocka_unit_test(test_ring_is_bounded),
                cmocka_unit_test(test_bytes_behind_the_end_of_the_memory_are_found_at_its_start),
                cmocka_unit_test(test_runs_are_committed_in_the_order_in_which_they_were_reserved),
                cmocka_unit_test(test_runs_are_moved_up_over_the_end_of_the_memory),
                cmocka_unit_test(test_writer_waits_no_longer_than_it_wants_to),
                cmocka_unit_test(test_failure_of_one_stops_all_with_the_first_reason),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
