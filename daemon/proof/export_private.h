/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An export under way. */

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "proof/export.h"

typedef struct Export {
        Proof *proof;
        const ExportRequest *request;
        Bundle *bundle;
        ConfError *error;
        ExportCounts counts;
        uint64_t covered_to; /* head_seq of the last checkpoint that is in the bundle */
        uint64_t signed_to;  /* … of the last that there is */
        json_t *clips;       /* by their number, as text */
        json_t *signers;
        sd_bus *uplink;
} Export;

/* Fills the error and returns r. */
int export_fail(const Export *x, int r, const char *format, ...) _printf_(3, 4);
/* A file of the bundle. */
int export_put(Export *x, const char *name, const char *text);

/* export_clips.c: the footage and the manifests of the clips that events told of. */
int export_clips(Export *x);
