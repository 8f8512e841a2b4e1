/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `berthctl watch`: follows the dock over the bus. A live frame on a terminal, else one line per change. The daemon
 * may come and go, and the bus with it: the watcher stays and takes the dock's state anew.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "base/clock.h"
#include "ctl/bus_client.h"
#include "ctl/rack_view.h"
#include "ctl/term.h"
#include "ctl/watch_lines.h"

#define REPAINT_USEC (100 * USEC_PER_MSEC) /* at most ten frames a second */
#define TICK_USEC USEC_PER_SEC             /* rates fall and countdowns run without any change on the bus */
#define RETRY_USEC USEC_PER_SEC

#define NOTICE_WAITING "Waiting for the daemon: " DOCK_BUS_NAME " is not on the bus."
#define NOTICE_GONE "The daemon has gone; below is what it last said. Waiting for it."

typedef enum WatchMode { WATCH_LIVE, WATCH_LINES, WATCH_JSON } WatchMode;

typedef struct Watch {
        const Options *options;
        WatchMode mode;
        Until until;
        sd_event *event;
        sd_bus *bus;
        sd_bus_slot *loading;
        Dock *dock;
        Term *term;
        sd_event_source *connect, *repaint, *tick, *wake, *keys;
        char *told_dock;
        bool told_gone;
} Watch;

/* The first reason to end is the one that counts. */
static void watch_end(Watch *w, int exit_code) {
        int already;
        if (sd_event_get_exit_code(w->event, &already) == -ENODATA)
                (void) sd_event_exit(w->event, exit_code);
}

/* Leaves the terminal first, so that what is said stays readable. */
static void watch_fail(Watch *w, const char *what, int r) {
        w->term = term_leave(w->term);
        watch_end(w, ctl_fail(CTL_FAILURE, "%s: %s", what, strerror(-r)));
}

static void watch_result(Watch *w, int exit_code) {
        if (exit_code != CTL_OK)
                watch_end(w, exit_code);
}

