/* SPDX-License-Identifier: Apache-2.0 */

/* A worker's life: spawned, watched, given its deadlines, doomed. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "service/worker_private.h"

/* How late a deadline may be noticed. */
#define DEADLINE_ACCURACY_USEC (50 * USEC_PER_MSEC)

/* ---- How a call ends ---- */

void worker_call_clear(WorkerCall *c) {
        sd_bus_slot_unref(c->slot);
        *c = (WorkerCall){};
}

WorkerCall worker_call_end(Worker *w) {
        WorkerCall c = w->call;

        w->call = (WorkerCall){};
        (void) sd_event_source_set_enabled(w->deadline, SD_EVENT_OFF);
        return c;
}

void worker_call_failed(WorkerCall *c, void *userdata, WorkerResult result, const char *text) {
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
        case CALL_SAMPLE:
                c->done.sample(userdata, result, text, NULL);
                break;
        default:
                c->done.simple(userdata, result, text);
                break;
        }
        worker_call_clear(c);
}

void worker_doom(Worker *w, WorkerResult why, const char *text) {
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
        WorkerCall c;

        (void) source;
        memcpy(text, w->text, sizeof(text));
        if (w->call.kind == CALL_NONE) {
                if (w->ops.on_dead)
                        w->ops.on_dead(w->userdata, w->why, text);
                return 0;
        }
        c = worker_call_end(w);
        worker_call_failed(&c, w->userdata, w->why, text);
        return 0;
}

static int on_exited(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Worker *w = userdata;
        char text[WORKER_TEXT_MAX];
        siginfo_t info;
        WorkerCall c;
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
                c = worker_call_end(w);
                w->fatal = true;
                worker_call_failed(&c, w->userdata, WORKER_OK, NULL);
                return 0;
        }
        if (r < 0)
                (void) snprintf(text, sizeof(text), "the worker ended, and nobody knows how: %s", strerror(-r));
        else if (w->closed && info.si_code == CLD_KILLED && info.si_status == SIGKILL)
                (void) snprintf(text, sizeof(text), "the worker closed its connection, or was killed");
        else
                worker_process_describe(&info, text, sizeof(text));
        worker_doom(w, WORKER_DIED, text);
        return 0;
}

static void on_breach(void *userdata, const char *text) {
        worker_doom(userdata, WORKER_BREACH, text);
}

static void on_closed(void *userdata) {
        Worker *w = userdata;

        /* It has ended, which on_exited() will tell, or it lives on without being of any use. */
        w->closed = true;
        if (!w->leaving && !w->fatal)
                worker_process_kill(&w->process);
}

/* ---- Deadlines ---- */

void worker_arm(Worker *w) {
        uint64_t at = MIN2(MIN2(w->call.bound_usec, w->call.silent_until_usec), w->call.pace.until_usec);

        if (at == UINT64_MAX || sd_event_source_set_time(w->deadline, at) < 0)
                return;
        (void) sd_event_source_set_enabled(w->deadline, SD_EVENT_ONESHOT);
}

void worker_alive(Worker *w) {
        WorkerCall *c = &w->call;
        uint64_t until = MIN2(clock_boottime_usec() + c->stall_usec, c->alive_until_usec);

        c->silent_until_usec = MAX2(c->silent_until_usec, until);
        /* It does something that moves no bytes, such as asking for a bad sector again. */
        if (c->pace.until_usec != UINT64_MAX)
                pace_begin(&c->pace, c->moved, clock_boottime_usec());
        worker_arm(w);
}

/* Something was moved, which no worker can go on telling for ever. */
void worker_progress(Worker *w) {
        WorkerCall *c = &w->call;
        uint64_t now = clock_boottime_usec();

        c->silent_until_usec = now + c->stall_usec;
        c->alive_until_usec = MAX2(c->alive_until_usec, now + w->call_timeout_usec);
        if (c->pace.until_usec == UINT64_MAX)
                pace_begin(&c->pace, c->moved, now);
        worker_arm(w);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        char text[WORKER_TEXT_MAX];
        Worker *w = userdata;
        WorkerCall *c = &w->call;
        uint64_t now = clock_boottime_usec();

        (void) source;
        (void) usec;
        if (c->kind == CALL_NONE)
                return 0;
        if (now < MIN2(c->bound_usec, c->silent_until_usec)) {
                if (!pace_is_too_slow(&c->pace, c->moved, now))
                        return worker_arm(w), 0;
                (void) snprintf(text, sizeof(text), "the camera sent %" PRIu64 " bytes in %.3g s, and [timeouts] min_rate asks for %" PRIu64
                                " a second", c->moved - c->pace.from_bytes, (double) c->pace.window_usec / (double) USEC_PER_SEC,
                                c->pace.bytes_per_sec);
                worker_doom(w, WORKER_STALLED, text);
                return 0;
        }
        (void) snprintf(text, sizeof(text), "the worker %s %s for %.3g s: the camera or its plugin hangs",
                        now >= c->bound_usec ? "did not end" : "made no progress in", worker_call_name(c->kind),
                        (double) (now >= c->bound_usec ? c->total_usec : c->stall_usec) / (double) USEC_PER_SEC);
        worker_doom(w, WORKER_STALLED, text);
        return 0;
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
        return r < 0 ? r : sd_bus_add_filter(peer_bus(w->peer), NULL, worker_on_message, w);
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
        worker_call_clear(&w->call);
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
