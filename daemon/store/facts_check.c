/* SPDX-License-Identifier: Apache-2.0 */
#include "store/facts_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/container.h"
#include "base/text.h"
#include "store/store.h"

static int differs(FactsCheck *c, const CustodyEvent *e, const char *what) {
        (void) snprintf(c->why, sizeof(c->why), "%s of clip %" PRIu64 " in the database is not what custody event %" PRIu64 " says", what,
                        e->clip_id, e->seq);
        return -EUCLEAN;
}

static bool is_digest(const CustodyEvent *e, const char *key, sqlite3_stmt *row, int column) {
        const char *hex = json_string_value(json_object_get(e->object, key));
        Digest said, is;

        return hex && digest_from_hex(hex, &said) >= 0 && db_column_digest(row, column, &is) >= 0 && digest_equal(&said, &is);
}

static bool is_number(const CustodyEvent *e, const char *key, sqlite3_stmt *row, int column) {
        const json_t *said = json_object_get(e->object, key);

        return json_is_integer(said) && (int64_t) json_integer_value(said) == sqlite3_column_int64(row, column);
}

static bool is_text(const CustodyEvent *e, const char *key, sqlite3_stmt *row, int column) {
        return text_equal(json_string_value(json_object_get(e->object, key)), (const char *) sqlite3_column_text(row, column));
}

/* Words that nobody reads stop whoever reads the row. */
static bool words_are_known(sqlite3_stmt *row) {
        const char *format = (const char *) sqlite3_column_text(row, 6), *verdict = (const char *) sqlite3_column_text(row, 7);

        if (clip_state_from_string((const char *) sqlite3_column_text(row, 5)) < 0)
                return false;
        return !format || (container_format_from_string(format) >= 0 && container_verdict_from_string(verdict) >= 0);
}

/* How the camera lists it, which never changes: a listed clip is found again by this. */
static int check_seen(FactsCheck *c, const CustodyEvent *e) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        bool dated = json_object_get(e->object, "mtime_unix_sec") != NULL;
        int r;

        r = db_query(c->db, "SELECT path, camera_id, mtime_unix_sec, ordinal, flags, state, container, container_state FROM clips"
                     " WHERE id = ?1",
                     DB_ARGS(DB_INT(e->clip_id)), &row);
        if (r < 0)
                return r;
        if (r == 0)
                return differs(c, e, "the row");
        if (!is_text(e, "path", row, 0) || db_column_uint(row, 1) != e->camera_id)
                return differs(c, e, "the name or the camera");
        if ((dated && !is_number(e, "mtime_unix_sec", row, 2)) || !is_number(e, "ordinal", row, 3) || !is_number(e, "flags", row, 4))
                return differs(c, e, "the time, the ordinal or the mark");
        return words_are_known(row) ? 0 : differs(c, e, "a word in the row");
}

/* Each of these reads the row and what came after the event in one statement, so that a commit in between makes no difference. */
static int check_copy(FactsCheck *c, const CustodyEvent *e) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(c->db,
                     "SELECT c.digest, c.size_bytes, c.head, c.tail, c.state IN ('seen', 'copying', 'lost'),"
                     " EXISTS (SELECT 1 FROM custody WHERE clip_id = ?1 AND seq > ?2"
                     "  AND kind IN ('copied', 'clip-recovered', 'part-set-aside', 'store-refused'))"
                     " FROM clips c WHERE c.id = ?1", DB_ARGS(DB_INT(e->clip_id), DB_INT(e->seq)), &row);
        if (r < 0)
                return r;
        if (r == 0)
                return differs(c, e, "the row");
        if (sqlite3_column_int(row, 5) != 0)
                return 0;
        if (!is_digest(e, "digest", row, 0) || !is_digest(e, "head", row, 2) || !is_digest(e, "tail", row, 3) ||
            !is_number(e, "size_bytes", row, 1))
                return differs(c, e, "a digest or the size");
        return sqlite3_column_int(row, 4) != 0 ? differs(c, e, "the state") : 0;
}

static int check_receipt(FactsCheck *c, const CustodyEvent *e) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(c->db,
                     "SELECT r.digest, r.size_bytes, r.object_key, r.strength, c.state = 'copied',"
                     " EXISTS (SELECT 1 FROM custody WHERE clip_id = ?1 AND seq > ?2 AND kind IN ('receipted', 'store-refused',"
                     "  'part-set-aside'))"
                     " FROM clips c LEFT JOIN receipts r ON r.clip_id = c.id WHERE c.id = ?1",
                     DB_ARGS(DB_INT(e->clip_id), DB_INT(e->seq)), &row);
        if (r < 0)
                return r;
        if (r == 0)
                return differs(c, e, "the row");
        if (sqlite3_column_int(row, 5) != 0)
                return 0;
        if (!is_digest(e, "digest", row, 0) || !is_number(e, "size_bytes", row, 1) || !is_text(e, "object_key", row, 2) ||
            !is_text(e, "strength", row, 3) || sqlite3_column_int(row, 4) != 0)
                return differs(c, e, "the receipt");
        return 0;
}

int facts_check_visit(void *userdata, const CustodyEvent *e, const void *bytes, size_t size) {
        FactsCheck *c = userdata;
        int r = 0;

        (void) bytes;
        (void) size;
        if (text_equal(e->kind, "clip-seen") || text_equal(e->kind, "clip-recovered"))
                r = check_seen(c, e);
        if (r >= 0 && (text_equal(e->kind, "copied") || text_equal(e->kind, "clip-recovered")))
                r = check_copy(c, e);
        if (r < 0)
                return r;
        return text_equal(e->kind, "receipted") ? check_receipt(c, e) : 0;
}
