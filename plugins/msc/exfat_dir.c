/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "exfat.h"
#include "fs_bytes.h"
#include "fs_cursor.h"
#include "fs_text.h"

#define SECONDARIES_MIN 2u /* §7.4.1: a stream extension and a name … */
#define SECONDARIES_MAX 18u /* … of at most 17 parts */
#define NAME_UNITS 15u
#define NAME_MAX_UNITS 255u
#define FLAG_ALLOCATED 0x01u
#define FLAG_IN_A_ROW 0x02u
#define ATTRIBUTE_FOLDER 0x10u
#define FOLDER_BYTES_MAX (UINT64_C(256) << 20)

/* The entries of one file or folder, while they are gathered. */
typedef struct Set {
        uint8_t n;      /* that there should be, the first one included; 0: none is being gathered */
        uint8_t have;
        uint64_t at;    /* of the first one */
        uint32_t slot;  /* likewise */
        uint8_t bytes[(1 + SECONDARIES_MAX) * FS_SLOT_BYTES];
} Set;

/* What they say. */
typedef struct Parsed {
        FsEntry entry;
        bool folder, has_vendor_clusters;
        char name[NAME_MAX_UNITS * FS_UTF8_PER_UNIT];
        size_t name_size;
} Parsed;

static uint16_t set_checksum(const Set *set) {
        uint16_t sum = 0;

        for (size_t i = 0; i < (size_t) set->n * FS_SLOT_BYTES; i++)
                if (i != 2 && i != 3)
                        sum = (uint16_t) ((sum << 15 | sum >> 1) + set->bytes[i]);
        return sum;
}

/* The name's parts follow the stream extension (§7.7); the number of units stands in that. */
static bool parse_name(const Set *set, Parsed *p) {
        uint8_t utf16[SECONDARIES_MAX * NAME_UNITS * 2];
        size_t units = set->bytes[FS_SLOT_BYTES + 3], parts = (units + NAME_UNITS - 1) / NAME_UNITS;

        if (units == 0 || 2 + parts > set->n)
                return false;
        for (size_t i = 0; i < parts; i++) {
                const uint8_t *part = set->bytes + (2 + i) * FS_SLOT_BYTES;

                if (part[0] != EXFAT_TYPE_NAME)
                        return false;
                memcpy(utf16 + i * NAME_UNITS * 2, part + 2, (size_t) NAME_UNITS * 2);
        }
        p->name_size = fs_utf16_to_utf8(utf16, units, p->name);
        return true;
}

/* A time zone of the entry's own, in quarters of an hour (§7.4.10). */
static int64_t parse_time(const Fs *fs, const uint8_t *file) {
        uint32_t stamp = fs_get32(file + 12);
        int quarters = file[23] & 0x7F;
        int64_t t;

        if (file[23] & 0x80)
                t = fs_dos_time((uint16_t) (stamp >> 16), (uint16_t) stamp, 15 * (quarters >= 64 ? quarters - 128 : quarters));
        else
                t = fs_camera_time(&fs->options, (uint16_t) (stamp >> 16), (uint16_t) stamp);
        /* Two seconds are the unit; hundredths of them tell the odd ones. */
        return t != FS_TIME_UNKNOWN && file[21] >= 100 && file[21] < 200 ? t + 1 : t;
}

static bool parse(const Fs *fs, const Set *set, Parsed *p) {
        const uint8_t *file = set->bytes, *stream = set->bytes + FS_SLOT_BYTES;
        uint64_t size = fs_get64(stream + 24), valid = fs_get64(stream + 8);

        *p = (Parsed){ .folder = (file[4] & ATTRIBUTE_FOLDER) != 0 };
        if (stream[0] != EXFAT_TYPE_STREAM || !parse_name(set, p))
                return false;
        p->entry = (FsEntry){
                .at = set->at,
                .slot = set->slot,
                .n_slots = set->n,
                .attributes = file[4],
                .contiguous = (stream[1] & FLAG_IN_A_ROW) != 0,
                .damaged = set_checksum(set) != fs_get16(file + 2) || valid > size || (size > 0 && !(stream[1] & FLAG_ALLOCATED)),
                .first = fs_get32(stream + 20),
                .size_bytes = size,
                .valid_bytes = valid < size ? valid : size,
                .mtime_unix_sec = parse_time(fs, file),
        };
        for (size_t i = 2; i < set->n; i++) {
                const uint8_t *other = set->bytes + i * FS_SLOT_BYTES;

                if ((other[0] & EXFAT_TYPE_BENIGN) && (other[1] & FLAG_ALLOCATED) && fs_get32(other + 20) != 0)
                        p->has_vendor_clusters = true;
        }
        return true;
}

