/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is held here is held in the store: a legal hold on the object of each stored clip that is held, as long as it is. What there is to
 * do follows from the database alone; while the store is away it waits. That the store is asked for a hold is on record before it is.
 */

#include "base/macro.h"

typedef struct Manager Manager;
typedef struct ObjectHolds ObjectHolds;

int object_holds_new(Manager *m, ObjectHolds **ret);
ObjectHolds *object_holds_free(ObjectHolds *o);
DEFINE_CLEANUP(ObjectHolds, object_holds_free);
/* A hold was set or released, a held clip was stored, or the store is ready: looks for what is to be done. Takes NULL. */
void object_holds_look(ObjectHolds *o);
