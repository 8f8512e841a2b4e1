/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The digest of a stream of bytes, and of its first and last WIRE_EDGE_SIZE bytes. */

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
int edges_finish(Edges *e, Digest *ret_whole, Digest *ret_head, Digest *ret_tail);
