/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Putting a clip. In this order, each step done before the next:
 *
 *   our record                 a server lists nothing: a clip that was stored is known by it, and so is an upload under way
 *   POST                       creates the upload; our record gets its name before any piece goes into it
 *   PATCH …                    piece by piece (tus_pieces.c, tus_stream.c)
 *   HEAD                       how much it has, by its own word; all of it is read back where that is wanted
 *   the same for the manifest  which names the object; now the clip counts as stored
 *
 * Nothing that counts is ever changed or removed.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/text.h"
#include "uplink/source.h"
#include "uplink/tus_private.h"

#define AUTO_PART_MIN (16 * MIB)
#define AUTO_PART_MAX (64 * MIB)
/* In one request with its creation. An answer that is lost costs as much room there: nobody finds it again. */
#define SMALL_MAX (1 * MIB)
/* A longer path would not fit into what servers take as headers; the manifest has it in any case. */
#define PATH_IN_METADATA_MAX 1024u
#define OBJECT_TYPE "application/octet-stream"
#define MANIFEST_TYPE "application/json"

static TusPut *put_of(TusOp *op) {
        return (TusPut *) op;
}

static void release(TusOp *op) {
        TusPut *p = put_of(op);

        tus_op_fini(op);
        p->record = tus_record_free(p->record);
        p->whole = hasher_free(p->whole);
        free(p->manifest.object);
        free(p->manifest.manifest);
        free(p->text);
        free(p);
}

static void fail_record(TusOp *op, int error) {
        tus_op_fail_errno(op, error, "recording it in the state folder");
}

/* ---- The source ---------------------------------------------------------------------------------------------------- */

void tus_put_source_error(TusPut *p, int error) {
        source_failed(p->op.task, error);
        tus_op_end(&p->op);
}

/* ---- Ending what will not be completed ----------------------------------------------------------------------------- */

static void on_forgotten(TusOp *op, int result) {
        (void) result;
        tus_op_end(op);
}

static int forget_upload(TusOp *op) {
        return tus_record_set_upload(put_of(op)->record, "", 0, false);
}

static void on_terminated(TusOp *op, const TusResult *result) {
        (void) result;
        tus_op_job(op, forget_upload, on_forgotten);
}

/* The answer is there already: the upload goes, where the server lets it. */
static void abandon(TusPut *p) {
        TusCall *call;

        if (!p->record->upload[0])
                return tus_op_end(&p->op);
        if (!p->op.store->promises.termination)
                return tus_op_job(&p->op, forget_upload, on_forgotten);
        call = tus_call_new(&p->op, "DELETE", p->record->upload);
        tus_call_tries(call, 2);
        tus_call_send(&p->op, call, on_terminated);
}

void tus_put_source_differs(TusPut *p) {
        source_differs(p->op.task, &p->whole_digest);
        p->settled = true;
        abandon(p);
}

/* ---- Beginning anew ------------------------------------------------------------------------------------------------ */

static void on_anew(TusOp *op, int result) {
        TusPut *p = put_of(op);

        if (result < 0)
                return fail_record(op, result);
        p->sending = false;
        tus_pieces_pump(p);
}

static void stream_begin(TusPut *p, TusStream *s, const char *key, const HttpBody *source);

static void begin_clip(TusPut *p) {
        const HttpBody source = { .fd = p->op.task->put.source_fd, .size_bytes = p->manifest.size_bytes };

        stream_begin(p, &p->clip, p->record->upload, &source);
        p->clip.clip = true;
        p->clip.doing = "sending a clip";
        p->clip.expires_unix_sec = p->record->expires_unix_sec;
}

