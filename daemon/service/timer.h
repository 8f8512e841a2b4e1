/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Timers of the loop, on CLOCK_BOOTTIME: each goes off once after it was set, whether it was off, waiting, or has just gone off. -errno. */

#include <systemd/sd-event.h>

#include "base/clock.h"

static inline int timer_at(sd_event_source *timer, uint64_t boottime_usec) {
        int r = sd_event_source_set_time(timer, boottime_usec);

        return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static inline int timer_in(sd_event_source *timer, uint64_t usec) {
        return timer_at(timer, clock_boottime_usec() + usec);
}
