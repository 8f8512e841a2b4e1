/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an officer sees at the rack: one light for each bay, and what it says. Pure. */

#include <stdbool.h>

#include "core/bay.h"

typedef enum Light {
        LIGHT_EMPTY,
        LIGHT_BUSY,     /* leave it in: it is looked at, or footage is on its way */
        LIGHT_CHARGING, /* its footage is safe, its battery is not what it should be */
        LIGHT_READY,    /* for the next shift */
        LIGHT_TAKE,     /* this one: somebody asked where it is, for which one to take, or for this one as it is */
        LIGHT_KEEP,     /* do not take it: quarantined, or none of ours */
        LIGHT_FAULT,
        _LIGHT_MAX,
        _LIGHT_INVALID = -22,
} Light;

const char *light_to_string(Light light);
Light light_from_string(const char *s);

typedef struct LightFacts {
        BayState state;
        bool pointed_at;     /* somebody asked for it */
        bool best;           /* nobody asked for any, and of those that anybody may take it is the best */
        int battery_percent; /* -1: not known */
        unsigned battery_floor_percent; /* with less it is not issued; 0: none */
} LightFacts;

/* What the bay's lamps say. */
Light light_of(const LightFacts *facts);
