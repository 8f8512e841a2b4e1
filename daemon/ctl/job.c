/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/job.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "ctl/bus_client.h"

#define JOB_INTERFACE DOCK_JOB_INTERFACE
#define BAR_WIDTH 30

typedef struct Waiting {
        const JobOrder *order;
        sd_bus *bus;
        sd_event *event;
        sd_bus_slot *finished, *gone, *progress;
        const char *path;
        bool tells;     /* progress, on a terminal */
        bool cancelled; /* here */
        bool over, shown; /* shown: a progress is on the terminal */
        int exit_code;
} Waiting;

static int leave(Waiting *w, int exit_code) {
        w->exit_code = exit_code;
        w->over = true;
        return w->event ? sd_event_exit(w->event, 0) : 0;
}

static int fail(const Waiting *w, const sd_bus_error *error, int r) {
        return w->order->failed ? w->order->failed(w->order->userdata, error, r) : bus_client_report(error, r);
}

static void clear_progress(const Waiting *w) {
        if (w->shown)
                fputs("\r\033[K", stderr);
}

/* ---- What came of it ------------------------------------------------------------------------------------------------- */

/* Leaves the outcome after the value, for the next search to begin anew. */
static int find(const JobEnd *end, const char *name, const char *type, void *ret) {
        const char *key;
        int r = sd_bus_message_rewind(end->outcome, true);

        if (r >= 0)
                r = sd_bus_message_skip(end->outcome, "sss");
        if (r >= 0)
                r = sd_bus_message_enter_container(end->outcome, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(end->outcome, 'e', "sv")) > 0) {
                r = sd_bus_message_read(end->outcome, "s", &key);
                if (r >= 0 && text_equal(key, name))
                        return sd_bus_message_read(end->outcome, "v", type, ret);
                if (r >= 0)
                        r = sd_bus_message_skip(end->outcome, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(end->outcome);
        }
        return r < 0 ? r : -ENOENT;
}

const char *job_end_text(const JobEnd *end, const char *name) {
        const char *text = "";

        return find(end, name, "s", &text) < 0 ? "" : text;
}

uint64_t job_end_number(const JobEnd *end, const char *name) {
        uint64_t number = 0;

        return find(end, name, "t", &number) < 0 ? 0 : number;
}

static int on_finished(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        JobEnd end = { .outcome = m };
        Waiting *w = userdata;
        const char *error;
        int r;

        (void) ret_error;
        if (!text_equal(sd_bus_message_get_path(m), w->path))
                return 0;
        clear_progress(w);
        r = sd_bus_message_read(m, "sss", &end.state, &error, &end.text);
        if (r < 0)
                return leave(w, fail(w, NULL, r));
        if (text_equal(end.state, "done"))
                return leave(w, w->order->tell(w->order->userdata, &end));
        if (text_equal(end.state, "failed") || w->order->failed) {
                const sd_bus_error e = SD_BUS_ERROR_MAKE_CONST(error, end.text);

                return leave(w, fail(w, &e, text_equal(end.state, "failed") ? -EIO : -ECANCELED));
        }
        return leave(w, ctl_fail(w->cancelled ? 128 + SIGINT : CTL_FAILURE, "cancelled: %s", end.text));
}

static int on_gone(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *name, *before, *after;
        Waiting *w = userdata;

        (void) ret_error;
        if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || *after)
                return 0;
        clear_progress(w);
        if (w->order->failed)
                return leave(w, fail(w, NULL, -ECONNRESET));
        return leave(w, ctl_fail(CTL_UNREACHABLE, "the daemon has ended; 'berthctl log' says how far this came"));
}

/* ---- Meanwhile ------------------------------------------------------------------------------------------------------- */

static int get_number(Waiting *w, const char *name, uint64_t *ret) {
        return sd_bus_get_property_trivial(w->bus, DOCK_BUS_NAME, w->path, JOB_INTERFACE, name, NULL, 't', ret);
}

static int on_progress(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(freep) char *unit = NULL;
        char bar[BAR_WIDTH + 1] = { 0 };
        uint64_t done, total;
        Waiting *w = userdata;
        double part;

        (void) ret_error;
        if (!text_equal(sd_bus_message_get_path(m), w->path) || get_number(w, "Done", &done) < 0 || get_number(w, "Total", &total) < 0 ||
            total == 0 || sd_bus_get_property_string(w->bus, DOCK_BUS_NAME, w->path, JOB_INTERFACE, "Unit", NULL, &unit) < 0)
                return 0;
        part = (double) MIN2(done, total) / (double) total;
        w->shown = true;
        memset(bar, '#', (size_t) (part * BAR_WIDTH));
        fprintf(stderr, "\r%s[%-*s] %3d %%, %" PRIu64 " of %" PRIu64 " %s\033[K", w->order->what ?: "", BAR_WIDTH, bar,
                (int) (part * 100), done, total, unit);
        (void) fflush(stderr);
        return 0;
}

static int on_cancel_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const sd_bus_error *error = sd_bus_message_get_error(m);
        Waiting *w = userdata;

        (void) ret_error;
        if (!error)
                return 0;
        clear_progress(w);
        return leave(w, ctl_fail(128 + SIGINT, "%s It goes on; 'berthctl log' tells its end.", error->message));
}

