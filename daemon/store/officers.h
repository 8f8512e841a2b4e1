/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/digest.h"
#include "store/db.h"

/* Over the whole roster as its table has it: events name this, and not people, who leave. */
int officers_digest(Db *db, Digest *ret);
