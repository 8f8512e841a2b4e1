/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include <berth/plugin.h>

#include "base/text.h"
#include "base/wire_bay.h"
#include "store/store.h"
#include "store/writer.h"

static const char *const clip_state_table[_CLIP_STATE_MAX] = {
        [CLIP_SEEN] = "seen",
        [CLIP_COPYING] = "copying",
        [CLIP_COPIED] = "copied",
        [CLIP_UPLOADING] = "uploading",
        [CLIP_RECEIPTED] = "receipted",
        [CLIP_ERASING] = "erasing",
        [CLIP_ERASED] = "erased",
        [CLIP_CONFLICT] = "conflict",
        [CLIP_LOST] = "lost",
};

DEFINE_STRING_TABLE(clip_state, ClipState, clip_state_table)

int clip_now(Writer *w, uint64_t clip_id, ClipNow *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        ClipNow c;
        int r;

        r = db_query(w->db,
                     "SELECT camera_id, size_bytes, last_docking_id, part_docking_id, flags, state, conflict, digest,"
                     " spool_name IS NOT NULL, EXISTS (SELECT 1 FROM receipts WHERE clip_id = ?1), erased_unstored,"
                     " order_docking_id, order_not_stored, partial_of <> 0 FROM clips WHERE id = ?1", DB_ARGS(DB_INT(clip_id)), &row);
        if (r < 0)
                return writer_check(w, r);
        if (r == 0)
                return writer_refuse(w, -ENOENT, "clip %" PRIu64 " is not known", clip_id);
        c = (ClipNow){
                .camera_id = db_column_uint(row, 0),
                .size_bytes = db_column_uint(row, 1),
                .last_docking_id = db_column_uint(row, 2),
                .part_docking_id = db_column_uint(row, 3),
                .flags = (uint32_t) db_column_uint(row, 4),
                .state = clip_state_from_string((const char *) sqlite3_column_text(row, 5)),
                .conflict = sqlite3_column_int(row, 6) != 0,
                .in_spool = sqlite3_column_int(row, 8) != 0,
                .receipted = sqlite3_column_int(row, 9) != 0,
                .erased_unstored = sqlite3_column_int(row, 10) != 0,
                .order_docking_id = db_column_uint(row, 11),
                .order_not_stored = sqlite3_column_int(row, 12) != 0,
                .partial = sqlite3_column_int(row, 13) != 0,
        };
        r = db_column_digest(row, 7, &c.digest);
        if (r < 0 || c.state < 0)
                return writer_refuse(w, -EBADMSG, "the row of clip %" PRIu64 " is damaged", clip_id);
        *ret = c;
        return 0;
}

static int clip_set_state(Writer *w, uint64_t clip_id, ClipState state, const char *reason) {
        return writer_check(w, db_run(w->db, "UPDATE clips SET state = ?2, reason = ?3 WHERE id = ?1",
                                      DB_ARGS(DB_INT(clip_id), DB_TEXT(clip_state_to_string(state)),
                                              reason ? DB_TEXT(reason) : DB_NULL())));
}

static int clip_seen(Writer *w, const Fact *f) {
        int r;

        if (f->clip_id == 0 || f->camera_id == 0 || !f->clip.path || !text_path_is_valid(f->clip.path))
                return writer_refuse(w, -EINVAL, "a clip needs an id, a camera and a valid path");
        r = db_run(w->db,
                   "INSERT INTO clips (id, camera_id, path, size_bytes, mtime_unix_sec, ordinal, flags, state,"
                   " first_docking_id,"
                   " last_docking_id, seen_usec, partial_of) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'seen', ?8, 0, ?9, ?10)",
                   DB_ARGS(DB_INT(f->clip_id), DB_INT(f->camera_id), DB_TEXT(f->clip.path), DB_INT(f->clip.size_bytes),
                           DB_INT(f->clip.mtime_unix_sec), DB_INT(f->clip.ordinal), DB_INT(f->clip.flags),
                           DB_INT(f->docking_id), DB_INT(f->at.wall_usec), DB_INT(f->clip.partial_of)));
        return writer_check(w, r);
}

