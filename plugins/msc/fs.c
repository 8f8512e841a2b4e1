/* SPDX-License-Identifier: Apache-2.0 */
#include "fs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exfat.h"
#include "fat.h"
#include "fs_chain.h"
#include "fs_claims.h"
#include "fs_text.h"

const char *fs_kind_name(FsKind kind) {
        static const char *const names[_FS_KIND_MAX] = {
                [FS_FAT12] = "FAT12",
                [FS_FAT16] = "FAT16",
                [FS_FAT32] = "FAT32",
                [FS_EXFAT] = "exFAT",
        };

        return names[kind];
}

/* ---- Sentences ---- */

/* A sentence that is too long for its place is cut between two characters. */
static void put_sentence(char ret[FS_WHY_MAX], const char *format, va_list args)
        __attribute__((format(printf, 2, 0)));
static void put_sentence(char ret[FS_WHY_MAX], const char *format, va_list args) {
        int n = vsnprintf(ret, FS_WHY_MAX, format, args);
        size_t end = FS_WHY_MAX - 1;

        if (n < 0)
                ret[0] = '\0';
        if (n < (int) FS_WHY_MAX)
                return;
        while (end > 0 && ((uint8_t) ret[end - 1] & 0xC0) == 0x80)
                end--;
        if (end > 0 && (uint8_t) ret[end - 1] >= 0xC0)
                end--;
        ret[end] = '\0';
}

int fs_say(Fs *fs, int answer, const char *format, ...) {
        va_list args;

        va_start(args, format);
        put_sentence(fs->why, format, args);
        va_end(args);
        return answer;
}

void fs_problem_add(Fs *fs, const char *format, ...) {
        va_list args;

        fs->incomplete = true;
        if (fs->n_problems == FS_PROBLEMS_MAX)
                return;
        va_start(args, format);
        put_sentence(fs->problems[fs->n_problems++], format, args);
        va_end(args);
}

void fs_damage(Fs *fs, const char *format, ...) {
        va_list args;

        if (fs->damage[0] != '\0')
                return;
        va_start(args, format);
        put_sentence(fs->damage, format, args);
        va_end(args);
}

const char *fs_why(const Fs *fs) {
        return fs->why;
}

const char *fs_problem(const Fs *fs, size_t n) {
        return n < fs->n_problems ? fs->problems[n] : NULL;
}

/* The path of a file, for a sentence. */
#define NAME_TEXT_MAX (FS_TEXT_MAX + 72u)
static void entry_text(const Fs *fs, const FsEntry *entry, char ret[NAME_TEXT_MAX]) {
        char folder[FS_TEXT_MAX], name[70];

        fs_name_to_text(fs_tree_name(&fs->tree, entry->name_at), entry->name_size, name, sizeof(name));
        fs_tree_text(&fs->tree, entry->folder, folder);
        if (entry->folder == FS_ROOT)
                folder[0] = '\0';
        (void) snprintf(ret, NAME_TEXT_MAX, "%s%s%s", folder, folder[0] ? "/" : "", name);
}

/* ---- Open, close ---- */

static bool disk_is_sane(const Disk *disk) {
        return disk->sector_bytes >= DISK_SECTOR_MIN && disk->sector_bytes <= DISK_SECTOR_MAX &&
               (disk->sector_bytes & (disk->sector_bytes - 1)) == 0 && disk->n_sectors <= INT64_MAX / disk->sector_bytes;
}

int fs_open(const Disk *disk, const FsOptions *options, Fs **ret, char why[FS_WHY_MAX]) {
        Fs *fs;
        int r;

        if (!disk_is_sane(disk)) {
                (void) snprintf(why, FS_WHY_MAX, "the medium has sectors of %u bytes, which nobody can use", disk->sector_bytes);
                return -EMEDIUMTYPE;
        }
        fs = calloc(1, sizeof(*fs));
        if (!fs) {
                (void) snprintf(why, FS_WHY_MAX, "not enough memory");
                return -ENOMEM;
        }
        fs->disk = *disk;
        fs->options = *options;
        fs->used_clusters = UINT64_MAX;
        fs_cache_init(&fs->cache, &fs->disk);
        r = exfat_probe(fs);
        if (r == -EMEDIUMTYPE)
                r = fat_probe(fs);
        if (r < 0) {
                (void) snprintf(why, FS_WHY_MAX, "%s", fs->why[0] ? fs->why : strerror(-r));
                (void) fs_close(fs);
                return r;
        }
        fs->why[0] = '\0';
        *ret = fs;
        return 0;
}

