/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Is the store there, and does it keep what receipts rest on? Tried out with a few objects in probe/<dock>/, all put with
 * If-None-Match: *, so that they are made once and neither replaced nor deleted: one that is there tells as much as one that is
 * made. That an object lies under the name of a lie says that the store took it. One more is put over and deleted, which a dock's
 * keys had better not be good for.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "uplink/http_time.h"
#include "uplink/s3_private.h"

#define FIRST_TEXT "the first\n"
#define SECOND_TEXT "the second\n"
/* Nobody has gone on with it for so long; the clip, if it comes again, is sent anew. */
#define ORPHAN_SEC (7 * INT64_C(86400))
#define ORPHANS_A_LOOK 16u

typedef struct S3Look {
        S3Op op; /* first */
        S3Promises promises;
        char version[S3_UPLOAD_ID_SIZE]; /* that was put over another */
        S3Orphan orphan;
        unsigned orphans;
} S3Look;

static S3Look *look_of(S3Op *op) {
        return (S3Look *) op;
}

static void release(S3Op *op) {
        S3Look *l = look_of(op);

        s3_op_fini(op);
        free(l->orphan.object);
        free(l);
}

static S3Call *probe_call(S3Op *op, const char *method, const char *name) {
        _cleanup_(freep) char *key = text_format("probe/%s/%s", op->store->owner, name);

        return key ? s3_call_new(op, method, key) : NULL;
}

static S3Call *probe_put(S3Op *op, const char *name) {
        S3Call *call = probe_call(op, "PUT", name);

        s3_call_header(call, "if-none-match", "*");
        return call;
}

/* ---- Unfinished uploads of ours ------------------------------------------------------------------------------------ */

static int find_orphan(S3Op *op) {
        S3Look *l = look_of(op);

        return s3_record_find_orphan(op->store->records, op->store->place,
                                     clock_wall_usec() / (int64_t) USEC_PER_SEC - ORPHAN_SEC, &l->orphan);
}

static int remove_orphan(S3Op *op) {
        return s3_record_remove_orphan(op->store->records, &look_of(op)->orphan);
}

static void sweep(S3Op *op);

static void on_orphan_removed(S3Op *op, int result) {
        S3Look *l = look_of(op);

        free(l->orphan.object);
        l->orphan = (S3Orphan){};
        if (result < 0 || ++l->orphans >= ORPHANS_A_LOOK)
                return s3_op_end(op);
        sweep(op);
}

static void on_orphan_aborted(S3Op *op, const S3Result *result) {
        /* What the store did not do this time is tried again at the next look. */
        if (result->outcome != S3_OK && result->outcome != S3_NO_UPLOAD && result->outcome != S3_ABSENT)
                return s3_op_end(op);
        s3_op_job(op, remove_orphan, on_orphan_removed);
}

static void on_orphan_found(S3Op *op, int result) {
        const S3Look *l = look_of(op);
        S3Call *call;

        if (result <= 0)
                return s3_op_end(op);
        if (!l->orphan.upload_id[0])
                return s3_op_job(op, remove_orphan, on_orphan_removed);
        call = s3_call_new(op, "DELETE", l->orphan.object);
        s3_call_query(call, "uploadId", l->orphan.upload_id);
        s3_call_send(op, call, on_orphan_aborted);
}

static void sweep(S3Op *op) {
        if (op->store->records < 0)
                return s3_op_end(op);
        s3_op_job(op, find_orphan, on_orphan_found);
}

/* ---- What the store keeps ------------------------------------------------------------------------------------------ */

/* The store is ready all the same: whether its keys are what they should be, the site knows. */
static void say_powers(S3Op *op) {
        const S3Promises *promises = &op->store->promises;

        if (promises->may_delete || promises->may_replace)
                (void) snprintf(op->task->answer.text, sizeof(op->task->answer.text),
                                "but the dock's keys may %s what is stored there: see Permissions in store-layout.md",
                                !promises->may_delete ? "replace" : promises->may_replace ? "delete and replace" : "delete");
}

