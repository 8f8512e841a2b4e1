/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Putting a clip. In this order, each step done before the next:
 *
 *   the manifest is looked for         when it is there, so is the clip
 *   our record                         with the object's key: whatever happens now, the next try goes on with that key
 *   objects/…                          one request for a small clip, parts for others (s3_parts.c); every byte hashed before
 *   looking at the object              its size and the store's mark of it; its retention; all of it, where that is wanted
 *   manifests/…                        never replacing another, and read back; now the clip counts as stored
 *   our record goes
 *
 * Nothing that the store has is deleted or replaced: the dock's credentials need not be good for that.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/text.h"
#include "uplink/s3_private.h"
#include "uplink/source.h"

#define AUTO_PART_MIN (16 * MIB)
#define AUTO_PART_MAX (64 * MIB)
#define LEAST_PART (5 * MIB) /* S3 takes no smaller ones, but the last */

static S3Put *put_of(S3Op *op) {
        return (S3Put *) op;
}

static void release(S3Op *op) {
        S3Put *p = put_of(op);

        s3_op_fini(op);
        p->record = s3_record_free(p->record);
        p->whole = hasher_free(p->whole);
        free(p->manifest.object);
        free(p->manifest.manifest);
        free(p->manifest.etag);
        free(p->lost);
        free(p->clip);
        free(p->name_prefix);
        free(p->listed);
        free(p);
}

/* ---- The source ---------------------------------------------------------------------------------------------------- */

void s3_put_source_error(S3Put *p, int error) {
        source_failed(p->op.task, error);
        s3_op_end(&p->op);
}

void s3_put_source_differs(S3Put *p) {
        source_differs(p->op.task, &p->whole_digest);
        s3_op_end(&p->op);
}

static uint64_t least_part(uint64_t size_bytes) {
        uint64_t least = size_bytes / S3_PARTS_MAX + 1;

        return (least + MIB - 1) / MIB * MIB;
}

/*
 * What a kill may cost, against what each part costs: an eighth of the clip within bounds, unless told otherwise. In any case
 * as many whole MiB as it takes for the parts to be few enough.
 */
uint64_t s3_under_way_max(const S3Store *store, uint64_t size_bytes) {
        uint64_t wanted = store->part_size_bytes;

        if (wanted == 0)
                wanted = MIN2(MAX2(size_bytes / 8 / MIB * MIB, AUTO_PART_MIN), AUTO_PART_MAX);
        return MAX2(wanted, least_part(size_bytes));
}

uint64_t s3_choose_part_size(const S3Store *store, uint64_t size_bytes) {
        uint64_t all = s3_under_way_max(store, size_bytes), least = MAX2((uint64_t) LEAST_PART, least_part(size_bytes));
        uint64_t flights = MIN2(all / least, (uint64_t) S3_FLIGHTS_MAX);

        /* One of them all, or all in one request. */
        if (size_bytes <= all || flights < 2)
                return all;
        return all % flights == 0 ? all / flights : MAX2(all / flights / MIB * MIB, least);
}

uint64_t s3_part_offset(const S3Put *p, unsigned number) {
        return (number - 1) * p->record->part_size_bytes;
}

uint64_t s3_part_size(const S3Put *p, unsigned number) {
        return MIN2(p->record->part_size_bytes, p->op.task->put.size_bytes - s3_part_offset(p, number));
}

static void md5_freep(EVP_MD_CTX **md5) {
        EVP_MD_CTX_free(*md5);
}

/* What a part, and all of the clip, are hashed by. */
typedef struct Hashing {
        Hasher *part, *whole; /* whole: NULL for a clip in one part */
        EVP_MD_CTX *md5;      /* NULL when it is not wanted */
} Hashing;

static int hash_chunk(void *userdata, const void *data, size_t size) {
        const Hashing *h = userdata;
        int r;

        if ((r = hasher_update(h->part, data, size)) < 0 || (h->whole && (r = hasher_update(h->whole, data, size)) < 0))
                return r;
        return h->md5 && EVP_DigestUpdate(h->md5, data, size) != 1 ? -EIO : 0;
}

