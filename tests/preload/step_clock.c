/* SPDX-License-Identifier: Apache-2.0 */

/* Preloaded: the machine's wall clock is put elsewhere. $BERTH_CLOCK_FILE is mapped, and holds by how many seconds (int64_t). */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_sec;

__attribute__((constructor)) static void map_offset(void) {
        const char *path = getenv("BERTH_CLOCK_FILE");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map;

        if (fd < 0)
                return;
        map = mmap(NULL, sizeof(*offset_sec), PROT_READ, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED)
                offset_sec = map;
        (void) close(fd);
}

int clock_gettime(clockid_t which, struct timespec *ret) {
        int (*real)(clockid_t, struct timespec *) = NULL;
        int r;

        *(void **) &real = dlsym(RTLD_NEXT, "clock_gettime");
        r = real(which, ret);
        if (r == 0 && offset_sec && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
                ret->tv_sec += *offset_sec;
        return r;
}

int gettimeofday(struct timeval *ret, void *zone) {
        struct timespec now;

        (void) zone;
        (void) clock_gettime(CLOCK_REALTIME, &now);
        ret->tv_sec = now.tv_sec;
        ret->tv_usec = now.tv_nsec / 1000;
        return 0;
}

time_t time(time_t *ret) {
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        if (ret)
                *ret = now.tv_sec;
        return now.tv_sec;
}
