/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A device that comes and goes without end (a broken contact, or malice) may cost its bay, and nothing else: after so many dockings
 * in so short a time the bay rests, longer each time. Pure: "now" is an argument, CLOCK_BOOTTIME.
 */

#include <stdbool.h>
#include <stdint.h>

#define FLAP_DOCKINGS 12u
#define FLAP_WITHIN_USEC (UINT64_C(60) * 1000000)
#define FLAP_REST_MIN_USEC (UINT64_C(60) * 1000000)
#define FLAP_REST_MAX_USEC (UINT64_C(3600) * 1000000)
/* After so long without a new rest the next one is short again. */
#define FLAP_CALM_USEC (UINT64_C(600) * 1000000)

/* Zero-filled: a bay that never saw a device. */
typedef struct Flap {
        uint64_t begun_usec[FLAP_DOCKINGS]; /* the last dockings, a ring */
        unsigned next;
        unsigned rests; /* in a row */
        uint64_t rest_until_usec;
} Flap;

/* A device is there: may a docking begin? Else the bay rests until `rest_until_usec`. */
bool flap_may_dock(Flap *f, uint64_t now_usec);
