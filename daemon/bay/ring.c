/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/ring.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

struct Ring {
        pthread_mutex_t lock;
        /* Two, so that who waits for bytes is not woken by a slot that is freed. */
        pthread_cond_t filled, freed;
        uint8_t *memory;
        size_t sizes[RING_SLOTS];
        /* Counts of slots since the start: consumed <= committed <= acquired <= consumed + RING_SLOTS. */
        uint64_t acquired, committed, consumed;
        bool ended;
        int error;
};

int ring_new(Ring **ret) {
        _cleanup_(ring_freep) Ring *r = NULL;
        void *memory;

        r = calloc(1, sizeof(Ring));
        if (!r)
                return -ENOMEM;
        pthread_mutex_init(&r->lock, NULL);
        pthread_cond_init(&r->filled, NULL);
        pthread_cond_init(&r->freed, NULL);
        memory = mmap(NULL, (size_t) RING_SLOTS * RING_SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
                return -errno;
        r->memory = memory;
        *ret = TAKE_PTR(r);
        return 0;
}

Ring *ring_free(Ring *r) {
        if (!r)
                return NULL;
        if (r->memory)
                (void) munmap(r->memory, (size_t) RING_SLOTS * RING_SLOT_SIZE);
        pthread_cond_destroy(&r->filled);
        pthread_cond_destroy(&r->freed);
        pthread_mutex_destroy(&r->lock);
        free(r);
        return NULL;
}

static uint8_t *slot(Ring *r, uint64_t count) {
        return r->memory + (count % RING_SLOTS) * RING_SLOT_SIZE;
}

static bool is_full(const Ring *r) {
        return r->acquired - r->consumed >= RING_SLOTS;
}

static int acquire(Ring *r, bool wait, uint8_t **ret) {
        int error;

        pthread_mutex_lock(&r->lock);
        while (wait && r->error == 0 && is_full(r))
                pthread_cond_wait(&r->freed, &r->lock);
        error = r->error;
        if (error == 0 && is_full(r))
                error = -EAGAIN;
        if (error == 0)
                *ret = slot(r, r->acquired++);
        pthread_mutex_unlock(&r->lock);
        return error;
}

int ring_acquire(Ring *r, uint8_t **ret) {
        return acquire(r, true, ret);
}

int ring_try_acquire(Ring *r, uint8_t **ret) {
        return acquire(r, false, ret);
}

int ring_commit(Ring *r, size_t size) {
        int error;

        pthread_mutex_lock(&r->lock);
        assert(r->committed < r->acquired && size > 0 && size <= RING_SLOT_SIZE);
        r->sizes[r->committed++ % RING_SLOTS] = size;
        error = r->error;
        pthread_cond_broadcast(&r->filled);
        pthread_mutex_unlock(&r->lock);
        return error;
}

void ring_unacquire(Ring *r) {
        pthread_mutex_lock(&r->lock);
        assert(r->committed < r->acquired);
        r->acquired--;
        pthread_mutex_unlock(&r->lock);
}

void ring_release(Ring *r) {
        pthread_mutex_lock(&r->lock);
        r->acquired = r->committed;
        pthread_mutex_unlock(&r->lock);
}

void ring_end(Ring *r) {
        pthread_mutex_lock(&r->lock);
        r->ended = true;
        pthread_cond_broadcast(&r->filled);
        pthread_mutex_unlock(&r->lock);
}

int ring_peek(Ring *r, const uint8_t **ret, size_t *ret_size) {
        uint64_t at;
        int error;

        pthread_mutex_lock(&r->lock);
        at = r->consumed;
        while (r->error == 0 && !r->ended && at == r->committed)
                pthread_cond_wait(&r->filled, &r->lock);
        error = r->error;
        if (error == 0) {
                *ret = slot(r, at);
                *ret_size = at == r->committed ? 0 : r->sizes[at % RING_SLOTS];
        }
        pthread_mutex_unlock(&r->lock);
        return error;
}

void ring_consume(Ring *r) {
        pthread_mutex_lock(&r->lock);
        r->consumed++;
        pthread_cond_signal(&r->freed);
        pthread_mutex_unlock(&r->lock);
}

int ring_fail(Ring *r, int error) {
        pthread_mutex_lock(&r->lock);
        if (r->error == 0)
                r->error = error;
        error = r->error;
        pthread_cond_broadcast(&r->filled);
        pthread_cond_broadcast(&r->freed);
        pthread_mutex_unlock(&r->lock);
        return error;
}
