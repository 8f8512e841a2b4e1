/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * `berth-bay --flash`: gives one camera one image, its loader or as a file on its storage, and puts how that went into its folder. It
 * outlives berthd, talks to nobody, and is ended by its own deadline alone (base/wire_flash.h).
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct FlashOrder {
        uint64_t deadline_usec; /* CLOCK_BOOTTIME */
        const char *outcome;    /* the name of the file for it */
        uint64_t size_bytes;
        const char *sha256;     /* of the image, 64 hex digits */
        const char *file;       /* put on the camera's storage under this path; NULL: given to its loader */
        bool restart;           /* and then it is told to restart */
        const char **options;   /* of the plugin: "key=value", ended by NULL */
} FlashOrder;

/* The exit status. */
int flash_run(const char *plugin_path, const FlashOrder *order);
