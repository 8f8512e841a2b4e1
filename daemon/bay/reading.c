/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>

#include "base/edges.h"
#include "base/wire_bay.h"
#include "bay/session.h"

/* Reads from the camera for the digest alone: what Verify and Erase need. */

typedef struct Job {
        Ring *ring;
        Edges *edges;
        void (*on_block)(void *userdata, uint64_t size_bytes, const Digest *prefix);
        void *userdata;
} Job;

static int hash(const Job *job, const uint8_t *data, size_t size) {
        while (size > 0) {
                uint64_t left = WIRE_BLOCK_SIZE - job->edges->size_bytes % WIRE_BLOCK_SIZE;
                size_t n = (size_t) MIN2((uint64_t) size, left);
                int r = edges_update(job->edges, data, n);
                Digest prefix;

                if (r >= 0 && n == left && job->on_block) {
                        r = edges_prefix(job->edges, &prefix);
                        if (r >= 0)
                                job->on_block(job->userdata, job->edges->size_bytes, &prefix);
                }
                if (r < 0)
                        return r;
                data += n;
                size -= n;
        }
        return 0;
}

static void *run(void *userdata) {
        Job *job = userdata;
        const uint8_t *data;
        size_t size;

        while (ring_peek(job->ring, RING_HASH_LEAST, &data, &size) == 0 && size > 0) {
                int r = hash(job, data, size);

                if (r < 0) {
                        (void) ring_fail(job->ring, r);
                        break;
                }
                ring_pass(job->ring, size);
                ring_consume(job->ring, size);
        }
        return NULL;
}

int session_read_digest(Session *s, const Clip *clip, uint64_t offset, uint64_t length,
                        void (*on_delivered)(void *userdata, uint64_t delivered),
                        void (*on_block)(void *userdata, uint64_t size_bytes, const Digest *prefix), void *userdata, Reading *ret,
                        Fault *fault) {
        _cleanup_(ring_freep) Ring *ring = NULL;
        _cleanup_(edges_freep) Edges *edges = NULL;
        Reading reading = {};
        pthread_t thread;
        Job job;
        int r, failed;

        r = ring_new(&ring);
        if (r >= 0)
                r = edges_new(&edges);
        job = (Job){ ring, edges, on_block, userdata };
        if (r >= 0)
                r = -pthread_create(&thread, NULL, run, &job);
        if (r < 0)
                return fault_set(fault, WIRE_BAY_E_LIMIT, "cannot read the clip: the worker's memory or thread limit was reached");
        r = session_read(s, clip, offset, length, ring, on_delivered, userdata, &reading.size_bytes, fault);
        ring_end(ring);
        (void) pthread_join(thread, NULL);
        failed = ring_fail(ring, 0);
        if (r >= 0 && failed == 0)
                failed = edges_finish(edges, &reading.digest, &reading.head, &reading.tail);
        if (failed < 0)
                return fault_set(fault, WIRE_BAY_E_LIMIT, "cannot hash the clip: the worker's memory limit was reached");
        if (r < 0)
                return r;
        *ret = reading;
        return 0;
}
