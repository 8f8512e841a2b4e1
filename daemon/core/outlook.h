/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How long the dock can go on while the store takes nothing. Pure. */

#include <stdint.h>

typedef struct OutlookFacts {
        uint64_t free_bytes, reserve_bytes;
        uint64_t releasable_bytes; /* spool copies that may go when room is needed */
        uint64_t inflow_bytes;     /* footage that came ... */
        uint64_t inflow_sec;       /* ... within so long; longer than this dock has known footage is no harm */
} OutlookFacts;

/* "Nobody can say": no footage came. */
#define OUTLOOK_UNKNOWN UINT64_MAX
/* Seconds, rounded down to what is worth telling apart: minutes, then tens of minutes, then hours. */
uint64_t outlook_sec(const OutlookFacts *facts);
