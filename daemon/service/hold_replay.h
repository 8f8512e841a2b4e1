/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Holds after a backup was put back: what operators held, and released, since that backup was made is not in the database, but the dock
 * signed each into the store (holds/). It is read there, and is in force again; until it was, nothing is erased, released from the spool or
 * let go in the store, whatever it is.
 */

#include <stdbool.h>

#include "base/macro.h"

typedef struct Manager Manager;
typedef struct HoldReplay HoldReplay;

/* Nothing is to be done unless the database says so. -errno. */
int hold_replay_new(Manager *m, HoldReplay **ret);
HoldReplay *hold_replay_free(HoldReplay *r);
DEFINE_CLEANUP(HoldReplay, hold_replay_free);
/* The store is ready. Takes NULL. */
void hold_replay_look(HoldReplay *r);
/* It is not known what is held. Takes NULL. */
bool hold_replay_waits(const HoldReplay *r);
