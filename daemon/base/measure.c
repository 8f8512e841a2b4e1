/* SPDX-License-Identifier: Apache-2.0 */
#include "base/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/edges.h"
#include "base/fd.h"
#include "base/wire_bay.h"

#define CHUNK ((size_t) 1024 * 1024)

void measure_done(Measure *m) {
        free(m->blocks);
        *m = (Measure){ 0 };
}

uint32_t measure_block_length(const Measure *m, size_t number) {
        return (uint32_t) MIN2(WIRE_BLOCK_SIZE, m->size_bytes - number * WIRE_BLOCK_SIZE);
}

static int measure_block(int fd, Measure *m, size_t number, Edges *edges, void *buffer) {
        uint64_t at = number * WIRE_BLOCK_SIZE, end = at + measure_block_length(m, number);
        int r;

        for (size_t n; at < end; at += n) {
                n = MIN2(CHUNK, end - at);
                r = fd_pread_full(fd, buffer, n, at);
                if (r >= 0)
                        r = edges_update(edges, buffer, n);
                if (r < 0)
                        return r;
        }
        /* What was read is not needed a second time, and would push out what is. */
        r = fd_drop_cache(fd, number * WIRE_BLOCK_SIZE, measure_block_length(m, number));
        return r < 0 ? r : edges_prefix(edges, &m->blocks[number]);
}

static int measure_all(int fd, Measure *m) {
        _cleanup_(edges_freep) Edges *edges = NULL;
        _cleanup_(freep) void *buffer = malloc(CHUNK);
        int r;

        if (!buffer)
                return -ENOMEM;
        if ((r = edges_new(&edges)) < 0 || (r = fd_drop_cache(fd, 0, 0)) < 0)
                return r;
        for (size_t i = 0; i < m->n_blocks; i++) {
                r = measure_block(fd, m, i, edges, buffer);
                if (r < 0)
                        return r;
        }
        return edges_finish(edges, &m->digest, &m->head, &m->tail);
}

/* What is in memory proves nothing about the disk. */
static void forget(int fd, uint64_t from, uint64_t size_bytes) {
        (void) posix_fadvise(fd, (off_t) from, (off_t) size_bytes, POSIX_FADV_DONTNEED);
}

int measure_more(int fd, uint64_t from, uint64_t size_bytes, Hasher *hasher, int (*hashed)(void *userdata, size_t size), void *userdata) {
        _cleanup_(freep) void *buffer = malloc(CHUNK);
        int r = buffer ? 0 : -ENOMEM;

        forget(fd, from, size_bytes);
        for (uint64_t at = 0, n; r >= 0 && at < size_bytes; at += n) {
                n = MIN2((uint64_t) CHUNK, size_bytes - at);
                r = fd_pread_full(fd, buffer, (size_t) n, from + at);
                if (r >= 0)
                        r = hasher_update(hasher, buffer, (size_t) n);
                forget(fd, from + at, n);
                if (r >= 0 && hashed)
                        r = hashed(userdata, (size_t) n);
        }
        return r < 0 ? r : 0;
}

int measure_range(int fd, uint64_t from, uint64_t size_bytes, Digest *ret) {
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        int r;

        r = hasher_new(&hasher);
        if (r >= 0)
                r = measure_more(fd, from, size_bytes, hasher, NULL, NULL);
        return r < 0 ? r : hasher_finish(hasher, ret);
}

int measure_digest(int fd, uint64_t size_bytes, Digest *ret) {
        return measure_range(fd, 0, size_bytes, ret);
}

int measure_file(int fd, Measure *ret) {
        Measure m = { 0 };
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        m.size_bytes = (uint64_t) st.st_size;
        m.n_blocks = (size_t) (m.size_bytes / WIRE_BLOCK_SIZE + (m.size_bytes % WIRE_BLOCK_SIZE != 0));
        if (m.n_blocks > WIRE_BLOCKS_MAX)
                return -EFBIG;
        m.blocks = calloc(MAX2(m.n_blocks, (size_t) 1), sizeof(*m.blocks));
        if (!m.blocks)
                return -ENOMEM;
        r = measure_all(fd, &m);
        if (r < 0) {
                measure_done(&m);
                return r;
        }
        *ret = m;
        return 0;
}
