/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "uplink/dir_private.h"

int dir_open_dir(int dir, const char *name) {
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        return fd < 0 ? -errno : fd;
}

int dir_open_chain(int root, const LayoutKey *key, bool make, DirChain *ret) {
        _cleanup_(dir_close_chain) DirChain c = DIR_CHAIN_NONE;
        int from = root;

        for (size_t i = 0; i < ELEMENTSOF(c.fds); i++) {
                /* The topmost is there since the store was probed: when it is not, this is not the store. */
                c.fds[i] = make && i > 0 ? fd_open_dir(from, key->parts[i], DIR_MODE) : dir_open_dir(from, key->parts[i]);
                if (c.fds[i] < 0)
                        return c.fds[i];
                from = c.fds[i];
        }
        *ret = c;
        c = (DirChain) DIR_CHAIN_NONE;
        return 0;
}

void dir_close_chain(DirChain *c) {
        for (size_t i = 0; i < ELEMENTSOF(c->fds); i++)
                c->fds[i] = fd_close(c->fds[i]);
}

/* All of them: another process may have made a folder and not synced it yet. */
int dir_sync_chain(const DirChain *c) {
        for (size_t i = ELEMENTSOF(c->fds); i > 0; i--) {
                int r;

                r = fd_sync_dir(c->fds[i - 1]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool are_one_file(int a_dir, const char *a, int b_dir, const char *b) {
        struct stat x, y;

        return fstatat(a_dir, a, &x, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(b_dir, b, &y, AT_SYMLINK_NOFOLLOW) == 0 &&
               x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int dir_place(int from_dir, const char *from, int to_dir, const char *to) {
        if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
                return -errno;
        /* NFS, for one, knows no RENAME_NOREPLACE; link() never replaces either. */
        if (linkat(from_dir, from, to_dir, to, 0) < 0) {
                if (errno == EPERM || errno == ENOSYS || errno == EINVAL)
                        return -EOPNOTSUPP;
                /* Asked twice over the network, when the first answer was lost. */
                if (errno != EEXIST || !are_one_file(from_dir, from, to_dir, to))
                        return -errno;
        }
        CRASH_POINT("linked");
        /* Should this fail, the sweep at the next start finds it. */
        (void) unlinkat(from_dir, from, 0);
        return 0;
}

int dir_open_tmp(const DirStore *s, int root, bool make) {
        _cleanup_(fd_closep) int tmp = make ? fd_open_dir(root, DIR_TMP, DIR_MODE) : dir_open_dir(root, DIR_TMP);

        if (tmp < 0)
                return tmp;
        return make ? fd_open_dir(tmp, s->owner, DIR_MODE) : dir_open_dir(tmp, s->owner);
}

int dir_lock(int fd) {
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        return 0;
}

int dir_create_tmp(int tmp, const char *name) {
        _cleanup_(fd_closep) int fd = openat(tmp, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, TMP_MODE);

        if (fd < 0)
                return -errno;
        /* Held by a sweep that found the file before it was locked, and is about to remove it. */
        if (dir_lock(fd) == -EBUSY)
                return -EBUSY;
        return TAKE_FD(fd);
}

int dir_new_tmp(DirStore *s, int root, const char *making, char ret_name[static DIR_NEW_NAME_SIZE], int *ret_tmp, int *ret_fd,
                Answer *answer) {
        _cleanup_(fd_closep) int tmp = -EBADF;
        uint64_t random;
        int fd;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return dir_fail(s, EAGAIN, "asking for random numbers", answer);
        (void) snprintf(ret_name, DIR_NEW_NAME_SIZE, "%016" PRIx64 ".kept", random);
        tmp = dir_open_tmp(s, root, true);
        if (tmp < 0)
                return dir_fail(s, tmp, "opening its folder for unfinished work", answer);
        fd = dir_create_tmp(tmp, ret_name);
        if (fd < 0)
                return dir_fail(s, fd, making, answer);
        *ret_tmp = TAKE_FD(tmp);
        *ret_fd = fd;
        return 0;
}