int s3_hash_part(S3Op *op) {
        S3Put *p = put_of(op);
        _cleanup_(md5_freep) EVP_MD_CTX *md5 = p->with_md5 ? EVP_MD_CTX_new() : NULL;
        _cleanup_(hasher_freep) Hasher *part = NULL;
        S3PartHash *hash = &p->hashes[p->hashing % 2];
        unsigned char raw[EVP_MAX_MD_SIZE];
        unsigned length = 0;
        int r;

        if (p->with_md5 && (!md5 || EVP_DigestInit_ex(md5, EVP_md5(), NULL) != 1))
                return -ENOMEM;
        r = hasher_new(&part);
        /* The one part of a small clip is the whole. */
        if (r >= 0 && p->hashing == 1 && p->record->n_parts > 1)
                r = hasher_new(&p->whole);
        if (r >= 0)
                r = source_read(op->task, s3_part_offset(p, p->hashing), s3_part_size(p, p->hashing), hash_chunk,
                                &(Hashing){ .part = part, .whole = p->whole, .md5 = md5 });
        if (r >= 0)
                r = hasher_finish(part, &hash->digest);
        if (r < 0)
                return r;
        hash->md5[0] = 0;
        if (md5) {
                if (EVP_DigestFinal_ex(md5, raw, &length) != 1)
                        return -EIO;
                (void) EVP_EncodeBlock((unsigned char *) hash->md5, raw, (int) length);
        }
        if (p->hashing < p->record->n_parts)
                return 0;
        if (p->whole)
                return hasher_finish(p->whole, &p->whole_digest);
        p->whole_digest = hash->digest;
        return 0;
}

/* ---- The end ------------------------------------------------------------------------------------------------------- */

int s3_put_remove_record(S3Op *op) {
        return s3_record_remove(put_of(op)->record);
}

static void on_record_removed(S3Op *op, int result) {
        S3Put *p = put_of(op);
        bool digest = p->read_back || (op->store->promises.checks_sha256 && !p->doubtful);

        /* What stays is found again, and swept when it is old. */
        (void) result;
        op->task->receipt = (Receipt){
                .object_key = TAKE_PTR(p->manifest.object),
                .manifest_key = TAKE_PTR(p->manifest.manifest),
                .version = p->head.version[0] ? strdup(p->head.version) : NULL,
                .strength = digest ? WIRE_STRENGTH_DIGEST : WIRE_STRENGTH_SIZE,
                .time_unix_sec = p->manifest.stored_unix_sec,
        };
        atomic_store(&op->task->stored_bytes, op->task->put.size_bytes);
        s3_op_end(op);
}

static void on_manifest_locked(S3Op *op) {
        s3_op_job(op, s3_put_remove_record, on_record_removed);
}

/* The object's key is spoilt: the next try takes another. */
static void on_spoilt_removed(S3Op *op, int result) {
        (void) result;
        s3_op_end(op);
}

static void spoilt(S3Put *p, const char *why) {
        (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                           "the store %s does not have what was sent to it as %s: %s", p->op.store->name, p->manifest.object,
                           why);
        s3_op_job(&p->op, s3_put_remove_record, on_spoilt_removed);
}

/* ---- The manifest -------------------------------------------------------------------------------------------------- */

static void manifest_vanished(S3Op *op);

/* Ours is not needed any more: another dock, or an earlier try of ours, was first, and its object counts, when it is the same. */
static void on_race_lost(S3Op *op, int result) {
        (void) result;
        op->lost = NULL;
        s3_look_up(op, put_of(op)->manifest.manifest, manifest_vanished, s3_op_end);
}

static void manifest_vanished(S3Op *op) {
        s3_op_fail_errno(op, EAGAIN, "reading its manifest back, which came and went");
}

static void on_manifest_read(S3Op *op, const S3Result *result) {
        _cleanup_(manifest_freep) Manifest *m = NULL;
        S3Put *p = put_of(op);

        if (result->outcome == S3_ABSENT) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s said that it took the manifest %s, and does not have it", op->store->name,
                                   p->manifest.manifest);
                return s3_op_end(op);
        }
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "reading a manifest back");
        if (s3_take_manifest(op, result, p->manifest.manifest, &m) < 0)
                return;
        if (!text_equal(m->object, p->manifest.object) || !text_equal(m->manifest, p->manifest.manifest) ||
            m->size_bytes != p->manifest.size_bytes || !digest_equal(&m->digest, &p->manifest.digest))
                return s3_op_job(op, s3_put_remove_record, on_race_lost);
        /* By an earlier try whose answer was lost. */
        p->manifest.stored_unix_sec = m->stored_unix_sec;
        s3_lock(op, p->manifest.manifest, NULL, on_manifest_locked);
}

static void on_manifest_put(S3Op *op, const S3Result *result) {
        if (result->outcome != S3_OK && result->outcome != S3_EXISTS)
                return s3_op_fail(op, result, "putting a manifest");
        s3_call_send(op, s3_call_new(op, "GET", put_of(op)->manifest.manifest), on_manifest_read);
}

