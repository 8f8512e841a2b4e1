/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A clip in pieces: each is hashed, then recorded, then sent, while the next is hashed. They end where the record's part size says, so
 * that it is known after a kill which of them the server checked, and of which bytes all are that it has: what was sent of other content
 * is not gone on with. The last one goes out only when the digest of the whole is the promised one: it is what makes an upload complete.
 */

#include <errno.h>
#include <stdlib.h>

#include "uplink/source.h"
#include "uplink/tus_private.h"

static TusPut *put_of(TusOp *op) {
        return (TusPut *) op;
}

static uint64_t size_of(const TusPut *p) {
        return p->manifest.size_bytes;
}

uint64_t tus_piece_end(const TusPut *p, uint64_t offset) {
        uint64_t part = p->record->part_size_bytes;

        return MIN2((offset / part + 1) * part, size_of(p));
}

/* The last one for the end of the clip, and for all of an empty one. */
static unsigned piece_at(const TusPut *p, uint64_t offset) {
        return (unsigned) MIN2(offset / p->record->part_size_bytes, (uint64_t) p->record->n_pieces - 1);
}

int tus_pieces_init(TusPut *p) {
        p->digests = calloc(p->record->n_pieces, sizeof(*p->digests));
        return p->digests ? 0 : -ENOMEM;
}

/* ---- Hashing ------------------------------------------------------------------------------------------------------- */

typedef struct Hashing {
        Hasher *piece, *whole; /* whole: NULL for what is a part of it already */
} Hashing;

static int hash_chunk(void *userdata, const void *data, size_t size) {
        const Hashing *h = userdata;
        int r;

        r = hasher_update(h->piece, data, size);
        return r >= 0 && h->whole ? hasher_update(h->whole, data, size) : r;
}

static int hash_piece(TusPut *p, TusPiece *piece, Hasher *whole) {
        _cleanup_(hasher_freep) Hasher *part = NULL;
        int r;

        if ((r = hasher_new(&part)) < 0 ||
            (r = source_read(p->op.task, piece->begin, piece->end - piece->begin, hash_chunk,
                             &(Hashing){ .piece = part, .whole = whole })) < 0)
                return r;
        return hasher_finish(part, &piece->digest);
}

/* 1: it is not what was sent before. */
static int hash_next(TusOp *op) {
        TusPut *p = put_of(op);
        const TusRecordPiece *sent = &p->record->pieces[p->n_hashed];
        TusPiece piece = { .begin = p->n_hashed * p->record->part_size_bytes };
        int r;

        piece.end = tus_piece_end(p, piece.begin);
        r = p->whole ? 0 : hasher_new(&p->whole);
        if (r >= 0)
                r = hash_piece(p, &piece, p->whole);
        if (r >= 0 && piece.end == size_of(p))
                r = hasher_finish(p->whole, &p->whole_digest);
        if (r < 0)
                return r;
        p->digests[p->n_hashed] = piece.digest;
        return sent->known && !digest_equal(&sent->digest, &piece.digest);
}

static void on_hashed(TusOp *op, int result) {
        TusPut *p = put_of(op);

        if (result < 0)
                return tus_put_source_error(p, result);
        p->hashing = false;
        p->differs |= result > 0;
        p->n_hashed++;
        tus_pieces_pump(p);
}

static int hash_again(TusOp *op) {
        TusPut *p = put_of(op);

        return hash_piece(p, &p->again, NULL);
}

static void on_hashed_again(TusOp *op, int result) {
        TusPut *p = put_of(op);

        if (result < 0)
                return tus_put_source_error(p, result);
        p->rehashing = false;
        tus_pieces_pump(p);
}

/* The digest of what is to be sent; NULL when it is not known, and then it is being found out. */
static const Digest *digest_of_range(TusPut *p, uint64_t begin, uint64_t end) {
        if (p->rehashing)
                return NULL;
        if (begin == piece_at(p, begin) * p->record->part_size_bytes)
                return &p->digests[piece_at(p, begin)];
        if (p->again.begin == begin && p->again.end == end)
                return &p->again.digest;
        p->rehashing = true;
        p->again = (TusPiece){ .begin = begin, .end = end };
        tus_op_job(&p->op, hash_again, on_hashed_again);
        return NULL;
}

static bool all_hashed(const TusPut *p) {
        return p->n_hashed == p->record->n_pieces;
}

/* One piece ahead of what is sent, and all of a clip that goes in one. */
static void hash_ahead(TusPut *p) {
        if (p->hashing || all_hashed(p) || p->n_hashed > piece_at(p, p->clip.offset) + 1 ||
            !tus_grow_has(p, tus_piece_end(p, p->n_hashed * p->record->part_size_bytes)))
                return;
        p->hashing = true;
        tus_op_job(&p->op, hash_next, on_hashed);
}

