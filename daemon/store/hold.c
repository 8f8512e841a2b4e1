/* SPDX-License-Identifier: Apache-2.0 */

/* Holds: what an operator ordered to be deleted nowhere, neither from the spool nor from its camera, until released. */

#include <errno.h>
#include <inttypes.h>

#include "base/text.h"
#include "store/store_private.h"

int hold_of_clip(Db *db, uint64_t clip_id, uint64_t camera_id, char **ret_case) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        /* Two searches, each by its index. */
        r = db_query(db,
                     "SELECT case_name FROM holds WHERE clip_id = ?1 UNION ALL SELECT case_name FROM holds WHERE camera_id = ?2 LIMIT 1",
                     DB_ARGS(DB_INT(clip_id), DB_INT(camera_id)), &row);
        if (r <= 0)
                return r;
        r = db_column_text(row, 0, ret_case);
        return r < 0 ? r : 1;
}

static int hold_set(Writer *w, const Fact *f) {
        const char *name = f->hold.case_name ? f->hold.case_name : "";
        int r;

        r = db_run(w->db,
                   "INSERT OR IGNORE INTO holds (id, clip_id, camera_id, case_name, reason, since_usec, operator_uid, operator)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                   DB_ARGS(DB_INT(w->head.seq + 1), f->clip_id ? DB_INT(f->clip_id) : DB_NULL(),
                           f->clip_id ? DB_NULL() : DB_INT(f->camera_id), DB_TEXT(name), DB_TEXT(f->text), DB_INT(f->at.wall_usec),
                           DB_INT(f->operator_uid), DB_TEXT(f->operator_name)));
        if (r == 0)
                return writer_refuse(w, -EALREADY, "it is held for that case already");
        return writer_check(w, r);
}

static int hold_released(Writer *w, const Fact *f) {
        const char *name = f->hold.case_name ? f->hold.case_name : "";
        int r;

        if (f->clip_id != 0)
                r = db_run(w->db, "DELETE FROM holds WHERE clip_id = ?1 AND case_name = ?2", DB_ARGS(DB_INT(f->clip_id), DB_TEXT(name)));
        else
                r = db_run(w->db, "DELETE FROM holds WHERE camera_id = ?1 AND case_name = ?2",
                           DB_ARGS(DB_INT(f->camera_id), DB_TEXT(name)));
        if (r == 0)
                return writer_refuse(w, -ENOENT, "there is no such hold");
        return writer_check(w, r);
}

int hold_apply(Writer *w, const Fact *f) {
        int r;

        if (!f->by_operator)
                return writer_refuse(w, -EINVAL, "a %s fact needs whoever ordered it", fact_kind_to_string(f->kind));
        if (f->clip_id == 0 && f->camera_id == 0)
                return writer_refuse(w, -EINVAL, "a hold is of a clip or of a camera");
        r = f->kind == FACT_HOLD_SET ? hold_set(w, f) : hold_released(w, f);
        return r < 0 ? r : notary_sign_hold(w, f);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

int store_hold_of(Store *s, uint64_t clip_id, uint64_t camera_id, char **ret_case) {
        return hold_of_clip(s->reader, clip_id, camera_id, ret_case);
}

HoldRow *hold_row_free(HoldRow *h) {
        if (!h)
                return NULL;
        free(h->serial);
        free(h->path);
        free(h->case_name);
        free(h->reason);
        free(h->operator_name);
        free(h);
        return NULL;
}

void hold_rows_free(HoldRow **rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void) hold_row_free(rows[i]);
        free(rows);
}

static int hold_make(sqlite3_stmt *row, HoldRow **ret) {
        _cleanup_(hold_row_freep) HoldRow *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        h->id = db_column_uint(row, 0);
        h->clip_id = db_column_uint(row, 1);
        h->camera_id = db_column_uint(row, 2);
        h->since_usec = sqlite3_column_int64(row, 3);
        h->operator_uid = (uint32_t) db_column_uint(row, 4);
        if ((r = db_column_text(row, 5, &h->serial)) < 0 || (r = db_column_text(row, 6, &h->path)) < 0 ||
            (r = db_column_text(row, 7, &h->case_name)) < 0 || (r = db_column_text(row, 8, &h->reason)) < 0 ||
            (r = db_column_text(row, 9, &h->operator_name)) < 0)
                return r;
        h->stored_clips = db_column_uint(row, 10);
        h->locked_clips = db_column_uint(row, 11);
        h->unlockable_clips = db_column_uint(row, 12);
        *ret = TAKE_PTR(h);
        return 0;
}

/* Of the stored clips of a hold. */
#define COUNTED(what)                                                                                                          \
        "(SELECT " what " FROM clips x JOIN receipts r ON r.clip_id = x.id"                                                    \
        " LEFT JOIN object_holds o ON o.clip_id = x.id AND o.object_key = r.object_key"                                        \
        " WHERE x.id = h.clip_id OR (h.clip_id IS NULL AND x.camera_id = h.camera_id))"

/* All of them: orders of people are few. */
int store_holds(Store *s, uint64_t after_id, size_t max, HoldRow ***ret, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        HoldRow **rows = calloc(max + 1, sizeof(HoldRow *));
        size_t n = 0;
        int r;

        if (!rows)
                return -ENOMEM;
        r = db_query(s->reader,
                     "SELECT h.id, ifnull(h.clip_id, 0), k.id, h.since_usec, h.operator_uid, k.serial, ifnull(c.path, ''), h.case_name,"
                     " h.reason, h.operator, " COUNTED("count(*)") ", " COUNTED("ifnull(sum(o.lock = 'on'), 0)") ", "
                     COUNTED("ifnull(sum(o.lock = 'none'), 0)") " FROM holds h LEFT JOIN clips c ON c.id = h.clip_id"
                     " JOIN cameras k ON k.id = ifnull(h.camera_id, c.camera_id) WHERE h.id > ?1 ORDER BY h.id LIMIT ?2",
                     DB_ARGS(DB_INT(after_id), DB_INT(max)), &row);
        while (r > 0 && n < max) {
                r = hold_make(row, &rows[n]);
                if (r < 0)
                        break;
                n++;
                r = db_next(row);
        }
        if (r < 0) {
                hold_rows_free(rows, n);
                return r;
        }
        *ret = rows;
        *ret_n = n;
        return 0;
}
