/* SPDX-License-Identifier: Apache-2.0 */

/* Dockings after a pattern: see years.h. */

#include "years.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/custody.h"
#include "store/state_dir.h"
#include "store/store.h"
#include "store/writer.h"

#define LINES_MAX 400u
#define MEMBERS_MAX 40u
#define LINE_BYTES_MAX 16384u
#define DOCKINGS_PER_COMMIT 500u

/* Members of an event that are another docking's own; all others are as in the pattern. */
typedef enum Slot {
        SLOT_BAY, SLOT_PREFIXES_DIGEST, SLOT_BOOTTIME, SLOT_CAMERA, SLOT_CLIP, SLOT_DIGEST, SLOT_DOCKING, SLOT_HEAD, SLOT_MANIFEST,
        SLOT_MTIME, SLOT_OBJECT, SLOT_PATH, SLOT_PREV, SLOT_SEQ, SLOT_SERIAL, SLOT_SIGNATURE, SLOT_SPOOL, SLOT_STATEMENT, SLOT_STORED,
        SLOT_TAIL, SLOT_TIME, SLOT_USB_SERIAL,
        _SLOT_MAX,
} Slot;

static const char *const slot_names[_SLOT_MAX] = {
        [SLOT_BAY] = "bay",                   [SLOT_PREFIXES_DIGEST] = "prefixes_digest", [SLOT_BOOTTIME] = "boottime_usec",
        [SLOT_CAMERA] = "camera_id",          [SLOT_CLIP] = "clip_id",                [SLOT_DIGEST] = "digest",
        [SLOT_DOCKING] = "docking_id",        [SLOT_HEAD] = "head",                   [SLOT_MANIFEST] = "manifest_key",
        [SLOT_MTIME] = "mtime_unix_sec",      [SLOT_OBJECT] = "object_key",           [SLOT_PATH] = "path",
        [SLOT_PREV] = "prev",                 [SLOT_SEQ] = "seq",                     [SLOT_SERIAL] = "serial",
        [SLOT_SIGNATURE] = "signature",       [SLOT_SPOOL] = "spool_name",            [SLOT_STATEMENT] = "statement",
        [SLOT_STORED] = "stored_unix_sec",    [SLOT_TAIL] = "tail",                   [SLOT_TIME] = "time",
        [SLOT_USB_SERIAL] = "usb_serial",
};

typedef struct Piece {
        char *before; /* literal bytes … */
        int slot;     /* … and the value of this; _SLOT_MAX: the line's end */
} Piece;

typedef struct Line {
        Piece pieces[MEMBERS_MAX];
        size_t n;
        char *kind;
        unsigned clip; /* the how manieth of its docking */
        bool of_clip, of_camera, of_docking, receipt, check;
        int64_t after_usec; /* of the docking's first event */
} Line;

typedef struct Lay {
        StateDir dir;
        Db *db;
        ChainHead head;
        const SignKey *key;
        DockKey dock;
        uint64_t statements; /* number of the last manifest's */

        Line lines[LINES_MAX];
        size_t n_lines;
        uint64_t pattern_seq, pattern_docking, pattern_camera, pattern_clip, pattern_receipt_seq, pattern_check_seq;
        int64_t pattern_usec, lasts_usec;
        int64_t running_usec; /* the dock's running time is this more than the wall clock */
        sqlite3_stmt *custody, *dockings, *checks, *clips, *receipts, *signed_;

        /* The docking that is laid. */
        uint64_t docking_id, camera_id, first_clip;
        int64_t began_usec;
        char serial[32], bay[32];
        YearsClip clip;
        uint64_t clip_id;
        Statement statement;
        char escaped[LINE_BYTES_MAX], signature[SIGNATURE_TEXT_SIZE];
        char bytes[LINE_BYTES_MAX];
        size_t size;
} Lay;

static int fail(const char *what, int r, const char *why) {
        (void) fprintf(stderr, "years: laying %s: %s\n", what, why);
        return r < 0 ? r : -EIO;
}

static int sql(Lay *l, int code, const char *what) {
        return code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW ? 0 : fail(what, -EIO, sqlite3_errmsg(db_handle(l->db)));
}

/* ---- The pattern -------------------------------------------------------------------------------------------------- */

static int slot_of(const char *member) {
        for (int i = 0; i < _SLOT_MAX; i++)
                if (text_equal(slot_names[i], member))
                        return i;
        return _SLOT_MAX;
}

