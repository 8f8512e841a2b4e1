/* SPDX-License-Identifier: Apache-2.0 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <stdlib.h>

#include "base/macro.h"
#include "sim/ioctl.h"
#include "sim/usbfs.h"

static bool end_waiter(struct WaiterList *list, fuse_req_t request) {
        Waiter *waiter;

        TAILQ_FOREACH(waiter, list, entry) {
                if (waiter->request != request)
                        continue;
                TAILQ_REMOVE(list, waiter, entry);
                free(waiter);
                fuse_reply_err(request, EINTR);
                return true;
        }
        return false;
}

static bool end_sync_urb(Node *node, fuse_req_t request) {
        for (unsigned slot = 0; slot < ENDPOINT_SLOTS; slot++) {
                Urb *urb;

                TAILQ_FOREACH(urb, &node->endpoints[slot].queue, queue_entry) {
                        if (urb->sync.request != request)
                                continue;
                        urb_drop(urb);
                        fuse_reply_err(request, EINTR);
                        return true;
                }
        }
        return false;
}

/* The caller got a signal. Devices are never freed, so the pointer is good whenever this comes. */
static void interrupted(fuse_req_t request, void *userdata) {
        SimDevice *device = userdata;
        Node *node;
        OpenFile *file;

        pthread_mutex_lock(&device->lock);
        node = device->node;
        if (node && !end_waiter(&node->claimers, request) && !end_sync_urb(node, request))
                TAILQ_FOREACH(file, &node->files, entry)
                        if (end_waiter(&file->reapers, request))
                                break;
        pthread_mutex_unlock(&device->lock);
}

void call_may_wait(const Call *call) {
        fuse_req_interrupt_func(call->request, interrupted, call->device);
}

bool call_interrupted(const Call *call) {
        return fuse_req_interrupted(call->request);
}

int call_wait(const Call *call, struct WaiterList *list, uint64_t deadline_usec, unsigned interface) {
        Waiter *waiter;

        if (call_interrupted(call))
                return -EINTR;
        waiter = calloc(1, sizeof(*waiter));
        if (!waiter)
                return -ENOMEM;
        *waiter = (Waiter) {
                .request = call->request,
                .file = call->file,
                .client = call->pid,
                .argument = call->argument,
                .deadline_usec = deadline_usec,
                .interface = interface,
        };
        TAILQ_INSERT_TAIL(list, waiter, entry);
        return CALL_ANSWERED;
}

uint64_t usbfs_answer_claimers(Node *node, uint64_t now_usec) {
        uint64_t next_deadline = UINT64_MAX;
        Waiter *waiter, *next;

        for (waiter = TAILQ_FIRST(&node->claimers); waiter; waiter = next) {
                next = TAILQ_NEXT(waiter, entry);
                if (!node->gone && waiter->deadline_usec > now_usec) {
                        next_deadline = MIN2(next_deadline, waiter->deadline_usec);
                        continue;
                }
                TAILQ_REMOVE(&node->claimers, waiter, entry);
                fuse_reply_err(waiter->request, node->gone ? ENODEV : EBUSY);
                free(waiter);
        }
        return next_deadline;
}
