/* SPDX-License-Identifier: Apache-2.0 */

/* Which rollouts there are: their plans in the store, believed when the fleet's administrator signed them. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/rollout_private.h"

static Rollout *find(const Rollouts *all, const char *id) {
        Rollout *r = all->first;

        while (r && !text_equal(r->id, id))
                r = r->next;
        return r;
}

static int get(Rollouts *all, const char *id, Rollout **ret) {
        Rollout *r = find(all, id), **end = &all->first;

        if (!r) {
                r = calloc(1, sizeof(*r));
                if (!r)
                        return -ENOMEM;
                r->all = all;
                (void) snprintf(r->id, sizeof(r->id), "%s", id);
                while (*end)
                        end = &(*end)->next;
                *end = r;
        }
        *ret = r;
        return 0;
}

static uint64_t revision_of(const Rollout *r) {
        return r->order ? r->order->revision : 0;
}

/* ---- Believing one ---------------------------------------------------------------------------------------------------- */

static void read_plan(Rollout *r);

typedef struct Recording {
        Rollout *rollout;
        RolloutOrder *order;
} Recording;

static void recorded(int result, void *userdata) {
        Recording *recording = userdata;
        Rollout *r = recording->rollout;

        r->reading_plan = false;
        if (result >= 0) {
                (void) rollout_order_free(r->order);
                r->order = TAKE_PTR(recording->order);
                r->trouble.text[0] = 0;
                log_notice(NULL, "Rollout %s: revision %" PRIu64 " is in force: %s", r->id, r->order->revision,
                           rollout_order_state(r->order));
                rollout_plan_changed(r);
        } else
                log_error(NULL, "Rollout %s: a new revision is not taken: %s", r->id, store_last_refusal(r->all->manager->store));
        (void) rollout_order_free(recording->order);
        free(recording);
}

/* Takes the order. */
static int record(Rollout *r, RolloutOrder *order, const char *file) {
        Fact fact = { .kind = FACT_ROLLOUT, .text = "from the store, signed by the fleet's administrator" };
        Recording *recording = calloc(1, sizeof(*recording));
        int result;

        fact.rollout.id = r->id;
        fact.rollout.statement = file;
        fact.rollout.revision = order->revision;
        manager_moment(r->all->manager, &fact.at);
        if (recording)
                *recording = (Recording){ r, order };
        result = recording ? store_put(r->all->manager->store, &fact, recorded, recording) : -ENOMEM;
        if (result < 0) {
                (void) rollout_order_free(order);
                free(recording);
        }
        return result;
}

static void on_plan(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Rollout *r = cookie;
        const Settings *s = r->all->manager->settings;
        char key[ROLLOUT_KEY_SIZE];
        RolloutOrder *order = NULL;
        ConfError error = { 0 };
        int result;

        (void) userdata;
        if (answer->result == UPLINK_INVALID) {
                r->n_revisions--;
                return read_plan(r);
        }
        if (answer->result != UPLINK_OK) {
                log_debug(NULL, "Rollout %s: the store was not asked for its plan: %s", r->id, answer->text);
                r->reading_plan = false;
                r->all->plans_usec = 0;
                return;
        }
        (void) rollout_plan_key(r->id, r->revisions[r->n_revisions - 1], key);
        result = rollout_order_open(answer->text, strlen(answer->text), key, &s->fleet_key, s->fleet, revision_of(r), &order, &error);
        if (result >= 0) {
                r->n_revisions = 0;
                r->reading_plan = record(r, order, answer->text) >= 0;
                return;
        }
        log_full(text_equal(r->trouble.text, error.text) ? LOG_DEBUG : LOG_ERR, &(LogAbout){ .message = MESSAGE_STATEMENT_REFUSED },
                 "What lies in the store as %s is not taken: %s", key, error.text[0] ? error.text : strerror(-result));
        r->trouble = error;
        r->n_revisions--;
        read_plan(r);
}

/* The highest first: whoever can write to the store, and has no key, keeps no revision from us by putting another above it. */
static void read_plan(Rollout *r) {
        char key[ROLLOUT_KEY_SIZE];

        r->reading_plan = r->n_revisions > 0 &&
                          uplink_fetch(r->all->manager->uplink, rollout_plan_key(r->id, r->revisions[r->n_revisions - 1], key), on_plan,
                                       r) >= 0;
}

