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
/* Does it, at all? Then the roster is changed by the fleet's administrator alone. */
bool roster_follow_is_on(const RosterFollow *f);
/* Of the fleet's roster that is in force; 0: none is. */
uint64_t roster_follow_number(const RosterFollow *f);
/* Why what lies in the store as the next one does not count; "" when nothing is wrong. */
const char *roster_follow_trouble(const RosterFollow *f);
/*
 * Puts a signed roster into the store for all docks; `done` is called when the store has it: -EEXIST when that has another one of this
 * number, -EHOSTUNREACH when it could not be asked. At once, with a sentence in `error`: -EPERM when the dock is of no fleet, -EKEYREJECTED
 * when it is not to be believed, or is not the next one.
 */
int roster_publish(RosterFollow *f, const char *file, ManagerDone done, void *userdata, ConfError *error);