Fs *fs_close(Fs *fs) {
        if (!fs)
                return NULL;
        fs_cache_clear(&fs->cache);
        fs_tree_clear(&fs->tree);
        (void) fs_set_free(fs->folder_clusters);
        fs_runs_clear(&fs->bitmap.runs);
        fs_runs_clear(&fs->claimed);
        free(fs);
        return NULL;
}

int fs_info(Fs *fs, FsInfo *ret) {
        FsInfo info = {
                .kind = fs->kind,
                .volume_id = fs->volume_id,
                .dirty = fs->dirty,
                .dirty_by_erase = fs->dirty_by_erase,
                .failing = fs->failing,
                .cluster_bytes = UINT32_C(1) << fs->cluster_shift,
                .total_bytes = (uint64_t) fs->n_clusters << fs->cluster_shift,
                .free_bytes = FS_BYTES_UNKNOWN,
        };
        int r;

        memcpy(info.label, fs->label, sizeof(info.label));
        r = fs->ops->count_free(fs, &info.free_bytes);
        if (r == -EIO)
                info.free_bytes = FS_BYTES_UNKNOWN;
        else if (r < 0)
                return r;
        *ret = info;
        return 0;
}

/* ---- Walk ---- */

static void walk_begin(Fs *fs) {
        fs_tree_clear(&fs->tree);
        fs->folder_clusters = fs_set_free(fs->folder_clusters);
        fs->walked = fs->incomplete = false;
        fs->n_problems = 0;
        fs->slots_read = 0;
        fs->claims_state = FS_CLAIMS_NONE;
        fs_runs_clear(&fs->claimed);
        fs->why[0] = '\0';
}

static int read_folders(Fs *fs) {
        FsFolder root = { .first = fs->root_cluster, .size_bytes = UINT64_MAX };
        int r;

        fs->folder_clusters = calloc(1, sizeof(*fs->folder_clusters));
        if (!fs->folder_clusters)
                return -ENOMEM;
        r = fs_tree_add_folder(&fs->tree, &root, "", 0);
        /* The table grows while it is walked; each cluster is read as a folder's once, so this ends. */
        for (uint32_t i = 0; r >= 0 && i < fs->tree.n_folders; i++)
                r = fs->ops->read_folder(fs, i);
        if (r == -E2BIG)
                return fs_say(fs, r, "there are more files, folders or names on the medium than %u files can have", FS_FILES_MAX);
        return r < 0 ? r : 0;
}

static int report(Fs *fs, FsFileSink sink, void *userdata) {
        for (size_t i = 0; i < fs->tree.n_entries; i++) {
                const FsEntry *e = &fs->tree.entries[i];
                FsName names[FS_DEPTH_MAX + 2];
                size_t at = fs->tree.folders[e->folder].depth;
                FsFile file = {
                        .names = names,
                        .n_names = at + 1,
                        .size_bytes = e->size_bytes,
                        .mtime_unix_sec = e->mtime_unix_sec,
                        .read_only = (e->attributes & 0x01) != 0,
                        .hidden = (e->attributes & 0x02) != 0,
                        .system = (e->attributes & 0x04) != 0,
                        .handle = e->at,
                };
                int r;

                names[at] = (FsName){ fs_tree_name(&fs->tree, e->name_at), e->name_size };
                for (uint32_t f = e->folder; f != FS_ROOT; f = fs->tree.folders[f].parent)
                        names[--at] = (FsName){ fs_tree_name(&fs->tree, fs->tree.folders[f].name_at),
                                                fs->tree.folders[f].name_size };
                r = sink(userdata, &file);
                if (r < 0)
                        return r;
        }
        return 0;
}

int fs_walk(Fs *fs, FsFileSink sink, void *userdata) {
        int r;

        walk_begin(fs);
        r = read_folders(fs);
        if (r < 0) {
                fs_tree_clear(&fs->tree);
                return r;
        }
        fs_tree_sort(&fs->tree);
        fs->walked = true;
        r = report(fs, sink, userdata);
        if (r < 0)
                return r;
        return fs->incomplete ? fs_say(fs, FS_INCOMPLETE, "%s", fs->problems[0]) : 0;
}

