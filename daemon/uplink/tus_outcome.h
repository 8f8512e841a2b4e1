/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the status of an answer of a tus server means for us, pure (tus 1.0.0, and RFC 9110 for the rest). */

#include <stdbool.h>

typedef enum TusOutcome {
        TUS_OK,
        TUS_GONE,            /* 404, 410: no such upload (any more) */
        TUS_OFFSET,          /* 409: it has another offset */
        TUS_LOCKED,          /* 423: another request to it is still under way */
        TUS_CORRUPTED,       /* 460: what arrived is not what was hashed */
        TUS_TRY_AGAIN,       /* busy, or failed inside */
        TUS_UNREACHABLE,     /* no answer, or half of one */
        TUS_FULL,            /* 507 */
        TUS_NOT_ALLOWED,     /* 403 */
        TUS_BAD_CREDENTIALS, /* 401, 407 */
        TUS_TOO_LARGE,       /* 413 */
        TUS_OTHER_VERSION,   /* 412: it does not speak tus 1.0.0 */
        TUS_REDIRECTED,      /* 3xx: not followed */
        TUS_NEVER,           /* the server will never take this */
        _TUS_OUTCOME_MAX,
} TusOutcome;

/* `status` 0: there was no answer. */
TusOutcome tus_outcome(int status);
/* May the same request succeed in a moment, perhaps after a look at the offset? */
bool tus_outcome_is_passing(TusOutcome outcome);
