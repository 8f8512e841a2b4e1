/* SPDX-License-Identifier: Apache-2.0 */

/* What the server has: offsets and metadata, whole uploads read back, and whether a receipt still holds. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "uplink/http_time.h"
#include "uplink/tus_private.h"

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

int tus_head_parse(const TusResult *result, TusHead *ret) {
        char text[24];
        TusHead head = {};

        if (!http_header(result->answer, "upload-offset", text, sizeof(text)) || tus_number(text, &head.offset_bytes) < 0)
                return -EBADMSG;
        if (http_header(result->answer, "upload-length", text, sizeof(text))) {
                if (tus_number(text, &head.length_bytes) < 0 || head.length_bytes < head.offset_bytes)
                        return -EBADMSG;
                head.length_known = true;
        }
        if (!http_header(result->answer, "upload-metadata", head.metadata, sizeof(head.metadata)))
                head.metadata[0] = 0;
        *ret = head;
        return 0;
}

bool tus_head_agrees(const TusHead *head, const char *name, const Digest *digest) {
        char text[DIGEST_HEX_SIZE], hex[DIGEST_HEX_SIZE];
        int r;

        r = tus_metadata_find(head->metadata, name, text, sizeof(text));
        return r == -ENOENT || (r >= 0 && text_equal(text, digest_to_hex(digest, hex)));
}

int64_t tus_expires(const TusResult *result) {
        char text[64];
        int64_t at;

        if (!http_header(result->answer, "upload-expires", text, sizeof(text)) || http_parse_date(text, &at) < 0 || at < 0)
                return 0;
        return at;
}

int tus_take_location(TusOp *op, const TusResult *result, char ret[static TUS_KEY_SIZE]) {
        char location[2 * TUS_KEY_SIZE];
        int r;

        if (!http_header(result->answer, "location", location, sizeof(location))) {
                tus_op_fail_store(op, "does not say where the upload is that it created (%d, Location)", result->answer->status);
                return -1;
        }
        r = tus_location(&op->store->url, location, ret);
        if (r == -EXDEV)
                tus_op_fail_store(op,
                                  "says that the upload is at %.128s, which is elsewhere, and where no token is taken to: let it say "
                                  "where it is by its own address (behind a proxy, it has to be told that)",
                                  location);
        else if (r < 0)
                tus_op_fail_store(op, "says that the upload is at '%.128s', which is no address", location);
        return r < 0 ? -1 : 0;
}

/* ---- Reading back -------------------------------------------------------------------------------------------------- */

static int on_data(TusOp *op, const void *data, size_t size) {
        return op_read_takes(&op->base, data, size);
}

static int restart(TusOp *op) {
        return op_read_begins(&op->base);
}

void tus_read(TusOp *op, const char *key, void (*then)(TusOp *op, const TusResult *result)) {
        TusCall *call = tus_call_new(op, "GET", key);

        tus_call_sink(call, on_data, restart);
        tus_call_send(op, call, then);
}

int tus_read_digest(TusOp *op, Digest *ret, uint64_t *ret_size_bytes) {
        return op_read_digest(&op->base, ret, ret_size_bytes);
}

/* ---- Is it still there? -------------------------------------------------------------------------------------------- */

/* 1: its head is in `ret`. 0 or negative: the operation has gone another way. */
static int take_head(TusOp *op, const TusResult *result, const char *what, const char *key, TusHead *ret) {
        if (result->outcome == TUS_GONE) {
                op->check->gone(op, what, key);
                return 0;
        }
        if (result->outcome != TUS_OK) {
                tus_op_fail(op, result, "asking for what it has");
                return 0;
        }
        if (tus_head_parse(result, ret) < 0) {
                tus_op_fail_store(op, "does not say how much it has of %s", key);
                return 0;
        }
        return 1;
}

