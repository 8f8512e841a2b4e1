/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Is the server there, what does it offer, and does it keep what receipts rest on? Tried out with a sample of a few bytes, which is
 * terminated afterwards. Where the server terminates nothing, the sample stays, and what it told is remembered as long as it is there.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "uplink/http_time.h"
#include "uplink/tus_private.h"

#define SAMPLE "a sample, to see whether this store keeps what it is given\n"
#define SAMPLE_SIZE (sizeof(SAMPLE) - 1)
#define SAMPLE_FILE "sample"
#define SAMPLE_FILE_MAX 4096u
/* Nobody has gone on with it for so long; the clip, if it comes again, is sent anew. */
#define UNFINISHED_SEC (7 * INT64_C(86400))
/* A receipt that was lost on its way to the daemon is asked for again much sooner. */
#define DONE_SEC (30 * INT64_C(86400))
#define OLD_A_LOOK 16u

typedef struct TusLook {
        TusOp op; /* first */
        TusPromises promises;
        bool offers_sha256;
        char sample[TUS_KEY_SIZE]; /* "": there is none */
        bool sample_checks;        /* it refused a wrong digest when the sample was new */
        unsigned samples;          /* how many this look has made */
        TusOld old;
        unsigned n_old;
} TusLook;

static TusLook *look_of(TusOp *op) {
        return (TusLook *) op;
}

static void release(TusOp *op) {
        tus_op_fini(op);
        free(op);
}

/* ---- Records that are not needed any more -------------------------------------------------------------------------- */

static void sweep(TusOp *op);

static int find_old(TusOp *op) {
        int64_t now = clock_wall_usec() / (int64_t) USEC_PER_SEC;

        return tus_record_find_old(op->store->records, op->store->url.path, now - UNFINISHED_SEC, now - DONE_SEC,
                                   &look_of(op)->old);
}

static int remove_old(TusOp *op) {
        return tus_record_remove_old(op->store->records, &look_of(op)->old);
}

static void on_old_removed(TusOp *op, int result) {
        if (result < 0 || ++look_of(op)->n_old >= OLD_A_LOOK)
                return tus_op_end(op);
        sweep(op);
}

static void end_next_upload(TusOp *op);

static void on_old_terminated(TusOp *op, const TusResult *result) {
        /* What the server did not do this time is tried again at the next look; what it will not do, never. */
        if (tus_outcome_is_passing(result->outcome))
                return tus_op_end(op);
        end_next_upload(op);
}

static void end_next_upload(TusOp *op) {
        TusOld *old = &look_of(op)->old;
        char *key = old->upload[0] ? old->upload : old->manifest;
        TusCall *call;

        if (!key[0] || !op->store->promises.termination)
                return tus_op_job(op, remove_old, on_old_removed);
        call = tus_call_new(op, "DELETE", key);
        key[0] = 0;
        tus_call_send(op, call, on_old_terminated);
}

static void on_old_found(TusOp *op, int result) {
        if (result <= 0)
                return tus_op_end(op);
        end_next_upload(op);
}

static void sweep(TusOp *op) {
        if (op->store->records < 0)
                return tus_op_end(op);
        tus_op_job(op, find_old, on_old_found);
}

/* ---- What is remembered of the sample ------------------------------------------------------------------------------ */

static int load_sample(TusOp *op) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(json_decrefp) json_t *j = NULL;
        TusLook *l = look_of(op);
        const char *key;
        size_t size;

        /* One that cannot be read is made anew. */
        if (op->store->records < 0 || fd_read_file(op->store->records, SAMPLE_FILE, SAMPLE_FILE_MAX, &text, &size) < 0)
                return 0;
        j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        key = json_string_value(json_object_get(j, "sample"));
        if (!key || !tus_key_is_valid(key) || !text_equal(json_string_value(json_object_get(j, "store")), op->store->url.path))
                return 0;
        (void) snprintf(l->sample, sizeof(l->sample), "%s", key);
        l->sample_checks = json_is_true(json_object_get(j, "checks"));
        return 0;
}

static int save_sample(TusOp *op) {
        const TusLook *l = look_of(op);
        _cleanup_(json_decrefp) json_t *j = NULL;
        _cleanup_(freep) char *text = NULL;

        if (op->store->records < 0)
                return 0;
        if (!l->sample[0])
                return unlinkat(op->store->records, SAMPLE_FILE, 0) < 0 && errno != ENOENT ? -errno : 0;
        j = json_pack("{s:s, s:s, s:b}", "store", op->store->url.path, "sample", l->sample, "checks", (int) l->sample_checks);
        text = j ? json_dumps(j, JSON_COMPACT) : NULL;
        return text ? fd_replace_file(op->store->records, SAMPLE_FILE, text, strlen(text), 0600) : -ENOMEM;
}

/* ---- The end ------------------------------------------------------------------------------------------------------- */

