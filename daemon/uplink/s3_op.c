/* SPDX-License-Identifier: Apache-2.0 */

/* An operation: its life, its jobs, and how it says what went wrong. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "uplink/s3_private.h"

/* ---- Life ---------------------------------------------------------------------------------------------------------- */

static int on_end(sd_event_source *source, void *userdata) {
        S3Op *op = userdata;
        Task *task = op->task;

        (void) source;
        op->release(op);
        task->done(task);
        return 0;
}

static S3Lane *choose_lane(S3Store *store) {
        S3Lane *lane = &store->lanes[0];

        for (unsigned i = 1; i < store->n_lanes; i++)
                if (store->lanes[i].busy < lane->busy)
                        lane = &store->lanes[i];
        return lane;
}

int s3_op_init(S3Op *op, S3Store *store, Task *task, void (*release)(S3Op *op)) {
        int r;

        r = sd_event_add_defer(store->event, &op->end, on_end, op);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(op->end, SD_EVENT_OFF);
        if (r < 0) {
                op->end = sd_event_source_disable_unref(op->end);
                return r;
        }
        op->store = store;
        op->task = task;
        op->release = release;
        op->lane = choose_lane(store);
        op->lane->busy++;
        task->backend_data = op;
        return 0;
}

void s3_op_fini(S3Op *op) {
        op->call = s3_call_free(op->call);
        op->hasher = hasher_free(op->hasher);
        op->found = manifest_free(op->found);
        if (op->lane)
                op->lane->busy--;
        sd_event_source_disable_unref(op->end);
        if (op->task)
                op->task->backend_data = NULL;
}

void s3_op_end(S3Op *op) {
        op->ended = true;
        op->call = s3_call_free(op->call);
        if (op->jobs == 0)
                (void) sd_event_source_set_enabled(op->end, SD_EVENT_ONESHOT);
}

bool s3_op_is_cancelled(const S3Op *op) {
        return atomic_load(&op->task->cancelled);
}

void s3_op_cancel(S3Op *op) {
        if (op->ended)
                return;
        s3_op_fail_errno(op, ECANCELED, "waiting for it");
}

void s3_op_moved(S3Op *op) {
        atomic_fetch_add(&op->task->activity, 1);
}

/* ---- Jobs ---------------------------------------------------------------------------------------------------------- */

typedef struct OpJob {
        S3Op *op;
        int (*run)(S3Op *op);
        void (*then)(S3Op *op, int result);
} OpJob;

static int run_job(void *userdata) {
        OpJob *job = userdata;

        return s3_op_is_cancelled(job->op) ? -ECANCELED : job->run(job->op);
}

static void job_done(void *userdata, int result) {
        OpJob job = *(OpJob *) userdata;

        free(userdata);
        job.op->jobs--;
        s3_op_moved(job.op);
        if (!job.op->ended)
                return job.then(job.op, result);
        if (job.op->jobs == 0)
                s3_op_end(job.op);
}

void s3_op_job(S3Op *op, int (*run)(S3Op *op), void (*then)(S3Op *op, int result)) {
        OpJob *job = malloc(sizeof(*job));
        int r = -ENOMEM;

        if (job) {
                *job = (OpJob){ .op = op, .run = run, .then = then };
                r = job_thread_submit(op->lane->thread, run_job, job_done, job);
        }
        if (r < 0) {
                free(job);
                return s3_op_fail_errno(op, -r, "making ready for it");
        }
        op->jobs++;
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

        if (!http_header(result->answer, "date", date, sizeof(date)) || s3_parse_date(date, &theirs) < 0) {
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

static void say_unreachable(const S3Op *op, const S3Result *result, const char *doing, Answer *answer) {
        if (result->answer->source_failed) {
                (void) answer_fail(answer, WIRE_UPLINK_E_SOURCE, NULL, "the spool file cannot be read, or became shorter");
                return;
        }
        if (result->answer->refused_here) {
                (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "this service may not speak IP, so the store %s is out of reach: install the drop-in "
                                   "network-store.conf (see berth-uplink.conf(5), NETWORK)",
                                   op->store->name);
                return;
        }
        (void) answer_fail(answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR, "the store %s does not answer while %s: %s",
                           op->store->name, doing, result->answer->error);
}

void s3_op_fail(S3Op *op, const S3Result *result, const char *doing) {
        const char *name = op->store->name, *region = result->error.region;
        Answer *answer = &op->task->answer;
        char what[S3_CODE_SIZE + S3_MESSAGE_SIZE + 16];

        describe(result, what, sizeof(what));
        switch (result->outcome) {
        case S3_UNREACHABLE:
                say_unreachable(op, result, doing, answer);
                break;
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
                        "the store %s does not allow %s to these credentials (%s); see store-layout.md for what they need",
                        name, doing, what);
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
        s3_op_end(op);
}

void s3_op_fail_errno(S3Op *op, int error, const char *doing) {
        error = error < 0 ? -error : error;
        (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL,
                           "the transfer to the store %s failed while %s: %s", op->store->name, doing, strerror(error));
        s3_op_end(op);
}
