/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* What a camera's clock shows. */
typedef struct LocalTime {
        uint16_t year; /* 1970 to 9999 */
        uint8_t month, day, hour, minute, second;
} LocalTime;

/* UTC seconds since 1970, shown `offset_minutes` ahead of UTC. -ERANGE outside of the years that have four digits. */
int local_time_from_unix(int64_t unix_sec, int offset_minutes, LocalTime *ret);
