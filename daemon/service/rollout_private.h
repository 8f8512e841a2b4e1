/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the parts of rollouts share: rollout_follow.c finds plans, rollout_state.c reads and closes windows, rollout.c goes on with
 * cameras.
 */

#include "service/image.h"
#include "service/manager_private.h"
#include "service/rollout.h"

#define ROLLOUT_WHY_SIZE 512u
/* After the store, or something here, failed. */
#define ROLLOUT_RETRY_USEC (5 * USEC_PER_SEC)

typedef enum UnitPhase {
        UNIT_IDLE,
        UNIT_IMAGE,     /* its image is being looked at */
        UNIT_TAKING,    /* a place is being taken */
        UNIT_CLAIMING,  /* … and the camera for this dock */
        UNIT_RECORDING, /* that it is begun */
        UNIT_FLASHING,
} UnitPhase;

struct RolloutUnit {
        RolloutUnit *next;
        Rollout *rollout;
        uint64_t camera_id;
        char *serial;
        UnitPhase phase;
        RolloutCamera camera;
        uint32_t place;
        unsigned tries;        /* of places, in this window */
        bool claimed, telling, told;
        uint64_t window;       /* of its place, once begun */
        const char *outcome;   /* "ok", "bad"; "" */
        uint64_t retry_usec;   /* CLOCK_BOOTTIME: not before */
        CatalogImage image;
        int image_fd;          /* for its turn */
        const char *code;
        char why[ROLLOUT_WHY_SIZE];
};

typedef struct RolloutClosing RolloutClosing;

struct Rollout {
        Rollout *next;
        Rollouts *all;
        char id[ROLLOUT_ID_SIZE];
        RolloutOrder *order;   /* NULL: none was believed yet */
        RolloutCounts counts;
        RolloutUnit *units;
        uint64_t closed;       /* windows below this one are closed, as far as was read */
        uint64_t retry_usec;   /* CLOCK_BOOTTIME: the store is not asked before */
        bool reading_state, reading_bad;
        RolloutClosing *closing; /* NULL: nothing is being closed */
        /* Revisions that lie in the store and are newer: the highest that is believed counts. */
        uint64_t *revisions;
        size_t n_revisions;
        bool reading_plan;
        ConfError trouble;
};

struct Rollouts {
        Manager *manager;
        sd_event_source *timer;
        Rollout *first;
        bool listing;
        uint64_t look_usec;  /* CLOCK_BOOTTIME: when plans are listed next */
        uint64_t plans_usec; /* wall: when they were listed last, whole */
        uint64_t listing_since_usec;
};

/* rollout_follow.c */
/* Lists the plans, unless that goes on. */
void rollouts_look(Rollouts *r);
int rollouts_load(Rollouts *r, ConfError *error);
Rollout *rollout_free(Rollout *r);

/* rollout_state.c */
void rollout_read_state(Rollout *r);
void rollout_read_bad(Rollout *r);
RolloutClosing *rollout_closing_free(RolloutClosing *c);
/* Signs in the dock's name and keeps that in the store for good. Takes `members`. */
int rollout_keep(Rollout *r, const char *type, const char *key, uint64_t seq, json_t *members, UplinkKeepDone done, void *cookie);

/* rollout.c */
/* Goes on with all cameras. */
void rollouts_step(Rollouts *r);
int rollout_unit_add(Rollout *r, uint64_t camera_id, const char *serial, RolloutUnit **ret);
/* Its order is another one. */
void rollout_plan_changed(Rollout *r);
