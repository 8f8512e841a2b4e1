/* SPDX-License-Identifier: Apache-2.0 */

/* What a worker is asked for. */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/wire_digest.h"
#include "service/worker_private.h"

/* An Erase may have to read several clips that look alike as a whole: it gets that much more time, on top of the call's own. */
#define ERASE_CANDIDATES 4u
#define ERASE_BYTES_PER_SEC (4u * MIB)
/* A camera that formats a large card, and says meanwhile that it is busy, has as long as so many calls. */
#define FORMAT_CALLS 5u

static const char *const call_names[_CALL_KIND_MAX] = {
        [CALL_OPEN] = "Open",   [CALL_IDENTIFY] = "Identify", [CALL_HEALTH] = "Health",
        [CALL_LIST] = "List",   [CALL_SET_CLOCK] = "SetClock", [CALL_PULL] = "Pull",
        [CALL_ERASE] = "Erase", [CALL_VERIFY] = "Verify",     [CALL_CLOSE] = "Close",
        [CALL_EJECT] = "Eject", [CALL_FORMAT] = "Format",     [CALL_ENTER_STORAGE] = "EnterStorage",
        [CALL_ENTER_UPDATE] = "EnterUpdate",
        [CALL_GET_OWNER] = "GetOwner", [CALL_SET_OWNER] = "SetOwner", [CALL_SALVAGE] = "Salvage",
        [CALL_SAMPLE] = "Sample",
};

const char *worker_call_name(CallKind kind) {
        return call_names[kind];
}

/* ---- Calls ---- */

static int check_idle(const Worker *w) {
        if (w->fatal || w->leaving)
                return -ESHUTDOWN;
        return w->call.kind == CALL_NONE ? 0 : -EBUSY;
}

static int new_call(Worker *w, CallKind kind, sd_bus_message **ret) {
        int r;

        r = check_idle(w);
        if (r < 0)
                return r;
        return sd_bus_message_new_method_call(peer_bus(w->peer), ret, NULL, WIRE_BAY_PATH, WIRE_BAY_INTERFACE, worker_call_name(kind));
}

/* Sends; takes the message, and on success what `c` owns. `total_usec` bounds the whole, `stall_usec` its silences. */
static int send_call(Worker *w, sd_bus_message *m, int r, WorkerCall *c, uint64_t total_usec, uint64_t stall_usec) {
        uint64_t now = clock_boottime_usec();

        CRASH_POINT_OF("worker-call-begins", worker_call_name(c->kind));
        /* The deadlines are ours; sd-bus' own would answer in the worker's name. */
        if (r >= 0)
                r = sd_bus_call_async(peer_bus(w->peer), &c->slot, m, worker_on_reply, w, UINT64_MAX);
        sd_bus_message_unref(m);
        if (r < 0) {
                worker_call_clear(c);
                return r;
        }
        peer_expect_reply(w->peer);
        c->total_usec = total_usec;
        c->stall_usec = stall_usec;
        c->pace = (Pace){ .bytes_per_sec = total_usec == UINT64_MAX ? w->min_rate : 0, .window_usec = PACE_STALLS * stall_usec,
                          .until_usec = UINT64_MAX };
        c->bound_usec = total_usec == UINT64_MAX ? UINT64_MAX : now + total_usec;
        c->silent_until_usec = now + stall_usec;
        c->alive_until_usec = total_usec == UINT64_MAX ? now + w->call_timeout_usec + c->offset / RECHECK_BYTES_PER_SEC * USEC_PER_SEC
                                                       : c->bound_usec;
        w->call = *c;
        worker_arm(w);
        CRASH_POINT_OF("worker-called", worker_call_name(c->kind));
        return 0;
}

static int send_plain(Worker *w, sd_bus_message *m, int r, WorkerCall *c) {
        return send_call(w, m, r, c, w->call_timeout_usec, w->call_timeout_usec);
}

static int send_bare(Worker *w, WorkerCall *c) {
        sd_bus_message *m = NULL;
        int r = new_call(w, c->kind, &m);

        return r < 0 ? r : send_plain(w, m, 0, c);
}

