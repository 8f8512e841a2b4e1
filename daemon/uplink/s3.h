/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Any store that speaks S3. Requests run on the event loop; what reads and hashes the spool's files, or syncs our own record of
 * an upload, runs on threads.
 */

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "uplink/backend.h"

#define S3_PART_SIZE_MIN (5 * MIB)
#define S3_PART_SIZE_MAX (5 * GIB)

typedef struct S3Settings {
        const char *endpoint; /* "https://host" or "https://host:port" */
        const char *region, *bucket;
        const char *prefix;      /* "" or "…/" */
        const char *credentials; /* a file, or NULL for the service manager's credential "s3" */
        const char *state_dir;   /* where uploads under way are recorded, or NULL */
        bool virtual_host;       /* the bucket is part of the host's name, not of the path */
        bool read_back;          /* read what was stored and hash it, also where the store checks digests */
        bool sole_writer;        /* nobody else writes here: a store without conditional writes will do */
        bool content_md5;        /* send Content-MD5, also where the store checks SHA-256 */
        uint64_t part_size_bytes; /* 0: by the clip's size */
        const char *storage_class, *encryption, *kms_key, *tags; /* each may be NULL */
        bool customer_key;          /* with encryption = sse-c: we bring the key */
        const char *encryption_key; /* a file, or NULL for the service manager's credential "s3-encryption-key" */
        const char *lock_mode; /* "GOVERNANCE", "COMPLIANCE", or NULL: no retention is asked for */
        uint64_t retention_sec;
        bool legal_hold;
        const char *ca_file, *client_certificate, *client_key, *proxy; /* each may be NULL */
        uint64_t stall_usec;
} S3Settings;

/* Copies the settings. Asks nothing of the store yet. */
int s3_backend_new(sd_event *event, const S3Settings *settings, unsigned puts_at_once, Backend **ret);
