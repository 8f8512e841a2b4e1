/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a model file may say about a camera that speaks PTP or MTP; README.md describes each key. */

#include <stdbool.h>
#include <stdint.h>

/* In what a camera counts its temperature. */
typedef enum MtpUnit { MTP_CELSIUS, MTP_DECICELSIUS, MTP_MILLICELSIUS, MTP_DECIKELVIN, _MTP_UNIT_MAX } MtpUnit;

typedef struct MtpOptions {
        unsigned timeout_msec;
        unsigned busy_msec;
        uint32_t chunk_bytes;
        int interface;          /* -1: the still-image interface */
        int utc_offset_minutes; /* of dates without a time zone */
        bool local_time;        /* they are of the dock's zone instead */
        uint16_t temperature_property, restarts_property; /* device properties that tell of it; 0: none does */
        MtpUnit temperature_unit;
        bool no_partial, no_partial64, no_prop_list, no_cancel;
} MtpOptions;

/* `options` are "key=value", ended by NULL; NULL for none. 0, or -EINVAL with the bad one in *ret_bad. */
int mtp_options_parse(const char *const *options, MtpOptions *ret, const char **ret_bad);
