/* SPDX-License-Identifier: Apache-2.0 */
#include "core/shift.h"

#include "base/macro.h"

#define DAY_MINUTES (24u * 60u)
#define WEEK_DAYS 7u

unsigned shift_next(const WeekSpan *shifts, size_t n, unsigned minute) {
        unsigned next = 0;

        for (size_t i = 0; i < n; i++)
                for (unsigned day = 0; day < WEEK_DAYS; day++) {
                        unsigned begins = day * DAY_MINUTES + shifts[i].from, in;

                        if (!(shifts[i].days >> day & 1))
                                continue;
                        in = (begins + WEEK_MINUTES - minute) % WEEK_MINUTES;
                        if (in == 0)
                                in = WEEK_MINUTES;
                        next = next == 0 ? in : MIN2(next, in);
                }
        return next;
}
