/* SPDX-License-Identifier: Apache-2.0 */

/* The dock's own time zone, for cameras whose clocks run in it. */

#include "bay/zone.h"

#include <stdlib.h>
#include <time.h>

#include <berth/plugin.h>

#define DAY_SEC 86400

void zone_prepare(void) {
        /* Named, so that the C library does not look again for what it is behind the sandbox. */
        (void) setenv("TZ", ":/etc/localtime", 0);
        tzset();
}

/* Seconds ahead of UTC. */
static int64_t offset_at(int64_t unix_sec) {
        time_t t = (time_t) unix_sec;
        struct tm tm;

        return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

/*
 * Not mktime(): its answer for the hour that is there twice depends on what it was asked before, and a clip's time is part of
 * what it is known by.
 */
int64_t berth_host_local_to_utc(int64_t wall_sec) {
        int64_t before, after;

        if (wall_sec < -(INT64_C(1) << 40) || wall_sec > INT64_C(1) << 40)
                return wall_sec;
        before = wall_sec - offset_at(wall_sec - DAY_SEC);
        after = wall_sec - offset_at(wall_sec + DAY_SEC);
        /* The first of two; and one that never was counts as if the clock had not been put forward. */
        return before + offset_at(before) != wall_sec && after + offset_at(after) == wall_sec ? after : before;
}

int64_t berth_host_utc_to_local(int64_t unix_sec) {
        return unix_sec + offset_at(unix_sec);
}
