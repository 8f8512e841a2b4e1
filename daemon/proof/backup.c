/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/statement.h"
#include "base/text.h"
#include "store/backup.h"

#define ID_FILE "dock.id"

static const char *const files[] = { "berth.db", "berth.db-wal", "berth.db-shm", CHAIN_HEAD_NAME, RESTORED_NAME, ID_FILE };

static void on_pages(void *userdata, uint64_t done, uint64_t total) {
        proof_progress(userdata, "pages", done, total);
}

/* So that a dock that lost its whole disk comes back as itself. */
static int copy_id(Proof *p, int to, ConfError *error) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        int r;

        r = fd_read_file(p->dir, ID_FILE, DOCK_ID_SIZE, &text, &size);
        /* There is none before the dock's first start with a key. */
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = fd_replace_file(to, ID_FILE, text, size, 0600);
        return r < 0 ? db_fail(error, r, ID_FILE " cannot be copied: %s", strerror(-r)) : 0;
}

static int sync_parent(const char *path) {
        _cleanup_(freep) char *parent = text_format("%s/..", path);
        _cleanup_(fd_closep) int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

        return fd < 0 ? -errno : fd_sync_dir(fd);
}

int proof_backup(Proof *p, const char *path, ChainHead *ret, ConfError *error) {
        _cleanup_(fd_closep) int fd = -EBADF;
        _cleanup_(freep) char *real = NULL;
        int r = 0;

        if (mkdir(path, 0700) < 0)
                return db_fail(error, -errno, "%s cannot be made: %s", path, strerror(errno));
        real = realpath(path, NULL);
        fd = real ? open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
        if (fd < 0)
                r = db_fail(error, -errno, "%s cannot be opened: %s", path, strerror(errno));
        if (r >= 0)
                r = backup_make(p->db, fd, real, on_pages, p, ret, error);
        if (r >= 0)
                r = copy_id(p, fd, error);
        if (r >= 0 && (r = sync_parent(real)) < 0)
                r = db_fail(error, r, "%s cannot be synced: %s", path, strerror(-r));
        if (r >= 0)
                return 0;
        for (size_t i = 0; fd >= 0 && i < ELEMENTSOF(files); i++)
                (void) unlinkat(fd, files[i], 0);
        (void) rmdir(path);
        return r;
}
