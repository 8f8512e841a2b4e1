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
#include "proof/file.h"

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
                proof_check_file(p, spool, "spool", c.name, c.size, &c.digest, "the copy");
                free(c.name);
        }
        return r;
}

/* A sealed file that no clip names: it was put there, or its row was taken away. */
static void check_strangers(Proof *p, int spool) {
        DIR *dir = proof_open_folder(p, spool, ".");

        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                _cleanup_(freep) char *where = NULL;
                uint64_t clip_id = 0;
                int64_t n = 0;

                /* One that was sealed a moment ago is about to be on record. */
                (void) sscanf(entry->d_name, "%" SCNu64, &clip_id);
                if (!proof_name_ends(entry->d_name, ".clip") ||
                    db_number(p->db, "SELECT count(*) FROM clips WHERE spool_name = ?1 OR (id = ?2 AND state = 'copying')",
                              DB_ARGS(DB_TEXT(entry->d_name), DB_INT(clip_id)), &n) < 0 || n > 0)
                        continue;
                where = text_format("spool/%s", entry->d_name);
                if (where)
                        proof_found(p, where, "no clip in the database has this copy");
        }
        if (dir)
                (void) closedir(dir);
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
