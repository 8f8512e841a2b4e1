/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The last gate before a clip leaves a camera. Every sentence of it is checked against what the database holds now, and
 * the rows are checked against the chained bytes of the custody events, so that neither a bug nor a changed byte
 * licenses an erase.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "store/custody.h"
#include "store/store.h"
#include "store/writer.h"

static int reject(Writer *w, const Fact *f, const char *why) {
        return writer_refuse(w, -EKEYREJECTED, "clip %" PRIu64 " may not be erased: %s", f->clip_id, why);
}

/* Is `strength` in the comma-separated list? */
static bool strength_accepted(const char *list, const char *strength) {
        size_t length = strlen(strength);

        if (!list || !list[0])
                list = "digest";
        for (;;) {
                size_t n;

                list += strspn(list, " ,");
                n = strcspn(list, " ,");
                if (n == 0)
                        return false;
                if (n == length && strncmp(list, strength, n) == 0)
                        return true;
                list += n;
        }
}

static bool member_is(const CustodyEvent *e, const char *key, const char *value) {
        return text_equal(json_string_value(json_object_get(e->object, key)), value);
}

static bool member_is_digest(const CustodyEvent *e, const char *key, const Digest *d) {
        char hex[DIGEST_HEX_SIZE];

        return member_is(e, key, digest_to_hex(d, hex));
}

static bool member_is_number(const CustodyEvent *e, const char *key, uint64_t value) {
        const json_t *member = json_object_get(e->object, key);

        return json_is_integer(member) && (uint64_t) json_integer_value(member) == value;
}

/*
 * An order to erase although the store has no receipt for it waives the receipt, and nothing else. It counts for its docking alone,
 * by row and by the chain's last word about it.
 */
static int check_order(Writer *w, const Fact *f, const ClipNow *clip, bool *ret_waived) {
        CustodyEvent e = { 0 };
        uint64_t seq;
        bool waived;
        int r;

        *ret_waived = false;
        if (!clip->order_not_stored || clip->order_docking_id != f->docking_id)
                return 0;
        r = custody_find(w->db, f->clip_id, fact_kind_to_string(FACT_ERASE_ORDERED), &seq);
        if (r >= 0)
                r = custody_read_checked(w->db, &w->head, seq, &e);
        if (r == -ENOENT || r == -EBADE)
                return reject(w, f, "the custody event of the order to erase it does not stand");
        if (r < 0)
                return writer_check(w, r);
        waived = e.docking_id == f->docking_id && json_is_true(json_object_get(e.object, "not_stored")) &&
                 json_is_integer(json_object_get(e.object, "operator_uid"));
        custody_event_done(&e);
        if (!waived)
                return reject(w, f, "its row is not what the custody event of the order to erase it says");
        *ret_waived = true;
        return writer_extra(w, "order_seq", json_integer((json_int_t) seq));
}

static int check_state(Writer *w, const Fact *f, const ClipNow *clip, bool waived) {
        if (clip->conflict || clip->state == CLIP_CONFLICT)
                return reject(w, f, "it is in conflict");
        if (clip->state == CLIP_ERASED || clip->state == CLIP_LOST)
                return reject(w, f, "it is gone already");
        if (clip->partial || digest_is_zero(&clip->digest))
                return reject(w, f, "it was not copied whole");
        if (clip->state != CLIP_RECEIPTED && clip->state != CLIP_ERASING && !(waived && clip->state == CLIP_COPIED))
                return reject(w, f, "it has no receipt");
        return 0;
}

static int check_hold(Writer *w, const Fact *f, const ClipNow *clip) {
        _cleanup_(freep) char *name = NULL;
        int r;

        r = holds_unread(w->db);
        if (r > 0)
                return reject(w, f, "the database was put back from a backup, and the store was not asked yet what is held");
        if (r >= 0)
                r = hold_of_clip(w->db, f->clip_id, clip->camera_id, &name);
        if (r <= 0)
                return writer_check(w, r);
        return writer_refuse(w, -EKEYREJECTED, "clip %" PRIu64 " may not be erased: it is held%s%s", f->clip_id,
                             name[0] ? " for case " : "", name);
}

