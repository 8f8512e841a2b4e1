/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The process that gives a camera its firmware (`berth-bay --flash`): spawned here, or found alive by a daemon that was started while it
 * was at work. It is only ever watched: letting go of it does not end it.
 */

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "base/wire_flash.h"
#include "service/worker.h"

typedef struct Flasher Flasher;

typedef struct FlasherOrder {
        WorkerConfig worker;      /* executable, plugin, node, and the flash's folder as incoming_fd */
        const char *const *options; /* of the plugin, ended by NULL; or NULL */
        const char *file; /* put on the camera under this path; NULL: given to its loader */
        bool restart;     /* and then the camera is told to restart */
        int image_fd;
        int hold_fds[WIRE_FLASH_HOLDS_MAX]; /* it has copies of these open as long as it lives */
        size_t n_hold_fds;
        uint64_t size_bytes;
        const Digest *digest;
        unsigned sending;
        uint64_t until_usec; /* its own deadline, CLOCK_BOOTTIME */
} FlasherOrder;

/* It ended, however that was: flash_folder_outcome() says. From the loop; it may be freed in there. */
typedef void (*FlasherEnded)(void *userdata);

/* As worker_spawn(). */
int flasher_spawn(sd_event *event, const FlasherOrder *order, FlasherEnded ended, void *userdata, Flasher **ret);
/* -ESRCH when none is at work in the folder. */
int flasher_adopt(sd_event *event, int folder_fd, FlasherEnded ended, void *userdata, Flasher **ret);
/* Lets go of it. */
Flasher *flasher_free(Flasher *f);
DEFINE_CLEANUP(Flasher, flasher_free);
