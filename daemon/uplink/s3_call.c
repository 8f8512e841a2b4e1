/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One call to the store: signed anew for each try, since credentials change and signatures grow old, and tried again with
 * back-off and jitter as long as that may help.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/text.h"
#include "uplink/http_time.h"
#include "uplink/s3_private.h"

#define QUERY_MAX 6u
#define HEADERS_MAX 16u
#define STEP_SIZE 64u
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

typedef struct Pair {
        const char *name; /* a literal */
        char *value;
} Pair;

struct S3Call {
        S3Op *op;
        S3Call *next; /* of the operation's */
        const char *method;
        char *path; /* encoded */
        Pair query[QUERY_MAX], headers[HEADERS_MAX];
        size_t n_query, n_headers;
        bool failed, has_body, fresh, of_object;
        HttpBody body;
        char *text;
        char sha256[DIGEST_HEX_SIZE];
        int (*sink)(S3Op *op, const void *data, size_t size);
        int (*restart)(S3Op *op);
        void (*then)(S3Op *op, const S3Result *result);
        void (*sent)(S3Op *op, unsigned tag, uint64_t bytes);
        unsigned tag;
        Retry retry;
        bool renewed; /* the credentials were read again after the store refused them */
        HttpRequest *request;
};

S3Call *s3_call_free(S3Call *call) {
        if (!call)
                return NULL;
        if (call->request)
                call->request = http_cancel(call->request);
        retry_end(&call->retry);
        for (size_t i = 0; i < call->n_query; i++)
                free(call->query[i].value);
        for (size_t i = 0; i < call->n_headers; i++)
                free(call->headers[i].value);
        free(call->path);
        free(call->text);
        free(call);
        return NULL;
}

/* ---- Putting together ---------------------------------------------------------------------------------------------- */

static void try_again(void *userdata);

S3Call *s3_call_new(S3Op *op, const char *method, const char *key) {
        S3Call *call = calloc(1, sizeof(*call));
        _cleanup_(freep) char *path = NULL;

        if (!call)
                return NULL;
        call->op = op;
        call->method = method;
        call->retry = (Retry){ .tries_max = RETRY_TRIES, .event = op->store->event, .again = try_again, .userdata = call };
        memcpy(call->sha256, EMPTY_SHA256, sizeof(call->sha256));
        if (key)
                path = text_format("%s%s%s", op->store->path, op->store->prefix, key);
        else {
                path = strdup(op->store->path);
                /* "/bucket", not "/bucket/" */
                if (path && strlen(path) > 1)
                        path[strlen(path) - 1] = 0;
        }
        call->of_object = key != NULL;
        call->path = path ? sigv4_encode_path(path) : NULL;
        call->failed = !call->path;
        return call;
}

static void add(S3Call *call, Pair *pairs, size_t *n, size_t max, const char *name, char *value) {
        if (!value || *n >= max) {
                free(value);
                call->failed = true;
                return;
        }
        pairs[(*n)++] = (Pair){ .name = name, .value = value };
}

void s3_call_query(S3Call *call, const char *name, const char *value) {
        if (call)
                add(call, call->query, &call->n_query, QUERY_MAX, name, strdup(value));
}

void s3_call_query_uint(S3Call *call, const char *name, uint64_t value) {
        if (call)
                add(call, call->query, &call->n_query, QUERY_MAX, name, text_format("%" PRIu64, value));
}

void s3_call_header(S3Call *call, const char *name, const char *value) {
        if (call)
                add(call, call->headers, &call->n_headers, HEADERS_MAX, name, strdup(value));
}

void s3_call_object_headers(S3Call *call, const Digest *digest) {
        const S3Store *s;
        char hex[DIGEST_HEX_SIZE];

        if (!call)
                return;
        s = call->op->store;
        if (digest)
                s3_call_header(call, "x-amz-meta-berth-sha256", digest_to_hex(digest, hex));
        if (s->storage_class)
                s3_call_header(call, "x-amz-storage-class", s->storage_class);
        if (s->encryption && !s->customer_key)
                s3_call_header(call, "x-amz-server-side-encryption", s->encryption);
        if (s->kms_key)
                s3_call_header(call, "x-amz-server-side-encryption-aws-kms-key-id", s->kms_key);
        if (s->tags)
                s3_call_header(call, "x-amz-tagging", s->tags);
}

char *s3_base64(const Digest *digest, char ret[static S3_SHA256_BASE64_SIZE]) {
        (void) EVP_EncodeBlock((unsigned char *) ret, digest->bytes, DIGEST_SIZE);
        return ret;
}

