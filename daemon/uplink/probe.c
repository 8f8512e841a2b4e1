/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define BACKOFF_MIN_USEC (500 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC (30 * USEC_PER_SEC)
#define GLANCE_USEC (30 * USEC_PER_SEC)
/* How often a store that is well must prove what receipts rest on. */
#define THOROUGH_USEC (24 * 3600 * USEC_PER_SEC)
#define DEADLINE_USEC (15 * USEC_PER_SEC)

struct Probe {
        sd_event *event;
        Backend *backend;
        ProbeChanged changed;
        void *userdata;
        uint64_t deadline_usec;
        sd_event_source *timer; /* the next look, or the deadline of the one under way */
        Task *task;             /* the one under way */
        bool looked, ready, stopped;
        const char *state;
        char text[sizeof(((Answer *) NULL)->text)];
        unsigned failures;
        uint64_t thorough_at_usec; /* when the last thorough look succeeded */
        uint64_t need_bytes;
        StoreReport report;
        unsigned reports; /* of trouble, since the look under way was begun */
};

static void look(Probe *p);

static void set_state(Probe *p, const char *state, const char *text) {
        bool same = p->looked && text_equal(p->state, state) && text_equal(p->text, text);

        p->looked = true;
        p->ready = text_equal(state, WIRE_STORE_READY);
        p->state = state;
        if (text != p->text)
                (void) snprintf(p->text, sizeof(p->text), "%s", text);
        if (same || p->stopped)
                return;
        if (p->ready && !p->text[0])
                log_notice(NULL, "The store is ready");
        else if (p->ready)
                log_warning(NULL, "The store is ready, %s", p->text);
        else
                log_warning(NULL, "The store takes nothing (%s): %s", state, p->text);
        p->changed(p->userdata);
}

static void arm(Probe *p, uint64_t wait_usec) {
        if (p->stopped)
                return;
        (void) sd_event_source_set_time(p->timer, clock_boottime_usec() + wait_usec);
        (void) sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static uint64_t wait_before_next(const Probe *p) {
        uint64_t wait = BACKOFF_MIN_USEC;

        if (p->ready)
                return GLANCE_USEC;
        for (unsigned i = 1; i < p->failures && wait < BACKOFF_MAX_USEC; i++)
                wait *= 2;
        return MIN2(wait, BACKOFF_MAX_USEC);
}

/* A glance tells of the clock alone; what a thorough look that failed would have found out, nobody knows. */
static void take_report(Probe *p, const Task *task) {
        const StoreReport before = p->report;

        if (task->probe.thorough)
                p->report = task->answer.error ? (StoreReport){} : task->report;
        if (!task->answer.error && task->report.clock_known) {
                p->report.clock_known = true;
                p->report.ahead_sec = task->report.ahead_sec;
        } else if (task->probe.thorough && !task->answer.error) {
                p->report.clock_known = before.clock_known;
                p->report.ahead_sec = before.ahead_sec;
        }
}

static void take_answer(Probe *p, const Task *task) {
        bool unsure = p->reports > 0;

        take_report(p, task);

        p->reports = 0;
        if (!task->answer.error && unsure && !task->probe.thorough)
                return;
        if (!task->answer.error) {
                /* Only when it stayed well since the look before: what fails each transfer may pass each look. */
                if (p->ready)
                        p->failures = 0;
                p->need_bytes = 0;
                if (task->probe.thorough)
                        p->thorough_at_usec = clock_boottime_usec();
                return set_state(p, WIRE_STORE_READY, task->answer.text);
        }
        p->failures++;
        set_state(p, task->answer.state ? task->answer.state : WIRE_STORE_ERROR, task->answer.text);
}

static void on_looked(Task *task) {
        Probe *p = task->userdata;

        p->task = NULL;
        if (!p->stopped) {
                take_answer(p, task);
                arm(p, wait_before_next(p));
        }
        (void) task_free(task);
}

/* It hangs. The look goes on, and its answer will be taken whenever it comes. */
static void outstayed(Probe *p) {
        log_debug(NULL, "A look at the store outstays its deadline");
        set_state(p, WIRE_STORE_ERROR, "the store does not answer: its mount, its disk or the network hangs");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Probe *p = userdata;

        (void) source;
        (void) usec;
        if (p->task)
                outstayed(p);
        else
                look(p);
        return 0;
}

static void look(Probe *p) {
        int r;

        p->task = task_new(TASK_PROBE, on_looked, p);
        if (p->task) {
                p->task->probe.thorough = !p->ready || clock_boottime_usec() - p->thorough_at_usec > THOROUGH_USEC;
                p->task->probe.need_bytes = p->need_bytes;
        }
        p->reports = 0;
        r = p->task ? p->backend->ops->begin(p->backend, p->task) : -ENOMEM;
        if (r < 0) {
                p->task = task_free(p->task);
                p->failures++;
                return arm(p, wait_before_next(p));
        }
        arm(p, p->deadline_usec);
}

int probe_new(sd_event *event, Backend *backend, uint64_t stall_usec, ProbeChanged changed, void *userdata, Probe **ret) {
        _cleanup_(probe_freep) Probe *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->event = sd_event_ref(event);
        p->backend = backend;
        p->changed = changed;
        p->userdata = userdata;
        p->deadline_usec = MIN2(stall_usec, DEADLINE_USEC);
        p->state = WIRE_STORE_ERROR;
        (void) snprintf(p->text, sizeof(p->text), "the store is still being looked at");
        r = sd_event_add_time(event, &p->timer, CLOCK_BOOTTIME, UINT64_MAX, 10 * USEC_PER_MSEC, on_timer, p);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        look(p);
        *ret = TAKE_PTR(p);
        return 0;
}

Probe *probe_free(Probe *p) {
        if (!p)
                return NULL;
        sd_event_source_disable_unref(p->timer);
        sd_event_unref(p->event);
        free(p);
        return NULL;
}

const char *probe_state(const Probe *p, const char **ret_text) {
        if (ret_text)
                *ret_text = p->text;
        return p->state;
}

const StoreReport *probe_report_of(const Probe *p) {
        return &p->report;
}

bool probe_is_ready(const Probe *p) {
        return p->ready;
}

bool probe_has_looked(const Probe *p) {
        return p->looked;
}

void probe_report(Probe *p, const char *state, const char *text, uint64_t need_bytes) {
        if (p->stopped)
                return;
        p->reports++;
        p->need_bytes = MAX2(p->need_bytes, need_bytes);
        if (p->ready)
                p->failures++;
        set_state(p, state, text);
        if (!p->task)
                arm(p, wait_before_next(p));
}

void probe_proved(Probe *p) {
        p->failures = p->ready ? 0 : p->failures;
}

bool probe_is_busy(const Probe *p) {
        return p->task != NULL;
}

void probe_stop(Probe *p) {
        p->stopped = true;
        if (p->task) {
                atomic_store(&p->task->cancelled, true);
                if (p->backend->ops->cancel)
                        p->backend->ops->cancel(p->backend, p->task);
        }
        (void) sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
}
