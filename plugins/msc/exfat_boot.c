/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "exfat.h"
#include "fs_bytes.h"
#include "fs_cursor.h"
#include "fs_text.h"

#define REGION_SECTORS 12u /* the boot sector, what belongs to it, and the checksum; behind that, the same once more */
#define CLUSTER_SHIFT_MAX 25u /* 32 MiB */
#define CLUSTERS_MAX UINT32_C(0xFFFFFFF5)
#define BITMAP_RUNS_MAX 1024u
#define REVISION_MAJOR 1u

/* ---- The boot region (§3) ---- */

static bool is_exfat(const uint8_t *boot) {
        static const uint8_t zeros[53] = { 0 };

        /* Where FAT has its parameters, so that nobody takes it for FAT. */
        return memcmp(boot + 3, "EXFAT   ", 8) == 0 && memcmp(boot + 11, zeros, sizeof(zeros)) == 0 && boot[510] == 0x55 &&
               boot[511] == 0xAA;
}

static bool shifts_are_sane(const uint8_t *boot) {
        return boot[108] >= 9 && boot[108] <= 12 && boot[109] <= CLUSTER_SHIFT_MAX - boot[108];
}

/* 1 when the checksum of the region at `place` is right, 0 when it is not. */
static int region_is_sound(Fs *fs, uint64_t place, uint32_t sector_bytes) {
        uint32_t sum = 0;
        const uint8_t *at;
        int r;

        for (uint32_t i = 0; i + 1 < REGION_SECTORS; i++) {
                for (uint32_t k = 0; k < sector_bytes; k += 512) {
                        r = fs_cache_read(&fs->cache, place + (uint64_t) i * sector_bytes + k, 512, &at);
                        if (r < 0)
                                return r == -EINVAL || r == -EIO ? 0 : r;
                        for (uint32_t b = 0; b < 512; b++) {
                                if (i == 0 && k == 0 && (b == EXFAT_FLAGS_AT || b == EXFAT_FLAGS_AT + 1 || b == EXFAT_PERCENT_AT))
                                        continue;
                                sum = (sum << 31 | sum >> 1) + at[b];
                        }
                }
        }
        r = fs_cache_read(&fs->cache, place + (uint64_t) (REGION_SECTORS - 1) * sector_bytes, 4, &at);
        if (r < 0)
                return r == -EINVAL || r == -EIO ? 0 : r;
        return fs_get32(at) == sum;
}

/* Reads the boot sector of a region. 1 when it is sound; 2 when it looks like one and its checksum is wrong; 0. */
static int read_region(Fs *fs, uint64_t place, uint8_t boot[512]) {
        const uint8_t *at;
        int r;

        r = fs_cache_read(&fs->cache, place, 512, &at);
        if (r < 0)
                return r == -EINVAL || r == -EIO ? 0 : r;
        memcpy(boot, at, 512);
        if (!is_exfat(boot))
                return 0;
        if (!shifts_are_sane(boot))
                return 2;
        r = region_is_sound(fs, place, UINT32_C(1) << boot[108]);
        return r < 0 ? r : r == 1 ? 1 : 2;
}

/* The main region, or its backup. A backup whose sector size differs from the medium's is not looked for: nobody makes that. */
static int find_region(Fs *fs, uint8_t boot[512]) {
        uint8_t backup[512];
        int main_region, r;

        main_region = read_region(fs, 0, boot);
        if (main_region < 0 || main_region == 1)
                return main_region < 0 ? main_region : 0;
        r = read_region(fs, (uint64_t) REGION_SECTORS * fs->disk.sector_bytes, backup);
        if (r < 0)
                return r;
        if (r == 1) {
                fs_damage(fs, "the exFAT volume's boot region is damaged, and was read from its backup");
                memcpy(boot, backup, 512);
                return 0;
        }
        if (main_region == 0)
                return -EMEDIUMTYPE;
        if (!shifts_are_sane(boot))
                return fs_say(fs, -EUCLEAN, "the exFAT volume's boot region is damaged, and so is its backup");
        /* Both copies are wrong and the fields still may make sense: that is seen next. */
        fs_damage(fs, "the exFAT volume's boot region is damaged, and so is its backup");
        return 0;
}

/* ---- Geometry ---- */

