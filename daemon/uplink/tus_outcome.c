/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/tus_outcome.h"

#include "base/macro.h"

static const struct {
        int status;
        TusOutcome outcome;
} by_status[] = {
        { 0, TUS_UNREACHABLE },
        { 401, TUS_BAD_CREDENTIALS },
        { 403, TUS_NOT_ALLOWED },
        { 404, TUS_GONE },
        { 407, TUS_BAD_CREDENTIALS },
        { 408, TUS_TRY_AGAIN },
        { 409, TUS_OFFSET },
        { 410, TUS_GONE },
        { 412, TUS_OTHER_VERSION },
        { 413, TUS_TOO_LARGE },
        { 423, TUS_LOCKED },
        { 425, TUS_TRY_AGAIN },
        { 429, TUS_TRY_AGAIN },
        { 460, TUS_CORRUPTED },
        { 507, TUS_FULL },
};

TusOutcome tus_outcome(int status) {
        for (size_t i = 0; i < ELEMENTSOF(by_status); i++)
                if (by_status[i].status == status)
                        return by_status[i].outcome;
        if (status >= 200 && status < 300)
                return TUS_OK;
        if (status >= 300 && status < 400)
                return TUS_REDIRECTED;
        return status >= 500 || status < 200 ? TUS_TRY_AGAIN : TUS_NEVER;
}

bool tus_outcome_is_passing(TusOutcome outcome) {
        return outcome == TUS_OFFSET || outcome == TUS_LOCKED || outcome == TUS_CORRUPTED || outcome == TUS_TRY_AGAIN ||
               outcome == TUS_UNREACHABLE;
}
