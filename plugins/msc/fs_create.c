/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exfat.h"
#include "fat.h"
#include "fs_claims.h"
#include "fs_volume.h"

#define PIECE_BYTES (64u << 10)
#define NAME_SHOWN 60

static size_t component(const char *path) {
        return strcspn(path, "/");
}

static bool is_named(const Fs *fs, uint32_t name_at, uint32_t name_size, const char *name, size_t size) {
        return name_size == size && strncasecmp(fs_tree_name(&fs->tree, name_at), name, size) == 0;
}

static bool find_folder(const Fs *fs, uint32_t parent, const char *name, size_t size, uint32_t *ret) {
        for (uint32_t i = 1; i < fs->tree.n_folders; i++) {
                const FsFolder *f = &fs->tree.folders[i];

                if (f->parent == parent && is_named(fs, f->name_at, f->name_size, name, size)) {
                        *ret = i;
                        return true;
                }
        }
        return false;
}

static const FsEntry *find_file(const Fs *fs, uint32_t folder, const char *name, size_t size) {
        for (size_t i = 0; i < fs->tree.n_entries; i++) {
                const FsEntry *e = &fs->tree.entries[i];

                if (e->folder == folder && !e->erased && is_named(fs, e->name_at, e->name_size, name, size))
                        return e;
        }
        return NULL;
}

size_t fs_depth_found(const Fs *fs, const char *path) {
        uint32_t folder = FS_ROOT;
        size_t depth = 0;

        for (size_t n = component(path); path[n]; path += n + 1, n = component(path), depth++)
                if (!find_folder(fs, folder, path, n, &folder))
                        return depth;
        return depth + (find_file(fs, folder, path, strlen(path)) != NULL);
}

/* ---- Clusters ---- */

/* The first `n` clusters in a row that are free; 0 and *ret_first, 1 when there is no such row. */
static int find_row(Fs *fs, uint64_t n, uint32_t *ret_first) {
        uint64_t have = 0;

        for (uint32_t i = 0; i < fs->n_clusters; i++) {
                int r = fs->ops->is_free(fs, FS_CLUSTER_FIRST + i);

                if (r < 0)
                        return r;
                have = r == 1 ? have + 1 : 0;
                if (have == n) {
                        *ret_first = FS_CLUSTER_FIRST + i + 1 - (uint32_t) n;
                        return 0;
                }
        }
        return 1;
}

static int find_scattered(Fs *fs, uint64_t n, FsRuns *runs) {
        for (uint32_t i = 0; i < fs->n_clusters && runs->clusters < n; i++) {
                int r = fs->ops->is_free(fs, FS_CLUSTER_FIRST + i);

                if (r == 1)
                        r = fs_runs_add(runs, FS_CLUSTER_FIRST + i, FS_EXTENTS_MAX);
                if (r < 0)
                        return r;
        }
        return runs->clusters < n ? fs_say(fs, -ENOSPC, "the medium is full") : 0;
}

static int find_clusters(Fs *fs, uint64_t n, FsRuns *ret) {
        FsRuns runs = { 0 };
        uint32_t first;
        int r;

        r = n == 0 ? 0 : n > fs->n_clusters ? 1 : find_row(fs, n, &first);
        if (r == 0 && n > 0)
                r = fs_runs_add(&runs, first, 1);
        if (r == 0 && n > 0) {
                runs.items[0].count = (uint32_t) n;
                runs.clusters = n;
        }
        if (r == 1)
                r = find_scattered(fs, n, &runs);
        if (r == 0 && fs_claims_have(fs, &runs))
                r = fs_say(fs, FS_DENIED, "the volume calls clusters free that something on it uses; it is damaged");
        if (r != 0) {
                fs_runs_clear(&runs);
                return r;
        }
        *ret = runs;
        return 0;
}

/* ---- Content ---- */

/* The bytes of a folder that is made: of FAT it knows itself and the one above it, of exFAT nothing. */
typedef struct FolderContent {
        const Fs *fs;
        const FsNew *new;
} FolderContent;

static int read_folder_content(void *userdata, uint64_t offset, void *ret, size_t length) {
        const FolderContent *c = userdata;

        memset(ret, 0, length);
        if (c->fs->kind != FS_EXFAT && offset == 0)
                fat_put_dots(c->fs, c->new, ret);
        return 0;
}

