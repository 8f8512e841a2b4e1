/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Batteries and what feeds them. A camera that is defined with "battery_mah" has a battery of its own: it charges by its curve while its
 * connector has power, and is drained by what the camera draws while it has none. One supply feeds all hubs but the root hubs; when the
 * cameras draw more than it gives, it is gone for a while, with all that it feeds. Time runs faster here when the control socket says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/battery.h"

typedef struct SimDevice SimDevice;

typedef struct SimBattery {
        Battery battery;
        uint32_t level;   /* thousandths of a percent */
        uint32_t mah;
        uint32_t idle_ma; /* what the camera draws from it without power */
} SimBattery;

/* From a `camera` command: "battery_mah", and "battery" (percent, or 100), "charge_ma", "idle_ma". *ret is NULL without "battery_mah". */
int supply_battery(const json_t *spec, SimBattery **ret, char *why, size_t why_size);
/*
 * The command `supply`: {"limit_ma": 0 for no limit, "speed": seconds that pass in one, "off_msec"}. Each stays as it was when left out.
 * "most_ma" begins anew.
 */
int supply_set(const json_t *command, char *why, size_t why_size);
/* {"limit_ma", "drawn_ma", "most_ma", "brown_outs"}. topology_lock. */
json_t *supply_describe(void);
/* Does it feed anything at this moment? */
bool supply_is_there(void);
/* Lets the time pass, and takes the power away, or gives it back, as is due. topology_lock, from topology_settle(). */
void supply_settle(void);
