/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How old something is to a dock whose clock may be wrong, and whether a spool copy may go. Pure. */

#include <stdbool.h>
#include <stdint.h>

/* After a step of the dock's clock nothing is old enough to be deleted until the dock has run so long with a clock that did not step. */
#define CLOCK_REST_USEC (UINT64_C(3600) * 1000 * 1000)

/* What the dock knows of its own clock now. */
typedef struct ClockFacts {
        bool synchronised;
        int64_t wall_usec;
        uint64_t running_usec;    /* how long the dock has run in all */
        uint64_t since_step_usec; /* … and since its clock was last stepped; UINT64_MAX: never */
} ClockFacts;

/* May age decide anything now? */
bool clock_is_steady(const ClockFacts *now);
/* The smaller of wall time and running time: putting the clock forward makes nothing older. */
uint64_t age_usec(const ClockFacts *now, int64_t wall_usec, uint64_t running_usec);

typedef enum Retention {
        RETENTION_MAY_GO,   /* when room is needed */
        RETENTION_UNSTORED, /* the store holds it by no receipt that would license an erase */
        RETENTION_HELD,     /* somebody ordered that it is kept */
        RETENTION_YOUNG,    /* the site keeps copies longer */
        RETENTION_CLOCK,    /* how old it is cannot be told now */
        _RETENTION_MAX,
} Retention;

typedef struct RetentionFacts {
        bool receipted, receipt_accepted, held;
        int64_t receipted_wall_usec; /* when the receipt was recorded, by the dock's clock … */
        uint64_t receipted_running_usec; /* … and by its running time */
        uint64_t keep_usec; /* the site's setting; 0: no longer than until room is needed */
} RetentionFacts;

Retention retention_of_copy(const RetentionFacts *facts, const ClockFacts *now);