/* Into clusters that nobody uses yet; the last sector is filled up with zeros. */
static int write_run(Fs *fs, const FsRun *run, const FsSource *source, uint64_t offset, uint8_t *piece) {
        uint64_t sector = fs_cluster_at(fs, run->first) / fs->disk.sector_bytes, left = (uint64_t) run->count << fs->cluster_shift;

        if (left > source->size_bytes - offset)
                left = source->size_bytes - offset;
        while (left > 0) {
                size_t n = left < PIECE_BYTES ? (size_t) left : PIECE_BYTES;
                uint32_t sectors = (uint32_t) ((n + fs->disk.sector_bytes - 1) / fs->disk.sector_bytes);
                int r;

                r = source->read(source->userdata, offset, piece, n);
                if (r < 0)
                        return r;
                memset(piece + n, 0, (size_t) sectors * fs->disk.sector_bytes - n);
                r = fs->disk.write(fs->disk.userdata, sector, sectors, piece);
                if (r < 0)
                        return r;
                sector += sectors;
                offset += n;
                left -= n;
        }
        return 0;
}

static int write_content(Fs *fs, const FsRuns *runs, const FsSource *source) {
        uint8_t *piece = malloc(PIECE_BYTES);
        uint64_t offset = 0;
        int r = piece ? 0 : -ENOMEM;

        for (size_t i = 0; i < runs->n && r >= 0; i++) {
                r = write_run(fs, &runs->items[i], source, offset, piece);
                offset += (uint64_t) runs->items[i].count << fs->cluster_shift;
        }
        free(piece);
        if (r >= 0)
                r = fs->disk.flush(fs->disk.userdata);
        /* What was looked at there before is not what is there now. */
        fs_cache_clear(&fs->cache);
        return r;
}

/* ---- Steps ---- */

/* First the new end, then the entries before it, and last what hides them: until then the folder ends where it did. */
static int put_entry(Fs *fs, const FsNew *new, const FsPlace *place) {
        bool other_sector = place->end_at / fs->disk.sector_bytes != place->at / fs->disk.sector_bytes;
        uint8_t *raw;
        int r = 0;

        if (place->end_at != 0) {
                r = fs_cache_modify(&fs->cache, place->end_at, FS_SLOT_BYTES, &raw);
                if (r >= 0)
                        memset(raw, 0, FS_SLOT_BYTES);
                if (r >= 0 && other_sector)
                        r = fs_cache_barrier(&fs->cache);
        }
        if (r >= 0)
                r = fs->ops->put_entry(fs, new, place);
        if (r >= 0 && place->n_fill > 0)
                r = fs_cache_barrier(&fs->cache);
        if (r < 0 || place->n_fill == 0)
                return r;
        r = fs_cache_modify(&fs->cache, place->fill_at, (size_t) place->n_fill * FS_SLOT_BYTES, &raw);
        for (size_t i = 0; i < place->n_fill && r >= 0; i++)
                raw[i * FS_SLOT_BYTES] = fs->kind == FS_EXFAT ? EXFAT_TYPE_FILE & ~EXFAT_TYPE_IN_USE : FAT_ENTRY_ERASED;
        return r;
}

/* A step after which the medium is to have what was changed. */
static int then(Fs *fs, int r) {
        return r < 0 ? r : fs_cache_barrier(&fs->cache);
}

/* Whether and how the volume is marked is the same for each change; `changed` clusters were taken. */
static int begin_change(Fs *fs, bool *ret_mark) {
        *ret_mark = fs->dirty_is_kept && !fs->dirty;
        return *ret_mark ? then(fs, fs->ops->set_dirty(fs, true)) : 0;
}

static int end_change(Fs *fs, bool mark, uint64_t taken) {
        int r;

        r = fs->ops->update_counts(fs, -(int64_t) taken);
        if (r > 0)
                r = fs_cache_barrier(&fs->cache);
        if (r >= 0 && mark)
                r = then(fs, fs->ops->set_dirty(fs, false));
        return r < 0 ? r : 0;
}

/* What reached the medium is not known; what was not written must not be written later. */
static int broke_off(Fs *fs, int r, const char *name, size_t size) {
        fs_cache_clear(&fs->cache);
        fs->failed = true;
        return fs_say(fs, r, "making %.*s broke off: %s", (int) (size < NAME_SHOWN ? size : NAME_SHOWN), name, strerror(-r));
}

