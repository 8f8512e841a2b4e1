/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bounded ring between the thread that reads from the camera and the one that hashes: one producer, and one consumer that sees every
 * slot in order.
 *
 * The producer may hold several slots at once (queued USB transfers fill them) and commits them in the order in which it
 * acquired them. A failure stops both sides: the first one wins.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define RING_SLOT_SIZE (512u * 1024u) /* a multiple of every USB packet size */
#define RING_SLOTS 6u

typedef struct Ring Ring;

int ring_new(Ring **ret);
Ring *ring_free(Ring *r);
DEFINE_CLEANUP(Ring, ring_free);

/* Producer. acquire waits for a free slot; try_acquire is -EAGAIN instead. Either is the error of ring_fail(). */
int ring_acquire(Ring *r, uint8_t **ret);
int ring_try_acquire(Ring *r, uint8_t **ret);
/* Hands over the oldest acquired slot with `size` bytes in it. */
int ring_commit(Ring *r, size_t size);
/* Gives back the youngest acquired slot. */
void ring_unacquire(Ring *r);
/* Gives back all slots that were acquired and not committed. */
void ring_release(Ring *r);
void ring_end(Ring *r);

/* Consumer. Waits for the next slot; *ret_size is 0 at the end. */
int ring_peek(Ring *r, const uint8_t **ret, size_t *ret_size);
void ring_consume(Ring *r);

/* Either side. Returns the error that stands. */
int ring_fail(Ring *r, int error);
