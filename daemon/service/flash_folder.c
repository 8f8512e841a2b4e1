/* SPDX-License-Identifier: Apache-2.0 */
#include "service/flash_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/folder.h"
#include "base/text.h"
#include "base/wire_flash.h"

#define ROOT "flash"
#define PART "image.part"
#define TARGET "target"
#define TARGET_MAX 4096u
#define COPY_CHUNK (256u * 1024u)

int flash_root_open(const char *state_dir, bool make) {
        _cleanup_(fd_closep) int state = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int fd;

        if (state < 0)
                return -errno;
        if (make)
                return fd_open_dir(state, ROOT, 0700);
        fd = openat(state, ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static void name_of(uint64_t id, char ret[static 32]) {
        (void) snprintf(ret, 32, "%" PRIu64, id);
}

int flash_folder_open(int root_fd, uint64_t id, bool make) {
        char name[32];
        int fd;

        name_of(id, name);
        if (make)
                return fd_open_dir(root_fd, name, 0700);
        fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int remove_file(const char *name, void *userdata) {
        (void) unlinkat(*(int *) userdata, name, 0);
        return 0;
}

void flash_folder_remove(int root_fd, uint64_t id) {
        _cleanup_(fd_closep) int fd = flash_folder_open(root_fd, id, false);
        char name[32];

        if (fd < 0)
                return;
        CRASH_POINT("flash-folder-remove-begins");
        (void) folder_each(fd, remove_file, &fd);
        CRASH_POINT("flash-folder-emptied");
        name_of(id, name);
        (void) unlinkat(root_fd, name, AT_REMOVEDIR);
}

typedef struct Sweep {
        int root_fd;
        bool (*is_wanted)(void *userdata, uint64_t id);
        void *userdata;
} Sweep;

static int sweep_one(const char *name, void *userdata) {
        const Sweep *s = userdata;
        uint64_t id;
        char *end;

        errno = 0;
        id = strtoull(name, &end, 10);
        if (errno == 0 && end != name && !*end && !s->is_wanted(s->userdata, id))
                flash_folder_remove(s->root_fd, id);
        return 0;
}

void flash_root_sweep(int root_fd, bool (*is_wanted)(void *userdata, uint64_t id), void *userdata) {
        Sweep s = { root_fd, is_wanted, userdata };

        (void) folder_each(root_fd, sweep_one, &s);
}

/* ---- The image -------------------------------------------------------------------------------------------------------- */

/* Copies, and hashes what is written. */
static int copy(int from, int to, uint64_t size_bytes, Digest *ret) {
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        _cleanup_(freep) uint8_t *chunk = malloc(COPY_CHUNK);
        int r = chunk ? hasher_new(&hasher) : -ENOMEM;

        for (uint64_t at = 0; r >= 0 && at < size_bytes;) {
                size_t n = (size_t) MIN2(size_bytes - at, (uint64_t) COPY_CHUNK);

                r = fd_pread_full(from, chunk, n, at);
                if (r >= 0)
                        r = hasher_update(hasher, chunk, n);
                if (r >= 0)
                        r = fd_write_full(to, chunk, n);
                at += n;
        }
        return r < 0 ? r : hasher_finish(hasher, ret);
}

int flash_folder_put_image(int folder_fd, int image_fd, uint64_t size_bytes, const Digest *digest) {
        _cleanup_(fd_closep) int fd = openat(folder_fd, PART, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        Digest found;
        int r;

        if (fd < 0)
                return -errno;
        r = copy(image_fd, fd, size_bytes, &found);
        if (r == -ENODATA || (r >= 0 && !digest_equal(&found, digest)))
                return -EBADMSG;
        if (r < 0)
                return r;
        CRASH_POINT("flash-image-written");
        if (fdatasync(fd) < 0 || renameat(folder_fd, PART, folder_fd, WIRE_FLASH_IMAGE) < 0)
                return -errno;
        CRASH_POINT("flash-image-placed");
        return fd_sync_dir(folder_fd);
}

int flash_folder_image(int folder_fd) {
        int fd = openat(folder_fd, WIRE_FLASH_IMAGE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int flash_folder_put_target(int folder_fd, const char *path) {
        _cleanup_(fd_closep) int fd = openat(folder_fd, TARGET, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        int r;

        if (fd < 0)
                return -errno;
        r = fd_write_full(fd, path, strlen(path));
        CRASH_POINT("flash-target-written");
        return r < 0 ? r : fdatasync(fd) < 0 ? -errno : 0;
}

int flash_folder_target(int folder_fd, char **ret) {
        size_t size;

        return fd_read_file(folder_fd, TARGET, TARGET_MAX, ret, &size);
}

/* ---- The worker ------------------------------------------------------------------------------------------------------- */

void flash_folder_outcome_name(unsigned sending, char ret[static 32]) {
        (void) snprintf(ret, 32, "%s.%u", WIRE_FLASH_OUTCOME, sending);
}

int flash_folder_outcome(int folder_fd, unsigned sending, char ret[static FLASH_TEXT_SIZE]) {
        _cleanup_(freep) char *line = NULL;
        char name[32], *tab;
        size_t size;
        int r;

        flash_folder_outcome_name(sending, name);
        r = fd_read_file(folder_fd, name, FLASH_TEXT_SIZE, &line, &size);
        if (r < 0)
                return r == -EFBIG ? -ENOENT : r;
        tab = strchr(line, '\t');
        if (!tab || size == 0 || line[size - 1] != '\n')
                return -ENOENT;
        line[size - 1] = 0;
        *tab++ = 0;
        if (text_equal(line, WIRE_FLASH_OK))
                return 1;
        /* It comes from where a camera's bytes were. */
        text_sanitise(tab, ret, FLASH_TEXT_SIZE);
        return 0;
}

uint64_t flash_folder_progress(int folder_fd) {
        _cleanup_(fd_closep) int fd = openat(folder_fd, WIRE_FLASH_PROGRESS, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        uint64_t bytes, again;
        char line[48];
        ssize_t n;

        n = fd < 0 ? -1 : pread(fd, line, sizeof(line) - 1, 0);
        if (n <= 0)
                return 0;
        line[n] = 0;
        return sscanf(line, "%" SCNu64 " %" SCNu64, &bytes, &again) == 2 && bytes == again ? bytes : 0;
}

void flash_folder_forget_progress(int folder_fd) {
        (void) unlinkat(folder_fd, WIRE_FLASH_PROGRESS, 0);
}

pid_t flash_folder_worker(int folder_fd) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
        _cleanup_(fd_closep) int fd = openat(folder_fd, WIRE_FLASH_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
                return 0;
        return lock.l_pid;
}
