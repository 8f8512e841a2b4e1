/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Docks of a fleet follow its roster: one signed object for each number in the store (base/roster.h). The one that follows the roster in
 * force is asked for at a steady rhythm, and taken when the fleet's administrator signed it.
 */

#include "service/manager.h"

typedef struct RosterFollow RosterFollow;

int roster_follow_new(Manager *m, RosterFollow **ret);
RosterFollow *roster_follow_free(RosterFollow *f);
DEFINE_CLEANUP(RosterFollow, roster_follow_free);
/*
 * Puts a signed roster into the store for all docks. -EPERM with a sentence in `error` when it is not to be believed, or is not the next
 * one; else `done` is called when the store has it.
 */
int roster_publish(RosterFollow *f, const char *file, ManagerDone done, void *userdata, ConfError *error);
