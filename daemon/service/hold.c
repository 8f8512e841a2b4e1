/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Holds, as operators order them: by clip, by camera, and under the name of a case. What is held is deleted nowhere: its copy stays
 * in the spool, and the camera keeps it. The store's last gates (license.c, clip.c) refuse both, whatever the loop believes.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

#define HOLDS_A_READ 256u

typedef struct Order {
        Manager *manager;
        ManagerDone done;
        void *userdata;
        bool set;
        uint64_t *clips, *cameras; /* what it is about: clips[i], or when that is 0 cameras[i] */
        size_t n;
        char *operator_name, *text;
} Order;

static Order *order_free(Order *o) {
        if (o) {
                free(o->clips);
                free(o->cameras);
                free(o->operator_name);
                free(o->text);
        }
        free(o);
        return NULL;
}
DEFINE_CLEANUP(Order, order_free);

/* ---- What follows from a hold -------------------------------------------------------------------------------------- */

void hold_look_up(Clip *c) {
        _cleanup_(freep) char *name = NULL;
        int r = store_hold_of(c->manager->store, c->id, c->camera_id, &name);

        /* Not being able to tell is no reason to erase. */
        c->held = r != 0 || hold_replay_waits(c->manager->hold_replay);
        free(c->held_for);
        c->held_for = TAKE_PTR(name);
}

/* Its erase was licensed, and has not been asked for yet. */
static void take_license_back(Clip *c) {
        Docking *d = c->docking;
        Fact fact;

        if (!d || !c->erase_licensed || d->current == c)
                return;
        c->erase_licensed = false;
        fact = docking_fact(d, FACT_ERASE_FAILED, c);
        fact.text = "it is held since";
        (void) docking_commit_fact(d, &fact, c, NULL);
        clip_set_state(c, c->receipted ? CLIP_RECEIPTED : CLIP_COPIED, NULL);
}

static void look_at_clips(Manager *m, const Order *o) {
        for (size_t b = 0; b < CLIP_BUCKETS; b++)
                for (Clip *c = m->clips[b]; c; c = c->next_in_hash)
                        for (size_t i = 0; i < o->n; i++) {
                                if (o->clips[i] != 0 ? c->id != o->clips[i] : c->camera_id != o->cameras[i])
                                        continue;
                                hold_look_up(c);
                                if (c->held)
                                        take_license_back(c);
                                break;
                        }
        manager_kick_bays(m);
        room_start(m);
}

void holds_look_up_all(Manager *m) {
        for (size_t b = 0; b < CLIP_BUCKETS; b++)
                for (Clip *c = m->clips[b]; c; c = c->next_in_hash)
                        hold_look_up(c);
        manager_kick_bays(m);
        room_start(m);
        object_holds_look(m->object_holds);
}

static void recorded(int result, void *userdata) {
        _cleanup_(order_freep) Order *o = userdata;
        _cleanup_(freep) char *text = NULL;

        if (result >= 0) {
                log_full(LOG_NOTICE, NULL, "Ordered by %s: %s", o->operator_name ?: "somebody", o->text);
                look_at_clips(o->manager, o);
                object_holds_look(o->manager->object_holds);
                notary_signed(o->manager->notary);
        } else if (result == -EALREADY)
                result = 0;
        else
                text = text_format("The order could not be recorded, and is not carried out: %s", store_last_refusal(o->manager->store));
        o->done(o->userdata, result, text);
}

/* ---- Orders -------------------------------------------------------------------------------------------------------- */

