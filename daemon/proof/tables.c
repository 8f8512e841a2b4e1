/* SPDX-License-Identifier: Apache-2.0 */

/* What tables say of clips, receipts, cameras and dockings, against the events that they were made from. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "proof/proof.h"
#include "store/custody.h"
#include "store/officers.h"

#define COLUMNS_MAX 12u

typedef enum ColumnKind { COLUMN_TEXT, COLUMN_NUMBER, COLUMN_BOOL, COLUMN_DIGEST, COLUMN_HEX, COLUMN_HASHED } ColumnKind;

typedef struct Column {
        const char *name, *member;
        ColumnKind kind;
        int64_t missing; /* what a number is when the event does not have it */
} Column;

/* A table whose rows each say what one event said: the newest of `kind` about the subject that the row's first column names. */
typedef struct Mirror {
        const char *table;
        const char *sql;   /* id, then the columns */
        const char *event; /* the newest event of that kind: its bytes, by the id */
        Column columns[COLUMNS_MAX];
} Mirror;

#define OF_CLIP(kind) "SELECT bytes FROM custody WHERE clip_id = ?1 AND kind = '" kind "' ORDER BY seq DESC LIMIT 1"
/* A recovered clip's one event tells of its listing, its copy and its camera. */
#define OF_CLIP_OR_RECOVERED(kind) \
        "SELECT bytes FROM custody WHERE clip_id = ?1 AND kind IN ('" kind "', 'clip-recovered') ORDER BY seq DESC LIMIT 1"
#define OF_CAMERA \
        "SELECT bytes FROM custody WHERE camera_id = ?1 AND kind IN ('camera-seen', 'clip-recovered') ORDER BY seq DESC LIMIT 1"
#define OF_SEQ "SELECT bytes FROM custody WHERE seq = ?1"

/* An event's bytes as JSON; of one that is damaged, which is told of with the chain, nothing. */
#define JSON "CASE WHEN json_valid(CAST(c.bytes AS TEXT)) THEN CAST(c.bytes AS TEXT) ELSE '{}' END"

