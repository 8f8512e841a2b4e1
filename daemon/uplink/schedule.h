/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* When nothing may be sent at all, by the limits that say "none": watched, so that what is under way then ends. */

#include <systemd/sd-event.h>

#include "uplink/pace.h"

typedef struct Schedule Schedule;

/* A sentence without a full stop while nothing may be sent, NULL when something may again. Borrowed. */
typedef void (*ScheduleChanged)(void *userdata, const char *text);

/* Copies the rules. `changed` is called from within when nothing may be sent now, and then at each change. */
int schedule_new(sd_event *event, const PaceRule *rules, size_t n, ScheduleChanged changed, void *userdata, Schedule **ret);
Schedule *schedule_free(Schedule *s);
DEFINE_CLEANUP(Schedule, schedule_free);

#define SCHEDULE_TEXT_SIZE 96u
/* The sentence at this minute of the week; false when something may be sent. */
bool schedule_text(const PaceRule *rules, size_t n, unsigned minute, char ret[static SCHEDULE_TEXT_SIZE]);
