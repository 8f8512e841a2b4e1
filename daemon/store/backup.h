/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A copy of the dock's memory while it is in use. The copy is of one moment: the database as it was when the copying began, and the head
 * file that belongs to exactly that. Who writes is not held up, as readers of a write-ahead log hold up nobody; the log grows meanwhile.
 */

#include "base/conf.h"
#include "store/chain_head.h"
#include "store/db.h"

/*
 * Copies `from`, a connection for reading, into the folder that `path` and `dir_fd` both name, and which has no database yet. `path` is
 * needed because SQLite opens by path. What was copied is synced, and its newest events follow each other, when it returns 0. chain.head
 * comes last, so that a folder without it is no backup; before it, a file RESTORED_NAME that says of when it is, by which a daemon knows
 * that its state was put back. `progress` (may be NULL) hears of pages. -ENOSPC, -EIO … with a sentence.
 */
#define RESTORED_NAME "restored"
typedef void (*BackupProgress)(void *userdata, uint64_t done, uint64_t total);
int backup_make(Db *from, int dir_fd, const char *path, BackupProgress progress, void *userdata, ChainHead *ret, ConfError *error);
