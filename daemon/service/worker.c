/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include <berth/plugin.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "core/pace.h"
#include "service/chatter.h"
#include "service/peer.h"
#include "service/worker_answer.h"
#include "service/worker_process.h"

/*
 * An Erase may have to read several clips that look alike as a whole, a Pull re-reads its part from the disk first: they
 * get that much more time, on top of the call's own.
 */
#define ERASE_CANDIDATES 4u
#define ERASE_BYTES_PER_SEC (4u * MIB)
#define RECHECK_BYTES_PER_SEC (16u * MIB)
/* A camera that formats a large card, and says meanwhile that it is busy, has as long as so many calls. */
#define FORMAT_CALLS 5u
/* How late a deadline may be noticed. */
#define DEADLINE_ACCURACY_USEC (50 * USEC_PER_MSEC)

typedef enum CallKind {
        CALL_NONE,
        CALL_OPEN,
        CALL_IDENTIFY,
        CALL_HEALTH,
        CALL_SET_CLOCK,
        CALL_GET_OWNER,
        CALL_SET_OWNER,
        CALL_ENTER_STORAGE,
        CALL_EJECT,
        CALL_FORMAT,
        CALL_LIST,
        CALL_PULL,
        CALL_SALVAGE, /* under way it is a Pull */
        CALL_VERIFY,
        CALL_ERASE,
        CALL_CLOSE,
        _CALL_KIND_MAX,
} CallKind;

static const char *const call_names[_CALL_KIND_MAX] = {
        [CALL_OPEN] = "Open",   [CALL_IDENTIFY] = "Identify", [CALL_HEALTH] = "Health",
        [CALL_LIST] = "List",   [CALL_SET_CLOCK] = "SetClock", [CALL_PULL] = "Pull",
        [CALL_ERASE] = "Erase", [CALL_VERIFY] = "Verify",     [CALL_CLOSE] = "Close",
        [CALL_EJECT] = "Eject", [CALL_FORMAT] = "Format",     [CALL_ENTER_STORAGE] = "EnterStorage",
        [CALL_GET_OWNER] = "GetOwner", [CALL_SET_OWNER] = "SetOwner", [CALL_SALVAGE] = "Salvage",
};

typedef struct Call {
        CallKind kind;
        union {
                WorkerDone simple;
                void (*identify)(void *userdata, WorkerResult result, const char *text, const WorkerIdentity *id);
                void (*health)(void *userdata, WorkerResult result, const char *text, const WorkerHealth *health);
                void (*owner)(void *userdata, WorkerResult result, const char *text, const WorkerOwner *owner);
                void (*list)(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more);
                void (*pull)(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy);
        } done;
        sd_bus_slot *slot;

        /* CLOCK_BOOTTIME; UINT64_MAX: none. */
        uint64_t total_usec;       /* how long the whole call may take */
        uint64_t bound_usec;       /* its end */
        uint64_t stall_usec;       /* how long it may be silent */
        uint64_t silent_until_usec;
        uint64_t alive_until_usec; /* how far Alive puts the silence off */
        Pace pace;                 /* Pull and Verify, from the first byte on */
        uint64_t moved, blocks_bytes; /* by Progress or by blocks; by blocks */

        uint32_t clip;      /* of Pull and Verify */
        uint64_t size;      /* of that clip, UINT64_MAX when nobody knows */
        uint64_t offset;    /* Pull */
        uint64_t bytes;     /* told by Progress */
        uint32_t first;     /* List */
        uint32_t next;      /* number of the next block in Pull, index into `blocks` in Verify */
        bool salvages;      /* Pull: around what cannot be read */
        bool partial;       /* Pull: a short block came, so none may follow */
        uint64_t told;      /* Pull: the end of the blocks that were told */
        uint32_t *blocks;   /* Verify */
        size_t n_blocks;
} Call;

struct Worker {
        sd_event *event;
        WorkerOps ops;
        void *userdata;
        uint64_t call_timeout_usec, stall_timeout_usec, min_rate;
        WorkerProcess process;
        Peer *peer;
        Chatter *chatter;
        sd_event_source *exited, *deadline, *verdict;
        Call call;

        uint64_t *sizes; /* of the listed clips */
        size_t n_sizes, room;

        WorkerUnreadable unreadable; /* of the last answer */

