/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "fat.h"
#include "fs_bytes.h"
#include "fs_claims.h"
#include "fs_text.h"

#define CLUSTER_BYTES_MAX (512u << 10) /* 128 sectors of 4096 bytes */
#define FAT12_CLUSTERS 4085u
#define FAT16_CLUSTERS 65525u
#define FAT32_CLUSTERS UINT32_C(0x0FFFFFF5)
#define FAT32_BACKUP_SECTOR 6u /* where every formatter puts it; the main one, which names the place, cannot be read */
/* To be counted, a table must not be larger. */
#define COUNTED_BYTES_MAX (UINT64_C(64) << 20)
#define BOOT_DIRTY 0x01u
#define BOOT_FAILING 0x02u

typedef struct Bpb {
        uint32_t sector_bytes, cluster_sectors, reserved, n_fats, root_entries, fat_sectors, total_sectors;
        uint16_t flags;
        uint32_t root_cluster, fsinfo_sector;
        bool fat32;
        uint8_t state;
} Bpb;

static bool is_power(uint32_t v) {
        return v != 0 && (v & (v - 1)) == 0;
}

/* The BIOS parameter block, when it is one. Code of a boot loader, or anything else, does not pass for it. */
static bool parse_bpb(const uint8_t *b, Bpb *ret) {
        bool fat32 = fs_get16(b + 22) == 0;
        Bpb bpb = {
                .sector_bytes = fs_get16(b + 11),
                .cluster_sectors = b[13],
                .reserved = fs_get16(b + 14),
                .n_fats = b[16],
                .root_entries = fs_get16(b + 17),
                .total_sectors = fs_get16(b + 19) ? fs_get16(b + 19) : fs_get32(b + 32),
                .fat_sectors = fat32 ? fs_get32(b + 36) : fs_get16(b + 22),
                .flags = fat32 ? fs_get16(b + 40) : 0,
                .root_cluster = fat32 ? fs_get32(b + 44) : 0,
                .fsinfo_sector = fat32 ? fs_get16(b + 48) : 0,
                .fat32 = fat32,
                .state = b[fat32 ? 65 : 37],
        };

        *ret = bpb;
        return b[510] == 0x55 && b[511] == 0xAA && is_power(bpb.sector_bytes) && bpb.sector_bytes >= DISK_SECTOR_MIN &&
               bpb.sector_bytes <= DISK_SECTOR_MAX && is_power(bpb.cluster_sectors) &&
               bpb.cluster_sectors * bpb.sector_bytes <= CLUSTER_BYTES_MAX && bpb.reserved > 0 && bpb.n_fats > 0 &&
               (b[21] == 0xF0 || b[21] >= 0xF8) && bpb.total_sectors > 0 && bpb.fat_sectors > 0 &&
               (fat32 ? bpb.root_entries == 0 && fs_get16(b + 42) == 0 : bpb.root_entries > 0);
}

/* ---- Geometry ---- */

static unsigned log2_of(uint32_t power) {
        unsigned shift = 0;

        while (power >> shift != 1)
                shift++;
        return shift;
}

/*
 * Which kind it is follows from the number of clusters alone, says Microsoft; but FAT32 has a parameter block of its own, and
 * formatters do make FAT32 with fewer clusters than that. So the block decides, as it does in every system in use.
 */
static void set_kind(Fs *fs, const Bpb *bpb, uint64_t clusters) {
        if (bpb->fat32) {
                fs->kind = FS_FAT32;
                fs->fat_bits = 32;
        } else {
                fs->kind = clusters < FAT12_CLUSTERS ? FS_FAT12 : FS_FAT16;
                fs->fat_bits = fs->kind == FS_FAT12 ? 12 : 16;
        }
}

static int set_clusters(Fs *fs, const Bpb *bpb, uint64_t clusters) {
        uint64_t most = bpb->fat32 ? FAT32_CLUSTERS : FAT16_CLUSTERS - 1;
        uint64_t entries = (uint64_t) bpb->fat_sectors * bpb->sector_bytes * 8 / fs->fat_bits;

        if (clusters == 0 || entries <= FS_CLUSTER_FIRST)
                return fs_say(fs, -EUCLEAN, "the %s volume says that it has no room for files; its boot sector is damaged",
                              fs_kind_name(fs->kind));
        if (clusters > most)
                fs_damage(fs, "the %s volume says that it has more clusters than it can; its boot sector is damaged",
                          fs_kind_name(fs->kind));
        if (clusters > entries - FS_CLUSTER_FIRST)
                fs_damage(fs, "the %s volume's allocation table is too small for it; its boot sector is damaged",
                          fs_kind_name(fs->kind));
        clusters = clusters < most ? clusters : most;
        clusters = clusters < entries - FS_CLUSTER_FIRST ? clusters : entries - FS_CLUSTER_FIRST;
        fs->n_clusters = (uint32_t) clusters;
        return 0;
}

