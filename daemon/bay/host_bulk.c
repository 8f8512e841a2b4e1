/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/wire_bay.h"
#include "bay/host.h"

/*
 * Bulk IN with several transfers in flight, each straight to where its bytes belong in the ring, which reserves and commits in the order
 * of the bytes.
 *
 * All usbfs users share 16 MiB of kernel buffers by default (usbcore.usbfs_memory_mb), so two transfers as large as the ring
 * reserves are asked for, and fewer and smaller ones when the kernel has no room.
 *
 * Where the host controller takes no scattered buffers, libusb would cut a transfer into pieces of 16 KiB and make one error of
 * all that can happen to them. There more transfers of that size are in flight.
 */
#define FLIGHTS_MAX 16u
#define FLIGHTS_LARGE 2u
#define TRANSFER_SIZE RING_RUN_MAX
_Static_assert(FLIGHTS_LARGE * TRANSFER_SIZE <= WIRE_BAY_USB_MEMORY, "who asks whether there is room counts with less");
#define TRANSFER_SIZE_MIN RING_PACKET_MAX
#define NO_ROOM_RETRY_NSEC (10 * 1000 * 1000)
/* What a device can have sent into transfers that were queued behind the one in which it ended the data. */
#define PUSHBACK_MAX ((size_t) FLIGHTS_LARGE * TRANSFER_SIZE)

typedef struct Flight {
        struct libusb_transfer *transfer;
        int done; /* as libusb_handle_events_timeout_completed() wants it */
} Flight;

typedef struct Run {
        berth_host *host;
        uint8_t endpoint;
        size_t packet;
        size_t size; /* of the transfers that are submitted now: whole packets */
        uint64_t length;
        uint64_t submitted, delivered;
        Flight flights[FLIGHTS_MAX];
        unsigned most; /* in flight */
        unsigned head, n;
        bool ended; /* a short packet came */
        int error;
} Run;

int host_pushback_add(berth_host *h, uint8_t endpoint, const uint8_t *data, size_t size) {
        Pushback *p, **last = &h->pushback;
        size_t held = size;

        for (; *last; last = &(*last)->next)
                held += (*last)->size;
        if (size == 0)
                return 0;
        if (held > PUSHBACK_MAX)
                return -EOVERFLOW;
        p = malloc(sizeof(Pushback) + size);
        if (!p)
                return -ENOMEM;
        *p = (Pushback){ .endpoint = endpoint, .size = size };
        memcpy(p->data, data, size);
        *last = p;
        return 0;
}

Pushback *host_pushback_take(berth_host *h, uint8_t endpoint) {
        for (Pushback **p = &h->pushback; *p; p = &(*p)->next)
                if ((*p)->endpoint == endpoint) {
                        Pushback *found = *p;

                        *p = found->next;
                        return found;
                }
        return NULL;
}

void host_pushback_drop(berth_host *h, uint8_t endpoint) {
        for (Pushback *p; (p = host_pushback_take(h, endpoint));)
                free(p);
}

static void on_transfer(struct libusb_transfer *transfer) {
        Flight *f = transfer->user_data;

        f->done = 1;
}

static Flight *flight(Run *run, unsigned i) {
        return &run->flights[(run->head + i) % FLIGHTS_MAX];
}

static size_t whole_packets(const Run *run, size_t size) {
        return MAX2(size / run->packet, (size_t) 1) * run->packet;
}

/* Submits one transfer. 0, -EAGAIN when there is no room for it now and others are in flight, or an error. */
static int submit(Run *run) {
        uint64_t left = run->length - run->submitted;
        Flight *f = flight(run, run->n);
        size_t most = MIN2(run->size, whole_packets(run, ring_straight(run->host->ring) + run->packet - 1));
        size_t asked = (size_t) MIN2(left, (uint64_t) most);
        /* A request that is no multiple of the packet size would be overrun by the last packet of a long answer. */
        size_t size = whole_packets(run, asked + run->packet - 1);
        uint8_t *place;
        int r;

        r = run->n > 0 ? ring_try_reserve(run->host->ring, size, &place) : ring_reserve(run->host->ring, size, &place);
        if (r < 0)
                return r;
        libusb_fill_bulk_transfer(f->transfer, run->host->device, run->endpoint, place, (int) size, on_transfer, f, 0);
        f->done = 0;
        r = libusb_submit_transfer(f->transfer);
        if (r == 0) {
                run->n++;
                run->submitted += asked;
                return 0;
        }
        ring_unreserve(run->host->ring, size);
        if (r != LIBUSB_ERROR_NO_MEM)
                return host_usb_error(run->host, r);
        return -EAGAIN;
}

