/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where a camera is that several docks know of, and what of its footage no store has yet. Pure.
 *
 * Who took it from one dock and brought it back to another brought it back: it is out only while no dock saw it since. What is on the
 * camera itself the dock knows that saw it last; what others remember of that was pulled since, or will be. What lies on a dock lies there.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one dock knows of it; times are wall clock, 0: none. */
typedef struct Sighting {
        int64_t last_docked_usec;
        bool out, told_overdue; /* taken from there; that dock says that it should be back */
        int64_t taken_usec, due_usec;
        uint64_t unstored_on_camera, unstored_on_dock;
        int64_t on_camera_since_usec, on_dock_since_usec;
} Sighting;

typedef struct Whereabouts {
        size_t last; /* the dock that saw it last */
        bool out;
        size_t out_from; /* ... from there */
        bool overdue;
        uint64_t unstored_clips;
        int64_t unstored_since_usec; /* 0: nothing waits */
} Whereabouts;

/* A dock that is switched off does not say that a camera should be back: after so long another one does. */
#define WHEREABOUTS_PATIENCE_USEC (INT64_C(10) * 60 * 1000000)

/* Of at least one sighting. */
void whereabouts_of(const Sighting *sightings, size_t n, int64_t now_usec, Whereabouts *ret);
