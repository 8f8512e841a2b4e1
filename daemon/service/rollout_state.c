/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What all docks together came to in a rollout: the newest sum, and the windows after it, which whoever comes first closes. A window is
 * closed by listing its places and outcomes; a place without an outcome is bad from then on.
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

/* A page of keys is followed by the next; more are no rollout's. */
#define PLACES_MAX 1000000u

typedef struct Place {
        uint64_t window;
        uint32_t place, wave;
        enum { PLACE_TAKEN, PLACE_OK, PLACE_BAD } came_to;
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

int rollout_keep(Rollout *r, const char *type, const char *key, uint64_t seq, json_t *members, UplinkKeepDone done, void *cookie) {
        Manager *m = r->all->manager;
        _cleanup_(freep) char *file = NULL;
        int result;

        if (!members)
                return -ENOMEM;
        result = notary_sign(m->notary, type, key, seq, members, &file);
        return result < 0 ? result : uplink_keep(m->uplink, key, file, done, cookie);
}

/* The members of what some dock signed; NULL when this is no such statement. The caller unrefs. */
static json_t *open_statement(const Rollout *r, const char *file, const char *type, const char *key) {
        const StatementAbout expected = { .type = type, .key = key, .fleet = r->order->fleet };
        _cleanup_(statement_done) Statement s = { 0 };

        if (statement_parse(file, strlen(file), &s) < 0 || statement_mismatch(&s, &expected, NULL))
                return NULL;
        return json_incref(s.object);
}

static void state_failed(Rollout *r, const char *text) {
        log_debug(NULL, "Rollout %s: its state was not read: %s", r->id, text);
        r->reading_state = false;
        r->retry_usec = clock_boottime_usec() + ROLLOUT_RETRY_USEC;
}

/* ---- Closing windows ---------------------------------------------------------------------------------------------------- */

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
        log_error(NULL, "Rollout %s: too many cameras are bad: it stops, at all docks", r->id);
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
        settle_next(c);
}

/* Its dock never said what became of it: the camera died, or the dock lost its power. */
static void on_started(void *userdata, void *cookie, const UplinkAnswer *answer) {
        RolloutClosing *c = cookie;
        Rollout *r = c->rollout;
        Place *p = &c->places[c->at];
        char key[ROLLOUT_KEY_SIZE];
        json_t *members;
        int result;

        (void) userdata;
        if (answer->result != UPLINK_OK)
                return end_closing(c, answer->text);
        members = open_statement(r, answer->text, STATEMENT_ROLLOUT_STARTED, rollout_started_key(r->id, p->window, p->place, key));
        p->wave = members ? (uint32_t) json_integer_value(json_object_get(members, "wave")) : 0;
        if (p->wave >= r->order->plan.n_waves)
                p->wave = 0;
        json_decref(members);
        result = rollout_keep(r, STATEMENT_ROLLOUT_OUTCOME, rollout_outcome_key(r->id, "bad", p->window, p->place, p->wave, key),
                              p->window + 1, json_pack("{s:s, s:b}", "outcome", "bad", "overdue", 1), on_overdue_kept, c);
        if (result < 0)
                end_closing(c, strerror(-result));
}

