/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define TICK_USEC (250 * USEC_PER_MSEC)
/* Told again even when nothing new is stored, as while it is read back: berthd takes silence for death in the end. */
#define TELL_AGAIN_USEC (5 * USEC_PER_SEC)
/* Confirmations, and small texts, are short; these many may be under way beside the puts. Verifications read all there is. */
#define CONFIRMS_AT_ONCE 4u
#define VERIFICATIONS_AT_ONCE 1u

typedef struct Transfer Transfer;
struct Transfer {
        TAILQ_ENTRY(Transfer) list;
        Transfers *transfers;
        Task *task;
        void *owner; /* NULL: nobody waits for the answer */
        void *cookie;
        const char *verdict, *verdict_text; /* an order's, once it is cancelled; else NULL */
        uint64_t told_bytes, told_at_usec;
        uint64_t activity, moved_at_usec; /* the last sign of life */
        bool has_place, wants_place;      /* of a put that grows or grew */
};
TAILQ_HEAD(TransferList, Transfer);

struct Transfers {
        sd_event *event;
        Backend *backend;
        Probe *probe;
        TransferOps ops;
        unsigned puts_at_once, waiting_count;
        unsigned under_way[_TASK_KIND_MAX]; /* of the puts, those of whole clips … */
        unsigned growing;                   /* … and those that grow */
        unsigned sealed;                    /* of those of whole clips, those that grew */
        unsigned places;                    /* that those that grow or grew have */
        unsigned holds; /* TRANSFER_HOLD_* */
        uint64_t stall_usec;
        Pace *pace;
        struct TransferList waiting, running;
        sd_event_source *tick, *pump;
};

static Transfer *transfer_free(Transfer *x) {
        if (!x)
                return NULL;
        (void) task_free(x->task);
        free(x);
        return NULL;
}

static void answer(Transfer *x, Task *task) {
        if (x->owner)
                x->transfers->ops.done(TAKE_PTR(x->owner), TAKE_PTR(x->cookie), task);
}

static void drop(Transfer *x) {
        x->owner = NULL;
        if (x->cookie)
                x->transfers->ops.drop(TAKE_PTR(x->cookie));
}

static void wake_pump(Transfers *t) {
        (void) sd_event_source_set_enabled(t->pump, SD_EVENT_ONESHOT);
}

static unsigned *counter_of(Transfers *t, const Task *task) {
        return task->kind == TASK_PUT && task->put.growing ? &t->growing : &t->under_way[task->kind];
}

static bool grew(const Task *task) {
        return task->kind == TASK_PUT && task->put.grown && !task->put.growing;
}

/* ---- Places -------------------------------------------------------------------------------------------------------- */

/*
 * A clip that grows mostly waits for its camera. It has a place only while it sends, so all that are pulled may grow, and
 * no more of them send at once than whole clips leave over.
 */
static bool place_is_free(const Transfers *t) {
        return t->under_way[TASK_PUT] - t->sealed + t->places < t->puts_at_once;
}

static bool take_place(Task *task) {
        Transfer *x = task->userdata;
        Transfers *t = x->transfers;

        if (!task->put.grown || x->has_place)
                return true;
        x->wants_place = !place_is_free(t);
        if (x->wants_place)
                return false;
        x->has_place = true;
        t->places++;
        return true;
}

static void give_place(Task *task) {
        Transfer *x = task->userdata;

        if (!x->has_place)
                return;
        x->has_place = false;
        x->transfers->places--;
        wake_pump(x->transfers);
}

/* What is whole but for its last pieces goes first. */
static Transfer *first_who_wants(Transfers *t) {
        Transfer *x, *first = NULL;

        TAILQ_FOREACH(x, &t->running, list)
                if (x->wants_place && (!first || (grew(x->task) && !grew(first->task))))
                        first = x;
        return first;
}

static void tell_backend(Transfer *x) {
        const Backend *b = x->transfers->backend;

        if (b->ops->told)
                b->ops->told(x->transfers->backend, x->task);
}

/* ---- Ends ---------------------------------------------------------------------------------------------------------- */

static void learn(Transfers *t, const Task *task) {
        if (!task->answer.error && task->kind == TASK_PUT)
                probe_proved(t->probe);
        if (task->answer.error && task->answer.state)
                probe_report(t->probe, task->answer.state, task->answer.text,
                             text_equal(task->answer.state, WIRE_STORE_FULL) && task->kind == TASK_PUT ? task->put.size_bytes : 0);
}

