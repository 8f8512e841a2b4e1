/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "store/query.h"
#include "store/writer.h"

static int docking_begun(Writer *w, const Fact *f) {
        int r;

        if (f->docking_id == 0 || !f->bay || !f->bay[0])
                return writer_refuse(w, -EINVAL, "a docking needs an id and a bay");
        r = db_run(w->db,
                   "INSERT INTO dockings (id, bay, vid, pid, bcd_device, usb_serial, usb_manufacturer, usb_product,"
                   " boot_id,"
                   " docked_boottime_usec, docked_usec) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                   DB_ARGS(DB_INT(f->docking_id), DB_TEXT(f->bay), DB_INT(f->usb.vid), DB_INT(f->usb.pid),
                           DB_INT(f->usb.bcd_device), DB_TEXT(f->usb.usb_serial), DB_TEXT(f->usb.usb_manufacturer),
                           DB_TEXT(f->usb.usb_product), DB_TEXT(f->at.boot_id), DB_INT(f->at.boottime_usec),
                           DB_INT(f->at.wall_usec)));
        return writer_check(w, r);
}

/* A docking is of one camera: another identity is another docking. */
static int docking_identified(Writer *w, const Fact *f) {
        int r;

        r = db_run(w->db, "UPDATE dockings SET camera_id = ?2 WHERE id = ?1 AND undocked_usec IS NULL AND"
                          " ifnull(camera_id, ?2) = ?2",
                   DB_ARGS(DB_INT(f->docking_id), DB_INT(f->camera_id)));
        if (r < 0)
                return writer_check(w, r);
        if (r == 0)
                return writer_refuse(w, -EINVAL,
                                     "docking %" PRIu64 " is over, not known, or of another camera than %" PRIu64,
                                     f->docking_id, f->camera_id);
        r = db_run(w->db, "UPDATE cameras SET last_docked_usec = ?2 WHERE id = ?1",
                   DB_ARGS(DB_INT(f->camera_id), DB_INT(f->at.wall_usec)));
        return writer_check(w, r);
}

static int docking_ended(Writer *w, const Fact *f) {
        int r;

        r = db_run(w->db,
                   "UPDATE dockings SET undocked_usec = ?2, end_reason = ?3 WHERE id = ?1 AND undocked_usec IS NULL",
                   DB_ARGS(DB_INT(f->docking_id), DB_INT(f->at.wall_usec), DB_TEXT(f->text)));
        if (r == 0)
                return writer_refuse(w, -EINVAL, "docking %" PRIu64 " is over or not known", f->docking_id);
        if (r < 0 || (f->kind == FACT_UNDOCKED && f->end.stays))
                return writer_check(w, r);
        r = db_run(w->db, "DELETE FROM switches WHERE bay = (SELECT bay FROM dockings WHERE id = ?1)", DB_ARGS(DB_INT(f->docking_id)));
        return writer_check(w, r);
}

/*
 * A daemon that was killed could not say how its dockings ended. Whoever is in a bay now is identified anew, so they
 * are over; the event names them.
 */
static int dockings_of_the_last_run_end(Writer *w, const Fact *f) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        json_t *ids = NULL;
        int r;

        r = db_query(w->db, "SELECT id FROM dockings WHERE undocked_usec IS NULL ORDER BY id", DB_NO_ARGS, &row);
        if (r <= 0)
                return writer_check(w, r);
        ids = json_array();
        for (; r > 0; r = db_next(row)) {
                if (json_array_append_new(ids, json_integer(sqlite3_column_int64(row, 0))) < 0) {
                        json_decref(ids);
                        return -ENOMEM;
                }
        }
        if (writer_extra(w, "ended_dockings", ids) < 0)
                return -ENOMEM;
        if (r < 0)
                return writer_check(w, r);
        r = db_run(w->db, "UPDATE dockings SET undocked_usec = ?1, end_reason = 'the daemon was restarted' WHERE"
                          " undocked_usec IS NULL",
                   DB_ARGS(DB_INT(f->at.wall_usec)));
        return writer_check(w, r);
}

