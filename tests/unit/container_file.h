/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Small files of boxes, chunks and elements, made for bay/container*.c to look at: whole, broken and cut. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "bay/container.h"

typedef struct File {
        int fd;
        uint64_t size;
        uint64_t open[8]; /* boxes whose size is not written yet */
        unsigned depth;
        bool little; /* RIFF */
} File;

static inline File file_new(bool little) {
        File f = { .fd = memfd_create("container", MFD_CLOEXEC), .little = little };

        assert_true(f.fd >= 0);
        return f;
}

static inline void file_done(File *f) {
        fd_close(f->fd);
}

static inline void put(File *f, const void *data, size_t n) {
        assert_int_equal(fd_pwrite_full(f->fd, data, n, f->size), 0);
        f->size += n;
}

static inline void put_number(File *f, uint64_t v, unsigned bytes) {
        uint8_t p[8];

        for (unsigned i = 0; i < bytes; i++)
                p[f->little ? i : bytes - 1 - i] = (uint8_t) (v >> (8 * i));
        put(f, p, bytes);
}

static inline void put32(File *f, uint32_t v) {
        put_number(f, v, 4);
}

/* A hole, as large as footage is. */
static inline void put_hole(File *f, uint64_t n) {
        f->size += n;
        assert_int_equal(ftruncate(f->fd, (off_t) f->size), 0);
}

static inline void begin(File *f, const char *code) {
        f->open[f->depth++] = f->size;
        if (!f->little)
                put32(f, 0);
        put(f, code, 4);
        if (f->little)
                put32(f, 0);
}

static inline void set_size(File *f, uint64_t at, uint32_t size) {
        File at_size = { .fd = f->fd, .size = at + (f->little ? 4 : 0), .little = f->little };

        put32(&at_size, size);
}

static inline void end(File *f) {
        uint64_t at = f->open[--f->depth];

        set_size(f, at, (uint32_t) (f->size - at - (f->little ? 8 : 0)));
        if (f->little && f->size % 2 == 1)
                put(f, "", 1);
}

static inline Container look(const File *f) {
        Container c;

        container_look(f->fd, f->size, NULL, &c);
        assert_true(strlen(c.reason) < sizeof(c.reason));
        if (c.verdict == CONTAINER_INCOMPLETE)
                assert_true(c.reason[0] && c.offset <= f->size);
        return c;
}

static inline Container look_cut(const File *f, uint64_t size) {
        File cut = *f;

        cut.size = size;
        return look(&cut);
}

static inline void assert_container(Container c, ContainerFormat format, ContainerVerdict verdict, const char *reason) {
        assert_string_equal(container_format_to_string(c.format), container_format_to_string(format));
        assert_string_equal(c.reason, reason);
        assert_string_equal(container_verdict_to_string(c.verdict), container_verdict_to_string(verdict));
}
