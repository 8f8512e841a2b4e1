/* SPDX-License-Identifier: Apache-2.0 */

/* The dock's own copies, read from the disk and hashed. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "proof/proof.h"

#define CHUNK ((size_t) 1024 * 1024)

static int hash_file(Proof *p, int fd, uint64_t size, Digest *ret) {
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        _cleanup_(freep) void *buffer = malloc(CHUNK);
        int r;

        r = buffer ? hasher_new(&hasher) : -ENOMEM;
        /* What is in memory proves nothing about the disk. */
        (void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        for (uint64_t at = 0; r >= 0 && at < size;) {
                size_t n = (size_t) MIN2((uint64_t) CHUNK, size - at);

                r = fd_pread_full(fd, buffer, n, at);
                if (r >= 0)
                        r = hasher_update(hasher, buffer, n);
                (void) posix_fadvise(fd, (off_t) at, (off_t) n, POSIX_FADV_DONTNEED);
                at += n;
                p->counts.spool_bytes += n;
                proof_progress(p, "bytes of the spool", p->counts.spool_bytes, 0);
        }
        return r < 0 ? r : hasher_finish(hasher, ret);
}

static void check_file(Proof *p, int spool, const char *name, uint64_t size, const Digest *digest) {
        _cleanup_(freep) char *where = text_format("spool/%s", name);
        _cleanup_(fd_closep) int fd = openat(spool, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        Digest is;
        int r;

        if (!where)
                return;
        p->counts.spool_files++;
        if (fd < 0)
                return proof_found(p, where, errno == ENOENT ? "the file is missing" : "the file cannot be opened: %s", strerror(errno));
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return proof_found(p, where, "it is no file");
        if ((uint64_t) st.st_size != size)
                return proof_found(p, where, "it has %jd bytes, and the copy had %" PRIu64, (intmax_t) st.st_size, size);
        r = hash_file(p, fd, size, &is);
        if (r < 0)
                proof_found(p, where, "it cannot be read: %s", strerror(-r));
        else if (!digest_equal(&is, digest))
                proof_found(p, where, "its SHA-256 is not that of the copy");
}

typedef struct SpoolCopy {
        uint64_t clip_id, size;
        char *name;
        Digest digest;
} SpoolCopy;

/* The next clip that should have a copy: 1, or 0 at the end. */
static int next_copy(Proof *p, uint64_t after, SpoolCopy *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        SpoolCopy c = { 0 };
        int r;

        r = db_query(p->db, "SELECT id, spool_name, size_bytes, digest FROM clips WHERE spool_name IS NOT NULL AND digest IS NOT NULL"
                            " AND id > ?1 ORDER BY id LIMIT 1", DB_ARGS(DB_INT(after)), &row);
        if (r <= 0)
                return r;
        c.clip_id = db_column_uint(row, 0);
        c.size = db_column_uint(row, 2);
        r = db_column_digest(row, 3, &c.digest);
        if (r >= 0)
                r = db_column_text(row, 1, &c.name);
        if (r < 0)
                return r;
        *ret = c;
        return 1;
}

/* One clip at a time: hashing takes long, and a read that stays open would keep the write-ahead log from being folded. */
static int check_copies(Proof *p, int spool) {
        SpoolCopy c = { 0 };
        int r;

        while ((r = next_copy(p, c.clip_id, &c)) > 0) {
                check_file(p, spool, c.name, c.size, &c.digest);
                free(c.name);
        }
        return r;
}

static bool ends_with(const char *s, const char *end) {
        size_t n = strlen(s), m = strlen(end);

        return n > m && text_equal(s + n - m, end);
}

/* A sealed file that no clip names: it was put there, or its row was taken away. */
static void check_strangers(Proof *p, int spool) {
        int again = openat(spool, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = again < 0 ? NULL : fdopendir(again);

        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                _cleanup_(freep) char *where = NULL;
                int64_t n = 0;

                if (!ends_with(entry->d_name, ".clip") ||
                    db_number(p->db, "SELECT count(*) FROM clips WHERE spool_name = ?1", DB_ARGS(DB_TEXT(entry->d_name)), &n) < 0 || n > 0)
                        continue;
                where = text_format("spool/%s", entry->d_name);
                if (where)
                        proof_found(p, where, "no clip in the database has this copy");
        }
        if (dir)
                (void) closedir(dir);
        else if (again >= 0)
                fd_close(again);
}

int proof_spool(Proof *p) {
        _cleanup_(fd_closep) int spool = openat(p->dir, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int64_t copies = 0;
        int r;

        if (spool < 0) {
                (void) db_number(p->db, "SELECT count(*) FROM clips WHERE spool_name IS NOT NULL", DB_NO_ARGS, &copies);
                if (copies > 0)
                        proof_found(p, "spool/", "the folder cannot be opened, and %" PRId64 " clips should have a copy in it", copies);
                return 0;
        }
        r = check_copies(p, spool);
        if (r < 0)
                proof_found(p, "berth.db", "the clips with a copy in the spool cannot be read: %s", db_message(p->db));
        check_strangers(p, spool);
        return r;
}
