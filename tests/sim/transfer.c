/* SPDX-License-Identifier: Apache-2.0 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/macro.h"
#include "sim/claim.h"
#include "sim/client.h"
#include "sim/ioctl.h"
#include "sim/usbfs.h"

#define TRANSFER_MAX (UINT32_C(1) << 30)
#define SETUP_SIZE 8u
#define CONTROL_DATA_MAX 4096u

/* ---- reaping ---------------------------------------------------------------------------------------------- */

/* Copies a finished URB to the memory of whoever reaps it: its data, its results, and where it was. Frees it. */
static int give_urb(Urb *urb, pid_t pid, uint64_t argument) {
        size_t skip = urb->type == USBDEVFS_URB_TYPE_CONTROL ? SETUP_SIZE : 0;
        uint64_t status_address = urb->address + offsetof(struct usbdevfs_urb, status);
        uint64_t actual_address = urb->address + offsetof(struct usbdevfs_urb, actual_length);
        int actual = (int) urb->actual;
        int r = 0;

        if (urb->in)
                r = client_write(pid, urb->data_address + skip, urb->buffer + skip, urb->actual);
        if (r >= 0)
                r = client_write(pid, status_address, &urb->status, sizeof(urb->status));
        if (r >= 0)
                r = client_write(pid, actual_address, &actual, sizeof(actual));
        if (r >= 0)
                r = client_write(pid, argument, &urb->address, sizeof(urb->address));
        urb_free(urb);
        return r;
}

void usbfs_answer_reaper(Waiter *waiter, Urb *urb) {
        int r = urb ? give_urb(urb, waiter->client, waiter->argument) : -ENODEV;

        if (r < 0)
                fuse_reply_err(waiter->request, -r);
        else
                fuse_reply_ioctl(waiter->request, 0, NULL, 0);
        free(waiter);
}

int call_reap(const Call *call, bool block) {
        Urb *urb;
        int r;

        if (block)
                call_may_wait(call);
        pthread_mutex_lock(&call->device->lock);
        urb = TAILQ_FIRST(&call->file->completed);
        if (urb) {
                TAILQ_REMOVE(&call->file->completed, urb, entry);
                r = 0;
        } else if (call->node->gone) {
                r = -ENODEV;
        } else if (block) {
                r = call_wait(call, &call->file->reapers, UINT64_MAX, 0);
        } else {
                r = -EAGAIN;
        }
        pthread_mutex_unlock(&call->device->lock);
        return urb ? give_urb(urb, call->pid, call->argument) : r;
}

/* ---- submitting ------------------------------------------------------------------------------------------- */

/* Whose claim a control request needs, as the kernel has it (check_ctrlrecip). -1: nobody's. */
static int control_interface(const Call *call, const uint8_t *setup, int *ret) {
        const UsbEndpoint *endpoint;
        uint8_t index = setup[4];

        *ret = -1;
        if ((setup[0] & 0x60) == 0x40)
                return 0;
        if ((setup[0] & 0x1f) == 1) {
                if (!descriptors_interface(&call->node->descriptors, index, 0))
                        return -ENOENT;
                *ret = index;
        } else if ((setup[0] & 0x1f) == 2 && (index & 0x7f) != 0) {
                endpoint = descriptors_endpoint(&call->node->descriptors, index, call->node->alternates);
                if (!endpoint)
                        return -ENOENT;
                *ret = endpoint->interface;
        }
        return 0;
}

/* The interface whose claim the endpoint needs, and its packet size. */
static int find_endpoint(const Call *call, uint8_t address, const UsbEndpoint **ret) {
        pthread_mutex_lock(&call->device->lock);
        *ret = descriptors_endpoint(&call->node->descriptors, address, call->node->alternates);
        pthread_mutex_unlock(&call->device->lock);
        return *ret ? 0 : -ENOENT;
}

static int new_control(const Call *call, const uint8_t setup[SETUP_SIZE], uint64_t data_address, size_t data_size,
                       Urb **ret) {
        int interface, r;
        Urb *urb;

        r = control_interface(call, setup, &interface);
        if (r < 0)
                return r;
        if (interface >= 0) {
                r = claim_ensure(call->file, (unsigned) interface);
                if (r < 0)
                        return r;
        }
        r = urb_new(call->file, SETUP_SIZE + data_size, 1, &urb);
        if (r < 0)
                return r;
        urb->type = USBDEVFS_URB_TYPE_CONTROL;
        urb->in = setup[0] & ENDPOINT_IN;
        memcpy(urb->buffer, setup, SETUP_SIZE);
        if (!urb->in) {
                r = client_read(call->pid, data_address, urb->buffer + SETUP_SIZE, data_size);
                if (r < 0) {
                        urb_free(urb);
                        return r;
                }
        }
        *ret = urb;
        return 0;
}

static int new_data(const Call *call, uint8_t type, uint8_t address, uint64_t data_address, size_t size, Urb **ret) {
        const UsbEndpoint *endpoint;
        Urb *urb;
        int r;

        r = find_endpoint(call, address, &endpoint);
        if (r < 0)
                return r;
        if (endpoint->type == ENDPOINT_TYPE_ISOCHRONOUS)
                return -EINVAL;
        if (type == USBDEVFS_URB_TYPE_INTERRUPT && endpoint->type != ENDPOINT_TYPE_INTERRUPT)
                return -EINVAL;
        r = claim_ensure(call->file, endpoint->interface);
        if (r < 0)
                return r;
        r = urb_new(call->file, size, endpoint->packet_size, &urb);
        if (r < 0)
                return r;
        urb->type = endpoint->type == ENDPOINT_TYPE_INTERRUPT ? USBDEVFS_URB_TYPE_INTERRUPT : USBDEVFS_URB_TYPE_BULK;
        urb->endpoint = address;
        urb->in = address & ENDPOINT_IN;
        if (!urb->in) {
                r = client_read(call->pid, data_address, urb->buffer, size);
                if (r < 0) {
                        urb_free(urb);
                        return r;
                }
        }
        *ret = urb;
        return 0;
}