static const Mirror mirrors[] = {
        { "clips", "SELECT id, camera_id, path, size_bytes, mtime_unix_sec, ordinal, flags, first_docking_id, partial_of FROM clips",
          OF_CLIP_OR_RECOVERED("clip-seen"),
          { { "camera_id", "camera_id", COLUMN_NUMBER, 0 },
            { "path", "path", COLUMN_TEXT, 0 },
            { "size_bytes", "size_bytes", COLUMN_NUMBER, 0 },
            { "mtime_unix_sec", "mtime_unix_sec", COLUMN_NUMBER, INT64_MIN },
            { "ordinal", "ordinal", COLUMN_NUMBER, 0 },
            { "flags", "flags", COLUMN_NUMBER, 0 },
            { "first_docking_id", "docking_id", COLUMN_NUMBER, 0 },
            { "partial_of", "partial_of", COLUMN_NUMBER, 0 } } },
        { "clips", "SELECT id, digest, head, tail, size_bytes, ifnull(container, '') FROM clips WHERE digest IS NOT NULL",
          OF_CLIP_OR_RECOVERED("copied"),
          { { "digest", "digest", COLUMN_DIGEST, 0 },
            { "head", "head", COLUMN_DIGEST, 0 },
            { "tail", "tail", COLUMN_DIGEST, 0 },
            { "size_bytes", "size_bytes", COLUMN_NUMBER, 0 },
            { "container", "container", COLUMN_TEXT, 0 } } },
        { "holds",
          "SELECT id, ifnull(clip_id, 0), ifnull(camera_id, (SELECT camera_id FROM clips WHERE clips.id = clip_id)), case_name, reason,"
          " operator_uid, operator FROM holds",
          OF_SEQ,
          { { "clip_id", "clip_id", COLUMN_NUMBER, 0 },
            { "camera_id", "camera_id", COLUMN_NUMBER, 0 },
            { "case_name", "case", COLUMN_TEXT, 0 },
            { "reason", "reason", COLUMN_TEXT, 0 },
            { "operator_uid", "operator_uid", COLUMN_NUMBER, 0 },
            { "operator", "operator", COLUMN_TEXT, 0 } } },
        { "object_holds", "SELECT event_seq, clip_id, object_key, lock FROM object_holds", OF_SEQ,
          { { "clip_id", "clip_id", COLUMN_NUMBER, 0 },
            { "object_key", "object_key", COLUMN_TEXT, 0 },
            { "lock", "lock", COLUMN_TEXT, 0 } } },
        { "clips", "SELECT id, spool_name FROM clips WHERE spool_name IS NOT NULL", OF_CLIP_OR_RECOVERED("copied"),
          { { "spool_name", "spool_name", COLUMN_TEXT, 0 } } },
        { "receipts",
          "SELECT clip_id, object_key, manifest_key, version, strength, size_bytes, digest, time_unix_sec, already_there FROM receipts",
          OF_CLIP("receipted"),
          { { "object_key", "object_key", COLUMN_TEXT, 0 },
            { "manifest_key", "manifest_key", COLUMN_TEXT, 0 },
            { "version", "version", COLUMN_TEXT, 0 },
            { "strength", "strength", COLUMN_TEXT, 0 },
            { "size_bytes", "size_bytes", COLUMN_NUMBER, 0 },
            { "digest", "digest", COLUMN_DIGEST, 0 },
            { "time_unix_sec", "stored_unix_sec", COLUMN_NUMBER, 0 },
            { "already_there", "already_there", COLUMN_BOOL, 0 } } },
        { "cameras",
          "SELECT id, serial, manufacturer, model, firmware, storage_id, model_id, ambiguous FROM cameras", OF_CAMERA,
          { { "serial", "serial", COLUMN_TEXT, 0 },
            { "manufacturer", "manufacturer", COLUMN_TEXT, 0 },
            { "model", "model", COLUMN_TEXT, 0 },
            { "firmware", "firmware", COLUMN_TEXT, 0 },
            { "storage_id", "storage_id", COLUMN_TEXT, 0 },
            { "model_id", "model_id", COLUMN_TEXT, 0 },
            { "ambiguous", "ambiguous", COLUMN_BOOL, 0 } } },
        { "refused",
          "SELECT id, bay, vid, pid, bcd_device, usb_serial, usb_manufacturer, usb_product, descriptors_hex, reason FROM refused",
          OF_SEQ,
          { { "bay", "bay", COLUMN_TEXT, 0 },
            { "vid", "vid", COLUMN_HEX, 0 },
            { "pid", "pid", COLUMN_HEX, 0 },
            { "bcd_device", "bcd_device", COLUMN_HEX, 0 },
            { "usb_serial", "usb_serial", COLUMN_TEXT, 0 },
            { "usb_manufacturer", "usb_manufacturer", COLUMN_TEXT, 0 },
            { "usb_product", "usb_product", COLUMN_TEXT, 0 },
            { "descriptors_hex", "descriptors", COLUMN_TEXT, 0 },
            { "reason", "reason", COLUMN_TEXT, 0 } } },
        { "issues", "SELECT id, camera_id, officer_id, officer_name, unit_id, unit_name FROM issues", OF_SEQ,
          { { "camera_id", "camera_id", COLUMN_NUMBER, 0 },
            { "officer_id", "officer_id", COLUMN_TEXT, 0 },
            { "officer_name", "officer_name", COLUMN_TEXT, 0 },
            { "unit_id", "unit_id", COLUMN_TEXT, 0 },
            { "unit_name", "unit_name", COLUMN_TEXT, 0 } } },
        { "fleet_lists", "SELECT event_seq, fleet, admin, seq, document FROM fleet_lists", OF_SEQ,
          { { "fleet", "fleet", COLUMN_TEXT, 0 },
            { "admin", "admin", COLUMN_TEXT, 0 },
            { "seq", "list", COLUMN_NUMBER, 0 },
            { "document", "list_sha256", COLUMN_HASHED, 0 } } },
        { "catalog", "SELECT (SELECT max(seq) FROM custody WHERE kind = 'catalog'), document FROM catalog", OF_SEQ,
          { { "document", "catalog_sha256", COLUMN_HASHED, 0 } } },
        { "rollouts", "SELECT (SELECT max(c.seq) FROM custody c WHERE c.kind = 'rollout' AND json_extract(" JSON ", '$.rollout') ="
                      " rollouts.id), statement FROM rollouts", OF_SEQ,
          { { "statement", "rollout_sha256", COLUMN_HASHED, 0 } } },
        { "faults", "SELECT event_seq, bay, docking_id FROM faults", OF_SEQ,
          { { "bay", "bay", COLUMN_TEXT, 0 }, { "docking_id", "docking_id", COLUMN_NUMBER, 0 } } },
};

