/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The closing of a rollout's windows, which whichever dock comes first does for all: it lists their places and outcomes, and keeps the sum.
 * A place without an outcome is bad from then on.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/rollout.h"
#include "service/rollout_private.h"

typedef struct Place {
        uint64_t window;
        uint32_t place, wave;
        enum { PLACE_TAKEN, PLACE_OK, PLACE_BAD } came_to;
        bool asked_ok, asked_bad; /* who said that it is ok; who said that it is bad */
        bool was_ok;              /* that was said, too … */
        uint32_t ok_wave;         /* … and of which wave */
} Place;

/* Windows from `from` to `to`, both included. */
struct RolloutClosing {
        Rollout *rollout;
        uint64_t from, to;
        unsigned list; /* which of the three is being read */
        Place *places; /* in the order of the keys */
        size_t n, at;
        RolloutTally tallies[ROLLOUT_WAVES_MAX]; /* of these windows */
};

static const char *const lists[] = { "started", "ok", "bad" };

RolloutClosing *rollout_closing_free(RolloutClosing *c) {
        if (!c)
                return NULL;
        free(c->places);
        free(c);
        return NULL;
}

static void end_closing(RolloutClosing *c, const char *trouble) {
        Rollout *r = c->rollout;

        if (trouble) {
                log_debug(NULL, "Rollout %s: windows %" PRIu64 " to %" PRIu64 " were not closed: %s", r->id, c->from, c->to, trouble);
                r->retry_usec = clock_boottime_usec() + ROLLOUT_RETRY_USEC;
        }
        r->closing = rollout_closing_free(c);
        rollouts_step(r->all);
}

static void on_stop_kept(void *userdata, void *cookie, const UplinkAnswer *answer) {
        RolloutClosing *c = cookie;

        (void) userdata;
        /* Whoever put it there before: it lies there. */
        if (answer->result == UPLINK_CONFLICT)
                end_closing(c, NULL);
        else
                end_closing(c, answer->result == UPLINK_OK ? NULL : answer->text);
}

static void on_sum_kept(void *userdata, void *cookie, const UplinkAnswer *answer) {
        RolloutClosing *c = cookie;
        Rollout *r = c->rollout;
        char key[ROLLOUT_KEY_SIZE];
        int result;

        (void) userdata;
        /* Another dock was faster: what it put counts, and is read next. */
        if (answer->result == UPLINK_CONFLICT) {
                r->counts.state_usec = 0;
                return end_closing(c, NULL);
        }
        if (answer->result != UPLINK_OK)
                return end_closing(c, answer->text);
        for (size_t w = 0; w < r->order->plan.n_waves; w++) {
                r->counts.tallies[w].well += c->tallies[w].well;
                r->counts.tallies[w].bad += c->tallies[w].bad;
        }
        r->closed = c->to + 1;
        if (!rollout_is_stopped(&r->order->plan, &r->counts) || r->counts.stopped)
                return end_closing(c, NULL);
        r->counts.stopped = true;
        log_message(LOG_ERR, MESSAGE_ROLLOUT_STOPPED, "Rollout %s: too many cameras are bad: it stops, at all docks", r->id);
        result = rollout_keep(r, STATEMENT_ROLLOUT_STOP, rollout_stop_key(r->id, key), 1, json_object(), on_stop_kept, c);
        if (result < 0)
                end_closing(c, strerror(-result));
}

static void keep_sum(RolloutClosing *c) {
        Rollout *r = c->rollout;
        json_t *waves = json_array();
        char key[ROLLOUT_KEY_SIZE];
        int result;

        for (size_t w = 0; w < r->order->plan.n_waves && waves; w++)
                (void) json_array_append_new(waves, json_pack("{s:I, s:I}", "ok",
                                                              (json_int_t) (r->counts.tallies[w].well + c->tallies[w].well), "bad",
                                                              (json_int_t) (r->counts.tallies[w].bad + c->tallies[w].bad)));
        result = rollout_keep(r, STATEMENT_ROLLOUT_SUM, rollout_sum_key(r->id, c->to, key), c->to + 1, json_pack("{s:o}", "waves", waves),
                              on_sum_kept, c);
        if (result < 0)
                end_closing(c, strerror(-result));
}

static void settle_next(RolloutClosing *c);

