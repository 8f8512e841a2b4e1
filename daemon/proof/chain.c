/* SPDX-License-Identifier: Apache-2.0 */

/* The database as such, the chain, and what the dock signed about it. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/wire_uplink.h"
#include "proof/proof.h"
#include "store/custody.h"
#include "store/schema.h"

#define STEP_EVENTS 2048u

typedef struct ChainProof {
        Proof *proof;
        Hasher *segment; /* of the events since the last checkpoint */
        uint64_t segment_from;
        Statement before; /* the last checkpoint; its text is NULL before the first */
        uint64_t statements, receipts, holds, total;
} ChainProof;

static const char *event_name(uint64_t seq, char ret[static 48]) {
        (void) snprintf(ret, 48, "custody event %" PRIu64, seq);
        return ret;
}

/* ---- One event that is wrong ---------------------------------------------------------------------------------------- */

static void compare_columns(Proof *p, const char *where, sqlite3_stmt *row, const CustodyEvent *e) {
        const struct {
                const char *name;
                int column;
                uint64_t value;
        } numbers[] = { { "seq", 0, e->seq },
                        { "clip_id", 4, e->clip_id },
                        { "camera_id", 5, e->camera_id },
                        { "docking_id", 6, e->docking_id } };

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                if (db_column_uint(row, numbers[i].column) != numbers[i].value)
                        proof_found(p, where, "the column %s says %" PRIu64 ", and its bytes say %" PRIu64, numbers[i].name,
                                    db_column_uint(row, numbers[i].column), numbers[i].value);
        if (!text_equal((const char *) sqlite3_column_text(row, 3), e->kind))
                proof_found(p, where, "the column kind says '%s', and its bytes say '%s'",
                            (const char *) sqlite3_column_text(row, 3), e->kind);
        if (sqlite3_column_int64(row, 7) != e->wall_usec)
                proof_found(p, where, "the column wall_usec is not the time in its bytes");
}

/* Says what is wrong with an event that the walk did not pass. */
static void diagnose(Proof *p, uint64_t seq, const Digest *before) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        uint64_t findings = p->counts.findings;
        CustodyEvent e = { 0 };
        char where[48];
        const void *bytes;
        Digest hash;
        int r;

        (void) event_name(seq, where);
        r = db_query(p->db, "SELECT seq, bytes, hash, kind, clip_id, camera_id, docking_id, wall_usec FROM custody WHERE seq = ?1",
                     DB_ARGS(DB_INT(seq)), &row);
        if (r < 0)
                return proof_found(p, where, "it cannot be read: %s", db_message(p->db));
        if (r == 0)
                return proof_found(p, where, "it is missing");
        bytes = sqlite3_column_blob(row, 1);
        if (!bytes || custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 1), &e) < 0)
                return proof_found(p, where, "the column bytes holds no canonical event");
        if (db_column_digest(row, 2, &hash) < 0 || !digest_equal(&hash, &e.hash))
                proof_found(p, where, "the SHA-256 of its bytes is not what the column hash says");
        compare_columns(p, where, row, &e);
        if (before && !digest_equal(&e.prev, before))
                proof_found(p, where, "it does not follow the event before it: one of the two was changed or exchanged");
        if (p->counts.findings == findings)
                proof_found(p, where, "it does not follow the event before it");
        custody_event_done(&e);
}

/* ---- Keys and checkpoints ------------------------------------------------------------------------------------------- */