static void put_manifest(S3Op *op) {
        S3Put *p = put_of(op);
        const S3Store *store = op->store;
        _cleanup_(freep) char *text = NULL;
        S3Call *call;
        int r;

        p->manifest.read_back = p->read_back;
        p->manifest.store_checked = store->promises.checks_sha256 && !p->doubtful;
        p->manifest.stored_unix_sec = clock_wall_usec() / (int64_t) USEC_PER_SEC;
        if (p->head.etag[0] && !p->manifest.etag && !(p->manifest.etag = strdup(p->head.etag)))
                return s3_op_fail_errno(op, ENOMEM, "composing a manifest");
        r = manifest_compose(&p->manifest, op->task->put.facts_json, &text);
        if (r == -EINVAL) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_INVALID, NULL,
                                   "no manifest can be made of the clip's names and facts");
                return s3_op_end(op);
        }
        if (r < 0)
                return s3_op_fail_errno(op, r, "composing a manifest");
        call = s3_call_new(op, "PUT", p->manifest.manifest);
        s3_call_header(call, "if-none-match", "*");
        if (store->encryption && !store->customer_key)
                s3_call_header(call, "x-amz-server-side-encryption", store->encryption);
        if (store->kms_key)
                s3_call_header(call, "x-amz-server-side-encryption-aws-kms-key-id", store->kms_key);
        s3_call_text(call, TAKE_PTR(text), "application/json", p->with_md5);
        s3_call_send(op, call, on_manifest_put);
}

/* ---- The object, once it is there ---------------------------------------------------------------------------------- */

static void on_read_back(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);
        uint64_t size;
        Digest digest;
        int r;

        if (result->outcome == S3_ABSENT)
                return spoilt(p, "it is gone");
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "reading an object back");
        r = s3_read_digest(op, &digest, &size);
        if (r < 0)
                return s3_op_fail_errno(op, r, "hashing an object");
        if (size != p->manifest.size_bytes || !digest_equal(&digest, &p->manifest.digest))
                return spoilt(p, "it gives other bytes back");
        p->read_back = true;
        put_manifest(op);
}

static void on_object_locked(S3Op *op) {
        const S3Put *p = put_of(op);

        if (op->store->read_back || p->doubtful)
                return s3_read(op, p->manifest.object, on_read_back);
        put_manifest(op);
}

static int forget_upload(S3Op *op) {
        return s3_record_set_upload(put_of(op)->record, "");
}

static void on_upload_forgotten(S3Op *op, int result) {
        (void) result;
        s3_op_end(op);
}

static void object_vanished(S3Put *p) {
        (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                           "the store %s said that it took the object %s, and does not have it", p->op.store->name,
                           p->manifest.object);
        /* The next try brings all of it anew. */
        s3_op_job(&p->op, forget_upload, on_upload_forgotten);
}

static void on_head(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);

        if (result->outcome == S3_ABSENT)
                return object_vanished(p);
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "looking at an object");
        if (s3_head_parse(result, &p->head) < 0)
                return s3_op_fail_errno(op, EBADMSG, "looking at an object");
        if (p->head.size_bytes != p->manifest.size_bytes)
                return spoilt(p, "it has another size there");
        if (p->etag[0] && p->head.etag[0] && !text_equal(p->etag, p->head.etag))
                p->doubtful = true;
        s3_lock(op, p->manifest.object, p->head.version, on_object_locked);
}

void s3_put_settle(S3Put *p) {
        s3_call_send(&p->op, s3_call_new(&p->op, "HEAD", p->manifest.object), on_head);
}

/* ---- A small clip -------------------------------------------------------------------------------------------------- */

static void on_object_put(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);

        /* It is there: an earlier try of ours, as nobody else has this key. */
        if (result->outcome != S3_OK && result->outcome != S3_EXISTS)
                return s3_op_fail(op, result, "putting an object");
        if (result->outcome == S3_OK)
                memcpy(p->etag, result->etag, sizeof(p->etag));
        s3_put_settle(p);
}

static void on_object_sent(S3Op *op, unsigned tag, uint64_t bytes) {
        (void) tag;
        atomic_store(&op->task->stored_bytes, bytes);
}

