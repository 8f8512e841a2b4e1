/* SPDX-License-Identifier: Apache-2.0 */
#include "written.h"

#include <errno.h>
#include <stdlib.h>

#define WRITTEN_MAX (1u << 20)
#define CHECK_BYTES (64u << 10)

/* FNV-1a: tells a sector that was kept from one that was not; nobody forges one here. */
static uint64_t digest_of(const uint8_t *data, size_t size) {
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < size; i++)
                h = (h ^ data[i]) * UINT64_C(0x100000001b3);
        return h;
}

int written_note(Written *w, const Disk *disk, uint64_t sector, uint32_t n, const void *data) {
        if (n > WRITTEN_MAX - w->n)
                return -E2BIG;
        if (w->n + n > w->room) {
                size_t room = w->room * 2 > w->n + n ? w->room * 2 : w->n + n;
                WrittenSector *grown = reallocarray(w->items, room, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                w->items = grown;
                w->room = room;
        }
        for (uint32_t i = 0; i < n; i++, w->n++)
                w->items[w->n] = (WrittenSector){
                        .sector = sector + i,
                        .digest = digest_of((const uint8_t *) data + (size_t) i * disk->sector_bytes, disk->sector_bytes),
                        .order = (uint32_t) w->n,
                };
        return 0;
}

static int by_sector(const void *a, const void *b) {
        const WrittenSector *x = a, *y = b;

        if (x->sector != y->sector)
                return x->sector < y->sector ? -1 : 1;
        return x->order < y->order ? -1 : x->order > y->order;
}

/* Each sector once, with what was written to it last. */
static void keep_last(Written *w) {
        size_t kept = 0;

        if (w->n > 0)
                qsort(w->items, w->n, sizeof(w->items[0]), by_sector);
        for (size_t i = 0; i < w->n; i++)
                if (i + 1 == w->n || w->items[i + 1].sector != w->items[i].sector)
                        w->items[kept++] = w->items[i];
        w->n = kept;
}

static int check_run(const WrittenSector *run, uint32_t n, const Disk *disk, uint8_t *buffer) {
        int r;

        r = disk->read(disk->userdata, run[0].sector, n, buffer);
        for (uint32_t i = 0; r == 0 && i < n; i++)
                if (digest_of(buffer + (size_t) i * disk->sector_bytes, disk->sector_bytes) != run[i].digest)
                        r = -EIO;
        return r;
}

int written_check(Written *w, const Disk *disk) {
        uint32_t most = CHECK_BYTES / disk->sector_bytes, n;
        uint8_t *buffer;
        int r = 0;

        buffer = malloc(CHECK_BYTES);
        if (!buffer)
                return -ENOMEM;
        keep_last(w);
        for (size_t at = 0; r == 0 && at < w->n; at += n) {
                for (n = 1; n < most && at + n < w->n && w->items[at + n].sector == w->items[at].sector + n;)
                        n++;
                r = check_run(&w->items[at], n, disk, buffer);
        }
        free(buffer);
        return r;
}

void written_clear(Written *w) {
        free(w->items);
        *w = (Written){ 0 };
}