/* The statement that an event holds, checked against what it must be; 0 when it is none. */
static int take_statement(ChainProof *c, const CustodyEvent *e, const char *where, const char *type, const char *folder, uint64_t seq,
                          Statement *ret) {
        Proof *p = c->proof;
        _cleanup_(freep) char *key = text_format("%s/%s/%010" PRIu64, folder, p->dock_id, seq);
        const StatementAbout about = { .type = type, .key = key, .dock = p->dock_id, .seq = seq - 1 };
        _cleanup_(statement_done) Statement s = { 0 };
        const char *why;
        int r;

        if (!key)
                return -ENOMEM;
        r = custody_statement(e, &s);
        if (r == -EKEYREJECTED || r == -EBADE) {
                proof_found(p, where, r == -EBADE ? "it holds no signed statement" : "its signature is not that of the key that it names");
                return 0;
        }
        if (r < 0)
                return r;
        why = statement_mismatch(&s, &about, &p->key);
        if (!why && s.about.seq != seq)
                why = "one of its type is missing before it";
        if (why) {
                proof_found(p, where, "its statement does not count: %s", why);
                return 0;
        }
        *ret = s;
        s = (Statement){ 0 };
        return 1;
}

static void compare_statement_row(ChainProof *c, const CustodyEvent *e, const Statement *s, uint64_t head_seq) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        Proof *p = c->proof;
        char where[64];
        Digest hash;
        int r;

        (void) snprintf(where, sizeof(where), "statements, event_seq %" PRIu64, e->seq);
        r = db_query(p->db, "SELECT type, seq, key, hash, head_seq, state FROM statements WHERE event_seq = ?1", DB_ARGS(DB_INT(e->seq)),
                     &row);
        if (r < 0)
                return proof_found(p, where, "it cannot be read: %s", db_message(p->db));
        if (r == 0)
                return proof_found(p, where, "the row is missing");
        if (!text_equal((const char *) sqlite3_column_text(row, 0), s->about.type) || db_column_uint(row, 1) != s->about.seq ||
            !text_equal((const char *) sqlite3_column_text(row, 2), s->about.key) || db_column_digest(row, 3, &hash) < 0 ||
            !digest_equal(&hash, &s->hash) || db_column_uint(row, 4) != head_seq)
                proof_found(p, where, "the row says something else than the event that it was made from");
        if (text_equal((const char *) sqlite3_column_text(row, 5), "refused"))
                proof_found(p, where, "the store holds another text as %s", s->about.key);
}

static const char *text_of(const Statement *s, const char *key) {
        return json_string_value(json_object_get(s->object, key));
}

static bool names(const Statement *s, const char *key, const Digest *d) {
        char hex[DIGEST_HEX_SIZE];

        return text_equal(text_of(s, key), digest_to_hex(d, hex));
}

static bool counts(const Statement *s, const char *key, uint64_t n) {
        const json_t *member = json_object_get(s->object, key);

        return json_is_integer(member) && json_integer_value(member) == (json_int_t) n;
}

static int take_checkpoint(ChainProof *c, const CustodyEvent *e, const char *where) {
        _cleanup_(statement_done) Statement s = { 0 };
        const Digest none = { 0 };
        Proof *p = c->proof;
        Digest segment;
        int r;

        if (!p->has_key) {
                proof_found(p, where, "a checkpoint before the dock had a key");
                return 0;
        }
        r = take_statement(c, e, where, STATEMENT_CHECKPOINT, "checkpoints", p->last_checkpoint + 1, &s);
        if (r >= 0 && hasher_finish(c->segment, &segment) < 0)
                r = -EIO;
        if (r > 0) {
                if (!counts(&s, "head_seq", e->seq - 1) || !names(&s, "head_hash", &e->prev))
                        proof_found(p, where, "the checkpoint covers another chain than the one before it");
                if (!names(&s, "prev", c->before.text ? &c->before.hash : &none))
                        proof_found(p, where, "the checkpoint does not follow the checkpoint before it");
                if (!counts(&s, "from_seq", c->segment_from) || !names(&s, "segment", &segment))
                        proof_found(p, where, "the checkpoint does not cover the events since the one before it");
                compare_statement_row(c, e, &s, e->seq - 1);
                statement_done(&c->before);
                c->before = s;
                s = (Statement){ 0 };
        }
        if (r < 0)
                return r;
        c->segment_from = e->seq;
        p->last_checkpoint++;
        p->counts.checkpoints++;
        c->statements++;
        return 0;
}

