/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* When are the cameras wanted? Pure: what time it is, is an argument. */

#include <stddef.h>

#include "base/week.h"

/*
 * Minutes from this minute of the week until the next shift begins: 1 to WEEK_MINUTES; 0 when there is none. One that begins right now
 * has begun.
 */
unsigned shift_next(const WeekSpan *shifts, size_t n, unsigned minute);
