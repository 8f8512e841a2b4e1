/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who is it that came back? A camera that was sent into its storage mode left the bus as one device, and another one appeared at
 * the same port. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

/* May this device be the camera that was sent away? */
typedef struct ReturnTiming {
        bool same_boot;      /* of the machine: the times below are comparable */
        bool model_expected; /* its model is one that the camera is said to return as */
        uint64_t begun_usec, until_usec; /* the change's window; CLOCK_BOOTTIME */
        uint64_t appeared_usec;          /* when the device did */
} ReturnTiming;
bool return_is_in_time(const ReturnTiming *t);

typedef struct ReturnFacts {
        const char *found;    /* what the storage is known by: its own id, or its serial */
        const char *recorded; /* for this camera; "" when nothing is */
        bool confirmed;       /* the record was, by somebody or by a second change of mode */
        bool this_change;     /* it was recorded in this very change of mode */
        bool of_another;      /* the found one is recorded for another camera */
} ReturnFacts;

typedef enum ReturnVerdict {
        RETURN_BY_PORT,    /* the port is all that speaks for it: its clips are held from the erase */
        RETURN_OTHER,      /* its storage speaks against it: nothing is read */
        RETURN_RECOGNISED, /* it is the one that was recorded */
        _RETURN_VERDICT_MAX,
} ReturnVerdict;
ReturnVerdict return_verdict(const ReturnFacts *f);

/* Can a storage be told from others by this? */
bool return_id_is_telling(const char *id);
