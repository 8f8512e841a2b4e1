/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A mount namespace for this process alone, as root or, in a user namespace, as anybody. */

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static inline bool own_mounts_write(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);

        if (fd >= 0)
                (void) close(fd);
        return good;
}

static inline bool own_mounts(void) {
        char uids[32], gids[32];

        (void) snprintf(uids, sizeof(uids), "0 %u 1", geteuid());
        (void) snprintf(gids, sizeof(gids), "0 %u 1", getegid());
        if (geteuid() != 0 && (unshare(CLONE_NEWUSER) < 0 || !own_mounts_write("/proc/self/setgroups", "deny") ||
                               !own_mounts_write("/proc/self/uid_map", uids) || !own_mounts_write("/proc/self/gid_map", gids)))
                return false;
        return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}
