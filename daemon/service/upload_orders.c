/* SPDX-License-Identifier: Apache-2.0 */

/* What operators order about uploads, and about the next shift: a fact first, which survives a restart, and then done. */

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/clip.h"
#include "service/manager_private.h"

#define SHIFT_MAX_USEC (7 * 24 * 3600 * (int64_t) USEC_PER_SEC)

typedef struct Order {
        Manager *manager;
        Fact fact;
        char *operator_name;
        ManagerDone done;
        void *userdata;
} Order;

static Order *order_free(Order *o) {
        if (o)
                free(o->operator_name);
        free(o);
        return NULL;
}
DEFINE_CLEANUP(Order, order_free);

static void carry_out(Manager *m, const Fact *fact) {
        Clip *c;

        switch (fact->kind) {
        case FACT_UPLOADS_PAUSED:
        case FACT_UPLOADS_RESUMED:
                m->uploads.paused = fact->kind == FACT_UPLOADS_PAUSED;
                uplink_hold(m->uplink, m->uploads.paused);
                manager_tell(m);
                manager_kick_bays(m); /* they say what they wait for */
                break;
        case FACT_SHIFT_CALLED:
                return charging_shift_called(m->charging, fact->shift.at_usec);
        default:
                c = manager_clip(m, fact->clip_id);
                if (!c)
                        break;
                c->urgent = true;
                c->retry_at_usec = 0;
                break;
        }
        upload_pump(m);
}

static void recorded(int result, void *userdata) {
        _cleanup_(order_freep) Order *o = userdata;
        _cleanup_(freep) char *text = NULL;

        if (result >= 0) {
                log_full(LOG_NOTICE, NULL, "Ordered by %s (user %u): %s", o->operator_name ?: "somebody", (unsigned) o->fact.operator_uid,
                           fact_kind_to_string(o->fact.kind));
                carry_out(o->manager, &o->fact);
        } else
                text = text_format("The order could not be recorded, and is not carried out: %s", store_last_refusal(o->manager->store));
        o->done(o->userdata, result, text);
}

static int give(Manager *m, const Fact *fact, const Operator *by, ManagerDone done, void *userdata) {
        _cleanup_(order_freep) Order *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                return -ENOMEM;
        *o = (Order){ .manager = m, .done = done, .userdata = userdata };
        if (by->name && !(o->operator_name = strdup(by->name)))
                return -ENOMEM;
        o->fact = *fact;
        o->fact.by_operator = true;
        o->fact.operator_uid = by->uid;
        o->fact.operator_name = o->operator_name;
        manager_moment(m, &o->fact.at);
        r = store_put(m->store, &o->fact, recorded, o);
        if (r >= 0)
                TAKE_PTR(o);
        return r;
}

int manager_pause_uploads(Manager *m, bool pause, const Operator *by, ManagerDone done, void *userdata) {
        if (m->uploads.paused == pause)
                return -EALREADY;
        return give(m, &(Fact){ .kind = pause ? FACT_UPLOADS_PAUSED : FACT_UPLOADS_RESUMED }, by, done, userdata);
}

int manager_send_now(Manager *m, uint64_t clip_id, const Operator *by, ManagerDone done, void *userdata) {
        _cleanup_(clip_row_freep) ClipRow *row = NULL;
        Fact fact;
        int r;

        r = store_clip(m->store, clip_id, &row);
        if (r < 0)
                return r;
        fact = (Fact){ .kind = FACT_CLIP_URGENT, .clip_id = clip_id, .camera_id = row->camera_id };
        if (row->state != CLIP_SEEN && row->state != CLIP_COPYING && row->state != CLIP_COPIED)
                return -ESTALE;
        return row->urgent ? -EALREADY : give(m, &fact, by, done, userdata);
}

int manager_call_shift(Manager *m, int64_t at_usec, const Operator *by, ManagerDone done, void *userdata) {
        Fact fact = { .kind = FACT_SHIFT_CALLED, .shift.at_usec = at_usec };
        int64_t now = clock_wall_usec();

        if (at_usec != 0 && (at_usec <= now || at_usec > now + SHIFT_MAX_USEC))
                return -EINVAL;
        return give(m, &fact, by, done, userdata);
}

int64_t manager_next_shift(const Manager *m) {
        return charging_next_shift(m->charging);
}

bool manager_uploads_are_paused(const Manager *m) {
        return m->uploads.paused;
}

int upload_orders_load(Manager *m) {
        int r;

        r = store_order(m->store, STORE_ORDER_PAUSE);
        if (r < 0)
                return r;
        m->uploads.paused = r > 0;
        uplink_hold(m->uplink, m->uploads.paused);
        if (m->uploads.paused)
                log_full(LOG_NOTICE, NULL, "Uploads are paused, as an operator ordered; 'berthctl transfer resume' lets them go on");
        return 0;
}
