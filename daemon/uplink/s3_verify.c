/* SPDX-License-Identifier: Apache-2.0 */

/* What the store has already: manifests, the objects that they name, and whether a receipt still holds. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "uplink/s3_private.h"

int s3_head_parse(const S3Result *result, S3Head *ret) {
        char length[24], version[S3_UPLOAD_ID_SIZE];
        S3Head head = {};
        char *end;

        if (!http_header(result->answer, "content-length", length, sizeof(length)) || length[0] < '0' || length[0] > '9')
                return -EBADMSG;
        errno = 0;
        head.size_bytes = strtoull(length, &end, 10);
        if (errno != 0 || *end || head.size_bytes > INT64_MAX)
                return -EBADMSG;
        memcpy(head.etag, result->etag, sizeof(head.etag));
        /* "null" is the version in a bucket without any. */
        if (http_header(result->answer, "x-amz-version-id", version, sizeof(version)) && text_is_printable(version) &&
            !text_equal(version, "null"))
                memcpy(head.version, version, sizeof(version));
        *ret = head;
        return 0;
}

/* ---- Reading back -------------------------------------------------------------------------------------------------- */

static int on_data(S3Op *op, const void *data, size_t size) {
        return op_read_takes(&op->base, data, size);
}

static int restart(S3Op *op) {
        return op_read_begins(&op->base);
}

void s3_read(S3Op *op, const char *key, void (*then)(S3Op *op, const S3Result *result)) {
        S3Call *call = s3_call_new(op, "GET", key);

        s3_call_sink(call, on_data, restart);
        s3_call_send(op, call, then);
}

int s3_read_digest(S3Op *op, Digest *ret, uint64_t *ret_size_bytes) {
        return op_read_digest(&op->base, ret, ret_size_bytes);
}

/* ---- Manifests ----------------------------------------------------------------------------------------------------- */

int s3_take_manifest(S3Op *op, const S3Result *result, const char *key, Manifest **ret) {
        const HttpAnswer *answer = result->answer;
        int r;

        r = answer->body_size <= MANIFEST_SIZE_MAX ? manifest_parse(answer->body, answer->body_size, ret) : -EBADMSG;
        if (r == -ENOTSUP)
                op_fail_conflict(&op->base, "the manifest %s in the store was written by a later version of Berth", key);
        else if (r == -EBADMSG)
                op_fail_conflict(&op->base, "%s in the store is damaged: it is no manifest", key);
        else if (r < 0)
                s3_op_fail_errno(op, r, "reading a manifest");
        return r < 0 ? -1 : 0;
}

/* Of this very clip? */
static int compare_manifest(S3Op *op, const char *key, const Manifest *m) {
        const PutRequest *put = &op->task->put;
        LayoutKey parsed;

        if (!text_equal(m->manifest, key))
                op_fail_conflict(&op->base, "the manifest %s in the store says that it is %s", key, m->manifest);
        else if (!text_equal(m->serial, put->serial) || !text_equal(m->path, put->path))
                op_fail_conflict(&op->base, "the manifest %s in the store is of the clip %s of camera %s", key, m->path,
                                 m->serial);
        else if (m->size_bytes != put->size_bytes || !digest_equal(&m->digest, &put->digest))
                op_fail_conflict(&op->base, "the manifest %s in the store names another content", key);
        else if (layout_parse_key(m->object, LAYOUT_OBJECTS, &parsed) < 0)
                op_fail_conflict(&op->base, "the manifest %s in the store names no object of a store: %s", key, m->object);
        else
                return 0;
        return -1;
}

static void on_found_read(S3Op *op, const S3Result *result) {
        Manifest *m = op->found;
        uint64_t size;
        Digest digest;
        int r;

        if (result->outcome == S3_ABSENT && op->lost)
                return op->lost(op);
        if (result->outcome == S3_ABSENT)
                return op_fail_conflict(&op->base, "the store has the manifest %s, but its object %s is gone", m->manifest,
                                        m->object);
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "reading an object");
        r = s3_read_digest(op, &digest, &size);
        if (r < 0)
                return s3_op_fail_errno(op, r, "hashing an object");
        if (size != m->size_bytes)
                return op_fail_conflict(&op->base,
                                        "the object %s in the store has %" PRIu64 " bytes, and %" PRIu64 " by its manifest",
                                        m->object, size, m->size_bytes);
        if (!digest_equal(&digest, &m->digest))
                return op_fail_conflict(&op->base,
                                        "the object %s in the store is damaged: its digest is not the one of its manifest",
                                        m->object);
        op->task->receipt = (Receipt){
                .object_key = TAKE_PTR(m->object),
                .manifest_key = TAKE_PTR(m->manifest),
                .strength = WIRE_STRENGTH_DIGEST,
                .time_unix_sec = m->stored_unix_sec,
                .already_there = true,
        };
        atomic_store(&op->task->stored_bytes, m->size_bytes);
        op->present(op);
}