void s3_call_file(S3Call *call, int fd, uint64_t offset, uint64_t size_bytes, const Digest *sha256, const char *md5,
                  bool checksum) {
        char base64[S3_SHA256_BASE64_SIZE];

        if (!call)
                return;
        call->has_body = true;
        call->body = (HttpBody){ .fd = fd, .offset = offset, .size_bytes = size_bytes };
        (void) digest_to_hex(sha256, call->sha256);
        if (checksum)
                s3_call_header(call, "x-amz-checksum-sha256", s3_base64(sha256, base64));
        if (md5)
                s3_call_header(call, "content-md5", md5);
}

static void add_md5(S3Call *call, const void *data, size_t size) {
        unsigned char digest[EVP_MAX_MD_SIZE], base64[2 * EVP_MAX_MD_SIZE];
        unsigned length = 0;

        if (EVP_Digest(data, size, digest, &length, EVP_md5(), NULL) != 1) {
                call->failed = true;
                return;
        }
        (void) EVP_EncodeBlock(base64, digest, (int) length);
        s3_call_header(call, "content-md5", (const char *) base64);
}

void s3_call_text(S3Call *call, char *text, const char *type, bool with_md5) {
        Digest digest;
        size_t size;

        if (!call || !text || digest_of(text, strlen(text), &digest) < 0) {
                free(text);
                if (call)
                        call->failed = true;
                return;
        }
        size = strlen(text);
        call->text = text;
        call->has_body = true;
        call->body = (HttpBody){ .data = text, .size_bytes = size };
        (void) digest_to_hex(&digest, call->sha256);
        if (type)
                s3_call_header(call, "content-type", type);
        if (with_md5)
                add_md5(call, text, size);
}

void s3_call_checksum(S3Call *call) {
        char base64[S3_SHA256_BASE64_SIZE];
        Digest digest;

        if (!call)
                return;
        if (digest_from_hex(call->sha256, &digest) < 0)
                call->failed = true;
        else
                s3_call_header(call, "x-amz-checksum-sha256", s3_base64(&digest, base64));
}

void s3_call_lie(S3Call *call, bool about_checksum) {
        const Digest digest = { .bytes = { 1, 2, 3 } };
        char base64[S3_SHA256_BASE64_SIZE];

        if (!call)
                return;
        if (about_checksum)
                s3_call_header(call, "x-amz-checksum-sha256", s3_base64(&digest, base64));
        else
                (void) digest_to_hex(&digest, call->sha256);
}

void s3_call_sink(S3Call *call, int (*sink)(S3Op *op, const void *data, size_t size), int (*restart)(S3Op *op)) {
        if (!call)
                return;
        call->sink = sink;
        call->restart = restart;
}

void s3_call_fresh(S3Call *call) {
        if (call)
                call->fresh = true;
}

void s3_call_tries(S3Call *call, unsigned tries) {
        if (call)
                call->retry.tries_max = tries;
}

void s3_call_tag(S3Call *call, unsigned tag) {
        if (call)
                call->tag = tag;
}

void s3_call_count(S3Call *call, void (*sent)(S3Op *op, unsigned tag, uint64_t bytes)) {
        if (call)
                call->sent = sent;
}

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

static int try_once(S3Call *call);

/* Out of the operation's list. */
static void leave(S3Call *call) {
        S3Call **at = &call->op->calls;

        while (*at && *at != call)
                at = &(*at)->next;
        if (*at)
                *at = call->next;
}

void s3_calls_end(S3Op *op) {
        while (op->calls) {
                S3Call *call = op->calls;

                op->calls = call->next;
                (void) s3_call_free(call);
        }
}

static void conclude(S3Call *call, const S3Result *result) {
        void (*then)(S3Op * op, const S3Result *result) = call->then;
        S3Op *op = call->op;

        /* The next call may be made within `then`; what the result borrows is the answer's, not the call's. */
        leave(call);
        (void) s3_call_free(call);
        then(op, result);
}

static void fail_here(S3Call *call, int error) {
        S3Op *op = call->op;

        s3_op_fail_errno(op, error, "sending a request");
}

static void try_again(void *userdata) {
        S3Call *call = userdata;
        int r;

        s3_op_moved(call->op);
        r = try_once(call);
        if (r < 0)
                fail_here(call, r);
}

static bool asks_for(const S3Call *call, const char *name) {
        for (size_t i = 0; i < call->n_query; i++)
                if (text_equal(call->query[i].name, name))
                        return true;
        return false;
}

