/* SPDX-License-Identifier: Apache-2.0 */

/* An operation, and how it says what went wrong. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "uplink/http_time.h"
#include "uplink/s3_private.h"

/* ---- Life ---------------------------------------------------------------------------------------------------------- */

static S3Op *s3_op_of(Op *base) {
        return (S3Op *) base;
}

static void stop(Op *base) {
        s3_calls_end(s3_op_of(base));
}

static void release(Op *base) {
        S3Op *op = s3_op_of(base);

        op->release(op);
}

int s3_op_init(S3Op *op, S3Store *store, Task *task, void (*release_op)(S3Op *op)) {
        op->base.stop = stop;
        op->base.release = release;
        op->store = store;
        op->task = task;
        op->release = release_op;
        return op_init(&op->base, store->event, &store->lanes, store->name, task);
}

void s3_op_fini(S3Op *op) {
        op_fini(&op->base);
        op->found = manifest_free(op->found);
}

void s3_op_end(S3Op *op) {
        op_end(&op->base);
}

bool s3_op_is_cancelled(const S3Op *op) {
        return op_is_cancelled(&op->base);
}

void s3_op_cancel(S3Op *op) {
        op_cancel(&op->base);
}

void s3_op_moved(S3Op *op) {
        op_moved(&op->base);
}

/* ---- Jobs ---------------------------------------------------------------------------------------------------------- */

typedef struct S3Job {
        OpJob job; /* first */
        int (*run)(S3Op *op);
        void (*then)(S3Op *op, int result);
} S3Job;

static int run_job(OpJob *job) {
        return ((S3Job *) job)->run(s3_op_of(job->op));
}

static void job_done(OpJob *job, int result) {
        ((S3Job *) job)->then(s3_op_of(job->op), result);
}

void s3_op_job(S3Op *op, int (*run)(S3Op *op), void (*then)(S3Op *op, int result)) {
        S3Job *job = malloc(sizeof(*job));

        if (job)
                *job = (S3Job){ .job = { .run = run_job, .then = job_done }, .run = run, .then = then };
        op_job(&op->base, job ? &job->job : NULL);
}

/* ---- What went wrong ----------------------------------------------------------------------------------------------- */

/* "403 AccessDenied: no" */
static void describe(const S3Result *result, char *ret, size_t size) {
        const S3ErrorDocument *e = &result->error;

        (void) snprintf(ret, size, "%d%s%s%s%s", result->answer->status, e->code[0] ? " " : "", e->code,
                        e->message[0] ? ": " : "", e->message);
}

static void say_skew(const S3Op *op, const S3Result *result, Answer *answer) {
        int64_t now = clock_wall_usec() / (int64_t) USEC_PER_SEC, theirs, ahead;
        char date[64];

        if (!http_header(result->answer, "date", date, sizeof(date)) || http_parse_date(date, &theirs) < 0) {
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the dock's clock is too far from that of the store %s: set it right", op->store->name);
                return;
        }
        ahead = now - theirs;
        (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                           "the dock's clock is %" PRId64
                           " s %s that of the store %s, which therefore takes nothing: set it right",
                           ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of", op->store->name);
}

/* Stores differ in the code, and an answer to HEAD has none. 403 says it, too, but first of all something else. */
static bool is_wrong_key(const S3Result *result) {
        return result->needs_same_key && result->outcome == S3_NEVER;
}

/* Into the task's answer; `what` is how the store put it. */
static void say_failure(S3Op *op, const S3Result *result, const char *doing, const char *what) {
        const char *name = op->store->name, *region = result->error.region;
        Answer *answer = &op->task->answer;

        switch (result->outcome) {
        case S3_TRY_AGAIN:
        case S3_COLLISION:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s is busy or ill while %s (%s)", name, doing, what);
                break;
        case S3_CORRUPTED:
                (void) answer_fail(
                        answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                        "other bytes than were sent arrive at the store %s while %s (%s): look for what changes them on the way",
                        name, doing, what);
                break;
        case S3_FULL:
                (void) answer_fail(answer, WIRE_UPLINK_E_FULL, WIRE_STORE_FULL,
                                   "the store %s is full (%s: %s); make room there", name, doing, what);
                break;
        case S3_NOT_ALLOWED:
                (void) answer_fail(
                        answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_READ_ONLY,
                        "the store %s does not allow %s to these credentials (%s); see store-layout.md for what they need%s", name,
                        doing, what, result->needs_same_key ? ". Or it was put with another key than [store] encryption_key" : "");
                break;
        case S3_BAD_CREDENTIALS:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_READ_ONLY,
                                   "the store %s does not take the credentials (%s): renew them", name, what);
                break;
        case S3_CLOCK_SKEW:
                say_skew(op, result, answer);
                break;
        case S3_NO_BUCKET:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_MISSING,
                                   "the store %s has no such bucket (%s): make it, or name another", name, what);
                break;
        case S3_WRONG_REGION:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the bucket of the store %s is elsewhere (%s)%s%s", name, what,
                                   region[0] ? ": set [store] region to " : "", region);
                break;
        case S3_NEVER:
                (void) answer_fail(answer, WIRE_UPLINK_E_INVALID, NULL, "the store %s refuses for good while %s (%s)", name,
                                   doing, what);
                break;
        default:
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s gave an answer that makes no sense while %s (%s)", name, doing, what);
                break;
        }
}

void s3_op_fail(S3Op *op, const S3Result *result, const char *doing) {
        char what[S3_CODE_SIZE + S3_MESSAGE_SIZE + 16];

        describe(result, what, sizeof(what));
        if (is_wrong_key(result))
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s does not give what was put there to this key while %s (%s): it was encrypted with another "
                                   "key or with none; set [store] encryption_key to the key it was put with, or take another prefix",
                                   op->store->name, doing, what);
        else if (result->outcome == S3_UNREACHABLE)
                return op_fail_unreachable(&op->base, result->answer, doing);
        else
                say_failure(op, result, doing, what);
        s3_op_end(op);
}

void s3_op_fail_errno(S3Op *op, int error, const char *doing) {
        op_fail_errno(&op->base, error, doing);
}
