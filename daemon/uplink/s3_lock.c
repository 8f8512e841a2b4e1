/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Object Lock. Asked for by requests of its own after the object is there, not by headers when it is made: there are stores that
 * drop those without a word. In any case only what is read back counts.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "uplink/s3_private.h"

/* A bucket's own default counts from when the object was begun. */
#define SLACK_SEC_MAX UINT64_C(86400)
#define DATE_SIZE 24

static S3Call *new_call(S3Op *op, const char *method, const char *what) {
        const S3Lock *l = &op->lock;
        S3Call *call = s3_call_new(op, method, l->key);

        s3_call_query(call, what, "");
        if (l->version && l->version[0])
                s3_call_query(call, "versionId", l->version);
        return call;
}

static void refuse(S3Op *op, const char *what) {
        (void) answer_fail(
                &op->task->answer, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR,
                "the store %s does not keep what it was told to keep (%s of %s): make its bucket with Object Lock, or change "
                "[store] retention and legal_hold",
                op->store->name, what, op->lock.key);
        s3_op_end(op);
}

/* ---- Legal hold ---------------------------------------------------------------------------------------------------- */

static void get_hold(S3Op *op);

static void on_hold_put(S3Op *op, const S3Result *result) {
        if (result->outcome == S3_NEVER || result->outcome == S3_NOT_SET)
                return refuse(op, "the legal hold");
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "setting a legal hold");
        get_hold(op);
}

static void on_hold(S3Op *op, const S3Result *result) {
        static const char text[] =
                "<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>ON</Status></LegalHold>";
        S3Lock *l = &op->lock;
        bool on = false;
        S3Call *call;

        if (result->outcome == S3_OK && s3_xml_legal_hold(result->answer->body, result->answer->body_size, &on) >= 0 && on)
                return l->then(op);
        if (result->outcome != S3_OK && result->outcome != S3_NOT_SET && result->outcome != S3_ABSENT &&
            result->outcome != S3_NEVER)
                return s3_op_fail(op, result, "reading a legal hold");
        if (l->hold_asked)
                return refuse(op, "the legal hold");
        l->hold_asked = true;
        call = new_call(op, "PUT", "legal-hold");
        s3_call_text(call, strdup(text), "application/xml", true);
        s3_call_send(op, call, on_hold_put);
}

static void get_hold(S3Op *op) {
        if (!op->store->legal_hold)
                return op->lock.then(op);
        s3_call_send(op, new_call(op, "GET", "legal-hold"), on_hold);
}

/* ---- Retention ----------------------------------------------------------------------------------------------------- */

static void get_retention(S3Op *op);

static bool is_enough(S3Op *op, const S3Retention *retention) {
        const S3Lock *l = &op->lock;
        uint64_t slack = MIN2(op->store->retention_sec / 10, SLACK_SEC_MAX);

        /* Compliance is the stronger of the two. */
        if (!text_equal(retention->mode, "COMPLIANCE") && !text_equal(retention->mode, op->store->lock_mode))
                return false;
        return retention->until_unix_sec + (int64_t) slack >= l->until_unix_sec;
}

static void on_retention_put(S3Op *op, const S3Result *result) {
        if (result->outcome == S3_NEVER || result->outcome == S3_NOT_SET)
                return refuse(op, "the retention");
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "setting a retention");
        get_retention(op);
}

static void ask(S3Op *op) {
        time_t until = (time_t) op->lock.until_unix_sec;
        S3Call *call = new_call(op, "PUT", "retention");
        char date[DATE_SIZE] = "";
        struct tm tm;

        if (gmtime_r(&until, &tm))
                (void) strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
        s3_call_text(call,
                     text_format("<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>%s</Mode>"
                                 "<RetainUntilDate>%s</RetainUntilDate></Retention>",
                                 op->store->lock_mode, date),
                     "application/xml", true);
        s3_call_send(op, call, on_retention_put);
}

static void on_retention(S3Op *op, const S3Result *result) {
        S3Lock *l = &op->lock;
        S3Retention retention;

        if (result->outcome == S3_OK && s3_xml_retention(result->answer->body, result->answer->body_size, &retention) >= 0 &&
            is_enough(op, &retention))
                return get_hold(op);
        if (result->outcome != S3_OK && result->outcome != S3_NOT_SET && result->outcome != S3_ABSENT &&
            result->outcome != S3_NEVER)
                return s3_op_fail(op, result, "reading a retention");
        if (l->asked)
                return refuse(op, "the retention");
        l->asked = true;
        ask(op);
}

static void get_retention(S3Op *op) {
        if (!op->store->lock_mode)
                return get_hold(op);
        s3_call_send(op, new_call(op, "GET", "retention"), on_retention);
}

void s3_lock(S3Op *op, const char *key, const char *version, void (*then)(S3Op *op)) {
        op->lock = (S3Lock){
                .key = key,
                .version = version,
                .then = then,
                .until_unix_sec = clock_wall_usec() / (int64_t) USEC_PER_SEC + (int64_t) op->store->retention_sec,
        };
        get_retention(op);
}
