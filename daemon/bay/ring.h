/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bounded ring of bytes between the threads of a reading: one brings them from the camera, one hashes them, and in a pull a third one
 * writes what was hashed. A byte stays where it arrived.
 *
 * The producer may hold several runs at once (queued USB transfers fill them) and commits them in the order in which it reserved them. The
 * hasher passes bytes on, the writer consumes them; where nobody writes, the hasher does both. A failure stops all: the first one wins.
 *
 * Byte n of a reading lies at n % RING_SIZE of memory that is aligned to pages: what begins at a block of a file can be written with
 * O_DIRECT as it lies.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

/* What it hides: a disk that stands still for the sync of a short batch, while the camera goes on. */
#define RING_SIZE (8u * 1024u * 1024u)
#define RING_RUN_MAX (512u * 1024u) /* of one reservation; a multiple of every USB packet size */
#define RING_PACKET_MAX (16u * 1024u)
/* What a hasher waits for, as long as there is more to come: each wait costs two turns of the scheduler. */
#define RING_HASH_LEAST (1024u * 1024u)

typedef struct Ring Ring;

int ring_new(Ring **ret);
Ring *ring_free(Ring *r);
DEFINE_CLEANUP(Ring, ring_free);

/* ---- The producer ---- */

/* Bytes from the next reservation's start to the end of the memory. A reservation may exceed them by less than RING_PACKET_MAX. */
size_t ring_straight(const Ring *r);
/* Waits until `size` bytes are free. try_reserve is -EAGAIN instead. Either is the error of ring_fail(). */
int ring_reserve(Ring *r, size_t size, uint8_t **ret);
int ring_try_reserve(Ring *r, size_t size, uint8_t **ret);
/* Hands over `size` bytes of the oldest reservation. Where an older one brought less than it could, they are moved up to it. */
int ring_commit(Ring *r, const uint8_t *data, size_t size);
/* Gives back the youngest reservation. */
void ring_unreserve(Ring *r, size_t size);
/* Gives back all that was reserved and not committed. */
void ring_release(Ring *r);
void ring_end(Ring *r);

/* ---- The hasher ---- */

/*
 * Waits for a run of `least` bytes that it did not pass on yet, or as many as lie before the end of the memory; fewer come at the end only.
 * *ret_size is 0 when there are none left.
 */
int ring_peek(Ring *r, size_t least, const uint8_t **ret, size_t *ret_size);
void ring_pass(Ring *r, size_t size);
/* Nothing more will be passed on. */
void ring_pass_end(Ring *r);

/* ---- The writer ---- */

/*
 * Waits for a run of `least` bytes that were passed on, or as many as lie before the end of the memory; fewer come at the end only. None
 * when they did not come until then (CLOCK_MONOTONIC; UINT64_MAX: for ever), or *ret_ended: none will.
 */
int ring_take(Ring *r, size_t least, uint64_t until_usec, const uint8_t **ret, size_t *ret_size, bool *ret_ended);
void ring_consume(Ring *r, size_t size);

/* Any of them. Returns the error that stands. */
int ring_fail(Ring *r, int error);
