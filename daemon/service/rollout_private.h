/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the parts of rollouts share: rollout_follow.c finds plans, rollout_state.c reads what all docks came to, rollout_bad.c what is bad
 * since, rollout_closing.c closes windows, rollout_statement.c has what docks sign for that, rollout_unit.c goes on
 * with a camera, rollout.c with all of them.
 */

#include "service/flash.h"
#include "service/image.h"
#include "service/manager_private.h"
#include "service/rollout.h"

#define ROLLOUT_WHY_SIZE 512u
/* A page of keys is followed by the next; more are no rollout's. */
#define ROLLOUT_KEYS_MAX 1000000u
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
        json_t *marks;         /* the keys of what is bad, as listed; NULL before */
        size_t mark;           /* … and the one that is looked at */
        json_t *judged;        /* by such a key: does it count? Until the fleet has another list */
        uint64_t judged_by;    /* the number of that */
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

/* rollout_state.c: asks for the newest sum, closes windows when it is this dock that does, and goes on with the cameras. */
void rollout_read_state(Rollout *r);

/* rollout_bad.c: the same for what is bad and who stopped it. */
void rollout_read_bad(Rollout *r);

/* rollout_closing.c */
/* Closes all windows that may be closed, unless that is left to another dock; the rollout's `closing` until it is done. */
void rollout_close_windows(Rollout *r, uint64_t now_usec);
RolloutClosing *rollout_closing_free(RolloutClosing *c);

/* rollout_statement.c */
/* Signs in the dock's name and keeps that in the store for good. Takes `members`. -errno; else `done` is called. */
int rollout_keep(Rollout *r, const char *type, const char *key, uint64_t seq, json_t *members, UplinkKeepDone done, void *cookie);
/* The members of what some dock signed, which the caller unrefs; NULL when it does not count, and why. */
json_t *rollout_open_statement(const Rollout *r, const char *file, const char *type, const char *key, uint64_t last_seq,
                               const char **ret_why);
/* Logs that what lies there does not count, and what follows from that. */
void rollout_does_not_count(const Rollout *r, const char *key, const char *why, const char *so);

/* rollout_unit.c */
/* A camera that takes part: at the end of the rollout's list, which owns it. -ENOMEM. */
int rollout_unit_add(Rollout *r, uint64_t camera_id, const char *serial, RolloutUnit **ret);
RolloutUnit *rollout_unit_free(RolloutUnit *u);
/* By the order that is in force. -ENOMEM. */
int rollout_unit_find_wave(RolloutUnit *u);
/* Goes on with it, as far as it can go now. */
void rollout_unit_step(RolloutUnit *u);
/* Its place and its turn are another camera's. */
void rollout_unit_give_back(RolloutUnit *u);
/* For flashes_observe(), with the Rollouts. */
void rollout_on_flash_ended(void *rollouts, const FlashEnd *end);

/* rollout.c */
/* Goes on with all cameras. */
void rollouts_step(Rollouts *r);
/* Its order is another one. */
void rollout_plan_changed(Rollout *r);