static int fill(Run *run, uint64_t until_usec) {
        while (run->n < run->most && run->submitted < run->length) {
                int r = submit(run);

                if (r == -EAGAIN && run->n > 0)
                        return 0;
                if (r == -EAGAIN && run->size / 2 >= MAX2(TRANSFER_SIZE_MIN, run->packet))
                        run->size = whole_packets(run, run->size / 2);
                else if (r == -EAGAIN && clock_boottime_usec() < until_usec)
                        (void) nanosleep(&(struct timespec){ .tv_nsec = NO_ROOM_RETRY_NSEC }, NULL);
                else if (r < 0)
                        return r == -EAGAIN ? -ENOMEM : r;
        }
        return 0;
}

/* Waits until the oldest transfer is done. -ETIMEDOUT after `timeout_msec` without any being done. */
static int wait_for(Run *run, Flight *f, uint64_t until_usec) {
        while (!f->done) {
                uint64_t now = clock_boottime_usec(), wait;
                struct timeval left;
                int r;

                if (now >= until_usec)
                        return -ETIMEDOUT;
                /* libusb counts milliseconds in an int. */
                wait = MIN2(until_usec - now, 60 * USEC_PER_SEC);
                left.tv_sec = (time_t) (wait / USEC_PER_SEC);
                left.tv_usec = (suseconds_t) (wait % USEC_PER_SEC);
                r = libusb_handle_events_timeout_completed(run->host->context, &left, &f->done);
                if (r != 0 && r != LIBUSB_ERROR_INTERRUPTED)
                        return host_usb_error(run->host, r);
        }
        return 0;
}

static int status_error(berth_host *h, enum libusb_transfer_status status) {
        switch (status) {
        case LIBUSB_TRANSFER_COMPLETED:
        case LIBUSB_TRANSFER_CANCELLED:
                return 0;
        case LIBUSB_TRANSFER_TIMED_OUT:
                return -ETIMEDOUT;
        case LIBUSB_TRANSFER_STALL:
                return -EPIPE;
        case LIBUSB_TRANSFER_NO_DEVICE:
                return host_usb_error(h, LIBUSB_ERROR_NO_DEVICE);
        case LIBUSB_TRANSFER_OVERFLOW:
                return -EOVERFLOW;
        default:
                return -EIO;
        }
}

/* Takes the oldest transfer, which is done: its bytes become the clip's, or, behind the end of the data, pushback. */
static void take(Run *run) {
        const struct libusb_transfer *t = run->flights[run->head].transfer;
        size_t got = (size_t) t->actual_length;
        size_t mine = run->ended || run->error < 0 ? 0 : (size_t) MIN2((uint64_t) got, run->length - run->delivered);
        int r = 0;

        run->head = (run->head + 1) % FLIGHTS_MAX;
        run->n--;
        if (got > mine && run->error == 0)
                r = host_pushback_add(run->host, run->endpoint, t->buffer + mine, got - mine);
        if (mine > 0) {
                run->delivered += mine;
                host_count(run->host, mine);
                r = ring_commit(run->host->ring, t->buffer, mine);
        }
        if (r == 0)
                r = status_error(run->host, t->status);
        if (r < 0 && run->error == 0)
                run->error = r;
        if (t->status == LIBUSB_TRANSFER_COMPLETED && t->actual_length < t->length)
                run->ended = true;
}

