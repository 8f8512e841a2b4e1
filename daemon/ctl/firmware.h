/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

/* firmware_flash.c: a CtlExit. */
int firmware_flash(const Options *o);
