/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Docks of a fleet follow the list of its docks (base/fleet.h): one signed object for each number in the store. Newer ones are asked for
 * at a steady rhythm; the newest that the fleet's administrator signed is in force, over restarts, and none before it ever again.
 */

#include "base/fleet.h"
#include "service/manager.h"

typedef struct FleetFollow FleetFollow;

int fleet_follow_new(Manager *m, FleetFollow **ret);
FleetFollow *fleet_follow_free(FleetFollow *f);
DEFINE_CLEANUP(FleetFollow, fleet_follow_free);

/* The list in force: NULL when there is none (of a dock without a fleet, or before its fleet's first list). */
const Fleet *fleet_follow_list(const FleetFollow *f);
/* What is wrong with it, as a sentence: it has expired, this dock's key is not in it, or what lies in the store does not count; or "". */
const char *fleet_follow_trouble(const FleetFollow *f, ConfError *ret);