/* What is durable of a clip so far, by which its part can be verified when nobody goes on with it. */
static int tell_blocks(Writer *w, const BlockSum *sum) {
        char hex[DIGEST_HEX_SIZE];
        int r;

        r = writer_extra(w, "blocks", json_integer((json_int_t) sum->n));
        return r < 0 ? r : writer_extra(w, "prefixes_digest", json_string(digest_to_hex(&sum->digest, hex)));
}

static int pull_interrupted(Writer *w, const Fact *f) {
        BlockSum sum;
        int r = blocks_sum(w, f->clip_id, f->docking_id, &sum);

        return r < 0 ? r : tell_blocks(w, &sum);
}

/* From 0 all that was known of an earlier part goes; else from a block's edge, with facts about all before it. */
static int pull_begun(Writer *w, const Fact *f) {
        uint64_t kept = f->pull.offset_bytes / WIRE_BLOCK_SIZE;
        BlockSum sum;
        int r;

        r = blocks_delete(w, f->clip_id, kept);
        if (r < 0)
                return r;
        r = blocks_sum(w, f->clip_id, f->docking_id, &sum);
        if (r < 0)
                return r;
        if (sum.n != kept || sum.bytes != f->pull.offset_bytes)
                return writer_refuse(w, -EINVAL,
                                     "a pull of clip %" PRIu64 " cannot begin at %" PRIu64 ": only %" PRIu64
                                     " bytes are kept",
                                     f->clip_id, f->pull.offset_bytes, sum.bytes);
        r = kept > 0 ? tell_blocks(w, &sum) : 0;
        if (r < 0)
                return r;
        r = db_run(w->db,
                   "UPDATE clips SET state = 'copying', part_docking_id = ?2, last_docking_id = ?2 WHERE id = ?1",
                   DB_ARGS(DB_INT(f->clip_id), DB_INT(f->docking_id)));
        return writer_check(w, r);
}

/* What was read before stays durable; what could not be read is on record, each time anew. */
static int clip_unreadable(Writer *w, const Fact *f, const ClipNow *clip) {
        int r;

        for (size_t i = 0; i < f->unreadable.n_ranges; i++) {
                const ByteRange *range = &f->unreadable.ranges[i];

                r = db_run(w->db,
                           "INSERT INTO unreadable (clip_id, event_seq, start_bytes, length_bytes, docking_id)"
                           " VALUES (?1, ?2, ?3, ?4, ?5)",
                           DB_ARGS(DB_INT(f->clip_id), DB_INT(w->head.seq + 1), DB_INT(range->offset), DB_INT(range->length),
                                   DB_INT(f->docking_id)));
                if (r < 0)
                        return writer_check(w, r);
        }
        return clip_set_state(w, f->clip_id, (ClipState) clip->state, f->text ? f->text : "");
}

/* Nothing of it is on the dock any more: as if it were listed for the first time, but under its old id. */
static int clip_start_afresh(Writer *w, const Fact *f) {
        int r;

        r = blocks_delete(w, f->clip_id, 0);
        if (r < 0)
                return r;
        r = db_run(w->db,
                   "UPDATE clips SET state = 'seen', part_docking_id = 0, digest = NULL, head = NULL, tail = NULL,"
                   " spool_name = NULL, container = NULL, container_state = NULL, container_reason = NULL,"
                   " container_offset = 0, recorded_unix_sec = NULL, duration_msec = 0 WHERE id = ?1",
                   DB_ARGS(DB_INT(f->clip_id)));
        return writer_check(w, r);
}

