/* SPDX-License-Identifier: Apache-2.0 */

/* Preloaded: every fsync and fdatasync takes $BERTH_SLOW_FSYNC_MSEC longer, as on a disk that is busy with others' writes. */

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_as_told(void) {
        const char *text = getenv("BERTH_SLOW_FSYNC_MSEC");
        long msec = text ? atol(text) : 0;
        struct timespec left = { .tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000 };

        while (nanosleep(&left, &left) < 0 && errno == EINTR)
                ;
}

static int call(const char *name, int fd) {
        int (*real)(int) = NULL;

        *(void **) &real = dlsym(RTLD_NEXT, name);
        wait_as_told();
        return real(fd);
}

int fsync(int fd) {
        return call("fsync", fd);
}

int fdatasync(int fd) {
        return call("fdatasync", fd);
}
