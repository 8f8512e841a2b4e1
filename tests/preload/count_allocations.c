/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Preloaded: how often memory is asked for, in all, by each process that has the same file as $BERTH_ALLOCATIONS. That file holds one
 * number of 64 bits, in memory that is shared, so that nothing is to be written at the end: a worker may be ended at any moment.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static _Atomic uint64_t before_that, *count = &before_that;

__attribute__((constructor)) static void begin(void) {
        const char *path = getenv("BERTH_ALLOCATIONS");
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        void *shared;

        if (fd < 0)
                return;
        shared = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void) close(fd);
        if (shared != MAP_FAILED)
                count = shared;
}

void *malloc(size_t size) {
        atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
        return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
        atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
        return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
        atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
        return __libc_realloc(p, size);
}
