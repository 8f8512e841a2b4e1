/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The note beside a sealed file, `spool/<clip>.json`: whose clip it is and what was hashed as it was read from the camera, so
 * that the spool can be told apart without the database. Only a recovery reads it, and believes it when the file has that digest.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/macro.h"

#define SPOOL_NOTE_MAX (64u * 1024u)

typedef struct SpoolNote {
        uint64_t clip_id, camera_id, docking_id;
        char *serial, *manufacturer, *model, *firmware, *storage_id, *model_id;
        bool ambiguous;
        char *path;
        uint64_t size_bytes;
        int64_t mtime_unix_sec; /* FACT_UNKNOWN_TIME when the camera did not say */
        uint32_t ordinal, flags;
        Digest digest, head, tail;
        int64_t seen_usec;   /* wall time when it was first listed */
        int64_t sealed_usec; /* wall time */
} SpoolNote;

SpoolNote *spool_note_free(SpoolNote *n);
DEFINE_CLEANUP(SpoolNote, spool_note_free);

/* JSON text; the caller frees. -ENOMEM, or -EINVAL for what spool_note_parse() would not read. */
int spool_note_compose(const SpoolNote *note, char **ret);
/* -EBADMSG for anything but what spool_note_compose() writes. */
int spool_note_parse(const char *text, size_t size, SpoolNote **ret);