/* A receipt is signed since the dock's software does so; one that once was cannot lose that, for its event is in the chain. */
static int take_receipt(ChainProof *c, const CustodyEvent *e, const char *where) {
        static const char *const alike[][2] = { { "manifest", "manifest_key" }, { "object", "object_key" }, { "strength", "strength" },
                                                { "sha256", "digest" } };
        _cleanup_(statement_done) Statement s = { 0 };
        Proof *p = c->proof;
        bool same;
        int r;

        if (!json_object_get(e->object, "statement"))
                return 0;
        if (!p->has_key) {
                proof_found(p, where, "a signed receipt before the dock had a key");
                return 0;
        }
        r = take_statement(c, e, where, STATEMENT_MANIFEST, "receipts", c->receipts + 1, &s);
        c->receipts++;
        c->statements++;
        if (r <= 0)
                return r;
        same = counts(&s, "clip_id", e->clip_id) &&
               json_equal(json_object_get(s.object, "size"), json_object_get(e->object, "size_bytes"));
        for (size_t i = 0; i < ELEMENTSOF(alike) && same; i++)
                same = text_equal(text_of(&s, alike[i][0]), json_string_value(json_object_get(e->object, alike[i][1])));
        if (!same)
                proof_found(p, where, "the dock signed another receipt than the event tells of");
        compare_statement_row(c, e, &s, e->seq - 1);
        return 0;
}

/* Likewise. What it is about stands in the tables, which are compared with the event. */
static int take_hold(ChainProof *c, const CustodyEvent *e, const char *where) {
        _cleanup_(statement_done) Statement s = { 0 };
        const char *name = json_string_value(json_object_get(e->object, "case"));
        Proof *p = c->proof;
        int r;

        if (!json_object_get(e->object, "statement"))
                return 0;
        if (!p->has_key) {
                proof_found(p, where, "a signed hold before the dock had a key");
                return 0;
        }
        r = take_statement(c, e, where, STATEMENT_HOLD, WIRE_KEEP_HOLDS, c->holds + 1, &s);
        c->holds++;
        c->statements++;
        if (r <= 0)
                return r;
        if (json_is_true(json_object_get(s.object, "held")) != text_equal(e->kind, "hold-set") ||
            !text_equal(text_of(&s, "case"), name ? name : "") ||
            !text_equal(text_of(&s, "serial"), json_string_value(json_object_get(e->object, "serial"))))
                proof_found(p, where, "the dock signed another hold than the event tells of");
        compare_statement_row(c, e, &s, e->seq - 1);
        return 0;
}

/* A database that was put back goes on above all that the dock may have signed since its backup, which it does not know. */
static void take_restoration(ChainProof *c, const CustodyEvent *e) {
        uint64_t from = (uint64_t) json_integer_value(json_object_get(e->object, "numbers_from"));

        c->proof->last_checkpoint = MAX2(c->proof->last_checkpoint, from);
        c->receipts = MAX2(c->receipts, from);
        c->holds = MAX2(c->holds, from);
        c->proof->counts.restorations++;
}

