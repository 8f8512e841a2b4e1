/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "base/text.h"
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
