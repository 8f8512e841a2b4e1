/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A lost or damaged database, made anew from what can be proven: the sealed files of the spool, and what the store holds. The
 * cameras tell the rest when they are docked. Nothing is invented: the new custody chain begins with the recovery itself, and all
 * that it found is an event of its own; nothing is deleted: the old database is kept, and so is whatever proves nothing.
 */

#include <systemd/sd-event.h>

#include "base/conf.h"
#include "service/settings.h"

/* A recovery that is not finished keeps its work here, and nothing else may start then. */
#define RECOVERY_FOLDER "recovering"

typedef struct RecoveryResult {
        bool needed;     /* false: the database is whole, and nothing was done */
        char kept[64];   /* the folder in the state folder with the old files; "" when there were none */
        uint64_t from_spool, from_store, files_kept;
        uint64_t holds; /* that are in force again */
        uint64_t not_taken; /* what in the store was not believed */
        bool store_asked;   /* it said what it has of this dock */
} RecoveryResult;

/* For a daemon that starts: -EBADE with a sentence when only a recovery helps. */
int recover_check(const char *state_dir, ConfError *error);
/* Blocks until it is done. `error` says it in one sentence. */
int recover_run(sd_event *event, const Settings *settings, RecoveryResult *ret, ConfError *error);
