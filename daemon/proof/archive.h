/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The custody log in the store, so that it outlives the dock: the events that a checkpoint in the store covers, byte for byte, a line each,
 * as small texts "custody/<dock>/<first event>". With the checkpoints beside them they prove the log without the dock. A text ends with a
 * checkpoint's last event, or where the next event has no room: which events are in which text the log alone says, so that a text that is
 * put again is the same.
 */

#include "proof/proof.h"

typedef struct ArchiveCounts {
        uint64_t texts, events; /* put now */
        uint64_t upto;          /* the last event that is archived */
} ArchiveCounts;

/*
 * Puts what is not archived yet, by berth-uplink's socket. -EBADE: the log is not whole, or the archive holds another one than this (the
 * log was set back): nothing of what is wrong is put. With a sentence.
 */
int proof_archive(Proof *p, const char *socket_path, ArchiveCounts *ret, ConfError *error);

struct sd_bus;
/* Of verify: every archived text against the log. As the parts of proof.h. */
int proof_archived(Proof *p, struct sd_bus *bus);
