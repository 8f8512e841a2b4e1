/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/urb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/macro.h"
#include "sim/usbfs.h"

/* What the kernel counts for a URB beside its buffer. */
#define URB_OVERHEAD 256u
#define SETUP_SIZE 8u

uint64_t urb_memory_limit = 16 * MIB;
static _Atomic(uint64_t) memory_used;

int urb_new(OpenFile *file, size_t length, unsigned packet_size, Urb **ret) {
        Urb *urb;
        uint64_t charge = length + URB_OVERHEAD;

        if (atomic_fetch_add(&memory_used, charge) + charge > urb_memory_limit && urb_memory_limit > 0) {
                atomic_fetch_sub(&memory_used, charge);
                return -ENOMEM;
        }
        urb = calloc(1, sizeof(*urb));
        if (urb) {
                urb->capacity = (length / packet_size + (length % packet_size > 0 || length == 0)) * packet_size;
                urb->buffer = malloc(urb->capacity);
        }
        if (!urb || !urb->buffer) {
                free(urb);
                atomic_fetch_sub(&memory_used, charge);
                return -ENOMEM;
        }
        urb->file = file;
        urb->length = length;
        urb->charged = charge;
        *ret = urb;
        return 0;
}

Urb *urb_free(Urb *urb) {
        if (!urb)
                return NULL;
        atomic_fetch_sub(&memory_used, urb->charged);
        free(urb->buffer);
        free(urb);
        return NULL;
}

void file_wake(OpenFile *file) {
        Waiter *waiter;

        while ((waiter = TAILQ_FIRST(&file->reapers))) {
                Urb *urb = TAILQ_FIRST(&file->completed);

                if (!urb && !file->node->gone)
                        break;
                TAILQ_REMOVE(&file->reapers, waiter, entry);
                if (urb)
                        TAILQ_REMOVE(&file->completed, urb, entry);
                usbfs_answer_reaper(waiter, urb);
        }
        if (file->poll_handle && (!TAILQ_EMPTY(&file->completed) || file->node->gone))
                usbfs_notify(TAKE_PTR(file->poll_handle));
}

/*
 * The kernel's rule for transfers split into several URBs: when one ends early, those queued after it that continue
 * the same transfer are cancelled, and later continuations refused until a new transfer begins.
 */
static void cancel_continuations(Urb *ended) {
        OpenFile *file = ended->file;
        unsigned slot = endpoint_slot(ended->endpoint);
        struct UrbList cancelled = TAILQ_HEAD_INITIALIZER(cancelled);
        Urb *urb, *next;

        for (urb = TAILQ_FIRST(&file->pending); urb; urb = next) {
                next = TAILQ_NEXT(urb, entry);
                if (urb->type != USBDEVFS_URB_TYPE_BULK || endpoint_slot(urb->endpoint) != slot)
                        continue;
                if (!urb->continuation)
                        return;
                urb->continuation = false;
                urb_complete(urb, -ECONNRESET);
        }
        file->disabled_bulk |= UINT32_C(1) << slot;
}

void urb_complete(Urb *urb, int status) {
        OpenFile *file = urb->file;
        unsigned slot = urb->type == USBDEVFS_URB_TYPE_CONTROL ? 0 : endpoint_slot(urb->endpoint);

        TAILQ_REMOVE(&file->node->endpoints[slot].queue, urb, queue_entry);
        TAILQ_REMOVE(&file->pending, urb, entry);
        if (status == 0 && urb->in && urb->actual < urb->length && urb->flags & USBDEVFS_URB_SHORT_NOT_OK)
                status = -EREMOTEIO;
        urb->status = status;
        if (urb->sync.request) {
                usbfs_answer_sync(urb);
                urb_free(urb);
                return;
        }
        TAILQ_INSERT_TAIL(&file->completed, urb, entry);
        if (status < 0 && urb->type == USBDEVFS_URB_TYPE_BULK && status != -ECONNRESET && status != -ENOENT)
                cancel_continuations(urb);
        file_wake(file);
}

/* The fault "corrupt": inverts the bytes of the stream that were asked for. */
static void corrupt(const Faults *faults, uint64_t position, uint8_t *data, size_t size) {
        uint64_t from = MAX2(faults->corrupt_at, position);
        uint64_t to = MIN2(faults->corrupt_at + faults->corrupt_count, position + size);

        for (uint64_t at = from; at < to; at++)
                data[at - position] ^= 0xff;
}

