/* SPDX-License-Identifier: Apache-2.0 */
#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/text.h"

int folder_each(int dir_fd, int (*visit)(const char *name, void *userdata), void *userdata) {
        int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *dir;

        if (copy < 0)
                return -errno;
        dir = fdopendir(copy);
        if (!dir) {
                r = -errno;
                close(copy);
                return r;
        }
        for (struct dirent *e; r >= 0 && (errno = 0, e = readdir(dir));)
                if (!text_equal(e->d_name, ".") && !text_equal(e->d_name, ".."))
                        r = visit(e->d_name, userdata);
        if (r >= 0 && errno != 0)
                r = -errno;
        closedir(dir);
        return r < 0 ? r : 0;
}
