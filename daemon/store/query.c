/* SPDX-License-Identifier: Apache-2.0 */

/* Reads, on the loop, over the read-only connection. Every one of them walks an index and ends at its limit. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/custody.h"
#include "store/store_private.h"

/* Makes one row out of the statement's current one. */
typedef int (*RowMake)(sqlite3_stmt *statement, void **ret);
typedef void (*RowsFree)(void *rows, size_t n);
/* The arrays are read as arrays of pointers to the rows' own types. */
typedef void *AnyRow __attribute__((may_alias));
typedef AnyRow *AnyRows __attribute__((may_alias));

/* Runs the query and collects its rows; `ret` is the address of the caller's array of pointers to rows. */
static int collect(Db *db, const char *sql, const DbValue *values, size_t n_values, RowMake make, RowsFree free_rows,
                   void *ret, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *statement = NULL;
        AnyRow *rows = NULL;
        size_t n = 0;
        int r;

        r = db_query(db, sql, values, n_values, &statement);
        while (r > 0) {
                void *row = NULL;
                AnyRow *larger = n % 64 == 0 ? reallocarray(rows, n + 64, sizeof(*rows)) : rows;

                if (!larger) {
                        r = -ENOMEM;
                        break;
                }
                rows = larger;
                r = make(statement, &row);
                if (r < 0)
                        break;
                rows[n++] = row;
                r = db_next(statement);
        }
        if (r < 0) {
                free_rows(rows, n);
                return r;
        }
        *(AnyRows *) ret = rows;
        *ret_n = n;
        return 0;
}

static int64_t limit(size_t max) {
        return max > INT32_MAX ? INT32_MAX : (int64_t) max;
}

static int64_t before(uint64_t id) {
        return id == 0 || id > INT64_MAX ? INT64_MAX : (int64_t) id;
}

/* Texts of consecutive columns, the first negative result of which stays. */
static void take_text(sqlite3_stmt *row, int column, char **ret, int *r) {
        if (*r >= 0)
                *r = db_column_text(row, column, ret);
}

static void take_digest(sqlite3_stmt *row, int column, Digest *ret, int *r) {
        if (*r >= 0)
                *r = db_column_digest(row, column, ret);
}

/* ---- Cameras ---- */

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
        take_text(row, 1, &c->serial, &r);
        take_text(row, 2, &c->manufacturer, &r);
        take_text(row, 3, &c->model, &r);
        take_text(row, 4, &c->firmware, &r);
        take_text(row, 5, &c->storage_id, &r);
        take_text(row, 6, &c->model_id, &r);
        take_text(row, 12, &c->behind_id, &r);
        take_text(row, 15, &c->officer_id, &r);
        take_text(row, 16, &c->officer_name, &r);
        take_text(row, 17, &c->unit_id, &r);
        take_text(row, 18, &c->unit_name, &r);
        take_text(row, 19, &c->findings_json, &r);
        take_text(row, 20, &c->held_back, &r);
        take_text(row, 21, &c->accepted, &r);
        take_text(row, 22, &c->held_back_reason, &r);
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

static int one_camera(Store *s, const char *sql, DbValue key, CameraRow **ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        void *camera = NULL;
        int r;

        r = db_query(s->reader, sql, DB_ARGS(key), &row);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENOENT;
        r = camera_make(row, &camera);
        if (r < 0)
                return r;
        *ret = camera;
        return 0;
}

int store_camera_by_serial(Store *s, const char *serial, CameraRow **ret) {
        return one_camera(s, "SELECT " CAMERA_COLUMNS " FROM cameras WHERE serial = ?1", DB_TEXT(serial), ret);
}

int store_camera(Store *s, uint64_t camera_id, CameraRow **ret) {
        return one_camera(s, "SELECT " CAMERA_COLUMNS " FROM cameras WHERE id = ?1", DB_INT(camera_id), ret);
}

int store_behind_of_other(Store *s, const char *behind_id, uint64_t camera_id) {
        int64_t n = 0;
        int r;

        r = db_number(s->reader, "SELECT count(*) FROM cameras WHERE behind_id = ?1 AND behind_id <> '' AND id <> ?2",
                      DB_ARGS(DB_TEXT(behind_id), DB_INT(camera_id)), &n);
        return r < 0 ? r : n > 0;
}

