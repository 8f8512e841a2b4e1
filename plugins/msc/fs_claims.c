/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_claims.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs_chain.h"
#include "fs_text.h"

#define SET_MAX (4u << 20)
/* How much of a chain is followed for all files together, in clusters of the volume: a sound one needs 1. */
#define BUDGET_VOLUMES 4u

/* ---- Sets ---- */

static size_t set_slot(const FsSet *set, uint32_t cluster) {
        size_t mask = set->n_slots - 1, i = (cluster * UINT32_C(2654435761)) & mask;

        while (set->slots[i] != 0 && set->slots[i] != cluster)
                i = (i + 1) & mask;
        return i;
}

static int set_grow(FsSet *set) {
        FsSet grown = { .n_slots = set->n_slots ? set->n_slots * 2 : 256 };

        if (set->n >= SET_MAX)
                return -E2BIG;
        grown.slots = calloc(grown.n_slots, sizeof(*grown.slots));
        if (!grown.slots)
                return -ENOMEM;
        for (size_t i = 0; i < set->n_slots; i++)
                if (set->slots[i] != 0)
                        grown.slots[set_slot(&grown, set->slots[i])] = set->slots[i];
        free(set->slots);
        set->slots = grown.slots;
        set->n_slots = grown.n_slots;
        return 0;
}

int fs_set_add(FsSet *set, uint32_t cluster) {
        size_t slot;
        int r;

        if (set->n * 2 >= set->n_slots) {
                r = set_grow(set);
                if (r < 0)
                        return r;
        }
        slot = set_slot(set, cluster);
        if (set->slots[slot] == cluster)
                return 0;
        set->slots[slot] = cluster;
        set->n++;
        return 1;
}

FsSet *fs_set_free(FsSet *set) {
        if (set) {
                free(set->slots);
                free(set);
        }
        return NULL;
}

/* ---- Claims ---- */

static int claim_run(FsClaims *claims, FsRun run, uint32_t owner) {
        if (claims->n == claims->allocated) {
                size_t allocated = claims->allocated ? claims->allocated * 2 : 1024;
                FsClaim *items;

                if (allocated > FS_RUNS_MAX)
                        return -E2BIG;
                items = realloc(claims->items, allocated * sizeof(*items));
                if (!items)
                        return -ENOMEM;
                claims->items = items;
                claims->allocated = allocated;
        }
        claims->items[claims->n++] = (FsClaim){ run.first, run.count, owner };
        return 0;
}

static void forbid(Fs *fs, const char *why) {
        fs->claims_state = FS_CLAIMS_FORBID;
        (void) snprintf(fs->claims_why, sizeof(fs->claims_why), "%s", why);
}

int fs_claims_add(Fs *fs, uint32_t first, bool contiguous, uint64_t bytes, uint32_t owner) {
        FsRuns runs = { 0 };
        FsChainEnd end;
        int r;

        if (fs->claims_state == FS_CLAIMS_FORBID)
                return 0;
        r = fs_chain_follow(fs, first, contiguous, fs_clusters_for(fs, bytes), FS_EXTENTS_MAX, &runs, &end);
        if (r == -E2BIG) {
                forbid(fs, "a file is in so many pieces that it cannot be known whether files share clusters");
                return 0;
        }
        if (r < 0)
                return r;
        if (end == FS_CHAIN_UNREADABLE)
                forbid(fs, "the allocation table has a bad sector, so it cannot be known whether files share clusters");
        for (size_t i = 0; i < runs.n && r >= 0; i++)
                r = claim_run(fs->claims, runs.items[i], owner);
        if (r == -E2BIG) {
                forbid(fs, "its files are in so many pieces that it cannot be known whether they share clusters");
                r = 0;
        }
        fs_runs_clear(&runs);
        return r;
}

