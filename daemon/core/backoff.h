/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* The wait before attempt number `failures` + 1: min doubled for each failure after the first, at most max. Pure. */
uint64_t backoff_usec(unsigned failures, uint64_t min_usec, uint64_t max_usec);
