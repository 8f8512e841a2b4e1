/* SPDX-License-Identifier: Apache-2.0 */
#include "base/week.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define DAY_MINUTES (24u * 60u)
#define EVERY_DAY 0x7f

static const char *const day_names[7] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static int take_day(const char **text) {
        for (int day = 0; day < 7; day++)
                if (strncasecmp(*text, day_names[day], 3) == 0 && !is_letter((*text)[3])) {
                        *text += 3;
                        return day;
                }
        return -EINVAL;
}

/* "Mon-Fri,Sun"; a range may go round the end of the week. */
static int take_days(const char **text, uint8_t *ret) {
        const char *p = *text;
        uint8_t days = 0;

        for (;;) {
                int first = take_day(&p), last = first;

                if (first >= 0 && *p == '-') {
                        p++;
                        last = take_day(&p);
                }
                if (first < 0 || last < 0)
                        return -EINVAL;
                for (int day = first;; day = (day + 1) % 7) {
                        days |= (uint8_t) (1u << day);
                        if (day == last)
                                break;
                }
                if (*p != ',')
                        break;
                p++;
        }
        *ret = days;
        *text = p;
        return 0;
}

/* "08:00"; "24:00" is the end of the day. */
static int take_time(const char **text, uint16_t *ret) {
        const char *p = *text;
        unsigned hour, minute;

        if (!is_digit(p[0]) || !is_digit(p[1]) || p[2] != ':' || !is_digit(p[3]) || !is_digit(p[4]) || is_digit(p[5]))
                return -EINVAL;
        hour = (unsigned) (p[0] - '0') * 10 + (unsigned) (p[1] - '0');
        minute = (unsigned) (p[3] - '0') * 10 + (unsigned) (p[4] - '0');
        if (minute > 59 || hour > 24 || (hour == 24 && minute > 0))
                return -EINVAL;
        *ret = (uint16_t) (hour * 60 + minute);
        *text = p + 5;
        return 0;
}

static int take_hours(const char **text, WeekSpan *span) {
        const char *p = *text;

        if (take_time(&p, &span->from) < 0 || *p++ != '-' || take_time(&p, &span->to) < 0)
                return -EINVAL;
        /* A span of no length would look like the whole day. */
        if (span->from == DAY_MINUTES || span->from == span->to)
                return -EINVAL;
        *text = p;
        return 0;
}

static const char *skip_spaces(const char *p) {
        return p + strspn(p, " \t");
}

/* The word that was read must end where a word ends. */
static bool word_ended(const char *p) {
        return *p == 0 || *p == ' ' || *p == '\t';
}

int week_span_parse(const char *text, WeekSpan *ret, const char **ret_rest) {
        WeekSpan span = { .days = EVERY_DAY, .from = 0, .to = DAY_MINUTES };
        const char *p = skip_spaces(text), *word = p, *probe = p;
        bool something = false;

        if (take_day(&probe) >= 0) {
                if (take_days(&p, &span.days) < 0 || !word_ended(p)) {
                        *ret_rest = word;
                        return -EINVAL;
                }
                something = true;
                p = word = skip_spaces(p);
        }
        if (is_digit(p[0]) && is_digit(p[1]) && p[2] == ':') {
                if (take_hours(&p, &span) < 0 || !word_ended(p)) {
                        *ret_rest = word;
                        return -EINVAL;
                }
                something = true;
        }
        *ret_rest = skip_spaces(p);
        if (!something)
                return -EINVAL;
        *ret = span;
        return 0;
}

bool week_span_contains(const WeekSpan *span, unsigned minute) {
        unsigned day = minute / DAY_MINUTES % 7, of_day = minute % DAY_MINUTES;
        bool today = (span->days >> day & 1) != 0, yesterday = (span->days >> (day + 6) % 7 & 1) != 0;

        if (span->from < span->to)
                return today && of_day >= span->from && of_day < span->to;
        return (today && of_day >= span->from) || (yesterday && of_day < span->to);
}

unsigned week_minute(const struct tm *local) {
        return (unsigned) (local->tm_wday + 6) % 7 * DAY_MINUTES + (unsigned) local->tm_hour * 60 + (unsigned) local->tm_min;
}

unsigned week_next_change(const WeekSpan *spans, size_t n, unsigned minute) {
        for (unsigned later = 1; later <= WEEK_MINUTES; later++)
                for (size_t i = 0; i < n; i++)
                        if (week_span_contains(&spans[i], (minute + later - 1) % WEEK_MINUTES) !=
                            week_span_contains(&spans[i], (minute + later) % WEEK_MINUTES))
                                return later;
        return 0;
}

static bool is_within(const WeekSpan *spans, size_t n, unsigned minute) {
        for (size_t i = 0; i < n; i++)
                if (week_span_contains(&spans[i], minute))
                        return true;
        return false;
}

bool week_is_within(const WeekSpan *spans, size_t n, int64_t unix_sec) {
        struct tm local;

        return local_time(unix_sec, &local) && is_within(spans, n, week_minute(&local));
}

/* The same, in the zone as it was found last: for many times one after the other. */
static bool will_be_within(const WeekSpan *spans, size_t n, int64_t unix_sec) {
        time_t sec = (time_t) unix_sec;
        struct tm local;

        return localtime_r(&sec, &local) && is_within(spans, n, week_minute(&local));
}

/* By real minutes: how long an hour of the clock is nobody knows who only adds. Only the minutes at which a span can begin or end count. */
int64_t week_changes_sec(const WeekSpan *spans, size_t n, int64_t unix_sec) {
        int64_t start = unix_sec - unix_sec % 60;
        bool now = week_is_within(spans, n, start), edges[60] = {};

        /* Where clocks change they do so at full quarters, and a zone is off by such. */
        for (unsigned minute = 0; minute < 60; minute += 15)
                edges[minute] = true;
        for (size_t i = 0; i < n; i++)
                for (unsigned quarter = 0; quarter < 60; quarter += 15)
                        edges[(spans[i].from + quarter) % 60] = edges[(spans[i].to + quarter) % 60] = true;
        for (int64_t at = start + 60; at <= start + (int64_t) (WEEK_MINUTES + 120) * 60; at += 60)
                if (edges[at / 60 % 60] && will_be_within(spans, n, at) != now)
                        return at;
        return INT64_MAX;
}
