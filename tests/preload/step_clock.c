/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Preloaded: the machine's clocks are put elsewhere. $BERTH_CLOCK_FILE is mapped, and holds by how many seconds (int64_t): first the wall
 * clock; then, if it is that long, the time since boot, as if the machine had slept so long. What waits for a time since boot then is due,
 * and is seen to be at whatever wakes the program next.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { WALL, BOOT, N_OFFSETS };

#define N_FDS 1024

/* What lies behind the end of a short file, on its page, is 0. */
static const volatile int64_t *offset_sec;
static bool is_boottime[N_FDS]; /* timers by their file descriptors */

__attribute__((constructor)) static void map_offset(void) {
        const char *path = getenv("BERTH_CLOCK_FILE");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map;

        if (fd < 0)
                return;
        map = mmap(NULL, N_OFFSETS * sizeof(*offset_sec), PROT_READ, MAP_SHARED, fd, 0);
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
                ret->tv_sec += offset_sec[WALL];
        else if (r == 0 && offset_sec && which == CLOCK_BOOTTIME)
                ret->tv_sec += offset_sec[BOOT];
        return r;
}

int timerfd_create(clockid_t which, int flags) {
        int (*real)(clockid_t, int) = NULL;
        int fd;

        *(void **) &real = dlsym(RTLD_NEXT, "timerfd_create");
        fd = real(which, flags);
        if (fd >= 0 && fd < N_FDS)
                is_boottime[fd] = which == CLOCK_BOOTTIME;
        return fd;
}

/* The kernel's clock has not moved: a time on ours is told to it as one on its own. */
int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *ret) {
        int (*real)(int, int, const struct itimerspec *, struct itimerspec *) = NULL;
        struct itimerspec theirs = *at;

        *(void **) &real = dlsym(RTLD_NEXT, "timerfd_settime");
        if (offset_sec && fd < N_FDS && is_boottime[fd] && (flags & TFD_TIMER_ABSTIME) && theirs.it_value.tv_sec > offset_sec[BOOT])
                theirs.it_value.tv_sec -= offset_sec[BOOT];
        return real(fd, flags, &theirs, ret);
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