static void on_done(Task *task) {
        Transfer *x = task->userdata;
        Transfers *t = x->transfers;

        TAILQ_REMOVE(&t->running, x, list);
        give_place(task);
        t->sealed -= grew(task);
        (*counter_of(t, task))--;
        /* A cancelled task tells of its own end only. */
        if (!atomic_load(&task->cancelled))
                learn(t, task);
        if (x->verdict)
                (void) answer_fail(&task->answer, x->verdict, NULL, "%s", x->verdict_text);
        answer(x, x->task);
        (void) transfer_free(x);
        wake_pump(t);
}

static void cancel(Transfer *x) {
        const Backend *b = x->transfers->backend;

        atomic_store(&x->task->cancelled, true);
        if (b->ops->cancel)
                b->ops->cancel(x->transfers->backend, x->task);
}

static void give_up(Transfer *x) {
        Transfers *t = x->transfers;
        /* The task still belongs to the backend: its answer must not be written by two. */
        Task *stand_in;

        cancel(x);
        probe_report(t->probe, WIRE_STORE_ERROR, "the store does not answer: its mount, its disk or the network hangs", 0);
        stand_in = task_new(x->task->kind, NULL, NULL);
        if (!stand_in)
                return drop(x);
        (void) answer_fail(&stand_in->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL, "the store showed no sign of life for %llu s",
                           (unsigned long long) (t->stall_usec / USEC_PER_SEC));
        answer(x, stand_in);
        (void) task_free(stand_in);
}

/* ---- Watching ------------------------------------------------------------------------------------------------------ */

