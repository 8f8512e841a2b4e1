/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Times of the week as people write them: "Mon-Fri 08:00-18:00", "Sat,Sun", "22:00-06:00". Pure: what time it is, is an
 * argument. Times are the dock's own local ones, and so is their meaning on the days when clocks change.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define WEEK_MINUTES (7u * 24u * 60u)

/* Which of the minutes of a day, on which days. */
typedef struct WeekSpan {
        uint8_t days;            /* bit 0 is Monday: the days on which it begins */
        uint16_t from, to;       /* minutes of the day; to <= from goes on into the next day */
} WeekSpan;

/*
 * Parses days (names of three letters, ranges and lists of them; none is every day) and a span of hours (none is the whole
 * day). *ret_rest is what follows, without leading spaces. -EINVAL, and *ret_rest is the word that is wrong.
 */
int week_span_parse(const char *text, WeekSpan *ret, const char **ret_rest);
/* `minute` is a minute of the week: 0 is Monday 00:00. */
bool week_span_contains(const WeekSpan *span, unsigned minute);
/* The minute of the week of a local broken-down time. */
unsigned week_minute(const struct tm *local);
/* Minutes from `minute` until any of the spans begins or ends: 1 to WEEK_MINUTES; 0 when none ever does. */
unsigned week_next_change(const WeekSpan *spans, size_t n, unsigned minute);
/* Is that moment, seconds since 1970, in any of the spans by the process's own time zone? */
bool week_is_within(const WeekSpan *spans, size_t n, int64_t unix_sec);
/*
 * When the answer of week_is_within() changes: seconds since 1970, to the minute, also over a night in which the clocks change; INT64_MAX
 * when it does not within a week.
 */
int64_t week_changes_sec(const WeekSpan *spans, size_t n, int64_t unix_sec);
