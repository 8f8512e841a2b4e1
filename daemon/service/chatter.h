/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a worker prints, as lines of berthd's own log that name the bay. A worker that prints without end is cut short here, so
 * that it cannot fill the journal.
 */

#include <systemd/sd-event.h>

#include "base/macro.h"

typedef struct Chatter Chatter;

/* Takes `fd`, a non-blocking pipe, also on failure. */
int chatter_new(sd_event *event, int fd, const char *bay, Chatter **ret);
/* Logs what is left in the pipe. */
Chatter *chatter_free(Chatter *c);
DEFINE_CLEANUP(Chatter, chatter_free);
