/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How much of a part is written before it is made durable. On a disk with a cache a sync takes as long as there is to write out, and the
 * ring can hide a short one: there short batches are fast. On a disk that turns any sync takes nearly the same time: there long ones are.
 * Which it is, the disk tells: now and then the other length is tried, and the faster one stays.
 *
 * Nothing else depends on it: a block is told when it is durable, and not before.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

#define SYNC_BATCH_SHORT (8 * MIB)
#define SYNC_BATCH_LONG (64 * MIB)

/* Zeroed, it begins with short ones. */
typedef struct SyncBatch {
        bool is_long;                   /* the length that stays */
        bool trying;                    /* the other one */
        bool settled;                   /* it stayed in the last trial */
        uint64_t bytes, usec;           /* of the window that is under way */
        uint64_t kept_bytes, kept_usec; /* of the windows before it since the last trial … */
        unsigned windows;               /* … and how many those are */
} SyncBatch;

/* How many bytes are to be written before the next sync. */
uint64_t sync_batch_bytes(const SyncBatch *b);
/* So many more were written and made durable, in so much time since the sync before them, or since the camera's first bytes. */
void sync_batch_note(SyncBatch *b, uint64_t bytes, uint64_t usec);