/* The values of slots are put between: "clip_id": [here], "path":"[here]" */
static int cut_line(json_t *object, Line *line) {
        _cleanup_(freep) char *text = strdup("{");
        const char *member;
        json_t *value;
        bool first = true;

        json_object_foreach(object, member, value) {
                _cleanup_(freep) char *literal = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS), *old = text;
                const char *quote = json_is_string(value) ? "\"" : "";
                int slot = slot_of(member);

                if (slot == _SLOT_MAX) {
                        text = text_format("%s%s\"%s\":%s", old, first ? "" : ",", member, literal);
                } else {
                        if (line->n + 2 > MEMBERS_MAX)
                                return -E2BIG;
                        line->pieces[line->n++] = (Piece){ text_format("%s%s\"%s\":%s", old, first ? "" : ",", member, quote), slot };
                        text = strdup(quote);
                }
                first = false;
                if (!text)
                        return -ENOMEM;
        }
        line->pieces[line->n++] = (Piece){ text_format("%s}", text), _SLOT_MAX };
        return 0;
}

static int take_line(void *userdata, const CustodyEvent *e, const void *bytes, size_t size) {
        Lay *l = userdata;
        Line *line = &l->lines[l->n_lines];

        (void) bytes;
        if (l->n_lines == LINES_MAX || size + 512 > LINE_BYTES_MAX)
                return -E2BIG;
        if (l->n_lines == 0) {
                l->pattern_docking = e->docking_id;
                l->pattern_usec = e->wall_usec;
        }
        if (l->pattern_clip == 0)
                l->pattern_clip = e->clip_id;
        if (l->pattern_camera == 0)
                l->pattern_camera = e->camera_id;
        *line = (Line){
                .kind = strdup(e->kind),
                .of_clip = e->clip_id != 0,
                .of_camera = e->camera_id != 0,
                .of_docking = e->docking_id != 0,
                .clip = (unsigned) (e->clip_id != 0 ? e->clip_id - l->pattern_clip : 0),
                .receipt = text_equal(e->kind, "receipted"),
                .check = text_equal(e->kind, "checked"),
                .after_usec = e->wall_usec - l->pattern_usec,
        };
        if (line->receipt && l->pattern_receipt_seq == 0)
                l->pattern_receipt_seq = e->seq;
        if (line->check)
                l->pattern_check_seq = e->seq;
        l->lasts_usec = line->after_usec + (int64_t) USEC_PER_SEC;
        l->n_lines++;
        return line->kind ? cut_line(e->object, line) : -ENOMEM;
}

/* The last docking of the log: from its "docked" to its "undocked". */
static int read_pattern(Lay *l) {
        int64_t from = 0, to = 0;
        CustodyWalk walk;
        int r;

        r = db_number(l->db, "SELECT max(seq) FROM custody WHERE kind = 'docked'", DB_NO_ARGS, &from);
        if (r >= 0)
                r = db_number(l->db, "SELECT max(seq) FROM custody WHERE kind = 'undocked'", DB_NO_ARGS, &to);
        if (r >= 0)
                r = custody_walk_begin(&walk, l->db, (uint64_t) from);
        while (r >= 0 && (r = custody_walk(&walk, LINES_MAX, (uint64_t) to, take_line, l)) > 0)
                ;
        if (r < 0 || l->n_lines < 3)
                return fail("the pattern", r, "the last docking of the log cannot be read");
        l->pattern_seq = (uint64_t) from;
        return 0;
}

/* ---- Rows --------------------------------------------------------------------------------------------------------- */

/* INSERT INTO t SELECT its columns FROM t WHERE id = ?1, but for those named, which are ?2 and so on. */
static int prepare_copy(Lay *l, const char *table, const char *id, const char *const *columns, sqlite3_stmt **ret) {
        _cleanup_(freep) char *list = strdup(""), *info = text_format("SELECT name FROM pragma_table_info('%s') ORDER BY cid", table);
        _cleanup_(freep) char *copy = NULL;
        sqlite3_stmt *row = NULL;
        int r;

        if (!list || !info)
                return -ENOMEM;
        r = sql(l, sqlite3_prepare_v2(db_handle(l->db), info, -1, &row, NULL), table);
        while (r >= 0 && sqlite3_step(row) == SQLITE_ROW) {
                const char *name = (const char *) sqlite3_column_text(row, 0);
                _cleanup_(freep) char *old = list;
                char number[16] = "";

                for (int i = 0; columns[i]; i++)
                        if (text_equal(columns[i], name))
                                (void) snprintf(number, sizeof(number), "?%d", i + 2);
                list = text_format("%s%s%s", old, *old ? ", " : "", number[0] ? number : name);
                r = list ? 0 : -ENOMEM;
        }
        (void) sqlite3_finalize(row);
        copy = r < 0 ? NULL : text_format("INSERT INTO %s SELECT %s FROM %s WHERE %s = ?1", table, list, table, id);
        if (!copy)
                return r < 0 ? r : -ENOMEM;
        return sql(l, sqlite3_prepare_v3(db_handle(l->db), copy, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL), table);
}

