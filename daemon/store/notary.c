/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the dock signs: checkpoints of the chain, which key follows which, which object a manifest names, and what is held. A statement is
 * made here, on the store's thread, so that it covers exactly what the transaction holds before it; text and signature are members of its
 * own custody event.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/wire_uplink.h"
#include "store/custody.h"
#include "store/store_private.h"
#include "store/writer.h"

#define KEY_KINDS "('key-made', 'key-rotated', 'key-replaced')"

int custody_last_key(Db *db, CustodyEvent *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        const void *bytes;
        int r;

        r = db_query(db, "SELECT bytes FROM custody WHERE kind IN " KEY_KINDS " ORDER BY seq DESC LIMIT 1", DB_NO_ARGS, &row);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENOENT;
        bytes = sqlite3_column_blob(row, 0);
        return bytes ? custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), ret) : -EBADE;
}

/*
 * What the dock signed before its database was made anew, or put back from a backup, had no higher numbers: the log's first key event
 * tells, or its last of a restoration. 0: nothing was.
 */
static int numbers_from(Db *db, uint64_t *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        CustodyEvent e = { 0 };
        const void *bytes;
        int r;

        r = db_query(db, "SELECT bytes FROM custody WHERE kind = 'restored' AND clip_id IS NULL AND camera_id IS NULL"
                         " AND docking_id IS NULL ORDER BY seq DESC LIMIT 1", DB_NO_ARGS, &row);
        if (r == 0) {
                db_resetp(&row);
                r = db_query(db, "SELECT bytes FROM custody WHERE kind IN " KEY_KINDS " ORDER BY seq LIMIT 1", DB_NO_ARGS, &row);
        }
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        bytes = sqlite3_column_blob(row, 0);
        r = bytes ? custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), &e) : -EBADE;
        if (r < 0)
                return r;
        *ret = (uint64_t) json_integer_value(json_object_get(e.object, "numbers_from"));
        custody_event_done(&e);
        return 0;
}

int custody_statement(const CustodyEvent *e, Statement *ret) {
        return statement_from_parts(json_string_value(json_object_get(e->object, "statement")),
                                    json_string_value(json_object_get(e->object, "signature")), ret);
}

int custody_segment(Db *db, uint64_t from, uint64_t to, Digest *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        uint64_t next = from;
        int r;

        r = hasher_new(&hasher);
        if (r < 0)
                return r;
        r = db_query(db, "SELECT seq, hash FROM custody WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq", DB_ARGS(DB_INT(from), DB_INT(to)),
                     &row);
        for (; r > 0; r = db_next(row)) {
                char hex[DIGEST_HEX_SIZE], line[160];
                Digest hash;
                int n;

                if (db_column_uint(row, 0) != next || db_column_digest(row, 1, &hash) < 0)
                        return -EBADE;
                n = snprintf(line, sizeof(line), "%s  " CUSTODY_EVENT_FILE "\n", digest_to_hex(&hash, hex), next);
                r = hasher_update(hasher, line, (size_t) n);
                if (r < 0)
                        return r;
                next++;
        }
        if (r < 0)
                return r;
        return next == to + 1 ? hasher_finish(hasher, ret) : -EBADE;
}

/* ---- The dock's key ------------------------------------------------------------------------------------------------ */

static int read_key(Db *db, DockKey *ret) {
        CustodyEvent e = { 0 };
        const char *dock_id;
        DockKey k = { 0 };
        int r;

        r = custody_last_key(db, &e);
        if (r < 0)
                return r;
        dock_id = json_string_value(json_object_get(e.object, "dock_id"));
        k.number = (uint64_t) json_integer_value(json_object_get(e.object, "key_number"));
        if (!dock_id || strlen(dock_id) != DOCK_ID_SIZE - 1 || k.number == 0 ||
            public_key_from_hex(json_string_value(json_object_get(e.object, "public_key")), &k.public) < 0)
                r = -EBADE;
        else
                memcpy(k.dock_id, dock_id, DOCK_ID_SIZE);
        custody_event_done(&e);
        if (r < 0)
                return r;
        *ret = k;
        return 0;
}

