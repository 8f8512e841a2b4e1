/* SPDX-License-Identifier: Apache-2.0 */

/* One call to the server, with the token as it is at that moment, tried again as long as that may help. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/text.h"
#include "uplink/http_time.h"
#include "uplink/tus_private.h"

#define VERSION "1.0.0"
#define HEADERS_MAX 10u

struct TusCall {
        TusOp *op;
        const char *method;
        char *url;
        char *headers[HEADERS_MAX];
        size_t n_headers;
        bool failed, has_body, paced, counted, fresh;
        HttpBody body;
        int (*sink)(TusOp *op, const void *data, size_t size);
        int (*restart)(TusOp *op);
        void (*then)(TusOp *op, const TusResult *result);
        uint64_t base;
        Retry retry;
        bool renewed; /* the token was read again after the server refused it */
        HttpRequest *request;
};

TusCall *tus_call_free(TusCall *call) {
        if (!call)
                return NULL;
        if (call->request)
                call->request = http_cancel(call->request);
        retry_end(&call->retry);
        for (size_t i = 0; i < call->n_headers; i++)
                free(call->headers[i]);
        free(call->url);
        free(call);
        return NULL;
}

/* ---- Putting together ---------------------------------------------------------------------------------------------- */

static void try_again(void *userdata);

TusCall *tus_call_new(TusOp *op, const char *method, const char *key) {
        const TusStore *store = op->store;
        TusCall *call = calloc(1, sizeof(*call));

        if (!call)
                return NULL;
        call->op = op;
        call->method = method;
        call->retry = (Retry){ .tries_max = RETRY_TRIES, .event = store->event, .again = try_again, .userdata = call };
        call->url = text_format("%s%s", store->origin, key ? key : store->url.path);
        call->failed = !call->url;
        tus_call_header(call, "Tus-Resumable", VERSION);
        return call;
}

void tus_call_header(TusCall *call, const char *name, const char *value) {
        char *line;

        if (!call)
                return;
        line = call->n_headers < HEADERS_MAX ? text_format("%s: %s", name, value) : NULL;
        if (line)
                call->headers[call->n_headers++] = line;
        call->failed |= !line;
}

void tus_call_header_uint(TusCall *call, const char *name, uint64_t value) {
        char text[24];

        (void) snprintf(text, sizeof(text), "%" PRIu64, value);
        tus_call_header(call, name, text);
}

void tus_call_checksum(TusCall *call, const Digest *digest) {
        char text[80] = "sha256 ";

        (void) EVP_EncodeBlock((unsigned char *) text + strlen(text), digest->bytes, DIGEST_SIZE);
        tus_call_header(call, "Upload-Checksum", text);
}

void tus_call_body(TusCall *call, const HttpBody *body, bool paced) {
        if (!call)
                return;
        call->has_body = true;
        call->body = *body;
        call->paced = paced;
        tus_call_header(call, "Content-Type", "application/offset+octet-stream");
}

void tus_call_sink(TusCall *call, int (*sink)(TusOp *op, const void *data, size_t size), int (*restart)(TusOp *op)) {
        if (!call)
                return;
        call->sink = sink;
        call->restart = restart;
}

void tus_call_fresh(TusCall *call) {
        if (call)
                call->fresh = true;
}

void tus_call_tries(TusCall *call, unsigned tries) {
        if (call)
                call->retry.tries_max = tries;
}

void tus_call_count(TusCall *call, uint64_t base) {
        if (!call)
                return;
        call->counted = true;
        call->base = base;
}

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

static int try_once(TusCall *call);

static void conclude(TusCall *call, const TusResult *result) {
        void (*then)(TusOp * op, const TusResult *result) = call->then;
        TusOp *op = call->op;

        /* The next call may be made within `then`; what the result borrows is the answer's, not the call's. */
        op->call = tus_call_free(call);
        then(op, result);
}

static void try_again(void *userdata) {
        TusCall *call = userdata;
        int r;

        op_moved(&call->op->base);
        r = try_once(call);
        if (r < 0)
                tus_op_fail_errno(call->op, r, "sending a request");
}

static bool may_try_again(TusCall *call, const TusResult *result) {
        if (result->answer->source_failed || result->answer->sink_failed || result->answer->refused_here ||
            !retry_may(&call->retry, result->retry_after_sec))
                return false;
        /* It may have been renewed a moment ago; the next try reads the file again if it changed. */
        if (result->outcome == TUS_BAD_CREDENTIALS && !call->renewed) {
                call->renewed = true;
                return true;
        }
        return tus_outcome_is_passing(result->outcome);
}

static void on_done(void *userdata, const HttpAnswer *answer) {
        TusCall *call = userdata;
        TusResult result = { .outcome = tus_outcome(answer->status), .answer = answer };
        char retry_after[64];
        int r;

        CRASH_POINT_OF("tus-answered", call->method);
        call->request = NULL;
        op_moved(&call->op->base);
        if (http_header(answer, "retry-after", retry_after, sizeof(retry_after)))
                result.retry_after_sec = http_retry_after_sec(retry_after, clock_wall_usec() / (int64_t) USEC_PER_SEC);
        if (!may_try_again(call, &result))
                return conclude(call, &result);
        r = retry_later(&call->retry, result.retry_after_sec);
        if (r < 0)
                tus_op_fail_errno(call->op, r, "sending a request");
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

static void on_moved(void *userdata) {
        const TusCall *call = userdata;

        op_moved(&call->op->base);
        if (call->counted && call->request)
                atomic_store(&call->op->task->stored_bytes, call->base + http_sent_bytes(call->request));
}

static int on_data(void *userdata, const void *data, size_t size) {
        const TusCall *call = userdata;

        return call->sink(call->op, data, size);
}

static int begin(TusCall *call, const char *authorization) {
        HttpCall http = {
                .method = call->method,
                .url = call->url,
                .body = call->has_body ? &call->body : NULL,
                .pace = call->paced ? call->op->task->pace : NULL,
                .fresh = call->fresh,
                .sink = call->sink ? on_data : NULL,
                .moved = on_moved,
                .done = on_done,
                .userdata = call,
        };

        for (size_t i = 0; i < call->n_headers; i++)
                http.headers[i] = call->headers[i];
        http.headers[call->n_headers] = authorization;
        return http_begin(call->op->store->http, &http, &call->request);
}

/* Ends the operation by itself when the token cannot be read. */
static int try_once(TusCall *call) {
        _cleanup_(freep) char *authorization = NULL;
        const char *token = NULL;
        ConfError error = {};
        int r;

        CRASH_POINT_OF("tus-request-begins", call->method);
        call->retry.tries++;
        if (tus_token_get(call->op->store->token, &token, &error) < 0) {
                (void) answer_fail(&call->op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR, "%s",
                                   error.text[0] ? error.text : "the credentials file cannot be read");
                tus_op_end(call->op);
                return 0;
        }
        if (token && !(authorization = text_format("Authorization: Bearer %s", token)))
                return -ENOMEM;
        if (call->restart && (r = call->restart(call->op)) < 0)
                return r;
        return begin(call, authorization);
}

void tus_call_send(TusOp *op, TusCall *call, void (*then)(TusOp *op, const TusResult *result)) {
        int r;

        if (!call)
                return tus_op_fail_errno(op, ENOMEM, "sending a request");
        op->call = call;
        call->then = then;
        r = call->failed ? -ENOMEM : try_once(call);
        if (r < 0)
                tus_op_fail_errno(op, r, "sending a request");
}