int store_switch(Store *s, const char *bay, SwitchRow **ret) {
        _cleanup_(switch_row_freep) SwitchRow *found = NULL;
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        const char *boot_id;
        int r;

        r = db_query(s->reader,
                     "SELECT camera_id, docking_id, begun_boottime_usec, until_boottime_usec, boot_id, model_id, ejected FROM switches"
                     " WHERE bay = ?1",
                     DB_ARGS(DB_TEXT(bay)), &row);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENOENT;
        found = calloc(1, sizeof(*found));
        if (!found)
                return -ENOMEM;
        found->camera_id = db_column_uint(row, 0);
        found->docking_id = db_column_uint(row, 1);
        found->begun_boottime_usec = db_column_uint(row, 2);
        found->until_boottime_usec = db_column_uint(row, 3);
        boot_id = (const char *) sqlite3_column_text(row, 4);
        (void) snprintf(found->boot_id, sizeof(found->boot_id), "%s", boot_id ? boot_id : "");
        found->ejected = sqlite3_column_int(row, 6) != 0;
        r = db_column_text(row, 5, &found->model_id);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(found);
        return 0;
}

int store_cameras(Store *s, uint64_t after_id, size_t max, CameraRow ***ret, size_t *ret_n) {
        return collect(s->reader, "SELECT " CAMERA_COLUMNS " FROM cameras WHERE id > ?1 ORDER BY id LIMIT ?2",
                       DB_ARGS(DB_INT(after_id), DB_INT(limit(max))), camera_make, camera_free_rows, ret, ret_n);
}

int store_cameras_by_docking(Store *s, size_t max, CameraRow ***ret, size_t *ret_n) {
        return collect(s->reader, "SELECT " CAMERA_COLUMNS " FROM cameras ORDER BY last_docked_usec DESC, id DESC LIMIT ?1",
                       DB_ARGS(DB_INT(limit(max))), camera_make, camera_free_rows, ret, ret_n);
}

/* ---- Clips ---- */

#define HELD                                                                                                      \
        "(EXISTS (SELECT 1 FROM holds h WHERE h.clip_id = c.id)"                                                  \
        " OR EXISTS (SELECT 1 FROM holds h WHERE h.camera_id = c.camera_id))"
#define CLIP_SELECT                                                                                               \
        "SELECT c.id, c.camera_id, k.serial, c.path, c.size_bytes, c.mtime_unix_sec, c.ordinal, c.flags,"          \
        " c.state, c.first_docking_id, c.last_docking_id, c.part_docking_id,"                             \
        " CASE WHEN c.part_docking_id = 0 THEN 0"                                                                 \
        "  ELSE (SELECT ifnull(sum(length), 0) FROM blocks WHERE clip_id = c.id) END,"                            \
        " c.seen_usec, c.digest, c.head, c.tail, c.spool_name,"                                                   \
        " r.object_key, r.manifest_key, r.strength, r.digest, r.size_bytes, r.time_unix_sec, c.reason,"           \
        " c.container, c.container_state, c.container_offset, c.recorded_unix_sec, c.duration_msec,"               \
        " c.container_reason, c.urgent,"                                                                          \
        " ifnull((SELECT d.identity IN ('port', 'other') FROM dockings d WHERE d.id ="                            \
        "  CASE c.last_docking_id WHEN 0 THEN c.first_docking_id ELSE c.last_docking_id END), 0),"                \
        " c.receipted_usec, c.receipted_running_usec, " HELD ", c.partial_of,"                                       \
        " EXISTS (SELECT 1 FROM clips p WHERE p.partial_of = c.id AND p.digest IS NOT NULL)"                      \
        " FROM clips c JOIN cameras k ON k.id = c.camera_id LEFT JOIN receipts r ON r.clip_id = c.id"

