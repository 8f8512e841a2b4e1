/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/ring.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/clock.h"

/*
 * Huge pages, where the kernel has them: what is written with O_DIRECT goes to the disk in a few long requests instead of many of a page
 * each, which makes it twice as fast (`make bench-pull`: direct and direct-small).
 */
#define HUGE_PAGE (2u * 1024u * 1024u)
_Static_assert(RING_SIZE % HUGE_PAGE == 0, "the ring fills its huge pages");
/* One reservation may reach behind the ring's end, by less than a packet; what came there is copied to the start. */
#define MAPPED (RING_SIZE + RING_PACKET_MAX + HUGE_PAGE)

#define NEVER UINT64_MAX /* a position, or a moment */

struct Ring {
        pthread_mutex_t lock;
        /* One for each that waits, so that none is woken for another. */
        pthread_cond_t committed_more, passed_more, freed_more;
        /* The position that each waits for; NEVER while it does not, so that it is not woken for less. */
        uint64_t peek_at, take_at, reserve_at;
        void *mapped;
        uint8_t *memory; /* in it, at a huge page's start */
        /* Bytes since the start: consumed <= passed <= committed <= reserved <= consumed + RING_SIZE. */
        uint64_t reserved, committed, passed, consumed;
        bool ended, passed_all;
        int error;
};

int ring_new(Ring **ret) {
        _cleanup_(ring_freep) Ring *r = NULL;
        void *mapped;

        r = malloc(sizeof(Ring));
        if (!r)
                return -ENOMEM;
        *r = (Ring){ .peek_at = NEVER, .take_at = NEVER, .reserve_at = NEVER };
        pthread_mutex_init(&r->lock, NULL);
        pthread_cond_init(&r->committed_more, NULL);
        pthread_cond_init(&r->passed_more, NULL);
        pthread_cond_init(&r->freed_more, NULL);
        mapped = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED)
                return -errno;
        r->mapped = mapped;
        r->memory = (uint8_t *) mapped + (HUGE_PAGE - (uintptr_t) mapped % HUGE_PAGE) % HUGE_PAGE;
        (void) madvise(r->memory, RING_SIZE, MADV_HUGEPAGE);
        *ret = TAKE_PTR(r);
        return 0;
}

Ring *ring_free(Ring *r) {
        if (!r)
                return NULL;
        if (r->mapped)
                (void) munmap(r->mapped, MAPPED);
        pthread_cond_destroy(&r->committed_more);
        pthread_cond_destroy(&r->passed_more);
        pthread_cond_destroy(&r->freed_more);
        pthread_mutex_destroy(&r->lock);
        free(r);
        return NULL;
}

static size_t straight(uint64_t at) {
        return RING_SIZE - (size_t) (at % RING_SIZE);
}

static uint8_t *place(Ring *r, uint64_t at) {
        return r->memory + at % RING_SIZE;
}

/* Wakes who waits for this position. The lock is free before: to wake up and find it held would cost two more turns of the scheduler. */
static void unlock_and_wake(Ring *r, pthread_cond_t *more, uint64_t *waits_at, uint64_t position) {
        bool wake = position >= *waits_at;

        if (wake)
                *waits_at = NEVER;
        pthread_mutex_unlock(&r->lock);
        if (wake)
                pthread_cond_signal(more);
}

/* False when that was not in time (CLOCK_MONOTONIC). */
static bool await(Ring *r, pthread_cond_t *more, uint64_t *waits_at, uint64_t position, uint64_t until_usec) {
        const struct timespec until = { .tv_sec = (time_t) (until_usec / USEC_PER_SEC),
                                        .tv_nsec = (long) (until_usec % USEC_PER_SEC) * 1000 };
        int error;

        *waits_at = position;
        error = until_usec == NEVER ? pthread_cond_wait(more, &r->lock) : pthread_cond_clockwait(more, &r->lock, CLOCK_MONOTONIC, &until);
        *waits_at = NEVER;
        return error != ETIMEDOUT;
}

/* ---- The producer ---- */

size_t ring_straight(const Ring *r) {
        return straight(r->reserved);
}

static int reserve(Ring *r, size_t size, bool wait, uint8_t **ret) {
        int error;

        assert(size <= RING_RUN_MAX && size < straight(r->reserved) + RING_PACKET_MAX);
        pthread_mutex_lock(&r->lock);
        while (wait && r->error == 0 && r->reserved + size > r->consumed + RING_SIZE)
                (void) await(r, &r->freed_more, &r->reserve_at, r->reserved + size, NEVER);
        error = r->error;
        if (error == 0 && r->reserved + size > r->consumed + RING_SIZE)
                error = -EAGAIN;
        if (error == 0) {
                *ret = place(r, r->reserved);
                r->reserved += size;
        }
        pthread_mutex_unlock(&r->lock);
        return error;
}