/* The private half of the dock's key. */
static int find_signer(Writer *w, const DockKey *dock, const SignKey **ret) {
        const SignKey *keys[] = { w->signing.key, w->signing.next };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (keys[i] && public_key_equal(sign_key_public(keys[i]), &dock->public)) {
                        *ret = keys[i];
                        return 0;
                }
        return writer_refuse(w, -ENOKEY, "the dock's key, by which the custody log is signed, is not at hand");
}

static int first_key(Writer *w, const Fact *f) {
        DockKey before;
        int r;

        r = read_key(w->db, &before);
        if (r >= 0)
                return writer_refuse(w, -EEXIST, "the dock has a key already");
        if (r != -ENOENT)
                return writer_check(w, r);
        if (!f->key.dock_id || strlen(f->key.dock_id) != DOCK_ID_SIZE - 1)
                return writer_refuse(w, -EINVAL, "a dock's id has %d digits", DOCK_ID_SIZE - 1);
        return writer_extra(w, "key_number", json_integer((json_int_t) f->key.numbers_from + 1));
}

/* ---- Statements ---------------------------------------------------------------------------------------------------- */

/* Text and signature go into the event that is about to be appended. */
static int keep_statement(Writer *w, const Fact *f, const Statement *s, uint64_t head_seq) {
        char signature[SIGNATURE_TEXT_SIZE];
        int r;

        if (writer_extra(w, "statement", json_string(s->text)) < 0 ||
            writer_extra(w, "signature", json_string(signature_to_text(&s->signature, signature))) < 0)
                return -ENOMEM;
        r = db_run(w->db, "INSERT INTO statements (event_seq, type, seq, key, hash, head_seq, state_usec)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                   DB_ARGS(DB_INT(w->head.seq + 1), DB_TEXT(s->about.type), DB_INT(s->about.seq), DB_TEXT(s->about.key),
                           DB_DIGEST(&s->hash), DB_INT(head_seq), DB_INT(f->at.wall_usec)));
        return writer_check(w, r);
}

static int make_statement(Writer *w, const SignKey *signer, const DockKey *dock, const char *type, const char *folder, uint64_t seq,
                          json_t *members, Statement *ret) {
        _cleanup_(freep) char *key = text_format("%s/%s/%010" PRIu64, folder, dock->dock_id, seq);
        const StatementAbout about = { .type = type, .key = key, .fleet = w->signing.fleet, .dock = dock->dock_id, .seq = seq };
        int r;

        if (!key || !members)
                return -ENOMEM;
        r = statement_make(signer, &about, members, ret);
        return r < 0 ? writer_refuse(w, r, "a %s cannot be signed: %s", type, strerror(-r)) : 0;
}

static int rotate_key(Writer *w, const Fact *f) {
        _cleanup_(json_decrefp) json_t *members = NULL;
        _cleanup_(statement_done) Statement s = { 0 };
        char old_hex[PUBLIC_KEY_HEX_SIZE], new_hex[PUBLIC_KEY_HEX_SIZE], time[UTC_TEXT_SIZE];
        const SignKey *signer = NULL;
        DockKey dock;
        int r;

        r = read_key(w->db, &dock);
        if (r < 0)
                return r == -ENOENT ? writer_refuse(w, r, "the dock has no key yet") : writer_check(w, r);
        if (public_key_equal(&dock.public, &f->key.public))
                return writer_refuse(w, -EALREADY, "the dock has this key already");
        if (writer_extra(w, "key_number", json_integer((json_int_t) dock.number + 1)) < 0 ||
            writer_extra(w, "dock_id", json_string(dock.dock_id)) < 0)
                return -ENOMEM;
        if (f->kind == FACT_KEY_REPLACED)
                return 0;
        r = find_signer(w, &dock, &signer);
        if (r < 0)
                return r;
        members = json_pack("{s:s, s:s, s:s}", "old_key", public_key_to_hex(&dock.public, old_hex), "new_key",
                            public_key_to_hex(&f->key.public, new_hex), "time", utc_text(f->at.wall_usec, time));
        r = make_statement(w, signer, &dock, STATEMENT_KEY_ROTATION, "keys", dock.number + 1, members, &s);
        return r < 0 ? r : keep_statement(w, f, &s, w->head.seq);
}

/* What the next checkpoint follows. Zeros before the first. */
typedef struct Before {
        uint64_t seq, head_seq;
        Digest hash;
} Before;

