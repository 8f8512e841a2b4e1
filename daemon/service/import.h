/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Imports: footage that comes from a folder (a card in a reader, an old export) instead of from a camera, by the same way: read by a
 * worker, hashed as it is read, spooled, stored. berthd gets no path and opens nothing: whoever has a folder imported serves its files
 * to the worker, over a socket that berthd passes on unread (base/wire_import.h). The source is never written.
 */

#include <stddef.h>

#include "service/operator.h"

typedef struct Manager Manager;
typedef struct Import Import;

typedef struct ImportCount {
        size_t imported, recognised, failed; /* files */
} ImportCount;
/* Once, when all is on record: 0, or -errno and why it ended before its end; -ECANCELED: that was asked for. */
typedef void (*ImportDone)(void *userdata, int result, const char *text, const ImportCount *count);

/* So many of its files are done with. */
typedef void (*ImportMoved)(void *userdata, size_t done, size_t total);

typedef struct ImportOrder {
        const char *name;      /* of what is imported: its clips are those of the camera "import:NAME" */
        const char *source;    /* where it lies, as its operator says */
        const char *folder_id; /* what its file system says that it is */
        int socket;            /* duplicated */
} ImportOrder;

/* One at a time: -EBUSY. *ret is there until `done` is called. */
int manager_import(Manager *m, const ImportOrder *order, const Operator *by, ImportMoved moved, ImportDone done, void *userdata,
                   Import **ret);
/* It ends before its end; what was imported stays. -EALREADY: it is ending. */
int import_cancel(Import *i, const Operator *by);

/* ---- For the service layer ---- */

/* There may be room again. */
void import_kick(Manager *m);
/* The daemon ends: what is under way to the disk still comes back, and only then is it freed. */
void import_stop(Import *i);
Import *import_free(Import *i);
