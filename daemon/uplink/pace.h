/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How fast clips may go to the store: limits bound to times of the week, shared by all transfers. What a backend sends of clips is
 * taken from here first; what it reads back, and its small requests, are not counted. Any thread may take.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"
#include "base/week.h"

#define PACE_RULES_MAX 32u
#define PACE_UNLIMITED UINT64_MAX

typedef struct PaceRule {
        WeekSpan when;
        uint64_t bytes_per_sec; /* 0: nothing is sent */
} PaceRule;

/*
 * "Mon-Fri 08:00-18:00 20 Mbit/s", "22:00-06:00 none", "5 MB/s" (always). Units: kbit/s, Mbit/s, Gbit/s, kB/s, MB/s, GB/s, of 1000.
 * -EINVAL, with the word that is wrong in *ret_word.
 */
int pace_rule_parse(const char *text, PaceRule *ret, const char **ret_word);
/* The strictest of the rules that hold at this minute of the week, in bytes per second; PACE_UNLIMITED when none holds. */
uint64_t pace_rules_at(const PaceRule *rules, size_t n, unsigned minute);

typedef struct Pace Pace;

/* Copies the rules. */
int pace_new(const PaceRule *rules, size_t n, Pace **ret);
Pace *pace_free(Pace *p);
DEFINE_CLEANUP(Pace, pace_free);
/* Nothing is given while it is held. */
void pace_hold(Pace *p, bool held);
/*
 * How many of `want` bytes may be sent now: at least one, or 0 when the caller is to ask again after *ret_wait_usec, at most a
 * second. NULL is no limit. Times are CLOCK_BOOTTIME and CLOCK_REALTIME.
 */
size_t pace_take(Pace *p, size_t want, uint64_t now_usec, int64_t wall_usec, uint64_t *ret_wait_usec);