/* ---- One row -------------------------------------------------------------------------------------------------------- */

static bool text_agrees(sqlite3_stmt *row, int i, const json_t *member) {
        const char *is = (const char *) sqlite3_column_text(row, i), *should = json_string_value(member);

        return text_equal(is ? is : "", should ? should : "");
}

static bool hex_agrees(sqlite3_stmt *row, int i, const json_t *member) {
        char text[8];

        (void) snprintf(text, sizeof(text), "%04x", (unsigned) (sqlite3_column_int64(row, i) & 0xffff));
        return text_equal(text, json_string_value(member));
}

static bool digest_agrees(sqlite3_stmt *row, int i, const json_t *member) {
        Digest is, should;

        return db_column_digest(row, i, &is) >= 0 && digest_from_hex(json_string_value(member), &should) >= 0 && digest_equal(&is, &should);
}

/* A text of which the event has the digest. */
static bool hashed_agrees(sqlite3_stmt *row, int i, const json_t *member) {
        const char *text = (const char *) sqlite3_column_text(row, i);
        Digest is, should;

        return text && digest_of(text, strlen(text), &is) >= 0 && digest_from_hex(json_string_value(member), &should) >= 0 &&
               digest_equal(&is, &should);
}

static bool column_agrees(const Column *c, sqlite3_stmt *row, int i, const json_t *event) {
        const json_t *member = json_object_get(event, c->member);

        switch (c->kind) {
        case COLUMN_TEXT:
                return text_agrees(row, i, member);
        case COLUMN_NUMBER:
                return sqlite3_column_int64(row, i) == (json_is_integer(member) ? (int64_t) json_integer_value(member) : c->missing);
        case COLUMN_BOOL:
                return (sqlite3_column_int64(row, i) != 0) == json_is_true(member);
        case COLUMN_HEX:
                return hex_agrees(row, i, member);
        case COLUMN_HASHED:
                return hashed_agrees(row, i, member);
        default:
                return digest_agrees(row, i, member);
        }
}

static int compare_row(Proof *p, const Mirror *m, sqlite3_stmt *row) {
        _cleanup_(db_resetp) sqlite3_stmt *found = NULL;
        uint64_t id = db_column_uint(row, 0);
        CustodyEvent e = { 0 };
        const void *bytes;
        char where[64];
        int r;

        (void) snprintf(where, sizeof(where), "%s, row %" PRIu64, m->table, id);
        p->counts.rows++;
        r = db_query(p->db, m->event, DB_ARGS(DB_INT(id)), &found);
        if (r < 0)
                return r;
        bytes = r > 0 ? sqlite3_column_blob(found, 0) : NULL;
        if (!bytes) {
                proof_found(p, where, "no custody event tells of it");
                return 0;
        }
        if (custody_parse(bytes, (size_t) sqlite3_column_bytes(found, 0), &e) < 0)
                return 0; /* said of the event itself */
        for (size_t i = 0; i < COLUMNS_MAX && m->columns[i].name; i++)
                if (!column_agrees(&m->columns[i], row, (int) i + 1, e.object))
                        proof_found(p, where, "the column %s says something else than custody event %" PRIu64, m->columns[i].name, e.seq);
        custody_event_done(&e);
        return 0;
}

static int compare_table(Proof *p, const Mirror *m) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(p->db, m->sql, DB_NO_ARGS, &row);
        for (; r > 0; r = db_next(row)) {
                int k = compare_row(p, m, row);

                if (k < 0)
                        return k;
                if (p->counts.rows % 1000 == 0)
                        proof_progress(p, "rows", p->counts.rows, 0);
        }
        return r;
}

/* ---- States, and what is not there ------------------------------------------------------------------------------------ */

/* One finding for each row of a query that should give none: an id, that makes `where`, and nothing else. */
static int expect_none(Proof *p, const char *table, const char *sql, const char *what) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(p->db, sql, DB_NO_ARGS, &row);
        for (; r > 0; r = db_next(row)) {
                char where[64];

                (void) snprintf(where, sizeof(where), "%s, row %" PRIu64, table, db_column_uint(row, 0));
                proof_found(p, where, "%s", what);
        }
        return r;
}

