/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How far something is that takes long: one line on a terminal's standard error, a few times a second; elsewhere nothing. */

#include <stdbool.h>
#include <stdint.h>

typedef struct ProgressLine {
        bool wanted;
        uint64_t shown_usec; /* of the boot's clock */
        bool stands; /* on the terminal, now */
} ProgressLine;

/* `total` is 0 when that is not known. */
void progress_line_show(ProgressLine *p, const char *what, uint64_t done, uint64_t total);
/* Before anything else is printed. */
void progress_line_clear(ProgressLine *p);
