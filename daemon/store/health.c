/* SPDX-License-Identifier: Apache-2.0 */

/* What is kept of checks and faults, so that a camera and a bay can be judged over their dockings, and what the judgement was. */

#include <errno.h>
#include <inttypes.h>

#include "base/text.h"
#include "store/store_private.h"

static int camera_of_docking(Writer *w, const Fact *f, uint64_t *ret) {
        int64_t id = 0;
        int r = 0;

        if (f->camera_id == 0 && f->docking_id != 0)
                r = db_number(w->db, "SELECT camera_id FROM dockings WHERE id = ?1", DB_ARGS(DB_INT(f->docking_id)), &id);
        if (r < 0 && r != -ENOENT)
                return writer_check(w, r);
        *ret = f->camera_id ? f->camera_id : (uint64_t) id;
        return 0;
}

/* In its storage mode a camera tells neither battery nor clock; that it has storage is what counts there. */
static int checked(Writer *w, const Fact *f) {
        uint64_t camera_id;
        bool drift = f->check.drift_known && f->at.synchronised;
        int r;

        r = camera_of_docking(w, f, &camera_id);
        if (r < 0)
                return r;
        r = db_run(w->db,
                   "INSERT INTO checks (event_seq, camera_id, docking_id, wall_usec, battery_percent, drift_usec, storage_id,"
                   " storage_total_bytes, storage_free_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6,"
                   " (SELECT storage_id FROM cameras WHERE id = ?2), ?7, ?8)",
                   DB_ARGS(DB_INT(w->head.seq + 1), DB_INT(camera_id), DB_INT(f->docking_id), DB_INT(f->at.wall_usec),
                           DB_INT(f->check.behind ? -1 : f->check.battery_percent), drift ? DB_INT(f->check.drift_usec) : DB_NULL(),
                           f->check.storage_known ? DB_INT(f->check.storage_total_bytes) : DB_NULL(),
                           f->check.storage_known ? DB_INT(f->check.storage_free_bytes) : DB_NULL()));
        return writer_check(w, r);
}

static int faulted(Writer *w, const Fact *f) {
        uint64_t camera_id;
        int r;

        r = camera_of_docking(w, f, &camera_id);
        if (r < 0)
                return r;
        r = db_run(w->db, "INSERT INTO faults (event_seq, bay, docking_id, camera_id, wall_usec, over_current)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                   DB_ARGS(DB_INT(w->head.seq + 1), DB_TEXT(f->bay), DB_INT(f->docking_id), DB_INT(camera_id), DB_INT(f->at.wall_usec),
                           DB_INT(f->kind == FACT_OVER_CURRENT)));
        return writer_check(w, r);
}

static int clock_set(Writer *w, const Fact *f) {
        uint64_t camera_id;
        int r;

        r = camera_of_docking(w, f, &camera_id);
        if (r < 0 || !f->clock.set)
                return r;
        return writer_check(w, db_run(w->db, "UPDATE cameras SET clock_set_usec = ?2 WHERE id = ?1",
                                      DB_ARGS(DB_INT(camera_id), DB_INT(f->at.wall_usec))));
}