static void put_object(S3Op *op) {
        S3Put *p = put_of(op);
        const PutRequest *request = &op->task->put;
        S3Call *call;

        call = s3_call_new(op, "PUT", p->manifest.object);
        s3_call_header(call, "if-none-match", "*");
        s3_call_object_headers(call, &request->digest);
        s3_call_file(call, request->source_fd, 0, request->size_bytes, &p->whole_digest,
                     p->with_md5 ? p->hashes[1].md5 : NULL, p->checksum);
        s3_call_count(call, on_object_sent);
        s3_call_send(op, call, on_object_put);
}

static void on_looked_before(S3Op *op, const S3Result *result) {
        if (result->outcome == S3_OK)
                return s3_put_settle(put_of(op));
        if (result->outcome != S3_ABSENT)
                return s3_op_fail(op, result, "looking at an object");
        put_object(op);
}

static void on_hashed(S3Op *op, int result) {
        S3Put *p = put_of(op);

        if (result < 0)
                return s3_put_source_error(p, result);
        if (!digest_equal(&p->whole_digest, &op->task->put.digest))
                return s3_put_source_differs(p);
        /* Where the condition is not kept, an earlier try of ours would be put over. */
        if (p->record->resumed && !op->store->promises.conditional)
                return s3_call_send(op, s3_call_new(op, "HEAD", p->manifest.object), on_looked_before);
        put_object(op);
}

/* ---- Our record of it ---------------------------------------------------------------------------------------------- */

static int new_object_key(const S3Put *p, char **ret) {
        const PutRequest *request = &p->op.task->put;
        uint64_t random;

        if (p->lost) {
                *ret = strdup(p->lost);
                return *ret ? 0 : -ENOMEM;
        }
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EAGAIN;
        return layout_object_key(request->serial, p->manifest.day, request->path, random, ret);
}

static int open_record(S3Op *op) {
        S3Put *p = put_of(op);
        _cleanup_(freep) char *object = NULL;
        int r;

        r = new_object_key(p, &object);
        if (r < 0)
                return r;
        r = s3_record_open(op->store->records, &p->record_key, object, s3_choose_part_size(op->store, p->manifest.size_bytes), &p->record);
        if (r >= 0 && p->record->resumed && (op->task->put.afresh || (p->lost && !text_equal(p->record->object, p->lost))))
                p->record->outdated = true;
        return r;
}

static int renew_record(S3Op *op) {
        S3Put *p = put_of(op);
        _cleanup_(freep) char *object = NULL;
        int r;

        r = new_object_key(p, &object);
        if (r < 0)
                return r;
        return s3_record_renew(p->record, &p->record_key, object, s3_choose_part_size(op->store, p->manifest.size_bytes));
}

static void on_record(S3Op *op, int result);

static void on_outdated_aborted(S3Op *op, const S3Result *result) {
        /* Who may not abort has a rule in the bucket that does. */
        if (result->outcome != S3_OK && result->outcome != S3_NO_UPLOAD && result->outcome != S3_ABSENT &&
            result->outcome != S3_NOT_ALLOWED)
                return s3_op_fail(op, result, "aborting an upload of other content");
        s3_op_job(op, renew_record, on_record);
}

/* The clip was begun afresh since: nothing of what was sent before belongs to it. */
static void abort_outdated(S3Put *p) {
        S3Call *call;

        if (!p->record->upload_id[0])
                return s3_op_job(&p->op, renew_record, on_record);
        call = s3_call_new(&p->op, "DELETE", p->record->object);
        s3_call_query(call, "uploadId", p->record->upload_id);
        s3_call_send(&p->op, call, on_outdated_aborted);
}

static void on_record(S3Op *op, int result) {
        S3Put *p = put_of(op);

        if (result == -EBUSY) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "another transfer of this clip is still ending");
                return s3_op_end(op);
        }
        if (result < 0)
                return s3_op_fail_errno(op, result, "recording it in the state folder");
        if (p->record->outdated)
                return abort_outdated(p);
        p->manifest.object = strdup(p->record->object);
        if (!p->manifest.object)
                return s3_op_fail_errno(op, ENOMEM, "naming the object");
        if (p->record->n_parts > 1)
                return s3_parts_begin(p);
        p->hashing = 1;
        s3_op_job(op, s3_hash_part, on_hashed);
}

static void on_absent(S3Op *op) {
        s3_op_job(op, open_record, on_record);
}

/*
 * The manifest is there, and the object that it names is not. The same bytes under the same name make it true again; nothing else would, as
 * no manifest is ever replaced. What is being put meanwhile has a name of its own already, and is put again as a whole.
 */