/* What is written or read is; what is removed, and an object's retention and hold, are not. */
static bool takes_customer_key(const S3Call *call) {
        return call->op->store->customer_key && call->of_object && !text_equal(call->method, "DELETE") &&
               !asks_for(call, "retention") && !asks_for(call, "legal-hold");
}

static bool may_try_again(S3Call *call, const S3Result *result) {
        if (result->answer->source_failed || result->answer->sink_failed || result->answer->refused_here ||
            !retry_may(&call->retry, result->retry_after_sec))
                return false;
        /* They may have been renewed a moment ago; the next try reads the file again if it changed. */
        if (result->outcome == S3_BAD_CREDENTIALS && !call->renewed) {
                call->renewed = true;
                return true;
        }
        return s3_outcome_is_passing(result->outcome);
}

static void read_answer(const S3Call *call, const HttpAnswer *answer, S3Result *ret) {
        int64_t now = clock_wall_usec() / (int64_t) USEC_PER_SEC;
        bool success = answer->status >= 200 && answer->status < 300;
        char retry_after[64];

        *ret = (S3Result){ .answer = answer, .tries = call->retry.tries, .tag = call->tag };
        /* An error may come with 200 when the store began to answer before it had finished. */
        if (answer->body_size > 0 && (!success || text_equal(call->method, "POST")))
                (void) s3_xml_error(answer->body, answer->body_size, &ret->error);
        ret->outcome = s3_outcome(success && ret->error.code[0] ? 500 : answer->status, ret->error.code);
        ret->needs_same_key = takes_customer_key(call) && (asks_for(call, "partNumber") || text_equal(call->method, "GET") ||
                                                           text_equal(call->method, "HEAD"));
        if (http_header(answer, "etag", ret->etag, sizeof(ret->etag)) && !s3_etag_normalise(ret->etag))
                ret->etag[0] = 0;
        if (http_header(answer, "retry-after", retry_after, sizeof(retry_after)))
                ret->retry_after_sec = http_retry_after_sec(retry_after, now);
}

/* "PUT-objects-uploadId": what a request is, for the crash points around it. */
static const char *step_name(const S3Call *call, char *ret, size_t size) {
        const char *below = strstr(call->path, "/manifests/") ? "manifests" : strstr(call->path, "/objects/") ? "objects" : "other";

        (void) snprintf(ret, size, "%s-%s-%s", call->method, below, call->n_query > 0 ? call->query[0].name : "");
        return ret;
}

