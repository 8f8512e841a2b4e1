/* SPDX-License-Identifier: Apache-2.0 */

/* The custody log as it is read: by camera, by clip, page by page. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/query.h"

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
                return query_rows(
                        s->reader,
                        "SELECT seq, bytes, hash FROM custody WHERE clip_id = ?1 AND seq > ?2"
                        " AND (?3 = 0 OR camera_id = ?3) ORDER BY seq LIMIT ?4",
                        DB_ARGS(DB_INT(clip_id), DB_INT(after_seq), DB_INT(camera_id), DB_INT(query_limit(max))), event_make,
                        event_free_rows, ret, ret_n);
        if (camera_id != 0)
                return query_rows(
                        s->reader,
                        "SELECT seq, bytes, hash FROM custody WHERE camera_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
                        DB_ARGS(DB_INT(camera_id), DB_INT(after_seq), DB_INT(query_limit(max))), event_make, event_free_rows,
                        ret, ret_n);
        return query_rows(s->reader, "SELECT seq, bytes, hash FROM custody WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                          DB_ARGS(DB_INT(after_seq), DB_INT(query_limit(max))), event_make, event_free_rows, ret, ret_n);
}

static int events_newest_first(Store *s, uint64_t camera_id, uint64_t clip_id, size_t max, EventRow ***ret,
                               size_t *ret_n) {
        if (clip_id != 0)
                return query_rows(s->reader,
                                  "SELECT seq, bytes, hash FROM custody WHERE clip_id = ?1 AND (?2 = 0 OR camera_id = ?2)"
                                  " ORDER BY seq DESC LIMIT ?3",
                                  DB_ARGS(DB_INT(clip_id), DB_INT(camera_id), DB_INT(query_limit(max))), event_make,
                                  event_free_rows, ret, ret_n);
        if (camera_id != 0)
                return query_rows(s->reader,
                                  "SELECT seq, bytes, hash FROM custody WHERE camera_id = ?1 ORDER BY seq DESC LIMIT ?2",
                                  DB_ARGS(DB_INT(camera_id), DB_INT(query_limit(max))), event_make, event_free_rows, ret, ret_n);
        return query_rows(s->reader, "SELECT seq, bytes, hash FROM custody ORDER BY seq DESC LIMIT ?1",
                          DB_ARGS(DB_INT(query_limit(max))), event_make, event_free_rows, ret, ret_n);
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
