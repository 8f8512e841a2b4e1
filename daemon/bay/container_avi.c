/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bay/container.h"

/*
 * AVI: a RIFF of chunks, each with a code, a size and padding to an even place. Header (hdrl), footage (movi), index (idx1). OpenDML
 * puts further RIFFs ("AVIX") behind it, and indexes of indexes (indx) into the header of each stream.
 */

#define HAS_INDEX 0x10u /* of avih's flags */
#define INDEX_OF_INDEXES 0
#define INDEX_ENTRY 16u
#define DATE_MAX 64u

typedef struct Chunk {
        uint64_t at, content, end; /* without the padding */
        uint8_t code[4], list[4];  /* list: of a LIST, what it is one of */
} Chunk;

typedef struct Avi {
        Look *l;
        Container *c;
        bool hdrl, movi, idx1, super_index;
        uint32_t flags, usec_per_frame, frames, all_frames;
        uint64_t indexed_at; /* the farthest place that an index of indexes names */
} Avi;

static bool is(const uint8_t code[static 4], const char *name) {
        return memcmp(code, name, 4) == 0;
}

/* 1, or 0 when not even a header is there before `end`. */
static int chunk_read(Look *l, uint64_t at, uint64_t end, Chunk *ret) {
        Chunk c = { .at = at, .content = at + 8 };
        uint8_t p[8];
        int r;

        if (at > end || end - at < 8)
                return 0;
        r = look_at(l, at, p, sizeof(p));
        if (r < 0)
                return r;
        memcpy(c.code, p, 4);
        c.end = c.content + le32(p + 4);
        if (is(c.code, "LIST") && c.end - c.content >= 4 && end - at >= 12) {
                r = look_at(l, c.content, c.list, 4);
                if (r < 0)
                        return r;
                c.content += 4;
        }
        *ret = c;
        return 1;
}

static uint64_t chunk_next(const Chunk *c) {
        return c->end + (c->end & 1);
}

/* Up to `n` bytes of the content, the rest zero. */
static int chunk_bytes(Look *l, const Chunk *c, void *ret, size_t n) {
        uint64_t there = MIN2(c->end, l->size);

        memset(ret, 0, n);
        if (there <= c->content)
                return 0;
        return look_at(l, c->content, ret, (size_t) MIN2(there - c->content, (uint64_t) n));
}

static int read_date(Avi *a, const Chunk *c) {
        char text[DATE_MAX + 1] = "";
        int64_t unix_sec;
        int r;

        r = chunk_bytes(a->l, c, text, DATE_MAX);
        if (r >= 0 && container_date(text, &unix_sec) >= 0)
                container_recorded(a->c, unix_sec);
        return r;
}

static int read_avih(Avi *a, const Chunk *c) {
        uint8_t p[20];
        int r;

        r = chunk_bytes(a->l, c, p, sizeof(p));
        a->usec_per_frame = le32(p);
        a->flags = le32(p + 12);
        a->frames = le32(p + 16);
        return r;
}

static int read_dmlh(Avi *a, const Chunk *c) {
        uint8_t p[4];
        int r;

        r = chunk_bytes(a->l, c, p, sizeof(p));
        a->all_frames = le32(p);
        return r;
}

/* An index of indexes: the last of them must lie within the file. */
static int read_indx(Avi *a, const Chunk *c) {
        uint8_t p[24], entry[INDEX_ENTRY];
        uint32_t n;
        int r;

        r = chunk_bytes(a->l, c, p, sizeof(p));
        n = le32(p + 4);
        if (r < 0 || p[3] != INDEX_OF_INDEXES || n == 0)
                return r;
        if (c->end - c->content < sizeof(p) || n > (c->end - c->content - sizeof(p)) / INDEX_ENTRY) {
                container_incomplete(a->c, c->at, "the index at %llu is longer than its chunk", (unsigned long long) c->at);
                return 0;
        }
        r = look_at(a->l, c->content + sizeof(p) + (uint64_t) (n - 1) * INDEX_ENTRY, entry, sizeof(entry));
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        a->super_index = true;
        a->indexed_at = MAX2(a->indexed_at, le64(entry));
        return 0;
}

static int walk_list(Avi *a, uint64_t at, uint64_t end, int depth);

