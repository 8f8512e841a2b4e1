/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Clips that lie in the store alone, read back for an operator: by the uplink, into a file that the operator opened. Nothing of it
 * touches the spool, and nothing that the dock decides depends on it.
 */

#include <stdint.h>

#include "service/operator.h"

typedef struct Manager Manager;
typedef struct Fetch Fetch;

/*
 * Once, on the loop: 0 when the whole clip is in the file and has the digest of its receipt; -ECANCELED when it was stopped, else -errno;
 * `text` says why.
 */
typedef void (*FetchDone)(void *userdata, int result, const char *text);
/* So much of it is in the file. */
typedef void (*FetchMoved)(void *userdata, uint64_t bytes, uint64_t size_bytes);
/*
 * That it was asked for is on record before anything is read. The descriptor, of an empty file, is duplicated. *ret is there until `done`
 * is called. -ENOENT: no such clip, -ESTALE: the store has given no receipt for it, -EBUSY: it is being fetched already.
 */
int manager_fetch_clip(Manager *m, uint64_t clip_id, int fd, const Operator *by, FetchMoved moved, FetchDone done, void *userdata,
                       Fetch **ret);
/* It is answered when it has ended. */
void fetch_stop(Fetch *f);

/* ---- For the service layer ---- */

/* The daemon ends: all that are under way are answered. */
void fetches_end(Manager *m);
