/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "exfat.h"
#include "fs_claims.h"

/* To be counted, a bitmap must not be larger: 128 million clusters. */
#define COUNTED_BYTES_MAX (UINT64_C(16) << 20)

/* Where a byte of the bitmap lies on the Disk. The bitmap covers all clusters: that was seen when it was found. */
static uint64_t byte_at(const Fs *fs, uint64_t byte) {
        uint64_t cluster = byte >> fs->cluster_shift;
        const FsRun *run = fs->bitmap.runs.items;

        while (cluster >= run->count) {
                cluster -= run->count;
                run++;
        }
        return fs_cluster_at(fs, run->first + (uint32_t) cluster) + (byte & ((UINT64_C(1) << fs->cluster_shift) - 1));
}

/* What is done with the bits of `mask` in one byte of the bitmap: 1 goes on; anything else ends it. */
typedef int (*BitsSink)(Fs *fs, uint64_t at, uint8_t mask);

static int each_byte(Fs *fs, const FsRuns *runs, BitsSink sink) {
        for (size_t i = 0; i < runs->n; i++) {
                uint64_t bit = runs->items[i].first - FS_CLUSTER_FIRST, end = bit + runs->items[i].count;

                while (bit < end) {
                        uint64_t next = (bit / 8 + 1) * 8 < end ? (bit / 8 + 1) * 8 : end;
                        uint8_t mask = (uint8_t) (((1u << (next - bit)) - 1) << bit % 8);
                        int r = sink(fs, byte_at(fs, bit / 8), mask);

                        if (r != 1)
                                return r;
                        bit = next;
                }
        }
        return 1;
}

static int are_set(Fs *fs, uint64_t at, uint8_t mask) {
        const uint8_t *byte;
        int r;

        r = fs_cache_read(&fs->cache, at, 1, &byte);
        return r < 0 ? r : (*byte & mask) == mask;
}

int exfat_in_use(Fs *fs, const FsRuns *runs) {
        return each_byte(fs, runs, are_set);
}

static int clear(Fs *fs, uint64_t at, uint8_t mask) {
        uint8_t *byte;
        int r;

        r = fs_cache_modify(&fs->cache, at, 1, &byte);
        if (r < 0)
                return r;
        *byte = (uint8_t) (*byte & ~mask);
        return 1;
}

/* The allocation table is left as it is: of clusters that are not in use it says nothing (§5.1). */
int exfat_free_clusters(Fs *fs, const FsRuns *runs) {
        int r;

        r = each_byte(fs, runs, clear);
        if (r < 0)
                return r;
        if (fs->used_clusters != UINT64_MAX)
                fs->used_clusters -= runs->clusters < fs->used_clusters ? runs->clusters : fs->used_clusters;
        return 0;
}

int exfat_is_free(Fs *fs, uint32_t cluster) {
        FsRun one = { cluster, 1 };
        int r;

        r = each_byte(fs, &(const FsRuns){ .items = &one, .n = 1, .clusters = 1 }, are_set);
        return r < 0 ? r : r == 0;
}

static int set(Fs *fs, uint64_t at, uint8_t mask) {
        uint8_t *byte;
        int r;

        r = fs_cache_modify(&fs->cache, at, 1, &byte);
        if (r < 0)
                return r;
        *byte = (uint8_t) (*byte | mask);
        return 1;
}

int exfat_take_clusters(Fs *fs, const FsRuns *runs) {
        int r = 0;

        /* Of clusters in a row the table says nothing (§5.1). */
        if (runs->n > 1)
                r = fs_chain_write(fs, runs);
        if (r >= 0)
                r = each_byte(fs, runs, set);
        if (r < 0)
                return r;
        if (fs->used_clusters != UINT64_MAX)
                fs->used_clusters += runs->clusters;
        return 0;
}

static int count_used(Fs *fs, uint64_t *ret) {
        uint64_t used = 0, n_bytes = ((uint64_t) fs->n_clusters + 7) / 8;

        for (uint64_t i = 0; i < n_bytes; i++) {
                unsigned mask = i + 1 == n_bytes && fs->n_clusters % 8 != 0 ? (1u << fs->n_clusters % 8) - 1 : 0xFF;
                const uint8_t *byte;
                int r;

                r = fs_cache_read(&fs->cache, byte_at(fs, i), 1, &byte);
                if (r < 0)
                        return r;
                used += (unsigned) __builtin_popcount(*byte & mask);
        }
        *ret = used;
        return 0;
}

int exfat_count_free(Fs *fs, uint64_t *ret_bytes) {
        int r;

        if (fs->used_clusters == UINT64_MAX) {
                if (fs->bitmap.bytes == 0 || fs->n_clusters / 8 > COUNTED_BYTES_MAX)
                        return 0;
                r = count_used(fs, &fs->used_clusters);
                if (r < 0)
                        return r == -EINVAL ? 0 : r; /* a bitmap beyond the end of the medium */
        }
        *ret_bytes = (uint64_t) (fs->n_clusters - fs->used_clusters) << fs->cluster_shift;
        return 0;
}

int exfat_claim(Fs *fs) {
        int r = 0;

        for (size_t i = 0; i < fs->bitmap.runs.n && r >= 0; i++)
                r = fs_claims_add(fs, fs->bitmap.runs.items[i].first, true,
                                  (uint64_t) fs->bitmap.runs.items[i].count << fs->cluster_shift, FS_OWNER_SYSTEM);
        if (r >= 0 && fs->upcase_bytes > 0)
                r = fs_claims_add(fs, fs->upcase_first, false, fs->upcase_bytes, FS_OWNER_SYSTEM);
        return r;
}