static void report_powers(const S3Promises *promises, StoreReport *report) {
        if (promises->may_delete)
                report_point(report, WIRE_POINT_STORE_DELETE, WIRE_VERDICT_WARNING,
                             "the dock's keys may delete what is stored: take s3:DeleteObject and s3:DeleteObjectVersion from them, see "
                             "Permissions in store-layout.md");
        else
                report_point(report, WIRE_POINT_STORE_DELETE, WIRE_VERDICT_OK, "the dock's keys cannot delete");
        if (promises->may_replace)
                report_point(report, WIRE_POINT_STORE_REPLACE, WIRE_VERDICT_WARNING,
                             "the dock's keys may replace what is stored: give the bucket versions or Object Lock, or a policy that "
                             "asks for If-None-Match, see Permissions in store-layout.md");
        else
                report_point(report, WIRE_POINT_STORE_REPLACE, WIRE_VERDICT_OK, "the dock's keys cannot replace");
}

static void report_lock(const S3Store *store, const S3Promises *promises, StoreReport *report) {
        if (!store->lock_mode && !store->legal_hold)
                report_point(report, WIRE_POINT_STORE_LOCK, WIRE_VERDICT_NOTE,
                             "neither retention_mode nor legal_hold is set in [store]: the bucket's own settings alone keep what "
                             "is stored");
        else if (promises->lock_unseen)
                report_point(report, WIRE_POINT_STORE_LOCK, WIRE_VERDICT_WARNING,
                             "whether the bucket has Object Lock cannot be asked: allow s3:GetBucketObjectLockConfiguration to "
                             "the dock's keys");
        else
                report_point(report, WIRE_POINT_STORE_LOCK, WIRE_VERDICT_OK,
                             "the bucket has Object Lock, and it is read back of each object");
}

static void report(S3Op *op) {
        const S3Promises *promises = &op->store->promises;
        StoreReport *to = &op->task->report;
        const char *check = promises->checks_sha256 ? WIRE_STRENGTH_DIGEST : WIRE_STRENGTH_SIZE;

        to->strength = op->store->read_back ? WIRE_STRENGTH_DIGEST : check;
        if (promises->checks_sha256)
                report_point(to, WIRE_POINT_STORE_CHECKSUMS, WIRE_VERDICT_OK,
                             "the store refuses content that is not what its SHA-256 says");
        else if (op->store->read_back)
                report_point(to, WIRE_POINT_STORE_CHECKSUMS, WIRE_VERDICT_OK, "the store checks no SHA-256; each object is read back");
        else
                report_point(to, WIRE_POINT_STORE_CHECKSUMS, WIRE_VERDICT_WARNING,
                             "the store checks no SHA-256, so its receipts say size: set read_back = yes in [store] of uplink.conf");
        report_powers(promises, to);
        report_lock(op->store, promises, to);
}

static void learned(S3Op *op) {
        S3Look *l = look_of(op);

        l->promises.known = true;
        op->store->promises = l->promises;
        report(op);
        say_powers(op);
        sweep(op);
}

/* 1: it was done. 0: it was refused. -1: nobody knows, which ends the operation. */
static int judge_power(S3Op *op, const S3Result *result) {
        if (result->outcome == S3_OK)
                return 1;
        if (!s3_outcome_is_passing(result->outcome))
                return 0;
        s3_op_fail(op, result, "trying out what its keys are good for");
        return -1;
}

static void on_version_deleted(S3Op *op, const S3Result *result) {
        int r = judge_power(op, result);

        if (r < 0)
                return;
        look_of(op)->promises.may_delete = r > 0;
        learned(op);
}

static void on_deleted(S3Op *op, const S3Result *result) {
        S3Look *l = look_of(op);
        char marker[8] = "";
        int r = judge_power(op, result);
        S3Call *call;

        if (r < 0)
                return;
        /* In a bucket with versions it is only hidden; then it takes more to be rid of it. */
        if (r > 0 && http_header(result->answer, "x-amz-delete-marker", marker, sizeof(marker)) && text_equal(marker, "true")) {
                if (!l->version[0])
                        return learned(op);
                call = probe_call(op, "DELETE", "replaced");
                s3_call_query(call, "versionId", l->version);
                return s3_call_send(op, call, on_version_deleted);
        }
        l->promises.may_delete = r > 0;
        learned(op);
}

