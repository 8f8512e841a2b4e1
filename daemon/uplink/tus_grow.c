/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A clip that is uploaded while it is pulled, to a server that creates uploads without a length (creation-defer-length). Its pieces go as
 * soon as all their bytes are durable in the spool (tus_pieces.c), but for the last one. Then, each step done before the next:
 *
 *   the digests are compared           ours is of the bytes that were sent, theirs of those that the camera gave
 *   our record                         with the digest, under the clip's name; when that is the name of a clip that is stored, it is this
 *                                      one, brought once more, and what was sent now goes
 *   the last piece, with the length    which makes the upload whole
 *   its manifest                       as for any other clip (tus_put.c); it alone says the digest, which nobody knew when it began
 *
 * When the pull ends early, what was sent stays, and the next upload of the clip goes on with it, when it is of the same bytes.
 */

#include <errno.h>
#include <inttypes.h>

#include "uplink/tus_private.h"

static TusPut *put_of(TusOp *op) {
        return (TusPut *) op;
}

/* ---- While it grows ------------------------------------------------------------------------------------------------- */

bool tus_grow_has(const TusPut *p, uint64_t bytes) {
        const PutRequest *request = &p->op.task->put;

        return !request->growing || bytes <= request->durable_bytes;
}

bool tus_grow_has_place(const TusPut *p) {
        Task *task = p->op.task;

        return !task->take_place || task->take_place(task);
}

void tus_grow_rest(const TusPut *p) {
        Task *task = p->op.task;
        bool idle = !p->sending && !p->creating;

        if (idle && task->give_place)
                task->give_place(task);
        atomic_store(&task->waits, task->put.growing && idle && !p->hashing && !p->rehashing);
}

/* ---- Ends ---------------------------------------------------------------------------------------------------------- */

static bool is_busy(const TusPut *p) {
        return p->sending || p->creating || p->hashing || p->rehashing;
}

void tus_grow_differs(TusPut *p) {
        char sent[DIGEST_HEX_SIZE], pulled[DIGEST_HEX_SIZE];

        (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_CONFLICT, NULL,
                           "what was sent while the clip was pulled has the SHA-256 %s, and the pull gave %s; it is not stored",
                           digest_to_hex(&p->whole_digest, sent), digest_to_hex(&p->op.task->put.digest, pulled));
        tus_put_abandon(p);
}

static bool has_other_size(TusPut *p) {
        const PutRequest *request = &p->op.task->put;

        if (request->growing || !request->grown || request->sealed_bytes == request->size_bytes)
                return false;
        if (is_busy(p))
                return true;
        (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_CONFLICT, NULL,
                           "the pull gave %" PRIu64 " bytes, and %" PRIu64 " were announced when its upload began; it is not stored",
                           request->sealed_bytes, request->size_bytes);
        tus_put_abandon(p);
        return true;
}

bool tus_grow_ends(TusPut *p) {
        const PutRequest *request = &p->op.task->put;

        if (has_other_size(p))
                return true;
        if (!request->growing || !request->stop_soon)
                return false;
        if (is_busy(p))
                return true;
        (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_STOPPED, NULL, "it was stopped, and goes on where it ended");
        tus_op_end(&p->op);
        return true;
}

/* ---- The end of a pull --------------------------------------------------------------------------------------------- */

static int record_seal(TusOp *op) {
        TusPut *p = put_of(op);

        return tus_record_seal(p->record, p->manifest.manifest, &p->manifest.digest);
}

static void on_sealed(TusOp *op, int result) {
        TusPut *p = put_of(op);

        if (result < 0)
                return tus_op_fail_errno(op, result, "recording it in the state folder");
        p->sealed = true;
        p->sending = false;
        tus_pieces_pump(p);
}

static int replace_stored(TusOp *op) {
        TusPut *p = put_of(op);
        int r;

        r = tus_record_set_aside(p->spare);
        return r < 0 ? r : record_seal(op);
}

/* What was stored once is not there any more, and what was sent now takes its place. */
static void on_not_stored(TusOp *op, const char *what, const char *key) {
        TusPut *p = put_of(op);
        TusRecord *ours = p->spare;

        (void) what;
        (void) key;
        p->spare = p->record;
        p->record = ours;
        tus_op_job(op, replace_stored, on_sealed);
}

/* Is there another record of a clip of that name and content? */
static int find_other(TusOp *op) {
        TusPut *p = put_of(op);
        const TusRecordKey key = tus_put_record_key(p);
        int r;

        r = tus_record_reopen(op->store->records, &key, &p->spare);
        if (r <= 0)
                return r < 0 ? r : record_seal(op);
        if (p->spare->done)
                return 1;
        r = tus_record_set_aside(p->spare);
        return r < 0 ? r : record_seal(op);
}

static void on_other_found(TusOp *op, int result) {
        TusPut *p = put_of(op);
        TusRecord *stored = p->spare;

        if (result <= 0)
                return on_sealed(op, result);
        p->spare = p->record;
        p->record = stored;
        tus_put_check_stored(p, on_not_stored);
}

void tus_grow_seal(TusPut *p) {
        p->sending = true;
        if (tus_put_name_manifest(p) < 0)
                return tus_op_end(&p->op);
        tus_op_job(&p->op, find_other, on_other_found);
}

void tus_grow_told(Op *op) {
        TusPut *p = (TusPut *) op;

        /* Before, it is looked at when the record is there. */
        if (p->pumping && !op->ended)
                tus_pieces_pump(p);
}
