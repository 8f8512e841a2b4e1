/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* When a clip may leave its camera, by the policy of the site and of the camera's model. Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "core/retention.h"

/* From the least strict to the strictest. */
typedef enum EraseMode {
        ERASE_AFTER_RECEIPT,
        ERASE_AFTER_TIME, /* so long after the receipt */
        ERASE_BY_HAND,    /* when somebody orders it */
        ERASE_NEVER,      /* not even then */
        _ERASE_MODE_MAX,
        _ERASE_MODE_INVALID = -22,
} EraseMode;

typedef struct ErasePolicy {
        EraseMode mode;
        uint64_t after_usec; /* ERASE_AFTER_TIME */
} ErasePolicy;

/* Both count: the stricter one, the longer time. */
ErasePolicy erase_policy_join(ErasePolicy a, ErasePolicy b);

typedef struct EraseFacts {
        ErasePolicy policy;
        bool ordered; /* by somebody, for this stay of the camera */
        bool receipted;
        int64_t receipted_wall_usec; /* as in RetentionFacts */
        uint64_t receipted_running_usec;
} EraseFacts;

/*
 * Does policy allow the erase now? A license needs more: core/clip.c, store/license.c. When not, *ret_wait_usec is after what time
 * to ask again; 0: when a fact changes.
 */
bool erase_policy_allows(const EraseFacts *facts, const ClockFacts *now, uint64_t *ret_wait_usec);
