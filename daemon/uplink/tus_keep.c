/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Small texts that are kept for good. A server that names its uploads by itself has no keys of ours: which upload is which text, our own
 * record says, in a folder of its own where nothing is swept.
 */

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "uplink/tus_private.h"

typedef struct TusKeep {
        TusOp op; /* first */
        TusRecord *record;
        TusStream stream;
        bool put, anew;
        char key[TUS_KEY_SIZE]; /* between an answer and our record of it */
} TusKeep;

static TusKeep *keep_of(TusOp *op) {
        return (TusKeep *) op;
}

static void release(TusOp *op) {
        TusKeep *k = keep_of(op);

        tus_op_fini(op);
        k->record = tus_record_free(k->record);
        free(k);
}

static void fail_record(TusOp *op, int error) {
        tus_op_fail_errno(op, error, "recording it in the state folder");
}

static void conflict(TusOp *op) {
        (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_CONFLICT, NULL, "another text lies in the store as %s",
                           op->task->keep.key);
        tus_op_end(op);
}

/* ---- The end ------------------------------------------------------------------------------------------------------- */

static int record_done(TusOp *op) {
        TusRecord *r = keep_of(op)->record;

        return r->done ? 0 : tus_record_set_done(r);
}

static void on_done_recorded(TusOp *op, int result) {
        if (result < 0)
                return fail_record(op, result);
        op->task->already_there = !keep_of(op)->put;
        tus_op_end(op);
}

static void on_read(TusOp *op, const TusResult *result) {
        const char *text = op->task->keep.text;

        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "reading a text that is kept");
        if (result->answer->body_size != strlen(text) || memcmp(result->answer->body, text, strlen(text)) != 0)
                return conflict(op);
        tus_op_job(op, record_done, on_done_recorded);
}

/* ---- Bringing it there --------------------------------------------------------------------------------------------- */

static void create(TusKeep *k);

static int forget(TusOp *op) {
        return tus_record_forget_upload(keep_of(op)->record);
}

static void on_forgotten(TusOp *op, int result) {
        if (result < 0)
                return fail_record(op, result);
        create(keep_of(op));
}

static void on_gone(TusStream *s, const char *why) {
        TusKeep *k = keep_of(s->op);

        if (k->anew)
                return tus_op_fail_store(s->op, "does not keep %s: %s", k->record->upload, why);
        k->anew = true;
        tus_op_job(s->op, forget, on_forgotten);
}

static void on_next(TusStream *s, const TusHead *head) {
        TusKeep *k = keep_of(s->op);
        Digest digest;

        if (digest_of((const char *) s->source.data + s->offset, s->source.size_bytes - s->offset, &digest) < 0)
                return tus_op_fail_errno(s->op, EIO, "hashing a text");
        if (s->offset < s->source.size_bytes) {
                k->put = true;
                return tus_stream_send(s, s->source.size_bytes, s->op->store->promises.checks ? &digest : NULL);
        }
        if (!s->asked)
                return tus_stream_ask(s);
        if (head && digest_of(s->source.data, s->source.size_bytes, &digest) >= 0 && !tus_head_agrees(head, TUS_META_SHA256, &digest))
                return on_gone(s, "there is something else in its place");
        if (s->op->store->read_back)
                return tus_call_send(s->op, tus_call_new(s->op, "GET", s->key), on_read);
        tus_op_job(s->op, record_done, on_done_recorded);
}

static void begin_stream(TusKeep *k) {
        const char *text = k->op.task->keep.text;

        k->stream = (TusStream){
                .op = &k->op,
                .key = k->record->upload,
                .doing = "sending a text to be kept",
                .source = { .data = text, .size_bytes = strlen(text) },
                .next = on_next,
                .gone = on_gone,
        };
}

static int record_upload(TusOp *op) {
        TusKeep *k = keep_of(op);

        return tus_record_set_upload(k->record, &(TusUpload){ .key = k->key });
}

static void on_upload_recorded(TusOp *op, int result) {
        TusKeep *k = keep_of(op);

        if (result < 0)
                return fail_record(op, result);
        begin_stream(k);
        on_next(&k->stream, NULL);
}

static void on_created(TusOp *op, const TusResult *result) {
        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "creating an upload");
        if (tus_take_location(op, result, keep_of(op)->key) < 0)
                return;
        tus_op_job(op, record_upload, on_upload_recorded);
}

static int metadata_of(const KeepRequest *keep, char **ret) {
        char hex[DIGEST_HEX_SIZE], file[LAYOUT_COMPONENT_SIZE];
        Digest digest;
        int r;

        if ((r = layout_component(keep->key, file)) < 0 || (r = digest_of(keep->text, strlen(keep->text), &digest)) < 0 ||
            (r = tus_metadata_add(ret, "filename", file)) < 0 || (r = tus_metadata_add(ret, "filetype", "text/plain")) < 0 ||
            (r = tus_metadata_add(ret, TUS_META_NAME, keep->key)) < 0)
                return r;
        return tus_metadata_add(ret, TUS_META_SHA256, digest_to_hex(&digest, hex));
}

