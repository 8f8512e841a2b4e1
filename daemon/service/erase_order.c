/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Erasing by hand. An order is for clips of a camera that is in a bay now, and for this stay of it. It stands in place of the site's
 * and the model's policy, and, when that is said, of the store's receipt; every other rule counts as for any erase: what the dock has
 * not read whole from this very device, what is in conflict and what is held stays.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

/* So many are named when they stand in the way. */
#define NAMED_MAX 5u

typedef struct Order {
        Manager *manager;
        EraseOrderDone done;
        void *userdata;
        uint64_t docking_id;
        bool not_stored;
        uint64_t *clips;
        size_t n;
        EraseOrdered answer;
        char *operator_name;
} Order;

static Order *order_free(Order *o) {
        if (o) {
                free(o->clips);
                free(o->operator_name);
        }
        free(o);
        return NULL;
}
DEFINE_CLEANUP(Order, order_free);

/* What becomes of one clip of the order. */
typedef enum Fate { FATE_ERASE, FATE_UNSTORED, FATE_HELD, FATE_UNSAFE, FATE_NONE } Fate;

static Fate fate_of(const Clip *c) {
        ClipFacts f;

        clip_facts(c, &f);
        if (!f.on_camera)
                return FATE_NONE;
        if (f.held)
                return FATE_HELD;
        if (!f.copied || f.conflict || f.protected_by_camera)
                return FATE_UNSAFE;
        return f.receipted && f.receipt_accepted ? FATE_ERASE : FATE_UNSTORED;
}

static void carry_out(const Order *o) {
        for (size_t i = 0; i < o->n; i++) {
                Clip *c = manager_clip(o->manager, o->clips[i]);

                if (!c || !c->docking || c->docking->id != o->docking_id)
                        continue;
                c->erase_order = o->not_stored ? CLIP_ORDERED_UNSTORED : CLIP_ORDERED;
                c->docking->erase_not_before_usec = 0;
                docking_kick(c->docking);
        }
}

static void recorded(int result, void *userdata) {
        _cleanup_(order_freep) Order *o = userdata;
        _cleanup_(freep) char *text = NULL;

        if (result >= 0) {
                log_full(LOG_NOTICE, NULL, "Ordered by %s: erase %zu clips by hand%s", o->operator_name ?: "somebody", o->n,
                         o->not_stored ? ", even those that the store does not have" : "");
                carry_out(o);
        } else
                text = text_format("The order could not be recorded, and is not carried out: %s", store_last_refusal(o->manager->store));
        o->done(o->userdata, result, text, &o->answer);
}

/* "a.MP4, b.MP4 and 3 more" */
static char *name_clips(const char *const *paths, size_t n) {
        _cleanup_(freep) char *text = NULL;

        for (size_t i = 0; i < n && i < NAMED_MAX; i++) {
                char *longer = text_format("%s%s%s", text ?: "", text ? ", " : "", paths[i]);

                if (!longer)
                        return NULL;
                free(text);
                text = longer;
        }
        return n > NAMED_MAX ? text_format("%s and %zu more", text, n - NAMED_MAX) : TAKE_PTR(text);
}

static const char *obstacle(const Docking *d) {
        if (!d || d->away || !d->identified)
                return "the camera is not in a bay, or not known yet";
        if (d->refused || d->quarantined)
                return d->reason ?: "the camera is quarantined";
        if (!d->listed)
                return "the camera's clips are not known: it is in another mode, or the dock has not listed them yet; try again when it is "
                       "settled or ready";
        return NULL;
}

static int add_fact(Docking *d, Clip *c, Order *o, const Operator *by, StoreBatch *batch) {
        Fact fact = docking_fact(d, FACT_ERASE_ORDERED, c);

        fact.by_operator = true;
        fact.operator_uid = by->uid;
        fact.operator_name = by->name;
        fact.order.not_stored = o->not_stored;
        o->clips[o->n++] = c->id;
        return store_batch_add(batch, &fact);
}

