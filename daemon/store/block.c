/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "base/wire_bay.h"
#include "store/store_private.h"
#include "store/writer.h"

int blocks_delete(Writer *w, uint64_t clip_id, uint64_t from_number) {
        return writer_check(w, db_run(w->db, "DELETE FROM blocks WHERE clip_id = ?1 AND number >= ?2",
                                      DB_ARGS(DB_INT(clip_id), DB_INT(from_number))));
}

int blocks_sum(Writer *w, uint64_t clip_id, uint64_t docking_id, BlockSum *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        BlockSum sum = { 0 };
        int r;

        r = hasher_new(&hasher);
        if (r < 0)
                return r;
        r = db_query(w->db, "SELECT number, length, digest, docking_id FROM blocks WHERE clip_id = ?1 ORDER BY number",
                     DB_ARGS(DB_INT(clip_id)), &row);
        for (; r > 0; r = db_next(row)) {
                Digest d;

                if (db_column_uint(row, 0) != sum.n || sum.bytes != sum.n * WIRE_BLOCK_SIZE ||
                    db_column_uint(row, 1) > WIRE_BLOCK_SIZE || db_column_digest(row, 2, &d) < 0)
                        return writer_refuse(w, -EBADMSG, "the blocks of clip %" PRIu64 " have a gap", clip_id);
                sum.n++;
                sum.last = d;
                sum.bytes += db_column_uint(row, 1);
                sum.read_in_docking += db_column_uint(row, 3) == docking_id;
                r = hasher_update(hasher, d.bytes, DIGEST_SIZE);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return writer_check(w, r);
        r = hasher_finish(hasher, &sum.digest);
        if (r < 0)
                return r;
        *ret = sum;
        return 0;
}

/*
 * Read again from the camera: the block must be the one that is kept. Of a copy that an older Berth made none is: what they come to is
 * compared when all are there, by clip_verified().
 */
static int block_agrees(Writer *w, const Fact *f, const ClipNow *clip) {
        bool within = f->block.number * WIRE_BLOCK_SIZE + f->block.length <= clip->size_bytes;
        int r;

        r = db_run(w->db,
                   "INSERT INTO blocks (clip_id, number, length, digest, docking_id) SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?6"
                   " ON CONFLICT (clip_id, number) DO UPDATE SET docking_id = ?5 WHERE length = ?3 AND digest = ?4",
                   DB_ARGS(DB_INT(f->clip_id), DB_INT(f->block.number), DB_INT(f->block.length),
                           DB_DIGEST(&f->block.digest), DB_INT(f->docking_id), DB_INT(within)));
        if (r == 0)
                return writer_refuse(w, -EKEYREJECTED,
                                     "block %" PRIu32 " of clip %" PRIu64 " on the camera is not the one that was kept",
                                     f->block.number, f->clip_id);
        return writer_check(w, r);
}

/* Pulled: it continues the run of blocks from 0, so that the run's length is how much of the part is durable. */
static int block_pulled(Writer *w, const Fact *f) {
        int64_t before = 0;
        int r;

        if (f->block.number > 0) {
                r = db_number(w->db, "SELECT length FROM blocks WHERE clip_id = ?1 AND number = ?2",
                              DB_ARGS(DB_INT(f->clip_id), DB_INT(f->block.number - 1)), &before);
                if (r < 0 && r != -ENOENT)
                        return writer_check(w, r);
                if (before != (int64_t) WIRE_BLOCK_SIZE)
                        return writer_refuse(w, -EINVAL,
                                             "block %" PRIu32 " of clip %" PRIu64 " does not follow a whole block",
                                             f->block.number, f->clip_id);
        }
        r = db_run(w->db,
                   "INSERT OR REPLACE INTO blocks (clip_id, number, length, digest, docking_id) VALUES (?1, ?2, ?3,"
                   " ?4, ?5)",
                   DB_ARGS(DB_INT(f->clip_id), DB_INT(f->block.number), DB_INT(f->block.length),
                           DB_DIGEST(&f->block.digest), DB_INT(f->docking_id)));
        return writer_check(w, r);
}

int block_apply(Writer *w, const Fact *f) {
        ClipNow clip;
        int r;

        r = clip_now(w, f->clip_id, &clip);
        if (r < 0)
                return r;
        if (f->docking_id == 0)
                return writer_refuse(w, -EINVAL, "a block is read in a docking");
        if (f->block.from_camera_only)
                return block_agrees(w, f, &clip);
        if (clip.state != CLIP_COPYING || clip.part_docking_id != f->docking_id)
                return writer_refuse(w, -EINVAL, "clip %" PRIu64 " is not being pulled in docking %" PRIu64, f->clip_id,
                                     f->docking_id);
        return block_pulled(w, f);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

int store_blocks(Store *s, uint64_t clip_id, BlockRow **ret, size_t *ret_n) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(freep) BlockRow *blocks = NULL;
        size_t n = 0;
        int r;

        r = db_query(s->reader,
                     "SELECT number, length, digest, docking_id FROM blocks WHERE clip_id = ?1 ORDER BY number",
                     DB_ARGS(DB_INT(clip_id)), &row);
        for (; r > 0; r = db_next(row)) {
                BlockRow *larger = n % 256 == 0 ? reallocarray(blocks, n + 256, sizeof(*blocks)) : blocks;

                if (!larger)
                        return -ENOMEM;
                blocks = larger;
                blocks[n] = (BlockRow){
                        .number = (uint32_t) db_column_uint(row, 0),
                        .length = (uint32_t) db_column_uint(row, 1),
                        .docking_id = db_column_uint(row, 3),
                };
                r = db_column_digest(row, 2, &blocks[n].digest);
                if (r < 0)
                        return r;
                n++;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(blocks);
        *ret_n = n;
        return 0;
}

int store_part_is_older(Store *s, uint64_t clip_id) {
        int64_t one;
        int r;

        r = db_number(s->reader,
                      "SELECT 1 FROM custody WHERE clip_id = ?1 AND kind IN ('pull-begun', 'pull-interrupted') AND seq >"
                      " ifnull((SELECT max(seq) FROM custody WHERE clip_id = ?1 AND kind = 'part-set-aside'), 0)"
                      " AND instr(CAST(bytes AS TEXT), '\"blocks_digest\":') > 0 LIMIT 1",
                      DB_ARGS(DB_INT(clip_id)), &one);
        return r == -ENOENT ? 0 : r < 0 ? r : 1;
}