/* Which of the tables count, the active one first. */
static void set_tables(Fs *fs, const Bpb *bpb) {
        uint64_t first = (uint64_t) bpb->reserved * bpb->sector_bytes, size = (uint64_t) bpb->fat_sectors * bpb->sector_bytes;
        bool mirrored = !(bpb->flags & 0x80);
        uint32_t active = mirrored ? 0 : bpb->flags & 0x0F;

        if (active >= bpb->n_fats) {
                fs_damage(fs, "the FAT32 volume says that its table number %u counts, which it does not have; its boot sector is "
                          "damaged", (unsigned) active);
                active = 0;
        }
        fs->fat_at[0] = first + active * size;
        fs->n_fats = 1;
        if (mirrored && bpb->n_fats > 1)
                fs->fat_at[fs->n_fats++] = first + size;
        if (bpb->n_fats > FS_FATS_MAX)
                fs_damage(fs, "the volume has %u allocation tables, and no known system writes more than two", (unsigned) bpb->n_fats);
}

static int set_geometry(Fs *fs, const Bpb *bpb) {
        uint64_t tables = (uint64_t) bpb->n_fats * bpb->fat_sectors;
        uint64_t root_sectors = ((uint64_t) bpb->root_entries * FS_SLOT_BYTES + bpb->sector_bytes - 1) / bpb->sector_bytes;
        uint64_t heap = bpb->reserved + tables + root_sectors;
        uint64_t medium = fs->disk.n_sectors / (bpb->sector_bytes / fs->disk.sector_bytes);
        uint64_t clusters = heap < bpb->total_sectors ? (bpb->total_sectors - heap) / bpb->cluster_sectors : 0;
        int r;

        set_kind(fs, bpb, clusters);
        r = set_clusters(fs, bpb, clusters);
        if (r < 0)
                return r;
        if (heap > medium)
                return fs_say(fs, -EUCLEAN, "the %s volume is far larger than its medium or partition; nothing of it can be read",
                              fs_kind_name(fs->kind));
        if (bpb->total_sectors > medium)
                fs_damage(fs, "the %s volume is larger than its medium or partition", fs_kind_name(fs->kind));
        set_tables(fs, bpb);
        fs->cluster_shift = log2_of(bpb->cluster_sectors * bpb->sector_bytes);
        fs->heap_at = heap * bpb->sector_bytes;
        fs->root_at = (bpb->reserved + tables) * bpb->sector_bytes;
        fs->root_slots = bpb->root_entries;
        fs->root_cluster = bpb->root_cluster & UINT32_C(0x0FFFFFFF);
        if (bpb->fat32 && !fs_cluster_is_valid(fs, fs->root_cluster))
                return fs_say(fs, -EUCLEAN, "the FAT32 volume's root folder is nowhere on it; its boot sector is damaged");
        return 0;
}

/* ---- What else the first sectors tell ---- */

/* The flags are kept where the rest of that entry is as every formatter leaves it. */
static int read_flags(Fs *fs, const Bpb *bpb) {
        uint32_t value = 0, clean = fat_clean_bit(fs), sound = fat_sound_bit(fs), rest = sound - 1;
        int r;

        fs->dirty = (bpb->state & BOOT_DIRTY) != 0;
        fs->failing = (bpb->state & BOOT_FAILING) != 0;
        if (fs->kind == FS_FAT12)
                return 0;
        r = fs_table_get(fs, 1, &value);
        if (r == -EIO)
                return 0;
        if (r < 0)
                return r;
        if (((value | 7) & rest) != rest)
                return 0;
        fs->dirty_is_kept = true;
        fs->dirty_by_erase = fs_mark_get(fs, value) && !(value & clean) && !fs->dirty;
        fs->dirty = fs->dirty || !(value & clean);
        fs->failing = fs->failing || !(value & sound);
        return 0;
}

static int read_fsinfo(Fs *fs, const Bpb *bpb) {
        uint64_t place = (uint64_t) bpb->fsinfo_sector * bpb->sector_bytes;
        const uint8_t *at;
        int r;

        if (bpb->fsinfo_sector == 0 || bpb->fsinfo_sector >= bpb->reserved)
                return 0;
        r = fs_cache_read(&fs->cache, place, 512, &at);
        if (r == -EIO)
                return 0;
        if (r < 0)
                return r;
        if (fs_get32(at) == UINT32_C(0x41615252) && fs_get32(at + 484) == UINT32_C(0x61417272) &&
            fs_get32(at + 508) == UINT32_C(0xAA550000))
                fs->fsinfo_at = place;
        return 0;
}

