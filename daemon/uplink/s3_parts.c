/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A clip in parts. Up to four shares of what a kill may cost are under way at a time, where the store takes parts that small; while
 * they are sent, the next is hashed. They may end in any order. A part counts when the store acknowledged it, our record of that is
 * synced, and the store's own list agrees: the list is compared when an upload is gone on with, and once more before it is completed.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/text.h"
#include "uplink/s3_private.h"

#define PARTS_A_LIST 1000u
#define MD5_SIZE 16
#define STRAYS_MAX 8u

static S3Put *put_of(S3Op *op) {
        return (S3Put *) op;
}

static S3Call *upload_call(S3Put *p, const char *method) {
        S3Call *call = s3_call_new(&p->op, method, p->manifest.object);

        s3_call_query(call, "uploadId", p->record->upload_id);
        return call;
}

/* ---- Completing ---------------------------------------------------------------------------------------------------- */

/* The mark of an object made of parts whose marks are MD5: the MD5 of those, and how many. False when they are not. */
static bool compose_etag(const S3Put *p, char ret[static S3_ETAG_SIZE]) {
        EVP_MD_CTX *md5 = EVP_MD_CTX_new();
        unsigned char raw[EVP_MAX_MD_SIZE];
        bool good = md5 && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1;
        unsigned length = 0;
        int n = 0;

        for (unsigned i = 0; i < p->record->n_parts && good; i++) {
                const char *etag = p->record->parts[i].etag;

                good = strlen(etag) == 2 * MD5_SIZE && etag[strspn(etag, "0123456789abcdef")] == 0;
                for (size_t b = 0; b < MD5_SIZE && good; b++) {
                        char byte[3] = { etag[2 * b], etag[2 * b + 1], 0 };

                        raw[b] = (unsigned char) strtoul(byte, NULL, 16);
                }
                good = good && EVP_DigestUpdate(md5, raw, MD5_SIZE) == 1;
        }
        good = good && EVP_DigestFinal_ex(md5, raw, &length) == 1;
        EVP_MD_CTX_free(md5);
        for (unsigned b = 0; b < length && good; b++)
                n += snprintf(ret + n, S3_ETAG_SIZE - (size_t) n, "%02x", raw[b]);
        if (good)
                (void) snprintf(ret + n, S3_ETAG_SIZE - (size_t) n, "-%u", p->record->n_parts);
        return good;
}

/* Does the mark look as if it were made that way? Under encryption by the store's keys it is not. */
static bool is_composed(const char *etag) {
        size_t n = strspn(etag, "0123456789abcdef");

        return n == 2 * MD5_SIZE && etag[n] == '-';
}

static void on_completed(S3Op *op, const S3Result *result) {
        char composed[S3_ETAG_SIZE];
        S3Put *p = put_of(op);

        /* Its answer was lost, or it expired a moment ago: the object tells. */
        if (result->outcome == S3_NO_UPLOAD || result->outcome == S3_ABSENT)
                return s3_put_settle(p);
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "completing an upload");
        if (s3_xml_completed(result->answer->body, result->answer->body_size, p->etag) < 0)
                p->doubtful = true;
        if (compose_etag(p, composed)) {
                if (is_composed(p->etag) && !text_equal(p->etag, composed))
                        p->doubtful = true;
                /* RGW says none the first time, and this one later. */
                if (!p->etag[0] && !op->store->encryption)
                        memcpy(p->etag, composed, sizeof(p->etag));
        }
        s3_put_settle(p);
}

