/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pace.h"

#include "base/macro.h"

void pace_begin(Pace *p, uint64_t bytes, uint64_t now_usec) {
        p->from_bytes = bytes;
        p->until_usec = p->bytes_per_sec > 0 ? now_usec + p->window_usec : UINT64_MAX;
}

bool pace_is_too_slow(Pace *p, uint64_t bytes, uint64_t now_usec) {
        uint64_t least;

        if (now_usec < p->until_usec)
                return false;
        if (__builtin_mul_overflow(p->bytes_per_sec, p->window_usec, &least))
                least = UINT64_MAX;
        if (bytes - p->from_bytes < least / USEC_PER_SEC)
                return true;
        pace_begin(p, bytes, now_usec);
        return false;
}