static bool paced(SimDevice *device) {
        if (device->faults.bytes_per_sec == 0 || sim_now_usec() >= device->faults.paced_until_usec)
                return false;
        sim_timer_arm(&device->timer, device->faults.paced_until_usec);
        return true;
}

static void pace(Faults *faults, size_t bytes) {
        uint64_t begin = MAX2(faults->paced_until_usec, sim_now_usec());

        if (faults->bytes_per_sec > 0)
                faults->paced_until_usec = begin + bytes * USEC_PER_SEC / faults->bytes_per_sec;
}

/* What was to be slow from there on only. */
static void slow_down(Faults *faults, uint64_t position) {
        if (position < faults->slow_at)
                return;
        faults->bytes_per_sec = faults->slow_to;
        faults->slow_at = UINT64_MAX;
}

/* The cable is out from this moment; the timer's thread tells the rest of the world. */
static void pull_out(Node *node) {
        node->device->unplug_due = true;
        node_lose(node);
        sim_timer_arm(&node->device->timer, 0);
}

/* Bytes, -EPIPE, SIM_NAK; -ESHUTDOWN: the device went in the middle of it and the URB is completed already. */
static int run_in(Node *node, Urb *urb) {
        SimDevice *device = node->device;
        bool bulk = urb->type == USBDEVFS_URB_TYPE_BULK;
        int n;

        if (bulk && paced(device))
                return SIM_NAK;
        n = device->model->in(device->state, urb->endpoint, urb->buffer, urb->capacity);
        if (n < 0 || !bulk)
                return n;
        if (device->counters.bulk_in + (uint64_t) n > device->faults.unplug_at) {
                pull_out(node);
                return -ESHUTDOWN;
        }
        corrupt(&device->faults, device->counters.bulk_in, urb->buffer, (size_t) n);
        device->counters.bulk_in += (uint64_t) n;
        slow_down(&device->faults, device->counters.bulk_in);
        pace(&device->faults, (size_t) n);
        return n;
}

static int run_out(Node *node, Urb *urb) {
        SimDevice *device = node->device;
        bool zero_packet = urb->flags & USBDEVFS_URB_ZERO_PACKET && urb->length > 0 && urb->length == urb->capacity;
        int n;

        n = device->model->out(device->state, urb->endpoint, urb->buffer, urb->length);
        if (n == -ESHUTDOWN) {
                pull_out(node);
                return n;
        }
        if (n >= 0 && zero_packet)
                (void) device->model->out(device->state, urb->endpoint, urb->buffer, 0);
        if (n > 0 && urb->type == USBDEVFS_URB_TYPE_BULK)
                device->counters.bulk_out += (uint64_t) n;
        return n;
}

static int run_control(Node *node, Urb *urb) {
        size_t length = (size_t) (urb->buffer[6] | urb->buffer[7] << 8);

        return node_control(node, urb->buffer, urb->buffer + SETUP_SIZE, MIN2(length, urb->length - SETUP_SIZE));
}

/* Asks the model about one URB at the head of its endpoint. False: it has to wait. */
static bool urb_run(Node *node, Endpoint *endpoint, Urb *urb) {
        bool control = urb->type == USBDEVFS_URB_TYPE_CONTROL;
        int n;

        if (endpoint->halted && !control) {
                urb_complete(urb, -EPIPE);
                return true;
        }
        if (control)
                n = run_control(node, urb);
        else
                n = urb->in ? run_in(node, urb) : run_out(node, urb);
        if (n == SIM_NAK)
                return false;
        if (n == -ESHUTDOWN)
                return true;
        if (n < 0) {
                endpoint->halted = !control;
                urb_complete(urb, n == -EPIPE ? -EPIPE : -EPROTO);
                return true;
        }
        urb->actual = MIN2((size_t) n, control ? urb->length - SETUP_SIZE : urb->length);
        urb_complete(urb, !control && (size_t) n > urb->length ? -EOVERFLOW : 0);
        if (node->device->counters.bulk_in >= node->device->faults.unplug_at)
                pull_out(node);
        return true;
}

