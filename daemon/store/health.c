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
                   " storage_total_bytes, storage_free_bytes, since_set_usec, restarts) VALUES (?1, ?2, ?3, ?4, ?5, ?6,"
                   " (SELECT storage_id FROM cameras WHERE id = ?2), ?7, ?8,"
                   " (SELECT ?4 - clock_set_usec FROM cameras WHERE id = ?2 AND ?6 IS NOT NULL AND clock_set_usec > 0), ?9)",
                   DB_ARGS(DB_INT(w->head.seq + 1), DB_INT(camera_id), DB_INT(f->docking_id), DB_INT(f->at.wall_usec),
                           DB_INT(f->check.behind ? -1 : f->check.battery_percent), drift ? DB_INT(f->check.drift_usec) : DB_NULL(),
                           f->check.storage_known ? DB_INT(f->check.storage_total_bytes) : DB_NULL(),
                           f->check.storage_known ? DB_INT(f->check.storage_free_bytes) : DB_NULL(),
                           f->check.restarts_known ? DB_INT(f->check.restarts) : DB_NULL()));
        return writer_check(w, r);
}

static int charged(Writer *w, const Fact *f) {
        int r = db_run(w->db, "INSERT INTO charges (event_seq, camera_id, docking_id, wall_usec, from_percent, to_percent, permille)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                       DB_ARGS(DB_INT(w->head.seq + 1), DB_INT(f->camera_id), DB_INT(f->docking_id), DB_INT(f->at.wall_usec),
                               DB_INT(f->charge.from_percent), DB_INT(f->charge.to_percent), DB_INT(f->charge.measured_permille)));

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
        case FACT_CHARGED:
                return charged(w, f);
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
                     "SELECT battery_percent, min(event_seq) FROM checks INDEXED BY checks_of_docking WHERE camera_id = ?1"
                     " AND docking_id IN " LAST_DOCKINGS " AND battery_percent >= 0 GROUP BY docking_id ORDER BY docking_id DESC",
                     DB_ARGS(DB_INT(camera_id), DB_INT(dockings)), &row);
        for (; r > 0 && sqlite3_column_int(row, 0) <= weak_percent; r = db_next(row))
                n++;
        *ret = n;
        return r < 0 ? r : 0;
}

static int read_points(Store *s, const char *sql, uint64_t camera_id, HealthPoint *points, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        size_t n = 0;
        int r;

        r = db_query(s->reader, sql, DB_ARGS(DB_INT(camera_id), DB_INT(HEALTH_POINTS_MAX)), &row);
        for (; r > 0 && n < HEALTH_POINTS_MAX; r = db_next(row))
                points[n++] = (HealthPoint){ sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1) };
        *ret_n = n;
        return r < 0 ? r : 0;
}

/* Each docking's charging as one: what was measured over more of the battery counts more. */
#define CAPACITIES                                                                                                                 \
        "SELECT max(wall_usec), sum(permille * (to_percent - from_percent)) / sum(to_percent - from_percent) FROM"                \
        " (SELECT * FROM charges WHERE camera_id = ?1 ORDER BY event_seq DESC LIMIT 10 * ?2) WHERE to_percent > from_percent"     \
        " GROUP BY CASE docking_id WHEN 0 THEN -event_seq ELSE docking_id END ORDER BY 1 DESC LIMIT ?2"
/* A rate only over some time, since cameras tell whole seconds; and not of a clock that had lost the time. */
#define DRIFTS                                                                                                                      \
        "SELECT wall_usec, CAST(abs(drift_usec) * 86400000000.0 / since_set_usec AS INTEGER), min(event_seq) FROM"                 \
        " checks INDEXED BY checks_of_docking WHERE camera_id = ?1 AND drift_usec IS NOT NULL AND since_set_usec >= 21600000000"   \
        " AND wall_usec + drift_usec >= 1577836800000000 AND docking_id IN"                                                         \
        " (SELECT id FROM dockings WHERE camera_id = ?1 ORDER BY id DESC LIMIT 2 * ?2)"                                             \
        " GROUP BY docking_id ORDER BY docking_id DESC LIMIT ?2"

/* The counter may begin anew, as when the camera was given other firmware: what is less than before counts as none. */
static int count_restarts(Store *s, uint64_t camera_id, unsigned dockings, HealthRow *h) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int64_t before = 0;
        int r;

        r = db_query(s->reader,
                     "SELECT restarts FROM checks INDEXED BY checks_of_docking WHERE camera_id = ?1 AND restarts IS NOT NULL"
                     " AND docking_id IN " LAST_DOCKINGS " ORDER BY event_seq",
                     DB_ARGS(DB_INT(camera_id), DB_INT(dockings + 1)), &row);
        for (; r > 0; r = db_next(row)) {
                int64_t now = sqlite3_column_int64(row, 0);

                if (h->restarts_known && now > before)
                        h->restarts += (uint64_t) (now - before);
                h->restarts_known = true;
                before = now;
        }
        return r < 0 ? r : 0;
}

