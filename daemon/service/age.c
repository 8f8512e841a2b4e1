/* SPDX-License-Identifier: Apache-2.0 */

/* What the dock knows of its own clock: what is deleted or erased by age asks here. Steps of the clock go on record. */

#include <inttypes.h>
#include <string.h>

#include "service/manager_private.h"

int manager_clock_facts(Manager *m, ClockFacts *ret) {
        StoreRunning running;
        Moment now;
        int r;

        manager_moment(m, &now);
        r = store_running(m->store, &now, &running);
        if (r < 0)
                return r;
        *ret = (ClockFacts){
                .synchronised = now.synchronised,
                .wall_usec = now.wall_usec,
                .running_usec = running.total_usec,
                .since_step_usec = running.since_step_usec,
        };
        return 0;
}

static void step_recorded(int result, void *userdata) {
        Manager *m = userdata;

        (void) result; /* the next look tries again */
        m->recording_step = false;
}

void age_watch_clock(Manager *m) {
        Fact fact = { .kind = FACT_CLOCK_STEPPED };
        StoreRunning running;

        (void) manager_clock_facts(m, &m->clock_facts);
        if (m->recording_step || m->stopping)
                return;
        manager_moment(m, &fact.at);
        if (store_running(m->store, &fact.at, &running) < 0 || running.step_usec == 0)
                return;
        fact.step.step_usec = running.step_usec;
        log_warning(NULL, "The dock's clock was put %s by %" PRIu64 " s; nothing is deleted by its age for %u min",
                    running.step_usec > 0 ? "forward" : "back",
                    (running.step_usec > 0 ? (uint64_t) running.step_usec : -(uint64_t) running.step_usec) / USEC_PER_SEC,
                    (unsigned) (CLOCK_REST_USEC / USEC_PER_SEC / 60));
        m->recording_step = store_put(m->store, &fact, step_recorded, m) >= 0;
}
