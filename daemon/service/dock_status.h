/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tells the fleet how the dock is: one small signed statement in the store, which takes the place of the one before at a steady rhythm, and
 * soon after anything notable changed. Nothing depends on it.
 */

#include "base/clock.h"
#include "base/dock_report.h"
#include "service/manager.h"

/* So soon after a change it is told. */
#define DOCK_STATUS_LOOK_USEC (10 * USEC_PER_SEC)

typedef struct DockStatus DockStatus;

/* After the notary was made. */
int dock_status_new(Manager *m, DockStatus **ret);
DockStatus *dock_status_free(DockStatus *d);
/* The store is ready, and may be another one than before: one that cannot be told is tried anew. */
void dock_status_store_ready(DockStatus *d);
DEFINE_CLEANUP(DockStatus, dock_status_free);

/* What it would tell now, as other docks would read it. */
int dock_status_report(Manager *m, DockReport **ret);