/* What the clock showed when the camera came: what is measured later in the same docking tells of the dock's own setting. */
static int first_drift(Store *s, uint64_t camera_id, HealthRow *h) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(s->reader,
                     "SELECT drift_usec, wall_usec + drift_usec, since_set_usec FROM checks INDEXED BY checks_of_docking WHERE"
                     " camera_id = ?1 AND docking_id = (SELECT max(id) FROM dockings WHERE camera_id = ?1) AND drift_usec IS NOT NULL"
                     " ORDER BY event_seq LIMIT 1",
                     DB_ARGS(DB_INT(camera_id)), &row);
        if (r <= 0)
                return r;
        h->drift_known = true;
        h->drift_usec = sqlite3_column_int64(row, 0);
        h->shown_usec = sqlite3_column_int64(row, 1);
        h->since_set_usec = sqlite3_column_int64(row, 2);
        return 0;
}

int store_health(Store *s, uint64_t camera_id, const char *storage_id, unsigned dockings, int weak_percent, HealthRow *ret) {
        HealthRow h = { 0 };
        int64_t most = 0;
        int r;

        r = db_number(s->reader, "SELECT max(storage_total_bytes) FROM checks WHERE camera_id = ?1 AND storage_id = ?2",
                      DB_ARGS(DB_INT(camera_id), DB_TEXT(storage_id)), &most);
        if (r < 0 && r != -ENOENT)
                return r;
        h.storage_before_bytes = (uint64_t) most;
        if ((r = count(s, "SELECT count(DISTINCT clip_id) FROM unreadable WHERE docking_id IN " LAST_DOCKINGS, camera_id, dockings,
                       &h.medium_errors)) < 0 ||
            (r = count(s, "SELECT count(DISTINCT docking_id) FROM faults WHERE docking_id IN " LAST_DOCKINGS, camera_id,
                       dockings, &h.faulted_dockings)) < 0 ||
            (r = count(s, "SELECT count(DISTINCT bay) FROM faults WHERE docking_id IN " LAST_DOCKINGS, camera_id,
                       dockings, &h.faulted_bays)) < 0)
                return r;
        if ((r = count_weak(s, camera_id, dockings, weak_percent, &h.weak_dockings)) < 0 ||
            (r = count_restarts(s, camera_id, dockings, &h)) < 0 || (r = first_drift(s, camera_id, &h)) < 0 ||
            (r = read_points(s, CAPACITIES, camera_id, h.capacities, &h.n_capacities)) < 0 ||
            (r = read_points(s, DRIFTS, camera_id, h.drifts, &h.n_drifts)) < 0)
                return r;
        *ret = h;
        return 0;
}

/* A camera's own times may be wrong: none is believed that is before 2020, or after the dock first saw the clip. */
#define RECORDED_USEC \
        "CASE WHEN mtime_unix_sec BETWEEN 1577836800 AND seen_usec / 1000000 THEN mtime_unix_sec * 1000000 ELSE seen_usec END"

int store_unstored(Store *s, uint64_t camera_id, UnstoredRow *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        UnstoredRow u;
        int r;

        r = db_query(s->reader,
                     "SELECT count(*), count(*) FILTER (WHERE here), ifnull(min(at) FILTER (WHERE here), 0),"
                     " ifnull(min(at) FILTER (WHERE NOT here), 0) FROM (SELECT state IN ('copied', 'erasing') AS here, " RECORDED_USEC
                     " AS at FROM clips INDEXED BY clips_of_camera_in_state"
                     " WHERE camera_id = ?1 AND state IN ('seen', 'copying', 'copied', 'erasing')"
                     " AND (state <> 'erasing' OR (digest IS NOT NULL AND receipted_usec IS NULL)))",
                     DB_ARGS(DB_INT(camera_id)), &row);
        if (r < 0)
                return r;
        u = (UnstoredRow){ .clips = db_column_uint(row, 0), .oldest_on_dock_usec = sqlite3_column_int64(row, 2),
                           .oldest_on_camera_usec = sqlite3_column_int64(row, 3) };
        u.clips_on_camera = u.clips - db_column_uint(row, 1);
        u.oldest_usec = u.oldest_on_dock_usec == 0 ? u.oldest_on_camera_usec : u.oldest_on_dock_usec;
        if (u.oldest_on_camera_usec > 0)
                u.oldest_usec = MIN2(u.oldest_usec, u.oldest_on_camera_usec);
        *ret = u;
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