int worker_open(Worker *w, const char *model_id, const char *const *options, const char *const *credentials, WorkerDone done) {
        WorkerCall c = { .kind = CALL_OPEN, .done.simple = done };
        sd_bus_message *m = NULL;
        int r;

        r = new_call(w, CALL_OPEN, &m);
        if (r < 0)
                return r;
        r = sd_bus_message_sensitive(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", model_id);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) options);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) credentials);
        return send_plain(w, m, r, &c);
}

int worker_identify(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerIdentity *id)) {
        WorkerCall c = { .kind = CALL_IDENTIFY, .done.identify = done };

        return send_bare(w, &c);
}

int worker_health(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerHealth *health)) {
        WorkerCall c = { .kind = CALL_HEALTH, .done.health = done };

        return send_bare(w, &c);
}

int worker_set_clock(Worker *w, int64_t unix_sec, WorkerDone done) {
        WorkerCall c = { .kind = CALL_SET_CLOCK, .done.simple = done };
        sd_bus_message *m = NULL;
        int r;

        r = new_call(w, CALL_SET_CLOCK, &m);
        return r < 0 ? r : send_plain(w, m, sd_bus_message_append(m, "x", unix_sec), &c);
}

int worker_get_owner(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerOwner *owner)) {
        WorkerCall c = { .kind = CALL_GET_OWNER, .done.owner = done };

        return send_bare(w, &c);
}

int worker_set_owner(Worker *w, const WorkerOwner *o, WorkerDone done) {
        WorkerCall c = { .kind = CALL_SET_OWNER, .done.simple = done };
        sd_bus_message *m = NULL;
        int r;

        r = new_call(w, CALL_SET_OWNER, &m);
        if (r < 0)
                return r;
        return send_plain(w, m, sd_bus_message_append(m, "ssss", o->officer_id, o->officer_name, o->unit_id, o->unit_name), &c);
}

/* A call that takes nothing and brings nothing. */
static int call_bare(Worker *w, CallKind kind, WorkerDone done) {
        WorkerCall c = { .kind = kind, .done.simple = done };

        return send_bare(w, &c);
}

int worker_enter_storage(Worker *w, WorkerDone done) {
        return call_bare(w, CALL_ENTER_STORAGE, done);
}

int worker_enter_update(Worker *w, WorkerDone done) {
        return call_bare(w, CALL_ENTER_UPDATE, done);
}

int worker_eject(Worker *w, WorkerDone done) {
        return call_bare(w, CALL_EJECT, done);
}

int worker_format(Worker *w, WorkerDone done) {
        WorkerCall c = { .kind = CALL_FORMAT, .done.simple = done };
        sd_bus_message *m = NULL;
        int r;

        r = new_call(w, CALL_FORMAT, &m);
        return r < 0 ? r : send_call(w, m, 0, &c, FORMAT_CALLS * w->call_timeout_usec, w->call_timeout_usec);
}

int worker_list(Worker *w, uint32_t first,
                void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more)) {
        WorkerCall c = { .kind = CALL_LIST, .done.list = done, .first = first };
        sd_bus_message *m = NULL;
        int r;

        /* Pages are asked for in their order. */
        if (first != 0 && first != w->n_sizes)
                return -EINVAL;
        r = new_call(w, CALL_LIST, &m);
        if (r < 0)
                return r;
        return send_call(w, m, sd_bus_message_append(m, "u", first), &c, w->call_timeout_usec, w->stall_timeout_usec);
}

int worker_pull(Worker *w, uint32_t clip, const char *part, uint64_t offset, const Digest *kept, size_t n_kept,
                void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy)) {
        WorkerCall c = { .kind = CALL_PULL, .done.pull = done, .clip = clip, .offset = offset, .told = offset };
        sd_bus_message *m = NULL;
        int r;

        if (clip >= w->n_sizes || offset != n_kept * WIRE_BLOCK_SIZE || offset > w->sizes[clip] || n_kept > WIRE_BLOCKS_MAX)
                return -EINVAL;
        r = new_call(w, CALL_PULL, &m);
        if (r < 0)
                return r;
        c.size = w->sizes[clip];
        c.most = (c.size == UINT64_MAX ? WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE : c.size) - offset;
        c.next = (uint32_t) n_kept;
        c.n_blocks = WIRE_BLOCKS_MAX;
        r = sd_bus_message_append(m, "ust", clip, part, offset);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', kept, n_kept * sizeof(Digest));
        return send_call(w, m, r, &c, UINT64_MAX, w->stall_timeout_usec);
}

