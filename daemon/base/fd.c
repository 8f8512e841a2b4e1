/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/text.h"

int fd_close(int fd) {
        if (fd >= 0) {
                int saved = errno;

                (void) close(fd);
                errno = saved;
        }
        return -EBADF;
}

static bool is_component(const char *name) {
        return name[0] != 0 && !strchr(name, '/') && !text_equal(name, ".") && !text_equal(name, "..");
}

/*
 * openat() that follows no symlink anywhere in the path and, given a directory, does not leave it. For a single
 * component O_NOFOLLOW says all of that, and works where openat2() is filtered.
 */
static int open_nofollow(int dir_fd, const char *name, int flags, mode_t mode) {
        struct open_how how = {
                .flags = (unsigned) (flags | O_CLOEXEC | O_NOFOLLOW),
                .mode = flags & O_CREAT ? mode : 0,
                .resolve = RESOLVE_NO_SYMLINKS | (dir_fd == AT_FDCWD ? 0 : RESOLVE_BENEATH),
        };
        long fd;

        if (is_component(name))
                fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
        else
                fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
        /* systemd's RestrictSUIDSGID= takes openat2() away. A path that an admin wrote, and no folder to stay in, goes without it. */
        if (fd < 0 && errno == ENOSYS && dir_fd == AT_FDCWD)
                fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
        return fd < 0 ? -errno : (int) fd;
}

int fd_write_full(int fd, const void *data, size_t size) {
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EIO;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

static bool range_is_valid(uint64_t offset, size_t size) {
        return offset <= INT64_MAX && size <= INT64_MAX - offset;
}

int fd_pread_full(int fd, void *data, size_t size, uint64_t offset) {
        char *p = data;

        if (!range_is_valid(offset, size))
                return -EOVERFLOW;
        while (size > 0) {
                ssize_t n = pread(fd, p, size, (off_t) offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -ENODATA;
                p += n;
                size -= (size_t) n;
                offset += (uint64_t) n;
        }
        return 0;
}

int fd_pwrite_full(int fd, const void *data, size_t size, uint64_t offset) {
        const char *p = data;

        if (!range_is_valid(offset, size))
                return -EOVERFLOW;
        while (size > 0) {
                ssize_t n = pwrite(fd, p, size, (off_t) offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EIO;
                p += n;
                size -= (size_t) n;
                offset += (uint64_t) n;
        }
        return 0;
}

int fd_sync_dir(int dir_fd) {
        return fsync(dir_fd) < 0 ? -errno : 0;
}

int fd_open_dir(int dir_fd, const char *name, mode_t mode) {
        int fd, r;

        fd = open_nofollow(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
        if (fd != -ENOENT)
                return fd;
        if (!is_component(name))
                return -ENOENT;
        if (mkdirat(dir_fd, name, mode) < 0 && errno != EEXIST)
                return -errno;
        CRASH_POINT("folder-made");
        r = fd_sync_dir(dir_fd);
        if (r < 0)
                return r;
        CRASH_POINT("folder-synced");
        return open_nofollow(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
}

static int write_synced(int dir_fd, const char *name, const void *data, size_t size, mode_t mode) {
        _cleanup_(fd_closep) int fd = -EBADF;
        int r;

        fd = open_nofollow(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, mode);
        if (fd < 0)
                return fd;
        r = fd_write_full(fd, data, size);
        if (r < 0)
                return r;
        CRASH_POINT("replacement-written");
        return fdatasync(fd) < 0 ? -errno : 0;
}

int fd_replace_file(int dir_fd, const char *name, const void *data, size_t size, mode_t mode) {
        _cleanup_(freep) char *temporary = NULL;
        int r;

        if (!is_component(name))
                return -EINVAL;
        temporary = text_format(".%s.new", name);
        if (!temporary)
                return -ENOMEM;
        /* Left over by a crash: never whole for sure, and never anybody's only copy. */
        if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        CRASH_POINT("replacement-begins");
        r = write_synced(dir_fd, temporary, data, size, mode);
        CRASH_POINT("replacement-synced");
        if (r >= 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(dir_fd, temporary, 0);
                return r;
        }
        CRASH_POINT("replaced");
        r = fd_sync_dir(dir_fd);
        CRASH_POINT("replacement-durable");
        return r;
}

int fd_rename_durable(int from_dir, const char *from, int to_dir, const char *to) {
        int r;

        /* The directories that are synced must be the ones that hold the names. */
        if (!is_component(from) || !is_component(to))
                return -EINVAL;
        CRASH_POINT("rename-begins");
        if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) < 0)
                return -errno;
        CRASH_POINT("renamed");
        /* The new name first: a crash in between leaves the file under both names or the new one, never under none. */
        r = fd_sync_dir(to_dir);
        if (r < 0)
                return r;
        CRASH_POINT("new-name-synced");
        r = from_dir == to_dir ? 0 : fd_sync_dir(from_dir);
        CRASH_POINT("rename-durable");
        return r;
}

int fd_drop_cache(int fd, uint64_t offset, uint64_t size) {
        if (offset > INT64_MAX || size > INT64_MAX)
                return -EOVERFLOW;
        if (fdatasync(fd) < 0)
                return -errno;
        return -posix_fadvise(fd, (off_t) offset, (off_t) size, POSIX_FADV_DONTNEED);
}

/* Reads to the end, not to st_size: files of sysfs and procfs do not know theirs. */
static int read_to_end(int fd, size_t max, char **ret, size_t *ret_size) {
        _cleanup_(freep) char *buffer = NULL;
        size_t size = 0, room = 0;

        for (;;) {
                ssize_t n;

                if (size == room) {
                        char *larger;

                        room = MIN2(MAX2(room * 2, (size_t) 4096), max + 1);
                        larger = realloc(buffer, room + 1);
                        if (!larger)
                                return -ENOMEM;
                        buffer = larger;
                }
                n = read(fd, buffer + size, room - size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > max)
                        return -EFBIG;
        }
        buffer[size] = 0;
        *ret = TAKE_PTR(buffer);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int fd_read_line(int dir_fd, const char *name, char *ret, size_t size) {
        _cleanup_(fd_closep) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = read(fd, ret, size - 1);
        if (n < 0)
                return -errno;
        ret[n] = 0;
        ret[strcspn(ret, "\n")] = 0;
        return 0;
}

int fd_read_file(int dir_fd, const char *name, size_t max, char **ret, size_t *ret_size) {
        _cleanup_(fd_closep) int fd = -EBADF;
        struct stat st;

        if (max > SIZE_MAX / 4)
                return -EINVAL;
        /* Not waiting for the writer of a FIFO that somebody put here. */
        fd = open_nofollow(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        return read_to_end(fd, max, ret, ret_size);
}
