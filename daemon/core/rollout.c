/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rollout.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

/* What is bad is listed right before a place is taken. */
#define BAD_FRESH_USEC (10 * USEC_PER_SEC)
/* How many docks, about, are asked to close a window at first. */
#define CLOSERS 3u

const char *rollout_step_to_string(RolloutStep step) {
        static const char *const names[_ROLLOUT_STEP_MAX] = {
                [ROLLOUT_DONE] = "done",
                [ROLLOUT_NOT_MEANT] = "not-meant",
                [ROLLOUT_BEGUN_ALREADY] = "begun-already",
                [ROLLOUT_ABORTED] = "aborted",
                [ROLLOUT_STOPPED] = "stopped",
                [ROLLOUT_PAUSED] = "paused",
                [ROLLOUT_READ_STATE] = "read-state",
                [ROLLOUT_WAITS_WAVE] = "waits-wave",
                [ROLLOUT_WAITS_START] = "waits-start",
                [ROLLOUT_DRAW] = "draw",
                [ROLLOUT_WAITS_TURN] = "waits-turn",
                [ROLLOUT_READ_BAD] = "read-bad",
                [ROLLOUT_TAKE_PLACE] = "take-place",
                [ROLLOUT_FLASH] = "flash",
        };

        return step < _ROLLOUT_STEP_MAX ? names[step] : NULL;
}

/* ---- Waves -------------------------------------------------------------------------------------------------------- */

/* The rollout's id is part of it: else the same cameras would be the first in every rollout. */
int rollout_wave(const RolloutPlan *plan, const char *serial, uint32_t *ret) {
        _cleanup_(hasher_freep) Hasher *h = NULL;
        uint32_t number = 0;
        Digest d;
        int r;

        r = hasher_new(&h);
        if (r < 0 || (r = hasher_update(h, plan->id, strlen(plan->id) + 1)) < 0 ||
            (r = hasher_update(h, serial, strlen(serial))) < 0 || (r = hasher_finish(h, &d)) < 0)
                return r;
        for (size_t i = 0; i < 4; i++)
                number = number << 8 | d.bytes[i];
        number %= ROLLOUT_SHARES;
        *ret = ROLLOUT_NO_WAVE;
        for (uint32_t w = 0; w < plan->n_waves && *ret == ROLLOUT_NO_WAVE; w++)
                if (number < plan->waves[w].share)
                        *ret = w;
        return 0;
}

/* `part` of `of` is at least this share. */
static bool is_share(uint64_t part, uint64_t of, uint32_t share) {
        return part * ROLLOUT_SHARES >= of * share;
}

static bool is_open(const RolloutPlan *plan, const RolloutCounts *counts, uint32_t wave) {
        for (uint32_t w = 0; w < wave; w++)
                if (!is_share(counts->tallies[w].well, plan->waves[w].cameras, plan->opens_share))
                        return false;
        return true;
}

bool rollout_is_stopped(const RolloutPlan *plan, const RolloutCounts *counts) {
        uint64_t well = 0, bad = 0;

        if (counts->stopped || counts->bad > plan->bad_max)
                return true;
        for (size_t w = 0; w < plan->n_waves; w++) {
                well += counts->tallies[w].well;
                bad += counts->tallies[w].bad;
        }
        if (bad > plan->bad_max)
                return true;
        return plan->bad_share > 0 && well + bad >= plan->bad_share_least && bad * ROLLOUT_SHARES > (well + bad) * plan->bad_share;
}

/* ---- Windows ------------------------------------------------------------------------------------------------------ */

uint64_t rollout_window(const RolloutPlan *plan, uint64_t now_usec) {
        return now_usec > plan->begin_usec ? (now_usec - plan->begin_usec) / plan->flash_usec : 0;
}

uint64_t rollout_window_usec(const RolloutPlan *plan, uint64_t window) {
        return plan->begin_usec + window * plan->flash_usec;
}

uint32_t rollout_places(const RolloutPlan *plan) {
        return MAX2(plan->under_way_max / 2, 1u);
}

uint64_t rollout_window_closes_usec(const RolloutPlan *plan, uint64_t window) {
        return rollout_window_usec(plan, window + 2);
}

bool rollout_is_closer(const RolloutPlan *plan, uint64_t window, uint64_t now_usec, uint32_t random) {
        uint64_t closes = rollout_window_closes_usec(plan, window), docks = MAX2(plan->docks, 1u), doublings;

        if (now_usec < closes)
                return false;
        doublings = MIN2((now_usec - closes) / plan->flash_usec, UINT64_C(24));
        return random % docks < (uint64_t) CLOSERS << doublings;
}

