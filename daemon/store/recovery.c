/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Facts that a recovery found. They are not those that were lost: when a clip was listed and in which docking it was read nobody
 * knows any more, so its blocks belong to no docking and it must be read again before anything is erased.
 */

#include <errno.h>
#include <inttypes.h>

#include "base/text.h"
#include "base/wire_bay.h"
#include "store/writer.h"

/* What all of the camera's notes come to so far. */
static int note_ambiguity(Writer *w, uint64_t camera_id) {
        int64_t ambiguous = 0;
        int r;

        r = db_number(w->db, "SELECT ambiguous FROM cameras WHERE id = ?1", DB_ARGS(DB_INT(camera_id)), &ambiguous);
        return r < 0 ? writer_check(w, r) : writer_extra(w, "ambiguous", json_boolean(ambiguous != 0));
}

static int add_camera(Writer *w, const Fact *f) {
        const FactRecovered *c = &f->recovered;
        int r;

        r = db_run(w->db,
                   "INSERT INTO cameras (id, serial, manufacturer, model, firmware, storage_id, model_id, ambiguous, first_seen_usec)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
                   " ON CONFLICT (id) DO UPDATE SET manufacturer = ?3, model = ?4, firmware = ?5, storage_id = ?6, model_id = ?7,"
                   " ambiguous = max(ambiguous, ?8) WHERE serial = ?2",
                   DB_ARGS(DB_INT(f->camera_id), DB_TEXT(c->serial), DB_TEXT(c->manufacturer), DB_TEXT(c->model),
                           DB_TEXT(c->firmware), DB_TEXT(c->storage_id), DB_TEXT(c->model_id), DB_INT(c->ambiguous),
                           DB_INT(c->seen_usec)));
        if (r == 0)
                return writer_refuse(w, -EEXIST, "camera %" PRIu64 " has another serial than %s", f->camera_id, c->serial);
        return r < 0 ? writer_check(w, r) : note_ambiguity(w, f->camera_id);
}

static int add_clip(Writer *w, const Fact *f) {
        const FactRecovered *c = &f->recovered;
        int r;

        r = db_run(w->db,
                   "INSERT INTO clips (id, camera_id, path, size_bytes, mtime_unix_sec, ordinal, flags, state, first_docking_id,"
                   " last_docking_id, seen_usec, digest, head, tail, spool_name)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'copied', 0, 0, ?8, ?9, ?10, ?11, ?12)",
                   DB_ARGS(DB_INT(f->clip_id), DB_INT(f->camera_id), DB_TEXT(c->path), DB_INT(c->size_bytes),
                           DB_INT(c->mtime_unix_sec), DB_INT(c->ordinal), DB_INT(c->flags), DB_INT(c->seen_usec),
                           DB_DIGEST(&c->digest), DB_DIGEST(&c->head), DB_DIGEST(&c->tail),
                           c->spool_name ? DB_TEXT(c->spool_name) : DB_NULL()));
        return writer_check(w, r);
}

static int add_blocks(Writer *w, const Fact *f) {
        const FactRecovered *c = &f->recovered;

        for (size_t i = 0; i < c->n_blocks; i++) {
                uint64_t before = i * WIRE_BLOCK_SIZE;
                int r;

                r = db_run(w->db, "INSERT INTO blocks (clip_id, number, length, digest, docking_id) VALUES (?1, ?2, ?3, ?4, 0)",
                           DB_ARGS(DB_INT(f->clip_id), DB_INT(i),
                                   DB_INT(MIN2(WIRE_BLOCK_SIZE, c->size_bytes - MIN2(before, c->size_bytes))),
                                   DB_DIGEST(&c->blocks[i])));
                if (r < 0)
                        return writer_check(w, r);
        }
        return 0;
}

/* As of a copy: the license to erase compares the blocks with this. */
static int note_blocks(Writer *w, const Fact *f) {
        char hex[DIGEST_HEX_SIZE];
        BlockSum sum;
        int r;

        r = blocks_sum(w, f->clip_id, 0, &sum);
        if (r < 0)
                return r;
        /* What only the store holds was read there, as a whole: it has no blocks, and so nothing of it licenses an erase. */
        if (f->recovered.spool_name ? sum.bytes != f->recovered.size_bytes : sum.n != 0)
                return writer_refuse(w, -EINVAL, "the blocks of clip %" PRIu64 " add up to %" PRIu64 " bytes, not %" PRIu64, f->clip_id,
                                     sum.bytes, f->recovered.size_bytes);
        if (sum.n > 0 && !digest_equal(&sum.last, &f->recovered.digest))
                return writer_refuse(w, -EINVAL, "the blocks of clip %" PRIu64 " come to another digest than its copy", f->clip_id);
        r = writer_extra(w, "blocks", json_integer((json_int_t) sum.n));
        return r < 0 ? r : writer_extra(w, "prefixes_digest", json_string(digest_to_hex(&sum.digest, hex)));
}

int recovery_apply(Writer *w, const Fact *f) {
        const FactRecovered *c = &f->recovered;
        int r;

        if (f->clip_id == 0 || f->camera_id == 0 || !c->serial || !c->serial[0] || !c->path || !text_path_is_valid(c->path) ||
            digest_is_zero(&c->digest))
                return writer_refuse(w, -EINVAL, "a recovered clip needs an id, a camera, a valid path and a digest");
        r = add_camera(w, f);
        if (r >= 0)
                r = add_clip(w, f);
        if (r >= 0)
                r = add_blocks(w, f);
        return r < 0 ? r : note_blocks(w, f);
}
