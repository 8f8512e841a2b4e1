/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bytes on their way into an upload. What was sent counts by the server's word alone: the offset that it answers, or, whenever an
 * answer is lost or says something else, the one that it is asked for.
 */

#include <inttypes.h>

#include "base/clock.h"
#include "uplink/tus_private.h"

/* A server that crashed may have lost what was not on its disk yet; one that does so again and again is not to be relied on. */
#define LOSSES_MAX 2u

static void take_offset(TusStream *s, uint64_t offset, bool asked) {
        if (offset > s->best) {
                s->best = offset;
                s->op->wait.tries = 0;
        }
        s->offset = offset;
        s->asked = asked;
        if (s->clip)
                atomic_store(&s->op->task->stored_bytes, offset);
}

/* ---- Asking -------------------------------------------------------------------------------------------------------- */

/* A server that does not tell which uploads there were says so in any of these ways. */
static bool is_gone(const TusStream *s, TusOutcome outcome) {
        int64_t now = clock_wall_usec() / (int64_t) USEC_PER_SEC;

        return outcome == TUS_GONE || (outcome == TUS_NOT_ALLOWED && s->expires_unix_sec > 0 && s->expires_unix_sec < now);
}

static void on_head(TusOp *op, const TusResult *result) {
        TusStream *s = op->stream;
        TusHead head;

        if (is_gone(s, result->outcome))
                return s->gone(s, "it is gone");
        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, "asking for an offset");
        if (tus_head_parse(result, &head) < 0)
                return tus_op_fail_store(op, "does not say how much it has of %s", s->key);
        if (head.length_known && head.length_bytes != s->source.size_bytes)
                return s->gone(s, "it has another length there");
        if (head.offset_bytes > s->reach)
                return s->gone(s, "it has more there than was sent");
        if (head.offset_bytes < s->offset && ++s->losses > LOSSES_MAX)
                return tus_op_fail_store(op, "said that it has %" PRIu64 " bytes of %s, and has %" PRIu64, s->offset, s->key,
                                         head.offset_bytes);
        if (tus_expires(result) > 0)
                s->expires_unix_sec = tus_expires(result);
        s->length_known = head.length_known;
        take_offset(s, head.offset_bytes, true);
        s->next(s, &head);
}

void tus_stream_ask(TusStream *s) {
        s->op->stream = s;
        tus_call_send(s->op, tus_call_new(s->op, "HEAD", s->key), on_head);
}

void tus_stream_resume(TusStream *s) {
        s->reach = s->source.size_bytes;
        tus_stream_ask(s);
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

static void ask_again(void *userdata) {
        TusStream *s = userdata;

        op_moved(&s->op->base);
        tus_stream_ask(s);
}

/* What passes: asks for the offset after a while, as often as that may help. */
static void try_again(TusStream *s, const TusResult *result) {
        TusOp *op = s->op;
        int r;

        op->wait.tries++;
        if (result->answer->source_failed || result->answer->refused_here || !retry_may(&op->wait, result->retry_after_sec))
                return tus_op_fail(op, result, s->doing);
        op->wait.again = ask_again;
        op->wait.userdata = s;
        r = retry_later(&op->wait, result->retry_after_sec);
        if (r < 0)
                tus_op_fail_errno(op, r, "waiting for the next try");
}

static void on_sent(TusOp *op, const TusResult *result) {
        TusStream *s = op->stream;
        char text[24];
        uint64_t offset;

        if (result->outcome == TUS_GONE)
                return s->gone(s, "it is gone");
        if (result->outcome == TUS_BAD_CREDENTIALS && !s->renewed) {
                s->renewed = true;
                return try_again(s, result);
        }
        if (tus_outcome_is_passing(result->outcome))
                return try_again(s, result);
        if (result->outcome != TUS_OK)
                return tus_op_fail(op, result, s->doing);
        s->renewed = false;
        s->length_known |= s->end == s->source.size_bytes;
        if (tus_expires(result) > 0)
                s->expires_unix_sec = tus_expires(result);
        if (!http_header(result->answer, "upload-offset", text, sizeof(text)) || tus_number(text, &offset) < 0 || offset != s->end)
                return try_again(s, result);
        take_offset(s, offset, false);
        s->next(s, NULL);
}

void tus_stream_send(TusStream *s, uint64_t end, const Digest *digest) {
        HttpBody body = s->source;
        TusCall *call = tus_call_new(s->op, "PATCH", s->key);

        s->op->stream = s;
        s->end = end;
        s->reach = MAX2(s->reach, end);
        if (body.data)
                body.data = (const char *) body.data + s->offset;
        else
                body.offset = s->offset;
        body.size_bytes = end - s->offset;
        tus_call_header_uint(call, "Upload-Offset", s->offset);
        /* What makes it whole. Once it is said, it must not be said again. */
        if (s->deferred && !s->length_known && end == s->source.size_bytes)
                tus_call_header_uint(call, "Upload-Length", end);
        if (digest)
                tus_call_checksum(call, digest);
        tus_call_body(call, &body, s->clip);
        if (s->clip) {
                tus_call_count(call, s->offset);
                /* On a connection that was kept, libcurl would send all of it a second time when the answer is lost. */
                tus_call_fresh(call);
        }
        /* Before it is sent once more, the server is asked for what came through. */
        tus_call_tries(call, 1);
        tus_call_send(s->op, call, on_sent);
}