static int take_chunk(Avi *a, const Chunk *c, int depth) {
        if (is(c->code, "LIST")) {
                a->hdrl = a->hdrl || is(c->list, "hdrl");
                a->movi = a->movi || is(c->list, "movi");
                if (depth < 3 && (is(c->list, "hdrl") || is(c->list, "strl") || is(c->list, "odml") || is(c->list, "INFO")))
                        return walk_list(a, c->content, MIN2(c->end, a->l->size), depth + 1);
                return 0;
        }
        if (is(c->code, "avih"))
                return read_avih(a, c);
        if (is(c->code, "dmlh"))
                return read_dmlh(a, c);
        if (is(c->code, "indx"))
                return read_indx(a, c);
        if (is(c->code, "IDIT") || is(c->code, "ICRD"))
                return read_date(a, c);
        a->idx1 = a->idx1 || is(c->code, "idx1");
        return 0;
}

static int walk_list(Avi *a, uint64_t at, uint64_t end, int depth) {
        char name[FOURCC_TEXT_SIZE];
        Chunk c;
        int r;

        while ((r = chunk_read(a->l, at, end, &c)) > 0) {
                r = take_chunk(a, &c, depth);
                if (r < 0)
                        return r;
                if (c.end > end) {
                        container_incomplete(a->c, at, "the chunk %s at %llu says %llu bytes and %s ends at %llu",
                                             fourcc_text(c.list[0] ? c.list : c.code, name), (unsigned long long) at,
                                             (unsigned long long) (c.end - at), end == a->l->size ? "the file" : "what it is in",
                                             (unsigned long long) end);
                        return 0;
                }
                at = chunk_next(&c);
        }
        if (r == 0 && end == a->l->size && end > at)
                container_incomplete(a->c, at, "the file ends at %llu, within the header of a chunk at %llu", (unsigned long long) end,
                                     (unsigned long long) at);
        return r;
}

/* The RIFFs, of which the first is the AVI and the others go on with its footage. What follows them is none of the container's. */
static int walk_riffs(Avi *a) {
        uint64_t at = 0, size = a->l->size;
        uint8_t p[12];
        int r;

        while (size - at >= sizeof(p)) {
                uint64_t end;

                r = look_at(a->l, at, p, sizeof(p));
                if (r < 0)
                        return r;
                if (!is(p, "RIFF") || (at > 0 && !is(p + 8, "AVIX")))
                        return 0;
                end = at + 8 + le32(p + 4);
                if (end < at + sizeof(p)) {
                        /* A recorder writes it when it stops. The header may tell the time all the same. */
                        end = size;
                        (void) container_incomplete(a->c, at, "the RIFF at %llu has no size: the recording was not closed",
                                                    (unsigned long long) at);
                }
                r = walk_list(a, at + sizeof(p), MIN2(end, size), 0);
                if (r < 0)
                        return r;
                if (end > size) {
                        container_incomplete(a->c, at, "the RIFF at %llu says %llu bytes and the file ends at %llu",
                                             (unsigned long long) at, (unsigned long long) (end - at), (unsigned long long) size);
                        return 0;
                }
                at = MIN2(end + (end & 1), size);
        }
        return 0;
}

static void judge(Avi *a) {
        unsigned long long size = a->l->size;

        if (!a->hdrl)
                container_incomplete(a->c, size, "no hdrl up to the file's end at %llu", size);
        else if (!a->movi)
                container_incomplete(a->c, size, "no movi up to the file's end at %llu: there is a header and no footage", size);
        else if (!a->idx1 && !a->super_index && (a->flags & HAS_INDEX))
                container_incomplete(a->c, size, "no idx1 up to the file's end at %llu: the recording was not closed", size);
        else if (a->super_index && a->indexed_at >= a->l->size)
                container_incomplete(a->c, size, "an index of a stream lies at %llu and the file ends at %llu",
                                     (unsigned long long) a->indexed_at, size);
        container_lasts(a->c, (uint64_t) MAX2(a->frames, a->all_frames) * a->usec_per_frame, USEC_PER_SEC);
}

int container_avi(Look *l, const uint8_t first[static CONTAINER_FIRST], Container *c) {
        Avi a = { .l = l, .c = c };
        int r;

        if (!is(first, "RIFF") || !is(first + 8, "AVI "))
                return 0;
        c->format = CONTAINER_AVI;
        r = walk_riffs(&a);
        if (r < 0)
                return r;
        judge(&a);
        return 1;
}
