/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads the dock's time zone, while files can still be opened. $TZ, when set, counts instead. */
void zone_prepare(void);