/* Arms a timer that exists, `delay_usec` from now. */
static int arm(sd_event_source *timer, uint64_t delay_usec) {
        int r = sd_event_source_set_time_relative(timer, delay_usec);
        return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static void watch_paint(Watch *w) {
        Lines lines = { 0 };
        Look look;
        unsigned rows;
        if (!w->term)
                return;
        term_size(w->term, &rows, &look);
        const char *notice = w->dock->present ? NULL : w->dock->n_bays > 0 ? NOTICE_GONE : NOTICE_WAITING;
        int r = rack_view_frame(w->dock, clock_boottime_usec(), notice, rows, &look, &lines);
        if (r >= 0)
                r = term_paint(w->term, &lines);
        lines_clear(&lines);
        if (r < 0)
                watch_fail(w, "cannot paint the terminal", r);
}

/* Something changed: the frame is due, and perhaps the end. */
static void watch_changed(Watch *w) {
        uint64_t wake_usec, now_usec = clock_boottime_usec();
        int enabled = SD_EVENT_OFF, r = 0;
        if (until_holds(&w->until, w->dock, now_usec, &wake_usec)) {
                watch_end(w, CTL_OK);
                return;
        }
        if (wake_usec > 0)
                r = arm(w->wake, wake_usec > now_usec ? wake_usec - now_usec : 0);
        if (r >= 0 && w->term)
                r = sd_event_source_get_enabled(w->repaint, &enabled);
        if (r >= 0 && w->term && enabled == SD_EVENT_OFF)
                r = arm(w->repaint, REPAINT_USEC);
        if (r < 0)
                watch_fail(w, "cannot set a timer", r);
}

static void tell_json(Watch *w, WatchChange what, const DockBay *bay, const DockCamera *camera) {
        watch_result(w, watch_print_json(what, w->dock, bay, camera));
}

static void tell_manager(Watch *w) {
        if (w->mode == WATCH_LINES)
                watch_result(w, watch_tell_dock(&w->dock->manager, &w->told_dock));
        if (w->mode == WATCH_JSON)
                tell_json(w, WATCH_DOCK, NULL, NULL);
}

static void tell_bay(Watch *w, DockBay *bay) {
        rate_sample(&bay->copying, bay->bytes_copied, clock_boottime_usec());
        if (w->mode == WATCH_LINES)
                watch_result(w, watch_tell_bay(bay));
        if (w->mode == WATCH_JSON)
                tell_json(w, WATCH_BAY, bay, NULL);
}

static void tell_camera(Watch *w, DockCamera *camera) {
        if (w->mode == WATCH_JSON)
                tell_json(w, WATCH_CAMERA, NULL, camera);
}

static void tell_all(Watch *w) {
        if (w->mode == WATCH_JSON)
                tell_json(w, WATCH_DAEMON_BACK, NULL, NULL);
        if (w->mode == WATCH_LINES && w->told_gone)
                watch_result(w, watch_print_line(strdup("the daemon is back")));
        w->told_gone = false;
        tell_manager(w);
        for (size_t i = 0; i < w->dock->n_bays; i++)
                tell_bay(w, w->dock->bays[i]);
        for (size_t i = 0; i < w->dock->n_cameras; i++)
                tell_camera(w, w->dock->cameras[i]);
        watch_changed(w);
}

static void watch_gone(Watch *w) {
        bool was_present = w->dock->present;
        w->loading = sd_bus_slot_unref(w->loading);
        w->dock->present = false;
        if (!w->told_gone && w->mode == WATCH_JSON)
                tell_json(w, WATCH_DAEMON_GONE, NULL, NULL);
        if (!w->told_gone && w->mode == WATCH_LINES)
                watch_result(w, watch_print_line(strdup(was_present ? "the daemon has gone; waiting for it"
                                                                    : "waiting for the daemon")));
        w->told_gone = true;
        watch_changed(w);
}

static void watch_retry(Watch *w) {
        int r = arm(w->connect, RETRY_USEC);
        if (r < 0)
                watch_fail(w, "cannot set a timer", r);
}

/* ---- The bus ---- */

/* One of the two answers that make up the dock: true when it can be read, else the failure has been dealt with. */
static bool load_answered(Watch *w, sd_bus_message *reply) {
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        w->loading = sd_bus_slot_unref(w->loading);
        if (!error)
                return true;
        if (bus_client_is_unreachable(error, 0)) {
                watch_gone(w);
                /* Should it hang rather than be away, its owner will not change. */
                watch_retry(w);
        } else {
                w->term = term_leave(w->term);
                watch_end(w, bus_client_report(error, 0));
        }
        return false;
}

static int on_objects(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(dock_freep) Dock *dock = NULL;
        Watch *w = userdata;
        (void) ret_error;
        if (!load_answered(w, reply))
                return 0;
        int r = dock_new(&dock);
        if (r >= 0)
                r = dock_load_objects(dock, reply);
        if (r < 0) {
                watch_fail(w, "the daemon's answer cannot be used", r);
                return 0;
        }
        dock_inherit(dock, w->dock);
        dock_free(w->dock);
        w->dock = TAKE_PTR(dock);
        tell_all(w);
        return 0;
}

static int watch_call(Watch *w, sd_bus_message *call, sd_bus_message_handler_t handler) {
        w->loading = sd_bus_slot_unref(w->loading);
        return sd_bus_call_async(w->bus, &w->loading, call, handler, w, 0);
}

static int on_manager(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        Watch *w = userdata;
        (void) ret_error;
        if (!load_answered(w, reply))
                return 0;
        int r = dock_load_manager(w->dock, reply);
        if (r < 0) {
                watch_fail(w, "the daemon's answer cannot be used", r);
                return 0;
        }
        r = bus_client_message(w->bus, BUS_OBJECT_MANAGER, "GetManagedObjects", &call);
        if (r >= 0)
                r = watch_call(w, call, on_objects);
        if (r < 0)
                watch_retry(w);
        return 0;
}

/*
 * Takes all of the dock anew. Signals of the manager count from here on; those of bays and cameras that come before
 * the objects' answer are in it.
 */
static void watch_load(Watch *w) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_client_message(w->bus, BUS_PROPERTIES, "GetAll", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "s", DOCK_MANAGER_INTERFACE);
        if (r >= 0)
                r = watch_call(w, call, on_manager);
        if (r < 0)
                watch_retry(w);
}

