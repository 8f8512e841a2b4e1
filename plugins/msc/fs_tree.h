/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a walk found: folders and files, found again by where their entries are. No Disk here. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FS_ROOT 0u /* the index of the root folder */
#define FS_TEXT_MAX 96u /* bytes of a path in a sentence */

typedef struct FsFolder {
        uint32_t parent; /* index; the root's is itself */
        uint32_t depth;  /* 0 is the root */
        uint32_t name_at, name_size;
        uint32_t first;      /* cluster; 0 is the root folder of FAT12 and FAT16 */
        bool contiguous;     /* exFAT: all in a row, the allocation table says nothing */
        uint64_t size_bytes; /* exFAT; UINT64_MAX where the chain alone ends it */
} FsFolder;

typedef struct FsEntry {
        uint64_t at;   /* of the entry that holds the size, on the Disk in bytes: the file's handle */
        uint32_t folder;
        uint32_t slot; /* index in the folder of the first of its entries, 32 bytes each */
        uint8_t n_slots;
        uint8_t attributes;
        bool contiguous;
        bool damaged; /* the entry contradicts itself: to be read, never erased */
        bool shared;  /* known once the claims are: others use clusters of it */
        bool erased;
        uint32_t first;
        uint32_t name_at, name_size;
        uint64_t size_bytes, valid_bytes;
        int64_t mtime_unix_sec;
} FsEntry;

typedef struct FsTree {
        FsFolder *folders;
        size_t n_folders, folders_allocated;
        FsEntry *entries;
        size_t n_entries, entries_allocated;
        char *names;
        size_t names_size, names_allocated;
} FsTree;

void fs_tree_clear(FsTree *tree);
/* Each adds a copy with a copy of the name. 0; -E2BIG past the limits of fs.h; -ENOMEM. */
int fs_tree_add_folder(FsTree *tree, const FsFolder *folder, const char *name, size_t name_size);
int fs_tree_add_entry(FsTree *tree, const FsEntry *entry, const char *name, size_t name_size);
/* Puts the entries in the order of their addresses, after which they can be found. */
void fs_tree_sort(FsTree *tree);
/* NULL when there is none. */
FsEntry *fs_tree_find(const FsTree *tree, uint64_t at);
const char *fs_tree_name(const FsTree *tree, uint32_t name_at);
/* "DCIM/100MEDIA" for a sentence: shown characters only, cut at the front when it is long. "/" for the root. */
void fs_tree_text(const FsTree *tree, uint32_t folder, char ret[FS_TEXT_MAX]);
