/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* Where udev looks for rules, the first of one name counts: udev(7). Ends with NULL. */
extern const char *const udev_rules_dirs[];