int ring_reserve(Ring *r, size_t size, uint8_t **ret) {
        return reserve(r, size, true, ret);
}

int ring_try_reserve(Ring *r, size_t size, uint8_t **ret) {
        return reserve(r, size, false, ret);
}

/* Where they belong, and what lies behind the memory's end at its start. All of it is the producer's: nobody else looks there. */
static void settle(Ring *r, const uint8_t *data, size_t size) {
        uint8_t *to = place(r, r->committed);
        size_t n = MIN2(size, straight(r->committed));

        if (to != data)
                memmove(to, data, n);
        memmove(r->memory, data + n, size - n);
}

int ring_commit(Ring *r, const uint8_t *data, size_t size) {
        int error;

        assert(size > 0 && size <= r->reserved - r->committed);
        settle(r, data, size);
        pthread_mutex_lock(&r->lock);
        r->committed += size;
        error = r->error;
        unlock_and_wake(r, &r->committed_more, &r->peek_at, r->committed);
        return error;
}

void ring_unreserve(Ring *r, size_t size) {
        pthread_mutex_lock(&r->lock);
        assert(size <= r->reserved - r->committed);
        r->reserved -= size;
        pthread_mutex_unlock(&r->lock);
}

void ring_release(Ring *r) {
        pthread_mutex_lock(&r->lock);
        r->reserved = r->committed;
        pthread_mutex_unlock(&r->lock);
}

void ring_end(Ring *r) {
        pthread_mutex_lock(&r->lock);
        r->ended = true;
        unlock_and_wake(r, &r->committed_more, &r->peek_at, NEVER);
}

/* ---- The hasher ---- */

int ring_peek(Ring *r, size_t least, const uint8_t **ret, size_t *ret_size) {
        int error;

        pthread_mutex_lock(&r->lock);
        least = MIN2(least, straight(r->passed));
        while (r->error == 0 && !r->ended && r->committed - r->passed < least)
                (void) await(r, &r->committed_more, &r->peek_at, r->passed + least, NEVER);
        error = r->error;
        if (error == 0) {
                *ret = place(r, r->passed);
                *ret_size = (size_t) MIN2(r->committed - r->passed, (uint64_t) straight(r->passed));
        }
        pthread_mutex_unlock(&r->lock);
        return error;
}

void ring_pass(Ring *r, size_t size) {
        pthread_mutex_lock(&r->lock);
        assert(size <= r->committed - r->passed);
        r->passed += size;
        unlock_and_wake(r, &r->passed_more, &r->take_at, r->passed);
}

void ring_pass_end(Ring *r) {
        pthread_mutex_lock(&r->lock);
        r->passed_all = true;
        unlock_and_wake(r, &r->passed_more, &r->take_at, NEVER);
}

/* ---- The writer ---- */

int ring_take(Ring *r, size_t least, uint64_t until_usec, const uint8_t **ret, size_t *ret_size, bool *ret_ended) {
        bool in_time = true;
        uint64_t there;
        int error;

        pthread_mutex_lock(&r->lock);
        least = MIN2(least, straight(r->consumed));
        while (r->error == 0 && !r->passed_all && r->passed - r->consumed < least && in_time)
                in_time = await(r, &r->passed_more, &r->take_at, r->consumed + least, until_usec);
        there = r->passed - r->consumed;
        error = r->error;
        *ret = place(r, r->consumed);
        *ret_size = there >= least || r->passed_all ? (size_t) MIN2(there, (uint64_t) straight(r->consumed)) : 0;
        *ret_ended = r->passed_all && there == 0;
        pthread_mutex_unlock(&r->lock);
        return error;
}

void ring_consume(Ring *r, size_t size) {
        pthread_mutex_lock(&r->lock);
        assert(size <= r->passed - r->consumed);
        r->consumed += size;
        unlock_and_wake(r, &r->freed_more, &r->reserve_at, r->consumed + RING_SIZE);
}

int ring_fail(Ring *r, int error) {
        pthread_mutex_lock(&r->lock);
        if (r->error == 0)
                r->error = error;
        error = r->error;
        pthread_cond_signal(&r->committed_more);
        pthread_cond_signal(&r->passed_more);
        pthread_cond_signal(&r->freed_more);
        pthread_mutex_unlock(&r->lock);
        return error;
}
