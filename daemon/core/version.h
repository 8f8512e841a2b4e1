/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Versions of firmware, as the makers of cameras write them. Pure. */

/*
 * Which one is older: 0 with -1, 0 or 1 in *ret; *ret stays untouched at -EINVAL: they cannot be compared. Numbers count as numbers,
 * whatever separates them; of "1.2" and "1.2.1" the first is older; single letters after the same number ("1.03a", "1.03b") count by the
 * alphabet. What words mean, such as "rc" or "final", is not guessed: where versions differ by them they cannot be compared. Nor can an
 * empty one.
 */
int version_compare(const char *a, const char *b, int *ret);