void tus_put_anew(TusPut *p, const char *why) {
        if (p->anew) {
                (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s does not keep the upload of %s: %s", p->op.store->name, p->record->object, why);
                return tus_op_job(&p->op, forget_upload, on_forgotten);
        }
        p->anew = true;
        p->sending = true;
        begin_clip(p);
        p->clip.expires_unix_sec = 0;
        tus_op_job(&p->op, forget_upload, on_anew);
}

/* ---- The end ------------------------------------------------------------------------------------------------------- */

static void give_receipt(TusPut *p, bool already_there) {
        Task *task = p->op.task;

        task->receipt = (Receipt){
                .object_key = strdup(p->record->upload),
                .manifest_key = strdup(p->record->manifest),
                .strength = p->record->digest_known ? WIRE_STRENGTH_DIGEST : WIRE_STRENGTH_SIZE,
                .time_unix_sec = p->record->stored_unix_sec,
                .already_there = already_there,
        };
        atomic_store(&task->stored_bytes, task->put.size_bytes);
        if (!task->receipt.object_key || !task->receipt.manifest_key)
                return tus_op_fail_errno(&p->op, ENOMEM, "writing its receipt");
        tus_op_end(&p->op);
}

static int record_done(TusOp *op) {
        return tus_record_set_done(put_of(op)->record);
}

static void on_done_recorded(TusOp *op, int result) {
        /* Without it, the manifest is looked at once more. */
        (void) result;
        give_receipt(put_of(op), false);
}

/* ---- Streams ------------------------------------------------------------------------------------------------------- */

static void clip_gone(TusStream *s, const char *why) {
        tus_put_anew(put_of(s->op), why);
}

static void stream_begin(TusPut *p, TusStream *s, const char *key, const HttpBody *source) {
        *s = (TusStream){ .op = &p->op, .key = key, .source = *source, .next = tus_pieces_next, .gone = clip_gone };
}

/* ---- Creating ------------------------------------------------------------------------------------------------------ */

static int add(char **metadata, const char *key, const char *value, int r) {
        return r < 0 ? r : tus_metadata_add(metadata, key, value);
}

static const char *last_part(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static TusCall *creation(TusPut *p, uint64_t length, const char *metadata) {
        TusCall *call = tus_call_new(&p->op, "POST", NULL);

        tus_call_header_uint(call, "Upload-Length", length);
        tus_call_header(call, "Upload-Metadata", metadata);
        tus_call_fresh(call);
        return call;
}

bool tus_put_is_small(const TusPut *p) {
        const TusPromises *promises = &p->op.store->promises;

        /* What goes with a creation has no checksum. */
        return promises->with_upload && !promises->checks && p->manifest.size_bytes > 0 &&
               p->manifest.size_bytes <= MIN2((uint64_t) SMALL_MAX, p->record->part_size_bytes);
}

static int clip_metadata(TusPut *p, char **ret) {
        const PutRequest *request = &p->op.task->put;
        char hex[DIGEST_HEX_SIZE], file[LAYOUT_COMPONENT_SIZE];
        int r;

        /* Servers put it into a header of theirs, which not every letter may go into. */
        r = layout_component(last_part(request->path), file);
        r = add(ret, "filename", file, r);
        r = add(ret, "filetype", OBJECT_TYPE, r);
        r = add(ret, TUS_META_NAME, p->record->object, r);
        r = add(ret, "camera", request->serial, r);
        r = add(ret, "day", p->manifest.day, r);
        if (strlen(request->path) <= PATH_IN_METADATA_MAX)
                r = add(ret, "path", request->path, r);
        return add(ret, TUS_META_SHA256, digest_to_hex(&request->digest, hex), r);
}

static int record_upload(TusOp *op) {
        TusPut *p = put_of(op);

        return tus_record_set_upload(p->record, p->key, p->expires_unix_sec, op->store->promises.checks);
}

static void on_upload_recorded(TusOp *op, int result) {
        TusPut *p = put_of(op);

        if (result < 0)
                return fail_record(op, result);
        p->creating = false;
        begin_clip(p);
        /* What went with the creation is asked for. */
        if (!tus_put_is_small(p))
                return tus_pieces_pump(p);
        p->sending = true;
        tus_stream_resume(&p->clip);
}

static void on_created(TusOp *op, const TusResult *result) {
        TusPut *p = put_of(op);

        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "creating an upload");
        if (tus_take_location(op, result, p->key) < 0)
                return;
        p->expires_unix_sec = tus_expires(result);
        tus_op_job(op, record_upload, on_upload_recorded);
}

void tus_put_create(TusPut *p) {
        _cleanup_(freep) char *metadata = NULL;
        TusCall *call;

        /* What must not go out goes out nowhere. */
        if (tus_put_is_small(p) && !digest_equal(&p->whole_digest, &p->op.task->put.digest))
                return tus_put_source_differs(p);
        if (clip_metadata(p, &metadata) < 0)
                return tus_op_fail_errno(&p->op, ENOMEM, "describing it");
        p->creating = true;
        call = creation(p, p->manifest.size_bytes, metadata);
        if (tus_put_is_small(p)) {
                tus_call_body(call, &(HttpBody){ .fd = p->op.task->put.source_fd, .size_bytes = p->manifest.size_bytes }, true);
                tus_call_count(call, 0);
        }
        tus_call_send(&p->op, call, on_created);
}

/* ---- The manifest -------------------------------------------------------------------------------------------------- */

static void put_manifest(TusPut *p);

static int forget_manifest(TusOp *op) {
        const TusRecord *r = put_of(op)->record;

        return tus_record_set_manifest(put_of(op)->record, "", r->stored_unix_sec, r->digest_known, r->read_back);
}

static void on_manifest_forgotten(TusOp *op, int result) {
        if (result < 0)
                return fail_record(op, result);
        put_manifest(put_of(op));
}

static void on_manifest_terminated(TusOp *op, const TusResult *result) {
        (void) result;
        tus_op_job(op, forget_manifest, on_manifest_forgotten);
}

static void note_gone(TusStream *s, const char *why) {
        TusPut *p = put_of(s->op);

        if (p->anew)
                return tus_op_fail_store(s->op, "does not keep the manifest %s: %s", p->record->manifest, why);
        p->anew = true;
        tus_op_job(s->op, forget_manifest, on_manifest_forgotten);
}

static void note_next(TusStream *s, const TusHead *head) {
        TusPut *p = put_of(s->op);
        Digest digest;

        (void) head;
        if (s->offset == s->source.size_bytes)
                return s->asked ? tus_op_job(s->op, record_done, on_done_recorded) : tus_stream_ask(s);
        if (digest_of((const char *) s->source.data + s->offset, s->source.size_bytes - s->offset, &digest) < 0)
                return tus_op_fail_errno(s->op, EIO, "hashing a manifest");
        tus_stream_send(s, s->source.size_bytes, p->op.store->promises.checks ? &digest : NULL);
}

static int record_manifest(TusOp *op) {
        TusPut *p = put_of(op);

        return tus_record_set_manifest(p->record, p->key, p->manifest.stored_unix_sec,
                                       p->manifest.read_back || p->manifest.store_checked, p->manifest.read_back);
}

static void on_manifest_recorded(TusOp *op, int result) {
        TusPut *p = put_of(op);
        const HttpBody source = { .data = p->text, .size_bytes = strlen(p->text) };

        if (result < 0)
                return fail_record(op, result);
        stream_begin(p, &p->note, p->record->manifest, &source);
        p->note.doing = "sending a manifest";
        p->note.next = note_next;
        p->note.gone = note_gone;
        note_next(&p->note, NULL);
}

static void on_manifest_created(TusOp *op, const TusResult *result) {
        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "creating a manifest");
        if (tus_take_location(op, result, put_of(op)->key) < 0)
                return;
        tus_op_job(op, record_manifest, on_manifest_recorded);
}