/* A camera that came back as another device must be known by more than the port: by row, and by the chain's last word. */
static int check_identity(Writer *w, const Fact *f, const char *identity) {
        CustodyEvent e = { 0 };
        bool doubtful;
        uint64_t seq;
        int r;

        if (!text_equal(identity, "own") && !text_equal(identity, "storage"))
                return reject(w, f, "its camera is known by the port only, and nobody has confirmed it");
        r = custody_find_identity(w->db, f->docking_id, &seq);
        if (r == -ENOENT)
                return text_equal(identity, "own") ? 0 : reject(w, f, "no custody event says how its camera was recognised");
        if (r >= 0)
                r = custody_read_checked(w->db, &w->head, seq, &e);
        if (r == -EBADE)
                return reject(w, f, "the custody event about its camera's identity does not stand");
        if (r < 0)
                return writer_check(w, r);
        doubtful = e.docking_id != f->docking_id ||
                   !(text_equal(e.kind, fact_kind_to_string(FACT_IDENTITY_CONFIRMED)) || member_is(&e, "identity", "storage"));
        custody_event_done(&e);
        return doubtful ? reject(w, f, "its camera is known by the port only, and nobody has confirmed it") : 0;
}

static int check_docking(Writer *w, const Fact *f, const ClipNow *clip) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(w->db, "SELECT ifnull(camera_id, 0), identity FROM dockings WHERE id = ?1 AND undocked_usec IS NULL",
                     DB_ARGS(DB_INT(f->docking_id)), &row);
        if (r < 0)
                return writer_check(w, r);
        if (r == 0 || db_column_uint(row, 0) == 0)
                return reject(w, f, "its docking is over or without an identity");
        if (db_column_uint(row, 0) != clip->camera_id)
                return reject(w, f, "the docking is of another camera");
        return check_identity(w, f, (const char *) sqlite3_column_text(row, 1));
}

/* Read from this very device, in this docking, to the last byte. */
static int check_blocks(Writer *w, const Fact *f, const ClipNow *clip, BlockSum *ret) {
        int r;

        r = blocks_sum(w, f->clip_id, f->docking_id, ret);
        if (r == -EBADMSG)
                return reject(w, f, "its blocks have a gap");
        if (r < 0)
                return r;
        if (ret->bytes != clip->size_bytes)
                return reject(w, f, "its blocks do not add up to its size");
        if (ret->read_in_docking != ret->n || (ret->n == 0 && clip->last_docking_id != f->docking_id))
                return reject(w, f, "not all of it was read from the camera in this docking");
        return 0;
}

/* What the chain says against the clip: a conflict, or a refusal of the store that came after the receipt. */
static int check_objections(Writer *w, const Fact *f, bool waived) {
        uint64_t receipted = 0, refused = 0, conflict = 0;
        int r;

        r = custody_find(w->db, f->clip_id, fact_kind_to_string(FACT_CONFLICT), &conflict);
        if (r >= 0)
                return reject(w, f, "it is in conflict");
        if (r == -ENOENT && waived)
                return 0;
        if (r == -ENOENT)
                r = custody_find(w->db, f->clip_id, fact_kind_to_string(FACT_STORE_REFUSED), &refused);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = custody_find(w->db, f->clip_id, fact_kind_to_string(FACT_RECEIPTED), &receipted);
        if (r < 0 && r != -ENOENT)
                return writer_check(w, r);
        return receipted > refused ? 0 : reject(w, f, "the store refused it after its receipt");
}

/* The newest chained event of this kind about the clip; for the copy, that of a recovery stands as well. */
static int chained_event(Writer *w, const Fact *f, FactKind kind, CustodyEvent *ret) {
        uint64_t seq;
        int r;

        r = kind == FACT_COPIED ? custody_find_copy(w->db, f->clip_id, &seq)
                                : custody_find(w->db, f->clip_id, fact_kind_to_string(kind), &seq);
        if (r >= 0)
                r = custody_read_checked(w->db, &w->head, seq, ret);
        if (r == -ENOENT || r == -EBADE)
                return reject(w, f, kind == FACT_COPIED     ? "the custody event of its copy does not stand"
                                    : kind == FACT_VERIFIED ? "the custody event of its last reading does not stand"
                                                            : "the custody event of its receipt does not stand");
        return writer_check(w, r);
}

static bool tells_blocks(const CustodyEvent *e, const BlockSum *blocks) {
        return member_is_number(e, "blocks", blocks->n) && member_is_digest(e, "prefixes_digest", &blocks->digest);
}

/*
 * An older Berth told of digests of another kind ("blocks_digest"). Of a copy that it made, its last reading has told of the blocks first:
 * that of this docking, in which it was read whole.
 */
