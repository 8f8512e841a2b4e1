/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Preloaded: a port's `disable` file is not written with 1 while the file $BERTH_HOLD_FILE is there, as when the hub is slow. Whoever waits
 * for that has made the file $BERTH_HOLD_FILE.waits.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int is_port(int fd) {
        static const char end[] = "/disable";
        char link[64], path[512];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path));
        return n > (ssize_t) strlen(end) && memcmp(path + n - strlen(end), end, strlen(end)) == 0;
}

static void wait_while_held(const char *file) {
        const struct timespec moment = { .tv_nsec = 10000000 };
        char waits[512];

        (void) snprintf(waits, sizeof(waits), "%s.waits", file);
        while (access(file, F_OK) == 0) {
                int fd = open(waits, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

                if (fd >= 0)
                        (void) close(fd);
                (void) nanosleep(&moment, NULL);
        }
}

ssize_t write(int fd, const void *data, size_t size) {
        const char *file = getenv("BERTH_HOLD_FILE");
        ssize_t (*real)(int, const void *, size_t) = NULL;

        *(void **) &real = dlsym(RTLD_NEXT, "write");
        if (file && size == 1 && *(const char *) data == '1' && is_port(fd))
                wait_while_held(file);
        return real(fd, data, size);
}
