/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/facts.h"

/* Checks what can be checked without the database, and copies the strings. -EINVAL, -ERANGE, -EMSGSIZE, -ENOMEM. */
int fact_copy(const Fact *f, Fact *ret);
/* Frees the strings of a copy. */
void fact_done(Fact *f);
