/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the hub of a bay really does when its port is to have no power: it is tried, with a camera in it. "Advertises switching, but does
 * not switch" is a fault that many hubs have. What came out goes on record, and charging goes by it.
 */

#include "service/manager.h"

typedef struct Calibration Calibration;

/*
 * 0: `done` is called later, once, with 0 and what was found, in a sentence; or with -errno and why not (-ECANCELED when that was asked
 * for). *ret is there until then. Else -ENODEV (no camera lies in it), -EBUSY, -EOPNOTSUPP, and *ret_why is a sentence.
 */
int calibrate_bay(Bay *bay, const Operator *by, ManagerDone done, void *userdata, Calibration **ret, const char **ret_why);
/* Its port gets its power again, and nothing is recorded. -EALREADY: what was found is being recorded. */
int calibration_cancel(Calibration *c);
