/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is bad in a rollout as it goes: outcomes since the newest sum, and the mark of who stopped it.
 *
 * With a list of the fleet's docks in force, what stops is asked who says so, too: a mark by somebody who does not count stops nothing,
 * and is told of. It hides nothing either: a place that was taken counts as bad when its window is closed, whatever lies there in its
 * dock's stead, and each dock stops by the sums as well.
 */

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/rollout_private.h"

static void bad_failed(Rollout *r, const char *text) {
        log_debug(NULL, "Rollout %s: what is bad was not read: %s", r->id, text);
        r->reading_bad = false;
        r->retry_usec = clock_boottime_usec() + ROLLOUT_RETRY_USEC;
}

static void bad_read(Rollout *r) {
        char stop[ROLLOUT_KEY_SIZE];
        json_t *mark;
        size_t i;

        r->reading_bad = false;
        r->counts.bad = 0;
        (void) rollout_stop_key(r->id, stop);
        json_array_foreach(r->marks, i, mark) {
                const char *key = json_string_value(mark);

                if (json_is_false(json_object_get(r->judged, key)))
                        continue;
                if (text_equal(key, stop))
                        r->counts.stopped = true;
                else
                        r->counts.bad++;
        }
        r->counts.bad_usec = (uint64_t) MAX2(clock_wall_usec(), (int64_t) 0);
        rollouts_step(r->all);
}

static void judge_marks(Rollout *r);

/* NULL: it counts. */
static const char *judge_mark(const Rollout *r, const char *key, const char *text) {
        char stop[ROLLOUT_KEY_SIZE];
        bool stops = text_equal(key, rollout_stop_key(r->id, stop));
        uint32_t place, wave;
        uint64_t window = 0;
        const char *why = NULL;
        json_t *members;

        if (!stops && rollout_numbers_of_key(key, &window, &place, &wave) < 0)
                return "it has another name than it must";
        members = rollout_open_statement(r, text, stops ? STATEMENT_ROLLOUT_STOP : STATEMENT_ROLLOUT_OUTCOME, key, stops ? 0 : window,
                                         &why);
        if (members && !stops && !text_equal(json_string_value(json_object_get(members, "outcome")), "bad"))
                why = "it tells of another outcome";
        json_decref(members);
        return why;
}

static void on_mark(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Rollout *r = cookie;
        const char *key = json_string_value(json_array_get(r->marks, r->mark)), *why;

        (void) userdata;
        if (answer->result != UPLINK_OK)
                return bad_failed(r, answer->text);
        why = judge_mark(r, key, answer->text);
        if (why)
                rollout_does_not_count(r, key, why, "nothing is stopped by it");
        if (json_object_set_new(r->judged, key, json_boolean(!why)) < 0)
                return bad_failed(r, "out of memory");
        judge_marks(r);
}

/* Each once, as long as the list is the same: what lies there is never replaced. */
static void judge_marks(Rollout *r) {
        const Fleet *list = fleet_follow_list(r->all->manager->fleet_follow);
        uint64_t by = list ? list->seq : 0;

        if (r->judged_by != by || !r->judged) {
                json_decref(r->judged);
                r->judged = json_object();
                r->judged_by = by;
                r->mark = 0;
        }
        for (; list && r->mark < json_array_size(r->marks); r->mark++) {
                const char *key = json_string_value(json_array_get(r->marks, r->mark));

                if (json_object_get(r->judged, key))
                        continue;
                if (uplink_fetch(r->all->manager->uplink, key, on_mark, r) < 0)
                        bad_failed(r, "out of memory");
                return;
        }
        bad_read(r);
}

static int list_bad(Rollout *r, const char *after);

static void on_bad(void *userdata, void *cookie, const UplinkAnswer *answer, const UplinkKeys *keys) {
        Rollout *r = cookie;
        int result = 0;

        (void) userdata;
        if (answer->result != UPLINK_OK || !keys)
                return bad_failed(r, answer->text);
        for (size_t i = 0; i < keys->n && result >= 0; i++)
                result = json_array_append_new(r->marks, json_string(keys->keys[i]));
        if (result < 0 || json_array_size(r->marks) > ROLLOUT_KEYS_MAX)
                return bad_failed(r, result < 0 ? "out of memory" : "there are more than there can be places");
        /* Where each counts, more than are borne are not looked at; where not, what does not count may hide what does. */
        if (!fleet_follow_list(r->all->manager->fleet_follow) || !keys->more || keys->n == 0)
                return judge_marks(r);
        if (list_bad(r, keys->keys[keys->n - 1]) < 0)
                bad_failed(r, "out of memory");
}

static int list_bad(Rollout *r, const char *after) {
        bool judges = fleet_follow_list(r->all->manager->fleet_follow) != NULL;
        char folder[ROLLOUT_KEY_SIZE];

        /* One more than is borne, and the mark. */
        return uplink_list(r->all->manager->uplink, rollout_folder(r->id, "bad", folder), after,
                           judges ? WIRE_LIST_MAX : MIN2(r->order->plan.bad_max + 2, WIRE_LIST_MAX), on_bad, r);
}

void rollout_read_bad(Rollout *r) {
        if (r->reading_bad || clock_boottime_usec() < r->retry_usec)
                return;
        json_decref(r->marks);
        r->marks = json_array();
        r->mark = 0;
        r->reading_bad = r->marks && list_bad(r, "") >= 0;
}