/* A signal that could not be read leaves us with something out of date: take all of it anew. */
static int signal_done(Watch *w, int r) {
        if (r == -ENOMEM)
                watch_fail(w, "cannot follow the dock", r);
        else if (r < 0)
                watch_load(w);
        else
                watch_changed(w);
        return 0;
}

static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Watch *w = userdata;
        DockChange change = { 0 };
        (void) ret_error;
        int r = dock_properties_changed(w->dock, m, &change);
        if (r >= 0 && !w->dock->present)
                return 0;
        if (r >= 0 && change.noun == DOCK_MANAGER)
                tell_manager(w);
        else if (r >= 0 && change.noun == DOCK_BAY)
                tell_bay(w, change.bay);
        else if (r >= 0 && change.noun == DOCK_CAMERA)
                tell_camera(w, change.camera);
        return signal_done(w, r);
}

static int on_interfaces_added(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Watch *w = userdata;
        DockChange change = { 0 };
        (void) ret_error;
        if (!w->dock->present)
                return 0;
        int r = dock_interfaces_added(w->dock, m, &change);
        if (r >= 0 && change.noun == DOCK_BAY)
                tell_bay(w, change.bay);
        else if (r >= 0 && change.noun == DOCK_CAMERA)
                tell_camera(w, change.camera);
        return signal_done(w, r);
}

static int on_interfaces_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Watch *w = userdata;
        DockChange change = { 0 };
        (void) ret_error;
        if (!w->dock->present)
                return 0;
        int r = dock_interfaces_removed(w->dock, m, &change);
        if (r >= 0 && change.noun == DOCK_BAY && w->mode == WATCH_JSON)
                tell_json(w, WATCH_BAY_REMOVED, change.bay, NULL);
        if (r >= 0 && change.noun == DOCK_CAMERA && w->mode == WATCH_JSON)
                tell_json(w, WATCH_CAMERA_REMOVED, NULL, change.camera);
        dock_bay_free(change.bay);
        dock_camera_free(change.camera);
        return signal_done(w, r);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Watch *w = userdata;
        const char *name, *before, *now;
        (void) ret_error;
        int r = sd_bus_message_read(m, "sss", &name, &before, &now);
        if (r < 0)
                return signal_done(w, r);
        if (*before)
                watch_gone(w);
        if (*now)
                watch_load(w);
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Watch *w = userdata;
        (void) m;
        (void) ret_error;
        watch_gone(w);
        watch_retry(w);
        return 0;
}

