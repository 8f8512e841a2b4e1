/* SPDX-License-Identifier: Apache-2.0 */
#include "store/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "store/custody.h"
#include "store/schema.h"

#define DB_NAME "berth.db"
/* A larger database is not read to its end at every start. */
#define QUICK_CHECK_MAX (UINT64_C(128) * 1024 * 1024)
#define VERIFY_EVENTS UINT64_C(10000)
#define DB_PAGE_MIN 512u
#define LOCK_TRIES 100u
#define LOCK_RETRY_NSEC 20000000

void state_dir_close(StateDir *s) {
        s->db = db_close(s->db);
        s->chain = chain_file_free(s->chain);
        free(s->db_path);
        s->db_path = NULL;
        s->fd = fd_close(s->fd);
}

/*
 * The lock goes with the process, however it ends; but a child that one forked a moment before has it until it begins its own program. So
 * who starts after a crash waits a little.
 */
static int lock_soon(int fd) {
        for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
                if (errno != EWOULDBLOCK || i == LOCK_TRIES)
                        return -errno;
                (void) nanosleep(&(struct timespec){ .tv_nsec = LOCK_RETRY_NSEC }, NULL);
        }
        return 0;
}

/* One daemon for one folder. */
static int lock_dir(const char *path, StateDir *s, ConfError *error) {
        _cleanup_(freep) char *real = realpath(path, NULL);
        int r;

        if (!real)
                return db_fail(error, -errno, "the state folder %s cannot be opened: %s", path, strerror(errno));
        s->fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (s->fd < 0)
                return db_fail(error, -errno, "the state folder %s cannot be opened: %s", path, strerror(errno));
        r = lock_soon(s->fd);
        if (r == -EWOULDBLOCK)
                return db_fail(error, -EBUSY, "%s is in use by another berthd: stop that one first", path);
        if (r < 0)
                return db_fail(error, r, "%s cannot be locked: %s", path, strerror(-r));
        s->db_path = text_format("%s/" DB_NAME, real);
        return s->db_path ? 0 : db_fail(error, -ENOMEM, "out of memory");
}

/* The size of a regular file: -ENOENT. Never opens it: closing a second descriptor would drop SQLite's locks. */
static int file_size(int dir_fd, const char *name, uint64_t *ret) {
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        *ret = (uint64_t) st.st_size;
        return 0;
}

/* An empty file is an empty database. Made here so that it, and what SQLite puts beside it, is for our eyes only. */
static int create_db_file(int dir_fd) {
        _cleanup_(fd_closep) int fd = -EBADF;

        fd = openat(dir_fd, DB_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        CRASH_POINT("database-made");
        return fd_sync_dir(dir_fd);
}

static int fail_db(StateDir *s, Db *db, int r, ConfError *error) {
        const char *hint = r == -EBADMSG
                                 ? "put it aside with its -wal file and restore both, and chain.head, from a backup"
                         : r == -EBUSY                 ? "another program holds it: end that program"
                         : r == -ENOSPC                ? "free some space"
                         : r == -EACCES || r == -EROFS ? "its owner must be able to read and write it, and the folder"
                                                       : "see to the disk";

        return db_fail(error, r, "%s: %s: %s", s->db_path, db ? db_message(db) : strerror(-r), hint);
}

/* synchronous=FULL: a commit that was reported is on the disk. Sorting and savepoints never need a temporary file. */
static int configure(Db *db) {
        return db_exec(db, "PRAGMA synchronous = FULL;"
                           "PRAGMA foreign_keys = ON;"
                           "PRAGMA temp_store = MEMORY;"
                           "PRAGMA cell_size_check = ON;"
                           "PRAGMA journal_size_limit = 67108864;");
}

static int quick_check(StateDir *s, Db *db, ConfError *error) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        uint64_t size = 0;
        int r;

        r = file_size(s->fd, DB_NAME, &size);
        if (r < 0 || size > QUICK_CHECK_MAX)
                return r;
        r = db_query(db, "PRAGMA quick_check(1)", DB_NO_ARGS, &row);
        if (r < 0)
                return fail_db(s, db, r, error);
        if (r == 0 || !text_equal((const char *) sqlite3_column_text(row, 0), "ok"))
                return db_fail(
                        error, -EBADMSG,
                        "%s is damaged (%s): put it and its -wal file aside, restore both, and chain.head, from backup",
                        s->db_path, r > 0 ? (const char *) sqlite3_column_text(row, 0) : "it cannot be checked");
        return 0;
}

