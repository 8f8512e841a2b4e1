/* SPDX-License-Identifier: Apache-2.0 */
#include "store/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/custody.h"

int writer_refuse(Writer *w, int r, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(w->why, sizeof(w->why), format, arguments);
        va_end(arguments);
        return r;
}

int writer_check(Writer *w, int r) {
        return r >= 0 ? r : writer_refuse(w, r, "the database: %s", db_message(w->db));
}

int writer_extra(Writer *w, const char *key, json_t *value) {
        if (!w->extra)
                w->extra = json_object();
        return json_object_set_new(w->extra, key, value) < 0 ? -ENOMEM : 0;
}

void subject_done(Subject *s) {
        free(s->serial);
        free(s->path);
        free(s->bay);
        *s = (Subject){ 0 };
}

static int resolve_clip(Writer *w, const Fact *f, Subject *s) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(w->db, "SELECT camera_id, path FROM clips WHERE id = ?1", DB_ARGS(DB_INT(f->clip_id)), &row);
        if (r < 0)
                return writer_check(w, r);
        if (r == 0)
                return writer_refuse(w, -ENOENT, "clip %" PRIu64 " is not known", f->clip_id);
        s->clip_id = f->clip_id;
        s->camera_id = db_column_uint(row, 0);
        if (f->camera_id != 0 && f->camera_id != s->camera_id)
                return writer_refuse(w, -EINVAL, "clip %" PRIu64 " is not of camera %" PRIu64, f->clip_id,
                                     f->camera_id);
        return db_column_text(row, 1, &s->path);
}

static int resolve_docking(Writer *w, const Fact *f, Subject *s) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        uint64_t camera_id;
        int r;

        r = db_query(w->db, "SELECT camera_id, bay FROM dockings WHERE id = ?1", DB_ARGS(DB_INT(f->docking_id)), &row);
        if (r < 0)
                return writer_check(w, r);
        if (r == 0)
                return writer_refuse(w, -ENOENT, "docking %" PRIu64 " is not known", f->docking_id);
        s->docking_id = f->docking_id;
        camera_id = db_column_uint(row, 0);
        if (s->camera_id == 0)
                s->camera_id = camera_id;
        return s->bay ? 0 : db_column_text(row, 1, &s->bay);
}

static int resolve_camera(Writer *w, Subject *s) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(w->db, "SELECT serial FROM cameras WHERE id = ?1", DB_ARGS(DB_INT(s->camera_id)), &row);
        if (r < 0)
                return writer_check(w, r);
        if (r == 0)
                return writer_refuse(w, -ENOENT, "camera %" PRIu64 " is not known", s->camera_id);
        return db_column_text(row, 0, &s->serial);
}

int subject_resolve(Writer *w, const Fact *f, Subject *ret) {
        Subject s = { .camera_id = f->camera_id };
        int r = 0;

        if (f->bay) {
                s.bay = strdup(f->bay);
                if (!s.bay)
                        return -ENOMEM;
        }
        if (f->clip_id != 0)
                r = resolve_clip(w, f, &s);
        if (r >= 0 && f->docking_id != 0)
                r = resolve_docking(w, f, &s);
        if (r >= 0 && s.camera_id != 0)
                r = resolve_camera(w, &s);
        if (r < 0) {
                subject_done(&s);
                return r;
        }
        *ret = s;
        return 0;
}

