/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a benchmark reads before and after: seconds. */

#include <sys/resource.h>
#include <time.h>

static inline double wall(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

/* RUSAGE_SELF or RUSAGE_CHILDREN, in user and kernel mode. */
static inline double cpu(int who) {
        struct rusage u;

        getrusage(who, &u);
        return (double) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double) (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}
