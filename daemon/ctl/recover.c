/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl recover`: the daemon's own program does it, which alone knows the database. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/daemon_program.h"

int verb_recover(const Options *options) {
        char beside[PATH_MAX];
        const char *daemon = daemon_program("berthd", beside);

        (void) fflush(stdout);
        if (options->n_args > 0)
                (void) execl(daemon, daemon, "--recover", "--config", options->args[0], (char *) NULL);
        else
                (void) execl(daemon, daemon, "--recover", (char *) NULL);
        return ctl_fail(CTL_FAILURE, "%s cannot be run: %s", daemon, strerrordesc_np(errno));
}
