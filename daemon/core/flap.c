/* SPDX-License-Identifier: Apache-2.0 */
#include "core/flap.h"

#include <string.h>

#include "core/backoff.h"

bool flap_may_dock(Flap *f, uint64_t now_usec) {
        uint64_t *oldest = &f->begun_usec[f->next];

        if (now_usec < f->rest_until_usec)
                return false;
        if (now_usec - f->rest_until_usec > FLAP_CALM_USEC)
                f->rests = 0;
        if (*oldest > 0 && now_usec - *oldest < FLAP_WITHIN_USEC) {
                f->rests++;
                f->rest_until_usec = now_usec + backoff_usec(f->rests, FLAP_REST_MIN_USEC, FLAP_REST_MAX_USEC);
                memset(f->begun_usec, 0, sizeof(f->begun_usec));
                return false;
        }
        /* 0 stands for "never". */
        *oldest = now_usec > 0 ? now_usec : 1;
        f->next = (f->next + 1) % FLAP_DOCKINGS;
        return true;
}