/* ---- Extents ---- */

void fs_extents_clear(FsExtents *extents) {
        free(extents->items);
        *extents = (FsExtents){ 0 };
}

size_t fs_extents_find(const FsExtents *extents, uint64_t offset) {
        size_t low = 0, high = extents->n;

        if (offset >= extents->size_bytes)
                return extents->n;
        while (high - low > 1) {
                size_t middle = low + (high - low) / 2;

                if (extents->items[middle].offset_bytes <= offset)
                        low = middle;
                else
                        high = middle;
        }
        return low;
}

static void extent_put(FsExtents *extents, FsExtentKind kind, uint64_t until, uint64_t sector) {
        FsExtent *last = extents->n > 0 ? &extents->items[extents->n - 1] : NULL;
        uint64_t offset = last ? last->offset_bytes + last->length_bytes : 0;

        if (until > offset)
                extents->items[extents->n++] = (FsExtent){ offset, until - offset, sector, kind };
}

/* The part of a run that holds bytes of the file which were written, and what lies past the end of the medium. */
static uint64_t put_run(const Fs *fs, FsExtents *extents, const FsRun *run, uint64_t offset, uint64_t valid) {
        uint64_t at = fs_cluster_at(fs, run->first), length = (uint64_t) run->count << fs->cluster_shift;
        uint64_t medium = fs->disk.n_sectors * fs->disk.sector_bytes, there = at < medium ? medium - at : 0;

        if (length > valid - offset)
                length = valid - offset;
        extent_put(extents, FS_EXTENT_DATA, offset + (length < there ? length : there), at / fs->disk.sector_bytes);
        extent_put(extents, FS_EXTENT_LOST, offset + length, 0);
        return offset + length;
}

static int entry_extents(const Fs *fs, const FsEntry *entry, const FsRuns *runs, FsExtents *ret) {
        FsExtents extents = { .size_bytes = entry->size_bytes };
        uint64_t offset = 0, valid = entry->valid_bytes;

        /* One run may lie across the end of the medium; two extents more stand for what is not there or was not written. */
        extents.items = calloc(runs->n + 3, sizeof(*extents.items));
        if (!extents.items)
                return -ENOMEM;
        for (size_t i = 0; i < runs->n && offset < valid; i++)
                offset = put_run(fs, &extents, &runs->items[i], offset, valid);
        extent_put(&extents, FS_EXTENT_LOST, valid, 0);
        extent_put(&extents, FS_EXTENT_ZEROS, entry->size_bytes, 0);
        *ret = extents;
        return 0;
}

/* A whole chain, or what there is of it. */
static int entry_runs(Fs *fs, const FsEntry *entry, FsRuns *ret, FsChainEnd *ret_end) {
        return fs_chain_follow(fs, entry->first, entry->contiguous, fs_clusters_for(fs, entry->size_bytes), FS_EXTENTS_MAX, ret,
                               ret_end);
}

static FsEntry *find_entry(const Fs *fs, uint64_t handle) {
        FsEntry *entry = fs->walked ? fs_tree_find(&fs->tree, handle) : NULL;

        return entry && !entry->erased ? entry : NULL;
}

int fs_extents(Fs *fs, uint64_t handle, FsExtents *ret) {
        const FsEntry *entry = find_entry(fs, handle);
        FsChainEnd end;
        FsRuns runs;
        int r;

        fs->why[0] = '\0';
        if (!entry)
                return fs_say(fs, -ENOENT, "no such file was listed");
        r = entry_runs(fs, entry, &runs, &end);
        if (r == -E2BIG)
                return fs_say(fs, r, "the file is in more than %u pieces", FS_EXTENTS_MAX);
        if (r < 0)
                return r;
        r = entry_extents(fs, entry, &runs, ret);
        fs_runs_clear(&runs);
        if (r >= 0 && end != FS_CHAIN_EXACT) {
                char name[NAME_TEXT_MAX];

                entry_text(fs, entry, name);
                (void) fs_say(fs, 0, "%s is damaged: its chain of clusters %s", name, fs_chain_end_text(end));
        }
        return r;
}

/* ---- Erase ---- */