/* ---- Reading a folder ---- */

static void damaged_entry(Fs *fs, uint32_t folder) {
        char name[FS_TEXT_MAX];

        fs_tree_text(&fs->tree, folder, name);
        fs_problem_add(fs, "the folder %s has a damaged entry", name);
}

static int add_folder(Fs *fs, uint32_t parent, const Parsed *p) {
        FsFolder folder = {
                .parent = parent,
                .depth = fs->tree.folders[parent].depth + 1,
                .first = p->entry.first,
                .contiguous = p->entry.contiguous,
                .size_bytes = p->entry.size_bytes,
        };
        char above[FS_TEXT_MAX], shown[64];

        fs_tree_text(&fs->tree, parent, above);
        fs_name_to_text(p->name, p->name_size, shown, sizeof(shown));
        if (p->entry.damaged)
                damaged_entry(fs, parent);
        if (folder.size_bytes == 0 && folder.first == 0)
                return 0;
        if (folder.depth > FS_DEPTH_MAX) {
                fs_problem_add(fs, "the folder %s in %s lies deeper than %u folders", shown, above, FS_DEPTH_MAX);
                return 0;
        }
        if (!fs_cluster_is_valid(fs, folder.first)) {
                fs_problem_add(fs, "the folder %s in %s is nowhere on the volume", shown, above);
                return 0;
        }
        if (folder.size_bytes > FOLDER_BYTES_MAX || folder.size_bytes % FS_SLOT_BYTES != 0)
                fs_problem_add(fs, "the folder %s in %s has a size that no folder can have", shown, above);
        return fs_tree_add_folder(&fs->tree, &folder, p->name, p->name_size);
}

static int add_set(Fs *fs, uint32_t folder, const Set *set) {
        Parsed p;

        if (!parse(fs, set, &p)) {
                damaged_entry(fs, folder);
                return 0;
        }
        if (p.has_vendor_clusters)
                fs_damage(fs, "the exFAT volume has files with clusters that only their maker knows of; it is only read");
        if (p.folder)
                return add_folder(fs, folder, &p);
        p.entry.folder = folder;
        return fs_tree_add_entry(&fs->tree, &p.entry, p.name, p.name_size);
}

/* A primary entry: of a file, of the volume itself, or of something that is new since. */
static void begin_set(Fs *fs, uint32_t folder, Set *set, uint64_t at, uint32_t slot, const uint8_t *entry) {
        switch (entry[0]) {
        case EXFAT_TYPE_FILE:
                if (entry[1] < SECONDARIES_MIN || entry[1] > SECONDARIES_MAX) {
                        damaged_entry(fs, folder);
                        return;
                }
                *set = (Set){ .n = (uint8_t) (1 + entry[1]), .have = 1, .at = at, .slot = slot };
                memcpy(set->bytes, entry, FS_SLOT_BYTES);
                return;
        case EXFAT_TYPE_BITMAP:
        case EXFAT_TYPE_UPCASE:
        case EXFAT_TYPE_LABEL:
                return;
        default:
                /* §8.2: who does not know a critical entry must leave the folder alone; a benign one may have clusters. */
                if (!(entry[0] & EXFAT_TYPE_BENIGN))
                        fs_problem_add(fs, "there is an entry of the unknown type 0x%02X", (unsigned) entry[0]);
                else if ((entry[4] & FLAG_ALLOCATED) && fs_get32(entry + 20) != 0)
                        fs_damage(fs, "the exFAT volume has clusters that only their maker knows of; it is only read");
        }
}

static int read_entry(Fs *fs, uint32_t folder, Set *set, uint64_t at, uint32_t slot, const uint8_t *entry) {
        bool in_use = (entry[0] & EXFAT_TYPE_IN_USE) != 0, secondary = (entry[0] & EXFAT_TYPE_SECONDARY) != 0;

        if (set->n > 0 && in_use && secondary) {
                memcpy(set->bytes + (size_t) set->have++ * FS_SLOT_BYTES, entry, FS_SLOT_BYTES);
                if (set->have < set->n)
                        return 0;
                set->have = 0;
                return add_set(fs, folder, set);
        }
        if (set->n > 0)
                damaged_entry(fs, folder);
        set->n = 0;
        /* A secondary entry by itself is what an erase left that was broken off. */
        if (in_use && !secondary)
                begin_set(fs, folder, set, at, slot, entry);
        return 0;
}