static int set_geometry(Fs *fs, const uint8_t *boot) {
        unsigned sector_shift = boot[108];
        uint64_t medium = fs->disk.n_sectors * fs->disk.sector_bytes >> sector_shift;
        uint64_t length = fs_get64(boot + 72), fat = fs_get32(boot + 80), fat_length = fs_get32(boot + 84);
        uint64_t heap = fs_get32(boot + 88), clusters = fs_get32(boot + 92);
        uint64_t n_fats = boot[110], entries = (fat_length << sector_shift) / 4;
        unsigned active = (fs_get16(boot + EXFAT_FLAGS_AT) & EXFAT_FLAG_SECOND_FAT) && n_fats == 2;

        fs->kind = FS_EXFAT;
        fs->fat_bits = 32;
        fs->cluster_shift = sector_shift + boot[109];
        if ((UINT32_C(1) << sector_shift) < fs->disk.sector_bytes)
                return fs_say(fs, -EUCLEAN, "the exFAT volume was made for sectors of %u bytes, and the medium's have %u",
                              1u << sector_shift, (unsigned) fs->disk.sector_bytes);
        if (fs_get16(boot + 104) >> 8 != REVISION_MAJOR)
                return fs_say(fs, -EUCLEAN, "the exFAT volume is of revision %u, which is not known", fs_get16(boot + 104) >> 8);
        if (n_fats < 1 || n_fats > 2 || fat < 2 * REGION_SECTORS || fat + n_fats * fat_length > heap || heap > medium ||
            clusters == 0 || clusters > CLUSTERS_MAX || entries <= FS_CLUSTER_FIRST)
                return fs_say(fs, -EUCLEAN, "the exFAT volume's boot sector makes no sense: it is damaged");
        if (clusters > entries - FS_CLUSTER_FIRST) {
                fs_damage(fs, "the exFAT volume's allocation table is too small for it; its boot sector is damaged");
                clusters = entries - FS_CLUSTER_FIRST;
        }
        if (length > medium || heap + (clusters << boot[109]) > medium)
                fs_damage(fs, "the exFAT volume is larger than its medium or partition");
        if (n_fats == 2)
                fs_damage(fs, "the exFAT volume has two allocation tables (TexFAT), which are only read");
        fs->n_clusters = (uint32_t) clusters;
        fs->n_fats = 1;
        fs->fat_at[0] = (fat + active * fat_length) << sector_shift;
        fs->heap_at = heap << sector_shift;
        fs->root_cluster = fs_get32(boot + 96);
        if (!fs_cluster_is_valid(fs, fs->root_cluster))
                return fs_say(fs, -EUCLEAN, "the exFAT volume's root folder is nowhere on it; its boot sector is damaged");
        fs->second_bitmap = active == 1;
        return 0;
}

/* ---- What the root folder says of the volume (§7.1 to §7.3) ---- */

static int set_bitmap(Fs *fs, const uint8_t *entry) {
        uint64_t bytes = fs_get64(entry + 24);
        FsChainEnd end;
        int r;

        if (((entry[1] & 1) != 0) != fs->second_bitmap || fs->bitmap.bytes != 0)
                return 0;
        if (bytes < ((uint64_t) fs->n_clusters + 7) / 8)
                return 0;
        bytes = ((uint64_t) fs->n_clusters + 7) / 8;
        r = fs_chain_follow(fs, fs_get32(entry + 20), false, fs_clusters_for(fs, bytes), BITMAP_RUNS_MAX, &fs->bitmap.runs, &end);
        if (r == -E2BIG)
                return 0;
        if (r < 0)
                return r;
        if (fs->bitmap.runs.clusters < fs_clusters_for(fs, bytes))
                fs_runs_clear(&fs->bitmap.runs);
        else
                fs->bitmap.bytes = bytes;
        return 0;
}

static void set_label(Fs *fs, const uint8_t *entry) {
        char label[11 * FS_UTF8_PER_UNIT];
        size_t n = entry[1] <= 11 ? entry[1] : 11;

        fs_name_to_text(label, fs_utf16_to_utf8(entry + 2, n, label), fs->label, sizeof(fs->label));
}

static int read_system_entry(Fs *fs, const uint8_t *entry) {
        switch (entry[0]) {
        case EXFAT_TYPE_BITMAP:
                return set_bitmap(fs, entry);
        case EXFAT_TYPE_UPCASE:
                fs->upcase_first = fs_get32(entry + 20);
                fs->upcase_bytes = fs_get64(entry + 24);
                return 0;
        case EXFAT_TYPE_LABEL:
                set_label(fs, entry);
                return 0;
        default:
                return 0;
        }
}