static char *compose_completion(const S3Put *p) {
        char *text = NULL, base64[S3_SHA256_BASE64_SIZE];
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        (void) fputs("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", f);
        for (unsigned i = 0; i < p->record->n_parts; i++) {
                const S3RecordPart *part = &p->record->parts[i];

                /* What an etag may hold needs no escape. */
                (void) fprintf(f, "<Part><PartNumber>%u</PartNumber><ETag>&quot;%s&quot;</ETag>", i + 1, part->etag);
                if (p->checksum)
                        (void) fprintf(f, "<ChecksumSHA256>%s</ChecksumSHA256>", s3_base64(&part->digest, base64));
                (void) fputs("</Part>", f);
        }
        (void) fputs("</CompleteMultipartUpload>", f);
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static void complete(S3Put *p) {
        S3Call *call = upload_call(p, "POST");

        s3_call_text(call, compose_completion(p), "application/xml", false);
        s3_call_send(&p->op, call, on_completed);
}

/* ---- What the store has -------------------------------------------------------------------------------------------- */

static void list(S3Put *p);
static void create(S3Put *p);

static int take_part(void *userdata, const S3Part *part) {
        S3Put *p = userdata;
        S3RecordPart *own;

        if (part->number > p->record->n_parts)
                return 0;
        own = &p->record->parts[part->number - 1];
        if (!own->stored || own->size_bytes != part->size_bytes)
                return 0;
        /* A store that said no mark when it took the part says one now, and nobody knows of what. */
        if (!own->etag[0]) {
                memcpy(own->etag, part->etag, sizeof(own->etag));
                p->doubtful = true;
        }
        p->listed[part->number - 1] = text_equal(own->etag, part->etag);
        return 0;
}

/* How many of our parts the store does not have; they are sent again. */
static unsigned compare_list(S3Put *p) {
        unsigned missing = 0;

        for (unsigned i = 0; i < p->record->n_parts; i++) {
                missing += !p->listed[i];
                p->record->parts[i].stored &= p->listed[i];
        }
        return missing;
}

static void listed(S3Put *p) {
        unsigned missing = compare_list(p);

        if (!p->all_sent)
                return s3_parts_pump(p);
        if (missing == 0)
                return complete(p);
        (void) answer_fail(&p->op.task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                           "the store %s said that it took all parts of %s, and does not have %u of them", p->op.store->name,
                           p->manifest.object, missing);
        s3_op_end(&p->op);
}

static int forget_upload(S3Op *op) {
        return s3_record_set_upload(put_of(op)->record, "");
}

static void on_forgotten(S3Op *op, int result) {
        if (result < 0)
                return s3_op_fail_errno(op, result, "recording it in the state folder");
        create(put_of(op));
}

static void on_expired_head(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);

        if (result->outcome == S3_OK)
                return s3_put_settle(p);
        if (result->outcome != S3_ABSENT)
                return s3_op_fail(op, result, "looking at an object");
        if (p->all_sent) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the store %s gave up the upload of %s; it begins anew", op->store->name,
                                   p->manifest.object);
                return s3_op_end(op);
        }
        s3_op_job(op, forget_upload, on_forgotten);
}

static void on_list(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);
        S3Parts parts;
        int r;

        /* Completed by an earlier try, aborted by somebody, or expired. */
        if (result->outcome == S3_NO_UPLOAD || result->outcome == S3_ABSENT)
                return s3_call_send(op, s3_call_new(op, "HEAD", p->manifest.object), on_expired_head);
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "listing the parts of an upload");
        r = s3_xml_parts(result->answer->body, result->answer->body_size, take_part, p, &parts);
        if (r < 0 || (parts.truncated && parts.next_marker <= p->list_marker))
                return s3_op_fail_errno(op, r < 0 ? r : EBADMSG, "reading the list of an upload's parts");
        if (!parts.truncated)
                return listed(p);
        p->list_marker = parts.next_marker;
        list(p);
}

static void list(S3Put *p) {
        S3Call *call = upload_call(p, "GET");

        s3_call_query_uint(call, "max-parts", PARTS_A_LIST);
        if (p->list_marker > 0)
                s3_call_query_uint(call, "part-number-marker", p->list_marker);
        s3_call_send(&p->op, call, on_list);
}

static void begin_list(S3Put *p) {
        memset(p->listed, 0, p->record->n_parts * sizeof(*p->listed));
        p->list_marker = 0;
        list(p);
}

void s3_parts_complete(S3Put *p) {
        begin_list(p);
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

static void tell_progress(S3Put *p) {
        uint64_t bytes = p->stored_bytes;

        for (unsigned i = 0; i < S3_FLIGHTS_MAX; i++)
                bytes += p->flights[i].sent_bytes;
        atomic_store(&p->op.task->stored_bytes, bytes);
}

static void on_part_sent(S3Op *op, unsigned tag, uint64_t bytes) {
        S3Put *p = put_of(op);

        p->flights[tag].sent_bytes = bytes;
        tell_progress(p);
}

/* One part is recorded at a time, those that wait in the order in which the store took them. */
static int record_part(S3Op *op) {
        S3Put *p = put_of(op);
        const S3Flight *f = &p->flights[p->recording[0]];

        return s3_record_add_part(p->record, f->number, s3_part_size(p, f->number), &f->hash.digest, f->etag);
}

static void on_part_recorded(S3Op *op, int result);

static void begin_record(S3Put *p) {
        s3_op_job(&p->op, record_part, on_part_recorded);
}

static void on_part_recorded(S3Op *op, int result) {
        S3Put *p = put_of(op);
        S3Flight *f = &p->flights[p->recording[0]];

        if (result < 0)
                return s3_op_fail_errno(op, result, "recording it in the state folder");
        p->stored_bytes += s3_part_size(p, f->number);
        *f = (S3Flight){};
        p->n_flights--;
        memmove(p->recording, p->recording + 1, (S3_FLIGHTS_MAX - 1) * sizeof(*p->recording));
        if (--p->n_recording > 0 && !p->all_sent)
                begin_record(p);
        tell_progress(p);
        s3_parts_pump(p);
}

static void on_gone_recorded(S3Op *op, int result) {
        (void) result;
        s3_op_end(op);
}

static void on_part(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);

        if (result->outcome == S3_NO_UPLOAD || result->outcome == S3_ABSENT) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                                   "the store %s gave up the upload of %s; it begins anew", op->store->name,
                                   p->manifest.object);
                /* No part goes there any more, nor is one recorded. */
                s3_calls_end(op);
                p->all_sent = true;
                return s3_op_job(op, forget_upload, on_gone_recorded);
        }
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "putting a part");
        memcpy(p->flights[result->tag].etag, result->etag, sizeof(result->etag));
        p->recording[p->n_recording++] = result->tag;
        if (p->n_recording == 1)
                begin_record(p);
}

