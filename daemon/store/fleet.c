/* SPDX-License-Identifier: Apache-2.0 */

/* The list of the fleet's docks, as its administrator signed it. */

#include <errno.h>
#include <inttypes.h>

#include "store/store_private.h"
#include "store/writer.h"

/* Never an older one than was believed: whoever plays it again would take a revocation back. */
int fleet_list_apply(Writer *w, const Fact *f) {
        int r = db_run(w->db, "INSERT INTO fleet_lists (fleet, admin, seq, document, event_seq) VALUES (?1, ?2, ?3, ?4, ?5)"
                       " ON CONFLICT (fleet, admin) DO UPDATE SET seq = ?3, document = ?4, event_seq = ?5 WHERE seq < ?3",
                       DB_ARGS(DB_TEXT(f->fleet_list.fleet), DB_TEXT(f->fleet_list.admin), DB_INT(f->fleet_list.seq),
                               DB_TEXT(f->fleet_list.document), DB_INT(w->head.seq + 1)));

        if (r == 0)
                return writer_refuse(w, -ESTALE, "list number %" PRIu64 " of the fleet's docks is not newer than the one in force",
                                     f->fleet_list.seq);
        return writer_check(w, r);
}

int store_fleet_list(Store *s, const char *fleet, const char *admin_hex, uint64_t *ret_seq, char **ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r = db_query(s->reader, "SELECT seq, document FROM fleet_lists WHERE fleet = ?1 AND admin = ?2",
                         DB_ARGS(DB_TEXT(fleet), DB_TEXT(admin_hex)), &row);

        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        *ret_seq = db_column_uint(row, 0);
        return db_column_text(row, 1, ret);
}
