/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Rollouts: the fleet's docks bring one firmware to their cameras, each by itself, from the signed plan and from what all of them put into
 * the store. core/rollout.c decides, service/flash.c flashes; docs/rollout.md says what lies in the store.
 */

#include "base/rollout_plan.h"
#include "core/rollout.h"
#include "service/manager.h"

typedef struct Rollouts Rollouts;
typedef struct Rollout Rollout;

/* -EBADMSG with a sentence when a plan on record is none. */
int rollouts_new(Manager *m, Rollouts **ret, ConfError *error);
Rollouts *rollouts_free(Rollouts *r);
DEFINE_CLEANUP(Rollouts, rollouts_free);
/* In the order in which they were found. */
Rollout *rollouts_first(const Rollouts *r);
Rollout *rollout_next_in_order(const Rollout *r);
const RolloutOrder *rollout_order(const Rollout *r);
/* As it was read last; its state_usec is 0 when that was never. */
const RolloutCounts *rollout_counts(const Rollout *r);
/* "running", "paused", "aborted", "stopped": too many are bad. */
const char *rollout_state(const Rollout *r);
/* What is wrong with it at this dock, "" when nothing is. */
const char *rollout_trouble(const Rollout *r);

/* A camera that is docked, or was begun here. */
typedef struct RolloutUnitView {
        const char *serial;
        uint32_t wave;       /* ROLLOUT_NO_WAVE */
        const char *state;   /* "waits", "under-way", "ok", "bad", "done" (it has the version), "not-meant" */
        const char *code, *why; /* for programs, in fwupd's words where there are any; for people; "" */
} RolloutUnitView;
typedef struct RolloutUnit RolloutUnit;
RolloutUnit *rollout_first_unit(const Rollout *r);
RolloutUnit *rollout_unit_next(const RolloutUnit *u);
void rollout_unit_view(const RolloutUnit *u, RolloutUnitView *ret);
