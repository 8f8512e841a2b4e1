/* SPDX-License-Identifier: Apache-2.0 */
#include "store/custody.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/canonical.h"
#include "base/clock.h"
#include "base/text.h"

/* Of a walk that nobody waits beside. */
#define WALK_EVENTS 4096u

void custody_event_done(CustodyEvent *e) {
        json_decref(e->object);
        *e = (CustodyEvent){ 0 };
}

static int member_id(const json_t *object, const char *key, uint64_t *ret) {
        const json_t *value = json_object_get(object, key);

        if (!value) {
                *ret = 0;
                return 0;
        }
        if (!json_is_integer(value) || json_integer_value(value) <= 0)
                return -EBADE;
        *ret = (uint64_t) json_integer_value(value);
        return 0;
}

/* Fills `ret` but for object and hash from the members. */
static int event_index(const json_t *object, CustodyEvent *ret) {
        const char *time = json_string_value(json_object_get(object, "time"));
        const char *prev = json_string_value(json_object_get(object, "prev"));
        int r;

        ret->kind = json_string_value(json_object_get(object, "event"));
        if (!ret->kind || !time || !prev || json_integer_value(json_object_get(object, "v")) != 1)
                return -EBADE;
        if (utc_from_text(time, &ret->wall_usec) < 0 || digest_from_hex(prev, &ret->prev) < 0)
                return -EBADE;
        r = member_id(object, "seq", &ret->seq);
        if (r >= 0)
                r = member_id(object, "clip_id", &ret->clip_id);
        if (r >= 0)
                r = member_id(object, "camera_id", &ret->camera_id);
        if (r >= 0)
                r = member_id(object, "docking_id", &ret->docking_id);
        return r < 0 ? r : ret->seq == 0 ? -EBADE : 0;
}

static DbValue id_or_null(uint64_t id) {
        return id == 0 ? DB_NULL() : DB_INT(id);
}

int custody_append(Db *db, ChainHead *head, json_t *event) {
        _cleanup_(freep) char *bytes = NULL;
        char prev[DIGEST_HEX_SIZE];
        CustodyEvent e = { 0 };
        size_t size;
        int r;

        if (json_object_set_new(event, "v", json_integer(1)) < 0 ||
            json_object_set_new(event, "seq", json_integer((json_int_t) (head->seq + 1))) < 0 ||
            json_object_set_new(event, "prev", json_string(digest_to_hex(&head->hash, prev))) < 0)
                return -ENOMEM;
        r = event_index(event, &e);
        if (r < 0)
                return r;
        bytes = canonical_text(event);
        if (!bytes)
                return -ENOMEM;
        size = strlen(bytes);
        r = digest_of(bytes, size, &e.hash);
        if (r < 0)
                return r;
        r = db_run(db,
                   "INSERT INTO custody (seq, bytes, hash, kind, clip_id, camera_id, docking_id, wall_usec)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                   DB_ARGS(DB_INT(e.seq), DB_BLOB(bytes, size), DB_DIGEST(&e.hash), DB_TEXT(e.kind),
                           id_or_null(e.clip_id), id_or_null(e.camera_id), id_or_null(e.docking_id),
                           DB_INT(e.wall_usec)));
        if (r < 0)
                return r;
        *head = (ChainHead){ .seq = e.seq, .hash = e.hash };
        return 0;
}

int custody_parse(const void *bytes, size_t size, CustodyEvent *ret) {
        json_auto_t *object = NULL;
        CustodyEvent e = { 0 };
        int r;

        r = canonical_parse(bytes, size, &object);
        if (r < 0)
                return r;
        r = event_index(object, &e);
        if (r >= 0)
                r = digest_of(bytes, size, &e.hash);
        if (r < 0)
                return r;
        e.object = TAKE_PTR(object);
        *ret = e;
        return 0;
}

#define EVENT_COLUMNS "seq, bytes, hash, kind, clip_id, camera_id, docking_id, wall_usec"

/* The current row of EVENT_COLUMNS: bytes, hash and index columns must agree. */
static int row_check(sqlite3_stmt *row, CustodyEvent *ret) {
        const void *bytes = sqlite3_column_blob(row, 1);
        CustodyEvent e = { 0 };
        Digest hash;
        int r;

        if (!bytes || db_column_digest(row, 2, &hash) < 0)
                return -EBADE;
        r = custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 1), &e);
        if (r < 0)
                return r;
        if (!digest_equal(&hash, &e.hash) || db_column_uint(row, 0) != e.seq ||
            !text_equal((const char *) sqlite3_column_text(row, 3), e.kind) || db_column_uint(row, 4) != e.clip_id ||
            db_column_uint(row, 5) != e.camera_id || db_column_uint(row, 6) != e.docking_id ||
            sqlite3_column_int64(row, 7) != e.wall_usec) {
                custody_event_done(&e);
                return -EBADE;
        }
        *ret = e;
        return 0;
}

static int read_event(Db *db, uint64_t seq, CustodyEvent *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(db, "SELECT " EVENT_COLUMNS " FROM custody WHERE seq = ?1", DB_ARGS(DB_INT(seq)), &row);
        if (r < 0)
                return r;
        return r == 0 ? -ENOENT : row_check(row, ret);
}