static void clip_take_receipt(sqlite3_stmt *row, ClipRow *c, int *r) {
        take_text(row, 18, &c->object_key, r);
        take_text(row, 19, &c->manifest_key, r);
        take_text(row, 20, &c->strength, r);
        take_digest(row, 21, &c->receipt_digest, r);
        c->receipt_size_bytes = db_column_uint(row, 22);
        c->receipt_unix_sec = sqlite3_column_int64(row, 23);
}

static int clip_take_container(sqlite3_stmt *row, Container *ret) {
        const char *format = (const char *) sqlite3_column_text(row, 25), *verdict = (const char *) sqlite3_column_text(row, 26);
        const char *reason = (const char *) sqlite3_column_text(row, 30);
        Container c = CONTAINER_OF_NOTHING;

        if (format) {
                c.format = container_format_from_string(format);
                c.verdict = container_verdict_from_string(verdict);
                if (c.format < 0 || c.verdict < 0)
                        return -EBADMSG;
                c.offset = db_column_uint(row, 27);
                if (sqlite3_column_type(row, 28) != SQLITE_NULL)
                        c.recorded_unix_sec = sqlite3_column_int64(row, 28);
                c.duration_msec = db_column_uint(row, 29);
                (void) snprintf(c.reason, sizeof(c.reason), "%s", reason ? reason : "");
        }
        *ret = c;
        return 0;
}

static int clip_make(sqlite3_stmt *row, void **ret) {
        _cleanup_(clip_row_freep) ClipRow *c = calloc(1, sizeof(*c));
        int r = 0;

        if (!c)
                return -ENOMEM;
        c->id = db_column_uint(row, 0);
        c->camera_id = db_column_uint(row, 1);
        take_text(row, 2, &c->serial, &r);
        take_text(row, 3, &c->path, &r);
        c->size_bytes = db_column_uint(row, 4);
        c->mtime_unix_sec = sqlite3_column_int64(row, 5);
        c->ordinal = (uint32_t) db_column_uint(row, 6);
        c->flags = (uint32_t) db_column_uint(row, 7);
        c->state = clip_state_from_string((const char *) sqlite3_column_text(row, 8));
        c->first_docking_id = db_column_uint(row, 9);
        c->last_docking_id = db_column_uint(row, 10);
        c->part_docking_id = db_column_uint(row, 11);
        c->durable_bytes = db_column_uint(row, 12);
        c->seen_usec = sqlite3_column_int64(row, 13);
        take_digest(row, 14, &c->digest, &r);
        take_digest(row, 15, &c->head, &r);
        take_digest(row, 16, &c->tail, &r);
        take_text(row, 17, &c->spool_name, &r);
        clip_take_receipt(row, c, &r);
        take_text(row, 24, &c->reason, &r);
        if (r >= 0)
                r = clip_take_container(row, &c->container);
        c->urgent = sqlite3_column_int(row, 31) != 0;
        c->by_port = sqlite3_column_int(row, 32) != 0;
        c->receipted_usec = sqlite3_column_int64(row, 33);
        c->receipted_running_usec = db_column_uint(row, 34);
        c->held = sqlite3_column_int(row, 35) != 0;
        c->partial_of = db_column_uint(row, 36);
        c->salvaged = sqlite3_column_int(row, 37) != 0;
        if (r < 0)
                return r;
        if (c->state < 0)
                return -EBADMSG;
        *ret = TAKE_PTR(c);
        return 0;
}

static void clip_free_rows(void *rows, size_t n) {
        clip_rows_free(rows, n);
}

int store_clip(Store *s, uint64_t clip_id, ClipRow **ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        void *clip = NULL;
        int r;

        r = db_query(s->reader, CLIP_SELECT " WHERE c.id = ?1", DB_ARGS(DB_INT(clip_id)), &row);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENOENT;
        r = clip_make(row, &clip);
        if (r < 0)
                return r;
        *ret = clip;
        return 0;
}

int store_clips_on_camera(Store *s, uint64_t camera_id, uint64_t after_id, size_t max, ClipRow ***ret, size_t *ret_n) {
        return collect(s->reader,
                       CLIP_SELECT
                       " WHERE c.camera_id = ?1 AND c.state NOT IN ('erased', 'lost') AND c.erased_unstored = 0 AND c.partial_of = 0"
                       " AND c.id > ?2"
                       " ORDER BY c.id LIMIT ?3",
                       DB_ARGS(DB_INT(camera_id), DB_INT(after_id), DB_INT(limit(max))), clip_make, clip_free_rows, ret,
                       ret_n);
}

