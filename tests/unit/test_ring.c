/* SPDX-License-Identifier: Apache-2.0 */

/* The ring between the camera's thread and the one that hashes; run under ThreadSanitizer as well. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bay/ring.h"

#define SLOTS 5000u

typedef struct Reader {
        Ring *ring;
        unsigned seen, stop_after; /* fails the ring after so many slots, when not 0 */
        bool in_order;
        int result;
} Reader;

static void *read_all(void *userdata) {
        Reader *r = userdata;
        const uint8_t *data;
        size_t size;

        r->in_order = true;
        while ((r->result = ring_peek(r->ring, &data, &size)) == 0 && size > 0) {
                uint32_t number;

                memcpy(&number, data, sizeof(number));
                r->in_order = r->in_order && number == r->seen && size == sizeof(number) + number % 7;
                r->seen++;
                ring_consume(r->ring);
                if (r->seen == r->stop_after)
                        (void) ring_fail(r->ring, -ENOSPC);
        }
        return NULL;
}

static int put(Ring *ring, uint8_t *slot, uint32_t number) {
        memcpy(slot, &number, sizeof(number));
        return ring_commit(ring, sizeof(number) + number % 7);
}

static void test_consumer_sees_each_slot_in_order(void **state) {
        Ring *ring = NULL;
        pthread_t thread;
        Reader reader;

        (void) state;
        assert_int_equal(ring_new(&ring), 0);
        reader = (Reader){ .ring = ring };
        assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
        for (uint32_t i = 0; i < SLOTS; i++) {
                uint8_t *slot;

                assert_int_equal(ring_acquire(ring, &slot), 0);
                assert_int_equal(put(ring, slot, i), 0);
        }
        ring_end(ring);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(reader.seen, SLOTS);
        assert_true(reader.in_order);
        assert_int_equal(reader.result, 0);
        ring_free(ring);
}

static void test_ring_is_bounded(void **state) {
        Ring *ring = NULL;
        const uint8_t *data;
        uint8_t *slot;
        size_t size;

        (void) state;
        assert_int_equal(ring_new(&ring), 0);
        for (uint32_t i = 0; i < RING_SLOTS; i++) {
                assert_int_equal(ring_try_acquire(ring, &slot), 0);
                assert_int_equal(put(ring, slot, i), 0);
        }
        assert_int_equal(ring_try_acquire(ring, &slot), -EAGAIN);
        /* Free again only when the consumer is done with it. */
        assert_int_equal(ring_peek(ring, &data, &size), 0);
        assert_int_equal(ring_try_acquire(ring, &slot), -EAGAIN);
        ring_consume(ring);
        assert_int_equal(ring_try_acquire(ring, &slot), 0);
        ring_free(ring);
}

static void test_slots_are_committed_in_the_order_in_which_they_were_acquired(void **state) {
        uint8_t *slots[4], *again;
        Ring *ring = NULL;
        const uint8_t *data;
        size_t size;

        (void) state;
        assert_int_equal(ring_new(&ring), 0);
        for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(ring_acquire(ring, &slots[i]), 0);
                *slots[i] = (uint8_t) i;
        }
        assert_int_equal(ring_commit(ring, 1), 0);
        assert_int_equal(ring_commit(ring, 2), 0);
        /* The two others were cancelled, and the next transfer gets the first of them. */
        ring_release(ring);
        assert_int_equal(ring_acquire(ring, &again), 0);
        assert_ptr_equal(again, slots[2]);
        ring_unacquire(ring);
        ring_end(ring);
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(ring_peek(ring, &data, &size), 0);
                assert_int_equal(*data, i);
                assert_int_equal(size, i + 1);
                ring_consume(ring);
        }
        assert_int_equal(ring_peek(ring, &data, &size), 0);
        assert_int_equal(size, 0);
        ring_free(ring);
}

static void test_failure_of_the_consumer_stops_both_sides_with_the_first_reason(void **state) {
        Ring *ring = NULL;
        pthread_t thread;
        Reader reader;
        uint32_t i = 0;
        int r = 0;

        (void) state;
        assert_int_equal(ring_new(&ring), 0);
        reader = (Reader){ .ring = ring, .stop_after = 100 };
        assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
        while (r == 0) {
                uint8_t *slot;

                r = ring_acquire(ring, &slot);
                if (r == 0)
                        r = put(ring, slot, i++);
        }
        assert_int_equal(r, -ENOSPC);
        assert_int_equal(ring_fail(ring, -EIO), -ENOSPC);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(reader.result, -ENOSPC);
        ring_free(ring);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_consumer_sees_each_slot_in_order),
                cmocka_unit_test(test_ring_is_bounded),
                cmocka_unit_test(test_slots_are_committed_in_the_order_in_which_they_were_acquired),
                cmocka_unit_test(test_failure_of_the_consumer_stops_both_sides_with_the_first_reason),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
