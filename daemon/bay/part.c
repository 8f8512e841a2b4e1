/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/part.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/measure.h"
#include "base/text.h"
#include "bay/outbox.h"

#define READ_SIZE (256u * 1024u)

int part_fault(Fault *fault, const char *doing, int error) {
        if (error == -ENOSPC || error == -EDQUOT)
                return fault_set(fault, WIRE_BAY_E_SPACE, "cannot %s the part: the spool's disk is full", doing);
        if (error == -EFBIG)
                return fault_set(fault, WIRE_BAY_E_LIMIT, "cannot %s the part: it exceeds the largest file that Berth accepts", doing);
        return fault_set(fault, WIRE_BAY_E_DISK, "cannot %s the part on the spool's disk: %s", doing, strerror(-error));
}

static int check_file(int fd, uint64_t offset, Fault *fault) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return part_fault(fault, "look at", -errno);
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
                return fault_set(fault, WIRE_BAY_E_PREFIX, "the part is not a file of its own");
        if ((uint64_t) st.st_size < offset)
                return fault_set(fault, WIRE_BAY_E_PREFIX, "the part on disk has %llu bytes, %llu were recorded as durable",
                                 (unsigned long long) st.st_size, (unsigned long long) offset);
        /* What lies behind the offset was never recorded as durable. */
        if (ftruncate(fd, (off_t) offset) < 0)
                return part_fault(fault, "cut", -errno);
        CRASH_POINT("part-cut");
        return 0;
}

static int open_file(int dir_fd, const char *name, int flags, int *ret_fd, Fault *fault) {
        int fd;

        if (!text_path_is_valid(name) || strchr(name, '/') || name[0] == '.')
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "\"%s\" cannot be the name of a part", name);
        /* O_NONBLOCK: whatever lies there, opening does not wait for anybody. */
        fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
        if (fd < 0 && !(flags & O_CREAT) && (errno == ENOENT || errno == ELOOP))
                return fault_set(fault, WIRE_BAY_E_PREFIX, "the part %s is not there", name);
        if (fd < 0)
                return part_fault(fault, "open", -errno);
        *ret_fd = fd;
        return 0;
}

int part_open(int dir_fd, const char *name, uint64_t offset, int *ret_fd, Fault *fault) {
        _cleanup_(fd_closep) int fd = -EBADF;
        int r;

        r = open_file(dir_fd, name, O_RDWR | (offset == 0 ? O_CREAT : 0), &fd, fault);
        if (r < 0)
                return r;
        CRASH_POINT("part-opened");
        r = check_file(fd, offset, fault);
        if (r < 0)
                return r;
        /* A block that is told as durable must be found under its name after a power loss. */
        if (offset == 0) {
                r = fd_sync_dir(dir_fd);
                if (r < 0)
                        return part_fault(fault, "sync the folder of", r);
                CRASH_POINT("part-folder-synced");
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int check_block(int fd, uint64_t number, const Digest *expected, uint8_t *buffer, Edges *edges, Fault *fault) {
        Digest found;
        int r;

        for (uint64_t at = 0; at < WIRE_BLOCK_SIZE; at += READ_SIZE) {
                r = fd_pread_full(fd, buffer, READ_SIZE, number * WIRE_BLOCK_SIZE + at);
                if (r < 0)
                        return part_fault(fault, "read back", r);
                r = edges_update(edges, buffer, READ_SIZE);
                if (r < 0)
                        return part_fault(fault, "hash", r);
        }
        r = edges_prefix(edges, &found);
        if (r < 0)
                return part_fault(fault, "hash", r);
        if (!digest_equal(&found, expected))
                return fault_set(fault, WIRE_BAY_E_PREFIX, "the part on disk does not have the recorded digest at the end of block %llu",
                                 (unsigned long long) number);
        return 0;
}

int part_check(int fd, const Digest *kept, size_t n_kept, Edges *edges, Fault *fault) {
        _cleanup_(freep) uint8_t *buffer = NULL;
        int r;

        if (n_kept == 0)
                return 0;
        /* What is in memory proves nothing about the disk. */
        r = fd_drop_cache(fd, 0, n_kept * WIRE_BLOCK_SIZE);
        if (r < 0)
                return part_fault(fault, "sync", r);
        buffer = malloc(READ_SIZE);
        if (!buffer)
                return part_fault(fault, "check", -ENOMEM);
        for (size_t i = 0; i < n_kept; i++) {
                r = check_block(fd, i, &kept[i], buffer, edges, fault);
                if (r < 0)
                        return r;
                (void) posix_fadvise(fd, (off_t) (i * WIRE_BLOCK_SIZE), (off_t) WIRE_BLOCK_SIZE, POSIX_FADV_DONTNEED);
                outbox_alive();
        }
        return 0;
}

int part_sample(int dir_fd, const char *name, const ByteRange *place, Digest *ret, Fault *fault) {
        _cleanup_(fd_closep) int fd = -EBADF;
        struct stat st;
        int r;

        r = open_file(dir_fd, name, O_RDONLY, &fd, fault);
        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return part_fault(fault, "look at", -errno);
        if (!S_ISREG(st.st_mode))
                return fault_set(fault, WIRE_BAY_E_PREFIX, "the part is not a file of its own");
        r = fd_drop_cache(fd, place->offset, place->length);
        if (r >= 0)
                r = measure_range(fd, place->offset, place->length, ret);
        if (r == -ENODATA)
                return fault_set(fault, WIRE_BAY_E_PREFIX, "the part on disk has %llu bytes, more were recorded as durable",
                                 (unsigned long long) st.st_size);
        return r < 0 ? part_fault(fault, "read back", r) : 0;
}
