/* SPDX-License-Identifier: Apache-2.0 */

/* See crash_point.h. Empty in a program that is not built for the crash matrix. */

#include "base/crash_point.h"

#ifdef BERTH_CRASH_POINTS

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VARIABLE "BERTH_CRASH_POINTS"
#define NAME_SIZE 128u
#define PASSED_MAX 32768u

/* Shared by all processes of a dock and the test; tests/lib/crash_points.py knows its layout. */
typedef struct CrashFile {
        char armed[NAME_SIZE]; /* "berthd facts-committed" or "berthd facts-committed:copied"; "" for none */
        uint32_t at;           /* the how manieth pass ends it */
        _Atomic uint32_t hits;
        _Atomic uint32_t fired; /* the pid that ended */
        _Atomic uint32_t n_passed;
        char passed[PASSED_MAX][NAME_SIZE];
} CrashFile;

static CrashFile *file;

/* Before main(), hence before any sandbox. */
__attribute__((constructor)) static void crash_point_open(void) {
        const char *path = getenv(VARIABLE);
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        void *map;

        if (fd < 0)
                return;
        map = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void) close(fd);
        if (map != MAP_FAILED)
                file = map;
}

char *crash_point_environment(void) {
        static char text[4096];
        const char *path = getenv(VARIABLE);

        if (!path || (size_t) snprintf(text, sizeof(text), VARIABLE "=%s", path) >= sizeof(text))
                return NULL;
        return text;
}

void crash_point_pass(const char *name, const char *of) {
        char plain[NAME_SIZE], full[NAME_SIZE];
        uint32_t n;

        if (!file)
                return;
        (void) snprintf(plain, sizeof(plain), "%s %s", program_invocation_short_name, name);
        (void) snprintf(full, sizeof(full), of ? "%s:%s" : "%s", plain, of);
        n = atomic_fetch_add(&file->n_passed, 1);
        if (n < PASSED_MAX)
                memcpy(file->passed[n], full, sizeof(full));
        if (strcmp(file->armed, full) != 0 && strcmp(file->armed, plain) != 0)
                return;
        if (atomic_fetch_add(&file->hits, 1) + 1 != file->at)
                return;
        atomic_store(&file->fired, (uint32_t) getpid());
        for (;;)
                (void) kill(getpid(), SIGKILL);
}

#else

typedef int no_crash_points; /* a translation unit must not be empty */

#endif
