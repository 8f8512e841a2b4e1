/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "bay/container.h"

/*
 * ISO base media files (ISO/IEC 14496-12) and QuickTime, which they come from: boxes of a size, a type and a content. A recorder
 * writes the media (mdat) first and the index (moov) when it stops; or an index without samples, then fragments (moof, mdat).
 */

#define TYPE(a, b, c, d) ((uint32_t) (a) << 24 | (uint32_t) (b) << 16 | (uint32_t) (c) << 8 | (uint32_t) (d))
/* Of 1904 before 1970. */
#define EPOCH_1904_SEC INT64_C(2082844800)
/* moov, trak, mdia, minf, stbl */
#define DEPTH_MAX 5

typedef struct Box {
        uint64_t at, end, content; /* places in the file */
        uint8_t code[4];
        uint32_t type;
} Box;

enum { BOX_READ, BOX_CUT, BOX_ZEROES, BOX_NONE };

typedef struct Mp4 {
        Look *l;
        Container *c;
        bool moov, mdat, mvhd, trak;
        bool fragmented, closed; /* a valid index of fragments (mfra) ends the file */
        uint64_t moof_at;        /* one whose mdat has not come; 0: none */
        uint64_t chunk_at;       /* the farthest place that a list of chunks names */
} Mp4;

/*
 * The box at `at` of what ends at `end`: BOX_READ even when it says that it ends later; BOX_CUT when not even its header is there;
 * BOX_ZEROES for the zeroes of room that was reserved; BOX_NONE for what is no box.
 */
static int box_read(Look *l, uint64_t at, uint64_t end, bool may_be_open, Box *ret) {
        uint8_t header[16];
        uint64_t size;
        Box b = { .at = at, .content = at + 8 };
        int r;

        if (end - at < 8)
                return BOX_CUT;
        r = look_at(l, at, header, 8);
        if (r < 0)
                return r;
        size = be32(header);
        memcpy(b.code, header + 4, 4);
        b.type = be32(header + 4);
        if (size == 0 && b.type == 0)
                return BOX_ZEROES;
        for (int i = 0; i < 4; i++)
                if ((b.code[i] < 0x20 || b.code[i] > 0x7e) && b.code[i] != 0xa9)
                        return BOX_NONE;
        if (size == 1) {
                if (end - at < 16)
                        return BOX_CUT;
                r = look_at(l, at + 8, header + 8, 8);
                if (r < 0)
                        return r;
                size = be64(header + 8);
                b.content = at + 16;
        } else if (size == 0) {
                /* "To the end of the file", which only the last one may say. */
                if (!may_be_open)
                        return BOX_NONE;
                size = end - at;
        }
        if (size < b.content - at)
                return BOX_NONE;
        b.end = size > UINT64_MAX - at ? UINT64_MAX : at + size;
        *ret = b;
        return BOX_READ;
}

/* ---- Within moov ---- */

static int read_mvhd(Mp4 *m, const Box *b) {
        uint64_t created, duration, unknown;
        uint32_t timescale;
        uint8_t p[32];
        int r;

        r = look_at(m->l, b->content, p, b->end - b->content < sizeof(p) ? 20 : sizeof(p));
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        if (p[0] == 1 && b->end - b->content >= sizeof(p)) {
                created = be64(p + 4);
                timescale = be32(p + 20);
                duration = be64(p + 24);
                unknown = UINT64_MAX;
        } else if (p[0] == 0 && b->end - b->content >= 20) {
                created = be32(p + 4);
                timescale = be32(p + 12);
                duration = be32(p + 16);
                unknown = UINT32_MAX;
        } else
                return 0;
        m->mvhd = true;
        if (created > 0 && created <= INT64_MAX)
                container_recorded(m->c, (int64_t) created - EPOCH_1904_SEC);
        if (duration != unknown)
                container_lasts(m->c, duration, timescale);
        return 0;
}

/* Where the last chunk of a track begins, from a list of 4 (stco) or 8 (co64) bytes each. */
static int read_chunks(Mp4 *m, const Box *b, uint64_t width) {
        uint64_t at, n, room = b->end - b->content;
        uint8_t p[8];
        int r;

        r = look_at(m->l, b->content, p, sizeof(p));
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        n = be32(p + 4);
        if (room < 8 || n > (room - 8) / width) {
                container_incomplete(m->c, b->at, "the list of chunks at %llu is longer than its box", (unsigned long long) b->at);
                return 0;
        }
        if (n == 0)
                return 0;
        r = look_at(m->l, b->content + 8 + (n - 1) * width, p, (size_t) width);
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        at = width == 8 ? be64(p) : be32(p);
        m->chunk_at = MAX2(m->chunk_at, at);
        return 0;
}

