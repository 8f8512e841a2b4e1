/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Flashing: one image onto one docked camera, from the interlocks to the version that the camera tells afterwards. What is next is decided
 * by core/flash.c from facts; here it is done. A flash outlives its docking and this process: it is begun by a fact, the process that sends
 * (`berth-bay --flash`) is ended by nothing but its own deadline, and a later berthd goes on from there.
 *
 * Whoever begins one has verified the image: it is the catalog's (base/catalog.h), and this model's.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/catalog.h"
#include "base/digest.h"
#include "core/flash.h"
#include "service/operator.h"

typedef struct Camera Camera;
typedef struct Manager Manager;
typedef struct Flashes Flashes;

typedef struct FlashRequest {
        int image_fd;              /* the image's file, readable; duplicated, and copied before anything is sent */
        uint64_t size_bytes;
        Digest digest;             /* of the file */
        const char *version;       /* as the camera tells it once it has it */
        const char *file;          /* the name that it is to have on the camera, where it is a file there; NULL or "": the model's */
        const char *floor;         /* the version that the model must not go below; NULL or "": none */
        bool hardware_fits;        /* flash_misfit() found nothing */
        uint32_t allowed;          /* FLASH_BIT()s that an admin allows: core/flash.h */
        const char *purpose;       /* of whom: the rollout's id; NULL or "": an admin's order */
        const Operator *by;        /* on whose word; NULL: the rollout's */
} FlashRequest;

/* A flash that came to its end, or was healed later. The strings end with the call. */
typedef struct FlashEnd {
        uint64_t flash_id;
        const char *serial, *purpose;
        const char *version;   /* the image's */
        const char *came_back; /* what the camera tells; "": nothing */
        FlashOutcome outcome;
        const char *text;      /* one sentence */
} FlashEnd;

/* Why the image is not for this camera: its model, its hardware revision. NULL: it is. */
const char *flash_misfit(const Camera *c, const CatalogImage *image);

/* All that stands against it now, as FLASH_BIT()s; 0: nothing. *ret_usec: as of flash_obstacles(). */
uint32_t flash_camera_obstacles(Camera *c, const FlashRequest *request, uint64_t *ret_usec);

/* What may be otherwise once a camera whose port is off has its power, and was asked anew. */
#define FLASH_ASLEEP (FLASH_BIT(FLASH_FOOTAGE) | FLASH_BIT(FLASH_IN_USE) | FLASH_BIT(FLASH_LOW) | FLASH_BIT(FLASH_NOT_CHARGED))
/* How long one that is woken has until it is ready, and what is wanted of it has begun. */
#define FLASH_AWAKE_USEC (10 * 60 * USEC_PER_SEC)
/* Is its port off, by the plan of charging? */
bool flash_is_asleep(const Camera *c);
/* Gives such a one its power, and keeps it awake for some minutes. True: it is asleep still, or on its way to being ready. */
bool flash_wakes(Camera *c);

/*
 * Begins one. 0: it will be begun on record, and its end is told to the observers. -EBUSY with the obstacles in *ret_obstacles; -ENODEV:
 * the camera is in no bay; -EOPNOTSUPP: its model has no way to get firmware; with a sentence in *ret_why, which the caller frees.
 */
int flash_begin(Camera *c, const FlashRequest *request, uint64_t *ret_flash_id, uint32_t *ret_obstacles, char **ret_why);

/*
 * Has the camera get that version, which the catalog that the dock goes by must have for its model; one whose port is off is woken first.
 * `in_spite` allows FLASH_ALLOWABLE. 0: `done` is called once, perhaps before this returns, with a result of 0 and the end of the flash, or
 * -errno and a sentence when it was not begun; *ret is there until then. Else -ENOENT, -EBUSY or -ENOMEM, with a sentence in *ret_why,
 * which the caller frees.
 */
typedef struct FlashOrder FlashOrder;
/* The camera has so much of the image; a sending after one that was cut short begins anew. */
typedef void (*FlashMoved)(void *userdata, uint64_t bytes, uint64_t size_bytes);
typedef void (*FlashOrderDone)(void *userdata, int result, const FlashEnd *end, const char *text);
int camera_order_flash(Camera *c, const char *version, bool in_spite, const Operator *by, FlashMoved moved, FlashOrderDone done,
                       void *userdata, FlashOrder **ret, char **ret_why);
/* Takes the order back: `done` gets -ECANCELED. -EALREADY: the flash was begun. */
int flash_order_cancel(FlashOrder *o);

/* Told of each end, also of flashes that an earlier run of the daemon began. One observer more; never taken away before flashes_free(). */
typedef void (*FlashEnded)(void *userdata, const FlashEnd *end);
int flashes_observe(Flashes *f, FlashEnded ended, void *userdata);

/* flash_load.c. What an earlier run left goes on once the bays are there. */
int flashes_new(Manager *m, Flashes **ret);
int flashes_load(Flashes *f);
/* Nothing is begun or told any more; then, after the store was closed, freed. Workers that send go on. */
void flashes_stop(Flashes *f);
Flashes *flashes_free(Flashes *f);

/* How many are under way at this dock. */
unsigned flashes_under_way(const Flashes *f);
