/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trend.h"

#include <stdlib.h>

#include "base/macro.h"

#define MONTH_USEC (30.0 * 86400 * 1000000)
#define PAIRS_MAX (TREND_POINTS_MAX * (TREND_POINTS_MAX - 1) / 2)
/* Far beyond what any limit says, and within what an int64_t holds. */
#define SLOPE_MAX 1e18

static int compare(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return (x > y) - (x < y);
}

bool trend_per_month(const TrendPoint *points, size_t n, int64_t *ret) {
        int64_t first = INT64_MAX, last = INT64_MIN;
        double slopes[PAIRS_MAX], median;
        size_t pairs = 0;

        n = MIN2(n, (size_t) TREND_POINTS_MAX);
        for (size_t i = 0; i < n; i++) {
                first = MIN2(first, points[i].at_usec);
                last = MAX2(last, points[i].at_usec);
        }
        if (n < TREND_POINTS_MIN || (double) last - (double) first < (double) TREND_SPAN_MIN_USEC)
                return false;
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < i; j++) {
                        double usec = (double) points[i].at_usec - (double) points[j].at_usec;

                        if (points[i].at_usec != points[j].at_usec)
                                slopes[pairs++] = ((double) points[i].value - (double) points[j].value) * MONTH_USEC / usec;
                }
        qsort(slopes, pairs, sizeof(slopes[0]), compare);
        median = (slopes[(pairs - 1) / 2] + slopes[pairs / 2]) / 2;
        median = MIN2(MAX2(median, -SLOPE_MAX), SLOPE_MAX);
        *ret = (int64_t) median;
        return true;
}
