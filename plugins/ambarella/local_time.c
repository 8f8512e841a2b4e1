/* SPDX-License-Identifier: Apache-2.0 */
#include "local_time.h"

#include <errno.h>
#include <time.h>

#define LAST_SECOND INT64_C(253402300799) /* of the year 9999 */

int local_time_from_unix(int64_t unix_sec, int offset_minutes, LocalTime *ret) {
        int64_t local;
        struct tm tm;
        time_t t;

        if (unix_sec < 0 || unix_sec > LAST_SECOND)
                return -ERANGE;
        local = unix_sec + (int64_t) offset_minutes * 60;
        if (local < 0 || local > LAST_SECOND)
                return -ERANGE;
        t = (time_t) local;
        if (!gmtime_r(&t, &tm))
                return -ERANGE;
        *ret = (LocalTime){
                .year = (uint16_t) (tm.tm_year + 1900),
                .month = (uint8_t) (tm.tm_mon + 1),
                .day = (uint8_t) tm.tm_mday,
                .hour = (uint8_t) tm.tm_hour,
                .minute = (uint8_t) tm.tm_min,
                .second = (uint8_t) tm.tm_sec,
        };
        return 0;
}
