/* SPDX-License-Identifier: Apache-2.0 */

/* Runs of the daemon: how the last one ended, and by which settings this one goes. */

#include <errno.h>
#include <string.h>

#include "base/canonical.h"
#include "base/text.h"
#include "store/custody.h"
#include "store/store_private.h"

/* The newest event of a kind that is about the dock alone: its number, or 0. */
static int newest_of(Db *db, const char *kind, uint64_t *ret_seq) {
        int64_t seq = 0;
        int r;

        r = db_number(db, "SELECT max(seq) FROM custody WHERE kind = ?1 AND clip_id IS NULL AND camera_id IS NULL AND docking_id IS NULL",
                      DB_ARGS(DB_TEXT(kind)), &seq);
        if (r < 0 && r != -ENOENT)
                return r;
        *ret_seq = (uint64_t) seq;
        return 0;
}

/* A run that said nothing of its end was killed, crashed, or lost its power. */
static int note_last_run(Writer *w) {
        uint64_t started, stopped;
        int r;

        if ((r = newest_of(w->db, "daemon-started", &started)) < 0 || (r = newest_of(w->db, "daemon-stopped", &stopped)) < 0)
                return writer_check(w, r);
        if (started == 0)
                return 0;
        return writer_extra(w, "last_run", json_string(stopped > started ? "ended" : "crashed"));
}

/* The values of the newest settings event: a new object, empty when there is none. */
static int last_settings(Db *db, json_t **ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        CustodyEvent e = { 0 };
        const void *bytes;
        uint64_t seq;
        json_t *values;
        int r;

        r = newest_of(db, "settings", &seq);
        if (r < 0)
                return r;
        r = db_query(db, "SELECT bytes FROM custody WHERE seq = ?1", DB_ARGS(DB_INT(seq)), &row);
        if (r < 0)
                return r;
        bytes = r > 0 ? sqlite3_column_blob(row, 0) : NULL;
        if (bytes) {
                r = custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), &e);
                if (r < 0)
                        return r;
        }
        values = e.object ? json_deep_copy(json_object_get(e.object, "values")) : json_object();
        custody_event_done(&e);
        if (!values)
                return -ENOMEM;
        *ret = values;
        return 0;
}

/* Adds those keys of `a` whose value in `b` is another, or none. */
static int add_differing(json_t *list, const json_t *a, const json_t *b, bool missing_only) {
        const char *key;
        json_t *value;

        json_object_foreach((json_t *) a, key, value) {
                const json_t *other = json_object_get(b, key);

                if (other && (missing_only || json_equal(value, other)))
                        continue;
                if (json_array_append_new(list, json_string(key)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int note_settings(Writer *w, const Fact *f) {
        _cleanup_(json_decrefp) json_t *before = NULL, *now = NULL, *changed = json_array();
        char hex[DIGEST_HEX_SIZE];
        Digest digest;
        int r;

        r = f->text ? canonical_parse(f->text, strlen(f->text), &now) : -EINVAL;
        if (r < 0)
                return writer_refuse(w, -EINVAL, "settings are told as canonical JSON");
        r = last_settings(w->db, &before);
        if (r < 0)
                return writer_check(w, r);
        if (!changed || digest_of(f->text, strlen(f->text), &digest) < 0 || add_differing(changed, now, before, false) < 0 ||
            add_differing(changed, before, now, true) < 0)
                return -ENOMEM;
        if (writer_extra(w, "values", json_incref(now)) < 0 || writer_extra(w, "changed", json_incref(changed)) < 0)
                return -ENOMEM;
        return writer_extra(w, "digest", json_string(digest_to_hex(&digest, hex)));
}

int run_apply(Writer *w, const Fact *f) {
        int r;

        if (f->kind == FACT_SETTINGS)
                return note_settings(w, f);
        r = note_last_run(w);
        return r < 0 ? r : docking_apply(w, f);
}

int store_settings(Store *s, char **ret) {
        _cleanup_(json_decrefp) json_t *values = NULL;
        char *text;
        int r;

        r = last_settings(s->reader, &values);
        if (r < 0)
                return r;
        text = canonical_text(values);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}
