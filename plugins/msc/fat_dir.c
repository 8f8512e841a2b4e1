/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "fat.h"
#include "fs_bytes.h"
#include "fs_cursor.h"
#include "fs_text.h"

#define LONG_UNITS 13u   /* of one entry */
#define LONG_ENTRIES 20u /* of one name */
#define LONG_LAST 0x40u
#define SHORT_NAME 11u
#define CASE_BASE 0x08u /* in the reserved byte: that part of the short name is in lower case */
#define CASE_EXTENSION 0x10u

/* The entries of a long name, which stand before the short entry, last part first. */
typedef struct LongName {
        uint8_t n;       /* how many there are; 0: no name began */
        uint8_t missing; /* how many of them are still to come */
        uint8_t checksum;
        uint32_t slot; /* of the first of them */
        uint8_t units[LONG_ENTRIES * LONG_UNITS * 2];
} LongName;

uint8_t fat_checksum(const uint8_t *name) {
        uint8_t sum = 0;

        for (size_t i = 0; i < SHORT_NAME; i++)
                sum = (uint8_t) ((sum >> 1 | sum << 7) + name[i]);
        return sum;
}

static void long_name_add(LongName *name, const uint8_t *entry, uint32_t slot) {
        uint8_t number = entry[0] & 0x3F;
        uint8_t *to;

        if (entry[0] & LONG_LAST) {
                *name = (LongName){ .n = number, .missing = number, .checksum = entry[13], .slot = slot };
        }
        if (number == 0 || number > LONG_ENTRIES || number != name->missing || entry[13] != name->checksum) {
                name->n = 0;
                name->missing = 0;
                return;
        }
        to = name->units + (size_t) (number - 1) * LONG_UNITS * 2;
        memcpy(to, entry + 1, 10);
        memcpy(to + 10, entry + 14, 12);
        memcpy(to + 22, entry + 28, 4);
        name->missing--;
}

static bool long_name_fits(const LongName *name, const uint8_t *entry) {
        return name->n > 0 && name->missing == 0 && name->checksum == fat_checksum(entry) && fs_get16(name->units) != 0;
}

static size_t long_name_text(const LongName *name, char *ret) {
        size_t n = 0;

        while (n < (size_t) name->n * LONG_UNITS && fs_get16(name->units + 2 * n) != 0)
                n++;
        return fs_utf16_to_utf8(name->units, n, ret);
}

static size_t short_part(const uint8_t *part, size_t size, bool lower, char *ret) {
        uint8_t text[8];

        while (size > 0 && part[size - 1] == ' ')
                size--;
        for (size_t i = 0; i < size; i++)
                text[i] = lower && part[i] >= 'A' && part[i] <= 'Z' ? (uint8_t) (part[i] + 32) : part[i];
        return fs_oem_to_utf8(text, size, ret);
}

static size_t short_name_text(const uint8_t *entry, char *ret) {
        uint8_t name[SHORT_NAME];
        size_t n, extension;

        memcpy(name, entry, sizeof(name));
        if (name[0] == 0x05) /* 0xE5, which would mean that the entry is erased */
                name[0] = 0xE5;
        n = short_part(name, 8, entry[12] & CASE_BASE, ret);
        extension = short_part(name + 8, 3, entry[12] & CASE_EXTENSION, ret + n + 1);
        if (extension == 0)
                return n;
        ret[n] = '.';
        return n + 1 + extension;
}

uint32_t fat_entry_first(const Fs *fs, const uint8_t *entry) {
        uint32_t first = fs_get16(entry + 26);

        if (fs->kind == FS_FAT32)
                first |= (uint32_t) (fs_get16(entry + 20) & 0x0FFF) << 16;
        return first;
}

/* ---- Reading a folder ---- */

