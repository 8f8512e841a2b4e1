/* SPDX-License-Identifier: Apache-2.0 */

/* Preloaded: what is said to be synced is not, as by a program that forgot to. The control of tests/vm/test_power.py. */

#include <fcntl.h>
#include <unistd.h>

int fsync(int fd) {
        (void) fd;
        return 0;
}

int fdatasync(int fd) {
        (void) fd;
        return 0;
}

int sync_file_range(int fd, off64_t offset, off64_t count, unsigned flags) {
        (void) fd;
        (void) offset;
        (void) count;
        (void) flags;
        return 0;
}
