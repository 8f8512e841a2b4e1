/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "store/custody.h"

#define DB_NAME "berth.db"
#define STEP_PAGES 1024
/* As many of the newest events are read again from the copy as a start reads; the rest is for `custody verify`. */
#define VERIFY_EVENTS UINT64_C(10000)

/*
 * The reader keeps one transaction over all steps: without it, SQLite would begin again whenever the daemon commits, and on a dock at work
 * come to no end.
 */
static int copy_pages(Db *from, Db *to, BackupProgress progress, void *userdata) {
        sqlite3_backup *copy;
        int r;

        copy = sqlite3_backup_init(db_handle(to), "main", db_handle(from), "main");
        if (!copy)
                return db_errno(sqlite3_extended_errcode(db_handle(to)));
        do {
                r = sqlite3_backup_step(copy, STEP_PAGES);
                if (progress)
                        progress(userdata, (uint64_t) (sqlite3_backup_pagecount(copy) - sqlite3_backup_remaining(copy)),
                                 (uint64_t) sqlite3_backup_pagecount(copy));
        } while (r == SQLITE_OK);
        (void) sqlite3_backup_finish(copy);
        return r == SQLITE_DONE ? 0 : db_errno(r);
}

/* The newest event of the copy, and those before it as a start looks at them. */
static int read_head(Db *db, const char *path, ChainHead *ret, ConfError *error) {
        int64_t newest = 0;
        uint64_t bad = 0;
        int r;

        r = db_number(db, "SELECT max(seq) FROM custody", DB_NO_ARGS, &newest);
        if (r < 0 && r != -ENOENT)
                return db_fail(error, r, "%s cannot be read again: %s", path, db_message(db));
        r = custody_verify(db, (uint64_t) newest > VERIFY_EVENTS ? (uint64_t) newest - VERIFY_EVENTS : 1, ret, &bad);
        if (r == -EBADE)
                return db_fail(error, r, "custody event %" PRIu64 " is not as the chain says, in the dock's database or in the copy: "
                               "'berthctl custody verify' tells more", bad);
        return r < 0 ? db_fail(error, r, "%s cannot be read again: %s", path, db_message(db)) : 0;
}

static int copy_database(Db *from, const char *path, BackupProgress progress, void *userdata, ChainHead *ret, ConfError *error) {
        _cleanup_(db_closep) Db *to = NULL;
        int64_t pages = 0;
        int r;

        r = db_open(path, DB_WRITE, &to);
        if (r < 0)
                return db_fail(error, r, "%s cannot be opened: %s", path, strerror(-r));
        /* A copy that does not come to its end is none: nothing is ever rolled back to. */
        r = db_exec(to, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL;");
        if (r < 0)
                return db_fail(error, r, "%s cannot be written: %s", path, db_message(to));
        r = db_exec(from, "BEGIN");
        if (r >= 0)
                r = db_number(from, "SELECT count(*) FROM sqlite_schema", DB_NO_ARGS, &pages);
        if (r < 0)
                return db_fail(error, r, "the dock's database cannot be read: %s", db_message(from));
        r = copy_pages(from, to, progress, userdata);
        if (r < 0)
                (void) db_fail(error, r, "%s cannot be written: %s", path, strerror(-r));
        else
                r = read_head(to, path, ret, error);
        (void) db_exec(from, "COMMIT");
        db_settle(to);
        return r;
}

/* The copy's log was folded into it when it was closed; only then is it whole by itself. */
static int sync_database(int dir_fd) {
        _cleanup_(fd_closep) int fd = openat(dir_fd, DB_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

        return fd < 0 ? -errno : fd_drop_cache(fd, 0, 0);
}

/* For people, and for the daemon that begins with it. */
static int write_note(int dir_fd, const ChainHead *head) {
        char time[UTC_TEXT_SIZE], line[128];
        int n = snprintf(line, sizeof(line), "a backup of %s, up to custody event %" PRIu64, utc_text(clock_wall_usec(), time), head->seq);

        return fd_replace_file(dir_fd, RESTORED_NAME, line, (size_t) n, 0600);
}

static int write_head(int dir_fd, const ChainHead *head) {
        _cleanup_(chain_file_freep) ChainFile *file = NULL;
        ChainHead none;
        int r;

        r = chain_file_create(dir_fd);
        if (r >= 0)
                r = chain_file_open(dir_fd, &file, &none);
        return r >= 0 && head->seq > 0 ? chain_file_write(file, head) : r;
}

int backup_make(Db *from, int dir_fd, const char *path, BackupProgress progress, void *userdata, ChainHead *ret, ConfError *error) {
        _cleanup_(freep) char *db_path = text_format("%s/" DB_NAME, path);
        _cleanup_(fd_closep) int fd = -EBADF;
        ChainHead head = { 0 };
        int r;

        if (!db_path)
                return -ENOMEM;
        /* Made here so that it is for our eyes only. */
        fd = openat(dir_fd, DB_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return db_fail(error, -errno, "%s cannot be made: %s", db_path, strerror(errno));
        fd = fd_close(fd);
        r = copy_database(from, db_path, progress, userdata, &head, error);
        if (r < 0)
                return r;
        r = sync_database(dir_fd);
        if (r >= 0)
                r = write_note(dir_fd, &head);
        if (r >= 0)
                r = write_head(dir_fd, &head);
        if (r >= 0)
                r = fd_sync_dir(dir_fd);
        if (r < 0)
                return db_fail(error, r, "%s cannot be written: %s", path, strerror(-r));
        *ret = head;
        return 0;
}