static int check_reading(Writer *w, const Fact *f, const BlockSum *blocks) {
        CustodyEvent e = { 0 };
        bool same;
        int r;

        r = chained_event(w, f, FACT_VERIFIED, &e);
        if (r < 0)
                return r;
        same = e.clip_id == f->clip_id && e.docking_id == f->docking_id && tells_blocks(&e, blocks);
        r = writer_extra(w, "verified_seq", json_integer((json_int_t) e.seq));
        custody_event_done(&e);
        return same ? r : reject(w, f, "its blocks are not what the custody event of its last reading says");
}

static int check_copy(Writer *w, const Fact *f, const ClipNow *clip, const BlockSum *blocks) {
        CustodyEvent e = { 0 };
        bool same, older;
        int r;

        r = chained_event(w, f, FACT_COPIED, &e);
        if (r < 0)
                return r;
        older = !json_object_get(e.object, "prefixes_digest");
        same = e.clip_id == f->clip_id && e.camera_id == clip->camera_id && member_is_digest(&e, "digest", &clip->digest) &&
               member_is_number(&e, "size_bytes", clip->size_bytes) && (older || tells_blocks(&e, blocks)) &&
               (blocks->n == 0 || digest_equal(&blocks->last, &clip->digest));
        r = writer_extra(w, "copied_seq", json_integer((json_int_t) e.seq));
        custody_event_done(&e);
        if (!same)
                return reject(w, f, "its row or its blocks are not what the custody event of the copy says");
        return r < 0 || !older ? r : check_reading(w, f, blocks);
}

/* The receipt's row, the custody event of the receipt, and the copy must be about the same bytes. */
static int compare_receipt(Writer *w, const Fact *f, const ClipNow *clip, sqlite3_stmt *row, const CustodyEvent *e) {
        const char *key = (const char *) sqlite3_column_text(row, 0),
                   *manifest = (const char *) sqlite3_column_text(row, 1);
        const char *strength = (const char *) sqlite3_column_text(row, 2);
        Digest digest;

        if (db_column_digest(row, 4, &digest) < 0 || !key || !manifest || !strength)
                return reject(w, f, "its receipt is damaged");
        if (!digest_equal(&digest, &clip->digest) || db_column_uint(row, 3) != clip->size_bytes)
                return reject(w, f, "its receipt is for other content");
        if (!strength_accepted(f->text, strength))
                return reject(w, f, "its receipt is not of an accepted strength");
        if (e->clip_id != f->clip_id || !member_is(e, "object_key", key) || !member_is(e, "strength", strength) ||
            !member_is(e, "manifest_key", manifest[0] ? manifest : NULL) || !member_is_digest(e, "digest", &digest) ||
            !member_is_number(e, "size_bytes", clip->size_bytes))
                return reject(w, f, "its receipt is not what the custody event of the receipt says");
        return 0;
}

static int check_receipt(Writer *w, const Fact *f, const ClipNow *clip) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        CustodyEvent e = { 0 };
        int r;

        r = db_query(w->db,
                     "SELECT object_key, manifest_key, strength, size_bytes, digest FROM receipts WHERE clip_id = ?1",
                     DB_ARGS(DB_INT(f->clip_id)), &row);
        if (r < 0)
                return writer_check(w, r);
        if (r == 0)
                return reject(w, f, "it has no receipt");
        r = chained_event(w, f, FACT_RECEIPTED, &e);
        if (r < 0)
                return r;
        r = compare_receipt(w, f, clip, row, &e);
        if (r >= 0)
                r = writer_extra(w, "receipted_seq", json_integer((json_int_t) e.seq));
        custody_event_done(&e);
        return r;
}

int license_check(Writer *w, const Fact *f) {
        char hex[DIGEST_HEX_SIZE];
        BlockSum blocks = { 0 };
        bool waived = false;
        ClipNow clip;
        int r;

        r = clip_now(w, f->clip_id, &clip);
        if (r >= 0)
                r = check_order(w, f, &clip, &waived);
        if (r >= 0)
                r = check_state(w, f, &clip, waived);
        if (r >= 0)
                r = check_hold(w, f, &clip);
        if (r >= 0)
                r = check_objections(w, f, waived);
        if (r >= 0)
                r = check_docking(w, f, &clip);
        if (r >= 0)
                r = check_blocks(w, f, &clip, &blocks);
        if (r >= 0)
                r = check_copy(w, f, &clip, &blocks);
        if (r >= 0 && !waived)
                r = check_receipt(w, f, &clip);
        if (r >= 0)
                r = writer_extra(w, "digest", json_string(digest_to_hex(&clip.digest, hex)));
        return r;
}