static int claim_entries(Fs *fs) {
        uint64_t budget = (uint64_t) BUDGET_VOLUMES * fs->n_clusters + FS_FILES_MAX;

        for (size_t i = 0; i < fs->tree.n_entries; i++) {
                const FsEntry *e = &fs->tree.entries[i];
                uint64_t clusters = fs_clusters_for(fs, e->size_bytes);
                int r;

                if (e->erased)
                        continue;
                /* An empty file that has a cluster nevertheless uses it. */
                r = fs_claims_add(fs, e->first, e->contiguous, clusters == 0 && e->first != 0 ? 1 : e->size_bytes, (uint32_t) i);
                if (r < 0)
                        return r;
                clusters = clusters < fs->n_clusters ? clusters : fs->n_clusters;
                if (!e->contiguous && clusters > budget)
                        forbid(fs, "its files say that they are far larger than it is, so they must share clusters");
                else if (!e->contiguous)
                        budget -= clusters;
                if (fs->claims_state == FS_CLAIMS_FORBID)
                        break;
        }
        return 0;
}

static int by_first(const void *a, const void *b) {
        const FsClaim *x = a, *y = b;

        return x->first != y->first ? (x->first < y->first ? -1 : 1) : (x->owner > y->owner) - (x->owner < y->owner);
}

static void mark(Fs *fs, uint32_t owner) {
        if (owner != FS_OWNER_SYSTEM)
                fs->tree.entries[owner].shared = true;
}

/* Each claim is held against the one before it that reaches furthest: of any two that overlap both get marked. */
static void mark_shared(Fs *fs, const FsClaims *claims) {
        uint64_t reach = 0;
        uint32_t owner = FS_OWNER_SYSTEM;

        for (size_t i = 0; i < claims->n; i++) {
                const FsClaim *c = &claims->items[i];

                if (c->first < reach) {
                        mark(fs, c->owner);
                        mark(fs, owner);
                        /* Erasing anything writes there, into what is the other's content. */
                        if (c->owner == FS_OWNER_SYSTEM || owner == FS_OWNER_SYSTEM)
                                forbid(fs, "something on it lies on a folder or on the volume's own tables");
                }
                if ((uint64_t) c->first + c->count > reach) {
                        reach = (uint64_t) c->first + c->count;
                        owner = c->owner;
                }
        }
}

static int claim_folders(Fs *fs) {
        for (size_t i = 0; i < fs->folder_clusters->n_slots; i++) {
                uint32_t cluster = fs->folder_clusters->slots[i];
                int r = cluster == 0 ? 0 : claim_run(fs->claims, (FsRun){ cluster, 1 }, FS_OWNER_SYSTEM);

                if (r == -E2BIG) {
                        forbid(fs, "it has so many folders that it cannot be known whether they share clusters");
                        return 0;
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static int keep_claimed(Fs *fs, const FsClaims *claims) {
        fs_runs_clear(&fs->claimed);
        fs->claimed.items = calloc(claims->n + 1, sizeof(*fs->claimed.items));
        if (!fs->claimed.items)
                return -ENOMEM;
        for (size_t i = 0; i < claims->n; i++)
                fs->claimed.items[i] = (FsRun){ claims->items[i].first, claims->items[i].count };
        fs->claimed.n = claims->n;
        return 0;
}

bool fs_claims_have(const Fs *fs, const FsRuns *runs) {
        for (size_t i = 0; i < runs->n; i++)
                for (size_t k = 0; k < fs->claimed.n; k++) {
                        const FsRun *a = &runs->items[i], *b = &fs->claimed.items[k];

                        if (a->first < (uint64_t) b->first + b->count && b->first < (uint64_t) a->first + a->count)
                                return true;
                }
        return false;
}

int fs_claims_build(Fs *fs) {
        FsClaims claims = { 0 };
        int r;

        if (fs->claims_state != FS_CLAIMS_NONE)
                return 0;
        fs->claims = &claims;
        r = fs->ops->claim(fs);
        if (r >= 0)
                r = claim_folders(fs);
        if (r >= 0)
                r = claim_entries(fs);
        fs->claims = NULL;
        if (r >= 0 && fs->claims_state == FS_CLAIMS_NONE) {
                if (claims.n > 0)
                        qsort(claims.items, claims.n, sizeof(*claims.items), by_first);
                fs->claims_state = FS_CLAIMS_KNOWN;
                mark_shared(fs, &claims);
                r = keep_claimed(fs, &claims);
        } else if (r < 0) {
                fs->claims_state = FS_CLAIMS_NONE;
        }
        free(claims.items);
        return r;
}