static int manifest_metadata(TusPut *p, char **ret) {
        const Manifest *m = &p->manifest;
        char hex[DIGEST_HEX_SIZE], text_hex[DIGEST_HEX_SIZE];
        Digest digest;
        int r;

        r = digest_of(p->text, strlen(p->text), &digest);
        r = add(ret, "filename", last_part(m->manifest), r);
        r = add(ret, "filetype", MANIFEST_TYPE, r);
        r = add(ret, TUS_META_NAME, m->manifest, r);
        r = add(ret, "camera", m->serial, r);
        r = add(ret, "day", m->day, r);
        r = add(ret, TUS_META_SHA256, digest_to_hex(&digest, text_hex), r);
        r = add(ret, TUS_META_OBJECT, m->object, r);
        r = add(ret, TUS_META_CLIP_SHA256, digest_to_hex(&m->digest, hex), r);
        return add(ret, TUS_META_STRENGTH, m->read_back || m->store_checked ? WIRE_STRENGTH_DIGEST : WIRE_STRENGTH_SIZE, r);
}

static void put_manifest(TusPut *p) {
        const TusRecord *record = p->record;
        _cleanup_(freep) char *metadata = NULL;
        Manifest *m = &p->manifest;
        int r;

        m->read_back = p->read_back;
        m->store_checked = record->with_checks && !record->doubtful && record->checked_bytes == m->size_bytes;
        m->stored_unix_sec = clock_wall_usec() / (int64_t) USEC_PER_SEC;
        free(m->object);
        m->object = strdup(record->upload);
        free(p->text);
        p->text = NULL;
        r = m->object ? manifest_compose(m, p->op.task->put.facts_json, &p->text) : -ENOMEM;
        if (r == -EINVAL) {
                (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_INVALID, NULL,
                                   "no manifest can be made of the clip's names and facts");
                return tus_op_end(&p->op);
        }
        if (r >= 0 && !p->text)
                r = -ENOMEM;
        if (r < 0 || (r = manifest_metadata(p, &metadata)) < 0)
                return tus_op_fail_errno(&p->op, r, "composing a manifest");
        tus_call_send(&p->op, creation(p, strlen(p->text), metadata), on_manifest_created);
}

