/* SPDX-License-Identifier: Apache-2.0 */

/* Room for the entries of a file that is made. */

#include <errno.h>
#include <string.h>

#include "fs_cursor.h"
#include "fs_volume.h"

#define NAME_MAX_BYTES 255u

bool fs_name_is_valid(const char *name, size_t size) {
        if (size == 0 || size > NAME_MAX_BYTES || name[size - 1] == ' ' || name[size - 1] == '.')
                return false;
        for (size_t i = 0; i < size; i++)
                if (name[i] < 0x20 || name[i] > 0x7e || strchr("\"*/:<>?\\|", name[i]))
                        return false;
        return true;
}

/* Entries in a row within one sector, so far. */
typedef struct Search {
        uint32_t sector_bytes;
        size_t have;
        uint64_t first;
        bool ended;      /* the folder's end was seen: all behind it is free */
        uint64_t end_at; /* where that is */
} Search;

static void take(Search *s, uint64_t at, bool is_end, bool is_free) {
        if (is_end && !s->ended) {
                s->ended = true;
                s->end_at = at;
        }
        if (!s->ended && !is_free) {
                s->have = 0;
                return;
        }
        if (s->have == 0 || at / s->sector_bytes != s->first / s->sector_bytes) {
                s->have = 0;
                s->first = at;
        }
        s->have++;
}

/* The entry behind the new ones becomes the end; and what was the end, when it lies before them, does not hide them. */
static int place_end(const Search *s, FsCursor *c, FsPlace *place) {
        uint64_t next;
        int r;

        if (!s->ended)
                return 0;
        if (s->end_at / s->sector_bytes != s->first / s->sector_bytes) {
                place->fill_at = s->end_at;
                place->n_fill = (uint8_t) ((s->sector_bytes - s->end_at % s->sector_bytes) / FS_SLOT_BYTES);
        }
        r = fs_cursor_next(c, &next);
        if (r == 1)
                place->end_at = next;
        return r < 0 ? r : 0;
}

int fs_find_slots(Fs *fs, uint32_t folder, size_t n, bool (*is_free)(const uint8_t *entry), FsPlace *ret) {
        Search s = { .sector_bytes = fs->disk.sector_bytes };
        FsPlace place = *ret;
        FsCursor cursor;
        uint64_t at;
        int r;

        if (n * FS_SLOT_BYTES > fs->disk.sector_bytes)
                return fs_say(fs, -EINVAL, "the name of the file that is to be made is too long");
        fs_cursor_init(&cursor, fs, folder, false);
        while (s.have < n && (r = fs_cursor_next(&cursor, &at)) == 1) {
                const uint8_t *raw;

                r = fs_cache_read(&fs->cache, at, FS_SLOT_BYTES, &raw);
                if (r < 0)
                        return r;
                take(&s, at, raw[0] == 0, is_free(raw));
        }
        if (s.have < n)
                return r < 0 ? r : fs_say(fs, -ENOSPC, "the folder has no room for another entry");
        place.at = s.first;
        place.n_slots = (uint8_t) n;
        r = place_end(&s, &cursor, &place);
        if (r >= 0)
                *ret = place;
        return r;
}
