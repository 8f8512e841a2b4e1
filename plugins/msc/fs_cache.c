/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_WINDOW UINT64_MAX

static uint32_t window_sectors(const FsCache *cache) {
        return FS_CACHE_WINDOW_BYTES >> cache->sector_shift;
}

void fs_cache_init(FsCache *cache, const Disk *disk) {
        *cache = (FsCache){ .disk = disk };
        while ((1u << cache->sector_shift) < disk->sector_bytes)
                cache->sector_shift++;
        for (size_t i = 0; i < FS_CACHE_WINDOWS; i++)
                cache->windows[i].index = NO_WINDOW;
}

static void window_drop(FsWindow *window) {
        window->index = NO_WINDOW;
        window->valid = window->changed = window->used = 0;
        window->single = false;
}

void fs_cache_clear(FsCache *cache) {
        for (size_t i = 0; i < FS_CACHE_WINDOWS; i++) {
                free(cache->windows[i].data);
                cache->windows[i].data = NULL;
                window_drop(&cache->windows[i]);
        }
        cache->last = NULL;
}

/* Each run of changed sectors is one write. */
static int window_write_out(const FsCache *cache, FsWindow *window) {
        uint32_t n = window_sectors(cache);

        for (uint32_t i = 0; i < n;) {
                uint32_t run = 0;
                int r;

                while (i + run < n && (window->changed >> (i + run) & 1))
                        run++;
                if (run == 0) {
                        i++;
                        continue;
                }
                r = cache->disk->write(cache->disk->userdata, window->index * n + i, run,
                                       window->data + ((size_t) i << cache->sector_shift));
                if (r < 0)
                        return r;
                i += run;
        }
        window->changed = 0;
        return 0;
}

/* The window where `index` is, or the one that was not looked at for longest, made empty for it. */
static int find_window(FsCache *cache, uint64_t index, FsWindow **ret) {
        FsWindow *oldest = &cache->windows[0];
        int r;

        for (size_t i = 0; i < FS_CACHE_WINDOWS; i++) {
                if (cache->windows[i].index == index) {
                        *ret = &cache->windows[i];
                        return 0;
                }
                if (cache->windows[i].used < oldest->used)
                        oldest = &cache->windows[i];
        }
        if (oldest->changed) {
                r = window_write_out(cache, oldest);
                if (r < 0) {
                        fs_cache_clear(cache);
                        return r;
                }
        }
        window_drop(oldest);
        if (!oldest->data) {
                oldest->data = malloc(FS_CACHE_WINDOW_BYTES);
                if (!oldest->data)
                        return -ENOMEM;
        }
        oldest->index = index;
        *ret = oldest;
        return 0;
}

/* Reads what the window lacks: all of it with one request, and when that meets a bad sector only the one that is wanted. */
static int fill(const FsCache *cache, FsWindow *window, uint32_t wanted) {
        uint32_t n = window_sectors(cache);
        uint64_t first = window->index * n;
        int r;

        if (cache->disk->n_sectors - first < n)
                n = (uint32_t) (cache->disk->n_sectors - first);
        if (window->valid == 0 && !window->single) {
                r = cache->disk->read(cache->disk->userdata, first, n, window->data);
                if (r >= 0) {
                        window->valid = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
                        return 0;
                }
                if (r != -EIO)
                        return r;
        }
        window->single = true;
        r = cache->disk->read(cache->disk->userdata, first + wanted, 1,
                              window->data + ((size_t) wanted << cache->sector_shift));
        if (r < 0)
                return r;
        window->valid |= UINT64_C(1) << wanted;
        return 0;
}

static int get(FsCache *cache, uint64_t at, size_t size, FsWindow **ret) {
        uint64_t index = at / FS_CACHE_WINDOW_BYTES;
        uint32_t sector = (uint32_t) (at % FS_CACHE_WINDOW_BYTES >> cache->sector_shift);
        FsWindow *window = cache->last;
        int r;

        if (at >> cache->sector_shift >= cache->disk->n_sectors ||
            (at & (cache->disk->sector_bytes - 1)) + size > cache->disk->sector_bytes)
                return -EINVAL;
        if (!window || window->index != index) {
                r = find_window(cache, index, &window);
                if (r < 0)
                        return r;
        }
        if (!(window->valid >> sector & 1)) {
                r = fill(cache, window, sector);
                if (r < 0)
                        return r;
        }
        window->used = ++cache->clock;
        cache->last = window;
        *ret = window;
        return 0;
}

int fs_cache_read(FsCache *cache, uint64_t at, size_t size, const uint8_t **ret) {
        FsWindow *window;
        int r;

        r = get(cache, at, size, &window);
        if (r < 0)
                return r;
        *ret = window->data + at % FS_CACHE_WINDOW_BYTES;
        return 0;
}

int fs_cache_modify(FsCache *cache, uint64_t at, size_t size, uint8_t **ret) {
        FsWindow *window;
        int r;

        r = get(cache, at, size, &window);
        if (r < 0)
                return r;
        window->changed |= UINT64_C(1) << (at % FS_CACHE_WINDOW_BYTES >> cache->sector_shift);
        *ret = window->data + at % FS_CACHE_WINDOW_BYTES;
        return 0;
}

void fs_cache_forget(FsCache *cache, uint64_t at) {
        uint64_t bit = UINT64_C(1) << (at % FS_CACHE_WINDOW_BYTES >> cache->sector_shift);

        for (size_t i = 0; i < FS_CACHE_WINDOWS; i++) {
                FsWindow *window = &cache->windows[i];

                if (window->index != at / FS_CACHE_WINDOW_BYTES || (window->changed & bit))
                        continue;
                window->valid &= ~bit;
                window->single = window->valid != 0;
        }
}

int fs_cache_barrier(FsCache *cache) {
        int r = 0;

        for (size_t i = 0; i < FS_CACHE_WINDOWS && r >= 0; i++)
                if (cache->windows[i].changed)
                        r = window_write_out(cache, &cache->windows[i]);
        if (r >= 0)
                r = cache->disk->flush(cache->disk->userdata);
        if (r < 0)
                fs_cache_clear(cache);
        return r < 0 ? r : 0;
}
