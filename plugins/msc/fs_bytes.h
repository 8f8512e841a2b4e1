/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The numbers of FAT and exFAT: little-endian, at any address. */

#include <stdint.h>

static inline uint16_t fs_get16(const uint8_t *at) {
        return (uint16_t) (at[0] | at[1] << 8);
}

static inline uint32_t fs_get32(const uint8_t *at) {
        return (uint32_t) fs_get16(at) | (uint32_t) fs_get16(at + 2) << 16;
}

static inline uint64_t fs_get64(const uint8_t *at) {
        return (uint64_t) fs_get32(at) | (uint64_t) fs_get32(at + 4) << 32;
}

static inline void fs_put16(uint8_t *at, uint16_t value) {
        at[0] = (uint8_t) value;
        at[1] = (uint8_t) (value >> 8);
}

static inline void fs_put32(uint8_t *at, uint32_t value) {
        fs_put16(at, (uint16_t) value);
        fs_put16(at + 2, (uint16_t) (value >> 16));
}
