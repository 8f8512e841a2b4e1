/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Numbers on the command line. */

#include <stdint.h>

/* Decimal digits alone, within the limits; -EINVAL, -ERANGE. */
int number_parse(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
/* "3" or "0.5" seconds, in microseconds; at most six decimals. -EINVAL, -ERANGE. */
int number_seconds(const char *s, uint64_t max_sec, uint64_t *ret_usec);