/* Of a receipted clip this comes when only the store held it as the database was made anew: nothing is known to compare the camera with. */
static int part_set_aside(Writer *w, const Fact *f, const ClipNow *clip) {
        BlockSum sum;
        int r;

        r = kept_note_part(w, f->pull.part, clip->in_spool);
        if (r < 0)
                return r;
        if (clip->state != CLIP_RECEIPTED)
                return clip_start_afresh(w, f);
        r = blocks_sum(w, f->clip_id, 0, &sum);
        if (r < 0)
                return r;
        if (clip->in_spool || sum.n > 0)
                return writer_refuse(w, -EINVAL, "clip %" PRIu64 " is receipted, and the dock knows its blocks", f->clip_id);
        r = writer_check(w, db_run(w->db, "DELETE FROM receipts WHERE clip_id = ?1", DB_ARGS(DB_INT(f->clip_id))));
        if (r >= 0)
                r = writer_check(w, db_run(w->db, "UPDATE clips SET receipted_usec = NULL, receipted_running_usec = NULL WHERE id = ?1",
                                           DB_ARGS(DB_INT(f->clip_id))));
        if (r >= 0)
                r = writer_extra(w, "receipt_void", json_true());
        return r < 0 ? r : clip_start_afresh(w, f);
}

static int clip_set_container(Writer *w, const Fact *f) {
        const Container *c = &f->copy.container;
        bool known = c->format != CONTAINER_NONE;
        int r;

        r = db_run(w->db,
                   "UPDATE clips SET container = ?2, container_state = ?3, container_reason = ?4, container_offset = ?5,"
                   " recorded_unix_sec = ?6, duration_msec = ?7 WHERE id = ?1",
                   DB_ARGS(DB_INT(f->clip_id), DB_TEXT(container_format_to_string(c->format)),
                           DB_TEXT(container_verdict_to_string(c->verdict)), c->reason[0] ? DB_TEXT(c->reason) : DB_NULL(),
                           DB_INT(c->offset),
                           known && c->recorded_unix_sec >= CONTAINER_TIME_MIN ? DB_INT(c->recorded_unix_sec) : DB_NULL(),
                           DB_INT(c->duration_msec)));
        return writer_check(w, r);
}

/* The event names the digest over the block digests, too: block facts have no events, yet they license the erase. */
static int clip_copied(Writer *w, const Fact *f, const ClipNow *clip) {
        BlockSum sum;
        int r;

        if (!(clip->flags & BERTH_CLIP_SIZE_UNKNOWN) && f->copy.size_bytes != clip->size_bytes)
                return writer_refuse(w, -EINVAL,
                                     "clip %" PRIu64 " was listed with %" PRIu64 " bytes and copied with %" PRIu64,
                                     f->clip_id, clip->size_bytes, f->copy.size_bytes);
        if (!f->copy.spool_name || !f->copy.spool_name[0] || digest_is_zero(&f->copy.digest))
                return writer_refuse(w, -EINVAL, "a copied clip has a spool file and a digest");
        r = blocks_sum(w, f->clip_id, f->docking_id, &sum);
        if (r < 0)
                return r;
        if (sum.bytes != f->copy.size_bytes)
                return writer_refuse(w, -EINVAL,
                                     "the blocks of clip %" PRIu64 " add up to %" PRIu64 " bytes, not %" PRIu64,
                                     f->clip_id, sum.bytes, f->copy.size_bytes);
        if (sum.n > 0 && !digest_equal(&sum.last, &f->copy.digest))
                return writer_refuse(w, -EINVAL, "the blocks of clip %" PRIu64 " come to another digest than its copy", f->clip_id);
        r = tell_blocks(w, &sum);
        if (r < 0)
                return r;
        r = db_run(w->db,
                   "UPDATE clips SET state = 'copied', size_bytes = ?2, digest = ?3, head = ?4, tail = ?5,"
                   " spool_name = ?6, part_docking_id = 0, last_docking_id = ?7,"
                   " reason = CASE WHEN partial_of <> 0 THEN reason END WHERE id = ?1",
                   DB_ARGS(DB_INT(f->clip_id), DB_INT(f->copy.size_bytes), DB_DIGEST(&f->copy.digest),
                           DB_DIGEST(&f->copy.head), DB_DIGEST(&f->copy.tail), DB_TEXT(f->copy.spool_name),
                           DB_INT(f->docking_id)));
        r = writer_check(w, r);
        return r < 0 ? r : clip_set_container(w, f);
}

