/* SPDX-License-Identifier: Apache-2.0 */
#include "ptp_date.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar, by counting years that begin in March. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day) {
        int64_t y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y % 400;
        int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

        return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_of_month(int year, int month) {
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
                return 29;
        return days[month - 1];
}

/* `n` decimal digits, or -1. */
static int digits(const char *s, size_t n) {
        int v = 0;

        for (size_t i = 0; i < n; i++) {
                if (s[i] < '0' || s[i] > '9')
                        return -1;
                v = v * 10 + (s[i] - '0');
        }
        return v;
}

/* What follows the seconds: nothing, or a zone. Positive when there is a zone. */
static int zone_parse(const char *s, size_t n, int *ret_minutes) {
        int hours, minutes;

        if (n == 0)
                return 0;
        if (n == 1 && s[0] == 'Z') {
                *ret_minutes = 0;
                return 1;
        }
        if (n != 5 || (s[0] != '+' && s[0] != '-'))
                return -EINVAL;
        hours = digits(s + 1, 2);
        minutes = digits(s + 3, 2);
        if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59)
                return -EINVAL;
        *ret_minutes = (s[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
        return 1;
}

int ptp_date_parse(const char *text, size_t size, int offset_minutes, PtpDate *ret) {
        int year, month, day, hour, minute, second, zoned;
        size_t at = 15;

        if (size < 15 || text[8] != 'T')
                return -EINVAL;
        year = digits(text, 4);
        month = digits(text + 4, 2);
        day = digits(text + 6, 2);
        hour = digits(text + 9, 2);
        minute = digits(text + 11, 2);
        second = digits(text + 13, 2);
        if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) || hour < 0 ||
            hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
                return -EINVAL;
        if (at < size && text[at] == '.')
                for (at++; at < size && text[at] >= '0' && text[at] <= '9'; at++)
                        ;
        zoned = zone_parse(text + at, size - at, &offset_minutes);
        if (zoned < 0)
                return zoned;
        *ret = (PtpDate){
                .unix_sec = days_from_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
                            (int64_t) offset_minutes * 60,
                .zoned = zoned > 0,
        };
        return 0;
}

int ptp_date_format(int64_t unix_sec, int offset_minutes, bool zoned, char ret[static PTP_DATE_SIZE]) {
        int64_t local, last = days_from_date(9999, 12, 31) * 86400 + 86399;
        char date[PTP_DATE_SIZE], zone[8] = "";
        struct tm tm;
        time_t t;

        if (unix_sec < 0 || unix_sec > last)
                return -ERANGE;
        local = unix_sec + (int64_t) offset_minutes * 60;
        if (local < 0 || local > last)
                return -ERANGE;
        t = (time_t) local;
        if (!gmtime_r(&t, &tm) || strftime(date, sizeof(date), "%Y%m%dT%H%M%S", &tm) != 15)
                return -ERANGE;
        if (zoned && offset_minutes == 0)
                (void) snprintf(zone, sizeof(zone), "Z");
        else if (zoned) {
                unsigned ahead = (unsigned) (offset_minutes < 0 ? -offset_minutes : offset_minutes);

                (void) snprintf(zone, sizeof(zone), "%c%02u%02u", offset_minutes < 0 ? '-' : '+', ahead / 60 % 100,
                                ahead % 60);
        }
        (void) snprintf(ret, PTP_DATE_SIZE, "%.15s%.5s", date, zone);
        return 0;
}
