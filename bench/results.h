/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a benchmark found, kept for the table that `make bench` writes: see results.py. */

#include <stdio.h>
#include <stdlib.h>

/* `what`, `unit` and `aim` ("<= 1.2", or NULL) are texts of this source, without quotes or backslashes. */
static inline void results_add(const char *suite, const char *what, double value, const char *unit, const char *aim) {
        const char *path = getenv("BERTH_RESULTS");
        FILE *f = path ? fopen(path, "ae") : NULL;

        if (!f)
                return;
        (void) fprintf(f, "{\"suite\": \"%s\", \"what\": \"%s\", \"value\": %.4f, \"unit\": \"%s\", \"aim\": ", suite, what, value, unit);
        if (aim)
                (void) fprintf(f, "\"%s\"}\n", aim);
        else
                (void) fprintf(f, "null}\n");
        (void) fclose(f);
}
