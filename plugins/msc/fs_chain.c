/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_chain.h"

#include <errno.h>
#include <stdlib.h>

#include "fs_bytes.h"

#define FAT32_MASK UINT32_C(0x0FFFFFFF) /* the upper four bits of an entry belong to nobody */

/* ---- Entries ---- */

/* The bytes of an entry in one table: two of FAT12, which may lie in two sectors. */
static int read_raw(Fs *fs, unsigned table, uint32_t cluster, uint32_t *ret) {
        const uint8_t *at, *high;
        uint64_t offset;
        int r;

        switch (fs->fat_bits) {
        case 12:
                offset = fs->fat_at[table] + cluster + cluster / 2;
                r = fs_cache_read(&fs->cache, offset, 1, &at);
                if (r < 0)
                        return r;
                *ret = at[0];
                r = fs_cache_read(&fs->cache, offset + 1, 1, &high);
                if (r < 0)
                        return r;
                *ret |= (uint32_t) high[0] << 8;
                *ret = cluster % 2 ? *ret >> 4 : *ret & 0xFFF;
                return 0;
        case 16:
                r = fs_cache_read(&fs->cache, fs->fat_at[table] + 2 * (uint64_t) cluster, 2, &at);
                if (r >= 0)
                        *ret = fs_get16(at);
                return r;
        default:
                r = fs_cache_read(&fs->cache, fs->fat_at[table] + 4 * (uint64_t) cluster, 4, &at);
                if (r >= 0)
                        *ret = fs->kind == FS_FAT32 ? fs_get32(at) & FAT32_MASK : fs_get32(at);
                return r;
        }
}

int fs_table_get(Fs *fs, uint32_t cluster, uint32_t *ret) {
        int r;

        r = read_raw(fs, 0, cluster, ret);
        /* That is what there are two for. */
        for (unsigned i = 1; i < fs->n_fats && r == -EIO; i++)
                r = read_raw(fs, i, cluster, ret);
        return r;
}

static int change_byte(Fs *fs, uint64_t at, uint32_t mask, uint32_t value) {
        uint8_t *byte;
        int r;

        if ((mask & 0xFF) == 0)
                return 0;
        r = fs_cache_modify(&fs->cache, at, 1, &byte);
        if (r >= 0)
                *byte = (uint8_t) ((*byte & ~mask) | (value & mask));
        return r;
}

int fs_table_set(Fs *fs, unsigned table, uint32_t cluster, uint32_t mask, uint32_t value) {
        unsigned bytes = fs->fat_bits == 12 ? 2 : fs->fat_bits / 8;
        uint64_t at = fs->fat_at[table] + (fs->fat_bits == 12 ? (uint64_t) cluster + cluster / 2 : (uint64_t) cluster * bytes);

        if (fs->fat_bits == 12) {
                mask = cluster % 2 ? (mask & 0xFFF) << 4 : mask & 0xFFF;
                value = cluster % 2 ? value << 4 : value;
        }
        for (unsigned i = 0; i < bytes; i++) {
                int r = change_byte(fs, at + i, mask >> 8 * i, value >> 8 * i);

                if (r < 0)
                        return r;
        }
        return 0;
}

int fs_link_get(Fs *fs, uint32_t cluster, uint32_t *ret_next) {
        uint32_t value, bad;
        int r;

        if (!fs_cluster_is_valid(fs, cluster))
                return -EINVAL;
        r = fs_table_get(fs, cluster, &value);
        if (r < 0)
                return r;
        bad = fs->kind == FS_EXFAT ? UINT32_C(0xFFFFFFF7) :
              fs->fat_bits == 32   ? UINT32_C(0x0FFFFFF7) :
              fs->fat_bits == 16   ? UINT32_C(0xFFF7) : UINT32_C(0xFF7);
        if (value == 0)
                return FS_LINK_FREE;
        if (value > bad)
                return FS_LINK_END;
        if (!fs_cluster_is_valid(fs, value))
                return FS_LINK_BAD;
        *ret_next = value;
        return FS_LINK_NEXT;
}

