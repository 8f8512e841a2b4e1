/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who uses which clusters: what two use must never be freed. */

#include "fs_volume.h"

/* A set of cluster numbers, never 0. */
typedef struct FsSet {
        uint32_t *slots; /* open addressing, 0 is free */
        size_t n, n_slots;
} FsSet;

/* 1 when it was new, 0 when it was there already; -ENOMEM; -E2BIG past four million. */
int fs_set_add(FsSet *set, uint32_t cluster);
FsSet *fs_set_free(FsSet *set);

typedef struct FsClaim {
        uint32_t first, count;
        uint32_t owner; /* index of an entry of the tree, or FS_OWNER_SYSTEM */
} FsClaim;

typedef struct FsClaims {
        FsClaim *items;
        size_t n, allocated;
} FsClaims;

#define FS_OWNER_SYSTEM UINT32_MAX

/* Within FsOps.claim(): `bytes` from this cluster on. */
int fs_claims_add(Fs *fs, uint32_t first, bool contiguous, uint64_t bytes, uint32_t owner);
/*
 * After a complete walk: marks the entries that share clusters. 0, also when it cannot be known: see fs->claims_state. Errors of
 * the Disk; -ENOMEM.
 */
int fs_claims_build(Fs *fs);
/* After that: does anything on the medium use one of these? */
bool fs_claims_have(const Fs *fs, const FsRuns *runs);