static unsigned free_flight(const S3Put *p) {
        unsigned i = 0;

        while (p->flights[i].number != 0)
                i++;
        return i;
}

static void send_part(S3Put *p) {
        unsigned tag = free_flight(p), number = p->current++;
        S3Call *call = upload_call(p, "PUT");
        S3Flight *f = &p->flights[tag];

        *f = (S3Flight){ .number = number, .hash = p->hashes[number % 2] };
        p->n_flights++;
        s3_call_query_uint(call, "partNumber", number);
        s3_call_file(call, p->op.task->put.source_fd, s3_part_offset(p, number), s3_part_size(p, number), &f->hash.digest,
                     f->hash.md5[0] ? f->hash.md5 : NULL, p->checksum);
        s3_call_tag(call, tag);
        s3_call_count(call, on_part_sent);
        s3_call_send(&p->op, call, on_part);
}

/* The store has the current part from before, and it is what is there now. */
static bool is_stored(const S3Put *p) {
        const S3RecordPart *part = &p->record->parts[p->current - 1];

        return part->stored && digest_equal(&part->digest, &p->hashes[p->current % 2].digest);
}

static void pass_part(S3Put *p) {
        p->stored_bytes += s3_part_size(p, p->current++);
        tell_progress(p);
}

static void on_aborted(S3Op *op, const S3Result *result) {
        (void) result;
        s3_put_source_differs(put_of(op));
}

static void all_sent(S3Put *p) {
        const PutRequest *request = &p->op.task->put;
        bool same = digest_equal(&p->whole_digest, &request->digest);

        p->all_sent = true;
        if (request->grown)
                return same ? s3_grow_settle(p) : s3_grow_differs(p);
        if (!same)
                return s3_call_send(&p->op, upload_call(p, "DELETE"), on_aborted);
        begin_list(p);
}

static void on_hashed(S3Op *op, int result) {
        S3Put *p = put_of(op);

        if (result < 0)
                return s3_put_source_error(p, result);
        p->hashed = p->hashing;
        p->hashing = 0;
        s3_parts_pump(p);
}

void s3_parts_pump(S3Put *p) {
        unsigned n = p->record->n_parts;

        p->pumping = true;
        if (p->op.base.ended || p->all_sent || s3_grow_ends(p))
                return;

        while (!p->op.base.ended && p->current <= n && p->hashed >= p->current) {
                if (is_stored(p))
                        pass_part(p);
                else if (p->n_flights < p->flights_max && s3_grow_has_place(p))
                        send_part(p);
                else
                        break;
        }
        if (p->op.base.ended)
                return;
        if (p->n_flights == 0)
                s3_grow_give_place(p);
        if (p->hashing == 0 && p->hashed < n && p->hashed <= p->current && s3_grow_has_part(p, p->hashed + 1)) {
                p->hashing = p->hashed + 1;
                s3_op_job(&p->op, s3_hash_part, on_hashed);
        }
        atomic_store(&p->op.task->waits, p->op.task->put.growing && p->n_flights == 0 && p->hashing == 0);
        if (p->current > n && p->n_flights == 0 && !p->op.task->put.growing)
                all_sent(p);
}

/* ---- Beginning ----------------------------------------------------------------------------------------------------- */

static S3Call *uploads_call(S3Put *p) {
        _cleanup_(freep) char *prefix = text_format("%s%s", p->op.store->prefix, p->manifest.object);
        S3Call *call = s3_call_new(&p->op, "GET", NULL);

        s3_call_query(call, "uploads", "");
        s3_call_query(call, "prefix", prefix ? prefix : "");
        return call;
}

