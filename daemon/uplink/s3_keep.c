/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Small texts that are kept for good: a dock's checkpoints. Looked for, put with If-None-Match: *, read back, and put under retention where
 * that is asked for. And reading them, or a manifest, for whoever verifies.
 *
 * What docks put about a rollout is many, and no evidence: it is put at once, without retention, and looked at only when something lies
 * there already. That the store heeds the condition is tried out at the start, and every day.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "uplink/s3_private.h"

typedef struct S3Keep {
        S3Op op;  /* first */
        bool put; /* what is read now must be there; of a replace: something lies there already */
        Digest predecessor; /* of a replace: what lies there, and the store's mark of it */
        char etag[S3_ETAG_SIZE];
        bool bare; /* the mark is said without quotation marks */
        char version[S3_UPLOAD_ID_SIZE];
} S3Keep;

static void release(S3Op *op) {
        s3_op_fini(op);
        free(op);
}

static bool is_of_rollout(const S3Op *op) {
        return strncmp(op->task->keep.key, WIRE_KEEP_ROLLOUTS "/", strlen(WIRE_KEEP_ROLLOUTS "/")) == 0;
}

static void on_kept_read(S3Op *op, const S3Result *result);

static void on_kept_put(S3Op *op, const S3Result *result) {
        if (result->outcome != S3_OK && result->outcome != S3_EXISTS)
                return s3_op_fail(op, result, "putting a text to be kept");
        if (result->outcome == S3_OK && is_of_rollout(op))
                return s3_op_end(op);
        ((S3Keep *) op)->put = true;
        s3_call_send(op, s3_call_new(op, "GET", op->task->keep.key), on_kept_read);
}

static void put_kept(S3Op *op) {
        S3Call *call = s3_call_new(op, "PUT", op->task->keep.key);

        s3_call_header(call, "if-none-match", "*");
        s3_call_text(call, strdup(op->task->keep.text), "text/plain", true);
        s3_call_send(op, call, on_kept_put);
}

static void on_kept_read(S3Op *op, const S3Result *result) {
        const char *text = op->task->keep.text;
        S3Keep *k = (S3Keep *) op;

        if (result->outcome == S3_ABSENT && !k->put)
                return put_kept(op);
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "reading a text that is kept");
        if (result->answer->body_size != strlen(text) || memcmp(result->answer->body, text, strlen(text)) != 0) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_CONFLICT, NULL, "another text lies in the store as %s",
                                   op->task->keep.key);
                return s3_op_end(op);
        }
        if (is_of_rollout(op))
                return s3_op_end(op);
        op->task->already_there = !k->put;
        if (http_header(result->answer, "x-amz-version-id", k->version, sizeof(k->version)) &&
            (!text_is_printable(k->version) || text_equal(k->version, "null")))
                k->version[0] = 0;
        s3_lock(op, op->task->keep.key, k->version, s3_op_end);
}

static int begin(S3Store *store, Task *task, S3Op **ret) {
        S3Keep *k = calloc(1, sizeof(*k));
        int r;

        r = k ? s3_op_init(&k->op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(k);
                return r;
        }
        *ret = &k->op;
        return 0;
}

int s3_keep_begin(S3Store *store, Task *task) {
        LayoutSmallKey key;
        S3Op *op = NULL;
        int r;

        r = begin(store, task, &op);
        if (r < 0)
                return r;
        if (layout_parse_small_key(task->keep.key, &key) < 0) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s is no key of what is kept", task->keep.key);
                s3_op_end(op);
        } else if (is_of_rollout(op))
                put_kept(op);
        else
                s3_call_send(op, s3_call_new(op, "GET", task->keep.key), on_kept_read);
        return 0;
}

/* ---- Replacing ----------------------------------------------------------------------------------------------------- */

static void put_status(S3Op *op);

