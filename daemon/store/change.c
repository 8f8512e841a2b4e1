/* SPDX-License-Identifier: Apache-2.0 */

/* Cameras that are sent into their storage mode and come back as another device: who is that then? */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/query.h"
#include "store/writer.h"

static int switch_begun(Writer *w, const Fact *f) {
        int r;

        if (f->camera_id == 0 || !f->bay || !f->bay[0] || f->change.until_boottime_usec < f->at.boottime_usec)
                return writer_refuse(w, -EINVAL, "a change of mode needs a camera, a bay and a time in which it must be over");
        r = db_run(w->db,
                   "INSERT OR REPLACE INTO switches (bay, camera_id, docking_id, model_id, boot_id, begun_boottime_usec,"
                   " until_boottime_usec) SELECT ?1, ?2, id, ?4, ?5, ?6, ?7 FROM dockings"
                   " WHERE id = ?3 AND camera_id = ?2 AND undocked_usec IS NULL",
                   DB_ARGS(DB_TEXT(f->bay), DB_INT(f->camera_id), DB_INT(f->docking_id), DB_TEXT(f->change.model_id),
                           DB_TEXT(f->at.boot_id), DB_INT(f->at.boottime_usec), DB_INT(f->change.until_boottime_usec)));
        if (r == 0)
                return writer_refuse(w, -EINVAL, "docking %" PRIu64 " is over or of another camera than %" PRIu64, f->docking_id,
                                     f->camera_id);
        return writer_check(w, r);
}

/*
 * In its storage mode it is known by the port alone until its storage is looked at. In its first mode again: what appears there
 * from now on is nobody who was waited for.
 */
static int returned(Writer *w, const Fact *f) {
        if (f->usb.behind)
                return writer_check(w, db_run(w->db, "UPDATE dockings SET identity = 'port', behind_id = '' WHERE id = ?1",
                                              DB_ARGS(DB_INT(f->docking_id))));
        return writer_check(w, db_run(w->db, "DELETE FROM switches WHERE bay = ?1", DB_ARGS(DB_TEXT(f->bay))));
}

static int set_identity(Writer *w, const Fact *f, DockingIdentity identity, const char *storage_id) {
        int r;

        r = db_run(w->db, "UPDATE dockings SET identity = ?3, behind_id = ?4, camera_id = ?2 WHERE id = ?1 AND undocked_usec IS NULL"
                          " AND ifnull(camera_id, ?2) = ?2",
                   DB_ARGS(DB_INT(f->docking_id), DB_INT(f->camera_id), DB_TEXT(docking_identity_to_string(identity)),
                           DB_TEXT(storage_id)));
        if (r == 0)
                return writer_refuse(w, -EINVAL, "docking %" PRIu64 " is over or of another camera than %" PRIu64, f->docking_id,
                                     f->camera_id);
        return writer_check(w, r);
}

/* The camera's storage is this one for certain, so earlier dockings with it were of this camera, too. */
static int confirm_dockings(Writer *w, const Fact *f, const char *storage_id) {
        return writer_check(w, db_run(w->db, "UPDATE dockings SET identity = 'storage' WHERE camera_id = ?1 AND identity = 'port'"
                                             " AND behind_id = ?2 AND behind_id <> ''",
                                      DB_ARGS(DB_INT(f->camera_id), DB_TEXT(storage_id))));
}

static int recognised(Writer *w, const Fact *f) {
        const char *id = f->storage.storage_id;
        int r;

        /* Not in the docking in which it was recorded without anybody's word: that would be its own witness. */
        r = db_run(w->db,
                   "UPDATE cameras SET behind_confirmed = 1 WHERE id = ?1 AND behind_id = ?2 AND behind_id <> ''"
                   " AND (behind_confirmed = 1 OR behind_docking_id <> ?3)"
                   " AND NOT EXISTS (SELECT 1 FROM cameras o WHERE o.behind_id = ?2 AND o.behind_id <> '' AND o.id <> ?1)",
                   DB_ARGS(DB_INT(f->camera_id), DB_TEXT(id), DB_INT(f->storage.switch_docking_id)));
        if (r == 0)
                return writer_refuse(w, -EKEYREJECTED, "the storage '%s' is not recorded for camera %" PRIu64 " alone", id, f->camera_id);
        r = writer_check(w, r);
        return r >= 0 ? confirm_dockings(w, f, id) : r;
}

