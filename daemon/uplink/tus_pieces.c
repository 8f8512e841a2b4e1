/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A clip in pieces: each is hashed, then sent, while the next is hashed. They end where the record's part size says, so that it is
 * known after a kill which of them the server checked. The last one goes out only when the digest of the whole is the promised one:
 * it is what makes an upload complete.
 */

#include <errno.h>

#include "base/fd.h"
#include "uplink/tus_private.h"

#define HASH_CHUNK ((size_t) 256 * 1024)

static TusPut *put_of(TusOp *op) {
        return (TusPut *) op;
}

static uint64_t size_of(const TusPut *p) {
        return p->manifest.size_bytes;
}

uint64_t tus_piece_end(const TusPut *p, uint64_t offset) {
        uint64_t part = p->record->part_size_bytes;

        return size_of(p) - offset <= part ? size_of(p) : MIN2((offset / part + 1) * part, size_of(p));
}

/* ---- Hashing ------------------------------------------------------------------------------------------------------- */

static int hash_range(TusPut *p, const TusPiece *piece, Hasher *part, Hasher *whole) {
        _cleanup_(freep) char *buffer = malloc(HASH_CHUNK);
        int fd = p->op.task->put.source_fd, r;

        if (!buffer)
                return -ENOMEM;
        /* From the disk; then sent from memory. */
        r = fd_drop_cache(fd, piece->begin, piece->end - piece->begin);
        if (r < 0)
                return r;
        for (uint64_t at = piece->begin; at < piece->end;) {
                size_t n = (size_t) MIN2((uint64_t) HASH_CHUNK, piece->end - at);

                if (op_is_cancelled(&p->op.base))
                        return -ECANCELED;
                if ((r = fd_pread_full(fd, buffer, n, at)) < 0 || (r = hasher_update(part, buffer, n)) < 0 ||
                    (whole && (r = hasher_update(whole, buffer, n)) < 0))
                        return r;
                at += n;
                op_moved(&p->op.base);
        }
        return 0;
}

static int hash_piece(TusPut *p, TusPiece *piece, Hasher *whole) {
        _cleanup_(hasher_freep) Hasher *part = NULL;
        int r;

        if ((r = hasher_new(&part)) < 0 || (r = hash_range(p, piece, part, whole)) < 0)
                return r;
        return hasher_finish(part, &piece->digest);
}

static int hash_next(TusOp *op) {
        TusPut *p = put_of(op);
        TusPiece *piece = &p->pieces[p->n_pieces % 2];
        int r;

        r = p->whole ? 0 : hasher_new(&p->whole);
        if (r >= 0)
                r = hash_piece(p, piece, p->whole);
        if (r >= 0 && piece->end == size_of(p))
                r = hasher_finish(p->whole, &p->whole_digest);
        return r;
}

static void on_hashed(TusOp *op, int result) {
        TusPut *p = put_of(op);

        if (result < 0)
                return tus_put_source_error(p, result);
        p->hashing = false;
        p->hashed_bytes = p->pieces[p->n_pieces % 2].end;
        p->n_pieces++;
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

/* The digest of that range; NULL when it is not known, and then it is being found out. */
static const Digest *digest_of_range(TusPut *p, uint64_t begin, uint64_t end) {
        const TusPiece *known[] = { &p->pieces[0], &p->pieces[1], &p->again };

        for (size_t i = 0; i < ELEMENTSOF(known) && !p->rehashing; i++)
                if (known[i]->begin == begin && known[i]->end == end && !(p->hashing && known[i] == &p->pieces[p->n_pieces % 2]))
                        return &known[i]->digest;
        if (!p->rehashing) {
                p->rehashing = true;
                p->again = (TusPiece){ .begin = begin, .end = end };
                tus_op_job(&p->op, hash_again, on_hashed_again);
        }
        return NULL;
}

static bool all_hashed(const TusPut *p) {
        return p->n_pieces > 0 && p->hashed_bytes == size_of(p) && !p->hashing;
}

/* One piece ahead of what is sent, and all of a clip that goes in one. */
static void hash_ahead(TusPut *p) {
        uint64_t wanted = tus_piece_end(p, p->clip.offset);

        if (p->hashing || all_hashed(p) || p->hashed_bytes > wanted)
                return;
        p->hashing = true;
        p->pieces[p->n_pieces % 2] = (TusPiece){ .begin = p->hashed_bytes, .end = tus_piece_end(p, p->hashed_bytes) };
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

void tus_pieces_next(TusStream *s, const TusHead *head) {
        TusPut *p = put_of(s->op);
        uint64_t checked = p->record->checked_bytes;

        if (head && !tus_head_agrees(head, TUS_META_SHA256, &p->manifest.digest))
                return tus_put_anew(p, "there is something else in its place");
        /* Pieces that it has whole it has checked; of one that it has in part, nobody knows. */
        if (!p->record->with_checks || p->record->doubtful || s->offset == checked)
                return on_recorded(s->op, 0);
        if (s->offset < checked || (p->op.store->promises.checks && s->offset == tus_piece_end(p, checked)))
                return tus_op_job(s->op, record_checked, on_recorded);
        tus_op_job(s->op, record_doubtful, on_recorded);
}

/* ---- The next step ------------------------------------------------------------------------------------------------- */

static void send_piece(TusPut *p, uint64_t end) {
        const Digest *digest = NULL;

        if (p->op.store->promises.checks && !(digest = digest_of_range(p, p->clip.offset, end)))
                return;
        p->sending = true;
        tus_stream_send(&p->clip, end, digest);
}

void tus_pieces_pump(TusPut *p) {
        uint64_t size = size_of(p), end = tus_piece_end(p, p->clip.offset);

        if (p->op.base.ended || p->settled)
                return;
        hash_ahead(p);
        if (p->op.base.ended || p->sending || p->creating)
                return;
        if (!p->record->upload[0])
                return all_hashed(p) || !tus_put_is_small(p) ? tus_put_create(p) : (void) 0;
        if (p->hashed_bytes < end || (end == size && !all_hashed(p)))
                return;
        if (end == size && !digest_equal(&p->whole_digest, &p->op.task->put.digest))
                return tus_put_source_differs(p);
        if (p->clip.offset < size)
                return send_piece(p, end);
        if (p->clip.asked)
                return tus_put_settle(p);
        p->sending = true;
        tus_stream_ask(&p->clip);
}
