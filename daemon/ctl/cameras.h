/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

/* Each prints, and returns a CtlExit. */
int cameras_list(const Options *options);
int cameras_health(const Options *options, const char *serial);
/* Of bays: ctl/bay.c has the verb. */
int bays_health(const Options *options);
int cameras_release(const Options *options, const char *serial, const char *reason);