static int device_refused(Writer *w, const Fact *f) {
        int r;

        if (!f->bay || !f->bay[0])
                return writer_refuse(w, -EINVAL, "a refused device needs a bay");
        r = db_run(w->db,
                   "INSERT INTO refused (id, bay, vid, pid, bcd_device, usb_serial, usb_manufacturer, usb_product,"
                   " descriptors_hex, reason, refused_usec) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                   DB_ARGS(DB_INT(w->head.seq + 1), DB_TEXT(f->bay), DB_INT(f->usb.vid), DB_INT(f->usb.pid),
                           DB_INT(f->usb.bcd_device), DB_TEXT(f->usb.usb_serial), DB_TEXT(f->usb.usb_manufacturer),
                           DB_TEXT(f->usb.usb_product), DB_TEXT(f->usb.descriptors_hex), DB_TEXT(f->text),
                           DB_INT(f->at.wall_usec)));
        return writer_check(w, r);
}

/* A docking at no bay: what is read in it comes from a folder that an operator has imported. */
static int import_begun(Writer *w, const Fact *f) {
        int r;

        if (f->docking_id == 0 || f->camera_id == 0 || !f->by_operator)
                return writer_refuse(w, -EINVAL, "an import needs an id, a camera to stand for it, and whoever ordered it");
        r = db_run(w->db,
                   "INSERT INTO dockings (id, camera_id, bay, vid, pid, bcd_device, usb_serial, usb_manufacturer, usb_product, boot_id,"
                   " docked_boottime_usec, docked_usec) VALUES (?1, ?2, 'import', 0, 0, 0, '', '', '', ?3, ?4, ?5)",
                   DB_ARGS(DB_INT(f->docking_id), DB_INT(f->camera_id), DB_TEXT(f->at.boot_id), DB_INT(f->at.boottime_usec),
                           DB_INT(f->at.wall_usec)));
        return writer_check(w, r);
}

int docking_apply(Writer *w, const Fact *f) {
        switch (f->kind) {
        case FACT_DAEMON_STARTED:
                return dockings_of_the_last_run_end(w, f);
        case FACT_DOCKED:
                return docking_begun(w, f);
        case FACT_IDENTIFIED:
                return docking_identified(w, f);
        case FACT_IMPORT_BEGUN:
                return import_begun(w, f);
        case FACT_UNDOCKED:
        case FACT_IMPORT_ENDED:
                return docking_ended(w, f);
        case FACT_REFUSED:
                return device_refused(w, f);
        default:
                return -EINVAL;
        }
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

static int refused_make(sqlite3_stmt *row, void **ret) {
        _cleanup_(refused_row_freep) RefusedRow *d = calloc(1, sizeof(*d));
        int r = 0;

        if (!d)
                return -ENOMEM;
        d->id = db_column_uint(row, 0);
        d->vid = (uint16_t) sqlite3_column_int(row, 2);
        d->pid = (uint16_t) sqlite3_column_int(row, 3);
        d->bcd_device = (uint16_t) sqlite3_column_int(row, 4);
        d->refused_usec = sqlite3_column_int64(row, 10);
        query_text(row, 1, &d->bay, &r);
        query_text(row, 5, &d->usb_serial, &r);
        query_text(row, 6, &d->usb_manufacturer, &r);
        query_text(row, 7, &d->usb_product, &r);
        query_text(row, 8, &d->descriptors_hex, &r);
        query_text(row, 9, &d->reason, &r);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

static void refused_free_rows(void *rows, size_t n) {
        refused_rows_free(rows, n);
}

int store_refused(Store *s, uint64_t before_id, size_t max, RefusedRow ***ret, size_t *ret_n) {
        return query_rows(s->reader,
                          "SELECT id, bay, vid, pid, bcd_device, usb_serial, usb_manufacturer, usb_product,"
                          " descriptors_hex, reason, refused_usec FROM refused WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                          DB_ARGS(DB_INT(query_before(before_id)), DB_INT(query_limit(max))), refused_make, refused_free_rows, ret,
                          ret_n);
}