#define HAS(kind) "EXISTS (SELECT 1 FROM custody WHERE clip_id = clips.id AND kind = '" kind "')"
#define LAST(kind) "ifnull((SELECT max(seq) FROM custody WHERE clip_id = clips.id AND kind = '" kind "'), 0)"
#define LAST_COPY "ifnull((SELECT max(seq) FROM custody WHERE clip_id = clips.id AND kind IN ('copied', 'clip-recovered')), 0)"

/* A docking's row against the event by which it began: there is no index of dockings' events, so all are looked at once. */
#define DOCKING(column, is)                                                                                        \
        { "dockings", "SELECT d.id FROM custody c JOIN dockings d ON d.id = c.docking_id WHERE c.kind = 'docked'"  \
                      " AND json_valid(CAST(c.bytes AS TEXT)) AND " is " IS NOT ifnull(json_extract(" JSON         \
                      ", '$." column "'), '')",                                                                    \
          "the column " column " says something else than the custody event of the docking" }

#define RANGES "custody c, json_each(" JSON ", '$.ranges') j WHERE c.kind = 'pull-unreadable'"
#define SAME_RANGE                                                                                         \
        "u.event_seq = c.seq AND u.clip_id = c.clip_id AND u.docking_id = ifnull(c.docking_id, 0)"         \
        " AND u.start_bytes = json_extract(j.value, '$[0]') AND u.length_bytes = json_extract(j.value, '$[1]')"

/* Who had a camera from when to when: the row's time is that of an event, and each such event has a row. */
#define ISSUED(column, event)                                                                                                        \
        { "issues", "SELECT i.id FROM issues i WHERE i." column " <> 0 AND NOT EXISTS (SELECT 1 FROM custody c WHERE c.camera_id ="   \
                    " i.camera_id AND c.kind = '" event "' AND c.wall_usec = i." column ")",                                          \
          "the column " column " says something else than the custody events of the camera" },                                       \
        { "issues", "SELECT c.seq FROM custody c WHERE c.kind = '" event "' AND NOT EXISTS (SELECT 1 FROM issues i WHERE i.camera_id" \
                    " = c.camera_id AND i." column " = c.wall_usec)",                                                                 \
          "no row has the column " column " of which the custody event of this number tells" }

