/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_cursor.h"

#include <errno.h>

#include "fs_chain.h"
#include "fs_claims.h"

/* What the specifications let a folder have: 65536 entries in FAT, 256 MiB in exFAT. */
#define FAT_SLOTS_MAX 65536u
#define EXFAT_SLOTS_MAX ((256u << 20) / FS_SLOT_BYTES)
#define SKIPPED_MAX 8u

static bool is_region(const FsCursor *c) {
        return c->folder.first == 0;
}

void fs_cursor_init(FsCursor *c, Fs *fs, uint32_t folder, bool walking) {
        uint64_t slots = fs->kind == FS_EXFAT ? EXFAT_SLOTS_MAX : FAT_SLOTS_MAX;
        uint64_t volume = ((uint64_t) fs->n_clusters << fs->cluster_shift) / FS_SLOT_BYTES;

        *c = (FsCursor){ .fs = fs, .index = folder, .walking = walking, .folder = fs->tree.folders[folder] };
        if (is_region(c))
                slots = fs->root_slots;
        else if (volume < slots) /* with more, it goes round */
                slots = volume;
        c->slots = c->folder.size_bytes / FS_SLOT_BYTES < slots ? c->folder.size_bytes / FS_SLOT_BYTES : slots;
}

static void problem(const FsCursor *c, const char *what) {
        char name[FS_TEXT_MAX];

        if (!c->walking)
                return;
        fs_tree_text(&c->fs->tree, c->index, name);
        fs_problem_add(c->fs, "the folder %s %s", name, what);
}

/* The next cluster: 1, or 0 when there is none. */
static int find_next(const FsCursor *c, uint32_t *ret) {
        uint32_t next = c->folder.first;
        int r = FS_LINK_NEXT;

        if (c->slot > 0 && c->folder.contiguous)
                next = c->cluster + 1;
        else if (c->slot > 0)
                r = fs_link_get(c->fs, c->cluster, &next);
        if (r == -EIO)
                problem(c, "cannot be read to its end (a bad sector in the allocation table)");
        else if (r == FS_LINK_END && c->folder.size_bytes != UINT64_MAX)
                problem(c, "ends too early");
        else if (r == FS_LINK_FREE || r == FS_LINK_BAD || (r == FS_LINK_NEXT && !fs_cluster_is_valid(c->fs, next)))
                problem(c, "breaks off");
        if (r < 0 && r != -EIO)
                return r;
        if (r != FS_LINK_NEXT || !fs_cluster_is_valid(c->fs, next))
                return 0;
        *ret = next;
        return 1;
}

/* Into the next cluster: 1, or 0 when there is none. */
static int enter(FsCursor *c) {
        int r;

        if (c->ended)
                return 0;
        r = find_next(c, &c->cluster);
        if (r == 1 && c->walking) {
                r = fs_set_add(c->fs->folder_clusters, c->cluster);
                if (r == 0)
                        problem(c, "comes back to itself, or into another one");
        }
        c->ended = r != 1;
        return r;
}

int fs_cursor_next(FsCursor *c, uint64_t *ret_at) {
        uint64_t at = c->slot * FS_SLOT_BYTES, in_cluster = at & ((UINT64_C(1) << c->fs->cluster_shift) - 1);
        int r;

        if (c->slot >= c->slots) {
                uint32_t next;

                if (c->folder.size_bytes == UINT64_MAX && !is_region(c) && c->skipped < SKIPPED_MAX &&
                    fs_link_get(c->fs, c->cluster, &next) != FS_LINK_END)
                        problem(c, "has more entries than a folder can have");
                return 0;
        }
        if (c->walking && ++c->fs->slots_read > FS_FOLDERS_BYTES_MAX / FS_SLOT_BYTES)
                return -E2BIG;
        if (is_region(c)) {
                *ret_at = c->fs->root_at + at;
        } else {
                if (in_cluster == 0) {
                        r = enter(c);
                        if (r != 1)
                                return r;
                }
                *ret_at = fs_cluster_at(c->fs, c->cluster) + in_cluster;
        }
        c->slot++;
        return 1;
}

void fs_cursor_skip_sector(FsCursor *c, const char *what) {
        uint64_t per_sector = c->fs->disk.sector_bytes / FS_SLOT_BYTES;

        problem(c, what);
        c->slot = ((c->slot - 1) / per_sector + 1) * per_sector;
        if (++c->skipped >= SKIPPED_MAX && c->slot < c->slots)
                c->slots = c->slot;
}

int fs_cursor_seek(FsCursor *c, uint64_t slot) {
        uint64_t per_cluster = (UINT64_C(1) << c->fs->cluster_shift) / FS_SLOT_BYTES;

        if (slot >= c->slots)
                return 0;
        /* The next entry enters its cluster by itself when it is the first one there. */
        for (c->slot = 0; !is_region(c) && c->slot < slot; c->slot += per_cluster) {
                int r = enter(c);

                if (r != 1)
                        return r;
        }
        c->slot = slot;
        return 1;
}

int fs_cursor_finish(FsCursor *c) {
        uint64_t per_cluster = (UINT64_C(1) << c->fs->cluster_shift) / FS_SLOT_BYTES;
        int r = 1;

        if (is_region(c))
                return 0;
        /* To the end of the cluster that was looked at last. */
        c->slot = (c->slot + per_cluster - 1) / per_cluster * per_cluster;
        while (c->slot < c->slots && r == 1) {
                r = enter(c);
                c->slot += per_cluster;
        }
        return r < 0 ? r : 0;
}
