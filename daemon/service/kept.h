/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The digests of files that were set aside (kept/, damaged-TIME/): each that the custody log tells of is read where it lies, and its size
 * and digest are told there, too. What there is to do follows from the database alone.
 */

#include "base/macro.h"

typedef struct Manager Manager;
typedef struct KeptFiles KeptFiles;

/* At the start, before anything is set aside; begins with what is left to be done. -errno. */
int kept_new(Manager *m, KeptFiles **ret);
/* What is being read is read again by the next start. Takes NULL. */
KeptFiles *kept_free(KeptFiles *k);
DEFINE_CLEANUP(KeptFiles, kept_free);
/* A file was set aside, or that is on record now. Takes NULL. */
void kept_look(KeptFiles *k);