        bool fatal;      /* the verdict below stands and will be told */
        bool leaving;    /* it answered Close */
        bool closed;     /* its end of the connection */
        WorkerResult why;
        char text[WORKER_TEXT_MAX];
};

/* ---- How a call ends ---- */

static void call_clear(Call *c) {
        sd_bus_slot_unref(c->slot);
        free(c->blocks);
        *c = (Call){};
}

/* Moves the outstanding call out of the worker, so that its callback may begin the next one or free the worker. */
static Call call_end(Worker *w) {
        Call c = w->call;

        w->call = (Call){};
        (void) sd_event_source_set_enabled(w->deadline, SD_EVENT_OFF);
        return c;
}

/* The callback of a call that brought nothing but a result. The worker may be gone afterwards. */
static void call_failed(Call *c, void *userdata, WorkerResult result, const char *text) {
        switch (c->kind) {
        case CALL_IDENTIFY:
                c->done.identify(userdata, result, text, NULL);
                break;
        case CALL_HEALTH:
                c->done.health(userdata, result, text, NULL);
                break;
        case CALL_GET_OWNER:
                c->done.owner(userdata, result, text, NULL);
                break;
        case CALL_LIST:
                c->done.list(userdata, result, text, NULL, 0, false);
                break;
        case CALL_PULL:
                c->done.pull(userdata, result, text, NULL);
                break;
        default:
                c->done.simple(userdata, result, text);
                break;
        }
        call_clear(c);
}

/*
 * The worker is finished. It is killed at once; whoever waits is told from the loop, as this may be called from deep within
 * the connection that the callback will free. The first verdict stands.
 */