static void on_manifest_head(TusOp *op, const TusResult *result) {
        TusCheck *c = op->check;
        char text[TUS_KEY_SIZE];
        TusHead head;
        int r;

        if (take_head(op, result, "manifest", c->manifest, &head) <= 0)
                return;
        if (!head.length_known || head.offset_bytes != head.length_bytes || head.length_bytes == 0)
                return op_fail_conflict(&op->base, "the manifest %s in the store is not whole any more", c->manifest);
        r = tus_metadata_find(head.metadata, TUS_META_OBJECT, text, sizeof(text));
        if ((r != -ENOENT && (r < 0 || !text_equal(text, c->object))) ||
            !tus_head_agrees(&head, TUS_META_CLIP_SHA256, &c->digest))
                return op_fail_conflict(&op->base, "the manifest %s in the store names something else than the receipt",
                                        c->manifest);
        c->strong = r >= 0 && tus_metadata_find(head.metadata, TUS_META_STRENGTH, text, sizeof(text)) >= 0 &&
                    text_equal(text, WIRE_STRENGTH_DIGEST);
        c->good(op);
}

static void on_object_head(TusOp *op, const TusResult *result) {
        const TusCheck *c = op->check;
        TusHead head;

        if (take_head(op, result, "object", c->object, &head) <= 0)
                return;
        if (head.offset_bytes != c->size_bytes || (head.length_known && head.length_bytes != c->size_bytes))
                return op_fail_conflict(&op->base,
                                        "the object %s in the store has %" PRIu64 " bytes, and %" PRIu64 " by its receipt",
                                        c->object, head.offset_bytes, c->size_bytes);
        if (!tus_head_agrees(&head, TUS_META_SHA256, &c->digest))
                return op_fail_conflict(&op->base, "%s in the store is another object than that of the receipt", c->object);
        tus_call_send(op, tus_call_new(op, "HEAD", c->manifest), on_manifest_head);
}

void tus_check(TusOp *op, TusCheck *check) {
        op->check = check;
        tus_call_send(op, tus_call_new(op, "HEAD", check->object), on_object_head);
}

/* ---- Confirm ------------------------------------------------------------------------------------------------------- */

typedef struct TusConfirm {
        TusOp op; /* first */
        TusCheck check;
} TusConfirm;

static void release(TusOp *op) {
        tus_op_fini(op);
        free(op);
}

static void confirmed(TusOp *op, bool digest) {
        op->task->strength = digest ? WIRE_STRENGTH_DIGEST : WIRE_STRENGTH_SIZE;
        tus_op_end(op);
}

static void on_confirm_read(TusOp *op, const TusResult *result) {
        const ConfirmRequest *confirm = &op->task->confirm;
        uint64_t size;
        Digest digest;
        int r;

        if (task_fail_file(op->task))
                return tus_op_end(op);
        /* It was there a moment ago. */
        if (result->outcome == TUS_GONE) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the store %s has the object %s, and does not let it be read (GET)", op->store->name,
                                   confirm->object_key);
                return tus_op_end(op);
        }
        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "reading an object back");
        r = tus_read_digest(op, &digest, &size);
        if (r < 0)
                return tus_op_fail_errno(op, r, "hashing an object");
        if (size != confirm->size_bytes || !digest_equal(&digest, &confirm->digest))
                return op_fail_conflict(&op->base,
                                        "the object %s in the store is damaged: its digest is not the one of its receipt",
                                        confirm->object_key);
        confirmed(op, true);
}

static void on_good(TusOp *op) {
        /* What was not done when it was put is done now, where it is wanted. */
        if (op->task->kind == TASK_VERIFY || op->task->kind == TASK_GET_CLIP || (op->store->read_back && !op->check->strong))
                return tus_read(op, op->check->object, on_confirm_read);
        confirmed(op, op->check->strong);
}

static void on_gone(TusOp *op, const char *what, const char *key) {
        (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_GONE, NULL, "the store holds the %s %s no more", what, key);
        tus_op_end(op);
}

int tus_confirm_begin(TusStore *store, Task *task) {
        const ConfirmRequest *request = &task->confirm;
        TusConfirm *c = calloc(1, sizeof(*c));
        int r;

        r = c ? tus_op_init(&c->op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(c);
                return r;
        }
        c->check = (TusCheck){
                .object = request->object_key,
                .manifest = request->manifest_key,
                .size_bytes = request->size_bytes,
                .digest = request->digest,
                .good = on_good,
                .gone = on_gone,
        };
        if (!tus_key_is_valid(request->object_key) || !tus_key_is_valid(request->manifest_key)) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "these are no keys of this store");
                tus_op_end(&c->op);
        } else
                tus_check(&c->op, &c->check);
        return 0;
}
