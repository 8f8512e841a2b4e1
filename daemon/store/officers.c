/* SPDX-License-Identifier: Apache-2.0 */
#include "store/officers.h"

#include <errno.h>
#include <stdlib.h>

#include "store/query.h"

#define OFFICER_COLUMNS 6

int officers_digest(Db *db, Digest *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        int r;

        r = hasher_new(&hasher);
        if (r >= 0)
                r = db_query(db, "SELECT id, name, unit_id, unit_name, badge, serial FROM officers ORDER BY id", DB_NO_ARGS, &row);
        for (; r > 0; r = db_next(row))
                for (int i = 0; i < OFFICER_COLUMNS; i++) {
                        const void *text = sqlite3_column_text(row, i);

                        /* Each with its end, so that nothing moves from one to the next. */
                        r = hasher_update(hasher, text ? text : "", text ? (size_t) sqlite3_column_bytes(row, i) + 1 : 1);
                        if (r < 0)
                                return r;
                }
        return r < 0 ? r : hasher_finish(hasher, ret);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

OfficerRow *officer_row_free(OfficerRow *o) {
        if (!o)
                return NULL;
        free(o->id);
        free(o->name);
        free(o->unit_id);
        free(o->unit_name);
        free(o->badge);
        free(o->serial);
        free(o);
        return NULL;
}

void officer_rows_free(OfficerRow **rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void) officer_row_free(rows[i]);
        free(rows);
}

#define OFFICERS "SELECT id, name, unit_id, unit_name, badge, serial FROM officers "

static int officer_make(sqlite3_stmt *row, void **ret) {
        _cleanup_(officer_row_freep) OfficerRow *o = calloc(1, sizeof(*o));
        int r = 0;

        if (!o)
                return -ENOMEM;
        query_text(row, 0, &o->id, &r);
        query_text(row, 1, &o->name, &r);
        query_text(row, 2, &o->unit_id, &r);
        query_text(row, 3, &o->unit_name, &r);
        query_text(row, 4, &o->badge, &r);
        query_text(row, 5, &o->serial, &r);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

static void officer_free_rows(void *rows, size_t n) {
        officer_rows_free(rows, n);
}

int store_officer(Store *s, const char *id_or_badge, OfficerRow **ret) {
        int r = query_row(s->reader, OFFICERS "WHERE id = ?1", DB_ARGS(DB_TEXT(id_or_badge)), officer_make, ret);

        if (r != -ENOENT)
                return r;
        return query_row(s->reader, OFFICERS "WHERE badge = ?1 AND badge <> ''", DB_ARGS(DB_TEXT(id_or_badge)), officer_make, ret);
}

int store_officer_of_camera(Store *s, const char *serial, OfficerRow **ret) {
        return query_row(s->reader, OFFICERS "WHERE serial = ?1 AND serial <> ''", DB_ARGS(DB_TEXT(serial)), officer_make, ret);
}

int store_officers(Store *s, const char *after_id, size_t max, OfficerRow ***ret, size_t *ret_n) {
        return query_rows(s->reader, OFFICERS "WHERE id > ?1 ORDER BY id LIMIT ?2", DB_ARGS(DB_TEXT(after_id), DB_INT(query_limit(max))),
                          officer_make, officer_free_rows, ret, ret_n);
}

int store_roster(Store *s, uint64_t *ret_seq) {
        int64_t seq = 0;
        int r = db_number(s->reader, "SELECT seq FROM roster", DB_NO_ARGS, &seq);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        *ret_seq = (uint64_t) seq;
        return 1;
}
