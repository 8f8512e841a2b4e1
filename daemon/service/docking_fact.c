/* SPDX-License-Identifier: Apache-2.0 */

/* The facts of a docking on their way to the database, and what goes on once they are there. */

#include <errno.h>
#include <stdlib.h>

#include "service/docking.h"
#include "service/manager_private.h"

struct DockingPending {
        Docking *docking; /* NULL when it has ended */
        DockingPending *next, *prev;
        Clip *clip;
        DockingThen then;
};

static void pending_unlink(DockingPending *p) {
        if (!p->docking)
                return;
        if (p->prev)
                p->prev->next = p->next;
        else
                p->docking->pending = p->next;
        if (p->next)
                p->next->prev = p->prev;
        p->next = p->prev = NULL;
}

int docking_pending_new(Docking *d, Clip *clip, DockingThen then, DockingPending **ret) {
        DockingPending *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        *p = (DockingPending){ .docking = d, .clip = clip, .then = then, .next = d ? d->pending : NULL };
        if (p->next)
                p->next->prev = p;
        if (d)
                d->pending = p;
        if (clip)
                clip->pending++;
        *ret = p;
        return 0;
}

void docking_pending_cancel(DockingPending *p) {
        pending_unlink(p);
        if (p->clip)
                p->clip->pending--;
        free(p);
}

void docking_pending_done(int result, void *userdata) {
        DockingPending *p = userdata;
        Docking *docking = p->docking;
        Clip *clip = p->clip;

        pending_unlink(p);
        if (p->then)
                p->then(p->docking, clip, result);
        if (clip) {
                clip->pending--;
                clip_release(clip);
        }
        free(p);
        /* A clip that something was pending for is passed over by every decision: now it counts again. */
        docking_kick(docking);
}

void docking_pending_outlives(Docking *d) {
        for (DockingPending *p = d->pending, *next; p; p = next) {
                next = p->next;
                p->docking = NULL;
                p->next = p->prev = NULL;
        }
        d->pending = NULL;
}

int docking_commit(Docking *d, StoreBatch *batch, Clip *clip, DockingThen then) {
        Store *store = d->manager->store;
        DockingPending *p;
        int r;

        r = docking_pending_new(d, clip, then, &p);
        if (r < 0) {
                store_batch_free(batch);
                return r;
        }
        r = store_submit(store, batch, docking_pending_done, p);
        if (r < 0)
                docking_pending_cancel(p);
        return r;
}

int docking_commit_fact(Docking *d, const Fact *fact, Clip *clip, DockingThen then) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        int r;

        r = store_batch_new(&batch);
        if (r < 0)
                return r;
        r = store_batch_add(batch, fact);
        if (r < 0)
                return r;
        return docking_commit(d, TAKE_PTR(batch), clip, then);
}

Fact docking_fact(const Docking *d, FactKind kind, const Clip *clip) {
        Fact fact = {
                .kind = kind,
                .docking_id = d->id,
                .camera_id = d->camera ? camera_id(d->camera) : 0,
                .clip_id = clip ? clip->id : 0,
                .bay = bay_port_path(d->bay),
        };

        manager_moment(d->manager, &fact.at);
        return fact;
}

LogAbout docking_about(const Docking *d) {
        return (LogAbout){ .bay = bay_name(d->bay), .camera = d->camera ? camera_serial(d->camera) : NULL };
}

void docking_device_fact(const Docking *d, FactKind kind, Fact *ret) {
        *ret = docking_fact(d, kind, NULL);
        ret->usb.vid = d->shape.vid;
        ret->usb.pid = d->shape.pid;
        ret->usb.bcd_device = d->shape.bcd_device;
        ret->usb.usb_serial = d->device->usb_serial;
        ret->usb.usb_manufacturer = d->device->usb_manufacturer;
        ret->usb.usb_product = d->device->usb_product;
        ret->usb.descriptors_hex = "";
        ret->usb.model_id = d->model ? d->model->id : NULL;
        ret->usb.behind = d->behind;
}
