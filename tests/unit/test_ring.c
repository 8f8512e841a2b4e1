/* SPDX-License-Identifier: Apache-2.0 */

/* The ring between the camera's thread and those that hash and write; run under ThreadSanitizer as well. */

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
        unsigned consumer;
        unsigned seen, stop_after; /* fails the ring after so many slots, when not 0 */
        bool in_order;
        int result;
} Reader;

static void *read_all(void *userdata) {
        Reader *r = userdata;
        const uint8_t *data;
        size_t size;

        r->in_order = true;
        while ((r->result = ring_peek(r->ring, r->consumer, &data, &size)) == 0 && size > 0) {
                uint32_t number;

                memcpy(&number, data, sizeof(number));
                r->in_order = r->in_order && number == r->seen && size == sizeof(number) + number % 7;
                r->seen++;
                ring_consume(r->ring, r->consumer);
                if (r->seen == r->stop_after)
                        (void) ring_fail(r->ring, -ENOSPC);
        }
        return NULL;
}

static int put(Ring *ring, uint8_t *slot, uint32_t number) {
        memcpy(slot, &number, sizeof(number));
        return ring_commit(ring, sizeof(number) + number % 7);
}

static void test_each_consumer_sees_each_slot_in_order(void **state) {
        Ring *ring = NULL;
        Reader readers[2];
        pthread_t threads[2];

        (void) state;
        assert_int_equal(ring_new(2, &ring), 0);
        for (unsigned i = 0; i < 2; i++) {
                readers[i] = (Reader){ .ring = ring, .consumer = i };
                assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
        }
        for (uint32_t i = 0; i < SLOTS; i++) {
                uint8_t *slot;

                assert_int_equal(ring_acquire(ring, &slot), 0);
                assert_int_equal(put(ring, slot, i), 0);
        }
        ring_end(ring);
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(pthread_join(threads[i], NULL), 0);
                assert_int_equal(readers[i].seen, SLOTS);
                assert_true(readers[i].in_order);
                assert_int_equal(readers[i].result, 0);
        }
        ring_free(ring);
}

static void test_ring_is_bounded(void **state) {
        Ring *ring = NULL;
        const uint8_t *data;
        uint8_t *slot;
        size_t size;

        (void) state;
        assert_int_equal(ring_new(2, &ring), 0);
        for (uint32_t i = 0; i < RING_SLOTS; i++) {
                assert_int_equal(ring_try_acquire(ring, &slot), 0);
                assert_int_equal(put(ring, slot, i), 0);
        }
        assert_int_equal(ring_try_acquire(ring, &slot), -EAGAIN);
        /* Free again only when the last consumer is done with it. */
        assert_int_equal(ring_peek(ring, 0, &data, &size), 0);
        ring_consume(ring, 0);
        assert_int_equal(ring_try_acquire(ring, &slot), -EAGAIN);
        assert_int_equal(ring_peek(ring, 1, &data, &size), 0);
        ring_consume(ring, 1);
        assert_int_equal(ring_try_acquire(ring, &slot), 0);
        ring_free(ring);
}

static void test_slots_are_committed_in_the_order_in_which_they_were_acquired(void **state) {
        uint8_t *slots[4], *again;
        Ring *ring = NULL;
        const uint8_t *data;
        size_t size;

        (void) state;
        assert_int_equal(ring_new(1, &ring), 0);
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
                assert_int_equal(ring_peek(ring, 0, &data, &size), 0);
                assert_int_equal(*data, i);
                assert_int_equal(size, i + 1);
                ring_consume(ring, 0);
        }
        assert_int_equal(ring_peek(ring, 0, &data, &size), 0);
        assert_int_equal(size, 0);
        ring_free(ring);
}

static void test_failure_of_a_consumer_stops_everybody_with_the_first_reason(void **state) {
        Ring *ring = NULL;
        Reader readers[2];
        pthread_t threads[2];
        uint32_t i = 0;
        int r = 0;

        (void) state;
        assert_int_equal(ring_new(2, &ring), 0);
        for (unsigned c = 0; c < 2; c++) {
                readers[c] = (Reader){ .ring = ring, .consumer = c, .stop_after = c == 1 ? 100 : 0 };
                assert_int_equal(pthread_create(&threads[c], NULL, read_all, &readers[c]), 0);
        }
        while (r == 0) {
                uint8_t *slot;

                r = ring_acquire(ring, &slot);
                if (r == 0)
                        r = put(ring, slot, i++);
        }
        assert_int_equal(r, -ENOSPC);
        assert_int_equal(ring_fail(ring, -EIO), -ENOSPC);
        for (unsigned c = 0; c < 2; c++) {
                assert_int_equal(pthread_join(threads[c], NULL), 0);
                assert_int_equal(readers[c].result, -ENOSPC);
        }
        ring_free(ring);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_consumer_sees_each_slot_in_order),
                cmocka_unit_test(test_ring_is_bounded),
                cmocka_unit_test(test_slots_are_committed_in_the_order_in_which_they_were_acquired),
                cmocka_unit_test(test_failure_of_a_consumer_stops_everybody_with_the_first_reason),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
