/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What GetFigures of the dock says. */

#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "base/macro.h"

typedef struct DockFigures {
        json_t *clips, *bytes; /* by the clip's state; NULL when the daemon does not say */
        uint64_t custody_events, read_bytes, copied_clips, copied_bytes, stored_clips, stored_bytes, erased_clips, faults;
        uint32_t uploads_under_way;
        int64_t oldest_unstored_usec; /* wall clock; PROPERTY_TIME_UNKNOWN: all is stored */
} DockFigures;

/* Reads the answer of GetFigures. -ENOMEM, -EBADMSG. */
int dock_figures_load(sd_bus_message *reply, DockFigures **ret);
DockFigures *dock_figures_free(DockFigures *f);
DEFINE_CLEANUP(DockFigures, dock_figures_free);
