/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How one firmware goes out to a fleet: a statement (base/statement.h) of the type "rollout", signed by the fleet's administrator, of a
 * rising revision: pausing, going on and aborting are revisions of it. docs/rollout.md describes it, and what docks put beside it:
 *
 *   rollouts/plans/<id>.<revision>            the plan
 *   rollouts/<id>.started/<window>-<place>    a dock took a place: it is about to flash a camera
 *   rollouts/<id>.ok|bad/<window>-<place>-<wave>   what became of it
 *   rollouts/<id>.bad/0-stop                  too large a share is bad
 *   rollouts/<id>.sums/<window>               what all windows up to this one add up to
 *   rollouts/<id>.cameras/<SHA-256 of the serial>  who flashes this camera
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/catalog.h"
#include "base/conf.h"
#include "base/macro.h"
#include "base/sign.h"
#include "base/statement.h"
#include "base/week.h"

#define ROLLOUT_FOLDER "rollouts/"
#define ROLLOUT_PLANS ROLLOUT_FOLDER "plans/"
#define ROLLOUT_ID_SIZE 33u
#define ROLLOUT_KEY_SIZE 160u
#define ROLLOUT_WAVES_MAX 16u
#define ROLLOUT_MODELS_MAX 16u
#define ROLLOUT_HOURS_MAX 8u
#define ROLLOUT_NAMED_MAX 1000u
#define ROLLOUT_NAME_SIZE 129u
#define ROLLOUT_REVISION_MAX 999999u
#define ROLLOUT_WINDOWS_MAX UINT64_C(99999999)
#define ROLLOUT_PLACES_MAX 999999u
#define ROLLOUT_FILE_MAX (60u * 1024u)
#define ROLLOUT_SHARES 10000u /* a share is in hundredths of a percent */

typedef struct RolloutWave {
        uint32_t share;      /* cameras whose number is below this, and in no wave before; 0: only those that are named */
        uint32_t cameras;    /* about how many they are in all the fleet */
        uint64_t start_usec; /* not before */
} RolloutWave;

typedef struct RolloutPlan {
        const char *id; /* of the rollout: it deals out the cameras anew */
        RolloutWave waves[ROLLOUT_WAVES_MAX];
        size_t n_waves;
        uint32_t opens_share;   /* of a wave's cameras that must be well before the next wave begins */
        uint32_t bad_max;       /* so many are borne; one more stops */
        uint32_t bad_share;     /* of the outcomes, once there are bad_share_least: more stop; 0: no limit of that kind */
        uint32_t bad_share_least;
        uint32_t under_way_max; /* in the whole fleet; at least 2 */
        uint64_t begin_usec;    /* where the windows begin */
        uint64_t flash_usec;    /* by when a flash has ended, or counts as bad; the length of a window */
        uint64_t fresh_usec;    /* how old what was read of the rollout's state may be */
        uint32_t docks;         /* about how many take part */
        uint32_t spread;        /* a wave goes out over so many windows at least, so that the first outcomes count; 0: one */
        bool paused, aborted;
} RolloutPlan;

typedef struct RolloutNamed {
        char serial[ROLLOUT_NAME_SIZE];
        uint32_t wave;
} RolloutNamed;

/* A plan, and all that it is about. */
typedef struct RolloutOrder {
        char id[ROLLOUT_ID_SIZE], fleet[FLEET_ID_SIZE], version[CATALOG_TEXT_SIZE];
        char models[ROLLOUT_MODELS_MAX][CATALOG_MODEL_SIZE];
        size_t n_models;
        RolloutNamed *named; /* cameras that are in a wave by their serial */
        size_t n_named;
        WeekSpan hours[ROLLOUT_HOURS_MAX]; /* in which docks flash, by their own clocks; none: always */
        size_t n_hours;
        uint64_t revision;
        RolloutPlan plan;
        json_t *said; /* its members, as the administrator wrote them */
} RolloutOrder;
RolloutOrder *rollout_order_free(RolloutOrder *o);
DEFINE_CLEANUP(RolloutOrder, rollout_order_free);

/* What an administrator writes: -EBADMSG with a sentence. `state` is "running", "paused" or "aborted". */
int rollout_order_parse(const json_t *said, const char *state, RolloutOrder **ret, ConfError *error);
/* Signs a revision of it, in that state; the caller frees. -E2BIG. */
int rollout_order_sign(const SignKey *admin, const RolloutOrder *o, uint64_t revision, const char *state, int64_t now_usec, char **ret);
/*
 * Reads one that lies under `key`: -EBADE when it is none, -EKEYREJECTED when it is not signed by `admin`, of another fleet, lies under
 * another one's name or is not newer than `last_revision`; -EBADMSG for a plan that is none; with a sentence. `fleet` NULL: whichever.
 */
int rollout_order_open(const char *file, size_t size, const char *key, const PublicKey *admin, const char *fleet, uint64_t last_revision,
                       RolloutOrder **ret, ConfError *error);
const char *rollout_order_state(const RolloutOrder *o);
bool rollout_order_is_for(const RolloutOrder *o, const char *model);
/* The wave that names it, or UINT32_MAX. */
uint32_t rollout_order_named(const RolloutOrder *o, const char *serial);

/* ---- Names: each returns ret ------------------------------------------------------------------------------------------ */

bool rollout_id_is_valid(const char *s);
char *rollout_plan_key(const char *id, uint64_t revision, char ret[static ROLLOUT_KEY_SIZE]);
/* The id and revision of a plan's key: -EINVAL. */
int rollout_plan_of_key(const char *key, char ret_id[static ROLLOUT_ID_SIZE], uint64_t *ret_revision);
/* "rollouts/<id>.<kind>/" and what follows. */
char *rollout_folder(const char *id, const char *kind, char ret[static ROLLOUT_KEY_SIZE]);
char *rollout_started_key(const char *id, uint64_t window, uint32_t place, char ret[static ROLLOUT_KEY_SIZE]);
/* `kind` is "ok" or "bad"; a wave of UINT32_MAX: a place that was given back, under "ok". */
char *rollout_outcome_key(const char *id, const char *kind, uint64_t window, uint32_t place, uint32_t wave,
                          char ret[static ROLLOUT_KEY_SIZE]);
char *rollout_sum_key(const char *id, uint64_t window, char ret[static ROLLOUT_KEY_SIZE]);
char *rollout_stop_key(const char *id, char ret[static ROLLOUT_KEY_SIZE]);
int rollout_camera_key(const char *id, const char *serial, char ret[static ROLLOUT_KEY_SIZE]);
/* The numbers of a key below started, ok, bad or sums, as far as it has them (place, wave: UINT32_MAX when not): -EINVAL. */
int rollout_numbers_of_key(const char *key, uint64_t *ret_window, uint32_t *ret_place, uint32_t *ret_wave);