static void on_replaced(S3Op *op, const S3Result *result) {
        S3Look *l = look_of(op);
        int r = judge_power(op, result);

        if (r < 0)
                return;
        if (r == 0 || !http_header(result->answer, "x-amz-version-id", l->version, sizeof(l->version)) ||
            text_equal(l->version, "null"))
                l->version[0] = 0;
        /* What has versions is still there. */
        l->promises.may_replace = r > 0 && !l->version[0];
        s3_call_send(op, probe_call(op, "DELETE", "replaced"), on_deleted);
}

static void on_replaceable(S3Op *op, const S3Result *result) {
        S3Call *call;

        if (result->outcome != S3_OK && result->outcome != S3_EXISTS)
                return s3_op_fail(op, result, "putting a sample");
        call = probe_call(op, "PUT", "replaced");
        s3_call_text(call, strdup(SECOND_TEXT), "text/plain", true);
        s3_call_send(op, call, on_replaced);
}

static void try_powers(S3Op *op) {
        S3Call *call = probe_put(op, "replaced");

        s3_call_text(call, strdup(FIRST_TEXT), "text/plain", true);
        s3_call_send(op, call, on_replaceable);
}

static void on_lock(S3Op *op, const S3Result *result) {
        if (result->outcome == S3_ABSENT || result->outcome == S3_NOT_SET || result->outcome == S3_NEVER) {
                (void) answer_fail(
                        &op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                        "the bucket of the store %s was made without Object Lock: take one that has it, or remove retention_mode "
                        "and legal_hold from [store]",
                        op->store->name);
                return s3_op_end(op);
        }
        /* Who may not ask finds out with the first clip. */
        if (result->outcome != S3_OK && result->outcome != S3_NOT_ALLOWED)
                return s3_op_fail(op, result, "asking for its Object Lock");
        look_of(op)->promises.lock_unseen = result->outcome == S3_NOT_ALLOWED;
        try_powers(op);
}

static void look_at_lock(S3Op *op) {
        S3Call *call;

        if (!op->store->lock_mode && !op->store->legal_hold)
                return try_powers(op);
        call = s3_call_new(op, "GET", NULL);
        s3_call_query(call, "object-lock", "");
        s3_call_send(op, call, on_lock);
}

/* 1: the lie was refused. 0: it was taken, now or before. -1: something else happened, which ends the operation. */
static int judge_lie(S3Op *op, const S3Result *result) {
        switch (result->outcome) {
        case S3_CORRUPTED:
        case S3_NEVER:
        case S3_BAD_CREDENTIALS: /* that is what some call a hash that is not the body's */
                return 1;
        case S3_OK:
        case S3_EXISTS:
        case S3_NOT_ALLOWED:
                return 0;
        default:
                s3_op_fail(op, result, "trying it out");
                return -1;
        }
}

/* The header itself is what the store does not take: such a store answers 501 or 400 NotImplemented. */
static bool is_unknown(const S3Result *result) {
        return result->answer->status == 501 || text_equal(result->error.code, "NotImplemented");
}

/* A store that refuses the right checksum as well does not check it, whatever it calls its refusal: it does not know it. */
static void on_checksum_truth(S3Op *op, const S3Result *result) {
        bool taken = result->outcome == S3_OK || result->outcome == S3_EXISTS;

        if (!taken && !is_unknown(result) && judge_lie(op, result) < 0)
                return;
        look_of(op)->promises.checks_checksum = taken;
        look_at_lock(op);
}