static const struct {
        const char *table, *sql, *what;
} impossible[] = {
        { "fleet_lists", "SELECT max(c.seq) FROM custody c WHERE c.kind = 'fleet-list' GROUP BY json_extract(" JSON ", '$.fleet'),"
                         " json_extract(" JSON ", '$.admin') HAVING max(c.seq) NOT IN (SELECT event_seq FROM fleet_lists)",
          "the row is missing or older than the custody event of this number" },
        ISSUED("ordered_usec", "checked-out"),
        ISSUED("taken_usec", "taken"),
        { "faults", "SELECT seq FROM custody WHERE kind IN ('fault', 'over-current') AND seq NOT IN (SELECT event_seq FROM faults)",
          "the row is missing, and a custody event tells of the fault" },
        { "faults", "SELECT event_seq FROM faults f WHERE over_current <> (SELECT c.kind = 'over-current' FROM custody c WHERE c.seq ="
                    " f.event_seq)",
          "the column over_current says something else than the custody event" },
        DOCKING("bay", "d.bay"),
        DOCKING("vid", "printf('%04x', d.vid)"),
        DOCKING("pid", "printf('%04x', d.pid)"),
        DOCKING("bcd_device", "printf('%04x', d.bcd_device)"),
        DOCKING("usb_serial", "d.usb_serial"),
        DOCKING("usb_manufacturer", "d.usb_manufacturer"),
        DOCKING("usb_product", "d.usb_product"),
        { "unreadable", "SELECT c.seq FROM " RANGES " AND NOT EXISTS (SELECT 1 FROM unreadable u WHERE " SAME_RANGE ")",
          "a range is missing or was changed, of which the custody event of this number tells" },
        { "unreadable", "SELECT u.event_seq FROM unreadable u WHERE NOT EXISTS (SELECT 1 FROM " RANGES " AND c.seq = u.event_seq AND "
                        SAME_RANGE ")",
          "the custody event of this number does not tell of such a range" },
        { "clips", "SELECT DISTINCT clip_id FROM custody WHERE clip_id IS NOT NULL AND clip_id NOT IN (SELECT id FROM clips)",
          "the row is missing, and custody events tell of the clip" },
        { "cameras", "SELECT DISTINCT camera_id FROM custody WHERE camera_id IS NOT NULL AND camera_id NOT IN (SELECT id FROM cameras)",
          "the row is missing, and custody events tell of the camera" },
        { "dockings",
          "SELECT DISTINCT docking_id FROM custody WHERE docking_id IS NOT NULL AND docking_id NOT IN (SELECT id FROM dockings)",
          "the row is missing, and custody events tell of the docking" },
        { "refused", "SELECT seq FROM custody WHERE kind = 'refused' AND seq NOT IN (SELECT id FROM refused)",
          "the row is missing, and a custody event tells of the device" },
        { "clips", "SELECT id FROM clips WHERE state = 'erased' AND NOT " HAS("erased"),
          "the column state says that the clip was erased, and no custody event does" },
        { "clips", "SELECT id FROM clips WHERE state NOT IN ('erased', 'conflict') AND erased_unstored = 0 AND " HAS("erased"),
          "the column state does not say that the clip was erased, and a custody event does" },
        { "clips", "SELECT id FROM clips WHERE erased_unstored <> 0 AND NOT " HAS("erased"),
          "the column erased_unstored says that the clip was erased, and no custody event does" },
        /* What was held, and was not released, is held. */
        { "holds",
          "SELECT s.seq FROM custody s WHERE s.kind = 'hold-set' AND s.seq NOT IN (SELECT id FROM holds) AND NOT EXISTS"
          " (SELECT 1 FROM custody r WHERE r.kind = 'hold-released' AND r.seq > s.seq AND r.clip_id IS s.clip_id"
          "  AND r.camera_id IS s.camera_id AND json_extract(CAST(r.bytes AS TEXT), '$.case')"
          "  IS json_extract(CAST(s.bytes AS TEXT), '$.case'))",
          "the row is missing, and a custody event tells of the hold" },
        { "clips", "SELECT id FROM clips WHERE (conflict <> 0) <> " HAS("conflict"),
          "the column conflict says something else than the custody events" },
        { "clips", "SELECT id FROM clips WHERE digest IS NULL AND " LAST_COPY " > " LAST("part-set-aside"),
          "the column digest is empty, and a custody event tells of the copy" },
        { "clips", "SELECT id FROM clips WHERE state IN ('receipted', 'erasing') AND id NOT IN (SELECT clip_id FROM receipts)",
          "the column state tells of a receipt, and there is none" },
        { "receipts",
          "SELECT id FROM clips WHERE " LAST("receipted") " > max(" LAST("store-refused") ", " LAST("part-set-aside") ")"
          " AND id NOT IN (SELECT clip_id FROM receipts)",
          "the row is missing, and a custody event tells of the receipt" },
        { "clips", "SELECT id FROM clips WHERE spool_name IS NULL AND " LAST_COPY " > max(" LAST("spool-released") ", "
                   LAST("part-set-aside") ") AND NOT EXISTS (SELECT 1 FROM custody c WHERE c.seq = " LAST_COPY
                   " AND c.kind = 'clip-recovered' AND ifnull(json_extract(" JSON ", '$.spool_name'), '') = '')",
          "the column spool_name is empty, and no custody event tells that the spool's copy went" },
};

/* ---- Blocks ----------------------------------------------------------------------------------------------------------- */

/* The event, when it tells of blocks: 1. Of one that is damaged was told already. */
static int read_told(Proof *p, uint64_t clip_id, const char *sql, CustodyEvent *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        const void *bytes;
        int r = db_query(p->db, sql, DB_ARGS(DB_INT(clip_id)), &row);

        if (r <= 0)
                return r;
        bytes = sqlite3_column_blob(row, 0);
        if (!bytes || custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), ret) < 0)
                return 0;
        if (json_object_get(ret->object, "prefixes_digest"))
                return 1;
        custody_event_done(ret);
        *ret = (CustodyEvent){ 0 };
        return 0;
}

/*
 * The copy's event names how many blocks there were, and the SHA-256 over their digests. When it is of an older Berth, that of the clip's
 * last reading does, if there was one.
 */
