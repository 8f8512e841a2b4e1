/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/http_time.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int month_of(const char *name) {
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

        for (int i = 0; i < 12; i++)
                if (strncmp(name, months + 3 * (ptrdiff_t) i, 3) == 0)
                        return i;
        return -EINVAL;
}

int http_parse_date(const char *text, int64_t *ret_unix_sec) {
        static const char shape[] = "aaa, 00 aaa 0000 00:00:00 GMT";
        struct tm tm = {};

        if (strlen(text) != sizeof(shape) - 1)
                return -EINVAL;
        for (size_t i = 0; shape[i]; i++) {
                bool digit = text[i] >= '0' && text[i] <= '9';

                if (shape[i] == '0' ? !digit : shape[i] != 'a' && text[i] != shape[i])
                        return -EINVAL;
        }
        tm.tm_mday = atoi(text + 5);
        tm.tm_mon = month_of(text + 8);
        tm.tm_year = atoi(text + 12) - 1900;
        tm.tm_hour = atoi(text + 17);
        tm.tm_min = atoi(text + 20);
        tm.tm_sec = atoi(text + 23);
        if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
                return -EINVAL;
        *ret_unix_sec = (int64_t) timegm(&tm);
        return 0;
}

uint64_t http_retry_after_sec(const char *value, int64_t now_unix_sec) {
        size_t digits = strspn(value, "0123456789");
        int64_t at;

        if (digits > 0 && digits < 10 && value[digits] == 0)
                return strtoull(value, NULL, 10);
        if (http_parse_date(value, &at) >= 0 && at > now_unix_sec)
                return (uint64_t) (at - now_unix_sec);
        return 0;
}