static void doom(Worker *w, WorkerResult why, const char *text) {
        if (w->fatal)
                return;
        w->fatal = true;
        w->why = why;
        (void) snprintf(w->text, sizeof(w->text), "%s", text);
        worker_process_kill(&w->process);
        w->call.slot = sd_bus_slot_unref(w->call.slot);
        (void) sd_event_source_set_enabled(w->deadline, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(w->verdict, SD_EVENT_ONESHOT);
}

static int on_verdict(sd_event_source *source, void *userdata) {
        Worker *w = userdata;
        char text[WORKER_TEXT_MAX];
        Call c;

        (void) source;
        memcpy(text, w->text, sizeof(text));
        if (w->call.kind == CALL_NONE) {
                if (w->ops.on_dead)
                        w->ops.on_dead(w->userdata, w->why, text);
                return 0;
        }
        c = call_end(w);
        call_failed(&c, w->userdata, w->why, text);
        return 0;
}

static int on_exited(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Worker *w = userdata;
        char text[WORKER_TEXT_MAX];
        siginfo_t info;
        Call c;
        int r;

        (void) fd;
        (void) revents;
        r = worker_process_reap(&w->process, &info);
        if (r == -EAGAIN)
                return 0;
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        w->exited = sd_event_source_unref(w->exited);
        w->process.pidfd = fd_close(w->process.pidfd);
        if (w->leaving && !w->fatal) {
                c = call_end(w);
                w->fatal = true;
                call_failed(&c, w->userdata, WORKER_OK, NULL);
                return 0;
        }
        if (r < 0)
                (void) snprintf(text, sizeof(text), "the worker ended, and nobody knows how: %s", strerror(-r));
        else if (w->closed && info.si_code == CLD_KILLED && info.si_status == SIGKILL)
                (void) snprintf(text, sizeof(text), "the worker closed its connection, or was killed");
        else
                worker_process_describe(&info, text, sizeof(text));
        doom(w, WORKER_DIED, text);
        return 0;
}

static void on_breach(void *userdata, const char *text) {
        doom(userdata, WORKER_BREACH, text);
}

static void on_closed(void *userdata) {
        Worker *w = userdata;

        /* It has ended, which on_exited() will tell, or it lives on without being of any use. */
        w->closed = true;
        if (!w->leaving && !w->fatal)
                worker_process_kill(&w->process);
}

/* ---- Deadlines ---- */

static void arm(Worker *w) {
        uint64_t at = MIN2(MIN2(w->call.bound_usec, w->call.silent_until_usec), w->call.pace.until_usec);

        if (at == UINT64_MAX || sd_event_source_set_time(w->deadline, at) < 0)
                return;
        (void) sd_event_source_set_enabled(w->deadline, SD_EVENT_ONESHOT);
}

static void alive(Worker *w) {
        Call *c = &w->call;
        uint64_t until = MIN2(clock_boottime_usec() + c->stall_usec, c->alive_until_usec);

        c->silent_until_usec = MAX2(c->silent_until_usec, until);
        /* It does something that moves no bytes, such as asking for a bad sector again. */
        if (c->pace.until_usec != UINT64_MAX)
                pace_begin(&c->pace, c->moved, clock_boottime_usec());
        arm(w);
}

/* Something was moved, which no worker can go on telling for ever. */
static void progress(Worker *w) {
        Call *c = &w->call;
        uint64_t now = clock_boottime_usec();

        c->silent_until_usec = now + c->stall_usec;
        c->alive_until_usec = MAX2(c->alive_until_usec, now + w->call_timeout_usec);
        if (c->pace.until_usec == UINT64_MAX)
                pace_begin(&c->pace, c->moved, now);
        arm(w);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        char text[WORKER_TEXT_MAX];
        Worker *w = userdata;
        Call *c = &w->call;
        uint64_t now = clock_boottime_usec();

        (void) source;
        (void) usec;
        if (c->kind == CALL_NONE)
                return 0;
        if (now < MIN2(c->bound_usec, c->silent_until_usec)) {
                if (!pace_is_too_slow(&c->pace, c->moved, now))
                        return arm(w), 0;
                (void) snprintf(text, sizeof(text), "the camera sent %" PRIu64 " bytes in %.3g s, and [timeouts] min_rate asks for %" PRIu64
                                " a second", c->moved - c->pace.from_bytes, (double) c->pace.window_usec / (double) USEC_PER_SEC,
                                c->pace.bytes_per_sec);
                doom(w, WORKER_STALLED, text);
                return 0;
        }
        (void) snprintf(text, sizeof(text), "the worker %s %s for %.3g s: the camera or its plugin hangs",
                        now >= c->bound_usec ? "did not end" : "made no progress in", call_names[c->kind],
                        (double) (now >= c->bound_usec ? c->total_usec : c->stall_usec) / (double) USEC_PER_SEC);
        doom(w, WORKER_STALLED, text);
        return 0;
}

/* ---- Signals ---- */

/* The number that the next Block must have, or a sentence why none may come. */
static int next_block(const Call *c, uint32_t *ret, WorkerWhy *why) {
        if (c->kind == CALL_PULL) {
                if (c->partial || c->next >= WIRE_BLOCKS_MAX)
                        return worker_why(why, "the worker told a block behind the end of clip %u", c->clip);
                *ret = c->next;
                return 0;
        }
        if (c->next >= c->n_blocks)
                return worker_why(why, "the worker told more blocks of clip %u than it was asked for", c->clip);
        *ret = c->blocks[c->next];
        return 0;
}

/* How long block `number` is; with an unknown size, 0: any length. */
static uint64_t block_length(const Call *c, uint32_t number) {
        uint64_t begin = number * WIRE_BLOCK_SIZE;

        if (c->size == UINT64_MAX)
                return 0;
        return begin >= c->size ? UINT64_MAX : MIN2(c->size - begin, WIRE_BLOCK_SIZE);
}

static int on_block(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        Call *c = &w->call;
        uint32_t expected = 0;
        uint64_t length;
        WorkerBlock b;
        int r;

        r = signal_block(m, &b, why);
        if (r >= 0)
                r = next_block(c, &expected, why);
        if (r < 0)
                return r;
        if (b.clip != c->clip || b.number != expected)
                return worker_why(why, "the worker told block %" PRIu32 " of clip %" PRIu32 " where block %" PRIu32 " of clip %" PRIu32
                                  " was next", b.number, b.clip, expected, c->clip);
        length = block_length(c, b.number);
        if (b.length == 0 || b.length > WIRE_BLOCK_SIZE || (length != 0 && b.length != length))
                return worker_why(why, "the worker told %" PRIu32 " bytes for block %" PRIu32 " of clip %" PRIu32, b.length,
                        b.number, b.clip);
        c->next++;
        c->blocks_bytes += b.length;
        c->moved = MAX2(c->moved, c->blocks_bytes);
        if (c->kind == CALL_PULL) {
                c->partial = b.length < WIRE_BLOCK_SIZE;
                c->told = b.number * WIRE_BLOCK_SIZE + b.length;
        }
        progress(w);
        w->ops.on_block(w->userdata, b.clip, b.number, b.length, &b.digest);
        return 0;
}

/* The most that a call can move. */
static uint64_t bytes_max(const Call *c) {
        if (c->kind == CALL_VERIFY)
                return c->n_blocks * WIRE_BLOCK_SIZE;
        return c->size == UINT64_MAX ? WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE : c->size - c->offset;
}

static int on_progress(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        Call *c = &w->call;
        uint64_t bytes;
        uint32_t clip;
        int r;

        r = signal_progress(m, &clip, &bytes, why);
        if (r < 0)
                return r;
        if (clip != c->clip || bytes < c->bytes || bytes > bytes_max(c))
                return worker_why(why, "the worker told %" PRIu64 " bytes of clip %" PRIu32 ", which cannot be", bytes, clip);
        if (bytes == c->bytes) /* a clip with bad sectors is read more than once: that counts as life */
                return c->salvages ? progress(w), 0 : 0;
        c->bytes = bytes;
        c->moved = MAX2(c->moved, bytes);
        progress(w);
        w->ops.on_progress(w->userdata, clip, bytes);
        return 0;
}

static int take_signal(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        bool moving = w->call.kind == CALL_PULL || w->call.kind == CALL_VERIFY;

        if (w->call.kind != CALL_NONE && sd_bus_message_is_signal(m, WIRE_BAY_INTERFACE, "Alive") > 0) {
                int r = answer_nothing(m, why);

                if (r >= 0)
                        alive(w);
                return r;
        }
        if (moving && sd_bus_message_is_signal(m, WIRE_BAY_INTERFACE, "Block") > 0)
                return on_block(w, m, why);
        if (moving && sd_bus_message_is_signal(m, WIRE_BAY_INTERFACE, "Progress") > 0)
                return on_progress(w, m, why);
        return worker_why(why, "the worker sent a signal that may not come now");
}

/* Replies have gone to their call before. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Worker *w = userdata;
        WorkerWhy why;
        bool disconnected = sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected") > 0;

        (void) error;
        if (w->fatal || (disconnected && w->closed))
                return 1;
        /* sd-bus tells itself that it closed the connection: what came was framed well and is no D-Bus nevertheless. */
        if (disconnected)
                doom(w, WORKER_BREACH, "the worker sent a malformed message");
        else if (take_signal(w, m, &why) < 0)
                doom(w, WORKER_BREACH, why.text);
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
        Call c;
        int r;

        r = answer_page(m, w->call.first, &page, why);
        if (r < 0)
                return r;
        if (note_sizes(w, w->call.first, &page) < 0)
                return worker_why(why, "berthd has no memory for the worker's clips");
        c = call_end(w);
        c.done.list(w->userdata, WORKER_OK, NULL, page.clips, page.n, page.more);
        call_clear(&c);
        return 0;
}