/* Takes back what is in flight, with the bytes that have arrived. */
static void land(Run *run) {
        /* The youngest first, so that the bytes keep coming into the oldest. */
        for (unsigned i = run->n; i > 0; i--)
                if (!flight(run, i - 1)->done)
                        (void) libusb_cancel_transfer(flight(run, i - 1)->transfer);
        while (run->n > 0) {
                int r;

                /* The kernel answers every cancelled transfer, at once, and an unplugged device's too. */
                r = wait_for(run, flight(run, 0), UINT64_MAX);
                if (r < 0) {
                        run->error = r;
                        return;
                }
                take(run);
        }
        ring_release(run->host->ring);
}

/* The camera was silent as far as whole transfers tell. Bytes of an unfinished one show that it is only slow. */
static int on_silence(Run *run) {
        uint64_t before = run->delivered;

        land(run);
        if (run->error < 0)
                return run->error;
        if (run->delivered == before && !run->ended)
                return -ETIMEDOUT;
        run->submitted = run->delivered;
        run->size = whole_packets(run, TRANSFER_SIZE_MIN);
        return 0;
}

static int move(Run *run, unsigned timeout_msec) {
        while (run->delivered < run->length && !run->ended) {
                uint64_t until = clock_boottime_usec() + timeout_msec * USEC_PER_MSEC;
                int r;

                r = fill(run, until);
                if (r == 0)
                        /* Anew, as filling may have waited for the disk. */
                        r = wait_for(run, flight(run, 0), clock_boottime_usec() + timeout_msec * USEC_PER_MSEC);
                if (r == 0)
                        take(run);
                else if (r == -ETIMEDOUT)
                        r = on_silence(run);
                if (r == 0)
                        r = run->error;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int run_bulk(Run *run, unsigned timeout_msec) {
        int r = 0;

        for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
                run->flights[i].transfer = libusb_alloc_transfer(0);
                if (!run->flights[i].transfer)
                        r = -ENOMEM;
        }
        if (r == 0)
                r = move(run, timeout_msec);
        land(run);
        if (r == 0)
                r = run->error;
        /* One that never came back still belongs to libusb. */
        for (unsigned i = 0; i < FLIGHTS_MAX; i++)
                if (run->n == 0)
                        libusb_free_transfer(run->flights[i].transfer);
        return r;
}

/* What an earlier data phase left behind comes first, as it would without it. */
static int deliver_pushback(Run *run) {
        Pushback *p;

        while (run->delivered < run->length && !run->ended && (p = host_pushback_take(run->host, run->endpoint))) {
                _cleanup_(freep) Pushback *held = p;
                size_t n = (size_t) MIN2((uint64_t) p->size, run->length - run->delivered);
                int r;

                r = berth_host_deliver(run->host, p->data, n);
                if (r >= 0)
                        r = host_flush(run->host);
                if (r < 0)
                        return r;
                run->delivered += n;
                if (n < p->size)
                        return host_pushback_add(run->host, run->endpoint, p->data + n, p->size - n);
                run->ended = p->size % run->packet != 0;
        }
        run->submitted = run->delivered;
        return 0;
}

int64_t berth_host_deliver_bulk(berth_host *h, uint8_t endpoint, uint64_t length, unsigned timeout_msec) {
        Run run = { .host = h, .endpoint = endpoint, .length = length };
        int r;

        if (!h->ring) {
                h->breach = h->breach == HOST_FINE ? HOST_MISPLACED : h->breach;
                return -EPERM;
        }
        if (timeout_msec == 0 || !(endpoint & LIBUSB_ENDPOINT_IN))
                return -EINVAL;
        if (length > h->asked - h->delivered - h->filled) {
                h->breach = h->breach == HOST_FINE ? HOST_OVERFLOW : h->breach;
                return -EOVERFLOW;
        }
        r = host_attach(h);
        if (r < 0)
                return r;
        run.most = h->scatters ? FLIGHTS_LARGE : FLIGHTS_MAX;
        run.packet = host_packet_size(h, endpoint);
        if (run.packet == 0 || run.packet > RING_PACKET_MAX)
                return -EINVAL;
        run.size = whole_packets(&run, h->scatters ? TRANSFER_SIZE : TRANSFER_SIZE_MIN);
        r = host_flush(h);
        if (r >= 0)
                r = deliver_pushback(&run);
        if (r >= 0)
                r = run_bulk(&run, timeout_msec);
        return r < 0 ? r : (int64_t) run.delivered;
}
