/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/number.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

#define DIGITS "0123456789"

int number_parse(const char *s, uint64_t min, uint64_t max, uint64_t *ret) {
        size_t length = strlen(s);
        if (length == 0 || strspn(s, DIGITS) != length)
                return -EINVAL;

        uint64_t value = 0;
        for (; *s; s++)
                if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
                    __builtin_add_overflow(value, (uint64_t) (*s - '0'), &value))
                        return -ERANGE;
        if (value < min || value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

int number_seconds(const char *s, uint64_t max_sec, uint64_t *ret_usec) {
        uint64_t value = 0, fraction = 0, unit = USEC_PER_SEC;
        size_t whole = strspn(s, DIGITS);
        if (whole == 0 || whole > 18)
                return -EINVAL;
        for (size_t i = 0; i < whole; i++)
                value = value * 10 + (uint64_t) (s[i] - '0');

        s += whole;
        if (*s == '.') {
                s++;
                if (*s == '\0')
                        return -EINVAL;
                for (; *s >= '0' && *s <= '9' && unit > 1; s++) {
                        unit /= 10;
                        fraction += (uint64_t) (*s - '0') * unit;
                }
        }
        if (*s != '\0')
                return -EINVAL;
        if (value > max_sec)
                return -ERANGE;
        *ret_usec = value * USEC_PER_SEC + fraction;
        return 0;
}
