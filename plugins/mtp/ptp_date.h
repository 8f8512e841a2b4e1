/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Dates as PTP writes them (ISO 15740 §5.3.5): "YYYYMMDDThhmmss[.s][Z|+hhmm|-hhmm]". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct PtpDate {
        int64_t unix_sec;
        bool zoned; /* it named its time zone */
} PtpDate;

/*
 * `offset_minutes` is how far ahead of UTC a date without a zone is. 0, or -EINVAL when it is not a date of the years
 * 1970 to 9999.
 */
int ptp_date_parse(const char *text, size_t size, int offset_minutes, PtpDate *ret);

#define PTP_DATE_SIZE 24
/* The local time `offset_minutes` ahead of UTC, with its zone when `zoned`. 0, or -ERANGE before 1970 or past 9999. */
int ptp_date_format(int64_t unix_sec, int offset_minutes, bool zoned, char ret[static PTP_DATE_SIZE]);