static int watch_subscribe(Watch *w) {
        static const struct {
                const char *rule;
                sd_bus_message_handler_t handler;
        } matches[] = {
                { "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                  "member='NameOwnerChanged',arg0='" DOCK_BUS_NAME "'", on_owner_changed },
                { "type='signal',sender='" DOCK_BUS_NAME "',interface='org.freedesktop.DBus.Properties',"
                  "member='PropertiesChanged',path_namespace='" DOCK_PATH "'", on_properties_changed },
                { "type='signal',sender='" DOCK_BUS_NAME "',interface='org.freedesktop.DBus.ObjectManager',"
                  "member='InterfacesAdded',path='" DOCK_PATH "'", on_interfaces_added },
                { "type='signal',sender='" DOCK_BUS_NAME "',interface='org.freedesktop.DBus.ObjectManager',"
                  "member='InterfacesRemoved',path='" DOCK_PATH "'", on_interfaces_removed },
                { "type='signal',interface='org.freedesktop.DBus.Local',member='Disconnected'", on_disconnected },
        };
        for (size_t i = 0; i < ELEMENTSOF(matches); i++) {
                int r = sd_bus_add_match_async(w->bus, NULL, matches[i].rule, matches[i].handler, NULL, w);
                if (r < 0)
                        return r;
        }
        return sd_bus_attach_event(w->bus, w->event, SD_EVENT_PRIORITY_NORMAL);
}

static void watch_disconnect(Watch *w) {
        w->loading = sd_bus_slot_unref(w->loading);
        w->bus = sd_bus_close_unref(w->bus);
}

/* The connection is made anew when it is lost, and the dock asked again when it did not answer. */
static int on_connect(sd_event_source *source, uint64_t usec, void *userdata) {
        Watch *w = userdata;
        (void) source;
        (void) usec;
        if (w->bus && sd_bus_is_open(w->bus) > 0) {
                if (!w->dock->present && !w->loading)
                        watch_load(w);
                return 0;
        }
        watch_disconnect(w);
        int r = bus_client_connect(w->options, &w->bus);
        if (r >= 0)
                r = watch_subscribe(w);
        if (r < 0) {
                watch_disconnect(w);
                watch_retry(w);
                return 0;
        }
        watch_load(w);
        return 0;
}

/* ---- Timers, signals, keys ---- */

static int on_repaint(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        watch_paint(userdata);
        return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        Watch *w = userdata;
        (void) usec;
        watch_paint(w);
        int r = arm(source, TICK_USEC);
        if (r < 0)
                watch_fail(w, "cannot set a timer", r);
        return 0;
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        watch_changed(userdata);
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        Watch *w = userdata;
        (void) source;
        (void) usec;
        if (w->until.n_terms == 0) {
                watch_end(w, CTL_OK);
                return 0;
        }
        w->term = term_leave(w->term);
        watch_end(w, ctl_fail(CTL_TIMEOUT, "the time is up and the dock is not where --until wants it"));
        return 0;
}

static int on_end_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Watch *w = userdata;
        (void) source;
        /* Who watches without an end is done whenever they say so; who waits for something has not got it. */
        watch_end(w, w->until.n_terms > 0 ? 128 + (int) info->ssi_signo : CTL_OK);
        return 0;
}

static int on_resize(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Watch *w = userdata;
        (void) source;
        (void) info;
        if (w->term)
                term_resized(w->term);
        watch_paint(w);
        return 0;
}

static int watch_take_terminal(Watch *w);

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Watch *w = userdata;
        (void) source;
        (void) info;
        w->keys = sd_event_source_disable_unref(w->keys);
        w->term = term_leave(w->term);
        (void) raise(SIGSTOP);
        int r = watch_take_terminal(w);
        if (r < 0)
                watch_fail(w, "cannot take the terminal", r);
        else
                watch_paint(w);
        return 0;
}

static int on_key(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Watch *w = userdata;
        char keys[64];
        (void) source;
        (void) events;
        ssize_t n = read(fd, keys, sizeof(keys));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                w->keys = sd_event_source_disable_unref(w->keys);
                return 0;
        }
        for (ssize_t i = 0; i < n; i++) {
                if (keys[i] == 'q' || keys[i] == 'Q')
                        watch_end(w, w->until.n_terms > 0 ? 128 + SIGINT : CTL_OK);
                if (keys[i] == ('L' & 0x1f) && w->term)
                        term_resized(w->term);
        }
        watch_paint(w);
        return 0;
}

static int watch_take_terminal(Watch *w) {
        int r = term_enter(&w->term);
        if (r < 0 || !term_has_keys(w->term))
                return r;
        return sd_event_add_io(w->event, &w->keys, STDIN_FILENO, EPOLLIN, on_key, w);
}

/* ---- Start and end ---- */