int store_clips_unstored(Store *s, uint64_t after_id, size_t max, ClipRow ***ret, size_t *ret_n) {
        return collect(s->reader, CLIP_SELECT
                       " WHERE c.state IN ('copied', 'erasing') AND r.clip_id IS NULL AND c.id > ?1"
                       " ORDER BY c.id LIMIT ?2",
                       DB_ARGS(DB_INT(after_id), DB_INT(limit(max))), clip_make, clip_free_rows, ret, ret_n);
}

int store_oldest_unstored(Store *s, ClipRow **ret) {
        static const char *const states[] = { "seen", "copying", "copied" };
        int64_t oldest = 0;

        /* Ids rise with time. */
        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                int64_t id = 0;
                int r;

                r = db_number(s->reader, "SELECT coalesce(min(id), 0) FROM clips INDEXED BY clips_in_state WHERE state = ?1",
                              DB_ARGS(DB_TEXT(states[i])), &id);
                if (r < 0)
                        return r;
                if (id > 0 && (oldest == 0 || id < oldest))
                        oldest = id;
        }
        return oldest == 0 ? -ENOENT : store_clip(s, (uint64_t) oldest, ret);
}

int store_clips_releasable(Store *s, size_t max, ClipRow ***ret, size_t *ret_n) {
        return collect(s->reader,
                       CLIP_SELECT
                       " WHERE c.id IN (SELECT c.id FROM clips c INDEXED BY clips_releasable WHERE c.spool_name IS NOT NULL"
                       "  AND c.receipted_running_usec IS NOT NULL AND c.state IN ('receipted', 'erasing', 'erased') AND NOT " HELD
                       "  ORDER BY c.receipted_running_usec, c.id LIMIT ?1)"
                       " AND r.clip_id IS NOT NULL ORDER BY c.receipted_running_usec, c.id",
                       DB_ARGS(DB_INT(limit(max))), clip_make, clip_free_rows, ret, ret_n);
}