int custody_read_checked(Db *db, const ChainHead *head, uint64_t seq, CustodyEvent *ret) {
        CustodyEvent e = { 0 }, next = { 0 };
        bool held;
        int r;

        r = read_event(db, seq, &e);
        if (r < 0)
                return r;
        if (seq == head->seq)
                held = digest_equal(&e.hash, &head->hash);
        else {
                r = read_event(db, seq + 1, &next);
                held = r >= 0 && digest_equal(&next.prev, &e.hash);
                custody_event_done(&next);
        }
        if (r < 0 || !held) {
                custody_event_done(&e);
                return r < 0 && r != -ENOENT ? r : -EBADE;
        }
        *ret = e;
        return 0;
}

int custody_find(Db *db, uint64_t clip_id, const char *kind, uint64_t *ret_seq) {
        int64_t seq = 0;
        int r;

        r = db_number(db, "SELECT seq FROM custody WHERE clip_id = ?1 AND kind = ?2 ORDER BY seq DESC LIMIT 1",
                      DB_ARGS(DB_INT(clip_id), DB_TEXT(kind)), &seq);
        if (r < 0)
                return r;
        *ret_seq = (uint64_t) seq;
        return 0;
}

int custody_find_copy(Db *db, uint64_t clip_id, uint64_t *ret_seq) {
        int64_t seq = 0;
        int r;

        r = db_number(db, "SELECT seq FROM custody WHERE clip_id = ?1 AND kind IN ('copied', 'clip-recovered') ORDER BY seq DESC LIMIT 1",
                      DB_ARGS(DB_INT(clip_id)), &seq);
        if (r < 0)
                return r;
        *ret_seq = (uint64_t) seq;
        return 0;
}

int custody_find_identity(Db *db, uint64_t docking_id, uint64_t *ret_seq) {
        int64_t seq = 0;
        int r;

        r = db_number(db, "SELECT seq FROM custody WHERE docking_id = ?1 AND kind IN ('storage-identified', 'identity-confirmed')"
                          " ORDER BY seq DESC LIMIT 1", DB_ARGS(DB_INT(docking_id)), &seq);
        if (r < 0)
                return r;
        *ret_seq = (uint64_t) seq;
        return 0;
}

int custody_hash(Db *db, uint64_t seq, Digest *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(db, "SELECT hash FROM custody WHERE seq = ?1", DB_ARGS(DB_INT(seq)), &row);
        if (r < 0)
                return r;
        return r == 0 ? -ENOENT : db_column_digest(row, 0, ret);
}

int custody_walk_begin(CustodyWalk *walk, Db *db, uint64_t from_seq) {
        CustodyWalk w = { .db = db };
        int r;

        from_seq = MAX2(from_seq, UINT64_C(1));
        w.bad_seq = from_seq;
        if (from_seq > 1) {
                w.at.seq = from_seq - 1;
                r = custody_hash(db, w.at.seq, &w.at.hash);
                if (r < 0) {
                        *walk = w;
                        return r == -ENOENT || r == -EBADMSG ? -EBADE : r;
                }
        }
        *walk = w;
        return 0;
}

/* The event in the current row must be the one that follows. */
static int walk_row(CustodyWalk *walk, sqlite3_stmt *row, CustodyVisit visit, void *userdata) {
        CustodyEvent e = { 0 };
        int r;

        walk->bad_seq = walk->at.seq + 1;
        r = row_check(row, &e);
        if (r < 0)
                return r;
        if (e.seq != walk->bad_seq || !digest_equal(&e.prev, &walk->at.hash))
                r = -EBADE;
        else if (visit)
                r = visit(userdata, &e, sqlite3_column_blob(row, 1), (size_t) sqlite3_column_bytes(row, 1));
        if (r >= 0)
                walk->at = (ChainHead){ .seq = e.seq, .hash = e.hash };
        custody_event_done(&e);
        return r;
}

int custody_walk(CustodyWalk *walk, size_t max, uint64_t to_seq, CustodyVisit visit, void *userdata) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int n = 0, r;

        r = db_query(walk->db, "SELECT " EVENT_COLUMNS " FROM custody WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
                     DB_ARGS(DB_INT(walk->at.seq), DB_INT(MIN2(to_seq, (uint64_t) INT64_MAX)), DB_INT(MIN2(max, (size_t) INT_MAX))),
                     &row);
        for (; r > 0; n++) {
                r = walk_row(walk, row, visit, userdata);
                if (r < 0)
                        return r;
                r = db_next(row);
        }
        return r < 0 ? r : n;
}

int custody_verify(Db *db, uint64_t from_seq, ChainHead *ret, uint64_t *ret_bad) {
        CustodyWalk walk;
        int r;

        r = custody_walk_begin(&walk, db, from_seq);
        while (r >= 0 && (r = custody_walk(&walk, WALK_EVENTS, UINT64_MAX, NULL, NULL)) > 0)
                ;
        *ret_bad = walk.bad_seq;
        if (r < 0)
                return r;
        *ret = walk.at;
        return 0;
}
