/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The allocation table, and chains of clusters in it. */

#include "fs_volume.h"

/* What the table says of a cluster. */
typedef enum FsLink {
        FS_LINK_NEXT,
        FS_LINK_END,
        FS_LINK_FREE,
        FS_LINK_BAD, /* marked as bad, or a number that is no cluster */
} FsLink;

/* The FsLink, and the next cluster with FS_LINK_NEXT; -EINVAL for what is no cluster; errors of the Disk. */
int fs_link_get(Fs *fs, uint32_t cluster, uint32_t *ret_next);
/* The entry as it stands in the first table, of any cluster and of the two that are none. */
int fs_table_get(Fs *fs, uint32_t cluster, uint32_t *ret);
/* Changes the bits of `mask` of an entry in one of the tables. */
int fs_table_set(Fs *fs, unsigned table, uint32_t cluster, uint32_t mask, uint32_t value);

/*
 * The second entry of the table belongs to no cluster and is an end of a chain, of which there are eight forms that mean
 * the same: by one of them that no formatter uses we know later that it was an erase of ours that left the volume dirty. Of the
 * value that was read: notes the form, and says whether it is ours.
 */
bool fs_mark_get(Fs *fs, uint32_t value);
/* Sets our form in all tables, or the one that was there. */
int fs_mark_set(Fs *fs, bool ours);

/* How a chain met the number of clusters that it should have. */
typedef enum FsChainEnd {
        FS_CHAIN_EXACT,
        FS_CHAIN_LONGER, /* there are more clusters than the size asks for */
        FS_CHAIN_SHORT,
        FS_CHAIN_BROKEN,     /* it leads to a cluster that is free, bad or none */
        FS_CHAIN_LOOP,       /* it comes back to itself; the clusters before that are in the runs, each once */
        FS_CHAIN_UNREADABLE, /* the table has a bad sector there */
} FsChainEnd;

/* Of a sentence "its chain of clusters …"; NULL for FS_CHAIN_EXACT. */
const char *fs_chain_end_text(FsChainEnd end);

/*
 * The clusters of a file, in order, `needed` of them at most, and never more than the volume has. `contiguous`: all in a row, the
 * table is not asked. -E2BIG for more than `max_runs`, and the Disk's errors but -EIO. Free them by fs_runs_clear().
 */
int fs_chain_follow(Fs *fs, uint32_t first, bool contiguous, uint64_t needed, size_t max_runs, FsRuns *ret,
                    FsChainEnd *ret_end);
/* Adds one cluster, at the end of the last run when it follows that. -E2BIG, -ENOMEM. */
int fs_runs_add(FsRuns *runs, uint32_t cluster, size_t max_runs);
void fs_runs_clear(FsRuns *runs);
/* Chains the clusters of the runs in all tables, the last one as the end. */
int fs_chain_write(Fs *fs, const FsRuns *runs);
