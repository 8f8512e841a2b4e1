/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* FAT12, FAT16 and FAT32, after Microsoft's "FAT: General Overview of On-Disk Format". */

#include "fs_chain.h"

/* Fills the geometry. -EMEDIUMTYPE when it is no FAT; -EUCLEAN, with fs_say(); errors of the Disk. */
int fat_probe(Fs *fs);

extern const FsOps fat_ops;

/* fat_dir.c */
int fat_read_folder(Fs *fs, uint32_t folder);
/* Of an entry of 32 bytes */
uint32_t fat_entry_first(const Fs *fs, const uint8_t *entry);

/* fat_erase.c */
int fat_check(Fs *fs, const FsEntry *entry, const FsRuns *runs);
int fat_set_dirty(Fs *fs, bool dirty);
int fat_remove_entry(Fs *fs, const FsEntry *entry);
int fat_free_clusters(Fs *fs, const FsRuns *runs);
int fat_update_counts(Fs *fs, int64_t freed);

/* fat_create.c */
int fat_is_free(Fs *fs, uint32_t cluster);
int fat_take_clusters(Fs *fs, const FsRuns *runs);
int fat_find_place(Fs *fs, const FsNew *new, FsPlace *ret);
int fat_put_entry(Fs *fs, const FsNew *new, const FsPlace *place);
/* The first entries of a folder's first cluster: itself, and the one above. */
void fat_put_dots(const Fs *fs, const FsNew *new, uint8_t *ret);
uint8_t fat_checksum(const uint8_t *short_name);

/* Entries of a folder */
#define FAT_ATTRIBUTE_VOLUME 0x08u
#define FAT_ATTRIBUTE_FOLDER 0x10u
#define FAT_ATTRIBUTE_LONG 0x0Fu
#define FAT_ATTRIBUTE_MASK 0x3Fu
#define FAT_ENTRY_ERASED 0xE5u
#define FAT_ENTRY_END 0x00u

/* FSInfo */
#define FAT_FSINFO_FREE_AT 488u
#define FAT_FSINFO_UNKNOWN UINT32_C(0xFFFFFFFF)

/* The flags in the table's second entry: set is good. */
static inline uint32_t fat_clean_bit(const Fs *fs) {
        return fs->kind == FS_FAT32 ? UINT32_C(0x08000000) : UINT32_C(0x8000);
}

static inline uint32_t fat_sound_bit(const Fs *fs) {
        return fs->kind == FS_FAT32 ? UINT32_C(0x04000000) : UINT32_C(0x4000);
}
