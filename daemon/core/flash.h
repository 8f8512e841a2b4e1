/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * May a camera be flashed now, and how did a flash end? Pure: "now" is an argument, microseconds of a clock that does not jump.
 *
 * That the image is for the camera's model, and its bytes are those of the catalog, is seen to before (base/catalog.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What keeps a camera from being flashed. */
typedef enum FlashWhy {
        FLASH_FOOTAGE,     /* footage on it has no receipt, or it was not looked at yet: a flash may cost all that is on a camera */
        FLASH_IN_USE,      /* checked out, or the dock works with it */
        FLASH_UNDER_WAY,   /* it is being flashed */
        FLASH_HARDWARE,    /* the image does not fit its hardware revision */
        FLASH_TOO_OLD,     /* the image is older than what the model must not go below, or it cannot be told */
        FLASH_LOW,         /* its battery is below the model's floor, or not told though the model has one */
        FLASH_NOT_CHARGED, /* the bay gives it no power, or it does not take it */
        FLASH_BAY_POWER,   /* the power in the bay was not steady */
        FLASH_PINNED,      /* somebody decided that it keeps what it has */
        FLASH_TRIED,       /* it was tried as often as it may be */
        _FLASH_WHY_MAX,
} FlashWhy;

#define FLASH_BIT(why) (UINT32_C(1) << (why))
/* What an admin may decide otherwise. Of all others a camera would be broken by it, or footage lost. */
#define FLASH_ALLOWABLE (FLASH_BIT(FLASH_PINNED) | FLASH_BIT(FLASH_TRIED))

typedef struct FlashCamera {
        bool listed;               /* what is on it was listed in this docking */
        size_t without_receipt;    /* clips on it that no receipt speaks of */
        bool checked_out;
        bool busy;                 /* a worker is at it */
        bool under_way;            /* a flash is */
        int battery_percent;       /* -1: not known */
        unsigned battery_floor_percent; /* of the model; 0: it has none */
        bool charging_known, charging;  /* as the camera tells */
        bool powered;              /* its bay's port is on, and stays so for a flash */
        uint64_t unsteady_usec;    /* when the bay last lost power or its camera without an order; 0: never */
        unsigned attempts, attempts_max; /* with this image */
        bool pinned;
        bool hardware_fits;
        const char *floor;         /* the version that the model must not go below; NULL or "": none */
        const char *version;       /* the image's */
} FlashCamera;

/* A bay's power is steady once it was for so long. */
#define FLASH_STEADY_USEC (UINT64_C(60) * 1000000)

/*
 * All that stands against it, as FLASH_BIT()s; 0: it may be flashed. `allowed`: what an admin allows; of it only FLASH_ALLOWABLE
 * counts. *ret_usec: when it is worth asking again because time alone may change the answer; 0: it does not.
 */
uint32_t flash_obstacles(const FlashCamera *camera, uint32_t allowed, uint64_t now_usec, uint64_t *ret_usec);

/*
 * The reason for programs, in the words of fwupd: of its device problems where there is one, else of its errors. Distinct for each
 * FlashWhy, and for good. NULL when there is no such FlashWhy.
 */
const char *flash_why_to_code(FlashWhy why);
/* The end of a sentence that begins with the camera: "… is checked out". */
const char *flash_why_to_text(FlashWhy why);
/* Does it end by itself, so that waiting makes sense? Else somebody must do something. */
bool flash_why_passes(FlashWhy why);

/* ---- One flash ---------------------------------------------------------------------------------------------------- */

/* How it ended, by what the camera says of itself afterwards. */
typedef enum FlashOutcome {
        FLASH_OK,          /* the camera tells the image's version */
        FLASH_OLD_VERSION, /* it was sent, and the camera came back with another version */
        FLASH_NOT_BACK,    /* it did not come back in time, or tells no version */
        FLASH_FAILED,      /* it was not sent whole, and the camera has not the version */
        _FLASH_OUTCOME_MAX,
        _FLASH_OUTCOME_INVALID = -22,
} FlashOutcome;
const char *flash_outcome_to_string(FlashOutcome o);
FlashOutcome flash_outcome_from_string(const char *s);

typedef enum FlashTransfer {
        FLASH_SENDING,   /* or so the last fact says: its worker outlives us */
        FLASH_SENT,      /* the camera took all of it */
        FLASH_CUT_SHORT, /* it did not */
} FlashTransfer;

/* The facts of a flash that was begun. */
typedef struct FlashRecord {
        const char *version;       /* the image's */
        FlashTransfer transfer;
        bool worker_lives;         /* the one that sends */
        uint64_t worker_by_usec;   /* its own deadline: nothing else ends it */
        uint64_t back_by_usec;     /* set when the worker ended, however that was: the camera must be back by then */
        bool in_update_mode;       /* at its port is a camera that waits for firmware */
        unsigned sendings, sendings_max; /* how often it was begun to be sent in this flash */
        const char *came_back;     /* the version that the camera told after its restart; NULL or "": none yet */
        bool ended;                /* an outcome is on record: */
        FlashOutcome outcome;
} FlashRecord;

typedef enum FlashStep {
        FLASH_STEP_WAIT,
        FLASH_STEP_SEND,   /* the camera waits for firmware, and nobody is sending it: send all of it again */
        FLASH_STEP_RECORD, /* put the outcome on record */
        FLASH_STEP_DONE,
        _FLASH_STEP_MAX,
} FlashStep;

typedef struct FlashDecision {
        FlashStep step;
        FlashOutcome outcome;  /* with FLASH_STEP_RECORD */
        uint64_t wake_at_usec; /* with FLASH_STEP_WAIT: decide again then; 0: only when a fact changes */
} FlashDecision;

/*
 * What is next. The camera's own word counts above all: one that tells the image's version is well, whatever the transfer looked like,
 * and also when it is late, after another outcome was recorded. One in its update mode is not lost: it is sent the image again, as often
 * as it may be.
 */
FlashDecision flash_next(const FlashRecord *record, uint64_t now_usec);
