/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reading what is on the disk, not what is in memory: with O_DIRECT where the file system knows it and the file may be opened
 * anew, else after its pages were synced and dropped.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "uplink/backend.h"

#define UNCACHED_CHUNK ((size_t) 1024 * 1024)

typedef struct Uncached {
        int fd;        /* as given: borrowed */
        int direct_fd; /* our own, or -EBADF */
        uint64_t size_bytes;
} Uncached;

int uncached_open(int fd, uint64_t size_bytes, Uncached *ret);
void uncached_close(Uncached *u);
/*
 * Up to UNCACHED_CHUNK bytes at `offset`, a multiple of that, into a buffer of uncached_buffer(): how many, fewer only at the
 * size given above. -ENODATA when the file ends before, or -errno.
 */
ssize_t uncached_read(Uncached *u, void *buffer, uint64_t offset);
/* UNCACHED_CHUNK bytes, aligned; free() releases them. */
void *uncached_buffer(void);

/*
 * The digest of a file of that size, whose bytes go to task_take_bytes(), too. -ECANCELED when the task is cancelled meanwhile; counts
 * its activity.
 */
int uncached_digest(int fd, uint64_t size_bytes, Task *task, Digest *ret);
