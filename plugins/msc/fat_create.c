/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fat.h"
#include "fs_bytes.h"
#include "fs_cursor.h"

#define LONG_UNITS 13u /* of one entry */
#define LONG_LAST 0x40u
#define SHORT_NAME 11u
#define SHORT_BASE 8u
#define ATTRIBUTE_ARCHIVE 0x20u
#define EPOCH_DATE 0x0021u /* 1980-01-01: the worker has no calendar, and a date of 0 is none */
#define ALIASES_MAX 999u

int fat_is_free(Fs *fs, uint32_t cluster) {
        uint32_t value;
        int r;

        r = fs_table_get(fs, cluster, &value);
        return r < 0 ? r : value == 0;
}

int fat_take_clusters(Fs *fs, const FsRuns *runs) {
        return fs_chain_write(fs, runs);
}

/* ---- Names ---- */

static bool is_short_character(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("!#$%&'()-@^_`{}~", c));
}

/* "FW.BIN" is a name of 8.3 as it is. */
static bool as_short_name(const FsNew *new, uint8_t ret[SHORT_NAME]) {
        const char *dot = memchr(new->name, '.', new->name_size);
        size_t base = dot ? (size_t) (dot - new->name) : new->name_size, extension = dot ? new->name_size - base - 1 : 0;

        if (base == 0 || base > SHORT_BASE || extension > SHORT_NAME - SHORT_BASE)
                return false;
        memset(ret, ' ', SHORT_NAME);
        for (size_t i = 0; i < base + extension; i++) {
                char c = new->name[i < base ? i : i + 1];

                if (!is_short_character(c))
                        return false;
                ret[i < base ? i : SHORT_BASE + i - base] = (uint8_t) c;
        }
        return true;
}

/* "firmware-2.1.bin" becomes "FIRMWA~1.BIN". */
static void make_alias(const FsNew *new, unsigned number, uint8_t ret[SHORT_NAME]) {
        size_t dot = new->name_size, base = 0, extension = 0, n;
        char tail[8];

        for (size_t i = 1; i < new->name_size; i++)
                if (new->name[i] == '.')
                        dot = i;
        n = (size_t) snprintf(tail, sizeof(tail), "~%u", number);
        memset(ret, ' ', SHORT_NAME);
        for (size_t i = 0; i < new->name_size; i++) {
                char c = (char) toupper((unsigned char) new->name[i]);

                if (!is_short_character(c))
                        continue;
                if (i < dot && base < SHORT_BASE - n)
                        ret[base++] = (uint8_t) c;
                else if (i > dot && extension < SHORT_NAME - SHORT_BASE)
                        ret[SHORT_BASE + extension++] = (uint8_t) c;
        }
        memcpy(ret + base, tail, n);
}

/* Has anything in the folder that short name? 1, 0, or errors of the Disk. */
static int is_taken(Fs *fs, uint32_t folder, const uint8_t name[SHORT_NAME]) {
        FsCursor cursor;
        uint64_t at;
        int r;

        fs_cursor_init(&cursor, fs, folder, false);
        while ((r = fs_cursor_next(&cursor, &at)) == 1) {
                const uint8_t *raw;

                r = fs_cache_read(&fs->cache, at, FS_SLOT_BYTES, &raw);
                if (r < 0 || raw[0] == FAT_ENTRY_END)
                        return r;
                if (raw[0] != FAT_ENTRY_ERASED && (raw[11] & FAT_ATTRIBUTE_MASK) != FAT_ATTRIBUTE_LONG &&
                    memcmp(raw, name, SHORT_NAME) == 0)
                        return 1;
        }
        return r;
}

