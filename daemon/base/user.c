/* SPDX-License-Identifier: Apache-2.0 */
#include "base/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

int user_become_owner_of(const char *path) {
        const struct passwd *user;
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (geteuid() != 0 || st.st_uid == 0)
                return 0;
        errno = 0;
        user = getpwuid(st.st_uid);
        if (!user)
                return errno != 0 ? -errno : -ENOENT;
        if (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
                return -errno;
        return 0;
}
