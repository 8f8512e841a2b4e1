/* SPDX-License-Identifier: Apache-2.0 */

/* Files that were set aside: on record from the event on that tells of them, and with their digest once somebody has read them there. */

#include <errno.h>

#include "base/text.h"
#include "store/store_private.h"

/* What SQLite keeps beside a database for its readers is made anew by whoever opens it, and proves nothing. */
static const char *const database_files[] = { "berth.db", "berth.db-wal", "chain.head" };

static int note_file(Writer *w, const char *folder, const char *name, const char *suffix) {
        _cleanup_(freep) char *path = text_format("%s/%s%s", folder, name, suffix);

        if (!path)
                return -ENOMEM;
        return writer_check(w, db_run(w->db, "INSERT OR IGNORE INTO kept_files (name, event_seq) VALUES (?1, ?2)",
                                      DB_ARGS(DB_TEXT(path), DB_INT(w->head.seq + 1))));
}

int kept_note_part(Writer *w, const char *name, bool with_note) {
        int r;

        if (!name || !name[0])
                return 0;
        r = note_file(w, "kept", name, "");
        if (r < 0 || !with_note)
                return r;
        r = note_file(w, "kept", name, ".json");
        return r < 0 ? r : writer_extra(w, "note_kept", json_true());
}

static int note_database(Writer *w, const char *folder) {
        int r = 0;

        for (size_t i = 0; folder && folder[0] && i < ELEMENTSOF(database_files) && r >= 0; i++)
                r = note_file(w, folder, database_files[i], "");
        return r;
}

static int file_hashed(Writer *w, const Fact *f) {
        int r;

        r = f->hashed.missing ?
                db_run(w->db, "DELETE FROM kept_files WHERE name = ?1 AND digest IS NULL", DB_ARGS(DB_TEXT(f->hashed.name))) :
                db_run(w->db, "UPDATE kept_files SET size_bytes = ?2, digest = ?3 WHERE name = ?1 AND digest IS NULL",
                       DB_ARGS(DB_TEXT(f->hashed.name), DB_INT(f->hashed.size_bytes), DB_DIGEST(&f->hashed.digest)));
        if (r == 0)
                return writer_refuse(w, -ENOENT, "no file of this name that was set aside waits for its digest");
        return writer_check(w, r);
}

int kept_apply(Writer *w, const Fact *f) {
        if (f->kind == FACT_FILE_HASHED)
                return file_hashed(w, f);
        return f->kind == FACT_RECOVERY_BEGUN ? note_database(w, f->old.kept) : kept_note_part(w, f->file.kept, false);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

KeptFile *kept_file_free(KeptFile *f) {
        if (f)
                free(f->name);
        free(f);
        return NULL;
}

int store_kept_due(Store *s, const char *after_name, KeptFile **ret) {
        _cleanup_(kept_file_freep) KeptFile *f = NULL;
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(s->reader, "SELECT name, event_seq FROM kept_files WHERE digest IS NULL AND name > ?1 ORDER BY name LIMIT 1",
                     DB_ARGS(DB_TEXT(after_name)), &row);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->event_seq = db_column_uint(row, 1);
        r = db_column_text(row, 0, &f->name);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

int store_newest_event(Store *s, uint64_t *ret_seq) {
        int64_t seq = 0;
        int r = db_number(s->reader, "SELECT max(seq) FROM custody", DB_NO_ARGS, &seq);

        if (r < 0 && r != -ENOENT)
                return r;
        *ret_seq = (uint64_t) seq;
        return 0;
}