/* The event names them, too: they may be the first, and those before of an older Berth's kind. */
static int clip_verified(Writer *w, const Fact *f, const ClipNow *clip) {
        BlockSum sum;
        int r;

        if (!digest_equal(&f->copy.digest, &clip->digest))
                return writer_refuse(w, -EKEYREJECTED,
                                     "clip %" PRIu64 " on the camera has another digest than the copy", f->clip_id);
        r = blocks_sum(w, f->clip_id, f->docking_id, &sum);
        if (r < 0)
                return r;
        if (sum.bytes != clip->size_bytes || sum.read_in_docking != sum.n)
                return writer_refuse(w, -EKEYREJECTED,
                                     "not every block of clip %" PRIu64 " was read in docking %" PRIu64, f->clip_id,
                                     f->docking_id);
        if (sum.n > 0 && !digest_equal(&sum.last, &clip->digest))
                return writer_refuse(w, -EKEYREJECTED,
                                     "the blocks of clip %" PRIu64 " come to another digest than the copy", f->clip_id);
        r = tell_blocks(w, &sum);
        if (r < 0)
                return r;
        return writer_check(w, db_run(w->db, "UPDATE clips SET last_docking_id = ?2 WHERE id = ?1",
                                      DB_ARGS(DB_INT(f->clip_id), DB_INT(f->docking_id))));
}

/*
 * No receipt came, or the one that was given does not stand any more. In the second case the clip needs a new one; when
 * the spool's copy is gone, too, it needs to be pulled again.
 */
static int refused_by_store(Writer *w, const Fact *f, const ClipNow *clip) {
        bool was_receipted = clip->state == CLIP_RECEIPTED || clip->state == CLIP_ERASING;
        const char *reason = f->text ? f->text : "";
        int r;

        if (!was_receipted)
                return clip_set_state(w, f->clip_id, (ClipState) clip->state, reason);
        r = writer_check(w, db_run(w->db, "DELETE FROM receipts WHERE clip_id = ?1", DB_ARGS(DB_INT(f->clip_id))));
        if (r >= 0)
                r = writer_check(w, db_run(w->db, "UPDATE clips SET receipted_usec = NULL, receipted_running_usec = NULL WHERE id = ?1",
                                           DB_ARGS(DB_INT(f->clip_id))));
        if (r >= 0)
                r = writer_extra(w, "receipt_void", json_true());
        if (r >= 0)
                r = clip_set_state(w, f->clip_id, CLIP_COPIED, reason);
        return r < 0 || clip->in_spool ? r : clip_start_afresh(w, f);
}

static int clip_receipted(Writer *w, const Fact *f, const ClipNow *clip) {
        uint64_t running = 0;
        int r;

        r = receipt_apply(w, f);
        if (r >= 0)
                r = running_total(w, &running);
        if (r >= 0)
                r = writer_check(w, db_run(w->db, "UPDATE clips SET receipted_usec = ?2, receipted_running_usec = ?3 WHERE id = ?1",
                                           DB_ARGS(DB_INT(f->clip_id), DB_INT(f->at.wall_usec), DB_INT(running))));
        if (r < 0)
                return r;
        return clip_set_state(w, f->clip_id, clip->erased_unstored ? CLIP_ERASED : CLIP_RECEIPTED, NULL);
}

static int clip_erase_begun(Writer *w, const Fact *f) {
        int r;

        r = license_check(w, f);
        if (r < 0)
                return r;
        return clip_set_state(w, f->clip_id, CLIP_ERASING, NULL);
}

