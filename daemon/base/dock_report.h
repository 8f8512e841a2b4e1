/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a dock tells its fleet in its status (docs/store-layout.md), as another dock reads it: how it is, and what it knows of cameras. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/macro.h"

/* What one dock knows of one camera. Times are wall clock; 0: there is none. */
typedef struct ReportedCamera {
        char *serial;
        int64_t last_docked_usec; /* at that dock */
        unsigned bay;             /* it lies in this one; 0: in none */
        bool out;                 /* somebody took it there, and it did not come back there: */
        char *officer_id;         /* "": nobody known */
        int64_t taken_usec, due_usec;
        bool overdue;             /* that dock says so */
        uint64_t unstored_on_camera, unstored_on_dock; /* recordings that the store has no receipt for */
        int64_t on_camera_since_usec, on_dock_since_usec; /* when the oldest of each was recorded, or seen */
        bool announced; /* for whoever reads it */
} ReportedCamera;

#define REPORTED_CAMERAS_MAX 2000u
#define REPORTED_TEXT_MAX 255u

typedef struct DockReport {
        char *name, *state, *store_state;
        int64_t told_usec;
        int64_t oldest_unstored_usec; /* what waits longest there, whatever camera it is of; 0: nothing does */
        uint64_t unstored_clips;
        ReportedCamera *cameras;
        size_t n_cameras;
        uint64_t left_out; /* cameras for which there was no room */
} DockReport;
DockReport *dock_report_free(DockReport *r);
DEFINE_CLEANUP(DockReport, dock_report_free);

/* An entry of `cameras`; NULL when out of memory. The texts of `c` stay the caller's. */
json_t *reported_camera_to_json(const ReportedCamera *c);
/* A status as it was signed, or as it would be: -EBADE when it is none. What earlier versions did not tell is not there. */
int dock_report_from_json(const json_t *status, DockReport **ret);