static int take_key(ChainProof *c, const CustodyEvent *e, const char *where) {
        const char *dock = json_string_value(json_object_get(e->object, "dock_id"));
        _cleanup_(statement_done) Statement s = { 0 };
        Proof *p = c->proof;
        PublicKey key;
        int r;

        /* A database that was made anew goes on above all that the dock signed before. */
        if (!p->has_key && text_equal(e->kind, "key-made"))
                p->key_number = p->last_checkpoint = c->receipts = c->holds =
                        (uint64_t) json_integer_value(json_object_get(e->object, "numbers_from"));
        if (public_key_from_hex(json_string_value(json_object_get(e->object, "public_key")), &key) < 0 || !dock ||
            strlen(dock) != DOCK_ID_SIZE - 1 ||
            json_integer_value(json_object_get(e->object, "key_number")) != (json_int_t) p->key_number + 1) {
                proof_found(p, where, "it tells of no key of the dock, or not of the next one");
                return 0;
        }
        if (!p->has_key)
                memcpy(p->dock_id, dock, DOCK_ID_SIZE);
        else if (!text_equal(dock, p->dock_id))
                proof_found(p, where, "it is of the dock %s, and this is %s", dock, p->dock_id);
        p->counts.keys++;
        p->key_number++;
        if (text_equal(e->kind, "key-rotated")) {
                c->statements++;
                r = take_statement(c, e, where, STATEMENT_KEY_ROTATION, "keys", p->key_number, &s);
                if (r < 0)
                        return r;
                if (r > 0 && !text_equal(text_of(&s, "new_key"), json_string_value(json_object_get(e->object, "public_key"))))
                        proof_found(p, where, "the key before it signed another key than this");
                if (r > 0)
                        compare_statement_row(c, e, &s, e->seq - 1);
        } else if (text_equal(e->kind, "key-replaced"))
                proof_found(p, where, "the dock's key was replaced by one that the key before it did not sign: what is signed after this "
                            "counts only if the fleet's list has that key");
        p->key = key;
        p->has_key = true;
        return 0;
}

static int visit(void *userdata, const CustodyEvent *e, const void *bytes, size_t size) {
        ChainProof *c = userdata;
        char hex[DIGEST_HEX_SIZE], line[160], where[48];
        int n, r = 0;

        (void) bytes;
        (void) size;
        (void) event_name(e->seq, where);
        if (text_equal(e->kind, "checkpoint"))
                r = take_checkpoint(c, e, where);
        else if (text_equal(e->kind, "receipted"))
                r = take_receipt(c, e, where);
        else if (text_equal(e->kind, "hold-set") || text_equal(e->kind, "hold-released"))
                r = take_hold(c, e, where);
        else if (text_equal(e->kind, "key-made") || text_equal(e->kind, "key-rotated") || text_equal(e->kind, "key-replaced"))
                r = take_key(c, e, where);
        else if (text_equal(e->kind, "restored"))
                take_restoration(c, e);
        if (r < 0)
                return r;
        n = snprintf(line, sizeof(line), "%s  " CUSTODY_EVENT_FILE "\n", digest_to_hex(&e->hash, hex), e->seq);
        c->proof->counts.events++;
        c->proof->counts.recoveries += text_equal(e->kind, "recovery-begun");
        c->proof->counts.recovered_clips += text_equal(e->kind, "clip-recovered");
        return hasher_update(c->segment, line, (size_t) n);
}

/* ---- The walk ------------------------------------------------------------------------------------------------------- */

/* The checkpoint that covers a gap is judged by the gap alone. */
static int go_on_after(CustodyWalk *walk, Db *db, uint64_t total) {
        uint64_t seq = walk->bad_seq;

        while (seq <= total) {
                int r = custody_walk_begin(walk, db, ++seq);

                if (r != -EBADE)
                        return r < 0 ? r : seq <= total;
        }
        return 0;
}

static int walk_all(ChainProof *c, ChainHead *ret) {
        Proof *p = c->proof;
        CustodyWalk walk;
        int r;

        r = custody_walk_begin(&walk, p->db, 1);
        while (r >= 0) {
                r = custody_walk(&walk, STEP_EVENTS, UINT64_MAX, visit, c);
                proof_progress(p, "events", walk.at.seq, c->total);
                if (r == 0)
                        break;
                if (r != -EBADE)
                        continue;
                diagnose(p, walk.bad_seq, &walk.at.hash);
                r = go_on_after(&walk, p->db, c->total);
                if (r <= 0)
                        break;
        }
        if (r < 0)
                proof_found(p, "berth.db", "the custody log cannot be read to its end: %s", db_message(p->db));
        *ret = walk.at;
        return r;
}

