/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One custody event, for people and as JSON. Events of a newer daemon show what they have. */

#include <stdint.h>

#include <jansson.h>

#include "ctl/display.h"

/*
 * One line: number, time in UTC ('?' behind it when the dock's clock was not known to be right), event, bay, camera,
 * clip, and what else it says. Bytes that are not JSON are shown as they are, made safe. NULL when out of memory.
 */
char *log_event_line(uint64_t seq, const char *bytes, const Look *look);
/* {"seq", "hash", "bytes": the exact text that is hashed, "event": the same parsed, null when it is not JSON}. */
json_t *log_event_json(uint64_t seq, const char *bytes, const char *hash);