static void on_done(void *userdata, const HttpAnswer *answer) {
        S3Call *call = userdata;
        S3Result result;
        char step[STEP_SIZE];
        int r;

        CRASH_POINT_OF("store-answered", step_name(call, step, sizeof(step)));
        call->request = NULL;
        s3_op_moved(call->op);
        read_answer(call, answer, &result);
        if (!may_try_again(call, &result))
                return conclude(call, &result);
        r = retry_later(&call->retry, result.retry_after_sec);
        if (r < 0)
                fail_here(call, r);
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

static void on_moved(void *userdata) {
        const S3Call *call = userdata;

        s3_op_moved(call->op);
        if (call->sent && call->request)
                call->sent(call->op, call->tag, http_sent_bytes(call->request));
}

static int on_data(void *userdata, const void *data, size_t size) {
        const S3Call *call = userdata;

        return call->sink(call->op, data, size);
}

typedef struct Lines {
        char *lines[HTTP_HEADERS_MAX];
        size_t n;
} Lines;

/* Secrets are among them. */
static void lines_end(Lines *l) {
        for (size_t i = 0; i < l->n; i++) {
                OPENSSL_cleanse(l->lines[i], strlen(l->lines[i]));
                free(l->lines[i]);
        }
}

static int add_line(Lines *l, const char *name, const char *value) {
        char *line;

        if (l->n >= HTTP_HEADERS_MAX - 1)
                return -EINVAL;
        line = text_format("%s: %s", name, value);
        if (!line)
                return -ENOMEM;
        l->lines[l->n++] = line;
        return 0;
}

/* What a request is made with and no call keeps, since it changes. */
typedef struct Secrets {
        Sigv4Keys keys;
        const char *token, *customer_key, *customer_key_md5;
} Secrets;

static int sign(const S3Call *call, const char *query, const Secrets *secrets, Lines *ret) {
        const S3Store *store = call->op->store;
        Sigv4Pair pairs[HEADERS_MAX + 7];
        char now[SIGV4_TIME_SIZE];
        _cleanup_(freep) char *authorization = NULL;
        size_t n = 0;
        int r;

        pairs[n++] = (Sigv4Pair){ "host", store->host };
        pairs[n++] = (Sigv4Pair){ "x-amz-date", sigv4_time(clock_wall_usec() / (int64_t) USEC_PER_SEC, now) };
        pairs[n++] = (Sigv4Pair){ "x-amz-content-sha256", call->sha256 };
        if (secrets->token)
                pairs[n++] = (Sigv4Pair){ "x-amz-security-token", secrets->token };
        if (secrets->customer_key) {
                pairs[n++] = (Sigv4Pair){ "x-amz-server-side-encryption-customer-algorithm", "AES256" };
                pairs[n++] = (Sigv4Pair){ "x-amz-server-side-encryption-customer-key", secrets->customer_key };
                pairs[n++] = (Sigv4Pair){ "x-amz-server-side-encryption-customer-key-md5", secrets->customer_key_md5 };
        }
        for (size_t i = 0; i < call->n_headers; i++)
                pairs[n++] = (Sigv4Pair){ call->headers[i].name, call->headers[i].value };
        r = sigv4_sign(
                &(Sigv4Request){
                        .method = call->method,
                        .path = call->path,
                        .query = query,
                        .headers = pairs,
                        .n_headers = n,
                        .payload_hash = call->sha256,
                        .time = now,
                        .region = store->region,
                        .service = "s3",
                },
                &secrets->keys, &authorization);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = add_line(ret, pairs[i].name, pairs[i].value);
        return r < 0 ? r : add_line(ret, "authorization", authorization);
}

static int begin(S3Call *call, const char *query, const Lines *lines) {
        const S3Store *store = call->op->store;
        HttpCall http = {
                .method = call->method,
                .body = call->has_body ? &call->body : NULL,
                .pace = call->text ? NULL : call->op->task->pace,
                .fresh = call->fresh,
                .sink = call->sink ? on_data : NULL,
                .moved = on_moved,
                .done = on_done,
                .userdata = call,
        };
        _cleanup_(freep) char *url = text_format("%s://%s%s%s%s", store->endpoint.tls ? "https" : "http", store->host,
                                                 call->path, query[0] ? "?" : "", query);

        if (!url)
                return -ENOMEM;
        http.url = url;
        for (size_t i = 0; i < lines->n; i++)
                http.headers[i] = lines->lines[i];
        return http_begin(store->http, &http, &call->request);
}

static int encode_query(const S3Call *call, char **ret) {
        Sigv4Pair pairs[QUERY_MAX];

        for (size_t i = 0; i < call->n_query; i++)
                pairs[i] = (Sigv4Pair){ call->query[i].name, call->query[i].value };
        return sigv4_query(pairs, call->n_query, ret);
}

static int get_secrets(const S3Call *call, Secrets *ret, ConfError *error) {
        const S3Store *store = call->op->store;
        int r;

        r = s3_credentials_get(store->credentials, &ret->keys, &ret->token, error);
        if (r >= 0 && takes_customer_key(call))
                r = s3_customer_key_get(store->customer_key, &ret->customer_key, &ret->customer_key_md5, error);
        return r;
}

/* Ends the operation by itself for want of credentials. */
static int try_once(S3Call *call) {
        _cleanup_(lines_end) Lines lines = {};
        _cleanup_(freep) char *query = NULL;
        ConfError error = {};
        Secrets secrets = {};
        char step[STEP_SIZE];
        int r;

        CRASH_POINT_OF("store-request-begins", step_name(call, step, sizeof(step)));
        call->retry.tries++;
        if (get_secrets(call, &secrets, &error) < 0) {
                (void) answer_fail(&call->op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR, "%s", error.text);
                s3_op_end(call->op);
                return 0;
        }
        if (call->restart && (r = call->restart(call->op)) < 0)
                return r;
        if ((r = encode_query(call, &query)) < 0 || (r = sign(call, query, &secrets, &lines)) < 0)
                return r;
        return begin(call, query, &lines);
}

void s3_call_send(S3Op *op, S3Call *call, void (*then)(S3Op *op, const S3Result *result)) {
        int r;

        if (!call)
                return s3_op_fail_errno(op, ENOMEM, "sending a request");
        call->next = op->calls;
        op->calls = call;
        call->then = then;
        r = call->failed ? -ENOMEM : try_once(call);
        if (r < 0)
                fail_here(call, r);
}