static void create(TusKeep *k) {
        const KeepRequest *keep = &k->op.task->keep;
        _cleanup_(freep) char *metadata = NULL;
        TusCall *call;

        if (metadata_of(keep, &metadata) < 0)
                return tus_op_fail_errno(&k->op, ENOMEM, "describing it");
        k->put = true;
        call = tus_call_new(&k->op, "POST", NULL);
        tus_call_header_uint(call, "Upload-Length", strlen(keep->text));
        tus_call_header(call, "Upload-Metadata", metadata);
        tus_call_fresh(call);
        tus_call_send(&k->op, call, on_created);
}

/* ---- What we know of it already ------------------------------------------------------------------------------------ */

static int open_record(TusOp *op) {
        const KeepRequest *keep = &op->task->keep;
        TusRecordKey key = {
                .store = op->store->url.path, .name = keep->key, .size_bytes = strlen(keep->text), .alone = true
        };
        int r;

        r = digest_of(keep->text, strlen(keep->text), &key.digest);
        if (r < 0)
                return r;
        return tus_record_open(op->store->kept, &key, keep->key, WIRE_KEEP_MAX, &keep_of(op)->record);
}

static void on_record(TusOp *op, int result) {
        TusKeep *k = keep_of(op);

        if (result == -EEXIST)
                return conflict(op);
        if (result < 0)
                return fail_record(op, result);
        if (!k->record->upload[0])
                return create(k);
        begin_stream(k);
        tus_stream_resume(&k->stream);
}

static int begin(TusStore *store, Task *task, TusKeep **ret) {
        TusKeep *k = calloc(1, sizeof(*k));
        int r;

        r = k ? tus_op_init(&k->op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(k);
                return r;
        }
        *ret = k;
        return 0;
}

int tus_keep_begin(TusStore *store, Task *task) {
        TusKeep *k = NULL;
        LayoutSmallKey key;
        int r;

        r = begin(store, task, &k);
        if (r < 0)
                return r;
        if (layout_parse_small_key(task->keep.key, &key) < 0) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s is no key of what is kept", task->keep.key);
                tus_op_end(&k->op);
        } else
                tus_op_job(&k->op, open_record, on_record);
        return 0;
}

/* What docks share is found by its name, and a tus server has none. */
static int refuse(TusStore *store, Task *task, const char *text) {
        TusKeep *k = NULL;
        int r;

        r = begin(store, task, &k);
        if (r < 0)
                return r;
        (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s", text);
        tus_op_end(&k->op);
        return 0;
}

int tus_replace_begin(TusStore *store, Task *task) {
        return refuse(store, task, "a tus server names what it stores, and replaces nothing: no status of a dock can lie there");
}

int tus_nameless_begin(TusStore *store, Task *task) {
        return refuse(store, task, "a tus server names what it stores, and lists nothing: there can be no firmware in it, no rollout, no "
                                   "archive");
}

int tus_lock_begin(TusStore *store, Task *task) {
        TusKeep *k = NULL;
        int r;

        r = begin(store, task, &k);
        if (r < 0)
                return r;
        (void) task_has_no_lock(task, "a tus server knows no legal holds: who may delete there is up to its own settings");
        tus_op_end(&k->op);
        return 0;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

/* It gives nothing: because it has nothing, or since it lets nothing be read? */
static void on_fetched_head(TusOp *op, const TusResult *result) {
        const char *key = op->task->fetch.key;

        if (result->outcome != TUS_OK && result->outcome != TUS_GONE)
                return tus_op_fail(op, result, "asking for a small text");
        if (result->outcome == TUS_OK)
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the store %s has %s, and does not let it be read (GET)", op->store->name, key);
        else
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_GONE, NULL, "there is no %s in the store", key);
        tus_op_end(op);
}

static void on_fetched(TusOp *op, const TusResult *result) {
        Task *task = op->task;

        if (result->outcome == TUS_GONE)
                return tus_call_send(op, tus_call_new(op, "HEAD", keep_of(op)->key), on_fetched_head);
        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "reading a small text");
        else if (result->answer->body_size > MANIFEST_SIZE_MAX ||
                 task_take_text(task, result->answer->body, result->answer->body_size) < 0)
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_CONFLICT, NULL, "%s in the store is no text", task->fetch.key);
        tus_op_end(op);
}

static int find_upload(TusOp *op) {
        return tus_record_find(op->store->kept, op->store->url.path, op->task->fetch.key, keep_of(op)->key);
}

static void on_upload_found(TusOp *op, int result) {
        if (result < 0)
                return fail_record(op, result);
        if (result > 0)
                return tus_call_send(op, tus_call_new(op, "GET", keep_of(op)->key), on_fetched);
        (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_GONE, NULL,
                           "there is no %s in the store that this dock knows of: a tus server lists nothing", op->task->fetch.key);
        tus_op_end(op);
}

int tus_fetch_begin(TusStore *store, Task *task) {
        const char *key = task->fetch.key;
        LayoutSmallKey small;
        TusKeep *k = NULL;
        int r;

        r = begin(store, task, &k);
        if (r < 0)
                return r;
        if (tus_key_is_valid(key)) {
                memcpy(k->key, key, strlen(key) + 1);
                tus_call_send(&k->op, tus_call_new(&k->op, "GET", k->key), on_fetched);
        } else if (layout_parse_small_key(key, &small) >= 0)
                tus_op_job(&k->op, find_upload, on_upload_found);
        else {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s is no key of a small text", key);
                tus_op_end(&k->op);
        }
        return 0;
}