int worker_salvage(Worker *w, uint32_t clip, const char *part,
                   void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy)) {
        WorkerCall c = { .kind = CALL_PULL, .done.pull = done, .clip = clip, .salvages = true };
        sd_bus_message *m = NULL;
        int r = clip < w->n_sizes && w->sizes[clip] != UINT64_MAX ? new_call(w, CALL_SALVAGE, &m) : -EINVAL;

        if (r < 0)
                return r;
        c.size = c.most = w->sizes[clip];
        c.n_blocks = WIRE_BLOCKS_MAX;
        return send_call(w, m, sd_bus_message_append(m, "us", clip, part), &c, UINT64_MAX, w->stall_timeout_usec);
}

const ByteRange *worker_unreadable(const Worker *w, size_t *ret_n) {
        *ret_n = w->unreadable.n;
        return w->unreadable.ranges;
}

int worker_verify(Worker *w, uint32_t clip, size_t n_blocks, WorkerDone done) {
        WorkerCall c = { .kind = CALL_VERIFY, .done.simple = done, .clip = clip, .n_blocks = n_blocks };
        sd_bus_message *m = NULL;
        int r;

        if (clip >= w->n_sizes || n_blocks > WIRE_BLOCKS_MAX)
                return -EINVAL;
        r = new_call(w, CALL_VERIFY, &m);
        if (r < 0)
                return r;
        c.size = w->sizes[clip];
        c.most = n_blocks * WIRE_BLOCK_SIZE;
        return send_call(w, m, sd_bus_message_append(m, "uu", clip, (uint32_t) n_blocks), &c, UINT64_MAX, w->stall_timeout_usec);
}

int worker_sample(Worker *w, uint32_t clip, const char *part, const ByteRange *places, size_t n,
                  void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerSample *samples)) {
        WorkerCall c = { .kind = CALL_SAMPLE, .done.sample = done, .clip = clip, .n_blocks = n };
        sd_bus_message *m = NULL;
        int r;

        if (clip >= w->n_sizes || n > WIRE_SAMPLES_MAX)
                return -EINVAL;
        r = new_call(w, CALL_SAMPLE, &m);
        if (r < 0)
                return r;
        c.size = w->sizes[clip];
        r = sd_bus_message_append(m, "us", clip, part ?: "");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(tt)");
        for (size_t i = 0; r >= 0 && i < n; i++) {
                c.most += places[i].length;
                r = sd_bus_message_append(m, "(tt)", places[i].offset, places[i].length);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return send_call(w, m, r, &c, UINT64_MAX, w->stall_timeout_usec);
}

int worker_erase(Worker *w, const char *path, const WorkerCopy *copy, int64_t mtime_unix_sec, WorkerDone done) {
        WorkerCall c = { .kind = CALL_ERASE, .done.simple = done };
        uint64_t reading = MIN2(copy->size_bytes, WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE) / ERASE_BYTES_PER_SEC * USEC_PER_SEC;
        sd_bus_message *m = NULL;
        int r;

        r = new_call(w, CALL_ERASE, &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "stx", path, copy->size_bytes, mtime_unix_sec);
        if (r >= 0)
                r = wire_append_digest(m, &copy->digest);
        if (r >= 0)
                r = wire_append_digest(m, &copy->head);
        if (r >= 0)
                r = wire_append_digest(m, &copy->tail);
        return send_call(w, m, r, &c, w->call_timeout_usec + ERASE_CANDIDATES * reading, w->call_timeout_usec);
}

int worker_close(Worker *w, WorkerDone done) {
        return call_bare(w, CALL_CLOSE, done);
}