/* ---- Finding them ------------------------------------------------------------------------------------------------------ */

static int list(Rollouts *all, const char *after);

static int take_key(Rollouts *all, const char *key) {
        char id[ROLLOUT_ID_SIZE];
        uint64_t revision, *grown;
        Rollout *r;
        int result;

        if (rollout_plan_of_key(key, id, &revision) < 0)
                return 0;
        result = get(all, id, &r);
        /* While one is read its list stays as it is. */
        if (result < 0 || revision <= revision_of(r) || r->reading_plan)
                return result;
        grown = reallocarray(r->revisions, r->n_revisions + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        r->revisions = grown;
        r->revisions[r->n_revisions++] = revision;
        return 0;
}

static void all_listed(Rollouts *all) {
        all->listing = false;
        all->plans_usec = all->listing_since_usec;
        for (Rollout *r = all->first; r; r = r->next)
                if (!r->reading_plan)
                        read_plan(r);
        rollouts_step(all);
}

static void on_listed(void *userdata, void *cookie, const UplinkAnswer *answer, const UplinkKeys *keys) {
        Rollouts *all = cookie;
        int r = 0;

        (void) userdata;
        if (answer->result != UPLINK_OK || !keys) {
                log_debug(NULL, "The store was not asked for rollouts: %s", answer->text);
                all->listing = false;
                return;
        }
        for (size_t i = 0; i < keys->n && r >= 0; i++)
                r = take_key(all, keys->keys[i]);
        if (r >= 0 && keys->more && keys->n > 0)
                r = list(all, keys->keys[keys->n - 1]);
        else if (r >= 0)
                return all_listed(all);
        all->listing = r >= 0;
}

static int list(Rollouts *all, const char *after) {
        return uplink_list(all->manager->uplink, ROLLOUT_PLANS, after, WIRE_LIST_MAX, on_listed, all);
}

void rollouts_look(Rollouts *all) {
        if (all->listing)
                return;
        all->look_usec = clock_boottime_usec() + all->manager->settings->firmware_usec;
        all->listing_since_usec = (uint64_t) MAX2(clock_wall_usec(), (int64_t) 0);
        for (Rollout *r = all->first; r; r = r->next)
                if (!r->reading_plan)
                        r->n_revisions = 0;
        all->listing = list(all, "") >= 0;
}

/* ---- What is on record -------------------------------------------------------------------------------------------------- */

static int load_cameras(Rollout *r) {
        RolloutCameraRow *rows = NULL;
        size_t n = 0;
        int result;

        result = store_rollout_cameras(r->all->manager->store, r->id, &rows, &n);
        for (size_t i = 0; i < n && result >= 0; i++) {
                RolloutUnit *u;

                result = rollout_unit_add(r, rows[i].camera_id, rows[i].serial, &u);
                if (result < 0)
                        break;
                u->camera.begun = true;
                u->camera.wave = rows[i].wave;
                u->window = rows[i].window;
                u->place = rows[i].place;
                u->outcome = text_equal(rows[i].outcome, "ok") ? "ok" : text_equal(rows[i].outcome, "bad") ? "bad" : "";
                u->told = rows[i].told;
                u->phase = u->outcome[0] ? UNIT_IDLE : UNIT_FLASHING;
        }
        rollout_camera_rows_free(rows, n);
        return result;
}

static int load(Rollouts *all, const RolloutRow *row, ConfError *error) {
        const Settings *s = all->manager->settings;
        char key[ROLLOUT_KEY_SIZE];
        Rollout *r;
        int result;

        result = get(all, row->id, &r);
        if (result < 0)
                return result;
        result = rollout_order_open(row->statement, strlen(row->statement), rollout_plan_key(row->id, row->revision, key), &s->fleet_key,
                                    s->fleet, 0, &r->order, error);
        /* Of another fleet, or another administrator by now: it is history. */
        if (result == -EKEYREJECTED) {
                r->trouble = *error;
                error->text[0] = 0;
                return 0;
        }
        return result < 0 ? result : load_cameras(r);
}

int rollouts_load(Rollouts *all, ConfError *error) {
        RolloutRow *rows = NULL;
        size_t n = 0;
        int r;

        r = store_rollouts(all->manager->store, &rows, &n);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = load(all, &rows[i], error);
        rollout_rows_free(rows, n);
        return r;
}
