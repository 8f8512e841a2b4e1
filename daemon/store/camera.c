/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "base/text.h"
#include "store/query.h"
#include "store/writer.h"

/* An id keeps its serial for ever, and a serial that was ambiguous once stays so: what is known of it may be of two. */
static int camera_seen(Writer *w, const Fact *f) {
        int64_t id = 0;
        int r;

        if (f->camera_id == 0 || !f->camera.serial || !f->camera.serial[0])
                return writer_refuse(w, -EINVAL, "a camera needs an id and a serial");
        r = db_number(w->db, "SELECT id FROM cameras WHERE serial = ?1", DB_ARGS(DB_TEXT(f->camera.serial)), &id);
        if (r < 0 && r != -ENOENT)
                return writer_check(w, r);
        if (r >= 0 && (uint64_t) id != f->camera_id)
                return writer_refuse(w, -EEXIST, "serial %s is camera %" PRId64 ", not %" PRIu64, f->camera.serial, id,
                                     f->camera_id);
        r = db_run(w->db,
                   "INSERT INTO cameras (id, serial, manufacturer, model, firmware, storage_id, model_id,"
                   " ambiguous, first_seen_usec) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
                   " ON CONFLICT (id) DO UPDATE SET manufacturer = ?3, model = ?4, firmware = ?5, storage_id = ?6,"
                   " model_id = ?7, ambiguous = max(ambiguous, ?8) WHERE serial = ?2",
                   DB_ARGS(DB_INT(f->camera_id), DB_TEXT(f->camera.serial), DB_TEXT(f->camera.manufacturer),
                           DB_TEXT(f->camera.model), DB_TEXT(f->camera.firmware), DB_TEXT(f->camera.storage_id),
                           DB_TEXT(f->camera.model_id), DB_INT(f->camera.ambiguous), DB_INT(f->at.wall_usec)));
        if (r == 0)
                return writer_refuse(w, -EEXIST, "camera %" PRIu64 " has another serial than %s", f->camera_id,
                                     f->camera.serial);
        return writer_check(w, r);
}

static int camera_owned(Writer *w, uint64_t camera_id, const FactOwner *o) {
        int r = db_run(w->db, "UPDATE cameras SET officer_id = ?2, officer_name = ?3, unit_id = ?4, unit_name = ?5 WHERE id = ?1",
                       DB_ARGS(DB_INT(camera_id), DB_TEXT(o->officer_id), DB_TEXT(o->officer_name), DB_TEXT(o->unit_id),
                               DB_TEXT(o->unit_name)));

        if (r == 0)
                return writer_refuse(w, -ENOENT, "camera %" PRIu64 " is not known", camera_id);
        return writer_check(w, r);
}

static int camera_checked(Writer *w, const Fact *f) {
        uint64_t camera_id = f->camera_id;
        int64_t id = 0;
        int r;

        if (camera_id == 0) {
                r = db_number(w->db, "SELECT camera_id FROM dockings WHERE id = ?1", DB_ARGS(DB_INT(f->docking_id)),
                              &id);
                if (r < 0)
                        return writer_refuse(w, r, "docking %" PRIu64 " has no camera to check", f->docking_id);
                camera_id = (uint64_t) id;
        }
        /* What it told of these before it went into this mode stands. */
        if (f->check.behind)
                return 0;
        r = db_run(w->db, "UPDATE cameras SET battery_percent = ?2, drift_usec = ?3 WHERE id = ?1",
                   DB_ARGS(DB_INT(camera_id), DB_INT(f->check.battery_percent),
                           f->check.drift_known ? DB_INT(f->check.drift_usec) : DB_NULL()));
        if (r < 0)
                return writer_check(w, r);
        return f->check.owner_known ? camera_owned(w, camera_id, &f->check.owner) : 0;
}

static int camera_charged(Writer *w, const Fact *f) {
        int r = db_run(w->db, "UPDATE cameras SET charge_permille = ?2 WHERE id = ?1",
                       DB_ARGS(DB_INT(f->camera_id), DB_INT(f->charge.permille)));

        if (r == 0)
                return writer_refuse(w, -ENOENT, "camera %" PRIu64 " is not known", f->camera_id);
        return writer_check(w, r);
}