/*
 * Folds the write-ahead log into the file, synced, and empties it. What an earlier process wrote there may have been
 * read back by recovery from the page cache although its sync failed; the kernel then thinks those pages clean and
 * never writes them, and everything committed after them would be lost with them. So no commit goes into a log that was
 * not begun here.
 */
static int fold_log(Db *db) {
        int64_t busy = 0;
        int r;

        CRASH_POINT("log-fold-begins");
        r = db_number(db, "PRAGMA wal_checkpoint(TRUNCATE)", DB_NO_ARGS, &busy);
        CRASH_POINT("log-folded");
        return r < 0 ? r : busy != 0 ? -EBUSY : 0;
}

static int fail_vanished(StateDir *s, const char *how, ConfError *error) {
        return db_fail(error, -EBADE, "%s is %s, but chain.head is there: restore the database that belongs to it",
                       s->db_path, how);
}

static int open_db(StateDir *s, bool may_be_new, ConfError *error) {
        _cleanup_(db_closep) Db *db = NULL;
        int r, ours;

        r = db_open(s->db_path, DB_WRITE, &db);
        if (r < 0)
                return fail_db(s, NULL, r, error);
        r = configure(db);
        if (r < 0)
                return fail_db(s, db, r, error);
        ours = schema_recognise(db, s->db_path, error);
        if (ours < 0)
                return ours;
        if (ours == 0 && !may_be_new)
                return fail_vanished(s, "empty", error);
        /* Before anything is in it: what store_tidy() gives back must be known for each page. */
        if (ours == 0)
                r = db_exec(db, "PRAGMA auto_vacuum = INCREMENTAL");
        if (r < 0)
                return fail_db(s, db, r, error);
        if (ours > 0) {
                r = quick_check(s, db, error);
                if (r < 0)
                        return r;
        }
        r = db_exec(db, "PRAGMA journal_mode = WAL");
        if (r < 0)
                return fail_db(s, db, r, error);
        CRASH_POINT("migration-begins");
        r = schema_migrate(db, s->db_path, error);
        CRASH_POINT("migrated");
        if (r >= 0)
                r = schema_check(db, s->db_path, error);
        if (r < 0)
                return r;
        s->db = TAKE_PTR(db);
        return 0;
}

/* The newest event of the database, with the chain before it checked. */
static int verify_chain(StateDir *s, uint64_t from_seq, ChainHead *ret, ConfError *error) {
        int64_t newest = 0;
        uint64_t bad = 0;
        int r;

        r = db_number(s->db, "SELECT max(seq) FROM custody", DB_NO_ARGS, &newest);
        if (r < 0 && r != -ENOENT)
                return fail_db(s, s->db, r, error);
        if ((uint64_t) newest > VERIFY_EVENTS)
                from_seq = MIN2(from_seq, (uint64_t) newest - VERIFY_EVENTS);
        else
                from_seq = 1;
        r = custody_verify(s->db, from_seq, ret, &bad);
        if (r == -EBADE)
                return db_fail(error, r,
                               "%s: the custody chain is broken at event %" PRIu64
                               ": the database was changed by something other than "
                               "Berth, restore it and chain.head from a backup",
                               s->db_path, bad);
        return r < 0 ? fail_db(s, s->db, r, error) : 0;
}

/* The database must hold the event that the head file names; what it holds beyond came just before a crash. */
static int compare_head(StateDir *s, const ChainHead *file, ConfError *error) {
        ChainHead db = { 0 };
        Digest hash = { 0 };
        int r;

        r = verify_chain(s, file->seq, &db, error);
        if (r < 0)
                return r;
        if (db.seq < file->seq)
                return db_fail(error, -EBADE,
                               "%s ends at custody event %" PRIu64 ", but chain.head knows event %" PRIu64
                               ": the database was set back or "
                               "lost its newest events, restore the newer one",
                               s->db_path, db.seq, file->seq);
        r = file->seq == 0 ? 0 : custody_hash(s->db, file->seq, &hash);
        if (r < 0)
                return fail_db(s, s->db, r, error);
        if (!digest_equal(&hash, &file->hash))
                return db_fail(error, -EBADE,
                               "%s: custody event %" PRIu64
                               " is not the one that chain.head names: the two are not from the same dock or "
                               "one of them was changed",
                               s->db_path, file->seq);
        if (db.seq > file->seq) {
                r = chain_file_write(s->chain, &db);
                if (r < 0)
                        return db_fail(error, r, "chain.head beside %s cannot be written: %s", s->db_path,
                                       strerror(-r));
        }
        s->head = db;
        return 0;
}

