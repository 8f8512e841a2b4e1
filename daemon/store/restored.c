/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A database that was put back from a backup does not know what operators held after that backup. Until the store was asked for what the
 * dock signed of it, everything counts as held.
 */

#include <errno.h>

#include "store/store_private.h"

static int restored(Writer *w, const Fact *f) {
        int64_t after = 0;
        int r;

        r = writer_check(w, db_number(w->db, "SELECT coalesce(max(seq), 0) FROM statements WHERE type = 'hold'", DB_NO_ARGS, &after));
        if (r >= 0)
                r = writer_check(w, db_run(w->db, "INSERT INTO restorations (event_seq, holds_after, holds_upto, holds_read)"
                                                  " VALUES (?1, ?2, ?3, 0)",
                                           DB_ARGS(DB_INT(w->head.seq + 1), DB_INT(after), DB_INT(f->key.numbers_from))));
        return r < 0 ? r : writer_extra(w, "holds_after", json_integer((json_int_t) after));
}

int restored_apply(Writer *w, const Fact *f) {
        int r;

        if (f->kind == FACT_RESTORED)
                return restored(w, f);
        r = db_run(w->db, "UPDATE restorations SET holds_read = 1 WHERE holds_read = 0", DB_NO_ARGS);
        if (r == 0)
                return writer_refuse(w, -EALREADY, "nothing is to be read of what was held");
        return writer_check(w, r);
}

int holds_unread(Db *db) {
        int64_t n = 0;
        int r = db_number(db, "SELECT 1 FROM restorations WHERE holds_read = 0 LIMIT 1", DB_NO_ARGS, &n);

        return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

int store_holds_unread(Store *s, uint64_t *ret_after, uint64_t *ret_upto) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(s->reader, "SELECT min(holds_after), max(holds_upto) FROM restorations WHERE holds_read = 0", DB_NO_ARGS, &row);
        if (r <= 0)
                return r;
        if (sqlite3_column_type(row, 0) == SQLITE_NULL)
                return 0;
        *ret_after = db_column_uint(row, 0);
        *ret_upto = db_column_uint(row, 1);
        return 1;
}