/* ---- The object, once it is there ---------------------------------------------------------------------------------- */

static void on_read_back(TusOp *op, const TusResult *result) {
        TusPut *p = put_of(op);
        uint64_t size;
        Digest digest;
        int r;

        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "reading an object back");
        r = tus_read_digest(op, &digest, &size);
        if (r < 0)
                return tus_op_fail_errno(op, r, "hashing an object");
        if (size != p->manifest.size_bytes || !digest_equal(&digest, &p->manifest.digest)) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s does not have what was sent to it as %s: it gives other bytes back",
                                   op->store->name, p->record->upload);
                return abandon(p);
        }
        p->read_back = true;
        put_manifest(p);
}

void tus_put_settle(TusPut *p) {
        p->settled = true;
        if (p->op.store->read_back)
                return tus_read(&p->op, p->record->upload, on_read_back);
        put_manifest(p);
}

/* ---- What we know of it already ------------------------------------------------------------------------------------ */

static void on_still_there(TusOp *op) {
        give_receipt(put_of(op), true);
}

static void on_not_there(TusOp *op, const char *what, const char *key) {
        (void) what;
        (void) key;
        tus_put_anew(put_of(op), "it was removed");
}

/* Stored, as far as we know: is it still? */
static void check_stored(TusPut *p) {
        p->check = (TusCheck){
                .object = p->record->upload,
                .manifest = p->record->manifest,
                .size_bytes = p->manifest.size_bytes,
                .digest = p->manifest.digest,
                .good = on_still_there,
                .gone = on_not_there,
        };
        tus_check(&p->op, &p->check);
}