static int add_folder(Fs *fs, uint32_t parent, const uint8_t *entry, const char *name, size_t size) {
        FsFolder folder = {
                .parent = parent,
                .depth = fs->tree.folders[parent].depth + 1,
                .first = fat_entry_first(fs, entry),
                .size_bytes = UINT64_MAX,
        };
        char above[FS_TEXT_MAX], shown[64];

        if (folder.depth <= FS_DEPTH_MAX && fs_cluster_is_valid(fs, folder.first))
                return fs_tree_add_folder(&fs->tree, &folder, name, size);
        fs_tree_text(&fs->tree, parent, above);
        fs_name_to_text(name, size, shown, sizeof(shown));
        if (folder.depth > FS_DEPTH_MAX)
                fs_problem_add(fs, "the folder %s in %s lies deeper than %u folders", shown, above, FS_DEPTH_MAX);
        else
                fs_problem_add(fs, "the folder %s in %s is nowhere on the volume", shown, above);
        return 0;
}

static int add_file(Fs *fs, uint32_t folder, uint64_t at, const uint8_t *entry, uint32_t slot, uint8_t n_slots, const char *name,
                    size_t size) {
        FsEntry file = {
                .at = at,
                .folder = folder,
                .slot = slot,
                .n_slots = n_slots,
                .attributes = entry[11],
                .first = fat_entry_first(fs, entry),
                .size_bytes = fs_get32(entry + 28),
                .valid_bytes = fs_get32(entry + 28),
                .mtime_unix_sec = fs_camera_time(&fs->options, fs_get16(entry + 24), fs_get16(entry + 22)),
        };

        return fs_tree_add_entry(&fs->tree, &file, name, size);
}

static bool is_dot(const uint8_t *entry) {
        return (entry[11] & FAT_ATTRIBUTE_FOLDER) &&
               (memcmp(entry, ".          ", SHORT_NAME) == 0 || memcmp(entry, "..         ", SHORT_NAME) == 0);
}

/* The label in the root folder counts for more than the one in the boot sector. */
static void read_label(Fs *fs, const uint8_t *entry) {
        char label[SHORT_NAME * FS_UTF8_PER_UNIT];
        uint8_t raw[SHORT_NAME];
        size_t n = SHORT_NAME;

        memcpy(raw, entry, sizeof(raw));
        if (raw[0] == 0x05)
                raw[0] = 0xE5;
        while (n > 0 && raw[n - 1] == ' ')
                n--;
        fs_name_to_text(label, fs_oem_to_utf8(raw, n, label), fs->label, sizeof(fs->label));
}

/* One entry that is neither erased nor the end. `number`: which one it is in its folder. */
static int read_entry(Fs *fs, uint32_t folder, LongName *name, uint64_t at, uint32_t number, const uint8_t *entry) {
        char text[LONG_ENTRIES * LONG_UNITS * FS_UTF8_PER_UNIT];
        size_t size;
        bool is_long;

        if ((entry[11] & FAT_ATTRIBUTE_MASK) == FAT_ATTRIBUTE_LONG) {
                long_name_add(name, entry, number);
                return 0;
        }
        is_long = long_name_fits(name, entry);
        size = is_long ? long_name_text(name, text) : short_name_text(entry, text);
        if (entry[11] & FAT_ATTRIBUTE_VOLUME) {
                if (folder == FS_ROOT)
                        read_label(fs, entry);
                return 0;
        }
        if (is_dot(entry))
                return 0;
        if (entry[11] & FAT_ATTRIBUTE_FOLDER)
                return add_folder(fs, folder, entry, text, size);
        return add_file(fs, folder, at, entry, is_long ? name->slot : number, is_long ? (uint8_t) (name->n + 1) : 1, text, size);
}

int fat_read_folder(Fs *fs, uint32_t folder) {
        LongName name = { 0 };
        FsCursor cursor;
        uint64_t at;
        int r;

        fs_cursor_init(&cursor, fs, folder, true);
        while ((r = fs_cursor_next(&cursor, &at)) == 1) {
                uint8_t entry[FS_SLOT_BYTES];
                const uint8_t *raw;

                r = fs_cache_read(&fs->cache, at, sizeof(entry), &raw);
                if (r == -EIO || r == -EINVAL) {
                        /* What stands behind a bad sector is still worth reading. */
                        fs_cursor_skip_sector(&cursor, r == -EIO ? "has a bad sector" : "lies beyond the end of the medium");
                        name.n = 0;
                        continue;
                }
                if (r < 0)
                        return r;
                memcpy(entry, raw, sizeof(entry));
                if (entry[0] == FAT_ENTRY_END)
                        return fs_cursor_finish(&cursor);
                if (entry[0] != FAT_ENTRY_ERASED) {
                        r = read_entry(fs, folder, &name, at, (uint32_t) (cursor.slot - 1), entry);
                        if (r < 0)
                                return r;
                }
                if (entry[0] == FAT_ENTRY_ERASED || (entry[11] & FAT_ATTRIBUTE_MASK) != FAT_ATTRIBUTE_LONG)
                        name.n = 0;
        }
        return r;
}