static int read_system_entries(Fs *fs) {
        FsFolder root = { .first = fs->root_cluster, .size_bytes = UINT64_MAX };
        FsCursor cursor;
        uint64_t at;
        int r;

        r = fs_tree_add_folder(&fs->tree, &root, "", 0);
        if (r < 0)
                return r;
        fs_cursor_init(&cursor, fs, FS_ROOT, false);
        fs_tree_clear(&fs->tree);
        while ((r = fs_cursor_next(&cursor, &at)) == 1) {
                uint8_t entry[FS_SLOT_BYTES];
                const uint8_t *raw;

                r = fs_cache_read(&fs->cache, at, sizeof(entry), &raw);
                if (r == -EIO || r == -EINVAL) {
                        fs_cursor_skip_sector(&cursor, "");
                        continue;
                }
                if (r < 0)
                        return r;
                memcpy(entry, raw, sizeof(entry));
                if (entry[0] == EXFAT_TYPE_END)
                        break;
                r = read_system_entry(fs, entry);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : 0;
}

static int read_mark(Fs *fs) {
        uint32_t value = UINT32_MAX;
        int r;

        r = fs_table_get(fs, 1, &value);
        if (r < 0)
                return r == -EIO ? 0 : r;
        fs->end_is_kept = (value | 7) == UINT32_MAX;
        if (fs->end_is_kept)
                fs->dirty_by_erase = fs_mark_get(fs, value) && fs->dirty;
        return 0;
}

int exfat_probe(Fs *fs) {
        uint8_t boot[512];
        uint16_t flags;
        int r;

        if (fs->disk.n_sectors == 0)
                return -EMEDIUMTYPE;
        r = find_region(fs, boot);
        if (r >= 0)
                r = set_geometry(fs, boot);
        if (r < 0)
                return r;
        fs->ops = &exfat_ops;
        fs->volume_id = fs_get32(boot + 100);
        flags = fs_get16(boot + EXFAT_FLAGS_AT);
        fs->dirty = (flags & EXFAT_FLAG_DIRTY) != 0;
        fs->failing = (flags & EXFAT_FLAG_FAILING) != 0;
        fs->dirty_is_kept = true;
        r = read_mark(fs);
        if (r >= 0)
                r = read_system_entries(fs);
        if (r < 0)
                return r;
        if (fs->bitmap.bytes == 0)
                fs_damage(fs, "the exFAT volume's allocation bitmap is missing or damaged");
        return 0;
}

/* ---- The flags ---- */

static int exfat_set_dirty(Fs *fs, bool dirty) {
        uint8_t *boot;
        int r = 0;

        if (fs->end_is_kept)
                r = fs_mark_set(fs, dirty);
        if (r >= 0)
                r = fs_cache_modify(&fs->cache, 0, 512, &boot);
        if (r < 0)
                return r;
        boot[EXFAT_FLAGS_AT] = (uint8_t) (dirty ? boot[EXFAT_FLAGS_AT] | EXFAT_FLAG_DIRTY : boot[EXFAT_FLAGS_AT] & ~EXFAT_FLAG_DIRTY);
        return 0;
}

/*
 * The percentage of clusters in use lies in the same sector as the flag, so clearing that takes it along; without a barrier
 * of its own unless the volume stays dirty.
 */
static int exfat_update_counts(Fs *fs, int64_t freed) {
        uint64_t free_bytes = FS_BYTES_UNKNOWN, used;
        uint8_t *boot;
        int r;

        if (freed == 0)
                return 0;
        r = exfat_count_free(fs, &free_bytes);
        if (r < 0 || free_bytes == FS_BYTES_UNKNOWN)
                return r;
        used = fs->n_clusters - (free_bytes >> fs->cluster_shift);
        r = fs_cache_modify(&fs->cache, 0, 512, &boot);
        if (r < 0)
                return r;
        if (boot[EXFAT_PERCENT_AT] != EXFAT_PERCENT_UNKNOWN)
                boot[EXFAT_PERCENT_AT] = (uint8_t) (used * 100 / fs->n_clusters);
        return fs->dirty ? 1 : 0;
}

static int exfat_check(Fs *fs, const FsEntry *entry, const FsRuns *runs) {
        int r;

        r = exfat_check_entry(fs, entry);
        if (r != 0)
                return r;
        r = exfat_in_use(fs, runs);
        if (r < 0)
                return r;
        return r == 1 ? 0 : fs_say(fs, FS_DENIED, "the exFAT volume's bitmap calls clusters of the file free; it is damaged");
}

const FsOps exfat_ops = {
        .read_folder = exfat_read_folder,
        .claim = exfat_claim,
        .count_free = exfat_count_free,
        .check = exfat_check,
        .set_dirty = exfat_set_dirty,
        .remove_entry = exfat_remove_entry,
        .free_clusters = exfat_free_clusters,
        .update_counts = exfat_update_counts,
        .is_free = exfat_is_free,
        .take_clusters = exfat_take_clusters,
        .find_place = exfat_find_place,
        .put_entry = exfat_put_entry,
};
