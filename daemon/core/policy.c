/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy.h"

#include "base/macro.h"

/* A clock that is not known now may be known soon. */
#define CLOCK_AGAIN_USEC (60 * USEC_PER_SEC)
#define AGAIN_MAX_USEC (3600 * USEC_PER_SEC)

ErasePolicy erase_policy_join(ErasePolicy a, ErasePolicy b) {
        if (a.mode != b.mode)
                return a.mode > b.mode ? a : b;
        return a.after_usec > b.after_usec ? a : b;
}

bool erase_policy_allows(const EraseFacts *f, const ClockFacts *now, uint64_t *ret_wait_usec) {
        uint64_t age;

        *ret_wait_usec = 0;
        if (f->policy.mode == ERASE_NEVER)
                return false;
        if (f->ordered || f->policy.mode == ERASE_AFTER_RECEIPT)
                return true;
        if (f->policy.mode == ERASE_BY_HAND || !f->receipted)
                return false;
        if (!clock_is_steady(now)) {
                *ret_wait_usec = CLOCK_AGAIN_USEC;
                return false;
        }
        age = age_usec(now, f->receipted_wall_usec, f->receipted_running_usec);
        if (age >= f->policy.after_usec)
                return true;
        *ret_wait_usec = MIN2(f->policy.after_usec - age, (uint64_t) AGAIN_MAX_USEC);
        return false;
}
