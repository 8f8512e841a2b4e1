/* SPDX-License-Identifier: Apache-2.0 */

/* The fleet's firmware: the catalog, the rollouts, and the cameras that were flashed in them here. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_private.h"
#include "store/writer.h"

/* ---- Facts ------------------------------------------------------------------------------------------------------------ */

/* Never one that was seen before: whoever plays an old one again must not bring back its images. */
static int catalog_apply(Writer *w, const Fact *f) {
        int64_t now = 0;
        int r = db_number(w->db, "SELECT version FROM catalog", DB_NO_ARGS, &now);

        if (r < 0 && r != -ENOENT)
                return writer_check(w, r);
        if (r >= 0 && f->catalog.version <= (uint64_t) now)
                return writer_refuse(w, -ESTALE, "version %" PRIu64 " of the firmware catalog is not newer than version %" PRId64
                                     ", which the dock goes by", f->catalog.version, now);
        return writer_check(w, db_run(w->db, "INSERT OR REPLACE INTO catalog (id, version, document, keys, root, since_usec)"
                                      " VALUES (1, ?1, ?2, ?3, ?4, ?5)",
                                      DB_ARGS(DB_INT(f->catalog.version), DB_TEXT(f->catalog.document), DB_TEXT(f->catalog.keys),
                                              DB_TEXT(f->catalog.root), DB_INT(f->at.wall_usec))));
}

static int plan_apply(Writer *w, const Fact *f) {
        int r = db_run(w->db, "INSERT INTO rollouts (id, revision, statement, since_usec) VALUES (?1, ?2, ?3, ?4)"
                       " ON CONFLICT (id) DO UPDATE SET revision = ?2, statement = ?3, since_usec = ?4 WHERE revision < ?2",
                       DB_ARGS(DB_TEXT(f->rollout.id), DB_INT(f->rollout.revision), DB_TEXT(f->rollout.statement),
                               DB_INT(f->at.wall_usec)));

        if (r == 0)
                return writer_refuse(w, -ESTALE, "revision %" PRIu64 " of the rollout %s is not newer than the one that the dock goes by",
                                     f->rollout.revision, f->rollout.id);
        return writer_check(w, r);
}

/* Once for each camera: nothing is flashed twice in a rollout. */
static int begun_apply(Writer *w, const Fact *f) {
        int r = db_run(w->db, "INSERT INTO rollout_cameras (rollout, camera_id, window, place, wave, begun_usec)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                       DB_ARGS(DB_TEXT(f->rollout.id), DB_INT(f->camera_id), DB_INT(f->rollout.window), DB_INT(f->rollout.place),
                               DB_INT(f->rollout.wave), DB_INT(f->at.wall_usec)));

        if (r == 0)
                return writer_refuse(w, -EALREADY, "camera %" PRIu64 " was begun in the rollout %s before", f->camera_id, f->rollout.id);
        return writer_check(w, r);
}

/* A camera that was given up may still turn out well; one that is well stays so. */
static int ended_apply(Writer *w, const Fact *f) {
        int r = db_run(w->db, "UPDATE rollout_cameras SET outcome = ?3 WHERE rollout = ?1 AND camera_id = ?2 AND outcome <> 'ok'",
                       DB_ARGS(DB_TEXT(f->rollout.id), DB_INT(f->camera_id), DB_TEXT(f->rollout.outcome)));

        if (r == 0)
                return writer_refuse(w, -ENOENT, "camera %" PRIu64 " is not under way in the rollout %s", f->camera_id, f->rollout.id);
        return writer_check(w, r);
}

int rollout_apply(Writer *w, const Fact *f) {
        switch (f->kind) {
        case FACT_CATALOG:
                return catalog_apply(w, f);
        case FACT_ROLLOUT:
                return plan_apply(w, f);
        case FACT_ROLLOUT_BEGUN:
                return begun_apply(w, f);
        case FACT_ROLLOUT_ENDED:
                return ended_apply(w, f);
        default:
                return writer_check(w, db_run(w->db, "UPDATE rollout_cameras SET told = 1 WHERE rollout = ?1 AND camera_id = ?2",
                                              DB_ARGS(DB_TEXT(f->rollout.id), DB_INT(f->camera_id))));
        }
}

