/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Putting a clip. In this order, each step done before the next:
 *
 *   our record                 a server lists nothing: a clip that was stored is known by it, and so is an upload under way
 *   POST                       creates the upload; our record gets its name before any piece goes into it
 *   PATCH …                    piece by piece (tus_pieces.c, tus_stream.c), perhaps while the clip is pulled (tus_grow.c)
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
        p->spare = tus_record_free(p->spare);
        p->whole = hasher_free(p->whole);
        free(p->manifest.object);
        free(p->manifest.manifest);
        free(p->text);
        free(p->name);
        free(p->digests);
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

static void on_removed(TusOp *op, int result) {
        (void) result;
        tus_op_end(op);
}

static int remove_record(TusOp *op) {
        return tus_record_remove(put_of(op)->record);
}

/* The sweep goes on with it when it is old. */
static int set_record_aside(TusOp *op) {
        return tus_record_set_aside(put_of(op)->record);
}

static void on_terminated(TusOp *op, const TusResult *result) {
        tus_op_job(op, tus_outcome_is_passing(result->outcome) ? set_record_aside : remove_record, on_removed);
}

static void terminate(TusPut *p, const TusRecord *record, void (*then)(TusOp *op, const TusResult *result)) {
        TusCall *call = tus_call_new(&p->op, "DELETE", record->upload);

        tus_call_tries(call, 2);
        tus_call_send(&p->op, call, then);
}

static bool may_terminate(const TusPut *p, const TusRecord *record) {
        return record->upload[0] && p->op.store->promises.termination;
}

void tus_put_abandon(TusPut *p) {
        p->settled = true;
        if (!may_terminate(p, p->record))
                return tus_op_job(&p->op, remove_record, on_removed);
        terminate(p, p->record, on_terminated);
}

void tus_put_source_differs(TusPut *p) {
        source_differs(p->op.task, &p->whole_digest);
        tus_put_abandon(p);
}

/* ---- Beginning anew ------------------------------------------------------------------------------------------------ */

static int forget_upload(TusOp *op) {
        return tus_record_forget_upload(put_of(op)->record);
}

static void on_forgotten(TusOp *op, int result) {
        (void) result;
        tus_op_end(op);
}

static void on_anew(TusOp *op, int result) {
        TusPut *p = put_of(op);

        if (result < 0)
                return fail_record(op, result);
        p->sending = p->differs = false;
        tus_pieces_pump(p);
}

static void stream_begin(TusPut *p, TusStream *s, const char *key, const HttpBody *source);

static void begin_clip(TusPut *p) {
        const HttpBody source = { .fd = p->op.task->put.source_fd, .size_bytes = p->manifest.size_bytes };

        stream_begin(p, &p->clip, p->record->upload, &source);
        p->clip.clip = true;
        p->clip.doing = "sending a clip";
        p->clip.expires_unix_sec = p->record->expires_unix_sec;
        p->clip.deferred = p->record->deferred;
}

static void begin_anew(TusPut *p) {
        p->sending = true;
        begin_clip(p);
        p->clip.expires_unix_sec = 0;
        tus_op_job(&p->op, forget_upload, on_anew);
}

