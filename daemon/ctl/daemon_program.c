/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/daemon_program.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *daemon_program(const char *name, char beside[static PATH_MAX]) {
        ssize_t n = readlink("/proc/self/exe", beside, PATH_MAX - 1);
        char *slash;

        if (n > 0) {
                beside[n] = 0;
                slash = strrchr(beside, '/');
                if (slash && (size_t) (slash + 1 - beside) + strlen(name) < PATH_MAX) {
                        memcpy(slash + 1, name, strlen(name) + 1);
                        if (access(beside, X_OK) == 0)
                                return beside;
                }
        }
        (void) snprintf(beside, PATH_MAX, "%s/%s", BERTH_SBINDIR, name);
        return beside;
}