static void watch(Transfer *x, uint64_t now_usec) {
        uint64_t activity = atomic_load(&x->task->activity), stored = atomic_load(&x->task->stored_bytes);
        Transfers *t = x->transfers;
        /* A clip whose camera is slow stands still, or for whose pieces there is no place, and neither the store nor we are at fault. */
        bool moved = activity != x->activity || atomic_load(&x->task->waits) || x->wants_place;

        if (moved) {
                x->activity = activity;
                x->moved_at_usec = now_usec;
        }
        if (x->owner && (x->task->kind == TASK_PUT || x->task->kind == TASK_GET_CLIP) &&
            (stored != x->told_bytes || (moved && now_usec - x->told_at_usec > TELL_AGAIN_USEC))) {
                x->told_bytes = stored;
                x->told_at_usec = now_usec;
                t->ops.progress(x->owner, x->task->kind == TASK_PUT ? x->task->put.clip_id : x->task->confirm.clip_id, stored);
        }
        if (x->owner && now_usec - x->moved_at_usec > t->stall_usec)
                give_up(x);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        uint64_t now = clock_boottime_usec();
        Transfers *t = userdata;
        Transfer *x, *next;

        (void) usec;
        for (x = TAILQ_FIRST(&t->running); x; x = next) {
                next = TAILQ_NEXT(x, list);
                watch(x, now);
        }
        if (TAILQ_EMPTY(&t->running))
                return 0;
        (void) sd_event_source_set_time(source, now + TICK_USEC);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

/* ---- Beginnings ---------------------------------------------------------------------------------------------------- */

static bool may_begin(const Transfers *t, const Task *task) {
        bool reads_all = task->kind == TASK_VERIFY || task->kind == TASK_GET_CLIP;

        if (task->kind != TASK_PUT)
                return t->under_way[task->kind] < (reads_all ? VERIFICATIONS_AT_ONCE : CONFIRMS_AT_ONCE);
        return task->put.growing || t->under_way[TASK_PUT] < t->puts_at_once;
}

/* -EOPNOTSUPP for a clip that grows, where that is of no use. */
static int begin(Transfers *t, Transfer *x) {
        int r;

        if (x->task->kind == TASK_PUT && x->task->put.growing && !t->backend->ops->told)
                return -EOPNOTSUPP;
        x->task->pace = t->pace;
        x->task->take_place = take_place;
        x->task->give_place = give_place;
        r = t->backend->ops->begin(t->backend, x->task);
        if (r < 0)
                return r;
        TAILQ_INSERT_TAIL(&t->running, x, list);
        (*counter_of(t, x->task))++;
        x->moved_at_usec = clock_boottime_usec();
        (void) sd_event_source_set_time(t->tick, x->moved_at_usec + TICK_USEC);
        (void) sd_event_source_set_enabled(t->tick, SD_EVENT_ONESHOT);
        return 0;
}

static void take_from_queue(Transfers *t, Transfer *x) {
        TAILQ_REMOVE(&t->waiting, x, list);
        t->waiting_count--;
}

#define STOPPED_GET_TEXT "it was stopped"
#define STOPPED_TEXT "it was stopped, and goes on where it ended"

static void fail_in_queue(Transfer *x, const char *error, const char *text) {
        take_from_queue(x->transfers, x);
        (void) answer_fail(&x->task->answer, error, NULL, "%s", text);
        answer(x, x->task);
        (void) transfer_free(x);
}

static int on_pump(sd_event_source *source, void *userdata) {
        Transfers *t = userdata;
        Transfer *x, *next;
        int r;

        (void) source;
        for (x = TAILQ_FIRST(&t->waiting); x; x = next) {
                next = TAILQ_NEXT(x, list);
                if (t->holds != 0 && x->task->kind == TASK_PUT) {
                        fail_in_queue(x, WIRE_UPLINK_E_STOPPED, "nothing is sent now");
                        continue;
                }
                if (!may_begin(t, x->task))
                        continue;
                take_from_queue(t, x);
                r = begin(t, x);
                if (r >= 0)
                        continue;
                if (r == -EOPNOTSUPP)
                        (void) answer_fail(&x->task->answer, WIRE_UPLINK_E_WHOLE, NULL, "this kind of store is given clips whole");
                else
                        (void) answer_fail(&x->task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL, "the uplink is out of memory");
                answer(x, x->task);
                (void) transfer_free(x);
        }
        while (place_is_free(t) && (x = first_who_wants(t))) {
                x->wants_place = false;
                tell_backend(x);
        }
        return 0;
}

int transfers_add(Transfers *t, Task *task, void *owner, void *cookie) {
        _cleanup_(task_freep) Task *taken = task;
        Transfer *x;

        if (t->waiting_count >= TRANSFERS_WAITING_MAX)
                return -EBUSY;
        x = calloc(1, sizeof(*x));
        if (!x)
                return -ENOMEM;
        task->done = on_done;
        task->userdata = x;
        *x = (Transfer){ .transfers = t, .task = TAKE_PTR(taken), .owner = owner, .cookie = cookie };
        TAILQ_INSERT_TAIL(&t->waiting, x, list);
        t->waiting_count++;
        wake_pump(t);
        return 0;
}

/* ---- News ---------------------------------------------------------------------------------------------------------- */

static Transfer *find_in(const struct TransferList *list, const void *owner, uint64_t clip_id) {
        Transfer *x;

        TAILQ_FOREACH(x, list, list)
                if (x->owner == owner && x->task->kind == TASK_PUT && x->task->put.clip_id == clip_id)
                        return x;
        return NULL;
}

void transfers_grown(Transfers *t, const void *owner, uint64_t clip_id, uint64_t durable_bytes) {
        Transfer *x = find_in(&t->running, owner, clip_id), *waiting = x ? NULL : find_in(&t->waiting, owner, clip_id);
        PutRequest *put = x ? &x->task->put : waiting ? &waiting->task->put : NULL;

        if (!put || !put->growing)
                return;
        put->durable_bytes = MAX2(put->durable_bytes, MIN2(durable_bytes, put->size_bytes));
        if (x)
                tell_backend(x);
}

int transfers_seal(Transfers *t, const void *owner, uint64_t clip_id, uint64_t size_bytes, const Digest *digest, const char *facts_json) {
        Transfer *x = find_in(&t->running, owner, clip_id), *waiting = x ? NULL : find_in(&t->waiting, owner, clip_id);
        PutRequest *put = x ? &x->task->put : waiting ? &waiting->task->put : NULL;
        char *facts;

        if (!put || !put->growing)
                return 0;
        facts = strdup(facts_json);
        if (!facts)
                return -ENOMEM;
        free(put->facts_json);
        put->facts_json = facts;
        put->digest = *digest;
        put->sealed_bytes = size_bytes;
        if (waiting) {
                /* Nothing was sent: it is as if it had never grown. */
                put->size_bytes = size_bytes;
                put->growing = put->grown = false;
                wake_pump(t);
                return 0;
        }
        t->growing--;
        put->growing = put->stop_soon = false;
        t->under_way[TASK_PUT]++;
        t->sealed++;
        atomic_store(&x->task->waits, false);
        tell_backend(x);
        return 0;
}

void transfers_refuse(Transfers *t, const void *owner, uint64_t clip_id, const char *error, const char *text) {
        Transfer *x = find_in(&t->running, owner, clip_id);

        if (x) {
                /* Answered when it has ended, so that the next try does not meet it. */
                x->verdict = error;
                x->verdict_text = text;
                return cancel(x);
        }
        x = find_in(&t->waiting, owner, clip_id);
        if (x)
                fail_in_queue(x, error, text);
}

void transfers_hold(Transfers *t, TransferHold who, bool held) {
        bool before = t->holds != 0;
        Transfer *x;

        t->holds = held ? t->holds | who : t->holds & ~(unsigned) who;
        if (before == (t->holds != 0))
                return;
        pace_hold(t->pace, !before);
        wake_pump(t);
        if (before || !t->backend->ops->resumes)
                return;
        TAILQ_FOREACH(x, &t->running, list)
                if (x->task->kind == TASK_PUT && x->owner && !x->verdict) {
                        x->verdict = WIRE_UPLINK_E_STOPPED;
                        x->verdict_text = STOPPED_TEXT;
                        cancel(x);
                }
}

void transfers_stop(Transfers *t, const void *owner, uint64_t clip_id, bool now) {
        Transfer *x = find_in(&t->running, owner, clip_id);

        if (now || !x)
                return transfers_refuse(t, owner, clip_id, WIRE_UPLINK_E_STOPPED, STOPPED_TEXT);
        if (!x->task->put.growing)
                return;
        x->task->put.stop_soon = true;
        tell_backend(x);
}

static Transfer *find_get(const struct TransferList *list, const void *owner, uint64_t clip_id) {
        Transfer *x;

        TAILQ_FOREACH(x, list, list)
                if (x->owner == owner && x->task->kind == TASK_GET_CLIP && x->task->confirm.clip_id == clip_id && !x->verdict)
                        return x;
        return NULL;
}

void transfers_stop_get(Transfers *t, const void *owner, uint64_t clip_id) {
        Transfer *x = find_get(&t->running, owner, clip_id);

        if (x) {
                x->verdict = WIRE_UPLINK_E_STOPPED;
                x->verdict_text = STOPPED_GET_TEXT;
                return cancel(x);
        }
        x = find_get(&t->waiting, owner, clip_id);
        if (x)
                fail_in_queue(x, WIRE_UPLINK_E_STOPPED, STOPPED_GET_TEXT);
}

void transfers_forget(Transfers *t, const void *owner) {
        Transfer *x, *next;

        for (x = TAILQ_FIRST(&t->waiting); x; x = next) {
                next = TAILQ_NEXT(x, list);
                if (x->owner != owner)
                        continue;
                take_from_queue(t, x);
                drop(x);
                (void) transfer_free(x);
        }
        TAILQ_FOREACH(x, &t->running, list) {
                if (x->owner != owner)
                        continue;
                drop(x);
                cancel(x);
        }
}

void transfers_fail_waiting(Transfers *t) {
        const char *text, *state = probe_state(t->probe, &text);
        struct TransferList failed = TAILQ_HEAD_INITIALIZER(failed);
        Transfer *x;

        TAILQ_CONCAT(&failed, &t->waiting, list);
        t->waiting_count = 0;
        while ((x = TAILQ_FIRST(&failed))) {
                TAILQ_REMOVE(&failed, x, list);
                (void) answer_fail(&x->task->answer, text_equal(state, WIRE_STORE_FULL) ? WIRE_UPLINK_E_FULL : WIRE_UPLINK_E_UNAVAILABLE,
                                   NULL, "%s", text);
                answer(x, x->task);
                (void) transfer_free(x);
        }
}

bool transfers_are_idle(const Transfers *t) {
        return TAILQ_EMPTY(&t->running);
}

/* ---- Making -------------------------------------------------------------------------------------------------------- */

int transfers_new(sd_event *event, Backend *backend, Probe *probe, const TransferSettings *settings, const TransferOps *ops,
                  Transfers **ret) {
        _cleanup_(transfers_freep) Transfers *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        TAILQ_INIT(&t->waiting);
        TAILQ_INIT(&t->running);
        t->event = sd_event_ref(event);
        t->backend = backend;
        t->probe = probe;
        t->ops = *ops;
        t->puts_at_once = settings->puts_at_once;
        t->stall_usec = settings->stall_usec;
        t->pace = settings->pace;
        if ((r = sd_event_add_time(event, &t->tick, CLOCK_BOOTTIME, UINT64_MAX, 10 * USEC_PER_MSEC, on_tick, t)) < 0 ||
            (r = sd_event_source_set_enabled(t->tick, SD_EVENT_OFF)) < 0 || (r = sd_event_add_defer(event, &t->pump, on_pump, t)) < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

Transfers *transfers_free(Transfers *t) {
        Transfer *x;

        if (!t)
                return NULL;
        while ((x = TAILQ_FIRST(&t->waiting))) {
                take_from_queue(t, x);
                drop(x);
                (void) transfer_free(x);
        }
        sd_event_source_disable_unref(t->tick);
        sd_event_source_disable_unref(t->pump);
        sd_event_unref(t->event);
        free(t);
        return NULL;
}