static int watch_add_signals(Watch *w) {
        static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
        sigset_t mask;
        sigemptyset(&mask);
        for (size_t i = 0; i < ELEMENTSOF(ends); i++)
                sigaddset(&mask, ends[i]);
        if (w->mode == WATCH_LIVE) {
                sigaddset(&mask, SIGWINCH);
                sigaddset(&mask, SIGTSTP);
        }
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;

        int r = 0;
        for (size_t i = 0; i < ELEMENTSOF(ends) && r >= 0; i++)
                r = sd_event_add_signal(w->event, NULL, ends[i], on_end_signal, w);
        if (r >= 0 && w->mode == WATCH_LIVE)
                r = sd_event_add_signal(w->event, NULL, SIGWINCH, on_resize, w);
        if (r >= 0 && w->mode == WATCH_LIVE)
                r = sd_event_add_signal(w->event, NULL, SIGTSTP, on_stop, w);
        return r;
}

/* A timer that does nothing until it is armed. */
static int add_timer(Watch *w, clockid_t clock, sd_event_time_handler_t handler, sd_event_source **ret) {
        int r = sd_event_add_time_relative(w->event, ret, clock, 0, 1, handler, w);
        return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static int watch_start(Watch *w) {
        int r = sd_event_new(&w->event);
        if (r >= 0)
                r = dock_new(&w->dock);
        if (r >= 0)
                r = watch_add_signals(w);
        if (r >= 0)
                r = add_timer(w, CLOCK_MONOTONIC, on_connect, &w->connect);
        if (r >= 0)
                r = add_timer(w, CLOCK_MONOTONIC, on_repaint, &w->repaint);
        if (r >= 0)
                r = add_timer(w, CLOCK_MONOTONIC, on_tick, &w->tick);
        if (r >= 0)
                r = add_timer(w, CLOCK_BOOTTIME, on_wake, &w->wake);
        uint64_t timeout = w->options->timeout_usec;
        if (r >= 0 && timeout > 0)
                r = sd_event_add_time_relative(w->event, NULL, CLOCK_BOOTTIME, timeout, 1, on_timeout, w);
        if (r >= 0)
                r = watch_subscribe(w);
        if (r >= 0 && w->mode == WATCH_LIVE)
                r = watch_take_terminal(w);
        if (r >= 0 && w->mode == WATCH_LIVE)
                r = arm(w->tick, TICK_USEC);
        return r;
}

/* What is left on the terminal when the frame has gone. */
static void watch_print_last(const Watch *w) {
        Lines lines = { 0 };
        Look look;
        if (w->dock->n_bays == 0)
                return;
        term_look(&look);
        const char *notice = w->dock->present ? NULL : NOTICE_GONE;
        if (rack_view_frame(w->dock, clock_boottime_usec(), notice, 0, &look, &lines) >= 0)
                for (size_t i = 0; i < lines.n; i++)
                        puts(lines.lines[i]);
        lines_clear(&lines);
}

static void watch_stop(Watch *w) {
        bool live = w->term != NULL;
        w->keys = sd_event_source_disable_unref(w->keys);
        w->term = term_leave(w->term);
        if (live)
                watch_print_last(w);
        watch_disconnect(w);
        w->connect = sd_event_source_disable_unref(w->connect);
        w->repaint = sd_event_source_disable_unref(w->repaint);
        w->tick = sd_event_source_disable_unref(w->tick);
        w->wake = sd_event_source_disable_unref(w->wake);
        w->event = sd_event_unref(w->event);
        w->dock = dock_free(w->dock);
        free(w->told_dock);
}

int verb_watch(const Options *options) {
        Watch w = {
                .options = options,
                .mode = options->json ? WATCH_JSON : options->plain || !term_is_live() ? WATCH_LINES : WATCH_LIVE,
                .until = options->until,
        };
        int exit_code = bus_client_open(options, &w.bus);
        if (exit_code != CTL_OK)
                return exit_code;

        int r = watch_start(&w);
        if (r >= 0) {
                watch_load(&w);
                watch_paint(&w);
                r = sd_event_loop(w.event);
        }
        watch_stop(&w);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "cannot watch: %s", strerror(-r));
        return r;
}
