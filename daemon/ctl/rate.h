/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bytes a second over the last few seconds, from samples of a growing counter. */

#include <stdint.h>

#define RATE_SAMPLES 16u
#define RATE_WINDOW_USEC UINT64_C(4000000)

typedef struct Rate {
        uint64_t bytes[RATE_SAMPLES], at_usec[RATE_SAMPLES];
        unsigned n, first;
} Rate;

/* A counter that falls starts anew. Samples closer than a sixteenth of the window replace the one before. */
void rate_sample(Rate *r, uint64_t bytes, uint64_t now_usec);
/* 0 when there is nothing to tell, and after the window passed without a sample that grew. */
uint64_t rate_bytes_per_sec(const Rate *r, uint64_t now_usec);