/* Once more: whoever does not want to wait for the end of a cancelled job need not. */
static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Waiting *w = userdata;
        int r;

        (void) source;
        (void) info;
        if (w->cancelled)
                return leave(w, 128 + SIGINT);
        w->cancelled = true;
        r = sd_bus_call_method_async(w->bus, NULL, DOCK_BUS_NAME, w->path, JOB_INTERFACE, "Cancel", on_cancel_answer, w, NULL);
        return r < 0 ? leave(w, bus_client_report(NULL, r)) : 0;
}

static int listen_for_end(Waiting *w) {
        int r = sd_bus_add_match(w->bus, &w->finished,
                                 "type='signal',sender='" DOCK_BUS_NAME "',interface='" JOB_INTERFACE "',member='Finished'",
                                 on_finished, w);

        if (r >= 0)
                r = sd_bus_add_match(w->bus, &w->gone,
                                     "type='signal',interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                     "arg0='" DOCK_BUS_NAME "'", on_gone, w);
        if (r >= 0 && w->tells)
                r = sd_bus_add_match(w->bus, &w->progress,
                                     "type='signal',sender='" DOCK_BUS_NAME "',interface='" BUS_PROPERTIES "',"
                                     "member='PropertiesChanged',arg0='" JOB_INTERFACE "'", on_progress, w);
        return r;
}

static int listen_for_interrupt(Waiting *w) {
        sigset_t mask;

        if (w->order->is_part)
                return 0;
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGINT);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        return sd_event_add_signal(w->event, NULL, SIGINT, on_interrupt, w);
}

static int wait_for_end(Waiting *w) {
        int r = listen_for_interrupt(w);

        if (r >= 0)
                r = sd_bus_attach_event(w->bus, w->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        r = sd_event_loop(w->event);
        (void) sd_bus_detach_event(w->bus);
        return r;
}

static void waiting_done(Waiting *w) {
        sd_bus_slot_unref(w->finished);
        sd_bus_slot_unref(w->gone);
        sd_bus_slot_unref(w->progress);
        sd_event_unref(w->event);
}

static int is_over(sd_bus *bus, const char *path, bool *ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *state = NULL;
        int r = sd_bus_get_property_string(bus, DOCK_BUS_NAME, path, JOB_INTERFACE, "State", &error, &state);

        if (r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return ctl_fail(CTL_FAILURE, "there is no job %s; 'berthctl job' lists them", path + strlen(DOCK_PATH "/job/"));
        if (r < 0)
                return bus_client_report(&error, r);
        *ret = !text_equal(state, "running") && !text_equal(state, "cancelling");
        return CTL_OK;
}

static int over(void *userdata, const JobEnd *end) {
        (void) userdata;
        (void) end;
        return CTL_OK;
}

static int not_done(void *userdata, const sd_bus_error *error, int r) {
        (void) userdata;
        if (r == -ECONNRESET)
                return ctl_fail(CTL_UNREACHABLE, "the daemon has ended; 'berthctl log' says how far this came");
        return error && error->name ? CTL_OK : bus_client_report(error, r);
}

int job_wait(const Options *options, sd_bus *bus, const char *path) {
        /* It is somebody's: who does not want to wait for it any more does not cancel it. */
        const JobOrder order = { .is_part = true, .tell = over, .failed = not_done };
        _cleanup_(waiting_done) Waiting w = { .order = &order, .bus = bus, .path = path, .exit_code = CTL_FAILURE };
        bool gone = false;
        int exit_code, r;

        w.tells = !options->json && isatty(STDERR_FILENO) == 1;
        r = listen_for_end(&w);
        if (r < 0)
                return bus_client_report(NULL, r);
        exit_code = is_over(bus, path, &gone);
        if (exit_code != CTL_OK || gone)
                return exit_code;
        /* Without an event loop, whose end would close the bus: it is asked what came of the job. */
        while (r >= 0 && !w.over)
                if ((r = sd_bus_process(bus, NULL)) == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        return r < 0 ? bus_client_report(NULL, r) : w.exit_code;
}

int job_run(const Options *options, sd_bus *bus, const JobOrder *order) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
        _cleanup_(waiting_done) Waiting w = {
                .order = order,
                .bus = bus,
                .event = sd_event_ref(order->event),
                .tells = !options->json && isatty(STDERR_FILENO) == 1,
                .exit_code = CTL_FAILURE,
        };
        int r = w.event ? 0 : sd_event_new(&w.event);

        if (r >= 0)
                r = listen_for_end(&w);
        if (r < 0)
                return fail(&w, NULL, r);
        r = bus_client_send(bus, order->call, 0, &error, &answer);
        if (r < 0 && order->no_object && (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
                                          sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_METHOD)))
                return ctl_fail(CTL_FAILURE, "%s", order->no_object);
        if (r < 0)
                return fail(&w, &error, r);
        r = sd_bus_message_read(answer, "o", &w.path);
        if (r < 0)
                return fail(&w, NULL, r);
        if (options->no_wait) {
                puts(w.path);
                return CTL_OK;
        }
        r = wait_for_end(&w);
        return r < 0 ? fail(&w, NULL, r) : w.exit_code;
}