static int prepare(Lay *l) {
        static const char insert[] = "INSERT INTO custody (seq, bytes, hash, kind, clip_id, camera_id, docking_id, wall_usec)"
                                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        int r;

        r = sql(l, sqlite3_prepare_v3(db_handle(l->db), insert, -1, SQLITE_PREPARE_PERSISTENT, &l->custody, NULL), "custody");
        if (r >= 0)
                r = prepare_copy(l, "dockings", "id", (const char *[]){ "id", "camera_id", "bay", "usb_serial", "docked_boottime_usec",
                                                                        "docked_usec", "undocked_usec", NULL }, &l->dockings);
        if (r >= 0)
                r = prepare_copy(l, "checks", "event_seq", (const char *[]){ "event_seq", "camera_id", "docking_id", "wall_usec", NULL },
                                 &l->checks);
        if (r >= 0)
                r = prepare_copy(l, "clips", "id",
                                 (const char *[]){ "id", "camera_id", "path", "mtime_unix_sec", "first_docking_id", "last_docking_id",
                                                   "seen_usec", "digest", "head", "tail", "receipted_usec",
                                                   "receipted_running_usec", NULL }, &l->clips);
        if (r >= 0)
                r = prepare_copy(l, "receipts", "clip_id", (const char *[]){ "clip_id", "object_key", "manifest_key", "digest",
                                                                             "time_unix_sec", NULL }, &l->receipts);
        if (r >= 0)
                r = prepare_copy(l, "statements", "event_seq", (const char *[]){ "event_seq", "seq", "key", "hash", "head_seq", "state",
                                                                                 "state_usec", NULL }, &l->signed_);
        return r;
}

typedef struct Bind {
        sqlite3_stmt *statement;
        int n;
} Bind;

static void bind_int(Bind *b, int64_t v) {
        (void) sqlite3_bind_int64(b->statement, ++b->n, v);
}

static void bind_id(Bind *b, uint64_t v, bool there) {
        if (there)
                bind_int(b, (int64_t) v);
        else
                (void) sqlite3_bind_null(b->statement, ++b->n);
}

static void bind_text(Bind *b, const char *v) {
        (void) sqlite3_bind_text(b->statement, ++b->n, v, -1, SQLITE_STATIC);
}

static void bind_digest(Bind *b, const Digest *v) {
        (void) sqlite3_bind_blob(b->statement, ++b->n, v->bytes, DIGEST_SIZE, SQLITE_STATIC);
}

static int run(Lay *l, Bind *b, const char *what) {
        int r = sql(l, sqlite3_step(b->statement), what);

        (void) sqlite3_reset(b->statement);
        return r;
}

static int row_of_docking(Lay *l) {
        Bind b = { .statement = l->dockings };

        bind_int(&b, (int64_t) l->pattern_docking);
        bind_int(&b, (int64_t) l->docking_id);
        bind_int(&b, (int64_t) l->camera_id);
        bind_text(&b, l->bay);
        bind_text(&b, l->serial);
        bind_int(&b, l->began_usec);
        bind_int(&b, l->began_usec);
        bind_int(&b, l->began_usec + l->lines[l->n_lines - 1].after_usec);
        return run(l, &b, "a docking");
}

static int row_of_check(Lay *l, int64_t wall_usec) {
        Bind b = { .statement = l->checks };

        bind_int(&b, (int64_t) l->pattern_check_seq);
        bind_int(&b, (int64_t) l->head.seq);
        bind_int(&b, (int64_t) l->camera_id);
        bind_int(&b, (int64_t) l->docking_id);
        bind_int(&b, wall_usec);
        return run(l, &b, "a check");
}

