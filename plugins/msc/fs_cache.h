/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The metadata of a Disk in windows of a fixed number, whatever the medium's size. Changes gather in the windows and go out at
 * a barrier; between two barriers they may reach the medium in any order, one sector at a time.
 */

#include <stddef.h>
#include <stdint.h>

#include "disk.h"

#define FS_CACHE_WINDOW_BYTES 32768u
#define FS_CACHE_WINDOWS 64u

typedef struct FsWindow {
        uint64_t index;   /* of the window on the Disk; UINT64_MAX when it is not in use */
        uint64_t used;    /* when it was last looked at */
        uint64_t valid;   /* one bit a sector */
        uint64_t changed; /* likewise; a part of valid */
        uint8_t *data;    /* allocated when first used */
        bool single;      /* there are bad sectors in it: read one by one */
} FsWindow;

typedef struct FsCache {
        const Disk *disk;
        unsigned sector_shift;
        FsWindow windows[FS_CACHE_WINDOWS];
        FsWindow *last;
        uint64_t clock;
} FsCache;

/* The Disk must have been checked: its sectors are 512 to 4096 bytes. */
void fs_cache_init(FsCache *cache, const Disk *disk);
/* Drops everything; changes that did not go out are lost. */
void fs_cache_clear(FsCache *cache);
/*
 * Bytes that lie within one sector, good until the next call. -EINVAL past the end of the Disk or across sectors; errors of
 * the Disk, which read() also may have when it writes changes out to make room; -ENOMEM.
 */
int fs_cache_read(FsCache *cache, uint64_t at, size_t size, const uint8_t **ret);
/* The same, to be changed by the caller before its next call. */
int fs_cache_modify(FsCache *cache, uint64_t at, size_t size, uint8_t **ret);
/* Has that sector read anew when it is next looked at, unless it was changed. */
void fs_cache_forget(FsCache *cache, uint64_t at);
/*
 * Writes out what was changed and waits until it is on the medium. After an error nothing is known of what went out, and
 * all windows are dropped.
 */
int fs_cache_barrier(FsCache *cache);