static void on_replaced_read(S3Op *op, const S3Result *result) {
        const char *text = op->task->keep.text;
        S3Keep *k = (S3Keep *) op;
        Digest digest;

        if (result->outcome != S3_OK && result->outcome != S3_ABSENT)
                return s3_op_fail(op, result, "reading a status back");
        if (result->outcome == S3_OK && result->answer->body_size == strlen(text) &&
            memcmp(result->answer->body, text, strlen(text)) == 0) {
                successor_note(&op->store->successor, op->task);
                return s3_op_end(op);
        }
        /* Refused, though nothing changed: Ceph compares marks as they stand, and its own have no quotation marks. */
        if (k->etag[0] && !k->bare && digest_of(result->answer->body, result->answer->body_size, &digest) >= 0 &&
            digest_equal(&digest, &k->predecessor)) {
                k->bare = true;
                return put_status(op);
        }
        (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_CONFLICT, NULL,
                           "what was just put as %s is not what lies there: another dock writes there, too", op->task->keep.key);
        s3_op_end(op);
}

static void on_replaced(S3Op *op, const S3Result *result) {
        /* The condition did not hold: another was there first, or this is ours whose answer was lost. */
        if (result->outcome != S3_OK && result->outcome != S3_EXISTS)
                return s3_op_fail(op, result, "putting a status");
        s3_call_send(op, s3_call_new(op, "GET", op->task->keep.key), on_replaced_read);
}

static void put_status(S3Op *op) {
        S3Call *call = s3_call_new(op, "PUT", op->task->keep.key);
        const S3Keep *k = (S3Keep *) op;
        char condition[S3_ETAG_SIZE + 2];

        (void) snprintf(condition, sizeof(condition), k->bare ? "%s" : "\"%s\"", k->etag);
        if (!k->put)
                s3_call_header(call, "if-none-match", "*");
        else if (k->etag[0])
                s3_call_header(call, "if-match", condition);
        s3_call_text(call, strdup(op->task->keep.text), "text/plain", true);
        s3_call_send(op, call, on_replaced);
}

static void on_predecessor(S3Op *op, const S3Result *result) {
        S3Keep *k = (S3Keep *) op;

        if (result->outcome != S3_OK && result->outcome != S3_ABSENT)
                return s3_op_fail(op, result, "reading a status");
        if (result->outcome == S3_OK) {
                if (successor_check(&op->store->successor, op->task, result->answer->body, result->answer->body_size) < 0)
                        return s3_op_end(op);
                k->put = true;
                memcpy(k->etag, result->etag, sizeof(k->etag));
                if (digest_of(result->answer->body, result->answer->body_size, &k->predecessor) < 0)
                        k->bare = true;
        }
        put_status(op);
}

int s3_replace_begin(S3Store *store, Task *task) {
        LayoutSmallKey key;
        S3Op *op = NULL;
        int r;

        r = begin(store, task, &op);
        if (r < 0)
                return r;
        if (layout_parse_replaced_key(task->keep.key, &key) < 0) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s is no key of what is replaced", task->keep.key);
                s3_op_end(op);
        } else
                s3_call_send(op, s3_call_new(op, "GET", task->keep.key), on_predecessor);
        return 0;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

static void on_fetched(S3Op *op, const S3Result *result) {
        Task *task = op->task;

        if (result->outcome == S3_ABSENT)
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_GONE, NULL, "there is no %s in the store", task->fetch.key);
        else if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "reading a small text");
        else if (result->answer->body_size > MANIFEST_SIZE_MAX ||
                 task_take_text(task, result->answer->body, result->answer->body_size) < 0)
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_CONFLICT, NULL, "%s in the store is no text", task->fetch.key);
        s3_op_end(op);
}

int s3_fetch_begin(S3Store *store, Task *task) {
        LayoutSmallKey small;
        S3Op *op = NULL;
        LayoutKey key;
        int r;

        r = begin(store, task, &op);
        if (r < 0)
                return r;
        if (layout_parse_small_key(task->fetch.key, &small) < 0 && layout_parse_replaced_key(task->fetch.key, &small) < 0 &&
            layout_parse_key(task->fetch.key, LAYOUT_MANIFESTS, &key) < 0) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s is no key of a small text", task->fetch.key);
                s3_op_end(op);
        } else
                s3_call_send(op, s3_call_new(op, "GET", task->fetch.key), on_fetched);
        return 0;
}