/* At its receipt, which has all that the row tells. */
static int rows_of_clip(Lay *l, int64_t seen_usec, int64_t receipted_usec) {
        Bind b = { .statement = l->clips };
        int r;

        bind_int(&b, (int64_t) l->pattern_clip);
        bind_int(&b, (int64_t) l->clip_id);
        bind_int(&b, (int64_t) l->camera_id);
        bind_text(&b, l->clip.path);
        bind_int(&b, seen_usec / (int64_t) USEC_PER_SEC);
        bind_int(&b, (int64_t) l->docking_id);
        bind_int(&b, (int64_t) l->docking_id);
        bind_int(&b, seen_usec);
        bind_digest(&b, &l->clip.digest);
        bind_digest(&b, &l->clip.head);
        bind_digest(&b, &l->clip.tail);
        bind_int(&b, receipted_usec);
        bind_int(&b, receipted_usec + l->running_usec);
        r = run(l, &b, "a clip");
        b = (Bind){ .statement = l->receipts };
        bind_int(&b, (int64_t) l->pattern_clip);
        bind_int(&b, (int64_t) l->clip_id);
        bind_text(&b, l->clip.object);
        bind_text(&b, l->clip.manifest);
        bind_digest(&b, &l->clip.digest);
        bind_int(&b, receipted_usec / (int64_t) USEC_PER_SEC);
        return r < 0 ? r : run(l, &b, "a receipt");
}

static int row_of_statement(Lay *l, int64_t wall_usec) {
        Bind b = { .statement = l->signed_ };

        bind_int(&b, (int64_t) l->pattern_receipt_seq);
        bind_int(&b, (int64_t) l->head.seq);
        bind_int(&b, (int64_t) l->statement.about.seq);
        bind_text(&b, l->statement.about.key);
        bind_digest(&b, &l->statement.hash);
        bind_int(&b, (int64_t) l->head.seq - 1);
        bind_text(&b, "stored");
        bind_int(&b, wall_usec);
        return run(l, &b, "a statement");
}

/* ---- One docking -------------------------------------------------------------------------------------------------- */

static void add(Lay *l, const char *text) {
        size_t n = strlen(text);

        if (l->size + n > LINE_BYTES_MAX)
                abort();
        memcpy(l->bytes + l->size, text, n);
        l->size += n;
}

static void add_number(Lay *l, int64_t v) {
        char text[24];

        (void) snprintf(text, sizeof(text), "%" PRId64, v);
        add(l, text);
}

static void add_digest(Lay *l, const Digest *d) {
        char hex[DIGEST_HEX_SIZE];

        add(l, digest_to_hex(d, hex));
}

static void add_slot(Lay *l, int slot, int64_t wall_usec, int64_t seen_usec) {
        const char *const texts[_SLOT_MAX] = {
                [SLOT_BAY] = l->bay, [SLOT_MANIFEST] = l->clip.manifest, [SLOT_OBJECT] = l->clip.object, [SLOT_PATH] = l->clip.path,
                [SLOT_SERIAL] = l->serial, [SLOT_SIGNATURE] = l->signature, [SLOT_SPOOL] = l->clip.spool, [SLOT_STATEMENT] = l->escaped,
                [SLOT_USB_SERIAL] = l->serial,
        };
        const Digest *const digests[_SLOT_MAX] = {
                [SLOT_PREFIXES_DIGEST] = &l->clip.prefixes, [SLOT_DIGEST] = &l->clip.digest, [SLOT_HEAD] = &l->clip.head,
                [SLOT_PREV] = &l->head.hash, [SLOT_TAIL] = &l->clip.tail,
        };
        const int64_t numbers[_SLOT_MAX] = {
                [SLOT_BOOTTIME] = wall_usec, [SLOT_CAMERA] = (int64_t) l->camera_id, [SLOT_CLIP] = (int64_t) l->clip_id,
                [SLOT_DOCKING] = (int64_t) l->docking_id, [SLOT_MTIME] = seen_usec / (int64_t) USEC_PER_SEC,
                [SLOT_SEQ] = (int64_t) l->head.seq + 1, [SLOT_STORED] = wall_usec / (int64_t) USEC_PER_SEC,
        };
        char time[UTC_TEXT_SIZE];

        if (slot == SLOT_TIME)
                add(l, utc_text(wall_usec, time));
        else if (texts[slot])
                add(l, texts[slot]);
        else if (digests[slot])
                add_digest(l, digests[slot]);
        else
                add_number(l, numbers[slot]);
}

