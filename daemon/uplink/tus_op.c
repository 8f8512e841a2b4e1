/* SPDX-License-Identifier: Apache-2.0 */

/* An operation, and how it says what went wrong. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "uplink/tus_private.h"

#define WHAT_SIZE 128u

static TusOp *tus_op_of(Op *base) {
        return (TusOp *) base;
}

static void stop(Op *base) {
        TusOp *op = tus_op_of(base);

        op->call = tus_call_free(op->call);
        retry_end(&op->wait);
}

static void release(Op *base) {
        TusOp *op = tus_op_of(base);

        op->release(op);
}

int tus_op_init(TusOp *op, TusStore *store, Task *task, void (*release_op)(TusOp *op)) {
        op->base.stop = stop;
        op->base.release = release;
        op->store = store;
        op->task = task;
        op->release = release_op;
        op->wait = (Retry){ .tries_max = RETRY_TRIES, .event = store->event };
        return op_init(&op->base, store->event, &store->lanes, store->name, task);
}

void tus_op_fini(TusOp *op) {
        op_fini(&op->base);
}

void tus_op_end(TusOp *op) {
        op_end(&op->base);
}

/* ---- Jobs ---------------------------------------------------------------------------------------------------------- */

typedef struct TusJob {
        OpJob job; /* first */
        int (*run)(TusOp *op);
        void (*then)(TusOp *op, int result);
} TusJob;

static int run_job(OpJob *job) {
        return ((TusJob *) job)->run(tus_op_of(job->op));
}

static void job_done(OpJob *job, int result) {
        ((TusJob *) job)->then(tus_op_of(job->op), result);
}

void tus_op_job(TusOp *op, int (*run)(TusOp *op), void (*then)(TusOp *op, int result)) {
        TusJob *job = malloc(sizeof(*job));

        if (job)
                *job = (TusJob){ .job = { .run = run_job, .then = job_done }, .run = run, .then = then };
        op_job(&op->base, job ? &job->job : NULL);
}

/* ---- What went wrong ----------------------------------------------------------------------------------------------- */

/* "403: no such luck", with what a server says in plain text. */
static void describe(const HttpAnswer *answer, char ret[static WHAT_SIZE]) {
        char type[64] = "", raw[WHAT_SIZE - 8], text[sizeof(raw)];
        size_t n;

        (void) http_header(answer, "content-type", type, sizeof(type));
        (void) snprintf(raw, sizeof(raw), "%s", strncmp(type, "text/html", 9) == 0 ? "" : answer->body);
        n = strcspn(raw, "\r\n");
        raw[n] = 0;
        text_sanitise(raw, text, sizeof(text));
        (void) snprintf(ret, WHAT_SIZE, "%d%s%s", answer->status, text[0] ? ": " : "", text);
}

/* What may pass, and what is no matter of a single clip. */
static void say_of_store(const TusOp *op, const TusResult *result, const char *doing, const char *what) {
        const char *name = op->store->name;
        Answer *answer = &op->task->answer;

        switch (result->outcome) {
        case TUS_TRY_AGAIN:
        case TUS_LOCKED:
        case TUS_OFFSET:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s is busy or ill while %s (%s)", name, doing, what);
                break;
        case TUS_CORRUPTED:
                (void) answer_fail(
                        answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                        "other bytes than were sent arrive at the store %s while %s (%s): look for what changes them on the way",
                        name, doing, what);
                break;
        case TUS_FULL:
                (void) answer_fail(answer, WIRE_UPLINK_E_FULL, WIRE_STORE_FULL,
                                   "the store %s is full (%s: %s); make room there", name, doing, what);
                break;
        case TUS_NOT_ALLOWED:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_READ_ONLY,
                                   "the store %s does not allow %s to this dock (%s)", name, doing, what);
                break;
        case TUS_BAD_CREDENTIALS:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_READ_ONLY,
                                   "the store %s does not take the token or the client certificate (%s): renew it", name, what);
                break;
        case TUS_GONE:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_MISSING,
                                   "the store %s is not there (%s while %s): set [store] url to where uploads are created", name,
                                   what, doing);
                break;
        case TUS_OTHER_VERSION:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s does not speak tus 1.0.0 (%s)", name, what);
                break;
        case TUS_REDIRECTED:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s sends elsewhere while %s (%s), where no token is taken to: set [store] url to "
                                   "where it is",
                                   name, doing, what);
                break;
        default:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s gave an answer that makes no sense while %s (%s)", name, doing, what);
                break;
        }
}

/* It wants fewer clips at once: nothing is wrong with it, nor with this clip. */
static bool asks_for_less(const TusOp *op, const TusResult *result) {
        return op->task->kind == TASK_PUT && (result->answer->status == 429 || result->answer->status == 503);
}

void tus_op_fail(TusOp *op, const TusResult *result, const char *doing) {
        const char *name = op->store->name;
        Answer *answer = &op->task->answer;
        char what[WHAT_SIZE];

        describe(result->answer, what);
        if (asks_for_less(op, result)) {
                (void) answer_fail(answer, WIRE_UPLINK_E_BUSY, NULL, "the store %s asks for less while %s (%s)", name, doing, what);
                answer->retry_after_sec = result->retry_after_sec;
                return tus_op_end(op);
        }
        switch (result->outcome) {
        case TUS_UNREACHABLE:
                return op_fail_unreachable(&op->base, result->answer, doing);
        case TUS_TOO_LARGE:
                (void) answer_fail(answer, WIRE_UPLINK_E_INVALID, NULL,
                                   "the store %s finds it too large while %s (%s): raise the limit of the server, or of what is "
                                   "before it, or lower [store] part_size",
                                   name, doing, what);
                break;
        case TUS_NEVER:
                (void) answer_fail(answer, WIRE_UPLINK_E_INVALID, NULL, "the store %s refuses for good while %s (%s)", name,
                                   doing, what);
                break;
        default:
                say_of_store(op, result, doing, what);
                break;
        }
        tus_op_end(op);
}

void tus_op_fail_store(TusOp *op, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = text_vformat(format, arguments);
        va_end(arguments);
        (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR, "the store %s %s", op->store->name,
                           text ? text : "is not to be relied on");
        tus_op_end(op);
}

void tus_op_fail_errno(TusOp *op, int error, const char *doing) {
        op_fail_errno(&op->base, error, doing);
}