/* ---- Reading ---------------------------------------------------------------------------------------------------------- */

CatalogRow *catalog_row_free(CatalogRow *c) {
        if (!c)
                return NULL;
        free(c->document);
        free(c->keys);
        free(c->root);
        free(c);
        return NULL;
}

int store_catalog(Store *s, CatalogRow **ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(catalog_row_freep) CatalogRow *c = calloc(1, sizeof(*c));
        int r;

        r = c ? db_query(s->reader, "SELECT version, document, keys, root FROM catalog", DB_NO_ARGS, &row) : -ENOMEM;
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        c->version = db_column_uint(row, 0);
        if ((r = db_column_text(row, 1, &c->document)) < 0 || (r = db_column_text(row, 2, &c->keys)) < 0 ||
            (r = db_column_text(row, 3, &c->root)) < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

void rollout_rows_free(RolloutRow *rows, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(rows[i].id);
                free(rows[i].statement);
        }
        free(rows);
}

/* Room for one more, zeroed; NULL when out of memory. */
static void *grow(void **rows, size_t n, size_t size) {
        char *grown = reallocarray(*rows, n + 1, size);

        if (!grown)
                return NULL;
        *rows = grown;
        return memset(grown + n * size, 0, size);
}

int store_rollouts(Store *s, RolloutRow **ret, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        void *rows = NULL;
        size_t n = 0;
        int r;

        r = db_query(s->reader, "SELECT id, statement, revision FROM rollouts ORDER BY since_usec, id", DB_NO_ARGS, &row);
        while (r > 0) {
                RolloutRow *one = grow(&rows, n, sizeof(*one));

                r = one ? db_column_text(row, 0, &one->id) : -ENOMEM;
                if (r >= 0)
                        r = db_column_text(row, 1, &one->statement);
                n += one != NULL;
                if (r < 0)
                        break;
                one->revision = db_column_uint(row, 2);
                r = db_next(row);
        }
        if (r < 0) {
                rollout_rows_free(rows, n);
                return r;
        }
        *ret = rows;
        *ret_n = n;
        return 0;
}

void rollout_camera_rows_free(RolloutCameraRow *rows, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(rows[i].serial);
                free(rows[i].outcome);
        }
        free(rows);
}

static int take_camera(sqlite3_stmt *row, RolloutCameraRow *ret) {
        int r;

        ret->camera_id = db_column_uint(row, 0);
        r = db_column_text(row, 1, &ret->serial);
        if (r >= 0)
                r = db_column_text(row, 6, &ret->outcome);
        if (r < 0)
                return r;
        ret->window = db_column_uint(row, 2);
        ret->place = (uint32_t) db_column_uint(row, 3);
        ret->wave = (uint32_t) db_column_uint(row, 4);
        ret->begun_usec = sqlite3_column_int64(row, 5);
        ret->told = sqlite3_column_int64(row, 7) != 0;
        return 0;
}

int store_rollout_cameras(Store *s, const char *rollout, RolloutCameraRow **ret, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        void *rows = NULL;
        size_t n = 0;
        int r;

        r = db_query(s->reader, "SELECT r.camera_id, c.serial, r.window, r.place, r.wave, r.begun_usec, r.outcome, r.told"
                     " FROM rollout_cameras r JOIN cameras c ON c.id = r.camera_id WHERE r.rollout = ?1",
                     DB_ARGS(DB_TEXT(rollout)), &row);
        while (r > 0) {
                RolloutCameraRow *one = grow(&rows, n, sizeof(*one));

                r = one ? take_camera(row, one) : -ENOMEM;
                n += one != NULL;
                if (r >= 0)
                        r = db_next(row);
        }
        if (r < 0) {
                rollout_camera_rows_free(rows, n);
                return r;
        }
        *ret = rows;
        *ret_n = n;
        return 0;
}