int health_apply(Writer *w, const Fact *f) {
        int r;

        switch (f->kind) {
        case FACT_CHECKED:
                return checked(w, f);
        case FACT_FAULT:
        case FACT_OVER_CURRENT:
                return faulted(w, f);
        case FACT_CLOCK_SET:
                return clock_set(w, f);
        case FACT_HEALTH:
                r = db_run(w->db, "UPDATE cameras SET findings = ?2 WHERE id = ?1",
                           DB_ARGS(DB_INT(f->camera_id), DB_TEXT(f->health.findings_json)));
                break;
        default:
                r = db_run(w->db, "UPDATE cameras SET held_back = ?2, accepted = ?3, held_back_reason = ?4 WHERE id = ?1",
                           DB_ARGS(DB_INT(f->camera_id), DB_TEXT(f->kind == FACT_HELD_BACK ? f->health.held_back : ""),
                                   DB_TEXT(f->health.accepted), DB_TEXT(f->kind == FACT_HELD_BACK ? f->text : "")));
                break;
        }
        if (r == 0)
                return writer_refuse(w, -ENOENT, "camera %" PRIu64 " is not known", f->camera_id);
        return writer_check(w, r);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

#define LAST_DOCKINGS "(SELECT id FROM dockings WHERE camera_id = ?1 ORDER BY id DESC LIMIT ?2)"

static int count(Store *s, const char *sql, uint64_t camera_id, unsigned dockings, unsigned *ret) {
        int64_t n = 0;
        int r = db_number(s->reader, sql, DB_ARGS(DB_INT(camera_id), DB_INT(dockings)), &n);

        if (r == -ENOENT)
                r = 0;
        *ret = (unsigned) n;
        return r;
}

/* The first check of each docking, newest docking first. */
static int count_weak(Store *s, uint64_t camera_id, unsigned dockings, int weak_percent, unsigned *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        unsigned n = 0;
        int r;

        r = db_query(s->reader,
                     "SELECT battery_percent, min(event_seq) FROM checks WHERE camera_id = ?1 AND docking_id IN " LAST_DOCKINGS
                     " AND battery_percent >= 0 GROUP BY docking_id ORDER BY docking_id DESC",
                     DB_ARGS(DB_INT(camera_id), DB_INT(dockings)), &row);
        for (; r > 0 && sqlite3_column_int(row, 0) <= weak_percent; r = db_next(row))
                n++;
        *ret = n;
        return r < 0 ? r : 0;
}

int store_health(Store *s, uint64_t camera_id, const char *storage_id, unsigned dockings, int weak_percent, HealthRow *ret) {
        HealthRow h = { 0 };
        int64_t most = 0, set = 0;
        int r;

        r = db_number(s->reader, "SELECT max(storage_total_bytes) FROM checks WHERE camera_id = ?1 AND storage_id = ?2",
                      DB_ARGS(DB_INT(camera_id), DB_TEXT(storage_id)), &most);
        if (r >= 0 || r == -ENOENT)
                r = db_number(s->reader, "SELECT clock_set_usec FROM cameras WHERE id = ?1", DB_ARGS(DB_INT(camera_id)), &set);
        if (r < 0 && r != -ENOENT)
                return r;
        h.storage_before_bytes = (uint64_t) most;
        h.clock_set_usec = set;
        if ((r = count(s, "SELECT count(DISTINCT clip_id) FROM unreadable WHERE docking_id IN " LAST_DOCKINGS, camera_id, dockings,
                       &h.medium_errors)) < 0 ||
            (r = count(s, "SELECT count(DISTINCT docking_id) FROM faults WHERE docking_id IN " LAST_DOCKINGS, camera_id,
                       dockings, &h.faulted_dockings)) < 0 ||
            (r = count(s, "SELECT count(DISTINCT bay) FROM faults WHERE docking_id IN " LAST_DOCKINGS, camera_id,
                       dockings, &h.faulted_bays)) < 0)
                return r;
        r = count_weak(s, camera_id, dockings, weak_percent, &h.weak_dockings);
        if (r < 0)
                return r;
        *ret = h;
        return 0;
}

/* A camera's own times may be wrong: none is believed that is before 2020, or after the dock first saw the clip. */
int store_unstored(Store *s, uint64_t camera_id, UnstoredRow *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(s->reader,
                     "SELECT count(*), ifnull(min(CASE WHEN mtime_unix_sec BETWEEN 1577836800 AND seen_usec / 1000000"
                     " THEN mtime_unix_sec * 1000000 ELSE seen_usec END), 0) FROM clips WHERE camera_id = ?1 AND"
                     " (state IN ('seen', 'copying', 'copied') OR (state = 'erasing' AND digest IS NOT NULL AND receipted_usec IS NULL))",
                     DB_ARGS(DB_INT(camera_id)), &row);
        if (r < 0)
                return r;
        *ret = (UnstoredRow){ .clips = db_column_uint(row, 0), .oldest_usec = sqlite3_column_int64(row, 1) };
        return 0;
}

#define DOCKINGS_OF_BAY "(SELECT id FROM dockings WHERE bay = ?1 ORDER BY id DESC LIMIT ?2)"
/* A camera that faults before it says who it is, is known by what its docking came to. */
#define FAULTED_IN_BAY                                                                                                        \
        "(SELECT d.camera_id FROM faults f JOIN dockings d ON d.id = f.docking_id WHERE f.bay = ?1 AND d.camera_id IS NOT NULL" \
        " AND d.id IN " DOCKINGS_OF_BAY ")"

/* Its own, and not those of the cameras in it. */
#define FAULTS_OF_BAY                                                \
        "faults WHERE bay = ?1 AND docking_id = 0 AND wall_usec >= " \
        "ifnull((SELECT min(docked_usec) FROM dockings WHERE id IN " DOCKINGS_OF_BAY "), 0)"

int store_bay(Store *s, const char *bay, unsigned dockings, BayRow *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(s->reader,
                     "SELECT (SELECT count(DISTINCT camera_id) FROM dockings WHERE camera_id IS NOT NULL AND id IN " DOCKINGS_OF_BAY "),"
                     " (SELECT count(*) FROM cameras WHERE id IN " FAULTED_IN_BAY "),"
                     /* Those that were in other bays, and never faulted there. */
                     " (SELECT count(*) FROM cameras k WHERE k.id IN " FAULTED_IN_BAY
                     "  AND EXISTS (SELECT 1 FROM dockings d WHERE d.camera_id = k.id AND d.bay NOT IN (?1, 'import'))"
                     "  AND NOT EXISTS (SELECT 1 FROM faults f JOIN dockings d ON d.id = f.docking_id"
                     "   WHERE d.camera_id = k.id AND f.bay <> ?1)),"
                     " (SELECT count(*) FROM " FAULTS_OF_BAY " AND NOT over_current),"
                     " (SELECT count(*) FROM " FAULTS_OF_BAY " AND over_current)",
                     DB_ARGS(DB_TEXT(bay), DB_INT(dockings)), &row);
        if (r <= 0)
                return r;
        *ret = (BayRow){ .cameras = (unsigned) db_column_uint(row, 0), .cameras_faulted = (unsigned) db_column_uint(row, 1),
                         .faulted_here = (unsigned) db_column_uint(row, 2), .rests = (unsigned) db_column_uint(row, 3),
                         .over_currents = (unsigned) db_column_uint(row, 4) };
        return 0;
}
