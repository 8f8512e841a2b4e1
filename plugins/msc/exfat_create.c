/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "exfat.h"
#include "fs_bytes.h"

#define NAME_UNITS 15u
#define FLAG_ALLOCATED 0x01u
#define FLAG_IN_A_ROW 0x02u
#define ATTRIBUTE_FOLDER 0x10u
#define ATTRIBUTE_ARCHIVE 0x20u
#define EPOCH_STAMP UINT32_C(0x00210000) /* 1980-01-01: the worker has no calendar */
#define ZONE_UTC 0x80u

static bool is_unused(const uint8_t *entry) {
        return (entry[0] & EXFAT_TYPE_IN_USE) == 0;
}

int exfat_find_place(Fs *fs, const FsNew *new, FsPlace *ret) {
        if (!fs_name_is_valid(new->name, new->name_size))
                return fs_say(fs, -EINVAL, "an exFAT volume cannot have the name of the file that is to be made");
        return fs_find_slots(fs, new->parent, 2 + (new->name_size + NAME_UNITS - 1) / NAME_UNITS, is_unused, ret);
}

static uint16_t add_byte(uint16_t sum, uint8_t byte) {
        return (uint16_t) ((sum << 15 | sum >> 1) + byte);
}

/* §7.6.4, of the name in capitals; ASCII has the same in every table that a formatter writes. */
static uint16_t name_hash(const FsNew *new) {
        uint16_t hash = 0;

        for (size_t i = 0; i < new->name_size; i++)
                hash = add_byte(add_byte(hash, (uint8_t) toupper((unsigned char) new->name[i])), 0);
        return hash;
}

static void put_file(uint8_t *raw, const FsNew *new, uint8_t n_slots) {
        raw[0] = EXFAT_TYPE_FILE;
        raw[1] = (uint8_t) (n_slots - 1);
        fs_put16(raw + 4, new->folder ? ATTRIBUTE_FOLDER : ATTRIBUTE_ARCHIVE);
        for (size_t i = 8; i < 20; i += 4)
                fs_put32(raw + i, EPOCH_STAMP);
        for (size_t i = 22; i < 25; i++)
                raw[i] = ZONE_UTC;
}

static void put_stream(uint8_t *raw, const FsNew *new) {
        raw[0] = EXFAT_TYPE_STREAM;
        raw[1] = (uint8_t) (FLAG_ALLOCATED | (new->contiguous && new->size_bytes > 0 ? FLAG_IN_A_ROW : 0));
        raw[3] = (uint8_t) new->name_size;
        fs_put16(raw + 4, name_hash(new));
        fs_put32(raw + 8, (uint32_t) new->size_bytes);
        fs_put32(raw + 12, (uint32_t) (new->size_bytes >> 32));
        fs_put32(raw + 20, new->first);
        fs_put32(raw + 24, (uint32_t) new->size_bytes);
        fs_put32(raw + 28, (uint32_t) (new->size_bytes >> 32));
}

int exfat_put_entry(Fs *fs, const FsNew *new, const FsPlace *place) {
        size_t size = (size_t) place->n_slots * FS_SLOT_BYTES;
        uint16_t sum = 0;
        uint8_t *raw;
        int r;

        r = fs_cache_modify(&fs->cache, place->at, size, &raw);
        if (r < 0)
                return r;
        memset(raw, 0, size);
        put_file(raw, new, place->n_slots);
        put_stream(raw + FS_SLOT_BYTES, new);
        for (size_t i = 0; i < new->name_size; i++) {
                uint8_t *part = raw + (2 + i / NAME_UNITS) * FS_SLOT_BYTES;

                part[0] = EXFAT_TYPE_NAME;
                fs_put16(part + 2 + 2 * (i % NAME_UNITS), (uint8_t) new->name[i]);
        }
        for (size_t i = 0; i < size; i++)
                if (i != 2 && i != 3)
                        sum = add_byte(sum, raw[i]);
        fs_put16(raw + 2, sum);
        return 0;
}