int store_partials_unfinished(Store *s, uint64_t clip_id, size_t max, uint64_t *ret, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        size_t n = 0;
        int r;

        r = db_query(s->reader, "SELECT id FROM clips WHERE partial_of = ?1 AND partial_of <> 0 AND state IN ('seen', 'copying') LIMIT ?2",
                     DB_ARGS(DB_INT(clip_id), DB_INT(limit(max))), &row);
        for (; r > 0 && n < max; r = db_next(row))
                ret[n++] = db_column_uint(row, 0);
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

int store_clip_by_content(Store *s, const Digest *blocks_digest, uint64_t size_bytes, uint64_t *ret_id) {
        int64_t id = 0;
        int r;

        r = db_number(s->reader,
                      "SELECT max(id) FROM clips WHERE blocks_digest = ?1 AND size_bytes = ?2 AND conflict = 0 AND partial_of = 0"
                      " AND state IN ('copied', 'receipted', 'erasing', 'erased')",
                      DB_ARGS(DB_DIGEST(blocks_digest), DB_INT(size_bytes)), &id);
        if (r < 0)
                return r;
        *ret_id = (uint64_t) id;
        return 0;
}

int store_clips_query(Store *s, const char *serial, ClipState state, uint64_t before_id, size_t max, ClipRow ***ret,
                      size_t *ret_n) {
        const char *name = clip_state_to_string(state);
        int64_t camera_id = 0;
        int r;

        if (state != _CLIP_STATE_INVALID && !name)
                return -EINVAL;
        if (serial) {
                r = db_number(s->reader, "SELECT id FROM cameras WHERE serial = ?1", DB_ARGS(DB_TEXT(serial)),
                              &camera_id);
                if (r < 0 && r != -ENOENT)
                        return r;
                if (r == -ENOENT) {
                        *ret = NULL;
                        *ret_n = 0;
                        return 0;
                }
        }
        if (serial && name)
                return collect(s->reader,
                               CLIP_SELECT
                               " WHERE c.camera_id = ?1 AND c.state = ?2 AND c.id < ?3 ORDER BY c.id DESC LIMIT ?4",
                               DB_ARGS(DB_INT(camera_id), DB_TEXT(name), DB_INT(before(before_id)), DB_INT(limit(max))),
                               clip_make, clip_free_rows, ret, ret_n);
        if (serial)
                return collect(s->reader,
                               CLIP_SELECT " WHERE c.camera_id = ?1 AND c.id < ?2 ORDER BY c.id DESC LIMIT ?3",
                               DB_ARGS(DB_INT(camera_id), DB_INT(before(before_id)), DB_INT(limit(max))), clip_make,
                               clip_free_rows, ret, ret_n);
        if (name)
                return collect(s->reader, CLIP_SELECT " WHERE c.state = ?1 AND c.id < ?2 ORDER BY c.id DESC LIMIT ?3",
                               DB_ARGS(DB_TEXT(name), DB_INT(before(before_id)), DB_INT(limit(max))), clip_make,
                               clip_free_rows, ret, ret_n);
        return collect(s->reader, CLIP_SELECT " WHERE c.id < ?1 ORDER BY c.id DESC LIMIT ?2",
                       DB_ARGS(DB_INT(before(before_id)), DB_INT(limit(max))), clip_make, clip_free_rows, ret, ret_n);
}

int store_unreadable(Store *s, uint64_t clip_id, ByteRange **ret, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(freep) ByteRange *ranges = calloc(FACT_RANGES_MAX, sizeof(*ranges));
        size_t n = 0;
        int r;

        if (!ranges)
                return -ENOMEM;
        r = db_query(s->reader,
                     "SELECT start_bytes, length_bytes FROM unreadable WHERE clip_id = ?1 AND event_seq ="
                     " (SELECT max(event_seq) FROM unreadable WHERE clip_id = ?1) ORDER BY start_bytes",
                     DB_ARGS(DB_INT(clip_id)), &row);
        for (; r > 0 && n < FACT_RANGES_MAX; r = db_next(row))
                ranges[n++] = (ByteRange){ db_column_uint(row, 0), db_column_uint(row, 1) };
        if (r < 0)
                return r;
        *ret = TAKE_PTR(ranges);
        *ret_n = n;
        return 0;
}

int store_blocks(Store *s, uint64_t clip_id, BlockRow **ret, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(freep) BlockRow *blocks = NULL;
        size_t n = 0;
        int r;

        r = db_query(s->reader,
                     "SELECT number, length, digest, docking_id FROM blocks WHERE clip_id = ?1 ORDER BY number",
                     DB_ARGS(DB_INT(clip_id)), &row);
        for (; r > 0; r = db_next(row)) {
                BlockRow *larger = n % 256 == 0 ? reallocarray(blocks, n + 256, sizeof(*blocks)) : blocks;

                if (!larger)
                        return -ENOMEM;
                blocks = larger;
                blocks[n] = (BlockRow){
                        .number = (uint32_t) db_column_uint(row, 0),
                        .length = (uint32_t) db_column_uint(row, 1),
                        .docking_id = db_column_uint(row, 3),
                };
                r = db_column_digest(row, 2, &blocks[n].digest);
                if (r < 0)
                        return r;
                n++;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(blocks);
        *ret_n = n;
        return 0;
}

/* ---- Refused devices ---- */

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
        take_text(row, 1, &d->bay, &r);
        take_text(row, 5, &d->usb_serial, &r);
        take_text(row, 6, &d->usb_manufacturer, &r);
        take_text(row, 7, &d->usb_product, &r);
        take_text(row, 8, &d->descriptors_hex, &r);
        take_text(row, 9, &d->reason, &r);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

static void refused_free_rows(void *rows, size_t n) {
        refused_rows_free(rows, n);
}

int store_refused(Store *s, uint64_t before_id, size_t max, RefusedRow ***ret, size_t *ret_n) {
        return collect(s->reader,
                       "SELECT id, bay, vid, pid, bcd_device, usb_serial, usb_manufacturer, usb_product,"
                       " descriptors_hex, reason, refused_usec FROM refused WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                       DB_ARGS(DB_INT(before(before_id)), DB_INT(limit(max))), refused_make, refused_free_rows, ret,
                       ret_n);
}

/* ---- Events ---- */

static int event_make(sqlite3_stmt *row, void **ret) {
        const void *bytes = sqlite3_column_blob(row, 1);
        _cleanup_(event_row_freep) EventRow *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        e->seq = db_column_uint(row, 0);
        e->bytes = strndup(bytes ? bytes : "", (size_t) sqlite3_column_bytes(row, 1));
        if (!e->bytes)
                return -ENOMEM;
        r = db_column_digest(row, 2, &e->hash);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(e);
        return 0;
}

static void event_free_rows(void *rows, size_t n) {
        event_rows_free(rows, n);
}

int store_events(Store *s, uint64_t after_seq, uint64_t camera_id, uint64_t clip_id, size_t max, EventRow ***ret,
                 size_t *ret_n) {
        after_seq = MIN2(after_seq, (uint64_t) INT64_MAX);
        if (clip_id != 0)
                return collect(
                        s->reader,
                        "SELECT seq, bytes, hash FROM custody WHERE clip_id = ?1 AND seq > ?2"
                        " AND (?3 = 0 OR camera_id = ?3) ORDER BY seq LIMIT ?4",
                        DB_ARGS(DB_INT(clip_id), DB_INT(after_seq), DB_INT(camera_id), DB_INT(limit(max))), event_make,
                        event_free_rows, ret, ret_n);
        if (camera_id != 0)
                return collect(
                        s->reader,
                        "SELECT seq, bytes, hash FROM custody WHERE camera_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
                        DB_ARGS(DB_INT(camera_id), DB_INT(after_seq), DB_INT(limit(max))), event_make, event_free_rows,
                        ret, ret_n);
        return collect(s->reader, "SELECT seq, bytes, hash FROM custody WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                       DB_ARGS(DB_INT(after_seq), DB_INT(limit(max))), event_make, event_free_rows, ret, ret_n);
}

static int events_newest_first(Store *s, uint64_t camera_id, uint64_t clip_id, size_t max, EventRow ***ret,
                               size_t *ret_n) {
        if (clip_id != 0)
                return collect(s->reader,
                               "SELECT seq, bytes, hash FROM custody WHERE clip_id = ?1 AND (?2 = 0 OR camera_id = ?2)"
                               " ORDER BY seq DESC LIMIT ?3",
                               DB_ARGS(DB_INT(clip_id), DB_INT(camera_id), DB_INT(limit(max))), event_make,
                               event_free_rows, ret, ret_n);
        if (camera_id != 0)
                return collect(s->reader,
                               "SELECT seq, bytes, hash FROM custody WHERE camera_id = ?1 ORDER BY seq DESC LIMIT ?2",
                               DB_ARGS(DB_INT(camera_id), DB_INT(limit(max))), event_make, event_free_rows, ret, ret_n);
        return collect(s->reader, "SELECT seq, bytes, hash FROM custody ORDER BY seq DESC LIMIT ?1",
                       DB_ARGS(DB_INT(limit(max))), event_make, event_free_rows, ret, ret_n);
}

int store_events_last(Store *s, uint64_t camera_id, uint64_t clip_id, size_t max, EventRow ***ret, size_t *ret_n) {
        EventRow **rows = NULL;
        size_t n = 0;
        int r;

        r = events_newest_first(s, camera_id, clip_id, max, &rows, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n / 2; i++) {
                EventRow *other = rows[n - 1 - i];

                rows[n - 1 - i] = rows[i];
                rows[i] = other;
        }
        *ret = rows;
        *ret_n = n;
        return 0;
}

/* ---- Evidence ---- */

static int take_owner(const json_t *check, CopyEvidence *e) {
        const char *keys[] = { "officer_id", "officer_name", "unit_id", "unit_name" };
        char **const texts[] = { &e->officer_id, &e->officer_name, &e->unit_id, &e->unit_name };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *text = json_string_value(json_object_get(check, keys[i]));

                free(*texts[i]);
                *texts[i] = strdup(text ? text : "");
                if (!*texts[i])
                        return -ENOMEM;
        }
        return 0;
}

/* What the camera tells counts before what the roster has. */
static int take_officer(const json_t *event, bool by_roster, CopyEvidence *e) {
        static const char *const keys[] = { "officer_id", "officer_name", "unit_id", "unit_name" };
        bool told = false;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *text = json_string_value(json_object_get(event, keys[i]));

                told |= text && *text;
        }
        if (!told || (by_roster && e->officer_id))
                return 0;
        e->officer_by_roster = by_roster;
        return take_owner(event, e);
}

static int take_check(const json_t *check, CopyEvidence *e) {
        const json_t *drift = json_object_get(check, "drift_usec");

        if (json_is_integer(drift) || !e->drift_known)
                e->dock_synchronised = json_is_true(json_object_get(check, "synchronised"));
        if (json_is_integer(drift)) {
                e->drift_known = true;
                e->drift_usec = (int64_t) json_integer_value(drift);
        }
        return take_officer(check, false, e);
}

/*
 * The checks of that docking before an event, from the last back to the first, which counts: after it the clock is set, and a camera
 * that was sent into its storage mode tells neither time nor owner. None is no error: not every camera can be checked. Who brought the
 * camera back is on record in the same docking.
 */
static int read_checks(Store *s, uint64_t camera_id, uint64_t docking_id, uint64_t before_seq, CopyEvidence *e) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(s->reader,
                     "SELECT docking_id, kind, bytes FROM custody WHERE camera_id = ?1 AND seq < ?2 AND kind IN (?3, ?4, ?5)"
                     " ORDER BY seq DESC",
                     DB_ARGS(DB_INT(camera_id), DB_INT(before_seq), DB_TEXT(fact_kind_to_string(FACT_CHECKED)),
                             DB_TEXT(fact_kind_to_string(FACT_IDENTIFIED)), DB_TEXT(fact_kind_to_string(FACT_BROUGHT_BACK))), &row);
        for (; r > 0; r = db_next(row)) {
                const char *kind = (const char *) sqlite3_column_text(row, 1);
                CustodyEvent event = { 0 };

                /* Whatever is older belongs to dockings before. */
                if (db_column_uint(row, 0) < docking_id)
                        return 0;
                if (db_column_uint(row, 0) != docking_id || text_equal(kind, fact_kind_to_string(FACT_IDENTIFIED)))
                        continue;
                r = custody_parse(sqlite3_column_blob(row, 2), (size_t) sqlite3_column_bytes(row, 2), &event);
                if (r < 0)
                        return r;
                r = text_equal(kind, fact_kind_to_string(FACT_CHECKED)) ? take_check(event.object, e) :
                                                                          take_officer(event.object, true, e);
                custody_event_done(&event);
                if (r < 0)
                        return r;
        }
        return r;
}

