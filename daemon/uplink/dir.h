/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The embedded kind of store: a folder, on a disk of its own or a network mount. All that touches it runs on threads, since a
 * mount may hang.
 */

#include <systemd/sd-event.h>

#include "uplink/backend.h"

typedef struct DirSettings {
        const char *path;
        const char *mount_point; /* what must be mounted for the store to be there, or NULL */
        const char *state_dir;   /* where the store's id is remembered, or NULL */
        bool create;             /* an empty folder becomes a store */
        bool read_back;          /* read what was written and hash it */
        bool same_disk_is_store; /* a folder on the spool's own file system counts as a store */
} DirSettings;

/* Copies the settings. Touches no store yet. */
int dir_backend_new(sd_event *event, const DirSettings *settings, unsigned puts_at_once, Backend **ret);
/* Makes the folder a store although another was known at that place: what an administrator asks for. Blocking. */
int dir_create_store(const DirSettings *settings, char ret_id[static 33], Answer *answer);
