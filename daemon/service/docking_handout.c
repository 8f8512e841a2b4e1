/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A camera that somebody needs before the dock is done with it: by order it is let go where it stands, and may be taken out. What was
 * read of a clip up to its last block is on record, and the next docking goes on there. Only an erase is not cut short: its clip comes
 * to an end.
 */

#include <errno.h>

#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

/* ---- What is said ------------------------------------------------------------------------------------------------- */

char *docking_handed_out_text(const Docking *d) {
        size_t alone = 0, left = 0;

        for (size_t i = 0; i < d->n_clips; i++) {
                const Clip *c = d->clips[i];

                alone += c->on_camera && (c->state == CLIP_SEEN || c->state == CLIP_COPYING);
                left += c->on_camera;
        }
        if (alone > 0)
                return text_format("it may be taken out; %zu of %zu clips are not copied yet", alone, d->n_clips);
        if (left > 0)
                return text_format("it may be taken out; its clips are all copied, and %zu of %zu are not erased yet", left, d->n_clips);
        if (d->n_clips == 0 && !d->listed && !d->emptied)
                return strdup("it may be taken out; what is on it was not looked at yet");
        return strdup("it may be taken out; the dock is done with it");
}

void docking_handed_out(Docking *d, const char *text) {
        if (d->order.kind == DOCKING_ORDER_EJECT && d->order.begun && !d->pending)
                docking_order_done(d, DOCKING_ORDER_EJECT, 0, text);
}

/* ---- Ending what is under way ------------------------------------------------------------------------------------- */

void docking_drop_licenses(Docking *d) {
        for (size_t i = 0; i < d->n_clips; i++) {
                Clip *c = d->clips[i];
                Fact fact = docking_fact(d, FACT_ERASE_FAILED, c);

                if (!c->erase_licensed)
                        continue;
                c->erase_licensed = false;
                fact.text = "it was not begun with: the camera is to be taken out";
                (void) docking_commit_fact(d, &fact, c, NULL);
                clip_set_state(c, c->receipted ? CLIP_RECEIPTED : CLIP_COPIED, NULL);
                docking_left_unstored(c);
        }
}

/* From the first question to the store until the eraser is gone; docking_erase.c and docking_format.c end it early by themselves. */
static bool is_erasing(const Docking *d) {
        if (d->erase_waits > 0 || (d->worker && d->worker_erases))
                return true;
        for (size_t i = 0; i < d->n_clips; i++)
                if (d->clips[i]->erase_licensed)
                        return true;
        return false;
}

/* As when the daemon ends: a worker that reads may be killed at any moment, and the kernel closes the device. */
static void end_what_is_under_way(Docking *d) {
        if ((!d->worker && !d->busy) || is_erasing(d))
                return;
        docking_record_interruption(d, "the camera is to be taken out");
        docking_forget_verify(d);
        docking_forget_session(d);
        d->gauging = false;
}

/* ---- The order ---------------------------------------------------------------------------------------------------- */

static int obstacle(const Docking *d, const char **ret_why) {
        if (d->refused) {
                *ret_why = "what lies in this bay is no camera that the dock knows: take it out";
                return -ENODEV;
        }
        if (d->quarantined || bay_state(d->bay) == BAY_QUARANTINED) {
                *ret_why = bay_reason(d->bay);
                return -EPERM;
        }
        if (d->updating || d->flash) {
                *ret_why = "its camera is given firmware, and must stay in until that is over";
                return -EBUSY;
        }
        if (d->away || d->sending || d->cycling || d->waking) {
                *ret_why = "its camera is about to come back to the bus; try again in a minute";
                return -EBUSY;
        }
        if (!d->camera || !d->recorded) {
                *ret_why = "its camera is not identified yet; try again in a few seconds";
                return -EBUSY;
        }
        return 0;
}

static void recorded(Docking *d, Clip *clip, int result) {
        (void) clip;
        if (!d || d->order.kind != DOCKING_ORDER_EJECT)
                return;
        if (result < 0) {
                d->handed_out = false;
                docking_order_done(d, DOCKING_ORDER_EJECT, result, "the order cannot be recorded, so the dock goes on with the camera");
        } else if (!d->handed_out) {
                docking_point_at_issued(d);
                docking_order_done(d, DOCKING_ORDER_EJECT, 0, "it may be taken out; the dock is done with it");
        } else
                d->order.begun = true;
        docking_kick(d);
}

int docking_hand_out(Docking *d, const Operator *by, DockingOrderDone done, void *userdata, const char **ret_why) {
        _cleanup_(freep) char *text = NULL;
        Fact fact;
        int r;

        r = obstacle(d, ret_why);
        if (r < 0)
                return r;
        r = docking_order_new(d, DOCKING_ORDER_EJECT, done, userdata, ret_why);
        if (r < 0)
                return r;
        if (d->handed_out) {
                d->order.begun = true;
                docking_kick(d);
                return 0;
        }
        text = docking_handed_out_text(d);
        fact = docking_fact(d, FACT_EJECT_ORDERED, NULL);
        fact.text = text;
        fact.by_operator = true;
        fact.operator_uid = by->uid;
        fact.operator_name = by->name;
        r = text ? docking_commit_fact(d, &fact, NULL, recorded) : -ENOMEM;
        if (r < 0) {
                docking_order_cancel(d);
                *ret_why = "the order cannot be recorded";
                return r;
        }
        /* One whose port is off has nothing left to do, and is looked at anew when it is on again, whoever is in the bay then. */
        d->handed_out = !d->resting;
        if (d->handed_out)
                end_what_is_under_way(d);
        docking_kick(d);
        return 0;
}
