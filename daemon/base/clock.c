/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-id128.h>

#include "base/macro.h"

static pthread_once_t boot_id_once = PTHREAD_ONCE_INIT;
static char boot_id[BOOT_ID_SIZE];

/* A machine that hides its boot id (no /proc) gets zeros: evidence then says that it was not known. */
static void boot_id_read(void) {
        sd_id128_t id = SD_ID128_NULL;

        if (sd_id128_get_boot(&id) < 0)
                id = SD_ID128_NULL;
        sd_id128_to_string(id, boot_id);
}

static uint64_t clock_usec(clockid_t which) {
        struct timespec t = { 0 };

        (void) clock_gettime(which, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

uint64_t clock_boottime_usec(void) {
        return clock_usec(CLOCK_BOOTTIME);
}

uint64_t clock_suspended_usec(void) {
        uint64_t monotonic_usec = clock_usec(CLOCK_MONOTONIC), boottime_usec = clock_usec(CLOCK_BOOTTIME);

        return boottime_usec > monotonic_usec ? boottime_usec - monotonic_usec : 0;
}

int64_t clock_wall_usec(void) {
        return (int64_t) clock_usec(CLOCK_REALTIME);
}

void moment_now(bool synchronised, Moment *ret) {
        (void) pthread_once(&boot_id_once, boot_id_read);
        *ret = (Moment){
                .wall_usec = clock_wall_usec(),
                .boottime_usec = clock_boottime_usec(),
                .synchronised = synchronised,
        };
        memcpy(ret->boot_id, boot_id, BOOT_ID_SIZE);
}

int64_t moment_step_usec(const Moment *before, const Moment *after) {
        bool same_boot = strcmp(before->boot_id, after->boot_id) == 0;
        int64_t passed = same_boot ? (int64_t) (after->boottime_usec - before->boottime_usec) : 0;
        int64_t step;

        if (__builtin_sub_overflow(after->wall_usec, before->wall_usec, &step) || __builtin_sub_overflow(step, passed, &step))
                return after->wall_usec < before->wall_usec ? INT64_MIN : INT64_MAX;
        if (step > -CLOCK_STEP_USEC && (step < CLOCK_STEP_USEC || !same_boot))
                return 0;
        return step;
}

/* Four digits for the year is all that RFC 3339 has: what lies outside is shown as the nearest second inside. */
#define UTC_FIRST_SEC INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define UTC_LAST_SEC INT64_C(253402300799)  /* 9999-12-31T23:59:59Z */

static void utc_split(int64_t wall_sec, struct tm *ret) {
        time_t t = (time_t) (wall_sec < UTC_FIRST_SEC  ? UTC_FIRST_SEC
                             : wall_sec > UTC_LAST_SEC ? UTC_LAST_SEC
                                                       : wall_sec);

        *ret = (struct tm){ 0 };
        (void) gmtime_r(&t, ret);
}

char *utc_text(int64_t wall_usec, char ret[static UTC_TEXT_SIZE]) {
        int64_t sec = wall_usec / (int64_t) USEC_PER_SEC, usec = wall_usec % (int64_t) USEC_PER_SEC;
        struct tm tm;

        if (usec < 0) {
                usec += (int64_t) USEC_PER_SEC;
                sec--;
        }
        utc_split(sec, &tm);
        (void) snprintf(ret, UTC_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
                        (unsigned) (tm.tm_year + 1900) % 10000u, (unsigned) (tm.tm_mon + 1) % 100u,
                        (unsigned) tm.tm_mday % 100u, (unsigned) tm.tm_hour % 100u, (unsigned) tm.tm_min % 100u,
                        (unsigned) tm.tm_sec % 100u, (unsigned) usec % 1000000u);
        return ret;
}

int utc_from_text(const char *text, int64_t *ret_wall_usec) {
        char again[UTC_TEXT_SIZE];
        struct tm tm = { 0 };
        unsigned usec = 0;
        int64_t wall_usec;

        if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
                   &tm.tm_sec, &usec) != 7)
                return -EINVAL;
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        wall_usec = (int64_t) timegm(&tm) * (int64_t) USEC_PER_SEC + (int64_t) usec;
        /* sscanf() and timegm() forgive much: whatever is not written as we would write it is not a time. */
        if (strcmp(utc_text(wall_usec, again), text) != 0)
                return -EINVAL;
        *ret_wall_usec = wall_usec;
        return 0;
}

char *utc_day(int64_t wall_sec, char ret[static 11]) {
        struct tm tm;

        utc_split(wall_sec, &tm);
        (void) snprintf(ret, 11, "%04u-%02u-%02u", (unsigned) (tm.tm_year + 1900) % 10000u,
                        (unsigned) (tm.tm_mon + 1) % 100u, (unsigned) tm.tm_mday % 100u);
        return ret;
}

bool local_time(int64_t unix_sec, struct tm *ret) {
        time_t sec = (time_t) unix_sec;

        tzset();
        return localtime_r(&sec, ret) != NULL;
}

char *local_text(int64_t wall_usec, char ret[static LOCAL_TEXT_SIZE]) {
        int64_t sec = wall_usec / (int64_t) USEC_PER_SEC;
        struct tm tm;

        if (!local_time(sec < UTC_FIRST_SEC ? UTC_FIRST_SEC : sec > UTC_LAST_SEC ? UTC_LAST_SEC : sec, &tm) ||
            strftime(ret, LOCAL_TEXT_SIZE, "%Y-%m-%d %H:%M %z", &tm) == 0)
                (void) snprintf(ret, LOCAL_TEXT_SIZE, "a time that is not known");
        return ret;
}