static int reply_pull(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerCopy copy;
        Call c;
        int r;

        w->unreadable.n = 0;
        r = w->call.salvages ? answer_salvage(m, w->call.size, &copy, &w->unreadable, why) : answer_copy(m, &copy, why);
        if (r < 0)
                return r;
        if (copy.size_bytes != w->call.told || (w->call.size != UINT64_MAX && copy.size_bytes != w->call.size))
                return worker_why(why, "the worker pulled %" PRIu64 " bytes of clip %" PRIu32 ", and its blocks end at %" PRIu64,
                                  copy.size_bytes, w->call.clip, w->call.told);
        c = call_end(w);
        c.done.pull(w->userdata, WORKER_OK, NULL, &copy);
        call_clear(&c);
        return 0;
}

static int reply_identify(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerIdentity id;
        Call c;
        int r;

        r = answer_identity(m, &id, why);
        if (r < 0)
                return r;
        c = call_end(w);
        c.done.identify(w->userdata, WORKER_OK, NULL, &id);
        call_clear(&c);
        return 0;
}

static int reply_health(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerHealth health;
        Call c;
        int r;

        r = answer_health(m, &health, why);
        if (r < 0)
                return r;
        c = call_end(w);
        c.done.health(w->userdata, WORKER_OK, NULL, &health);
        call_clear(&c);
        return 0;
}

