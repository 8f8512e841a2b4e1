/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include "base/macro.h"

#define BUDGET_MAX (UINT64_C(1) << 32)

void budget_init(Budget *b, uint64_t burst, uint64_t per_sec, uint64_t now_usec) {
        assert(burst <= BUDGET_MAX && per_sec <= BUDGET_MAX);
        *b = (Budget){ .burst = burst, .per_sec = per_sec, .tokens = burst, .at_usec = now_usec };
}

static void credit(Budget *b, uint64_t now_usec) {
        uint64_t elapsed, seconds, millionths;

        if (now_usec <= b->at_usec)
                return;
        elapsed = now_usec - b->at_usec;
        b->at_usec = now_usec;
        seconds = elapsed / USEC_PER_SEC;
        /* Whole seconds apart, so that nothing overflows: a long time fills the bucket, however long. */
        if (b->per_sec > 0 && seconds > b->burst / b->per_sec) {
                b->tokens = b->burst;
                b->fraction = 0;
                return;
        }
        millionths = b->fraction + elapsed % USEC_PER_SEC * b->per_sec;
        b->tokens += seconds * b->per_sec + millionths / USEC_PER_SEC;
        b->fraction = millionths % USEC_PER_SEC;
        if (b->tokens >= b->burst) {
                b->tokens = b->burst;
                b->fraction = 0;
        }
}

bool budget_take(Budget *b, uint64_t n, uint64_t now_usec) {
        credit(b, now_usec);
        if (n > b->tokens)
                return false;
        b->tokens -= n;
        return true;
}

uint64_t budget_take_some(Budget *b, uint64_t n, uint64_t now_usec) {
        credit(b, now_usec);
        n = MIN2(n, b->tokens);
        b->tokens -= n;
        return n;
}
