/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "bay/container.h"

/*
 * Matroska and WebM (RFC 9559 over EBML, RFC 8794): elements of an id, a size and a content. A header, then one Segment, whose size a
 * recorder writes when it stops; until then it is "unknown", all bits one.
 */

#define ID_EBML 0x1a45dfa3u
#define ID_DOCTYPE 0x4282u
#define ID_SEGMENT 0x18538067u
#define ID_INFO 0x1549a966u
#define ID_TIMESTAMP_SCALE 0x2ad7b1u
#define ID_DURATION 0x4489u
#define ID_DATE 0x4461u
#define ID_CLUSTER 0x1f43b675u
#define ID_CUES 0x1c53bb6bu
#define EPOCH_2001_SEC INT64_C(978307200)
#define NSEC_PER_SEC INT64_C(1000000000)
#define HEADER_MAX 12u /* 4 bytes of id, 8 of size */

typedef struct Element {
        uint64_t at, content, end; /* of one of unknown size, `end` is what it is in ends at */
        uint32_t id;
        bool open; /* its size is unknown */
} Element;

enum { ELEMENT_READ, ELEMENT_CUT, ELEMENT_NONE };

typedef struct Matroska {
        Look *l;
        Container *c;
        bool cluster, cues;
        uint64_t scale; /* nanoseconds of one unit of the duration */
        double duration;
} Matroska;

static int element_read(Look *l, uint64_t at, uint64_t end, Element *ret) {
        size_t there = (size_t) MIN2(MIN2(end, l->size) - at, (uint64_t) HEADER_MAX), id_size, size_size;
        Element e = { .at = at };
        uint8_t p[HEADER_MAX];
        uint64_t size, ones;
        int r;

        if (there < 2)
                return ELEMENT_CUT;
        r = look_at(l, at, p, there);
        if (r < 0)
                return r;
        /* Leading zeroes of the first byte count the bytes that follow it. */
        if (p[0] < 0x10)
                return ELEMENT_NONE;
        id_size = (size_t) __builtin_clz(p[0]) - 23;
        if (id_size + 1 > there)
                return ELEMENT_CUT;
        for (size_t i = 0; i < id_size; i++)
                e.id = e.id << 8 | p[i];
        if (p[id_size] == 0)
                return ELEMENT_NONE;
        size_size = (size_t) __builtin_clz(p[id_size]) - 23;
        if (id_size + size_size > there)
                return ELEMENT_CUT;
        size = p[id_size] & (0xffu >> size_size);
        for (size_t i = 1; i < size_size; i++)
                size = size << 8 | p[id_size + i];
        ones = (UINT64_C(1) << (7 * size_size)) - 1;
        e.content = at + id_size + size_size;
        e.open = size == ones;
        e.end = e.open ? end : e.content + size;
        *ret = e;
        return ELEMENT_READ;
}

/* A number of up to 8 bytes. */
static int read_uint(Look *l, const Element *e, uint64_t *ret) {
        size_t n = (size_t) (e->end - e->content);
        uint8_t p[8];
        int r;

        if (e->open || n > sizeof(p))
                return 0;
        r = look_at(l, e->content, p, n);
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        *ret = 0;
        for (size_t i = 0; i < n; i++)
                *ret = *ret << 8 | p[i];
        return 0;
}

static double to_double(uint64_t bits, uint64_t bytes) {
        uint32_t half = (uint32_t) bits;
        double d = 0;
        float f;

        if (bytes == 4) {
                memcpy(&f, &half, sizeof(f));
                return (double) f;
        }
        if (bytes == 8)
                memcpy(&d, &bits, sizeof(d));
        return d;
}

static int read_info_element(Matroska *m, const Element *e) {
        uint64_t bits = 0;
        int r;

        if (e->id != ID_TIMESTAMP_SCALE && e->id != ID_DURATION && e->id != ID_DATE)
                return 0;
        r = read_uint(m->l, e, &bits);
        if (r < 0)
                return r;
        if (e->id == ID_TIMESTAMP_SCALE)
                m->scale = bits;
        else if (e->id == ID_DURATION)
                m->duration = to_double(bits, e->end - e->content);
        else if (e->end - e->content == 8)
                /* Signed nanoseconds. Zero is one that nobody set. */
                container_recorded(m->c, bits == 0 ? 0 : (int64_t) bits / NSEC_PER_SEC + EPOCH_2001_SEC);
        return 0;
}

static int read_info(Matroska *m, const Element *info) {
        uint64_t at = info->content, end = MIN2(info->end, m->l->size);

        while (at < end) {
                Element e;
                int r;

                r = element_read(m->l, at, end, &e);
                if (r != ELEMENT_READ)
                        return MIN2(r, 0);
                if (e.end > end)
                        return 0;
                r = read_info_element(m, &e);
                if (r < 0)
                        return r;
                at = e.end;
        }
        return 0;
}

static const char *name_of(uint32_t id) {
        return id == ID_SEGMENT ? "Segment" : id == ID_CLUSTER ? "Cluster" : id == ID_CUES ? "Cues" : id == ID_INFO ? "Info" : "element";
}

/*
 * One element and what is wrong with it: 1 when it is whole, 0 when the walk ends there. An open one is whole as far as anybody
 * knows.
 */
