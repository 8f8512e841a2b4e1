/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Preloaded: a disk that fails. $BERTH_DISK_FILE is mapped before anybody is locked in, and says with which errno writes at an offset
 * (its first byte), syncs (its second), reads at an offset (its third) and syncs of data alone (its fourth) fail; 0: they work. What
 * follows is a piece of a path, up to a NUL: only files whose path has it are on that disk; "": all are.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define SIZE 256u
#define PLACE 4u

static const volatile unsigned char *faults;

__attribute__((constructor)) static void map_faults(void) {
        const char *path = getenv("BERTH_DISK_FILE");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map;

        if (fd < 0)
                return;
        map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED)
                faults = map;
        (void) close(fd);
}

static int is_there(int fd) {
        char place[SIZE - PLACE + 1] = "", link[32], path[PATH_MAX + 1];
        ssize_t n;

        for (unsigned i = 0; i < SIZE - PLACE; i++)
                place[i] = (char) faults[PLACE + i];
        if (!place[0])
                return 1;
        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, PATH_MAX);
        if (n < 0)
                return 0;
        /* A folder's own name has no '/' at its end. */
        path[n++] = '/';
        path[n < PATH_MAX ? n : PATH_MAX] = 0;
        return strstr(path, place) != NULL;
}

static int fails(int which, int fd) {
        if (!faults || faults[which] == 0 || !is_there(fd))
                return 0;
        errno = faults[which];
        return 1;
}

static ssize_t write_at(const char *name, int fd, const void *data, size_t size, off_t offset) {
        ssize_t (*real)(int, const void *, size_t, off_t) = NULL;

        *(void **) &real = dlsym(RTLD_NEXT, name);
        return fails(0, fd) ? -1 : real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
        return write_at("pwrite", fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
        return write_at("pwrite64", fd, data, size, (off_t) offset);
}

static ssize_t read_at(const char *name, int fd, void *data, size_t size, off_t offset) {
        ssize_t (*real)(int, void *, size_t, off_t) = NULL;

        *(void **) &real = dlsym(RTLD_NEXT, name);
        return fails(2, fd) ? -1 : real(fd, data, size, offset);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset) {
        return read_at("pread", fd, data, size, offset);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset) {
        return read_at("pread64", fd, data, size, (off_t) offset);
}

static int sync_by(const char *name, int fd) {
        int (*real)(int) = NULL;

        *(void **) &real = dlsym(RTLD_NEXT, name);
        return fails(1, fd) ? -1 : real(fd);
}

int fsync(int fd) {
        return sync_by("fsync", fd);
}

int fdatasync(int fd) {
        return fails(3, fd) ? -1 : sync_by("fdatasync", fd);
}