static int order_new(Manager *m, bool set, const Operator *by, const char *what, const char *case_name, ManagerDone done, void *userdata,
                     Order **ret) {
        _cleanup_(order_freep) Order *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        *o = (Order){ .manager = m, .set = set, .done = done, .userdata = userdata };
        if (by->name && !(o->operator_name = strdup(by->name)))
                return -ENOMEM;
        o->text = text_format("%s a hold on %s%s%s", set ? "set" : "release", what, case_name[0] ? " for case " : "", case_name);
        if (!o->text)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static int about(Order *o, uint64_t clip_id, uint64_t camera_id) {
        uint64_t *clips = reallocarray(o->clips, o->n + 1, sizeof(uint64_t)), *cameras;

        if (!clips)
                return -ENOMEM;
        o->clips = clips;
        cameras = reallocarray(o->cameras, o->n + 1, sizeof(uint64_t));
        if (!cameras)
                return -ENOMEM;
        o->cameras = cameras;
        clips[o->n] = clip_id;
        cameras[o->n++] = camera_id;
        return 0;
}

static int add_fact(Order *o, StoreBatch *batch, FactKind kind, const HoldOf *of, const Operator *by) {
        Fact fact = {
                .kind = kind,
                .clip_id = of->clip_id,
                .camera_id = of->camera_id,
                .text = of->reason && of->reason[0] ? of->reason : NULL,
                .by_operator = true,
                .operator_uid = by->uid,
                .operator_name = by->name,
                .hold.case_name = of->case_name,
        };
        int r;

        manager_moment(o->manager, &fact.at);
        r = store_batch_add(batch, &fact);
        return r < 0 ? r : about(o, of->clip_id, of->camera_id);
}

static int give(Order *o, StoreBatch *batch) {
        int r = store_submit(o->manager->store, batch, recorded, o);

        if (r < 0)
                order_free(o);
        return r;
}

/* Whom the words mean: -ENOENT for a clip, -ENODEV for a camera that the dock never knew. */
static int resolve(Manager *m, uint64_t clip_id, const char *serial, HoldOf *of, char **ret_what) {
        _cleanup_(camera_row_freep) CameraRow *camera = NULL;
        _cleanup_(clip_row_freep) ClipRow *clip = NULL;
        int r;

        if (clip_id != 0) {
                r = store_clip(m->store, clip_id, &clip);
                if (r < 0)
                        return r;
                of->clip_id = clip_id;
                of->camera_id = clip->camera_id;
                *ret_what = text_format("clip %" PRIu64, clip_id);
        } else {
                r = store_camera_by_serial(m->store, serial, &camera);
                if (r < 0)
                        return r == -ENOENT ? -ENODEV : r;
                of->camera_id = camera->id;
                *ret_what = text_format("camera %s", serial);
        }
        return *ret_what ? 0 : -ENOMEM;
}

int manager_set_hold(Manager *m, uint64_t clip_id, const char *serial, const char *case_name, const char *reason, const Operator *by,
                     ManagerDone done, void *userdata) {
        HoldOf of = { .case_name = case_name, .reason = reason };
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        _cleanup_(order_freep) Order *o = NULL;
        _cleanup_(freep) char *what = NULL;
        int r;

        r = resolve(m, clip_id, serial, &of, &what);
        if (r >= 0)
                r = order_new(m, true, by, what, case_name, done, userdata, &o);
        if (r >= 0)
                r = store_batch_new(&batch);
        if (r >= 0)
                r = add_fact(o, batch, FACT_HOLD_SET, &of, by);
        return r < 0 ? r : give(TAKE_PTR(o), TAKE_PTR(batch));
}

/* Every hold that the words name: of the clip, of the camera, or of the case. */
static int add_matching(Order *o, StoreBatch *batch, const HoldOf *wanted, const Operator *by) {
        bool by_case_alone = wanted->clip_id == 0 && wanted->camera_id == 0;
        uint64_t after = 0;

        for (;;) {
                HoldRow **rows;
                size_t n;
                int r;

                r = store_holds(o->manager->store, after, HOLDS_A_READ, &rows, &n);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < n && r >= 0; i++) {
                        const HoldRow *h = rows[i];
                        HoldOf of = { h->clip_id, h->camera_id, h->case_name, wanted->reason };

                        after = h->id;
                        if (!text_equal(h->case_name, wanted->case_name))
                                continue;
                        if (by_case_alone || (h->clip_id == wanted->clip_id && h->camera_id == wanted->camera_id))
                                r = add_fact(o, batch, FACT_HOLD_RELEASED, &of, by);
                }
                hold_rows_free(rows, n);
                if (r < 0 || n < HOLDS_A_READ)
                        return r;
        }
}

int manager_release_hold(Manager *m, uint64_t clip_id, const char *serial, const char *case_name, const char *reason, const Operator *by,
                         ManagerDone done, void *userdata) {
        HoldOf of = { .case_name = case_name, .reason = reason };
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        _cleanup_(order_freep) Order *o = NULL;
        _cleanup_(freep) char *what = NULL;
        int r = 0;

        if (clip_id != 0 || serial[0])
                r = resolve(m, clip_id, serial, &of, &what);
        if (r >= 0)
                r = order_new(m, false, by, what ?: "all", case_name, done, userdata, &o);
        if (r >= 0)
                r = store_batch_new(&batch);
        if (r >= 0)
                r = add_matching(o, batch, &of, by);
        if (r >= 0 && o->n == 0)
                r = -ESRCH;
        return r < 0 ? r : give(TAKE_PTR(o), TAKE_PTR(batch));
}