static int take_element(Matroska *m, uint64_t at, uint64_t end, Element *ret) {
        unsigned long long place = at, stop = MIN2(end, m->l->size);
        int r;

        r = element_read(m->l, at, end, ret);
        if (r < 0)
                return r;
        if (r == ELEMENT_CUT)
                container_incomplete(m->c, at, "the file ends at %llu, within the header of an element at %llu", stop, place);
        else if (r == ELEMENT_NONE)
                container_incomplete(m->c, at, "at %llu there is no element", place);
        else if (ret->end > stop && !ret->open)
                container_incomplete(m->c, at, "the %s at %llu says %llu bytes and %s ends at %llu", name_of(ret->id), place,
                                     (unsigned long long) (ret->end - at), stop == m->l->size ? "the file" : "what it is in", stop);
        else
                return 1;
        return 0;
}

/* A cluster of unknown size ends where something begins that cannot be in it: those have ids of four bytes. 1 or 0, as above. */
static int skip_open_cluster(Matroska *m, uint64_t end, uint64_t *at) {
        uint64_t stop = MIN2(end, m->l->size);

        while (*at < stop) {
                Element e;
                int r;

                r = take_element(m, *at, end, &e);
                if (r <= 0)
                        return r;
                if (e.id > 0xffffffu)
                        return 1;
                if (e.open) {
                        container_incomplete(m->c, *at, "the element at %llu has no size", (unsigned long long) *at);
                        return 0;
                }
                *at = e.end;
        }
        return 1;
}

static int walk_segment(Matroska *m, const Element *segment) {
        uint64_t at = segment->content, end = segment->open ? m->l->size : segment->end;

        while (at < MIN2(end, m->l->size)) {
                Element e;
                int r;

                r = take_element(m, at, end, &e);
                if (r < 0)
                        return r;
                if (e.id == ID_INFO && (r > 0 || m->c->offset == at)) {
                        int info = read_info(m, &e);

                        if (info < 0)
                                return info;
                }
                if (r == 0)
                        return 0;
                m->cluster = m->cluster || e.id == ID_CLUSTER;
                m->cues = m->cues || e.id == ID_CUES;
                at = e.open ? e.content : e.end;
                if (!e.open)
                        continue;
                if (e.id != ID_CLUSTER) {
                        container_incomplete(m->c, e.at, "the %s at %llu has no size", name_of(e.id), (unsigned long long) e.at);
                        return 0;
                }
                r = skip_open_cluster(m, end, &at);
                if (r <= 0)
                        return r;
        }
        return 0;
}

static void judge(Matroska *m, const Element *segment) {
        unsigned long long size = m->l->size, at = segment->at;

        if (!segment->open && segment->end > m->l->size)
                container_incomplete(m->c, segment->at, "the Segment at %llu says %llu bytes and the file ends at %llu", at,
                                     (unsigned long long) (segment->end - segment->at), size);
        else if (!m->cluster)
                container_incomplete(m->c, size, "no Cluster up to the file's end at %llu: there is a header and no footage", size);
        else if (segment->open && !m->cues)
                container_incomplete(m->c, segment->at, "the Segment at %llu has no size and no Cues: the recording was not closed", at);
        /* Also of what is no number this is false. */
        if (m->duration > 0 && m->duration * (double) m->scale / 1e6 < (double) CONTAINER_DURATION_MAX_MSEC)
                m->c->duration_msec = (uint64_t) (m->duration * (double) m->scale / 1e6);
}

static int read_doctype(Matroska *m, const Element *header) {
        uint64_t at = header->content, end = MIN2(header->end, m->l->size);
        char name[9];

        while (at < end) {
                Element e;
                int r;

                r = element_read(m->l, at, end, &e);
                if (r != ELEMENT_READ)
                        return MIN2(r, 0);
                if (e.id == ID_DOCTYPE && e.end <= end && e.end - e.content < sizeof(name)) {
                        memset(name, 0, sizeof(name));
                        r = look_at(m->l, e.content, name, (size_t) (e.end - e.content));
                        if (r < 0)
                                return r;
                        m->c->format = strcmp(name, "webm") == 0 ? CONTAINER_WEBM : CONTAINER_MATROSKA;
                        return 0;
                }
                at = e.end;
        }
        return 0;
}

int container_matroska(Look *l, const uint8_t first[static CONTAINER_FIRST], Container *c) {
        Matroska m = { .l = l, .c = c, .scale = 1000000 };
        Element e = {};
        int r;

        if (be32(first) != ID_EBML)
                return 0;
        c->format = CONTAINER_MATROSKA;
        r = take_element(&m, 0, l->size, &e);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = read_doctype(&m, &e);
        while (r >= 0 && e.id != ID_SEGMENT) {
                uint64_t at = e.end;

                if (at >= l->size) {
                        container_incomplete(c, l->size, "no Segment up to the file's end at %llu", (unsigned long long) l->size);
                        return 1;
                }
                r = element_read(l, at, l->size, &e);
                if (r > 0) {
                        container_incomplete(c, at, "at %llu there is no Segment", (unsigned long long) at);
                        return 1;
                }
        }
        if (r >= 0)
                r = walk_segment(&m, &e);
        if (r < 0)
                return r;
        judge(&m, &e);
        return 1;
}