static void read_identity(Fs *fs, const uint8_t *extended) {
        char label[11 * FS_UTF8_PER_UNIT];
        size_t n = 11;

        if (extended[2] != 0x28 && extended[2] != 0x29)
                return;
        fs->volume_id = fs_get32(extended + 3);
        while (n > 0 && (extended[7 + n - 1] == ' ' || extended[7 + n - 1] == '\0'))
                n--;
        if (extended[2] == 0x29 && !(n == 7 && memcmp(extended + 7, "NO NAME", 7) == 0))
                fs_name_to_text(label, fs_oem_to_utf8(extended + 7, n, label), fs->label, sizeof(fs->label));
}

static int probe_at(Fs *fs, uint64_t place) {
        const uint8_t *at;
        uint8_t boot[512];
        Bpb bpb;
        int r;

        r = fs_cache_read(&fs->cache, place, sizeof(boot), &at);
        if (r < 0)
                return r;
        memcpy(boot, at, sizeof(boot));
        if (!parse_bpb(boot, &bpb) || (place > 0 && !bpb.fat32))
                return -EMEDIUMTYPE;
        if (bpb.sector_bytes < fs->disk.sector_bytes)
                return fs_say(fs, -EUCLEAN, "the volume was made for sectors of %u bytes, and the medium's have %u",
                              (unsigned) bpb.sector_bytes, (unsigned) fs->disk.sector_bytes);
        r = set_geometry(fs, &bpb);
        if (r < 0)
                return r;
        fs->boot_at = place;
        fs->ops = &fat_ops;
        read_identity(fs, boot + (bpb.fat32 ? 64 : 36));
        r = read_flags(fs, &bpb);
        return r < 0 ? r : read_fsinfo(fs, &bpb);
}

int fat_probe(Fs *fs) {
        int first, r;

        if (fs->disk.n_sectors == 0)
                return fs_say(fs, -EMEDIUMTYPE, "the medium is empty");
        first = r = probe_at(fs, 0);
        if ((r == -EMEDIUMTYPE || r == -EIO) && fs->disk.n_sectors > FAT32_BACKUP_SECTOR) {
                r = probe_at(fs, FAT32_BACKUP_SECTOR * (uint64_t) fs->disk.sector_bytes);
                if (r >= 0)
                        fs_damage(fs, "the FAT32 volume's boot sector is damaged, and was read from its backup");
        }
        if (r != -EMEDIUMTYPE && r != -EIO)
                return r < 0 ? r : 0;
        if (first == -EIO)
                return fs_say(fs, -EIO, "the first sector of the medium or partition cannot be read");
        return fs_say(fs, -EMEDIUMTYPE, "there is neither FAT nor exFAT on it");
}

/* ---- Counting ---- */

static int fat_count_free(Fs *fs, uint64_t *ret_bytes) {
        uint64_t n_free = 0;
        const uint8_t *at;
        int r;

        if (fs->fsinfo_at != 0) {
                r = fs_cache_read(&fs->cache, fs->fsinfo_at + FAT_FSINFO_FREE_AT, 4, &at);
                if (r < 0)
                        return r;
                if (fs_get32(at) <= fs->n_clusters) {
                        *ret_bytes = (uint64_t) fs_get32(at) << fs->cluster_shift;
                        return 0;
                }
        }
        if ((uint64_t) fs->n_clusters * fs->fat_bits / 8 > COUNTED_BYTES_MAX)
                return 0;
        for (uint32_t i = 0; i < fs->n_clusters; i++) {
                uint32_t value;

                r = fs_table_get(fs, FS_CLUSTER_FIRST + i, &value);
                if (r < 0)
                        return r;
                n_free += value == 0;
        }
        *ret_bytes = n_free << fs->cluster_shift;
        return 0;
}

/* Folders, the root of FAT32 among them, are claimed by the walk; all else lies outside of the clusters. */
static int fat_claim(Fs *fs) {
        (void) fs;
        return 0;
}

const FsOps fat_ops = {
        .read_folder = fat_read_folder,
        .claim = fat_claim,
        .count_free = fat_count_free,
        .check = fat_check,
        .set_dirty = fat_set_dirty,
        .remove_entry = fat_remove_entry,
        .free_clusters = fat_free_clusters,
        .update_counts = fat_update_counts,
        .is_free = fat_is_free,
        .take_clusters = fat_take_clusters,
        .find_place = fat_find_place,
        .put_entry = fat_put_entry,
};
