/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The digest of a stream of bytes, of what came of it so far, and of its first and last WIRE_EDGE_SIZE bytes: in one pass, since two
 * would cost a pull twice the time of the processor.
 */

#include "base/digest.h"
#include "base/wire_bay.h"

typedef struct Edges {
        Hasher *whole;
        uint64_t size_bytes;
        uint8_t head[WIRE_EDGE_SIZE], tail[WIRE_EDGE_SIZE]; /* tail is a ring: the byte at offset o is tail[o % size] */
} Edges;

int edges_new(Edges **ret);
Edges *edges_free(Edges *e);
DEFINE_CLEANUP(Edges, edges_free);
int edges_update(Edges *e, const void *data, size_t size);
/* The digest of all that came so far; the stream goes on. */
int edges_prefix(const Edges *e, Digest *ret);
int edges_finish(Edges *e, Digest *ret_whole, Digest *ret_head, Digest *ret_tail);
