/* SPDX-License-Identifier: Apache-2.0 */

/* What a worker says: signals and replies, against what it was asked. Whatever may not come now is its end. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <berth/plugin.h>

#include "base/crash_point.h"
#include "service/worker_private.h"

/* ---- Signals ---- */

/* How long block `number` is; with an unknown size, 0: any length. */
static uint64_t block_length(const WorkerCall *c, uint32_t number) {
        uint64_t begin = number * WIRE_BLOCK_SIZE;

        if (c->size == UINT64_MAX)
                return 0;
        return begin >= c->size ? UINT64_MAX : MIN2(c->size - begin, WIRE_BLOCK_SIZE);
}

static int on_block(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerCall *c = &w->call;
        uint64_t length;
        WorkerBlock b;
        int r;

        r = signal_block(m, &b, why);
        if (r < 0)
                return r;
        if (c->partial || c->next >= c->n_blocks)
                return worker_why(why, "the worker told a block of clip %" PRIu32 " behind the last that may come", c->clip);
        if (b.clip != c->clip || b.number != c->next)
                return worker_why(why, "the worker told block %" PRIu32 " of clip %" PRIu32 " where block %" PRIu32 " of clip %" PRIu32
                                  " was next", b.number, b.clip, c->next, c->clip);
        length = block_length(c, b.number);
        if (b.length == 0 || b.length > WIRE_BLOCK_SIZE || (length != 0 && b.length != length))
                return worker_why(why, "the worker told %" PRIu32 " bytes for block %" PRIu32 " of clip %" PRIu32, b.length,
                        b.number, b.clip);
        c->next++;
        c->blocks_bytes += b.length;
        c->moved = MAX2(c->moved, c->blocks_bytes);
        c->partial = b.length < WIRE_BLOCK_SIZE;
        c->told = b.number * WIRE_BLOCK_SIZE + b.length;
        worker_progress(w);
        w->ops.on_block(w->userdata, b.clip, b.number, b.length, &b.digest);
        return 0;
}

static int on_progress(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerCall *c = &w->call;
        uint64_t bytes;
        uint32_t clip;
        int r;

        r = signal_progress(m, &clip, &bytes, why);
        if (r < 0)
                return r;
        if (clip != c->clip || bytes < c->bytes || bytes > c->most)
                return worker_why(why, "the worker told %" PRIu64 " bytes of clip %" PRIu32 ", which cannot be", bytes, clip);
        if (bytes == c->bytes) /* a clip with bad sectors is read more than once: that counts as life */
                return c->salvages ? worker_progress(w), 0 : 0;
        c->bytes = bytes;
        c->moved = MAX2(c->moved, bytes);
        worker_progress(w);
        w->ops.on_progress(w->userdata, clip, bytes);
        return 0;
}

static int take_signal(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        bool telling = w->call.kind == CALL_PULL || w->call.kind == CALL_VERIFY, moving = telling || w->call.kind == CALL_SAMPLE;

        if (w->call.kind != CALL_NONE && sd_bus_message_is_signal(m, WIRE_BAY_INTERFACE, "Alive") > 0) {
                int r = answer_nothing(m, why);

                if (r >= 0)
                        worker_alive(w);
                return r;
        }
        if (telling && sd_bus_message_is_signal(m, WIRE_BAY_INTERFACE, "Block") > 0)
                return on_block(w, m, why);
        if (moving && sd_bus_message_is_signal(m, WIRE_BAY_INTERFACE, "Progress") > 0)
                return on_progress(w, m, why);
        return worker_why(why, "the worker sent a signal that may not come now");
}

/* Replies have gone to their call before. */
int worker_on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Worker *w = userdata;
        WorkerWhy why;
        bool disconnected = sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected") > 0;

        (void) error;
        if (w->fatal || (disconnected && w->closed))
                return 1;
        /* sd-bus tells itself that it closed the connection: what came was framed well and is no D-Bus nevertheless. */
        if (disconnected)
                worker_doom(w, WORKER_BREACH, "the worker sent a malformed message");
        else if (take_signal(w, m, &why) < 0)
                worker_doom(w, WORKER_BREACH, why.text);
        return 1;
}

/* ---- Replies ---- */

static int note_sizes(Worker *w, uint32_t first, const WorkerPage *page) {
        size_t n = first + page->n;

        if (n > w->room) {
                size_t room = MAX2(n, w->room * 2);
                uint64_t *larger = reallocarray(w->sizes, room, sizeof(uint64_t));

                if (!larger)
                        return -ENOMEM;
                w->sizes = larger;
                w->room = room;
        }
        for (size_t i = 0; i < page->n; i++)
                w->sizes[first + i] = page->clips[i].flags & BERTH_CLIP_SIZE_UNKNOWN ? UINT64_MAX : page->clips[i].size_bytes;
        w->n_sizes = n;
        return 0;
}

static int reply_list(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerPage page;
        WorkerCall c;
        int r;

        r = answer_page(m, w->call.first, &page, why);
        if (r < 0)
                return r;
        if (note_sizes(w, w->call.first, &page) < 0)
                return worker_why(why, "berthd has no memory for the worker's clips");
        c = worker_call_end(w);
        c.done.list(w->userdata, WORKER_OK, NULL, page.clips, page.n, page.more);
        worker_call_clear(&c);
        return 0;
}

