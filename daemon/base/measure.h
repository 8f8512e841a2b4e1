/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* All digests by which the dock knows a clip, taken again from a file: of the whole, of its edges, and up to the end of each block. */

#include "base/digest.h"
#include "base/macro.h"

typedef struct Measure {
        uint64_t size_bytes;
        Digest digest, head, tail;
        Digest *blocks; /* of the file from its start to the end of each block; those have WIRE_BLOCK_SIZE bytes, the last what is left */
        size_t n_blocks;
} Measure;

/* From the disk, not from the page cache. -EFBIG for more than WIRE_BLOCKS_MAX blocks, -errno of a failed read. */
int measure_file(int fd, Measure *ret);
void measure_done(Measure *m);
/*
 * Hashes `size_bytes` from `from` on, from the disk as far as they are not waiting to be written, and leaves nothing of them in the page
 * cache. After each piece `hashed` (if not NULL) is told how long it was; what it returns, if negative, ends it. -ENODATA when the file is
 * shorter, -errno.
 */
int measure_more(int fd, uint64_t from, uint64_t size_bytes, Hasher *hasher, int (*hashed)(void *userdata, size_t size), void *userdata);
/* Of its first `size_bytes` alone, whatever it is read from. -ENODATA when it has fewer, -errno. */
int measure_digest(int fd, uint64_t size_bytes, Digest *ret);
/* The same of `size_bytes` from `from` on. */
int measure_range(int fd, uint64_t from, uint64_t size_bytes, Digest *ret);
/* The length of block `number`. */
uint32_t measure_block_length(const Measure *m, size_t number);
