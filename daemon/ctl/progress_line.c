/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/progress_line.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/macro.h"

#define PROGRESS_USEC (USEC_PER_SEC / 5)

void progress_line_show(ProgressLine *p, const char *what, uint64_t done, uint64_t total) {
        uint64_t now = clock_boottime_usec();
        if (!p->wanted || now - p->shown_usec < PROGRESS_USEC)
                return;
        p->shown_usec = now;
        p->stands = true;
        fprintf(stderr, "\r\033[K%" PRIu64, done);
        if (total > 0)
                fprintf(stderr, " of %" PRIu64, total);
        fprintf(stderr, " %s", what);
        (void) fflush(stderr);
}

void progress_line_clear(ProgressLine *p) {
        if (p->stands)
                fputs("\r\033[K", stderr);
        p->stands = false;
}