static int compare_blocks(Proof *p, uint64_t clip_id, uint64_t n, const Digest *digest) {
        CustodyEvent e = { 0 };
        char where[64], hex[DIGEST_HEX_SIZE];
        int r;

        (void) snprintf(where, sizeof(where), "blocks, clip_id %" PRIu64, clip_id);
        p->counts.rows += n;
        r = read_told(p, clip_id, OF_CLIP_OR_RECOVERED("copied"), &e);
        if (r == 0)
                r = read_told(p, clip_id, OF_CLIP("verified"), &e);
        if (r <= 0)
                return r;
        if (json_integer_value(json_object_get(e.object, "blocks")) != (json_int_t) n)
                proof_found(p, where, "there are %" PRIu64 " blocks, and custody event %" PRIu64 " says %" JSON_INTEGER_FORMAT,
                            n, e.seq, json_integer_value(json_object_get(e.object, "blocks")));
        else if (!text_equal(json_string_value(json_object_get(e.object, "prefixes_digest")), digest_to_hex(digest, hex)))
                proof_found(p, where, "number or digest of a block is not what custody event %" PRIu64 " says", e.seq);
        custody_event_done(&e);
        return 0;
}

/* What the newest event that tells of a half-pulled clip's blocks has of them. */
typedef struct BlocksTold {
        uint64_t seq, n;
        Digest digest;
} BlocksTold;

static void take_told(const CustodyEvent *e, const json_t *n, const json_t *digest, BlocksTold *ret) {
        BlocksTold told = { .seq = e->seq, .n = (uint64_t) json_integer_value(n) };

        /* A pull from the beginning, or one that an older Berth told of, names none. */
        if (!digest || !json_string_value(digest) || digest_from_hex(json_string_value(digest), &told.digest) < 0)
                told.n = 0;
        *ret = told;
}

/* An event of the clip's own, or the newest checkpoint, which names all clips that are half pulled: whichever came last. */
static int blocks_told(Proof *p, uint64_t clip_id, BlocksTold *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(p->db, "SELECT bytes FROM custody WHERE seq IN ((SELECT max(seq) FROM custody WHERE clip_id = ?1 AND kind IN"
                            " ('pull-begun', 'pull-interrupted')), (SELECT max(seq) FROM custody WHERE kind = 'checkpoint'"
                            " AND clip_id IS NULL AND camera_id IS NULL AND docking_id IS NULL)) ORDER BY seq",
                     DB_ARGS(DB_INT(clip_id)), &row);
        for (; r > 0; r = db_next(row)) {
                const void *bytes = sqlite3_column_blob(row, 0);
                CustodyEvent e = { 0 };
                json_t *part;
                size_t i;

                if (!bytes || custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), &e) < 0)
                        continue; /* said of the event itself */
                if (json_object_get(e.object, "clip_id"))
                        take_told(&e, json_object_get(e.object, "blocks"), json_object_get(e.object, "prefixes_digest"), ret);
                json_array_foreach(json_object_get(e.object, "half_pulled"), i, part)
                        if ((uint64_t) json_integer_value(json_array_get(part, 0)) == clip_id)
                                take_told(&e, json_array_get(part, 1), json_array_get(part, 2), ret);
                custody_event_done(&e);
        }
        return r;
}

static int compare_told(Proof *p, uint64_t clip_id, const BlocksTold *told) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        Digest sum, block;
        char where[64];
        uint64_t n = 0;
        int r;

        if ((r = hasher_new(&hasher)) < 0 ||
            (r = db_query(p->db, "SELECT number, digest FROM blocks WHERE clip_id = ?1 AND number < ?2 ORDER BY number",
                          DB_ARGS(DB_INT(clip_id), DB_INT(told->n)), &row)) < 0)
                return r;
        for (; r > 0; r = db_next(row), n++)
                if (db_column_uint(row, 0) == n && db_column_digest(row, 1, &block) >= 0)
                        (void) hasher_update(hasher, block.bytes, DIGEST_SIZE);
        if (r < 0 || (r = hasher_finish(hasher, &sum)) < 0)
                return r;
        p->counts.rows += n;
        (void) snprintf(where, sizeof(where), "blocks, clip_id %" PRIu64, clip_id);
        if (n != told->n || !digest_equal(&sum, &told->digest))
                proof_found(p, where, "number or digest of a block of the half-pulled clip is not what custody event %" PRIu64 " says",
                            told->seq);
        return 0;
}