/* It is well, and yet an admin should know. */
static void tell_weakness(const TusOp *op) {
        if (!op->store->promises.checks && !op->store->read_back)
                (void) snprintf(op->task->answer.text, sizeof(op->task->answer.text),
                                "but %s cannot vouch for digests: its receipts say size, which allows no erase unless accept in "
                                "berthd.conf says so; read_back = yes in [store] makes them say digest",
                                op->store->name);
}

static void report(TusOp *op) {
        StoreReport *to = &op->task->report;

        to->strength = op->store->promises.checks || op->store->read_back ? WIRE_STRENGTH_DIGEST : WIRE_STRENGTH_SIZE;
        if (op->store->promises.checks)
                report_point(to, WIRE_POINT_STORE_CHECKSUMS, WIRE_VERDICT_OK,
                             "the server refuses pieces that are not what their SHA-256 says");
        else if (op->store->read_back)
                report_point(to, WIRE_POINT_STORE_CHECKSUMS, WIRE_VERDICT_OK, "the server checks no SHA-256; each upload is read back");
        else
                report_point(to, WIRE_POINT_STORE_CHECKSUMS, WIRE_VERDICT_WARNING,
                             "the server checks no SHA-256, so its receipts say size: set read_back = yes in [store] of uplink.conf");
        report_point(to, WIRE_POINT_STORE_DELETE, WIRE_VERDICT_NOTE,
                     "tus does not tell whether the dock's token may terminate uploads that are whole: see to it that the "
                     "server refuses that");
        report_point(to, WIRE_POINT_STORE_REPLACE, WIRE_VERDICT_OK,
                     "tus gives each upload a name of its own, and nothing replaces another");
        report_point(to, WIRE_POINT_STORE_LOCK, WIRE_VERDICT_NOTE,
                     "tus has no retention: how long uploads are kept is the server's setting");
        report_point(to, WIRE_POINT_STORE_FLEET, WIRE_VERDICT_NOTE,
                     "a tus server names its uploads itself and lists nothing: a clip that another dock stored is not recognised, and "
                     "there are no status objects, no roster, no list of docks, no firmware and no rollouts");
}

static void on_saved(TusOp *op, int result) {
        (void) result;
        look_of(op)->promises.known = true;
        op->store->promises = look_of(op)->promises;
        report(op);
        tell_weakness(op);
        sweep(op);
}

static void learned(TusOp *op) {
        tus_op_job(op, save_sample, on_saved);
}

static void on_sample_terminated(TusOp *op, const TusResult *result) {
        TusLook *l = look_of(op);

        if (tus_outcome_is_passing(result->outcome))
                return tus_op_fail(op, result, "terminating a sample");
        /* What is offered and refused is not there for us. */
        if (result->outcome == TUS_OK || result->outcome == TUS_GONE)
                l->sample[0] = 0;
        else
                l->promises.termination = false;
        learned(op);
}

static void sample_good(TusOp *op) {
        const TusLook *l = look_of(op);

        if (l->promises.termination)
                return tus_call_send(op, tus_call_new(op, "DELETE", l->sample), on_sample_terminated);
        learned(op);
}

/* ---- The sample ---------------------------------------------------------------------------------------------------- */

static void create_sample(TusOp *op);

static void on_sample_read(TusOp *op, const TusResult *result) {
        uint64_t size;
        Digest found, digest;

        if (result->outcome == TUS_GONE || result->outcome == TUS_NEVER)
                return tus_op_fail_store(op,
                                         "does not let its uploads be read (GET: %d): use a server that does, or say read_back = no "
                                         "in [store]; receipts then say `size`",
                                         result->answer->status);
        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "reading a sample back");
        if (tus_read_digest(op, &found, &size) < 0 || digest_of(SAMPLE, SAMPLE_SIZE, &digest) < 0)
                return tus_op_fail_errno(op, EIO, "hashing a sample");
        if (!digest_equal(&found, &digest))
                return tus_op_fail_store(op, "does not give back what is put into it");
        sample_good(op);
}

static void on_sample_head(TusOp *op, const TusResult *result) {
        TusLook *l = look_of(op);
        TusHead head;

        if (result->outcome == TUS_GONE)
                return create_sample(op);
        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "asking for a sample");
        if (tus_head_parse(result, &head) < 0 || head.offset_bytes != SAMPLE_SIZE)
                return create_sample(op);
        l->promises.checks = l->offers_sha256 && l->sample_checks;
        if (op->store->read_back)
                return tus_read(op, l->sample, on_sample_read);
        sample_good(op);
}

static void on_sample_sent(TusOp *op, const TusResult *result) {
        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "sending a sample");
        tus_call_send(op, tus_call_new(op, "HEAD", look_of(op)->sample), on_sample_head);
}

