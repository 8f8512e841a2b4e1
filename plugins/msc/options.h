/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a model file may say about a mass-storage camera; README.md describes each key. */

#include <stdbool.h>
#include <stdint.h>

typedef struct MscOptions {
        unsigned timeout_msec;
        unsigned ready_msec;
        uint32_t transfer_bytes; /* most of one READ, a power of two */
        int interface;           /* -1: the first of the class */
        int utc_offset_minutes;
        bool local_time; /* the dock's zone in place of it */
        bool erase_dirty, erase_protected, ignore_residue, no_mode_sense, no_vpd;
} MscOptions;

/* `options` are "key=value", ended by NULL; NULL for none. 0, or -EINVAL with the bad one in *ret_bad. */
int msc_options_parse(const char *const *options, MscOptions *ret, const char **ret_bad);
