/* SPDX-License-Identifier: Apache-2.0 */

/* What somebody asked for about a docked camera: one order at a time, answered when it is on record. */

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "service/charging.h"
#include "service/docking.h"
#include "service/manager_private.h"

int docking_order_new(Docking *d, DockingOrder kind, DockingOrderDone done, void *userdata, const char **ret_why) {
        if (d->order.kind != DOCKING_ORDER_NONE) {
                *ret_why = "another order for this camera is under way; try again when it is done";
                return -EBUSY;
        }
        d->order.kind = kind;
        d->order.done = done;
        d->order.userdata = userdata;
        return 0;
}

static void clear(Docking *d) {
        for (size_t i = 0; i < ELEMENTSOF(d->order.words); i++)
                free(d->order.words[i]);
        free(d->order.name);
        memset(&d->order, 0, sizeof(d->order));
}

void docking_order_cancel(Docking *d) {
        clear(d);
}

void docking_order_done(Docking *d, DockingOrder kind, int result, const char *text) {
        DockingOrderDone done = d->order.done;
        void *userdata = d->order.userdata;

        if (d->order.kind == DOCKING_ORDER_NONE || d->order.kind != kind)
                return;
        clear(d);
        if (done)
                done(userdata, result, text ? text : "");
}

void docking_order_abort(Docking *d, int result, const char *text) {
        /* That its session ends is what that order wants. */
        if (d->order.kind == DOCKING_ORDER_EJECT && result == -EREMOTEIO)
                return;
        docking_order_done(d, d->order.kind, result, text);
}

int docking_order_withdraw(Docking *d, const void *userdata, const char **ret_why) {
        *ret_why = "the camera is at it already, and that is over in a few seconds";
        if (!d || d->order.userdata != userdata || !docking_is_ordered(d) || d->order.begun)
                return -EALREADY;
        docking_order_done(d, d->order.kind, -ECANCELED, "it was cancelled before the camera was asked");
        return 0;
}

/* ---- Owner ------------------------------------------------------------------------------------------------------- */

static WorkerOwner owner_of(const Docking *d) {
        return (WorkerOwner){ d->order.words[0], d->order.words[1], d->order.words[2], d->order.words[3] };
}

static void closed(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        (void) result;
        (void) text;
        d->worker = worker_free(d->worker);
        docking_step_done(d);
}

static void end_session(Docking *d) {
        if (worker_close(d->worker, closed) < 0)
                closed(d, WORKER_OK, NULL);
}

static void owner_recorded(Docking *d, Clip *clip, int result) {
        WorkerOwner owner;

        (void) clip;
        if (!d || d->order.kind != DOCKING_ORDER_OWNER)
                return;
        owner = owner_of(d);
        if (result >= 0)
                (void) camera_set_owner(d->camera, &owner);
        docking_order_done(d, DOCKING_ORDER_OWNER, result, result < 0 ? "it is written to the camera, but could not be recorded" : NULL);
}

static void checkout_recorded(Docking *d, Clip *clip, int result) {
        (void) clip;
        if (!d || d->order.kind != DOCKING_ORDER_CHECKOUT)
                return;
        if (result >= 0) {
                docking_point_at_issued(d);
                roster_look(d->manager->roster);
        } else
                camera_set_issue(d->camera, NULL);
        docking_order_done(d, DOCKING_ORDER_CHECKOUT, result, result < 0 ? store_last_refusal(d->manager->store) : NULL);
        docking_kick(d);
}

static void record_checkout(Docking *d, bool written, const char *text) {
        const Operator by = { .uid = d->order.uid, .name = d->order.name };
        WorkerOwner officer = owner_of(d);
        int r = docking_record_checkout(d, &officer, &by, written, text, checkout_recorded);

        if (r < 0)
                docking_order_done(d, DOCKING_ORDER_CHECKOUT, r, "the checkout cannot be recorded");
}

static void owner_written(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;
        WorkerOwner owner = owner_of(d);
        Fact fact = docking_fact(d, FACT_OWNER_SET, NULL);
        int r;

        if (d->order.kind == DOCKING_ORDER_CHECKOUT &&
            (result == WORKER_OK || result == WORKER_DENIED || result == WORKER_UNSUPPORTED)) {
                record_checkout(d, result == WORKER_OK, result == WORKER_OK ? NULL : text);
                return end_session(d);
        }
        if (result == WORKER_DENIED || result == WORKER_UNSUPPORTED) {
                docking_order_done(d, DOCKING_ORDER_OWNER, result == WORKER_DENIED ? -EREMOTEIO : -EOPNOTSUPP, text);
                return end_session(d);
        }
        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        fact.owner = (FactOwner){ owner.officer_id, owner.officer_name, owner.unit_id, owner.unit_name };
        fact.by_operator = true;
        fact.operator_uid = d->order.uid;
        fact.operator_name = d->order.name;
        r = docking_commit_fact(d, &fact, NULL, owner_recorded);
        if (r < 0)
                owner_recorded(d, NULL, r);
        end_session(d);
}