static int last_checkpoint(Writer *w, Before *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        Before b = { 0 };
        uint64_t from = 0;
        int r;

        r = db_query(w->db, "SELECT seq, head_seq, hash FROM statements WHERE type = 'checkpoint' ORDER BY seq DESC LIMIT 1", DB_NO_ARGS,
                     &row);
        if (r < 0)
                return writer_check(w, r);
        if (r > 0) {
                b.seq = db_column_uint(row, 0);
                b.head_seq = db_column_uint(row, 1);
                r = db_column_digest(row, 2, &b.hash);
        }
        if (r >= 0)
                r = numbers_from(w->db, &from);
        if (r < 0)
                return writer_check(w, r);
        b.seq = MAX2(b.seq, from);
        *ret = b;
        return 0;
}

static json_t *checkpoint_members(const Writer *w, const Fact *f, const Before *before, const Digest *segment) {
        char prev[DIGEST_HEX_SIZE], head[DIGEST_HEX_SIZE], events[DIGEST_HEX_SIZE], time[UTC_TEXT_SIZE];

        return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:I, s:b, s:s}", "prev", digest_to_hex(&before->hash, prev), "head_hash",
                         digest_to_hex(&w->head.hash, head), "head_seq", (json_int_t) w->head.seq, "from_seq",
                         (json_int_t) before->head_seq + 1, "segment", digest_to_hex(segment, events), "time",
                         utc_text(f->at.wall_usec, time), "boot", f->at.boot_id, "boottime_usec", (json_int_t) f->at.boottime_usec,
                         "synchronised", (int) f->at.synchronised, "reason", f->text ? f->text : "");
}

/*
 * "half_pulled": [[clip, blocks, digest over their digests], …]: facts about blocks have no events of their own, so that a part that nobody
 * went on with, as its dock lost its power, would be in no event.
 */
static int tell_parts(Writer *w) {
        _cleanup_(json_decrefp) json_t *parts = json_array();
        int64_t clip_id = 0;
        int r;

        while ((r = db_number(w->db, "SELECT min(c.id) FROM clips c WHERE c.state = 'copying' AND c.id > ?1"
                                     " AND EXISTS (SELECT 1 FROM blocks b WHERE b.clip_id = c.id)",
                              DB_ARGS(DB_INT(clip_id)), &clip_id)) >= 0) {
                char hex[DIGEST_HEX_SIZE];
                BlockSum sum;

                r = blocks_sum(w, (uint64_t) clip_id, 0, &sum);
                /* Blocks that somebody has spoilt are no reason not to sign the rest. */
                if (r == -EBADMSG)
                        continue;
                if (r < 0)
                        return r;
                if (json_array_append_new(parts, json_pack("[I, I, s]", (json_int_t) clip_id, (json_int_t) sum.n,
                                                           digest_to_hex(&sum.digest, hex))) < 0)
                        return -ENOMEM;
        }
        if (r != -ENOENT)
                return writer_check(w, r);
        w->why[0] = 0;
        return json_array_size(parts) == 0 ? 0 : writer_extra(w, "half_pulled", json_incref(parts));
}

static int make_checkpoint(Writer *w, const Fact *f) {
        _cleanup_(json_decrefp) json_t *members = NULL;
        _cleanup_(statement_done) Statement s = { 0 };
        const SignKey *signer = NULL;
        Before before = { 0 };
        Digest segment;
        DockKey dock;
        int r;

        r = read_key(w->db, &dock);
        if (r < 0)
                return r == -ENOENT ? writer_refuse(w, -ENOKEY, "the dock has no key yet") : writer_check(w, r);
        if ((r = find_signer(w, &dock, &signer)) < 0 || (r = last_checkpoint(w, &before)) < 0)
                return r;
        r = custody_segment(w->db, before.head_seq + 1, w->head.seq, &segment);
        if (r < 0)
                return writer_refuse(w, r, "the custody events since checkpoint %" PRIu64 " cannot be read", before.seq);
        r = tell_parts(w);
        if (r < 0)
                return r;
        members = checkpoint_members(w, f, &before, &segment);
        r = make_statement(w, signer, &dock, STATEMENT_CHECKPOINT, "checkpoints", before.seq + 1, members, &s);
        return r < 0 ? r : keep_statement(w, f, &s, w->head.seq);
}