void node_pump(Node *node) {
        bool moved;

        do {
                moved = false;
                for (unsigned slot = 0; slot < ENDPOINT_SLOTS; slot++) {
                        Endpoint *endpoint = &node->endpoints[slot];
                        Urb *urb;

                        while (!node->gone && (urb = TAILQ_FIRST(&endpoint->queue)) && urb_run(node, endpoint, urb))
                                moved = true;
                }
        } while (moved && !node->gone);
}

static bool reads_descriptor(const Urb *urb) {
        return urb->type == USBDEVFS_URB_TYPE_CONTROL && urb->buffer[0] == 0x80 && urb->buffer[1] == 6;
}

void urb_submit(Urb *urb) {
        Node *node = urb->file->node;
        unsigned slot = urb->type == USBDEVFS_URB_TYPE_CONTROL ? 0 : endpoint_slot(urb->endpoint);

        TAILQ_INSERT_TAIL(&node->endpoints[slot].queue, urb, queue_entry);
        TAILQ_INSERT_TAIL(&urb->file->pending, urb, entry);
        if (!reads_descriptor(urb))
                node->device->counters.requests++;
        if (urb->sync.request && urb->sync.deadline_usec != UINT64_MAX)
                sim_timer_arm(&node->device->timer, urb->sync.deadline_usec);
        node_pump(node);
}

void urb_drop(Urb *urb) {
        unsigned slot = urb->type == USBDEVFS_URB_TYPE_CONTROL ? 0 : endpoint_slot(urb->endpoint);

        TAILQ_REMOVE(&urb->file->node->endpoints[slot].queue, urb, queue_entry);
        TAILQ_REMOVE(&urb->file->pending, urb, entry);
        urb_free(urb);
}

static void flush_endpoint(Endpoint *endpoint, int status) {
        Urb *urb;

        while ((urb = TAILQ_FIRST(&endpoint->queue)))
                urb_complete(urb, status);
}

void node_lose(Node *node) {
        OpenFile *file;

        if (node->gone)
                return;
        node->gone = true;
        for (unsigned slot = 0; slot < ENDPOINT_SLOTS; slot++)
                flush_endpoint(&node->endpoints[slot], -ESHUTDOWN);
        TAILQ_FOREACH(file, &node->files, entry)
                file_wake(file);
        usbfs_answer_claimers(node, UINT64_MAX);
}

static bool urb_is_of(const Urb *urb, int interface) {
        const Node *node = urb->file->node;
        const UsbEndpoint *endpoint;

        if (interface < 0)
                return true;
        if (urb->type == USBDEVFS_URB_TYPE_CONTROL)
                return false;
        endpoint = descriptors_endpoint(&node->descriptors, urb->endpoint, node->alternates);
        return endpoint && endpoint->interface == interface;
}

void file_kill_urbs(OpenFile *file, int interface) {
        Urb *urb, *next;

        for (urb = TAILQ_FIRST(&file->pending); urb; urb = next) {
                next = TAILQ_NEXT(urb, entry);
                if (urb_is_of(urb, interface))
                        urb_complete(urb, -ENOENT);
        }
}

void node_reset_endpoints(Node *node) {
        for (unsigned slot = 0; slot < ENDPOINT_SLOTS; slot++) {
                if (slot > 0)
                        flush_endpoint(&node->endpoints[slot], -ENOENT);
                node->endpoints[slot].halted = false;
        }
}

void node_clear_halt(Node *node, uint8_t endpoint) {
        node->endpoints[endpoint_slot(endpoint)].halted = false;
        if (node->device->model->clear_halt)
                node->device->model->clear_halt(node->device->state, endpoint);
}

void node_tick(Node *node, uint64_t now_usec) {
        uint64_t next = UINT64_MAX;

        for (unsigned slot = 0; slot < ENDPOINT_SLOTS; slot++) {
                Urb *urb, *after;

                for (urb = TAILQ_FIRST(&node->endpoints[slot].queue); urb; urb = after) {
                        after = TAILQ_NEXT(urb, queue_entry);
                        if (!urb->sync.request)
                                continue;
                        if (urb->sync.deadline_usec <= now_usec)
                                urb_complete(urb, -ETIMEDOUT);
                        else
                                next = MIN2(next, urb->sync.deadline_usec);
                }
        }
        next = MIN2(next, usbfs_answer_claimers(node, now_usec));
        if (next != UINT64_MAX)
                sim_timer_arm(&node->device->timer, next);
        node_pump(node);
}
