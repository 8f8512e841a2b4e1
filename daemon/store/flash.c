/* SPDX-License-Identifier: Apache-2.0 */

/* Flashes: what was begun, sent, and came of it. Their ids are of the dockings' numbers. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "store/query.h"
#include "store/writer.h"

/* ---- Facts ------------------------------------------------------------------------------------------------------------ */

/* One at a time at each bay. */
static int begun_apply(Writer *w, const Fact *f) {
        int64_t open = 0;
        int r = db_number(w->db, "SELECT count(*) FROM flashes WHERE outcome = '' AND (camera_id = ?1 OR bay = ?2)",
                          DB_ARGS(DB_INT(f->camera_id), DB_TEXT(f->bay)), &open);

        if (r < 0)
                return writer_check(w, r);
        if (open > 0)
                return writer_refuse(w, -EBUSY, "a flash of camera %" PRIu64 ", or in bay %s, has not ended", f->camera_id, f->bay);
        return writer_check(w, db_run(w->db, "INSERT INTO flashes (id, camera_id, docking_id, bay, model_id, version, from_version, digest,"
                                      " size_bytes, purpose, begun_usec, boot_id, until_usec)"
                                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                                      DB_ARGS(DB_INT(f->flash.id), DB_INT(f->camera_id), DB_INT(f->docking_id), DB_TEXT(f->bay),
                                              DB_TEXT(f->flash.model_id), DB_TEXT(f->flash.version), DB_TEXT(f->flash.from_version),
                                              DB_DIGEST(&f->flash.digest), DB_INT(f->flash.size_bytes), DB_TEXT(f->flash.purpose),
                                              DB_INT(f->at.wall_usec), DB_TEXT(f->at.boot_id), DB_INT(f->flash.until_usec))));
}

static int update(Writer *w, const Fact *f, int r) {
        if (r == 0)
                return writer_refuse(w, -ENOENT, "flash %" PRIu64 " was not begun, or has ended well", f->flash.id);
        return writer_check(w, r);
}

int flash_apply(Writer *w, const Fact *f) {
        switch (f->kind) {
        case FACT_FLASH_BEGUN:
                return begun_apply(w, f);
        case FACT_FLASH_SENDING:
                return update(w, f, db_run(w->db, "UPDATE flashes SET sendings = sendings + 1, transfer = 'sending', boot_id = ?2,"
                                           " until_usec = ?3, outcome = '' WHERE id = ?1 AND outcome <> 'ok'",
                                           DB_ARGS(DB_INT(f->flash.id), DB_TEXT(f->at.boot_id), DB_INT(f->flash.until_usec))));
        case FACT_FLASH_SENT:
                return update(w, f, db_run(w->db, "UPDATE flashes SET transfer = ?4, boot_id = ?2, until_usec = ?3, text = ?5"
                                           " WHERE id = ?1 AND outcome <> 'ok'",
                                           DB_ARGS(DB_INT(f->flash.id), DB_TEXT(f->at.boot_id), DB_INT(f->flash.until_usec),
                                                   DB_TEXT(f->flash.whole ? "sent" : "cut-short"), DB_TEXT(f->text ? f->text : ""))));
        default:
                return update(w, f, db_run(w->db, "UPDATE flashes SET outcome = ?2, came_back = ?3, text = ?4, ended_usec = ?5"
                                           " WHERE id = ?1 AND outcome <> 'ok'",
                                           DB_ARGS(DB_INT(f->flash.id), DB_TEXT(f->flash.outcome), DB_TEXT(f->flash.came_back),
                                                   DB_TEXT(f->text ? f->text : ""), DB_INT(f->at.wall_usec))));
        }
}

/* ---- Reading ---------------------------------------------------------------------------------------------------------- */

FlashRow *flash_row_free(FlashRow *f) {
        if (!f)
                return NULL;
        free(f->bay);
        free(f->model_id);
        free(f->version);
        free(f->from_version);
        free(f->purpose);
        free(f->transfer);
        free(f->boot_id);
        free(f->outcome);
        free(f->came_back);
        free(f->text);
        free(f);
        return NULL;
}

void flash_rows_free(FlashRow **rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                flash_row_free(rows[i]);
        free(rows);
}

static int flash_make(sqlite3_stmt *row, void **ret) {
        _cleanup_(flash_row_freep) FlashRow *f = calloc(1, sizeof(*f));
        int r = 0;

        if (!f)
                return -ENOMEM;
        f->id = db_column_uint(row, 0);
        f->camera_id = db_column_uint(row, 1);
        f->docking_id = db_column_uint(row, 2);
        f->size_bytes = db_column_uint(row, 3);
        f->begun_usec = sqlite3_column_int64(row, 4);
        f->sendings = (unsigned) sqlite3_column_int64(row, 5);
        f->until_usec = db_column_uint(row, 6);
        query_digest(row, 7, &f->digest, &r);
        query_text(row, 8, &f->bay, &r);
        query_text(row, 9, &f->model_id, &r);
        query_text(row, 10, &f->version, &r);
        query_text(row, 11, &f->from_version, &r);
        query_text(row, 12, &f->purpose, &r);
        query_text(row, 13, &f->transfer, &r);
        query_text(row, 14, &f->boot_id, &r);
        query_text(row, 15, &f->outcome, &r);
        query_text(row, 16, &f->came_back, &r);
        query_text(row, 17, &f->text, &r);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

static void flash_free_rows(void *rows, size_t n) {
        flash_rows_free(rows, n);
}

/* Only the last one of each camera can still be finished, or healed. */
int store_flashes_unsettled(Store *s, FlashRow ***ret, size_t *ret_n) {
        return query_rows(s->reader,
                          "SELECT id, camera_id, docking_id, size_bytes, begun_usec, sendings, until_usec, digest, bay, model_id,"
                          " version, from_version, purpose, transfer, boot_id, outcome, came_back, text FROM flashes AS f"
                          " WHERE outcome = '' OR (outcome <> 'ok' AND NOT EXISTS (SELECT 1 FROM flashes AS g WHERE g.id > f.id"
                          " AND g.camera_id = f.camera_id)) ORDER BY id",
                          DB_NO_ARGS, flash_make, flash_free_rows, ret, ret_n);
}

int store_flash_attempts(Store *s, uint64_t camera_id, const Digest *digest, unsigned *ret) {
        int64_t n = 0;
        int r = db_number(s->reader, "SELECT count(*) FROM flashes WHERE camera_id = ?1 AND digest = ?2 AND outcome <> 'ok'",
                          DB_ARGS(DB_INT(camera_id), DB_DIGEST(digest)), &n);

        if (r >= 0)
                *ret = (unsigned) n;
        return r < 0 ? r : 0;
}