static int new_from_client(const Call *call, const struct usbdevfs_urb *from, Urb **ret) {
        uint64_t data_address = (uint64_t) (uintptr_t) from->buffer;
        uint8_t setup[SETUP_SIZE];
        size_t data_size;
        int r;

        if (from->buffer_length < 0 || (uint32_t) from->buffer_length > TRANSFER_MAX)
                return -EINVAL;
        if (from->buffer_length > 0 && !from->buffer)
                return -EINVAL;
        switch (from->type) {
        case USBDEVFS_URB_TYPE_CONTROL:
                if ((size_t) from->buffer_length < SETUP_SIZE)
                        return -EINVAL;
                r = client_read(call->pid, data_address, setup, sizeof(setup));
                if (r < 0)
                        return r;
                data_size = (size_t) (setup[6] | setup[7] << 8);
                if ((size_t) from->buffer_length < SETUP_SIZE + data_size)
                        return -EINVAL;
                return new_control(call, setup, data_address + SETUP_SIZE, data_size, ret);
        case USBDEVFS_URB_TYPE_BULK:
        case USBDEVFS_URB_TYPE_INTERRUPT:
                return new_data(call, from->type, from->endpoint, data_address, (size_t) from->buffer_length, ret);
        default:
                return -EINVAL;
        }
}

/* Under the device's lock. Owns the URB unless it fails. */
static int queue_urb(const Call *call, Urb *urb) {
        uint32_t slot = UINT32_C(1) << endpoint_slot(urb->endpoint);

        if (call->node->gone)
                return -ENODEV;
        if (urb->type == USBDEVFS_URB_TYPE_BULK) {
                if (!urb->continuation)
                        call->file->disabled_bulk &= ~slot;
                else if (call->file->disabled_bulk & slot)
                        return -EREMOTEIO;
        }
        urb_submit(urb);
        return 0;
}

int call_submit(const Call *call) {
        struct usbdevfs_urb from = {};
        Urb *urb;
        int r;

        r = call_read(call, &from, sizeof(from));
        if (r < 0)
                return r;
        r = new_from_client(call, &from, &urb);
        if (r < 0)
                return r;
        urb->address = call->argument;
        urb->data_address = (uint64_t) (uintptr_t) from.buffer;
        urb->flags = from.flags;
        urb->continuation = urb->type == USBDEVFS_URB_TYPE_BULK && from.flags & USBDEVFS_URB_BULK_CONTINUATION;
        pthread_mutex_lock(&call->device->lock);
        r = queue_urb(call, urb);
        pthread_mutex_unlock(&call->device->lock);
        if (r < 0)
                urb_free(urb);
        return r;
}

/* The synchronous ioctls: an URB whose end answers the call. */
static int call_sync(const Call *call, Urb *urb, uint64_t data_address, unsigned timeout_msec) {
        int r;

        urb->client = call->pid;
        urb->data_address = data_address;
        urb->sync = (SyncCall) {
                .request = call->request,
                .deadline_usec = timeout_msec > 0 ? sim_now_usec() + timeout_msec * USEC_PER_MSEC : UINT64_MAX,
        };
        call_may_wait(call);
        pthread_mutex_lock(&call->device->lock);
        r = call_interrupted(call) ? -EINTR : queue_urb(call, urb);
        pthread_mutex_unlock(&call->device->lock);
        if (r < 0) {
                urb_free(urb);
                return r;
        }
        return CALL_ANSWERED;
}

void usbfs_answer_sync(Urb *urb) {
        size_t skip = urb->type == USBDEVFS_URB_TYPE_CONTROL ? SETUP_SIZE : 0;
        int r = urb->status;

        if (r == 0 && urb->in)
                r = client_write(urb->client, urb->data_address, urb->buffer + skip, urb->actual);
        if (r < 0)
                fuse_reply_err(urb->sync.request, -r);
        else
                fuse_reply_ioctl(urb->sync.request, (int) urb->actual, NULL, 0);
}

int call_control(const Call *call) {
        struct usbdevfs_ctrltransfer c = {};
        Urb *urb;
        int r;

        r = call_read(call, &c, sizeof(c));
        if (r < 0)
                return r;
        if (c.wLength > CONTROL_DATA_MAX)
                return -EINVAL;
        const uint8_t setup[SETUP_SIZE] = {
                c.bRequestType, c.bRequest,
                (uint8_t) c.wValue, (uint8_t) (c.wValue >> 8),
                (uint8_t) c.wIndex, (uint8_t) (c.wIndex >> 8),
                (uint8_t) c.wLength, (uint8_t) (c.wLength >> 8),
        };
        r = new_control(call, setup, (uint64_t) (uintptr_t) c.data, c.wLength, &urb);
        if (r < 0)
                return r;
        return call_sync(call, urb, (uint64_t) (uintptr_t) c.data, c.timeout);
}

int call_bulk(const Call *call) {
        struct usbdevfs_bulktransfer b = {};
        Urb *urb;
        int r;

        r = call_read(call, &b, sizeof(b));
        if (r < 0)
                return r;
        if (b.len > TRANSFER_MAX || b.ep > UINT8_MAX)
                return -EINVAL;
        r = new_data(call, USBDEVFS_URB_TYPE_BULK, (uint8_t) b.ep, (uint64_t) (uintptr_t) b.data, b.len, &urb);
        if (r < 0)
                return r;
        return call_sync(call, urb, (uint64_t) (uintptr_t) b.data, b.timeout);
}