int camera_apply(Writer *w, const Fact *f) {
        if (f->kind == FACT_OWNER_SET)
                return camera_owned(w, f->camera_id, &f->owner);
        if (f->kind == FACT_CHARGED)
                return camera_charged(w, f);
        return f->kind == FACT_CAMERA_SEEN ? camera_seen(w, f) : camera_checked(w, f);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

#define CAMERA_COLUMNS                                                                                            \
        "id, serial, manufacturer, model, firmware, storage_id, model_id, ambiguous, first_seen_usec,"            \
        " last_docked_usec, battery_percent, drift_usec, behind_id, behind_docking_id, behind_confirmed, officer_id,"  \
        " officer_name, unit_id, unit_name, findings, held_back, accepted, held_back_reason"

static int camera_make(sqlite3_stmt *row, void **ret) {
        _cleanup_(camera_row_freep) CameraRow *c = calloc(1, sizeof(*c));
        int r = 0;

        if (!c)
                return -ENOMEM;
        c->id = db_column_uint(row, 0);
        query_text(row, 1, &c->serial, &r);
        query_text(row, 2, &c->manufacturer, &r);
        query_text(row, 3, &c->model, &r);
        query_text(row, 4, &c->firmware, &r);
        query_text(row, 5, &c->storage_id, &r);
        query_text(row, 6, &c->model_id, &r);
        query_text(row, 12, &c->behind_id, &r);
        query_text(row, 15, &c->officer_id, &r);
        query_text(row, 16, &c->officer_name, &r);
        query_text(row, 17, &c->unit_id, &r);
        query_text(row, 18, &c->unit_name, &r);
        query_text(row, 19, &c->findings_json, &r);
        query_text(row, 20, &c->held_back, &r);
        query_text(row, 21, &c->accepted, &r);
        query_text(row, 22, &c->held_back_reason, &r);
        if (r < 0)
                return r;
        c->behind_docking_id = db_column_uint(row, 13);
        c->behind_confirmed = sqlite3_column_int(row, 14) != 0;
        c->ambiguous = sqlite3_column_int(row, 7) != 0;
        c->first_seen_usec = sqlite3_column_int64(row, 8);
        c->last_docked_usec = sqlite3_column_int64(row, 9);
        c->battery_percent = sqlite3_column_int(row, 10);
        c->drift_known = sqlite3_column_type(row, 11) != SQLITE_NULL;
        c->drift_usec = sqlite3_column_int64(row, 11);
        *ret = TAKE_PTR(c);
        return 0;
}

static void camera_free_rows(void *rows, size_t n) {
        camera_rows_free(rows, n);
}

int store_camera_by_serial(Store *s, const char *serial, CameraRow **ret) {
        return query_row(s->reader, "SELECT " CAMERA_COLUMNS " FROM cameras WHERE serial = ?1",
                         DB_ARGS(DB_TEXT(serial)), camera_make, ret);
}

int store_camera(Store *s, uint64_t camera_id, CameraRow **ret) {
        return query_row(s->reader, "SELECT " CAMERA_COLUMNS " FROM cameras WHERE id = ?1",
                         DB_ARGS(DB_INT(camera_id)), camera_make, ret);
}

int store_behind_of_other(Store *s, const char *behind_id, uint64_t camera_id) {
        int64_t n = 0;
        int r;

        r = db_number(s->reader, "SELECT count(*) FROM cameras WHERE behind_id = ?1 AND behind_id <> '' AND id <> ?2",
                      DB_ARGS(DB_TEXT(behind_id), DB_INT(camera_id)), &n);
        return r < 0 ? r : n > 0;
}

int store_cameras(Store *s, uint64_t after_id, size_t max, CameraRow ***ret, size_t *ret_n) {
        return query_rows(s->reader, "SELECT " CAMERA_COLUMNS " FROM cameras WHERE id > ?1 ORDER BY id LIMIT ?2",
                          DB_ARGS(DB_INT(after_id), DB_INT(query_limit(max))), camera_make, camera_free_rows, ret, ret_n);
}

int store_cameras_by_docking(Store *s, size_t max, CameraRow ***ret, size_t *ret_n) {
        return query_rows(s->reader, "SELECT " CAMERA_COLUMNS " FROM cameras ORDER BY last_docked_usec DESC, id DESC LIMIT ?1",
                          DB_ARGS(DB_INT(query_limit(max))), camera_make, camera_free_rows, ret, ret_n);
}
