/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Is it the bay, or the cameras? A bay in which several cameras fault that are well elsewhere, or whose contacts flap, is to be cleaned or
 * replaced. Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/health.h"

typedef enum BayCode {
        BAY_HEALTH_FAULTS,   /* of cameras that fault nowhere else */
        BAY_HEALTH_CONTACTS, /* devices came and went so fast that the bay had to rest */
        BAY_HEALTH_CURRENT,  /* its port drew too much */
        _BAY_HEALTH_MAX,
} BayCode;
const char *bay_code_to_string(BayCode c);

#define BAY_HEALTH_DOCKINGS 20u /* of the bay, so many are looked back on */

typedef struct BayRecord {
        unsigned cameras;         /* that were in it */
        unsigned cameras_faulted; /* of these, that faulted in it … */
        unsigned faulted_here;    /* … and have docked elsewhere since or before, without a fault */
        unsigned rests;           /* for its contacts, in that time */
        unsigned over_currents;
} BayRecord;

typedef struct BayLimits {
        unsigned cameras;       /* that fault in it and nowhere else: from so many on it is the bay; fewer may have been put in badly */
        unsigned rests;         /* fewer are a warning */
        unsigned over_currents; /* fewer are a warning */
} BayLimits;

typedef struct BayFinding {
        BayCode code;
        HealthSeverity severity;
        char text[192];
        const char *next_step; /* "clean or replace bay 7" */
} BayFinding;

/* The findings, the most severe first; returns how many. */
size_t bay_judge(const BayRecord *record, const BayLimits *limits, unsigned number, BayFinding ret[static _BAY_HEALTH_MAX]);