/* The docking in which the camera was sent into its storage mode, when the daemon was restarted meanwhile; 0: no other. */
static int read_switch(Store *s, uint64_t docking_id, uint64_t *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        CustodyEvent event = { 0 };
        uint64_t id;
        int r;

        *ret = 0;
        r = db_query(s->reader,
                     "SELECT bytes FROM custody INDEXED BY custody_of_identity WHERE docking_id = ?1"
                     " AND kind IN ('storage-identified', 'identity-confirmed') AND kind = 'storage-identified' ORDER BY seq LIMIT 1",
                     DB_ARGS(DB_INT(docking_id)), &row);
        if (r <= 0)
                return r;
        r = custody_parse(sqlite3_column_blob(row, 0), (size_t) sqlite3_column_bytes(row, 0), &event);
        if (r < 0)
                return r;
        id = (uint64_t) json_integer_value(json_object_get(event.object, "switch_docking_id"));
        custody_event_done(&event);
        *ret = id == docking_id ? 0 : id;
        return 0;
}

static int read_dockings(Store *s, uint64_t camera_id, uint64_t docking_id, CopyEvidence *e) {
        uint64_t before = 0;
        int r;

        r = read_checks(s, camera_id, docking_id, e->seq, e);
        if (r >= 0)
                r = read_switch(s, docking_id, &before);
        return r < 0 || before == 0 ? r : read_checks(s, camera_id, before, e->seq, e);
}