static int walk_index(Mp4 *m, uint64_t at, uint64_t end, int depth);

static int read_index_box(Mp4 *m, const Box *b, int depth) {
        switch (b->type) {
        case TYPE('m', 'v', 'h', 'd'):
                return depth == 1 ? read_mvhd(m, b) : 0;
        case TYPE('m', 'v', 'e', 'x'):
                m->fragmented = true;
                return 0;
        case TYPE('c', 'm', 'o', 'v'):
                /* A whole index, compressed, as QuickTime once wrote them. */
                m->mvhd = m->trak = true;
                return 0;
        case TYPE('t', 'r', 'a', 'k'):
                m->trak = true;
                return walk_index(m, b->content, b->end, depth + 1);
        case TYPE('m', 'd', 'i', 'a'):
        case TYPE('m', 'i', 'n', 'f'):
        case TYPE('s', 't', 'b', 'l'):
                return walk_index(m, b->content, b->end, depth + 1);
        case TYPE('s', 't', 'c', 'o'):
                return read_chunks(m, b, 4);
        case TYPE('c', 'o', '6', '4'):
                return read_chunks(m, b, 8);
        default:
                return 0;
        }
}

static int walk_index(Mp4 *m, uint64_t at, uint64_t end, int depth) {
        char name[FOURCC_TEXT_SIZE];
        Box b;
        int r;

        if (depth > DEPTH_MAX)
                return 0;
        while (at < end) {
                r = box_read(m->l, at, end, false, &b);
                if (r < 0)
                        return r;
                /* QuickTime ends some lists with a zero. */
                if (r != BOX_READ)
                        return 0;
                if (b.end > end) {
                        container_incomplete(m->c, at, "the box %s at %llu says %llu bytes and its parent ends at %llu",
                                             fourcc_text(b.code, name), (unsigned long long) at, (unsigned long long) (b.end - at),
                                             (unsigned long long) end);
                        return 0;
                }
                r = read_index_box(m, &b, depth);
                if (r < 0)
                        return r;
                at = b.end;
        }
        return 0;
}

static int read_moov(Mp4 *m, const Box *b) {
        unsigned long long at = b->at;
        int r;

        if (m->moov)
                return 0;
        m->moov = true;
        r = walk_index(m, b->content, MIN2(b->end, m->l->size), 1);
        if (r < 0)
                return r;
        /* Of one that the file does not hold whole, the caller tells. */
        if (b->end > m->l->size)
                return 0;
        if (!m->mvhd)
                container_incomplete(m->c, b->at, "the moov at %llu has no mvhd", at);
        else if (!m->trak)
                container_incomplete(m->c, b->at, "the moov at %llu has no track", at);
        return 0;
}

/* ---- The file ---- */

/* Does it end in an index of its fragments? A recorder writes that when it stops. */
static int find_mfra(Mp4 *m) {
        uint64_t size = m->l->size, length;
        uint8_t p[16];
        int r;

        r = size < 24 ? -ENODATA : look_at(m->l, size - 16, p, 16);
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        length = be32(p + 12);
        if (be32(p + 4) != TYPE('m', 'f', 'r', 'o') || length < 24 || length > size)
                return 0;
        r = look_at(m->l, size - length, p, 8);
        if (r < 0)
                return r;
        m->closed = be32(p) == length && be32(p + 4) == TYPE('m', 'f', 'r', 'a');
        return 0;
}

static int take_box(Mp4 *m, const Box *b) {
        int r = 0;

        switch (b->type) {
        case TYPE('m', 'o', 'o', 'v'):
                r = read_moov(m, b);
                if (r >= 0 && m->fragmented)
                        r = find_mfra(m);
                break;
        case TYPE('m', 'd', 'a', 't'):
                m->mdat = true;
                m->moof_at = 0;
                break;
        case TYPE('m', 'o', 'o', 'f'):
                m->fragmented = true;
                m->moof_at = b->at;
                break;
        default:
                break;
        }
        return r;
}

