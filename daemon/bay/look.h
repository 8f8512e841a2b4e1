/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Looking at single places of a file: small reads at offsets that the file itself names, and a bound on all of them together,
 * so that a file made to keep a reader busy does not.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64k fragments of two boxes each: 18 hours of a recorder that closes one every second. */
#define LOOK_BYTES_MAX (1024u * 1024u)
#define LOOK_READS_MAX 262144u
#define LOOK_USEC_MAX UINT64_C(20000000)

typedef struct Look {
        int fd;
        uint64_t size;         /* of the file */
        void (*alive)(void);   /* called now and then; NULL is allowed */
        uint64_t give_up_usec; /* CLOCK_BOOTTIME */
        uint64_t bytes;        /* read so far */
        unsigned reads;
} Look;

void look_init(Look *l, int fd, uint64_t size, void (*alive)(void));
/* Exactly `n` bytes: -ENODATA when the file has no such bytes, -EFBIG when a bound is reached, or what the disk says. */
int look_at(Look *l, uint64_t offset, void *ret, size_t n);

/* Numbers as files hold them. */
static inline uint32_t be32(const uint8_t *p) {
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}
static inline uint64_t be64(const uint8_t *p) {
        return (uint64_t) be32(p) << 32 | be32(p + 4);
}
static inline uint32_t le32(const uint8_t *p) {
        return (uint32_t) p[3] << 24 | (uint32_t) p[2] << 16 | (uint32_t) p[1] << 8 | p[0];
}
static inline uint64_t le64(const uint8_t *p) {
        return (uint64_t) le32(p + 4) << 32 | le32(p);
}
