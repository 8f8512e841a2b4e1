/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl log`: the custody log, as it stands or as it grows. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/log_event.h"
#include "ctl/term.h"

#define PAGE_EVENTS 500u
#define EVENTS_DEFAULT 50u
/* The daemon does not announce events: it is asked for new ones this often. */
#define FOLLOW_USEC (500 * USEC_PER_MSEC)

typedef struct Log {
        const Options *options;
        sd_bus *bus;
        sd_event *event;
        Look look;
        json_t *array;     /* events for the one JSON document; NULL when each is printed as it comes */
        uint64_t last_seq; /* of the newest event seen */
        bool lost;         /* the daemon was not there when last asked */
} Log;

static int take_event(Log *log, uint64_t seq, const char *bytes, const char *hash) {
        if (seq <= log->last_seq)
                return -EBADMSG;
        log->last_seq = seq;
        if (log->array)
                return json_array_append_new(log->array, log_event_json(seq, bytes, hash)) < 0 ? -ENOMEM : 0;
        if (log->options->json)
                return json_out(log_event_json(seq, bytes, hash), true) == CTL_OK ? 0 : -EIO;

        _cleanup_(freep) char *line = log_event_line(seq, bytes, &log->look);
        if (!line)
                return -ENOMEM;
        return puts(line) == EOF ? -EIO : 0;
}

/* Reads an a(tss); *ret_n is how many events it had. */
static int take_page(Log *log, sd_bus_message *reply, size_t *ret_n) {
        size_t n = 0;
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "(tss)");
        if (r < 0)
                return r;
        uint64_t seq;
        const char *bytes, *hash;
        while ((r = sd_bus_message_read(reply, "(tss)", &seq, &bytes, &hash)) > 0) {
                r = take_event(log, seq, bytes, hash);
                if (r < 0)
                        return r;
                n++;
        }
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

/* The newest `max` events, in one answer. A CtlExit. */
static int log_last(Log *log, uint32_t max) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        size_t n;
        int exit_code = bus_client_call(log->bus, DOCK_MANAGER_INTERFACE, "LastEvents", &reply, "stu",
                                        log->options->camera, log->options->clip, max);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = take_page(log, reply, &n);
        return r < 0 ? bus_client_report(NULL, r) : CTL_OK;
}

/* At most `max` events after the last one seen (0: all there are), page by page. A CtlExit. */
static int log_next(Log *log, uint64_t max) {
        uint64_t left = max == 0 ? UINT64_MAX : max;
        while (left > 0) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                uint32_t page = (uint32_t) MIN2(left, (uint64_t) PAGE_EVENTS);
                size_t n = 0;
                int exit_code = bus_client_call(log->bus, DOCK_MANAGER_INTERFACE, "ListEvents", &reply, "tstu",
                                                log->last_seq, log->options->camera, log->options->clip, page);
                if (exit_code != CTL_OK)
                        return exit_code;
                int r = take_page(log, reply, &n);
                if (r < 0)
                        return bus_client_report(NULL, r);
                left -= MIN2(left, (uint64_t) n);
                if (n < page)
                        break;
        }
        return CTL_OK;
}

static int log_first(Log *log) {
        const Options *o = log->options;
        uint64_t max = o->max_given ? o->max : EVENTS_DEFAULT;
        if (o->after_given) {
                log->last_seq = o->after;
                return log_next(log, o->max_given ? o->max : 0);
        }
        return max == 0 ? log_next(log, 0) : log_last(log, (uint32_t) max);
}

/* ---- --follow ---- */

static int on_follow(sd_event_source *source, uint64_t usec, void *userdata) {
        Log *log = userdata;
        int exit_code = CTL_OK;
        (void) usec;
        if (!log->bus)
                (void) bus_client_connect(log->options, &log->bus);
        bool there = log->bus && bus_client_has_daemon(log->bus);
        if (there != !log->lost) {
                fputs(there ? "The daemon is back.\n" : "The daemon has gone; waiting for it.\n", stderr);
                log->lost = !there;
        }
        if (there) {
                exit_code = log_next(log, 0);
                if (exit_code == CTL_OK)
                        exit_code = ctl_finish(CTL_OK);
        } else if (log->bus && sd_bus_is_open(log->bus) <= 0)
                log->bus = sd_bus_close_unref(log->bus);
        /* It may go between the question and the call; that was said, and is not the end. */
        if (exit_code == CTL_UNREACHABLE)
                log->lost = true;
        else if (exit_code != CTL_OK)
                return sd_event_exit(log->event, exit_code);

        int r = sd_event_source_set_time_relative(source, FOLLOW_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_end_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Log *log = userdata;
        (void) source;
        (void) info;
        return sd_event_exit(log->event, CTL_OK);
}

static int follow_prepare(Log *log) {
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        int r = sd_event_new(&log->event);
        if (r >= 0)
                r = sd_event_add_signal(log->event, NULL, SIGINT, on_end_signal, log);
        if (r >= 0)
                r = sd_event_add_signal(log->event, NULL, SIGTERM, on_end_signal, log);
        if (r >= 0)
                r = sd_event_add_time_relative(log->event, NULL, CLOCK_MONOTONIC, FOLLOW_USEC, 1, on_follow, log);
        return r;
}

static int log_follow(Log *log) {
        int r = follow_prepare(log);
        if (r >= 0)
                r = sd_event_loop(log->event);
        log->event = sd_event_unref(log->event);
        return r < 0 ? ctl_fail(CTL_FAILURE, "cannot follow the log: %s", strerror(-r)) : r;
}

int verb_log(const Options *options) {
        Log log = { .options = options };
        int exit_code = bus_client_open(options, &log.bus);
        if (exit_code != CTL_OK)
                return exit_code;
        term_look(&log.look);
        if (options->json && !options->follow) {
                log.array = json_array();
                if (!log.array)
                        exit_code = ctl_fail(CTL_FAILURE, "out of memory");
        }
        if (exit_code == CTL_OK)
                exit_code = log_first(&log);
        if (exit_code == CTL_OK && log.array)
                exit_code = json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("log"), "events", log.array), false);
        if (exit_code == CTL_OK && options->follow) {
                exit_code = ctl_finish(CTL_OK);
                if (exit_code == CTL_OK)
                        exit_code = log_follow(&log);
        }
        json_decref(log.array);
        sd_bus_flush_close_unref(log.bus);
        return exit_code;
}