static bool is_ours(const S3Put *p, const S3Upload *upload) {
        size_t prefix = strlen(p->op.store->prefix);

        return strncmp(upload->key, p->op.store->prefix, prefix) == 0 && text_equal(upload->key + prefix, p->manifest.object);
}

/* The answer to our first question was lost, and we asked again: the upload that nobody knows of is aborted. */
static void abort_strays(S3Put *p);

static int take_stray(void *userdata, const S3Upload *upload) {
        S3Put *p = userdata;

        if (is_ours(p, upload) && !text_equal(upload->upload_id, p->record->upload_id))
                memcpy(p->stray_id, upload->upload_id, sizeof(p->stray_id));
        return 0;
}

static void on_stray_aborted(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);

        if (result->outcome != S3_OK || ++p->strays >= STRAYS_MAX)
                return s3_parts_pump(p);
        abort_strays(p);
}

static void on_strays(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);
        S3Call *call;

        p->stray_id[0] = 0;
        /* Who may not list them has a rule in the bucket that ends them. */
        if (result->outcome != S3_OK || !p->record->upload_id[0] ||
            s3_xml_uploads(result->answer->body, result->answer->body_size, take_stray, p) < 0 || !p->stray_id[0])
                return s3_parts_pump(p);
        call = s3_call_new(op, "DELETE", p->manifest.object);
        s3_call_query(call, "uploadId", p->stray_id);
        s3_call_send(op, call, on_stray_aborted);
}

static void abort_strays(S3Put *p) {
        s3_call_send(&p->op, uploads_call(p), on_strays);
}

static int record_upload(S3Op *op) {
        S3Put *p = put_of(op);

        return s3_record_set_upload(p->record, p->upload_id);
}

static void on_created_recorded(S3Op *op, int result) {
        S3Put *p = put_of(op);

        if (result < 0)
                return s3_op_fail_errno(op, result, "recording it in the state folder");
        if (p->asked_again)
                return abort_strays(p);
        s3_parts_pump(p);
}

static void on_created(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);

        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "beginning an upload");
        if (s3_xml_initiated(result->answer->body, result->answer->body_size, p->upload_id) < 0)
                return s3_op_fail_errno(op, EBADMSG, "reading the name of an upload");
        p->asked_again = result->tries > 1;
        s3_op_job(op, record_upload, on_created_recorded);
}

static void create(S3Put *p) {
        S3Call *call = s3_call_new(&p->op, "POST", p->manifest.object);

        s3_call_query(call, "uploads", "");
        s3_call_object_headers(call, p->op.task->put.growing ? NULL : &p->op.task->put.digest);
        if (p->checksum)
                s3_call_header(call, "x-amz-checksum-algorithm", "SHA256");
        s3_call_text(call, strdup(""), NULL, false);
        s3_call_fresh(call);
        s3_call_send(&p->op, call, on_created);
}

static int take_upload(void *userdata, const S3Upload *upload) {
        S3Put *p = userdata;

        if (is_ours(p, upload))
                memcpy(p->upload_id, upload->upload_id, sizeof(p->upload_id));
        return 0;
}

static void on_adopted(S3Op *op, int result) {
        if (result < 0)
                return s3_op_fail_errno(op, result, "recording it in the state folder");
        begin_list(put_of(op));
}

static void on_uploads(S3Op *op, const S3Result *result) {
        S3Put *p = put_of(op);

        if (result->outcome == S3_OK)
                (void) s3_xml_uploads(result->answer->body, result->answer->body_size, take_upload, p);
        if (!p->upload_id[0])
                return create(p);
        s3_op_job(op, record_upload, on_adopted);
}

/* We ended between asking for an upload and recording its name: nobody else has this key, so what is under it is ours. */
static void find_upload(S3Put *p) {
        s3_call_send(&p->op, uploads_call(p), on_uploads);
}

void s3_parts_begin(S3Put *p) {
        p->current = 1;
        /* A record tells how large the parts are: they may be of a time when other sizes were set. */
        p->flights_max = (unsigned) MIN2(s3_under_way_max(p->op.store, p->manifest.size_bytes) / p->record->part_size_bytes,
                                         (uint64_t) S3_FLIGHTS_MAX);
        p->flights_max = MAX2(p->flights_max, 1u);
        p->listed = calloc(p->record->n_parts, sizeof(*p->listed));
        if (!p->listed)
                return s3_op_fail_errno(&p->op, ENOMEM, "making ready for it");
        if (p->record->upload_id[0])
                return begin_list(p);
        if (p->record->resumed)
                return find_upload(p);
        create(p);
}
