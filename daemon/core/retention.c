/* SPDX-License-Identifier: Apache-2.0 */
#include "core/retention.h"

#include "base/macro.h"

bool clock_is_steady(const ClockFacts *now) {
        return now->synchronised && now->since_step_usec >= CLOCK_REST_USEC;
}

uint64_t age_usec(const ClockFacts *now, int64_t wall_usec, uint64_t running_usec) {
        uint64_t by_wall = now->wall_usec > wall_usec ? (uint64_t) now->wall_usec - (uint64_t) wall_usec : 0;
        uint64_t by_running = now->running_usec > running_usec ? now->running_usec - running_usec : 0;

        return MIN2(by_wall, by_running);
}

Retention retention_of_copy(const RetentionFacts *f, const ClockFacts *now) {
        if (!f->receipted || !f->receipt_accepted)
                return RETENTION_UNSTORED;
        if (f->held)
                return RETENTION_HELD;
        if (f->keep_usec == 0)
                return RETENTION_MAY_GO;
        if (!clock_is_steady(now))
                return RETENTION_CLOCK;
        return age_usec(now, f->receipted_wall_usec, f->receipted_running_usec) >= f->keep_usec ? RETENTION_MAY_GO : RETENTION_YOUNG;
}