static int reply_owner(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerOwner owner;
        Call c;
        int r;

        r = answer_owner(m, &owner, why);
        if (r < 0)
                return r;
        c = call_end(w);
        c.done.owner(w->userdata, WORKER_OK, NULL, &owner);
        call_clear(&c);
        return 0;
}

static int reply_simple(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        Call c;
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
        c = call_end(w);
        c.done.simple(w->userdata, WORKER_OK, NULL);
        call_clear(&c);
        return 0;
}

/* How far the ranges of a WORKER_UNREADABLE may lie. */
static uint64_t size_max(const Call *c) {
        if (c->kind != CALL_PULL && c->kind != CALL_VERIFY)
                return c->kind == CALL_ERASE ? WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE : 0;
        return MIN2(c->size, WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE);
}

static int reply_error(Worker *w, sd_bus_message *m, WorkerWhy *why) {
        WorkerResult result;
        Call c;
        int r;

        w->unreadable.n = 0;
        r = answer_error(sd_bus_message_get_error(m), &result, why);
        if (r >= 0 && result == WORKER_UNREADABLE)
                r = answer_unreadable(m, size_max(&w->call), &w->unreadable, why);
        if (r < 0)
                return r;
        c = call_end(w);
        call_failed(&c, w->userdata, result, why->text[0] ? why->text : "the worker gave no reason");
        return 0;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Worker *w = userdata;
        WorkerWhy why = {};
        int r;

        (void) ret_error;
        if (w->fatal)
                return 1;
        CRASH_POINT_OF("worker-answered", call_names[w->call.kind]);
        /* Made up by sd-bus when the connection broke: on_message() hears of that, too. */
        if (sd_bus_is_open(peer_bus(w->peer)) <= 0 && sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) > 0)
                return 1;
        if (sd_bus_message_is_method_error(m, NULL) > 0)
                r = reply_error(w, m, &why);
        else if (w->call.kind == CALL_LIST)
                r = reply_list(w, m, &why);
        else if (w->call.kind == CALL_PULL)
                r = reply_pull(w, m, &why);
        else if (w->call.kind == CALL_IDENTIFY)
                r = reply_identify(w, m, &why);
        else if (w->call.kind == CALL_HEALTH)
                r = reply_health(w, m, &why);
        else if (w->call.kind == CALL_GET_OWNER)
                r = reply_owner(w, m, &why);
        else
                r = reply_simple(w, m, &why);
        if (r < 0)
                doom(w, WORKER_BREACH, why.text);
        return 1;
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
        return sd_bus_message_new_method_call(peer_bus(w->peer), ret, NULL, WIRE_BAY_PATH, WIRE_BAY_INTERFACE, call_names[kind]);
}

/* Sends; takes the message, and on success what `c` owns. `total_usec` bounds the whole, `stall_usec` its silences. */
static int send_call(Worker *w, sd_bus_message *m, int r, Call *c, uint64_t total_usec, uint64_t stall_usec) {
        uint64_t now = clock_boottime_usec();

        CRASH_POINT_OF("worker-call-begins", call_names[c->kind]);
        /* The deadlines are ours; sd-bus' own would answer in the worker's name. */
        if (r >= 0)
                r = sd_bus_call_async(peer_bus(w->peer), &c->slot, m, on_reply, w, UINT64_MAX);
        sd_bus_message_unref(m);
        if (r < 0) {
                call_clear(c);
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
        arm(w);
        CRASH_POINT_OF("worker-called", call_names[c->kind]);
        return 0;
}

static int send_plain(Worker *w, sd_bus_message *m, int r, Call *c) {
        return send_call(w, m, r, c, w->call_timeout_usec, w->call_timeout_usec);
}

static int send_bare(Worker *w, Call *c) {
        sd_bus_message *m = NULL;
        int r = new_call(w, c->kind, &m);

        return r < 0 ? r : send_plain(w, m, 0, c);
}

int worker_open(Worker *w, const char *model_id, const char *const *options, const char *const *credentials, WorkerDone done) {
        Call c = { .kind = CALL_OPEN, .done.simple = done };
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
        Call c = { .kind = CALL_IDENTIFY, .done.identify = done };

        return send_bare(w, &c);
}

int worker_health(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerHealth *health)) {
        Call c = { .kind = CALL_HEALTH, .done.health = done };

        return send_bare(w, &c);
}

