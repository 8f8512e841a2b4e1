/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where something goes that was measured now and then over weeks. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TrendPoint {
        int64_t at_usec; /* wall */
        int64_t value;
} TrendPoint;

/* Fewer, or all within a shorter time, say nothing. */
#define TREND_POINTS_MIN 5u
#define TREND_SPAN_MIN_USEC (INT64_C(21) * 86400 * 1000000)
/* No more are looked at. */
#define TREND_POINTS_MAX 48u

/*
 * By how much the value rises in 30 days: the median of what any two points say (Theil and Sen), so that a few that are far off do not
 * count. In any order. False when there are too few, or over too short a time.
 */
bool trend_per_month(const TrendPoint *points, size_t n, int64_t *ret);