/* ---- A folder that is full ---- */

static int read_zeros(void *userdata, uint64_t offset, void *ret, size_t length) {
        (void) userdata;
        (void) offset;
        memset(ret, 0, length);
        return 0;
}

/* The folder's last cluster; 0: it cannot grow. Of exFAT only the root can: the size of others stands in the folder above. */
static int last_cluster(Fs *fs, uint32_t folder, uint32_t *ret) {
        uint32_t cluster = fs->tree.folders[folder].first, next = 0;
        int r;

        *ret = 0;
        if (cluster == 0 || (fs->kind == FS_EXFAT && folder != FS_ROOT))
                return 0;
        for (uint32_t i = 0; i < fs->n_clusters; i++) {
                r = fs_link_get(fs, cluster, &next);
                if (r != FS_LINK_NEXT) {
                        *ret = r == FS_LINK_END ? cluster : 0;
                        return r < 0 ? r : 0;
                }
                cluster = next;
        }
        return 0;
}

static int link_behind(Fs *fs, uint32_t last, uint32_t cluster) {
        int r = 0;

        for (unsigned i = 0; i < fs->n_fats && r >= 0; i++)
                r = fs_table_set(fs, i, last, fs->kind == FS_FAT32 ? UINT32_C(0x0FFFFFFF) : UINT32_MAX, cluster);
        return r;
}

/* A cluster of zeros, which belongs to nobody until it is whole, and is then hung behind the last one. */
static int extend_steps(Fs *fs, uint32_t last, uint32_t cluster) {
        const FsSource zeros = { .size_bytes = UINT64_C(1) << fs->cluster_shift, .read = read_zeros };
        FsRun run = { cluster, 1 };
        const FsRuns runs = { .items = &run, .n = 1, .clusters = 1 };
        bool mark;
        int r;

        r = begin_change(fs, &mark);
        if (r >= 0)
                r = write_content(fs, &runs, &zeros);
        if (r >= 0)
                r = fs->ops->take_clusters(fs, &runs);
        /* One cluster has no chain in exFAT but where it is the folder's. */
        if (r >= 0)
                r = then(fs, fs_chain_write(fs, &runs));
        if (r >= 0)
                r = then(fs, link_behind(fs, last, cluster));
        return r < 0 ? r : end_change(fs, mark, 1);
}

/* The last of the clusters, which is not among them any more. */
static uint32_t take_last(FsRuns *runs) {
        FsRun *run = &runs->items[runs->n - 1];

        runs->clusters--;
        run->count--;
        if (run->count == 0)
                runs->n--;
        return run->first + run->count;
}

/* By the last of the clusters that were found for the folder and for what is to be put into it. */
static int extend_folder(Fs *fs, const FsNew *new, FsRuns *runs) {
        uint32_t last;
        int r;

        r = last_cluster(fs, new->parent, &last);
        if (r < 0)
                return r;
        if (last == 0)
                return fs_say(fs, -ENOSPC, "the folder has no room for another entry");
        r = extend_steps(fs, last, take_last(runs));
        return r < 0 ? broke_off(fs, r, new->name, new->name_size) : 0;
}

/* ---- A file ---- */

/* The order is what keeps other files safe: README.md, "When the power goes". */
static int create_steps(Fs *fs, const FsNew *new, const FsPlace *place, const FsRuns *runs, const FsSource *source) {
        bool mark;
        int r;

        r = begin_change(fs, &mark);
        if (r >= 0 && runs->n > 0)
                r = write_content(fs, runs, source);
        if (r >= 0 && runs->n > 0)
                r = then(fs, fs->ops->take_clusters(fs, runs));
        if (r >= 0)
                r = then(fs, put_entry(fs, new, place));
        return r < 0 ? r : end_change(fs, mark, runs->clusters);
}

/*
 * Where the entries go and what holds the content, in a folder that is made larger where it is full. All that is needed is looked for
 * before anything is written: what is refused leaves the medium as it was.
 */
