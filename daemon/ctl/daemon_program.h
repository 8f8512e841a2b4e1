/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>

/*
 * A daemon's program, "berthd" or "berth-uplink", for what it alone knows: where this program lies itself, as in a build folder, or as
 * installed.
 */
const char *daemon_program(const char *name, char beside[static PATH_MAX]);
