/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Stretches of a clip's bytes: those that a camera's medium does not give. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ByteRange {
        uint64_t offset, length;
} ByteRange;

/* Cuts them to [0, size), sorts them and joins those that touch or overlap; returns how many are left. */
size_t ranges_settle(ByteRange *ranges, size_t n, uint64_t size);
/* Are they as ranges_settle() leaves them: of some length, within the size, ascending and apart? */
bool ranges_are_settled(const ByteRange *ranges, size_t n, uint64_t size);
/* "bytes 512 to 1023, 4096 to 4607 and 3 more places": to the last byte, inclusive. The caller frees; NULL without memory. */
char *ranges_text(const ByteRange *ranges, size_t n);