/* Some facts are about nothing but the moment: their event is all there is. */
static int apply_to_nouns(Writer *w, const Fact *f) {
        int r;

        switch (f->kind) {
        case FACT_CAMERA_SEEN:
        case FACT_OWNER_SET:
                return camera_apply(w, f);
        case FACT_CHARGED:
        case FACT_CHECKED:
                r = camera_apply(w, f);
                return r < 0 ? r : health_apply(w, f);
        case FACT_SWITCH_BEGUN:
        case FACT_RETURNED:
        case FACT_STORAGE_IDENTIFIED:
        case FACT_IDENTITY_CONFIRMED:
        case FACT_EJECTED:
                return change_apply(w, f);
        case FACT_DAEMON_STARTED:
        case FACT_SETTINGS:
                return run_apply(w, f);
        case FACT_DOCKED:
        case FACT_IDENTIFIED:
        case FACT_UNDOCKED:
        case FACT_REFUSED:
        case FACT_IMPORT_BEGUN:
        case FACT_IMPORT_ENDED:
                return docking_apply(w, f);
        case FACT_BLOCK:
                return block_apply(w, f);
        case FACT_CLIP_SEEN:
        case FACT_PULL_BEGUN:
        case FACT_PULL_INTERRUPTED:
        case FACT_PULL_UNREADABLE:
        case FACT_PART_SET_ASIDE:
        case FACT_COPIED:
        case FACT_VERIFIED:
        case FACT_STORE_REFUSED:
        case FACT_RECEIPTED:
        case FACT_ERASE_BEGUN:
        case FACT_ERASED:
        case FACT_ERASE_FAILED:
        case FACT_CLIP_LOST:
        case FACT_CONFLICT:
        case FACT_SPOOL_RELEASED:
        case FACT_CLIP_URGENT:
        case FACT_ERASE_ORDERED:
                return clip_apply(w, f);
        case FACT_CLIP_RECOVERED:
                return recovery_apply(w, f);
        case FACT_RESTORED:
        case FACT_HOLDS_READ:
                return restored_apply(w, f);
        case FACT_RECOVERY_BEGUN:
        case FACT_FILE_KEPT:
        case FACT_FILE_HASHED:
                return kept_apply(w, f);
        case FACT_UPLOADS_PAUSED:
        case FACT_UPLOADS_RESUMED:
        case FACT_SHIFT_CALLED:
                return order_apply(w, f);
        case FACT_PORT_CALIBRATED:
                return port_apply(w, f);
        case FACT_FLEET_LIST:
                return fleet_list_apply(w, f);
        case FACT_CATALOG:
        case FACT_ROLLOUT:
        case FACT_ROLLOUT_BEGUN:
        case FACT_ROLLOUT_ENDED:
        case FACT_ROLLOUT_TOLD:
                return rollout_apply(w, f);
        case FACT_FLASH_BEGUN:
        case FACT_FLASH_SENDING:
        case FACT_FLASH_SENT:
        case FACT_FLASH_ENDED:
                return flash_apply(w, f);
        case FACT_HOLD_SET:
        case FACT_HOLD_RELEASED:
                return hold_apply(w, f);
        case FACT_OBJECT_HOLD_ASKED:
        case FACT_OBJECT_HELD:
        case FACT_OBJECT_LET_GO:
                return object_hold_apply(w, f);
        case FACT_ROSTER:
        case FACT_ASSIGNED:
        case FACT_CHECKED_OUT:
        case FACT_CHECKOUT_ENDED:
        case FACT_TAKEN:
        case FACT_OVERDUE:
        case FACT_BROUGHT_BACK:
                return issue_apply(w, f);
        case FACT_HEALTH:
        case FACT_HELD_BACK:
        case FACT_LET_GO:
        case FACT_FAULT:
        case FACT_OVER_CURRENT:
        case FACT_CLOCK_SET:
                return health_apply(w, f);
        case FACT_KEY_MADE:
        case FACT_KEY_ROTATED:
        case FACT_KEY_REPLACED:
        case FACT_CHECKPOINT:
        case FACT_STATEMENT_STORED:
        case FACT_STATEMENT_REFUSED:
                return notary_apply(w, f);
        default:
                return 0;
        }
}

/* What is told a thousand times an hour, or by the store's word alone, is in its table and not in the chain. */
static bool has_event(FactKind kind) {
        return kind != FACT_BLOCK && kind != FACT_STATEMENT_STORED && kind != FACT_ROLLOUT_TOLD;
}

static int append_event(Writer *w, const Fact *f, const Subject *s) {
        json_t *event = NULL;
        int r;

        r = event_new(w, f, s, &event);
        if (r < 0)
                return writer_refuse(w, r, "out of memory");
        r = writer_check(w, custody_append(w->db, &w->head, event));
        json_decref(event);
        return r;
}

int writer_apply(Writer *w, const Fact *f) {
        Subject s = { 0 };
        int r;

        w->why[0] = 0;
        /* A step of the clock is told by the event of whatever comes first: by one that has none it would be passed over in silence. */
        r = has_event(f->kind) ? running_advance(w, f) : 0;
        if (r >= 0)
                r = apply_to_nouns(w, f);
        if (r >= 0)
                r = subject_resolve(w, f, &s);
        if (r >= 0 && has_event(f->kind))
                r = append_event(w, f, &s);
        subject_done(&s);
        json_decref(w->extra);
        w->extra = NULL;
        if (r < 0 && w->why[0] == 0)
                (void) writer_refuse(w, r, "a %s fact failed: %s", fact_kind_to_string(f->kind), strerror(-r));
        return r < 0 ? r : 0;
}