int worker_set_clock(Worker *w, int64_t unix_sec, WorkerDone done) {
        Call c = { .kind = CALL_SET_CLOCK, .done.simple = done };
        sd_bus_message *m = NULL;
        int r;

        r = new_call(w, CALL_SET_CLOCK, &m);
        return r < 0 ? r : send_plain(w, m, sd_bus_message_append(m, "x", unix_sec), &c);
}

int worker_get_owner(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerOwner *owner)) {
        Call c = { .kind = CALL_GET_OWNER, .done.owner = done };

        return send_bare(w, &c);
}

int worker_set_owner(Worker *w, const WorkerOwner *o, WorkerDone done) {
        Call c = { .kind = CALL_SET_OWNER, .done.simple = done };
        sd_bus_message *m = NULL;
        int r;

        r = new_call(w, CALL_SET_OWNER, &m);
        if (r < 0)
                return r;
        return send_plain(w, m, sd_bus_message_append(m, "ssss", o->officer_id, o->officer_name, o->unit_id, o->unit_name), &c);
}

/* A call that takes nothing and brings nothing. */
static int call_bare(Worker *w, CallKind kind, WorkerDone done) {
        Call c = { .kind = kind, .done.simple = done };

        return send_bare(w, &c);
}

int worker_enter_storage(Worker *w, WorkerDone done) {
        return call_bare(w, CALL_ENTER_STORAGE, done);
}

int worker_eject(Worker *w, WorkerDone done) {
        return call_bare(w, CALL_EJECT, done);
}

int worker_format(Worker *w, WorkerDone done) {
        Call c = { .kind = CALL_FORMAT, .done.simple = done };
        sd_bus_message *m = NULL;
        int r;

        r = new_call(w, CALL_FORMAT, &m);
        return r < 0 ? r : send_call(w, m, 0, &c, FORMAT_CALLS * w->call_timeout_usec, w->call_timeout_usec);
}

int worker_list(Worker *w, uint32_t first,
                void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more)) {
        Call c = { .kind = CALL_LIST, .done.list = done, .first = first };
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
        Call c = { .kind = CALL_PULL, .done.pull = done, .clip = clip, .offset = offset, .told = offset };
        sd_bus_message *m = NULL;
        int r;

        if (clip >= w->n_sizes || offset != n_kept * WIRE_BLOCK_SIZE || offset > w->sizes[clip] || n_kept > WIRE_BLOCKS_MAX)
                return -EINVAL;
        r = new_call(w, CALL_PULL, &m);
        if (r < 0)
                return r;
        c.size = w->sizes[clip];
        c.next = (uint32_t) n_kept;
        r = sd_bus_message_append(m, "ust", clip, part, offset);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', kept, n_kept * sizeof(Digest));
        return send_call(w, m, r, &c, UINT64_MAX, w->stall_timeout_usec);
}

int worker_salvage(Worker *w, uint32_t clip, const char *part,
                   void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy)) {
        Call c = { .kind = CALL_PULL, .done.pull = done, .clip = clip, .salvages = true };
        sd_bus_message *m = NULL;
        int r = clip < w->n_sizes && w->sizes[clip] != UINT64_MAX ? new_call(w, CALL_SALVAGE, &m) : -EINVAL;

        if (r < 0)
                return r;
        c.size = w->sizes[clip];
        return send_call(w, m, sd_bus_message_append(m, "us", clip, part), &c, UINT64_MAX, w->stall_timeout_usec);
}

const ByteRange *worker_unreadable(const Worker *w, size_t *ret_n) {
        *ret_n = w->unreadable.n;
        return w->unreadable.ranges;
}

int worker_verify(Worker *w, uint32_t clip, const uint32_t *blocks, size_t n_blocks, WorkerDone done) {
        Call c = { .kind = CALL_VERIFY, .done.simple = done, .clip = clip, .n_blocks = n_blocks };
        sd_bus_message *m = NULL;
        int r;

        if (clip >= w->n_sizes || n_blocks > WIRE_BLOCKS_MAX)
                return -EINVAL;
        r = new_call(w, CALL_VERIFY, &m);
        if (r < 0)
                return r;
        c.size = w->sizes[clip];
        c.blocks = calloc(n_blocks + 1, sizeof(uint32_t));
        if (!c.blocks)
                r = -ENOMEM;
        else if (n_blocks > 0)
                memcpy(c.blocks, blocks, n_blocks * sizeof(uint32_t));
        if (r >= 0)
                r = sd_bus_message_append(m, "u", clip);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'u', blocks, n_blocks * sizeof(uint32_t));
        return send_call(w, m, r, &c, UINT64_MAX, w->stall_timeout_usec);
}

