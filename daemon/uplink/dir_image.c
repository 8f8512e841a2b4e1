/* SPDX-License-Identifier: Apache-2.0 */

/* Firmware images: files that lie under their SHA-256, are written once, and are looked at whenever they are touched. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "uplink/dir_private.h"
#include "uplink/uncached.h"

#define CHUNK ((size_t) 1024 * 1024)
#define IMAGES "images"

static int open_folder(int root, bool make) {
        _cleanup_(fd_closep) int top = make ? fd_open_dir(root, WIRE_KEEP_FIRMWARE, DIR_MODE) : dir_open_dir(root, WIRE_KEEP_FIRMWARE);

        if (top < 0)
                return top;
        return make ? fd_open_dir(top, IMAGES, DIR_MODE) : dir_open_dir(top, IMAGES);
}

static int copy(int from, int to, uint64_t size_bytes, Task *task) {
        _cleanup_(freep) char *buffer = malloc(CHUNK);
        int r = 0;

        if (!buffer)
                return -ENOMEM;
        for (uint64_t at = 0; at < size_bytes && r >= 0;) {
                size_t n = (size_t) MIN2((uint64_t) CHUNK, size_bytes - at);

                if (atomic_load(&task->cancelled))
                        return -ECANCELED;
                r = fd_pread_full(from, buffer, n, at);
                if (r >= 0)
                        r = fd_pwrite_full(to, buffer, n, at);
                at += n;
                atomic_fetch_add(&task->activity, 1);
        }
        return r;
}

/* 1: it is there, whole. 0: nothing is. -1: answered. */
static int look(DirStore *s, int folder, Task *task, int *ret_fd) {
        const ImageRequest *image = &task->image;
        char hex[DIGEST_HEX_SIZE];
        _cleanup_(fd_closep) int fd = openat(folder, digest_to_hex(&image->digest, hex), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        Digest digest;
        int r = -EBADMSG;

        if (fd < 0)
                return errno == ENOENT ? 0 : dir_fail(s, -errno, "opening a firmware image", &task->answer);
        if (fstat(fd, &st) < 0)
                return dir_fail(s, -errno, "looking at a firmware image", &task->answer);
        if (S_ISREG(st.st_mode) && (uint64_t) st.st_size == image->size_bytes)
                r = uncached_digest(fd, image->size_bytes, task, &digest);
        if (r < 0 && r != -EBADMSG)
                return dir_fail(s, r, "reading a firmware image", &task->answer);
        if (r < 0 || !digest_equal(&digest, &image->digest))
                return answer_fail(&task->answer, WIRE_UPLINK_E_CONFLICT, NULL,
                                   "the firmware image %s in the store is damaged: it has not the SHA-256 that it is named by", hex);
        *ret_fd = TAKE_FD(fd);
        return 1;
}

static int write_new(DirStore *s, int root, int folder, Task *task) {
        _cleanup_(fd_closep) int tmp = -EBADF, fd = -EBADF;
        char name[DIR_NEW_NAME_SIZE], hex[DIGEST_HEX_SIZE];
        int r = dir_new_tmp(s, root, "making a file for a firmware image", name, &tmp, &fd, &task->answer);

        if (r < 0)
                return r;
        r = copy(task->image.fd, fd, task->image.size_bytes, task);
        CRASH_POINT("image-written");
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        CRASH_POINT("image-synced");
        if (r >= 0)
                r = dir_place(tmp, name, folder, digest_to_hex(&task->image.digest, hex));
        CRASH_POINT("image-placed");
        if (r < 0)
                (void) unlinkat(tmp, name, 0);
        else
                (void) fchmod(fd, FILE_MODE);
        /* Another was faster: then that one is what is looked at. */
        return r < 0 && r != -EEXIST ? dir_fail(s, r, "writing a firmware image", &task->answer) : 0;
}

static int check_source(const DirStore *s, Task *task) {
        Digest digest;
        int r = uncached_digest(task->image.fd, task->image.size_bytes, task, &digest);

        if (r < 0 && r != -ENODATA)
                return dir_fail(s, r, "reading the firmware image that is to be put", &task->answer);
        if (r < 0 || !digest_equal(&digest, &task->image.digest))
                return answer_fail(&task->answer, WIRE_UPLINK_E_SOURCE, NULL, "the file has not the SHA-256 that was told");
        return 0;
}

void dir_put_image(DirStore *s, Task *task) {
        _cleanup_(fd_closep) int root = -EBADF, folder = -EBADF, fd = -EBADF;
        int r;

        if (check_source(s, task) < 0)
                return;
        root = dir_open_root(s, false, &task->answer);
        if (root < 0)
                return;
        folder = open_folder(root, true);
        if (folder < 0) {
                (void) dir_fail(s, folder, "opening the folder of firmware images", &task->answer);
                return;
        }
        r = look(s, folder, task, &fd);
        task->already_there = r > 0;
        if (r == 0 && write_new(s, root, folder, task) == 0)
                r = look(s, folder, task, &fd);
        if (r == 0 && !task->answer.error)
                (void) dir_fail(s, EIO, "looking for the firmware image that was just put", &task->answer);
        if (r > 0 && (r = fd_sync_dir(folder)) < 0)
                (void) dir_fail(s, r, "syncing the folder of firmware images", &task->answer);
        CRASH_POINT("image-durable");
}

void dir_get_image(DirStore *s, Task *task) {
        _cleanup_(fd_closep) int root = dir_open_root(s, false, &task->answer), folder = -EBADF, fd = -EBADF;
        char hex[DIGEST_HEX_SIZE];
        int r = 0;

        if (root < 0)
                return;
        folder = open_folder(root, false);
        if (folder < 0 && folder != -ENOENT) {
                (void) dir_fail(s, folder, "opening the folder of firmware images", &task->answer);
                return;
        }
        if (folder >= 0)
                r = look(s, folder, task, &fd);
        if (r == 0)
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_GONE, NULL, "there is no firmware image %s in the store",
                                   digest_to_hex(&task->image.digest, hex));
        if (r > 0 && (r = copy(fd, task->image.fd, task->image.size_bytes, task)) < 0)
                (void) dir_fail(s, r, "copying a firmware image to the dock", &task->answer);
}
