/* SPDX-License-Identifier: Apache-2.0 */
#include "base/battery.h"

#include <stdbool.h>

#include "base/macro.h"

#define MSEC_PER_HOUR UINT64_C(3600000)

/* In the middle of a percent, hence halves. */
static uint32_t current_at(const ChargePoint *points, size_t n, uint32_t half_percent) {
        const ChargePoint *a, *b;
        uint32_t from, to, at;

        if (half_percent <= 2u * points[0].percent)
                return points[0].ma;
        for (size_t i = 1; i < n; i++) {
                a = &points[i - 1];
                b = &points[i];
                if (half_percent > 2u * b->percent)
                        continue;
                from = 2u * a->percent;
                to = 2u * b->percent;
                at = half_percent - from;
                return (a->ma * (to - half_percent) + b->ma * at) / (to - from);
        }
        return points[n - 1].ma;
}

void battery_make(const ChargePoint *points, size_t n, uint32_t ma, uint32_t mah, Battery *ret) {
        const uint64_t percent_mah_msec = (mah > 0 ? mah : BATTERY_DEFAULT_MAH) * MSEC_PER_HOUR / 100;

        ret->until[0] = 0;
        for (uint32_t i = 0; i < 100; i++) {
                uint32_t middle = n > 0 ? current_at(points, n, 2 * i + 1) : ma > 0 ? ma : BATTERY_DEFAULT_MA;
                uint32_t most = middle;

                if (n > 0)
                        most = MAX2(middle, MAX2(current_at(points, n, 2 * i), current_at(points, n, 2 * i + 2)));
                ret->ma[i] = (uint16_t) MIN2(MAX2(most, 1u), (uint32_t) UINT16_MAX);
                ret->msec[i] = (uint32_t) (percent_mah_msec / MAX2(middle, 1u));
                ret->msec[i] = MAX2(ret->msec[i], 1u);
                ret->until[i + 1] = ret->until[i] + ret->msec[i];
        }
}

/* From empty, rounded up when `up`. */
static uint64_t until(const Battery *b, uint32_t level, bool up) {
        uint32_t percent = level / BATTERY_PERCENT, over = level % BATTERY_PERCENT;

        if (percent >= 100)
                return b->until[100];
        return b->until[percent] + ((uint64_t) b->msec[percent] * over + (up ? BATTERY_PERCENT - 1 : 0)) / BATTERY_PERCENT;
}

uint64_t battery_msec(const Battery *b, uint32_t from, uint32_t to) {
        return from < to ? until(b, to, true) - until(b, from, false) : 0;
}

uint32_t battery_charge(const Battery *b, uint32_t level, uint64_t msec, uint32_t *ret_ma) {
        uint32_t percent = level / BATTERY_PERCENT, over = level % BATTERY_PERCENT, most = 0;

        /* The rest of the percent that was begun, then whole ones, then a part of one. */
        while (percent < 100 && msec > 0) {
                uint64_t needs = b->msec[percent];

                if (over > 0)
                        needs = (needs * (BATTERY_PERCENT - over) + BATTERY_PERCENT - 1) / BATTERY_PERCENT;
                most = MAX2(most, (uint32_t) b->ma[percent]);
                if (needs > msec) {
                        over += (uint32_t) (msec * BATTERY_PERCENT / b->msec[percent]);
                        break;
                }
                percent++;
                over = 0;
                msec -= needs;
        }
        if (ret_ma)
                *ret_ma = most;
        return MIN2(percent * BATTERY_PERCENT + over, BATTERY_FULL);
}