/* As notary_sign_receipt() does it. */
static int sign_receipt(Lay *l, int64_t wall_usec) {
        char digest[DIGEST_HEX_SIZE], time[UTC_TEXT_SIZE], key[128];
        StatementAbout about = { .type = STATEMENT_MANIFEST, .key = key, .fleet = "", .dock = l->dock.dock_id, .seq = ++l->statements };
        json_t *members;
        size_t at = 0;
        int r;

        (void) snprintf(key, sizeof(key), "receipts/%s/%010" PRIu64, l->dock.dock_id, about.seq);
        members = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:I, s:s}", "manifest", l->clip.manifest, "object", l->clip.object,
                            "object_version", "", "size", (json_int_t) YEARS_CLIP_BYTES, "sha256", digest_to_hex(&l->clip.digest, digest),
                            "strength", "digest", "clip_id", (json_int_t) l->clip_id, "time", utc_text(wall_usec, time));
        statement_done(&l->statement);
        l->statement = (Statement){ 0 };
        r = members ? statement_make(l->key, &about, members, &l->statement) : -ENOMEM;
        json_decref(members);
        if (r < 0)
                return fail("a signature", r, strerror(-r));
        (void) signature_to_text(&l->statement.signature, l->signature);
        for (const char *c = l->statement.text; *c && at + 3 < sizeof(l->escaped); c++) {
                if (*c == '"' || *c == '\\')
                        l->escaped[at++] = '\\';
                l->escaped[at++] = *c;
        }
        l->escaped[at] = 0;
        return 0;
}

static int append(Lay *l, const Line *line, int64_t wall_usec) {
        Bind b = { .statement = l->custody };
        Digest hash;
        int r;

        r = digest_of(l->bytes, l->size, &hash);
        if (r < 0)
                return r;
        bind_int(&b, (int64_t) l->head.seq + 1);
        (void) sqlite3_bind_blob(b.statement, ++b.n, l->bytes, (int) l->size, SQLITE_STATIC);
        bind_digest(&b, &hash);
        bind_text(&b, line->kind);
        bind_id(&b, l->clip_id, line->of_clip);
        bind_id(&b, l->camera_id, line->of_camera);
        bind_id(&b, l->docking_id, line->of_docking);
        bind_int(&b, wall_usec);
        r = run(l, &b, "an event");
        if (r >= 0)
                l->head = (ChainHead){ .seq = l->head.seq + 1, .hash = hash };
        return r;
}

static int lay_line(Lay *l, const Line *line, int64_t *seen_usec) {
        int64_t wall_usec = l->began_usec + line->after_usec;
        uint64_t clip_id = line->of_clip ? l->first_clip + line->clip : 0;
        int r = 0;

        if (clip_id != 0 && clip_id != l->clip_id) {
                *seen_usec = wall_usec;
                years_clip(l->serial, clip_id, wall_usec, &l->clip);
        }
        l->clip_id = clip_id != 0 ? clip_id : l->clip_id;
        if (line->receipt)
                r = sign_receipt(l, wall_usec);
        l->size = 0;
        for (size_t i = 0; r >= 0 && i < line->n; i++) {
                add(l, line->pieces[i].before);
                if (line->pieces[i].slot < _SLOT_MAX)
                        add_slot(l, line->pieces[i].slot, wall_usec, *seen_usec);
        }
        if (r >= 0)
                r = append(l, line, wall_usec);
        if (r >= 0 && line->check)
                r = row_of_check(l, wall_usec);
        if (r >= 0 && line->receipt)
                r = rows_of_clip(l, *seen_usec, wall_usec);
        return r < 0 || !line->receipt ? r : row_of_statement(l, wall_usec);
}

static int lay_docking(Lay *l) {
        int64_t seen_usec = 0;
        int r;

        years_serial(l->camera_id, l->serial);
        years_bay(l->camera_id, l->bay);
        l->clip_id = 0;
        r = row_of_docking(l);
        for (size_t i = 0; r >= 0 && i < l->n_lines; i++)
                r = lay_line(l, &l->lines[i], &seen_usec);
        if (r >= 0)
                r = db_run(l->db, "UPDATE cameras SET last_docked_usec = ?2 WHERE id = ?1",
                           DB_ARGS(DB_INT(l->camera_id), DB_INT(l->began_usec + (int64_t) USEC_PER_SEC)));
        l->first_clip += YEARS_CLIPS_PER_DOCKING;
        l->docking_id++;
        l->began_usec += l->lasts_usec;
        return r;
}

/* ---- All of them -------------------------------------------------------------------------------------------------- */

