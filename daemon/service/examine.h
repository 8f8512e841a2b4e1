/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How the store is, point by point, as berth-uplink found it out, and whether what the site asks for can be had there at all: a dock
 * whose store gives no receipt that its policy accepts would never erase anything, and says so from its start on.
 */

#include "service/manager.h"

typedef struct Examine Examine;

int examine_new(Manager *m, Examine **ret);
/* Whoever still waits is told that the daemon ends. */
Examine *examine_free(Examine *e);
DEFINE_CLEANUP(Examine, examine_free);
/* The store is ready: looks anew. */
void examine_store_ready(Examine *e);
/*
 * What the settings ask for and this store can never give, one sentence: why nothing can ever be erased, else what docks are to share and
 * cannot lie there; "" when that is not so, or not known.
 */
const char *examine_problem(const Examine *e);
