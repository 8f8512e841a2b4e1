/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The content of the memory plugin's clips, for the plugin and for the tests that know what must come. */

#include <stddef.h>
#include <stdint.h>

static inline uint64_t content_word(uint64_t seed, uint64_t index) {
        uint64_t z = seed * UINT64_C(0x9e3779b97f4a7c15) + index * UINT64_C(0xbf58476d1ce4e5b9);

        z = (z ^ (z >> 30)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

static inline void content_fill(uint64_t seed, uint64_t offset, uint8_t *data, size_t size) {
        for (size_t i = 0; i < size; i++, offset++)
                data[i] = (uint8_t) (content_word(seed, offset / 8) >> (offset % 8 * 8));
}