/* Sorts the clips by their fate; what the store does not have stands in the way unless the order says so. */
static int collect(Docking *d, const Clip *only, Order *o, const Operator *by, StoreBatch *batch, char **ret_why) {
        _cleanup_(freep) const char **unstored = calloc(d->n_clips + 1, sizeof(*unstored));
        size_t n_unstored = 0;
        int r = 0;

        o->clips = calloc(d->n_clips + 1, sizeof(uint64_t));
        if (!unstored || !o->clips)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_clips && r >= 0; i++) {
                Clip *c = d->clips[i];
                Fate fate = only && c != only ? FATE_NONE : fate_of(c);

                if (fate != FATE_NONE && clip_erase_policy(c).mode == ERASE_NEVER) {
                        *ret_why = strdup("[policy] erase, or the camera's model, says never: that is not changed by hand");
                        return -EPERM;
                }
                o->answer.held += fate == FATE_HELD;
                o->answer.unsafe += fate == FATE_UNSAFE;
                if (fate == FATE_UNSTORED)
                        unstored[n_unstored++] = c->path;
                if (fate == FATE_ERASE || (fate == FATE_UNSTORED && o->not_stored))
                        r = add_fact(d, c, o, by, batch);
        }
        if (r >= 0 && n_unstored > 0 && !o->not_stored) {
                _cleanup_(freep) char *names = name_clips(unstored, n_unstored);

                *ret_why = text_format("not stored yet, by a receipt that [policy] accept asks for: %s; nothing is erased unless you say "
                                       "that this is meant, too", names ?: "");
                return -EBUSY;
        }
        o->answer.ordered = o->n;
        return r;
}

int docking_order_erase(Docking *d, const Clip *only, bool not_stored, const Operator *by, EraseOrderDone done, void *userdata,
                        char **ret_why) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        _cleanup_(order_freep) Order *o = calloc(1, sizeof(*o));
        const char *why = obstacle(d);
        int r;

        if (!o)
                return -ENOMEM;
        if (why) {
                *ret_why = strdup(why);
                return -ENODEV;
        }
        *o = (Order){ .manager = d->manager, .done = done, .userdata = userdata, .docking_id = d->id, .not_stored = not_stored };
        if (by->name && !(o->operator_name = strdup(by->name)))
                return -ENOMEM;
        r = store_batch_new(&batch);
        if (r >= 0)
                r = collect(d, only, o, by, batch, ret_why);
        if (r < 0)
                return r;
        if (o->n == 0) {
                *ret_why = text_format("nothing to erase: %zu clips are held, %zu are not whole on the dock or protected", o->answer.held,
                                       o->answer.unsafe);
                return o->answer.unsafe == 0 && o->answer.held > 0 ? -EROFS : -ESRCH;
        }
        r = store_submit(d->manager->store, TAKE_PTR(batch), recorded, o);
        if (r >= 0)
                TAKE_PTR(o);
        return r;
}

int camera_order_erase(Camera *camera, bool not_stored, const Operator *by, EraseOrderDone done, void *userdata, char **ret_why) {
        Bay *bay = camera_bay(camera);

        return docking_order_erase(bay ? bay_docking(bay) : NULL, NULL, not_stored, by, done, userdata, ret_why);
}

int manager_order_erase(Manager *m, uint64_t clip_id, bool not_stored, const Operator *by, EraseOrderDone done, void *userdata,
                        char **ret_why) {
        _cleanup_(clip_row_freep) ClipRow *row = NULL;
        const Clip *c = manager_clip(m, clip_id);
        int r;

        if (c && c->docking && c->on_camera)
                return docking_order_erase(c->docking, c, not_stored, by, done, userdata, ret_why);
        r = store_clip(m->store, clip_id, &row);
        if (r < 0)
                return r;
        *ret_why = strdup("the clip is on no camera that is in a bay");
        return -ENODEV;
}
