/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The digest of a stream of bytes, of its first and last WIRE_EDGE_SIZE bytes, and of the blocks that it is cut into.
 *
 * Two digests of the same bytes are two passes of libcrypto. Rounds of both in turn, by the processor's SHA instructions, would take
 * a third less time, and be a SHA-256 of our own: evidence stands on one that others have validated.
 */

#include "base/digest.h"
#include "base/wire_bay.h"

typedef struct Edges {
        Hasher *whole;
        Hasher *block; /* the one that is open; NULL without blocks */
        uint64_t size_bytes;
        uint8_t head[WIRE_EDGE_SIZE], tail[WIRE_EDGE_SIZE]; /* tail is a ring: the byte at offset o is tail[o % size] */
} Edges;

int edges_new(bool with_blocks, Edges **ret);
Edges *edges_free(Edges *e);
DEFINE_CLEANUP(Edges, edges_free);
int edges_update(Edges *e, const void *data, size_t size);
/* Ends the block that is open; the next byte begins another. Only with blocks. */
int edges_finish_block(Edges *e, Digest *ret);
int edges_finish(Edges *e, Digest *ret_whole, Digest *ret_head, Digest *ret_tail);
