/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a bay does next, decided from facts alone. No clock, no descriptor, no database: `now` is an argument. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum BayState {
        BAY_EMPTY,
        BAY_IDENTIFYING,
        BAY_SWITCHING,
        BAY_CHECKING,
        BAY_PULLING,
        BAY_SETTLED, /* everything on the camera is safe on the dock; receipts and the erase are awaited */
        BAY_UPDATING,
        BAY_READY,
        BAY_REFUSED,
        BAY_QUARANTINED,
        BAY_FAULT,
        BAY_EJECTED, /* somebody ordered that it may be taken out as it is: nothing is under way with it, and nothing is begun */
        _BAY_STATE_MAX,
        _BAY_STATE_INVALID = -22,
} BayState;

/* In small letters; NULL for none. And back, or _BAY_STATE_INVALID. */
const char *bay_state_to_string(BayState s);
BayState bay_state_from_string(const char *s);

/* What is known of the docking in a bay. Zero-filled is an empty bay. */
typedef struct BayFacts {
        bool occupied;
        bool refused;     /* no model fits the device */
        bool quarantined; /* a person must look at this camera */
        unsigned faults;  /* in this docking */
        uint64_t retry_at_usec; /* the back-off after a fault ends here; CLOCK_BOOTTIME, 0 when none */
        bool identified, checked, listed; /* since the worker was started */
        size_t to_pull;        /* clips whose footage is not whole on the dock */
        size_t to_verify;      /* clips that are, but were not read whole from this device in this docking */
        size_t to_salvage;     /* clips that cannot be read whole, of which the rest is to be read */
        size_t being_settled;  /* pulled, their facts not yet committed */
        uint64_t reread_at_usec; /* of clips with unreadable bytes, counted in neither: the next is tried again then; 0: none waits */
        size_t erasable;       /* licensed as far as the loop knows */
        uint64_t erase_retry_at_usec; /* clips could be erased, but not before this; 0 when none waits so */
        bool formats;          /* what is erasable is all that is on the camera, and goes by one format */
        uint64_t policy_at_usec; /* policy may let clips be erased then, for which it is too early now; 0: none wait so */
        size_t awaiting_store; /* copied, waiting for a receipt */
        bool spool_full;
        bool store_waiting; /* the store takes nothing now: do not wait with what is erasable */
        bool worker_busy;   /* a step is under way */
        bool in_session;    /* a worker has the camera open */
        bool handed_out;    /* by order it may be taken out as it is: service/docking_handout.c */

        /* Cameras that show their footage only as another device. */
        bool switches;  /* it is in its command mode: the footage is behind a change of mode */
        bool behind;    /* it is in its storage mode, from which it should go back */
        size_t held;    /* clips kept from the erase until somebody confirms whose they are */
        bool emptied;   /* in this docking the storage mode has nothing left to do */
        bool ejected;   /* its storage was let go of */
        bool port_power; /* the bay's port can be switched off and on */
        bool away;      /* it was sent into the other mode, and is off the bus or about to leave it … */
        uint64_t back_by_usec; /* … or might leave by itself after the eject: not after this */
        bool lost;      /* it did not come back in time */
        bool cycled;    /* and its port was switched off and on for that */

        /* Bays whose port is switched off while nothing is to be done with their camera: service/charging.c. */
        bool resting;   /* its port is off, and so it is off the bus; it is docked all the same */
        bool updating;  /* it is given firmware: service/docking_flash.c says when that is over */
        bool waking;    /* the port has its power again: it is back on the bus until back_by_usec, or it was taken meanwhile */
} BayFacts;

typedef enum BayStep {
        BAY_STEP_WAIT,
        BAY_STEP_IDENTIFY, /* start a worker, open, identify */
        BAY_STEP_CHECK,
        BAY_STEP_LIST,
        BAY_STEP_PULL,
        BAY_STEP_VERIFY,
        BAY_STEP_SALVAGE, /* read what can be read of a clip that cannot be read whole */
        BAY_STEP_CLOSE, /* nothing is left to read: let the camera go */
        BAY_STEP_ERASE,
        BAY_STEP_FORMAT, /* erase everything that is on it at once */
        BAY_STEP_SWITCH, /* send it into its storage mode */
        BAY_STEP_LOST,   /* it did not come back: say so */
        BAY_STEP_EJECT,
        BAY_STEP_CYCLE,  /* switch its port off and on, so that it begins anew in its first mode */
        _BAY_STEP_MAX,
} BayStep;
const char *bay_step_to_string(BayStep s);

typedef struct BayDecision {
        BayState state;
        BayStep step;
        uint64_t wake_at_usec; /* decide again then; 0: only when a fact changes */
} BayDecision;

BayDecision bay_next(const BayFacts *facts, uint64_t now_usec);