static void compare_head(Proof *p, const ChainHead *newest) {
        ChainHead file = { 0 };
        Digest hash;
        int r;

        r = chain_file_read(p->dir, &file);
        if (r < 0)
                return proof_found(p, CHAIN_HEAD_NAME, r == -ENOENT ? "the file is missing" :
                                                       r == -EBADE  ? "the file is damaged: neither of its slots can be read" :
                                                                      "the file cannot be read");
        if (file.seq > newest->seq)
                return proof_found(p, CHAIN_HEAD_NAME, "it knows of event %" PRIu64 ", and the database ends at %" PRIu64
                                   ": its newest events are gone, or it was set back", file.seq, newest->seq);
        if (file.seq > 0 && (custody_hash(p->db, file.seq, &hash) < 0 || !digest_equal(&hash, &file.hash)))
                proof_found(p, CHAIN_HEAD_NAME, "its hash of event %" PRIu64 " is not the database's", file.seq);
}

static void compare_key_file(Proof *p) {
        _cleanup_(sign_key_freep) SignKey *key = NULL;
        char *pem = NULL;
        size_t size = 0;
        int r;

        r = fd_read_file(p->dir, "dock.key", 4096, &pem, &size);
        /* It may be a credential of the service. */
        if (r == -ENOENT)
                return;
        if (r >= 0) {
                r = sign_key_from_pem(pem, size, &key);
                explicit_bzero(pem, size);
                free(pem);
        }
        if (r < 0)
                proof_found(p, "dock.key", "it is no Ed25519 key");
        else if (p->has_key && !public_key_equal(sign_key_public(key), &p->key))
                proof_found(p, "dock.key", "it is another key than the one that the custody log tells of");
}

static void compare_id_file(Proof *p) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        int r = fd_read_file(p->dir, "dock.id", DOCK_ID_SIZE, &text, &size);

        if (r == -ENOENT && p->has_key)
                proof_found(p, "dock.id", "the file is missing");
        else if (p->has_key &&
            (r < 0 || size != DOCK_ID_SIZE || text[size - 1] != '\n' || memcmp(text, p->dock_id, DOCK_ID_SIZE - 1) != 0))
                proof_found(p, "dock.id", "it does not hold the dock's id of which the custody log tells");
}

static void check_database(Proof *p) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        ConfError error = { 0 };
        int r;

        if (schema_check(p->db, "berth.db", &error) < 0)
                proof_found(p, "berth.db", "its tables are not as Berth made them: %s", error.text);
        r = db_query(p->db, "PRAGMA integrity_check(8)", DB_NO_ARGS, &row);
        for (; r > 0; r = db_next(row))
                if (!text_equal((const char *) sqlite3_column_text(row, 0), "ok"))
                        proof_found(p, "berth.db", "SQLite finds damage: %s", (const char *) sqlite3_column_text(row, 0));
        if (r < 0)
                proof_found(p, "berth.db", "SQLite cannot check it: %s", db_message(p->db));
}

static void count_statements(ChainProof *c) {
        int64_t rows = 0;

        if (db_number(c->proof->db, "SELECT count(*) FROM statements", DB_NO_ARGS, &rows) >= 0 && (uint64_t) rows != c->statements)
                proof_found(c->proof, "statements", "the table has %" PRId64 " rows, and the chain %" PRIu64 " signed statements", rows,
                            c->statements);
}

int proof_chain(Proof *p) {
        ChainProof c = { .proof = p, .segment_from = 1 };
        ChainHead newest = { 0 };
        int64_t total = 0;
        int r;

        check_database(p);
        (void) db_number(p->db, "SELECT max(seq) FROM custody", DB_NO_ARGS, &total);
        c.total = (uint64_t) total;
        r = hasher_new(&c.segment);
        if (r < 0)
                return r;
        r = walk_all(&c, &newest);
        compare_head(p, &newest);
        compare_key_file(p);
        compare_id_file(p);
        if (r >= 0)
                count_statements(&c);
        p->counts.uncovered = newest.seq >= c.segment_from ? newest.seq - c.segment_from + 1 : 0;
        statement_done(&c.before);
        hasher_free(c.segment);
        return r < 0 ? r : 0;
}
