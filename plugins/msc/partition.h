/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where the volumes of a medium are: MBR with extended partitions, GPT, or the medium as a whole. */

#include <stddef.h>

#include "disk.h"

#define PARTITIONS_MAX 32u

typedef struct Partition {
        unsigned number;  /* as the table counts them, from 1; 0: the whole medium */
        uint64_t sector, n_sectors;
        bool may_hold_files; /* its type is one of those that FAT, exFAT and NTFS have: nobody else's */
} Partition;

typedef struct Partitions {
        Partition items[PARTITIONS_MAX];
        size_t n;
} Partitions;

/*
 * 0, with the whole medium as the only one where there is no table. -EBADMSG for a GPT of which neither copy is whole, and for
 * tables that name sectors that are not there, or the same twice, or have no end; -E2BIG for more than PARTITIONS_MAX; errors of the
 * disk. On failure *ret_why, never NULL, is what is wrong.
 */
int partitions_read(const Disk *disk, Partitions *ret, const char **ret_why);

/* gpt.c. 1: the medium is too small for one. */
int gpt_read(const Disk *disk, uint8_t *buffer, Partitions *ret, const char **ret_why);
/* Adds one. -E2BIG; -EBADMSG when it lies outside of the disk, or over another. */
int partitions_add(Partitions *list, const Disk *disk, const Partition *partition);