static int storage_identified(Writer *w, const Fact *f) {
        const char *id = f->storage.storage_id ? f->storage.storage_id : "";
        int r = 0;

        if (f->storage.identity == IDENTITY_OWN)
                return writer_refuse(w, -EINVAL, "a device that came back does not say by itself who it is");
        if (f->storage.identity == IDENTITY_STORAGE)
                r = recognised(w, f);
        else if (f->storage.identity == IDENTITY_PORT && id[0])
                r = writer_check(w, db_run(w->db,
                                           "UPDATE cameras SET behind_id = ?2, behind_docking_id = ?3 WHERE id = ?1 AND behind_id = ''",
                                           DB_ARGS(DB_INT(f->camera_id), DB_TEXT(id), DB_INT(f->storage.switch_docking_id))));
        return r < 0 ? r : set_identity(w, f, f->storage.identity, id);
}

static int confirmed(Writer *w, const Fact *f) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(freep) char *id = NULL;
        int r;

        if (!f->by_operator)
                return writer_refuse(w, -EINVAL, "nobody vouches for the camera of docking %" PRIu64, f->docking_id);
        r = db_query(w->db, "SELECT behind_id FROM dockings WHERE id = ?1 AND camera_id = ?2 AND identity IN ('port', 'other')"
                            " AND undocked_usec IS NULL", DB_ARGS(DB_INT(f->docking_id), DB_INT(f->camera_id)), &row);
        if (r < 0)
                return writer_check(w, r);
        if (r == 0)
                return writer_refuse(w, -EINVAL, "docking %" PRIu64 " has no identity to confirm", f->docking_id);
        r = db_column_text(row, 0, &id);
        if (r < 0)
                return r;
        if (id[0]) {
                r = db_run(w->db, "UPDATE cameras SET behind_id = ?2, behind_docking_id = ?3, behind_confirmed = 1 WHERE id = ?1",
                           DB_ARGS(DB_INT(f->camera_id), DB_TEXT(id), DB_INT(f->docking_id)));
                if (r < 0)
                        return writer_check(w, r);
                r = confirm_dockings(w, f, id);
        }
        if (r >= 0)
                r = writer_extra(w, "storage_id", json_string(id));
        return r < 0 ? r : set_identity(w, f, IDENTITY_STORAGE, id);
}

static int ejected(Writer *w, const Fact *f) {
        return writer_check(w, db_run(w->db, "UPDATE switches SET ejected = 1 WHERE bay = ?1 AND camera_id = ?2",
                                      DB_ARGS(DB_TEXT(f->bay), DB_INT(f->camera_id))));
}

int change_apply(Writer *w, const Fact *f) {
        switch (f->kind) {
        case FACT_SWITCH_BEGUN:
                return switch_begun(w, f);
        case FACT_RETURNED:
                return returned(w, f);
        case FACT_STORAGE_IDENTIFIED:
                return storage_identified(w, f);
        case FACT_IDENTITY_CONFIRMED:
                return confirmed(w, f);
        case FACT_EJECTED:
                return ejected(w, f);
        default:
                return -EINVAL;
        }
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

static int switch_make(sqlite3_stmt *row, void **ret) {
        _cleanup_(switch_row_freep) SwitchRow *found = calloc(1, sizeof(*found));
        const char *boot_id = (const char *) sqlite3_column_text(row, 4);
        int r;

        if (!found)
                return -ENOMEM;
        found->camera_id = db_column_uint(row, 0);
        found->docking_id = db_column_uint(row, 1);
        found->begun_boottime_usec = db_column_uint(row, 2);
        found->until_boottime_usec = db_column_uint(row, 3);
        (void) snprintf(found->boot_id, sizeof(found->boot_id), "%s", boot_id ? boot_id : "");
        found->ejected = sqlite3_column_int(row, 6) != 0;
        r = db_column_text(row, 5, &found->model_id);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(found);
        return 0;
}

int store_switch(Store *s, const char *bay, SwitchRow **ret) {
        return query_row(s->reader,
                         "SELECT camera_id, docking_id, begun_boottime_usec, until_boottime_usec, boot_id, model_id, ejected FROM switches"
                         " WHERE bay = ?1",
                         DB_ARGS(DB_TEXT(bay)), switch_make, ret);
}
