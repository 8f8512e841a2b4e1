/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "bay/container.h"

/* Dates within files, which every program wrote in its own way. */

typedef struct Date {
        int year, month, day, hour, minute, second, zone_minutes;
} Date;

static void skip_spaces(const char **p) {
        while (**p == ' ')
                (*p)++;
}

/* A number of 1 to `max` digits, spaces before it allowed. */
static bool take_number(const char **p, int max_digits, int *ret) {
        int value = 0, n = 0;

        skip_spaces(p);
        for (; n < max_digits && isdigit((unsigned char) **p); n++)
                value = value * 10 + *(*p)++ - '0';
        if (n > 0)
                *ret = value;
        return n > 0;
}

static bool take_one_of(const char **p, const char *signs) {
        if (**p == 0 || !strchr(signs, **p))
                return false;
        (*p)++;
        return true;
}

static bool take_month_name(const char **p, int *ret) {
        static const char *const names[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec" };

        for (int i = 0; i < 12; i++)
                if (strncasecmp(*p, names[i], 3) == 0) {
                        *p += 3;
                        *ret = i + 1;
                        return true;
                }
        return false;
}

/* "09:15", "09:15:00", "09:15:00.5" */
static bool take_time(const char **p, Date *d) {
        if (!take_number(p, 2, &d->hour) || !take_one_of(p, ":") || !take_number(p, 2, &d->minute))
                return false;
        if (!take_one_of(p, ":"))
                return true;
        if (!take_number(p, 2, &d->second))
                return false;
        if (take_one_of(p, ".,"))
                while (isdigit((unsigned char) **p))
                        (*p)++;
        return true;
}

/* Nothing, "Z", "+01:00", "-0530" */
static bool take_zone(const char **p, Date *d) {
        int sign, hours, minutes = 0;

        skip_spaces(p);
        if (**p == 0 || take_one_of(p, "Zz"))
                return true;
        sign = **p == '-' ? -1 : 1;
        if (!take_one_of(p, "+-") || !take_number(p, 2, &hours))
                return false;
        (void) take_one_of(p, ":");
        (void) take_number(p, 2, &minutes);
        d->zone_minutes = sign * (hours * 60 + minutes);
        return hours <= 14 && minutes < 60;
}

/* "Wed Nov 25 09:15:00 2026": asctime() */
static bool take_asctime(const char **p, Date *d) {
        while (isalpha((unsigned char) **p))
                (*p)++;
        skip_spaces(p);
        return take_month_name(p, &d->month) && take_number(p, 2, &d->day) && take_number(p, 2, &d->hour) && take_one_of(p, ":") &&
               take_number(p, 2, &d->minute) && take_one_of(p, ":") && take_number(p, 2, &d->second) && take_number(p, 4, &d->year);
}

/* "2026-11-25 09:15:00", "2026/11/25/ 09:15", "2026:11:25" */
static bool take_iso(const char **p, Date *d) {
        if (!take_number(p, 4, &d->year) || !take_one_of(p, "-:/.") || !take_number(p, 2, &d->month) || !take_one_of(p, "-:/.") ||
            !take_number(p, 2, &d->day))
                return false;
        (void) take_one_of(p, "Tt/");
        skip_spaces(p);
        if (**p == 0)
                return true;
        return take_time(p, d) && take_zone(p, d);
}

int container_date(const char *text, int64_t *ret_unix_sec) {
        const char *p = text;
        Date d = {};
        struct tm tm;
        time_t t;
        bool good;

        skip_spaces(&p);
        good = isalpha((unsigned char) *p) ? take_asctime(&p, &d) : take_iso(&p, &d);
        while (*p == ' ' || *p == '\n' || *p == '\r')
                p++;
        if (!good || *p != 0)
                return -EINVAL;
        /* Years of two digits are guesses. */
        if (d.year < 1900 || d.month < 1 || d.month > 12 || d.day < 1 || d.day > 31 || d.hour > 23 || d.minute > 59 || d.second > 60)
                return -EINVAL;
        tm = (struct tm){ .tm_year = d.year - 1900, .tm_mon = d.month - 1, .tm_mday = d.day, .tm_hour = d.hour, .tm_min = d.minute,
                          .tm_sec = d.second };
        t = timegm(&tm);
        /* The 31st of a month that has 30 days became the 1st of the next. */
        if (tm.tm_mday != d.day && d.second < 60)
                return -EINVAL;
        *ret_unix_sec = (int64_t) t - (int64_t) d.zone_minutes * 60;
        return 0;
}
