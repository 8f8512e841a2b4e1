/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl recover`: the daemon's own program does it, which alone knows the database. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

/* As installed, or where this program lies itself, as in a build folder. */
static const char *find_daemon(char beside[static PATH_MAX]) {
        ssize_t n = readlink("/proc/self/exe", beside, PATH_MAX - sizeof("/berthd"));
        char *slash;

        if (n > 0) {
                beside[n] = 0;
                slash = strrchr(beside, '/');
                if (slash) {
                        memcpy(slash, "/berthd", sizeof("/berthd"));
                        if (access(beside, X_OK) == 0)
                                return beside;
                }
        }
        return BERTH_SBINDIR "/berthd";
}

int verb_recover(const Options *options) {
        char beside[PATH_MAX];
        const char *daemon = find_daemon(beside);

        (void) fflush(stdout);
        if (options->n_args > 0)
                (void) execl(daemon, daemon, "--recover", "--config", options->args[0], (char *) NULL);
        else
                (void) execl(daemon, daemon, "--recover", (char *) NULL);
        return ctl_fail(CTL_FAILURE, "%s cannot be run: %s", daemon, strerrordesc_np(errno));
}