/* By an order, a clip may have gone before the store had it: it is still to be stored from the spool. */
static int clip_erased(Writer *w, const Fact *f, const ClipNow *clip) {
        int r;

        r = blocks_delete(w, f->clip_id, 0);
        if (r < 0)
                return r;
        if (!clip->receipted) {
                r = writer_check(w, db_run(w->db, "UPDATE clips SET erased_unstored = 1 WHERE id = ?1", DB_ARGS(DB_INT(f->clip_id))));
                if (r < 0)
                        return r;
                return clip_set_state(w, f->clip_id, CLIP_COPIED, "erased from its camera by order, before the store had it");
        }
        return clip_set_state(w, f->clip_id, CLIP_ERASED, NULL);
}

/* What is gone stays gone: only the reason says that something was wrong with it. */
static int clip_in_conflict(Writer *w, const Fact *f, const ClipNow *clip) {
        ClipState state = clip->state == CLIP_ERASED ? CLIP_ERASED : CLIP_CONFLICT;
        int r;

        r = clip_set_state(w, f->clip_id, state, f->text ? f->text : "");
        if (r < 0)
                return r;
        return writer_check(w,
                            db_run(w->db, "UPDATE clips SET conflict = 1 WHERE id = ?1", DB_ARGS(DB_INT(f->clip_id))));
}

static int erase_ordered(Writer *w, const Fact *f) {
        if (!f->by_operator)
                return writer_refuse(w, -EINVAL, "an %s fact needs whoever ordered it", fact_kind_to_string(f->kind));
        return writer_check(w, db_run(w->db, "UPDATE clips SET order_docking_id = ?2, order_not_stored = ?3 WHERE id = ?1",
                                      DB_ARGS(DB_INT(f->clip_id), DB_INT(f->docking_id), DB_INT(f->order.not_stored))));
}

/* The last gate before a copy leaves the spool: a hold that was set meanwhile counts. */
static int spool_released(Writer *w, const Fact *f, const ClipNow *clip) {
        _cleanup_(freep) char *name = NULL;
        int r;

        r = holds_unread(w->db);
        if (r > 0)
                return writer_refuse(w, -EKEYREJECTED, "clip %" PRIu64 " stays in the spool: the database was put back from a backup, and "
                                     "the store was not asked yet what is held", f->clip_id);
        if (r >= 0)
                r = hold_of_clip(w->db, f->clip_id, clip->camera_id, &name);
        if (r < 0)
                return writer_check(w, r);
        if (r > 0)
                return writer_refuse(w, -EKEYREJECTED, "clip %" PRIu64 " stays in the spool: it is held%s%s", f->clip_id,
                                     name[0] ? " for case " : "", name);
        return writer_check(
                w, db_run(w->db, "UPDATE clips SET spool_name = NULL WHERE id = ?1", DB_ARGS(DB_INT(f->clip_id))));
}

#define IN(state) (1u << (state))

