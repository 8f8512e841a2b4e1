/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define BOOT_ID_SIZE 33 /* 32 hex digits and the NUL */

/* One moment, as evidence tells it: the wall clock and whether it was known right, and the time since boot. */
typedef struct Moment {
        int64_t wall_usec;      /* CLOCK_REALTIME since 1970 */
        uint64_t boottime_usec; /* CLOCK_BOOTTIME */
        bool synchronised;      /* what the caller knows of the wall clock (timedate1) */
        char boot_id[BOOT_ID_SIZE];
} Moment;

uint64_t clock_boottime_usec(void);
/* How much of that time the machine was suspended. */
uint64_t clock_suspended_usec(void);
int64_t clock_wall_usec(void);
void moment_now(bool synchronised, Moment *ret);

/* A wall clock that is slewed, or read late, is not stepped. */
#define CLOCK_STEP_USEC (INT64_C(10) * 1000 * 1000)
/*
 * By how much the wall clock was put forward (or, negative, back) between two moments, beyond what passed; 0 when by less than
 * CLOCK_STEP_USEC. Of another boot only the way back can be told: nobody knows how long the machine was off.
 */
int64_t moment_step_usec(const Moment *before, const Moment *after);

#define UTC_TEXT_SIZE 32
/* RFC 3339 in UTC, to the microsecond: "2026-11-23T09:15:00.123456Z". Returns ret. */
char *utc_text(int64_t wall_usec, char ret[static UTC_TEXT_SIZE]);
/* The inverse; only exactly that form, else -EINVAL. */
int utc_from_text(const char *text, int64_t *ret_wall_usec);
/*
 * The clock on the wall at that time, by the zone that the machine has by now: it may have been given another one since the program began.
 * False: no such time.
 */
bool local_time(int64_t unix_sec, struct tm *ret);
#define LOCAL_TEXT_SIZE 32
/* For people, by local_time(), and to the minute: "2026-11-23 22:00 +0100". Returns ret. */
char *local_text(int64_t wall_usec, char ret[static LOCAL_TEXT_SIZE]);
/* "2026-11-23" */
char *utc_day(int64_t wall_sec, char ret[static 11]);