/* ---- Erasing a file's entries ---- */

/* Is what stands there, after its long name, still the file that was listed? */
static bool is_same(const Fs *fs, const FsEntry *listed, const LongName *name, const uint8_t *entry) {
        char text[LONG_ENTRIES * LONG_UNITS * FS_UTF8_PER_UNIT];
        bool is_long = long_name_fits(name, entry);
        size_t size = is_long ? long_name_text(name, text) : short_name_text(entry, text);

        return entry[0] != FAT_ENTRY_ERASED && entry[0] != FAT_ENTRY_END && entry[11] == listed->attributes &&
               listed->n_slots == (is_long ? name->n + 1 : 1) && fat_entry_first(fs, entry) == listed->first &&
               fs_get32(entry + 28) == listed->size_bytes &&
               fs_camera_time(&fs->options, fs_get16(entry + 24), fs_get16(entry + 22)) == listed->mtime_unix_sec &&
               size == listed->name_size && memcmp(text, fs_tree_name(&fs->tree, listed->name_at), size) == 0;
}

int fat_check(Fs *fs, const FsEntry *listed, const FsRuns *runs) {
        uint64_t sector = UINT64_MAX, at = 0;
        uint8_t entry[FS_SLOT_BYTES] = { 0 };
        LongName name = { 0 };
        FsCursor cursor;
        int r;

        (void) runs; /* following the chain has shown that they are in use */
        fs_cursor_init(&cursor, fs, listed->folder, false);
        r = fs_cursor_seek(&cursor, listed->slot);
        for (uint8_t i = 0; r == 1 && i < listed->n_slots; i++) {
                const uint8_t *raw;

                r = fs_cursor_next(&cursor, &at);
                if (r != 1)
                        break;
                if (at / fs->disk.sector_bytes != sector)
                        fs_cache_forget(&fs->cache, at);
                sector = at / fs->disk.sector_bytes;
                r = fs_cache_read(&fs->cache, at, sizeof(entry), &raw);
                if (r < 0)
                        return r;
                memcpy(entry, raw, sizeof(entry));
                if (i + 1 < listed->n_slots && (entry[11] & FAT_ATTRIBUTE_MASK) == FAT_ATTRIBUTE_LONG && entry[0] != FAT_ENTRY_ERASED)
                        long_name_add(&name, entry, listed->slot + i);
                r = 1;
        }
        if (r < 0)
                return r;
        return r == 1 && at == listed->at && is_same(fs, listed, &name, entry) ? 0 : FS_GONE;
}

/*
 * From the short entry back to the start of the long name, sector by sector: what is left then is a long name that nobody
 * carries, which all readers pass over, and never a file that has lost its name.
 */
int fat_remove_entry(Fs *fs, const FsEntry *listed) {
        uint64_t at[LONG_ENTRIES + 1] = { 0 };
        FsCursor cursor;
        int r;

        fs_cursor_init(&cursor, fs, listed->folder, false);
        r = fs_cursor_seek(&cursor, listed->slot);
        for (uint8_t i = 0; r == 1 && i < listed->n_slots; i++)
                r = fs_cursor_next(&cursor, &at[i]);
        if (r != 1)
                return r < 0 ? r : -EUCLEAN;
        for (uint8_t i = listed->n_slots; i > 0; i--) {
                uint8_t *raw;

                r = 0;
                if (i < listed->n_slots && at[i - 1] / fs->disk.sector_bytes != at[i] / fs->disk.sector_bytes)
                        r = fs_cache_barrier(&fs->cache);
                if (r >= 0)
                        r = fs_cache_modify(&fs->cache, at[i - 1], FS_SLOT_BYTES, &raw);
                if (r < 0)
                        return r;
                raw[0] = FAT_ENTRY_ERASED;
        }
        return 0;
}
