/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backoff.h"

uint64_t backoff_usec(unsigned failures, uint64_t min_usec, uint64_t max_usec) {
        uint64_t wait = min_usec;

        if (failures == 0)
                return 0;
        while (--failures > 0 && wait < max_usec)
                wait = wait > max_usec / 2 ? max_usec : wait * 2;
        return wait < max_usec ? wait : max_usec;
}