static void opened(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;
        WorkerOwner owner = owner_of(d);

        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        /* What its clock shows goes on record before it is set, and its battery is known as it is now. */
        if (d->order.kind == DOCKING_ORDER_CHECKOUT)
                return docking_check(d);
        if (worker_set_owner(d->worker, &owner, owner_written) < 0)
                docking_trouble(d, -EIO, "the worker cannot be called");
}

bool docking_order_checked(Docking *d) {
        WorkerOwner owner = owner_of(d);

        if (d->order.kind != DOCKING_ORDER_CHECKOUT || !d->order.begun)
                return false;
        if (*camera_held_back(d->camera)) {
                docking_order_done(d, DOCKING_ORDER_CHECKOUT, -EAGAIN,
                                   "something serious was found out about the camera just now; check out once more, for another one");
                end_session(d);
        } else if (worker_set_owner(d->worker, &owner, owner_written) < 0)
                docking_trouble(d, -EIO, "the worker cannot be called");
        return true;
}

static const char *owner_obstacle(const Docking *d) {
        if (d->refused || d->quarantined)
                return "the camera is quarantined";
        if (d->handed_out)
                return "the camera is to be taken out; put it in again for that";
        if (d->behind || d->away || !d->device)
                return "the camera is not in the mode in which its owner can be written; try again when its footage is taken";
        if (bay_state(d->bay) != BAY_READY || !d->identified || !d->checked)
                return "the dock is at work with the camera; try again when it is ready";
        return NULL;
}

static int order_with_owner(Docking *d, DockingOrder kind, const WorkerOwner *owner, const Operator *by, DockingOrderDone done,
                            void *userdata, const char **ret_why) {
        const char *const words[] = { owner->officer_id, owner->officer_name, owner->unit_id, owner->unit_name };
        int r;

        r = docking_order_new(d, kind, done, userdata, ret_why);
        if (r < 0)
                return r;
        d->order.uid = by->uid;
        d->order.name = by->name ? strdup(by->name) : NULL;
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                d->order.words[i] = strdup(words[i]);
        if ((by->name && !d->order.name) || !d->order.words[0] || !d->order.words[1] || !d->order.words[2] || !d->order.words[3]) {
                docking_order_cancel(d);
                *ret_why = "out of memory";
                return -ENOMEM;
        }
        return 0;
}

int docking_set_owner(Docking *d, const WorkerOwner *owner, const Operator *by, DockingOrderDone done, void *userdata,
                      const char **ret_why) {
        int r;

        *ret_why = owner_obstacle(d);
        if (*ret_why)
                return -EBUSY;
        r = order_with_owner(d, DOCKING_ORDER_OWNER, owner, by, done, userdata, ret_why);
        if (r < 0)
                return r;
        docking_order_begin(d);
        return 0;
}

int docking_checkout(Docking *d, const WorkerOwner *officer, const Operator *by, DockingOrderDone done, void *userdata,
                     const char **ret_why) {
        int r = order_with_owner(d, DOCKING_ORDER_CHECKOUT, officer, by, done, userdata, ret_why);

        if (r < 0)
                return r;
        /* A storage that was let go of would be taken up again for nothing: it holds no owner. */
        if (d->behind) {
                d->order.begun = true;
                record_checkout(d, false, "in its storage mode a camera holds neither clock nor owner");
        } else {
                docking_order_begin(d);
                charging_kick(d->manager->charging);
        }
        return 0;
}

bool docking_is_ordered(const Docking *d) {
        return d->order.kind == DOCKING_ORDER_OWNER || d->order.kind == DOCKING_ORDER_CHECKOUT;
}

/* A camera that has just become ready is still being let go. Failing to spawn ends the order by docking_order_abort(). */
void docking_order_begin(Docking *d) {
        if (!docking_is_ordered(d) || d->order.begun || d->busy || d->worker || d->updating)
                return;
        /*
         * It rests without power, or its port is just being switched off: it is recognised first, and read to its end. Another camera
         * ends the docking, and the order.
         */
        if (!d->device || d->resting || d->away || !d->identified || !d->checked || !(d->listed || d->emptied || d->ejected))
                return;
        d->order.begun = true;
        (void) docking_spawn(d, opened);
}
