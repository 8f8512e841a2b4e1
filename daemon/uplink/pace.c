/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/pace.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/text.h"

/* What may be sent at once after a pause, and the least that is worth a wake-up. */
#define BURST_MSEC 250u
#define BURST_MIN ((uint64_t) 64 * KIB)
#define LEAST ((size_t) 16 * KIB)
#define WAIT_MIN_USEC (5 * USEC_PER_MSEC)
#define RATE_MAX (UINT64_C(1) << 32)

struct Pace {
        pthread_mutex_t mutex;
        Budget budget;
        bool held;
        uint64_t bytes_per_sec;
        int64_t minute_began_usec; /* wall: the minute for which the limit was looked up */
        size_t n_rules;
        PaceRule rules[];
};

/* ---- Rules --------------------------------------------------------------------------------------------------------- */

/* "20 Mbit/s", "none" */
static int parse_rate(const char *text, uint64_t *ret) {
        static const struct {
                const char *unit;
                double bytes;
        } units[] = {
                { "kbit/s", 1e3 / 8 }, { "Mbit/s", 1e6 / 8 }, { "Gbit/s", 1e9 / 8 }, { "kB/s", 1e3 }, { "MB/s", 1e6 }, { "GB/s", 1e9 },
        };
        char *end;
        double n;

        if (text_equal(text, "none")) {
                *ret = 0;
                return 0;
        }
        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        errno = 0;
        n = strtod(text, &end);
        end += strspn(end, " ");
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (text_equal(end, units[i].unit)) {
                        n *= units[i].bytes;
                        /* Less than this is a mistake, or "none". */
                        if (errno != 0 || !(n >= 1000) || n > (double) RATE_MAX)
                                return -EINVAL;
                        *ret = (uint64_t) n;
                        return 0;
                }
        return -EINVAL;
}

int pace_rule_parse(const char *text, PaceRule *ret, const char **ret_word) {
        PaceRule rule = { .when = { .days = 0x7f, .from = 0, .to = 24 * 60 } };
        const char *rest = text;

        if (week_span_parse(text, &rule.when, &rest) < 0) {
                /* Without a time it holds always; but then it must be a rate. */
                if (parse_rate(text, &rule.bytes_per_sec) < 0) {
                        *ret_word = rest;
                        return -EINVAL;
                }
                *ret = rule;
                return 0;
        }
        if (parse_rate(rest, &rule.bytes_per_sec) < 0) {
                *ret_word = rest;
                return -EINVAL;
        }
        *ret = rule;
        return 0;
}

uint64_t pace_rules_at(const PaceRule *rules, size_t n, unsigned minute) {
        uint64_t limit = PACE_UNLIMITED;

        for (size_t i = 0; i < n; i++)
                if (week_span_contains(&rules[i].when, minute))
                        limit = MIN2(limit, rules[i].bytes_per_sec);
        return limit;
}

/* ---- Taking -------------------------------------------------------------------------------------------------------- */

int pace_new(const PaceRule *rules, size_t n, Pace **ret) {
        Pace *p = calloc(1, sizeof(*p) + n * sizeof(rules[0]));

        if (!p)
                return -ENOMEM;
        if (pthread_mutex_init(&p->mutex, NULL) != 0) {
                free(p);
                return -ENOMEM;
        }
        p->minute_began_usec = INT64_MIN;
        p->bytes_per_sec = PACE_UNLIMITED;
        p->n_rules = n;
        for (size_t i = 0; i < n; i++)
                p->rules[i] = rules[i];
        *ret = p;
        return 0;
}

Pace *pace_free(Pace *p) {
        if (!p)
                return NULL;
        (void) pthread_mutex_destroy(&p->mutex);
        free(p);
        return NULL;
}

/* Once a minute of the wall clock, and when that was set. */
static void look_up(Pace *p, uint64_t now_usec, int64_t wall_usec) {
        const int64_t minute_usec = 60 * (int64_t) USEC_PER_SEC;
        uint64_t limit;
        struct tm local;

        if (p->minute_began_usec != INT64_MIN && wall_usec >= p->minute_began_usec && wall_usec - p->minute_began_usec < minute_usec)
                return;
        p->minute_began_usec = wall_usec - wall_usec % minute_usec;
        limit = local_time(wall_usec / (int64_t) USEC_PER_SEC, &local) ? pace_rules_at(p->rules, p->n_rules, week_minute(&local)) : 0;
        if (limit == p->bytes_per_sec)
                return;
        p->bytes_per_sec = limit;
        if (limit != PACE_UNLIMITED)
                budget_init(&p->budget, MAX2(limit * BURST_MSEC / 1000, BURST_MIN), limit, now_usec);
}

static size_t take(Pace *p, size_t want, uint64_t now_usec, uint64_t *ret_wait_usec) {
        size_t least = MIN2(want, LEAST);
        uint64_t wait;

        *ret_wait_usec = USEC_PER_SEC;
        if (p->held || p->bytes_per_sec == 0)
                return 0;
        if (p->bytes_per_sec == PACE_UNLIMITED)
                return want;
        if (budget_take(&p->budget, least, now_usec))
                return least + (size_t) budget_take_some(&p->budget, want - least, now_usec);
        wait = (least - p->budget.tokens) * USEC_PER_SEC / p->bytes_per_sec;
        *ret_wait_usec = wait < WAIT_MIN_USEC ? WAIT_MIN_USEC : MIN2(wait, USEC_PER_SEC);
        return 0;
}

void pace_hold(Pace *p, bool held) {
        (void) pthread_mutex_lock(&p->mutex);
        p->held = held;
        (void) pthread_mutex_unlock(&p->mutex);
}

size_t pace_take(Pace *p, size_t want, uint64_t now_usec, int64_t wall_usec, uint64_t *ret_wait_usec) {
        size_t n;

        if (!p || want == 0)
                return want;
        (void) pthread_mutex_lock(&p->mutex);
        look_up(p, now_usec, wall_usec);
        n = take(p, want, now_usec, ret_wait_usec);
        (void) pthread_mutex_unlock(&p->mutex);
        return n;
}
