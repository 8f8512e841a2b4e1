/* SPDX-License-Identifier: Apache-2.0 */

/* What all docks together came to in a rollout: the newest sum. The windows after it are closed by rollout_closing.c. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/rollout_private.h"

static void state_failed(Rollout *r, const char *text) {
        log_debug(NULL, "Rollout %s: its state was not read: %s", r->id, text);
        r->reading_state = false;
        r->retry_usec = clock_boottime_usec() + ROLLOUT_RETRY_USEC;
}

static void state_read(Rollout *r) {
        int64_t now = clock_wall_usec();

        r->reading_state = false;
        r->counts.state_usec = r->all->plans_usec;
        if (now > 0)
                rollout_close_windows(r, (uint64_t) now);
        if (!r->closing)
                rollouts_step(r->all);
}

/* A sum that is none stops everything: nobody knows what it hides. */
static bool take_sum(Rollout *r, const char *file, uint64_t window, const char **ret_why) {
        char key[ROLLOUT_KEY_SIZE];
        json_t *members = rollout_open_statement(r, file, STATEMENT_ROLLOUT_SUM, rollout_sum_key(r->id, window, key), window, ret_why);
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
        char key[ROLLOUT_KEY_SIZE];
        const char *why = NULL;

        (void) userdata;
        free(read);
        if (answer->result != UPLINK_OK)
                return state_failed(r, answer->text);
        if (!take_sum(r, answer->text, window, &why)) {
                conf_fail(&r->trouble, "what lies in the store as the sum of window %" PRIu64 " (%s) does not count: %s; nothing is"
                          " flashed: enroll the dock that signed it ('berthctl dock enroll'), or begin another rollout", window,
                          rollout_sum_key(r->id, window, key), why ? why : "it has not the waves of the plan");
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