static void on_looked_up(S3Op *op, const S3Result *result) {
        if (result->outcome == S3_ABSENT)
                return op->absent(op);
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "looking for a manifest");
        op->found = manifest_free(op->found);
        if (s3_take_manifest(op, result, op->looked_up, &op->found) < 0 || compare_manifest(op, op->looked_up, op->found) < 0)
                return;
        /* Read whole, as it is not our own: two docks, or a receipt that was lost. */
        s3_read(op, op->found->object, on_found_read);
}

void s3_look_up(S3Op *op, const char *manifest_key, void (*absent)(S3Op *op), void (*present)(S3Op *op)) {
        op->absent = absent;
        op->present = present;
        op->looked_up = manifest_key;
        s3_call_send(op, s3_call_new(op, "GET", manifest_key), on_looked_up);
}

/* ---- Confirm ------------------------------------------------------------------------------------------------------- */

static void release(S3Op *op) {
        s3_op_fini(op);
        free(op);
}

static void confirmed(S3Op *op, bool digest) {
        op->task->strength = digest ? WIRE_STRENGTH_DIGEST : WIRE_STRENGTH_SIZE;
        s3_op_end(op);
}

static void on_confirm_read(S3Op *op, const S3Result *result) {
        uint64_t size;
        Digest digest;
        int r;

        if (task_fail_file(op->task))
                return s3_op_end(op);
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "reading an object");
        r = s3_read_digest(op, &digest, &size);
        if (r < 0)
                return s3_op_fail_errno(op, r, "hashing an object");
        if (size != op->task->confirm.size_bytes || !digest_equal(&digest, &op->task->confirm.digest))
                return op_fail_conflict(&op->base,
                                        "the object %s in the store is damaged: its digest is not the one of its receipt",
                                        op->task->confirm.object_key);
        confirmed(op, true);
}

static void on_confirm_head(S3Op *op, const S3Result *result) {
        const ConfirmRequest *confirm = &op->task->confirm;
        const Manifest *m = op->found;
        S3Head head;

        if (result->outcome == S3_ABSENT) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_GONE, NULL, "the store holds the object %s no more",
                                   confirm->object_key);
                return s3_op_end(op);
        }
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "looking at an object");
        if (s3_head_parse(result, &head) < 0)
                return s3_op_fail_errno(op, EBADMSG, "looking at an object");
        if (head.size_bytes != confirm->size_bytes)
                return op_fail_conflict(&op->base,
                                        "the object %s in the store has %" PRIu64 " bytes, and %" PRIu64 " by its receipt",
                                        confirm->object_key, head.size_bytes, confirm->size_bytes);
        if (m->etag && head.etag[0] && !text_equal(m->etag, head.etag))
                return op_fail_conflict(&op->base,
                                        "the object %s in the store was replaced: it is %s now, and %s by its manifest",
                                        confirm->object_key, head.etag, m->etag);
        /* What was not done when it was put is done now, where it is wanted. */
        if (op->task->kind == TASK_VERIFY || op->task->kind == TASK_GET_CLIP || (op->store->read_back && !m->read_back))
                return s3_read(op, confirm->object_key, on_confirm_read);
        confirmed(op, m->read_back || m->store_checked);
}

static void on_confirm_manifest(S3Op *op, const S3Result *result) {
        const ConfirmRequest *confirm = &op->task->confirm;
        const Manifest *m;

        if (result->outcome == S3_ABSENT) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_GONE, NULL, "the store holds the manifest %s no more",
                                   confirm->manifest_key);
                return s3_op_end(op);
        }
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "reading a manifest");
        if (s3_take_manifest(op, result, confirm->manifest_key, &op->found) < 0)
                return;
        m = op->found;
        if (!text_equal(m->manifest, confirm->manifest_key) || !text_equal(m->object, confirm->object_key) ||
            m->size_bytes != confirm->size_bytes || !digest_equal(&m->digest, &confirm->digest))
                return op_fail_conflict(&op->base, "the manifest %s in the store names something else than the receipt",
                                        confirm->manifest_key);
        s3_call_send(op, s3_call_new(op, "HEAD", confirm->object_key), on_confirm_head);
}

int s3_confirm_begin(S3Store *store, Task *task) {
        LayoutKey object, manifest;
        S3Op *op = calloc(1, sizeof(*op));
        int r;

        r = op ? s3_op_init(op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(op);
                return r;
        }
        if (layout_parse_key(task->confirm.object_key, LAYOUT_OBJECTS, &object) < 0 ||
            layout_parse_key(task->confirm.manifest_key, LAYOUT_MANIFESTS, &manifest) < 0) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "these are no keys of this store");
                s3_op_end(op);
        } else
                s3_call_send(op, s3_call_new(op, "GET", task->confirm.manifest_key), on_confirm_manifest);
        return 0;
}