/* The manifest was on its way. When all of it is there, its answer was lost; else another one is made. */
static void on_manifest_head(TusOp *op, const TusResult *result) {
        TusPut *p = put_of(op);
        TusCall *call;
        TusHead head;

        if (result->outcome == TUS_OK && tus_head_parse(result, &head) >= 0 && head.length_known && head.length_bytes > 0 &&
            head.offset_bytes == head.length_bytes)
                return tus_op_job(op, record_done, on_done_recorded);
        if (result->outcome != TUS_OK && result->outcome != TUS_GONE)
                return tus_op_fail(op, result, "asking for a manifest");
        p->settled = true;
        p->read_back = p->record->read_back;
        if (result->outcome == TUS_GONE || !op->store->promises.termination)
                return tus_op_job(op, forget_manifest, on_manifest_forgotten);
        call = tus_call_new(op, "DELETE", p->record->manifest);
        tus_call_tries(call, 2);
        tus_call_send(op, call, on_manifest_terminated);
}

static void on_record(TusOp *op, int result) {
        TusPut *p = put_of(op);

        if (result == -EBUSY) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "another transfer of this clip is still ending");
                return tus_op_end(op);
        }
        if (result < 0)
                return fail_record(op, result);
        begin_clip(p);
        if (p->record->done)
                return check_stored(p);
        if (p->record->manifest[0])
                return tus_call_send(op, tus_call_new(op, "HEAD", p->record->manifest), on_manifest_head);
        if (p->record->upload[0]) {
                p->sending = true;
                tus_stream_resume(&p->clip);
        }
        tus_pieces_pump(p);
}

/* What a kill may cost where the server does not keep half a piece, against what each request costs. */
static uint64_t choose_part_size(const TusStore *store, uint64_t size_bytes) {
        if (store->part_size_bytes > 0)
                return store->part_size_bytes;
        return MIN2(MAX2(size_bytes / 16 / MIB * MIB, AUTO_PART_MIN), AUTO_PART_MAX);
}

static int open_record(TusOp *op) {
        const PutRequest *request = &op->task->put;
        TusPut *p = put_of(op);
        const TusRecordKey key = {
                .store = op->store->url.path,
                .name = p->manifest.manifest,
                .size_bytes = request->size_bytes,
                .digest = request->digest,
        };
        _cleanup_(freep) char *object = NULL;
        uint64_t random;
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EAGAIN;
        r = layout_object_key(request->serial, p->manifest.day, request->path, random, &object);
        if (r < 0)
                return r;
        return tus_record_open(op->store->records, &key, object, choose_part_size(op->store, request->size_bytes), &p->record);
}

static int name_clip(TusPut *p) {
        const PutRequest *request = &p->op.task->put;
        uint64_t max = p->op.store->promises.size_max_bytes;

        if (max > 0 && request->size_bytes > max)
                return answer_fail(&p->op.task->answer, WIRE_UPLINK_E_INVALID, NULL,
                                   "the store %s takes nothing larger than %" PRIu64 " bytes (Tus-Max-Size)", p->op.store->name,
                                   max);
        if (layout_day(request->mtime_unix_sec, request->docked_unix_sec, p->manifest.day) < 0)
                return answer_fail(&p->op.task->answer, WIRE_UPLINK_E_INVALID, NULL,
                                   "neither the clip nor its docking has a time");
        if (layout_manifest_key(request->serial, p->manifest.day, request->path, &request->digest, &p->manifest.manifest) < 0)
                return answer_fail(&p->op.task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the clip cannot be named in the store");
        p->manifest.size_bytes = request->size_bytes;
        p->manifest.digest = request->digest;
        p->manifest.serial = request->serial;
        p->manifest.path = request->path;
        p->manifest.mtime_unix_sec = request->mtime_unix_sec;
        return 0;
}

int tus_put_begin(TusStore *store, Task *task) {
        TusPut *p = calloc(1, sizeof(*p));
        int r;

        r = p ? tus_op_init(&p->op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(p);
                return r;
        }
        if (source_check(task) < 0 || name_clip(p) < 0)
                tus_op_end(&p->op);
        else
                tus_op_job(&p->op, open_record, on_record);
        return 0;
}