int fs_may_change(Fs *fs) {
        if (fs->failed)
                return fs_say(fs, FS_DENIED, "an erase on this medium broke off before, so nothing more is erased from it");
        if (fs->disk.read_only)
                return fs_say(fs, FS_DENIED, "the medium is write-protected");
        if (fs->damage[0] != '\0')
                return fs_say(fs, FS_DENIED, "%s", fs->damage);
        if (fs->dirty && !fs->dirty_by_erase && !fs->options.erase_dirty)
                return fs_say(fs, FS_DENIED, "the %s volume was not left cleanly by who wrote to it last; let the camera check or "
                              "format its card", fs_kind_name(fs->kind));
        if (fs->incomplete)
                return fs_say(fs, FS_DENIED, "nothing is erased from the medium, since not all of it can be read: %s",
                              fs->n_problems > 0 ? fs->problems[0] : "");
        return 0;
}

static int may_erase(Fs *fs, const FsEntry *entry, const FsRuns *runs, FsChainEnd end) {
        char name[NAME_TEXT_MAX];
        int r;

        entry_text(fs, entry, name);
        if (fs->claims_state != FS_CLAIMS_KNOWN)
                return fs_say(fs, FS_DENIED, "nothing is erased from the medium: %s", fs->claims_why);
        if (entry->shared)
                return fs_say(fs, FS_DENIED, "%s shares clusters with something else on the medium, which erasing it would harm", name);
        if (end != FS_CHAIN_EXACT)
                return fs_say(fs, FS_DENIED, "%s is damaged: its chain of clusters %s", name, fs_chain_end_text(end));
        if (entry->damaged)
                return fs_say(fs, FS_DENIED, "%s is damaged: its folder entry contradicts itself", name);
        r = fs->ops->check(fs, entry, runs);
        return r == FS_GONE ? fs_say(fs, r, "%s is not there any more as it was listed", name) : r;
}

/* The order is what keeps other files safe: README.md, "When the power goes". */
static int erase_steps(Fs *fs, const FsEntry *entry, const FsRuns *runs) {
        bool mark = fs->dirty_is_kept && !fs->dirty;
        int r = 0;

        if (mark)
                r = fs->ops->set_dirty(fs, true);
        if (r >= 0 && mark)
                r = fs_cache_barrier(&fs->cache);
        if (r >= 0)
                r = fs->ops->remove_entry(fs, entry);
        if (r >= 0)
                r = fs_cache_barrier(&fs->cache);
        if (r >= 0)
                r = fs->ops->free_clusters(fs, runs);
        if (r >= 0)
                r = fs_cache_barrier(&fs->cache);
        if (r >= 0)
                r = fs->ops->update_counts(fs, (int64_t) runs->clusters);
        if (r > 0)
                r = fs_cache_barrier(&fs->cache);
        if (r >= 0 && mark)
                r = fs->ops->set_dirty(fs, false);
        if (r >= 0 && mark)
                r = fs_cache_barrier(&fs->cache);
        return r < 0 ? r : 0;
}

static int erase_entry(Fs *fs, FsEntry *entry, const FsRuns *runs, FsChainEnd end) {
        char name[NAME_TEXT_MAX];
        int r;

        r = may_erase(fs, entry, runs, end);
        if (r != 0)
                return r;
        r = erase_steps(fs, entry, runs);
        if (r < 0) {
                /* What reached the medium is not known; what was not written must not be written later. */
                fs_cache_clear(&fs->cache);
                fs->failed = true;
                entry_text(fs, entry, name);
                return fs_say(fs, r, "erasing %s broke off: %s", name, strerror(-r));
        }
        entry->erased = true;
        return 0;
}

int fs_erase(Fs *fs, uint64_t handle) {
        FsEntry *entry = find_entry(fs, handle);
        FsChainEnd end;
        FsRuns runs;
        int r;

        fs->why[0] = '\0';
        if (!entry)
                return fs_say(fs, -ENOENT, "no such file was listed");
        r = fs_may_change(fs);
        if (r != 0)
                return r;
        r = fs_claims_build(fs);
        if (r < 0)
                return r;
        r = entry_runs(fs, entry, &runs, &end);
        if (r == -E2BIG)
                return fs_say(fs, FS_DENIED, "the file is in more than %u pieces", FS_EXTENTS_MAX);
        if (r < 0)
                return r;
        r = erase_entry(fs, entry, &runs, end);
        fs_runs_clear(&runs);
        return r;
}
