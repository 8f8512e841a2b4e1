/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The least pace of a transfer, measured over windows: a camera that sends a byte now and then is never silent, and would keep its
 * bay for ever. Pure: "now" is an argument.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct Pace {
        uint64_t bytes_per_sec; /* 0: any pace will do */
        uint64_t window_usec;
        uint64_t from_bytes;    /* moved when the window began */
        uint64_t until_usec;    /* its end; UINT64_MAX: none has begun */
} Pace;

/* A window begins: the transfer has so far moved `bytes`. */
void pace_begin(Pace *p, uint64_t bytes, uint64_t now_usec);
/* Has a window ended in which too little was moved? After one that was good the next begins. */
bool pace_is_too_slow(Pace *p, uint64_t bytes, uint64_t now_usec);
