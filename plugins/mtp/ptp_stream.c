/* SPDX-License-Identifier: Apache-2.0 */
#include "ptp_stream.h"

#include <errno.h>
#include <stdlib.h>

#include "ptp.h"

#define SCRATCH_SIZE (256u << 10)
#define BULK_STEP (UINT64_C(1) << 30) /* of a data phase whose length nobody knows */
#define READ_AWAY_MAX (UINT64_C(1) << 20) /* less than a Cancel costs */

typedef struct Cursor {
        PtpLink *link;
        PtpStream *stream;
        uint64_t total; /* bytes of the data phase, UINT64_MAX when its end will tell */
        bool ended;     /* a packet came that was not full */
        uint8_t *scratch;
} Cursor;

static uint64_t min_u64(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

/* Bytes of the data phase that are still to come, and bytes of the window that are still to be delivered. */
static uint64_t cursor_left(const Cursor *c) {
        return c->total == UINT64_MAX ? UINT64_MAX : c->total - c->stream->received;
}

static uint64_t cursor_wanted(const Cursor *c) {
        return c->stream->length == UINT64_MAX ? UINT64_MAX : c->stream->length - c->stream->delivered;
}

/* Takes bytes that were read into our own memory: delivers those that lie in the window. */
static int cursor_take(Cursor *c, const uint8_t *data, size_t size) {
        PtpStream *s = c->stream;
        uint64_t pass, n;
        int r;

        if (size > cursor_left(c))
                return -EBADMSG;
        pass = s->received < s->skip ? min_u64(s->skip - s->received, size) : 0;
        n = min_u64(size - pass, cursor_wanted(c));
        s->received += size;
        if (s->received > s->most)
                return -EMSGSIZE;
        if (n == 0)
                return 0;
        r = berth_host_deliver(c->link->host, data + pass, (size_t) n);
        if (r < 0)
                return r;
        s->delivered += n;
        return 0;
}

/* Reads at most `want` bytes, rounded up to whole packets, through our own memory. */
static int cursor_read(Cursor *c, uint64_t want) {
        size_t packet = c->link->packet_in, size = (size_t) min_u64(want, SCRATCH_SIZE - PTP_PACKET_MAX);
        ssize_t n;

        size = (size + packet - 1) / packet * packet;
        n = ptp_link_read(c->link, c->scratch, size, c->link->timeout_msec);
        if (n < 0)
                return (int) n;
        c->ended = n == 0 || (size_t) n % packet != 0;
        return cursor_take(c, c->scratch, (size_t) n);
}

/* Delivers whole packets that lie in the window without touching them. */
static int cursor_deliver(Cursor *c, uint64_t size) {
        int64_t n;

        n = berth_host_deliver_bulk(c->link->host, c->link->bulk_in, size, c->link->timeout_msec);
        if (n < 0)
                return (int) n;
        if ((uint64_t) n > size)
                return -EIO;
        c->stream->received += (uint64_t) n;
        c->stream->delivered += (uint64_t) n;
        c->ended = (uint64_t) n < size;
        return 0;
}

static int cursor_step(Cursor *c) {
        PtpStream *s = c->stream;
        uint64_t left = cursor_left(c), wanted = cursor_wanted(c), room = s->most - s->received, whole;

        if (wanted == 0) {
                berth_host_alive(c->link->host);
                return cursor_read(c, left);
        }
        if (s->received < s->skip) {
                berth_host_alive(c->link->host);
                return cursor_read(c, min_u64(left, s->skip - s->received));
        }
        /* The last packet goes through our own memory: there it shows when the camera sends more than it should. */
        whole = min_u64(min_u64(left, wanted), min_u64(room, BULK_STEP));
        whole -= whole % c->link->packet_in;
        return whole > 0 ? cursor_deliver(c, whole) : cursor_read(c, min_u64(left, c->link->packet_in));
}

static int cursor_run(Cursor *c, bool *ret_cut) {
        while (!c->ended && c->stream->received < c->total) {
                int r;

                if (cursor_wanted(c) == 0 && cursor_left(c) > READ_AWAY_MAX && !c->link->no_cancel) {
                        *ret_cut = true;
                        return 0;
                }
                r = cursor_step(c);
                if (r < 0)
                        return r;
        }
        /* It stopped before what it announced. */
        if (c->total != UINT64_MAX && c->stream->received != c->total)
                return -EBADMSG;
        return 0;
}

/* How many bytes the data phase has: from its header, and from what the caller knows. -EBADMSG when they disagree. */
static int stream_total(const PtpStream *s, const PtpHeader *header, uint64_t *ret) {
        uint64_t announced = header->length == PTP_LENGTH_UNKNOWN ? UINT64_MAX : header->length - PTP_HEADER_SIZE;

        if (s->exact == UINT64_MAX) {
                *ret = announced;
                return announced != UINT64_MAX && announced > s->most ? -EMSGSIZE : 0;
        }
        /* From 4 GiB on the header cannot say it: 0xFFFFFFFF by the standard, the low 32 bits from some cameras. */
        if (announced != UINT64_MAX && header->length != (uint32_t) (s->exact + PTP_HEADER_SIZE))
                return -EBADMSG;
        *ret = s->exact;
        return 0;
}

int ptp_stream_receive(PtpLink *link, PtpStream *stream, const PtpHeader *header, const uint8_t *packet, size_t n,
                       bool *ret_cut) {
        Cursor c = { .link = link, .stream = stream };
        bool cut = false;
        int r;

        stream->began = true;
        r = stream_total(stream, header, &c.total);
        if (r < 0)
                return r;
        /* Some cameras send the header in a packet of its own. */
        c.ended = n < link->packet_in && n > PTP_HEADER_SIZE;
        r = cursor_take(&c, packet + PTP_HEADER_SIZE, n - PTP_HEADER_SIZE);
        if (r < 0)
                return r;
        c.scratch = malloc(SCRATCH_SIZE);
        if (!c.scratch)
                return -ENOMEM;
        r = cursor_run(&c, &cut);
        free(c.scratch);
        if (r < 0)
                return r;
        *ret_cut = cut;
        return 0;
}
