/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A legal hold on what is stored already, since somebody ordered that the clip is deleted nowhere; and its end. The object's version is
 * held, and the manifest that names it. Only what is read back counts.
 */

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "uplink/s3_private.h"

typedef struct LegalHold {
        S3Op op;     /* first */
        bool manifest; /* the object is as it should be, and its manifest's turn */
        bool asked;
} LegalHold;

static void look(S3Op *op);

static void release(S3Op *op) {
        s3_op_fini(op);
        free(op);
}

static const char *key_of(const LegalHold *h) {
        return h->manifest ? h->op.task->lock.manifest_key : h->op.task->lock.object_key;
}

static S3Call *new_call(S3Op *op, const char *method) {
        const LegalHold *h = (LegalHold *) op;
        S3Call *call = s3_call_new(op, method, key_of(h));

        s3_call_query(call, "legal-hold", "");
        if (!h->manifest && op->task->lock.version[0])
                s3_call_query(call, "versionId", op->task->lock.version);
        return call;
}

static void settled(S3Op *op) {
        LegalHold *h = (LegalHold *) op;

        if (!h->manifest) {
                h->manifest = true;
                h->asked = false;
                return look(op);
        }
        op->task->locked = op->task->lock.held ? WIRE_LOCK_ON : WIRE_LOCK_OFF;
        s3_op_end(op);
}

static void on_put(S3Op *op, const S3Result *result) {
        const LegalHold *h = (LegalHold *) op;

        if (result->outcome == S3_ABSENT) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_GONE, NULL, "the store holds %s no more", key_of(h));
                return s3_op_end(op);
        }
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, op->task->lock.held ? "setting a legal hold" : "ending a legal hold");
        look(op);
}

static void ask(S3Op *op) {
        S3Call *call = new_call(op, "PUT");

        ((LegalHold *) op)->asked = true;
        s3_call_text(call,
                     text_format("<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>%s</Status></LegalHold>",
                                 op->task->lock.held ? "ON" : "OFF"),
                     "application/xml", true);
        s3_call_send(op, call, on_put);
}

/* What a store without Object Lock, or a bucket that was made without, says of a legal hold. */
static bool knows_none(const S3Result *result) {
        return result->outcome == S3_NEVER || text_equal(result->error.code, "NotImplemented");
}

static void on_look(S3Op *op, const S3Result *result) {
        const LegalHold *h = (LegalHold *) op;
        bool on = false;

        if (!h->manifest && !h->asked && knows_none(result)) {
                (void) task_has_no_lock(op->task, "the bucket was made without Object Lock: who may delete in it is up to its policy");
                return s3_op_end(op);
        }
        if (result->outcome == S3_OK && s3_xml_legal_hold(result->answer->body, result->answer->body_size, &on) < 0) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the store %s does not say whether it holds %s", op->store->name, key_of(h));
                return s3_op_end(op);
        }
        if (result->outcome != S3_OK && result->outcome != S3_NOT_SET && result->outcome != S3_ABSENT)
                return s3_op_fail(op, result, "reading a legal hold");
        if (on == op->task->lock.held)
                return settled(op);
        if (!h->asked)
                return ask(op);
        (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                           "the store %s says that it did, and the legal hold of %s is not %s", op->store->name, key_of(h),
                           op->task->lock.held ? "set" : "ended");
        s3_op_end(op);
}

static void look(S3Op *op) {
        s3_call_send(op, new_call(op, "GET"), on_look);
}

static void stays(Task *task) {
        static const char why[] = "[store] legal_hold = yes holds whatever is stored there";

        if (task_take_text(task, why, sizeof(why) - 1) < 0)
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL, "the uplink is out of memory");
        task->locked = WIRE_LOCK_STAYS;
}

int s3_legal_hold_begin(S3Store *store, Task *task) {
        LegalHold *h = calloc(1, sizeof(*h));
        LayoutKey object, manifest;
        int r;

        r = h ? s3_op_init(&h->op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(h);
                return r;
        }
        if (layout_parse_key(task->lock.object_key, LAYOUT_OBJECTS, &object) < 0 ||
            layout_parse_key(task->lock.manifest_key, LAYOUT_MANIFESTS, &manifest) < 0)
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "these are no keys of this store");
        else if (!task->lock.held && store->legal_hold)
                stays(task);
        else {
                look(&h->op);
                return 0;
        }
        s3_op_end(&h->op);
        return 0;
}
