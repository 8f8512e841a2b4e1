/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Goes through the 32-byte entries of a folder, wherever they lie. */

#include "fs_volume.h"

typedef struct FsCursor {
        Fs *fs;
        FsFolder folder;  /* a copy: the tree moves while it grows */
        uint32_t index;   /* of the folder in the tree */
        bool walking;     /* its clusters are noted, and what is wrong with it is a problem of the walk */
        uint64_t slots;   /* that it can have */
        uint64_t slot;    /* the next one's number */
        uint32_t cluster; /* where the next one is, unless it is the first of a cluster */
        bool ended;       /* its chain does not go on, rightly or not */
        unsigned skipped; /* sectors that could not be read */
} FsCursor;

void fs_cursor_init(FsCursor *cursor, Fs *fs, uint32_t folder, bool walking);
/*
 * 1 and the address of the next entry, on the Disk in bytes; 0 at the end of the folder, or where it breaks off; -E2BIG past
 * FS_FOLDERS_BYTES_MAX; errors of the Disk but -EIO.
 */
int fs_cursor_next(FsCursor *cursor, uint64_t *ret_at);
/*
 * The sector of the entry that was told last cannot be read: goes on behind it. A folder with many such sectors is given up,
 * since each may cost the medium seconds.
 */
void fs_cursor_skip_sector(FsCursor *cursor, const char *what);
/* Goes to that entry, from the start. 1, or 0 when the folder ends before it. */
int fs_cursor_seek(FsCursor *cursor, uint64_t slot);
/* Notes the clusters behind the last entry, too. */
int fs_cursor_finish(FsCursor *cursor);