static void settle_next(RolloutClosing *c) {
        const Rollout *r = c->rollout;
        char key[ROLLOUT_KEY_SIZE];

        for (; c->at < c->n; c->at++) {
                const Place *p = &c->places[c->at];

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
        if (c->n == PLACES_MAX)
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

/* All that may be closed, when it is this dock that does. */
static void close_windows(Rollout *r, uint64_t now_usec) {
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

/* ---- The newest sum -------------------------------------------------------------------------------------------------------- */

static void state_read(Rollout *r) {
        int64_t now = clock_wall_usec();

        r->reading_state = false;
        r->counts.state_usec = r->all->plans_usec;
        if (now > 0)
                close_windows(r, (uint64_t) now);
        if (!r->closing)
                rollouts_step(r->all);
}

/* A sum that is none stops everything: nobody knows what it hides. */
static bool take_sum(Rollout *r, const char *file, uint64_t window) {
        char key[ROLLOUT_KEY_SIZE];
        json_t *members = open_statement(r, file, STATEMENT_ROLLOUT_SUM, rollout_sum_key(r->id, window, key));
        const json_t *waves = json_object_get(members, "waves");
        bool good = json_array_size(waves) == r->order->plan.n_waves;

        for (size_t w = 0; w < r->order->plan.n_waves && good; w++) {
                json_int_t well = json_integer_value(json_object_get(json_array_get(waves, w), "ok"));
                json_int_t bad = json_integer_value(json_object_get(json_array_get(waves, w), "bad"));

                good = well >= 0 && bad >= 0;
                r->counts.tallies[w] = (RolloutTally){ (uint64_t) MAX2(well, 0), (uint64_t) MAX2(bad, 0) };
        }
        json_decref(members);
        if (good)
                r->closed = window + 1;
        return good;
}

typedef struct SumRead {
        Rollout *rollout;
        uint64_t window;
} SumRead;

static void on_sum(void *userdata, void *cookie, const UplinkAnswer *answer) {
        SumRead *read = cookie;
        Rollout *r = read->rollout;
        uint64_t window = read->window;

        (void) userdata;
        free(read);
        if (answer->result != UPLINK_OK)
                return state_failed(r, answer->text);
        if (!take_sum(r, answer->text, window)) {
                conf_fail(&r->trouble, "what lies in the store as the sum of window %" PRIu64 " is none of this fleet's: nothing is"
                          " flashed", window);
                log_error(NULL, "Rollout %s: %s", r->id, r->trouble.text);
                return state_failed(r, r->trouble.text);
        }
        state_read(r);
}

static void on_sums(void *userdata, void *cookie, const UplinkAnswer *answer, const UplinkKeys *keys) {
        char folder[ROLLOUT_KEY_SIZE];
        Rollout *r = cookie;
        uint32_t place, wave;
        SumRead *read;

        (void) userdata;
        if (answer->result != UPLINK_OK || !keys)
                return state_failed(r, answer->text);
        if (keys->n == 0)
                return state_read(r);
        if (keys->more) {
                if (uplink_list(r->all->manager->uplink, rollout_folder(r->id, "sums", folder), keys->keys[keys->n - 1], WIRE_LIST_MAX,
                                on_sums, r) < 0)
                        state_failed(r, "out of memory");
                return;
        }
        read = calloc(1, sizeof(*read));
        if (read)
                read->rollout = r;
        if (!read || rollout_numbers_of_key(keys->keys[keys->n - 1], &read->window, &place, &wave) < 0 || read->window < r->closed ||
            uplink_fetch(r->all->manager->uplink, keys->keys[keys->n - 1], on_sum, read) < 0) {
                free(read);
                state_failed(r, "out of memory, or a sum has another name than it must");
        }
}

void rollout_read_state(Rollout *r) {
        char folder[ROLLOUT_KEY_SIZE], after[ROLLOUT_KEY_SIZE];
        uint64_t boottime = clock_boottime_usec();
        uint64_t now = (uint64_t) MAX2(clock_wall_usec(), (int64_t) 0);

        if (r->reading_state || r->closing || boottime < r->retry_usec)
                return;
        /* The plan must be as fresh as what it is measured by. */
        if (r->all->plans_usec == 0 || now < r->all->plans_usec ||
            now - r->all->plans_usec > MIN2(r->order->plan.fresh_usec, r->order->plan.flash_usec) / 2 || r->reading_plan) {
                r->retry_usec = r->all->listing || r->reading_plan ? 0 : boottime + USEC_PER_SEC / 2;
                return rollouts_look(r->all);
        }
        (void) rollout_folder(r->id, "sums", folder);
        after[0] = 0;
        if (r->closed > 0)
                (void) rollout_sum_key(r->id, r->closed - 1, after);
        r->reading_state = true;
        if (uplink_list(r->all->manager->uplink, folder, after, WIRE_LIST_MAX, on_sums, r) < 0)
                state_failed(r, "out of memory");
}

/* ---- What is bad ----------------------------------------------------------------------------------------------------------- */

static void on_bad(void *userdata, void *cookie, const UplinkAnswer *answer, const UplinkKeys *keys) {
        Rollout *r = cookie;
        char stop[ROLLOUT_KEY_SIZE];

        (void) userdata;
        r->reading_bad = false;
        if (answer->result != UPLINK_OK || !keys) {
                log_debug(NULL, "Rollout %s: what is bad was not listed: %s", r->id, answer->text);
                r->retry_usec = clock_boottime_usec() + ROLLOUT_RETRY_USEC;
                return;
        }
        r->counts.bad = 0;
        (void) rollout_stop_key(r->id, stop);
        for (size_t i = 0; i < keys->n; i++)
                if (text_equal(keys->keys[i], stop))
                        r->counts.stopped = true;
                else
                        r->counts.bad++;
        r->counts.bad_usec = (uint64_t) MAX2(clock_wall_usec(), (int64_t) 0);
        rollouts_step(r->all);
}

void rollout_read_bad(Rollout *r) {
        char folder[ROLLOUT_KEY_SIZE];

        if (r->reading_bad || clock_boottime_usec() < r->retry_usec)
                return;
        /* One more than is borne, and the mark. */
        r->reading_bad = uplink_list(r->all->manager->uplink, rollout_folder(r->id, "bad", folder), "",
                                     MIN2(r->order->plan.bad_max + 2, WIRE_LIST_MAX), on_bad, r) >= 0;
}
