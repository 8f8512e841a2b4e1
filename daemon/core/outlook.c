/* SPDX-License-Identifier: Apache-2.0 */
#include "core/outlook.h"

#include "base/macro.h"

#define MINUTE 60u
#define HOUR (60u * MINUTE)
#define DAY (24u * HOUR)
#define TELL_MAX_SEC (365u * (uint64_t) DAY)

static uint64_t round_down(uint64_t sec) {
        uint64_t step = sec < HOUR ? MINUTE : sec < DAY ? 10u * MINUTE : HOUR;

        return sec - sec % step;
}

uint64_t outlook_sec(const OutlookFacts *f) {
        uint64_t room = f->free_bytes > UINT64_MAX - f->releasable_bytes ? UINT64_MAX : f->free_bytes + f->releasable_bytes;
        long double sec;

        if (f->inflow_bytes == 0 || f->inflow_sec == 0)
                return OUTLOOK_UNKNOWN;
        room -= MIN2(room, f->reserve_bytes);
        sec = (long double) room / (long double) f->inflow_bytes * (long double) f->inflow_sec;
        return sec >= (long double) TELL_MAX_SEC ? TELL_MAX_SEC : round_down((uint64_t) sec);
}