static json_t *receipt_members(const Fact *f) {
        char digest[DIGEST_HEX_SIZE], time[UTC_TEXT_SIZE];

        return json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:I, s:s}", "manifest", f->receipt.manifest_key, "object", f->receipt.object_key,
                         "object_version", f->receipt.version ? f->receipt.version : "", "size", (json_int_t) f->receipt.size_bytes,
                         "sha256", digest_to_hex(&f->receipt.digest, digest), "strength", f->receipt.strength, "clip_id",
                         (json_int_t) f->clip_id, "time", utc_text(f->at.wall_usec, time));
}

/* Signs it under the next number of its type, into the event that is about to be appended; takes the members. Not before there is a key. */
static int sign_next(Writer *w, const Fact *f, const char *type, const char *folder, json_t *members) {
        _cleanup_(json_decrefp) json_t *taken = members;
        _cleanup_(statement_done) Statement s = { 0 };
        const SignKey *signer = NULL;
        uint64_t from = 0;
        int64_t last = 0;
        DockKey dock;
        int r;

        r = read_key(w->db, &dock);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return writer_check(w, r);
        r = find_signer(w, &dock, &signer);
        if (r >= 0)
                r = writer_check(w, db_number(w->db, "SELECT coalesce(max(seq), 0) FROM statements WHERE type = ?1", DB_ARGS(DB_TEXT(type)),
                                              &last));
        if (r >= 0)
                r = writer_check(w, numbers_from(w->db, &from));
        if (r >= 0)
                r = make_statement(w, signer, &dock, type, folder, MAX2((uint64_t) last, from) + 1, taken, &s);
        return r < 0 ? r : keep_statement(w, f, &s, w->head.seq);
}

int notary_sign_receipt(Writer *w, const Fact *f) {
        /* A manifest is what others go by: a receipt that names none says nothing about the store to them. */
        if (!f->receipt.manifest_key || !f->receipt.manifest_key[0])
                return 0;
        return sign_next(w, f, STATEMENT_MANIFEST, WIRE_KEEP_RECEIPTS, receipt_members(f));
}

/* By what it is known anywhere: numbers of clips and cameras are this database's own. */
static int hold_members(Writer *w, const Fact *f, json_t **ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        char time[UTC_TEXT_SIZE], hex[DIGEST_HEX_SIZE] = "";
        const char *serial, *path;
        Digest digest;
        int r;

        r = f->clip_id != 0 ?
                db_query(w->db, "SELECT k.serial, c.path, c.digest FROM clips c JOIN cameras k ON k.id = c.camera_id WHERE c.id = ?1",
                         DB_ARGS(DB_INT(f->clip_id)), &row) :
                db_query(w->db, "SELECT serial, '', NULL FROM cameras WHERE id = ?1", DB_ARGS(DB_INT(f->camera_id)), &row);
        if (r <= 0)
                return r < 0 ? writer_check(w, r) : writer_refuse(w, -ENOENT, "there is no such clip or camera to be held");
        serial = (const char *) sqlite3_column_text(row, 0);
        path = (const char *) sqlite3_column_text(row, 1);
        /* Before it was copied nobody knows it. */
        if (db_column_digest(row, 2, &digest) >= 0)
                (void) digest_to_hex(&digest, hex);
        *ret = json_pack("{s:b, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "held", (int) (f->kind == FACT_HOLD_SET), "serial",
                         serial ? serial : "", "path", path ? path : "", "sha256", hex, "case", f->hold.case_name ? f->hold.case_name : "",
                         "reason", f->text ? f->text : "", "operator_uid", (json_int_t) f->operator_uid, "operator",
                         f->operator_name ? f->operator_name : "", "time", utc_text(f->at.wall_usec, time));
        return *ret ? 0 : -ENOMEM;
}

int notary_sign_hold(Writer *w, const Fact *f) {
        json_t *members = NULL;
        int r = hold_members(w, f, &members);

        return r < 0 ? r : sign_next(w, f, STATEMENT_HOLD, WIRE_KEEP_HOLDS, members);
}

static int settle(Writer *w, const Fact *f, const char *state) {
        int r;

        r = db_run(w->db, "UPDATE statements SET state = ?2, state_usec = ?3 WHERE key = ?1",
                   DB_ARGS(DB_TEXT(f->statement.key), DB_TEXT(state), DB_INT(f->at.wall_usec)));
        if (r == 0)
                return writer_refuse(w, -ENOENT, "nothing was signed for %s", f->statement.key ? f->statement.key : "no key");
        return writer_check(w, r);
}