static int make_room(Fs *fs, const FsNew *new, uint64_t bytes, FsPlace *ret_place, FsRuns *ret_runs) {
        FsRuns runs;
        bool full;
        int r;

        r = fs->ops->find_place(fs, new, ret_place);
        full = r == -ENOSPC;
        if (r != 0 && !full)
                return r;
        r = find_clusters(fs, fs_clusters_for(fs, bytes) + full, &runs);
        if (r != 0)
                return r;
        if (full) {
                r = extend_folder(fs, new, &runs);
                if (r == 0)
                        r = fs->ops->find_place(fs, new, ret_place);
        }
        if (r != 0)
                fs_runs_clear(&runs);
        else
                *ret_runs = runs;
        return r;
}

static int create(Fs *fs, FsNew *new, const FsSource *source) {
        FsPlace place = { 0 };
        FsRuns runs;
        int r;

        if (fs->kind != FS_EXFAT && new->size_bytes > UINT32_MAX)
                return fs_say(fs, -EINVAL, "a file of 4 GiB or more cannot be on a %s volume", fs_kind_name(fs->kind));
        r = make_room(fs, new, source->size_bytes, &place, &runs);
        if (r != 0)
                return r;
        new->first = runs.n > 0 ? runs.items[0].first : 0;
        new->contiguous = runs.n <= 1;
        r = create_steps(fs, new, &place, &runs, source);
        fs_runs_clear(&runs);
        return r < 0 ? broke_off(fs, r, new->name, new->name_size) : 0;
}

/* *folder is the one above, and then the new one. */
static int make_folder(Fs *fs, const char *name, size_t size, uint32_t *folder) {
        FsNew new = { .parent = *folder, .name = name, .name_size = size, .folder = true };
        const FolderContent content = { fs, &new };
        const FsSource source = { .size_bytes = UINT64_C(1) << fs->cluster_shift, .read = read_folder_content,
                                  .userdata = (void *) &content };
        FsFolder added = { .parent = *folder, .depth = fs->tree.folders[*folder].depth + 1, .contiguous = fs->kind == FS_EXFAT };
        int r;

        new.size_bytes = source.size_bytes;
        r = create(fs, &new, &source);
        if (r != 0)
                return r;
        added.first = new.first;
        added.size_bytes = fs->kind == FS_EXFAT ? new.size_bytes : UINT64_MAX;
        r = fs_tree_add_folder(&fs->tree, &added, name, size);
        *folder = (uint32_t) fs->tree.n_folders - 1;
        return r;
}

/* Its clusters belong to nobody from then on. */
static int replace(Fs *fs, const FsEntry *old) {
        int r;

        r = fs_erase(fs, old->at);
        if (r != 0)
                return r == FS_GONE ? fs_say(fs, FS_DENIED, "what the new file takes the place of is not there any more as it was "
                                             "listed") : r;
        fs->claims_state = FS_CLAIMS_NONE;
        return fs_claims_build(fs);
}

static int create_at(Fs *fs, const char *path, const FsSource *source) {
        FsNew new = { .size_bytes = source->size_bytes };
        uint32_t folder = FS_ROOT, other;
        const FsEntry *old;
        int r = 0;

        for (size_t n = component(path); r == 0 && path[n]; path += n + 1, n = component(path)) {
                if (find_file(fs, folder, path, n))
                        return fs_say(fs, FS_DENIED, "a file has the name of the folder that is to be made for it");
                if (!find_folder(fs, folder, path, n, &folder))
                        r = make_folder(fs, path, n, &folder);
        }
        if (r != 0)
                return r;
        if (find_folder(fs, folder, path, strlen(path), &other))
                return fs_say(fs, FS_DENIED, "a folder has the name of the file that is to be made");
        old = find_file(fs, folder, path, strlen(path));
        r = old ? replace(fs, old) : 0;
        new.parent = folder;
        new.name = path;
        new.name_size = strlen(path);
        return r != 0 ? r : create(fs, &new, source);
}

int fs_create(Fs *fs, const char *path, const FsSource *source) {
        int r;

        fs->why[0] = '\0';
        if (!fs->walked)
                return fs_say(fs, -EINVAL, "what is on the medium was not listed");
        r = fs_may_change(fs);
        if (r == 0)
                r = fs_claims_build(fs);
        if (r == 0 && fs->claims_state != FS_CLAIMS_KNOWN)
                return fs_say(fs, FS_DENIED, "nothing is put on the medium: %s", fs->claims_why);
        if (r == 0)
                r = create_at(fs, path, source);
        fs->walked = false;
        return r;
}
