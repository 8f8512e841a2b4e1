/* SPDX-License-Identifier: Apache-2.0 */

/* Preloaded: udev has not given the nodes of USB devices to the group yet, as long as the file that $BERTH_DENY_NODE names is there. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int real_access(int dir, const char *path, int mode, int flags) {
        int (*real)(int, const char *, int, int) = NULL;

        *(void **) &real = dlsym(RTLD_NEXT, "faccessat");
        return real(dir, path, mode, flags);
}

static int denied(const char *path) {
        const char *deny = getenv("BERTH_DENY_NODE");

        if (!deny || strncmp(path, "/dev/bus/usb/", 13) != 0 || real_access(AT_FDCWD, deny, F_OK, 0) < 0)
                return 0;
        errno = EACCES;
        return 1;
}

int faccessat(int dir, const char *path, int mode, int flags) {
        return denied(path) ? -1 : real_access(dir, path, mode, flags);
}

static int open_by(const char *name, const char *path, int flags, va_list more) {
        int (*real)(const char *, int, ...) = NULL;
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;

        *(void **) &real = dlsym(RTLD_NEXT, name);
        return denied(path) ? -1 : real(path, flags, mode);
}

int open(const char *path, int flags, ...) {
        va_list more;
        int fd;

        va_start(more, flags);
        fd = open_by("open", path, flags, more);
        va_end(more);
        return fd;
}

int open64(const char *path, int flags, ...) {
        va_list more;
        int fd;

        va_start(more, flags);
        fd = open_by("open64", path, flags, more);
        va_end(more);
        return fd;
}
