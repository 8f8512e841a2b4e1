/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/rate.h"

#include "base/macro.h"

static unsigned slot(const Rate *r, unsigned i) {
        return (r->first + i) % RATE_SAMPLES;
}

void rate_sample(Rate *r, uint64_t bytes, uint64_t now_usec) {
        unsigned newest = slot(r, r->n - 1);
        if (r->n > 0 && bytes < r->bytes[newest])
                *r = (Rate) { 0 };
        /* The newest sample moves on in place while it is close to the one before: the window keeps its length. */
        if (r->n > 1 && now_usec - r->at_usec[slot(r, r->n - 2)] < RATE_WINDOW_USEC / RATE_SAMPLES) {
                r->bytes[newest] = bytes;
                r->at_usec[newest] = now_usec;
                return;
        }
        if (r->n == RATE_SAMPLES) {
                r->first = slot(r, 1);
                r->n--;
        }
        unsigned next = slot(r, r->n++);
        r->bytes[next] = bytes;
        r->at_usec[next] = now_usec;
}

uint64_t rate_bytes_per_sec(const Rate *r, uint64_t now_usec) {
        /* The oldest sample within the window; the one before it when the window holds but one. */
        unsigned i = 0;
        while (i + 2 < r->n && now_usec - r->at_usec[slot(r, i)] > RATE_WINDOW_USEC)
                i++;
        if (r->n < 2)
                return 0;
        unsigned oldest = slot(r, i), newest = slot(r, r->n - 1);
        if (now_usec - r->at_usec[newest] > RATE_WINDOW_USEC)
                return 0;
        uint64_t elapsed = now_usec - r->at_usec[oldest];
        if (elapsed == 0)
                return 0;
        uint64_t moved = r->bytes[newest] - r->bytes[oldest];
        return (uint64_t) ((double) moved * (double) USEC_PER_SEC / (double) elapsed);
}
