/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A token bucket, pure: what a worker may send without being asked, how fast the uplink may send. "Now" is an argument, in microseconds. */

#include <stdbool.h>
#include <stdint.h>

typedef struct Budget {
        uint64_t burst, per_sec;
        uint64_t tokens;
        uint64_t at_usec;  /* up to when tokens were credited */
        uint64_t fraction; /* of a token, in millionths, credited up to then */
} Budget;

/* Full at the start. Both at most 2^32. */
void budget_init(Budget *b, uint64_t burst, uint64_t per_sec, uint64_t now_usec);
/* Takes `n` tokens; false, taking none, when there are fewer. A clock that went backwards credits nothing. */
bool budget_take(Budget *b, uint64_t n, uint64_t now_usec);
/* Takes as many as there are, up to `n`; returns how many. */
uint64_t budget_take_some(Budget *b, uint64_t n, uint64_t now_usec);
