/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A clip that is uploaded while it is pulled. Its parts go as soon as all their bytes are durable in the spool (s3_parts.c); what they
 * are together is said at the end, by who pulled it. Then, each step done before the next:
 *
 *   the digests are compared           ours is of the bytes that were sent, theirs of those that the camera gave
 *   our record                         with the digest: from now on an object may be made
 *   the manifest is looked for         when it is there, another dock had the clip already, and ours is not needed
 *   the object, its manifest           as for any other clip (s3_put.c)
 *
 * When the pull ends early, the parts stay, and the next upload of the clip goes on with those whose bytes are still the same.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "uplink/s3_private.h"

static S3Put *put_of(S3Op *op) {
        return (S3Put *) op;
}

/* ---- Is it there already? ------------------------------------------------------------------------------------------- */

static int take_manifest(void *userdata, const char *key) {
        S3Put *p = userdata;
        size_t prefix = strlen(p->op.store->prefix);

        p->name_taken |= strncmp(key, p->op.store->prefix, prefix) == 0 &&
                         strncmp(key + prefix, p->name_prefix, strlen(p->name_prefix)) == 0;
        return 0;
}

/* It is for the sake of the link alone: what a store does not list is stored as if it were not there, and found at the end. */
static void on_manifests(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);
        bool truncated;

        if (result->outcome == S3_OK)
                (void) s3_xml_keys(result->answer->body, result->answer->body_size, take_manifest, p, &truncated);
        if (!p->name_taken)
                return p->absent(op);
        (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_WHOLE, NULL, "the store has a clip of this name: whether it is the same is "
                           "known when it is pulled");
        s3_op_end(op);
}

void s3_grow_look_up(S3Put *p, void (*absent)(S3Op *op)) {
        const PutRequest *request = &p->op.task->put;
        _cleanup_(freep) char *prefix = NULL;
        S3Call *call;

        p->absent = absent;
        if (layout_manifest_prefix(request->serial, p->manifest.day, request->path, &p->name_prefix) < 0 ||
            !(prefix = text_format("%s%s", p->op.store->prefix, p->name_prefix)))
                return s3_op_fail_errno(&p->op, ENOMEM, "looking for it");
        call = s3_call_new(&p->op, "GET", NULL);
        s3_call_query(call, "list-type", "2");
        s3_call_query(call, "prefix", prefix);
        s3_call_query_uint(call, "max-keys", 1);
        s3_call_send(&p->op, call, on_manifests);
}

/* ---- While it grows ------------------------------------------------------------------------------------------------- */

bool s3_grow_has_part(const S3Put *p, unsigned number) {
        const PutRequest *request = &p->op.task->put;

        return !request->growing || s3_part_offset(p, number) + s3_part_size(p, number) <= request->durable_bytes;
}

bool s3_grow_has_place(const S3Put *p) {
        Task *task = p->op.task;

        return !task->take_place || task->take_place(task);
}

void s3_grow_give_place(const S3Put *p) {
        Task *task = p->op.task;

        if (task->give_place)
                task->give_place(task);
}

/* ---- What was sent is something else ------------------------------------------------------------------------------- */

static void on_record_removed(S3Op *op, int result) {
        (void) result;
        s3_op_end(op);
}

static void on_aborted(S3Op *op, const S3Result *result) {
        (void) result;
        s3_op_job(op, s3_put_remove_record, on_record_removed);
}

static void give_up(S3Put *p) {
        S3Call *call = s3_call_new(&p->op, "DELETE", p->manifest.object);

        p->all_sent = true;
        s3_call_query(call, "uploadId", p->record->upload_id);
        s3_call_send(&p->op, call, on_aborted);
}

void s3_grow_differs(S3Put *p) {
        char sent[DIGEST_HEX_SIZE], pulled[DIGEST_HEX_SIZE];

        (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_CONFLICT, NULL,
                           "what was sent while the clip was pulled has the SHA-256 %s, and the pull gave %s; it is not stored",
                           digest_to_hex(&p->whole_digest, sent), digest_to_hex(&p->op.task->put.digest, pulled));
        give_up(p);
}

static bool has_other_size(S3Put *p) {
        const PutRequest *request = &p->op.task->put;

        if (request->growing || !request->grown || request->sealed_bytes == request->size_bytes)
                return false;
        if (p->n_flights > 0 || p->hashing != 0)
                return true;
        (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_CONFLICT, NULL,
                           "the pull gave %" PRIu64 " bytes, and %" PRIu64 " were announced when its upload began; it is not stored",
                           request->sealed_bytes, request->size_bytes);
        give_up(p);
        return true;
}

bool s3_grow_ends(S3Put *p) {
        const PutRequest *request = &p->op.task->put;

        if (has_other_size(p))
                return true;
        if (!request->growing || !request->stop_soon)
                return false;
        if (p->n_flights > 0 || p->hashing != 0)
                return true;
        (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_STOPPED, NULL, "it was stopped, and goes on where it ended");
        s3_op_end(&p->op);
        return true;
}

/* ---- The end of a pull --------------------------------------------------------------------------------------------- */

static int record_digest(S3Op *op) {
        S3Put *p = put_of(op);

        return s3_record_set_digest(p->record, &op->task->put.digest);
}

static void on_absent(S3Op *op) {
        s3_parts_complete(put_of(op));
}

static void on_digest_recorded(S3Op *op, int result) {
        S3Put *p = put_of(op);

        if (result < 0)
                return s3_op_fail_errno(op, result, "recording it in the state folder");
        if (s3_put_name_manifest(p) < 0)
                return s3_op_end(op);
        s3_look_up(op, p->manifest.manifest, on_absent, s3_put_present);
}

void s3_grow_settle(S3Put *p) {
        s3_op_job(&p->op, record_digest, on_digest_recorded);
}

void s3_grow_told(S3Op *op) {
        S3Put *p = put_of(op);

        /* Before, it is looked at when the upload is there. */
        if (p->pumping && !op->base.ended)
                s3_parts_pump(p);
}