static void on_overdue_kept(void *userdata, void *cookie, const UplinkAnswer *answer) {
        RolloutClosing *c = cookie;

        (void) userdata;
        if (answer->result != UPLINK_OK && answer->result != UPLINK_CONFLICT)
                return end_closing(c, answer->text);
        c->places[c->at].came_to = PLACE_BAD;
        c->places[c->at].asked_bad = true;
        settle_next(c);
}

/* Its dock never said what became of it: the camera died, or the dock lost its power. */
static void on_started(void *userdata, void *cookie, const UplinkAnswer *answer) {
        RolloutClosing *c = cookie;
        Rollout *r = c->rollout;
        Place *p = &c->places[c->at];
        char key[ROLLOUT_KEY_SIZE];
        const char *why;
        json_t *members;
        int result;

        (void) userdata;
        if (answer->result != UPLINK_OK)
                return end_closing(c, answer->text);
        members = rollout_open_statement(r, answer->text, STATEMENT_ROLLOUT_STARTED, rollout_started_key(r->id, p->window, p->place, key),
                                 p->window, &why);
        if (!members)
                rollout_does_not_count(r, key, why, "the place counts as bad");
        p->wave = members ? (uint32_t) json_integer_value(json_object_get(members, "wave")) : 0;
        if (p->wave >= r->order->plan.n_waves)
                p->wave = 0;
        json_decref(members);
        result = rollout_keep(r, STATEMENT_ROLLOUT_OUTCOME, rollout_outcome_key(r->id, "bad", p->window, p->place, p->wave, key),
                              p->window + 1, json_pack("{s:s, s:b}", "outcome", "bad", "overdue", 1), on_overdue_kept, c);
        if (result < 0)
                end_closing(c, strerror(-result));
}

/*
 * It is asked who says so: "ok" opens the next wave, and a "bad" that does not count takes nothing away from what is said by the dock that
 * has the place.
 */
static void on_outcome(void *userdata, void *cookie, const UplinkAnswer *answer) {
        RolloutClosing *c = cookie;
        const Rollout *r = c->rollout;
        Place *p = &c->places[c->at];
        bool ok = p->came_to == PLACE_OK;
        char key[ROLLOUT_KEY_SIZE];
        json_t *members;
        const char *why;

        (void) userdata;
        if (answer->result != UPLINK_OK)
                return end_closing(c, answer->text);
        (void) rollout_outcome_key(r->id, ok ? "ok" : "bad", p->window, p->place, p->wave, key);
        members = rollout_open_statement(r, answer->text, STATEMENT_ROLLOUT_OUTCOME, key, p->window, &why);
        p->asked_ok |= ok;
        p->asked_bad |= !ok;
        if (!members) {
                bool was_ok = !ok && p->was_ok;

                rollout_does_not_count(r, key, why, ok     ? "the place counts as bad" :
                                                    was_ok ? "the place counts by its other outcome" :
                                                             "the place counts as bad all the same");
                p->came_to = was_ok ? PLACE_OK : PLACE_TAKEN;
                p->wave = was_ok ? p->ok_wave : p->wave;
        }
        json_decref(members);
        settle_next(c);
}

/* One that was given back flashed nothing, and is counted nowhere. */
static bool is_to_be_asked(const Place *p) {
        return p->wave != UINT32_MAX && ((p->came_to == PLACE_OK && !p->asked_ok) || (p->came_to == PLACE_BAD && !p->asked_bad));
}

static void settle_next(RolloutClosing *c) {
        const Rollout *r = c->rollout;
        const bool judges = fleet_follow_list(r->all->manager->fleet_follow) != NULL;
        char key[ROLLOUT_KEY_SIZE];

        for (; c->at < c->n; c->at++) {
                const Place *p = &c->places[c->at];

                if (judges && is_to_be_asked(p)) {
                        (void) rollout_outcome_key(r->id, p->came_to == PLACE_OK ? "ok" : "bad", p->window, p->place, p->wave, key);
                        if (uplink_fetch(r->all->manager->uplink, key, on_outcome, c) < 0)
                                end_closing(c, "out of memory");
                        return;
                }
                if (p->came_to == PLACE_TAKEN) {
                        if (uplink_fetch(r->all->manager->uplink, rollout_started_key(r->id, p->window, p->place, key), on_started, c) < 0)
                                end_closing(c, "out of memory");
                        return;
                }
                if (p->wave < r->order->plan.n_waves) {
                        c->tallies[p->wave].well += p->came_to == PLACE_OK;
                        c->tallies[p->wave].bad += p->came_to == PLACE_BAD;
                }
        }
        keep_sum(c);
}

