/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/uncached.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"

/* O_DIRECT wants buffer, offset and length in whole blocks; no disk of today has larger ones. */
#define ALIGNMENT 4096u

int uncached_open(int fd, uint64_t size_bytes, Uncached *ret) {
        Uncached u = { .fd = fd, .size_bytes = size_bytes };
        char path[64];
        int r;

        /* Opened anew, since O_DIRECT on the descriptor itself would change it for berthd, too. It may not be allowed to. */
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        u.direct_fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY);
        if (u.direct_fd < 0) {
                u.direct_fd = -EBADF;
                r = fd_drop_cache(fd, 0, 0);
                if (r < 0)
                        return r;
        }
        *ret = u;
        return 0;
}

void uncached_close(Uncached *u) {
        u->direct_fd = fd_close(u->direct_fd);
}

static int give_up_direct(Uncached *u) {
        u->direct_fd = fd_close(u->direct_fd);
        return fd_drop_cache(u->fd, 0, 0);
}

ssize_t uncached_read(Uncached *u, void *buffer, uint64_t offset) {
        size_t want = UNCACHED_CHUNK, got = 0;

        if (offset >= u->size_bytes)
                return 0;
        if (u->size_bytes - offset < want)
                want = (size_t) (u->size_bytes - offset);
        while (got < want) {
                bool direct = u->direct_fd >= 0;
                ssize_t n;
                int r;

                /* A direct read asks for whole blocks, at the file's end too, where it gets fewer bytes. */
                n = pread(direct ? u->direct_fd : u->fd, (char *) buffer + got, direct ? UNCACHED_CHUNK - got : want - got,
                          (off_t) (offset + got));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && !(direct && errno == EINVAL))
                        return -errno;
                if (n == 0)
                        return -ENODATA;
                if (n > 0)
                        got += (size_t) n;
                /* This file system opens with O_DIRECT but does not read so, or stopped amid a block. */
                if (direct && (n < 0 || (got < want && got % ALIGNMENT != 0))) {
                        r = give_up_direct(u);
                        if (r < 0)
                                return r;
                }
        }
        /* A file that grew has more to give than was promised. */
        return (ssize_t) (got < want ? got : want);
}

void *uncached_buffer(void) {
        void *buffer = NULL;

        return posix_memalign(&buffer, ALIGNMENT, UNCACHED_CHUNK) == 0 ? buffer : NULL;
}

int uncached_digest(int fd, uint64_t size_bytes, Task *task, Digest *ret) {
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        _cleanup_(uncached_close) Uncached u = { .direct_fd = -EBADF };
        _cleanup_(freep) void *buffer = uncached_buffer();
        int r;

        if (!buffer)
                return -ENOMEM;
        r = hasher_new(&hasher);
        if (r < 0)
                return r;
        r = uncached_open(fd, size_bytes, &u);
        if (r < 0)
                return r;
        for (uint64_t at = 0; at < size_bytes;) {
                ssize_t n;

                if (atomic_load(&task->cancelled))
                        return -ECANCELED;
                n = uncached_read(&u, buffer, at);
                if (n < 0)
                        return (int) n;
                r = hasher_update(hasher, buffer, (size_t) n);
                if (r >= 0)
                        r = task_take_bytes(task, buffer, (size_t) n, at);
                if (r < 0)
                        return r;
                at += (uint64_t) n;
                atomic_fetch_add(&task->activity, 1);
        }
        return hasher_finish(hasher, ret);
}
