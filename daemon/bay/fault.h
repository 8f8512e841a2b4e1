/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Why a request failed, as it goes over the wire: one of the names in base/wire_bay.h and a sentence for a person. */

#include <berth/plugin.h>

#include "base/macro.h"
#include "base/range.h"

typedef struct Fault {
        const char *name;
        char text[512];
        ByteRange ranges[BERTH_UNREADABLE_MAX]; /* of WIRE_BAY_E_UNREADABLE, settled */
        size_t n_ranges;
} Fault;

/* Fills `f` with text that is safe on a terminal and returns -EBADE, so that it can be the last line of a failure. */
int fault_set(Fault *f, const char *name, const char *format, ...) _printf_(3, 4);