static int find_alias(Fs *fs, const FsNew *new, FsPlace *place) {
        int r;

        place->has_long_name = !as_short_name(new, place->alias);
        if (!place->has_long_name) {
                r = is_taken(fs, new->parent, place->alias);
                return r == 1 ? fs_say(fs, FS_DENIED, "another file's short name is that of the file that is to be made") : r;
        }
        for (unsigned i = 1; i <= ALIASES_MAX; i++) {
                make_alias(new, i, place->alias);
                r = is_taken(fs, new->parent, place->alias);
                if (r != 1)
                        return r;
        }
        return fs_say(fs, -ENOSPC, "the folder has too many names of that kind");
}

/* ---- Entries ---- */

static bool is_erased(const uint8_t *entry) {
        return entry[0] == FAT_ENTRY_ERASED;
}

int fat_find_place(Fs *fs, const FsNew *new, FsPlace *ret) {
        size_t n_long = (new->name_size + LONG_UNITS - 1) / LONG_UNITS;
        FsPlace place = { 0 };
        int r;

        if (!fs_name_is_valid(new->name, new->name_size))
                return fs_say(fs, -EINVAL, "a FAT volume cannot have the name of the file that is to be made, or not safely");
        r = find_alias(fs, new, &place);
        if (r == 0)
                r = fs_find_slots(fs, new->parent, place.has_long_name ? 1 + n_long : 1, is_erased, &place);
        if (r == 0)
                *ret = place;
        return r;
}

static void put_long(uint8_t *raw, const FsNew *new, uint8_t number, bool last, uint8_t checksum) {
        static const uint8_t places[LONG_UNITS] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };

        memset(raw, 0, FS_SLOT_BYTES);
        raw[0] = (uint8_t) (number | (last ? LONG_LAST : 0));
        raw[11] = FAT_ATTRIBUTE_LONG;
        raw[13] = checksum;
        for (size_t i = 0; i < LONG_UNITS; i++) {
                size_t at = (size_t) (number - 1) * LONG_UNITS + i;

                /* Ended by a 0 when there is room, and then filled up. */
                fs_put16(raw + places[i], at < new->name_size ? (uint8_t) new->name[at] : at == new->name_size ? 0 : 0xFFFF);
        }
}

static void put_short(uint8_t *raw, const uint8_t name[SHORT_NAME], bool folder, uint32_t first, uint32_t size) {
        memset(raw, 0, FS_SLOT_BYTES);
        memcpy(raw, name, SHORT_NAME);
        raw[11] = folder ? FAT_ATTRIBUTE_FOLDER : ATTRIBUTE_ARCHIVE;
        fs_put16(raw + 16, EPOCH_DATE);
        fs_put16(raw + 18, EPOCH_DATE);
        fs_put16(raw + 24, EPOCH_DATE);
        fs_put16(raw + 20, (uint16_t) (first >> 16));
        fs_put16(raw + 26, (uint16_t) first);
        fs_put32(raw + 28, size);
}

void fat_put_dots(const Fs *fs, const FsNew *new, uint8_t *ret) {
        /* The root folder is no cluster, also where it has one. */
        uint32_t above = new->parent == FS_ROOT ? 0 : fs->tree.folders[new->parent].first;

        put_short(ret, (const uint8_t *) ".          ", true, new->first, 0);
        put_short(ret + FS_SLOT_BYTES, (const uint8_t *) "..         ", true, above, 0);
}

int fat_put_entry(Fs *fs, const FsNew *new, const FsPlace *place) {
        uint8_t n_long = (uint8_t) (place->n_slots - 1), *raw;
        int r;

        r = fs_cache_modify(&fs->cache, place->at, (size_t) place->n_slots * FS_SLOT_BYTES, &raw);
        if (r < 0)
                return r;
        for (uint8_t i = 0; i < n_long; i++)
                put_long(raw + (size_t) i * FS_SLOT_BYTES, new, (uint8_t) (n_long - i), i == 0, fat_checksum(place->alias));
        put_short(raw + (size_t) n_long * FS_SLOT_BYTES, place->alias, new->folder, new->first,
                  new->folder ? 0 : (uint32_t) new->size_bytes);
        return 0;
}
