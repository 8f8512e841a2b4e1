/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * `berth-bay --flash`: gives one camera in its loader one image, and puts how that went into its folder. It outlives berthd, talks to
 * nobody, and is ended by its own deadline alone (base/wire_flash.h).
 */

#include <stdint.h>

typedef struct FlashOrder {
        uint64_t deadline_usec; /* CLOCK_BOOTTIME */
        const char *outcome;    /* the name of the file for it */
        uint64_t size_bytes;
        const char *sha256;     /* of the image, 64 hex digits */
        const char **options;   /* of the plugin: "key=value", ended by NULL */
} FlashOrder;

/* The exit status. */
int flash_run(const char *plugin_path, const FlashOrder *order);