void copy_evidence_done(CopyEvidence *e) {
        free(e->officer_id);
        free(e->officer_name);
        free(e->unit_id);
        free(e->unit_name);
        *e = (CopyEvidence){};
}

int store_copy_evidence(Store *s, uint64_t clip_id, CopyEvidence *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        CopyEvidence e = {};
        int r;

        r = db_query(s->reader,
                     "SELECT seq, hash, camera_id, docking_id FROM custody WHERE clip_id = ?1"
                     " AND kind IN ('copied', 'clip-recovered') ORDER BY seq DESC LIMIT 1",
                     DB_ARGS(DB_INT(clip_id)), &row);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENOENT;
        e.seq = db_column_uint(row, 0);
        r = db_column_digest(row, 1, &e.hash);
        if (r >= 0)
                r = read_dockings(s, db_column_uint(row, 2), db_column_uint(row, 3), &e);
        if (r < 0) {
                copy_evidence_done(&e);
                return r;
        }
        *ret = e;
        return 0;
}

/* ---- Totals ---- */

int store_totals(Store *s, StoreTotals *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL, *newest = NULL;
        StoreTotals t = { 0 };
        int r;

        r = db_query(s->reader, "SELECT state, clips, bytes FROM clip_totals", DB_NO_ARGS, &row);
        for (; r > 0; r = db_next(row)) {
                ClipState state = clip_state_from_string((const char *) sqlite3_column_text(row, 0));

                if (state < 0)
                        return -EBADMSG;
                t.clips_by_state[state] = db_column_uint(row, 1);
                t.bytes_by_state[state] = db_column_uint(row, 2);
                if (state == CLIP_COPIED)
                        t.unstored_bytes = db_column_uint(row, 2);
        }
        if (r < 0)
                return r;
        r = db_query(s->reader, "SELECT seq, hash FROM custody ORDER BY seq DESC LIMIT 1", DB_NO_ARGS, &newest);
        if (r < 0)
                return r;
        if (r > 0) {
                t.events = db_column_uint(newest, 0);
                r = db_column_digest(newest, 1, &t.chain_head);
                if (r < 0)
                        return r;
        }
        *ret = t;
        return 0;
}

