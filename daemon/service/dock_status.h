/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tells the fleet how the dock is: one small signed statement in the store, which takes the place of the one before at a steady rhythm, and
 * soon after anything notable changed. Nothing depends on it.
 */

#include "service/manager.h"

typedef struct DockStatus DockStatus;

/* After the notary was made. */
int dock_status_new(Manager *m, DockStatus **ret);
DockStatus *dock_status_free(DockStatus *d);
DEFINE_CLEANUP(DockStatus, dock_status_free);
