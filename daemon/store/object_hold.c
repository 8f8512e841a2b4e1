/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Legal holds in the store: which objects have one, or may have, and which should. A clip that is held here is held there, and no other.
 * That the store will be asked for one is on record before it is: whatever becomes of the answer, it is not forgotten to end it.
 */

#include <errno.h>

#include "base/text.h"
#include "base/wire_uplink.h"
#include "store/store_private.h"

static int hold_asked(Writer *w, const Fact *f) {
        int r;

        if (!text_equal(f->hold.lock, OBJECT_HOLD_ASKED))
                return writer_refuse(w, -EINVAL, "what the store will be asked for is a hold");
        r = db_run(w->db,
                   "INSERT INTO object_holds (clip_id, object_key, lock, event_seq)"
                   " SELECT clip_id, object_key, 'asked', ?2 FROM receipts WHERE clip_id = ?1 AND object_key = ?3",
                   DB_ARGS(DB_INT(f->clip_id), DB_INT(w->head.seq + 1), DB_TEXT(f->hold.object_key)));
        if (r == 0)
                return writer_refuse(w, -ENOENT, "no receipt of that clip names this object");
        return writer_check(w, r);
}

int object_hold_apply(Writer *w, const Fact *f) {
        const char *lock = f->hold.lock;
        int r;

        if (f->kind == FACT_OBJECT_HOLD_ASKED)
                return hold_asked(w, f);
        if (f->kind == FACT_OBJECT_LET_GO) {
                r = db_run(w->db, "DELETE FROM object_holds WHERE clip_id = ?1 AND object_key = ?2",
                           DB_ARGS(DB_INT(f->clip_id), DB_TEXT(f->hold.object_key)));
                if (r == 0)
                        return writer_refuse(w, -ENOENT, "this object of that clip is not held");
                return writer_check(w, r);
        }
        if (!text_equal(lock, WIRE_LOCK_ON) && !text_equal(lock, WIRE_LOCK_NONE))
                return writer_refuse(w, -EINVAL, "an object is held, or cannot be");
        r = db_run(w->db, "UPDATE object_holds SET lock = ?2, event_seq = ?4 WHERE clip_id = ?1 AND lock IN ('asked', 'on') AND"
                         " object_key = ?3",
                   DB_ARGS(DB_INT(f->clip_id), DB_TEXT(lock), DB_TEXT(f->hold.object_key), DB_INT(w->head.seq + 1)));
        if (r == 0)
                return writer_refuse(w, -ENOENT, "it is not on record that the store was asked to hold this object");
        return writer_check(w, r);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

ObjectHoldRow *object_hold_row_free(ObjectHoldRow *o) {
        if (!o)
                return NULL;
        free(o->object_key);
        free(o->manifest_key);
        free(o->version);
        free(o);
        return NULL;
}

/* An event's member; of one that is damaged, which is told of with the chain, nothing. */
#define MEMBER(member) "json_extract(CASE WHEN json_valid(CAST(e.bytes AS TEXT)) THEN CAST(e.bytes AS TEXT) ELSE '{}' END, '$." member "')"
/* What the object's receipt said, which may not stand any more: the object, or its manifest, may be there all the same. */
#define RECEIPTED(member)                                                                                                       \
        "ifnull((SELECT " MEMBER(member) " FROM custody e WHERE e.clip_id = o.clip_id AND e.kind = 'receipted' AND "            \
        MEMBER("object_key") " = o.object_key ORDER BY e.seq DESC LIMIT 1), '')"
/*
 * Of clips that are held; and asked for before? One that was confirmed before the hold is asked for again: a hold before it was released
 * meanwhile, and the store may have let the object go without that its answer came.
 */
#define TO_HOLD                                                                                                                 \
        "SELECT r.clip_id, r.object_key, r.manifest_key, r.version, 1, o.clip_id IS NOT NULL FROM holds h"                      \
        " CROSS JOIN receipts r ON r.clip_id ="
#define HELD_THERE(id) " LEFT JOIN object_holds o ON o.clip_id = " id " AND o.object_key = r.object_key"
#define NOT_HELD_THERE "(o.clip_id IS NULL OR o.lock = 'asked' OR (o.lock = 'on' AND o.event_seq < h.id))"
/* Walks from there to the first one. */
#define FIRST_OF_CAMERA                                                                                                         \
        "(SELECT c.id FROM clips c INDEXED BY clips_of_camera CROSS JOIN receipts r ON r.clip_id = c.id" HELD_THERE("c.id")     \
        " WHERE c.camera_id = h.camera_id AND c.id > ?1 AND " NOT_HELD_THERE " ORDER BY c.id LIMIT 1)"

/* Begins with what is held, and with what is, or may be, held there: both are few, and the clips of years are not looked at. */
#define DUE                                                                                                                     \
        TO_HOLD " h.clip_id" HELD_THERE("r.clip_id") " WHERE h.clip_id > ?1 AND " NOT_HELD_THERE                                \
        " UNION ALL "                                                                                                           \
        TO_HOLD FIRST_OF_CAMERA HELD_THERE("r.clip_id") " WHERE h.camera_id IS NOT NULL"                                        \
        " UNION ALL "                                                                                                           \
        "SELECT o.clip_id, o.object_key, " RECEIPTED("manifest_key") ", " RECEIPTED("version") ", 0, o.lock = 'asked' FROM"     \
        " object_holds o JOIN clips c ON c.id = o.clip_id WHERE o.clip_id > ?1"                                        \
        " AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.clip_id = o.clip_id)"                                                   \
        " AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.camera_id = c.camera_id)"                                               \
        " AND NOT EXISTS (SELECT 1 FROM restorations WHERE holds_read = 0) ORDER BY 1 LIMIT 1"

int store_object_hold_due(Store *s, uint64_t after_clip_id, ObjectHoldRow **ret) {
        _cleanup_(object_hold_row_freep) ObjectHoldRow *o = NULL;
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(s->reader, DUE, DB_ARGS(DB_INT(after_clip_id)), &row);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->clip_id = db_column_uint(row, 0);
        o->held = sqlite3_column_int(row, 4) != 0;
        o->asked = sqlite3_column_int(row, 5) != 0;
        if ((r = db_column_text(row, 1, &o->object_key)) < 0 || (r = db_column_text(row, 2, &o->manifest_key)) < 0 ||
            (r = db_column_text(row, 3, &o->version)) < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}
