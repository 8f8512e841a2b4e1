/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Is the dock's own clock known right? Asked of timedate1 (org.freedesktop.timedate1, NTPSynchronized) now and then. */

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/macro.h"

typedef struct ClockSync ClockSync;

int clocksync_new(sd_event *event, void (*changed)(void *userdata), void *userdata, ClockSync **ret);
ClockSync *clocksync_free(ClockSync *c);
DEFINE_CLEANUP(ClockSync, clocksync_free);
/* NULL: nobody to ask. */
void clocksync_set_bus(ClockSync *c, sd_bus *bus);
bool clocksync_is_synchronised(const ClockSync *c);
