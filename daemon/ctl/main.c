/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/fleet.h"
#include "ctl/options.h"
#include "ctl/pager.h"

int ctl_fail(int exit_code, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        char safe[1024];
        va_list ap;
        va_start(ap, format);
        text = text_vformat(format, ap);
        va_end(ap);
        text_sanitise(text ? text : "out of memory", safe, sizeof(safe));
        /* What was printed so far comes first where both go to the same place. */
        (void) fflush(stdout);
        fprintf(stderr, "berthctl: %s\n", safe);
        return exit_code;
}

int ctl_finish(int exit_code) {
        bool broken = fflush(stdout) != 0 || ferror(stdout);
        if (broken && errno == EPIPE && pager_is_open())
                return exit_code;
        if (broken) {
                fprintf(stderr, "berthctl: cannot write to standard output: %s\n", strerror(errno));
                return exit_code == CTL_OK ? CTL_FAILURE : exit_code;
        }
        return exit_code;
}

int main(int argc, char **argv) {
        Options options;
        VerbRun run = NULL;
        /* Only how characters are read: numbers and messages stay the same everywhere. */
        (void) setlocale(LC_CTYPE, "");
        int exit_code = options_parse(argc, argv, &options, &run);
        if (exit_code < 0) {
                if (options.pages)
                        pager_open();
                exit_code = options.n_hosts > 1 ? fleet_run(&options, run) : run(&options);
        }
        options_done(&options);
        exit_code = ctl_finish(exit_code);
        pager_close();
        return exit_code;
}
