/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Any server that speaks tus 1.0.0 (https://tus.io/protocols/resumable-upload). It names what it takes by itself and lists nothing,
 * so a dock finds only what it has put, and two docks never meet.
 */

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "uplink/backend.h"

typedef struct TusSettings {
        const char *url;         /* where uploads are created: "https://tus.example/files/" */
        const char *credentials; /* a file with a bearer token, or NULL for the service manager's credential "tus", if there is one */
        const char *state_dir;   /* where uploads are recorded, or NULL */
        bool read_back;          /* read what was stored and hash it */
        uint64_t part_size_bytes; /* of one request; 0: by the clip's size */
        const char *ca_file, *client_certificate, *client_key, *proxy; /* each may be NULL */
        uint64_t stall_usec;
} TusSettings;

/* Copies the settings. Asks nothing of the server yet. -EINVAL for a URL that is none. */
int tus_backend_new(sd_event *event, const TusSettings *settings, unsigned puts_at_once, Backend **ret);
