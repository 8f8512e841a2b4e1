/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

/* firmware_flash.c, firmware_dock.c: a CtlExit. */
int firmware_flash(const Options *o);
int firmware_dock(const Options *o);