int exfat_read_folder(Fs *fs, uint32_t folder) {
        Set set = { 0 };
        FsCursor cursor;
        uint64_t at;
        int r;

        fs_cursor_init(&cursor, fs, folder, true);
        while ((r = fs_cursor_next(&cursor, &at)) == 1) {
                uint8_t entry[FS_SLOT_BYTES];
                const uint8_t *raw;

                r = fs_cache_read(&fs->cache, at, sizeof(entry), &raw);
                if (r == -EIO || r == -EINVAL) {
                        fs_cursor_skip_sector(&cursor, r == -EIO ? "has a bad sector" : "lies beyond the end of the medium");
                        set.n = 0;
                        continue;
                }
                if (r < 0)
                        return r;
                memcpy(entry, raw, sizeof(entry));
                if (entry[0] == EXFAT_TYPE_END)
                        break;
                r = read_entry(fs, folder, &set, at, (uint32_t) (cursor.slot - 1), entry);
                if (r < 0)
                        return r;
                if (set.have == 0)
                        set.n = 0;
        }
        if (r < 0)
                return r;
        if (set.n > 0)
                damaged_entry(fs, folder);
        return fs_cursor_finish(&cursor);
}

/* ---- Erasing a file's entries ---- */

int exfat_check_entry(Fs *fs, const FsEntry *listed) {
        uint64_t sector = UINT64_MAX;
        Set set = { .n = listed->n_slots, .at = listed->at, .slot = listed->slot };
        FsCursor cursor;
        Parsed p;
        int r;

        fs_cursor_init(&cursor, fs, listed->folder, false);
        r = fs_cursor_seek(&cursor, listed->slot);
        for (; r == 1 && set.have < set.n; set.have++) {
                const uint8_t *raw;
                uint64_t at;

                r = fs_cursor_next(&cursor, &at);
                if (r != 1 || (set.have == 0 && at != listed->at))
                        return r < 0 ? r : FS_GONE;
                if (at / fs->disk.sector_bytes != sector)
                        fs_cache_forget(&fs->cache, at);
                sector = at / fs->disk.sector_bytes;
                r = fs_cache_read(&fs->cache, at, FS_SLOT_BYTES, &raw);
                if (r < 0)
                        return r;
                if ((raw[0] & EXFAT_TYPE_IN_USE) == 0)
                        return FS_GONE;
                memcpy(set.bytes + (size_t) set.have * FS_SLOT_BYTES, raw, FS_SLOT_BYTES);
                r = 1;
        }
        if (r != 1)
                return r < 0 ? r : FS_GONE;
        if (set.bytes[0] != EXFAT_TYPE_FILE || set.bytes[1] + 1 != set.n || !parse(fs, &set, &p) || p.folder || p.entry.damaged ||
            p.entry.attributes != listed->attributes || p.entry.first != listed->first || p.entry.contiguous != listed->contiguous ||
            p.entry.size_bytes != listed->size_bytes || p.entry.valid_bytes != listed->valid_bytes ||
            p.entry.mtime_unix_sec != listed->mtime_unix_sec || p.name_size != listed->name_size ||
            memcmp(p.name, fs_tree_name(&fs->tree, listed->name_at), p.name_size) != 0)
                return FS_GONE;
        return 0;
}

/*
 * The first entry's sector before the others: entries of a name without a file are passed over by every reader, a file
 * without its name is a damaged folder to some.
 */
int exfat_remove_entry(Fs *fs, const FsEntry *listed) {
        uint64_t first_sector = listed->at / fs->disk.sector_bytes;
        bool parted = false;
        FsCursor cursor;
        int r;

        fs_cursor_init(&cursor, fs, listed->folder, false);
        r = fs_cursor_seek(&cursor, listed->slot);
        for (uint8_t i = 0; r == 1 && i < listed->n_slots; i++) {
                uint64_t at;
                uint8_t *raw;

                r = fs_cursor_next(&cursor, &at);
                if (r != 1)
                        break;
                if (at / fs->disk.sector_bytes != first_sector && !parted) {
                        r = fs_cache_barrier(&fs->cache);
                        if (r < 0)
                                return r;
                        parted = true;
                }
                r = fs_cache_modify(&fs->cache, at, FS_SLOT_BYTES, &raw);
                if (r < 0)
                        return r;
                raw[0] = (uint8_t) (raw[0] & ~EXFAT_TYPE_IN_USE);
                r = 1;
        }
        return r == 1 ? 0 : r < 0 ? r : -EUCLEAN;
}
