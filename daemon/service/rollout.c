/* SPDX-License-Identifier: Apache-2.0 */
#include "service/rollout.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/flash.h"
#include "service/rollout_private.h"
#include "service/timer.h"

/* So often cameras are gone on with; what is asked of the store goes by its own rhythm. */
#define STEP_USEC (USEC_PER_SEC / 2)

void rollout_plan_changed(Rollout *r) {
        for (RolloutUnit *u = r->units; u; u = u->next) {
                u->retry_usec = 0;
                if (u->camera.begun)
                        continue;
                (void) rollout_unit_find_wave(u);
                /* Drawn by other hours, or for another start. What is on its way to the store finds that out when it is back. */
                if (u->phase == UNIT_IDLE && u->camera.turn_usec > 0)
                        rollout_unit_give_back(u);
        }
        manager_tell(r->all->manager);
        rollouts_step(r->all);
}

static void add_docked(Rollout *r) {
        for (Camera *c = manager_first_camera(r->all->manager); c; c = camera_next_in_order(c)) {
                RolloutUnit *u = r->units;

                if (!camera_bay(c) || camera_is_ambiguous(c) || !rollout_order_is_for(r->order, camera_model_id(c)))
                        continue;
                while (u && u->camera_id != camera_id(c))
                        u = u->next;
                if (!u)
                        (void) rollout_unit_add(r, camera_id(c), camera_serial(c), NULL);
        }
}

void rollouts_step(Rollouts *all) {
        if (all->manager->stopping)
                return;
        for (Rollout *r = all->first; r; r = r->next) {
                if (!r->order)
                        continue;
                add_docked(r);
                for (RolloutUnit *u = r->units; u; u = u->next)
                        rollout_unit_step(u);
        }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Rollouts *all = userdata;
        const Manager *m = all->manager;

        (void) usec;
        if (!m->stopping && text_equal(manager_store_state(m, NULL), WIRE_STORE_READY)) {
                if (clock_boottime_usec() >= all->look_usec)
                        rollouts_look(all);
                rollouts_step(all);
        }
        /* Whatever came of it is shown. */
        if (all->first)
                manager_tell(all->manager);
        return timer_in(source, STEP_USEC);
}

/* ---- Looking -------------------------------------------------------------------------------------------------------------------- */

Rollout *rollouts_first(const Rollouts *all) {
        Rollout *r = all->first;

        while (r && !r->order)
                r = r->next;
        return r;
}

Rollout *rollout_next_in_order(const Rollout *r) {
        Rollout *next = r->next;

        while (next && !next->order)
                next = next->next;
        return next;
}

const RolloutOrder *rollout_order(const Rollout *r) {
        return r->order;
}

const RolloutCounts *rollout_counts(const Rollout *r) {
        return &r->counts;
}

const char *rollout_state(const Rollout *r) {
        if (!r->order->plan.aborted && rollout_is_stopped(&r->order->plan, &r->counts))
                return "stopped";
        return rollout_order_state(r->order);
}

const char *rollout_trouble(const Rollout *r) {
        return r->trouble.text;
}

RolloutUnit *rollout_first_unit(const Rollout *r) {
        return r->units;
}

RolloutUnit *rollout_unit_next(const RolloutUnit *u) {
        return u->next;
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------------------------ */

int rollouts_new(Manager *m, Rollouts **ret, ConfError *error) {
        _cleanup_(rollouts_freep) Rollouts *all = calloc(1, sizeof(*all));
        const Settings *s = m->settings;
        int r;

        if (!all)
                return -ENOMEM;
        all->manager = m;
        if (s->fleet && s->fleet_key_known && catalog_follow_is_on(m->catalog_follow)) {
                r = rollouts_load(all, error);
                if (r >= 0)
                        r = flashes_observe(m->flashes, rollout_on_flash_ended, all);
                if (r >= 0)
                        r = sd_event_add_time(m->event, &all->timer, CLOCK_BOOTTIME, clock_boottime_usec() + STEP_USEC, USEC_PER_SEC / 10,
                                              on_timer, all);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(all);
        return 0;
}

Rollout *rollout_free(Rollout *r) {
        while (r->units) {
                RolloutUnit *u = r->units;

                r->units = u->next;
                (void) rollout_unit_free(u);
        }
        r->closing = rollout_closing_free(r->closing);
        json_decref(r->marks);
        json_decref(r->judged);
        (void) rollout_order_free(r->order);
        free(r->revisions);
        free(r);
        return NULL;
}

Rollouts *rollouts_free(Rollouts *all) {
        if (!all)
                return NULL;
        sd_event_source_disable_unref(all->timer);
        while (all->first) {
                Rollout *r = all->first;

                all->first = r->next;
                (void) rollout_free(r);
        }
        free(all);
        return NULL;
}