static void on_checksum_lie(S3Op *op, const S3Result *result) {
        bool unknown = is_unknown(result);
        int r = unknown ? 0 : judge_lie(op, result);
        S3Call *call;

        if (r < 0)
                return;
        look_of(op)->promises.checks_checksum = false;
        if (r == 0)
                return look_at_lock(op);
        call = probe_put(op, "right-checksum");
        s3_call_text(call, strdup(FIRST_TEXT), "text/plain", false);
        s3_call_checksum(call);
        s3_call_send(op, call, on_checksum_truth);
}

static void on_sha256_lie(S3Op *op, const S3Result *result) {
        int r = judge_lie(op, result);
        S3Call *call;

        if (r < 0)
                return;
        look_of(op)->promises.checks_sha256 = r > 0;
        call = probe_put(op, "wrong-checksum");
        s3_call_text(call, strdup(FIRST_TEXT), "text/plain", false);
        s3_call_lie(call, true);
        s3_call_tries(call, 1);
        s3_call_send(op, call, on_checksum_lie);
}

static void on_read(S3Op *op, const S3Result *result) {
        S3Look *l = look_of(op);
        bool second = result->outcome == S3_OK && text_equal(result->answer->body, SECOND_TEXT);
        S3Call *call;

        if (result->outcome != S3_OK && result->outcome != S3_ABSENT)
                return s3_op_fail(op, result, "reading a sample");
        if (result->outcome == S3_ABSENT || (!second && !text_equal(result->answer->body, FIRST_TEXT))) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                                   "the store %s does not give back what is put into it", op->store->name);
                return s3_op_end(op);
        }
        l->promises.conditional &= !second;
        if (!l->promises.conditional && !op->store->sole_writer) {
                (void) answer_fail(
                        &op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                        "the store %s replaces an object although it is told not to (If-None-Match: *): use one that does not, or "
                        "say with [store] sole_writer = yes that nobody else writes to this prefix",
                        op->store->name);
                return s3_op_end(op);
        }
        call = probe_put(op, "wrong-sha256");
        s3_call_text(call, strdup(FIRST_TEXT), "text/plain", false);
        s3_call_lie(call, false);
        s3_call_tries(call, 1);
        s3_call_send(op, call, on_sha256_lie);
}

static void on_second(S3Op *op, const S3Result *result) {
        if (result->outcome != S3_OK && result->outcome != S3_EXISTS)
                return s3_op_fail(op, result, "putting a sample");
        look_of(op)->promises.conditional = result->outcome == S3_EXISTS;
        s3_call_send(op, probe_call(op, "GET", "conditional"), on_read);
}

static void on_first(S3Op *op, const S3Result *result) {
        S3Call *call;

        if (result->outcome != S3_OK && result->outcome != S3_EXISTS)
                return s3_op_fail(op, result, "putting a sample");
        call = probe_put(op, "conditional");
        s3_call_text(call, strdup(SECOND_TEXT), "text/plain", true);
        s3_call_send(op, call, on_second);
}

/* ---- The look ------------------------------------------------------------------------------------------------------ */

static void on_glance(S3Op *op, const S3Result *result) {
        char date[64];
        int64_t theirs;
        S3Call *call;

        if (result->outcome != S3_OK && result->outcome != S3_ABSENT)
                return s3_op_fail(op, result, "looking at it");
        if (http_header(result->answer, "date", date, sizeof(date)) && http_parse_date(date, &theirs) >= 0)
                report_clock(&op->task->report, theirs);
        if (!op->task->probe.thorough && op->store->promises.known) {
                say_powers(op);
                return s3_op_end(op);
        }
        call = probe_put(op, "conditional");
        s3_call_text(call, strdup(FIRST_TEXT), "text/plain", true);
        s3_call_send(op, call, on_first);
}

int s3_probe_begin(S3Store *store, Task *task) {
        S3Look *l = calloc(1, sizeof(*l));
        S3Call *call;
        int r;

        r = l ? s3_op_init(&l->op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(l);
                return r;
        }
        call = probe_call(&l->op, "GET", "conditional");
        s3_call_tries(call, 2);
        s3_call_send(&l->op, call, on_glance);
        return 0;
}
