/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the dock tells its fleet of cameras: who took which, when each was here last, and what of its footage is not stored. */

#include <jansson.h>

#include "service/manager.h"

/*
 * Adds `cameras` and `cameras_left_out` to a status: those that somebody took first, then the ones that were docked last, up to what a
 * status has room for.
 */
int dock_cameras_add(Manager *m, json_t *status);
/* How many are out and overdue: a change of that is told at once. */
int dock_cameras_overdue(Manager *m, uint64_t *ret);
