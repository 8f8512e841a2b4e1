/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What lies in a logical unit of a simulated mass-storage camera: a file of the machine, sector by sector. With a cache, what was
 * written is in the file only after a flush, in the order of the writes, and a loss of power forgets the rest.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MSC_BAD_RANGES_MAX 16u
#define MSC_SECTOR_MAX 4096u

typedef struct MscRange {
        uint64_t first, n;
} MscRange;

typedef struct MscCached {
        uint64_t sector;
        uint8_t *data;
} MscCached;

typedef struct MscMedium {
        int fd; /* -EBADF: none */
        uint64_t n_sectors;
        uint32_t sector_bytes;
        bool is_read_only;
        bool forgets; /* takes writes and does not keep them */
        bool pads;    /* sends something else from a bad sector on, as much as was asked for, and says only then that it could not */
        bool has_cache;
        MscRange bad[MSC_BAD_RANGES_MAX]; /* sectors that cannot be read */
        size_t n_bad;
        MscCached *cached;
        size_t n_cached, cached_room;
        uint64_t sectors_read, sectors_written, flushes;
        uint64_t cut_after; /* so many more sectors get into the file, then the power is gone. UINT64_MAX: never */
        bool is_cut;
} MscMedium;

void msc_medium_init(MscMedium *medium);
/* The file has at least `size` bytes then to the eye of the host; 0: as many as it has. -errno. */
int msc_medium_open(MscMedium *medium, const char *path, uint64_t size, uint32_t sector_bytes);
void msc_medium_close(MscMedium *medium);
/* How many of the `n` sectors can be read before the first bad one. */
uint64_t msc_medium_good(const MscMedium *medium, uint64_t sector, uint64_t n);
/* Bytes, which need not be whole sectors. Past the end of the file there are zeros. */
int msc_medium_read(MscMedium *medium, uint64_t offset, uint8_t *ret, size_t size);
/* Whole sectors. -ESHUTDOWN when the power went. */
int msc_medium_write(MscMedium *medium, uint64_t sector, const uint8_t *data, uint64_t n);
int msc_medium_flush(MscMedium *medium);
/* The power is gone: so is what was only in the cache. */
void msc_medium_forget(MscMedium *medium);