/* ---- Orders ---- */

int store_order(Store *s, const char *what) {
        int64_t n = 0;
        int r;

        r = db_number(s->reader, "SELECT count(*) FROM orders WHERE what = ?1", DB_ARGS(DB_TEXT(what)), &n);
        return r < 0 ? r : n > 0;
}

int store_shift_called(Store *s, int64_t *ret_usec) {
        return db_number(s->reader, "SELECT since_usec FROM orders WHERE what = ?1", DB_ARGS(DB_TEXT(STORE_ORDER_SHIFT)), ret_usec);
}

/* ---- Flow ---- */

int store_flow(Store *s, int64_t since_wall_usec, StoreFlow *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        StoreFlow flow = { 0 };
        int64_t releasable = 0;
        int r;

        /* Ids rise with time: from the newest back to the first that is older. */
        r = db_query(s->reader, "SELECT size_bytes, seen_usec FROM clips ORDER BY id DESC", DB_NO_ARGS, &row);
        for (; r > 0 && sqlite3_column_int64(row, 1) >= since_wall_usec; r = db_next(row))
                flow.seen_bytes += db_column_uint(row, 0);
        if (r < 0)
                return r;
        r = db_number(s->reader,
                      "SELECT coalesce(sum(c.size_bytes), 0) FROM clips c INDEXED BY clips_releasable WHERE c.spool_name IS NOT NULL"
                      " AND c.receipted_running_usec IS NOT NULL AND c.state IN ('receipted', 'erasing', 'erased') AND NOT " HELD,
                      DB_NO_ARGS, &releasable);
        if (r < 0)
                return r;
        flow.releasable_bytes = (uint64_t) releasable;
        *ret = flow;
        return 0;
}