bool rollout_draw(const RolloutPlan *plan, const RolloutCounts *counts, uint32_t wave, uint64_t now_usec, uint64_t until_usec,
                  uint64_t random, uint64_t *ret_turn_usec, uint32_t *ret_place) {
        uint64_t ended = counts->tallies[wave].well + counts->tallies[wave].bad, cameras = plan->waves[wave].cameras;
        uint64_t left = cameras > ended ? cameras - ended : 1, places = rollout_places(plan);
        uint64_t in_each = MIN2(MAX2(places / 2, UINT64_C(1)), MAX2(cameras / MAX2(plan->spread, 1u), UINT64_C(1)));
        uint64_t windows = (left + in_each - 1) / in_each, next = rollout_window(plan, now_usec) + 1;

        *ret_place = (uint32_t) ((random >> 32) % places);
        *ret_turn_usec = rollout_window_usec(plan, next + (random & UINT32_MAX) % windows);
        return until_usec == UINT64_MAX || *ret_turn_usec + plan->flash_usec <= until_usec;
}

/* ---- What is next ------------------------------------------------------------------------------------------------- */

static bool is_fresh(uint64_t read_usec, uint64_t for_usec, uint64_t now_usec) {
        return read_usec > 0 && now_usec >= read_usec && now_usec - read_usec <= for_usec;
}

static bool is_turn(const RolloutPlan *plan, const RolloutCamera *camera, uint64_t now_usec) {
        return camera->turn_usec > 0 && now_usec >= camera->turn_usec && now_usec - camera->turn_usec < plan->flash_usec;
}

/* Whether the rollout as a whole lets this camera go on. ROLLOUT_FLASH: it does. */
static RolloutStep check_rollout(const RolloutPlan *plan, const RolloutCounts *counts, const RolloutCamera *camera, uint64_t now_usec,
                                 uint64_t *ret_usec) {
        const RolloutWave *wave = &plan->waves[camera->wave];

        /* What stops holds although it may be old; what allows must be fresh. */
        if (plan->aborted)
                return ROLLOUT_ABORTED;
        if (rollout_is_stopped(plan, counts))
                return ROLLOUT_STOPPED;
        if (wave->start_usec > now_usec || plan->begin_usec > now_usec) {
                *ret_usec = MAX2(wave->start_usec, plan->begin_usec);
                return ROLLOUT_WAITS_START;
        }
        /* Until its turn it waits, whatever the store has: that is asked for then. */
        if (camera->turn_usec > now_usec && !plan->paused) {
                *ret_usec = camera->turn_usec;
                return ROLLOUT_WAITS_TURN;
        }
        if (!is_fresh(counts->state_usec, plan->fresh_usec, now_usec))
                return ROLLOUT_READ_STATE;
        *ret_usec = counts->state_usec + plan->fresh_usec + 1;
        if (plan->paused)
                return ROLLOUT_PAUSED;
        return is_open(plan, counts, camera->wave) ? ROLLOUT_FLASH : ROLLOUT_WAITS_WAVE;
}

static RolloutStep check_turn(const RolloutPlan *plan, const RolloutCounts *counts, const RolloutCamera *camera, uint64_t now_usec) {
        if (!is_turn(plan, camera, now_usec))
                return ROLLOUT_DRAW;
        /* Listed in this turn, and before the place is taken. */
        if (counts->bad_usec < camera->turn_usec || !is_fresh(counts->bad_usec, BAD_FRESH_USEC, now_usec))
                return ROLLOUT_READ_BAD;
        return camera->placed ? ROLLOUT_FLASH : ROLLOUT_TAKE_PLACE;
}

RolloutStep rollout_next(const RolloutPlan *plan, const RolloutCounts *counts, const RolloutCamera *camera, uint64_t now_usec,
                         uint64_t *ret_usec) {
        RolloutStep step;

        *ret_usec = 0;
        if (camera->has_version)
                return ROLLOUT_DONE;
        if (camera->wave >= plan->n_waves)
                return ROLLOUT_NOT_MEANT;
        if (camera->begun)
                return ROLLOUT_BEGUN_ALREADY;
        step = check_rollout(plan, counts, camera, now_usec, ret_usec);
        if (step != ROLLOUT_FLASH)
                return step;
        *ret_usec = 0;
        return check_turn(plan, counts, camera, now_usec);
}