/* What is half pulled grows beyond what events tell of it: only up to there it is compared. */
static int proof_half_pulled(Proof *p) {
        int64_t clip_id = 0, still;
        int r;

        while ((r = db_number(p->db, "SELECT min(id) FROM clips WHERE state = 'copying' AND id > ?1", DB_ARGS(DB_INT(clip_id)),
                              &clip_id)) >= 0) {
                BlocksTold told = { 0 };

                /* Its blocks go when it is begun afresh: all of it is read of one moment. */
                if ((r = db_exec(p->db, "BEGIN")) < 0)
                        return r;
                r = db_number(p->db, "SELECT 1 FROM clips WHERE id = ?1 AND state = 'copying'", DB_ARGS(DB_INT(clip_id)), &still);
                if (r >= 0)
                        r = blocks_told(p, (uint64_t) clip_id, &told);
                if (r >= 0 && told.n > 0)
                        r = compare_told(p, (uint64_t) clip_id, &told);
                (void) db_exec(p->db, "COMMIT");
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        return r == -ENOENT ? 0 : r;
}

/* Of clips that are copied, and still on their camera: what was read of others is judged when they are, and is of no use after. */
static int proof_blocks(Proof *p) {
        uint64_t clip_id = 0;

        for (;;) {
                _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
                _cleanup_(hasher_freep) Hasher *hasher = NULL;
                Digest sum, block;
                uint64_t n = 0;
                int64_t next = 0;
                int r;

                r = db_number(p->db, "SELECT id FROM clips WHERE id > ?1 AND digest IS NOT NULL AND state NOT IN ('seen', 'copying')"
                                     " AND " LAST_COPY " > " LAST("part-set-aside") " AND NOT " HAS("erased") " ORDER BY id LIMIT 1",
                              DB_ARGS(DB_INT(clip_id)), &next);
                if (r < 0)
                        return r == -ENOENT ? 0 : r;
                clip_id = (uint64_t) next;
                if ((r = hasher_new(&hasher)) < 0 ||
                    (r = db_query(p->db, "SELECT number, digest FROM blocks WHERE clip_id = ?1 ORDER BY number", DB_ARGS(DB_INT(clip_id)),
                                  &row)) < 0)
                        return r;
                for (; r > 0; r = db_next(row), n++)
                        /* A gap makes another sum. */
                        if (db_column_uint(row, 0) == n && db_column_digest(row, 1, &block) >= 0)
                                (void) hasher_update(hasher, block.bytes, DIGEST_SIZE);
                if (r < 0 || (r = hasher_finish(hasher, &sum)) < 0 || (r = compare_blocks(p, clip_id, n, &sum)) < 0)
                        return r;
        }
}

/* An older Berth did not put the digest on record: then there is nothing to compare. */
static int proof_officers(Proof *p) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        char hex[DIGEST_HEX_SIZE];
        Digest digest;
        int r;

        r = db_query(p->db, "SELECT c.seq, json_extract(" JSON ", '$.officers_sha256') FROM custody c WHERE c.kind IN ('roster',"
        " 'assigned')"
                            " ORDER BY c.seq DESC LIMIT 1", DB_NO_ARGS, &row);
        if (r == 0)
                return expect_none(p, "officers", "SELECT count(*) FROM officers HAVING count(*) > 0", "no custody event tells of a"
                " roster");
        if (r < 0 || sqlite3_column_type(row, 1) == SQLITE_NULL)
                return r < 0 ? r : 0;
        r = officers_digest(p->db, &digest);
        if (r >= 0 && !text_equal((const char *) sqlite3_column_text(row, 1), digest_to_hex(&digest, hex)))
                proof_found(p, "officers", "a row is missing, was added, or has a column that says something else than custody event"
                " %" PRIu64
                            " told of", db_column_uint(row, 0));
        return r;
}

int proof_tables(Proof *p) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(mirrors) && r >= 0; i++)
                r = compare_table(p, &mirrors[i]);
        for (size_t i = 0; i < ELEMENTSOF(impossible) && r >= 0; i++)
                r = expect_none(p, impossible[i].table, impossible[i].sql, impossible[i].what);
        if (r >= 0)
                r = proof_blocks(p);
        if (r >= 0)
                r = proof_half_pulled(p);
        if (r >= 0)
                r = proof_officers(p);
        if (r >= 0)
                r = proof_columns(p);
        if (r < 0)
                proof_found(p, "berth.db", "its tables cannot be read: %s", db_message(p->db));
        return r;
}