static int open_chain(StateDir *s, ConfError *error) {
        ChainHead file = { 0 };
        int64_t events = 0;
        int r;

        r = chain_file_open(s->fd, &s->chain, &file);
        if (r == -ENOENT) {
                r = db_number(s->db, "SELECT max(seq) FROM custody", DB_NO_ARGS, &events);
                if (r >= 0)
                        return db_fail(error, -EBADE,
                                       "chain.head is missing beside %s, which holds %" PRId64
                                       " custody events: without it nobody can tell "
                                       "whether the database was set back, restore it",
                                       s->db_path, events);
                if (r != -ENOENT)
                        return fail_db(s, s->db, r, error);
                r = chain_file_create(s->fd);
                if (r >= 0)
                        r = chain_file_open(s->fd, &s->chain, &file);
        }
        if (r == -EBADE)
                return db_fail(error, r, "chain.head beside %s is damaged: restore it together with the database",
                               s->db_path);
        if (r < 0)
                return db_fail(error, r, "chain.head beside %s cannot be opened: %s", s->db_path, strerror(-r));
        return compare_head(s, &file, error);
}

/*
 * Which files are there? Returns whether the database may be made anew: one that vanished, or was emptied, under a
 * chain that is known never is.
 */
static int find_files(StateDir *s, ConfError *error) {
        uint64_t db_size = 0, head_size = 0;
        int db, head;

        db = file_size(s->fd, DB_NAME, &db_size);
        if (db < 0 && db != -ENOENT)
                return db_fail(error, db, "%s is not a file that can be used: %s", s->db_path, strerror(-db));
        head = file_size(s->fd, CHAIN_HEAD_NAME, &head_size);
        if (db < 0 && head >= 0)
                return fail_vanished(s, "missing", error);
        /* SQLite takes less than a page for an empty database, and would write over it. */
        if (db_size > 0 && db_size < DB_PAGE_MIN)
                return db_fail(
                        error, -EBADMSG,
                        "%s is damaged or not a database: put it aside, or restore it, and chain.head, from a backup",
                        s->db_path);
        if (db == -ENOENT)
                db = create_db_file(s->fd);
        if (db < 0)
                return db_fail(error, db, "%s cannot be created: %s", s->db_path, strerror(-db));
        return head == -ENOENT;
}

int state_dir_open(const char *path, StateDir *ret, ConfError *error) {
        StateDir s = { .fd = -EBADF };
        int r;

        r = lock_dir(path, &s, error);
        if (r >= 0)
                r = find_files(&s, error);
        if (r >= 0)
                r = open_db(&s, r > 0, error);
        if (r >= 0)
                r = open_chain(&s, error);
        if (r >= 0) {
                r = fold_log(s.db);
                if (r < 0)
                        r = fail_db(&s, s.db, r, error);
        }
        if (r < 0) {
                state_dir_close(&s);
                return r;
        }
        *ret = s;
        return 0;
}

int state_dir_reopen_db(StateDir *s, const ChainHead *committed, ConfError *error) {
        ChainHead now = { 0 };
        uint64_t bad = 0;
        int r;

        s->db = db_close(s->db);
        r = db_open(s->db_path, DB_WRITE, &s->db);
        if (r < 0)
                return fail_db(s, NULL, r, error);
        r = configure(s->db);
        if (r >= 0)
                r = fold_log(s->db);
        if (r >= 0)
                r = custody_verify(s->db, MAX2(s->head.seq, UINT64_C(1)), &now, &bad);
        if (r < 0 && r != -EBADE)
                return fail_db(s, s->db, r, error);
        if (r < 0 || now.seq < committed->seq)
                return db_fail(error, -EBADE, "%s does not hold any more what was committed to it: stop and restore it",
                               s->db_path);
        if (now.seq > committed->seq)
                return db_fail(error, -EBADE, "%s holds facts whose commit had failed: start berthd again", s->db_path);
        return 0;
}
