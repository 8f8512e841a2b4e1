/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/retry.h"

#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/macro.h"

#define WAIT_MIN_USEC (250 * USEC_PER_MSEC)
#define WAIT_MAX_USEC (4 * USEC_PER_SEC)
/* A store that wants to be left alone for longer is asked again by whoever brings the clip. */
#define RETRY_AFTER_MAX_SEC 10u

void retry_end(Retry *r) {
        r->timer = sd_event_source_disable_unref(r->timer);
}

bool retry_may(const Retry *r, uint64_t retry_after_sec) {
        return r->tries < r->tries_max && retry_after_sec <= RETRY_AFTER_MAX_SEC;
}

static uint64_t wait_before_next(const Retry *r, uint64_t retry_after_sec) {
        uint64_t wait = WAIT_MIN_USEC, random = 0;

        if (retry_after_sec > 0)
                return retry_after_sec * USEC_PER_SEC;
        for (unsigned i = 1; i < r->tries && wait < WAIT_MAX_USEC; i++)
                wait *= 2;
        wait = MIN2(wait, WAIT_MAX_USEC);
        /* Docks that were turned away together do not come back together. */
        (void) !getrandom(&random, sizeof(random), 0);
        return wait / 2 + random % (wait / 2 + 1);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        const Retry *r = userdata;

        (void) source;
        (void) usec;
        r->again(r->userdata);
        return 0;
}

int retry_later(Retry *r, uint64_t retry_after_sec) {
        uint64_t at = clock_boottime_usec() + wait_before_next(r, retry_after_sec);
        int k;

        if (!r->timer)
                return sd_event_add_time(r->event, &r->timer, CLOCK_BOOTTIME, at, 10 * USEC_PER_MSEC, on_timer, r);
        k = sd_event_source_set_time(r->timer, at);
        return k < 0 ? k : sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}
