/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

/* A client that cannot be reached at all (another user's, not dumpable) looks like a bad pointer to it: say so here. */
static int result(ssize_t n, size_t size, pid_t pid) {
        if (n == (ssize_t) size)
                return 0;
        if (n < 0 && (errno == EPERM || errno == ESRCH))
                fprintf(stderr, "berth-sim: cannot reach the memory of process %d: %s\n", pid, strerror(errno));
        return -EFAULT;
}

int client_read(pid_t pid, uint64_t address, void *ret, size_t size) {
        struct iovec here = { ret, size };
        struct iovec there = { (void *) (uintptr_t) address, size };

        return size == 0 ? 0 : result(process_vm_readv(pid, &here, 1, &there, 1, 0), size, pid);
}

int client_write(pid_t pid, uint64_t address, const void *data, size_t size) {
        struct iovec here = { (void *) (uintptr_t) data, size };
        struct iovec there = { (void *) (uintptr_t) address, size };

        return size == 0 ? 0 : result(process_vm_writev(pid, &here, 1, &there, 1, 0), size, pid);
}