static int reply_pull(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerCopy copy;
        WorkerCall c;
        int r;

        w->unreadable.n = 0;
        r = w->call.salvages ? answer_salvage(m, w->call.size, &copy, &w->unreadable, why) : answer_copy(m, &copy, why);
        if (r < 0)
                return r;
        if (copy.size_bytes != w->call.told || (w->call.size != UINT64_MAX && copy.size_bytes != w->call.size))
                return worker_why(why, "the worker pulled %" PRIu64 " bytes of clip %" PRIu32 ", and its blocks end at %" PRIu64,
                                  copy.size_bytes, w->call.clip, w->call.told);
        c = worker_call_end(w);
        c.done.pull(w->userdata, WORKER_OK, NULL, &copy);
        worker_call_clear(&c);
        return 0;
}

static int reply_sample(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerSample samples[WIRE_SAMPLES_MAX];
        WorkerCall c;
        int r;

        r = answer_samples(m, w->call.n_blocks, samples, why);
        if (r < 0)
                return r;
        c = worker_call_end(w);
        c.done.sample(w->userdata, WORKER_OK, NULL, samples);
        worker_call_clear(&c);
        return 0;
}

static int reply_identify(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerIdentity id;
        WorkerCall c;
        int r;

        r = answer_identity(m, &id, why);
        if (r < 0)
                return r;
        c = worker_call_end(w);
        c.done.identify(w->userdata, WORKER_OK, NULL, &id);
        worker_call_clear(&c);
        return 0;
}

static int reply_health(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerHealth health;
        WorkerCall c;
        int r;

        r = answer_health(m, &health, why);
        if (r < 0)
                return r;
        c = worker_call_end(w);
        c.done.health(w->userdata, WORKER_OK, NULL, &health);
        worker_call_clear(&c);
        return 0;
}

static int reply_owner(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerOwner owner;
        WorkerCall c;
        int r;

        r = answer_owner(m, &owner, why);
        if (r < 0)
                return r;
        c = worker_call_end(w);
        c.done.owner(w->userdata, WORKER_OK, NULL, &owner);
        worker_call_clear(&c);
        return 0;
}

static int reply_simple(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerCall c;
        int r;

        r = w->call.kind == CALL_OPEN ? answer_open(m, why) : answer_nothing(m, why);
        if (r < 0)
                return r;
        if (w->call.kind == CALL_VERIFY && w->call.next != w->call.n_blocks)
                return worker_why(why, "the worker told %" PRIu32 " of %zu blocks that it was asked to verify", w->call.next,
                                 w->call.n_blocks);
        if (w->call.kind == CALL_CLOSE) {
                /* Done when the process has ended: the next one needs the camera's interfaces. */
                w->leaving = true;
                return 0;
        }
        c = worker_call_end(w);
        c.done.simple(w->userdata, WORKER_OK, NULL);
        worker_call_clear(&c);
        return 0;
}

/* How far the ranges of a WORKER_UNREADABLE may lie. */
static uint64_t size_max(const WorkerCall *c) {
        if (c->kind != CALL_PULL && c->kind != CALL_VERIFY && c->kind != CALL_SAMPLE)
                return c->kind == CALL_ERASE ? WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE : 0;
        return MIN2(c->size, WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE);
}

static int reply_error(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerResult result;
        WorkerCall c;
        int r;

        w->unreadable.n = 0;
        r = answer_error(sd_bus_message_get_error(m), &result, why);
        if (r >= 0 && result == WORKER_UNREADABLE)
                r = answer_unreadable(m, size_max(&w->call), &w->unreadable, why);
        if (r < 0)
                return r;
        c = worker_call_end(w);
        worker_call_failed(&c, w->userdata, result, why->text[0] ? why->text : "the worker gave no reason");
        return 0;
}

int worker_on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Worker *w = userdata;
        WorkerWhy why = {};
        int r;

        (void) ret_error;
        if (w->fatal)
                return 1;
        CRASH_POINT_OF("worker-answered", worker_call_name(w->call.kind));
        /* Made up by sd-bus when the connection broke: worker_on_message() hears of that, too. */
        if (sd_bus_is_open(peer_bus(w->peer)) <= 0 && sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) > 0)
                return 1;
        if (sd_bus_message_is_method_error(m, NULL) > 0)
                r = reply_error(w, m, &why);
        else if (w->call.kind == CALL_LIST)
                r = reply_list(w, m, &why);
        else if (w->call.kind == CALL_PULL)
                r = reply_pull(w, m, &why);
        else if (w->call.kind == CALL_SAMPLE)
                r = reply_sample(w, m, &why);
        else if (w->call.kind == CALL_IDENTIFY)
                r = reply_identify(w, m, &why);
        else if (w->call.kind == CALL_HEALTH)
                r = reply_health(w, m, &why);
        else if (w->call.kind == CALL_GET_OWNER)
                r = reply_owner(w, m, &why);
        else
                r = reply_simple(w, m, &why);
        if (r < 0)
                worker_doom(w, WORKER_BREACH, why.text);
        return 1;
}