/* ---- The mark of an erase ---- */

#define END_BITS UINT32_C(7)
#define END_BITS_USUAL UINT32_C(7)
#define END_BITS_OURS UINT32_C(2)

bool fs_mark_get(Fs *fs, uint32_t value) {
        bool ours = (value & END_BITS) == END_BITS_OURS;

        fs->end_bits = ours ? END_BITS_USUAL : value & END_BITS;
        return ours;
}

int fs_mark_set(Fs *fs, bool ours) {
        int r = 0;

        for (unsigned i = 0; i < fs->n_fats && r >= 0; i++)
                r = fs_table_set(fs, i, 1, END_BITS, ours ? END_BITS_OURS : fs->end_bits);
        return r;
}

static int write_chain(Fs *fs, unsigned table, const FsRuns *runs) {
        uint32_t mask = fs->kind == FS_FAT32 ? FAT32_MASK : UINT32_MAX;

        for (size_t i = 0; i < runs->n; i++) {
                for (uint32_t k = 0; k < runs->items[i].count; k++) {
                        uint32_t cluster = runs->items[i].first + k;
                        uint32_t next = i + 1 < runs->n ? runs->items[i + 1].first : UINT32_MAX; /* an end */
                        int r;

                        if (k + 1 < runs->items[i].count)
                                next = cluster + 1;
                        r = fs_table_set(fs, table, cluster, mask, next);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int fs_chain_write(Fs *fs, const FsRuns *runs) {
        int r = 0;

        for (unsigned i = 0; i < fs->n_fats && r >= 0; i++)
                r = write_chain(fs, i, runs);
        return r;
}

/* ---- Runs ---- */

void fs_runs_clear(FsRuns *runs) {
        free(runs->items);
        *runs = (FsRuns){ 0 };
}

static int add_run(FsRuns *runs, uint32_t first, uint32_t count, size_t max_runs) {
        if (runs->n == runs->allocated) {
                size_t allocated = runs->allocated ? runs->allocated * 2 : 16;
                FsRun *items;

                if (runs->n >= max_runs)
                        return -E2BIG;
                items = realloc(runs->items, allocated * sizeof(*items));
                if (!items)
                        return -ENOMEM;
                runs->items = items;
                runs->allocated = allocated;
        }
        runs->items[runs->n++] = (FsRun){ first, count };
        runs->clusters += count;
        return 0;
}

int fs_runs_add(FsRuns *runs, uint32_t cluster, size_t max_runs) {
        FsRun *last = runs->n > 0 ? &runs->items[runs->n - 1] : NULL;

        if (!last || last->first + last->count != cluster)
                return add_run(runs, cluster, 1, max_runs);
        last->count++;
        runs->clusters++;
        return 0;
}

/* ---- Chains ---- */

const char *fs_chain_end_text(FsChainEnd end) {
        static const char *const texts[] = {
                [FS_CHAIN_LONGER] = "goes on behind its end, and may hold footage there",
                [FS_CHAIN_SHORT] = "ends too early",
                [FS_CHAIN_BROKEN] = "breaks off",
                [FS_CHAIN_LOOP] = "comes back to itself",
                [FS_CHAIN_UNREADABLE] = "cannot be read (a bad sector in the allocation table)",
        };

        return texts[end];
}

/* The cluster at an index of the chain, going forward only. */
typedef struct Finger {
        const FsRuns *runs;
        size_t run;
        uint32_t in_run;
} Finger;

static uint32_t finger_cluster(const Finger *f) {
        return f->runs->items[f->run].first + f->in_run;
}

static void finger_step(Finger *f) {
        if (++f->in_run == f->runs->items[f->run].count) {
                f->run++;
                f->in_run = 0;
        }
}

/* How many clusters before the last one of the chain the same cluster was there before; 0: never. */
static uint64_t find_period(const FsRuns *runs) {
        const FsRun *last = &runs->items[runs->n - 1];
        uint32_t cluster = last->first + last->count - 1;
        uint64_t behind = last->count; /* clusters from the end of run i on to the end of the chain */

        /* Within a run each cluster is there once. */
        for (size_t i = runs->n - 1; i > 0; i--) {
                const FsRun *run = &runs->items[i - 1];

                if (cluster >= run->first && cluster - run->first < run->count)
                        return behind + run->count - 1 - (cluster - run->first);
                behind += run->count;
        }
        return 0;
}

/*
 * A cluster has one successor, so a chain that meets a cluster twice goes round from there on, and its last cluster was
 * there before. Then cuts the runs off before the first repetition.
 */
static bool cut_loop(FsRuns *runs) {
        Finger slow = { .runs = runs }, fast = { .runs = runs };
        uint64_t period = runs->n > 0 ? find_period(runs) : 0, kept;

        if (period == 0)
                return false;
        for (uint64_t i = 0; i < period; i++)
                finger_step(&fast);
        kept = period;
        while (finger_cluster(&slow) != finger_cluster(&fast)) {
                finger_step(&slow);
                finger_step(&fast);
                kept++;
        }
        runs->n = fast.in_run > 0 ? fast.run + 1 : fast.run;
        if (fast.in_run > 0)
                runs->items[fast.run].count = fast.in_run;
        runs->clusters = kept;
        return true;
}

static FsChainEnd end_of_link(int link) {
        switch (link) {
        case FS_LINK_NEXT:
                return FS_CHAIN_LONGER;
        case FS_LINK_END:
                return FS_CHAIN_SHORT;
        case -EIO:
                return FS_CHAIN_UNREADABLE;
        default:
                return FS_CHAIN_BROKEN;
        }
}

static int follow_links(Fs *fs, uint32_t first, uint64_t needed, size_t max_runs, FsRuns *runs, FsChainEnd *ret_end) {
        /* More clusters than there are must repeat one. */
        uint64_t most = needed <= fs->n_clusters ? needed : (uint64_t) fs->n_clusters + 1;
        uint32_t cluster = first;
        int link = FS_LINK_NEXT, r = 0;

        while (runs->clusters < most && link == FS_LINK_NEXT) {
                r = fs_runs_add(runs, cluster, max_runs);
                if (r < 0)
                        break;
                link = fs_link_get(fs, cluster, &cluster);
        }
        if (link < 0 && link != -EIO)
                return link;
        if (cut_loop(runs)) {
                *ret_end = FS_CHAIN_LOOP;
                return 0;
        }
        if (r < 0)
                return r;
        *ret_end = runs->clusters == needed && link == FS_LINK_END ? FS_CHAIN_EXACT : end_of_link(link);
        return 0;
}

static int follow_row(const Fs *fs, uint32_t first, uint64_t needed, FsRuns *runs, FsChainEnd *ret_end) {
        uint64_t there = (uint64_t) fs->n_clusters - (first - FS_CLUSTER_FIRST);

        *ret_end = needed <= there ? FS_CHAIN_EXACT : FS_CHAIN_BROKEN;
        return add_run(runs, first, (uint32_t) (needed <= there ? needed : there), 1);
}

int fs_chain_follow(Fs *fs, uint32_t first, bool contiguous, uint64_t needed, size_t max_runs, FsRuns *ret,
                    FsChainEnd *ret_end) {
        FsRuns runs = { 0 };
        int r = 0;

        if (needed == 0)
                *ret_end = first == 0 ? FS_CHAIN_EXACT : FS_CHAIN_LONGER;
        else if (!fs_cluster_is_valid(fs, first))
                *ret_end = FS_CHAIN_BROKEN;
        else if (contiguous)
                r = follow_row(fs, first, needed, &runs, ret_end);
        else
                r = follow_links(fs, first, needed, max_runs, &runs, ret_end);
        if (r < 0) {
                fs_runs_clear(&runs);
                return r;
        }
        *ret = runs;
        return 0;
}
