/* SPDX-License-Identifier: Apache-2.0 */

/* Preloaded: fsync and fdatasync do not return while the file $BERTH_HANG_FILE is there, as on a network mount that hangs. */

#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int call(const char *name, int fd) {
        const struct timespec moment = { .tv_nsec = 10000000 };
        const char *file = getenv("BERTH_HANG_FILE");
        int (*real)(int) = NULL;

        *(void **) &real = dlsym(RTLD_NEXT, name);
        while (file && access(file, F_OK) == 0)
                (void) nanosleep(&moment, NULL);
        return real(fd);
}

int fsync(int fd) {
        return call("fsync", fd);
}

int fdatasync(int fd) {
        return call("fdatasync", fd);
}
