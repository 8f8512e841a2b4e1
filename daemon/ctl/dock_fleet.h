/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/fleet.h"
#include "ctl/ctl.h"

int dock_enroll(const Options *options);
int dock_revoke(const Options *options);
int dock_renew(const Options *options);
int dock_publish(const Options *options);
int dock_check(const Options *options);
/* The list in that file, by --admin-key and --fleet: a CtlExit. */
int dock_fleet_read(const Options *o, const char *list, Fleet **ret);
