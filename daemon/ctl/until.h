/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* When `watch` ends by itself. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

typedef struct Dock Dock;

#define UNTIL_MAX 8u
#define UNTIL_STATES_MAX 16u

/* All that a bay can be; waiting for anything else would be waiting for ever. */
#define UNTIL_STATES \
        "empty", "identifying", "switching", "checking", "pulling", "settled", "updating", "ready", "refused", "quarantined", \
        "fault", "ejected"

typedef struct UntilTerm {
        char *states[UNTIL_STATES_MAX]; /* bays in any of these count … */
        size_t n_states;
        uint64_t bays;      /* … and so many must; 0 states: it is about idleness */
        uint64_t idle_usec; /* nothing has been going on for so long */
} UntilTerm;

/* All terms must hold at once; none: never. */
typedef struct Until {
        UntilTerm terms[UNTIL_MAX];
        size_t n_terms;
        uint64_t busy_at_usec; /* CLOCK_BOOTTIME when something was last going on */
} Until;

/* "ready=12", "ready,refused=12", "idle=3" (seconds). -EINVAL, -ENOENT for a state that no bay has, -E2BIG past the limits above. */
int until_add(Until *u, const char *text);
void until_clear(Until *u);
/*
 * Whether the dock, as known at `now`, is where the watcher wants it. Otherwise *ret_wake_usec is when to ask again
 * although nothing changed, 0 when there is no such time. A dock that is not reachable is never where one wants it.
 */
bool until_holds(Until *u, const Dock *dock, uint64_t now_usec, uint64_t *ret_wake_usec);