/* ---- What the server checked --------------------------------------------------------------------------------------- */

static int record_checked(TusOp *op) {
        TusPut *p = put_of(op);

        return tus_record_set_checked(p->record, p->clip.offset);
}

static int record_doubtful(TusOp *op) {
        return tus_record_set_doubtful(put_of(op)->record);
}

static void on_recorded(TusOp *op, int result) {
        TusPut *p = put_of(op);

        if (result < 0)
                return tus_op_fail_errno(op, result, "recording it in the state folder");
        p->sending = false;
        tus_pieces_pump(p);
}

/* Is it on record what everything is that the server has? A clip in one piece is what its name says. */
static bool is_vouched_for(const TusPut *p) {
        const TusRecord *r = p->record;

        for (unsigned i = 0; i < r->n_pieces && r->n_pieces > 1; i++)
                if (i * r->part_size_bytes < p->clip.offset && !r->pieces[i].known)
                        return false;
        return true;
}

void tus_pieces_next(TusStream *s, const TusHead *head) {
        TusPut *p = put_of(s->op);
        uint64_t checked = p->record->checked_bytes;

        if (head && !tus_head_agrees(head, TUS_META_SHA256, &p->op.task->put.digest))
                return tus_put_anew(p, "there is something else in its place");
        p->differs |= !is_vouched_for(p);
        /* Pieces that it has whole it has checked; of one that it has in part, nobody knows. */
        if (!p->record->with_checks || p->record->doubtful || s->offset == checked)
                return on_recorded(s->op, 0);
        if (s->offset < checked || (p->op.store->promises.checks && s->offset == tus_piece_end(p, checked)))
                return tus_op_job(s->op, record_checked, on_recorded);
        tus_op_job(s->op, record_doubtful, on_recorded);
}

/* ---- The next step ------------------------------------------------------------------------------------------------- */

static void send_recorded(TusPut *p) {
        uint64_t end = tus_piece_end(p, p->clip.offset);

        tus_stream_send(&p->clip, end, p->op.store->promises.checks ? digest_of_range(p, p->clip.offset, end) : NULL);
}

static int record_piece(TusOp *op) {
        TusPut *p = put_of(op);
        unsigned number = piece_at(p, p->clip.offset);

        return tus_record_set_piece(p->record, number, &p->digests[number]);
}

static void on_piece_recorded(TusOp *op, int result) {
        if (result < 0)
                return tus_op_fail_errno(op, result, "recording it in the state folder");
        send_recorded(put_of(op));
}

static void send_piece(TusPut *p, uint64_t end) {
        const TusRecord *r = p->record;

        if ((p->op.store->promises.checks && !digest_of_range(p, p->clip.offset, end)) || !tus_grow_has_place(p))
                return;
        p->sending = true;
        if (r->n_pieces > 1 && !r->pieces[piece_at(p, p->clip.offset)].known)
                return tus_op_job(&p->op, record_piece, on_piece_recorded);
        send_recorded(p);
}

/* It makes the upload whole, or it is whole already. */
static void end_clip(TusPut *p) {
        const PutRequest *request = &p->op.task->put;

        if (!all_hashed(p) || request->growing)
                return;
        if (!digest_equal(&p->whole_digest, &request->digest))
                return request->grown ? tus_grow_differs(p) : tus_put_source_differs(p);
        if (request->grown && !p->sealed)
                return tus_grow_seal(p);
        if (p->clip.offset < size_of(p))
                return send_piece(p, size_of(p));
        /* It took all of it, and not that this is all. */
        if (p->clip.asked && p->clip.deferred && !p->clip.length_known)
                return tus_put_discard(p);
        if (p->clip.asked)
                return tus_put_settle(p);
        p->sending = true;
        tus_stream_ask(&p->clip);
}

static void next_step(TusPut *p) {
        uint64_t end = tus_piece_end(p, p->clip.offset);

        if (p->sending || p->creating)
                return;
        if (p->differs)
                return tus_put_discard(p);
        if (!p->record->upload[0])
                return all_hashed(p) || !tus_put_is_small(p) ? tus_put_create(p) : (void) 0;
        if (end == size_of(p))
                return end_clip(p);
        if (p->n_hashed > piece_at(p, p->clip.offset))
                send_piece(p, end);
}

void tus_pieces_pump(TusPut *p) {
        p->pumping = true;
        if (p->op.base.ended || p->settled || tus_grow_ends(p))
                return;
        hash_ahead(p);
        if (!p->op.base.ended)
                next_step(p);
        if (!p->op.base.ended)
                tus_grow_rest(p);
}