/* ---- Which places were taken, and what came of them -------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
        const Place *x = a, *y = b;

        if (x->window != y->window)
                return x->window < y->window ? -1 : 1;
        return x->place < y->place ? -1 : x->place > y->place;
}

static void take_outcome(RolloutClosing *c, const Place *outcome) {
        Place *p = c->n > 0 ? bsearch(outcome, c->places, c->n, sizeof(*c->places), compare) : NULL;

        /* Bad counts, whatever else somebody put there. */
        if (!p || (outcome->came_to == PLACE_OK && p->came_to != PLACE_TAKEN))
                return;
        if (p->came_to == PLACE_OK) {
                p->was_ok = true;
                p->ok_wave = p->wave;
        }
        p->came_to = outcome->came_to;
        p->wave = outcome->wave;
}

static int take_key(RolloutClosing *c, const char *key, bool *ret_past) {
        Place one = { .came_to = c->list == 0 ? PLACE_TAKEN : c->list == 1 ? PLACE_OK : PLACE_BAD }, *grown;

        if (rollout_numbers_of_key(key, &one.window, &one.place, &one.wave) < 0 || one.place == UINT32_MAX)
                return 0;
        *ret_past = one.window > c->to;
        if (*ret_past || one.window < c->from)
                return 0;
        if (c->list > 0) {
                take_outcome(c, &one);
                return 0;
        }
        if (c->n == ROLLOUT_KEYS_MAX)
                return -E2BIG;
        grown = reallocarray(c->places, c->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        c->places = grown;
        c->places[c->n++] = one;
        return 0;
}

static void list_places(RolloutClosing *c, const char *after);

static void on_places(void *userdata, void *cookie, const UplinkAnswer *answer, const UplinkKeys *keys) {
        RolloutClosing *c = cookie;
        char after[ROLLOUT_KEY_SIZE];
        bool past = false;
        int r = 0;

        (void) userdata;
        if (answer->result != UPLINK_OK || !keys)
                return end_closing(c, answer->text);
        for (size_t i = 0; i < keys->n && r >= 0 && !past; i++)
                r = take_key(c, keys->keys[i], &past);
        if (r < 0)
                return end_closing(c, strerror(-r));
        if (!past && keys->more && keys->n > 0) {
                (void) snprintf(after, sizeof(after), "%s", keys->keys[keys->n - 1]);
                return list_places(c, after);
        }
        /* Nobody took a place: there is nothing more to list. */
        if (++c->list == ELEMENTSOF(lists) || c->n == 0)
                return settle_next(c);
        list_places(c, NULL);
}

/* After that key; NULL: from the first window on. */
static void list_places(RolloutClosing *c, const char *after) {
        const Rollout *r = c->rollout;
        char folder[ROLLOUT_KEY_SIZE], first[ROLLOUT_KEY_SIZE + 32] = "";

        (void) rollout_folder(r->id, lists[c->list], folder);
        if (!after)
                (void) snprintf(first, sizeof(first), "%s%08" PRIu64 "-", folder, c->from);
        if (uplink_list(r->all->manager->uplink, folder, after ? after : first, WIRE_LIST_MAX, on_places, c) < 0)
                end_closing(c, "out of memory");
}

void rollout_close_windows(Rollout *r, uint64_t now_usec) {
        const RolloutPlan *plan = &r->order->plan;
        uint64_t window = rollout_window(plan, now_usec);
        uint32_t random;
        RolloutClosing *c;

        if (r->closing || window < 2 || r->closed > window - 2 || now_usec < rollout_window_closes_usec(plan, window - 2))
                return;
        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random) || !rollout_is_closer(plan, r->closed, now_usec, random))
                return;
        c = calloc(1, sizeof(*c));
        if (!c)
                return;
        c->rollout = r;
        c->from = r->closed;
        c->to = window - 2;
        r->closing = c;
        list_places(c, NULL);
}