void tus_put_anew(TusPut *p, const char *why) {
        if (p->anew) {
                (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s does not keep the upload of %s: %s", p->op.store->name, p->record->object, why);
                return tus_op_job(&p->op, forget_upload, on_forgotten);
        }
        p->anew = true;
        begin_anew(p);
}

static void on_discarded(TusOp *op, const TusResult *result) {
        if (tus_outcome_is_passing(result->outcome))
                return tus_op_fail(op, result, "terminating an upload of other content");
        begin_anew(put_of(op));
}

void tus_put_discard(TusPut *p) {
        p->sending = true;
        if (!may_terminate(p, p->record))
                return begin_anew(p);
        terminate(p, p->record, on_discarded);
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

/* `deferred`: its length is said once that is sure. */
static TusCall *creation(TusPut *p, uint64_t length, bool deferred, const char *metadata) {
        TusCall *call = tus_call_new(&p->op, "POST", NULL);

        if (deferred)
                tus_call_header(call, "Upload-Defer-Length", "1");
        else
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
        /* Of what is still pulled nobody knows it: then the manifest alone says it. */
        return p->deferring ? r : add(ret, TUS_META_SHA256, digest_to_hex(&request->digest, hex), r);
}

static int record_upload(TusOp *op) {
        TusPut *p = put_of(op);

        return tus_record_set_upload(p->record, &(TusUpload){ .key = p->key, .expires_unix_sec = p->expires_unix_sec,
                                                              .deferred = p->deferring, .with_checks = op->store->promises.checks });
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
        p->deferring = p->op.task->put.growing;
        if (clip_metadata(p, &metadata) < 0)
                return tus_op_fail_errno(&p->op, ENOMEM, "describing it");
        p->creating = true;
        call = creation(p, p->manifest.size_bytes, p->deferring, metadata);
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
        tus_call_send(&p->op, creation(p, strlen(p->text), false, metadata), on_manifest_created);
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
                return tus_put_abandon(p);
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

static void on_spare_removed(TusOp *op, int result) {
        (void) result;
        give_receipt(put_of(op), true);
}

static int remove_spare(TusOp *op) {
        return tus_record_remove(put_of(op)->spare);
}

static int set_spare_aside(TusOp *op) {
        return tus_record_set_aside(put_of(op)->spare);
}

static void on_spare_terminated(TusOp *op, const TusResult *result) {
        tus_op_job(op, tus_outcome_is_passing(result->outcome) ? set_spare_aside : remove_spare, on_spare_removed);
}

static void on_still_there(TusOp *op) {
        TusPut *p = put_of(op);

        if (!p->spare)
                return give_receipt(p, true);
        if (!may_terminate(p, p->spare))
                return tus_op_job(op, remove_spare, on_spare_removed);
        terminate(p, p->spare, on_spare_terminated);
}

static void on_not_there(TusOp *op, const char *what, const char *key) {
        (void) what;
        (void) key;
        tus_put_anew(put_of(op), "it was removed");
}

void tus_put_check_stored(TusPut *p, void (*gone)(TusOp *op, const char *what, const char *key)) {
        p->check = (TusCheck){
                .object = p->record->upload,
                .manifest = p->record->manifest,
                .size_bytes = p->manifest.size_bytes,
                .digest = p->manifest.digest,
                .good = on_still_there,
                .gone = gone,
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
        if (tus_pieces_init(p) < 0)
                return tus_op_fail_errno(op, ENOMEM, "making ready for it");
        begin_clip(p);
        if (p->record->done)
                return tus_put_check_stored(p, on_not_there);
        if (p->record->manifest[0])
                return tus_call_send(op, tus_call_new(op, "HEAD", p->record->manifest), on_manifest_head);
        if (p->record->upload[0] && op->task->put.afresh)
                p->differs = true;
        else if (p->record->upload[0]) {
                p->sending = true;
                tus_stream_resume(&p->clip);
        }
        tus_pieces_pump(p);
}

/* What a kill may cost where the server does not keep half a piece, against what each request costs; and few enough. */
static uint64_t choose_part_size(const TusStore *store, uint64_t size_bytes) {
        uint64_t wanted = store->part_size_bytes;

        if (wanted == 0)
                wanted = MIN2(MAX2(size_bytes / 16 / MIB * MIB, AUTO_PART_MIN), AUTO_PART_MAX);
        return MAX2(wanted, size_bytes / TUS_PIECES_MAX + 1);
}

TusRecordKey tus_put_record_key(const TusPut *p) {
        return (TusRecordKey){ .store = p->op.store->url.path, .name = p->manifest.manifest, .size_bytes = p->manifest.size_bytes,
                               .digest = p->manifest.digest };
}

static int new_record(TusPut *p, const TusRecordKey *key) {
        const PutRequest *request = &p->op.task->put;
        _cleanup_(freep) char *object = NULL;
        uint64_t random;
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EAGAIN;
        r = layout_object_key(request->serial, p->manifest.day, request->path, random, &object);
        if (r < 0)
                return r;
        return tus_record_open(p->op.store->records, key, object, choose_part_size(p->op.store, request->size_bytes), &p->record);
}

/* Of a whole clip there may be the record of an upload that began while it was pulled. */
static int open_record(TusOp *op) {
        TusPut *p = put_of(op);
        TusRecordKey key = tus_put_record_key(p), growing = key;
        TusRecord *found = NULL;
        int r;

        growing.name = p->name;
        if (p->nameless) {
                growing.digest_unknown = true;
                return new_record(p, &growing);
        }
        if ((r = tus_record_reopen(op->store->records, &key, &p->record)) < 0 ||
            (r = tus_record_reopen(op->store->records, &growing, &found)) < 0)
                return r;
        if (p->record)
                p->spare = found;
        else if (found) {
                p->record = found;
                return tus_record_seal(found, key.name, &key.digest);
        }
        return p->record ? 0 : new_record(p, &key);
}

int tus_put_name_manifest(TusPut *p) {
        const PutRequest *request = &p->op.task->put;

        if (layout_manifest_key(request->serial, p->manifest.day, request->path, &request->digest, &p->manifest.manifest) < 0)
                return answer_fail(&p->op.task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the clip cannot be named in the store");
        p->manifest.digest = request->digest;
        return 0;
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
        if (source_name(request, p->manifest.day, &p->name) < 0)
                return answer_fail(&p->op.task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the clip cannot be named in the store");
        p->manifest.size_bytes = request->size_bytes;
        p->manifest.serial = request->serial;
        p->manifest.path = request->path;
        p->manifest.mtime_unix_sec = request->mtime_unix_sec;
        p->nameless = request->growing;
        return p->nameless ? 0 : tus_put_name_manifest(p);
}

/* What has an end only once all of it is there cannot begin before. */
static int may_grow(TusPut *p) {
        const PutRequest *request = &p->op.task->put;
        const TusStore *store = p->op.store;

        if (!request->growing)
                return 0;
        if (!store->promises.defer_length)
                return answer_fail(&p->op.task->answer, WIRE_UPLINK_E_WHOLE, NULL,
                                   "the store %s takes no upload before its length is known (creation-defer-length)", store->name);
        if (request->size_bytes <= choose_part_size(store, request->size_bytes))
                return answer_fail(&p->op.task->answer, WIRE_UPLINK_E_WHOLE, NULL, "a clip of this size is sent in one piece");
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
        if (source_check(task) < 0 || name_clip(p) < 0 || may_grow(p) < 0)
                tus_op_end(&p->op);
        else
                tus_op_job(&p->op, open_record, on_record);
        return 0;
}