static int begin(Lay *l, const char *state_dir) {
        ConfError error = { 0 };
        CustodyEvent e = { 0 };
        int64_t number = 0;
        int r;

        r = state_dir_open(state_dir, &l->dir, &error);
        if (r < 0)
                return fail("dockings", r, error.text);
        l->db = l->dir.db;
        l->head = l->dir.head;
        r = db_exec(l->db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -1048576;");
        if (r >= 0)
                r = custody_last_key(l->db, &e);
        if (r < 0)
                return fail("dockings", r, db_message(l->db));
        (void) snprintf(l->dock.dock_id, sizeof(l->dock.dock_id), "%s", json_string_value(json_object_get(e.object, "dock_id")));
        custody_event_done(&e);
        r = read_pattern(l);
        if (r >= 0)
                r = prepare(l);
        if (r >= 0)
                r = db_number(l->db, "SELECT max(seq) FROM statements WHERE type = 'manifest'", DB_NO_ARGS, &number);
        l->statements = (uint64_t) number;
        if (r >= 0)
                r = db_number(l->db, "SELECT max(id) + 1 FROM dockings", DB_NO_ARGS, &number);
        l->docking_id = (uint64_t) number;
        if (r >= 0)
                r = db_number(l->db, "SELECT max(id) + 1 FROM clips", DB_NO_ARGS, &number);
        l->first_clip = (uint64_t) number;
        if (r >= 0)
                r = db_number(l->db, "SELECT wall_usec + 1000000 FROM custody WHERE seq = ?1", DB_ARGS(DB_INT(l->head.seq)), &number);
        l->began_usec = number;
        if (r >= 0)
                r = db_number(l->db, "SELECT total_usec - wall_usec FROM running", DB_NO_ARGS, &number);
        l->running_usec = number;
        return r;
}

static int checkpoint(Lay *l) {
        Writer w = { .db = l->db, .head = l->head, .signing = { .key = l->key } };
        Fact f = { .kind = FACT_CHECKPOINT, .text = "the rhythm" };
        int r;

        moment_now(true, &f.at);
        f.at.wall_usec = l->began_usec;
        f.at.boottime_usec = (uint64_t) l->began_usec;
        r = writer_apply(&w, &f);
        if (r < 0)
                return fail("a checkpoint", r, w.why);
        l->head = w.head;
        l->began_usec += (int64_t) USEC_PER_SEC;
        return db_run(l->db, "UPDATE statements SET state = 'stored' WHERE event_seq = ?1", DB_ARGS(DB_INT(l->head.seq)));
}

static int end(Lay *l) {
        int r;

        r = db_run(l->db, "UPDATE ids SET next = CASE which WHEN 'clip' THEN ?1 WHEN 'docking' THEN ?2 ELSE next END",
                   DB_ARGS(DB_INT(l->first_clip), DB_INT(l->docking_id)));
        if (r >= 0)
                r = db_exec(l->db, "PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL;");
        return r < 0 ? fail("the end", r, db_message(l->db)) : chain_file_write(l->dir.chain, &l->head);
}

static void lay_done(Lay *l) {
        sqlite3_stmt *statements[] = { l->custody, l->dockings, l->checks, l->clips, l->receipts, l->signed_ };

        for (size_t i = 0; i < ELEMENTSOF(statements); i++)
                (void) sqlite3_finalize(statements[i]);
        for (size_t i = 0; i < l->n_lines; i++) {
                for (size_t k = 0; k < l->lines[i].n; k++)
                        free(l->lines[i].pieces[k].before);
                free(l->lines[i].kind);
        }
        statement_done(&l->statement);
        if (l->db)
                db_settle(l->db);
        state_dir_close(&l->dir);
        free(l);
}

int years_lay(const char *state_dir, const SignKey *key, uint64_t dockings, uint64_t n_cameras, uint64_t next_camera) {
        Lay *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->key = key;
        l->dir.fd = -EBADF;
        r = begin(l, state_dir);
        for (uint64_t done = 0; r >= 0 && done < dockings; done++) {
                if (done % DOCKINGS_PER_COMMIT == 0)
                        r = db_exec(l->db, "BEGIN IMMEDIATE");
                l->camera_id = 1 + (next_camera + done) % n_cameras;
                r = r < 0 ? r : lay_docking(l);
                if (r >= 0 && done % n_cameras == 0)
                        r = checkpoint(l);
                if (r >= 0 && ((done + 1) % DOCKINGS_PER_COMMIT == 0 || done + 1 == dockings))
                        r = db_exec(l->db, "COMMIT");
        }
        if (r >= 0)
                r = end(l);
        lay_done(l);
        return r;
}
