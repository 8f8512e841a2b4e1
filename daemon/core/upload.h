/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which clip goes to the store next, and how many at once. Pure: "now" and chance are arguments. */

#include <stdbool.h>
#include <stdint.h>

/* What is known of a clip that waits. */
typedef struct UploadFacts {
        uint64_t clip_id;
        bool urgent;      /* an admin said so */
        bool priority;    /* its model's mark of footage that matters */
        bool overdue;     /* it has lain on the dock for longer than the site wants */
        bool companion;   /* no footage, but what goes with it */
        bool owner_waits; /* its camera is docked and cannot be emptied before the receipt */
        int64_t since_unix_sec;    /* how old the footage is: the oldest of a camera goes first */
        unsigned camera_under_way; /* uploads of the same camera that run now */
        uint64_t camera_turn;      /* rises each time an upload of that camera is begun; 0: never yet */
} UploadFacts;

/* Negative when `a` goes first, positive when `b` does; 0 only for one and the same clip. */
int upload_compare(const UploadFacts *a, const UploadFacts *b);

/*
 * How many uploads at once: additive increase, multiplicative decrease. It begins at the most that the site allows; a store that
 * asks for less gets half, and one more for each round in which all went well.
 */
typedef struct UploadPace {
        unsigned most, limit;
        unsigned well;    /* ended well since the limit last changed */
        unsigned slowed;  /* asked for less, in a row */
        uint64_t not_before_usec; /* CLOCK_BOOTTIME */
} UploadPace;

/* `most` is at least 1. */
void upload_pace_init(UploadPace *p, unsigned most);
void upload_pace_went_well(UploadPace *p);
/*
 * The store asked for less. `retry_after_usec` is what it named, 0 when it did not; `chance` spreads docks that were told
 * so at the same moment.
 */
void upload_pace_slow_down(UploadPace *p, uint64_t retry_after_usec, uint64_t chance, uint64_t now_usec);
/* How many may be under way now; 0 while the store wants to be left alone, until p->not_before_usec. */
unsigned upload_pace_allows(const UploadPace *p, uint64_t now_usec);