int notary_apply(Writer *w, const Fact *f) {
        switch (f->kind) {
        case FACT_KEY_MADE:
                return first_key(w, f);
        case FACT_KEY_ROTATED:
        case FACT_KEY_REPLACED:
                return rotate_key(w, f);
        case FACT_CHECKPOINT:
                return make_checkpoint(w, f);
        case FACT_STATEMENT_STORED:
                return settle(w, f, "stored");
        case FACT_STATEMENT_REFUSED:
                return settle(w, f, "refused");
        default:
                return -EINVAL;
        }
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

int store_dock_key(Store *s, DockKey *ret) {
        return read_key(s->reader, ret);
}

static int add_key(const void *bytes, size_t size, PublicKey **keys, size_t *n) {
        CustodyEvent e = { 0 };
        PublicKey key, *grown;
        int r;

        r = bytes ? custody_parse(bytes, size, &e) : -EBADE;
        if (r >= 0 && public_key_from_hex(json_string_value(json_object_get(e.object, "public_key")), &key) < 0)
                r = -EBADE;
        custody_event_done(&e);
        if (r < 0)
                return r;
        grown = reallocarray(*keys, *n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        *keys = grown;
        grown[(*n)++] = key;
        return 0;
}

int store_dock_keys(Store *s, PublicKey **ret, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(freep) PublicKey *keys = NULL;
        size_t n = 0;
        int r;

        r = db_query(s->reader, "SELECT bytes FROM custody WHERE kind IN " KEY_KINDS " ORDER BY seq", DB_NO_ARGS, &row);
        for (; r > 0; r = db_next(row)) {
                int bad = add_key(sqlite3_column_blob(row, 0), (size_t) sqlite3_column_bytes(row, 0), &keys, &n);

                if (bad < 0)
                        return bad;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(keys);
        *ret_n = n;
        return 0;
}

int store_last_checkpoint(Store *s, CheckpointRow *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(s->reader,
                     "SELECT s.seq, s.event_seq, s.head_seq, c.wall_usec FROM statements s JOIN custody c ON c.seq = s.event_seq"
                     " WHERE s.type = 'checkpoint' ORDER BY s.seq DESC LIMIT 1",
                     DB_NO_ARGS, &row);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENOENT;
        *ret = (CheckpointRow){
                .seq = db_column_uint(row, 0),
                .event_seq = db_column_uint(row, 1),
                .head_seq = db_column_uint(row, 2),
                .wall_usec = sqlite3_column_int64(row, 3),
        };
        return 0;
}

StatementRow *statement_row_free(StatementRow *s) {
        if (!s)
                return NULL;
        free(s->key);
        free(s->file);
        free(s);
        return NULL;
}

static int take_statement(sqlite3_stmt *row, StatementRow *s) {
        _cleanup_(statement_done) Statement statement = { 0 };
        const void *bytes = sqlite3_column_blob(row, 1);
        CustodyEvent e = { 0 };
        int r;

        r = bytes ? custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 1), &e) : -EBADE;
        if (r >= 0)
                r = custody_statement(&e, &statement);
        custody_event_done(&e);
        if (r < 0)
                return r;
        s->key = strdup(statement.about.key);
        s->file = statement_file(&statement);
        return s->key && s->file ? 0 : -ENOMEM;
}

int store_statement_waiting(Store *s, uint64_t after_event_seq, StatementRow **ret, uint64_t *ret_event_seq) {
        _cleanup_(statement_row_freep) StatementRow *found = calloc(1, sizeof(*found));
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        if (!found)
                return -ENOMEM;
        r = db_query(s->reader,
                     "SELECT s.event_seq, c.bytes FROM statements s JOIN custody c ON c.seq = s.event_seq"
                     " WHERE s.state = 'waiting' AND s.event_seq > ?1 ORDER BY s.event_seq LIMIT 1",
                     DB_ARGS(DB_INT(after_event_seq)), &row);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENOENT;
        r = take_statement(row, found);
        if (r < 0)
                return r;
        *ret_event_seq = db_column_uint(row, 0);
        *ret = TAKE_PTR(found);
        return 0;
}