static void send_sample(TusOp *op, bool lie, void (*then)(TusOp *op, const TusResult *result)) {
        TusLook *l = look_of(op);
        TusCall *call = tus_call_new(op, "PATCH", l->sample);
        Digest digest;

        if (digest_of(SAMPLE, SAMPLE_SIZE, &digest) < 0)
                digest = (Digest){};
        digest.bytes[0] ^= lie ? 1 : 0;
        tus_call_header_uint(call, "Upload-Offset", 0);
        if (l->offers_sha256)
                tus_call_checksum(call, &digest);
        tus_call_body(call, &(HttpBody){ .data = SAMPLE, .size_bytes = SAMPLE_SIZE }, false);
        tus_call_tries(call, 1);
        tus_call_send(op, call, then);
}

static void on_lie(TusOp *op, const TusResult *result) {
        TusLook *l = look_of(op);

        l->sample_checks = result->outcome == TUS_CORRUPTED || result->outcome == TUS_NEVER;
        if (l->sample_checks)
                return send_sample(op, false, on_sample_sent);
        /* It took the lie: it checks nothing. */
        on_sample_sent(op, result);
}

static void on_sample_recorded(TusOp *op, int result) {
        if (result < 0)
                return tus_op_fail_errno(op, result, "recording it in the state folder");
        if (look_of(op)->offers_sha256)
                return send_sample(op, true, on_lie);
        send_sample(op, false, on_sample_sent);
}

static void on_sample_created(TusOp *op, const TusResult *result) {
        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "creating a sample");
        if (tus_take_location(op, result, look_of(op)->sample) < 0)
                return;
        tus_op_job(op, save_sample, on_sample_recorded);
}

static void create_sample(TusOp *op) {
        _cleanup_(freep) char *metadata = NULL;
        TusCall *call;

        if (++look_of(op)->samples > 1)
                return tus_op_fail_store(op, "does not keep what is put into it");
        if (tus_metadata_add(&metadata, "filename", "berth-sample.txt") < 0 ||
            tus_metadata_add(&metadata, "filetype", "text/plain") < 0)
                return tus_op_fail_errno(op, ENOMEM, "describing a sample");
        call = tus_call_new(op, "POST", NULL);
        tus_call_header_uint(call, "Upload-Length", SAMPLE_SIZE);
        tus_call_header(call, "Upload-Metadata", metadata);
        tus_call_fresh(call);
        tus_call_tries(call, 2);
        tus_call_send(op, call, on_sample_created);
}

static void on_left_terminated(TusOp *op, const TusResult *result) {
        (void) result;
        create_sample(op);
}

static void on_sample_loaded(TusOp *op, int result) {
        const TusLook *l = look_of(op);

        (void) result;
        if (!l->sample[0])
                return create_sample(op);
        if (!l->promises.termination)
                return tus_call_send(op, tus_call_new(op, "HEAD", l->sample), on_sample_head);
        /* Left behind by a look that was cut short. */
        tus_call_send(op, tus_call_new(op, "DELETE", l->sample), on_left_terminated);
}

/* ---- What it offers ------------------------------------------------------------------------------------------------ */

static void on_options(TusOp *op, const TusResult *result) {
        char versions[256] = "", extensions[512] = "", algorithms[256] = "", max[24] = "", date[64];
        TusLook *l = look_of(op);
        int64_t theirs;

        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "looking at it");
        if (http_header(result->answer, "date", date, sizeof(date)) && http_parse_date(date, &theirs) >= 0)
                report_clock(&op->task->report, theirs);
        (void) http_header(result->answer, "tus-version", versions, sizeof(versions));
        (void) http_header(result->answer, "tus-extension", extensions, sizeof(extensions));
        (void) http_header(result->answer, "tus-checksum-algorithm", algorithms, sizeof(algorithms));
        if (!tus_list_has(versions, "1.0.0"))
                return tus_op_fail_store(op, "does not speak tus 1.0.0 (Tus-Version: %.64s): look at [store] url", versions);
        if (!tus_list_has(extensions, "creation"))
                return tus_op_fail_store(op, "lets nobody create uploads (Tus-Extension: %.128s)", extensions);
        l->promises.with_upload = tus_list_has(extensions, "creation-with-upload");
        l->promises.defer_length = tus_list_has(extensions, "creation-defer-length");
        l->promises.termination = tus_list_has(extensions, "termination");
        l->offers_sha256 = tus_list_has(extensions, "checksum") && tus_list_has(algorithms, "sha256");
        if (http_header(result->answer, "tus-max-size", max, sizeof(max)) && tus_number(max, &l->promises.size_max_bytes) < 0)
                return tus_op_fail_store(op, "says a largest size that is no number (Tus-Max-Size)");
        if (!op->task->probe.thorough && op->store->promises.known) {
                tell_weakness(op);
                return tus_op_end(op);
        }
        tus_op_job(op, load_sample, on_sample_loaded);
}

int tus_probe_begin(TusStore *store, Task *task) {
        TusLook *l = calloc(1, sizeof(*l));
        TusCall *call;
        int r;

        r = l ? tus_op_init(&l->op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(l);
                return r;
        }
        call = tus_call_new(&l->op, "OPTIONS", NULL);
        tus_call_tries(call, 2);
        tus_call_send(&l->op, call, on_options);
        return 0;
}
