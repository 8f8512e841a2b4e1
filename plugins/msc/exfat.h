/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* exFAT, after Microsoft's "exFAT file system specification"; sections of it are named as §. */

#include "fs_chain.h"

/* Fills the geometry. -EMEDIUMTYPE when it is no exFAT; -EUCLEAN, with fs_say(); errors of the Disk. */
int exfat_probe(Fs *fs);

extern const FsOps exfat_ops;

/* exfat_dir.c */
int exfat_read_folder(Fs *fs, uint32_t folder);
int exfat_remove_entry(Fs *fs, const FsEntry *entry);
/* 0 when the entries are those that were listed; FS_GONE; errors of the Disk. */
int exfat_check_entry(Fs *fs, const FsEntry *entry);

/* exfat_bitmap.c */
int exfat_claim(Fs *fs);
int exfat_count_free(Fs *fs, uint64_t *ret_bytes);
int exfat_free_clusters(Fs *fs, const FsRuns *runs);
/* Are all of them in use? 1, 0, or errors of the Disk. */
int exfat_in_use(Fs *fs, const FsRuns *runs);
int exfat_is_free(Fs *fs, uint32_t cluster);
/* And chains them where they are not in a row. */
int exfat_take_clusters(Fs *fs, const FsRuns *runs);

/* exfat_create.c */
int exfat_find_place(Fs *fs, const FsNew *new, FsPlace *ret);
int exfat_put_entry(Fs *fs, const FsNew *new, const FsPlace *place);

/* The boot sector's places that may change */
#define EXFAT_FLAGS_AT 106u
#define EXFAT_PERCENT_AT 112u
#define EXFAT_FLAG_SECOND_FAT 0x01u
#define EXFAT_FLAG_DIRTY 0x02u
#define EXFAT_FLAG_FAILING 0x04u
#define EXFAT_PERCENT_UNKNOWN 0xFFu

/* Types of directory entries (§6.2.1, §7). */
#define EXFAT_TYPE_END 0x00u
#define EXFAT_TYPE_BITMAP 0x81u
#define EXFAT_TYPE_UPCASE 0x82u
#define EXFAT_TYPE_LABEL 0x83u
#define EXFAT_TYPE_FILE 0x85u
#define EXFAT_TYPE_STREAM 0xC0u
#define EXFAT_TYPE_NAME 0xC1u
#define EXFAT_TYPE_IN_USE 0x80u
#define EXFAT_TYPE_SECONDARY 0x40u
#define EXFAT_TYPE_BENIGN 0x20u