/* In which states each fact may come, and whether it must name its docking. All else is a mistake of ours. */
static const struct {
        unsigned states;
        bool in_docking;
} clip_rules[_FACT_KIND_MAX] = {
        [FACT_PULL_BEGUN] = { IN(CLIP_SEEN) | IN(CLIP_COPYING), true },
        [FACT_PULL_INTERRUPTED] = { IN(CLIP_COPYING), true },
        [FACT_PULL_UNREADABLE] = { IN(CLIP_COPYING) | IN(CLIP_COPIED) | IN(CLIP_RECEIPTED) | IN(CLIP_ERASING), true },
        [FACT_PART_SET_ASIDE] = { IN(CLIP_SEEN) | IN(CLIP_COPYING) | IN(CLIP_COPIED) | IN(CLIP_RECEIPTED), false },
        [FACT_COPIED] = { IN(CLIP_COPYING), true },
        [FACT_VERIFIED] = { IN(CLIP_COPIED) | IN(CLIP_RECEIPTED) | IN(CLIP_ERASING), true },
        [FACT_STORE_REFUSED] = { IN(CLIP_COPIED) | IN(CLIP_RECEIPTED) | IN(CLIP_ERASING) | IN(CLIP_CONFLICT), false },
        [FACT_RECEIPTED] = { IN(CLIP_COPIED) | IN(CLIP_RECEIPTED) | IN(CLIP_ERASING), false },
        [FACT_ERASE_BEGUN] = { ~0u, true }, /* the license says why not */
        [FACT_ERASED] = { IN(CLIP_ERASING), true },
        [FACT_ERASE_FAILED] = { IN(CLIP_ERASING), false },
        [FACT_CLIP_LOST] = { IN(CLIP_SEEN) | IN(CLIP_COPYING), false },
        [FACT_CONFLICT] = { ~0u, false },
        [FACT_SPOOL_RELEASED] = { IN(CLIP_RECEIPTED) | IN(CLIP_ERASING) | IN(CLIP_ERASED), false },
        [FACT_ERASE_ORDERED] = { IN(CLIP_COPIED) | IN(CLIP_RECEIPTED) | IN(CLIP_ERASING), true },
        [FACT_CLIP_URGENT] = { IN(CLIP_SEEN) | IN(CLIP_COPYING) | IN(CLIP_COPIED), false },
};

static int clip_change(Writer *w, const Fact *f, const ClipNow *clip) {
        switch (f->kind) {
        case FACT_PULL_BEGUN:
                return pull_begun(w, f);
        case FACT_PULL_INTERRUPTED:
                return pull_interrupted(w, f);
        case FACT_PULL_UNREADABLE:
                return clip_unreadable(w, f, clip);
        case FACT_PART_SET_ASIDE:
                return part_set_aside(w, f, clip);
        case FACT_COPIED:
                return clip_copied(w, f, clip);
        case FACT_VERIFIED:
                return clip_verified(w, f, clip);
        case FACT_STORE_REFUSED:
                return refused_by_store(w, f, clip);
        case FACT_RECEIPTED:
                return clip_receipted(w, f, clip);
        case FACT_ERASE_BEGUN:
                return clip_erase_begun(w, f);
        case FACT_ERASED:
                return clip_erased(w, f, clip);
        case FACT_ERASE_FAILED:
                return clip_set_state(w, f->clip_id, clip->receipted ? CLIP_RECEIPTED : CLIP_COPIED, f->text ? f->text : "");
        case FACT_CLIP_LOST:
                return clip_set_state(w, f->clip_id, CLIP_LOST, f->text);
        case FACT_CONFLICT:
                return clip_in_conflict(w, f, clip);
        case FACT_SPOOL_RELEASED:
                return spool_released(w, f, clip);
        case FACT_ERASE_ORDERED:
                return erase_ordered(w, f);
        case FACT_CLIP_URGENT:
                return writer_check(w, db_run(w->db, "UPDATE clips SET urgent = 1 WHERE id = ?1", DB_ARGS(DB_INT(f->clip_id))));
        default:
                return 0;
        }
}

int clip_apply(Writer *w, const Fact *f) {
        ClipNow clip;
        int r;

        if (f->kind == FACT_CLIP_SEEN)
                return clip_seen(w, f);
        r = clip_now(w, f->clip_id, &clip);
        if (r < 0)
                return r;
        if (!(clip_rules[f->kind].states & IN(clip.state)))
                return writer_refuse(w, -EINVAL, "clip %" PRIu64 " is %s: a %s fact cannot be about it", f->clip_id,
                                     clip_state_to_string((ClipState) clip.state), fact_kind_to_string(f->kind));
        if (clip_rules[f->kind].in_docking && f->docking_id == 0)
                return writer_refuse(w, -EINVAL, "a %s fact needs its docking", fact_kind_to_string(f->kind));
        return clip_change(w, f, &clip);
}