static void on_lost(S3Op *op) {
        S3Put *p = put_of(op);

        if (!layout_object_is_of(op->found->object, p->manifest.serial, p->manifest.day, p->manifest.path))
                return op_fail_conflict(&op->base, "the store has the manifest %s, but its object %s is gone", op->found->manifest,
                                        op->found->object);
        if (p->record) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the store %s has the manifest of this clip, and not its object %s: it is sent again", op->store->name,
                                   op->found->object);
                return s3_op_end(op);
        }
        free(p->lost);
        p->lost = TAKE_PTR(op->found->object);
        on_absent(op);
}

/* ---- A clip that is stored already --------------------------------------------------------------------------------- */

static void on_leftover_removed(S3Op *op, int result) {
        (void) result;
        s3_op_end(op);
}

static void on_leftover_aborted(S3Op *op, const S3Result *result) {
        /* What could not be aborted now is found by the sweep. */
        if (result->outcome != S3_OK && result->outcome != S3_NO_UPLOAD && result->outcome != S3_ABSENT)
                return s3_op_end(op);
        s3_op_job(op, s3_put_remove_record, on_leftover_removed);
}

static void on_leftover(S3Op *op, int result) {
        const S3Put *p = put_of(op);
        S3Call *call;

        if (result < 0)
                return s3_op_end(op);
        if (!p->record->upload_id[0] || text_equal(p->record->object, op->task->receipt.object_key))
                return s3_op_job(op, s3_put_remove_record, on_leftover_removed);
        call = s3_call_new(op, "DELETE", p->record->object);
        s3_call_query(call, "uploadId", p->record->upload_id);
        s3_call_send(op, call, on_leftover_aborted);
}

/* A record of ours may be left: we were killed at the very end, or another dock was faster than our next try. */
void s3_put_present(S3Op *op) {
        const S3Put *p = put_of(op);

        if (p->record)
                return on_leftover(op, 0);
        if (!s3_record_exists(op->store->records, p->clip))
                return s3_op_end(op);
        s3_op_job(op, open_record, on_leftover);
}

/* ---- All of it ----------------------------------------------------------------------------------------------------- */

int s3_put_name_manifest(S3Put *p) {
        const PutRequest *request = &p->op.task->put;

        if (layout_manifest_key(request->serial, p->manifest.day, request->path, &request->digest, &p->manifest.manifest) < 0)
                return answer_fail(&p->op.task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the clip cannot be named in the store");
        p->manifest.digest = request->digest;
        return 0;
}

static int name_clip(S3Put *p) {
        const PutRequest *request = &p->op.task->put;

        if (layout_day(request->mtime_unix_sec, request->docked_unix_sec, p->manifest.day) < 0)
                return answer_fail(&p->op.task->answer, WIRE_UPLINK_E_INVALID, NULL,
                                   "neither the clip nor its docking has a time");
        if (source_name(request, p->manifest.day, &p->clip) < 0)
                return answer_fail(&p->op.task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the clip cannot be named in the store");
        p->manifest.size_bytes = request->size_bytes;
        p->manifest.serial = request->serial;
        p->manifest.path = request->path;
        p->manifest.mtime_unix_sec = request->mtime_unix_sec;
        p->record_key = (S3RecordKey){ .store = p->op.store->place, .clip = p->clip, .size_bytes = request->size_bytes };
        if (request->growing)
                return 0;
        p->record_key.digest = &request->digest;
        return s3_put_name_manifest(p);
}

/* One request for all of it needs all of it. */
static bool is_put_whole(const S3Put *p) {
        uint64_t size = p->op.task->put.size_bytes;

        return s3_parts_of(size, s3_choose_part_size(p->op.store, size)) < 2;
}

int s3_put_begin(S3Store *store, Task *task) {
        S3Put *p = calloc(1, sizeof(*p));
        int r;

        r = p ? s3_op_init(&p->op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(p);
                return r;
        }
        p->checksum = store->promises.checks_checksum;
        /* The weaker check where the stronger one is not made, and where Object Lock insists on one that it knows. */
        p->with_md5 = store->content_md5 || !store->promises.checks_sha256 ||
                      (store->lock_mode && !store->promises.checks_checksum);
        p->op.lost = on_lost;
        if (source_check(task) < 0 || name_clip(p) < 0)
                s3_op_end(&p->op);
        else if (!task->put.growing)
                s3_look_up(&p->op, p->manifest.manifest, on_absent, s3_put_present);
        else if (is_put_whole(p)) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_WHOLE, NULL, "a clip of this size is put in one request");
                s3_op_end(&p->op);
        } else if (s3_record_exists(store->records, p->clip))
                on_absent(&p->op);
        else
                s3_grow_look_up(p, on_absent);
        return 0;
}