static int append_digest(sd_bus_message *m, const Digest *d) {
        return sd_bus_message_append_array(m, 'y', d->bytes, DIGEST_SIZE);
}

int worker_erase(Worker *w, const char *path, const WorkerCopy *copy, int64_t mtime_unix_sec, WorkerDone done) {
        Call c = { .kind = CALL_ERASE, .done.simple = done };
        uint64_t reading = MIN2(copy->size_bytes, WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE) / ERASE_BYTES_PER_SEC * USEC_PER_SEC;
        sd_bus_message *m = NULL;
        int r;

        r = new_call(w, CALL_ERASE, &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "stx", path, copy->size_bytes, mtime_unix_sec);
        if (r >= 0)
                r = append_digest(m, &copy->digest);
        if (r >= 0)
                r = append_digest(m, &copy->head);
        if (r >= 0)
                r = append_digest(m, &copy->tail);
        return send_call(w, m, r, &c, w->call_timeout_usec + ERASE_CANDIDATES * reading, w->call_timeout_usec);
}

int worker_close(Worker *w, WorkerDone done) {
        return call_bare(w, CALL_CLOSE, done);
}

/* ---- Life ---- */

static int watch(Worker *w) {
        int r;

        r = sd_event_add_io(w->event, &w->exited, w->process.pidfd, EPOLLIN, on_exited, w);
        /* What it said before its end is heard first. */
        if (r >= 0)
                r = sd_event_source_set_priority(w->exited, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = sd_event_add_time(w->event, &w->deadline, CLOCK_BOOTTIME, UINT64_MAX, DEADLINE_ACCURACY_USEC, on_deadline, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->deadline, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(w->event, &w->verdict, on_verdict, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->verdict, SD_EVENT_OFF);
        return r;
}

static int connect_peer(Worker *w) {
        static const PeerOps ops = { .on_breach = on_breach, .on_closed = on_closed };
        int r;

        r = peer_new(w->event, TAKE_FD(w->process.bus_fd), &ops, w, &w->peer);
        return r < 0 ? r : sd_bus_add_filter(peer_bus(w->peer), NULL, on_message, w);
}

int worker_spawn(sd_event *event, const WorkerConfig *config, const WorkerOps *ops, void *userdata, Worker **ret) {
        _cleanup_(worker_freep) Worker *w = NULL;
        int r;

        w = calloc(1, sizeof(Worker));
        if (!w)
                return -ENOMEM;
        w->event = sd_event_ref(event);
        w->ops = *ops;
        w->userdata = userdata;
        w->call_timeout_usec = config->call_timeout_usec;
        w->stall_timeout_usec = config->stall_timeout_usec;
        w->min_rate = config->min_rate;
        w->process = (WorkerProcess){ .pidfd = -EBADF, .bus_fd = -EBADF, .log_fd = -EBADF };
        r = worker_process_spawn(config, &w->process);
        if (r >= 0)
                r = watch(w);
        if (r >= 0)
                r = connect_peer(w);
        if (r >= 0)
                r = chatter_new(event, TAKE_FD(w->process.log_fd), config->bay, &w->chatter);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

pid_t worker_pid(const Worker *w) {
        return w->process.pidfd >= 0 ? w->process.pid : 0;
}

Worker *worker_free(Worker *w) {
        if (!w)
                return NULL;
        call_clear(&w->call);
        sd_event_source_disable_unref(w->exited);
        sd_event_source_disable_unref(w->deadline);
        sd_event_source_disable_unref(w->verdict);
        peer_free(w->peer);
        worker_process_abandon(w->event, &w->process);
        fd_close(w->process.bus_fd);
        fd_close(w->process.log_fd);
        chatter_free(w->chatter);
        free(w->sizes);
        sd_event_unref(w->event);
        free(w);
        return NULL;
}