/* The bytes from `at` on are no box. An index that is there does not need them, unless more fragments should have come. */
static int take_rest(Mp4 *m, uint64_t at, int what) {
        bool whole = m->moov && m->mdat && !m->fragmented;
        unsigned long long place = at, size = m->l->size;
        uint8_t p[8] = {};

        if (whole && what != BOX_CUT)
                return 0;
        if (what == BOX_CUT) {
                size_t n = (size_t) MIN2(m->l->size - at, (uint64_t) sizeof(p));
                int r = look_at(m->l, at, p, n);

                if (r < 0)
                        return r;
                if (whole && be64(p) == 0)
                        return 0;
                container_incomplete(m->c, at, "the file ends at %llu, within the header of a box at %llu", size, place);
        } else if (what == BOX_ZEROES)
                container_incomplete(m->c, at, "from %llu on there are zeroes where a box should begin", place);
        else
                container_incomplete(m->c, at, "at %llu there is no box", place);
        return 0;
}

static int walk_file(Mp4 *m) {
        uint64_t size = m->l->size;
        char name[FOURCC_TEXT_SIZE];

        for (uint64_t at = 0; at < size;) {
                Box b;
                int r;

                r = box_read(m->l, at, size, true, &b);
                if (r < 0)
                        return r;
                if (r != BOX_READ)
                        return take_rest(m, at, r);
                r = take_box(m, &b);
                if (r < 0)
                        return r;
                if (b.end > size) {
                        container_incomplete(m->c, at, "the box %s at %llu says %llu bytes and the file ends at %llu",
                                             fourcc_text(b.code, name), (unsigned long long) at, (unsigned long long) (b.end - at),
                                             (unsigned long long) size);
                        return 0;
                }
                at = b.end;
        }
        return 0;
}

static void judge(Mp4 *m) {
        unsigned long long size = m->l->size;

        if (!m->moov)
                container_incomplete(m->c, size, "no moov up to the file's end at %llu: the recording was not closed", size);
        else if (!m->mdat)
                container_incomplete(m->c, size, "no mdat up to the file's end at %llu: there is an index and no footage", size);
        else if (m->chunk_at >= m->l->size)
                container_incomplete(m->c, size, "the last chunk of a track lies at %llu and the file ends at %llu",
                                     (unsigned long long) m->chunk_at, size);
        else if (m->moof_at > 0)
                container_incomplete(m->c, m->moof_at, "the fragment at %llu has no mdat", (unsigned long long) m->moof_at);
}

static bool is_still(const uint8_t brand[static 4]) {
        static const char brands[][5] = { "heic", "heix", "mif1", "avif", "crx ", "jp2 ", "jpx " };

        for (size_t i = 0; i < ELEMENTSOF(brands); i++)
                if (memcmp(brand, brands[i], 4) == 0)
                        return true;
        return false;
}

int container_mp4(Look *l, const uint8_t first[static CONTAINER_FIRST], Container *c) {
        Mp4 m = { .l = l, .c = c };
        int r;

        switch (be32(first + 4)) {
        case TYPE('f', 't', 'y', 'p'):
                /* Pictures use the same boxes, and have no moov. */
                if (is_still(first + 8))
                        return 0;
                c->format = memcmp(first + 8, "qt  ", 4) == 0 ? CONTAINER_MOV : CONTAINER_MP4;
                break;
        case TYPE('s', 't', 'y', 'p'):
        case TYPE('m', 'o', 'o', 'f'):
                c->format = CONTAINER_MP4;
                break;
        case TYPE('m', 'o', 'o', 'v'):
        case TYPE('m', 'd', 'a', 't'):
        case TYPE('w', 'i', 'd', 'e'):
        case TYPE('p', 'n', 'o', 't'):
        case TYPE('s', 'k', 'i', 'p'):
        case TYPE('f', 'r', 'e', 'e'):
                /* QuickTime before it knew brands. */
                c->format = CONTAINER_MOV;
                break;
        default:
                return 0;
        }
        r = walk_file(&m);
        /* Too many fragments to count, but the recorder closed the file behind them. */
        if (r == -EFBIG && m.fragmented && m.closed && c->verdict != CONTAINER_INCOMPLETE)
                return 1;
        if (r < 0)
                return r;
        judge(&m);
        return 1;
}
