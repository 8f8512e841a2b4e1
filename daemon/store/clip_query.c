/* SPDX-License-Identifier: Apache-2.0 */

/* Clips as they are read: one, those that something is left to do for, and those that somebody asks for. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "store/query.h"

#define CLIP_SELECT                                                                                                         \
        "SELECT c.id, c.camera_id, k.serial, c.path, c.size_bytes, c.mtime_unix_sec, c.ordinal, c.flags,"                   \
        " c.state, c.first_docking_id, c.last_docking_id, c.part_docking_id,"                                               \
        " CASE WHEN c.part_docking_id = 0 THEN 0"                                                                           \
        "  ELSE (SELECT ifnull(sum(length), 0) FROM blocks WHERE clip_id = c.id) END,"                                      \
        " c.seen_usec, c.digest, c.head, c.tail, c.spool_name,"                                                             \
        " r.object_key, r.manifest_key, r.strength, r.digest, r.size_bytes, r.time_unix_sec, c.reason,"                     \
        " c.container, c.container_state, c.container_offset, c.recorded_unix_sec, c.duration_msec,"                        \
        " c.container_reason, c.urgent,"                                                                                    \
        " ifnull((SELECT d.identity IN ('port', 'other') FROM dockings d WHERE d.id ="                                      \
        "  CASE c.last_docking_id WHEN 0 THEN c.first_docking_id ELSE c.last_docking_id END), 0),"                          \
        " c.receipted_usec, c.receipted_running_usec, " QUERY_CLIP_HELD ", c.partial_of,"                                   \
        " EXISTS (SELECT 1 FROM clips p WHERE p.partial_of = c.id AND p.partial_of <> 0 AND p.digest IS NOT NULL)"          \
        " FROM clips c JOIN cameras k ON k.id = c.camera_id LEFT JOIN receipts r ON r.clip_id = c.id"

static void clip_take_receipt(sqlite3_stmt *row, ClipRow *c, int *r) {
        query_text(row, 18, &c->object_key, r);
        query_text(row, 19, &c->manifest_key, r);
        query_text(row, 20, &c->strength, r);
        query_digest(row, 21, &c->receipt_digest, r);
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
        query_text(row, 2, &c->serial, &r);
        query_text(row, 3, &c->path, &r);
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
        query_digest(row, 14, &c->digest, &r);
        query_digest(row, 15, &c->head, &r);
        query_digest(row, 16, &c->tail, &r);
        query_text(row, 17, &c->spool_name, &r);
        clip_take_receipt(row, c, &r);
        query_text(row, 24, &c->reason, &r);
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
        return query_row(s->reader, CLIP_SELECT " WHERE c.id = ?1", DB_ARGS(DB_INT(clip_id)), clip_make, ret);
}

int store_clips_on_camera(Store *s, uint64_t camera_id, uint64_t after_id, size_t max, ClipRow ***ret, size_t *ret_n) {
        return query_rows(s->reader,
                          CLIP_SELECT
                          " WHERE c.camera_id = ?1 AND c.state NOT IN ('erased', 'lost') AND c.erased_unstored = 0 AND c.partial_of = 0"
                          " AND c.id > ?2"
                          " ORDER BY c.id LIMIT ?3",
                          DB_ARGS(DB_INT(camera_id), DB_INT(after_id), DB_INT(query_limit(max))), clip_make, clip_free_rows, ret,
                          ret_n);
}

int store_clips_unstored(Store *s, uint64_t after_id, size_t max, ClipRow ***ret, size_t *ret_n) {
        return query_rows(s->reader, CLIP_SELECT
                          " WHERE c.state IN ('copied', 'erasing') AND r.clip_id IS NULL AND c.id > ?1"
                          " ORDER BY c.id LIMIT ?2",
                          DB_ARGS(DB_INT(after_id), DB_INT(query_limit(max))), clip_make, clip_free_rows, ret, ret_n);
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
        return query_rows(s->reader,
                          CLIP_SELECT
                          " WHERE c.id IN (SELECT c.id FROM " QUERY_RELEASABLE_CLIPS
                          "  ORDER BY c.receipted_running_usec, c.id LIMIT ?1)"
                          " AND r.clip_id IS NOT NULL ORDER BY c.receipted_running_usec, c.id",
                          DB_ARGS(DB_INT(query_limit(max))), clip_make, clip_free_rows, ret, ret_n);
}

int store_partials_unfinished(Store *s, uint64_t clip_id, size_t max, uint64_t *ret, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        size_t n = 0;
        int r;

        r = db_query(s->reader, "SELECT id FROM clips WHERE partial_of = ?1 AND partial_of <> 0 AND state IN ('seen', 'copying') LIMIT ?2",
                     DB_ARGS(DB_INT(clip_id), DB_INT(query_limit(max))), &row);
        for (; r > 0 && n < max; r = db_next(row))
                ret[n++] = db_column_uint(row, 0);
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

int store_clip_by_content(Store *s, const Digest *digest, uint64_t size_bytes, uint64_t *ret_id) {
        int64_t id = 0;
        int r;

        r = db_number(s->reader,
                      "SELECT max(id) FROM clips WHERE digest = ?1 AND size_bytes = ?2 AND conflict = 0 AND partial_of = 0"
                      " AND state IN ('copied', 'receipted', 'erasing', 'erased')",
                      DB_ARGS(DB_DIGEST(digest), DB_INT(size_bytes)), &id);
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
                return query_rows(s->reader,
                                  CLIP_SELECT
                                  " WHERE c.camera_id = ?1 AND c.state = ?2 AND c.id < ?3 ORDER BY c.id DESC LIMIT ?4",
                                  DB_ARGS(DB_INT(camera_id), DB_TEXT(name), DB_INT(query_before(before_id)), DB_INT(query_limit(max))),
                                  clip_make, clip_free_rows, ret, ret_n);
        if (serial)
                return query_rows(s->reader,
                                  CLIP_SELECT " WHERE c.camera_id = ?1 AND c.id < ?2 ORDER BY c.id DESC LIMIT ?3",
                                  DB_ARGS(DB_INT(camera_id), DB_INT(query_before(before_id)), DB_INT(query_limit(max))), clip_make,
                                  clip_free_rows, ret, ret_n);
        if (name)
                return query_rows(s->reader, CLIP_SELECT " WHERE c.state = ?1 AND c.id < ?2 ORDER BY c.id DESC LIMIT ?3",
                                  DB_ARGS(DB_TEXT(name), DB_INT(query_before(before_id)), DB_INT(query_limit(max))), clip_make,
                                  clip_free_rows, ret, ret_n);
        return query_rows(s->reader, CLIP_SELECT " WHERE c.id < ?1 ORDER BY c.id DESC LIMIT ?2",
                          DB_ARGS(DB_INT(query_before(before_id)), DB_INT(query_limit(max))), clip_make, clip_free_rows, ret, ret_n);
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
