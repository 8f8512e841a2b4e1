/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One firmware going out to a fleet whose docks share nothing but the store. Each dock decides by itself, from the signed plan, from
 * what all docks put into the store, and from its own cameras. The store must refuse to put an object that is there (If-None-Match: *),
 * and list what was put before the listing began.
 *
 * Time is cut into windows of the plan's flash time. A flash is begun by putting, on condition that it is not there yet, the object of
 * one of the window's places; as many places as the fleet may have flashes under way (halved: the flashes of two windows overlap). The
 * outcome goes under the same window and place. When a window's last flash must have ended, some dock closes it: places that were taken
 * and have no outcome are bad from then on. What the closed windows add up to opens the next wave, or stops all; beside that the
 * outcomes that are bad are listed before each flash.
 *
 * Pure: "now" is an argument, wall clock in microseconds since 1970 (docks whose clock is not synchronised take no part).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rollout_plan.h"

#define ROLLOUT_NO_WAVE UINT32_MAX

/* What the closed windows add up to for a wave. */
typedef struct RolloutTally {
        uint64_t well, bad;
} RolloutTally;

/* What this dock read last, and when; 0: never. */
typedef struct RolloutCounts {
        uint64_t state_usec; /* the plan, and what is closed */
        RolloutTally tallies[ROLLOUT_WAVES_MAX];
        uint64_t bad_usec;
        bool stopped; /* the mark of who closed a window and found too large a share bad: it is listed first */
        uint64_t bad; /* as listed: no more than bad_max + 1 are asked for */
} RolloutCounts;

/* One camera, as this dock knows it. */
typedef struct RolloutCamera {
        uint32_t wave;       /* rollout_wave(), or the one that names it; ROLLOUT_NO_WAVE */
        bool has_version;    /* read from the camera */
        bool begun;          /* it was flashed in this rollout: it is not flashed again */
        uint64_t turn_usec;  /* the beginning of the window that was drawn for it; 0: none */
        bool placed;         /* its place in that window is its own */
} RolloutCamera;

typedef enum RolloutStep {
        ROLLOUT_DONE,         /* it has the version */
        ROLLOUT_NOT_MEANT,    /* it is in no wave */
        ROLLOUT_BEGUN_ALREADY, /* it was tried, and has not the version */
        ROLLOUT_ABORTED,
        ROLLOUT_STOPPED,      /* too many are bad */
        ROLLOUT_PAUSED,
        ROLLOUT_READ_STATE,   /* read whether the plan changed and what is closed, then ask again */
        ROLLOUT_WAITS_WAVE,   /* the wave before it has not enough that are well */
        ROLLOUT_WAITS_START,  /* its wave begins later */
        ROLLOUT_DRAW,         /* draw a turn: rollout_draw() */
        ROLLOUT_WAITS_TURN,
        ROLLOUT_READ_BAD,     /* list the bad, then ask again at once */
        ROLLOUT_TAKE_PLACE,   /* put the place's object on condition; is it there already, try others of the window, then draw again */
        ROLLOUT_FLASH,
        _ROLLOUT_STEP_MAX,
} RolloutStep;

/* What is next for a camera. *ret_usec: when to ask again at the latest, for the steps that wait; 0 for the others. */
RolloutStep rollout_next(const RolloutPlan *plan, const RolloutCounts *counts, const RolloutCamera *camera, uint64_t now_usec,
                         uint64_t *ret_usec);
const char *rollout_step_to_string(RolloutStep step);
/* By these counts too many are bad. Who closes a window and finds it so puts the mark that stops all. */
bool rollout_is_stopped(const RolloutPlan *plan, const RolloutCounts *counts);

/* The wave of a camera by its serial: the same at every dock. -EIO when libcrypto fails. */
int rollout_wave(const RolloutPlan *plan, const char *serial, uint32_t *ret);

/* Windows are numbered from begin_usec. Before that: 0. */
uint64_t rollout_window(const RolloutPlan *plan, uint64_t now_usec);
uint64_t rollout_window_usec(const RolloutPlan *plan, uint64_t window);
uint32_t rollout_places(const RolloutPlan *plan);
/* From then on the window may be closed, by whoever comes first: what has no outcome is bad. */
uint64_t rollout_window_closes_usec(const RolloutPlan *plan, uint64_t window);
/*
 * Is it this dock that closes it? A few are asked first, and ever more the longer nobody does: all ask at their own times. `random` is
 * 32 random bits, new each time.
 */
bool rollout_is_closer(const RolloutPlan *plan, uint64_t window, uint64_t now_usec, uint32_t random);

/*
 * Draws a window and a place in it, evenly over as many windows as what is left of the wave needs; until_usec is the end of the dock's
 * hours (UINT64_MAX: it has none), and false says that the turn is not in them: draw again in the next. `random` is 64 random bits.
 * One place of two is drawn, or too many cameras would meet at one: each such meeting costs two requests.
 */
bool rollout_draw(const RolloutPlan *plan, const RolloutCounts *counts, uint32_t wave, uint64_t now_usec, uint64_t until_usec,
                  uint64_t random, uint64_t *ret_turn_usec, uint32_t *ret_place);
