/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a model file may say about a camera in command mode; README.md describes each key. */

#include <stdbool.h>
#include <stddef.h>

struct Dialect;

typedef struct AmbarellaOptions {
        const struct Dialect *dialect; /* never NULL */
        unsigned timeout_msec;
        size_t reply_bytes; /* 0: what the dialect's cameras are known to send */
        int utc_offset_minutes; /* of the camera's clock */
        bool local_time;        /* it is of the dock's zone instead */
        bool no_ping, loose_answers;
} AmbarellaOptions;

/*
 * `options` are "key=value", ended by NULL; NULL for none. 0, or -EINVAL with the bad one in *ret_bad, which is NULL when
 * it is the dialect that is missing.
 */
int ambarella_options_parse(const char *const *options, AmbarellaOptions *ret, const char **ret_bad);
