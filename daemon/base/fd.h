/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Descriptors and durable files. All paths are relative to a directory descriptor; symlinks are never followed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"

/* Closes when it is >= 0, keeps errno, returns -EBADF. */
int fd_close(int fd);
static inline void fd_closep(int *fd) {
        fd_close(*fd);
}

/* The whole buffer or -errno; read_full: -ENODATA at an early end. */
int fd_write_full(int fd, const void *data, size_t size);
int fd_pread_full(int fd, void *data, size_t size, uint64_t offset);
int fd_pwrite_full(int fd, const void *data, size_t size, uint64_t offset);

/* fsync of a directory given by descriptor. */
int fd_sync_dir(int dir_fd);
/* Opens a directory beneath dir_fd, making it when it is not there (and syncing its parent then). */
int fd_open_dir(int dir_fd, const char *name, mode_t mode);
/*
 * Writes a small file durably: temporary name, write, fdatasync, rename over `name`, directory sync. After a crash
 * there is either the old file or the new one, whole.
 */
int fd_replace_file(int dir_fd, const char *name, const void *data, size_t size, mode_t mode);
/* renameat2(RENAME_NOREPLACE), then syncs both directories: -EEXIST when the target is there. */
int fd_rename_durable(int from_dir, const char *from, int to_dir, const char *to);
/* fdatasync + POSIX_FADV_DONTNEED for the range: what is read next comes from the disk. */
int fd_drop_cache(int fd, uint64_t offset, uint64_t size);
/* Reads a whole file of at most `max` bytes into a NUL-terminated buffer (caller frees): -EFBIG past it. */
int fd_read_file(int dir_fd, const char *name, size_t max, char **ret, size_t *ret_size);
/* Reads the first line of a file that the kernel makes up, without its end; what does not fit is cut off. -errno. */
int fd_read_line(int dir_fd, const char *name, char *ret, size_t size);
