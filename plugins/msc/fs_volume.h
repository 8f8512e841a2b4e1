/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What FAT and exFAT share: clusters of equal size, counted from 2, and a table that chains them. */

#include "fs.h"
#include "fs_cache.h"
#include "fs_tree.h"

#define FS_CLUSTER_FIRST 2u
#define FS_FATS_MAX 2u
#define FS_PROBLEMS_MAX 16u
#define FS_SLOT_BYTES 32u /* of one directory entry, in FAT and exFAT */

/* Clusters [first, first + count) */
typedef struct FsRun {
        uint32_t first, count;
} FsRun;

typedef struct FsRuns {
        FsRun *items;
        size_t n, allocated;
        uint64_t clusters;
} FsRuns;

/* A file or folder that is made. */
typedef struct FsNew {
        uint32_t parent;  /* index of the tree */
        const char *name; /* ASCII */
        size_t name_size;
        bool folder;
        uint32_t first;   /* cluster; 0 when it is empty */
        bool contiguous;  /* its clusters are all in a row */
        uint64_t size_bytes;
} FsNew;

/* Where its entries go. All of them are in one sector, and the write of one sector makes them visible. */
typedef struct FsPlace {
        uint64_t at; /* of the first entry, on the Disk in bytes */
        uint8_t n_slots;
        uint64_t end_at;  /* the folder ends there from then on; 0: where it ended before, or nowhere */
        uint64_t fill_at; /* `n_fill` entries where it ended, in the sector before, must not end it any more */
        uint8_t n_fill;
        uint8_t alias[11]; /* FAT: its short name */
        bool has_long_name;
} FsPlace;

typedef struct FsOps {
        /* Reads one folder of the tree and adds what is in it. */
        int (*read_folder)(Fs *fs, uint32_t folder);
        /* Clusters that belong to the file system itself: fs_claims_add() for each. */
        int (*claim)(Fs *fs);
        int (*count_free)(Fs *fs, uint64_t *ret_bytes);
        /*
         * 0 when the entries of the file on the medium, read anew, are still those of `entry`, and its `n` clusters are all in
         * use; FS_GONE; FS_DENIED with fs_say().
         */
        int (*check)(Fs *fs, const FsEntry *entry, const FsRuns *runs);
        /* One barrier apart, in this order: the steps of an erase. */
        int (*set_dirty)(Fs *fs, bool dirty);
        int (*remove_entry)(Fs *fs, const FsEntry *entry);
        int (*free_clusters)(Fs *fs, const FsRuns *runs);
        /* `freed` is negative when they were taken. 1 when it changed something that is to have a barrier of its own */
        int (*update_counts)(Fs *fs, int64_t freed);
        /* And those of making a file. 1: nobody uses the cluster; 0; errors of the Disk. */
        int (*is_free)(Fs *fs, uint32_t cluster);
        int (*take_clusters)(Fs *fs, const FsRuns *runs);
        /* Entries in the folder for it, all in one sector. -ENOSPC, -EINVAL, FS_DENIED with fs_say(). */
        int (*find_place)(Fs *fs, const FsNew *new, FsPlace *ret);
        int (*put_entry)(Fs *fs, const FsNew *new, const FsPlace *place);
} FsOps;

typedef enum FsClaimsState {
        FS_CLAIMS_NONE,
        FS_CLAIMS_KNOWN,
        FS_CLAIMS_FORBID, /* any erase: claims_why says why */
} FsClaimsState;

struct Fs {
        Disk disk;
        FsCache cache;
        FsOptions options;
        const FsOps *ops;
        FsKind kind;
        char why[FS_WHY_MAX];

        /* Geometry: bytes on the Disk, all of it checked against the Disk's size */
        uint32_t n_clusters; /* the last one is n_clusters + 1 */
        unsigned cluster_shift;
        uint64_t heap_at;  /* of cluster 2 */
        uint64_t fat_at[FS_FATS_MAX];
        unsigned n_fats;   /* that are kept alike; the active one comes first */
        unsigned fat_bits; /* 12, 16 or 32 */
        uint32_t root_cluster;
        uint64_t root_at;  /* FAT12 and FAT16: a region of its own, */
        uint32_t root_slots; /* of that many entries */
        uint64_t boot_at;
        uint64_t fsinfo_at; /* FAT32; 0 when there is none */
        struct {
                FsRuns runs;
                uint64_t bytes; /* that are needed, all within the runs; 0 when there is none */
        } bitmap;           /* exFAT */
        bool second_bitmap; /* that one counts */
        uint32_t upcase_first;
        uint64_t upcase_bytes;

        uint32_t volume_id;
        char label[FS_LABEL_MAX];
        bool dirty, failing;
        bool dirty_is_kept; /* there is a flag that says so, and it makes sense */
        bool dirty_by_erase;
        bool end_is_kept;  /* exFAT: that entry is as it should be */
        uint32_t end_bits; /* of the table's second entry: see fs_mark_get() */
        uint64_t used_clusters; /* exFAT, once counted; UINT64_MAX before */

        /* Why nothing may be erased, "" when it may */
        char damage[FS_WHY_MAX];
        bool failed; /* an erase broke off */

        FsTree tree;
        bool walked, incomplete;
        char problems[FS_PROBLEMS_MAX][FS_WHY_MAX];
        size_t n_problems;
        uint64_t slots_read;
        struct FsSet *folder_clusters; /* of all folders, while they are read, and for the claims */
        FsClaimsState claims_state;
        char claims_why[FS_WHY_MAX];
        struct FsClaims *claims;
        FsRuns claimed; /* all of them once they are known, as runs: to be looked for, not to be freed */
};

/* Sets fs_why(); returns `answer`. */
int fs_say(Fs *fs, int answer, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Notes that something of the tree could not be read. */
void fs_problem_add(Fs *fs, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Notes why nothing may be erased from this volume; the first reason counts. */
void fs_damage(Fs *fs, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * fs_slots.c: room for `n` entries in the folder: at, n_slots, end_at and fill_at of *ret. `is_free` says whether an entry before the
 * folder's end is used by nobody. -ENOSPC and -EINVAL with fs_say().
 */
int fs_find_slots(Fs *fs, uint32_t folder, size_t n, bool (*is_free)(const uint8_t *entry), FsPlace *ret);
/* Is it a name that both file systems can have? ASCII alone. */
bool fs_name_is_valid(const char *name, size_t size);

/* fs.c: FS_DENIED, with fs_say(), when nothing may be changed on this volume; else 0. */
int fs_may_change(Fs *fs);

static inline bool fs_cluster_is_valid(const Fs *fs, uint32_t cluster) {
        return cluster >= FS_CLUSTER_FIRST && cluster - FS_CLUSTER_FIRST < fs->n_clusters;
}

static inline uint64_t fs_cluster_at(const Fs *fs, uint32_t cluster) {
        return fs->heap_at + ((uint64_t) (cluster - FS_CLUSTER_FIRST) << fs->cluster_shift);
}

static inline uint64_t fs_clusters_for(const Fs *fs, uint64_t bytes) {
        return (bytes >> fs->cluster_shift) + ((bytes & ((UINT64_C(1) << fs->cluster_shift) - 1)) != 0);
}
